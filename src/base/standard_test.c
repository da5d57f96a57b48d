/* Whichever of the three are closed, they lead nowhere then, and what is open stays. */
#include "base/standard.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

static bool is_null(int fd)
{
	struct stat s;

	return fstat(fd, &s) == 0 && S_ISCHR(s.st_mode) && s.st_rdev == makedev(1, 3);
}

/* In a process of its own; its exit status says what was wrong. */
static int look(unsigned closed)
{
	int ends[2], modes[] = { O_RDONLY, O_WRONLY, O_WRONLY };

	if (pipe(ends) < 0)
		return 10;
	for (int fd = 0; fd < 3; fd++)
		if (closed & 1u << fd ? close(fd) < 0 : dup2(ends[1], fd) < 0)
			return 11;
	if (standard_open() != 0)
		return 12;
	for (int fd = 0; fd < 3; fd++) {
		if (is_null(fd) != ((closed >> fd & 1) != 0))
			return 20 + fd;
		if (is_null(fd) && (fcntl(fd, F_GETFL) & O_ACCMODE) != modes[fd])
			return 30 + fd;
	}
	return open("/dev/null", O_RDONLY) > STDERR_FILENO ? 0 : 40;
}

static void closed_ones_lead_nowhere(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 8; closed++) {
		const pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(look(closed));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(closed_ones_lead_nowhere) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
