/*
 * /dev/csv-guest: the request for a report, which the driver of the vendor's kernels hands on to
 * the hypervisor; what that refuses is EIO here.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "standin.h"

struct report_req {
	uint64_t report; /* address */
	int32_t len;
};
#define GET_REPORT _IOWR('D', 1, struct report_req)

enum {
	NONCE_AT = 64,
	HASH_AT = 80,
	EXT_AT = 112,
	INPUT = 112,
	FLAGS_AT = EXT_AT + 16,
	PAGE = 4096
};

static bool hash_is_right(const uint8_t *page)
{
	uint8_t hash[32];

	return EVP_Digest(page, HASH_AT, hash, NULL, EVP_sm3(), NULL) == 1 &&
	       memcmp(hash, page + HASH_AT, sizeof(hash)) == 0;
}

static int csv_ioctl(struct standin *s, pid_t pid, uint32_t request, uint64_t arg)
{
	uint8_t page[PAGE], report[PAGE] = { 0 };
	struct report_req req;
	bool is_ext;

	if (request != GET_REPORT)
		return -EINVAL;
	if (!standin_read(pid, arg, &req, sizeof(req)))
		return -EFAULT;
	if (req.len < INPUT)
		return -EINVAL;
	if (req.len != PAGE || !standin_read(pid, req.report, page, PAGE))
		return -EFAULT;
	if (s->fail > 0 || !hash_is_right(page)) {
		s->fail -= s->fail > 0;
		return -EIO;
	}
	is_ext = memcmp(page + EXT_AT, "ATTESTATION_EXT", 16) == 0 && page[FLAGS_AT] == 1;
	page[0] ^= s->other_data;
	page[NONCE_AT] ^= s->other_nonce;
	(void)maker_csv_report(is_ext && !s->other_tee ? 2 : 1, page, page + NONCE_AT, report);
	if (s->garbage)
		memset(report, 0xa5, sizeof(report));
	return standin_write(pid, req.report, report, PAGE) ? 0 : -EFAULT;
}

const struct standin_device standin_device = {
	.path = "/dev/csv-guest",
	.type = 'D',
	.ioctl = csv_ioctl,
};
