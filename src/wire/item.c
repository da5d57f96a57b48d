/*
 * One CBOR data item at a time; see item.h.
 *
 * libcbor reports an item by calling one of a table of functions; here each of them only notes what
 * it was told. Its own cbor_null_*_callback() do nothing, for the kinds whose value nobody wants.
 */
#include "wire/item.h"

#include <cbor.h>

enum kind {
	ITEM_OTHER, /* negative, float, simple: can be walked over only */
	ITEM_UINT,
	ITEM_BYTES,
	ITEM_TEXT,
	ITEM_ARRAY,
	ITEM_MAP,
	ITEM_TAG,
	ITEM_INDEFINITE,
};

struct item {
	enum kind kind;
	uint64_t value; /* of an integer, or how many items or pairs follow */
	struct span bytes;
};

#define ON_NUMBER(name, type, k)                                                                   \
	static void name(void *ctx, type v)                                                        \
	{                                                                                          \
		*(struct item *)ctx = (struct item){ .kind = (k), .value = v };                    \
	}

#define ON_STRING(name, k)                                                                         \
	static void name(void *ctx, cbor_data p, size_t n)                                         \
	{                                                                                          \
		*(struct item *)ctx = (struct item){ .kind = (k), .bytes = SPAN(p, n) };           \
	}

ON_NUMBER(on_uint8, uint8_t, ITEM_UINT)
ON_NUMBER(on_uint16, uint16_t, ITEM_UINT)
ON_NUMBER(on_uint32, uint32_t, ITEM_UINT)
ON_NUMBER(on_uint64, uint64_t, ITEM_UINT)
ON_NUMBER(on_array, size_t, ITEM_ARRAY)
ON_NUMBER(on_map, size_t, ITEM_MAP)
ON_NUMBER(on_tag, uint64_t, ITEM_TAG)
ON_STRING(on_bytes, ITEM_BYTES)
ON_STRING(on_text, ITEM_TEXT)

static void on_indefinite(void *ctx)
{
	*(struct item *)ctx = (struct item){ .kind = ITEM_INDEFINITE };
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = cbor_null_negint8_callback,
	.negint16 = cbor_null_negint16_callback,
	.negint32 = cbor_null_negint32_callback,
	.negint64 = cbor_null_negint64_callback,
	.byte_string = on_bytes,
	.byte_string_start = on_indefinite,
	.string = on_text,
	.string_start = on_indefinite,
	.array_start = on_array,
	.indef_array_start = on_indefinite,
	.map_start = on_map,
	.indef_map_start = on_indefinite,
	.tag = on_tag,
	.float2 = cbor_null_float2_callback,
	.float4 = cbor_null_float4_callback,
	.float8 = cbor_null_float8_callback,
	.undefined = cbor_null_undefined_callback,
	.null = cbor_null_null_callback,
	.boolean = cbor_null_boolean_callback,
	.indef_break = on_indefinite,
};

/* Takes the next item's head, or all of it if it contains no others. */
static bool item_next(struct span *in, struct item *out)
{
	struct item item = { .kind = ITEM_OTHER };
	struct cbor_decoder_result r = cbor_stream_decode(in->p, in->n, &callbacks, &item);

	if (r.status != CBOR_DECODER_FINISHED || item.kind == ITEM_INDEFINITE)
		return false;
	*out = item;
	return span_skip(in, r.read);
}

static bool item_take(struct span *in, enum kind kind, struct item *out)
{
	struct span rest = *in;
	struct item item;

	if (!item_next(&rest, &item) || item.kind != kind)
		return false;
	*in = rest;
	*out = item;
	return true;
}

bool item_uint(struct span *in, uint64_t max, uint64_t *out)
{
	struct span rest = *in;
	struct item item;

	if (!item_take(&rest, ITEM_UINT, &item) || item.value > max)
		return false;
	*in = rest;
	*out = item.value;
	return true;
}

bool item_bytes(struct span *in, struct span *out)
{
	struct item item;

	if (!item_take(in, ITEM_BYTES, &item))
		return false;
	*out = item.bytes;
	return true;
}

bool item_text(struct span *in, struct span *out)
{
	struct item item;

	if (!item_take(in, ITEM_TEXT, &item))
		return false;
	*out = item.bytes;
	return true;
}

bool item_array(struct span *in, uint64_t *out_n)
{
	struct item item;

	if (!item_take(in, ITEM_ARRAY, &item))
		return false;
	*out_n = item.value;
	return true;
}

bool item_map(struct span *in, uint64_t *out_n)
{
	struct item item;

	if (!item_take(in, ITEM_MAP, &item))
		return false;
	*out_n = item.value;
	return true;
}

/* How many items follow that belong to this one; false when they cannot all be there. */
static bool item_children(const struct item *item, size_t bytes_left, uint64_t *out)
{
	uint64_t n = item->kind == ITEM_TAG ? 1 : item->value;

	*out = 0;
	if (item->kind != ITEM_TAG && item->kind != ITEM_ARRAY && item->kind != ITEM_MAP)
		return true;
	if (n > bytes_left) /* an item has at least a byte; before the doubling, which could wrap */
		return false;
	*out = item->kind == ITEM_MAP ? n * 2 : n;
	return true;
}

bool item_skip(struct span *in)
{
	uint64_t left[1 + ITEM_DEPTH_MAX] = { 1 }, n;
	struct span rest = *in;
	struct item item;
	unsigned depth = 0;

	do {
		left[depth]--;
		if (!item_next(&rest, &item) || !item_children(&item, rest.n, &n))
			return false;
		if (n > 0) {
			if (depth == ITEM_DEPTH_MAX)
				return false;
			left[++depth] = n;
		}
		while (depth > 0 && left[depth] == 0)
			depth--;
	} while (left[depth] > 0);
	*in = rest;
	return true;
}

/* Appends what one of libcbor's encoders writes; it returns 0 when there is no room. */
#define ITEM_PUT(w, encode, value)                                                                 \
	do {                                                                                       \
		uint8_t head_[9]; /* RFC 8949, 3: an initial byte and an argument of up to 8 */    \
                                                                                                   \
		wspan_put((w), head_, encode((value), head_, sizeof(head_)));                      \
	} while (0)

void item_put_uint(struct wspan *w, uint64_t v)
{
	ITEM_PUT(w, cbor_encode_uint, v);
}

void item_put_bytes(struct wspan *w, const void *bytes, size_t n)
{
	ITEM_PUT(w, cbor_encode_bytestring_start, n);
	wspan_put(w, bytes, n);
}

void item_put_text(struct wspan *w, const char *text)
{
	ITEM_PUT(w, cbor_encode_string_start, strlen(text));
	wspan_put(w, text, strlen(text));
}

void item_put_array(struct wspan *w, size_t n)
{
	ITEM_PUT(w, cbor_encode_array_start, n);
}

void item_put_map(struct wspan *w, size_t n)
{
	ITEM_PUT(w, cbor_encode_map_start, n);
}
