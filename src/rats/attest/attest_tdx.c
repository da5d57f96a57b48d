/*
 * TDX from inside a guest, through configfs-tsm. The kernel asks the quoting enclave of the host,
 * by the hypervisor or over vsock, and gives the quote.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "rats/attest/device.h"
#include "rats/attest/tsm.h"
#include "rats/dcap/quote.h"

#define PROVIDER "tdx_guest"

static int tdx_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	const char *path = attest_option(o, "path", TSM_DIR);
	char *dir;
	int r;

	r = tsm_check(path, PROVIDER, err);
	if (r < 0)
		return err_pass(r);
	dir = strdup(path);
	if (!dir)
		return err_new(-ENOMEM);
	*out_state = dir;
	return 0;
}

static void tdx_close(void *state)
{
	free(state);
}

static int tdx_evidence(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			struct wspan *body, struct attest_error *err)
{
	const struct tsm_request q = { .dir = state,
				       .provider = PROVIDER,
				       .privlevel = TSM_PRIVLEVEL_DEFAULT,
				       .report_data = report_data };
	CLEANUP(tsm_answer_deinit) struct tsm_answer a = { 0 };
	int r;

	r = tsm_report(&q, &a, err);
	if (r < 0)
		return err_pass(r);
	return attest_put_quote("configfs-tsm", TEE_TDX, SPAN(a.out, a.n_out), report_data, body,
				err);
}

static int tdx_probe(struct attest_error *why)
{
	int r = tsm_check(TSM_DIR, PROVIDER, why);

	if (r == 0)
		attest_note(why, "%s with provider %s", TSM_DIR, PROVIDER);
	return err_pass(r);
}

static const char *const keys[] = { "path", NULL };

const struct attester_backend attester_tdx = {
	.name = "tdx",
	.tag = EVIDENCE_TAG_INTEL_QUOTE,
	.keys = keys,
	.open = tdx_open,
	.close = tdx_close,
	.evidence = tdx_evidence,
	.probe = tdx_probe,
};
