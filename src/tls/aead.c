/* The choice of an AEAD implementation, and the cursor over scattered plaintext. */
#include "tls/aead.h"

#include <string.h>

static const struct aead_backend *const backends[] = { &aead_ipsec_mb, &aead_evp }; /* fastest
										       first */

const struct aead_backend *aead_find(const char *name, enum aead_alg alg)
{
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if ((!name || strcmp(name, backends[i]->name) == 0) && backends[i]->has(alg))
			return backends[i];
	return NULL;
}

bool aead_is_here(const char *name)
{
	return aead_find(name, AEAD_AES_128_GCM) != NULL;
}

struct span iov_cursor_next(struct iov_cursor *c, size_t max)
{
	struct span run;

	while (c->n_iov > 0 && c->skip >= c->iov->iov_len) {
		c->skip -= c->iov->iov_len;
		c->iov++;
		c->n_iov--;
	}
	if (c->n_iov <= 0)
		return SPAN(NULL, 0);
	run = SPAN((const uint8_t *)c->iov->iov_base + c->skip, c->iov->iov_len - c->skip);
	if (run.n > max)
		run.n = max;
	c->skip += run.n;
	return run;
}

size_t iov_cursor_left(const struct iov_cursor *c)
{
	size_t n = 0;

	for (int i = 0; i < c->n_iov; i++)
		n += c->iov[i].iov_len;
	return n > c->skip ? n - c->skip : 0;
}
