/*
 * rats-inspect collateral fetch: what a piece of evidence needs, from the makers' services.
 *
 * The evidence says what: for Intel, TCB info and QE identity of its kind and FMSPC, the CRLs of
 * both PCK CAs and of the root, from Intel's PCS v4 or any PCCS; for AMD, the certificate of its
 * key, the CAs above and their CRL, from AMD's KDS. Each item is asked of every endpoint in
 * order, until one gives an answer that is of the right kind, in time, and signed by what came
 * along. Only when everything is there are files written, each to a temporary name and then
 * renamed: whoever reads the directory sees old or new items, never half of one.
 *
 * Whether the chains lead to the makers' roots is not asked here but at every appraisal.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "tool/inspect.h"
#include "tool/inspect_http.h"

enum { ITEMS_MAX = 8, PATH_LEN_MAX = 512, NAME_LEN_MAX = 96, URL_LEN_MAX = 2048 };
enum {
	RETRIES_MAX = 3, /* of a busy service */
	WAIT_MAX_S = 30, /* for it; then the next one is asked */
};

struct item {
	const char *kind;	  /* that rtls_collateral_item() must call it */
	const char *base;	  /* endpoint if no --url is given */
	char name[NAME_LEN_MAX];  /* of the file */
	char path[PATH_LEN_MAX];  /* below the endpoint */
	char other[NAME_LEN_MAX]; /* another path for the same; "" if there is none */
	struct http_reply reply;
};

struct plan {
	size_t n;
	struct item items[ITEMS_MAX];
};

static const char intel_pcs[] = "https://api.trustedservices.intel.com";
static const char intel_root[] = "https://certificates.trustedservices.intel.com";
static const char amd_kds[] = "https://kdsintf.amd.com";

static void plan_deinit(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		http_reply_deinit(&p->items[i].reply);
}

static struct item *plan_add(struct plan *p, const char *kind, const char *base)
{
	struct item *it = &p->items[p->n++];

	*it = (struct item){ .kind = kind, .base = base };
	return it;
}

#define PRINT(array, ...) snprintf((array), sizeof(array), __VA_ARGS__)

static void plan_intel(struct plan *p, const char *tee, const char *fmspc)
{
	static const char *const cas[] = { "processor", "platform" };
	struct item *it;

	it = plan_add(p, "tcb-info", intel_pcs);
	PRINT(it->name, "%s-%s-tcb-info.json", tee, fmspc);
	PRINT(it->path, "/%s/certification/v4/tcb?fmspc=%s", tee, fmspc);
	it = plan_add(p, "qe-identity", intel_pcs);
	PRINT(it->name, "%s-qe-identity.json", tee);
	PRINT(it->path, "/%s/certification/v4/qe/identity", tee);
	for (size_t i = 0; i < ARRAY_LEN(cas); i++) {
		it = plan_add(p, "crl", intel_pcs);
		PRINT(it->name, "intel-pck-%s-crl.der", cas[i]);
		PRINT(it->path, "/sgx/certification/v4/pckcrl?ca=%s&encoding=der", cas[i]);
	}
	it = plan_add(p, "crl", intel_root);
	PRINT(it->name, "intel-root-crl.der");
	PRINT(it->path, "/IntelSGXRootCA.der");
	PRINT(it->other, "/sgx/certification/v4/rootcacrl"); /* a PCCS: in hex */
}

static uint64_t number(const struct rtls_verdict *v, const char *name)
{
	struct rtls_claim c;

	return rtls_verdict_find(v, name, &c) && c.kind == RTLS_CLAIM_UINT ? c.number : 0;
}

/* In hex; "" if there is no such claim. At most max bytes of it. */
static void hex_claim(const struct rtls_verdict *v, const char *name, size_t max, char *out,
		      size_t size)
{
	struct rtls_claim c;

	out[0] = '\0';
	if (!rtls_verdict_find(v, name, &c) || c.kind != RTLS_CLAIM_BYTES)
		return;
	for (size_t i = 0; i < c.n_bytes && i < max && 2 * i + 3 <= size; i++)
		snprintf(out + 2 * i, 3, "%02x", c.bytes[i]);
}

