/*
 * What stands in the files given as arguments (test/vectors/wire.txt, and the examples of
 * docs/wire.md, which look the same) is what the code accepts, refuses and makes. The columns are
 * described in test/vectors/wire.py. A kind of which a file has no line is a failure.
 *
 * The module allocates nothing, so there is no allocation to fail: one by it fails the test. (Of
 * libcbor it uses the streaming decoder and the encoders, which allocate nothing either.)
 */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "wire/attest.h"
#include "wire/control.h"
#include "wire/frame.h"
#include "wire/gso.h"
#include "wire/ip.h"

enum { BYTES_MAX = 8192, N_KINDS = 5 };

struct vector {
	char name[64], result[32];
	uint8_t bytes[BYTES_MAX];
	size_t n;
};

static const char *path;
static struct gso_iter segments; /* of the last gso line */
static struct vector gso_vector; /* which that was, and keeps its bytes */

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	fail_msg("malloc(%zu) in a module that allocates nothing", n);
	return NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	fail_msg("calloc(%zu, %zu) in a module that allocates nothing", n, size);
	return NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
	(void)p;
	fail_msg("realloc(%zu) in a module that allocates nothing", n);
	return NULL;
}

static void check_frame(const struct vector *v)
{
	static const char *const words[] = { [0] = "ok",
					     [FRAME_E_MORE] = "more",
					     [FRAME_E_EMPTY] = "empty",
					     [FRAME_E_TOOBIG] = "toobig" };
	struct span in = SPAN(v->bytes, v->n), body = { 0 };
	uint8_t head[FRAME_HEAD];
	size_t total = 0;
	int r = frame_pop(&in, &body);

	assert_string_equal(words[r], v->result);
	if (r != 0) {
		assert_ptr_equal(in.p, v->bytes);
		assert_int_equal(in.n, v->n);
		return;
	}
	assert_int_equal(frame_peek_total(SPAN(v->bytes, v->n), &total), 0);
	assert_int_equal(total, FRAME_HEAD + body.n);
	assert_int_equal(total + in.n, v->n);
	frame_put_head(head, body.n);
	assert_memory_equal(head, v->bytes, FRAME_HEAD);
}

/* Decodes a control frame and encodes what came out. */
static int control_again(struct span body, uint8_t *buf, size_t size, size_t *out_n)
{
	static struct control_routes routes;
	static struct control_hello hello;
	struct attest_challenge challenge;
	struct attest_evidence evidence;
	struct control_notice notice;
	struct control_ping ping;
	enum frame_type type = frame_type_of(body);
	int r;

	switch (type) {
	case FRAME_HELLO:
		r = control_parse_hello(body, &hello);
		return r ? r : control_put_hello(&hello, buf, size, out_n);
	case FRAME_ROUTES:
		r = control_parse_routes(body, &routes);
		return r ? r : control_put_routes(&routes, buf, size, out_n);
	case FRAME_PING:
	case FRAME_PONG:
		r = control_parse_ping(body, &ping);
		return r ? r : control_put_ping(type, &ping, buf, size, out_n);
	case FRAME_GOAWAY:
	case FRAME_ERROR:
		r = control_parse_notice(body, &notice);
		return r ? r : control_put_notice(type, &notice, buf, size, out_n);
	case FRAME_CHALLENGE:
		r = attest_parse_challenge(body, &challenge);
		return r ? r : attest_put_challenge(&challenge, buf, size, out_n);
	case FRAME_EVIDENCE:
		r = attest_parse_evidence(body, &evidence);
		return r ? r : attest_put_evidence(&evidence, buf, size, out_n);
	case FRAME_ACCEPT:
		r = attest_parse_accept(body);
		return r ? r : attest_put_accept(buf, size, out_n);
	default:
		fail_msg("no control frame: %d", (int)type);
		return -1;
	}
}

