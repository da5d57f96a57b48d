/*
 * A binary trie over the bits of prefixes, compressed: a node exists for a prefix that has a value,
 * and where two of those part. One trie holds one address family.
 *
 * The walk from the root to an address is inline here, because it runs for every packet.
 */
#ifndef ENG_ROUTE_TRIE_H
#define ENG_ROUTE_TRIE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"

/* An address as the trie compares it: 128 bits in two words, first bit highest. */
struct trie_key {
	uint64_t word[2];
};

struct trie_node {
	struct trie_node *parent, *child[2];
	struct trie_key key, mask;
	uint8_t len;
	void *value; /* NULL where branches only part */
};

struct trie {
	struct trie_node *root;
};

static inline struct trie_key trie_key_of(const struct addr *a)
{
	struct trie_key k;

	memcpy(&k, a->bytes, sizeof(k));
	return (struct trie_key){ { be64toh(k.word[0]), be64toh(k.word[1]) } };
}

/* Bit number i, the first is 0. At i == 128 there is no bit, and no child that it could lead to. */
static inline unsigned trie_bit(const struct trie_key *k, unsigned i)
{
	return k->word[i >> 6 & 1] >> (63 - (i & 63)) & 1;
}

/* The node if its prefix contains the key, else NULL. */
static inline struct trie_node *trie_covering(struct trie_node *n, const struct trie_key *k)
{
	if (!n || ((n->key.word[0] ^ k->word[0]) & n->mask.word[0]) ||
	    ((n->key.word[1] ^ k->word[1]) & n->mask.word[1]))
		return NULL;
	return n;
}

/* Every node whose prefix contains the key, shortest first; those without a value too. */
#define TRIE_FOREACH_COVERING(n, t, k)                                                             \
	for ((n) = trie_covering((t)->root, (k)); (n);                                             \
	     (n) = trie_covering((n)->child[trie_bit((k), (n)->len)], (k)))

/* The node of exactly this prefix if it has a value, else NULL. */
struct trie_node *trie_find(const struct trie *t, const struct prefix *p);
/*
 * Puts a value (not NULL) at a prefix that has none. Returns its node, valid until it is removed;
 * NULL when memory is short, and nothing changed.
 */
MUST_USE struct trie_node *trie_insert(struct trie *t, const struct prefix *p, void *value);
/* Takes the value away, and the nodes that are then good for nothing. Cannot fail. */
void trie_remove(struct trie *t, struct trie_node *n);
/* The node with a value after n, or the first for NULL, in order of address then length. */
struct trie_node *trie_next(const struct trie *t, const struct trie_node *n);

#endif
