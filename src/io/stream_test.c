/* What one call moves in an enclave: never more than fits its way out, and nothing is lost. */
#include "io/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Two runs of more than a call, over a socket that takes it all and one that does not. */
static void a_send_is_cut_and_put_together_again(void **state)
{
	static uint8_t out[200 * KIB], in[200 * KIB];
	struct iovec iov[2] = { { out, 70 * KIB }, { out + 70 * KIB, 130 * KIB } };
	int ends[2], size = 1024 * KIB;
	size_t n = 0, got = 0;
	ssize_t r;

	(void)state;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i ^ i >> 8);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0
				 ? setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size))
				 : 0,
			 0);
	assert_int_equal(stream_sendv(ends[0], iov, 2, &n), 0);
	assert_in_range(n, 1, sizeof(out));
	while (got < n && (r = read(ends[1], in + got, sizeof(in) - got)) > 0)
		got += (size_t)r;
	assert_int_equal(got, n);
	assert_memory_equal(in, out, n);
	do /* until it is full */
		r = stream_sendv(ends[0], iov, 2, &n);
	while (r == 0);
	assert_int_equal(r, STREAM_E_AGAIN);
	close(ends[1]);
	assert_int_equal(stream_sendv(ends[0], iov, 2, &n), -EPIPE);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_left_alone),
		cmocka_unit_test(the_rest_is_cut_off),
		cmocka_unit_test(a_send_is_cut_and_put_together_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
