/* Every way to write an option wrong ends in one line and OPTION_E_USAGE, with nothing half taken.
 */
#include "conf/option.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"

static const struct option_spec specs[] = {
	{ "connect", "HOST:PORT", "where to" },
	{ "compat", NULL, "old\nand long help" },
};

static const struct option_program program = {
	.name = "prog",
	.usage = "prog [OPTION]...",
	.summary = "Does it.",
	.options = specs,
	.n_options = ARRAY_LEN(specs),
};

struct taken {
	int n[ARRAY_LEN(specs)];
	char last[64];
};

static const char *take(void *ctx, size_t index, const char *value)
{
	struct taken *t = ctx;

	if (value && strcmp(value, "bad") == 0)
		return "not that; write good";
	t->n[index]++;
	snprintf(t->last, sizeof(t->last), "%s", value ? value : "");
	return NULL;
}

static int parse(struct taken *t, const char *a, const char *b, const char *c)
{
	char *argv[] = { (char *)"prog", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
			 (char *)(uintptr_t)c, NULL };
	int argc = 1;

	while (argv[argc])
		argc++;
	memset(t, 0, sizeof(*t));
	return option_parse(&program, argc, argv, take, t);
}

static void takes_what_is_right(void **state)
{
	struct taken t;

	(void)state;
	assert_int_equal(parse(&t, "--connect", "x:1", "--compat"), 0);
	assert_int_equal(t.n[0], 1);
	assert_int_equal(t.n[1], 1);
	assert_int_equal(parse(&t, "--connect=x:1", "--connect=y:2", NULL), 0);
	assert_int_equal(t.n[0], 2);
	assert_string_equal(t.last, "y:2");
	assert_int_equal(parse(&t, NULL, NULL, NULL), 0);
}

static void refuses_what_is_wrong(void **state)
{
	struct taken t;

	(void)state;
	assert_int_equal(parse(&t, "--connect", NULL, NULL), OPTION_E_USAGE);
	assert_int_equal(parse(&t, "--nothing", NULL, NULL), OPTION_E_USAGE);
	assert_int_equal(parse(&t, "--compat=yes", NULL, NULL), OPTION_E_USAGE);
	assert_int_equal(parse(&t, "alone", NULL, NULL), OPTION_E_USAGE);
	assert_int_equal(parse(&t, "-x", NULL, NULL), OPTION_E_USAGE);
	assert_int_equal(parse(&t, "--connect", "bad", NULL), OPTION_E_USAGE);
	assert_int_equal(t.n[0], 0);
	assert_int_equal(parse(&t, "--help", NULL, NULL), OPTION_E_DONE);
	assert_int_equal(parse(&t, "--version", NULL, NULL), OPTION_E_DONE);
}

static void leaves_operands_at_the_end(void **state)
{
	char *argv[] = { (char *)"prog", (char *)"one", (char *)"--compat", (char *)"two", NULL };
	struct option_program with = program;
	struct taken t = { 0 };

	(void)state;
	with.n_operands_max = 2;
	assert_int_equal(option_parse(&with, 4, argv, take, &t), 0);
	assert_int_equal(t.n[1], 1);
	assert_int_equal(optind, 2);
	assert_string_equal(argv[2], "one");
	assert_string_equal(argv[3], "two");
	with.n_operands_max = 1;
	assert_int_equal(option_parse(&with, 4, argv, take, &t), OPTION_E_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_right),
		cmocka_unit_test(refuses_what_is_wrong),
		cmocka_unit_test(leaves_operands_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
