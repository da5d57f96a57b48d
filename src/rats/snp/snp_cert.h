/*
 * What AMD writes into the certificate of a report's signing key (VCEK: one chip; VLEK: one cloud
 * provider), and the table of certificates that comes along with an extended report.
 * AMD 57230 "VCEK Certificate and KDS Interface Specification", section 3.
 */
#ifndef ENG_RATS_SNP_CERT_H
#define ENG_RATS_SNP_CERT_H

#include <openssl/x509.h>

#include "rats/snp/snp_report.h"

enum {
	SNP_CSP_ID_MAX = 255,
	SNP_TABLE_MAX = 64 * 1024, /* bytes: the guest driver's own limit is 16 KiB */
	SNP_TABLE_ENTRIES_MAX = 16,
};

struct snp_cert {
	enum snp_signing_key kind;
	enum snp_product product;
	struct snp_tcb tcb;
	uint8_t hwid[SNP_CHIP_ID_SIZE];	 /* of a VCEK; shorter ones are padded with zeros */
	size_t hwid_len;		 /* 64, on Turin 8; 0 for a VLEK */
	char csp_id[SNP_CSP_ID_MAX + 1]; /* of a VLEK */
};

/*
 * Reads AMD's extensions. False, with *out_why a static text, if one is missing, doubled or badly
 * encoded, or if names, product and kind of key contradict each other.
 */
MUST_USE bool snp_cert_parse(X509 *x, struct snp_cert *out, const char **out_why);

/* Whether the subject's common name is this one. */
bool snp_cert_has_cn(X509 *x, const char *cn);

struct snp_table { /* empty spans where the table has no such entry */
	struct span vcek, vlek, ask, ark, crl;
};

/* The certificate table of GHCB 56421, 4.1.8.1 ("auxblob" of configfs-tsm). */
MUST_USE bool snp_table_parse(struct span bytes, struct snp_table *out);

#endif
