/*
 * Policies: YAML to rules; see policy.h. What may be said about a TEE is the rule table of its
 * verifier, so this file knows no TEE. Nothing is ignored: what is not understood is an error
 * that points at its place.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rats/file.h"
#include "rats/json.h"
#include "rats/policy_impl.h"
#include "rats/text.h"
#include "rats/ytree.h"

enum { PIN_BYTES_MAX = 64, BYTES_MAP_MAX = 64 };

/* Says why at the node, and gives the error to return. */
#define REFUSE(err, node, ...)                                                                     \
	(ytree_error_set((err), (node)->line, (node)->column, __VA_ARGS__), err_new(-EINVAL))

static void alternative_deinit(struct alternative *a)
{
	size_t n = a->verifier && a->settings ? a->verifier->n_rules : 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < a->settings[i].n; k++)
			free(a->settings[i].values[k].bytes);
		free(a->settings[i].values);
	}
	free(a->settings);
	free(a->prefixes);
	free(a->name);
}

void rtls_policy_free(struct rtls_policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		alternative_deinit(&p->alternatives[i]);
	free(p->alternatives);
	free(p->collateral_path);
	free(p);
}

static bool is_word(const struct ytree_node *n, const char *word)
{
	return n->kind == YTREE_SCALAR && n->is_plain && strcmp(n->text, word) == 0;
}

static int parse_bool(const struct ytree_node *n, bool *out, struct ytree_error *err)
{
	if (!is_word(n, "true") && !is_word(n, "false"))
		return REFUSE(err, n, "expected true or false");
	*out = is_word(n, "true");
	return 0;
}

static int parse_number(const struct ytree_node *n, uint64_t *out, struct ytree_error *err)
{
	char *end;
	bool hex;

	if (n->kind != YTREE_SCALAR || !isdigit((unsigned char)n->text[0]))
		return REFUSE(err, n, "expected a number");
	hex = strncmp(n->text, "0x", 2) == 0;
	errno = 0;
	*out = strtoull(n->text + (hex ? 2 : 0), &end, hex ? 16 : 10);
	if (errno || *end || end == n->text + 2 * hex ||
	    !isxdigit((unsigned char)n->text[hex ? 2 : 0]))
		return REFUSE(err, n, "expected a number");
	return 0;
}

static int parse_hex(const struct ytree_node *n, size_t size, struct value *v,
		     struct ytree_error *err)
{
	size_t len = n->kind == YTREE_SCALAR ? strlen(n->text) : 0;

	if (n->kind != YTREE_SCALAR || len % 2 || len / 2 == 0 || len / 2 > PIN_BYTES_MAX ||
	    (size && len != 2 * size))
		return size ? REFUSE(err, n, "expected %zu hex digits or the word any", 2 * size)
			    : REFUSE(err, n, "expected up to %d bytes in hex or the word any",
				     PIN_BYTES_MAX);
	v->n = len / 2;
	v->bytes = malloc(v->n);
	if (!v->bytes)
		return err_new(-ENOMEM);
	if (!hex_parse(SPAN(n->text, len), v->bytes, v->n))
		return REFUSE(err, n, "expected hex digits or the word any");
	return 0;
}

static int parse_text(const struct ytree_node *n, struct value *v, struct ytree_error *err)
{
	if (n->kind != YTREE_SCALAR || n->text[0] == '\0')
		return REFUSE(err, n, "expected a text");
	v->n = strlen(n->text);
	v->bytes = (uint8_t *)strdup(n->text);
	return v->bytes ? 0 : err_new(-ENOMEM);
}

static int parse_value(const struct rule *rule, const struct ytree_node *n, struct value *v,
		       struct ytree_error *err)
{
	if (is_word(n, "any"))
		return REFUSE(err, n, "any stands alone, it is not one value of several");
	switch (rule->kind) {
	case RULE_BYTES:
	case RULE_BYTES_MAP:
		return parse_hex(n, rule->size, v, err);
	case RULE_UINT:
	case RULE_UINT_MIN:
		return parse_number(n, &v->num, err);
	default:
		return parse_text(n, v, err);
	}
}

