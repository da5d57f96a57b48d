/* A gateway on a host is told what to do by its command line; see start.h. */
#include "entg/start.h"

#include "base/log.h"
#include "chan/channel.h"

const unsigned start_poll_us = CHAN_POLL_US;

int start_options(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_never_wait();
	return 0;
}
