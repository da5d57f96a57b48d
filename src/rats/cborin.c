/*
 * CBOR heads; see cborin.h. libcbor builds a tree of allocations for what is, here, two byte
 * strings in an array; a cursor does it without any and is easier to bound.
 */
#include "rats/cborin.h"

/* RFC 8949, 4.2.1: the shortest form, unless the caller is lax. */
static bool take_head(struct span *s, bool lax, struct cbor_item *out)
{
	static const uint64_t least[] = { 24, 0x100, 0x10000, 0x100000000 };
	uint8_t first;
	unsigned info;

	if (!span_u8(s, &first))
		return false;
	info = first & 31;
	out->major = (enum cbor_major)(first >> 5);
	out->bytes = SPAN(NULL, 0);
	out->value = info;
	if (out->major > CBOR_TAG || info > 27)
		return false;
	if (info < 24)
		return true;
	out->value = 0;
	for (unsigned i = 0; i < 1u << (info - 24); i++) {
		uint8_t b;

		if (!span_u8(s, &b))
			return false;
		out->value = out->value << 8 | b;
	}
	return lax || out->value >= least[info - 24];
}

static bool take(struct span *s, bool lax, struct cbor_item *out)
{
	struct span rest = *s;
	struct cbor_item it;

	if (!take_head(&rest, lax, &it))
		return false;
	if (it.major == CBOR_BYTES || it.major == CBOR_TEXT) {
		if (it.value > rest.n || !span_take(&rest, (size_t)it.value, &it.bytes))
			return false;
	}
	*s = rest;
	*out = it;
	return true;
}

bool cbor_take(struct span *s, struct cbor_item *out)
{
	return take(s, false, out);
}

bool cbor_take_lax(struct span *s, struct cbor_item *out)
{
	return take(s, true, out);
}

bool cbor_take_bytes(struct span *s, struct span *out)
{
	struct span rest = *s;
	struct cbor_item it;

	if (!cbor_take(&rest, &it) || it.major != CBOR_BYTES)
		return false;
	*s = rest;
	*out = it.bytes;
	return true;
}

bool cbor_skip(struct span *s)
{
	struct span rest = *s;
	struct cbor_item it;
	uint64_t left = 1; /* elements still to be read, at any depth: no recursion */

	while (left > 0) {
		bool holds = false;

		if (!cbor_take(&rest, &it))
			return false;
		holds = it.major == CBOR_ARRAY || it.major == CBOR_MAP;
		if (holds && it.value > rest.n)
			return false;
		left += it.major == CBOR_TAG ? 1 : holds ? it.value << (it.major == CBOR_MAP) : 0;
		left--;
		if (left > rest.n)
			return false; /* each takes a byte at least */
	}
	*s = rest;
	return true;
}

void cbor_put_head(struct wspan *w, enum cbor_major major, uint64_t value)
{
	uint8_t m = (uint8_t)(major << 5);

	if (value < 24) {
		wspan_u8(w, (uint8_t)(m | value));
	} else if (value < 0x100) {
		wspan_u8(w, m | 24);
		wspan_u8(w, (uint8_t)value);
	} else if (value < 0x10000) {
		wspan_u8(w, m | 25);
		wspan_be16(w, (uint16_t)value);
	} else if (value < 0x100000000) {
		wspan_u8(w, m | 26);
		wspan_be32(w, (uint32_t)value);
	} else {
		wspan_u8(w, m | 27);
		wspan_be64(w, value);
	}
}

void cbor_put_bytes(struct wspan *w, struct span bytes)
{
	cbor_put_head(w, CBOR_BYTES, bytes.n);
	wspan_put(w, bytes.p, bytes.n);
}
