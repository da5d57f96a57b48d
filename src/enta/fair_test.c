/* Whose turn it is, what it costs, and who makes room, with frames that say what they are. */
#include "enta/fair.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"

enum { FRAME = 65551, BULK = 60000, SMALL = 100, MAX = 4 * 1024 * 1024 };

/* A frame is its flow, its number within it, and filling. */
struct mark {
	uint32_t flow, number;
};

static unsigned put(struct fair *f, uint32_t flow, uint32_t number, size_t n)
{
	struct mark m = { flow, number };
	uint8_t *room = fair_room(f);

	assert_non_null(room);
	memcpy(room + 3, &m, sizeof(m));
	return fair_push(f, flow, 3, n);
}

static struct mark mark_of(const struct iovec *iov)
{
	struct mark m;

	assert_true(iov->iov_len >= sizeof(m));
	memcpy(&m, iov->iov_base, sizeof(m));
	return m;
}

static struct mark take(struct fair *f)
{
	struct mark m = { UINT32_MAX, 0 };
	struct iovec iov;

	if (fair_next(f, &iov, 1, 1) == 1)
		m = mark_of(&iov);
	fair_taken(f);
	return m;
}

static struct fair *fair_of(size_t max)
{
	struct fair *f;

	assert_int_equal(fair_new(FRAME, max, &f), 0);
	return f;
}

static void test_sparse_first(void **state)
{
	struct fair *f = fair_of(MAX);

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(put(f, 1, i, BULK), 0);
	for (int i = 0; i < 3; i++) /* the bulk flow has had its first turn */
		assert_int_equal(take(f).flow, 1);
	assert_int_equal(put(f, 2, 0, SMALL), 0);
	assert_int_equal(put(f, 2, 1, SMALL), 0);
	assert_int_equal(take(f).flow, 2);
	assert_int_equal(take(f).flow, 2);
	assert_int_equal(take(f).flow, 1);
	/* Who comes back at once has had his turn: it ends when the quantum is used up. */
	for (uint32_t i = 0; i < 2 * FAIR_QUANTUM / BULK + 2; i++) {
		assert_int_equal(put(f, 3, i, BULK), 0);
		if (take(f).flow == 1) {
			fair_free(f);
			return;
		}
	}
	fail_msg("a flow that never ends goes before all others");
}

/* Two that relieve each other are not new each time: the one that waits has its turn. */
static void test_small_ones_starve_nobody(void **state)
{
	struct fair *f = fair_of(MAX);
	int n_bulk = 0;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(put(f, 1, i, BULK), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(f).flow, 1);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(put(f, 2 + i % 2, i, SMALL), 0);
		n_bulk += take(f).flow == 1;
	}
	assert_true(n_bulk > 0);
	fair_free(f);
}

/* Small, of a flow that has little, and before much. */
static void test_overtakes(void **state)
{
	struct fair *f = fair_of(MAX);
	uint64_t before;

	(void)state;
	assert_int_equal(put(f, 2, 0, SMALL), 0);
	assert_int_equal(take(f).flow, 2);
	assert_int_equal(fair_overtakes(f), 0); /* nobody was there */
	for (uint32_t i = 0; fair_memory(f) < FAIR_BACKLOG; i++)
		assert_int_equal(put(f, 1, i, BULK), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(f).flow, 1);
	before = fair_overtakes(f);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(put(f, 1, i, BULK), 0);
	assert_int_equal(put(f, 3, 0, BULK), 0);
	assert_int_equal(take(f).flow, 3);
	assert_int_equal(fair_overtakes(f), before); /* it is not small */
	assert_int_equal(put(f, 4, 0, SMALL), 0);
	assert_int_equal(take(f).flow, 4);
	assert_int_equal(fair_overtakes(f), before + 1);
	while (fair_count(f) > 1)
		take(f);
	before = fair_overtakes(f);
	assert_int_equal(put(f, 5, 0, SMALL), 0);
	take(f);
	take(f);
	assert_int_equal(fair_overtakes(f), before); /* one frame is not much */
	fair_free(f);
}

