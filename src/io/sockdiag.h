/* Ends connections of this host's applications (SOCK_DESTROY; CAP_NET_ADMIN). */
#ifndef ENG_IO_SOCKDIAG_H
#define ENG_IO_SOCKDIAG_H

#include "base/addr.h"

struct sockdiag;

MUST_USE int sockdiag_new(struct sockdiag **out);
void sockdiag_free(struct sockdiag *s);
/* Aborts every TCP and UDP socket whose own address is this IPv6 one. 0 or -errno. */
MUST_USE int sockdiag_cut(struct sockdiag *s, const struct addr *own);

#endif
