/*
 * The options of an attester: words "key=value" with commas between them. A value may hold
 * anything but NUL: a comma is written twice, as QEMU has it, because TCTI strings of TPMs have
 * '=', ':' and ',' of their own.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "rats/attest/attest.h"

PRINTF_LIKE(2, 0) static void say(struct attest_error *err, const char *fmt, va_list ap)
{
	if (!err || !err->out || err->size == 0)
		return;
	vsnprintf(err->out, err->size, fmt, ap);
	for (char *p = err->out; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

int attest_fail(struct attest_error *err, int neg_errno, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(err, fmt, ap);
	va_end(ap);
	return err_new(neg_errno);
}

void attest_note(struct attest_error *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(why, fmt, ap);
	va_end(ap);
}

const char *attest_option(const struct attest_options *o, const char *key, const char *fallback)
{
	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->pair[i].key, key) == 0)
			return o->pair[i].value;
	return fallback;
}

static bool is_key(const struct attester_backend *b, const char *key)
{
	for (const char *const *k = b->keys; *k; k++)
		if (strcmp(*k, key) == 0)
			return true;
	return strcmp(key, "endorsements") == 0;
}

/* Cuts the word at p off, in place, with its commas made single; returns what follows, or NULL. */
static char *cut_word(char *p)
{
	char *to = p;

	for (; *p; p++) {
		if (*p == ',' && p[1] != ',') {
			*to = '\0';
			return p + 1;
		}
		p += *p == ',';
		*to++ = *p;
	}
	*to = '\0';
	return NULL;
}

static int add_word(char *word, const struct attester_backend *b, struct attest_options *o,
		    struct attest_error *err)
{
	char *equals = strchr(word, '=');

	if (!equals || equals == word)
		return attest_fail(err, -EINVAL, "option '%.64s' is not KEY=VALUE", word);
	*equals = '\0';
	if (!is_key(b, word))
		return attest_fail(err, -EINVAL, "attester %s has no option '%.64s'", b->name,
				   word);
	if (attest_option(o, word, NULL))
		return attest_fail(err, -EINVAL, "option '%s' is given twice", word);
	if (o->n == ATTEST_PAIRS_MAX)
		return attest_fail(err, -EINVAL, "more than %d options", ATTEST_PAIRS_MAX);
	o->pair[o->n++] = (struct attest_pair){ .key = word, .value = equals + 1 };
	return 0;
}

int attest_options_parse(const char *text, const struct attester_backend *b,
			 struct attest_options *out, struct attest_error *err)
{
	size_t n = text ? strnlen(text, ATTEST_OPTIONS_MAX) : 0;
	char *word = out->text;

	out->n = 0;
	if (n == 0)
		return 0;
	if (n == ATTEST_OPTIONS_MAX)
		return attest_fail(err, -EINVAL, "options are longer than %d bytes",
				   ATTEST_OPTIONS_MAX - 1);
	memcpy(out->text, text, n + 1);
	while (word) {
		char *next = cut_word(word);
		int r = add_word(word, b, out, err);

		if (r < 0)
			return err_pass(r);
		word = next;
	}
	return 0;
}
