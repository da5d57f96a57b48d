/*
 * The report that Azure's paravisor (HCL) keeps in an NV index of a confidential VM's vTPM: a
 * hardware report, and the JSON document whose hash that report carries. The JSON names the
 * vTPM's attestation key, and so the hardware vouches for it.
 * Microsoft Learn, "Azure Confidential VMs guest attestation design detail".
 */
#ifndef ENG_RATS_TPM_HCL_H
#define ENG_RATS_TPM_HCL_H

#include "base/span.h"

enum {
	TPM_HCL_MAX = 16 * 1024, /* bytes; the NV index holds 2600 */
	TPM_HCL_JSON_MAX = 8 * 1024,
};

enum tpm_hcl_kind { TPM_HCL_SNP = 2, TPM_HCL_TDX = 4 }; /* the wire's numbers */

struct tpm_hcl {
	enum tpm_hcl_kind kind;
	uint16_t hash;	       /* enum tpm_alg */
	struct span hw_report; /* SNP: an attestation report. TDX: a TDREPORT, which only its CPU
				* can check; the quote that proves it comes separately */
	struct span runtime;   /* JSON */
};

MUST_USE bool tpm_hcl_parse(struct span bytes, struct tpm_hcl *out);

#endif
