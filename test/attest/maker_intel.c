/*
 * The maker of SGX and TDX: the platform of test/rats/pki_dcap.c with the keys of pki/. Its
 * certificates are made anew by each process, with other signatures but the same keys.
 */
#include "maker.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "maker_file.h"
#include "pki_dcap.h"

enum { ATTRIBUTE_DEBUG = 2, TD_DEBUG = 1 };

static void platform(struct dcap *d, bool tdx)
{
	static EVP_PKEY *keys[PKI_N_KEYS];
	const int64_t now = time(NULL);
	struct pki_cert *certs[] = { &d->root, &d->ca, &d->pck, &d->tcb_signer };
	struct pki_crl *crls[] = { &d->root_crl, &d->pck_crl };

	dcap_init(d);
	if (!keys[0])
		maker_keys("intel.pem", keys, PKI_ROGUE);
	for (int i = 0; i < PKI_ROGUE; i++) {
		EVP_PKEY_free(d->pki.key[i]);
		EVP_PKEY_up_ref(keys[i]);
		d->pki.key[i] = keys[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(certs); i++)
		certs[i]->from = MAKER_BORN, certs[i]->to = MAKER_DIES;
	for (size_t i = 0; i < ARRAY_LEN(crls); i++)
		crls[i]->from = now - MAKER_DAY, crls[i]->to = now + 30 * MAKER_DAY;
	d->tcb_from = d->qe_from = now - MAKER_DAY;
	d->tcb_to = d->qe_to = now + 30 * MAKER_DAY;
	if (tdx)
		dcap_make_tdx(d, 4, 2);
}

size_t maker_sgx_quote(const struct maker_tee *t, const uint8_t report_data[64], uint8_t *out)
{
	struct dcap d;
	size_t n;

	platform(&d, false);
	if (t->has_mrenclave)
		memcpy(d.body + 64, t->mrenclave, 32);
	if (t->has_mrsigner)
		memcpy(d.body + 128, t->mrsigner, 32);
	if (t->is_debug)
		d.body[48] |= ATTRIBUTE_DEBUG;
	memcpy(d.body + 320, report_data, 64);
	n = dcap_quote(&d, out);
	dcap_deinit(&d);
	return n;
}

size_t maker_tdx_quote(const struct maker_tee *t, const uint8_t report_data[64], uint8_t *out)
{
	struct dcap d;
	size_t n;

	platform(&d, true);
	if (t->is_debug)
		d.body[120] |= TD_DEBUG;
	memcpy(d.body + 520, report_data, 64);
	n = dcap_quote(&d, out);
	dcap_deinit(&d);
	return n;
}

static void publish_der(const char *dir, const char *name, struct span der)
{
	maker_write(dir, name, der.p, der.n);
	OPENSSL_free((void *)der.p);
}

static void publish_text(const char *dir, const char *name, char *text)
{
	maker_write(dir, name, text, strlen(text));
	free(text);
}

void maker_intel_publish(const char *dir)
{
	struct dcap d;

	platform(&d, false);
	publish_der(dir, "intel-root.crt", pki_cert_der(&d.pki, &d.root));
	publish_der(dir, "intel-ca.crt", pki_cert_der(&d.pki, &d.ca));
	publish_der(dir, "intel-tcb-signing.crt", pki_cert_der(&d.pki, &d.tcb_signer));
	publish_der(dir, "intel-root.crl", pki_crl_der(&d.pki, &d.root_crl));
	publish_der(dir, "intel-pck.crl", pki_crl_der(&d.pki, &d.pck_crl));
	publish_text(dir, "sgx-tcb-info.json", dcap_tcb_info(&d));
	publish_text(dir, "sgx-qe-identity.json", dcap_qe_identity(&d));
	dcap_deinit(&d);
	platform(&d, true);
	publish_text(dir, "tdx-tcb-info.json", dcap_tcb_info(&d));
	publish_text(dir, "tdx-qe-identity.json", dcap_qe_identity(&d));
	dcap_deinit(&d);
}
