/* Who is best, who hears of it, who may send: step by step, and with every allocation failing once.
 */
#include "route/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"

static const uint8_t own[ROUTE_NODE_ID] = { 'o' };
static int alice, bob, carol, dave; /* peers are addresses of anything */

static struct heard {
	size_t n;
	struct prefix prefix;
	const void *peer;
	size_t n_path;
} heard;

static long fail_after = -1; /* allocations until one fails; below 0: none does */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (fail_after == 0)
		return NULL;
	if (fail_after > 0)
		fail_after--;
	return __real_calloc(n, size);
}

static void hear(void *ctx, const struct prefix *prefix, void *peer, const struct route_path *path)
{
	struct heard *h = ctx;

	assert_int_equal(peer == NULL, path == NULL);
	h->n++;
	h->prefix = *prefix;
	h->peer = peer;
	h->n_path = path ? path->n : 0;
}

/* Asserts that exactly one change was heard since the last time. */
static void assert_heard(const char *prefix, const void *peer, size_t n_path)
{
	struct prefix p;

	assert_true(prefix_parse(prefix, false, &p));
	assert_int_equal(heard.n, 1);
	assert_true(prefix_equal(&heard.prefix, &p));
	assert_ptr_equal(heard.peer, peer);
	assert_int_equal(heard.n_path, n_path);
	heard.n = 0;
}

static struct route_path path_of(const char *letters)
{
	struct route_path path = { .n = strlen(letters) };

	for (size_t i = 0; i < path.n; i++)
		path.ids[i][0] = (uint8_t)letters[i];
	return path;
}

static struct route_table *table(void)
{
	struct route_table *t = NULL;

	memset(&heard, 0, sizeof(heard));
	assert_int_equal(route_table_new(own, hear, &heard, &t), 0);
	return t;
}

/* A gateway is a letter, a path is a word. */
static int add(struct route_table *t, const char *prefix, void *peer, const char *letters)
{
	struct route_path path = path_of(letters);
	struct prefix p;

	assert_true(prefix_parse(prefix, false, &p));
	return route_add(t, &p, peer, &path);
}

static int withdraw(struct route_table *t, const char *prefix, void *peer, uint64_t now_ms)
{
	struct prefix p;

	assert_true(prefix_parse(prefix, false, &p));
	return route_withdraw(t, &p, peer, now_ms);
}

static void *lookup(const struct route_table *t, const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return route_lookup(t, &a);
}

static bool may_send(const struct route_table *t, const void *peer, const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return route_may_send(t, peer, &a);
}

static void longest_prefix_wins(void **state)
{
	struct route_table *t = table();
	struct addr none = { 0 };

	(void)state;
	assert_null(lookup(t, "10.0.0.1"));
	assert_int_equal(add(t, "0.0.0.0/0", &alice, ""), 0);
	assert_int_equal(add(t, "10.0.0.0/8", &bob, "abcdef"), 0);
	assert_int_equal(add(t, "10.0.0.1", &carol, "abcdefgh"), 0);
	assert_int_equal(add(t, "::/0", &bob, ""), 0);
	assert_int_equal(add(t, "2001:db8::1", &alice, ""), 0);
	assert_ptr_equal(lookup(t, "10.0.0.1"), &carol);
	assert_ptr_equal(lookup(t, "10.0.0.2"), &bob);
	assert_ptr_equal(lookup(t, "11.0.0.1"), &alice);
	assert_ptr_equal(lookup(t, "2001:db8::1"), &alice);
	assert_ptr_equal(lookup(t, "2001:db8::2"), &bob);
	assert_null(route_lookup(t, &none));
	assert_false(route_may_send(t, &alice, &none));
	assert_int_equal(route_count(t, &alice), 2);
	assert_int_equal(route_count(t, &own), 0);
	route_table_free(t);
}

