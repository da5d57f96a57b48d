/*
 * A directory of collateral as a bundle; see bundle.h. An item of a bundle is recognised by its
 * first byte (collateral.h), so what stands before that in a file is left out, and a file that is
 * a bundle itself or DER in hex is for the sender's own use only.
 */
#include "rats/attest/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "rats/cborin.h"
#include "rats/collateral.h"
#include "rats/file.h"

enum { HEAD_MAX = 9 /* RFC 8949, 3 */ };

static struct span without_preamble(struct span s)
{
	const uint8_t *begin =
		s.n > 0 && s.p[0] != 0x30 ? memmem(s.p, s.n, "-----BEGIN ", 11) : NULL;
	size_t i = 0;

	while (i < s.n && s.p[i] != 0 && strchr(" \t\r\n", s.p[i]))
		i++;
	if (i < s.n && s.p[i] == '{')
		return SPAN(s.p + i, s.n - i);
	return begin ? SPAN(begin, s.n - (size_t)(begin - s.p)) : s;
}

static int add_file(int dir, const char *name, struct wspan *out, size_t *n_items)
{
	struct span item;
	struct stat st;
	uint8_t *bytes;
	size_t n;
	int r;

	if (fstatat(dir, name, &st, 0) != 0 || !S_ISREG(st.st_mode))
		return 0;
	r = file_read_at(dir, name, ATTEST_ENDORSEMENTS_MAX, &bytes, &n);
	if (r < 0)
		return err_pass(r);
	item = without_preamble(SPAN(bytes, n));
	if (item.n > 0) {
		cbor_put_bytes(out, item);
		(*n_items)++;
	}
	free(bytes);
	return 0;
}

static int is_plain(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int add_files(int dir, struct wspan *out, size_t *n_items)
{
	struct dirent **list = NULL;
	int n = scandirat(dir, ".", &list, is_plain, alphasort), r = 0;

	if (n < 0)
		return err_new(-errno);
	for (int i = 0; i < n; i++) {
		if (r == 0 && !out->overflow)
			r = add_file(dir, list[i]->d_name, out, n_items);
		free(list[i]);
	}
	free(list);
	return err_pass(r);
}

static int load_directory(int dir, struct wspan *out)
{
	uint8_t head_bytes[HEAD_MAX];
	struct wspan head = WSPAN(head_bytes, sizeof(head_bytes));
	uint8_t *bytes = malloc(ATTEST_ENDORSEMENTS_MAX);
	struct wspan items = WSPAN(bytes, ATTEST_ENDORSEMENTS_MAX);
	size_t n_items = 0;
	int r;

	if (!bytes)
		return err_new(-ENOMEM);
	r = add_files(dir, &items, &n_items);
	if (r == 0 && n_items > COLLATERAL_ITEMS_MAX)
		r = err_new(-E2BIG);
	if (r == 0 && n_items > 0) {
		cbor_put_head(&head, CBOR_ARRAY, n_items);
		wspan_put(out, head.p, head.n);
		wspan_put(out, items.p, items.n);
		out->overflow |= items.overflow;
	}
	free(bytes);
	return err_pass(r);
}

int attest_bundle_load(const char *path, struct wspan *out)
{
	CLEANUP(fd_closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint8_t *bytes;
	size_t n;
	int r;

	if (dir >= 0)
		return err_pass(load_directory(dir, out));
	if (errno != ENOTDIR)
		return err_new(-errno);
	r = file_read_at(AT_FDCWD, path, ATTEST_ENDORSEMENTS_MAX, &bytes, &n);
	if (r < 0)
		return err_pass(r);
	wspan_put(out, bytes, n);
	free(bytes);
	return 0;
}
