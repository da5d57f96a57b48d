/*
 * Frames on the stream of a hop: u32 big-endian length, then that many bytes (docs/wire.md 2).
 *
 * The first byte of a body tells what it is: 0x4x and 0x6x an IP packet (all that protocol v0
 * knows), below 0x40 a frame of eng/1, anything else is an error.
 */
#ifndef ENG_WIRE_FRAME_H
#define ENG_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
	FRAME_HEAD = 4,	   /* bytes of the length field */
	FRAME_MAX = 66000, /* bytes of a body: 64 KiB of packet and room for an eng/1 header */
	FRAME_CONTROL_MAX = 4096, /* bytes of a control frame, so that it never holds up packets */
};

/* The first byte of a body in eng/1. */
enum frame_type {
	FRAME_NONE = 0, /* reserved, so that zeroed memory is no frame */
	FRAME_HELLO = 1,
	FRAME_ROUTES = 2,
	FRAME_PING = 3,
	FRAME_PONG = 4,
	FRAME_EVIDENCE = 5,
	FRAME_GOAWAY = 6,
	FRAME_ERROR = 7,
	FRAME_PACKET_GSO = 8,
	FRAME_CHALLENGE = 9,
	FRAME_ACCEPT = 10,
	FRAME_PACKET = 0x40, /* not on the wire: frame_type_of() calls IPv4 and IPv6 packets so */
};

enum {
	FRAME_E_MORE = 1, /* the frame is not complete yet; *in is unchanged */
	FRAME_E_EMPTY,	  /* length 0 */
	FRAME_E_TOOBIG,	  /* length above FRAME_MAX */
};

/*
 * Takes the next frame off *in and sets *out_body (borrowed from *in, never empty). The length is
 * checked as soon as its 4 bytes are there. Returns 0 or FRAME_E_*; *in moves only on 0.
 */
MUST_USE int frame_pop(struct span *in, struct span *out_body);

/*
 * How many bytes the first frame of *in takes with its head, once 4 bytes are there.
 * Returns 0 (*out_total set, it may be more than in->n) or FRAME_E_*.
 */
MUST_USE int frame_peek_total(struct span in, size_t *out_total);

/* Writes the head for a body of n bytes, 1..FRAME_MAX (asserted). */
void frame_put_head(uint8_t out[FRAME_HEAD], size_t n);

/* The type of a body (not empty), or FRAME_NONE for a first byte that has no meaning. */
enum frame_type frame_type_of(struct span body);

#endif