static void shortest_path_wins_then_the_first(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &alice, "ab"), 0);
	assert_heard("10.0.0.1", &alice, 2);
	assert_int_equal(add(t, "10.0.0.1", &bob, "cd"), 0);
	assert_int_equal(heard.n, 0);
	assert_int_equal(add(t, "10.0.0.1", &carol, "e"), 0);
	assert_heard("10.0.0.1", &carol, 1);
	assert_int_equal(withdraw(t, "10.0.0.1", &carol, 0), 0);
	assert_heard("10.0.0.1", &alice, 2);
	assert_int_equal(add(t, "10.0.0.1", &carol, "ef"), 0); /* back, but not first any more */
	assert_int_equal(heard.n, 0);
	assert_int_equal(withdraw(t, "10.0.0.1", &alice, 0), 0);
	assert_heard("10.0.0.1", &bob, 2);
	assert_int_equal(withdraw(t, "10.0.0.1", &bob, 0), 0);
	assert_heard("10.0.0.1", &carol, 2);
	assert_int_equal(withdraw(t, "10.0.0.1", &carol, 0), 0);
	assert_heard("10.0.0.1", NULL, 0);
	assert_null(lookup(t, "10.0.0.1"));
	assert_int_equal(add(t, "10.0.0.1", &dave, "abc"), 0); /* longer than what lingers */
	assert_heard("10.0.0.1", &dave, 3);
	route_table_free(t);
	assert_int_equal(heard.n, 0); /* the end of the table is no change */
}

static void replacing_is_heard_only_when_it_matters(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &alice, "ab"), 0);
	assert_int_equal(add(t, "10.0.0.1", &bob, "cd"), 0);
	assert_heard("10.0.0.1", &alice, 2);
	assert_int_equal(add(t, "10.0.0.1", &alice, "ab"), 0); /* the same again */
	assert_int_equal(add(t, "10.0.0.1", &bob, "ce"), 0);   /* not the best's */
	assert_int_equal(heard.n, 0);
	assert_int_equal(add(t, "10.0.0.1", &alice, "ax"), 0); /* same length: still first */
	assert_heard("10.0.0.1", &alice, 2);
	assert_int_equal(add(t, "10.0.0.1", &alice, "abc"), 0);
	assert_heard("10.0.0.1", &bob, 2);
	assert_int_equal(add(t, "10.0.0.1", &alice, "a"), 0);
	assert_heard("10.0.0.1", &alice, 1);
	assert_int_equal(route_count(t, &alice), 1);
	route_table_free(t);
}

static void loops_are_refused(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &alice, "o"), ROUTE_E_LOOP);
	assert_int_equal(add(t, "10.0.0.1", &alice, "abcdefghijklmno"), ROUTE_E_LOOP);
	assert_int_equal(add(t, "10.0.0.1", &alice, "abca"), ROUTE_E_LOOP);
	assert_int_equal(add(t, "10.0.0.1", &alice, "abb"), ROUTE_E_LOOP);
	assert_int_equal(heard.n, 0);
	assert_int_equal(route_count(t, &alice), 0);
	assert_int_equal(add(t, "10.0.0.1", &alice, "abcdefghijklmnp"), 0);
	assert_heard("10.0.0.1", &alice, 15);
	assert_int_equal(add(t, "10.0.0.1", &alice, "ao"), ROUTE_E_LOOP); /* unchanged */
	assert_ptr_equal(lookup(t, "10.0.0.1"), &alice);
	route_table_free(t);
}

static void local_prefixes_have_one_owner(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &bob, "x"), 0); /* remote routes are no owners */
	assert_int_equal(add(t, "10.0.0.1", &alice, ""), 0);
	assert_int_equal(add(t, "10.0.0.1", &alice, ""), 0); /* itself again */
	assert_int_equal(add(t, "10.0.0.1", &bob, ""), ROUTE_E_TAKEN);
	assert_int_equal(add(t, "10.0.0.1", &carol, ""), ROUTE_E_TAKEN);
	assert_int_equal(add(t, "10.0.0.0/31", &carol, ""), 0); /* another prefix */
	assert_int_equal(route_count(t, &carol), 1);
	assert_int_equal(withdraw(t, "10.0.0.1", &alice, 0), 0); /* lingers, but gave it up */
	assert_int_equal(add(t, "10.0.0.1", &carol, ""), 0);
	assert_ptr_equal(lookup(t, "10.0.0.1"), &carol);
	assert_int_equal(add(t, "10.0.0.1", &alice, ""), ROUTE_E_TAKEN);
	route_table_free(t);
}

