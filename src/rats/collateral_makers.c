/*
 * The makers' own certificates that the library carries, as a sealed bag: AMD's, see
 * snp_amd_certs.c. Every sealed bag has one of these inside, so that an appraisal finds them parsed
 * and verified, and nothing global has to be kept for it.
 */
#include <errno.h>

#include "base/err.h"
#include "rats/collateral.h"
#include "rats/snp/snp_amd_certs.h"

/* All of them, verified: a certificate that no memory was found for would be missed for ever. */
static bool is_complete(const struct rtls_collateral *m)
{
	const size_t n = collateral_n_certs(m);

	for (size_t i = 0; i < n; i++)
		if (collateral_bag_cert(m, i)->issuer == SIZE_MAX)
			return false;
	return n == SNP_AMD_CERTS && collateral_n_blobs(m) == 0;
}

int collateral_makers_new(struct rtls_collateral **out)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *m = NULL;
	int r;

	r = rtls_collateral_new(&m);
	for (int p = SNP_PRODUCT_MILAN; r == 0 && p < SNP_N_PRODUCTS; p++) {
		struct span pem = snp_amd_certs((enum snp_product)p);

		r = rtls_collateral_add(m, pem.p, pem.n);
	}
	if (r == 0)
		r = collateral_seal_plain(m);
	if (r < 0)
		return err_pass(r);
	if (!is_complete(m))
		return err_new(-ENOMEM);
	*out = TAKE(m);
	return 0;
}
