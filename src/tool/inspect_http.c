/*
 * GET over libcurl for rats-inspect collateral fetch. No redirects, no cookies, no credentials;
 * http and https only. The makers' services send the chain of what they signed in a header, as
 * PEM with URL escapes (Intel PCS API v4).
 */
#include "tool/inspect_http.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_S = 10, TRANSFER_S = 60, CHAIN_MAX = 64 * 1024 };

static const char *const chain_headers[] = {
	"TCB-Info-Issuer-Chain",
	"SGX-TCB-Info-Issuer-Chain", /* until version 3 */
	"SGX-Enclave-Identity-Issuer-Chain",
	"SGX-PCK-CRL-Issuer-Chain",
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct http_reply *r = ctx;
	uint8_t *grown;

	n *= size;
	if (n > HTTP_BODY_MAX - r->n)
		return 0;
	grown = realloc(r->body, r->n + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + r->n, p, n);
	r->body = grown;
	r->n += n;
	return n;
}

static char *take_chain(CURL *c)
{
	for (size_t i = 0; i < ARRAY_LEN(chain_headers); i++) {
		struct curl_header *h;
		char *text, *copy;
		int n = 0;

		if (curl_easy_header(c, chain_headers[i], 0, CURLH_HEADER, -1, &h) != CURLHE_OK ||
		    strlen(h->value) > CHAIN_MAX)
			continue;
		text = curl_easy_unescape(c, h->value, 0, &n);
		copy = text ? strndup(text, (size_t)n) : NULL;
		curl_free(text);
		return copy;
	}
	return NULL;
}

static bool set_up(CURL *c, const char *url, struct http_reply *r, char *why)
{
	return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)TRANSFER_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "rats-inspect/" ENG_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, r) == CURLE_OK;
}

/* RFC 9110, 10.2.3; without a number a second is polite. */
static int64_t wait_of(CURL *c, long status)
{
	curl_off_t s = 0;

	if (status != 429 && status != 503)
		return 0;
	curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &s);
	return s > 0 ? (int64_t)s : 1;
}

const char *http_get(const char *url, struct http_reply *out, int64_t *out_wait_s)
{
	static char why[CURL_ERROR_SIZE];
	struct http_reply r = { 0 };
	long status = 0;
	CURLcode code = CURLE_FAILED_INIT;
	CURL *c = curl_easy_init();

	why[0] = '\0';
	*out_wait_s = 0;
	if (c && set_up(c, url, &r, why))
		code = curl_easy_perform(c);
	if (code == CURLE_OK) {
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
		r.chain = take_chain(c);
		*out_wait_s = wait_of(c, status);
	}
	curl_easy_cleanup(c);
	if (code == CURLE_OK && status == 200 && r.n > 0) {
		*out = r;
		return NULL;
	}
	http_reply_deinit(&r);
	if (code == CURLE_WRITE_ERROR)
		return "the answer is too large";
	if (code != CURLE_OK)
		return *why ? why : curl_easy_strerror(code);
	snprintf(why, sizeof(why), status == 200 ? "the answer is empty" : "HTTP status %ld",
		 status);
	return why;
}

void http_reply_deinit(struct http_reply *r)
{
	free(r->body);
	free(r->chain);
	*r = (struct http_reply){ 0 };
}