static void sources_are_those_of_candidates(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.0/8", &alice, "a"), 0);
	assert_int_equal(add(t, "10.0.0.1", &bob, ""), 0);
	assert_true(may_send(t, &alice, "10.0.0.1")); /* of the /8, though bob is best */
	assert_true(may_send(t, &bob, "10.0.0.1"));
	assert_true(may_send(t, &alice, "10.255.255.255"));
	assert_false(may_send(t, &bob, "10.0.0.2"));
	assert_false(may_send(t, &alice, "11.0.0.1"));
	assert_false(may_send(t, &carol, "10.0.0.1"));
	assert_false(may_send(t, &alice, "2001:db8::1"));
	assert_false(may_send(t, &alice, "a00::"));
	route_table_free(t);
}

static void withdrawn_routes_linger_for_sources_only(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(withdraw(t, "10.0.0.1", &alice, 0), ROUTE_E_NONE);
	assert_int_equal(add(t, "10.0.0.1", &alice, ""), 0);
	assert_int_equal(add(t, "10.0.0.0/24", &bob, "b"), 0);
	assert_int_equal(withdraw(t, "10.0.0.1", &bob, 0), ROUTE_E_NONE);
	assert_int_equal(withdraw(t, "10.0.0.1", &alice, 1000), 0);
	assert_int_equal(withdraw(t, "10.0.0.1", &alice, 1000), ROUTE_E_NONE);
	assert_ptr_equal(lookup(t, "10.0.0.1"), &bob); /* the shorter prefix, not the lingering */
	assert_true(may_send(t, &alice, "10.0.0.1"));
	assert_int_equal(route_count(t, &alice), 0);
	assert_int_equal(route_expire(t, 1000 + ROUTE_LINGER_MS - 1), 1);
	assert_true(may_send(t, &alice, "10.0.0.1"));
	assert_int_equal(route_expire(t, 1000 + ROUTE_LINGER_MS), 0);
	assert_false(may_send(t, &alice, "10.0.0.1"));
	assert_ptr_equal(lookup(t, "10.0.0.1"), &bob);
	route_table_free(t);
}

static void a_lingering_route_comes_alive_again(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &alice, "a"), 0);
	assert_int_equal(withdraw(t, "10.0.0.1", &alice, 0), 0);
	heard.n = 0;
	assert_int_equal(add(t, "10.0.0.1", &alice, "a"), 0);
	assert_heard("10.0.0.1", &alice, 1);
	assert_int_equal(route_expire(t, UINT64_MAX), 0);
	assert_ptr_equal(lookup(t, "10.0.0.1"), &alice);
	assert_int_equal(route_count(t, &alice), 1);
	route_table_free(t);
}

static void a_dropped_peer_leaves_nothing(void **state)
{
	struct route_table *t = table();

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &alice, "a"), 0);
	assert_int_equal(add(t, "10.0.0.1", &bob, "bc"), 0);
	assert_int_equal(add(t, "10.0.0.2", &alice, "a"), 0);
	assert_int_equal(withdraw(t, "10.0.0.2", &alice, 0), 0);
	heard.n = 0;
	route_drop_peer(t, &alice);
	assert_heard("10.0.0.1", &bob, 2);
	assert_false(may_send(t, &alice, "10.0.0.1"));
	assert_false(may_send(t, &alice, "10.0.0.2"));
	assert_int_equal(route_expire(t, 0), 0);
	route_drop_peer(t, &alice);
	route_drop_peer(t, &bob);
	assert_heard("10.0.0.1", NULL, 0);
	route_table_free(t);
	route_table_free(NULL);
}

static void each_best_is_told(void **state)
{
	struct route_table *t = table();
	struct heard each = { 0 };

	(void)state;
	assert_int_equal(add(t, "10.0.0.1", &alice, "a"), 0);
	assert_int_equal(add(t, "10.0.0.1", &bob, ""), 0);
	assert_int_equal(add(t, "10.0.0.0/30", &carol, "c"), 0);
	assert_int_equal(add(t, "10.0.0.2", &carol, "c"), 0);
	assert_int_equal(withdraw(t, "10.0.0.2", &carol, 0), 0);
	assert_int_equal(add(t, "2001:db8::/32", &bob, "bcd"), 0);
	heard.n = 0;
	route_each_best(t, hear, &each);
	assert_int_equal(each.n, 3);
	assert_ptr_equal(each.peer, &bob); /* IPv6 comes last */
	assert_int_equal(each.n_path, 3);
	assert_int_equal(heard.n, 0);
	route_table_free(t);
}

