/* Time as the sans-I/O code sees it: a number that the caller passes in. */
#ifndef ENG_BASE_CLOCK_H
#define ENG_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_us(void); /* CLOCK_MONOTONIC, microseconds */
uint64_t clock_now_ms(void); /* the same in milliseconds */

#endif
