/* The rule grammar: what is accepted and means what, and that every refusal says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "enta/rules.h"

static char message[RULE_MESSAGE_MAX];

static void assert_capture(const char *text, const char *means)
{
	struct capture_rule r = { 0 };
	char line[RULE_LINE_MAX];

	assert_null(capture_rule_parse(text, &r, message));
	assert_string_equal(capture_rule_describe(&r, line), means);
}

static void assert_replay(const char *text, const char *means)
{
	struct replay_rule r = { 0 };
	char line[RULE_LINE_MAX];

	assert_null(replay_rule_parse(text, &r, message));
	assert_string_equal(replay_rule_describe(&r, line), means);
}

static void test_capture_accepts(void **state)
{
	(void)state;
	assert_capture("7", "tcp any -> port 7, to 192.168.0.254:6978");
	assert_capture("65535", "tcp any -> port 65535, to 192.168.0.254:6978");
	assert_capture("7=10.0.0.1", "tcp any -> port 7, to 10.0.0.1");
	assert_capture("7=10.0.0.1:80", "tcp any -> port 7, to 10.0.0.1:80");
	assert_capture(":7", "tcp any -> port 7, destination kept");
	assert_capture(":7-9", "tcp any -> ports 7-9, destination kept");
	assert_capture("udp/:53", "udp any -> port 53, destination kept");
	assert_capture("any/:53", "tcp and udp any -> port 53, destination kept");
	assert_capture("any/", "any any -> any port, destination kept");
	assert_capture("tcp/", "tcp any -> any port, destination kept");
	assert_capture("icmp/", "icmp any -> echo, destination kept");
	assert_capture("icmp/10.0.0.0/8=10.1.1.1", "icmp 10.0.0.0/8 -> echo, to 10.1.1.1");
	assert_capture("10.0.0.0/8", "any 10.0.0.0/8 -> any port, destination kept");
	assert_capture("0.0.0.0/0", "any 0.0.0.0/0 -> any port, destination kept");
	assert_capture("10.0.0.0/8:80", "tcp 10.0.0.0/8 -> port 80, destination kept");
	assert_capture("10.0.0.1", "any 10.0.0.1/32 -> any port, destination kept");
	assert_capture("10.0.0.1=10.2.2.2", "any 10.0.0.1/32 -> any port, to 10.2.2.2");
	assert_capture("tcp/10.0.0.0/8=10.1.1.1:80", "tcp 10.0.0.0/8 -> any port, to 10.1.1.1:80");
	assert_capture("2001:db8::/64", "any 2001:db8::/64 -> any port, destination kept");
	assert_capture("fd00::/8", "any fd00::/8 -> any port, destination kept");
	assert_capture("[2001:db8::]/64", "any 2001:db8::/64 -> any port, destination kept");
	assert_capture("[2001:db8::/64]:80", "tcp 2001:db8::/64 -> port 80, destination kept");
	assert_capture("udp/[2001:db8::]/64:80-90=[fd00::2]:6978",
		       "udp 2001:db8::/64 -> ports 80-90, to [fd00::2]:6978");
	assert_capture("tcp/[2001:db8::1]:80=fd00::2",
		       "tcp 2001:db8::1/128 -> port 80, to fd00::2");
	assert_capture("tcp/:7=[fd00::2]", "tcp any -> port 7, to fd00::2");
}

static void test_replay_accepts(void **state)
{
	(void)state;
	assert_replay("7", "tcp any address port 6978, to local port 7");
	assert_replay("8080=80", "tcp any address port 8080, to local port 80");
	assert_replay(":80", "tcp any address port 80, port kept");
	assert_replay("udp/:53=5353", "udp any address port 53, to local port 5353");
	assert_replay("tcp/10.0.0.9:80-90", "tcp 10.0.0.9 ports 80-90, port kept");
	assert_replay("[fd00::2]:80=8080", "tcp fd00::2 port 80, to local port 8080");
	assert_replay("fd00::2", "any fd00::2 any port, port kept");
	assert_replay("any/", "any any address any port, port kept");
	assert_replay("icmp/", "icmp any address echo, answered here");
	assert_replay("icmp/10.0.0.9", "icmp 10.0.0.9 echo, answered here");
}

struct refusal {
	const char *text;
	const char *says; /* the part of the message that helps */
};

