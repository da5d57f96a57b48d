/*
 * Parsers of Hygon's formats.
 *
 * Version 1 of the report is masked: everything before the nonce that the firmware chose (anonce),
 * the PEK certificate and the serial number are XORed with it. The signature covers the masked
 * bytes, not the nonce; so the unmasked values are only as good as the fields that are known in
 * advance (see csv.c). Version 2 is not masked.
 */
#include "rats/csv/csv_report.h"

enum { V1_ANONCE_AT = 0xbc, V1_SIGNED = 0xb4, V2_SIGNED = 0x400, CURVE_SM2 = 3 };

static bool take_int(struct span *s, uint8_t out[CSV_INT_USED])
{
	struct span v;

	if (!span_take(s, CSV_INT_SIZE, &v))
		return false;
	for (size_t i = CSV_INT_USED; i < CSV_INT_SIZE; i++)
		if (v.p[i] != 0)
			return false;
	for (size_t i = 0; i < CSV_INT_USED; i++)
		out[i] = v.p[CSV_INT_USED - 1 - i];
	return true;
}

static bool take_sig(struct span *s, struct csv_sig *out)
{
	return take_int(s, out->r) && take_int(s, out->s);
}

/* curve, x, y, and the owner's identity with its length in front. */
static bool take_key(struct span *s, struct span *out_xy, struct csv_key *out)
{
	struct span peek, room;
	uint32_t curve;
	uint16_t n;

	if (!span_le32(s, &curve) || curve != CURVE_SM2)
		return false;
	peek = *s;
	if (!span_take(&peek, 2 * CSV_INT_SIZE, out_xy) || !take_int(s, out->x) ||
	    !take_int(s, out->y))
		return false;
	return span_le16(s, &n) && n <= CSV_UID_MAX && span_take(s, CSV_UID_MAX, &room) &&
	       span_take(&room, n, &out->uid);
}

bool csv_ca_parse(struct span bytes, struct csv_ca *out)
{
	struct csv_ca c = { 0 };
	struct span s = bytes, all = bytes;
	uint32_t version;

	if (bytes.n != CSV_CA_SIZE || !span_take(&all, 576, &c.signed_part))
		return false;
	if (!span_le32(&s, &version) || version != 1 || !span_take(&s, 16, &c.key_id) ||
	    !span_take(&s, 16, &c.signer_id) || !span_le32(&s, &c.usage) || !span_skip(&s, 24) ||
	    !take_key(&s, &c.xy, &c.key) || !span_skip(&s, 576 - 212 - 2 - CSV_UID_MAX) ||
	    !take_sig(&s, &c.sig))
		return false;
	*out = c;
	return true;
}

static bool take_cert_sig(struct span *s, uint32_t *out_usage, struct csv_sig *out)
{
	uint32_t algo;

	return span_le32(s, out_usage) && span_le32(s, &algo) && take_sig(s, out) &&
	       span_skip(s, 368);
}

bool csv_cert_parse(struct span bytes, struct csv_cert *out)
{
	struct csv_cert c = { 0 };
	struct span s = bytes, all = bytes;
	uint32_t version;

	if (bytes.n != CSV_CERT_SIZE || !span_take(&all, 1044, &c.signed_part))
		return false;
	if (!span_le32(&s, &version) || !span_skip(&s, 4) || !span_le32(&s, &c.usage) ||
	    !span_le32(&s, &c.algo) || !take_key(&s, &c.xy, &c.key) || !span_skip(&s, 16 + 608))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(c.sig); i++)
		if (!take_cert_sig(&s, &c.sig_usage[i], &c.sig[i]))
			return false;
	*out = c;
	return true;
}

static void unmask(uint8_t *p, size_t n, const uint8_t anonce[4])
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= anonce[i % 4];
}

/* The fields that both versions begin with, from memory that is not masked. */
static bool take_common(struct span *s, struct csv_report *r)
{
	return span_copy(s, r->user_pubkey_digest, 32) && span_copy(s, r->vm_id, 16) &&
	       span_copy(s, r->vm_version, 16) && span_copy(s, r->report_data, 64) && /* 0x40 */
	       span_copy(s, r->mnonce, 16) && span_copy(s, r->measure, 32) &&	      /* 0x80 */
	       span_copy(s, r->policy, 4) && span_le32(s, &r->sig_usage) &&	      /* 0xb0 */
	       span_le32(s, &r->sig_algo);
}

static bool take_v1(struct span *s, struct csv_report *r)
{
	struct span all = *s, clear;
	uint8_t head[V1_ANONCE_AT];

	if (!span_take(&all, V1_SIGNED, &r->signed_part) || !span_copy(s, head, sizeof(head)) ||
	    !span_copy(s, r->anonce, sizeof(r->anonce)) || !take_sig(s, &r->sig))
		return false;
	unmask(head, sizeof(head), r->anonce);
	clear = SPAN(head, sizeof(head));
	return take_common(&clear, r) && clear.n == 0;
}

static bool take_v2(struct span *s, struct csv_report *r)
{
	struct span all = *s;

	if (!span_take(&all, V2_SIGNED, &r->signed_part) || !take_common(s, r) ||
	    !span_le32(s, &r->build) || !span_le16(s, &r->rtmr_version) || !span_skip(s, 14))
		return false;
	for (size_t i = 0; i < CSV_N_RTMRS; i++) /* 0xd0 */
		if (!span_copy(s, r->rtmr[i], sizeof(r->rtmr[i])))
			return false;
	return span_skip(s, 656) && take_sig(s, &r->sig);
}

static bool take_signer(struct span *s, struct csv_report *r)
{
	struct span all = *s;

	if (!span_take(&all, CSV_CERT_SIZE + CSV_SN_SIZE + 32, &r->mac_part) ||
	    !span_copy(s, r->pek, sizeof(r->pek)) ||
	    !span_copy(s, r->chip_sn, sizeof(r->chip_sn)) || !span_skip(s, 32) ||
	    !span_take(s, 32, &r->mac))
		return false;
	unmask(r->pek, sizeof(r->pek), r->anonce); /* zero in version 2 */
	unmask(r->chip_sn, sizeof(r->chip_sn), r->anonce);
	return true;
}

bool csv_report_take(struct span *s, struct csv_report *out)
{
	static const char magic[16] = "ATTESTATION_EXT";
	struct csv_report r = { .version = 1 };
	struct span t = *s, head = *s;
	struct span found;
	uint32_t flags;

	if (span_take(&head, sizeof(magic), &found) && memcmp(found.p, magic, sizeof(magic)) == 0) {
		if (!span_le32(&head, &flags) || flags > 1)
			return false;
		r.version = 1 + flags;
		t = head;
	}
	if (!(r.version == 1 ? take_v1(&t, &r) : take_v2(&t, &r)) || !take_signer(&t, &r))
		return false;
	*out = r;
	*s = t;
	return true;
}
