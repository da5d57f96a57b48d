/* One HTTP GET, bounded in size and time. */
#ifndef ENG_TOOL_INSPECT_HTTP_H
#define ENG_TOOL_INSPECT_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

enum { HTTP_BODY_MAX = 4 * 1024 * 1024 /* the library takes no larger item */ };

struct http_reply {
	uint8_t *body;
	size_t n;
	char *chain; /* PEM out of an "...-Issuer-Chain" header; NULL: none */
};

/*
 * Returns NULL and fills *out, or says what went wrong: borrowed until the next call. Servers
 * prove themselves by TLS as usual, but nothing rests on it: what comes back is signed. *out_wait_s
 * is how many seconds a service that is busy (429, 503) wants to be left alone; 0: it is not busy.
 */
const char *http_get(const char *url, struct http_reply *out, int64_t *out_wait_s) MUST_USE;
void http_reply_deinit(struct http_reply *r);

#endif