/* A value or a list of values, appended; with a map, each under its index. */
static int parse_values(const struct rule *rule, const struct ytree_node *n, uint32_t index,
			struct setting *s, struct ytree_error *err)
{
	size_t count = n->kind == YTREE_LIST ? n->n : 1;
	struct value *p;
	int r;

	if (n->kind == YTREE_LIST && rule->kind == RULE_UINT_MIN)
		return REFUSE(err, n, "expected one number");
	if (count == 0 && rule->kind != RULE_TEXTS)
		return REFUSE(err, n, "an empty list accepts nothing; leave the alternative out");
	if (count > POLICY_VALUES_MAX - s->n)
		return REFUSE(err, n, "more than %d values", POLICY_VALUES_MAX);
	p = realloc(s->values, (s->n + count + 1) * sizeof(*p));
	if (!p)
		return err_new(-ENOMEM);
	s->values = p;
	for (size_t i = 0; i < count; i++) {
		s->values[s->n] = (struct value){ .index = index };
		r = parse_value(rule, n->kind == YTREE_LIST ? n->items[i] : n, &s->values[s->n++],
				err);
		if (r < 0)
			return err_pass(r);
	}
	return 0;
}

static int parse_map(const struct rule *rule, const struct ytree_node *n, struct setting *s,
		     struct ytree_error *err)
{
	uint64_t index = 0;
	int r;

	if (n->kind != YTREE_MAP || n->n == 0)
		return REFUSE(err, n, "expected {index: hex, ...} or the word any");
	for (size_t i = 0; i < n->n; i++) {
		r = parse_number(n->items[2 * i], &index, err);
		if (r < 0)
			return err_pass(r);
		if (index >= BYTES_MAP_MAX)
			return REFUSE(err, n->items[2 * i], "no such index");
		r = parse_values(rule, n->items[2 * i + 1], (uint32_t)index, s, err);
		if (r < 0)
			return err_pass(r);
	}
	return 0;
}

static int parse_setting(const struct rule *rule, const struct ytree_node *n, struct setting *s,
			 struct ytree_error *err)
{
	s->is_given = true;
	if (rule->kind == RULE_ALLOW || rule->kind == RULE_REQUIRE)
		return parse_bool(n, &s->flag, err);
	if (is_word(n, "any")) {
		if (rule->flags & RULE_NO_ANY)
			return REFUSE(err, n, "any is not accepted here");
		s->is_any = true;
		return 0;
	}
	if (rule->kind == RULE_BYTES_MAP)
		return parse_map(rule, n, s, err);
	return parse_values(rule, n, 0, s, err);
}

static int parse_allowed_ips(const struct ytree_node *n, struct alternative *a,
			     struct ytree_error *err)
{
	if (n->kind != YTREE_LIST || n->n > POLICY_VALUES_MAX)
		return REFUSE(err, n, "expected a list of at most %d prefixes", POLICY_VALUES_MAX);
	a->prefixes = calloc(n->n + 1, sizeof(*a->prefixes));
	if (!a->prefixes)
		return err_new(-ENOMEM);
	for (size_t i = 0; i < n->n; i++) {
		const struct ytree_node *item = n->items[i];

		if (item->kind != YTREE_SCALAR || !prefix_parse(item->text, false, &a->prefixes[i]))
			return REFUSE(err, item, "expected a prefix like 10.1.0.0/16");
		a->n_prefixes++;
	}
	return 0;
}

/* Every pin must be there, or one of its group. */
static int check_pins(const struct ytree_node *n, const struct alternative *a,
		      struct ytree_error *err)
{
	const struct verifier *vf = a->verifier;

	for (size_t i = 0; i < vf->n_rules; i++) {
		const struct rule *rule = &vf->rules[i];
		bool given = a->settings[i].is_given;

		for (size_t k = 0; rule->group && k < vf->n_rules; k++)
			if (vf->rules[k].group && strcmp(vf->rules[k].group, rule->group) == 0)
				given = given || a->settings[k].is_given;
		if (!(rule->flags & RULE_PIN) || given)
			continue;
		return REFUSE(err, n, "%s is missing: pin it%s%s%s", rule->key,
			      rule->flags & RULE_NO_ANY ? "" : ", or say `any`",
			      rule->group ? "; another of its group would do: " : "",
			      rule->group ? rule->group : "");
	}
	return 0;
}

