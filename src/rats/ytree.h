/*
 * A YAML document as a tree that knows where every node stands, so that errors in a policy can
 * point at it. Only what configuration needs: scalars, lists, maps with unique scalar keys.
 * Anchors, aliases, tags and further documents are refused.
 */
#ifndef ENG_RATS_YTREE_H
#define ENG_RATS_YTREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/span.h"

enum {
	YTREE_DEPTH_MAX = 8,
	YTREE_NODES_MAX = 65536, /* a policy with 256 alternatives of 256 values */
};

enum ytree_kind { YTREE_SCALAR, YTREE_LIST, YTREE_MAP };

struct ytree_node {
	enum ytree_kind kind;
	size_t line, column;	   /* from 1 */
	char *text;		   /* SCALAR */
	bool is_plain;		   /* SCALAR without quotes */
	size_t n;		   /* LIST: items; MAP: pairs */
	struct ytree_node **items; /* MAP: key, value, key, value ... */
};

/* Where and why: "LINE:COLUMN: text". Keeps the first error that is set. */
struct ytree_error {
	char *out; /* NULL: nobody wants to know */
	size_t size;
	bool is_set;
};

PRINTF_LIKE(4, 5)
void ytree_error_set(struct ytree_error *e, size_t line, size_t column, const char *fmt, ...);

/* -EINVAL: not such a document, and *err says why; -ENOMEM. */
int ytree_parse(struct span text, struct ytree_node **out, struct ytree_error *err);
void ytree_free(struct ytree_node *n);
DEFINE_FREEP(struct ytree_node *, ytree_free)

#endif
