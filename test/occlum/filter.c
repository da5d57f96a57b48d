/*
 * The system calls and arguments that Occlum 0.31.0 takes, as a seccomp filter.
 *
 * Which calls: syscalls.tsv. Which arguments: the rules below, read in the LibOS's sources (the
 * module that each names), as far as they are visible in registers. A call with other arguments is
 * treated as one that is missing, with the errno of the module where that is not EINVAL.
 */
#include "jail.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ALL32 0xffffffffu
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct filter {
	scmp_filter_ctx ctx;
	const struct jail *j;
	uint32_t otherwise; /* the filter's default */
	bool ruled[JAIL_CALLS_MAX];
	int r; /* the first error */
};

static void add(struct filter *f, uint32_t action, int nr, unsigned n,
		const struct scmp_arg_cmp *cmp)
{
	int r;

	f->ruled[nr] = true;
	if (action == f->otherwise)
		return;
	r = seccomp_rule_add_array(f->ctx, action, nr, n, cmp);
	if (r < 0 && f->r == 0)
		f->r = r;
}

/* A call that is counted stops for the watcher, which lets it go on. */
static void allow(struct filter *f, int nr, unsigned n, const struct scmp_arg_cmp *cmp)
{
	add(f, f->j->count ? SCMP_ACT_TRACE((uint16_t)nr) : SCMP_ACT_ALLOW, nr, n, cmp);
}

#define ALLOW(f, nr, ...)                                                                          \
	allow(f, nr, COUNT(((struct scmp_arg_cmp[]){ __VA_ARGS__ })),                              \
	      (struct scmp_arg_cmp[]){ __VA_ARGS__ })

/* What is missing: dead, or Occlum's answer. */
static uint32_t missing(const struct filter *f, int error)
{
	return f->j->kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO((uint16_t)error);
}

static void deny(struct filter *f, int nr, int error, struct scmp_arg_cmp cmp)
{
	add(f, missing(f, error), nr, 1, &cmp);
}

/* Argument i, 32 bits of it, is exactly this; has no bits but these. */
#define IS(i, value) SCMP_CMP(i, SCMP_CMP_MASKED_EQ, ALL32, value)
#define WITHIN(i, bits) SCMP_CMP(i, SCMP_CMP_MASKED_EQ, ALL32 & ~(uint32_t)(bits), 0)

/* An address and its length: both or neither (net/syscalls.rs). */
static void pair(struct filter *f, int nr, unsigned at, struct scmp_arg_cmp more)
{
	ALLOW(f, nr, SCMP_CMP(at, SCMP_CMP_EQ, 0), SCMP_CMP(at + 1, SCMP_CMP_EQ, 0), more);
	ALLOW(f, nr, SCMP_CMP(at, SCMP_CMP_NE, 0), SCMP_CMP(at + 1, SCMP_CMP_NE, 0), more);
}

/* net/syscalls.rs, net/socket: AF_UNIX is a LibOS object and a stream; the rest is the host's. */
static void rule_sockets(struct filter *f)
{
	enum {
		KIND = 0xf,
		FAMILIES = 45,
		RECV = MSG_OOB | MSG_PEEK | MSG_CTRUNC | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITALL |
		       MSG_ERRQUEUE,
	};
	struct scmp_arg_cmp stream = SCMP_A1(SCMP_CMP_MASKED_EQ, KIND, SOCK_STREAM);

	ALLOW(f, SYS_socket, IS(0, AF_UNIX), stream);
	for (uint32_t family = AF_UNIX + 1; family < FAMILIES; family++)
		ALLOW(f, SYS_socket, IS(0, family));
	ALLOW(f, SYS_socketpair, IS(0, AF_UNIX), stream);
	pair(f, SYS_accept4, 1, WITHIN(3, SOCK_NONBLOCK | SOCK_CLOEXEC));
	pair(f, SYS_accept, 1, SCMP_A0(SCMP_CMP_GE, 0));
	/* MSG_NOSIGNAL is refused here, though Linux takes it. */
	pair(f, SYS_recvfrom, 4, WITHIN(3, RECV | MSG_CMSG_CLOEXEC));
	pair(f, SYS_sendto, 4, SCMP_A0(SCMP_CMP_GE, 0));
	/* The kernel echoes MSG_CMSG_CLOEXEC, and the LibOS does not know it then. */
	ALLOW(f, SYS_recvmsg, WITHIN(2, RECV));
}

