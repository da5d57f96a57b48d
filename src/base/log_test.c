/* Lines of strangers are limited and cannot forge another line. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_passes_a_burst_then_a_rate),
		cmocka_unit_test(quote_keeps_a_line_a_line),
		cmocka_unit_test(diverted_lines_are_whole_and_end_with_the_diversion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
