/* Lines of strangers are limited and cannot forge another line. */
#include "base/log.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_passes_a_burst_then_a_rate),
		cmocka_unit_test(quote_keeps_a_line_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
