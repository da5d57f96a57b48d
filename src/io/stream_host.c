/* How much one call moves on a host: whatever it is given. */
#include "io/stream.h"

const size_t stream_call_max = SIZE_MAX;
