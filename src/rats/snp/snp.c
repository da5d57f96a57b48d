/*
 * The verifier of AMD SEV-SNP reports: versions 2, 3 and 5, of Milan, Genoa and Turin, signed by a
 * VCEK or a VLEK. The evidence is a report, or a report followed by the certificate table of an
 * extended report.
 *
 * Order of the checks: format; that the platform signed at all; the certificates up to the pinned
 * root, in time and not revoked; that the certificate is the one of this chip, product and TCB
 * (snp_chain.c); the signature; and that the TCBs are in the order that firmware guarantees.
 *
 * Not checked: launch_tcb (a guest that migrated may have been launched elsewhere), and reserved
 * bits.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/err.h"
#include "rats/snp/snp_chain.h"
#include "rats/snp/snp_rules.h"
#include "rats/verifier.h"

enum { SIG_ALGO_ECDSA_P384_SHA384 = 1, EVIDENCE_MAX_SNP = SNP_REPORT_SIZE + SNP_TABLE_MAX };

static void claim_version(struct claims *c, const char *name, uint8_t major, uint8_t minor,
			  uint8_t build)
{
	char text[16];

	snprintf(text, sizeof(text), "%u.%u.%u", major, minor, build);
	claims_add_text(c, name, text);
}

static void claim_key(struct claims *c, const struct snp_report *r)
{
	static const char *const names[8] = {
		[SNP_KEY_VCEK] = "VCEK", [SNP_KEY_VLEK] = "VLEK", [SNP_KEY_NONE] = "none"
	};
	const char *name = names[r->signing_key & 7];

	claims_add_uint(c, "key_flags", r->key_flags);
	claims_add_text(c, "signing_key", name ? name : "reserved");
	claims_add_bool(c, "author_key_en", r->author_key_en);
	claims_add_bool(c, "mask_chip_key", r->mask_chip_key);
}

/* The guest policy, whole and bit by bit. AMD 56860, "Guest Policy Structure". */
static void claim_policy(struct claims *c, uint64_t policy)
{
	claims_add_uint(c, "policy", policy);
	claims_add_bool(c, "smt", policy & SNP_POLICY_SMT);
	claims_add_bool(c, "migration", policy & SNP_POLICY_MIGRATE_MA);
	claims_add_bool(c, "debug", policy & SNP_POLICY_DEBUG);
	claims_add_bool(c, "single_socket", policy & SNP_POLICY_SINGLE_SOCKET);
	claims_add_bool(c, "ciphertext_hiding", policy >> 24 & 1);
}

static void claim_tcbs(struct claims *c, const struct snp_report *r)
{
	claims_add_bytes(c, "current_tcb", r->current_tcb);
	claims_add_bytes(c, "reported_tcb", r->reported_tcb);
	claims_add_bytes(c, "committed_tcb", r->committed_tcb);
	claims_add_bytes(c, "launch_tcb", r->launch_tcb);
	claims_add_bool(c, "tcb_committed", span_equal(r->current_tcb, r->committed_tcb));
	claim_version(c, "current_ver", r->current_major, r->current_minor, r->current_build);
	claim_version(c, "committed_ver", r->committed_major, r->committed_minor,
		      r->committed_build);
}

/*
 * The numbers in the reported TCB, in the order that the CPUID fields tell. Version 2 has none, but
 * the products of its time agree on the order; snp_chain.c holds it to one of them.
 */
static void claim_svns(struct claims *c, const struct snp_report *r)
{
	enum snp_product product = snp_report_product(r);
	struct snp_tcb tcb = snp_tcb_decode(product, r->reported_tcb);

	if (product == SNP_PRODUCT_TURIN)
		claims_add_uint(c, "fmc_svn", tcb.fmc);
	claims_add_uint(c, "bootloader_svn", tcb.bootloader);
	claims_add_uint(c, "tee_svn", tcb.tee);
	claims_add_uint(c, "snp_svn", tcb.snp);
	claims_add_uint(c, "microcode_svn", tcb.microcode);
}

static void claim_later_versions(struct claims *c, const struct snp_report *r)
{
	struct span raw = r->raw, launch, current;

	if (r->version >= 3) {
		claims_add_uint(c, "cpuid_fam", r->cpuid_family);
		claims_add_uint(c, "cpuid_mod", r->cpuid_model);
		claims_add_uint(c, "cpuid_step", r->cpuid_stepping);
	}
	if (r->version >= 5 && span_skip(&raw, 0x1f8) && span_take(&raw, 8, &launch) &&
	    span_take(&raw, 8, &current)) {
		claims_add_bytes(c, "launch_mit_vector", launch);
		claims_add_bytes(c, "current_mit_vector", current);
	}
}