static void check_control(const struct vector *v)
{
	struct span in = SPAN(v->bytes, v->n), body;
	uint8_t buf[FRAME_HEAD + FRAME_CONTROL_MAX];
	size_t n = 0;
	bool same;
	int r;

	assert_int_equal(frame_pop(&in, &body), 0);
	assert_int_equal(in.n, 0);
	r = control_again(body, buf, sizeof(buf), &n);
	if (strcmp(v->result, "malformed") == 0) {
		assert_int_equal(r, CONTROL_E_MALFORMED);
		return;
	}
	if (strcmp(v->result, "version") == 0) {
		assert_int_equal(r, CONTROL_E_VERSION);
		return;
	}
	assert_int_equal(r, 0);
	same = span_equal(SPAN(buf, n), SPAN(v->bytes, v->n));
	assert_string_equal(same ? "ok" : "accept", v->result);
}

static void check_ip(const struct vector *v)
{
	struct ip_info info;
	int r = ip_parse(SPAN(v->bytes, v->n), &info);

	assert_string_equal(r == 0 ? "ok" : ip_reason(r), v->result);
	if (r == 0)
		assert_in_range(info.l4_offset, 20, v->n);
}

static void check_gso(const struct vector *v)
{
	struct ip_info info;
	struct span packet;
	struct gso g;
	int r;

	gso_vector = *v;
	r = gso_parse(SPAN(gso_vector.bytes, v->n), &g, &packet, &info);
	assert_string_equal(r == 0 ? "ok" : gso_reason(r), v->result);
	memset(&segments, 0, sizeof(segments));
	if (r == 0)
		gso_iter_init(&segments, packet, &g, &info);
}

static void check_segment(const struct vector *v)
{
	uint8_t buf[BYTES_MAX];
	char number[16];
	size_t n;

	assert_string_equal(v->name, gso_vector.name);
	snprintf(number, sizeof(number), "%u", segments.index);
	assert_string_equal(v->result, number);
	n = gso_next(&segments, buf, sizeof(buf));
	assert_int_equal(n, v->n);
	assert_memory_equal(buf, v->bytes, n);
}

/* A packet has as many segments as the file lists. */
static void check_segments_are_done(void)
{
	uint8_t buf[BYTES_MAX];

	if (segments.packet.n > 0)
		assert_int_equal(gso_next(&segments, buf, sizeof(buf)), 0);
	memset(&segments, 0, sizeof(segments));
}

static bool parse_hex(const char *text, struct vector *v)
{
	unsigned byte;

	v->n = 0;
	if (strcmp(text, "-") == 0)
		return true;
	for (; text[0]; text += 2) {
		if (v->n == BYTES_MAX || sscanf(text, "%2x", &byte) != 1 || !text[1])
			return false;
		v->bytes[v->n++] = (uint8_t)byte;
	}
	return true;
}

static const struct {
	const char *kind;
	void (*check)(const struct vector *v);
} kinds[N_KINDS] = {
	{ "frame", check_frame }, { "control", check_control }, { "ip", check_ip },
	{ "gso", check_gso },	  { "segment", check_segment },
};

static void checks_every_line(void **state)
{
	static char line[2 * BYTES_MAX + 128], hex[2 * BYTES_MAX + 1];
	size_t seen[N_KINDS] = { 0 };
	static struct vector v;
	FILE *f = fopen(path, "re");
	char kind[16];

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%15s %63s %31s %16384s", kind, v.name, v.result, hex) != 4)
			continue;
		for (size_t i = 0; i < N_KINDS; i++) {
			if (strcmp(kind, kinds[i].kind) != 0 || !parse_hex(hex, &v))
				continue;
			if (kinds[i].check != check_segment)
				check_segments_are_done();
			print_message("%s %s\n", kind, v.name);
			kinds[i].check(&v);
			seen[i]++;
		}
	}
	check_segments_are_done();
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < N_KINDS; i++)
		assert_in_range(seen[i], 1, 100000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(checks_every_line) };

	for (int i = 1; i < argc; i++) {
		path = argv[i];
		if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
			return 1;
	}
	return argc < 2;
}
