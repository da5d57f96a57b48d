/* Values survive the round trip, cuts and small buffers do not; the vectors have the exact bytes.
 */
#include "wire/control.h"

#include <errno.h>

#include "base/test.h"

enum { BUF = FRAME_HEAD + FRAME_CONTROL_MAX };

static uint8_t buf[BUF + 1];

static struct span body_of(size_t n)
{
	return SPAN(buf + FRAME_HEAD, n - FRAME_HEAD);
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(text, false, &p));
	return p;
}

static struct control_hello some_hello(void)
{
	struct control_hello h = { .version = 1,
				   .role = CONTROL_ROLE_GATEWAY,
				   .node_id = { 1, [15] = 2 },
				   .name = "node-7",
				   .n_prefixes = 2,
				   .features = 0x80000003,
				   .mtu = 9000 };

	h.prefixes[0] = prefix("10.1.0.0/16");
	h.prefixes[1] = prefix("2001:db8::/33");
	return h;
}

static struct control_routes some_routes(size_t n, size_t n_path)
{
	struct control_routes r = { .n_routes = n };

	for (size_t i = 0; i < n; i++) {
		r.routes[i].prefix = prefix("2001:db8::1/128");
		r.routes[i].prefix.addr.bytes[14] = (uint8_t)i;
		r.routes[i].n_path = n_path;
		for (size_t j = 0; j < n_path; j++)
			r.routes[i].path[j][3] = (uint8_t)(j * 16 + i);
	}
	return r;
}

static void hello_survives(void **state)
{
	struct control_hello h = some_hello(), got;
	size_t n = 0;

	(void)state;
	assert_int_equal(control_put_hello(&h, buf, BUF, &n), 0);
	assert_int_equal(control_parse_hello(body_of(n), &got), 0);
	assert_int_equal(got.role, CONTROL_ROLE_GATEWAY);
	assert_memory_equal(got.node_id, h.node_id, CONTROL_NODE_ID);
	assert_string_equal(got.name, "node-7");
	assert_int_equal(got.n_prefixes, 2);
	assert_true(prefix_equal(&got.prefixes[0], &h.prefixes[0]));
	assert_true(prefix_equal(&got.prefixes[1], &h.prefixes[1]));
	assert_int_equal(got.features, 0x80000003);
	assert_int_equal(got.mtu, 9000);
}

/* Who has no lane to name says what it always said. */
static void a_lane_is_said_when_it_is_not_the_first(void **state)
{
	struct control_hello h = some_hello(), got;
	size_t without = 0, n = 0;

	(void)state;
	assert_int_equal(control_put_hello(&h, buf, BUF, &without), 0);
	for (uint8_t lane = 0; lane < CONTROL_LANES_MAX; lane++) {
		h.lane = lane;
		assert_int_equal(control_put_hello(&h, buf, BUF, &n), 0);
		assert_int_equal(n, without + (lane ? 2 : 0));
		assert_int_equal(control_parse_hello(body_of(n), &got), 0);
		assert_int_equal(got.lane, lane);
	}
	buf[n - 1] = CONTROL_LANES_MAX;
	got.lane = 99;
	assert_int_equal(control_parse_hello(body_of(n), &got), CONTROL_E_MALFORMED);
	assert_int_equal(got.lane, 99);
}

static void largest_hello_fits(void **state)
{
	struct control_hello h = some_hello(), got;
	size_t n = 0;

	(void)state;
	memset(h.name, 'x', CONTROL_NAME_MAX);
	h.lane = CONTROL_LANES_MAX - 1;
	h.n_prefixes = CONTROL_PREFIXES_MAX;
	for (size_t i = 0; i < CONTROL_PREFIXES_MAX; i++)
		h.prefixes[i] = prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
	assert_int_equal(control_put_hello(&h, buf, BUF, &n), 0);
	assert_int_equal(control_parse_hello(body_of(n), &got), 0);
	assert_int_equal(got.n_prefixes, CONTROL_PREFIXES_MAX);
}

static void routes_survive(void **state)
{
	struct control_routes r = some_routes(7, CONTROL_PATH_MAX), got;
	size_t n = 0;

	(void)state;
	r.routes[3].n_path = 0;
	assert_int_equal(control_put_routes(&r, buf, BUF, &n), 0);
	assert_int_equal(control_parse_routes(body_of(n), &got), 0);
	assert_int_equal(got.n_routes, 7);
	for (size_t i = 0; i < 7; i++) {
		assert_true(prefix_equal(&got.routes[i].prefix, &r.routes[i].prefix));
		assert_int_equal(got.routes[i].n_path, i == 3 ? 0 : CONTROL_PATH_MAX);
		assert_memory_equal(got.routes[i].path, r.routes[i].path,
				    got.routes[i].n_path * CONTROL_NODE_ID);
	}
}

