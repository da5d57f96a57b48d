/*
 * How fast an appraisal is, with cached collateral: appraisals a second on one core, beside the
 * time of the signatures that it cannot avoid, verified by the same EVP calls in the same run.
 *
 * A quote brings three P-256 signatures that cannot be avoided: its own, that of the QE report and
 * that of the PCK certificate. A report brings two: its own on P-384, and AMD's RSA-4096 PSS
 * signature in the certificate of its key; one if that was fetched. The certificates above, and all
 * collateral, are the same for every piece of evidence of a kind of machine, and were verified when
 * the collateral was sealed. The quotes are the test PKI's; RSA keys of 4096 bits are AMD's, so the
 * report is a real one, from the evidence vectors.
 *
 * usage: rats_bench [SECONDS of each row]
 */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "forgery.h"
#include "rats/snp/snp_report.h"
#include "rats/tee_test.h"

static const char vector_report[] = "snp/snp3_milan_microsoft.report.bin";
enum { REPORT_TIME = 1780000000, GUID_N = 16, ENTRY_N = 24 };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Seconds of one verification of a signature over a digest, as openssl speed does them. */
static double time_signature(EVP_PKEY *key, bool pss, double seconds)
{
	uint8_t digest[48] = { 1 }, sig[512];
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	const size_t digest_n = EVP_PKEY_get_bits(key) == 256 ? 32 : 48;
	size_t n = sizeof(sig);
	double start;
	long count = 0;

	if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
	    (pss && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
		     EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha384()) != 1)) ||
	    EVP_PKEY_sign(ctx, sig, &n, digest, digest_n) != 1 || EVP_PKEY_verify_init(ctx) != 1 ||
	    (pss && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
		     EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha384()) != 1)))
		abort();
	for (start = now(); now() - start < seconds; count++)
		if (EVP_PKEY_verify(ctx, sig, n, digest, digest_n) != 1)
			abort();
	seconds = now() - start;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return seconds / (double)count;
}

static void print_row(const char *name, double rate, double signatures, const char *which)
{
	printf("%-24s %9.0f /s, %.2f times the time of %s\n", name, rate, 1 / signatures / rate,
	       which);
	fflush(stdout);
}

static double time_appraisals(const struct roots *roots, const struct rtls_policy *policy,
			      const struct rtls_collateral *c, struct span evidence,
			      const struct rtls_context *ctx, double seconds)
{
	struct rtls_verdict *v;
	double start;
	long count = 0;

	for (start = now(); now() - start < seconds; count++) {
		if (appraise(roots, policy, c, evidence, ctx, &v) != 0)
			abort();
		if (rtls_verdict_result(v) != RTLS_TRUSTED) {
			printf("%s\n", rtls_verdict_why(v));
			exit(1);
		}
		rtls_verdict_free(v);
	}
	return (double)count / (now() - start);
}

static double bench_quote(enum platform platform, double seconds)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = DCAP_NOW };
	struct rtls_policy *policy = forgery_policy(platform, NULL);
	static uint8_t quote[DCAP_BUF];
	struct rtls_collateral *c;
	static struct dcap d;
	double rate;
	size_t n;

	forgery_platform(&d, platform);
	n = dcap_quote(&d, quote);
	c = dcap_collateral(&d);
	rate = time_appraisals(&d.roots, policy, c, SPAN(quote, n), &ctx, seconds);
	rtls_collateral_free(c);
	rtls_policy_free(policy);
	dcap_deinit(&d);
	return rate;
}

static void put_le32(uint8_t *p, size_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* An extended report: the report, and a table of the first n certificates. GHCB 56421, 4.1.8.1. */
static struct span extended_report(size_t n_certs)
{
	static const struct {
		uint8_t guid[GUID_N];
		const char *file;
	} certs[] = {
		{ { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b,
		    0xe8, 0xac, 0xcd },
		  "snp/snp3_milan_microsoft.vcek.der" },
		{ { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3,
		    0x27, 0xc7, 0x82 },
		  "snp/certs/milan_ask.der" },
		{ { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01,
		    0x4c, 0xd0, 0xae },
		  "snp/certs/milan_ark.der" },
	};
	static uint8_t buf[32 * 1024];
	struct span report = vector_read(vector_report);
	size_t at = (n_certs + 1) * ENTRY_N;

	memset(buf, 0, sizeof(buf));
	at = n_certs ? at : 0;
	memcpy(buf, report.p, report.n);
	for (size_t i = 0; i < n_certs; i++) {
		struct span der = vector_read(certs[i].file);
		uint8_t *entry = buf + report.n + i * ENTRY_N;

		memcpy(entry, certs[i].guid, GUID_N);
		put_le32(entry + GUID_N, at);
		put_le32(entry + GUID_N + 4, der.n);
		memcpy(buf + report.n + at, der.p, der.n);
		at += der.n;
		vector_free(der);
	}
	vector_free(report);
	return SPAN(buf, SNP_REPORT_SIZE + at);
}

static double bench_report(size_t n_certs, const char *const collateral[], double seconds)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = REPORT_TIME };
	struct span evidence = extended_report(n_certs);
	struct rtls_collateral *c = bag_of(collateral);
	struct rtls_policy *policy;
	struct rtls_verdict *v;
	char why[256], *text;
	double rate;

	if (rtls_inspect(c, evidence.p, evidence.n, &ctx, &v) != 0)
		abort();
	text = rtls_policy_suggest(v, true);
	if (!text || rtls_policy_parse(text, strlen(text), &policy, why, sizeof(why)) != 0)
		abort();
	rate = time_appraisals(&roots_production, policy, c, evidence, &ctx, seconds);
	free(text);
	rtls_verdict_free(v);
	rtls_policy_free(policy);
	rtls_collateral_free(c);
	return rate;
}

int main(int argc, char **argv)
{
	const double seconds = argc > 1 ? atof(argv[1]) : 2;
	const double p256 = time_signature(EVP_EC_gen("P-256"), false, seconds);
	const double p384 = time_signature(EVP_EC_gen("P-384"), false, seconds);
	const double snp = p384 + time_signature(EVP_RSA_gen(4096), true, seconds);
	static const char *const none[] = { NULL };
	static const char *const fetched[] = { "snp/snp3_milan_microsoft.vcek.der",
					       "snp/certs/milan_ask.der", "snp/certs/milan_ark.der",
					       NULL };
	const struct {
		const char *name;
		enum platform platform;
	} rows[] = { { "sgx quote v3", P_SGX3 },
		     { "tdx quote v4", P_TDX4 },
		     { "tdx quote v5", P_TDX15 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		print_row(rows[i].name, bench_quote(rows[i].platform, seconds), 3 * p256,
			  "its 3 signatures (P-256)");
	if (vectors_missing())
		return TEST_SKIPPED;
	print_row("snp report, VCEK cached", bench_report(0, fetched, seconds), p384,
		  "its 1 signature (P-384)");
	print_row("snp report, VCEK", bench_report(1, none, seconds), snp,
		  "its 2 signatures (P-384, RSA-4096)");
	print_row("snp report, VCEK ASK ARK", bench_report(3, none, seconds), snp,
		  "its 2 signatures (P-384, RSA-4096)");
	return 0;
}
