/* YAML trees; see ytree.h. libyaml scans; this file bounds, refuses and remembers places. */
#include "rats/ytree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/err.h"

struct reader {
	yaml_parser_t parser;
	struct ytree_error *err;
	size_t n_nodes;
};

void ytree_error_set(struct ytree_error *e, size_t line, size_t column, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (e->is_set || !e->out || e->size == 0)
		return;
	e->is_set = true;
	n = snprintf(e->out, e->size, "%zu:%zu: ", line, column);
	if (n < 0 || (size_t)n >= e->size)
		return;
	va_start(ap, fmt);
	vsnprintf(e->out + n, e->size - (size_t)n, fmt, ap);
	va_end(ap);
}

void ytree_free(struct ytree_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n * (n->kind == YTREE_MAP ? 2 : 1); i++)
		ytree_free(n->items[i]);
	free(n->items);
	free(n->text);
	free(n);
}

static int refuse(struct reader *r, yaml_mark_t at, const char *why)
{
	ytree_error_set(r->err, at.line + 1, at.column + 1, "%s", why);
	return err_new(-EINVAL);
}

static int next(struct reader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event))
		return 0;
	if (r->parser.error == YAML_MEMORY_ERROR)
		return err_new(-ENOMEM);
	return refuse(r, r->parser.problem_mark,
		      r->parser.problem ? r->parser.problem : "is not YAML");
}

static int append(struct ytree_node *parent, struct ytree_node *child, size_t used)
{
	struct ytree_node **p = realloc(parent->items, (used + 1) * sizeof(struct ytree_node *));

	if (!p)
		return err_new(-ENOMEM);
	parent->items = p;
	p[used] = child;
	return 0;
}

static bool has_key(const struct ytree_node *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->items[2 * i]->text, key) == 0)
			return true;
	return false;
}

static int read_node(struct reader *r, yaml_event_t *event, unsigned depth,
		     struct ytree_node **out);

/* The children up to the end event. A key waits in `key` until its value is there. */
static int read_children(struct reader *r, struct ytree_node *n, yaml_event_type_t end,
			 unsigned depth)
{
	CLEANUP(ytree_freep) struct ytree_node *key = NULL;
	CLEANUP(ytree_freep) struct ytree_node *child = NULL;
	yaml_event_t event = { 0 };
	int e;

	for (;;) {
		yaml_event_type_t type;
		yaml_mark_t at;

		e = next(r, &event);
		if (e < 0)
			return err_pass(e);
		type = event.type;
		at = event.start_mark;
		e = type == end ? 0 : read_node(r, &event, depth, &child);
		yaml_event_delete(&event);
		if (e < 0 || type == end)
			return err_pass(e);
		if (n->kind == YTREE_MAP && !key) {
			if (child->kind != YTREE_SCALAR)
				return refuse(r, at, "a key must be a word");
			if (has_key(n, child->text))
				return refuse(r, at, "this key is there twice");
			key = TAKE(child);
			continue;
		}
		if (key) {
			e = append(n, key, 2 * n->n);
			if (e < 0)
				return err_pass(e);
			e = append(n, child, 2 * n->n + 1);
			if (e < 0)
				return err_pass(e); /* n->n does not count the key: still ours */
			key = NULL;
		} else {
			e = append(n, child, n->n);
			if (e < 0)
				return err_pass(e);
		}
		child = NULL;
		n->n++;
	}
}

static int fill_scalar(struct reader *r, const yaml_event_t *event, struct ytree_node *n)
{
	size_t len = event->data.scalar.length;

	if (event->data.scalar.anchor || event->data.scalar.tag)
		return refuse(r, event->start_mark, "anchors and tags are not accepted");
	if (strlen((const char *)event->data.scalar.value) != len)
		return refuse(r, event->start_mark, "a NUL is not accepted");
	n->kind = YTREE_SCALAR;
	n->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = strdup((const char *)event->data.scalar.value);
	return n->text ? 0 : err_new(-ENOMEM);
}

static int fill(struct reader *r, const yaml_event_t *event, unsigned depth, struct ytree_node *n)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return fill_scalar(r, event, n);
	case YAML_SEQUENCE_START_EVENT:
		if (event->data.sequence_start.anchor || event->data.sequence_start.tag)
			break;
		n->kind = YTREE_LIST;
		return read_children(r, n, YAML_SEQUENCE_END_EVENT, depth + 1);
	case YAML_MAPPING_START_EVENT:
		if (event->data.mapping_start.anchor || event->data.mapping_start.tag)
			break;
		n->kind = YTREE_MAP;
		return read_children(r, n, YAML_MAPPING_END_EVENT, depth + 1);
	default:
		break;
	}
	return refuse(r, event->start_mark, "anchors, aliases and tags are not accepted");
}

static int read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct ytree_node **out)
{
	CLEANUP(ytree_freep) struct ytree_node *n = NULL;
	int e;

	if (depth > YTREE_DEPTH_MAX)
		return refuse(r, event->start_mark, "is nested too deeply");
	if (r->n_nodes++ == YTREE_NODES_MAX)
		return refuse(r, event->start_mark, "there is too much of it");
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_new(-ENOMEM);
	n->line = event->start_mark.line + 1;
	n->column = event->start_mark.column + 1;
	e = fill(r, event, depth, n);
	if (e < 0)
		return err_pass(e);
	*out = TAKE(n);
	return 0;
}

/* Expects an event of this type and drops it. */
static int expect(struct reader *r, yaml_event_type_t type, const char *why)
{
	yaml_event_t event = { 0 };
	int e;

	e = next(r, &event);
	if (e < 0)
		return err_pass(e);
	e = event.type == type ? 0 : refuse(r, event.start_mark, why);
	yaml_event_delete(&event);
	return err_pass(e);
}

static int read_document(struct reader *r, struct ytree_node **out)
{
	CLEANUP(ytree_freep) struct ytree_node *n = NULL;
	yaml_event_t event = { 0 };
	int e;

	e = expect(r, YAML_STREAM_START_EVENT, "is not YAML");
	if (e == 0)
		e = expect(r, YAML_DOCUMENT_START_EVENT, "is empty");
	if (e == 0)
		e = next(r, &event);
	if (e < 0)
		return err_pass(e);
	e = read_node(r, &event, 0, &n);
	yaml_event_delete(&event);
	if (e == 0)
		e = expect(r, YAML_DOCUMENT_END_EVENT, "is not YAML");
	if (e == 0)
		e = expect(r, YAML_STREAM_END_EVENT, "only one document is accepted");
	if (e < 0)
		return err_pass(e);
	*out = TAKE(n);
	return 0;
}

int ytree_parse(struct span text, struct ytree_node **out, struct ytree_error *err)
{
	struct reader r = { .err = err };
	int e;

	if (!yaml_parser_initialize(&r.parser))
		return err_new(-ENOMEM);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	/* libyaml asserts that there is something to point at, even if it is empty */
	yaml_parser_set_input_string(&r.parser, text.p ? text.p : (const uint8_t *)"", text.n);
	e = read_document(&r, out);
	yaml_parser_delete(&r.parser);
	return err_pass(e);
}
