/* Lines of strangers are limited and cannot forge another line. */
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"

static void limit_passes_a_burst_then_a_rate(void **state)
{
	struct log_limit l = { 0 };
	uint32_t suppressed = 9;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(log_limit_pass(&l, 100000, 5, 1000, &suppressed));
	assert_int_equal(suppressed, 0);
	for (int i = 0; i < 7; i++)
		assert_false(log_limit_pass(&l, 100500, 5, 1000, &suppressed));
	assert_true(log_limit_pass(&l, 101000, 5, 1000, &suppressed));
	assert_int_equal(suppressed, 7);
	assert_false(log_limit_pass(&l, 101000, 5, 1000, &suppressed));
	for (int i = 0; i < 5; i++)
		assert_true(log_limit_pass(&l, 900000, 5, 1000, &suppressed));
	assert_false(log_limit_pass(&l, 900000, 5, 1000, &suppressed));
}

static void quote_keeps_a_line_a_line(void **state)
{
	static const char hostile[] = "a\nb \"c\"\x1b[2J\xff";
	char out[32], tiny[4];

	(void)state;
	assert_string_equal(log_quote(hostile, sizeof(hostile) - 1, out, sizeof(out)),
			    "a?b??c??[2J?");
	assert_string_equal(log_sentence(hostile, sizeof(hostile) - 1, out, sizeof(out)),
			    "a?b ?c??[2J?");
	assert_string_equal(log_quote("abcdef", 6, tiny, sizeof(tiny)), "abc");
}

static void keep(void *ctx, const char *line, size_t n)
{
	char *out = ctx;

	snprintf(out + strlen(out), 200 - strlen(out), "%.*s", (int)n, line);
}

static void diverted_lines_are_whole_and_end_with_the_diversion(void **state)
{
	char got[200] = "";

	(void)state;
	log_divert(keep, got);
	log_info("one", "n=%d", 1);
	log_debug("hidden", "n=%d", 2);
	log_info("three", "n=%d", 3);
	log_divert(NULL, NULL);
	log_info("four", "n=%d", 4);
	assert_non_null(strstr(got, "info  one n=1\n"));
	assert_non_null(strstr(got, "info  three n=3\n"));
	assert_null(strstr(got, "hidden"));
	assert_null(strstr(got, "four"));
}

/* What standard error leads to, until the test has its own back. */
static int lead_to(int fd)
{
	const int before = dup(STDERR_FILENO);

	assert_true(before >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return before;
}

static void lead_back(int before)
{
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
}

/* All that is in the pipe; returns how many lines. */
static size_t read_all(int fd, char *out, size_t size)
{
	size_t have = 0, n = 0;
	ssize_t got;

	while ((got = read(fd, out + have, size - 1 - have)) > 0)
		have += (size_t)got;
	out[have] = '\0';
	for (const char *p = out; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

static void nobody_waits_for_who_does_not_read(void **state)
{
	enum { LINES = 20000 /* more than a pipe holds */ };
	static char got[4 * 1024 * 1024];
	unsigned lost = 0;
	int ends[2], before;
	size_t n;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	before = lead_to(ends[1]);
	for (int i = 0; i < LINES; i++)
		log_info("line", "n=%d", i);
	n = read_all(ends[0], got, sizeof(got));
	log_info("after", "n=%d", LINES);
	lead_back(before);
	assert_in_range(n, 1, LINES - 1);
	assert_int_equal(read_all(ends[0], got, sizeof(got)), 2);
	assert_non_null(strstr(got, "warn  log-lost lines="));
	assert_int_equal(sscanf(strstr(got, "lines="), "lines=%u", &lost), 1);
	assert_int_equal(n + lost, LINES);
	assert_non_null(strstr(got, "info  after n=20000\n"));
	close(ends[0]);
	close(ends[1]);
}

static void what_a_full_disk_did_not_take_is_counted(void **state)
{
	const int full = open("/dev/full", O_WRONLY);
	char got[400];
	int ends[2], before;

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	before = lead_to(full);
	log_info("one", "n=1");
	log_info("two", "n=2");
	lead_back(before);
	before = lead_to(ends[1]);
	log_info("three", "n=3");
	lead_back(before);
	assert_int_equal(read_all(ends[0], got, sizeof(got)), 2);
	assert_non_null(strstr(got, "warn  log-lost lines=2\n"));
	assert_non_null(strstr(got, "info  three n=3\n"));
	close(full);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_passes_a_burst_then_a_rate),
		cmocka_unit_test(quote_keeps_a_line_a_line),
		cmocka_unit_test(diverted_lines_are_whole_and_end_with_the_diversion),
		cmocka_unit_test(what_a_full_disk_did_not_take_is_counted),
		cmocka_unit_test(nobody_waits_for_who_does_not_read),
	};

	log_never_wait();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
