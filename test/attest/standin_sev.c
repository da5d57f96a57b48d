/*
 * /dev/sev-guest: SNP_GET_REPORT and SNP_GET_EXT_REPORT of linux/sev-guest.h, as the driver, the
 * host (certificates, throttling) and the firmware behind it answer.
 */
#include <errno.h>
#include <linux/sev-guest.h>
#include <string.h>
#include <sys/ioctl.h>

#include "standin.h"

enum { CERTS_MAX = 16 * 1024, PAGE = 4096, CERTS_ROOM = 256 * 1024 };

/* The certificates, if the caller has room for them. */
static int put_certs(const struct standin *s, pid_t pid, uint64_t req,
		     const struct snp_ext_report_req *ext, uint32_t *vmm_error)
{
	static uint8_t table[CERTS_ROOM];
	size_t n = s->no_certs ? 0 : maker_snp_table(table);
	uint32_t room = (uint32_t)((n + PAGE - 1) / PAGE * PAGE);

	if (ext->certs_len > (s->certs_len > 0 ? CERTS_ROOM : CERTS_MAX) ||
	    ext->certs_len % PAGE != 0)
		return -EINVAL;
	if (s->certs_len > 0)
		room = s->certs_len;
	if (ext->certs_len < room) {
		*vmm_error = SNP_GUEST_VMM_ERR_INVALID_LEN;
		if (!standin_write(pid, req + offsetof(struct snp_ext_report_req, certs_len), &room,
				   sizeof(room)))
			return -EFAULT;
		return -EIO;
	}
	if (s->bad_certs)
		memset(table, 0xa5, n);
	return standin_write(pid, ext->certs_address, table, n) ? 0 : -EFAULT;
}

static int put_report(const struct standin *s, pid_t pid, uint64_t resp,
		      const struct snp_report_req *req)
{
	uint8_t data[4000] = { 0 }, report_data[64];
	uint32_t head[2] = { s->fail_quote ? 0x16 : 0, MAKER_SNP_REPORT };
	struct maker_tee tee = s->tee;

	if (s->oversize)
		head[1] = 0xfffffff0;
	if (s->cut)
		head[1] = MAKER_SNP_REPORT / 2;
	memcpy(report_data, req->user_data, sizeof(report_data));
	report_data[0] ^= s->other_data;
	tee.vmpl = req->vmpl;
	memcpy(data, head, sizeof(head));
	(void)maker_snp_report(&tee, report_data, data + 32);
	if (s->garbage)
		memset(data + 32, 0xa5, MAKER_SNP_REPORT);
	return standin_write(pid, resp, data, sizeof(data)) ? 0 : -EFAULT;
}

static int sev_ioctl(struct standin *s, pid_t pid, uint32_t request, uint64_t arg)
{
	struct snp_ext_report_req ext = { 0 };
	struct snp_guest_request_ioctl g;
	int r = 0;

	if (request != SNP_GET_REPORT && (request != SNP_GET_EXT_REPORT || s->no_ext))
		return -ENOTTY;
	if (!standin_read(pid, arg, &g, sizeof(g)))
		return -EFAULT;
	if (g.msg_version == 0)
		return -EINVAL;
	g.exitinfo2 = 0;
	if (!standin_read(pid, g.req_data, &ext,
			  request == SNP_GET_REPORT ? sizeof(ext.data) : sizeof(ext)))
		return -EFAULT;
	if (s->fail > 0) {
		s->fail--;
		g.fw_error = 0x16; /* INVALID_PARAMETER */
		r = -EIO;
	} else if (s->busy > 0) {
		s->busy--;
		g.vmm_error = SNP_GUEST_VMM_ERR_BUSY;
		r = -EAGAIN;
	} else if (request == SNP_GET_EXT_REPORT) {
		r = put_certs(s, pid, g.req_data, &ext, &g.vmm_error);
	}
	if (r == 0)
		r = put_report(s, pid, g.resp_data, &ext.data);
	return standin_write(pid, arg, &g, sizeof(g)) ? r : -EFAULT;
}

const struct standin_device standin_device = {
	.path = "/dev/sev-guest",
	.type = SNP_GUEST_REQ_IOC_TYPE,
	.ioctl = sev_ioctl,
};
