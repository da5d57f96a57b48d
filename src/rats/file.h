/* Reads a whole file of bounded size. */
#ifndef ENG_RATS_FILE_H
#define ENG_RATS_FILE_H

#include <stddef.h>
#include <stdint.h>

/* name relative to dirfd (AT_FDCWD). *out is NUL-terminated beyond *out_n; free it. -EFBIG: larger
 * than max. */
int file_read_at(int dirfd, const char *name, size_t max, uint8_t **out, size_t *out_n);

#endif