/* AMD 57230, 3 and 4. A VLEK is its cloud provider's: KDS does not hand it out. */
static void plan_amd(struct plan *p, const struct rtls_verdict *v, const char *product)
{
	const bool turin = strcmp(product, "Turin") == 0;
	struct rtls_claim key;
	char chip[129], fmc[32] = "";
	const char *kind = "vcek";
	struct item *it;

	if (rtls_verdict_find(v, "signing_key", &key) && key.kind == RTLS_CLAIM_TEXT &&
	    strcmp((const char *)key.bytes, "VLEK") == 0)
		kind = "vlek";
	it = plan_add(p, "certificate", amd_kds);
	PRINT(it->name, "amd-%s-%s-chain.pem", kind, product);
	PRINT(it->path, "/%s/v1/%s/cert_chain", kind, product);
	it = plan_add(p, "crl", amd_kds);
	PRINT(it->name, "amd-%s-%s-crl.der", kind, product);
	PRINT(it->path, "/%s/v1/%s/crl", kind, product);
	if (strcmp(kind, "vlek") == 0)
		return;
	hex_claim(v, "chip_id", turin ? 8 : 64, chip, sizeof(chip));
	if (turin)
		PRINT(fmc, "fmcSPL=%" PRIu64 "&", number(v, "fmc_svn"));
	it = plan_add(p, "certificate", amd_kds);
	PRINT(it->name, "amd-vcek-%.16s-%" PRIu64 "-%" PRIu64 "-%" PRIu64 "-%" PRIu64 ".der", chip,
	      number(v, "bootloader_svn"), number(v, "tee_svn"), number(v, "snp_svn"),
	      number(v, "microcode_svn"));
	PRINT(it->path,
	      "/vcek/v1/%s/%s?%sblSPL=%02" PRIu64 "&teeSPL=%02" PRIu64 "&snpSPL=%02" PRIu64
	      "&ucodeSPL=%02" PRIu64,
	      product, chip, fmc, number(v, "bootloader_svn"), number(v, "tee_svn"),
	      number(v, "snp_svn"), number(v, "microcode_svn"));
}

/* NULL, or why the answer is not what was asked for. */
static const char *judge(const struct item *it, int64_t now)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;
	struct rtls_collateral_item found;
	const char *wrong = "not what was asked for";

	if (rtls_collateral_new(&c) != 0 ||
	    rtls_collateral_add(c, it->reply.body, it->reply.n) != 0)
		return wrong;
	for (size_t i = 0; rtls_collateral_item(c, i, &found); i++) {
		if (strcmp(found.kind, it->kind) != 0)
			return "not what was asked for";
		if (now > found.expires || now < found.issued)
			return "expired or not yet valid";
		wrong = NULL;
	}
	return wrong;
}

/* A service that is busy is asked again when it says so, if that is soon. */
static const char *get_patiently(const char *url, struct http_reply *out)
{
	const char *wrong;
	int64_t wait_s;

	for (int again = 0;; again++) {
		wrong = http_get(url, out, &wait_s);
		if (!wrong || wait_s == 0 || again == RETRIES_MAX || wait_s > WAIT_MAX_S)
			return wrong;
		fprintf(stderr, "%s: %s, again in %" PRId64 " s\n", url, wrong, wait_s);
		for (unsigned left = (unsigned)wait_s; left > 0;)
			left = sleep(left);
	}
}

static bool try_url(struct item *it, const char *base, const char *path, int64_t now)
{
	const size_t n = strlen(base);
	char url[URL_LEN_MAX];
	const char *wrong;

	if (snprintf(url, sizeof(url), "%.*s%s", (int)(n && base[n - 1] == '/' ? n - 1 : n), base,
		     path) >= (int)sizeof(url))
		return false;
	wrong = get_patiently(url, &it->reply);
	if (!wrong) {
		wrong = judge(it, now);
		if (wrong)
			http_reply_deinit(&it->reply);
	}
	fprintf(stderr, "%s: %s\n", url, wrong ? wrong : "ok");
	return !wrong;
}

static bool fetch_item(const struct inspect *in, struct item *it)
{
	const bool given = in->n_urls > 0;

	for (size_t i = 0; i < (given ? in->n_urls : 1); i++) {
		const char *base = given ? in->urls[i] : it->base;

		if (try_url(it, base, it->path, in->time) ||
		    (given && *it->other && try_url(it, base, it->other, in->time)))
			return true;
	}
	return false;
}

