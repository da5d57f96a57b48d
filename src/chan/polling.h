/*
 * Whether it pays to look for the next packet instead of sleeping until it comes. That depends on
 * the machine and on the traffic, so it is tried: what is found earns credit, what is not costs it,
 * and without credit the loop sleeps at once. Pure: the caller brings the clock.
 */
#ifndef ENG_CHAN_POLLING_H
#define ENG_CHAN_POLLING_H

#include <stdint.h>

enum {
	/*
	 * How often it is tried anew. All processes of a machine do so at the same moment of their
	 * common clock: one alone finds nothing where its next packet waits for a neighbour's
	 * sleep.
	 */
	POLLING_PERIOD_US = 1000000,
	POLLING_TRIES = 16,	 /* in vain, in a period: 0.1 % of a processor at 50 us */
	POLLING_CREDIT_MAX = 64, /* so that a change is noticed soon */
};

/* Zero-initialised: to be tried. */
struct polling {
	uint64_t period;
	unsigned credit;
};

/* How long to look: most_us, or 0 where it does not pay. */
unsigned polling_window_us(struct polling *p, uint64_t now_us, unsigned most_us);
/*
 * A look has ended, by a packet or without one. What came later than it would have looked counts as
 * nothing found: somebody else had the processor meanwhile, and asleep it would have come as soon.
 */
void polling_learn(struct polling *p, uint64_t took_us, unsigned most_us);

#endif
