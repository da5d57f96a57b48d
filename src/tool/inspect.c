/*
 * What the commands of rats-inspect share: files in, claims out. Everything that is printed and
 * came from a file is reduced to printable ASCII, so that evidence cannot write to a terminal.
 */
#include "tool/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

int inspect_complain(const char *fmt, ...)
{
	va_list ap;

	fputs("rats-inspect: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EXIT_UNDECIDED;
}

static int complain_file(const char *path, int r)
{
	inspect_complain("%s: %s", path, err_text(r));
	return err_pass(r);
}

/* To the end rather than to st_size: pipes have none. */
static int read_fd(int fd, uint8_t **out, size_t *out_n)
{
	CLEANUP(inspect_freep) uint8_t *buf = NULL;
	size_t n = 0, size = 0;
	ssize_t r;

	for (;;) {
		if (n == size) {
			uint8_t *p;

			if (n >= INSPECT_FILE_MAX)
				return err_new(-EFBIG);
			size = size ? 2 * size : 16 * 1024;
			p = realloc(buf, size);
			if (!p)
				return err_new(-ENOMEM);
			buf = p;
		}
		r = read(fd, buf + n, size - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_new(-errno);
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*out = TAKE(buf);
	*out_n = n;
	return 0;
}

int inspect_read(const char *path, uint8_t **out, size_t *out_n)
{
	CLEANUP(fd_closep) int fd = -1;
	int r;

	if (strcmp(path, "-") == 0)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? err_new(-errno) : read_fd(fd, out, out_n);
	return r < 0 ? complain_file(path, r) : 0;
}

int inspect_load(const struct inspect *in, const char *fallback, struct rtls_collateral **out)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;
	const bool given = in->n_collateral > 0;
	int r;

	r = rtls_collateral_new(&c);
	if (r < 0)
		return complain_file("collateral", r);
	for (size_t i = 0; i < (given ? in->n_collateral : fallback != NULL); i++) {
		const char *path = given ? in->collateral[i] : fallback;

		r = rtls_collateral_load(c, path);
		if (r < 0)
			return complain_file(path, r);
	}
	r = rtls_collateral_seal(c);
	if (r < 0)
		return complain_file("collateral", r);
	*out = TAKE(c);
	return 0;
}

int inspect_decode(const struct inspect *in, const char *path, struct rtls_verdict **out)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = in->time };
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;
	CLEANUP(inspect_freep) uint8_t *file = NULL;
	size_t n = 0;
	int r;

	r = inspect_read(path, &file, &n);
	if (r < 0)
		return err_pass(r);
	inspect_from_text(file, &n);
	r = inspect_load(in, NULL, &c);
	if (r < 0)
		return err_pass(r);
	r = rtls_inspect(c, file, n, &ctx, out);
	return r < 0 ? complain_file(path, r) : 0;
}

bool inspect_is_evidence(const char *path, const struct rtls_verdict *v)
{
	struct rtls_claim first;

	if (*rtls_verdict_tee(v) && rtls_verdict_claim(v, 0, &first))
		return true;
	inspect_complain("%s: %s: %s", path, rtls_check_name(rtls_verdict_failed(v)),
			 rtls_verdict_why(v));
	return false;
}

static void print_hex(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
}

static void print_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		putchar(p[i] < ' ' || p[i] > '~' ? '?' : p[i]);
}

void inspect_json_text(const uint8_t *p, size_t n)
{
	putchar('"');
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\')
			putchar('\\');
		print_text(p + i, 1);
	}
	putchar('"');
}

void inspect_json_claim(const struct rtls_claim *c)
{
	switch (c->kind) {
	case RTLS_CLAIM_UINT:
		printf("%" PRIu64, c->number);
		return;
	case RTLS_CLAIM_BOOL:
		fputs(c->number ? "true" : "false", stdout);
		return;
	case RTLS_CLAIM_TEXT:
		inspect_json_text(c->bytes, c->n_bytes);
		return;
	case RTLS_CLAIM_BYTES:
	case RTLS_CLAIM_NONE:
		putchar('"');
		print_hex(c->bytes, c->n_bytes);
		putchar('"');
	}
}

void inspect_print_claim(const char *before, const struct rtls_claim *c)
{
	fputs(before, stdout);
	print_text((const uint8_t *)c->name, strlen(c->name));
	fputs(": ", stdout);
	switch (c->kind) {
	case RTLS_CLAIM_UINT:
		printf("%" PRIu64, c->number);
		break;
	case RTLS_CLAIM_BOOL:
		fputs(c->number ? "true" : "false", stdout);
		break;
	case RTLS_CLAIM_TEXT:
		print_text(c->bytes, c->n_bytes);
		break;
	case RTLS_CLAIM_BYTES:
	case RTLS_CLAIM_NONE:
		print_hex(c->bytes, c->n_bytes);
	}
	putchar('\n');
}

void inspect_print_checks(const struct rtls_verdict *v)
{
	static const char *const words[] = {
		[RTLS_FAILED] = "fail", [RTLS_PASSED] = "pass", [RTLS_SKIPPED] = "skip"
	};
	enum rtls_outcome outcome;
	enum rtls_check check;
	const char *what;

	for (size_t i = 0; rtls_verdict_check(v, i, &check, &outcome, &what); i++)
		printf("%s  %-11s  %s\n", words[outcome], rtls_check_name(check), what);
}

const char *inspect_format_time(int64_t t, char out[32])
{
	const time_t tt = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&tt, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "%" PRId64, t);
	return out;
}

int inspect_flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return inspect_complain("standard output: %s", err_text(-errno));
}
