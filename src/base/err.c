/* Where errors are born, and their text; see err.h for the convention. */
#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

int err_new_at(int neg_errno, const char *file, int line)
{
	if (neg_errno >= 0) /* errno was 0: a caller's bug must not read as success */
		neg_errno = -EIO;
	log_debug("error", "errno=%d text=\"%s\" at=%s:%d", -neg_errno, err_text(neg_errno), file,
		  line);
	return neg_errno;
}

const char *err_text(int neg_errno)
{
	const char *text = strerrordesc_np(-neg_errno);

	return text ? text : "unknown error";
}

void fd_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
