/* Policies: refused with a place, or accepted and saying something. */
#include "fuzz.h"

#include <errno.h>

#include "rats/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct rtls_policy *p = NULL;
	char err[160] = "";
	int r = rtls_policy_parse((const char *)bytes, n, &p, err, sizeof(err));

	if (r == 0)
		must(rtls_policy_is_insecure(p) != (policy_n_alternatives(p) > 0));
	else
		must(p == NULL && (r != -EINVAL || (err[0] >= '1' && err[0] <= '9')));
	rtls_policy_free(p);
	return 0;
}