static void assert_helps(const char *text, const char *said, const char *says)
{
	assert_non_null(said);
	assert_ptr_equal(said, message);
	assert_non_null(strstr(message, text)); /* names the rule */
	if (!strstr(message, says))
		fail_msg("\"%s\" says: %s", text, message);
}

static void test_capture_refuses(void **state)
{
	static const struct refusal cases[] = {
		{ "", "empty" },
		{ "0", "from 1 to 65535" },
		{ "65536", "from 1 to 65535" },
		{ "700000", "no address" },
		{ "-7", "no address" },
		{ "7 ", "no address" },
		{ " 7", "no address" },
		{ "7-9", "no address" },
		{ "udp/7", "udp/:7" },
		{ "tcp/:", "from 1 to 65535" },
		{ "tcp/:0", "from 1 to 65535" },
		{ "tcp/:65536", "from 1 to 65535" },
		{ "tcp/:7-", "from 1 to 65535" },
		{ "tcp/:-7", "from 1 to 65535" },
		{ "tcp/:9-7", ":7-9" },
		{ "tcp/:7-8-9", "from 1 to 65535" },
		{ "tcp/:+7", "from 1 to 65535" },
		{ "sctp/:7", "tcp/, udp/, icmp/ or any/" },
		{ "TCP/:7", "tcp/, udp/, icmp/ or any/" },
		{ "tcp//:7", "no address" },
		{ "tcp", "no address" },
		{ "example.org:7", "names are not looked up" },
		{ "10.0.0.1/8:80", "write 10.0.0.0/8" },
		{ "2001:db8::1/64", "write 2001:db8::/64" },
		{ "10.0.0.0/33", "no address" },
		{ "10.0.0.0/:80", "no address" },
		{ "10.0.0:80", "no address" },
		{ "2001:db8::/64:80", "[2001:db8::]/64:80" },
		{ "[2001:db8::/64:80", "[2001:db8::]/64:80" },
		{ "[2001:db8::]1", "[2001:db8::]/64:80" },
		{ "[]:80", "[2001:db8::]/64:80" },
		{ "[2001:db8::]/129:80", "no address" },
		{ "::ffff:10.0.0.1", "write the IPv4 address" },
		{ "127.0.0.1:80", "own addresses" },
		{ "127.0.0.0/8", "own addresses" },
		{ "::1", "own addresses" },
		{ "icmp/:7", "icmp has no ports" },
		{ "icmp/10.0.0.1=10.0.0.2:7", "icmp has no ports" },
		{ "=10.0.0.1", "before the \"=\"" },
		{ "tcp/:7=", "behind the \"=\"" },
		{ "tcp/:7=6978", "behind the \"=\"" },
		{ "tcp/:7=10.0.0.0/8", "behind the \"=\"" },
		{ "tcp/:7=10.0.0.1:", "from 1 to 65535" },
		{ "tcp/:7=10.0.0.1:0", "from 1 to 65535" },
		{ "tcp/:7=10.0.0.1:7-9", "from 1 to 65535" },
		{ "tcp/:7=:6978", "behind the \"=\"" },
		{ "tcp/:7=10.0.0.1=10.0.0.2", "no address" },
		{ "tcp/:7=127.0.0.1:6978", "this host itself" },
		{ "tcp/:7=0.0.0.0", "this host itself" },
		{ "tcp/:7=[::1]:6978", "this host itself" },
		{ "tcp/:7=host:6978", "names are not looked up" },
		{ "10.0.0.0/8:7=[fd00::2]:6978", "of one kind" },
		{ "[fd00::]/8:7=10.0.0.1:6978", "of one kind" },
		{ "10.0.0.0/8=10.0.0.1:6978", "tcp/ or udp/" },
		{ "any/=10.0.0.1:6978", "tcp/ or udp/" },
	};
	struct capture_rule r = { .via_port = 4711 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_helps(cases[i].text, capture_rule_parse(cases[i].text, &r, message),
			     cases[i].says);
		assert_int_equal(r.via_port, 4711); /* outputs are written only on success */
	}
}

