/* Addresses, prefixes and endpoints: text to bytes and back; see addr.h. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct addr addr_v4(const uint8_t bytes[4])
{
	struct addr a = { .family = AF_INET };

	memcpy(a.bytes, bytes, 4);
	return a;
}

struct addr addr_v6(const uint8_t bytes[16])
{
	struct addr a = { .family = AF_INET6 };

	memcpy(a.bytes, bytes, 16);
	return a;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool addr_parse(const char *text, struct addr *out)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1) {
		*out = addr_v4(bytes);
		return true;
	}
	if (inet_pton(AF_INET6, text, bytes) == 1) {
		*out = addr_v6(bytes);
		return true;
	}
	return false;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	if (a->family == 0 || !inet_ntop(a->family, a->bytes, out, ADDR_TEXT_MAX))
		memcpy(out, "-", 2);
	return out;
}

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	memset(out, 0, sizeof(*out));
	if (a->family == AF_INET6) {
		memcpy(&sin6.sin6_addr, a->bytes, 16);
		memcpy(out, &sin6, sizeof(sin6));
		return sizeof(sin6);
	}
	memcpy(&sin.sin_addr, a->bytes, 4);
	memcpy(out, &sin, sizeof(sin));
	return sizeof(sin);
}

bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *out, uint16_t *out_port)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		*out = addr_v4((const uint8_t *)&sin.sin_addr);
		*out_port = ntohs(sin.sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		*out = IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr) ? addr_v4(sin6.sin6_addr.s6_addr + 12)
							     : addr_v6(sin6.sin6_addr.s6_addr);
		*out_port = ntohs(sin6.sin6_port);
		return true;
	}
	return false;
}

struct prefix prefix_of(const struct addr *a, uint8_t len)
{
	struct prefix p = { .addr = *a, .len = len };
	size_t i = len / 8;

	if (len % 8 != 0)
		p.addr.bytes[i++] &= (uint8_t)(0xff00 >> len % 8);
	if (i < sizeof(p.addr.bytes))
		memset(p.addr.bytes + i, 0, sizeof(p.addr.bytes) - i);
	return p;
}

/* Whether the first len bits of two addresses are the same. */
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned len)
{
	unsigned whole = len / 8;
	uint8_t mask = (uint8_t)(0xff00u >> (len % 8));

	if (memcmp(a, b, whole) != 0)
		return false;
	return len % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	return a->family != 0 && p->addr.family == a->family &&
	       bits_equal(p->addr.bytes, a->bytes, p->len);
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_contains(outer, &inner->addr);
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

bool number_parse(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
	unsigned long v;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (*end != '\0' || errno != 0 || v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool prefix_parse(const char *text, bool host_bits_ok, struct prefix *out)
{
	char copy[PREFIX_TEXT_MAX];
	unsigned long len;
	struct prefix p;
	struct addr a;
	char *slash;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (!addr_parse(copy, &a))
		return false;
	len = addr_bits(&a);
	if (slash && !number_parse(slash + 1, 0, len, &len))
		return false;
	p = prefix_of(&a, (uint8_t)len);
	if (!host_bits_ok && !addr_equal(&p.addr, &a))
		return false;
	*out = p;
	return true;
}

const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	if (p->addr.family == 0)
		memcpy(out, "-", 2);
	else
		snprintf(out, PREFIX_TEXT_MAX, "%s/%u", addr_format(&p->addr, text), p->len);
	return out;
}

/* Takes "tcp://" off the front; *plain tells whether it was there. Other schemes are refused. */
static const char *strip_scheme(const char **text, bool *plain)
{
	*plain = strncmp(*text, "tcp://", 6) == 0;
	if (*plain)
		*text += 6;
	else if (strstr(*text, "://"))
		return "unknown scheme; the only one is tcp:// (plaintext)";
	return NULL;
}

/* Splits "HOST:PORT" or "[V6]:PORT" at the last colon outside brackets; both must be there. */
static const char *split_host_port(const char *text, const char *right, struct endpoint *out)
{
	const char *host = text, *host_end, *colon = strrchr(text, ':');
	unsigned long port;
	struct addr a;

	if (!colon || colon == text)
		return right;
	host_end = colon;
	if (text[0] == '[') {
		if (colon[-1] != ']')
			return right;
		host++;
		host_end--;
	} else if (memchr(text, ':', (size_t)(colon - text))) {
		return "an IPv6 address stands in brackets: [2001:db8::1]:6980";
	}
	if (host_end == host || (size_t)(host_end - host) >= sizeof(out->host))
		return right;
	if (!number_parse(colon + 1, 1, 65535, &port))
		return "the port is a number from 1 to 65535";
	memcpy(out->host, host, (size_t)(host_end - host));
	out->host[host_end - host] = '\0';
	if (text[0] == '[' && (!addr_parse(out->host, &a) || a.family != AF_INET6))
		return "brackets hold an IPv6 address: [2001:db8::1]:6980";
	for (const char *c = out->host; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_:%", *c))
			return right;
	out->port = (uint16_t)port;
	return NULL;
}

const char *endpoint_parse_connect(const char *text, struct endpoint *out)
{
	static const char right[] = "write [tcp://]HOST:PORT, for example tcp://192.0.2.1:6980";
	struct endpoint e = { 0 };
	const char *wrong;

	wrong = strip_scheme(&text, &e.plain);
	if (!wrong)
		wrong = split_host_port(text, right, &e);
	if (wrong)
		return wrong;
	*out = e;
	return NULL;
}

const char *endpoint_parse_listen(const char *text, struct endpoint *out)
{
	static const char right[] = "write [tcp://][ADDR:]PORT, for example tcp://0.0.0.0:6980";
	struct endpoint e = { 0 };
	unsigned long port;
	const char *wrong;
	struct addr a;

	wrong = strip_scheme(&text, &e.plain);
	if (wrong)
		return wrong;
	if (number_parse(text, 1, 65535, &port)) {
		e.port = (uint16_t)port;
		*out = e;
		return NULL;
	}
	wrong = split_host_port(text, right, &e);
	if (wrong)
		return wrong;
	if (!addr_parse(e.host, &a))
		return "the address to listen on is numeric: 192.0.2.1 or [2001:db8::1]";
	*out = e;
	return NULL;
}

const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
	bool v6 = strchr(e->host, ':') != NULL;

	snprintf(out, ENDPOINT_TEXT_MAX, "%s%s%s%s%s%u", e->plain ? "tcp://" : "", v6 ? "[" : "",
		 e->host, v6 ? "]" : "", e->host[0] ? ":" : "", e->port);
	return out;
}