static const struct ytree_node *member(const struct ytree_node *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->items[2 * i]->text, key) == 0)
			return map->items[2 * i + 1];
	return NULL;
}

static int parse_member(const struct ytree_node *key, const struct ytree_node *value,
			struct alternative *a, struct ytree_error *err)
{
	const struct verifier *vf = a->verifier;

	if (strcmp(key->text, "tee") == 0)
		return 0;
	if (strcmp(key->text, "name") == 0) {
		if (value->kind != YTREE_SCALAR)
			return REFUSE(err, value, "expected a text");
		a->name = strdup(value->text);
		return a->name ? 0 : err_new(-ENOMEM);
	}
	if (strcmp(key->text, "allowed_ips") == 0)
		return parse_allowed_ips(value, a, err);
	if (strcmp(key->text, "replace") == 0)
		return parse_bool(value, &a->may_replace, err);
	for (size_t i = 0; i < vf->n_rules; i++)
		if (strcmp(vf->rules[i].key, key->text) == 0)
			return parse_setting(&vf->rules[i], value, &a->settings[i], err);
	return REFUSE(err, key, "unknown key %s for %s; rats-policy(5) lists them", key->text,
		      vf->name);
}

static int parse_alternative(const struct ytree_node *n, struct alternative *a,
			     struct ytree_error *err)
{
	const struct ytree_node *tee = n->kind == YTREE_MAP ? member(n, "tee") : NULL;
	int r;

	if (!tee || tee->kind != YTREE_SCALAR)
		return REFUSE(err, n, "expected an alternative that says tee: NAME");
	a->verifier = verifier_find(tee->text);
	if (!a->verifier)
		return REFUSE(err, tee, "no such TEE: %s", tee->text);
	a->settings = calloc(a->verifier->n_rules, sizeof(*a->settings));
	if (!a->settings)
		return err_new(-ENOMEM);
	for (size_t i = 0; i < n->n; i++) {
		r = parse_member(n->items[2 * i], n->items[2 * i + 1], a, err);
		if (r < 0)
			return err_pass(r);
	}
	return check_pins(n, a, err);
}

static int parse_alternatives(const struct ytree_node *n, struct rtls_policy *p,
			      struct ytree_error *err)
{
	int r;

	if (n->kind != YTREE_LIST || n->n == 0 || n->n > POLICY_ALTERNATIVES_MAX)
		return REFUSE(err, n, "expected a list of 1 to %d alternatives",
			      POLICY_ALTERNATIVES_MAX);
	p->alternatives = calloc(n->n, sizeof(*p->alternatives));
	if (!p->alternatives)
		return err_new(-ENOMEM);
	for (size_t i = 0; i < n->n; i++) {
		p->n++; /* before it is filled: a half-built one is freed as well */
		r = parse_alternative(n->items[i], &p->alternatives[i], err);
		if (r < 0)
			return err_pass(r);
	}
	return 0;
}

static int parse_duration(const struct ytree_node *n, int64_t *out, struct ytree_error *err)
{
	if (n->kind != YTREE_SCALAR || !duration_parse(SPAN(n->text, strlen(n->text)), out))
		return REFUSE(err, n, "expected a time like 30d, 12h, 90m or 45s");
	return 0;
}

static int parse_collateral_member(const struct ytree_node *key, const struct ytree_node *value,
				   struct rtls_policy *p, struct ytree_error *err)
{
	if (strcmp(key->text, "max_age") == 0) {
		int r = parse_duration(value, &p->rules.max_age_s, err);

		if (r == 0 && p->rules.max_age_s == 0)
			return REFUSE(err, value, "expected more than 0");
		return err_pass(r);
	}
	if (strcmp(key->text, "grace") == 0)
		return parse_duration(value, &p->rules.grace_s, err);
	if (strcmp(key->text, "from_peer") == 0)
		return parse_bool(value, &p->rules.from_peer, err);
	if (strcmp(key->text, "crl") == 0) {
		p->rules.crl_if_present = is_word(value, "if-present");
		if (!p->rules.crl_if_present && !is_word(value, "required"))
			return REFUSE(err, value, "expected required or if-present");
		return 0;
	}
	if (strcmp(key->text, "path") == 0) {
		if (value->kind != YTREE_SCALAR || value->text[0] == '\0')
			return REFUSE(err, value, "expected a file or directory");
		p->collateral_path = strdup(value->text);
		return p->collateral_path ? 0 : err_new(-ENOMEM);
	}
	return REFUSE(err, key, "unknown key %s; known are path, max_age, grace, crl, from_peer",
		      key->text);
}

