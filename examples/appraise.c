/*
 * Appraises a file of evidence under a policy, with librats_tls alone.
 *
 *   cc appraise.c $(pkg-config --cflags --libs rats_tls) -o appraise
 *   ./appraise policy.yaml collateral/ quote.bin
 *
 * Exit code 0: trusted, 1: rejected, 2: could not be decided.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rats_tls.h>

enum { EVIDENCE_MAX = 256 * 1024 };

static void print_claim(const struct rtls_claim *c)
{
	printf("  %s = ", c->name);
	switch (c->kind) {
	case RTLS_CLAIM_BYTES:
		for (size_t i = 0; i < c->n_bytes; i++)
			printf("%02x", c->bytes[i]);
		break;
	case RTLS_CLAIM_TEXT:
		printf("%s", (const char *)c->bytes);
		break;
	default:
		printf("%" PRIu64, c->number);
	}
	putchar('\n');
}

static struct rtls_collateral *load_collateral(const char *path)
{
	struct rtls_collateral *c = NULL;
	int r = rtls_collateral_new(&c);

	if (r == 0)
		r = rtls_collateral_load(c, path);
	if (r == 0)
		r = rtls_collateral_seal(c);
	if (r == 0)
		return c;
	fprintf(stderr, "%s: %s\n", path, strerror(-r));
	rtls_collateral_free(c);
	return NULL;
}

static int appraise(const struct rtls_policy *policy, const struct rtls_collateral *collateral,
		    const void *evidence, size_t n)
{
	struct rtls_context context = { .size = sizeof(context), .time = time(NULL) };
	struct rtls_verdict *verdict = NULL;
	struct rtls_claim claim;
	int r, code;

	/* A program with a peer also sets context.report_data: what this evidence must be about. */
	r = rtls_appraise(policy, collateral, evidence, n, &context, &verdict);
	if (r < 0) {
		fprintf(stderr, "appraisal: %s\n", strerror(-r));
		return 2;
	}
	if (rtls_verdict_result(verdict) !=
	    RTLS_TRUSTED) { /* test for trust, never against failure */
		printf("%s at %s: %s\n", rtls_result_name(rtls_verdict_result(verdict)),
		       rtls_check_name(rtls_verdict_failed(verdict)), rtls_verdict_why(verdict));
		code = rtls_verdict_result(verdict) == RTLS_REJECTED ? 1 : 2;
	} else {
		printf("TRUSTED: %s\n", rtls_verdict_tee(verdict));
		for (size_t i = 0; rtls_verdict_claim(verdict, i, &claim); i++)
			print_claim(&claim);
		code = 0;
	}
	rtls_verdict_free(verdict);
	return code;
}

int main(int argc, char **argv)
{
	static unsigned char evidence[EVIDENCE_MAX];
	struct rtls_collateral *collateral;
	struct rtls_policy *policy = NULL;
	char err[256] = "";
	int code = 2, r;
	size_t n;
	FILE *f;

	if (argc != 4) {
		fprintf(stderr, "usage: %s POLICY COLLATERAL EVIDENCE\n", argv[0]);
		return 2;
	}
	r = rtls_policy_load(argv[1], &policy, err, sizeof(err));
	if (r < 0) {
		fprintf(stderr, "%s:%s\n", argv[1], err[0] ? err : strerror(-r));
		return 2;
	}
	if (rtls_policy_is_insecure(policy))
		fprintf(stderr, "WARNING: this policy accepts everybody\n");
	collateral = load_collateral(argv[2]);
	f = fopen(argv[3], "rb");
	if (collateral && f) {
		n = fread(evidence, 1, sizeof(evidence), f);
		code = appraise(policy, collateral, evidence, n);
	}
	if (f)
		fclose(f);
	else
		perror(argv[3]);
	rtls_collateral_free(collateral);
	rtls_policy_free(policy);
	return code;
}
