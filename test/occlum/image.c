/*
 * The image as the program's root, in a mount namespace of its own: the files of the bom, and in
 * etc/eng what run_on_occlum.sh would have put into them. Everything goes away with the process.
 */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
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

/* Occlum copies these from its host at every start. */
static void copy_host_file(const char *name)
{
	char buf[16 * 1024];
	int from = open(name, O_RDONLY | O_CLOEXEC);
	int to = open(name + 1, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;

	if (from >= 0 && to >= 0)
		while ((n = read(from, buf, sizeof(buf))) > 0)
			if (write(to, buf, (size_t)n) != n)
				break;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

int image_set_up(const struct jail *j)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(j->image, j->image, NULL, MS_BIND, NULL) < 0 || chdir(j->image) < 0 ||
	    mount("none", CONFIG_DIR, "tmpfs", 0, NULL) < 0)
		return -errno;
	if (access("etc/hosts", F_OK) < 0) { /* the same ones in every jail of this image */
		copy_host_file("/etc/hosts");
		copy_host_file("/etc/resolv.conf");
	}
	return write_arguments(CONFIG_DIR "/entg.args", j->argv + 1);
}

int image_enter(const struct jail *j)
{
	(void)j;
	if (chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}
