/*
 * The appraiser as a daemon has it, with a process that judges behind its filter: what it says of
 * evidence of every kind and form, that no form of it kills the process, that a policy that cannot
 * be read leaves the old one in force, and that no reply is believed that serve() would not write.
 */
#include "chan/appraiser.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/test.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static const char insecure[] = "insecure: null\n";
static const char every_kind[] =
	"one_of:\n"
	"  - {tee: sgx, mrenclave: any, mrsigner: any, isvprodid: any, isvsvn_min: any, tcb: any}\n"
	"  - {tee: tdx, mrtd: any, rtmr0: any, rtmr1: any, rtmr2: any, rtmr3: any, tcb: any}\n"
	"  - {tee: tpm, ak_sha256: " ZEROS ", pcrs: {4: " ZEROS "}}\n";

struct fixture {
	struct event_base *base;
	struct appraiser *a;
	char dir[32], path[64], message[APPRAISER_MESSAGE_MAX];
	struct appraisal verdict;
	bool is_done;
};

static void write_policy(struct fixture *f, const char *text)
{
	FILE *out = fopen(f->path, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void fixture_start(struct fixture *f, const char *policy)
{
	*f = (struct fixture){ .base = event_base_new(), .dir = "/tmp/appraiser.XXXXXX" };
	assert_non_null(f->base);
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/policy", f->dir);
	write_policy(f, policy);
	if (appraiser_new(f->base, f->path, NULL, &f->a, f->message) != 0)
		fail_msg("%s", f->message);
}

static void fixture_end(struct fixture *f)
{
	appraiser_free(f->a);
	event_base_free(f->base);
	unlink(f->path);
	rmdir(f->dir);
}

static void done(void *owner, struct span reply, const char *why)
{
	struct fixture *f = owner;

	appraiser_read(reply, why, &f->verdict);
	f->is_done = true;
}

static const struct appraisal *judge(struct fixture *f, struct span evidence,
				     const uint8_t *report_data)
{
	const struct appraiser_question q = { .report_data = report_data,
					      .evidence = evidence,
					      .endorsements = evidence };
	struct job *job;

	f->is_done = false;
	assert_int_equal(appraiser_submit(f->a, &q, done, f, &job), 0);
	while (!f->is_done)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
	return &f->verdict;
}

static const struct span garbage = { (const uint8_t *)"not evidence", 12 };
static const uint8_t report_data[64] = { 1, 2, 3 };

static void insecure_trusts_all_and_grants_all(void **state)
{
	const struct appraisal *v;
	struct fixture f;

	(void)state;
	fixture_start(&f, insecure);
	assert_true(appraiser_is_insecure(f.a));
	v = judge(&f, garbage, report_data);
	assert_int_equal(v->result, RTLS_TRUSTED);
	assert_string_equal(v->tee, "null");
	assert_int_equal(v->n_prefixes, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(v->prefixes[i].len, 0);
	fixture_end(&f);
}

static void garbage_is_refused_and_named(void **state)
{
	static uint8_t big[120000];
	const struct appraisal *v;
	struct fixture f;

	(void)state;
	fixture_start(&f, every_kind);
	assert_false(appraiser_is_insecure(f.a));
	v = judge(&f, garbage, report_data);
	assert_int_not_equal(v->result, RTLS_TRUSTED);
	assert_non_null(strstr(v->why, "FORMAT: "));
	assert_null(strchr(v->why, '?'));
	assert_int_equal(v->n_prefixes, 0);
	v = judge(&f, SPAN(big, sizeof(big) / 2), NULL);
	assert_int_not_equal(v->result, RTLS_TRUSTED);
	assert_non_null(strstr(v->why, "FORMAT: "));
	fixture_end(&f);
}

/* Every file of a fuzzer's corpus, which reaches all of the code that the process has. */
static size_t judge_folder(struct fixture *f, const char *name)
{
	static uint8_t bytes[60000];
	char path[1000];
	struct dirent *e;
	size_t n_files = 0, n;
	DIR *dir;
	FILE *in;

	snprintf(path, sizeof(path), "%s/test/fuzz/corpus/%s", ENG_SOURCE_ROOT, name);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/test/fuzz/corpus/%s/%s", ENG_SOURCE_ROOT, name,
			 e->d_name);
		in = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!in)
			continue;
		n = fread(bytes, 1, sizeof(bytes), in);
		fclose(in);
		for (int with = 0; with < 2; with++) {
			const struct appraisal *v =
				judge(f, SPAN(bytes, n), with ? report_data : NULL);

			if (v->result == RTLS_TRUSTED || strstr(v->why, "process") ||
			    !strchr(v->why, ':'))
				fail_msg("%s: %s", path, v->why);
		}
		n_files++;
	}
	closedir(dir);
	return n_files;
}

