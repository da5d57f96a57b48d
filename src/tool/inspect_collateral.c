/*
 * rats-inspect collateral: what a directory of collateral holds and when it expires, and all of it
 * as one file. A bundle is a CBOR array of byte strings, each an item as its maker published it;
 * it is read back before it is written out.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "tool/inspect.h"
#include "wire/item.h"

enum {
	BUNDLE_ITEMS_MAX = 1024, /* the library reads no more from one bundle */
	ITEM_HEAD_MAX = 9,	 /* RFC 8949, 3 */
};

static int load(const char *path, struct rtls_collateral **out)
{
	const struct inspect one = { .n_collateral = 1, .collateral = { path } };

	return inspect_load(&one, NULL, out);
}

static bool is_expired(const struct rtls_collateral_item *item, int64_t now)
{
	return item->expires != 0 && now > item->expires;
}

static const char *state_of(const struct rtls_collateral_item *item, int64_t now)
{
	if (is_expired(item, now))
		return "EXPIRED";
	return item->expires == 0 ? "-" : now < item->issued ? "NOT YET" : "valid";
}

static void print_item(const struct rtls_collateral_item *item, int64_t now)
{
	const bool dated = item->expires != 0;
	char from[32] = "-", to[32] = "-";

	if (dated) {
		inspect_format_time(item->issued, from);
		inspect_format_time(item->expires, to);
	}
	printf("%-11s  %-20s  %-20s  %-9s  %-8s  %s\n", item->kind, from, to, state_of(item, now),
	       item->is_signed ? "signed"
	       : dated	       ? "UNSIGNED"
			       : "-",
	       item->name);
}

/* What has no dates has null there, and no state. */
static void print_item_json(const struct rtls_collateral_item *item, int64_t now, bool is_first)
{
	const bool dated = item->expires != 0;
	char from[32], to[32];

	printf("%s{\"kind\": \"%s\", \"name\": ", is_first ? "" : ", ", item->kind);
	inspect_json_text((const uint8_t *)item->name, strlen(item->name));
	if (dated)
		printf(", \"from\": \"%s\", \"expires\": \"%s\", \"state\": \"%s\"",
		       inspect_format_time(item->issued, from),
		       inspect_format_time(item->expires, to), state_of(item, now));
	else
		fputs(", \"from\": null, \"expires\": null, \"state\": null", stdout);
	printf(", \"signed\": %s}", item->is_signed ? "true" : "false");
}

int inspect_collateral_show(const struct inspect *in)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *c = NULL;
	struct rtls_collateral_item item;
	bool in_time = true;
	size_t n = 0;

	if (load(in->operands[0], &c) < 0)
		return EXIT_UNDECIDED;
	if (!rtls_collateral_item(c, 0, &item))
		return inspect_complain("%s: holds no collateral", in->operands[0]);
	if (in->json)
		fputs("{\"items\": [", stdout);
	else
		printf("%-11s  %-20s  %-20s  %-9s  %-8s  %s\n", "KIND", "FROM", "EXPIRES", "STATE",
		       "ISSUER", "NAME");
	for (; rtls_collateral_item(c, n, &item); n++) {
		in_time = in_time && !is_expired(&item, in->time);
		if (in->json)
			print_item_json(&item, in->time, n == 0);
		else
			print_item(&item, in->time);
	}
	if (in->json)
		puts("]}");
	return inspect_flush(in_time ? EXIT_SUCCESS : EXIT_REJECTED);
}

/* The head of the array comes last, so room is kept for it at the start of the buffer. */
struct bundle {
	size_t n_items;
	uint8_t *p;
	size_t n;     /* in the buffer, with the room */
	size_t start; /* of the finished bundle */
};

static void bundle_deinit(struct bundle *b)
{
	free(b->p);
}

static int bundle_put(struct bundle *b, const uint8_t *bytes, size_t n)
{
	const size_t at = b->n ? b->n : ITEM_HEAD_MAX;
	uint8_t *p = realloc(b->p, at + ITEM_HEAD_MAX + n);
	struct wspan w;

	if (!p)
		return err_new(-ENOMEM);
	b->p = p;
	w = WSPAN(p + at, ITEM_HEAD_MAX + n);
	item_put_bytes(&w, bytes, n);
	b->n = at + w.n;
	b->n_items++;
	return 0;
}

