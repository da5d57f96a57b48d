/*
 * AMD SEV-SNP attestation report: the 1184 bytes that the secure processor signs, taken apart.
 * AMD 56860 "SEV Secure Nested Paging Firmware ABI", table "ATTESTATION_REPORT Structure".
 */
#ifndef ENG_RATS_SNP_REPORT_H
#define ENG_RATS_SNP_REPORT_H

#include "base/span.h"

enum {
	SNP_REPORT_SIZE = 0x4a0,
	SNP_REPORT_SIGNED = 0x2a0, /* the signature covers [0, here) */
	SNP_TCB_SIZE = 8,
	SNP_CHIP_ID_SIZE = 64,
	SNP_SIG_INT_SIZE = 72, /* r and s are little-endian, in more room than they need */
	SNP_SIG_INT_USED = 48, /* for P-384 */
};

/* Which order the bytes of a TCB version have, and which of AMD's roots signs. */
enum snp_product {
	SNP_PRODUCT_UNKNOWN = 0,
	SNP_PRODUCT_MILAN,
	SNP_PRODUCT_GENOA,
	SNP_PRODUCT_TURIN,
	SNP_N_PRODUCTS,
};

enum snp_signing_key { SNP_KEY_VCEK = 0, SNP_KEY_VLEK = 1, SNP_KEY_NONE = 7 };

enum {
	SNP_POLICY_SMT = 1 << 16,
	SNP_POLICY_MUST_BE_ONE = 1 << 17,
	SNP_POLICY_MIGRATE_MA = 1 << 18,
	SNP_POLICY_DEBUG = 1 << 19,
	SNP_POLICY_SINGLE_SOCKET = 1 << 20,
};

struct snp_tcb {
	uint8_t fmc; /* Turin only, 0 elsewhere */
	uint8_t bootloader;
	uint8_t tee;
	uint8_t snp;
	uint8_t microcode;
};

/* Every span points into the report that was parsed and lives as long as it. */
struct snp_report {
	struct span raw;	 /* SNP_REPORT_SIZE bytes */
	struct span signed_part; /* SNP_REPORT_SIGNED bytes */
	uint32_t version;
	uint32_t guest_svn;
	uint64_t policy;
	struct span family_id;
	struct span image_id;
	uint32_t vmpl;
	uint32_t sig_algo;
	struct span current_tcb;
	uint64_t platform_info;
	uint32_t key_flags;
	bool author_key_en;
	bool mask_chip_key;
	uint8_t signing_key; /* enum snp_signing_key, or a value that AMD reserves */
	struct span report_data;
	struct span measurement;
	struct span host_data;
	struct span id_key_digest;
	struct span author_key_digest;
	struct span report_id;
	struct span report_id_ma;
	struct span reported_tcb;
	uint8_t cpuid_family, cpuid_model, cpuid_stepping; /* from version 3 on, else 0 */
	struct span chip_id;
	struct span committed_tcb;
	uint8_t current_build, current_minor, current_major;
	uint8_t committed_build, committed_minor, committed_major;
	struct span launch_tcb;
	uint64_t launch_mit_vector, current_mit_vector; /* from version 5 on, else 0 */
	struct span sig_r, sig_s;			/* SNP_SIG_INT_USED bytes, little-endian */
};

/* False if these are not SNP_REPORT_SIZE bytes of a report of version 2, 3 or 5. */
MUST_USE bool snp_report_parse(struct span bytes, struct snp_report *out);

/* What the CPUID fields say; UNKNOWN for version 2, which has none. */
enum snp_product snp_report_product(const struct snp_report *r);

/* The five numbers of an 8-byte TCB version, whose order depends on the product. */
struct snp_tcb snp_tcb_decode(enum snp_product product, struct span tcb);
bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b);
/* True if no component of a is below that of b. */
bool snp_tcb_at_least(const struct snp_tcb *a, const struct snp_tcb *b);

const char *snp_product_name(enum snp_product product); /* "Milan", as AMD spells it */

#endif
