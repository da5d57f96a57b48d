/*
 * The image as the program's root, in a mount namespace of its own: the files of the bom, and in
 * etc/eng what run_on_occlum.sh would have put into them. Everything goes away with the process.
 */
#include "jail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_DIR "etc/eng"

/* An option begins a line; what follows it is its value. */
static int write_arguments(const char *path, char *const *argv)
{
	FILE *out = fopen(path, "we");
	bool bad;

	if (!out)
		return -errno;
	for (size_t i = 0; argv[i]; i++)
		fprintf(out, "%s%s",
			i == 0				 ? ""
			: strncmp(argv[i], "--", 2) == 0 ? "\n"
							 : " ",
			argv[i]);
	fprintf(out, "\n");
	bad = ferror(out);
	return fclose(out) != 0 || bad ? -EIO : 0;
}

static int copy_file(const char *from_path, const char *to_path)
{
	char buf[16 * 1024];
	int from = open(from_path, O_RDONLY | O_CLOEXEC);
	int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n = -1;

	if (from >= 0 && to >= 0)
		while ((n = read(from, buf, sizeof(buf))) > 0)
			if (write(to, buf, (size_t)n) != n)
				break;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return n == 0 ? 0 : -EIO;
}

/* What ENG_ETC is for run_on_occlum.sh: the files that options name, and folders of them. */
static int copy_tree(const char *from, const char *to)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];
	DIR *dir = opendir(from);
	struct dirent *d;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (d = readdir(dir))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (snprintf(from_path, PATH_MAX, "%s/%s", from, d->d_name) >= PATH_MAX ||
		    snprintf(to_path, PATH_MAX, "%s/%s", to, d->d_name) >= PATH_MAX)
			r = -ENAMETOOLONG;
		else if (d->d_type == DT_DIR)
			r = mkdir(to_path, 0755) < 0 ? -errno : copy_tree(from_path, to_path);
		else
			r = copy_file(from_path, to_path);
	}
	closedir(dir);
	return r;
}

int image_set_up(const struct jail *j)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(j->image, j->image, NULL, MS_BIND, NULL) < 0 || chdir(j->image) < 0 ||
	    mount("none", CONFIG_DIR, "tmpfs", 0, NULL) < 0)
		return -errno;
	if (access("etc/hosts", F_OK) < 0) { /* Occlum copies them from its host at every start */
		(void)copy_file("/etc/hosts", "etc/hosts");
		(void)copy_file("/etc/resolv.conf", "etc/resolv.conf");
	}
	r = j->etc ? copy_tree(j->etc, CONFIG_DIR) : 0;
	if (r < 0)
		return r;
	return write_arguments(CONFIG_DIR "/entg.args", j->argv + 1);
}

int image_enter(const struct jail *j)
{
	(void)j;
	if (chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}