static void bundle_finish(struct bundle *b)
{
	uint8_t head[ITEM_HEAD_MAX] = { 0 };
	struct wspan w = WSPAN(head, sizeof(head));

	item_put_array(&w, b->n_items);
	b->start = ITEM_HEAD_MAX - w.n;
	memcpy(b->p + b->start, head, w.n);
}

/* Bundled items are recognised by their first byte: leave out what stands before it in a file. */
static size_t preamble(const uint8_t *p, size_t n)
{
	const uint8_t *begin = memmem(p, n, "-----BEGIN ", 11);
	size_t i = 0;

	while (i < n && p[i] && strchr(" \t\r\n", p[i]))
		i++;
	if (i < n && p[i] == '{')
		return i;
	return begin && p[0] != 0x30 ? (size_t)(begin - p) : 0;
}

static int add_file(struct bundle *b, const char *path)
{
	CLEANUP(inspect_freep) uint8_t *bytes = NULL;
	size_t n = 0, skip;
	int r;

	r = inspect_read(path, &bytes, &n);
	if (r < 0)
		return err_pass(r);
	skip = preamble(bytes, n);
	if (skip == n)
		return 0;
	if (b->n_items == BUNDLE_ITEMS_MAX) {
		inspect_complain("%s: more than %d files", path, BUNDLE_ITEMS_MAX);
		return err_new(-E2BIG);
	}
	return bundle_put(b, bytes + skip, n - skip);
}

static int is_plain(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* In the order of the names, so that the same directory gives the same bundle. */
static int add_dir(struct bundle *b, const char *dir)
{
	struct dirent **list = NULL;
	int n, r = 0;

	n = scandir(dir, &list, is_plain, alphasort);
	if (n < 0)
		return inspect_complain("%s: %s", dir, err_text(-errno)), err_new(-EIO);
	for (int i = 0; i < n; i++) {
		CLEANUP(inspect_freep) char *path = NULL;
		struct stat st;

		if (r == 0 && asprintf(&path, "%s/%s", dir, list[i]->d_name) < 0)
			r = err_new(-ENOMEM);
		if (r == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			r = add_file(b, path);
		free(list[i]);
	}
	free(list);
	return err_pass(r);
}

static size_t count(const struct rtls_collateral *c)
{
	struct rtls_collateral_item item;
	size_t n = 0;

	while (rtls_collateral_item(c, n, &item))
		n++;
	return n;
}

/* Whether the bundle holds what the directory holds. */
static int check_bundle(const struct bundle *b, const char *dir)
{
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *before = NULL;
	CLEANUP(rtls_collateral_freep) struct rtls_collateral *after = NULL;
	int r;

	r = load(dir, &before);
	if (r < 0)
		return err_pass(r);
	r = rtls_collateral_new(&after);
	if (r == 0)
		r = rtls_collateral_add(after, b->p + b->start, b->n - b->start);
	if (r == 0 && count(before) != count(after))
		r = err_new(-EBADMSG);
	if (r < 0)
		inspect_complain("%s: an item in it has no place in a bundle", dir);
	return err_pass(r);
}

int inspect_collateral_bundle(const struct inspect *in)
{
	CLEANUP(bundle_deinit) struct bundle b = { 0 };
	const char *dir = in->operands[0];

	if (isatty(STDOUT_FILENO))
		return inspect_complain("a bundle is binary: redirect standard output");
	if (add_dir(&b, dir) < 0)
		return EXIT_UNDECIDED;
	if (b.n_items == 0)
		return inspect_complain("%s: holds no collateral", dir);
	bundle_finish(&b);
	if (check_bundle(&b, dir) < 0)
		return EXIT_UNDECIDED;
	fwrite(b.p + b.start, 1, b.n - b.start, stdout);
	return inspect_flush(EXIT_SUCCESS);
}
