/* Options and memory; see standin.h. */
#include "standin.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "rats/text.h"

enum kind { FLAG, NUMBER, HEX32, TEXT };

#define AT(kind, field) kind, offsetof(struct standin, field)
static const struct {
	const char *name;
	enum kind kind;
	size_t at;
} options[] = {
	{ "mrenclave", AT(HEX32, tee.mrenclave) },
	{ "mrsigner", AT(HEX32, tee.mrsigner) },
	{ "debug", AT(FLAG, tee.is_debug) },
	{ "log", AT(TEXT, log) },
	{ "snp", AT(FLAG, is_snp) },
	{ "absent", AT(FLAG, absent) },
	{ "denied", AT(FLAG, denied) },
	{ "slow", AT(NUMBER, slow_s) },
	{ "fail", AT(NUMBER, fail) },
	{ "fail-quote", AT(FLAG, fail_quote) },
	{ "busy", AT(NUMBER, busy) },
	{ "other-data", AT(FLAG, other_data) },
	{ "other-nonce", AT(FLAG, other_nonce) },
	{ "other-tee", AT(FLAG, other_tee) },
	{ "oversize", AT(FLAG, oversize) },
	{ "garbage", AT(FLAG, garbage) },
	{ "cut", AT(FLAG, cut) },
	{ "bad-generation", AT(FLAG, bad_generation) },
	{ "bad-certs", AT(FLAG, bad_certs) },
	{ "no-certs", AT(FLAG, no_certs) },
	{ "no-ext", AT(FLAG, no_ext) },
	{ "race", AT(FLAG, race) },
	{ "race-forever", AT(FLAG, race_forever) },
	{ "certs-len", AT(NUMBER, certs_len) },
};

static void set(struct standin *s, enum kind kind, size_t at, const char *value, const char *word)
{
	uint8_t *field = (uint8_t *)s + at;
	char *end = NULL;
	unsigned v;

	switch (kind) {
	case FLAG:
		if (value)
			break;
		*(bool *)(void *)field = true;
		return;
	case NUMBER:
		v = value ? (unsigned)strtoul(value, &end, 10) : 0;
		if (!value || end == value || *end)
			break;
		memcpy(field, &v, sizeof(v));
		return;
	case HEX32:
		if (!value || !hex_parse(SPAN(value, strlen(value)), field, 32))
			break;
		s->tee.has_mrenclave |= field == s->tee.mrenclave;
		s->tee.has_mrsigner |= field == s->tee.mrsigner;
		return;
	case TEXT:
		if (!value)
			break;
		memcpy(field, &value, sizeof(char *));
		return;
	}
	fprintf(stderr, "stand-in: wrong value: %s\n", word);
	exit(2);
}

int standin_options(int argc, char **argv, struct standin *out)
{
	int i;

	*out = (struct standin){ 0 };
	for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		const char *name = argv[i] + 2, *equals = strchr(name, '=');
		size_t n = equals ? (size_t)(equals - name) : strlen(name), k;

		if (n == 0)
			return i + 1;
		for (k = 0; k < ARRAY_LEN(options); k++)
			if (strlen(options[k].name) == n && !strncmp(options[k].name, name, n))
				break;
		if (k == ARRAY_LEN(options)) {
			fprintf(stderr, "stand-in: no such option: %s\n", argv[i]);
			exit(2);
		}
		set(out, options[k].kind, options[k].at, equals ? equals + 1 : NULL, argv[i]);
	}
	return i;
}

void standin_log(const struct standin *s, const char *fmt, ...)
{
	FILE *f = s->log ? fopen(s->log, "ae") : NULL;
	va_list ap;

	if (!f)
		return;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\n', f);
	fclose(f);
}

bool standin_read(pid_t pid, uint64_t addr, void *to, size_t n)
{
	struct iovec here = { .iov_base = to, .iov_len = n };
	struct iovec there = { .iov_base = (void *)(uintptr_t)addr, .iov_len = n };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)n;
}

bool standin_write(pid_t pid, uint64_t addr, const void *from, size_t n)
{
	struct iovec here = { .iov_base = (void *)(uintptr_t)from, .iov_len = n };
	struct iovec there = { .iov_base = (void *)(uintptr_t)addr, .iov_len = n };

	return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)n;
}
