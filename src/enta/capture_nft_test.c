/*
 * The script for nftables: a golden one for the original's two command lines, and properties that
 * hold for any rules. That the kernel accepts and obeys it is test/netns/test_capture.py's
 * business.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "enta/capture.h"

static struct capture_addr addrs[2];
static struct capture_rule rules[4];
static struct replay_rule replays[4];
static struct capture_config cfg;

static void begin(const char *addr4, const char *addr6)
{
	cfg = (struct capture_config){
		.instance = "enta",
		.tun_name = "eng0",
		.addrs = addrs,
		.rules = rules,
		.replays = replays,
		.fwmark = 77,
		.mtu = 65535,
	};
	if (addr4) {
		assert_true(addr_parse(addr4, &addrs[cfg.n_addrs].addr));
		addrs[cfg.n_addrs++].len = 24;
	}
	if (addr6) {
		assert_true(addr_parse(addr6, &addrs[cfg.n_addrs].addr));
		addrs[cfg.n_addrs++].len = 64;
	}
}

static void add_addr(const char *text)
{
	assert_true(addr_parse(text, &addrs[cfg.n_addrs].addr));
	addrs[cfg.n_addrs++].len = 24;
}

static void capture(const char *text)
{
	char message[RULE_MESSAGE_MAX];

	assert_null(capture_rule_parse(text, &rules[cfg.n_rules++], message));
}

static void replay(const char *text)
{
	char message[RULE_MESSAGE_MAX];

	assert_null(replay_rule_parse(text, &replays[cfg.n_replays++], message));
}

/* The text of a chain, from its name to its end; the caller frees it. */
static char *chain(const char *name)
{
	char *script = capture_nft_script(&cfg), *start, *end, *copy;
	char head[64];

	assert_non_null(script);
	snprintf(head, sizeof(head), "\tchain %s {\n", name);
	start = strstr(script, head);
	assert_non_null(start);
	end = strstr(start, "\n\t}\n");
	assert_non_null(end);
	copy = strndup(start + strlen(head), (size_t)(end + 1 - start) - strlen(head));
	assert_non_null(copy);
	free(script);
	return copy;
}

static void assert_chain(const char *name, const char *text)
{
	char *is = chain(name);

	assert_string_equal(is, text);
	free(is);
}

static void test_golden(void **state)
{
	(void)state;
	begin("192.168.0.1", NULL);
	capture("7");
	replay("7");
	assert_chain("divert", "\t\ttype nat hook output priority -100; policy accept;\n"
			       "\t\toifname != \"eng0\" accept\n"
			       "\t\tmeta nfproto ipv4 tcp dport 7 dnat ip to 192.168.0.254:6978\n");
	assert_chain("outward",
		     "\t\ttype filter hook output priority -150; policy accept;\n"
		     "\t\tmeta mark 77 accept\n"
		     "\t\toifname { \"eng0\", \"lo\" } accept\n"
		     "\t\ticmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } accept\n"
		     "\t\tip protocol 2 accept\n"
		     "\t\tip saddr @tun_ip goto refuse\n"
		     "\t\tip6 saddr @tun_ip6 goto refuse\n"
		     "\t\tip daddr @home_ip goto refuse\n"
		     "\t\tip6 daddr @home_ip6 goto refuse\n"
		     "\t\tmeta nfproto ipv4 tcp dport 7 goto refuse\n"
		     "\t\tmeta nfproto ipv6 tcp dport 7 goto refuse\n");
	assert_chain("replay", "\t\ttype nat hook prerouting priority -100; policy accept;\n"
			       "\t\tiifname != \"eng0\" accept\n"
			       "\t\tmeta nfproto ipv4 tcp dport 6978 dnat ip to 192.168.0.1:7\n");
	assert_chain("service",
		     "\t\tct state established,related ct reply ip saddr @tun_ip accept\n"
		     "\t\tct state established,related ct reply ip6 saddr @tun_ip6 accept\n"
		     "\t\tmeta nfproto ipv4 tcp dport 6978 ct state new accept\n"
		     "\t\tmeta l4proto 6 reject with tcp reset\n"
		     "\t\treject with icmpx admin-prohibited\n");
}

static void assert_has(const char *text)
{
	char *script = capture_nft_script(&cfg);

	assert_non_null(script);
	if (!strstr(script, text))
		fail_msg("no \"%s\" in:\n%s", text, script);
	free(script);
}

static void test_home(void **state)
{
	(void)state;
	begin("10.1.0.1", "fd00::1");
	capture("tcp/10.9.0.0/16:80=10.8.0.1"); /* only its VIA: replies from port 80 alone */
	capture("any/10.7.0.0/16");
	capture("any/2001:db8::/64");
	assert_has("set home_ip { type ipv4_addr; flags interval; auto-merge; elements = { "
		   "10.1.0.0/24, 10.8.0.1, 10.7.0.0/16 }; }\n");
	assert_has("set home_ip6 { type ipv6_addr; flags interval; auto-merge; elements = { "
		   "fd00::/64, 2001:db8::/64 }; }\n");
}

