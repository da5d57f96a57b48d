/* The common form of control frames; see map.h. */
#include "wire/map.h"

#include <errno.h>

#include "base/err.h"
#include "wire/control.h"
#include "wire/item.h"

bool map_is(struct span body, enum frame_type type)
{
	return body.n > 0 && body.p[0] == type;
}

int map_parse(struct span body, size_t max, unsigned n_keys, map_field_fn field, void *out)
{
	uint64_t n, key, next_key = 0, seen = 0;
	int r;

	if (body.n > max || !span_skip(&body, 1) || !item_map(&body, &n))
		return CONTROL_E_MALFORMED;
	for (; n > 0; n--) {
		if (!item_uint(&body, UINT32_MAX, &key) || key < next_key)
			return CONTROL_E_MALFORMED;
		next_key = key + 1;
		seen += key < n_keys;
		r = field(&body, key, out);
		if (r == MAP_E_UNKNOWN)
			r = item_skip(&body) ? 0 : CONTROL_E_MALFORMED;
		if (r != 0)
			return r;
	}
	return body.n == 0 && seen == n_keys ? 0 : CONTROL_E_MALFORMED;
}

struct wspan map_put_begin(uint8_t *buf, size_t size, size_t max, enum frame_type type,
			   size_t n_keys)
{
	struct wspan w = WSPAN(buf, size);

	if (w.size > FRAME_HEAD + max)
		w.size = FRAME_HEAD + max;
	wspan_be32(&w, 0);
	wspan_u8(&w, (uint8_t)type);
	item_put_map(&w, n_keys);
	return w;
}

int map_put_end(struct wspan *w, size_t *out_n)
{
	if (w->overflow)
		return err_new(-EMSGSIZE);
	frame_put_head(w->p, w->n - FRAME_HEAD);
	*out_n = w->n;
	return 0;
}
