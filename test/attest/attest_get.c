/*
 * attest_get probe
 * attest_get NAME OPTIONS REPORT-DATA EVIDENCE ENDORSEMENTS [FORK]
 *
 * An attester through the public interface, for tests: report data in 128 hex digits; writes two
 * files, the second only if there are endorsements. With "fork" a child process does it, as in the
 * daemons. Status 0, or 1 and one line on standard error. OPTIONS "-": none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rats_tls.h"

enum { LINE_MAX_ = 512 };

static int probe(void)
{
	const char *name, *why;
	bool works;

	for (size_t i = 0; rtls_attester_probe(i, &name, &works, &why); i++)
		printf("%s\t%s\t%s\n", name, works ? "yes" : "no", why);
	return 0;
}

static void put_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) {
		perror(path);
		exit(2);
	}
}

static void parse_hex(const char *text, uint8_t out[64])
{
	if (strlen(text) != 128)
		exit(2);
	for (int i = 0; i < 64; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], '\0' };

		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static int get(char **argv)
{
	const char *options = strcmp(argv[2], "-") == 0 ? NULL : argv[2];
	struct rtls_attester *a = NULL;
	char line[LINE_MAX_] = "";
	uint8_t report_data[64];
	void *bytes = NULL;
	size_t n = 0;
	int r;

	parse_hex(argv[3], report_data);
	r = rtls_attester_open(argv[1], options, &a, line, sizeof(line));
	if (r == 0)
		r = rtls_attester_evidence(a, report_data, &bytes, &n, line, sizeof(line));
	if (r == 0)
		put_file(argv[4], bytes, n);
	free(bytes);
	bytes = NULL;
	if (r == 0)
		r = rtls_attester_endorsements(a, &bytes, &n);
	if (r == 0 && n > 0)
		put_file(argv[5], bytes, n);
	free(bytes);
	rtls_attester_close(a);
	if (r < 0)
		fprintf(stderr, "%d: %s\n", -r, line);
	return r < 0;
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc == 2 && strcmp(argv[1], "probe") == 0)
		return probe();
	if (argc < 6) {
		fputs("usage: attest_get NAME OPTIONS REPORT-DATA EVIDENCE ENDORSEMENTS [fork]\n",
		      stderr);
		return 2;
	}
	if (argc == 6)
		return get(argv);
	pid = fork();
	if (pid == 0)
		_exit(get(argv));
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
									       : 2;
}
