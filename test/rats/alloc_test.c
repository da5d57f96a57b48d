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

#include <jansson.h>
#include <openssl/crypto.h>

#include "rats/tpm/tpm_evidence.h"

enum { ONE_BY_ONE = 400, STRIDE = 37 };

static long countdown = -1; /* until the one that fails; < 0: none does */
static bool failed;
static bool spare_crypto; /* OpenSSL's allocations do not fail */

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

struct evidence_case {
	const char *name;
	const struct verifier *vf;
	struct span body;
	struct rtls_collateral *bag;
	int64_t now;
	size_t flip_at; /* a byte that makes it a forgery */
};

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
	spare_crypto = true; /* OpenSSL 3.0's SM2 hands a NULL to BN_CTX_end() then */
	run(&c, (const char *const[]){ NULL });
	spare_crypto = false;
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

static void test_azure(void **state)
{
	static uint8_t packed[TPM_EVIDENCE_MAX];
	struct wspan w = WSPAN(packed, sizeof(packed));
	struct tpm_evidence e = {
		.quote = vector_read("tpm/az_snp_v2/quote.msg"),
		.signature = vector_read("tpm/az_snp_v2/quote.sig"),
		.pcrs = vector_read("tpm/az_snp_v2/pcrs_sha256.bin"),
		.hcl = vector_read("tpm/az_snp_v2/hcl_report.bin"),
		.endorsements = vector_read("tpm/az_snp_v2/vcek.der"),
	};
	struct span *const all[] = { &e.quote, &e.signature, &e.pcrs, &e.hcl, &e.endorsements };
	struct evidence_case c = { .name = "az_snp", .vf = &verifier_az_snp, .now = 1780000000 };
	uint8_t *body;

	(void)state;
	tpm_evidence_write(&w, &e);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		vector_free(*all[i]);
	body = malloc(w.n);
	memcpy(body, packed, w.n);
	c.body = SPAN(body, w.n);
	c.flip_at = 60; /* in the quote's nonce */
	run(&c, (const char *const[]){ NULL });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snp),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_ear),
		cmocka_unit_test(test_azure),
	};

	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 1;
	json_set_alloc_funcs(__wrap_malloc, free);
	if (vectors_missing())
		return TEST_SKIPPED;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