static int parse_collateral(const struct ytree_node *n, struct rtls_policy *p,
			    struct ytree_error *err)
{
	int r;

	if (n->kind != YTREE_MAP)
		return REFUSE(err, n, "expected path, max_age, grace, crl or from_peer");
	for (size_t i = 0; i < n->n; i++) {
		r = parse_collateral_member(n->items[2 * i], n->items[2 * i + 1], p, err);
		if (r < 0)
			return err_pass(r);
	}
	return 0;
}

static int parse_top(const struct ytree_node *key, const struct ytree_node *value,
		     struct rtls_policy *p, struct ytree_error *err)
{
	if (strcmp(key->text, "one_of") == 0)
		return parse_alternatives(value, p, err);
	if (strcmp(key->text, "collateral") == 0)
		return parse_collateral(value, p, err);
	if (strcmp(key->text, "insecure") == 0) {
		if (!is_word(value, "null"))
			return REFUSE(err, value, "the only insecure thing there is: null");
		p->is_insecure = true;
		return 0;
	}
	return REFUSE(err, key, "unknown key %s; known are one_of, collateral, insecure",
		      key->text);
}

static int parse_root(const struct ytree_node *n, struct rtls_policy *p, struct ytree_error *err)
{
	int r;

	if (n->kind != YTREE_MAP || n->n == 0)
		return REFUSE(err, n, "a policy says one_of: and what it accepts");
	for (size_t i = 0; i < n->n; i++) {
		r = parse_top(n->items[2 * i], n->items[2 * i + 1], p, err);
		if (r < 0)
			return err_pass(r);
	}
	if (p->is_insecure && p->n > 0)
		return REFUSE(err, n, "insecure: null and one_of exclude each other");
	if (!p->is_insecure && p->n == 0)
		return REFUSE(err, n, "one_of is missing: a policy says what it accepts");
	return 0;
}

int rtls_policy_parse(const char *text, size_t n, struct rtls_policy **out, char *err_out,
		      size_t err_size)
{
	CLEANUP(rtls_policy_freep) struct rtls_policy *p = NULL;
	CLEANUP(ytree_freep) struct ytree_node *root = NULL;
	struct ytree_error err = { .out = err_out, .size = err_size };
	int r;

	json_object_seed(0); /* now, so that no appraisal has to open /dev/urandom for it */
	if (n > POLICY_FILE_MAX) {
		ytree_error_set(&err, 1, 1, "larger than %d bytes", POLICY_FILE_MAX);
		return err_new(-EINVAL);
	}
	r = ytree_parse(SPAN(text, n), &root, &err);
	if (r < 0)
		return err_pass(r);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_new(-ENOMEM);
	r = parse_root(root, p, &err);
	if (r < 0)
		return err_pass(r);
	*out = TAKE(p);
	return 0;
}

int rtls_policy_load(const char *path, struct rtls_policy **out, char *err, size_t err_size)
{
	uint8_t *bytes;
	size_t n;
	int r;

	if (err && err_size > 0)
		err[0] = '\0';
	r = file_read_at(AT_FDCWD, path, POLICY_FILE_MAX, &bytes, &n);
	if (r < 0)
		return err_pass(r);
	r = rtls_policy_parse((const char *)bytes, n, out, err, err_size);
	free(bytes);
	return err_pass(r);
}

const char *rtls_policy_collateral_path(const struct rtls_policy *p)
{
	return p->collateral_path;
}

bool rtls_policy_is_insecure(const struct rtls_policy *p)
{
	return p->is_insecure;
}

const struct collateral_rules *policy_collateral_rules(const struct rtls_policy *p)
{
	return &p->rules;
}

size_t policy_n_alternatives(const struct rtls_policy *p)
{
	return p->n;
}

const struct verifier *policy_verifier(const struct rtls_policy *p, size_t i)
{
	return p->alternatives[i].verifier;
}
