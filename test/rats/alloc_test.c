/*
 * Every allocation of an appraisal fails once: ours, jansson's and OpenSSL's. A real piece of
 * evidence and one that is forged go through the verifier again and again, with the next
 * allocation failing; neither may crash or leak, and the forged one may never pass. That the real
 * one may pass in spite of it is right: some of OpenSSL's allocations only save work.
 *
 * OpenSSL makes thousands, so that of those the first hundreds fail one by one and then every
 * STRIDE-th.
 */
#include "rats/tee_test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/crypto.h>

#include "rats/evidence.h"
#include "rats/file.h"
#include "rats/tpm/tpm_evidence.h"

enum { ONE_BY_ONE = 400, STRIDE = 37 };
enum { AZ_TDX_TIME = 1749900000, CERT_TIME = 1684900000 /* the collateral is in time */ };

static long countdown = -1; /* until the one that fails; < 0: none does */
static bool failed;
static bool spare_crypto; /* OpenSSL's allocations do not fail */
static bool is_sm2;	  /* what is being verified */

static bool fails_now(void)
{
	if (countdown < 0 || countdown-- > 0)
		return false;
	failed = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

static void *crypto_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return !spare_crypto && fails_now() ? NULL : __real_malloc(n);
}

static void *crypto_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return !spare_crypto && fails_now() ? NULL : __real_realloc(p, n);
}

static void crypto_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

int __real_EVP_DigestVerify(EVP_MD_CTX *ctx, const uint8_t *sig, size_t n_sig, const uint8_t *msg,
			    size_t n_msg);
int __wrap_EVP_DigestVerify(EVP_MD_CTX *ctx, const uint8_t *sig, size_t n_sig, const uint8_t *msg,
			    size_t n_msg);

/* OpenSSL 3.0's SM2 hands a NULL to BN_CTX_end() when memory is short: not inside of it, then. */
int __wrap_EVP_DigestVerify(EVP_MD_CTX *ctx, const uint8_t *sig, size_t n_sig, const uint8_t *msg,
			    size_t n_msg)
{
	int r;

	spare_crypto = is_sm2;
	r = __real_EVP_DigestVerify(ctx, sig, n_sig, msg, n_msg);
	spare_crypto = false;
	return r;
}

struct evidence_case {
	const char *name;
	const struct verifier *vf; /* NULL: the body is a file as it comes, with an envelope */
	struct span body;
	struct rtls_collateral *bag;
	int64_t now;
	size_t flip_at; /* a byte that makes it a forgery */
};

/* The same for a file, which is looked at without a policy: no check fails. */
static bool file_passes(const struct evidence_case *c, struct span file)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = c->now };
	struct rtls_verdict *v;
	bool ok;

	if (rtls_inspect(c->bag, file.p, file.n, &ctx, &v) < 0)
		return false;
	ok = rtls_verdict_failed(v) == RTLS_CHECK_NONE;
	rtls_verdict_free(v);
	return ok;
}

/* Whether it passes; the verdict is gone afterwards. */
static bool passes(const struct evidence_case *c, struct span body)
{
	struct appraisal a = { .body = body,
			       .collateral = c->bag,
			       .rules = { .crl_if_present = true },
			       .roots = &roots_production,
			       .now = c->now };
	struct rtls_verdict *v;
	bool ok = false;

	if (!c->vf)
		return file_passes(c, body);
	if (verdict_new(&v) < 0)
		return false;
	if (c->vf->verify(&a, v) == 0)
		ok = !verdict_has_failed(v) && !v->error && claims_error(v->claims) == 0;
	rtls_verdict_free(v);
	return ok;
}

static void fail_each(const struct evidence_case *c)
{
	uint8_t *forged = malloc(c->body.n);
	size_t n_runs = 0;

	memcpy(forged, c->body.p, c->body.n);
	forged[c->flip_at] ^= 1;
	assert_true(passes(c, c->body)); /* and OpenSSL's caches are filled */
	assert_false(passes(c, SPAN(forged, c->body.n)));
	for (long i = 0;; i += i < ONE_BY_ONE ? 1 : STRIDE) {
		bool wrong;

		countdown = i;
		failed = false;
		(void)passes(c, c->body);
		countdown = i;
		wrong = passes(c, SPAN(forged, c->body.n));
		countdown = -1;
		assert_false(wrong);
		n_runs++;
		if (!failed)
			break;
	}
	free(forged);
	print_message("%s: %zu allocations failed\n", c->name, n_runs - 1);
	assert_true(n_runs > 20);
}

