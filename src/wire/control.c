/*
 * Control frames; see control.h and docs/wire.md 4.
 *
 * map_parse() knows what all of them have in common: the type byte, one map whose keys are unsigned
 * integers in strictly ascending order (which makes a duplicate impossible), and the set of keys
 * that must be there. Each format gives it a function that reads the value of a key it knows.
 *
 * The order also puts HELLO's version first, so that the rest of a HELLO of another version is not
 * judged by the rules of this one.
 */
#include "wire/control.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/err.h"
#include "wire/item.h"
#include "wire/map.h"

enum {
	HELLO_VERSION,
	HELLO_ROLE,
	HELLO_NODE_ID,
	HELLO_NAME,
	HELLO_PREFIXES,
	HELLO_FEATURES,
	HELLO_MTU,
	HELLO_N, /* of the keys that must be there */
	HELLO_LANE = HELLO_N,
};
enum { ROUTES_LIST, ROUTES_N };
enum { PING_TOKEN, PING_N };
enum { NOTICE_CODE, NOTICE_TEXT, NOTICE_N };

enum {
	PREFIX_ITEMS = 2,
	ROUTE_ITEMS = 3,
	MTU_MIN = 576,
	MTU_MAX = 65535,
};

static bool take_u32(struct span *in, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!item_uint(in, max, &v) || v < min)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool take_text(struct span *in, uint8_t first_char, bool quote_ok, size_t max, char *out)
{
	struct span text;

	if (!item_text(in, &text) || text.n > max)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < first_char || text.p[i] > '~' || (text.p[i] == '"' && !quote_ok))
			return false;
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return true;
}

/* The two items of a prefix: address (4 or 16 bytes tell the family) and length. */
static bool take_prefix(struct span *in, struct prefix *out)
{
	struct prefix p;
	struct addr a;
	struct span bytes;
	uint32_t len;

	if (!item_bytes(in, &bytes) || (bytes.n != 4 && bytes.n != 16))
		return false;
	a = bytes.n == 4 ? addr_v4(bytes.p) : addr_v6(bytes.p);
	if (!take_u32(in, 0, addr_bits(&a), &len))
		return false;
	p = prefix_of(&a, (uint8_t)len);
	if (!addr_equal(&p.addr, &a)) /* host bits: two spellings of one prefix */
		return false;
	*out = p;
	return true;
}

static bool take_prefixes(struct span *in, struct control_hello *h)
{
	uint64_t n, n_items;

	if (!item_array(in, &n) || n > CONTROL_PREFIXES_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!item_array(in, &n_items) || n_items != PREFIX_ITEMS ||
		    !take_prefix(in, &h->prefixes[i]))
			return false;
	h->n_prefixes = n;
	return true;
}

static bool take_role(struct span *in, enum control_role *out)
{
	uint32_t v;

	if (!take_u32(in, CONTROL_ROLE_AGENT, CONTROL_ROLE_GATEWAY, &v))
		return false;
	*out = (enum control_role)v;
	return true;
}

static bool take_node_id(struct span *in, uint8_t out[CONTROL_NODE_ID])
{
	struct span id;

	return item_bytes(in, &id) && id.n == CONTROL_NODE_ID &&
	       span_copy(&id, out, CONTROL_NODE_ID);
}

static int hello_field(struct span *in, uint64_t key, void *out)
{
	struct control_hello *h = out;
	uint64_t version;
	uint32_t lane = 0;
	bool ok;

	switch (key) {
	case HELLO_VERSION:
		if (!item_uint(in, UINT64_MAX, &version))
			return CONTROL_E_MALFORMED;
		if (version != CONTROL_VERSION)
			return CONTROL_E_VERSION;
		h->version = CONTROL_VERSION;
		return 0;
	case HELLO_ROLE:
		ok = take_role(in, &h->role);
		break;
	case HELLO_NODE_ID:
		ok = take_node_id(in, h->node_id);
		break;
	case HELLO_NAME:
		ok = take_text(in, '!', false, CONTROL_NAME_MAX, h->name);
		break;
	case HELLO_PREFIXES:
		ok = take_prefixes(in, h);
		break;
	case HELLO_FEATURES:
		ok = take_u32(in, 0, UINT32_MAX, &h->features);
		break;
	case HELLO_MTU:
		ok = take_u32(in, MTU_MIN, MTU_MAX, &h->mtu);
		break;
	case HELLO_LANE:
		ok = take_u32(in, 0, CONTROL_LANES_MAX - 1, &lane);
		h->lane = (uint8_t)lane;
		break;
	default:
		return MAP_E_UNKNOWN;
	}
	return ok ? 0 : CONTROL_E_MALFORMED;
}

