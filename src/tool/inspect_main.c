/*
 * rats-inspect: looks at evidence of trusted execution environments, and verifies it under a
 * policy. Thin: librats_tls decides, through its public interface; here are the command line,
 * files and print. See rats-inspect(1).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/option.h"
#include "tool/inspect.h"

enum option_index {
	POLICY,
	TIME,
	COLLATERAL,
	REPORT_DATA,
	URL,
	TCTI,
	OPTIONS,
	NAME,
	ANY,
	JSON,
	VERBOSE
};

static const struct option_spec specs[] = {
	[POLICY] = { "policy", "FILE", "verify: what is accepted, see rats-policy(5)" },
	[TIME] = { "time", "TIME",
		   "as of then: 2026-01-31T10:00:00Z, or seconds since\n1970 (default: now)" },
	[COLLATERAL] = { "collateral", "PATH",
			 "a file, a bundle or a directory; repeats\n(default for verify: the "
			 "policy's)" },
	[REPORT_DATA] = { "report-data", "HEX",
			  "verify: what the evidence must speak for;\ntpm quote: what it will" },
	[URL] = { "url", "URL",
		  "collateral fetch: a service, instead of the makers';\nrepeats, asked in order" },
	[TCTI] = { "tcti", "TCTI", "tpm: where the TPM is (default: device:/dev/tpmrm0)" },
	[OPTIONS] = { "options", "LIST", "tpm: KEY=VALUE,..., see rats-attester(7)" },
	[NAME] = { "name", "NAME", "tpm enroll: a name for the policy's alternative" },
	[ANY] = { "any", NULL, "policy: accept any evidence of that kind of TEE" },
	[JSON] = { "json", NULL, "print one JSON object" },
	[VERBOSE] = { "verbose", NULL, "or -v: print every check, and verify every claim too" },
};

static const struct option_program program = {
	.name = "rats-inspect",
	.usage = "rats-inspect verify FILE --policy FILE [--collateral PATH] [--time TIME]\n"
		 "       rats-inspect show FILE\n"
		 "       rats-inspect policy [--any] FILE\n"
		 "       rats-inspect diff FILE FILE\n"
		 "       rats-inspect collateral show PATH\n"
		 "       rats-inspect collateral bundle PATH > FILE\n"
		 "       rats-inspect collateral fetch FILE DIR [--url URL]\n"
		 "       rats-inspect tpm enroll [--tcti TCTI] [--options LIST] [--name NAME]\n"
		 "       rats-inspect tpm quote --report-data HEX [--tcti TCTI] [--options LIST]\n"
		 "       rats-inspect tpm assemble QUOTE SIGNATURE PCRS KEY > FILE\n"
		 "       rats-inspect attesters",
	.summary = "Looks at evidence of trusted execution environments, and verifies it.",
	.options = specs,
	.n_options = ARRAY_LEN(specs),
	.footer = "FILE is a quote, report, token, envelope or certificate, or one in hex or "
		  "base64;\n"
		  "- is standard input.\n"
		  "Exit status: 0 trusted (or done), 1 rejected (or different, or no evidence),\n"
		  "2 not decided. See rats-inspect(1).",
	.n_operands_max = INSPECT_OPERANDS_MAX,
};

#define MAY(option) (1u << (option))
enum { MAY_DECODE = MAY(TIME) | MAY(COLLATERAL), MAY_ATTEST = MAY(TCTI) | MAY(OPTIONS) };

struct command {
	const char *word, *second; /* second: NULL if one word names it */
	int n_operands;
	unsigned may; /* options that mean something to it */
	int (*run)(const struct inspect *in);
};

static const struct command commands[] = {
	{ "verify", NULL, 1, MAY_DECODE | MAY(POLICY) | MAY(REPORT_DATA) | MAY(JSON) | MAY(VERBOSE),
	  inspect_verify },
	{ "show", NULL, 1, MAY_DECODE | MAY(JSON) | MAY(VERBOSE), inspect_show },
	{ "policy", NULL, 1, MAY_DECODE | MAY(ANY), inspect_policy },
	{ "diff", NULL, 2, MAY_DECODE | MAY(JSON), inspect_diff },
	{ "collateral", "show", 1, MAY(TIME) | MAY(JSON), inspect_collateral_show },
	{ "collateral", "bundle", 1, 0, inspect_collateral_bundle },
	{ "collateral", "fetch", 2, MAY(TIME) | MAY(URL), inspect_collateral_fetch },
	{ "tpm", "enroll", 0, MAY_ATTEST | MAY(NAME), inspect_tpm_enroll },
	{ "tpm", "quote", 0, MAY_ATTEST | MAY(REPORT_DATA), inspect_tpm_quote },
	{ "tpm", "assemble", 4, 0, inspect_tpm_assemble },
	{ "attesters", NULL, 0, 0, inspect_attesters },
};

struct parse {
	struct inspect in;
	unsigned given;
};