static struct span join(const char *const files[])
{
	uint8_t *p = malloc(EVIDENCE_MAX);
	size_t n = 0;

	for (; *files; files++) {
		struct span s = vector_read(*files);

		memcpy(p + n, s.p, s.n);
		n += s.n;
		vector_free(s);
	}
	return SPAN(p, n);
}

static void run(struct evidence_case *c, const char *const collateral[])
{
	c->bag = bag_of(collateral);
	fail_each(c);
	rtls_collateral_free(c->bag);
	vector_free(c->body);
}

static void test_snp(void **state)
{
	struct evidence_case c = { .name = "snp",
				   .vf = &verifier_snp,
				   .body = vector_read("snp/snp3_milan_microsoft.report.bin"),
				   .now = 1780000000,
				   .flip_at = 0x50 };

	(void)state;
	run(&c, (const char *const[]){ "snp/snp3_milan_microsoft.vcek.der", NULL });
}

static void test_csv(void **state)
{
	struct evidence_case c = { .name = "csv",
				   .vf = &verifier_csv,
				   .body = join((const char *const[]){ "csv/csvrs_report_v1.bin",
								       "csv/csvrs_hsk_cek.cert",
								       NULL }),
				   .now = 1700000000,
				   .flip_at = 0x40 };

	(void)state;
	is_sm2 = true;
	run(&c, (const char *const[]){ NULL });
	is_sm2 = false;
}

static void test_ear(void **state)
{
	struct evidence_case c = { .name = "ear",
				   .vf = &verifier_ear,
				   .body = vector_read("token/coco_ear_tdx.jwt"),
				   .now = 1768895800 };

	(void)state;
	c.flip_at = c.body.n - 10; /* in the signature */
	run(&c, (const char *const[]){ NULL });
}

/* What is in `e` as the body of c; e's parts are freed. */
static void pack(struct tpm_evidence *e, struct evidence_case *c)
{
	struct span *const all[] = { &e->quote,	   &e->signature, &e->pcrs, &e->ak,
				     &e->ak_chain, &e->hcl,	  &e->tee,  &e->endorsements };
	uint8_t *body = malloc(TPM_EVIDENCE_MAX);
	struct wspan w = WSPAN(body, TPM_EVIDENCE_MAX);

	tpm_evidence_write(&w, e);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		vector_free(*all[i]);
	c->body = SPAN(body, w.n);
	c->flip_at = 60; /* in the quote's nonce */
}

static void test_azure(void **state)
{
	struct tpm_evidence e = {
		.quote = vector_read("tpm/az_snp_v2/quote.msg"),
		.signature = vector_read("tpm/az_snp_v2/quote.sig"),
		.pcrs = vector_read("tpm/az_snp_v2/pcrs_sha256.bin"),
		.hcl = vector_read("tpm/az_snp_v2/hcl_report.bin"),
		.endorsements = vector_read("tpm/az_snp_v2/vcek.der"),
	};
	struct evidence_case c = { .name = "az_snp", .vf = &verifier_az_snp, .now = 1780000000 };

	(void)state;
	pack(&e, &c);
	run(&c, (const char *const[]){ NULL });
}

static void test_tpm(void **state)
{
	struct tpm_evidence pinned = {
		.quote = vector_read("tpm/trustee_tpm/quote.msg"),
		.signature = vector_read("tpm/trustee_tpm/quote.tpmt_signature"),
		.pcrs = vector_read("tpm/trustee_tpm/pcrs_sha256.bin"),
		.ak = vector_read("tpm/trustee_tpm/ak_pub.der"),
	};
	struct tpm_evidence certified = {
		.quote = vector_read("tpm/az_tdx_ak_chain_2026/quote.msg"),
		.signature = vector_read("tpm/az_tdx_ak_chain_2026/quote.sig"),
		.pcrs = vector_read("tpm/az_tdx_ak_chain_2026/pcrs_sha256.bin"),
		.ak_chain = vector_read("tpm/az_tdx_ak_chain_2026/ak_chain.pem"),
	};
	struct evidence_case c = { .name = "tpm", .vf = &verifier_tpm, .now = 1700000000 };
	struct evidence_case d = { .name = "tpm chain", .vf = &verifier_tpm, .now = 1785000000 };

	(void)state;
	pack(&pinned, &c);
	run(&c, (const char *const[]){ NULL });
	pack(&certified, &d);
	run(&d, (const char *const[]){ "tpm/az_tdx_ak_chain_2026/azure_vtpm_root_2023.pem", NULL });
}

