/*
 * The handshake gets any bytes: of a client (first byte odd) or a server, in pieces. Nothing that
 * can be written down beforehand completes it, so no session may ever be done.
 */
#include "fuzz.h"

#include <string.h>

#include "tls/session.h"

static struct rtls_identity *identity(void)
{
	static struct rtls_identity *id;

	if (!id)
		must(rtls_identity_new(&id) == 0);
	return id;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static uint8_t plain[RTLS_RECORD_MAX];
	struct rtls_session_config config = { .size = sizeof(config),
					      .identity = identity(),
					      .alpn = "eng/1" };
	struct rtls_session *s = NULL;
	struct span in = SPAN(bytes, n), part;
	uint8_t how, buf[4096];
	enum rtls_event event;
	size_t used, got;
	int r = 0;

	if (!span_u8(&in, &how))
		return 0;
	config.role = how & 1 ? RTLS_CLIENT : RTLS_SERVER;
	config.alpn_optional = how & 2;
	config.peer_certificate_optional = how & 4;
	must(rtls_session_new(&config, &s) == 0);
	while (r == 0 && in.n > 0) {
		const size_t piece = 1 + (size_t)(how >> 3) * 64;

		must(span_take(&in, in.n < piece ? in.n : piece, &part));
		memcpy(buf, part.p, part.n);
		r = rtls_session_feed(s, buf, part.n, &used, plain, sizeof(plain), &got);
		must(r < 0 || used == part.n);
		must(got == 0);
		must((r < 0) == (rtls_session_why(s)[0] != '\0'));
	}
	while ((event = rtls_session_next_event(s)) != RTLS_EVENT_NONE)
		must(event == RTLS_EVENT_FAILED);
	must(rtls_session_report_data(s, RTLS_CLIENT, NULL, 0, buf) != 0);
	while (rtls_session_has_output(s))
		must(rtls_session_drain(s, buf, sizeof(buf), &got) == 0 && got > 0);
	rtls_session_free(s);
	return 0;
}
