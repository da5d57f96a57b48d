/* What users may write as addresses, prefixes and endpoints, and what they may not. */
#include "base/addr.h"

#include <string.h>

#include "base/test.h"

static void addresses(void **state)
{
	static const char *const good[] = { "192.168.0.254", "0.0.0.0", "::", "2001:db8::1" };
	static const char *const bad[] = {
		"", "192.168.0", "1.2.3.4.5", "[::1]", "::1%eth0", "host"
	};
	char text[ADDR_TEXT_MAX];
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(addr_parse(good[i], &a));
		assert_string_equal(addr_format(&a, text), good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(addr_parse(bad[i], &a));
	memset(&a, 0, sizeof(a));
	assert_string_equal(addr_format(&a, text), "-");
}

static void sockaddrs(void **state)
{
	struct sockaddr_storage ss;
	struct addr a, back;
	uint16_t port = 0;

	(void)state;
	assert_true(addr_parse("10.1.2.3", &a));
	assert_true(addr_to_sockaddr(&a, 7, &ss) > 0);
	assert_true(addr_from_sockaddr((struct sockaddr *)&ss, &back, &port));
	assert_true(addr_equal(&a, &back) && port == 7);
	assert_true(addr_parse("::ffff:10.1.2.3", &back));
	assert_true(addr_to_sockaddr(&back, 8, &ss) > 0);
	assert_true(addr_from_sockaddr((struct sockaddr *)&ss, &back, &port));
	assert_true(addr_equal(&a, &back) && port == 8);
	ss.ss_family = AF_UNIX;
	assert_false(addr_from_sockaddr((struct sockaddr *)&ss, &back, &port));
}

static void prefixes(void **state)
{
	static const char *const bad[] = { "10.0.0.1/8",  "10.0.0.0/33", "::/129", "10.0.0.0/",
					   "10.0.0.0/-1", "10.0.0.0/8 ", "/8",	   "10.0.0.0/8/8" };
	char text[PREFIX_TEXT_MAX];
	struct prefix p, q;
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(prefix_parse(bad[i], false, &p));
	assert_true(prefix_parse("10.0.0.1/8", true, &p));
	assert_string_equal(prefix_format(&p, text), "10.0.0.0/8");
	assert_true(prefix_parse("10.128.0.0/9", false, &q));
	assert_true(prefix_covers(&p, &q));
	assert_false(prefix_covers(&q, &p));
	assert_true(addr_parse("10.127.255.255", &a));
	assert_true(prefix_contains(&p, &a));
	assert_false(prefix_contains(&q, &a));
	assert_true(prefix_parse("::/0", false, &q));
	assert_false(prefix_contains(&q, &a));
	assert_true(prefix_parse("2001:db8::1", false, &q));
	assert_int_equal(q.len, 128);
	memset(&q, 0, sizeof(q));
	memset(&a, 0, sizeof(a));
	assert_false(prefix_contains(&q, &a)); /* none contains nothing, not even none */
}

static void endpoints(void **state)
{
	static const char *const bad[] = {
		"",	   ":",	     "host",	"host:",   "host:0",	"host:65536",
		"host:7x", "::1:80", "[::1:80", "[::1]80", "[host]:80", "udp://h:1",
		":80",	   "tcp://", "a b:80",	"[]:80",   "host: 80",	"h\n:80"
	};
	struct endpoint e;
	char text[ENDPOINT_TEXT_MAX], longname[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_non_null(endpoint_parse_connect(bad[i], &e));
	assert_null(endpoint_parse_connect("gw.example:6980", &e));
	assert_false(e.plain);
	assert_null(endpoint_parse_connect("tcp://[2001:db8::1]:6980", &e));
	assert_true(e.plain && e.port == 6980);
	assert_string_equal(e.host, "2001:db8::1");
	assert_string_equal(endpoint_format(&e, text), "tcp://[2001:db8::1]:6980");
	assert_null(endpoint_parse_listen("6979", &e));
	assert_true(!e.plain && e.host[0] == '\0' && e.port == 6979);
	assert_null(endpoint_parse_listen("tcp://127.0.0.1:6979", &e));
	assert_true(e.plain);
	assert_string_equal(endpoint_format(&e, text), "tcp://127.0.0.1:6979");
	assert_non_null(endpoint_parse_listen("host:6979", &e));
	assert_non_null(endpoint_parse_listen("0", &e));
	memset(longname, 'a', sizeof(longname));
	memcpy(longname + sizeof(longname) - 5, ":123", 5);
	assert_non_null(endpoint_parse_connect(longname, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(sockaddrs),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
