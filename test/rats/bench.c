/*
 * How fast an appraisal is, with cached collateral: verifications a second on one core, beside the
 * time of the ECDSA verifications that it cannot avoid, measured in the same run.
 *
 * A quote brings three signatures that cannot be avoided: its own, that of the QE report and that
 * of the PCK certificate. The certificates above, and all collateral, are the same for every quote
 * of a kind of machine, and were verified when the collateral was sealed.
 *
 * usage: rats_bench [SECONDS]
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "forgery.h"

enum { SIGNATURES = 3 };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Verifications of one P-256 signature over a digest, a second, as openssl speed does them. */
static double bench_ecdsa(double seconds)
{
	uint8_t digest[32] = { 1 }, sig[80];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	size_t n = sizeof(sig);
	double start;
	long count = 0;

	if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
	    EVP_PKEY_sign(ctx, sig, &n, digest, sizeof(digest)) != 1 ||
	    EVP_PKEY_verify_init(ctx) != 1)
		abort();
	for (start = now(); now() - start < seconds; count++)
		if (EVP_PKEY_verify(ctx, sig, n, digest, sizeof(digest)) != 1)
			abort();
	seconds = now() - start;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return (double)count / seconds;
}

static double bench_appraisal(enum platform platform, double seconds)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = DCAP_NOW };
	struct rtls_policy *policy = forgery_policy(platform, NULL);
	static uint8_t quote[DCAP_BUF];
	struct rtls_collateral *c;
	struct rtls_verdict *v;
	static struct dcap d;
	double start;
	long count = 0;
	size_t n;

	forgery_platform(&d, platform);
	n = dcap_quote(&d, quote);
	c = dcap_collateral(&d);
	for (start = now(); now() - start < seconds; count++) {
		if (appraise(&d.roots, policy, c, SPAN(quote, n), &ctx, &v) != 0 ||
		    rtls_verdict_result(v) != RTLS_TRUSTED)
			abort();
		rtls_verdict_free(v);
	}
	seconds = now() - start;
	rtls_collateral_free(c);
	rtls_policy_free(policy);
	dcap_deinit(&d);
	return (double)count / seconds;
}

int main(int argc, char **argv)
{
	const double seconds = argc > 1 ? atof(argv[1]) : 2;
	const double ecdsa = bench_ecdsa(seconds);
	const struct {
		const char *name;
		enum platform platform;
	} rows[] = { { "sgx quote v3", P_SGX3 },
		     { "tdx quote v4", P_TDX4 },
		     { "tdx quote v5", P_TDX15 } };

	printf("%-14s %9.0f /s\n", "ecdsa p-256", ecdsa);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const double rate = bench_appraisal(rows[i].platform, seconds);

		printf("%-14s %9.0f /s, %.2f times the time of its %d signatures\n", rows[i].name,
		       rate, ecdsa / SIGNATURES / rate, SIGNATURES);
	}
	return 0;
}
