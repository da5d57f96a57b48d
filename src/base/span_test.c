/* Reads that do not fit leave the cursor alone; writes that do not fit write nothing. */
#include "base/span.h"

#include "base/test.h"

static void reads_numbers(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct span s = SPAN(bytes, sizeof(bytes));
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;

	(void)state;
	assert_true(span_u8(&s, &u8) && u8 == 1);
	assert_true(span_be16(&s, &u16) && u16 == 0x0203);
	assert_true(span_le16(&s, &u16) && u16 == 0x0504);
	assert_true(span_be32(&s, &u32) && u32 == 0x06070809);
	assert_true(span_le32(&s, &u32) && u32 == 0x0d0c0b0a);
	assert_int_equal(s.n, 2);
	assert_false(span_be32(&s, &u32));
	assert_false(span_be64(&s, &u64));
	assert_false(span_le64(&s, &u64));
	assert_false(span_skip(&s, 3));
	assert_int_equal(s.n, 2);
	assert_true(span_skip(&s, 2));
	assert_false(span_u8(&s, &u8));
}

static void takes_parts(void **state)
{
	struct span s = SPAN("abcdef", 6), part = { 0 };
	char out[4] = "";

	(void)state;
	assert_true(span_take(&s, 2, &part) && span_equal(part, SPAN("ab", 2)));
	assert_false(span_take(&s, 5, &part));
	assert_false(span_take(&s, SIZE_MAX, &part));
	assert_true(span_equal(part, SPAN("ab", 2)));
	assert_true(span_copy(&s, out, 3));
	assert_string_equal(out, "cde");
	assert_true(span_take(&s, 1, &part) && span_take(&s, 0, &part) && part.n == 0);
}

static void writer_remembers_overflow(void **state)
{
	static const uint8_t expected[] = { 1, 0, 2, 3, 0, 0, 0, 4 };
	uint8_t out[9] = { 0 };
	struct wspan w = WSPAN(out, sizeof(out));

	(void)state;
	wspan_u8(&w, 1);
	wspan_be16(&w, 2);
	wspan_le16(&w, 3);
	wspan_be16(&w, 0);
	wspan_u8(&w, 4);
	assert_false(w.overflow);
	assert_memory_equal(out, expected, sizeof(expected));
	wspan_be64(&w, 5);
	assert_true(w.overflow);
	wspan_u8(&w, 6);
	assert_true(w.overflow);
	assert_true(w.n <= sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(takes_parts),
		cmocka_unit_test(writer_remembers_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
