/* The trie against a list: random prefixes of few distinct bits, so that they nest and part. */
#include "route/trie.h"

#include <stdlib.h>

#include "base/test.h"

enum { N_PREFIXES = 400, N_STEPS = 20000 };

struct model {
	struct prefix prefix;
	struct trie_node *node; /* NULL: not in the trie */
};

static struct model models[N_PREFIXES];
static uint32_t seed;

static uint32_t draw(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

static struct addr draw_addr(bool v6)
{
	uint8_t bytes[16];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(draw(4) ? 0 : draw(2) ? 0x80 : 1);
	return v6 ? addr_v6(bytes) : addr_v4(bytes);
}

static struct model *model_of(const struct prefix *p)
{
	for (size_t i = 0; i < N_PREFIXES; i++)
		if (prefix_equal(&models[i].prefix, p))
			return &models[i];
	return NULL;
}

static void check_covering(const struct trie *t, const struct addr *a)
{
	struct trie_key key = trie_key_of(a);
	const struct trie_node *n;
	size_t want = 0, got = 0;
	int last = -1;

	for (size_t i = 0; i < N_PREFIXES; i++)
		want += models[i].node && model_of(&models[i].prefix) == &models[i] &&
			prefix_contains(&models[i].prefix, a);
	TRIE_FOREACH_COVERING(n, t, &key)
	{
		assert_true(n->len > last);
		last = n->len;
		if (!n->value)
			continue;
		assert_true(prefix_contains(&((struct model *)n->value)->prefix, a));
		got++;
	}
	assert_int_equal(got, want);
}

/* trie_next() meets every value once, in order, and no valueless node has less than two children.
 */
static void check_order(const struct trie *t, size_t want)
{
	const struct model *before = NULL;
	size_t got = 0;

	for (struct trie_node *n = trie_next(t, NULL); n; n = trie_next(t, n)) {
		const struct model *m = n->value;
		int order =
			before ? memcmp(before->prefix.addr.bytes, m->prefix.addr.bytes, 16) : -1;

		assert_true(order < 0 || (order == 0 && before->prefix.len < m->prefix.len));
		before = m;
		got++;
		for (const struct trie_node *p = n->parent; p; p = p->parent)
			assert_true(p->value || (p->child[0] && p->child[1]));
	}
	assert_int_equal(got, want);
}

static void follows_the_model(bool v6)
{
	struct trie t = { 0 };
	size_t n_in = 0;

	for (size_t i = 0; i < N_PREFIXES; i++) {
		struct addr a = draw_addr(v6);

		models[i] = (struct model){ .prefix = prefix_of(
						    &a, (uint8_t)draw(addr_bits(&a) + 1u)) };
	}
	for (size_t step = 0; step < N_STEPS; step++) {
		struct model *m = model_of(&models[draw(N_PREFIXES)].prefix);
		struct addr a = draw_addr(v6);

		assert_ptr_equal(trie_find(&t, &m->prefix), m->node);
		if (!m->node) {
			m->node = trie_insert(&t, &m->prefix, m);
			assert_non_null(m->node);
			n_in++;
		} else if (draw(10) < (step / 2000 % 2 ? 9u : 3u)) {
			trie_remove(&t, TAKE(m->node));
			n_in--;
		}
		if (step % 50 == 0) {
			check_covering(&t, &a);
			check_order(&t, n_in);
		}
	}
	for (size_t i = 0; i < N_PREFIXES; i++)
		if (models[i].node)
			trie_remove(&t, TAKE(models[i].node));
	assert_null(t.root);
}

static void follows_the_model_v4(void **state)
{
	(void)state;
	for (seed = 1; seed < 4; seed++)
		follows_the_model(false);
}

static void follows_the_model_v6(void **state)
{
	(void)state;
	for (seed = 11; seed < 14; seed++)
		follows_the_model(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_model_v4),
		cmocka_unit_test(follows_the_model_v6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
