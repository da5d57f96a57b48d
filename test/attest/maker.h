/*
 * A maker of TEEs that does not exist: what its hardware would sign, and what it would publish
 * about it. The keys are those of pki/, so that the devices that a test pretends, each in a process
 * of its own, and programs linked with roots_test.c agree about whom to believe.
 *
 * One thread only. Everything aborts with a line on standard error when it fails: for tests.
 */
#ifndef ENG_TEST_ATTEST_MAKER_H
#define ENG_TEST_ATTEST_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAKER_QUOTE_MAX = 32 * 1024,
	MAKER_SNP_REPORT = 1184,
	MAKER_SNP_TABLE_MAX = 8 * 1024,
	MAKER_CSV_MAX = 4096,
};

/* What a test may set about the TEE; zero is the ordinary one. */
struct maker_tee {
	uint8_t mrenclave[32], mrsigner[32];
	bool has_mrenclave, has_mrsigner;
	bool is_debug;
	uint32_t vmpl;
};

/* All return the size. out: MAKER_QUOTE_MAX bytes. */
size_t maker_sgx_quote(const struct maker_tee *t, const uint8_t report_data[64], uint8_t *out);
size_t maker_tdx_quote(const struct maker_tee *t, const uint8_t report_data[64], uint8_t *out);
/* The report; the table of certificates beside it. */
size_t maker_snp_report(const struct maker_tee *t, const uint8_t report_data[64], uint8_t *out);
size_t maker_snp_table(uint8_t *out);
/* version 1 or 2, without head or padding. */
size_t maker_csv_report(unsigned version, const uint8_t report_data[64], const uint8_t mnonce[16],
			uint8_t *out);

/* The collateral of one maker as files in the directory `dir`, valid from yesterday on. */
void maker_intel_publish(const char *dir);
void maker_amd_publish(const char *dir);
void maker_hygon_publish(const char *dir);

#endif
