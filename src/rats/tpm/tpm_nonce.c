/* Report data as the nonce of a quote; see tpm_nonce.h. */
#include "rats/tpm/tpm_nonce.h"

#include <openssl/evp.h>

static const char label[] = "ENG-tpm-nonce-v1";

bool tpm_nonce_is_short(const uint8_t report_data[REPORT_DATA_SIZE])
{
	static const uint8_t zeros[REPORT_DATA_SIZE - TPM_NONCE_SHORT];

	return memcmp(report_data + TPM_NONCE_SHORT, zeros, sizeof(zeros)) == 0;
}

bool tpm_nonce_digest(const uint8_t report_data[REPORT_DATA_SIZE], uint8_t out[TPM_NONCE_SHORT])
{
	uint8_t message[sizeof(label) - 1 + REPORT_DATA_SIZE];
	struct wspan w = WSPAN(message, sizeof(message));

	wspan_put(&w, label, sizeof(label) - 1);
	wspan_put(&w, report_data, REPORT_DATA_SIZE);
	return EVP_Digest(message, w.n, out, NULL, EVP_sha256(), NULL) == 1;
}
