/* See polling.h. */
#include "chan/polling.h"

#include <stdbool.h>

unsigned polling_window_us(struct polling *p, uint64_t now_us, unsigned most_us)
{
	const uint64_t period = now_us / POLLING_PERIOD_US + 1;

	if (period != p->period && p->credit < POLLING_TRIES)
		p->credit = POLLING_TRIES;
	p->period = period;
	return p->credit > 0 ? most_us : 0;
}

void polling_learn(struct polling *p, uint64_t took_us, unsigned most_us)
{
	const bool found = took_us < most_us;

	if (found && p->credit < POLLING_CREDIT_MAX)
		p->credit++;
	else if (!found && p->credit > 0)
		p->credit--;
}
