/*
 * Evidence as text: what people paste and services answer is often hex or base64 of the bytes. A
 * file is that if every character of it is a digit of the one or the other, or white space. No
 * evidence in bytes looks like it: quotes, reports, envelopes and DER begin with bytes that are no
 * text, PEM with dashes, and a token has dots.
 */
#include <string.h>

#include "tool/inspect.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(uint8_t c)
{
	return c >= '0' && c <= '9'		    ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 87
						    : -1;
}

/* Of either alphabet, RFC 4648, 4 and 5. */
static int base64_value(uint8_t c)
{
	const char *p = c ? strchr(base64, c == '-' ? '+' : c == '_' ? '/' : c) : NULL;

	return p ? (int)(p - base64) : -1;
}

/*
 * Decodes digits of `bits` bits each; with out NULL only looks whether they are that. False: other
 * characters, or bits that make no byte.
 */
static bool decode(const uint8_t *p, size_t n, unsigned bits, uint8_t *out, size_t *out_n)
{
	unsigned have = 0, word = 0;
	size_t n_digits = 0, n_pad = 0;

	*out_n = 0;
	for (size_t i = 0; i < n; i++) {
		const int v = bits == 4 ? hex_value(p[i]) : base64_value(p[i]);

		if (is_space(p[i]))
			continue;
		if (bits == 6 && p[i] == '=' && ++n_pad <= 2)
			continue;
		if (v < 0 || n_pad > 0)
			return false;
		n_digits++;
		word = (word << bits | (unsigned)v) & 0xfff;
		have += bits;
		if (have < 8)
			continue;
		have -= 8;
		if (out)
			out[*out_n] = (uint8_t)(word >> have);
		++*out_n;
	}
	return n_digits > 0 && have < bits &&
	       (bits == 4 || n_pad == 0 || (n_digits + n_pad) % 4 == 0);
}

void inspect_from_text(uint8_t *p, size_t *n)
{
	static const unsigned kinds[] = { 4, 6 };
	size_t start = 0, decoded;

	while (start < *n && is_space(p[start]))
		start++;
	if (start < *n && p[start] == '-')
		return; /* PEM */
	if (*n - start > 2 && p[start] == '0' && (p[start + 1] | 32) == 'x')
		start += 2;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!decode(p + start, *n - start, kinds[i], NULL, &decoded))
			continue;
		/* In place: bytes come no faster than their digits. */
		(void)decode(p + start, *n - start, kinds[i], p, &decoded);
		*n = decoded;
		return;
	}
}
