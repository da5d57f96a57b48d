/* Hex, base64 and times; see text.h. */
#include "rats/text.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_parse(struct span text, uint8_t *out, size_t n)
{
	if (text.n % 2 != 0 || text.n / 2 != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

const char *hex_format(struct span bytes, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	bool fits = bytes.n < (size + 1) / 2;
	size_t n = fits ? bytes.n : size < 6 ? 0 : (size - 4) / 2;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes.p[i] >> 4];
		out[2 * i + 1] = digits[bytes.p[i] & 15];
	}
	if (size > 0)
		snprintf(out + 2 * n, size - 2 * n, "%s", fits ? "" : "...");
	return out;
}

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

bool base64_parse(struct span text, uint8_t *out, size_t size, size_t *out_n)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0, pad = 0;

	while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=')
		pad++;
	if ((pad > 0 && text.n % 4 != 0) || (text.n - pad) % 4 == 1)
		return false;
	for (size_t i = 0; i < text.n - pad; i++) {
		int d = base64_digit(text.p[i]);

		if (d < 0)
			return false;
		acc = acc << 6 | (uint32_t)d;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n >= size)
			return false;
		out[n++] = (uint8_t)(acc >> bits);
	}
	if ((acc & ((1u << bits) - 1)) != 0)
		return false; /* two texts for one value: not canonical */
	*out_n = n;
	return true;
}

static bool take_digits(struct span *s, size_t n, int min, int max, int *out)
{
	struct span part;
	int v = 0;

	if (!span_take(s, n, &part))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit(part.p[i]))
			return false;
		v = v * 10 + (part.p[i] - '0');
	}
	*out = v;
	return v >= min && v <= max;
}

static bool take_char(struct span *s, const char *any_of)
{
	uint8_t c;

	return span_u8(s, &c) && c != 0 && strchr(any_of, c);
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "Z", "+hh:mm" or "-hh:mm": what to subtract, in seconds. */
static bool take_offset(struct span *s, int *out)
{
	uint8_t sign;
	int h, m;

	if (!span_u8(s, &sign))
		return false;
	if (sign == 'Z' || sign == 'z') {
		*out = 0;
		return true;
	}
	if ((sign != '+' && sign != '-') || !take_digits(s, 2, 0, 23, &h) || !take_char(s, ":") ||
	    !take_digits(s, 2, 0, 59, &m))
		return false;
	*out = (sign == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return true;
}

bool time_parse(struct span s, int64_t *out)
{
	struct tm tm = { 0 };
	int offset;

	if (!take_digits(&s, 4, 1970, 9999, &tm.tm_year) || !take_char(&s, "-") ||
	    !take_digits(&s, 2, 1, 12, &tm.tm_mon) || !take_char(&s, "-") ||
	    !take_digits(&s, 2, 1, days_in_month(tm.tm_year, tm.tm_mon), &tm.tm_mday) ||
	    !take_char(&s, "Tt ") || !take_digits(&s, 2, 0, 23, &tm.tm_hour) ||
	    !take_char(&s, ":") || !take_digits(&s, 2, 0, 59, &tm.tm_min) || !take_char(&s, ":") ||
	    !take_digits(&s, 2, 0, 60, &tm.tm_sec))
		return false;
	if (s.n > 1 && s.p[0] == '.') { /* fractions of a second are dropped */
		s.p++, s.n--;
		while (s.n > 0 && isdigit(s.p[0]))
			s.p++, s.n--;
	}
	if (!take_offset(&s, &offset) || s.n != 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out = (int64_t)timegm(&tm) - offset;
	return true;
}

const char *time_format(int64_t t, char out[TIME_TEXT_MAX])
{
	time_t tt = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&tt, &tm) || strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, TIME_TEXT_MAX, "@%lld", (long long)t);
	return out;
}

bool duration_parse(struct span text, int64_t *out)
{
	enum { YEARS_100 = 100 * 366 };
	int64_t v = 0, unit;

	if (text.n < 2 || text.n > 12)
		return false;
	for (size_t i = 0; i + 1 < text.n; i++) {
		if (!isdigit(text.p[i]))
			return false;
		v = v * 10 + (text.p[i] - '0');
	}
	switch (text.p[text.n - 1]) {
	case 'd':
		unit = 86400;
		break;
	case 'h':
		unit = 3600;
		break;
	case 'm':
		unit = 60;
		break;
	case 's':
		unit = 1;
		break;
	default:
		return false;
	}
	if (v > (int64_t)YEARS_100 * 86400 / unit)
		return false;
	*out = v * unit;
	return true;
}