static const char *set_time(const char *value, int64_t *out)
{
	static const char wrong[] = "give it as 2026-01-31T10:00:00Z, or in seconds since 1970";
	struct tm tm = { 0 };
	const char *rest;
	char *end;

	rest = strptime(value, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (rest) {
		*out = timegm(&tm);
		return *rest == '\0' && *out > 0 ? NULL : wrong;
	}
	errno = 0;
	*out = strtoll(value, &end, 10);
	return errno == 0 && end != value && *end == '\0' && *out > 0 ? NULL : wrong;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *p;

	p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
	return p ? (int)(p - digits) : -1;
}

static const char *set_report_data(const char *value, struct inspect *in)
{
	const size_t n = strlen(value);

	if (n == 0 || n % 2 != 0 || n > (size_t)2 * REPORT_DATA_MAX)
		return "from 1 to 64 bytes, two hex digits each";
	for (size_t i = 0; i < n; i += 2) {
		const int high = hex_digit(value[i]), low = hex_digit(value[i + 1]);

		if (high < 0 || low < 0)
			return "from 1 to 64 bytes, two hex digits each";
		in->report_data[i / 2] = (uint8_t)(high << 4 | low);
	}
	in->n_report_data = n / 2;
	return NULL;
}

/* It goes into YAML between quotes. */
static const char *set_name(const char *value, const char **out)
{
	for (const char *p = value; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			return "from printable ASCII without quotes and backslashes";
	*out = value;
	return NULL;
}

static const char *set(void *ctx, size_t index, const char *value)
{
	struct parse *p = ctx;

	p->given |= MAY(index);
	switch ((enum option_index)index) {
	case POLICY:
		p->in.policy = value;
		return NULL;
	case TIME:
		return set_time(value, &p->in.time);
	case COLLATERAL:
		if (p->in.n_collateral == INSPECT_COLLATERAL_MAX)
			return "given too often";
		p->in.collateral[p->in.n_collateral++] = value;
		return NULL;
	case REPORT_DATA:
		return set_report_data(value, &p->in);
	case URL:
		if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
			return "give it as https://HOST[:PORT] or http://HOST[:PORT]";
		if (p->in.n_urls == INSPECT_URLS_MAX)
			return "given too often";
		p->in.urls[p->in.n_urls++] = value;
		return NULL;
	case TCTI:
		p->in.tcti = value;
		return *value ? NULL : "give it as device:/dev/tpmrm0 or swtpm:path=SOCKET";
	case OPTIONS:
		p->in.options = value;
		return *value ? NULL : "KEY=VALUE,..., see rats-attester(7)";
	case NAME:
		return set_name(value, &p->in.name);
	case ANY:
		p->in.any = true;
		return NULL;
	case JSON:
		p->in.json = true;
		return NULL;
	case VERBOSE:
		p->in.verbose = true;
		return NULL;
	}
	return "not known";
}

/* Which command argv[1..] names; NULL: none. */
static const struct command *find_command(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].word) == 0 &&
		    (!commands[i].second || (argc > 2 && strcmp(argv[2], commands[i].second) == 0)))
			return &commands[i];
	return NULL;
}

static int check(const struct command *c, const struct parse *p, int n_operands)
{
	const char *space = c->second ? " " : "", *second = c->second ? c->second : "";

	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		if (p->given & ~c->may & MAY(i))
			return option_complain(&program, "%s%s%s does not take --%s", c->word,
					       space, second, specs[i].name);
	if (n_operands != c->n_operands)
		return option_complain(&program, "%s%s%s takes %d file%s, not %d", c->word, space,
				       second, c->n_operands, c->n_operands == 1 ? "" : "s",
				       n_operands);
	if (c->run == inspect_tpm_quote && !(p->given & MAY(REPORT_DATA)))
		return option_complain(&program, "tpm quote takes --report-data: what the quote "
						 "shall speak for");
	if (p->in.json && p->in.verbose)
		return option_complain(&program, "--json holds what --verbose would print");
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *c = find_command(argc, argv);
	struct parse p = { .in = { .time = time(NULL) } };
	int r, words = c ? 1 + (c->second != NULL) : 0;

	if (!c && argc > 1 && argv[1][0] != '-')
		return option_complain(&program,
				       "'%s' is no command: verify, show, policy, diff, "
				       "collateral show, collateral bundle, collateral fetch, "
				       "tpm enroll, tpm quote, tpm assemble or attesters",
				       argv[1]),
		       EXIT_USAGE;
	for (int i = 1; i < argc; i++) /* the one short option; the parser knows long ones */
		if (strcmp(argv[i], "-v") == 0)
			argv[i] = (char *)"--verbose";
	r = option_parse(&program, argc - words, argv + words, set, &p);
	if (r == OPTION_E_DONE)
		return inspect_flush(EXIT_SUCCESS);
	if (r == 0 && !c)
		option_complain(&program, "say what to do: verify, show, policy, diff, "
					  "collateral, tpm or attesters");
	if (r != 0 || !c || check(c, &p, argc - words - optind) != 0)
		return EXIT_USAGE;
	for (int i = 0; i < c->n_operands; i++)
		p.in.operands[i] = argv[words + optind + i];
	return c->run(&p.in);
}