static void claim_report(struct claims *c, const struct snp_report *r)
{
	claims_add_uint(c, "version", r->version);
	claims_add_uint(c, "guest_svn", r->guest_svn);
	claim_policy(c, r->policy);
	claims_add_bytes(c, "family_id", r->family_id);
	claims_add_bytes(c, "image_id", r->image_id);
	claims_add_uint(c, "vmpl", r->vmpl);
	claims_add_uint(c, "sig_algo", r->sig_algo);
	claims_add_uint(c, "platform_info", r->platform_info);
	claim_key(c, r);
	claims_add_bytes(c, "report_data", r->report_data);
	claims_add_bytes(c, "measurement", r->measurement);
	claims_add_bytes(c, "host_data", r->host_data);
	claims_add_bytes(c, "id_key_digest", r->id_key_digest);
	claims_add_bytes(c, "author_key_digest", r->author_key_digest);
	claims_add_bytes(c, "report_id", r->report_id);
	claims_add_bytes(c, "report_id_ma", r->report_id_ma);
	claims_add_bytes(c, "chip_id", r->chip_id);
	claim_tcbs(c, r);
	claim_svns(c, r);
	claim_later_versions(c, r);
}

static void claim_cert(struct claims *c, const struct snp_cert *cert)
{
	claims_add_text(c, "product", snp_product_name(cert->product));
	if (cert->kind == SNP_KEY_VLEK)
		claims_add_text(c, "csp_id", cert->csp_id);
}

static bool check_format(const struct appraisal *a, struct snp_report *r, struct span *out_table,
			 struct rtls_verdict *v)
{
	struct span report;
	bool parsed;

	*out_table = a->body;
	parsed = span_take(out_table, SNP_REPORT_SIZE, &report) && snp_report_parse(report, r);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, parsed, "report",
			   "not a report of version 2, 3 or 5 (%zu bytes)", a->body.n) ||
	    !parsed)
		return false;
	claim_report(v->claims, r);
	return verdict_check(v, RTLS_CHECK_FORMAT, r->sig_algo == SIG_ALGO_ECDSA_P384_SHA384,
			     "signature algorithm", "expected 1 (ECDSA P-384), found %u",
			     r->sig_algo) &&
	       verdict_check(v, RTLS_CHECK_FORMAT, r->policy & SNP_POLICY_MUST_BE_ONE,
			     "guest policy", "bit 17 is not set in %#llx",
			     (unsigned long long)r->policy);
}

/* With MASK_CHIP_KEY the firmware does not sign with the VCEK and leaves zeros. */
static bool check_is_signed(const struct snp_report *r, struct rtls_verdict *v)
{
	bool vcek = r->signing_key == SNP_KEY_VCEK && !r->mask_chip_key;

	return verdict_check(v, RTLS_CHECK_SIGNATURE, vcek || r->signing_key == SNP_KEY_VLEK,
			     "signing key", "the platform does not sign (key %u, mask_chip_key %d)",
			     r->signing_key, r->mask_chip_key);
}

static bool check_signature(const struct snp_report *r, EVP_PKEY *key, struct rtls_verdict *v)
{
	uint8_t rs[2][SNP_SIG_INT_USED];

	for (size_t i = 0; i < SNP_SIG_INT_USED; i++) {
		rs[0][i] = r->sig_r.p[SNP_SIG_INT_USED - 1 - i];
		rs[1][i] = r->sig_s.p[SNP_SIG_INT_USED - 1 - i];
	}
	return verdict_check(v, RTLS_CHECK_SIGNATURE,
			     ecdsa_verify_raw(key, EVP_sha384(), r->signed_part,
					      SPAN(rs[0], sizeof(rs[0])),
					      SPAN(rs[1], sizeof(rs[1]))),
			     "report signature", "does not verify");
}

/* SNP_CONFIG keeps the reported TCB at or below the committed one, SNP_COMMIT that below current.
 */
static bool check_tcbs(const struct snp_report *r, enum snp_product product, struct rtls_verdict *v)
{
	struct snp_tcb current = snp_tcb_decode(product, r->current_tcb);
	struct snp_tcb committed = snp_tcb_decode(product, r->committed_tcb);
	struct snp_tcb reported = snp_tcb_decode(product, r->reported_tcb);

	return verdict_check(v, RTLS_CHECK_TCB, snp_tcb_at_least(&committed, &reported),
			     "reported TCB against committed", "it is higher") &&
	       verdict_check(v, RTLS_CHECK_TCB, snp_tcb_at_least(&current, &committed),
			     "committed TCB against current", "it is higher");
}

static int snp_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	CLEANUP(pkey_freep) EVP_PKEY *key = NULL;
	struct snp_report r;
	struct snp_cert cert;
	struct span table;

	if (!check_format(a, &r, &table, v) || !check_is_signed(&r, v) ||
	    !snp_chain_verify(a, &r, table, v, &key, &cert) || !check_signature(&r, key, v))
		return 0;
	claim_cert(v->claims, &cert);
	(void)check_tcbs(&r, cert.product, v);
	return 0;
}

static bool snp_detect(struct span body)
{
	struct snp_report r;
	struct span report;

	return span_take(&body, SNP_REPORT_SIZE, &report) && snp_report_parse(report, &r);
}

static const struct rule rules[] = { SNP_RULES };

const struct verifier verifier_snp = {
	.name = "snp",
	.title = "AMD SEV-SNP",
	.tags = { EVIDENCE_TAG_SNP },
	.evidence_max = EVIDENCE_MAX_SNP,
	.detect = snp_detect,
	.verify = snp_verify,
	.rules = rules,
	.n_rules = ARRAY_LEN(rules),
};
