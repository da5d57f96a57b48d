/* What the files of the jail share. */
#ifndef ENG_TEST_OCCLUM_JAIL_H
#define ENG_TEST_OCCLUM_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { JAIL_CALLS_MAX = 1024 /* system call numbers; Linux is below 500 */ };

struct jail {
	bool kill;	   /* what Occlum lacks ends the program; or it gets Occlum's errno */
	const char *table; /* syscalls.tsv */
	const char *image; /* the directory to be root, or NULL */
	const char *etc;   /* the directory whose files the program has in /etc/eng, or NULL */
	const char *count; /* the file to count calls in, or NULL */
	unsigned threads;  /* at most; 0: any number */
	size_t memory;	   /* bytes of address space; 0: any */
	char **argv;
};

/* filter.c: reads the table, makes the rules; -errno, or 0 and the filter to load last. */
int filter_make(const struct jail *j, void **out_filter);
int filter_load(void *filter);

/* image.c: binds the directory, writes the program's arguments into it. 0 or -errno. */
int image_set_up(const struct jail *j);
int image_enter(const struct jail *j);

/*
 * watch.c: a child that traces this process: counts threads, and calls if asked to, and says which
 * call a program was killed for. It ends with the process; the process ends with it.
 */
int watch_start(const struct jail *j);

#endif
