/* What a hop gets, by what the kernel says. With a real kernel: test/netns/test_far.py. */
#include "io/congestion.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/test.h"

static void one_round_trip_decides(void **state)
{
	static const struct {
		uint32_t min_rtt_us;
		enum congestion_distance then;
	} rows[] = {
		{ 0, CONGESTION_UNKNOWN }, /* a system that does not say */
		{ UINT32_MAX, CONGESTION_UNKNOWN },
		{ 1, CONGESTION_NEAR },
		{ 80, CONGESTION_NEAR },
		{ CONGESTION_FAR_US - 1, CONGESTION_NEAR },
		{ CONGESTION_FAR_US, CONGESTION_FAR },
		{ 20000, CONGESTION_FAR },
		{ UINT32_MAX - 1, CONGESTION_FAR },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(congestion_judge(CONGESTION_UNKNOWN, rows[i].min_rtt_us),
				 rows[i].then);
}

static void far_may_become_near_and_stays_near(void **state)
{
	(void)state;
	assert_int_equal(congestion_judge(CONGESTION_FAR, 20000), CONGESTION_FAR);
	assert_int_equal(congestion_judge(CONGESTION_FAR, 0), CONGESTION_FAR);
	assert_int_equal(congestion_judge(CONGESTION_FAR, 90), CONGESTION_NEAR);
	assert_int_equal(congestion_judge(CONGESTION_NEAR, 20000), CONGESTION_NEAR);
	assert_int_equal(congestion_judge(CONGESTION_NEAR, UINT32_MAX), CONGESTION_NEAR);
	assert_int_equal(congestion_judge(CONGESTION_REFUSED, 20000), CONGESTION_REFUSED);
}

/* A kernel that knows a round trip and refuses up to two names. */
static struct {
	uint32_t min_rtt_us;
	socklen_t info_size;
	const char *refused[2];
	char control[16];
	int n_infos, n_news;
} kernel;

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	(void)fd;
	assert_int_equal(level, IPPROTO_TCP);
	assert_int_equal(option, TCP_CONGESTION);
	assert_in_range(len, 1, sizeof(kernel.control) - 1);
	for (size_t i = 0; i < ARRAY_LEN(kernel.refused); i++) {
		if (kernel.refused[i] && strncmp(kernel.refused[i], value, len) == 0) {
			errno = EPERM;
			return -1;
		}
	}
	if (strlen(kernel.control) == len && memcmp(kernel.control, value, len) == 0)
		return 0; /* and nothing begins anew */
	memset(kernel.control, 0, sizeof(kernel.control));
	memcpy(kernel.control, value, len);
	kernel.n_news++;
	return 0;
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	const struct tcp_info info = { .tcpi_rtt = 50000, .tcpi_min_rtt = kernel.min_rtt_us };

	(void)fd;
	assert_int_equal(level, IPPROTO_TCP);
	assert_int_equal(option, TCP_INFO);
	kernel.n_infos++;
	if (kernel.info_size == 0) {
		errno = ENOPROTOOPT;
		return -1;
	}
	*len = *len < kernel.info_size ? *len : kernel.info_size;
	memcpy(value, &info, *len);
	return 0;
}

static void kernel_is(uint32_t min_rtt_us, const char *refused, const char *refused_too)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.min_rtt_us = min_rtt_us;
	kernel.info_size = sizeof(struct tcp_info);
	kernel.refused[0] = refused;
	kernel.refused[1] = refused_too;
}

static void a_socket_starts_plain_or_as_it_is_told(void **state)
{
	(void)state;
	kernel_is(0, "no-such-one", NULL);
	congestion_start(3, "");
	assert_string_equal(kernel.control, ""); /* the system's */
	congestion_start(3, "auto");
	assert_string_equal(kernel.control, "cubic");
	congestion_start(3, "bbr");
	assert_string_equal(kernel.control, "bbr");
	congestion_start(3, "no-such-one");
	assert_string_equal(kernel.control, "reno");
}

static void a_near_hop_is_left_alone_and_not_asked_again(void **state)
{
	enum congestion_distance d = CONGESTION_UNKNOWN;

	(void)state;
	kernel_is(100, NULL, NULL);
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_int_equal(d, CONGESTION_NEAR);
	assert_int_equal(kernel.n_infos, 1);
	assert_string_equal(kernel.control, "");
}

static void a_far_hop_paces_until_it_is_near(void **state)
{
	enum congestion_distance d = CONGESTION_UNKNOWN;

	(void)state;
	kernel_is(20000, NULL, NULL);
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_string_equal(kernel.control, "bbr");
	kernel.min_rtt_us = 100;
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_string_equal(kernel.control, "cubic");
	assert_int_equal(d, CONGESTION_NEAR);
	kernel_is(100, "cubic", NULL);
	d = CONGESTION_FAR;
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_string_equal(kernel.control, "reno");
}

static void a_quiet_hop_begins_anew(void **state)
{
	(void)state;
	kernel_is(20000, NULL, NULL);
	congestion_start(3, "bbr");
	assert_int_equal(kernel.n_news, 1);
	congestion_forget(3);
	assert_string_equal(kernel.control, "bbr");
	assert_int_equal(kernel.n_news, 3);
}

static void a_refusal_is_said_once(void **state)
{
	enum congestion_distance d = CONGESTION_UNKNOWN;

	(void)state;
	kernel_is(20000, "bbr", "cubic");
	assert_int_equal(congestion_adapt(3, &d), -EPERM);
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_int_equal(d, CONGESTION_REFUSED);
	assert_string_equal(kernel.control, "");
}

static void what_the_kernel_does_not_say_changes_nothing(void **state)
{
	enum congestion_distance d = CONGESTION_UNKNOWN;

	(void)state;
	kernel_is(20000, NULL, NULL);
	kernel.info_size = offsetof(struct tcp_info, tcpi_min_rtt); /* an old kernel */
	assert_int_equal(congestion_adapt(3, &d), 0);
	kernel.info_size = 0;
	assert_int_equal(congestion_adapt(3, &d), 0);
	assert_int_equal(d, CONGESTION_UNKNOWN);
	assert_string_equal(kernel.control, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_round_trip_decides),
		cmocka_unit_test(far_may_become_near_and_stays_near),
		cmocka_unit_test(a_socket_starts_plain_or_as_it_is_told),
		cmocka_unit_test(a_near_hop_is_left_alone_and_not_asked_again),
		cmocka_unit_test(a_far_hop_paces_until_it_is_near),
		cmocka_unit_test(a_quiet_hop_begins_anew),
		cmocka_unit_test(a_refusal_is_said_once),
		cmocka_unit_test(what_the_kernel_does_not_say_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
