/*
 * A DCAP platform and its world out of the test PKI: PCK chain, quoting enclave, quote, CRLs, TCB
 * info, QE identity. A struct of plain fields that a test changes before it builds; unchanged it
 * builds evidence that is TRUSTED: SGX quote version 3, everything UpToDate.
 */
#ifndef ENG_TEST_RATS_PKI_DCAP_H
#define ENG_TEST_RATS_PKI_DCAP_H

#include "pki.h"
#include "rats/appraise.h"
#include "rats/dcap/quote.h"

enum {
	DCAP_NOW = 1750000000, /* 2025-06-15; all validity lies around it */
	DCAP_BUF = 32 * 1024,
};

/* A piece of text that is replaced before signing. */
struct edit {
	const char *from, *to;
};

struct dcap {
	struct pki pki;
	struct key_pin pin;
	struct roots roots;

	struct pki_cert root, ca, pck, tcb_signer;
	struct pki_crl root_crl, pck_crl;
	uint8_t fmspc[6], pceid[2], ppid[16], components[16], cpusvn[16];
	uint16_t pcesvn;
	struct edit pck_edit; /* bytes of the extension; both of n bytes */
	size_t pck_edit_n;
	int component_error; /* -1: one SVN is missing; 1: one is there twice */

	uint16_t version, key_type, body_type; /* body_type: version 5 only */
	uint32_t tee_type;
	uint8_t vendor[16];
	uint8_t body[TD15EX_BODY]; /* as much as the body has */
	uint8_t qe_report[SGX_BODY];
	uint8_t auth[32];
	uint16_t cert_type, outer_type;
	enum pki_key qe_signer, quote_signer, att_key; /* att_key: in the quote */
	bool keep_qe_data; /* leave qe_report's report data as the test set it */
	bool drop_root, extra_cert;
	int32_t length_error; /* added to signature_data_len */
	int32_t outer_error;  /* added to the outer certification data's size */
	size_t n_padding;     /* zeros after the quote */
	size_t n_slack;	      /* zeros inside the signature data */
	size_t flip;	      /* offset of a byte to be flipped after signing; 0: none */

	enum pki_key tcb_key, qe_key; /* who signs the documents */
	int64_t tcb_from, tcb_to, qe_from, qe_to;
	struct edit tcb_edit, tcb_edit2, qe_edit; /* before signing */
	struct edit tcb_late, qe_late;		  /* after signing */
	bool no_tcb, no_qe, no_signer;
};

void dcap_init(struct dcap *d);
void dcap_deinit(struct dcap *d);
/* Makes it a TDX platform: quote version 4, or 5 with that body type. */
void dcap_make_tdx(struct dcap *d, uint16_t version, uint16_t body_type);
size_t dcap_body_size(const struct dcap *d);

/* The quote; returns its length in out (DCAP_BUF bytes). */
size_t dcap_quote(const struct dcap *d, uint8_t *out);
/* A sealed bag with all collateral. */
struct rtls_collateral *dcap_collateral(const struct dcap *d);
/* The same and one more item, which may be malformed. */
struct rtls_collateral *dcap_collateral_with(const struct dcap *d, const char *item);
/* The documents as the PCS would send them, NUL-terminated; free() them. */
char *dcap_tcb_info(const struct dcap *d);
char *dcap_qe_identity(const struct dcap *d);

#endif
