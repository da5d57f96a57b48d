/* A token bucket of time; see share.h. */
#include "chan/share.h"

static void save(struct share *s, uint64_t now_us)
{
	const uint64_t earned = (now_us - s->at_us) * SHARE_PERCENT / 100;

	s->at_us += earned * 100 / SHARE_PERCENT; /* the rest is not lost */
	if (earned >= SHARE_BURST_US + SHARE_DEBT_US)
		s->saved_us = SHARE_BURST_US;
	else
		s->saved_us += (int64_t)earned;
	if (s->saved_us > SHARE_BURST_US)
		s->saved_us = SHARE_BURST_US;
}

bool share_may(struct share *s, uint64_t now_us, uint64_t n_packets)
{
	if (n_packets != s->n_packets) {
		s->n_packets = n_packets;
		s->moved_us = now_us;
	}
	save(s, now_us);
	return s->saved_us > 0 || s->n_packets == 0 || now_us - s->moved_us >= SHARE_QUIET_US;
}

void share_spend(struct share *s, uint64_t us)
{
	s->saved_us -= (int64_t)(us < SHARE_DEBT_US ? us : SHARE_DEBT_US);
	if (s->saved_us < -SHARE_DEBT_US)
		s->saved_us = -SHARE_DEBT_US;
}

uint64_t share_wait_us(const struct share *s)
{
	const uint64_t debt_us = s->saved_us > 0 ? 0 : (uint64_t)-s->saved_us + 1;
	const uint64_t wait_us = debt_us * 100 / SHARE_PERCENT;

	return wait_us > 0 && wait_us < SHARE_QUIET_US ? wait_us : SHARE_QUIET_US;
}
