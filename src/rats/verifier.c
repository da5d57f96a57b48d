/* The table of verifiers, and the one that proves nothing. */
#include "rats/verifier.h"

#include <string.h>

const struct verifier *const verifiers[] = {
	&verifier_sgx,	  &verifier_tdx,    &verifier_snp, &verifier_tpm,
	&verifier_az_snp, &verifier_az_tdx, &verifier_csv, &verifier_ear,
};

const size_t n_verifiers = ARRAY_LEN(verifiers);

const struct verifier *verifier_find(const char *name)
{
	for (size_t i = 0; i < n_verifiers; i++)
		if (strcmp(verifiers[i]->name, name) == 0)
			return verifiers[i];
	return NULL;
}

static bool has_tag(const struct verifier *vf, uint64_t tag)
{
	return tag == EVIDENCE_TAG_NONE || vf->tags[0] == tag || vf->tags[1] == tag;
}

const struct verifier *verifier_detect(const struct evidence *e)
{
	for (size_t i = 0; i < n_verifiers; i++)
		if (has_tag(verifiers[i], e->tag) && verifiers[i]->detect(e->body))
			return verifiers[i];
	return NULL;
}

static int null_verify(const struct appraisal *a, struct rtls_verdict *v)
{
	(void)a;
	claims_add_bool(v->claims, "insecure", true);
	verdict_skip(v, RTLS_CHECK_CHAIN, "INSECURE: the null verifier proves nothing");
	verdict_skip(v, RTLS_CHECK_SIGNATURE, "INSECURE: the null verifier proves nothing");
	return 0;
}

static bool null_detect(struct span body)
{
	(void)body;
	return true;
}

/* Not in the table: only `insecure: null` in a policy leads here, never what a peer sends. */
const struct verifier verifier_null = {
	.name = "null",
	.title = "INSECURE: nothing is verified",
	.evidence_max = EVIDENCE_MAX,
	.detect = null_detect,
	.verify = null_verify,
};