#define OF_2025(name) "collateral/tdx-00806f050000-20250604/" name

static void test_azure_tdx(void **state)
{
	struct tpm_evidence e = {
		.quote = vector_read("tpm/az_tdx_v1/quote.msg"),
		.signature = vector_read("tpm/az_tdx_v1/quote.sig"),
		.pcrs = vector_read("tpm/az_tdx_v1/pcrs_sha256.bin"),
		.hcl = vector_read("tpm/az_tdx_v1/hcl_report.bin"),
		.tee = vector_read("tpm/az_tdx_v1/td_quote.bin"),
	};
	struct evidence_case c = { .name = "az_tdx", .vf = &verifier_az_tdx, .now = AZ_TDX_TIME };

	(void)state;
	pack(&e, &c);
	run(&c, (const char *const[]){ OF_2025("tcb_info.json"), OF_2025("qe_identity.json"),
				       OF_2025("tcb_signing_chain.pem"), OF_2025("pck_crl.der"),
				       OF_2025("pck_crl_issuer_chain.pem"),
				       OF_2025("root_ca_crl.der"), NULL });
}

/* An SNP report in an envelope: what opens the envelope runs, too. */
static void test_envelope(void **state)
{
	struct span report = vector_read("snp/snp3_milan_microsoft.report.bin");
	uint8_t *file = malloc(report.n + 64);
	struct wspan w = WSPAN(file, report.n + 64);
	struct evidence_case c = { .name = "envelope", .now = 1780000000, .flip_at = 0x60 };

	(void)state;
	envelope_write(&w, EVIDENCE_TAG_SNP, report, SPAN(NULL, 0));
	vector_free(report);
	c.body = SPAN(file, w.n);
	run(&c, (const char *const[]){ "snp/snp3_milan_microsoft.vcek.der", NULL });
}

#define OF_2023(name) "collateral/sgx-00606a000000-20230515/" name

/* A PEM certificate with a quote in it; the byte that is flipped is in its own signature. */
static void test_certificate(void **state)
{
	struct evidence_case c = { .name = "certificate",
				   .body = vector_read("ratls/interop_rats-tls-cert.pem"),
				   .now = CERT_TIME };

	(void)state;
	c.flip_at = c.body.n - 40;
	run(&c, (const char *const[]){ OF_2023("tcb_info.json"), OF_2023("qe_identity.json"),
				       OF_2023("tcb_signing_chain.pem"), OF_2023("pck_crl.der"),
				       OF_2023("pck_crl_issuer_chain.pem"),
				       OF_2023("root_ca_crl.der"), NULL });
}

/* A file is read whole or not at all. */
static void test_file(void **state)
{
	char path[4096];
	uint8_t *p = NULL;
	size_t n = 0, n_runs = 0;
	int r;

	(void)state;
	snprintf(path, sizeof(path), "%s/manifest.json", vectors_dir());
	do {
		countdown = (long)n_runs++;
		failed = false;
		r = file_read_at(AT_FDCWD, path, 1 << 20, &p, &n);
		countdown = -1;
		assert_int_equal(r, failed ? -ENOMEM : 0);
	} while (r != 0);
	assert_true(n > 10000 && n_runs > 2);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snp),	  cmocka_unit_test(test_csv),
		cmocka_unit_test(test_ear),	  cmocka_unit_test(test_azure),
		cmocka_unit_test(test_azure_tdx), cmocka_unit_test(test_tpm),
		cmocka_unit_test(test_envelope),  cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_file),
	};

	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 1;
	json_set_alloc_funcs(__wrap_malloc, free);
	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
