/* Standard input, output and error of a program that may have been started without them. */
#ifndef ENG_BASE_STANDARD_H
#define ENG_BASE_STANDARD_H

#include "base/cleanup.h"

/*
 * Those that are closed become /dev/null. Else the next file or socket has the number, and what the
 * program says goes there, to a peer maybe. First thing in main(). 0 or -errno.
 */
MUST_USE int standard_open(void);

#endif
