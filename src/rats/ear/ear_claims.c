/*
 * Payload to claims.
 *
 * EAR (draft-ietf-rats-ear): "submods" holds one appraisal per attester, each with a status and a
 * trust vector of up to eight numbers. All of them are stated, so that a policy which wants
 * "affirming" wants it of every appraisal and of every number: a service that calls the whole
 * affirming while a part is contraindicated is not believed. The evidence that Trustee annotates
 * gives report data and measurements; those of the first appraisal are stated under the names that
 * the verifiers of the TEEs use.
 *
 * A trust vector that is not there is "none", which a policy has to list.
 *
 * Simple token: that it was issued is all, status and trust are "none"; the evidence stands in
 * "tcb-status", a JSON text whose names are paths. Only the names differ, so that one table serves
 * both.
 */
#include "rats/ear/ear_claims.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "rats/json.h"
#include "rats/text.h"

enum {
	SUBMODS_MAX = 8,
	VECTOR_MAX = 16,
	NAME_MAX_EAR = 64,
	HEX_BYTES_MAX = 64,
	RUNTIME_DATA_MAX = 16 * 1024 /* bytes: of 64 KiB that claims may have */
};

#define ANNOTATED "ear.veraison.annotated-evidence"

/* Where the evidence has what. A path is one name in a simple token, steps in an EAR. */
static const struct {
	const char *claim, *path;
	size_t size; /* bytes */
} measurements[] = {
	{ "mrtd", "tdx.quote.body.mr_td", 48 },
	{ "rtmr0", "tdx.quote.body.rtmr_0", 48 },
	{ "rtmr1", "tdx.quote.body.rtmr_1", 48 },
	{ "rtmr2", "tdx.quote.body.rtmr_2", 48 },
	{ "rtmr3", "tdx.quote.body.rtmr_3", 48 },
	{ "mrconfigid", "tdx.quote.body.mr_config_id", 48 },
	{ "mrseam", "tdx.quote.body.mr_seam", 48 },
	{ "tdattr", "tdx.quote.body.td_attributes", 8 },
	{ "xfam", "tdx.quote.body.xfam", 8 },
	{ "mrenclave", "sgx.body.mr_enclave", 32 },
	{ "mrsigner", "sgx.body.mr_signer", 32 },
	{ "measurement", "snp.measurement", 48 },
	{ "init_data", "init_data", 48 },
};

const char *ear_tier(int64_t value)
{
	if (value < -128 || value > 127)
		return "contraindicated";
	if (value >= -1 && value <= 1)
		return "none";
	if (value >= -32 && value <= 31)
		return "affirming";
	if (value >= -96 && value <= 95)
		return "warning";
	return "contraindicated";
}

/* Follows a path: whole as one name, or step by step. NULL: there is nothing. */
static const json_t *at_path(const json_t *obj, const char *path)
{
	const json_t *whole = json_object_get(obj, path);
	char step[NAME_MAX_EAR];

	if (whole)
		return whole;
	while (obj && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(step))
			return NULL;
		memcpy(step, path, n);
		step[n] = '\0';
		obj = json_object_get(obj, step);
		path += n + (path[n] == '.');
	}
	return obj;
}

static bool hex_at(const json_t *obj, const char *path, uint8_t *out, size_t n)
{
	const json_t *j = at_path(obj, path);

	return json_is_string(j) &&
	       hex_parse(SPAN(json_string_value(j), json_string_length(j)), out, n);
}

static void claim_text(struct claims *c, const json_t *obj, const char *name, const char *claim)
{
	struct span text;

	if (json_text(obj, name, &text))
		claims_add_text_n(c, claim, text);
}

static void claim_uint(struct claims *c, const json_t *obj, const char *name)
{
	uint64_t n;

	if (json_uint(obj, name, INT64_MAX, &n))
		claims_add_uint(c, name, n);
}

/* Whether the report data is the digest of the runtime data: compact, with sorted keys. */
static bool is_bound(const char *runtime, size_t n, const uint8_t report_data[HEX_BYTES_MAX])
{
	const EVP_MD *const mds[] = { EVP_sha384(), EVP_sha256(), EVP_sha512() };

	for (size_t i = 0; i < ARRAY_LEN(mds); i++) {
		uint8_t want[EVP_MAX_MD_SIZE] = { 0 };
		unsigned size;

		if (EVP_Digest(runtime, n, want, &size, mds[i], NULL) == 1 &&
		    memcmp(want, report_data, HEX_BYTES_MAX) == 0)
			return true;
	}
	return false;
}

