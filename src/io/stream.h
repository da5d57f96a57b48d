/*
 * TCP sockets of the hops: non-blocking, close-on-exec, no Nagle, dead peers noticed by the kernel.
 * Every option that is a comfort only is set with best effort: a LibOS may not have it.
 */
#ifndef ENG_IO_STREAM_H
#define ENG_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/addr.h"

enum {
	STREAM_E_AGAIN = 1, /* not now; ask the event loop */
	STREAM_E_EOF,	    /* the peer has closed its side */
};

enum {
	STREAM_DEAD_MS = 14000, /* unanswered data for so long: the kernel gives the peer up */
	STREAM_NEAR_US = 250,	/* round trip of a peer that is near: in the same rack */
	STREAM_NEAR_BUF = 512 * 1024, /* bytes its window may have: 16 Gbit/s at STREAM_NEAR_US */
};

/* What an operator may choose for the hops' sockets. */
struct stream_options {
	uint32_t mark;	     /* SO_MARK, 0 = none */
	char congestion[16]; /* "" = the system's, CONGESTION_AUTO, or a name (congestion.h) */
};

/* Starts to connect; the socket becomes writable when it is decided. */
MUST_USE int stream_connect(const struct addr *to, uint16_t port, const struct stream_options *o,
			    int *out_fd);
MUST_USE int stream_connect_result(int fd); /* 0 connected, -errno why not */

/* Listens; `on` none means every address, IPv4 and IPv6 on one socket where IPv6 exists. */
MUST_USE int stream_listen(const struct addr *on, uint16_t port, const struct stream_options *o,
			   int *out_fd);
/* 0, STREAM_E_AGAIN, or -errno (of this connection or of the process: -EMFILE and the like). */
MUST_USE int stream_accept(int listen_fd, int *out_fd, struct addr *out_peer, uint16_t *out_port);

extern const size_t
	stream_call_max; /* bytes that one call should move: stream_host.c, stream_occlum.c */
enum { STREAM_IOV_MAX = 32 /* more than any caller has */ };
/*
 * Cuts the iovecs down to that much, from the end; returns how much is left in them. Who compares
 * what a call has moved with what it was given, to know whether the socket is empty or full, does
 * this first.
 */
size_t stream_bound(struct iovec *iov, int *n_iov);

/* 0 with *out_n > 0, STREAM_E_AGAIN, STREAM_E_EOF (reading only), or -errno. */
MUST_USE int stream_readv(int fd, struct iovec *iov, int n_iov, size_t *out_n);
/* In as many calls as stream_call_max makes of it. */
MUST_USE int stream_sendv(int fd, struct iovec *iov, int n_iov, size_t *out_n);

/*
 * What waits in a socket waits in the order it came, a small packet behind all of a transfer: so
 * little does. What has not been sent yet is bounded, by `unsent` bytes or so; what is under way is
 * TCP's business, so a long path is filled all the same. What has been received is bounded if the
 * peer is near, by the handshake's round trip: there the window that autotuning would open, up to
 * megabytes, is not under way but waits for this process. For a connected socket, before data; best
 * effort. Whether the peer is near.
 */
bool stream_bound_queues(int fd, int unsent);

/* Closes; with reset, what is still unsent is thrown away and the peer is told at once (RST). */
void stream_close(int fd, int reset);

#endif
