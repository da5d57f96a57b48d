/*
 * What a bag of collateral holds, for people: kind, whom it is about, from when to when, and
 * whether a certificate of the bag signed it. Nothing here decides about trust.
 */
#include <stdio.h>

#include "rats/collateral.h"
#include "rats/dcap/tcb_info.h"
#include "rats/text.h"

/* One line of printable ASCII: names come from files. */
static void put_name(struct rtls_collateral_item *out, const char *text)
{
	size_t n = 0;

	for (; n < sizeof(out->name) - 1 && text[n]; n++)
		out->name[n] = (char)(text[n] < ' ' || text[n] > '~' ? '?' : text[n]);
	out->name[n] = '\0';
}

static void put_x509_name(struct rtls_collateral_item *out, const X509_NAME *name)
{
	char text[sizeof(out->name)] = "";

	X509_NAME_get_text_by_NID(name, NID_commonName, text, (int)sizeof(text));
	put_name(out, text);
}

static void describe_doc(const struct bag_doc *d, struct rtls_collateral_item *out)
{
	char text[sizeof(out->name)], fmspc[16];

	if (d->tcb)
		snprintf(text, sizeof(text), "%s FMSPC %s, evaluation %llu",
			 d->tcb->is_tdx ? "TDX" : "SGX",
			 hex_format(SPAN(d->tcb->fmspc, 6), fmspc, sizeof(fmspc)),
			 (unsigned long long)d->eval);
	else
		snprintf(text, sizeof(text), "%.8s, evaluation %llu", d->qe->id,
			 (unsigned long long)d->eval);
	out->kind = d->tcb ? "tcb-info" : "qe-identity";
	put_name(out, text);
	out->issued = d->issued;
	out->expires = d->expires;
	out->is_signed = d->is_verified;
}

static void describe_cert(const struct bag_cert *b, struct rtls_collateral_item *out)
{
	out->kind = "certificate";
	out->issued = b->from;
	out->expires = b->to;
	out->is_signed = b->issuer != SIZE_MAX;
	put_x509_name(out, X509_get_subject_name(b->x));
}

static void describe_crl(const struct bag_crl *b, struct rtls_collateral_item *out)
{
	out->kind = "crl";
	out->issued = b->issued;
	out->expires = b->expires;
	out->is_signed = b->is_verified;
	put_x509_name(out, X509_CRL_get_issuer(b->crl));
}

static void describe_blob(struct span blob, struct rtls_collateral_item *out)
{
	char text[32];

	out->kind = "other";
	snprintf(text, sizeof(text), "%zu bytes", blob.n);
	put_name(out, text);
}

static size_t count_docs(const struct rtls_collateral *c)
{
	size_t n = 0;

	while (collateral_doc(c, n))
		n++;
	return n;
}

bool rtls_collateral_item(const struct rtls_collateral *c, size_t i,
			  struct rtls_collateral_item *out)
{
	const size_t n_certs = collateral_n_certs(c), n_crls = collateral_n_crls(c);
	const size_t n_docs = count_docs(c);
	struct rtls_collateral_item item = { 0 };

	if (i < n_certs)
		describe_cert(collateral_bag_cert(c, i), &item);
	else if ((i -= n_certs) < n_crls)
		describe_crl(collateral_bag_crl(c, i), &item);
	else if ((i -= n_crls) < n_docs)
		describe_doc(collateral_doc(c, i), &item);
	else if ((i -= n_docs) < collateral_n_blobs(c))
		describe_blob(collateral_blob(c, i), &item);
	else
		return false;
	*out = item;
	return true;
}
