/*
 * Writes the seeds of the fuzz targets' corpora: evidence and collateral of the test PKI.
 *
 * usage: rats_corpus DIRECTORY      (test/fuzz/corpus)
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forgery.h"

static const char *directory;

static void save(const char *target, const char *name, struct span s)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", directory, target, name);
	f = fopen(path, "wb");
	if (!f || fwrite(s.p, 1, s.n, f) != s.n || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void save_quote(enum platform platform, const char *target, const char *name)
{
	static uint8_t quote[DCAP_BUF], file[2 * DCAP_BUF];
	struct wspan w = WSPAN(file, sizeof(file));
	static struct dcap d;
	char *text;

	forgery_platform(&d, platform);
	save(target, name, SPAN(quote, dcap_quote(&d, quote)));
	text = dcap_tcb_info(&d);
	save("collateral", platform < P_TDX4 ? "tcb_info_sgx" : "tcb_info_tdx",
	     SPAN(text, strlen(text)));
	free(text);
	text = dcap_qe_identity(&d);
	save("collateral", "qe_identity", SPAN(text, strlen(text)));
	free(text);
	envelope_write(&w, EVIDENCE_TAG_INTEL_QUOTE, SPAN(quote, 900), SPAN("\xa0", 1));
	save("envelope", name, SPAN(file, w.n));
	w = WSPAN(file, sizeof(file));
	pki_cert_pem(&d.pki, &d.ca, &w);
	save("collateral", "ca_pem", SPAN(file, w.n));
	dcap_deinit(&d);
}

static void save_certificates(void)
{
	static const char *const oids[][2] = { { "2.23.133.5.4.9", "interop" },
					       { "1.2.840.113741.1337.6", "legacy" },
					       { "1.2.3.4", "other" } };
	uint8_t file[4096], claims[] = { 0xa1, 0x6b, 'p', 'u',	'b',  'k',  'e',  'y', '-', 'h',
					 'a',  's',  'h', 0x45, 0x82, 0x01, 0x42, 0,   0 };
	static struct dcap d;
	struct wspan w;

	dcap_init(&d);
	for (size_t i = 0; i < ARRAY_LEN(oids); i++) {
		struct pki_cert c = { .cn = "RATS",
				      .issuer_cn = "RATS",
				      .key = PKI_ATT,
				      .signer = PKI_ATT,
				      .serial = 1,
				      .from = DCAP_NOW,
				      .to = DCAP_NOW + 60,
				      .extension_oid = oids[i][0] };
		struct span der;

		w = WSPAN(file, sizeof(file));
		envelope_write(&w, EVIDENCE_TAG_INTEL_QUOTE, SPAN("quote", 5),
			       SPAN(claims, sizeof(claims)));
		c.extension = SPAN(file, w.n);
		der = pki_cert_der(&d.pki, &c);
		save("certificate", oids[i][1], der);
		OPENSSL_free((void *)der.p);
	}
	w = WSPAN(file, sizeof(file));
	pki_cert_pem(&d.pki, &d.ca, &w);
	save("certificate", "pem", SPAN(file, w.n));
	for (int i = 0; i < 2; i++) {
		struct span der = pki_crl_der(&d.pki, i ? &d.root_crl : &d.pck_crl);

		save("collateral", i ? "root_crl" : "pck_crl", der);
		OPENSSL_free((void *)der.p);
	}
	save("collateral", "bundle", SPAN("\x83\x04\x41x\x42{}", 7));
	dcap_deinit(&d);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	directory = argv[1];
	save_quote(P_SGX3, "sgx", "v3");
	save_quote(P_SGX4, "sgx", "v4");
	save_quote(P_SGX5, "sgx", "v5");
	save_quote(P_TDX4, "tdx", "v4");
	save_quote(P_TDX5, "tdx", "v5_1");
	save_quote(P_TDX15, "tdx", "v5_3");
	save_quote(P_TDX15EX, "tdx", "v5_4");
	save_certificates();
	return 0;
}