/* net/socket/sockopt: names up to 68; what can only be read cannot be set. */
static void rule_sockopts(struct filter *f)
{
	static const unsigned char read_only[] = {
		SO_TYPE,    SO_ERROR,	   SO_SNDLOWAT,	       SO_PEERNAME, SO_ACCEPTCONN,
		SO_PEERSEC, SO_PROTOCOL,   SO_DOMAIN,	       SO_PEERCRED, SO_MEMINFO,
		SO_COOKIE,  SO_PEERGROUPS, SO_INCOMING_NAPI_ID
	};
	enum { NAMES = 68 };

	ALLOW(f, SYS_setsockopt, SCMP_A1(SCMP_CMP_NE, SOL_SOCKET));
	ALLOW(f, SYS_getsockopt, SCMP_A1(SCMP_CMP_NE, SOL_SOCKET));
	for (unsigned name = 1; name <= NAMES; name++) {
		ALLOW(f, SYS_getsockopt, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET), IS(2, name));
		if (!memchr(read_only, (int)name, sizeof(read_only)))
			ALLOW(f, SYS_setsockopt, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET), IS(2, name));
	}
}

/* process/do_futex.rs, process/do_clone.rs, util: threads and what they wait on. */
static void rule_threads(struct filter *f)
{
	enum {
		MUST = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES | CLONE_FS |
		       CLONE_SETTLS | CLONE_SYSVSEM,
		NEVER = CLONE_PTRACE | CLONE_VFORK | CLONE_NEWNS | CLONE_UNTRACED |
			CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
			CLONE_NEWPID | CLONE_NEWNET | CLONE_PIDFD,
	};
	static const unsigned char lacking[] = { 2, /* FUTEX_FD */
						 FUTEX_CMP_REQUEUE,
						 FUTEX_WAKE_OP,
						 FUTEX_LOCK_PI,
						 FUTEX_UNLOCK_PI,
						 FUTEX_TRYLOCK_PI,
						 FUTEX_WAIT_REQUEUE_PI,
						 FUTEX_CMP_REQUEUE_PI,
						 13 };
	const uint32_t no_private = ALL32 & ~(uint32_t)FUTEX_PRIVATE_FLAG;
	const uint32_t no_clock = no_private & ~(uint32_t)FUTEX_CLOCK_REALTIME;

	ALLOW(f, SYS_clone, SCMP_A0(SCMP_CMP_MASKED_EQ, MUST | NEVER, MUST));
	ALLOW(f, SYS_futex, SCMP_A1(SCMP_CMP_MASKED_EQ, no_private, FUTEX_WAIT));
	ALLOW(f, SYS_futex, SCMP_A1(SCMP_CMP_MASKED_EQ, no_private, FUTEX_WAKE));
	ALLOW(f, SYS_futex, SCMP_A1(SCMP_CMP_MASKED_EQ, no_private, FUTEX_REQUEUE));
	ALLOW(f, SYS_futex, SCMP_A1(SCMP_CMP_MASKED_EQ, no_clock, FUTEX_WAIT_BITSET));
	ALLOW(f, SYS_futex, SCMP_A1(SCMP_CMP_MASKED_EQ, no_clock, FUTEX_WAKE_BITSET));
	for (size_t i = 0; i < COUNT(lacking); i++)
		deny(f, SYS_futex, ENOSYS, SCMP_A1(SCMP_CMP_MASKED_EQ, no_clock, lacking[i]));
	ALLOW(f, SYS_prctl, IS(0, PR_SET_NAME));
	ALLOW(f, SYS_prctl, IS(0, PR_GET_NAME));
	ALLOW(f, SYS_prctl, IS(0, PR_GET_TIMERSLACK));
	for (uint32_t code = 0x1002; code <= 0x1003; code++) /* ARCH_SET_FS, ARCH_GET_FS */
		ALLOW(f, SYS_arch_prctl, IS(0, code));
	ALLOW(f, SYS_arch_prctl, IS(0, 0x1023)); /* ARCH_REQ_XCOMP_PERM */
}

