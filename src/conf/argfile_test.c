/* What the file says is what the program gets, and whatever it must not be is refused. */
#include "conf/argfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"

static struct argfile file;
static char argv0[] = "prog";

static const char *read_bytes(const char *text, size_t n)
{
	char path[] = "/tmp/argfile-test-XXXXXX";
	const char *wrong;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
	memset(&file, 'x', sizeof(file));
	wrong = argfile_read(path, argv0, &file);
	unlink(path);
	return wrong;
}

static const char *read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void takes_options_and_values(void **state)
{
	(void)state;
	assert_null(read_text("# comment\n\n--entg-listen tcp://6979\n  --compat \t\r\n"
			      "--name  two words\n--admin=127.0.0.1:1"));
	assert_int_equal(file.argc, 7);
	assert_ptr_equal(file.argv[0], argv0);
	assert_string_equal(file.argv[1], "--entg-listen");
	assert_string_equal(file.argv[2], "tcp://6979");
	assert_string_equal(file.argv[3], "--compat");
	assert_string_equal(file.argv[4], "--name");
	assert_string_equal(file.argv[5], "two words");
	assert_string_equal(file.argv[6], "--admin=127.0.0.1:1");
	assert_null(file.argv[7]);
	assert_null(read_text(""));
	assert_int_equal(file.argc, 1);
	assert_null(file.argv[1]);
}

static void refuses_what_is_no_option(void **state)
{
	(void)state;
	assert_non_null(read_text("--compat\nentg-listen 1\n"));
	assert_non_null(read_text("-h\n"));
	assert_non_null(read_bytes("--a\0--b", 7));
	assert_non_null(argfile_read("/nonexistent/args", argv0, &file));
	assert_non_null(argfile_read("/", argv0, &file));
}

static void bounds_bytes_and_options(void **state)
{
	static char big[ARGFILE_BYTES_MAX + 2];

	(void)state;
	memset(big, '#', sizeof(big));
	assert_non_null(read_bytes(big, ARGFILE_BYTES_MAX + 1));
	assert_null(read_bytes(big, ARGFILE_BYTES_MAX));
	for (size_t i = 0; i < ARGFILE_ARGS_MAX; i++)
		memcpy(big + 4 * i, "--a\n", 4);
	assert_null(read_bytes(big, (size_t)4 * ARGFILE_ARGS_MAX));
	assert_int_equal(file.argc, ARGFILE_ARGS_MAX + 1);
	assert_null(file.argv[file.argc]);
	memcpy(big + (size_t)4 * ARGFILE_ARGS_MAX, "--a\n", 4);
	assert_non_null(read_bytes(big, (size_t)4 * (ARGFILE_ARGS_MAX + 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_options_and_values),
		cmocka_unit_test(refuses_what_is_no_option),
		cmocka_unit_test(bounds_bytes_and_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
