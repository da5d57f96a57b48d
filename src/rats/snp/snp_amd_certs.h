/* The certificates of AMD's key server that do not depend on the chip: ASK, ASVK and ARK. */
#ifndef ENG_RATS_SNP_AMD_CERTS_H
#define ENG_RATS_SNP_AMD_CERTS_H

#include "rats/snp/snp_report.h"

enum { SNP_AMD_CERTS = 9 /* in all */ };

struct span snp_amd_certs(enum snp_product product); /* PEM; empty for an unknown product */

#endif