static void test_families(void **state)
{
	char *text;

	(void)state;
	begin(NULL, "fd00::1");
	capture("udp/:53-54=[fd00::2]:5353");
	replay("udp/:53=5353");
	replay("icmp/");
	assert_has("set tun_ip { type ipv4_addr; }\n");
	assert_has("\t\tmeta nfproto ipv4 udp dport 53-54 goto refuse\n");
	assert_has("\t\tmeta nfproto ipv6 udp dport 53-54 dnat ip6 to [fd00::2]:5353\n");
	assert_has("\t\tmeta nfproto ipv6 icmpv6 type 128 dnat ip6 to fd00::1\n");
	text = chain("replay");
	assert_null(strstr(text, "ipv4")); /* no address to be at */
	free(text);
}

/* TCP stays at the TUN address it came for; all else goes to the first, unless the rule names one.
 */
static void test_replay_addresses(void **state)
{
	(void)state;
	begin("10.1.0.1", NULL);
	add_addr("10.1.0.2");
	replay("any/:53");
	replay("udp/10.1.0.2:123");
	replay("tcp/:6978=7");
	assert_chain(
		"replay",
		"\t\ttype nat hook prerouting priority -100; policy accept;\n"
		"\t\tiifname != \"eng0\" accept\n"
		"\t\tip daddr 10.1.0.2/32 tcp dport 53 accept\n"
		"\t\tmeta nfproto ipv4 meta l4proto { 6, 17 } th dport 53 dnat ip to 10.1.0.1\n"
		"\t\tip daddr 10.1.0.2/32 udp dport 123 accept\n"
		"\t\tip daddr 10.1.0.2/32 tcp dport 6978 dnat ip to 10.1.0.2:7\n"
		"\t\tmeta nfproto ipv4 tcp dport 6978 dnat ip to 10.1.0.1:7\n");
}

/* The first rule that matches decides: one that keeps the destination ends the search. */
static void test_order(void **state)
{
	(void)state;
	begin("10.1.0.1", NULL);
	capture("tcp/10.2.0.1:80");
	capture("tcp/10.2.0.0/16:80=10.1.0.2:6978");
	capture("any/10.3.0.0/16:53=10.1.0.2");
	assert_chain("divert", "\t\ttype nat hook output priority -100; policy accept;\n"
			       "\t\toifname != \"eng0\" accept\n"
			       "\t\tip daddr 10.2.0.1/32 tcp dport 80 accept\n"
			       "\t\tip daddr 10.2.0.0/16 tcp dport 80 dnat ip to 10.1.0.2:6978\n"
			       "\t\tip daddr 10.3.0.0/16 meta l4proto { 6, 17 } th dport 53 dnat "
			       "ip to 10.1.0.2\n");
}

static void test_slots(void **state)
{
	(void)state;
	assert_int_equal(capture_slot("enta"), 1473); /* a crash of an older version is found too */
	assert_int_not_equal(capture_slot("enta"), capture_slot("enta2"));
	assert_true(capture_instance_is_valid("a-1"));
	assert_true(capture_instance_is_valid("abcdefghijklmnopqrst"));
	assert_false(capture_instance_is_valid("abcdefghijklmnopqrstu"));
	assert_false(capture_instance_is_valid(""));
	assert_false(capture_instance_is_valid("a b"));
	assert_false(capture_instance_is_valid("a;flush ruleset"));
	assert_false(capture_instance_is_valid("../a"));
	assert_false(capture_instance_is_valid("A"));
}

static void assert_config_refused(const char *says)
{
	char message[CAPTURE_MESSAGE_MAX];
	struct capture *c = NULL;

	assert_true(capture_new(&cfg, &c, message) < 0);
	assert_null(c);
	assert_non_null(strstr(message, says));
}

static void test_config_refused(void **state)
{
	(void)state;
	begin("192.168.0.254", NULL);
	capture("7");
	assert_config_refused("own address 192.168.0.254");
	begin("192.168.0.1", NULL);
	cfg.instance = "a b";
	assert_config_refused("instance name");
	begin("192.168.0.1", NULL);
	cfg.tun_name = "a\" }; flush ruleset";
	assert_config_refused("TUN name");
	cfg.tun_name = "a/../b";
	assert_config_refused("TUN name");
	begin("192.168.0.1", NULL);
	cfg.fwmark = 0;
	assert_config_refused("must not be 0");
	begin("192.168.0.1", NULL);
	cfg.mtu = 1279;
	assert_config_refused("MTU");
	begin(NULL, NULL);
	assert_config_refused("addresses");
	begin("192.168.0.1", NULL);
	replay("7");
	replay("8");
	assert_config_refused("port of its own");
	begin("192.168.0.1", NULL);
	addrs[0].len = 33;
	assert_config_refused("mask");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	       cmocka_unit_test(test_home),
		cmocka_unit_test(test_families),       cmocka_unit_test(test_replay_addresses),
		cmocka_unit_test(test_order),	       cmocka_unit_test(test_slots),
		cmocka_unit_test(test_config_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
