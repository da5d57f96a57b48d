/* The lock of an instance; see lock.h. */
#include "enta/lock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

int lock_instance(const char *instance, int *out_fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	CLEANUP(fd_closep) int fd = -1;
	int n;

	/* sun_path[0] stays 0: the abstract namespace (unix(7)). */
	n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "eng/enta/%s", instance);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_new(-errno);
	if (bind(fd, (struct sockaddr *)&sun,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0)
		return -errno;
	*out_fd = TAKE_FD(fd);
	return 0;
}
