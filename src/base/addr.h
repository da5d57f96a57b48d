/*
 * IPv4 and IPv6 addresses, prefixes, and the endpoints of the command line.
 *
 * Zero-initialised they are "none": family 0 matches nothing and formats as "-".
 */
#ifndef ENG_BASE_ADDR_H
#define ENG_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum {
	ADDR_TEXT_MAX = 48,	 /* "ffff:…:255.255.255.255" and the NUL */
	PREFIX_TEXT_MAX = 52,	 /* with "/128" */
	ENDPOINT_HOST_MAX = 256, /* RFC 1035: a name is at most 253 characters */
	ENDPOINT_TEXT_MAX = ENDPOINT_HOST_MAX + 16,
};

struct addr {
	uint8_t family;	   /* 0, AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* network order; the first 4 for IPv4, the others 0 */
};

struct prefix {
	struct addr addr; /* host bits are 0 */
	uint8_t len;	  /* 0..32 or 0..128 */
};

static inline uint8_t addr_bits(const struct addr *a)
{
	return a->family == AF_INET ? 32 : a->family == AF_INET6 ? 128 : 0;
}

struct addr addr_v4(const uint8_t bytes[4]);
struct addr addr_v6(const uint8_t bytes[16]);
bool addr_equal(const struct addr *a, const struct addr *b);
MUST_USE bool addr_parse(const char *text, struct addr *out); /* numeric only, no brackets */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);

/* Fills a sockaddr; returns its length. The address must not be none. */
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out);
/* The reverse; false for another family than IPv4 and IPv6. IPv4-mapped IPv6 becomes IPv4. */
MUST_USE bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *out, uint16_t *out_port);

struct prefix prefix_of(const struct addr *a, uint8_t len); /* clears the host bits */
bool prefix_contains(const struct prefix *p, const struct addr *a);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* "ADDR" (then /32 or /128) or "ADDR/LEN"; host bits must be 0 unless host_bits_ok. */
MUST_USE bool prefix_parse(const char *text, bool host_bits_ok, struct prefix *out);
const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT_MAX]);

/*
 * An endpoint as users write it: [tcp://]HOST:PORT, or to listen [tcp://][ADDR:]PORT; an IPv6
 * address stands in brackets. `plain` tells that tcp:// was written: the only way to plaintext.
 */
struct endpoint {
	char host[ENDPOINT_HOST_MAX]; /* a name or a numeric address without brackets; "" = any
					 (listen) */
	uint16_t port;
	bool plain;
};

/* NULL on success, else what is wrong with the text and what would be right (a constant string). */
MUST_USE const char *endpoint_parse_connect(const char *text, struct endpoint *out);
MUST_USE const char *endpoint_parse_listen(const char *text, struct endpoint *out);
const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);

/* A decimal number from min to max with nothing around it. */
MUST_USE bool number_parse(const char *text, unsigned long min, unsigned long max,
			   unsigned long *out);

#endif