/* Whether everything is signed by something that came along. */
static bool is_complete(const struct plan *p)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;
	struct rtls_collateral_item found;

	if (rtls_collateral_new(&c) != 0)
		return false;
	for (size_t i = 0; i < p->n; i++) {
		const struct http_reply *r = &p->items[i].reply;

		if (rtls_collateral_add(c, r->body, r->n) != 0 ||
		    (r->chain && rtls_collateral_add(c, r->chain, strlen(r->chain)) != 0))
			return false;
	}
	if (rtls_collateral_seal(c) != 0)
		return false;
	for (size_t i = 0; rtls_collateral_item(c, i, &found); i++)
		if (!found.is_signed) {
			inspect_complain("%s of %s: nothing that came along signed it", found.kind,
					 found.name);
			return false;
		}
	return true;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		const ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_new(-errno);
		p += w;
		n -= (size_t)w;
	}
	return fsync(fd) < 0 ? err_new(-errno) : 0;
}

/* Names that begin with a dot are passed over by whoever loads the directory. */
static int store(int dir, const char *name, const void *bytes, size_t n)
{
	CLEANUP(fd_closep) int fd = -1;
	char temporary[NAME_LEN_MAX + 32];
	int r;

	PRINT(temporary, ".%s.%ld", name, (long)getpid());
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_new(-errno);
	r = write_all(fd, bytes, n);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = err_new(-errno);
	if (r < 0)
		unlinkat(dir, temporary, 0);
	return err_pass(r);
}

static int store_all(const struct plan *p, const char *path)
{
	CLEANUP(fd_closep) int dir = -1;
	int r = 0;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		r = err_new(-errno);
	dir = r == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (r == 0 && dir < 0)
		r = err_new(-errno);
	/* Chains first: then a new item never stands there without its issuer. */
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		char name[NAME_LEN_MAX + 16];

		PRINT(name, "%s.chain.pem", p->items[i].name);
		if (p->items[i].reply.chain)
			r = store(dir, name, p->items[i].reply.chain,
				  strlen(p->items[i].reply.chain));
	}
	for (size_t i = 0; r == 0 && i < p->n; i++)
		r = store(dir, p->items[i].name, p->items[i].reply.body, p->items[i].reply.n);
	return r < 0 ? inspect_complain("%s: %s", path, err_text(r)) : 0;
}

/* Returns an exit status; EXIT_REJECTED: an item is not to be had. */
static int run(const struct inspect *in, struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!fetch_item(in, &p->items[i]))
			return EXIT_REJECTED;
	if (!is_complete(p))
		return EXIT_REJECTED;
	return store_all(p, in->operands[1]);
}

static int fetch_intel(const struct inspect *in, const char *tee, const char *fmspc)
{
	CLEANUP(plan_deinit) struct plan p = { 0 };

	plan_intel(&p, tee, fmspc);
	return run(in, &p);
}

/* Reports before version 3 do not name the product: then it is found out by trying. */
static int fetch_amd(const struct inspect *in, const struct rtls_verdict *v)
{
	static const char *const products[] = { "Milan", "Genoa", "Turin" };
	const uint64_t family = number(v, "cpuid_fam"), model = number(v, "cpuid_mod");
	int r = EXIT_REJECTED;

	for (size_t i = 0; r == EXIT_REJECTED && i < ARRAY_LEN(products); i++) {
		CLEANUP(plan_deinit) struct plan p = { 0 };
		const size_t is = family == 0 ? i : family == 26 ? 2 : model < 16 ? 0 : 1;

		if (is != i)
			continue;
		plan_amd(&p, v, products[i]);
		r = run(in, &p);
	}
	return r;
}

int inspect_collateral_fetch(const struct inspect *in)
{
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	const char *tee;
	char fmspc[16];
	int r;

	if (inspect_decode(in, in->operands[0], &v) < 0 || !inspect_is_evidence(in->operands[0], v))
		return EXIT_UNDECIDED;
	tee = rtls_verdict_tee(v);
	hex_claim(v, "fmspc", 6, fmspc, sizeof(fmspc));
	if (*fmspc)
		r = fetch_intel(in, strstr(tee, "tdx") ? "tdx" : "sgx", fmspc);
	else if (strstr(tee, "snp"))
		r = fetch_amd(in, v);
	else
		return inspect_complain("%s: nothing can be fetched for %s", in->operands[0], tee);
	if (r == EXIT_REJECTED)
		inspect_complain("collateral is incomplete: %s is left as it was", in->operands[1]);
	return r == 0 ? EXIT_SUCCESS : EXIT_UNDECIDED;
}
