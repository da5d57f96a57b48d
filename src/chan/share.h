/*
 * How much of a loop's time strangers may have. While packets move it is a share, so that those who
 * have proved nothing cannot take it from those who have; while none move it is everything. Pure:
 * the caller brings the clock.
 */
#ifndef ENG_CHAN_SHARE_H
#define ENG_CHAN_SHARE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SHARE_PERCENT = 10,   /* of the time, while packets move */
	SHARE_BURST_US = 500, /* what is saved up at most: one handshake's step or so */
	SHARE_DEBT_US = 5000, /* what one step counts at most: it may have been interrupted */
	SHARE_QUIET_US = 2000 /* without a packet: nobody's throughput is at stake */
};

/* Zero-initialised: nothing is saved up, and no packet has moved yet. */
struct share {
	int64_t saved_us; /* < 0: overdrawn */
	uint64_t at_us;	  /* when that was so */
	uint64_t n_packets, moved_us;
};

/* Whether a step may begin now; n_packets: how many have moved until now. */
bool share_may(struct share *s, uint64_t now_us, uint64_t n_packets);
void share_spend(struct share *s, uint64_t us); /* what it took */
uint64_t share_wait_us(const struct share *s);	/* until it is worth asking again; > 0 */

#endif
