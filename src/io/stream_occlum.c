/*
 * How much one call moves under Occlum: its bounce buffer between enclave and host has 128 KiB a
 * thread, and a call that fits is one exit. A longer one has its buffer allocated outside first and
 * freed afterwards, which are two more.
 */
#include "io/stream.h"

const size_t stream_call_max = 128 * 1024;
