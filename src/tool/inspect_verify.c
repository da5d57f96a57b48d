/*
 * rats-inspect verify: the verdict of the library, as text or JSON, and as exit status. Only
 * RTLS_TRUSTED leads to status 0.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tool/inspect.h"

enum { POLICY_ERROR_MAX = 512 };

static int load_policy(const char *path, struct rtls_policy **out)
{
	char why[POLICY_ERROR_MAX] = "";
	int r;

	r = rtls_policy_load(path, out, why, sizeof(why));
	if (r < 0)
		inspect_complain("%s: %s", path, *why ? why : err_text(r));
	else if (rtls_policy_is_insecure(*out))
		inspect_complain("WARNING: %s says insecure: null; nothing is verified", path);
	return err_pass(r);
}

static int exit_status(const struct rtls_verdict *v)
{
	switch (rtls_verdict_result(v)) {
	case RTLS_TRUSTED:
		return EXIT_TRUSTED;
	case RTLS_REJECTED:
		return EXIT_REJECTED;
	case RTLS_UNDECIDED:
		break;
	}
	return EXIT_UNDECIDED;
}

static void print_claims(const struct rtls_verdict *v)
{
	struct rtls_claim c;

	for (size_t i = 0; rtls_verdict_claim(v, i, &c); i++)
		inspect_print_claim("claim ", &c);
}

static void print_verdict(const struct rtls_verdict *v)
{
	const char *status = rtls_verdict_tcb_status(v);

	fputs(rtls_result_name(rtls_verdict_result(v)), stdout);
	if (rtls_verdict_result(v) == RTLS_TRUSTED)
		printf(" %s, alternative %d of the policy%s%s\n", rtls_verdict_tee(v),
		       rtls_verdict_alternative(v) + 1, *status ? ", TCB " : "", status);
	else
		printf(" %s: %s\n", rtls_check_name(rtls_verdict_failed(v)), rtls_verdict_why(v));
}

static int print_json(const struct rtls_verdict *v)
{
	CLEANUP(inspect_freep) char *text = rtls_verdict_json(v);

	if (!text)
		return inspect_complain("%s", err_text(-ENOMEM));
	puts(text);
	return 0;
}

int inspect_verify(const struct inspect *in)
{
	const struct rtls_context ctx = {
		.size = sizeof(ctx),
		.time = in->time,
		.report_data = in->n_report_data ? in->report_data : NULL,
		.report_data_size = in->n_report_data,
	};
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *collateral = NULL;
	CLEANUP(rtls_policy_freep) struct rtls_policy *policy = NULL;
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	CLEANUP(inspect_freep) uint8_t *file = NULL;
	size_t n = 0;
	int r;

	if (!in->policy)
		return inspect_complain("verify needs --policy FILE, see rats-policy(5); "
					"rats-inspect policy writes one");
	if (load_policy(in->policy, &policy) < 0 || inspect_read(in->operands[0], &file, &n) < 0 ||
	    inspect_load(in, rtls_policy_collateral_path(policy), &collateral) < 0)
		return EXIT_UNDECIDED;
	inspect_from_text(file, &n);
	r = rtls_appraise(policy, collateral, file, n, &ctx, &v);
	if (r < 0)
		return inspect_complain("%s: %s", in->operands[0], err_text(r));
	if (in->json)
		return print_json(v) ? EXIT_UNDECIDED : inspect_flush(exit_status(v));
	if (in->verbose) {
		print_claims(v);
		inspect_print_checks(v);
	}
	print_verdict(v);
	return inspect_flush(exit_status(v));
}

int inspect_show(const struct inspect *in)
{
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	struct rtls_claim c;

	if (inspect_decode(in, in->operands[0], &v) < 0)
		return EXIT_UNDECIDED;
	if (!inspect_is_evidence(in->operands[0], v))
		return EXIT_REJECTED;
	if (in->json)
		return print_json(v) ? EXIT_UNDECIDED : inspect_flush(EXIT_SUCCESS);
	printf("%s\n", rtls_verdict_tee(v));
	for (size_t i = 0; rtls_verdict_claim(v, i, &c); i++)
		inspect_print_claim("  ", &c);
	if (in->verbose)
		inspect_print_checks(v);
	if (rtls_verdict_failed(v) == RTLS_CHECK_NONE)
		puts("not verified: that takes a policy; no check failed without one");
	else
		printf("not verified: %s: %s\n", rtls_check_name(rtls_verdict_failed(v)),
		       rtls_verdict_why(v));
	return inspect_flush(EXIT_SUCCESS);
}

/*
 * A policy from evidence that is not genuine, or whose TCB state is not known for want of
 * collateral, is of use to who writes policies; but it must not look like more than it is.
 */
int inspect_policy(const struct inspect *in)
{
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	CLEANUP(inspect_freep) char *text = NULL;

	if (inspect_decode(in, in->operands[0], &v) < 0)
		return EXIT_UNDECIDED;
	if (!inspect_is_evidence(in->operands[0], v))
		return EXIT_REJECTED;
	text = rtls_policy_suggest(v, in->any);
	if (!text)
		return inspect_complain("%s", err_text(-ENOMEM));
	if (rtls_verdict_failed(v) != RTLS_CHECK_NONE) {
		const char *check = rtls_check_name(rtls_verdict_failed(v));

		inspect_complain("warning: this evidence was not verified: %s: %s", check,
				 rtls_verdict_why(v));
		printf("# not verified when this was written: %s: %s\n", check,
		       rtls_verdict_why(v));
	}
	fputs(text, stdout);
	return inspect_flush(EXIT_SUCCESS);
}
