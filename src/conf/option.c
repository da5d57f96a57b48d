/* The command line from a table, by getopt_long(3); see option.h. */
#include "conf/option.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

enum { OPTIONS_MAX = 40, OPT_FIRST = 256, OPT_HELP = 'h', OPT_VERSION = 'V', HELP_COLUMN = 30 };

int option_complain(const struct option_program *p, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", p->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (%s --help lists the options)\n", p->name);
	return OPTION_E_USAGE;
}

static void print_option(const struct option_spec *o, FILE *out)
{
	int used = fprintf(out, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	const char *line = o->help, *end;

	while ((end = strchrnul(line, '\n')) != line) {
		if (used >= HELP_COLUMN)
			used = fprintf(out, "\n") * 0;
		fprintf(out, "%*s%.*s\n", HELP_COLUMN - used, "", (int)(end - line), line);
		used = 0;
		if (*end == '\0')
			break;
		line = end + 1;
	}
}

void option_print_help(const struct option_program *p, FILE *out)
{
	static const struct option_spec common[] = {
		{ "help", NULL, "print this and exit" },
		{ "version", NULL, "print the version and exit" },
	};

	fprintf(out, "usage: %s\n\n%s\n\n", p->usage, p->summary);
	for (size_t i = 0; i < p->n_options; i++)
		print_option(&p->options[i], out);
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		print_option(&common[i], out);
	if (p->footer)
		fprintf(out, "\n%s\n", p->footer);
}

static void fill_getopt(const struct option_program *p, struct option table[OPTIONS_MAX])
{
	size_t i;

	memset(table, 0, OPTIONS_MAX * sizeof(table[0]));
	for (i = 0; i < p->n_options && i < OPTIONS_MAX - 3; i++)
		table[i] = (struct option){ p->options[i].name,
					    p->options[i].arg ? required_argument : no_argument,
					    NULL, OPT_FIRST + (int)i };
	table[i++] = (struct option){ "help", no_argument, NULL, OPT_HELP };
	table[i] = (struct option){ "version", no_argument, NULL, OPT_VERSION };
}

int option_parse(const struct option_program *p, int argc, char **argv, option_set_fn set,
		 void *ctx)
{
	struct option table[OPTIONS_MAX];
	const struct option_spec *o;
	const char *wrong;
	int c;

	fill_getopt(p, table);
	optind = 0; /* start anew: programs with subcommands parse twice, tests often */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hV", table, NULL)) != -1) {
		if (c == OPT_HELP || c == OPT_VERSION) {
			if (c == OPT_HELP)
				option_print_help(p, stdout);
			else
				printf("%s " ENG_VERSION "\n", p->name);
			if (fflush(stdout) != 0) /* a full disk, say */
				return option_complain(p, "cannot write to standard output");
			return OPTION_E_DONE;
		}
		if (c == ':')
			return option_complain(p, "'%s' needs a value", argv[optind - 1]);
		if (c < OPT_FIRST)
			return option_complain(p,
					       "'%s' is no option, or it takes no value, or its "
					       "short form is ambiguous",
					       argv[optind - 1]);
		o = &p->options[c - OPT_FIRST];
		wrong = set(ctx, (size_t)(c - OPT_FIRST), o->arg ? optarg : NULL);
		if (wrong)
			return option_complain(p, "--%s%s%s%s: %s", o->name, o->arg ? " '" : "",
					       o->arg ? optarg : "", o->arg ? "'" : "", wrong);
	}
	if (argc - optind > p->n_operands_max)
		return option_complain(p,
				       p->n_operands_max
					       ? "'%s' is one argument too many"
					       : "'%s' stands alone; every value follows an option",
				       argv[optind + p->n_operands_max]);
	return 0;
}
