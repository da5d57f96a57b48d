/* What the makers have in common: the time, keys from pki/, and files. */
#ifndef ENG_TEST_ATTEST_MAKER_FILE_H
#define ENG_TEST_ATTEST_MAKER_FILE_H

#include <openssl/evp.h>
#include <stdint.h>

enum { MAKER_DAY = 86400, MAKER_BORN = 1735689600 /* 2025-01-01 */, MAKER_DIES = 2524608000 };

/* The first n keys of pki/NAME. */
void maker_keys(const char *name, EVP_PKEY *keys[], size_t n);
void maker_write(const char *dir, const char *name, const void *bytes, size_t n);

#endif
