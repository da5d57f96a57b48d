/*
 * An attester kept open, as a daemon keeps it: attest_driver NAME [OPTIONS] prints "open" or why
 * not, then for each line of report data in hex the evidence in hex, or "error: why".
 */
#include <rats_tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_DATA = 64 };

static void answer(struct rtls_attester *a, const char *line)
{
	uint8_t report_data[REPORT_DATA] = { 0 };
	char why[256] = "";
	void *bytes = NULL;
	size_t n = 0;
	unsigned byte;

	for (size_t i = 0; i < REPORT_DATA && sscanf(line + 2 * i, "%2x", &byte) == 1; i++)
		report_data[i] = (uint8_t)byte;
	if (rtls_attester_evidence(a, report_data, &bytes, &n, why, sizeof(why)) < 0) {
		printf("error: %s\n", why);
		return;
	}
	for (size_t i = 0; i < n; i++)
		printf("%02x", ((const uint8_t *)bytes)[i]);
	putchar('\n');
	free(bytes);
}

int main(int argc, char **argv)
{
	char why[256] = "", line[2 * REPORT_DATA + 2];
	struct rtls_attester *a = NULL;

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (rtls_attester_open(argv[1], argc > 2 ? argv[2] : NULL, &a, why, sizeof(why)) < 0) {
		printf("error: %s\n", why);
		return 1;
	}
	printf("open\n");
	while (fgets(line, sizeof(line), stdin))
		answer(a, line);
	rtls_attester_close(a);
	return 0;
}
