/* DER; see der.h. */
#include "rats/der.h"

#include <openssl/objects.h>

bool der_take(struct span *s, uint8_t tag, struct span *out)
{
	struct span rest = *s;
	uint8_t t, first, b;
	size_t n;

	if (!span_u8(&rest, &t) || t != tag || !span_u8(&rest, &first))
		return false;
	n = first;
	if (first & 0x80) {
		if (first == 0x80 || first > 0x84)
			return false;
		n = 0;
		for (int i = 0; i < (first & 0x7f); i++) {
			if (!span_u8(&rest, &b) || (i == 0 && b == 0))
				return false;
			n = n << 8 | b;
		}
		if (n < 0x80)
			return false;
	}
	if (!span_take(&rest, n, out))
		return false;
	*s = rest;
	return true;
}

bool der_uint(struct span *s, uint8_t tag, uint64_t *out)
{
	struct span rest = *s, v;
	uint64_t n = 0;

	if (!der_take(&rest, tag, &v) || v.n == 0 || (v.p[0] & 0x80))
		return false;
	if (v.n > 1 && v.p[0] == 0 && !(v.p[1] & 0x80))
		return false;
	if (v.n > 1 && v.p[0] == 0)
		v.p++, v.n--;
	if (v.n > 8)
		return false;
	for (size_t i = 0; i < v.n; i++)
		n = n << 8 | v.p[i];
	*s = rest;
	*out = n;
	return true;
}

bool der_find_extension(X509 *cert, struct span oid, struct span *out)
{
	bool found = false;

	for (int i = 0; i < X509_get_ext_count(cert); i++) {
		X509_EXTENSION *e = X509_get_ext(cert, i);
		const ASN1_OBJECT *o = X509_EXTENSION_get_object(e);
		const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(e);

		if (!span_equal(SPAN(OBJ_get0_data(o), OBJ_length(o)), oid))
			continue;
		if (found)
			return false; /* twice: nobody can tell which one was meant */
		*out = SPAN(ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v));
		found = true;
	}
	return found;
}
