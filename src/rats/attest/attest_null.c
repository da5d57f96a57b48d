/*
 * The attester that proves nothing: its evidence is the report data itself, which anybody can
 * write. A policy accepts it only where it says `insecure: null`. For tests of what is around it.
 */
#include "rats/attest/attest.h"

static int null_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	(void)o, (void)out_state, (void)err;
	return 0;
}

static int null_evidence(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			 struct wspan *body, struct attest_error *err)
{
	(void)state, (void)err;
	wspan_put(body, report_data, REPORT_DATA_SIZE);
	return 0;
}

static int null_probe(struct attest_error *why)
{
	attest_note(why, "proves nothing, for tests: only `insecure: null` accepts it");
	return 0;
}

static const char *const keys[] = { NULL };

const struct attester_backend attester_null = {
	.name = "null",
	.tag = EVIDENCE_TAG_NULL,
	.keys = keys,
	.open = null_open,
	.evidence = null_evidence,
	.probe = null_probe,
};