static void test_replay_refuses(void **state)
{
	static const struct refusal cases[] = {
		{ "", "empty" },
		{ "0", "from 1 to 65535" },
		{ "65536", "from 1 to 65535" },
		{ "udp/7", "udp/:7" },
		{ "7-9", "no address" },
		{ "10.0.0.0/8:80", "leave out the /8" },
		{ "fd00::/8", "leave out the /8" },
		{ "tcp/=7", "write :PORT=7" },
		{ "10.0.0.1=7", "write :PORT=7" },
		{ "icmp/=7", "icmp has no ports" },
		{ "icmp/:7", "icmp has no ports" },
		{ ":80=", "from 1 to 65535" },
		{ ":80=0", "from 1 to 65535" },
		{ ":80=10.0.0.1:7", "from 1 to 65535" },
		{ ":80=80-90", "from 1 to 65535" },
		{ "=7", "before the \"=\"" },
		{ "gre/", "tcp/, udp/, icmp/ or any/" },
	};
	struct replay_rule r = { .to_port = 4711 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_helps(cases[i].text, replay_rule_parse(cases[i].text, &r, message),
			     cases[i].says);
		assert_int_equal(r.to_port, 4711);
	}
}

/* However long or odd the text: refused, bounded, and no byte of it reaches the terminal raw. */
static void test_hostile_text(void **state)
{
	char text[4 * RULE_TEXT_MAX];
	struct capture_rule c;
	struct replay_rule r;

	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		memset(text, byte, sizeof(text));
		text[sizeof(text) - 1] = '\0';
		assert_non_null(capture_rule_parse(text, &c, message));
		assert_true(strlen(message) < RULE_MESSAGE_MAX);
		text[7] = '\0';
		assert_non_null(replay_rule_parse(text, &r, message));
		for (size_t i = 0; message[i]; i++)
			assert_true(message[i] >= ' ' && message[i] < 127);
	}
}

static const char *check(const char *a, const char *b)
{
	struct replay_rule rules[2];

	assert_null(replay_rule_parse(a, &rules[0], message));
	assert_null(replay_rule_parse(b, &rules[1], message));
	return replay_rules_check(rules, 2, message);
}

static void test_replay_conflicts(void **state)
{
	(void)state;
	assert_non_null(check("7", "80"));
	assert_non_null(strstr(message, "tcp/:6978=7 and tcp/:6979=80"));
	assert_non_null(check("7", "tcp/:6978"));
	assert_non_null(check("tcp/:80-90", "tcp/:90-95=7"));
	assert_non_null(check("udp/10.0.0.1:5", "udp/10.0.0.1:5=6"));
	assert_null(check("7", "udp/:6978"));
	assert_null(check("7", "tcp/:6979=7"));
	assert_null(check("tcp/10.0.0.1:5", "tcp/10.0.0.2:5"));
	assert_null(check("tcp/:80", "any/"));
}

static void test_families(void **state)
{
	struct capture_rule r;

	(void)state;
	assert_null(capture_rule_parse("7", &r, message));
	assert_true(capture_rule_covers(&r, AF_INET) && capture_rule_covers(&r, AF_INET6));
	assert_true(capture_rule_carries(&r, AF_INET) && !capture_rule_carries(&r, AF_INET6));
	assert_null(capture_rule_parse(":7", &r, message));
	assert_true(capture_rule_carries(&r, AF_INET) && capture_rule_carries(&r, AF_INET6));
	assert_null(capture_rule_parse("fd00::/8", &r, message));
	assert_true(!capture_rule_covers(&r, AF_INET) && capture_rule_carries(&r, AF_INET6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capture_accepts), cmocka_unit_test(test_replay_accepts),
		cmocka_unit_test(test_capture_refuses), cmocka_unit_test(test_replay_refuses),
		cmocka_unit_test(test_hostile_text),	cmocka_unit_test(test_replay_conflicts),
		cmocka_unit_test(test_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
