/* A command line in a file; see argfile.h. */
#include "conf/argfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char blanks[] = " \t\r";

static const char *read_text(const char *path, struct argfile *out)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = 0;

	if (fd < 0)
		return strerrordesc_np(errno);
	while (have < sizeof(out->text)) {
		n = read(fd, out->text + have, sizeof(out->text) - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	if (n < 0)
		return strerrordesc_np(errno);
	if (have == sizeof(out->text))
		return "too long";
	if (memchr(out->text, '\0', have))
		return "not a text";
	out->text[have] = '\0';
	return NULL;
}

static bool add(struct argfile *out, char *word)
{
	if (out->argc == ARGFILE_ARGS_MAX + 1)
		return false;
	out->argv[out->argc++] = word;
	return true;
}

/* Cuts the line to its option and its value, which may be missing. */
static const char *take_line(struct argfile *out, char *line)
{
	char *value, *end;

	line += strspn(line, blanks);
	end = line + strlen(line);
	while (end > line && strchr(blanks, end[-1]))
		*--end = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return NULL;
	if (strncmp(line, "--", 2) != 0)
		return "a line begins with an option, --NAME, or with #";
	value = line + strcspn(line, blanks);
	if (*value) {
		*value++ = '\0';
		value += strspn(value, blanks);
	}
	if (!add(out, line) || (*value && !add(out, value)))
		return "too many options";
	return NULL;
}

const char *argfile_read(const char *path, char *argv0, struct argfile *out)
{
	const char *wrong;
	char *line, *rest;

	out->argc = 0;
	wrong = read_text(path, out);
	if (wrong)
		return wrong;
	out->argv[out->argc++] = argv0;
	rest = out->text;
	while ((line = strsep(&rest, "\n"))) {
		wrong = take_line(out, line);
		if (wrong)
			return wrong;
	}
	out->argv[out->argc] = NULL;
	return NULL;
}
