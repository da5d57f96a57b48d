/* Claims; see claims.h. Each is one allocation that holds its name and its value. */
#include "rats/claims.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/err.h"
#include "rats/json.h"
#include "rats/text.h"

struct claims {
	size_t n, n_bytes;
	int error;
	struct claim items[CLAIMS_MAX];
};

int claims_new(struct claims **out)
{
	struct claims *c = calloc(1, sizeof(*c));

	if (!c)
		return err_new(-ENOMEM);
	*out = c;
	return 0;
}

void claims_free(struct claims *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free((char *)c->items[i].name);
	free(c);
}

static void add(struct claims *c, const char *name, enum rtls_claim_kind kind, struct span value,
		uint64_t num)
{
	size_t name_size = strlen(name) + 1;
	char *copy;

	if (c->error)
		return;
	if (c->n == CLAIMS_MAX || value.n > CLAIMS_BYTES_MAX || name_size > CLAIMS_BYTES_MAX ||
	    name_size + value.n > CLAIMS_BYTES_MAX - c->n_bytes) {
		c->error = err_new(-E2BIG);
		return;
	}
	copy = malloc(name_size + value.n + 1);
	if (!copy) {
		c->error = err_new(-ENOMEM);
		return;
	}
	memcpy(copy, name, name_size);
	if (value.n > 0)
		memcpy(copy + name_size, value.p, value.n);
	copy[name_size + value.n] = '\0';
	c->n_bytes += name_size + value.n;
	c->items[c->n++] = (struct claim){
		.name = copy, .kind = kind, .bytes = SPAN(copy + name_size, value.n), .num = num
	};
}

void claims_add_bytes(struct claims *c, const char *name, struct span value)
{
	add(c, name, RTLS_CLAIM_BYTES, value, 0);
}

void claims_add_text(struct claims *c, const char *name, const char *value)
{
	add(c, name, RTLS_CLAIM_TEXT, SPAN(value, strlen(value)), 0);
}

void claims_add_text_n(struct claims *c, const char *name, struct span value)
{
	add(c, name, RTLS_CLAIM_TEXT, value, 0);
}

void claims_add_uint(struct claims *c, const char *name, uint64_t value)
{
	add(c, name, RTLS_CLAIM_UINT, SPAN(NULL, 0), value);
}

void claims_add_bool(struct claims *c, const char *name, bool value)
{
	add(c, name, RTLS_CLAIM_BOOL, SPAN(NULL, 0), value);
}

int claims_error(const struct claims *c)
{
	return c->error;
}

size_t claims_count(const struct claims *c)
{
	return c ? c->n : 0;
}

const struct claim *claims_at(const struct claims *c, size_t i)
{
	return i < claims_count(c) ? &c->items[i] : NULL;
}

const struct claim *claims_find(const struct claims *c, const char *name)
{
	for (size_t i = 0; i < claims_count(c); i++)
		if (strcmp(c->items[i].name, name) == 0)
			return &c->items[i];
	return NULL;
}

/* A text that is not UTF-8 is shown as the hex of its bytes; JSON has no other way. */
static json_t *claim_to_json(const struct claim *c)
{
	char *hex;
	json_t *j;

	switch (c->kind) {
	case RTLS_CLAIM_UINT:
		return json_integer((json_int_t)c->num);
	case RTLS_CLAIM_BOOL:
		return json_boolean(c->num);
	case RTLS_CLAIM_TEXT:
		j = json_stringn((const char *)c->bytes.p, c->bytes.n);
		if (j)
			return j;
		break;
	default:
		break;
	}
	hex = malloc(2 * c->bytes.n + 1);
	if (!hex)
		return NULL;
	j = json_string(hex_format(c->bytes, hex, 2 * c->bytes.n + 1));
	free(hex);
	return j;
}

/* Puts value under name; the second one of a name makes an array of both. Consumes value. */
static bool put(json_t *obj, const char *name, json_t *value)
{
	json_t *old = json_object_get(obj, name);
	json_t *list;

	if (!old)
		return json_object_set_new(obj, name, value) == 0;
	if (json_is_array(old))
		return json_array_append_new(old, value) == 0;
	list = json_array();
	if (!list || json_array_append(list, old) != 0) {
		json_decref(list);
		json_decref(value);
		return false;
	}
	if (json_array_append_new(list, value) != 0) {
		json_decref(list);
		return false;
	}
	return json_object_set_new(obj, name, list) == 0;
}

int claims_to_json(const struct claims *c, json_t **out)
{
	JSON_AUTO obj = json_object();

	for (size_t i = 0; obj && i < claims_count(c); i++) {
		json_t *value = claim_to_json(&c->items[i]);

		if (!value || !put(obj, c->items[i].name, value))
			return err_new(-ENOMEM);
	}
	if (!obj)
		return err_new(-ENOMEM);
	*out = TAKE(obj);
	return 0;
}
