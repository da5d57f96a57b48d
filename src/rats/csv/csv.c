/*
 * The verifier of Hygon CSV reports, version 1 and 2. The evidence is a report (version 2 behind
 * its 20-byte head), then zeros up to the page, or the chip's HSK and CEK certificates.
 *
 * Order of the checks: format; certificates up to the pinned root (csv_chain.c); that the report is
 * meant to be signed by the PEK with SM2; its signature; the MAC.
 *
 * What it cannot show: in version 1 the nonce that masks the report is not signed. Whoever changes
 * it changes every unmasked value by the same four bytes, so a value is proven only together with
 * one that the policy pins: pin `measure`. The MAC's key stands in the report, so that the serial
 * number of the chip is a hint; a chip is pinned by its CEK. Certificates never expire.
 */
#include <stdio.h>

#include "rats/csv/csv_chain.h"
#include "rats/csv/csv_sm2.h"
#include "rats/verifier.h"

enum {
	CSV_EVIDENCE_MAX = CSV_EXT_HEAD_SIZE + CSV_REPORT_PAGE + 4 * (CSV_CA_SIZE + CSV_CERT_SIZE),
	ALGO_SM2_SA = 4,
	POLICY_NODBG = 1 << 0,
	POLICY_NOSEND = 1 << 3,
};

static void claim_report(struct claims *c, const struct csv_report *r)
{
	claims_add_uint(c, "version", r->version);
	claims_add_bytes(c, "report_data", SPAN(r->report_data, sizeof(r->report_data)));
	claims_add_bytes(c, "measure", SPAN(r->measure, sizeof(r->measure)));
	claims_add_bytes(c, "policy", SPAN(r->policy, sizeof(r->policy)));
	claims_add_bool(c, "debug", !(r->policy[0] & POLICY_NODBG));
	claims_add_bool(c, "migration", !(r->policy[0] & POLICY_NOSEND));
	claims_add_bytes(c, "mnonce", SPAN(r->mnonce, sizeof(r->mnonce)));
	claims_add_bytes(c, "vm_id", SPAN(r->vm_id, sizeof(r->vm_id)));
	claims_add_bytes(c, "vm_version", SPAN(r->vm_version, sizeof(r->vm_version)));
	claims_add_bytes(c, "user_pubkey_digest",
			 SPAN(r->user_pubkey_digest, sizeof(r->user_pubkey_digest)));
	claims_add_uint(c, "sig_usage", r->sig_usage);
	claims_add_uint(c, "sig_algo", r->sig_algo);
	claims_add_text_n(c, "chip_sn",
			  SPAN(r->chip_sn, strnlen((const char *)r->chip_sn, CSV_SN_SIZE)));
}

static void claim_version(struct claims *c, const struct csv_report *r)
{
	char name[8];

	if (r->version == 1) {
		claims_add_bytes(c, "anonce", SPAN(r->anonce, sizeof(r->anonce)));
		return;
	}
	claims_add_uint(c, "build", r->build);
	claims_add_uint(c, "rtmr_version", r->rtmr_version);
	for (size_t i = 0; i < CSV_N_RTMRS; i++) {
		snprintf(name, sizeof(name), "rtmr%zu", i);
		claims_add_bytes(c, name, SPAN(r->rtmr[i], sizeof(r->rtmr[i])));
	}
}

/* The zeros that fill a page after a report, if there are any. */
static void skip_padding(struct span *s)
{
	struct span t = *s;
	uint8_t b;

	while (t.n > 0 && t.p[0] == 0)
		if (!span_u8(&t, &b))
			return;
	*s = t;
}

static bool check_format(const struct appraisal *a, struct csv_report *r, struct span *out_tail,
			 struct rtls_verdict *v)
{
	size_t n;

	*out_tail = a->body;
	if (!verdict_check(v, RTLS_CHECK_FORMAT, csv_report_take(out_tail, r), "report",
			   "not a CSV report (%zu bytes)", a->body.n))
		return false;
	claim_report(v->claims, r);
	claim_version(v->claims, r);
	skip_padding(out_tail);
	n = out_tail->n;
	return verdict_check(v, RTLS_CHECK_FORMAT,
			     n == 0 || n == CSV_CERT_SIZE || n == CSV_CA_SIZE + CSV_CERT_SIZE ||
				     n == 2 * CSV_CA_SIZE + CSV_CERT_SIZE,
			     "after the report", "%zu bytes are neither padding nor certificates",
			     n) &&
	       verdict_check(v, RTLS_CHECK_FORMAT,
			     r->sig_usage == CSV_USAGE_PEK && r->sig_algo == ALGO_SM2_SA,
			     "signature algorithm", "expected PEK and SM2, found %#x and %u",
			     r->sig_usage, r->sig_algo);
}

static int csv_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	struct csv_report r;
	struct csv_cert pek;
	struct span tail;
	uint8_t cek[32];

	if (!check_format(a, &r, &tail, v) || !csv_chain_verify(a, &r, tail, v, &pek, cek))
		return 0;
	claims_add_bytes(v->claims, "cek_sha256", SPAN(cek, sizeof(cek)));
	if (!verdict_check(v, RTLS_CHECK_SIGNATURE, csv_sm2_verify(&pek.key, r.signed_part, &r.sig),
			   "report signature", "does not verify"))
		return 0;
	(void)verdict_check(v, RTLS_CHECK_BINDING,
			    csv_sm3_hmac_equal(SPAN(r.mnonce, sizeof(r.mnonce)), r.mac_part, r.mac),
			    "MAC of PEK and serial number", "is wrong");
	return 0;
}

/* There is no magic in version 1: its PEK certificate must be one when it is unmasked. */
static bool csv_detect(struct span body)
{
	struct csv_report r;
	struct csv_cert pek;

	return csv_report_take(&body, &r) && csv_cert_parse(SPAN(r.pek, sizeof(r.pek)), &pek);
}

#define BYTES(name, n, what)                                                                       \
	{                                                                                          \
		.key = name, .kind = RULE_BYTES, .size = n, .check = what                          \
	}

static const struct rule rules[] = {
	{ .key = "measure",
	  .kind = RULE_BYTES,
	  .size = 32,
	  .check = RTLS_CHECK_MEASUREMENT,
	  .flags = RULE_PIN,
	  .group = "measure" },
	{ .key = "rtmr", .kind = RULE_BYTES_MAP, .size = 32, .check = RTLS_CHECK_MEASUREMENT },
	{ .key = "debug", .kind = RULE_ALLOW, .check = RTLS_CHECK_DEBUG },
	{ .key = "migration", .kind = RULE_ALLOW, .check = RTLS_CHECK_CONFIG },
	BYTES("policy", 4, RTLS_CHECK_CONFIG),
	BYTES("vm_id", 16, RTLS_CHECK_CONFIG),
	BYTES("vm_version", 16, RTLS_CHECK_CONFIG),
	BYTES("user_pubkey_digest", 32, RTLS_CHECK_CONFIG),
	{ .key = "build_min", .claim = "build", .kind = RULE_UINT_MIN, .check = RTLS_CHECK_TCB },
	BYTES("cek_sha256", 32, RTLS_CHECK_PLATFORM),
};

const struct verifier verifier_csv = {
	.name = "csv",
	.title = "Hygon CSV",
	.tags = { EVIDENCE_TAG_CSV },
	.evidence_max = CSV_EVIDENCE_MAX,
	.detect = csv_detect,
	.verify = csv_verify,
	.rules = rules,
	.n_rules = ARRAY_LEN(rules),
};
