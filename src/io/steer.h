/* Which queue of a TUN device a packet goes to: a program for the kernel (TUNSETSTEERINGEBPF). */
#ifndef ENG_IO_STEER_H
#define ENG_IO_STEER_H

#include "base/cleanup.h"

/*
 * Loads the program; *out_fd is the caller's. All packets of a flow, either way, have the same
 * value, of 32 bits, of which the kernel takes the remainder by the number of queues. 0 or -errno:
 * -EPERM without CAP_BPF (or CAP_SYS_ADMIN), unless everybody may.
 */
MUST_USE int steer_load(int *out_fd);

#endif
