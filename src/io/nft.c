/*
 * nftables through libnftables, whose unit of work is a script in nft's language: the kernel
 * applies all of it at once or nothing, which is what makes the replacement of a whole table
 * atomic.
 *
 * The library never prints: its output and its errors go to buffers. Scripts give addresses, ports
 * and protocols as numbers, so that nothing is looked up (the library would ask DNS and
 * /etc/protocols) and a call works after privileges and the view of the file system have gone.
 */
#include "io/nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <nftables/libnftables.h>

#include "base/err.h"

struct nft {
	struct nft_ctx *ctx;
};

DEFINE_FREEP(struct nft *, nft_free)

int nft_new(struct nft **out)
{
	CLEANUP(nft_freep) struct nft *n = calloc(1, sizeof(*n));

	if (!n)
		return err_new(-ENOMEM);
	n->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!n->ctx)
		return err_new(-ENOMEM);
	if (nft_ctx_buffer_output(n->ctx) != 0 || nft_ctx_buffer_error(n->ctx) != 0)
		return err_new(-ENOMEM);
	*out = TAKE(n);
	return 0;
}

void nft_free(struct nft *n)
{
	if (!n)
		return;
	if (n->ctx)
		nft_ctx_free(n->ctx);
	free(n);
}

int nft_run(struct nft *n, const char *script, char *message, size_t size)
{
	const char *text;
	size_t len;
	int saved;

	if (size > 0)
		message[0] = '\0';
	errno = 0;
	if (nft_run_cmd_from_buffer(n->ctx, script) == 0)
		return 0;
	saved = errno; /* the library does not promise one */
	text = nft_ctx_get_error_buffer(n->ctx);
	len = text ? strcspn(text, "\n") : 0;
	if (size > 0) {
		len = len < size ? len : size - 1;
		if (text)
			memcpy(message, text, len);
		message[len] = '\0';
	}
	return err_new(saved > 0 ? -saved : -EIO);
}
