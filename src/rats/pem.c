/* PEM blocks; see pem.h. Lines end in LF or CR LF; no headers inside (RFC 1421) and no encryption.
 */
#include "rats/pem.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "rats/text.h"

static const char begin[] = "-----BEGIN ";
static const char end[] = "-----END ";
static const char dashes[] = "-----";

/* RFC 7468, 2: readers should ignore it in a block, and around it. */
static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool take_literal(struct span *s, const char *literal)
{
	struct span rest = *s, head;

	if (!span_take(&rest, strlen(literal), &head) ||
	    !span_equal(head, SPAN(literal, strlen(literal))))
		return false;
	*s = rest;
	return true;
}

/* Moves s to the next "-----BEGIN "; false if there is none. */
static bool find_begin(struct span *s, bool strict, bool *junk)
{
	const uint8_t *p = s->n ? memmem(s->p, s->n, begin, strlen(begin)) : NULL;
	size_t skip = p ? (size_t)(p - s->p) : s->n;

	*junk = false;
	for (size_t i = 0; i < skip && strict; i++)
		if (s->p[i] != 0 && !is_space(s->p[i]))
			*junk = true;
	*s = SPAN(s->p + skip, s->n - skip);
	return p != NULL;
}

/* The base64 digits up to the next '-', without white space, into text (size s->n is enough). */
static size_t collect(struct span *s, char *text)
{
	size_t n = 0;

	for (; s->n > 0 && s->p[0] != '-'; s->p++, s->n--)
		if (!is_space(s->p[0]))
			text[n++] = (char)s->p[0];
	return n;
}

int pem_next(struct span *s, bool strict, struct span *out_label, uint8_t **out_bytes,
	     size_t *out_n)
{
	struct span label, again;
	const uint8_t *close;
	size_t n_text, n;
	char *text;
	bool junk;

	if (!find_begin(s, strict, &junk))
		return junk ? PEM_E_BROKEN : PEM_E_END;
	if (junk || !take_literal(s, begin))
		return PEM_E_BROKEN;
	close = memmem(s->p, s->n < 80 ? s->n : 80, dashes, strlen(dashes));
	if (!close || !span_take(s, (size_t)(close - s->p), &label) || !take_literal(s, dashes))
		return PEM_E_BROKEN;
	close = memchr(s->p, '-', s->n);
	if (!close || close - s->p > PEM_BLOCK_MAX)
		return PEM_E_BROKEN;
	text = malloc((size_t)(close - s->p) + 1);
	if (!text)
		return err_new(-ENOMEM);
	n_text = collect(s, text);
	/* Decoding in place: three bytes never overtake the four digits they come from. */
	if (!base64_parse(SPAN(text, n_text), (uint8_t *)text, n_text, &n) || n == 0 ||
	    !take_literal(s, end) || !span_take(s, label.n, &again) || !span_equal(label, again) ||
	    !take_literal(s, dashes)) {
		free(text);
		return PEM_E_BROKEN;
	}
	*out_label = label;
	*out_bytes = (uint8_t *)text;
	*out_n = n;
	return 0;
}