static struct prefix host(uint32_t n)
{
	uint8_t bytes[4] = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
	struct addr a = addr_v4(bytes);

	return prefix_of(&a, 32);
}

static void a_peer_is_bounded(void **state)
{
	struct route_path path = path_of("a");
	struct route_table *t = table();
	struct prefix p;

	(void)state;
	for (uint32_t i = 0; i < ROUTE_PER_PEER_MAX; i++) {
		p = host(i);
		assert_int_equal(route_add(t, &p, &alice, &path), 0);
	}
	p = host(ROUTE_PER_PEER_MAX);
	assert_int_equal(route_add(t, &p, &alice, &path), ROUTE_E_FULL);
	assert_int_equal(route_add(t, &p, &bob, &path), 0); /* the bound is each peer's own */
	p = host(0);
	assert_int_equal(route_add(t, &p, &alice, &path), 0); /* replacing needs no room */
	assert_int_equal(route_count(t, &alice), ROUTE_PER_PEER_MAX);

	/* Lingering ones count, and the oldest makes room. */
	for (uint32_t i = 0; i < 3; i++) {
		p = host(i);
		assert_int_equal(route_withdraw(t, &p, &alice, i), 0);
	}
	assert_int_equal(route_expire(t, 0), 3);
	p = host(ROUTE_PER_PEER_MAX);
	assert_int_equal(route_add(t, &p, &alice, &path), 0);
	assert_int_equal(route_expire(t, 0), 2);
	assert_false(may_send(t, &alice, "10.0.0.0"));
	assert_true(may_send(t, &alice, "10.0.0.1"));
	route_table_free(t);
}

/* Everything once, in a table; stops at the first error, which only memory may cause. */
static int exercise(struct route_table *t)
{
	int r = add(t, "10.0.0.0/30", &alice, "a");

	r = r ? r : add(t, "10.0.0.1", &alice, "a");
	r = r ? r : add(t, "10.0.0.5", &bob, "b"); /* parts the trie: two nodes */
	r = r ? r : add(t, "10.0.0.1", &bob, "");
	r = r ? r : add(t, "2001:db8::/32", &carol, "");
	r = r ? r : withdraw(t, "10.0.0.1", &bob, 0);
	r = r ? r : add(t, "10.0.0.1", &bob, "bc");
	return r;
}

static void every_allocation_fails_once(void **state)
{
	struct route_table *t;
	long n;
	int r;

	(void)state;
	for (n = 0;; n++) {
		t = NULL;
		fail_after = n;
		r = route_table_new(own, hear, &heard, &t);
		if (r == 0)
			r = exercise(t);
		fail_after = -1;
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		if (t) { /* unchanged by the failure, and the same again succeeds */
			if (route_count(t, &alice) > 0)
				assert_ptr_equal(lookup(t, "10.0.0.3"), &alice);
			assert_int_equal(exercise(t), 0);
			assert_ptr_equal(lookup(t, "10.0.0.1"), &alice);
			assert_int_equal(route_count(t, &bob), 2);
		}
		route_table_free(t);
	}
	assert_int_equal(n, 1 + 3 + 5 + 4 + 5); /* table, peers, candidates, entries, trie nodes */
	route_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_prefix_wins),
		cmocka_unit_test(shortest_path_wins_then_the_first),
		cmocka_unit_test(replacing_is_heard_only_when_it_matters),
		cmocka_unit_test(loops_are_refused),
		cmocka_unit_test(local_prefixes_have_one_owner),
		cmocka_unit_test(sources_are_those_of_candidates),
		cmocka_unit_test(withdrawn_routes_linger_for_sources_only),
		cmocka_unit_test(a_lingering_route_comes_alive_again),
		cmocka_unit_test(a_dropped_peer_leaves_nothing),
		cmocka_unit_test(each_best_is_told),
		cmocka_unit_test(a_peer_is_bounded),
		cmocka_unit_test(every_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
