/* What one call moves in an enclave: never more than fits its way out, and nothing is lost. */
#include "io/stream.h"

#include "base/test.h"

enum { KIB = 1024 };

static size_t bound(size_t a, size_t b, int *out_n, struct iovec out[2])
{
	*out_n = 2;
	out[0] = (struct iovec){ NULL, a };
	out[1] = (struct iovec){ NULL, b };
	return stream_bound(out, out_n);
}

static void what_fits_is_left_alone(void **state)
{
	struct iovec iov[2];
	int n;

	(void)state;
	assert_int_equal(bound(5, 7, &n, iov), 12);
	assert_int_equal(n, 2);
	assert_int_equal(bound(64 * KIB, 64 * KIB, &n, iov), 128 * KIB);
	assert_int_equal(n, 2);
	assert_int_equal(iov[0].iov_len, 64 * KIB);
	assert_int_equal(iov[1].iov_len, 64 * KIB);
	n = 0;
	assert_int_equal(stream_bound(iov, &n), 0);
}

static void the_rest_is_cut_off(void **state)
{
	struct iovec iov[2];
	int n;

	(void)state;
	assert_int_equal(bound(66 * KIB, 256 * KIB, &n, iov), 128 * KIB);
	assert_int_equal(n, 2);
	assert_int_equal(iov[0].iov_len, 66 * KIB);
	assert_int_equal(iov[1].iov_len, 62 * KIB);
	assert_int_equal(bound(4096 * KIB, 1, &n, iov), 128 * KIB);
	assert_int_equal(n, 1);
	assert_int_equal(bound(128 * KIB, 1, &n, iov), 128 * KIB);
	assert_int_equal(n, 1);
	assert_int_equal(bound(SIZE_MAX, SIZE_MAX, &n, iov), 128 * KIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_left_alone),
		cmocka_unit_test(the_rest_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
