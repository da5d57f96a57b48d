/* Where a gateway's options come from, and what differs by default, on a host and in an enclave. */
#ifndef ENG_ENTG_START_H
#define ENG_ENTG_START_H

#include "base/cleanup.h"

extern const unsigned start_poll_us; /* what --busy-poll is without being asked for */

/*
 * The options to go by in place of those of main(): the same on a host; in an enclave those of a
 * file in its image, because what its host hands in must not decide anything. 0, or the exit status
 * after standard error said what is wrong.
 */
MUST_USE int start_options(int *argc, char ***argv);

#endif
