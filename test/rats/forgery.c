/* See forgery.h. */
#include "forgery.h"

#include <stdio.h>
#include <stdlib.h>

void forgery_platform(struct dcap *d, enum platform p)
{
	dcap_init(d);
	if (p == P_SGX4 || p == P_SGX5)
		d->version = p == P_SGX4 ? 4 : 5;
	if (p == P_SGX5)
		d->body_type = 1;
	if (p >= P_TDX4)
		dcap_make_tdx(d, p == P_TDX4 ? 4 : 5, (uint16_t)(p - P_TDX4 + 1));
}

static void repeat(FILE *f, const char *key, unsigned byte, size_t n)
{
	fprintf(f, "    %s: ", key);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%02x", byte);
	fputc('\n', f);
}

struct rtls_policy *forgery_policy(enum platform p, const char *extra)
{
	const char *top = extra ? strstr(extra, "--\n") : NULL;
	struct rtls_policy *policy = NULL;
	char err[256] = "", *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	fprintf(f, "%sone_of:\n  - tee: %s\n", top ? top + 3 : "", p >= P_TDX4 ? "tdx" : "sgx");
	if (p < P_TDX4) {
		repeat(f, "mrenclave", 0xee, 32);
		repeat(f, "mrsigner", 0x55, 32);
	} else {
		repeat(f, "mrtd", 0xaa, 48);
		for (unsigned i = 0; i < 4; i++)
			repeat(f, (const char *[]){ "rtmr0", "rtmr1", "rtmr2", "rtmr3" }[i],
			       0xb0 + i, 48);
	}
	if (extra)
		fprintf(f, "%.*s\n", (int)(top ? top - extra : (ptrdiff_t)strlen(extra)), extra);
	fclose(f);
	if (rtls_policy_parse(text, n, &policy, err, sizeof(err)) != 0)
		fail_msg("policy: %s\n%s", err, text);
	free(text);
	return policy;
}

void forgery_run(void **state)
{
	const struct forgery *f = *state;
	static uint8_t quote[DCAP_BUF];
	static struct dcap d;
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = DCAP_NOW };
	struct rtls_policy *policy = forgery_policy(f->platform, f->policy);
	struct rtls_collateral *collateral;
	struct rtls_verdict *v = NULL;
	size_t n;

	forgery_platform(&d, f->platform);
	if (f->forge)
		f->forge(&d);
	n = dcap_quote(&d, quote);
	collateral = dcap_collateral(&d);
	assert_int_equal(appraise(&d.roots, policy, collateral, SPAN(quote, n), &ctx, &v), 0);
	if (v->result != f->result || v->failed != f->failed)
		fail_msg("%s: %s at %s (%s), expected %s at %s", f->name,
			 rtls_result_name(v->result), rtls_check_name(v->failed), v->why,
			 rtls_result_name(f->result), rtls_check_name(f->failed));
	if (f->why &&
	    !strstr(f->result == RTLS_TRUSTED ? rtls_verdict_tcb_status(v) : v->why, f->why))
		fail_msg("%s: \"%s\" is not in \"%s\" (%s)", f->name, f->why, v->why,
			 rtls_verdict_tcb_status(v));
	rtls_verdict_free(v);
	rtls_collateral_free(collateral);
	rtls_policy_free(policy);
	dcap_deinit(&d);
}
