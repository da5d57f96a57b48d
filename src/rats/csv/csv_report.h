/*
 * Hygon CSV: the attestation report of a guest, and the two certificate formats behind it. There is
 * no public specification in English; the layouts are those of the vendor's open-source tools
 * (csv-rs: src/api/guest/types.rs, src/certs). All integers are little-endian, also the
 * coordinates of keys and the numbers of signatures.
 */
#ifndef ENG_RATS_CSV_REPORT_H
#define ENG_RATS_CSV_REPORT_H

#include "base/span.h"

enum {
	CSV_INT_SIZE = 72, /* room for a coordinate; SM2 uses the first 32 */
	CSV_INT_USED = 32,
	CSV_UID_MAX = 254,
	CSV_CA_SIZE = 832,    /* HRK, HSK */
	CSV_CERT_SIZE = 2084, /* CEK, PEK */
	CSV_SN_SIZE = 64,
	CSV_REPORT_V1_SIZE = 2548,
	CSV_REPORT_PAGE = 4096, /* V1 is often padded with zeros to a page */
	CSV_REPORT_V2_SIZE = 0x490 + CSV_CERT_SIZE + CSV_SN_SIZE + 32 + 32,
	CSV_EXT_HEAD_SIZE = 20,
	CSV_N_RTMRS = 5,
};

enum csv_usage { /* what a key is for */
		 CSV_USAGE_HRK = 0x0000,
		 CSV_USAGE_HSK = 0x0013,
		 CSV_USAGE_NONE = 0x1000,
		 CSV_USAGE_OCA = 0x1001,
		 CSV_USAGE_PEK = 0x1002,
		 CSV_USAGE_PDH = 0x1003,
		 CSV_USAGE_CEK = 0x1004,
};

struct csv_key { /* big-endian, as OpenSSL wants them */
	uint8_t x[CSV_INT_USED], y[CSV_INT_USED];
	struct span uid; /* the SM2 identity of its owner as a signer */
};

struct csv_sig {
	uint8_t r[CSV_INT_USED], s[CSV_INT_USED]; /* big-endian */
};

/* Spans point into the bytes that were parsed. */
struct csv_ca { /* HRK, HSK */
	struct span signed_part;
	struct span key_id, signer_id; /* 16 bytes each */
	uint32_t usage;
	struct span xy; /* both coordinates as they stand: what a root is pinned by */
	struct csv_key key;
	struct csv_sig sig;
};

struct csv_cert { /* CEK, PEK */
	struct span signed_part;
	uint32_t usage;
	uint32_t algo;
	struct span xy;
	struct csv_key key;
	uint32_t sig_usage[2]; /* of the signers: enum csv_usage */
	struct csv_sig sig[2];
};

MUST_USE bool csv_ca_parse(struct span bytes, struct csv_ca *out);
MUST_USE bool csv_cert_parse(struct span bytes, struct csv_cert *out);

struct csv_report {
	unsigned version; /* 1 or 2 */
	/* Into the bytes that were parsed, in version 1 still masked: */
	struct span signed_part;
	struct span mac_part; /* PEK certificate, serial number, reserved */
	struct span mac;
	/* Unmasked copies: */
	uint8_t user_pubkey_digest[32], vm_id[16], vm_version[16], report_data[64], mnonce[16],
		measure[32], policy[4], anonce[4];
	uint32_t sig_usage, sig_algo;
	uint32_t build;		       /* version 2 */
	uint16_t rtmr_version;	       /* version 2 */
	uint8_t rtmr[CSV_N_RTMRS][32]; /* version 2 */
	struct csv_sig sig;
	uint8_t pek[CSV_CERT_SIZE], chip_sn[CSV_SN_SIZE];
};

/*
 * Takes a report from the front of s: bare (version 1), or after the 20 bytes "ATTESTATION_EXT\0"
 * and flags, whose bit 0 tells version 2.
 */
MUST_USE bool csv_report_take(struct span *s, struct csv_report *out);

#endif
