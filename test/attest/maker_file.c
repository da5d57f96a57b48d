/* Keys and files of the makers; see maker_file.h. */
#include "maker_file.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

void maker_keys(const char *name, EVP_PKEY *keys[], size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/test/attest/pki/%s", ENG_SOURCE_ROOT, name);
	f = fopen(path, "re");
	for (size_t i = 0; i < n; i++) {
		keys[i] = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
		if (!keys[i]) {
			fprintf(stderr, "%s: key %zu is missing\n", path, i);
			abort();
		}
	}
	fclose(f);
}

void maker_write(const char *dir, const char *name, const void *bytes, size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}