static bool take_route(struct span *in, struct control_route *out)
{
	struct span path;
	uint64_t n_items;

	if (!item_array(in, &n_items) || n_items != ROUTE_ITEMS || !take_prefix(in, &out->prefix))
		return false;
	if (!item_bytes(in, &path) || path.n > sizeof(out->path) || path.n % CONTROL_NODE_ID != 0)
		return false;
	out->n_path = path.n / CONTROL_NODE_ID;
	return span_copy(&path, out->path, path.n);
}

static int routes_field(struct span *in, uint64_t key, void *out)
{
	struct control_routes *r = out;
	uint64_t n;

	if (key != ROUTES_LIST)
		return MAP_E_UNKNOWN;
	if (!item_array(in, &n) || n < 1 || n > CONTROL_ROUTES_MAX)
		return CONTROL_E_MALFORMED;
	for (size_t i = 0; i < n; i++)
		if (!take_route(in, &r->routes[i]))
			return CONTROL_E_MALFORMED;
	r->n_routes = n;
	return 0;
}

static int ping_field(struct span *in, uint64_t key, void *out)
{
	struct control_ping *p = out;

	if (key != PING_TOKEN)
		return MAP_E_UNKNOWN;
	return item_uint(in, UINT64_MAX, &p->token) ? 0 : CONTROL_E_MALFORMED;
}

static int notice_field(struct span *in, uint64_t key, void *out)
{
	struct control_notice *n = out;
	bool ok;

	if (key == NOTICE_CODE)
		ok = take_u32(in, 0, UINT32_MAX, &n->code);
	else if (key == NOTICE_TEXT)
		ok = take_text(in, ' ', true, CONTROL_TEXT_MAX, n->text);
	else
		return MAP_E_UNKNOWN;
	return ok ? 0 : CONTROL_E_MALFORMED;
}

int control_parse_hello(struct span body, struct control_hello *out)
{
	struct control_hello h = { 0 };
	int r;

	if (!map_is(body, FRAME_HELLO))
		return CONTROL_E_MALFORMED;
	r = map_parse(body, FRAME_CONTROL_MAX, HELLO_N, hello_field, &h);
	if (r == 0)
		*out = h;
	return r;
}

int control_parse_routes(struct span body, struct control_routes *out)
{
	struct control_routes routes = { 0 };
	int r;

	if (!map_is(body, FRAME_ROUTES))
		return CONTROL_E_MALFORMED;
	r = map_parse(body, FRAME_CONTROL_MAX, ROUTES_N, routes_field, &routes);
	if (r == 0)
		*out = routes;
	return r;
}

int control_parse_ping(struct span body, struct control_ping *out)
{
	struct control_ping p = { 0 };
	int r;

	if (!map_is(body, FRAME_PING) && !map_is(body, FRAME_PONG))
		return CONTROL_E_MALFORMED;
	r = map_parse(body, FRAME_CONTROL_MAX, PING_N, ping_field, &p);
	if (r == 0)
		*out = p;
	return r;
}

int control_parse_notice(struct span body, struct control_notice *out)
{
	struct control_notice n = { 0 };
	int r;

	if (!map_is(body, FRAME_GOAWAY) && !map_is(body, FRAME_ERROR))
		return CONTROL_E_MALFORMED;
	r = map_parse(body, FRAME_CONTROL_MAX, NOTICE_N, notice_field, &n);
	if (r == 0)
		*out = n;
	return r;
}

static void put_prefix(struct wspan *w, const struct prefix *p)
{
	item_put_bytes(w, p->addr.bytes, addr_bits(&p->addr) / 8);
	item_put_uint(w, p->len);
}