static void claim_runtime(struct claims *c, const json_t *runtime, const uint8_t *report_data)
{
	char *text;

	if (!runtime || json_is_null(runtime))
		return;
	text = json_dumps(runtime, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	if (!text)
		return;
	if (strlen(text) <= RUNTIME_DATA_MAX)
		claims_add_text(c, "runtime_data", text);
	claims_add_bool(c, "runtime_data_bound", is_bound(text, strlen(text), report_data));
	free(text);
}

static void claim_evidence(struct claims *c, const json_t *evidence, const json_t *runtime)
{
	uint8_t bytes[HEX_BYTES_MAX];

	for (size_t i = 0; i < ARRAY_LEN(measurements); i++)
		if (hex_at(evidence, measurements[i].path, bytes, measurements[i].size))
			claims_add_bytes(c, measurements[i].claim,
					 SPAN(bytes, measurements[i].size));
	if (!hex_at(evidence, "report_data", bytes, sizeof(bytes)))
		return;
	claims_add_bytes(c, "report_data", SPAN(bytes, sizeof(bytes)));
	claim_runtime(c, runtime, bytes);
}

/* "trust.cpu0.hardware" = 2 for people, "trust_tier" = "affirming" for the policy. */
static bool claim_vector(struct claims *c, const char *submod, const json_t *vector)
{
	const char *name;
	json_t *value;

	if (!vector || json_is_null(vector)) {
		claims_add_text(c, "trust_tier", "none");
		return true;
	}
	if (!json_is_object(vector) || json_object_size(vector) > VECTOR_MAX)
		return false;
	if (json_object_size(vector) == 0)
		claims_add_text(c, "trust_tier", "none");
	json_object_foreach((json_t *)vector, name, value)
	{
		char full[2 * NAME_MAX_EAR + 8], number[24];

		if (!json_is_integer(value) || strlen(name) >= NAME_MAX_EAR)
			return false;
		snprintf(full, sizeof(full), "trust.%s.%s", submod, name);
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		claims_add_text(c, full, number);
		claims_add_text(c, "trust_tier", ear_tier(json_integer_value(value)));
	}
	return true;
}

static bool claim_submod(struct claims *c, const char *name, const json_t *submod, bool is_first)
{
	const json_t *evidence = json_object_get(submod, ANNOTATED);
	struct span status;

	if (strlen(name) >= NAME_MAX_EAR || !json_text(submod, "ear.status", &status))
		return false;
	claims_add_text(c, "submod", name);
	claims_add_text_n(c, "status", status);
	claim_text(c, submod, "ear.appraisal-policy-id", "policy_id");
	if (is_first)
		claim_evidence(c, evidence, json_object_get(evidence, "runtime_data_claims"));
	return claim_vector(c, name, json_object_get(submod, "ear.trustworthiness-vector"));
}

static bool claim_ear(struct claims *c, const json_t *payload)
{
	const json_t *submods = json_object_get(payload, "submods");
	const json_t *verifier = json_object_get(payload, "ear.verifier-id");
	const char *name;
	json_t *submod;
	bool is_first = true;

	if (!json_is_object(submods) || json_object_size(submods) == 0 ||
	    json_object_size(submods) > SUBMODS_MAX)
		return false;
	claims_add_text(c, "kind", "ear");
	claim_text(c, payload, "eat_profile", "profile");
	claim_text(c, verifier, "developer", "developer");
	claim_text(c, verifier, "build", "build");
	json_object_foreach((json_t *)submods, name, submod)
	{
		if (!claim_submod(c, name, submod, is_first))
			return false;
		is_first = false;
	}
	return true;
}

static bool claim_simple(struct claims *c, const json_t *payload)
{
	const json_t *reports = json_object_get(payload, "evaluation-reports"), *report;
	JSON_AUTO evidence = NULL;
	struct span text;
	size_t i;

	if (!json_text(payload, "tcb-status", &text) || !json_is_array(reports) ||
	    json_array_size(reports) == 0 || json_array_size(reports) > SUBMODS_MAX)
		return false;
	evidence = jws_json(text);
	if (!json_is_object(evidence))
		return false;
	claims_add_text(c, "kind", "simple");
	claims_add_text(c, "status", "none");
	claims_add_text(c, "trust_tier", "none");
	claim_text(c, payload, "tee", "tee");
	json_array_foreach(reports, i, report)
	{
		claim_text(c, report, "policy-id", "policy_id");
		claim_text(c, report, "policy-hash", "policy_hash");
	}
	claim_evidence(c, evidence, at_path(payload, "customized_claims.runtime_data"));
	return true;
}

bool ear_claims_state(const json_t *payload, struct rtls_verdict *v)
{
	struct claims *c = v->claims;
	bool ok;

	claim_text(c, payload, "iss", "issuer");
	claim_text(c, payload, "jti", "jti");
	claim_uint(c, payload, "iat");
	claim_uint(c, payload, "nbf");
	claim_uint(c, payload, "exp");
	if (json_object_get(payload, "submods"))
		ok = claim_ear(c, payload);
	else
		ok = claim_simple(c, payload);
	return verdict_check(v, RTLS_CHECK_FORMAT, ok, "payload",
			     "neither an EAR nor a CoCo simple token");
}