/* fs/file_ops, net/io_multiplexing, time, vm: what is left with arguments of its own. */
static void rule_files(struct filter *f)
{
	/* fs/file_ops/ioctl: what the LibOS knows by name. */
	static const unsigned ioctls[] = { 0x5401,	   0x5402,	   0x5413,
					   0x5414,	   FIONBIO,	   FIONREAD,
					   FIOCLEX,	   FIONCLEX,	   SIOCGIFNAME,
					   SIOCGIFCONF,	   SIOCGIFFLAGS,   SIOCGIFADDR,
					   SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK,
					   SIOCGIFMTU,	   SIOCGIFHWADDR,  SIOCGIFINDEX,
					   SIOCGIFPFLAGS,  SIOCGIFTXQLEN,  SIOCGIFMAP };
	/* fs/dev_fs/dev_sgx: all that /dev/sgx answers; 7 and 8 make DCAP quotes. */
	static const unsigned sgx_ioctls[] = { 0x80047300, 0x80047301, 0xc0807302, 0x82007303,
					       0xc0187304, 0x41b07305, 0x80047306, 0x80047307,
					       0xc0187308, 0x80047309, 0xc030730a, 0xc010730b };
	enum {
		EVENTS_MAX = 64, /* ours: the LibOS allocates that many at every call */
		F_LOW = 7,	 /* F_DUPFD to F_SETLKW */
		F_DUPFD_CLOEXEC_ = 1030,
		ADVICE = 4,
	};

	for (size_t i = 0; i < COUNT(ioctls); i++)
		ALLOW(f, SYS_ioctl, IS(1, ioctls[i]));
	for (size_t i = 0; i < COUNT(sgx_ioctls); i++)
		ALLOW(f, SYS_ioctl, IS(1, sgx_ioctls[i]));
	for (unsigned i = 0; i <= F_LOW; i++)
		ALLOW(f, SYS_fcntl, IS(1, i));
	ALLOW(f, SYS_fcntl, IS(1, F_DUPFD_CLOEXEC_));
	ALLOW(f, SYS_epoll_create1, WITHIN(0, EPOLL_CLOEXEC));
	ALLOW(f, SYS_epoll_wait, SCMP_A2_32(SCMP_CMP_LE, EVENTS_MAX));
	/* The masks of signals are ignored there, which is worse than an error. */
	ALLOW(f, SYS_epoll_pwait, SCMP_A2_32(SCMP_CMP_LE, EVENTS_MAX), SCMP_A4(SCMP_CMP_EQ, 0));
	ALLOW(f, SYS_ppoll, SCMP_A3(SCMP_CMP_EQ, 0));
	ALLOW(f, SYS_eventfd2, WITHIN(1, 0x80801));
	for (uint32_t clock = 0; clock <= 1; clock++) /* CLOCK_REALTIME, CLOCK_MONOTONIC */
		ALLOW(f, SYS_timerfd_create, IS(0, clock), WITHIN(1, 0x80800));
	ALLOW(f, SYS_getrandom, WITHIN(2, 3));
	ALLOW(f, SYS_madvise, SCMP_A2_32(SCMP_CMP_LE, ADVICE));
	deny(f, SYS_madvise, ENOSYS, SCMP_A2_32(SCMP_CMP_GT, ADVICE));
	for (uint32_t flags = 0; flags <= 3; flags++)
		if (flags != 2) /* MREMAP_FIXED alone */
			ALLOW(f, SYS_mremap, IS(3, flags));
}

/*
 * What Debian's libc asks for, where Occlum's own does not, at the start and for a thread; it takes
 * the refusal. Nothing of this comes from the program.
 */
static void tolerate(struct filter *f)
{
	struct scmp_arg_cmp cet = IS(0, 0x3001);

	add(f, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0, NULL);
	add(f, SCMP_ACT_ERRNO(ENOSYS), SYS_rseq, 0, NULL);
	add(f, SCMP_ACT_ERRNO(EINVAL), SYS_arch_prctl, 1, &cet); /* ARCH_CET_STATUS */
}

/* Every call of the table that has no rule yet: as it says. */
static int take_table(struct filter *f)
{
	char line[200], name[64], answer[16];
	FILE *table = fopen(f->j->table, "re");
	int nr, n_ok = 0;

	if (!table)
		return -errno;
	while (fgets(line, sizeof(line), table)) {
		if (line[0] == '#')
			continue;
		if (sscanf(line, "%d %63s %15s", &nr, name, answer) != 3 || nr < 0 ||
		    nr >= JAIL_CALLS_MAX) {
			f->r = -EBADMSG;
			break;
		}
		if (f->ruled[nr])
			continue;
		if (strcmp(answer, "ok") == 0)
			allow(f, nr, 0, NULL);
		else
			add(f, missing(f, strcmp(answer, "EINVAL") == 0 ? EINVAL : ENOSYS), nr, 0,
			    NULL);
		n_ok += strcmp(answer, "ok") == 0;
	}
	fclose(table);
	if (n_ok == 0 && f->r == 0)
		f->r = -EBADMSG;
	return f->r;
}

int filter_make(const struct jail *j, void **out_filter)
{
	struct filter f = { .j = j };
	int r;

	f.otherwise = missing(&f, EINVAL);
	f.ctx = seccomp_init(f.otherwise);
	if (!f.ctx)
		return -ENOMEM;
	rule_sockets(&f);
	rule_sockopts(&f);
	rule_threads(&f);
	rule_files(&f);
	tolerate(&f);
	r = take_table(&f);
	if (r < 0)
		return r;
	(void)seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: 300 calls */
	*out_filter = f.ctx;
	return 0;
}

int filter_load(void *filter)
{
	return seccomp_load(filter);
}
