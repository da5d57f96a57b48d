/*
 * The verifier of attestation services' tokens: a signed JWT that says that somebody else has
 * appraised a TEE. EAR (draft-ietf-rats-ear) and the simple token of the CoCo attestation service.
 *
 * Order of the checks: format; the key and its certificates (ear_key.c); that the algorithm is one
 * for this kind of key; the signature; the lifetime. Whether the signer is the right one and
 * what it says good enough are rules: the policy must pin the key or the root, names the
 * appraisal policies it accepts, and by default wants "affirming" everywhere.
 *
 * Not checked: the evidence inside the token. The service is believed about it, so that debug
 * guests, too, are the service's to refuse.
 */
#include "rats/ear/ear_claims.h"
#include "rats/ear/ear_key.h"
#include "rats/json.h"
#include "rats/text.h"

/* A claim of time: absent is fine unless required, but what is there must be a time. */
static bool get_time(const json_t *payload, const char *name, int64_t fallback, int64_t *out)
{
	uint64_t t;

	*out = fallback;
	if (!json_object_get(payload, name))
		return true;
	if (!json_uint(payload, name, INT64_MAX, &t))
		return false;
	*out = (int64_t)t;
	return true;
}

/* RFC 7519, 4.1.4 to 4.1.6: "on or after" exp it is expired. */
static bool check_lifetime(const json_t *payload, int64_t now, struct rtls_verdict *v)
{
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], at[TIME_TEXT_MAX];
	int64_t iat = 0, nbf = 0, exp = 0;

	if (!verdict_check(v, RTLS_CHECK_FORMAT,
			   json_object_get(payload, "exp") && get_time(payload, "exp", 0, &exp) &&
				   get_time(payload, "iat", 0, &iat) &&
				   get_time(payload, "nbf", iat, &nbf),
			   "lifetime", "exp, iat or nbf is missing or no time"))
		return false;
	if (nbf < iat)
		nbf = iat;
	return verdict_check(v, RTLS_CHECK_FRESHNESS, now >= nbf && now < exp, "lifetime",
			     "from %s to %s, the time is %s", time_format(nbf, from),
			     time_format(exp, to), time_format(now, at));
}

static bool verify(const struct appraisal *a, struct jws *t, struct rtls_verdict *v)
{
	CLEANUP(pkey_freep) EVP_PKEY *key = NULL;
	const struct jws_alg *alg;

	if (!verdict_check(v, RTLS_CHECK_FORMAT, jws_parse(a->body, t), "token",
			   "not a compact JWS of two JSON objects, or one with \"crit\"") ||
	    !ear_claims_state(t->payload, v) || !ear_key_find(a, t, v, &key))
		return false;
	alg = jws_alg_for(t, key);
	return verdict_check(v, RTLS_CHECK_SIGNATURE, alg != NULL, "algorithm",
			     "is none that this kind of key signs with") &&
	       verdict_check(v, RTLS_CHECK_SIGNATURE, jws_verify(t, alg, key), "token signature",
			     "does not verify") &&
	       check_lifetime(t->payload, a->now, v);
}

static int ear_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	struct jws t;

	(void)verify(a, &t, v);
	jws_deinit(&t);
	return 0;
}

static bool ear_detect(struct span body)
{
	return jws_looks_like(body);
}

#define SIGNER(name)                                                                               \
	{                                                                                          \
		.key = name, .kind = RULE_BYTES, .size = 32, .check = RTLS_CHECK_SIGNER,           \
		.flags = RULE_PIN | RULE_NO_ANY, .group = "signer"                                 \
	}
#define AFFIRMING(k, c)                                                                            \
	{                                                                                          \
		.key = k, .claim = c, .kind = RULE_TEXTS, .check = RTLS_CHECK_TCB,                 \
		.flags = RULE_DEFAULT, .standard = "affirming", .never = "contraindicated"         \
	}
#define MEASURED(name, n)                                                                          \
	{                                                                                          \
		.key = name, .kind = RULE_BYTES, .size = n, .check = RTLS_CHECK_MEASUREMENT        \
	}
#define TEXTS(name, what)                                                                          \
	{                                                                                          \
		.key = name, .kind = RULE_TEXT, .check = what                                      \
	}

static const struct rule rules[] = {
	SIGNER("key_sha256"),
	SIGNER("ca_sha256"),
	{ .key = "policy_ids",
	  .claim = "policy_id",
	  .kind = RULE_TEXT,
	  .check = RTLS_CHECK_MEASUREMENT,
	  .flags = RULE_PIN,
	  .group = "policy" },
	{ .key = "policy_hashes",
	  .claim = "policy_hash",
	  .kind = RULE_TEXT,
	  .check = RTLS_CHECK_MEASUREMENT,
	  .flags = RULE_PIN,
	  .group = "policy" },
	AFFIRMING("status", NULL),
	AFFIRMING("trust_tiers", "trust_tier"),
	TEXTS("issuer", RTLS_CHECK_SIGNER),
	TEXTS("developer", RTLS_CHECK_SIGNER),
	TEXTS("profile", RTLS_CHECK_CONFIG),
	TEXTS("kind", RTLS_CHECK_CONFIG),
	{ .key = "runtime_data_bound", .kind = RULE_REQUIRE, .check = RTLS_CHECK_BINDING },
	MEASURED("mrtd", 48),
	MEASURED("rtmr0", 48),
	MEASURED("rtmr1", 48),
	MEASURED("rtmr2", 48),
	MEASURED("rtmr3", 48),
	MEASURED("mrenclave", 32),
	MEASURED("mrsigner", 32),
	MEASURED("measurement", 48),
	{ .key = "init_data", .kind = RULE_BYTES, .size = 48, .check = RTLS_CHECK_CONFIG },
};

const struct verifier verifier_ear = {
	.name = "ear",
	.title = "token of an attestation service (EAR, CoCo)",
	.tags = { EVIDENCE_TAG_TOKEN, EVIDENCE_TAG_COCO_TOKEN },
	.evidence_max = JWS_MAX,
	.detect = ear_detect,
	.verify = ear_verify,
	.rules = rules,
	.n_rules = ARRAY_LEN(rules),
};
