/* The largest EVIDENCE fits into a frame, a larger part does not; the vectors have the exact bytes.
 */
#include "wire/attest.h"

#include <errno.h>

#include "base/test.h"
#include "wire/control.h"

static uint8_t buf[FRAME_HEAD + FRAME_MAX], part[ATTEST_PART_MAX + 1];

static int put(size_t n_evidence, size_t n_endorsements, size_t *n)
{
	struct attest_evidence e = { .nonce = { 1, 2, 3 },
				     .evidence = SPAN(part, n_evidence),
				     .endorsements = SPAN(part, n_endorsements) };

	return attest_put_evidence(&e, buf, sizeof(buf), n);
}

static int parse(size_t n, struct attest_evidence *out)
{
	return attest_parse_evidence(SPAN(buf + FRAME_HEAD, n - FRAME_HEAD), out);
}

static void largest_part_survives(void **state)
{
	struct attest_evidence got = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(put(ATTEST_PART_MAX, 5000, &n), 0);
	assert_int_equal(parse(n, &got), 0);
	assert_int_equal(got.evidence.n, ATTEST_PART_MAX);
	assert_int_equal(got.endorsements.n, 5000);
	assert_int_equal(got.nonce[2], 3);
	assert_int_equal(put(5000, ATTEST_PART_MAX, &n), 0);
	assert_int_equal(parse(n, &got), 0);
	assert_int_equal(got.endorsements.n, ATTEST_PART_MAX);
}

static void larger_is_refused(void **state)
{
	struct attest_evidence got = { .nonce = { 9 } };
	size_t n = 0;

	(void)state;
	assert_int_equal(put(ATTEST_PART_MAX + 1, 0, &n), 0);
	assert_int_equal(parse(n, &got), CONTROL_E_MALFORMED);
	assert_int_equal(put(1, ATTEST_PART_MAX + 1, &n), 0);
	assert_int_equal(parse(n, &got), CONTROL_E_MALFORMED);
	assert_int_equal(got.nonce[0], 9);
	assert_int_equal(put(ATTEST_PART_MAX, 6000, &n), -EMSGSIZE);
}

static void type_is_compared(void **state)
{
	struct attest_challenge c;
	size_t n = 0;

	(void)state;
	assert_int_equal(attest_put_accept(buf, sizeof(buf), &n), 0);
	assert_int_equal(attest_parse_accept(SPAN(buf + FRAME_HEAD, n - FRAME_HEAD)), 0);
	assert_int_equal(attest_parse_challenge(SPAN(buf + FRAME_HEAD, n - FRAME_HEAD), &c),
			 CONTROL_E_MALFORMED);
	assert_int_equal(attest_parse_accept(SPAN(buf, 0)), CONTROL_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(largest_part_survives),
		cmocka_unit_test(larger_is_refused),
		cmocka_unit_test(type_is_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
