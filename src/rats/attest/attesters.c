/* The attesters, in the order in which they are listed to people. */
#include "rats/attest/attest.h"

const struct attester_backend *const attesters[] = {
	&attester_tpm, &attester_sgx, &attester_tdx, &attester_snp, &attester_csv, &attester_null,
};

const size_t n_attesters = ARRAY_LEN(attesters);