static void long_routes_take_several_frames(void **state)
{
	struct control_routes r = some_routes(CONTROL_ROUTES_MAX, CONTROL_PATH_MAX), got;
	size_t n = 0, next = 0, frames = 0;

	(void)state;
	assert_int_equal(control_put_routes(&r, buf, BUF, &n), -EMSGSIZE);
	for (size_t first = 0; first < r.n_routes; first = next, frames++) {
		assert_int_equal(control_put_routes_some(&r, first, buf, BUF, &n, &next), 0);
		assert_int_equal(control_parse_routes(body_of(n), &got), 0);
		assert_int_equal(got.n_routes, next - first);
		assert_true(prefix_equal(&got.routes[0].prefix, &r.routes[first].prefix));
		/* as many as fit: one more would not have */
		assert_true(next == r.n_routes || n + 3 + 19 + 243 > BUF);
	}
	assert_int_equal(frames, 3);
	next = 99;
	assert_int_equal(control_put_routes_some(&r, 0, buf, 200, &n, &next), -EMSGSIZE);
	assert_int_equal(next, 99);
}

static void ping_and_notice_survive(void **state)
{
	struct control_notice notice = { .code = CONTROL_CODE_LIMIT, .text = "too many" }, got;
	struct control_ping ping = { .token = UINT64_MAX }, pong = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(control_put_ping(FRAME_PONG, &ping, buf, BUF, &n), 0);
	assert_int_equal(frame_type_of(body_of(n)), FRAME_PONG);
	assert_int_equal(control_parse_ping(body_of(n), &pong), 0);
	assert_true(pong.token == UINT64_MAX);
	assert_int_equal(control_parse_notice(body_of(n), &got), CONTROL_E_MALFORMED);
	memset(notice.text, 'y', CONTROL_TEXT_MAX);
	assert_int_equal(control_put_notice(FRAME_GOAWAY, &notice, buf, BUF, &n), 0);
	assert_int_equal(frame_type_of(body_of(n)), FRAME_GOAWAY);
	assert_int_equal(control_parse_notice(body_of(n), &got), 0);
	assert_int_equal(got.code, CONTROL_CODE_LIMIT);
	assert_string_equal(got.text, notice.text);
	assert_int_equal(control_parse_ping(body_of(n), &pong), CONTROL_E_MALFORMED);
}

/* Every frame cut short is refused, writes no output, and fits no buffer that is a byte too small.
 */
static void cuts_and_small_buffers(void **state)
{
	struct control_routes r = some_routes(3, 2), got_r = { .n_routes = 77 };
	struct control_hello h = some_hello(), got_h = { .mtu = 77 };
	size_t n = 0, n_small = 77;

	(void)state;
	assert_int_equal(control_put_hello(&h, buf, BUF, &n), 0);
	for (size_t i = FRAME_HEAD; i < n; i++)
		assert_int_equal(control_parse_hello(body_of(i), &got_h), CONTROL_E_MALFORMED);
	assert_int_equal(got_h.mtu, 77);
	for (size_t i = 0; i < n; i++) {
		buf[i] = 0xa5;
		assert_int_equal(control_put_hello(&h, buf, i, &n_small), -EMSGSIZE);
		assert_int_equal(buf[i], 0xa5);
	}
	assert_int_equal(control_put_routes(&r, buf, BUF, &n), 0);
	for (size_t i = FRAME_HEAD; i < n; i++)
		assert_int_equal(control_parse_routes(body_of(i), &got_r), CONTROL_E_MALFORMED);
	assert_int_equal(got_r.n_routes, 77);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(control_put_routes(&r, buf, i, &n_small), -EMSGSIZE);
	assert_int_equal(n_small, 77);
}

static void refuses_another_type(void **state)
{
	static struct control_routes r;
	struct control_notice some_notice = { .code = 1 };
	struct control_ping some_ping = { .token = 1 };
	struct control_hello h = some_hello();
	struct control_notice notice;
	struct control_ping ping;
	size_t n = 0;

	(void)state;
	assert_int_equal(control_put_hello(&h, buf, BUF, &n), 0);
	assert_int_equal(control_parse_routes(body_of(n), &r), CONTROL_E_MALFORMED);
	assert_int_equal(control_parse_ping(body_of(n), &ping), CONTROL_E_MALFORMED);
	assert_int_equal(control_parse_notice(body_of(n), &notice), CONTROL_E_MALFORMED);
	assert_int_equal(control_parse_hello(SPAN(buf, 0), &h), CONTROL_E_MALFORMED);
	buf[FRAME_HEAD] = FRAME_PING;
	assert_int_equal(control_parse_hello(body_of(n), &h), CONTROL_E_MALFORMED);
	r = some_routes(2, 2);
	assert_int_equal(control_put_routes(&r, buf, BUF, &n), 0);
	buf[FRAME_HEAD] = FRAME_EVIDENCE;
	assert_int_equal(control_parse_routes(body_of(n), &r), CONTROL_E_MALFORMED);
	assert_int_equal(control_put_notice(FRAME_EVIDENCE, &some_notice, buf, BUF, &n), 0);
	assert_int_equal(control_parse_notice(body_of(n), &notice), CONTROL_E_MALFORMED);
	assert_int_equal(control_put_ping(FRAME_GOAWAY, &some_ping, buf, BUF, &n), 0);
	assert_int_equal(control_parse_ping(body_of(n), &ping), CONTROL_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_survives),
		cmocka_unit_test(a_lane_is_said_when_it_is_not_the_first),
		cmocka_unit_test(largest_hello_fits),
		cmocka_unit_test(routes_survive),
		cmocka_unit_test(long_routes_take_several_frames),
		cmocka_unit_test(ping_and_notice_survive),
		cmocka_unit_test(cuts_and_small_buffers),
		cmocka_unit_test(refuses_another_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
