/*
 * The Intel extension of a PCK certificate: which platform it is and the SVNs that were
 * provisioned. Intel "SGX PCK Certificate and CRL Profile Specification", 1.3.5.
 */
#ifndef ENG_RATS_DCAP_PCK_H
#define ENG_RATS_DCAP_PCK_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "rats/claims.h"
#include "rats/dcap/tcb_info.h"

struct pck {
	uint8_t ppid[16], comps[TCB_COMPONENTS], cpusvn[16], pceid[2], fmspc[6];
	uint16_t pcesvn;
	uint8_t sgx_type;  /* 0 standard, 1 scalable, 2 scalable with integrity */
	bool has_instance; /* the rest: certificates of the Platform CA only */
	uint8_t instance[16];
	bool has_dynamic_platform, has_cached_keys, has_smt;
	bool dynamic_platform, cached_keys, smt;
};

/* NULL on success, else what is wrong (a constant). */
const char *pck_parse(X509 *cert, struct pck *out);
void pck_claims(const struct pck *p, struct claims *c);

#endif
