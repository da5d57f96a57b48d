/* Endorsements that the user names, as one run of bytes that goes to the peer. */
#ifndef ENG_RATS_ATTEST_BUNDLE_H
#define ENG_RATS_ATTEST_BUNDLE_H

#include "rats/attest/attest.h"

/*
 * Writes what `path` holds: a file as it is, whatever form of collateral it has; of a directory
 * the files (as rtls_collateral_load() takes them) in a bundle, in the order of their names. That
 * it does not fit shows in out->overflow. 0 or -errno.
 */
int attest_bundle_load(const char *path, struct wspan *out);

#endif
