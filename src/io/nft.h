/* nftables through libnftables: one transaction a call. Set-up and clean-up only. */
#ifndef ENG_IO_NFT_H
#define ENG_IO_NFT_H

#include <stddef.h>

#include "base/cleanup.h"

struct nft;

MUST_USE int nft_new(struct nft **out);
void nft_free(struct nft *n);
/*
 * Runs a script as one transaction: all of it or nothing. 0; -errno with the library's first error
 * line in message (size bytes, "" on success) for the log.
 */
MUST_USE int nft_run(struct nft *n, const char *script, char *message, size_t size);

#endif
