/* The inside of a policy, shared by its parser (policy.c) and its matcher (match.c). */
#ifndef ENG_RATS_POLICY_IMPL_H
#define ENG_RATS_POLICY_IMPL_H

#include "rats/policy.h"

/* One accepted value. */
struct value {
	uint8_t *bytes; /* BYTES, TEXT(S) (NUL-terminated beyond n) */
	size_t n;
	uint64_t num;	/* UINT, UINT_MIN */
	uint32_t index; /* BYTES_MAP */
};

/* What an alternative says about one rule; all zero: nothing. */
struct setting {
	bool is_given, is_any;
	bool flag; /* ALLOW, REQUIRE */
	size_t n;
	struct value *values;
};

struct alternative {
	const struct verifier *verifier;
	char *name;		  /* NULL: none */
	struct setting *settings; /* one per rule of the verifier, in that order */
	size_t n_prefixes;
	struct prefix *prefixes;
	bool may_replace;
};

struct rtls_policy {
	bool is_insecure;
	struct collateral_rules rules;
	char *collateral_path;
	size_t n;
	struct alternative *alternatives;
};

static inline const char *rule_claim(const struct rule *r)
{
	return r->claim ? r->claim : r->key;
}

#endif
