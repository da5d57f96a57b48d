/* CHALLENGE, EVIDENCE and ACCEPT; see attest.h. */
#include "wire/attest.h"

#include "wire/control.h"
#include "wire/item.h"
#include "wire/map.h"

enum { CHALLENGE_NONCE, CHALLENGE_N };
enum { EVIDENCE_NONCE, EVIDENCE_BODY, EVIDENCE_ENDORSEMENTS, EVIDENCE_N };
enum { ACCEPT_N = 0 };

static bool take_nonce(struct span *in, uint8_t out[ATTEST_NONCE])
{
	struct span nonce;

	return item_bytes(in, &nonce) && nonce.n == ATTEST_NONCE &&
	       span_copy(&nonce, out, ATTEST_NONCE);
}

static bool take_part(struct span *in, size_t min, struct span *out)
{
	return item_bytes(in, out) && out->n >= min && out->n <= ATTEST_PART_MAX;
}

static int challenge_field(struct span *in, uint64_t key, void *out)
{
	struct attest_challenge *c = out;

	if (key != CHALLENGE_NONCE)
		return MAP_E_UNKNOWN;
	return take_nonce(in, c->nonce) ? 0 : CONTROL_E_MALFORMED;
}

static int evidence_field(struct span *in, uint64_t key, void *out)
{
	struct attest_evidence *e = out;
	bool ok;

	if (key == EVIDENCE_NONCE)
		ok = take_nonce(in, e->nonce);
	else if (key == EVIDENCE_BODY)
		ok = take_part(in, 1, &e->evidence);
	else if (key == EVIDENCE_ENDORSEMENTS)
		ok = take_part(in, 0, &e->endorsements);
	else
		return MAP_E_UNKNOWN;
	return ok ? 0 : CONTROL_E_MALFORMED;
}

static int accept_field(struct span *in, uint64_t key, void *out)
{
	(void)in;
	(void)key;
	(void)out;
	return MAP_E_UNKNOWN;
}

int attest_parse_challenge(struct span body, struct attest_challenge *out)
{
	struct attest_challenge c = { 0 };
	int r;

	if (!map_is(body, FRAME_CHALLENGE))
		return CONTROL_E_MALFORMED;
	r = map_parse(body, FRAME_CONTROL_MAX, CHALLENGE_N, challenge_field, &c);
	if (r == 0)
		*out = c;
	return r;
}

int attest_parse_evidence(struct span body, struct attest_evidence *out)
{
	struct attest_evidence e = { 0 };
	int r;

	if (!map_is(body, FRAME_EVIDENCE))
		return CONTROL_E_MALFORMED;
	r = map_parse(body, FRAME_MAX, EVIDENCE_N, evidence_field, &e);
	if (r == 0)
		*out = e;
	return r;
}

int attest_parse_accept(struct span body)
{
	if (!map_is(body, FRAME_ACCEPT))
		return CONTROL_E_MALFORMED;
	return map_parse(body, FRAME_CONTROL_MAX, ACCEPT_N, accept_field, NULL);
}

int attest_put_challenge(const struct attest_challenge *c, uint8_t *buf, size_t size, size_t *out_n)
{
	struct wspan w = map_put_begin(buf, size, FRAME_CONTROL_MAX, FRAME_CHALLENGE, CHALLENGE_N);

	item_put_uint(&w, CHALLENGE_NONCE);
	item_put_bytes(&w, c->nonce, ATTEST_NONCE);
	return map_put_end(&w, out_n);
}

int attest_put_evidence(const struct attest_evidence *e, uint8_t *buf, size_t size, size_t *out_n)
{
	struct wspan w = map_put_begin(buf, size, FRAME_MAX, FRAME_EVIDENCE, EVIDENCE_N);

	item_put_uint(&w, EVIDENCE_NONCE);
	item_put_bytes(&w, e->nonce, ATTEST_NONCE);
	item_put_uint(&w, EVIDENCE_BODY);
	item_put_bytes(&w, e->evidence.p, e->evidence.n);
	item_put_uint(&w, EVIDENCE_ENDORSEMENTS);
	item_put_bytes(&w, e->endorsements.p, e->endorsements.n);
	return map_put_end(&w, out_n);
}

int attest_put_accept(uint8_t *buf, size_t size, size_t *out_n)
{
	struct wspan w = map_put_begin(buf, size, FRAME_CONTROL_MAX, FRAME_ACCEPT, ACCEPT_N);

	return map_put_end(&w, out_n);
}
