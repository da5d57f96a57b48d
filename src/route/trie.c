/*
 * Changes to the trie; see trie.h.
 *
 * A node without a value always has two children, so there are fewer of them than prefixes, and a
 * walk down meets at most one node a bit. Removal never allocates.
 */
#include "route/trie.h"

#include <stdlib.h>

static struct trie_key mask_of(unsigned len)
{
	uint64_t hi = len == 0 ? 0 : len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len);
	uint64_t lo = len <= 64 ? 0 : UINT64_MAX << (128 - len);

	return (struct trie_key){ { hi, lo } };
}

/* How many leading bits two keys share, at most max. */
static unsigned common_bits(const struct trie_key *a, const struct trie_key *b, unsigned max)
{
	uint64_t hi = a->word[0] ^ b->word[0], lo = a->word[1] ^ b->word[1];
	unsigned n = hi	  ? (unsigned)__builtin_clzll(hi)
		     : lo ? 64 + (unsigned)__builtin_clzll(lo)
			  : 128;

	return n < max ? n : max;
}

static struct trie_node *node_new(const struct trie_key *key, unsigned len)
{
	struct trie_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->len = (uint8_t)len;
	n->mask = mask_of(len);
	n->key.word[0] = key->word[0] & n->mask.word[0];
	n->key.word[1] = key->word[1] & n->mask.word[1];
	return n;
}

/* The pointer that leads to n: its parent's or the root. */
static struct trie_node **link_of(struct trie *t, const struct trie_node *n)
{
	if (!n->parent)
		return &t->root;
	return &n->parent->child[n->parent->child[1] == n];
}

static void adopt(struct trie_node *parent, struct trie_node *child)
{
	parent->child[trie_bit(&child->key, parent->len)] = child;
	child->parent = parent;
}

struct trie_node *trie_find(const struct trie *t, const struct prefix *p)
{
	struct trie_key key = trie_key_of(&p->addr);
	struct trie_node *n;

	TRIE_FOREACH_COVERING(n, t, &key)
	if (n->len >= p->len)
		return n->len == p->len && n->value ? n : NULL;
	return NULL;
}

struct trie_node *trie_insert(struct trie *t, const struct prefix *p, void *value)
{
	struct trie_key key = trie_key_of(&p->addr);
	struct trie_node **link = &t->root, *parent = NULL, *below, *leaf, *fork;
	unsigned shared = 0;

	for (; (below = *link); link = &below->child[trie_bit(&key, below->len)]) {
		shared = common_bits(&key, &below->key, p->len < below->len ? p->len : below->len);
		if (shared < below->len || below->len == p->len)
			break;
		parent = below;
	}
	if (below && below->len == p->len && shared == p->len) {
		below->value = value; /* branches parted here already */
		return below;
	}
	leaf = node_new(&key, p->len);
	if (!leaf)
		return NULL;
	leaf->value = value;
	fork = leaf; /* what takes the place of `below`: the leaf, if below is inside its prefix */
	if (below && shared < p->len) {
		fork = node_new(&key, shared);
		if (!fork) {
			free(leaf);
			return NULL;
		}
		adopt(fork, leaf);
	}
	if (below)
		adopt(fork, below);
	fork->parent = parent;
	*link = fork;
	return leaf;
}

void trie_remove(struct trie *t, struct trie_node *n)
{
	n->value = NULL;
	while (n && !n->value && !(n->child[0] && n->child[1])) {
		struct trie_node *parent = n->parent, *child = n->child[n->child[1] != NULL];

		*link_of(t, n) = child;
		if (child)
			child->parent = parent;
		free(n);
		n = parent;
	}
}

/* The next node in pre-order, whether it has a value or not. */
static struct trie_node *step(const struct trie_node *n)
{
	if (n->child[0] || n->child[1])
		return n->child[n->child[0] == NULL];
	while (n->parent && (n->parent->child[1] == n || !n->parent->child[1]))
		n = n->parent;
	return n->parent ? n->parent->child[1] : NULL;
}

struct trie_node *trie_next(const struct trie *t, const struct trie_node *n)
{
	struct trie_node *next = n ? step(n) : t->root;

	while (next && !next->value)
		next = step(next);
	return next;
}
