/* In the place of attest_tpm.c where tpm2-tss is not there. */
#include <errno.h>

#include "rats/attest/attest.h"

static int tpm_probe(struct attest_error *why)
{
	return attest_fail(why, -ENOTSUP, "this library was built without tpm2-tss");
}

static int tpm_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	(void)o, (void)out_state;
	return tpm_probe(err);
}

static int tpm_evidence_make(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			     struct wspan *body, struct attest_error *err)
{
	(void)state, (void)report_data, (void)body;
	return tpm_probe(err);
}

static const char *const keys[] = { "tcti", "ak", "ak_chain", "handle", "pcrs", NULL };

const struct attester_backend attester_tpm = {
	.name = "tpm",
	.tag = EVIDENCE_TAG_TPM,
	.keys = keys,
	.open = tpm_open,
	.evidence = tpm_evidence_make,
	.probe = tpm_probe,
};
