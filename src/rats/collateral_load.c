/* Collateral from files; the bytes decide what they are, see collateral.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "rats/collateral.h"
#include "rats/file.h"

static void dir_closep(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int load_file(struct rtls_collateral *c, int dir, const char *name)
{
	uint8_t *bytes;
	size_t n;
	int r;

	r = file_read_at(dir, name, COLLATERAL_ITEM_MAX, &bytes, &n);
	if (r < 0)
		return err_pass(r);
	r = rtls_collateral_add(c, bytes, n);
	free(bytes);
	return err_pass(r);
}

int rtls_collateral_load(struct rtls_collateral *c, const char *path)
{
	CLEANUP(dir_closep) DIR *d = opendir(path);
	struct dirent *e;
	int r;

	if (!d && errno != ENOTDIR)
		return err_new(-errno);
	if (!d)
		return load_file(c, AT_FDCWD, path);
	while ((errno = 0, e = readdir(d)) != NULL) {
		struct stat st;

		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		r = load_file(c, dirfd(d), e->d_name);
		if (r < 0)
			return err_pass(r);
	}
	return errno ? err_new(-errno) : 0;
}