static void nothing_kills_the_process(void **state)
{
	static const char *const folders[] = { "certificate", "envelope", "sgx", "tdx",
					       "snp",	      "tpm",	  "csv", "jwt" };
	struct fixture f;

	(void)state;
	fixture_start(&f, every_kind);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		assert_true(judge_folder(&f, folders[i]) > 0);
	fixture_end(&f);
}

static void what_cannot_be_read_changes_nothing(void **state)
{
	static const char *const bad[] = { "", "one_of: []\n", "insecure: yes\n",
					   "one_of:\n  - tee: tpn\n", "\xff" };
	struct fixture f;

	(void)state;
	fixture_start(&f, insecure);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_policy(&f, bad[i]);
		f.message[0] = '\0';
		assert_true(appraiser_reload(f.a, f.message) < 0);
		assert_non_null(strstr(f.message, f.path));
		assert_int_equal(judge(&f, garbage, NULL)->result, RTLS_TRUSTED);
	}
	unlink(f.path);
	assert_int_equal(appraiser_reload(f.a, f.message), -ENOENT);
	assert_non_null(strstr(f.message, "No such file"));
	assert_int_equal(judge(&f, garbage, NULL)->result, RTLS_TRUSTED);
	write_policy(&f, every_kind);
	assert_int_equal(appraiser_reload(f.a, f.message), 0);
	assert_int_not_equal(judge(&f, garbage, NULL)->result, RTLS_TRUSTED);
	assert_false(appraiser_is_insecure(f.a));
	fixture_end(&f);
}

static void a_start_that_fails_says_why(void **state)
{
	struct appraiser *a = NULL;
	struct fixture f;

	(void)state;
	fixture_start(&f, insecure);
	assert_true(appraiser_new(f.base, "/no/such/policy", NULL, &a, f.message) < 0);
	assert_non_null(strstr(f.message, "/no/such/policy: No such file"));
	assert_true(appraiser_new(f.base, f.path, "/no/such/collateral", &a, f.message) < 0);
	assert_non_null(strstr(f.message, "/no/such/collateral: No such file"));
	assert_null(a);
	fixture_end(&f);
}

static bool believed(const struct appraisal *reply, size_t n)
{
	struct appraisal out;

	appraiser_read(SPAN((const uint8_t *)reply, n), "", &out);
	if (out.result != RTLS_TRUSTED)
		assert_string_equal(out.why, "not appraised: nonsense from the worker process");
	return out.result == RTLS_TRUSTED;
}

static void only_sane_replies_are_believed(void **state)
{
	const struct prefix p = { .addr.family = AF_INET, .len = 32 };
	const struct appraisal good = { .result = RTLS_TRUSTED,
					.name = "a",
					.tee = "tpm",
					.n_prefixes = 1,
					.prefixes = { p } };
	struct appraisal bad, out;

	(void)state;
	assert_true(believed(&good, sizeof(good)));
	assert_false(believed(&good, sizeof(good) - 1));
	assert_false(believed(&good, 0));
#define BAD(change)                                                                                \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		assert_false(believed(&bad, sizeof(bad)));                                         \
	} while (0)
	BAD(bad.n_prefixes = APPRAISAL_PREFIXES_MAX + 1);
	BAD(bad.n_prefixes = UINT32_MAX);
	BAD(bad.may_replace = 2);
	BAD(bad.prefixes[0].len = 33);
	BAD(bad.prefixes[0].addr.family = 99);
	BAD(bad.n_prefixes = 2); /* the second is no prefix */
	BAD(memset(bad.why, 'x', sizeof(bad.why)));
	BAD(memset(bad.name, 'x', sizeof(bad.name)));
	BAD(memset(bad.tee, 'x', sizeof(bad.tee)));
	BAD(memset(bad.tcb, 'x', sizeof(bad.tcb)));
	BAD(memset(bad.measurement, 'x', sizeof(bad.measurement)));
	BAD(strcpy(bad.why, "a\nb"));
	BAD(strcpy(bad.name, "a b"));
	BAD(strcpy(bad.tee, "\x1b[2J"));
	BAD(strcpy(bad.tcb, "\""));
#undef BAD
	appraiser_read(SPAN(NULL, 0), "the worker process has ended", &out);
	assert_int_equal(out.result, RTLS_UNDECIDED);
	assert_string_equal(out.why, "not appraised: the worker process has ended");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insecure_trusts_all_and_grants_all),
		cmocka_unit_test(garbage_is_refused_and_named),
		cmocka_unit_test(nothing_kills_the_process),
		cmocka_unit_test(what_cannot_be_read_changes_nothing),
		cmocka_unit_test(a_start_that_fails_says_why),
		cmocka_unit_test(only_sane_replies_are_believed),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
