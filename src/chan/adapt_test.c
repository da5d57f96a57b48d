/* When a hop goes over to bbr, and when it forgets what bbr has learnt; see transmit.c. */
#include "chan/internal.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"

uint64_t __wrap_clock_now_ms(void);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);

static struct {
	uint64_t now_ms;
	uint32_t min_rtt_us;
	char control[16];
	int n_sets, n_infos;
} kernel;

uint64_t __wrap_clock_now_ms(void)
{
	return kernel.now_ms;
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	(void)fd;
	assert_int_equal(level, IPPROTO_TCP);
	assert_int_equal(option, TCP_CONGESTION);
	assert_in_range(len, 1, sizeof(kernel.control) - 1);
	memset(kernel.control, 0, sizeof(kernel.control));
	memcpy(kernel.control, value, len);
	kernel.n_sets++;
	return 0;
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	const struct tcp_info info = { .tcpi_min_rtt = kernel.min_rtt_us };

	(void)fd;
	assert_int_equal(level, IPPROTO_TCP);
	assert_int_equal(option, TCP_INFO);
	assert_int_equal(*len, sizeof(info));
	memcpy(value, &info, sizeof(info));
	kernel.n_infos++;
	return 0;
}

struct fixture {
	struct chan_loop loop;
	struct chan c;
	int fd;
};

static void fixture_start(struct fixture *f, uint32_t min_rtt_us, bool adapts)
{
	int fds[2];

	memset(&kernel, 0, sizeof(kernel));
	kernel.now_ms = 1000000;
	kernel.min_rtt_us = min_rtt_us;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	memset(f, 0, sizeof(*f));
	f->fd = fds[1];
	f->c.loop = &f->loop;
	f->c.state = CHAN_OPEN;
	f->c.cfg.adapts = adapts;
	f->c.fd = fds[0];
}

static void fixture_end(struct fixture *f)
{
	close(f->c.fd);
	close(f->fd);
}

/* Frames of 16 KiB, after a while, and how often the socket's control has been set since. */
static int send_after(struct fixture *f, unsigned ms, int n)
{
	static uint8_t frame[16 * 1024], in[16 * 1024];
	struct iovec iov;

	kernel.now_ms += ms;
	kernel.n_sets = 0;
	frame_put_head(frame, sizeof(frame) - FRAME_HEAD);
	for (int i = 0; i < n; i++) {
		iov = (struct iovec){ frame, sizeof(frame) };
		chan_send(&f->c, &iov, 1);
		assert_int_equal(read(f->fd, in, sizeof(in)), sizeof(in));
	}
	return kernel.n_sets;
}

static void a_far_hop_forgets_when_it_had_little_to_carry(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, 20000, true);
	chan_adapt(&f.c);
	assert_string_equal(kernel.control, "bbr");
	assert_int_equal(kernel.n_sets, 1);
	send_after(&f, 0, 1);
	assert_int_equal(send_after(&f, 100, 1), 0); /* it is not time yet */
	assert_int_equal(send_after(&f, 100, 1), 2); /* another one, and bbr */
	assert_string_equal(kernel.control, "bbr");
	assert_int_equal(send_after(&f, 100, 8), 0);
	assert_int_equal(send_after(&f, 100, 1), 0); /* it had a lot to carry */
	assert_int_equal(send_after(&f, 5000, 1), 2);
	fixture_end(&f);
}

static void a_near_hop_and_a_chosen_control_are_left_alone(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, 100, true);
	chan_adapt(&f.c);
	chan_adapt(&f.c);
	assert_int_equal(send_after(&f, 5000, 1), 0);
	assert_int_equal(kernel.n_infos, 1);
	assert_string_equal(kernel.control, "");
	fixture_end(&f);

	fixture_start(&f, 20000, false);
	chan_adapt(&f.c);
	assert_int_equal(send_after(&f, 5000, 1), 0);
	assert_int_equal(kernel.n_infos, 0);
	assert_string_equal(kernel.control, "");
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_far_hop_forgets_when_it_had_little_to_carry),
		cmocka_unit_test(a_near_hop_and_a_chosen_control_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