static void test_shares(void **state)
{
	size_t sent[4] = { 0 };
	struct fair *f = fair_of(MAX);
	struct iovec iov[8];
	int n;

	(void)state;
	for (uint32_t i = 0; i < 15; i++) /* large frames and, of the same flows' worth, small */
		assert_int_equal(put(f, 0, i, BULK) + put(f, 1, i, BULK), 0);
	for (uint32_t i = 0; i < 90; i++)
		assert_int_equal(put(f, 2, i, BULK / 6) + put(f, 3, i, BULK / 6), 0);
	for (size_t all = 0; all < 30 * (size_t)BULK;) {
		n = fair_next(f, iov, 8, 128 * 1024);
		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			sent[mark_of(&iov[i]).flow] += iov[i].iov_len;
			all += iov[i].iov_len;
		}
		fair_taken(f);
	}
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 4; k++)
			assert_true(sent[i] <= sent[k] + FAIR_QUANTUM + 2 * (size_t)FRAME);
	fair_free(f);
}

static void test_bound(void **state)
{
	struct fair *f = fair_of(MAX);
	unsigned dropped = 0;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(put(f, 7, i, SMALL), 0);
	for (uint32_t i = 0; i < 200; i++) {
		dropped += put(f, 1, i, BULK);
		assert_true(fair_memory(f) <= MAX);
	}
	assert_true(dropped > 100 && dropped < 200);
	assert_int_equal(fair_count(f), 210 - dropped);
	for (uint32_t i = 0; i < 10; i++) /* nobody else pays for it */
		assert_int_equal(take(f).flow, 7);
	assert_int_equal(take(f).number, dropped); /* from the head */
	fair_clear(f);
	assert_int_equal(fair_count(f), 0);
	assert_int_equal(fair_memory(f), 0);
	assert_int_equal(take(f).flow, UINT32_MAX);
	fair_free(f);
}

/* Small frames count too, with what keeping them costs. */
static void test_bound_small(void **state)
{
	struct fair *f = fair_of(MAX);
	uint8_t frame[SMALL] = { 0 };
	unsigned dropped = 0;

	(void)state;
	for (uint32_t i = 0; i < MAX / SMALL; i++)
		dropped += fair_push_copy(f, 5, frame, sizeof(frame));
	assert_true(dropped > 0);
	assert_true(fair_count(f) * SMALL < MAX);
	assert_true(fair_memory(f) <= MAX);
	fair_free(f);
}

/* Random flows, sizes, pushes and takes: within a flow numbers only grow, and the bound holds. */
static void test_random(void **state)
{
	enum { FLOWS = 37, STEPS = 60000 };
	uint32_t pushed[FLOWS] = { 0 }, seen[FLOWS] = { 0 };
	size_t n_pushed = 0, n_taken = 0, n_dropped = 0;
	struct fair *f = fair_of(MAX);
	struct iovec iov[16];
	int n;

	(void)state;
	srand(4711);
	for (int i = 0; i < STEPS; i++) {
		uint32_t flow = (uint32_t)(rand() % 5 ? rand() % 4 : rand() % FLOWS);

		if (rand() % 20 < (i / 5000 % 2 ? 19 : 12)) { /* it grows, it shrinks */
			n_dropped += put(f, flow, ++pushed[flow],
					 (size_t)(rand() % 3 ? SMALL + rand() % 1400
							     : SMALL + rand() % BULK));
			n_pushed++;
		} else {
			n = fair_next(f, iov, 1 + rand() % 16, (size_t)(1 + rand() % 200000));
			for (int k = 0; k < n; k++) {
				struct mark m = mark_of(&iov[k]);

				assert_true(m.flow < FLOWS && m.number > seen[m.flow]);
				seen[m.flow] = m.number;
			}
			n_taken += (size_t)n;
			fair_taken(f);
		}
		assert_true(fair_memory(f) <= MAX);
		assert_int_equal(fair_count(f), n_pushed - n_taken - n_dropped);
	}
	assert_true(n_dropped > 0 && n_taken > STEPS / 8);
	fair_free(f);
	fair_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_first),
		cmocka_unit_test(test_small_ones_starve_nobody),
		cmocka_unit_test(test_overtakes),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_bound_small),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