int control_put_hello(const struct control_hello *h, uint8_t *buf, size_t size, size_t *out_n)
{
	struct wspan w =
		map_put_begin(buf, size, FRAME_CONTROL_MAX, FRAME_HELLO, HELLO_N + (h->lane != 0));

	assert(h->lane < CONTROL_LANES_MAX);
	assert(h->n_prefixes <= CONTROL_PREFIXES_MAX);
	item_put_uint(&w, HELLO_VERSION);
	item_put_uint(&w, h->version);
	item_put_uint(&w, HELLO_ROLE);
	item_put_uint(&w, h->role);
	item_put_uint(&w, HELLO_NODE_ID);
	item_put_bytes(&w, h->node_id, sizeof(h->node_id));
	item_put_uint(&w, HELLO_NAME);
	item_put_text(&w, h->name);
	item_put_uint(&w, HELLO_PREFIXES);
	item_put_array(&w, h->n_prefixes);
	for (size_t i = 0; i < h->n_prefixes; i++) {
		item_put_array(&w, PREFIX_ITEMS);
		put_prefix(&w, &h->prefixes[i]);
	}
	item_put_uint(&w, HELLO_FEATURES);
	item_put_uint(&w, h->features);
	item_put_uint(&w, HELLO_MTU);
	item_put_uint(&w, h->mtu);
	if (h->lane != 0) {
		item_put_uint(&w, HELLO_LANE);
		item_put_uint(&w, h->lane);
	}
	return map_put_end(&w, out_n);
}

/* Routes first to end-1 of r in one frame. */
static struct wspan put_routes(const struct control_routes *r, size_t first, size_t end,
			       uint8_t *buf, size_t size)
{
	struct wspan w = map_put_begin(buf, size, FRAME_CONTROL_MAX, FRAME_ROUTES, ROUTES_N);

	item_put_uint(&w, ROUTES_LIST);
	item_put_array(&w, end - first);
	for (size_t i = first; i < end; i++) {
		const struct control_route *route = &r->routes[i];

		assert(route->n_path <= CONTROL_PATH_MAX);
		item_put_array(&w, ROUTE_ITEMS);
		put_prefix(&w, &route->prefix);
		item_put_bytes(&w, route->path, route->n_path * CONTROL_NODE_ID);
	}
	return w;
}

int control_put_routes(const struct control_routes *r, uint8_t *buf, size_t size, size_t *out_n)
{
	struct wspan w;

	assert(r->n_routes >= 1 && r->n_routes <= CONTROL_ROUTES_MAX);
	w = put_routes(r, 0, r->n_routes, buf, size);
	return map_put_end(&w, out_n);
}

int control_put_routes_some(const struct control_routes *r, size_t first, uint8_t *buf, size_t size,
			    size_t *out_n, size_t *out_next)
{
	size_t end = r->n_routes;
	struct wspan w;
	int ret;

	assert(first < end && end <= CONTROL_ROUTES_MAX);
	w = put_routes(r, first, end, buf, size);
	while (w.overflow && end > first + 1) /* at most 31 times, and rarely */
		w = put_routes(r, first, --end, buf, size);
	ret = map_put_end(&w, out_n);
	if (ret == 0)
		*out_next = end;
	return ret;
}

int control_put_ping(enum frame_type ping_or_pong, const struct control_ping *p, uint8_t *buf,
		     size_t size, size_t *out_n)
{
	struct wspan w = map_put_begin(buf, size, FRAME_CONTROL_MAX, ping_or_pong, PING_N);

	item_put_uint(&w, PING_TOKEN);
	item_put_uint(&w, p->token);
	return map_put_end(&w, out_n);
}

int control_put_notice(enum frame_type goaway_or_error, const struct control_notice *n,
		       uint8_t *buf, size_t size, size_t *out_n)
{
	struct wspan w = map_put_begin(buf, size, FRAME_CONTROL_MAX, goaway_or_error, NOTICE_N);

	item_put_uint(&w, NOTICE_CODE);
	item_put_uint(&w, n->code);
	item_put_uint(&w, NOTICE_TEXT);
	item_put_text(&w, n->text);
	return map_put_end(&w, out_n);
}
