/* The state table of a channel; see state.h. Pure. */
#include "chan/state.h"

static const enum chan_state steps[CHAN_N_STATES][CHAN_N_EVENTS] = {
	[CHAN_CLOSED][CHAN_EV_CONNECT] = CHAN_CONNECTING,
	[CHAN_CLOSED][CHAN_EV_ACCEPT] = CHAN_HANDSHAKE,
	[CHAN_CONNECTING][CHAN_EV_CONNECTED] = CHAN_HANDSHAKE,
	[CHAN_HANDSHAKE][CHAN_EV_HELLO] = CHAN_APPRAISING,
	[CHAN_HANDSHAKE][CHAN_EV_PLAIN_PEER] = CHAN_OPEN,
	[CHAN_APPRAISING][CHAN_EV_TRUSTED] = CHAN_OPEN,
	[CHAN_OPEN][CHAN_EV_DRAIN] = CHAN_DRAINING,
};

enum chan_state chan_state_next(enum chan_state state, enum chan_event event)
{
	if ((unsigned)state >= CHAN_N_STATES || (unsigned)event >= CHAN_N_EVENTS)
		return CHAN_CLOSED;
	return steps[state][event];
}

const char *chan_state_name(enum chan_state state)
{
	static const char *const names[CHAN_N_STATES] = { "closed",	"connecting", "handshake",
							  "appraising", "open",	      "draining" };

	return (unsigned)state < CHAN_N_STATES ? names[state] : "invalid";
}
