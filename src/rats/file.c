/* Files of bounded size; see file.h. Reads to the end rather than trusting st_size (pipes, /proc).
 */
#include "rats/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

int file_read_at(int dirfd, const char *name, size_t max, uint8_t **out, size_t *out_n)
{
	CLEANUP(fd_closep) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	size_t n = 0, size = 0;
	uint8_t *buf = NULL, *p;
	ssize_t r;

	if (fd < 0)
		return err_new(-errno);
	for (;;) {
		if (n == size) {
			size = size ? size * 2 : 8192;
			if (size > max + 1)
				size = max + 1; /* one more byte tells that it is too large */
			p = n > max ? NULL : realloc(buf, size + 1);
			if (!p) {
				free(buf);
				return err_new(n > max ? -EFBIG : -ENOMEM);
			}
			buf = p;
		}
		r = read(fd, buf + n, size - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	if (r < 0) {
		int saved = errno;

		free(buf);
		return err_new(-saved);
	}
	buf[n] = '\0';
	*out = buf;
	*out_n = n;
	return 0;
}
