/*
 * The ioctls of /dev/sev-guest; see sev_guest.h. The structures are those of linux/sev-guest.h,
 * which older systems lack. The extended report brings the certificates that the host has been
 * given; a host that has more of them than we have room for says how much it takes, in `certs_len`
 * and an error of its own, whatever errno is. A host that has no extended report at all is asked
 * for the plain one.
 */
#include "rats/attest/sev_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/err.h"
#include "rats/attest/device.h"
#include "rats/snp/snp_cert.h"

enum {
	RESPONSE_SIZE = 4000,
	RESPONSE_REPORT_AT = 32, /* AMD 56860, MSG_REPORT_RSP: status, size, 24 reserved bytes */
	CERTS_FIRST = 16 * 1024, /* what the driver takes at most today; a multiple of a page */
	PAGE = 4096,
	VMM_INVALID_LEN = 1,
	TRIES = 6,
	PAUSE_MS = 100, /* doubled each time, 3 s in all: hosts let one report per second pass */
};

struct report_req {
	uint8_t user_data[REPORT_DATA_SIZE];
	uint32_t vmpl;
	uint8_t reserved[28];
};

struct ext_report_req {
	struct report_req data;
	uint64_t certs_address;
	uint32_t certs_len;
};

struct guest_request {
	uint8_t msg_version;
	uint64_t req_data, resp_data; /* addresses */
	uint32_t fw_error, vmm_error;
};

#define SNP_GET_REPORT _IOWR('S', 0, struct guest_request)
#define SNP_GET_EXT_REPORT _IOWR('S', 2, struct guest_request)

struct exchange {
	struct ext_report_req req; /* the plain request is its beginning */
	uint8_t resp[RESPONSE_SIZE];
	uint32_t vmm_error, fw_error;
};

static int ask(int fd, unsigned long request, struct exchange *x)
{
	struct guest_request g = { .msg_version = 1,
				   .req_data = (uintptr_t)&x->req,
				   .resp_data = (uintptr_t)x->resp };
	long ms = PAUSE_MS;
	int r = 0;

	for (int i = 0; i < TRIES; i++) {
		memset(x->resp, 0, sizeof(x->resp));
		g.fw_error = g.vmm_error = 0;
		r = ioctl(fd, request, &g) == 0 ? 0 : -errno;
		x->vmm_error = g.vmm_error;
		x->fw_error = g.fw_error;
		if (r != -EBUSY && r != -EAGAIN && r != -EINTR)
			break;
		attest_pause_ms(ms);
		ms *= 2;
	}
	return r == 0 ? 0 : err_new(r);
}

/* The extended report, or with room for no certificates the plain one. */
static int ask_for(int fd, uint32_t room, struct exchange *x, uint8_t **out_certs)
{
	uint8_t *certs = NULL;
	int r;

	if (room == 0)
		return err_pass(ask(fd, SNP_GET_REPORT, x));
	if (posix_memalign((void **)&certs, PAGE, room) != 0)
		return err_new(-ENOMEM);
	memset(certs, 0, room);
	x->req.certs_address = (uintptr_t)certs;
	x->req.certs_len = room;
	r = ask(fd, SNP_GET_EXT_REPORT, x);
	if (r < 0) {
		free(certs);
		return err_pass(r);
	}
	*out_certs = certs;
	return 0;
}

static int take_report(const struct exchange *x, struct tsm_answer *a, struct attest_error *err)
{
	struct span s = SPAN(x->resp, sizeof(x->resp)), head, report;
	uint32_t status, size;

	if (!span_le32(&s, &status) || !span_le32(&s, &size) ||
	    !span_take(&s, RESPONSE_REPORT_AT - 8, &head))
		return err_new(-EBADMSG);
	if (status != 0)
		return attest_fail(err, -EIO, "%s: the firmware refuses: status %#x",
				   SEV_GUEST_DEVICE, status);
	if (!span_take(&s, size, &report) || size == 0)
		return attest_fail(err, -EBADMSG, "%s: says that a report has %u bytes",
				   SEV_GUEST_DEVICE, size);
	a->out = malloc(size);
	if (!a->out)
		return err_new(-ENOMEM);
	memcpy(a->out, report.p, size);
	a->n_out = size;
	return 0;
}

int sev_guest_report(int fd, unsigned vmpl, const uint8_t report_data[REPORT_DATA_SIZE],
		     struct tsm_answer *out, struct attest_error *err)
{
	CLEANUP(tsm_answer_deinit) struct tsm_answer a = { 0 };
	struct exchange x = { .req.data.vmpl = vmpl };
	uint32_t room = CERTS_FIRST;
	int r;

	memcpy(x.req.data.user_data, report_data, REPORT_DATA_SIZE);
	r = ask_for(fd, room, &x, &a.aux);
	if (r < 0 && x.vmm_error == VMM_INVALID_LEN) {
		/* Only a size that we are willing to take; without the certificates otherwise. */
		bool fits = x.req.certs_len > room && x.req.certs_len <= SNP_TABLE_MAX &&
			    x.req.certs_len % PAGE == 0;

		room = fits ? x.req.certs_len : 0;
		r = ask_for(fd, room, &x, &a.aux);
	} else if (r == -ENOTTY || r == -EOPNOTSUPP) {
		room = 0;
		r = ask_for(fd, room, &x, &a.aux);
	}
	if (r < 0)
		return attest_fail(err, r, "%s: %s (firmware error %#x, host error %#x)",
				   SEV_GUEST_DEVICE, err_text(r), x.fw_error, x.vmm_error);
	a.n_aux = a.aux ? room : 0;
	r = take_report(&x, &a, err);
	if (r < 0)
		return err_pass(r);
	*out = a;
	a = (struct tsm_answer){ 0 };
	return 0;
}
