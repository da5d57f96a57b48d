/*
 * Every allocation fails once: ours and those of OpenSSL, jansson and libyaml, because this
 * program's malloc() is everybody's. Whatever fails, nothing crashes, nothing leaks, and forged
 * or revoked evidence is never trusted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "forgery.h"
#include "rats/snp/snp_amd_certs.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
int main(void)
{
	printf("SKIPPED: AddressSanitizer has a malloc() of its own\n");
	return 77;
}
#else

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

/* Exported, so that the shared libraries use them too. */
#pragma GCC visibility push(default)
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *old, size_t n);
void free(void *p);
#pragma GCC visibility pop

static long countdown = -1; /* the allocation that brings it to 0 fails */
static long live;

static bool fails(void)
{
	if (countdown > 0 && --countdown == 0) {
		errno = ENOMEM;
		return true;
	}
	return false;
}

void *malloc(size_t n)
{
	void *p = fails() ? NULL : __libc_malloc(n);

	live += p != NULL;
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p = fails() ? NULL : __libc_calloc(n, size);

	live += p != NULL;
	return p;
}

void *realloc(void *old, size_t n)
{
	void *p = fails() ? NULL : __libc_realloc(old, n);

	live += p != NULL && old == NULL;
	return p;
}

void free(void *p)
{
	live -= p != NULL;
	__libc_free(p);
}

enum { MAKERS_STEP = 47 /* nine certificates are alike, and their signatures take time */ };

static struct dcap d;
static uint8_t quote[DCAP_BUF];
static size_t quote_n;

struct world {
	struct rtls_collateral *collateral;
	struct rtls_policy *policy;
};

/* Runs `job` with the k-th allocation failing, for each step-th k there is; returns how many. */
static long fail_each(int (*job)(void *), void *arg, const char *name, long step)
{
	long k, before;
	int warm;

	for (warm = 0; warm < 3; warm++)
		job(arg); /* caches that live as long as the process are not leaks */
	for (k = 1;; k += step) {
		bool was_armed;

		before = live;
		countdown = k;
		job(arg);
		was_armed = countdown == 0;
		countdown = -1;
		if (live > before) {
			before = live;
			countdown = k;
			job(arg); /* again: a cache does not grow twice */
			countdown = -1;
			if (live > before)
				fail_msg("%s: allocation %ld fails, %ld leak", name, k,
					 live - before);
		}
		if (!was_armed)
			break;
	}
	printf("%-12s %ld allocations\n", name, k - 1);
	return k - 1;
}

static int job_policy(void *arg)
{
	static const char text[] =
		"collateral: {path: /x, max_age: 30d}\none_of:\n  - tee: sgx\n    name: one\n"
		"    mrenclave: [any0]\n";
	static const char good[] =
		"one_of:\n  - tee: sgx\n    name: one\n    mrsigner: any\n    mrenclave: "
		"[eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee]\n"
		"    tcb: [UpToDate, OutOfDate]\n    allowed_ips: [10.0.0.0/8]\n";
	struct rtls_policy *p = NULL;
	char err[128];

	(void)arg;
	assert_true(rtls_policy_parse(text, strlen(text), &p, err, sizeof(err)) < 0);
	if (rtls_policy_parse(good, strlen(good), &p, err, sizeof(err)) == 0)
		rtls_policy_free(p);
	return 0;
}

struct items {
	char *tcb, *qe;
	struct span der[5];
};

static int job_collateral(void *arg)
{
	const struct items *it = arg;
	struct rtls_collateral *c;

	if (rtls_collateral_new(&c) != 0)
		return 0;
	(void)!rtls_collateral_add(c, it->tcb, strlen(it->tcb));
	(void)!rtls_collateral_add(c, it->qe, strlen(it->qe));
	for (size_t i = 0; i < ARRAY_LEN(it->der); i++)
		(void)!rtls_collateral_add(c, it->der[i].p, it->der[i].n);
	(void)!rtls_collateral_add(c, "blob", 4);
	(void)!collateral_seal_plain(c);
	rtls_collateral_free(c);
	return 0;
}

/* Sealed is sealed whole: a certificate of the makers that is missing then is missing for ever. */
static int job_makers(void *arg)
{
	struct rtls_collateral *c;

	(void)arg;
	if (rtls_collateral_new(&c) != 0)
		return 0;
	if (rtls_collateral_seal(c) == 0)
		assert_int_equal(collateral_n_certs(collateral_makers(c)), SNP_AMD_CERTS);
	rtls_collateral_free(c);
	return 0;
}

static enum rtls_result last;

static int job_appraise(void *arg)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = DCAP_NOW };
	const struct world *w = arg;
	struct rtls_verdict *v = NULL;

	last = RTLS_UNDECIDED;
	if (appraise(&d.roots, w->policy, w->collateral, SPAN(quote, quote_n), &ctx, &v) != 0)
		return 0;
	last = rtls_verdict_result(v);
	free(rtls_verdict_json(v));
	free(rtls_policy_suggest(v, false));
	rtls_verdict_free(v);
	return 0;
}

static int job_forged(void *arg)
{
	job_appraise(arg);
	assert_int_not_equal(last, RTLS_TRUSTED);
	return 0;
}

static void test_policy(void **state)
{
	(void)state;
	assert_true(fail_each(job_policy, NULL, "policy", 1) > 100);
}

static void test_collateral(void **state)
{
	struct items it;
	long n;

	(void)state;
	forgery_platform(&d, P_TDX15);
	it = (struct items){ dcap_tcb_info(&d),
			     dcap_qe_identity(&d),
			     { pki_cert_der(&d.pki, &d.root), pki_cert_der(&d.pki, &d.ca),
			       pki_cert_der(&d.pki, &d.tcb_signer),
			       pki_crl_der(&d.pki, &d.root_crl),
			       pki_crl_der(&d.pki, &d.pck_crl) } };
	n = fail_each(job_collateral, &it, "collateral", 1);
	assert_true(n > 1000);
	dcap_deinit(&d);
}

static void test_makers(void **state)
{
	(void)state;
	assert_true(fail_each(job_makers, NULL, "makers", MAKERS_STEP) > 1000);
}

static void run_appraisals(enum platform platform, void (*forge)(struct dcap *), int (*job)(void *),
			   const char *name, long step)
{
	struct world w;

	forgery_platform(&d, platform);
	if (forge)
		forge(&d);
	quote_n = dcap_quote(&d, quote);
	w = (struct world){ dcap_collateral(&d), forgery_policy(platform, NULL) };
	assert_true(fail_each(job, &w, name, step) > 500);
	rtls_collateral_free(w.collateral);
	rtls_policy_free(w.policy);
	dcap_deinit(&d);
}

static void forge_signature(struct dcap *p)
{
	p->quote_signer = PKI_ROGUE;
}

static void forge_revoked(struct dcap *p)
{
	p->pck_crl.revoked = 3;
}

static void forge_debug(struct dcap *p)
{
	p->body[48] |= 2;
}

static void test_appraisals(void **state)
{
	(void)state;
	run_appraisals(P_SGX3, NULL, job_appraise, "genuine", 1);
	assert_int_equal(last, RTLS_TRUSTED); /* the last run was without a failure */
	run_appraisals(P_SGX3, forge_signature, job_forged, "forged", 1);
	run_appraisals(P_SGX3, forge_revoked, job_forged, "revoked", 1);
	run_appraisals(P_SGX3, forge_debug, job_forged, "debug", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_collateral),
		cmocka_unit_test(test_makers),
		cmocka_unit_test(test_appraisals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
