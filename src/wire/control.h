/*
 * Control frames of eng/1: a type byte, then one CBOR map with integer keys (docs/wire.md 4).
 * Unknown keys are skipped, a missing or ill-typed known key is an error, and so are trailing
 * bytes, keys that do not ascend (so duplicates too), indefinite lengths and deep nesting.
 */
#ifndef ENG_WIRE_CONTROL_H
#define ENG_WIRE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"
#include "wire/frame.h"

enum {
	CONTROL_VERSION = 1,
	CONTROL_NODE_ID = 16,	   /* bytes: random, made once per process */
	CONTROL_NAME_MAX = 63,	   /* bytes of a node name (a DNS label's length) */
	CONTROL_PREFIXES_MAX = 64, /* in one HELLO: what one agent may own */
	CONTROL_ROUTES_MAX = 32,   /* in one ROUTES frame; a longer table is sent as several */
	CONTROL_PATH_MAX = 15,	   /* gateways on a route: the hop limit */
	CONTROL_TEXT_MAX = 200,	   /* bytes of the reason in ERROR and GOAWAY */
	CONTROL_LANES_MAX = 16,	   /* connections of one dialler to one listener */
};

enum control_role { CONTROL_ROLE_NONE = 0, CONTROL_ROLE_AGENT = 1, CONTROL_ROLE_GATEWAY = 2 };

/* Features: what the sender of HELLO is able to receive, or to do. */
enum {
	CONTROL_FEATURE_GSO = 1u << 0, /* PACKET_GSO: checksum offload, TCP segmentation (v4, v6) */
	CONTROL_FEATURE_USO = 1u << 1, /* PACKET_GSO with UDP segmentation (needs GSO) */
	CONTROL_FEATURE_LANES = 1u << 2, /* takes further connections of a node that dialled it */
};

struct control_hello {
	uint32_t version;
	enum control_role role;
	uint8_t node_id[CONTROL_NODE_ID];
	char name[CONTROL_NAME_MAX + 1]; /* printable ASCII without space or quote; may be "" */
	size_t n_prefixes;
	struct prefix prefixes[CONTROL_PREFIXES_MAX];
	uint32_t features; /* unknown bits are ignored */
	uint32_t mtu; /* bytes: the largest packet without GSO that the sender takes, 576..65535 */
	uint8_t lane; /* 0: speaks for the node; below CONTROL_LANES_MAX: packets only */
};

/*
 * One change of the sender's table. A route's path lists the gateways it crosses, the sender
 * first; its hop count is the length of the path. A withdrawn route has an empty path.
 */
struct control_route {
	struct prefix prefix;
	size_t n_path; /* 0 = withdrawn */
	uint8_t path[CONTROL_PATH_MAX][CONTROL_NODE_ID];
};

struct control_routes {
	size_t n_routes; /* at least 1 */
	struct control_route routes[CONTROL_ROUTES_MAX];
};

struct control_ping {
	uint64_t token; /* echoed in PONG: the sender's clock in microseconds */
};

struct control_notice {
	uint32_t code;			 /* enum control_code */
	char text[CONTROL_TEXT_MAX + 1]; /* printable ASCII, for people */
};

/* Why a side leaves (GOAWAY: orderly, come back) or closes (ERROR). Unknown codes are fine. */
enum control_code {
	CONTROL_CODE_NONE = 0,
	CONTROL_CODE_SHUTDOWN = 1, /* GOAWAY: this side stops */
	CONTROL_CODE_PROTOCOL = 2, /* ERROR: a frame or packet that the protocol does not allow */
	CONTROL_CODE_PREFIX = 3, /* ERROR: prefix refused: owned by somebody else, or not granted */
	CONTROL_CODE_LIMIT = 4,	 /* ERROR: too many peers, routes, … */
	CONTROL_CODE_TIMEOUT = 5, /* ERROR: nothing heard for too long */
	CONTROL_CODE_POLICY = 6,  /* ERROR: not accepted by policy */
};

enum {
	CONTROL_E_MALFORMED = 1, /* not what the specification asks for, or a bound exceeded */
	CONTROL_E_VERSION,	 /* HELLO of a version this side does not speak */
};

/* Decoders take the whole body, type byte included. 0 or CONTROL_E_*; output on 0 only. */
MUST_USE int control_parse_hello(struct span body, struct control_hello *out);
MUST_USE int control_parse_routes(struct span body, struct control_routes *out);
/* PING or PONG */
MUST_USE int control_parse_ping(struct span body, struct control_ping *out);
/* GOAWAY or ERROR */
MUST_USE int control_parse_notice(struct span body, struct control_notice *out);

/*
 * Encoders write a whole frame, head included, into buf (FRAME_HEAD + FRAME_CONTROL_MAX bytes are
 * always enough but for ROUTES) and set *out_n. 0, or -EMSGSIZE when it does not fit; the input
 * must be valid. Nothing here allocates.
 */
MUST_USE int control_put_hello(const struct control_hello *h, uint8_t *buf, size_t size,
			       size_t *out_n);
MUST_USE int control_put_routes(const struct control_routes *r, uint8_t *buf, size_t size,
				size_t *out_n);
/*
 * Long paths may not fit into one frame: writes the routes from number `first` on, as many as do,
 * and sets *out_next to the first that is left (n_routes: none is).
 */
MUST_USE int control_put_routes_some(const struct control_routes *r, size_t first, uint8_t *buf,
				     size_t size, size_t *out_n, size_t *out_next);
MUST_USE int control_put_ping(enum frame_type ping_or_pong, const struct control_ping *p,
			      uint8_t *buf, size_t size, size_t *out_n);
MUST_USE int control_put_notice(enum frame_type goaway_or_error, const struct control_notice *n,
				uint8_t *buf, size_t size, size_t *out_n);

#endif
