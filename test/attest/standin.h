/*
 * What the stand-ins for devices have in common: their options, and for those that pretend a file
 * in /dev the supervisor of the program that is to see it (supervise.c).
 */
#ifndef ENG_TEST_ATTEST_STANDIN_H
#define ENG_TEST_ATTEST_STANDIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "maker.h"

/* Everything that a test may make wrong; zero: nothing. A device ignores what it cannot do. */
struct standin {
	struct maker_tee tee;
	const char *log;     /* a file to which each request is added, in one line */
	bool is_snp;	     /* configfs-tsm: the provider is sev_guest, not tdx_guest */
	bool absent;	     /* there is no such device: ENOENT */
	bool denied;	     /* EACCES */
	unsigned slow_s;     /* the first request takes that long */
	unsigned fail;	     /* the first so many requests fail */
	bool fail_quote;     /* what makes the quote or report fails, always */
	unsigned busy;	     /* the first so many requests find the device busy */
	bool other_data;     /* it answers with other report data, properly signed */
	bool other_nonce;    /* the same with the nonce that the caller chose */
	bool other_tee;	     /* it answers as another kind of TEE */
	bool oversize;	     /* it says that the answer is larger than anything */
	bool garbage;	     /* it answers with bytes that mean nothing */
	bool cut;	     /* the answer ends early */
	bool bad_generation; /* configfs-tsm: the attribute is no number */
	bool bad_certs;	     /* what the host sends along is no table */
	bool no_certs;	     /* the host has no certificates to send along */
	bool no_ext;	     /* the driver knows no extended report */
	bool race;	     /* somebody else writes between request and answer, once */
	bool race_forever;   /* and each time */
	unsigned certs_len;  /* the table takes so much room */
};

/*
 * Reads --NAME and --NAME=VALUE up to "--" or the first word that is none, and returns its index;
 * a wrong option ends the program with status 2.
 */
int standin_options(int argc, char **argv, struct standin *out);
void standin_log(const struct standin *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The memory of the program that asks. False: it has no such memory, or has gone. */
bool standin_read(pid_t pid, uint64_t addr, void *to, size_t n);
bool standin_write(pid_t pid, uint64_t addr, const void *from, size_t n);

/* A device in /dev; each program that pretends one is linked with its own. */
struct standin_device {
	const char *path;
	uint8_t type; /* _IOC_TYPE() of its requests */
	/* What the driver does. 0, or -errno for the program that asks. */
	int (*ioctl)(struct standin *s, pid_t pid, uint32_t request, uint64_t arg);
};
extern const struct standin_device standin_device;

#endif
