/* Strict JSON; see json.h. jansson validates, a small scanner finds the bytes of a member. */
#include "rats/json.h"

#include <string.h>

#include "rats/text.h"

json_t *json_parse_strict(struct span text)
{
	return json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
}

static void skip_space(struct span *s)
{
	while (s->n > 0 && s->p[0] != 0 && strchr(" \t\r\n", s->p[0]))
		s->p++, s->n--;
}

/* The bytes between the quotes of the string that s starts with. */
static bool take_string(struct span *s, struct span *out)
{
	size_t i = 1;

	if (s->n == 0 || s->p[0] != '"')
		return false;
	while (i < s->n && s->p[i] != '"')
		i += s->p[i] == '\\' ? 2 : 1;
	if (i >= s->n)
		return false;
	*out = SPAN(s->p + 1, i - 1);
	return span_skip(s, i + 1);
}

/* A value: up to the comma or closing bracket that belongs to the object around it. */
static bool take_value(struct span *s, struct span *out)
{
	const uint8_t *start = s->p;
	struct span ignored;
	size_t depth = 0;

	while (s->n > 0) {
		uint8_t c = s->p[0];

		if (c == '"') {
			if (!take_string(s, &ignored))
				return false;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}'))
			break;
		if (c == '{' || c == '[')
			depth++;
		if (c == '}' || c == ']')
			depth--;
		s->p++, s->n--;
	}
	*out = SPAN(start, (size_t)(s->p - start));
	while (out->n > 0 && strchr(" \t\r\n", out->p[out->n - 1]))
		out->n--;
	return s->n > 0;
}

bool json_member_slice(struct span s, const char *name, struct span *out)
{
	uint8_t c;

	skip_space(&s);
	if (!span_u8(&s, &c) || c != '{')
		return false;
	do {
		struct span key, value;

		skip_space(&s);
		if (!take_string(&s, &key))
			return false;
		skip_space(&s);
		if (!span_u8(&s, &c) || c != ':')
			return false;
		skip_space(&s);
		if (!take_value(&s, &value))
			return false;
		if (span_equal(key, SPAN(name, strlen(name)))) {
			*out = value;
			return true;
		}
	} while (span_u8(&s, &c) && c == ',');
	return false;
}

bool json_text(const json_t *obj, const char *name, struct span *out)
{
	const json_t *j = json_object_get(obj, name);

	if (!json_is_string(j))
		return false;
	*out = SPAN(json_string_value(j), json_string_length(j));
	return true;
}

bool json_uint(const json_t *obj, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *j = json_object_get(obj, name);

	if (!json_is_integer(j) || json_integer_value(j) < 0 ||
	    (uint64_t)json_integer_value(j) > max)
		return false;
	*out = (uint64_t)json_integer_value(j);
	return true;
}

bool json_hex(const json_t *obj, const char *name, uint8_t *out, size_t n)
{
	struct span text;

	return json_text(obj, name, &text) && hex_parse(text, out, n);
}

bool json_time(const json_t *obj, const char *name, int64_t *out)
{
	struct span text;

	return json_text(obj, name, &text) && time_parse(text, out);
}
