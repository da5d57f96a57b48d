/*
 * SGX and TDX: for each check of the verifier one forgery that only this check catches, made with
 * the test PKI so that everything else about it is genuine. mutate.py removes the checks one at
 * a time and expects this program to fail.
 */
#include <stdlib.h>

#include "forgery.h"

enum { DAY = 86400 };

#define FORGE(name, ...)                                                                           \
	static void name(struct dcap *d)                                                           \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}

/* format */
FORGE(version_6, d->version = 6)
FORGE(version_2, d->version = 2)
FORGE(key_p384, d->key_type = 3)
FORGE(tee_odd, d->tee_type = 0x42)
FORGE(tdx_in_version_3, d->version = 3)
FORGE(vendor_odd, d->vendor[3] ^= 1)
FORGE(body_type_0, d->body_type = 0)
FORGE(outer_type_5, d->outer_type = 5)
FORGE(outer_short, d->outer_error = -1)
FORGE(length_long, d->length_error = 1)
FORGE(length_huge, d->length_error = 0x7fff0000)
FORGE(length_short, d->length_error = -1)
FORGE(slack, d->n_slack = 7)
FORGE(padding, d->n_padding = 3065)

/* chain */
FORGE(cert_type_4, d->cert_type = 4)
FORGE(two_certs, d->drop_root = true)
FORGE(four_certs, d->extra_cert = true)
FORGE(leaf_forged, d->pck.signer = PKI_ROGUE)
FORGE(leaf_broken, d->pck.is_broken = true)
FORGE(ca_forged, d->ca.signer = PKI_ROGUE)
FORGE(root_broken, d->root.is_broken = true)
FORGE(leaf_misnamed, d->pck.issuer_cn = "Intel SGX PCK Processor CA")
FORGE(leaf_odd, d->pck.is_odd = true)
FORGE(ca_no_ca, d->ca.is_ca = false; d->ca.may_sign = true)
FORGE(ca_no_usage, d->ca.is_ca = false)
FORGE(other_root, d->root.key = d->root.signer = PKI_ROGUE; d->ca.signer = PKI_ROGUE;
      d->root_crl.signer = PKI_ROGUE; d->tcb_signer.signer = PKI_ROGUE)
FORGE(no_extension, d->pck.extension = SPAN("", 0))
FORGE(extension_twice, d->pck_edit_n = 11;
      d->pck_edit = (struct edit){ "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x02\x03",
				   "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x02\x04" })
FORGE(extension_no_fmspc, d->pck_edit_n = 12;
      d->pck_edit = (struct edit){ "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x04\x04\x06",
				   "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x09\x04\x06" })
FORGE(extension_foreign, d->pck_edit_n = 12;
      d->pck_edit = (struct edit){ "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x04\x04\x06",
				   "\x2a\x86\x48\x86\xf8\x4d\x01\x0e\x01\x04\x04\x06" })
FORGE(component_short, d->component_error = -1)
FORGE(component_twice, d->component_error = 1)
FORGE(component_elsewhere, d->pck_edit_n = 11;
      d->pck_edit = (struct edit){ "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x02\x03",
				   "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01\x07\x03" })
FORGE(leaf_expired, d->pck.to = DCAP_NOW - 1)
FORGE(leaf_future, d->pck.from = DCAP_NOW + 1)
FORGE(ca_expired, d->ca.to = DCAP_NOW - 1)
FORGE(root_expired, d->root.to = DCAP_NOW - 1)

/* signatures and bindings */
FORGE(qe_signed_by_rogue, d->qe_signer = PKI_ROGUE)
FORGE(other_att_key, d->keep_qe_data = true; memset(d->qe_report + 320, 7, 64))
FORGE(qe_data_tail, d->keep_qe_data = true; uint8_t h[96]; pki_point(&d->pki, PKI_ATT, h);
      memcpy(h + 64, d->auth, 32); memset(d->qe_report + 320, 0, 64);
      EVP_Digest(h, 96, d->qe_report + 320, NULL, EVP_sha256(), NULL); d->qe_report[383] = 1)
FORGE(quote_signed_by_rogue, d->quote_signer = PKI_ROGUE)
FORGE(body_flipped, d->flip = 48 + 64)
FORGE(header_flipped, d->flip = 30)

/* collateral */
FORGE(no_tcb, d->no_tcb = true)
FORGE(no_qe, d->no_qe = true)
FORGE(other_fmspc, d->tcb_edit = ((struct edit){ "\"00606a", "\"00906e" }))
FORGE(other_pceid, d->tcb_edit = ((struct edit){ "\"pceId\":\"0000\"", "\"pceId\":\"0001\"" }))
FORGE(tdx_info_for_sgx, d->qe_edit = ((struct edit){ "\"QE\"", "\"TD_QE\"" }))
FORGE(sgx_info_for_tdx, d->tcb_edit = ((struct edit){ "\"TDX\"", "\"SGX\"" }))
FORGE(tcb_by_rogue, d->tcb_key = PKI_ROGUE)
FORGE(qe_by_rogue, d->qe_key = PKI_ROGUE)
FORGE(tcb_changed, d->tcb_late = ((struct edit){ "OutOfDate", "UpToDate" }))
FORGE(tcb_space, d->tcb_late = ((struct edit){ "\"version\":3", "\"version\": 3" }))
FORGE(qe_changed, d->qe_late = ((struct edit){ "OutOfDate", "UpToDate" }))
FORGE(tcb_by_ca, d->tcb_key = d->qe_key = PKI_CA)
FORGE(signer_misnamed, d->tcb_signer.cn = "Intel SGX PCK Certificate")
FORGE(signer_forged, d->tcb_signer.signer = PKI_ROGUE)
FORGE(signer_under_ca, d->tcb_signer.signer = PKI_CA;
      d->tcb_signer.issuer_cn = "Intel SGX PCK Platform CA")
FORGE(signer_expired, d->tcb_signer.to = DCAP_NOW - 1)
FORGE(signer_future, d->tcb_signer.from = DCAP_NOW + 1)
FORGE(signer_revoked, d->root_crl.revoked = 4)
FORGE(tcb_expired, d->tcb_to = DCAP_NOW - 1)
FORGE(tcb_future, d->tcb_from = DCAP_NOW + 1)
FORGE(qe_expired, d->qe_to = DCAP_NOW - 1)
FORGE(qe_future, d->qe_from = DCAP_NOW + 1)

/* revocation */
FORGE(pck_revoked, d->pck_crl.revoked = 3)
FORGE(ca_revoked, d->root_crl.revoked = 2)
FORGE(other_revoked, d->pck_crl.revoked = 99)
FORGE(no_pck_crl, d->pck_crl.is_absent = true)
FORGE(no_root_crl, d->root_crl.is_absent = true)
FORGE(pck_crl_forged, d->pck_crl.signer = PKI_ROGUE)
FORGE(pck_crl_odd, d->pck_crl.is_odd = true)
FORGE(pck_crl_expired, d->pck_crl.to = DCAP_NOW - 1)
FORGE(pck_crl_future, d->pck_crl.from = DCAP_NOW + 1)
FORGE(root_crl_expired, d->root_crl.to = DCAP_NOW - 1)

/* quoting enclave and module */
FORGE(qe_miscselect, d->qe_report[16] = 1)
FORGE(qe_debug, d->qe_report[48] |= 2)
FORGE(qe_mrsigner, d->qe_report[128] ^= 1)
FORGE(qe_prodid, put_le16(d->qe_report + 256, 3))
FORGE(qe_ancient, put_le16(d->qe_report + 258, 3))
FORGE(qe_old, put_le16(d->qe_report + 258, 5))
FORGE(qe_revoked, d->qe_edit = ((struct edit){ "OutOfDate", "Revoked" }); qe_old(d))
FORGE(module_unknown, d->body[1] = 2)
FORGE(module_signer, d->body[64] = 1)
FORGE(module_attributes, d->body[112] = 1)
FORGE(module_ancient, d->body[0] = 1)
FORGE(module_old, d->body[0] = 4)
FORGE(module_revoked, module_old(d);
      d->tcb_edit = ((struct edit){ "\"OutOfDate\",\"advisoryIDs\":[\"INTEL-SA-01099\"]",
				    "\"Revoked\"" }))
FORGE(module_unversioned, d->body[1] = 0)
FORGE(module_unversioned_old, d->body[1] = 0; d->body[0] = 4)
FORGE(relaunch, module_old(d))
FORGE(relaunch_not, module_old(d); d->body[584] = 4)
FORGE(relaunch_not_seam, module_old(d); d->body[586] = 2)
FORGE(relaunch_unknown, module_old(d); d->body[585] = 9)
FORGE(seam_old, d->body[2] = 2)
FORGE(seam_ancient, d->body[2] = 0)

/* TCB levels */
FORGE(platform_old, d->components[15] = 6)
FORGE(platform_ancient, d->components[15] = 4)
FORGE(pce_old, d->pcesvn = 12)
FORGE(pce_ancient, d->pcesvn = 10)
static void level_status(struct dcap *d, const char *to)
{
	d->tcb_edit = (struct edit){ "00Z\",\"tcbStatus\":\"UpToDate\"", to };
}
FORGE(s_hardening, level_status(d, "00Z\",\"tcbStatus\":\"SWHardeningNeeded\""))
FORGE(s_configuration, level_status(d, "00Z\",\"tcbStatus\":\"ConfigurationNeeded\""))
FORGE(s_both, level_status(d, "00Z\",\"tcbStatus\":\"ConfigurationAndSWHardeningNeeded\""))
FORGE(s_revoked, level_status(d, "00Z\",\"tcbStatus\":\"Revoked\""))
FORGE(s_configuration_qe_old, s_configuration(d); qe_old(d))
FORGE(s_hardening_qe_old, s_hardening(d); qe_old(d))

/* what policies decide */
FORGE(sgx_debug, d->body[48] |= 2)
FORGE(td_debug, d->body[120] |= 1)
FORGE(td_profiled, d->body[120] |= 0x20)
FORGE(td_migratable, d->body[123] |= 0x20)
FORGE(other_mrenclave, d->body[64] ^= 1)
FORGE(other_mrsigner, d->body[128] ^= 1)
FORGE(other_mrtd, d->body[136] ^= 1)
FORGE(other_rtmr0, d->body[328] ^= 1)
FORGE(other_rtmr1, d->body[376] ^= 1)
FORGE(other_rtmr2, d->body[424] ^= 1)
FORGE(other_rtmr3, d->body[472] ^= 1)

#define OK(p, f, status)                                                                           \
	{                                                                                          \
#f, p, f, RTLS_TRUSTED, RTLS_CHECK_NONE, status, NULL                              \
	}
#define OK_WITH(p, f, status, policy)                                                              \
	{                                                                                          \
#f, p, f, RTLS_TRUSTED, RTLS_CHECK_NONE, status, policy                            \
	}
#define NO(p, f, check, why)                                                                       \
	{                                                                                          \
#f, p, f, RTLS_REJECTED, RTLS_CHECK_##check, why, NULL                             \
	}
#define NO_WITH(p, f, check, why, policy)                                                          \
	{                                                                                          \
#f " under a policy", p, f, RTLS_REJECTED, RTLS_CHECK_##check, why, policy         \
	}
#define MISSING(p, f, why)                                                                         \
	{                                                                                          \
#f, p, f, RTLS_UNDECIDED, RTLS_CHECK_COLLATERAL, why, NULL                         \
	}
#define ANY_TCB "    tcb: any\n    advisories: any\n"

static const struct forgery forgeries[] = {
	OK(P_SGX3, NULL, "UpToDate"),
	OK(P_SGX4, NULL, "UpToDate"),
	OK(P_SGX5, NULL, "UpToDate"),
	OK(P_TDX4, NULL, "UpToDate"),
	OK(P_TDX5, NULL, "UpToDate"),
	OK(P_TDX15, NULL, "UpToDate"),
	OK(P_TDX15EX, NULL, "UpToDate"),

	NO(P_SGX3, version_6, FORMAT, "version is not"),
	NO(P_SGX3, version_2, FORMAT, "version is not"),
	NO(P_TDX4, tdx_in_version_3, FORMAT, "TEE type"),
	NO(P_SGX3, key_p384, FORMAT, "key type"),
	NO(P_SGX4, tee_odd, FORMAT, NULL),
	NO(P_SGX3, vendor_odd, FORMAT, "not Intel's"),
	NO(P_TDX5, body_type_0, FORMAT, "body type"),
	NO(P_TDX4, outer_type_5, FORMAT, "type 6"),
	NO(P_TDX4, outer_short, FORMAT, "longer than its parts"),
	NO(P_SGX3, length_long, FORMAT, "shorter"),
	NO(P_SGX3, length_huge, FORMAT, "shorter"),
	NO(P_SGX3, length_short, FORMAT, "ends early"),
	NO(P_SGX3, slack, FORMAT, "longer"),
	NO(P_TDX4, slack, FORMAT, "longer"),
	OK(P_SGX3, padding, "UpToDate"),

	NO(P_SGX3, cert_type_4, CHAIN, "type 4"),
	NO(P_SGX3, two_certs, CHAIN, "three"),
	NO(P_SGX3, four_certs, CHAIN, "three"),
	NO(P_SGX3, leaf_forged, CHAIN, "bad signature"),
	NO(P_SGX3, leaf_broken, CHAIN, "bad signature"),
	NO(P_SGX3, ca_forged, CHAIN, "bad signature"),
	NO(P_SGX3, root_broken, CHAIN, "bad signature"),
	NO(P_SGX3, leaf_misnamed, CHAIN, "not issued by"),
	NO(P_SGX3, leaf_odd, CHAIN, "critical"),
	NO(P_SGX3, ca_no_ca, CHAIN, "is not a CA"),
	NO(P_SGX3, ca_no_usage, CHAIN, NULL),
	NO(P_SGX3, component_short, CHAIN, "malformed"),
	NO(P_SGX3, component_twice, CHAIN, "malformed"),
	NO(P_SGX3, component_elsewhere, CHAIN, "malformed"),
	NO(P_SGX3, other_root, CHAIN, "pinned"),
	NO(P_SGX3, no_extension, CHAIN, "no Intel SGX extension"),
	NO(P_SGX3, extension_twice, CHAIN, "malformed"),
	NO(P_SGX3, extension_no_fmspc, CHAIN, "incomplete"),
	NO(P_SGX3, extension_foreign, CHAIN, "malformed"),
	NO(P_SGX3, leaf_expired, CHAIN, "valid from"),
	NO(P_SGX3, leaf_future, CHAIN, "valid from"),
	NO(P_SGX3, ca_expired, CHAIN, "Platform CA"),
	NO(P_SGX3, root_expired, CHAIN, "Root CA"),

	NO(P_SGX3, qe_signed_by_rogue, SIGNATURE, "QE report"),
	NO(P_SGX3, other_att_key, BINDING, "attestation key"),
	NO(P_SGX3, qe_data_tail, BINDING, "attestation key"),
	NO(P_SGX3, quote_signed_by_rogue, SIGNATURE, "quote signature"),
	NO(P_SGX3, body_flipped, SIGNATURE, "quote signature"),
	NO(P_SGX3, header_flipped, SIGNATURE, "quote signature"),

	MISSING(P_SGX3, no_tcb, "TCB info"),
	MISSING(P_SGX3, no_qe, "QE identity"),
	MISSING(P_SGX3, other_fmspc, "TCB info"),
	MISSING(P_SGX3, other_pceid, "TCB info"),
	MISSING(P_SGX3, tdx_info_for_sgx, "QE identity"),
	MISSING(P_TDX4, sgx_info_for_tdx, "TCB info"),
	NO(P_SGX3, tcb_by_rogue, COLLATERAL, "TCB info"),
	NO(P_SGX3, qe_by_rogue, COLLATERAL, "QE id"),
	NO(P_SGX3, tcb_changed, COLLATERAL, "TCB info"),
	NO(P_SGX3, tcb_space, COLLATERAL, "TCB info"),
	NO(P_SGX3, qe_changed, COLLATERAL, "QE identity"),
	NO(P_SGX3, tcb_by_ca, COLLATERAL, "not a TCB Signing"),
	NO(P_SGX3, signer_misnamed, COLLATERAL, "not a TCB Signing"),
	NO(P_SGX3, signer_forged, COLLATERAL, "pinned root"),
	NO(P_SGX3, signer_under_ca, COLLATERAL, "pinned root"),
	NO(P_SGX3, signer_expired, COLLATERAL, "not valid"),
	NO(P_SGX3, signer_future, COLLATERAL, "not valid"),
	NO(P_SGX3, signer_revoked, REVOKED, "lists serial number 04"),
	NO(P_SGX3, tcb_expired, COLLATERAL, "TCB info: issued"),
	NO(P_SGX3, tcb_future, COLLATERAL, "TCB info: issued"),
	NO(P_SGX3, qe_expired, COLLATERAL, "QE identity: issued"),
	NO(P_SGX3, qe_future, COLLATERAL, "QE identity: issued"),
	OK_WITH(P_SGX3, tcb_expired, "UpToDate", "--\ncollateral: {grace: 1d}\n"),
	NO_WITH(P_SGX3, NULL, COLLATERAL, "max_age 345600s", "--\ncollateral: {max_age: 4d}\n"),

	NO(P_SGX3, pck_revoked, REVOKED, "lists serial number 03"),
	NO(P_SGX3, ca_revoked, REVOKED, "lists serial number 02"),
	OK(P_SGX3, other_revoked, "UpToDate"),
	MISSING(P_SGX3, no_pck_crl, "CRL of Intel SGX PCK"),
	MISSING(P_SGX3, no_root_crl, "CRL of Intel SGX Root"),
	OK_WITH(P_SGX3, no_pck_crl, "UpToDate", "--\ncollateral: {crl: if-present}\n"),
	NO_WITH(P_SGX3, pck_revoked, REVOKED, "03", "--\ncollateral: {crl: if-present}\n"),
	NO(P_SGX3, pck_crl_forged, COLLATERAL, "not the issuer's"),
	NO(P_SGX3, pck_crl_odd, COLLATERAL, "not understood"),
	NO(P_SGX3, pck_crl_expired, COLLATERAL, "CRL"),
	NO(P_SGX3, pck_crl_future, COLLATERAL, "CRL"),
	NO(P_SGX3, root_crl_expired, COLLATERAL, "CRL"),

	NO(P_SGX3, qe_miscselect, IDENTITY, "MISCSELECT"),
	NO(P_SGX3, qe_debug, IDENTITY, "attributes"),
	NO(P_SGX3, qe_mrsigner, IDENTITY, "MRSIGNER"),
	NO(P_SGX3, qe_prodid, IDENTITY, "ISVPRODID"),
	NO_WITH(P_SGX3, qe_ancient, TCB, "QE identity", ANY_TCB),
	NO(P_SGX3, qe_old, TCB, "found OutOfDate"),
	OK_WITH(P_SGX3, qe_old, "OutOfDate", ANY_TCB),
	NO_WITH(P_SGX3, qe_old, TCB, "found INTEL-SA-00615", "    tcb: [OutOfDate]\n"),
	NO_WITH(P_SGX3, qe_revoked, TCB, "found Revoked", ANY_TCB),
	OK_WITH(P_SGX3, qe_revoked, "Revoked", "    tcb: [Revoked]\n    advisories: any\n"),
	NO(P_TDX4, module_unknown, IDENTITY, "version 2"),
	NO(P_TDX4, module_signer, IDENTITY, "MRSIGNERSEAM"),
	NO(P_TDX4, module_attributes, IDENTITY, "SEAMATTRIBUTES"),
	NO_WITH(P_TDX4, module_ancient, TCB, "module", ANY_TCB),
	OK_WITH(P_TDX4, module_old, "OutOfDate", ANY_TCB),
	NO_WITH(P_TDX4, module_revoked, TCB, "found Revoked", ANY_TCB),
	OK(P_TDX4, module_unversioned, "UpToDate"),
	OK_WITH(P_TDX4, module_unversioned_old, "OutOfDate", ANY_TCB),
	OK_WITH(P_TDX15, relaunch, "TDRelaunchAdvised", ANY_TCB),
	OK_WITH(P_TDX5, module_old, "OutOfDate", ANY_TCB),
	OK_WITH(P_TDX15, relaunch_not, "OutOfDate", ANY_TCB),
	OK_WITH(P_TDX15, relaunch_not_seam, "OutOfDate", ANY_TCB),
	NO_WITH(P_TDX15, relaunch_unknown, TCB, NULL, ANY_TCB),
	OK_WITH(P_TDX4, seam_old, "OutOfDate", ANY_TCB),
	NO_WITH(P_TDX4, seam_ancient, TCB, "TCB info", ANY_TCB),

	NO(P_SGX3, platform_old, TCB, "found OutOfDate"),
	NO_WITH(P_SGX3, NULL, TCB, "expected OutOfDate", "    tcb: [OutOfDate]\n"),
	OK_WITH(P_SGX3, platform_old, "OutOfDate", ANY_TCB),
	OK_WITH(P_SGX3, pce_old, "OutOfDate", ANY_TCB),
	NO_WITH(P_SGX3, platform_ancient, TCB, "NotSupported", ANY_TCB),
	NO_WITH(P_SGX3, pce_ancient, TCB, "NotSupported", ANY_TCB),
	OK_WITH(P_SGX3, s_hardening, "SWHardeningNeeded", ANY_TCB),
	OK_WITH(P_SGX3, s_configuration, "ConfigurationNeeded", ANY_TCB),
	OK_WITH(P_SGX3, s_both, "ConfigurationAndSWHardeningNeeded", ANY_TCB),
	NO_WITH(P_SGX3, s_revoked, TCB, "found Revoked", ANY_TCB),
	OK_WITH(P_SGX3, s_configuration_qe_old, "OutOfDateConfigurationNeeded", ANY_TCB),
	OK_WITH(P_SGX3, s_hardening_qe_old, "OutOfDate", ANY_TCB),

	NO(P_SGX3, sgx_debug, DEBUG, "debug"),
	OK_WITH(P_SGX3, sgx_debug, NULL, "    debug: true\n"),
	NO(P_TDX4, td_debug, DEBUG, "debug"),
	NO(P_TDX4, td_profiled, DEBUG, "debug"),
	NO(P_TDX4, td_migratable, CONFIG, "migration"),
	NO(P_SGX3, other_mrenclave, MEASUREMENT, "mrenclave"),
	NO(P_SGX3, other_mrsigner, MEASUREMENT, "mrsigner"),
	NO(P_TDX4, other_mrtd, MEASUREMENT, "mrtd"),
	NO(P_TDX4, other_rtmr0, MEASUREMENT, "rtmr0"),
	NO(P_TDX4, other_rtmr1, MEASUREMENT, "rtmr1"),
	NO(P_TDX4, other_rtmr2, MEASUREMENT, "rtmr2"),
	NO(P_TDX4, other_rtmr3, MEASUREMENT, "rtmr3"),
	NO_WITH(P_SGX3, NULL, PLATFORM, "fmspc", "    fmspc: 00906ed50000\n"),
	NO_WITH(P_SGX3, NULL, PLATFORM, "ppid", "    ppid: 00112233445566778899aabbccddeeff\n"),
	NO_WITH(P_SGX3, NULL, CONFIG, "isvprodid", "    isvprodid: [1, 2]\n"),
	NO_WITH(P_SGX3, NULL, CONFIG, "isvsvn", "    isvsvn_min: 5\n"),
	OK_WITH(P_SGX3, NULL, NULL, "    isvsvn_min: 4\n"),
	NO_WITH(P_SGX3, NULL, TCB, "tcb_eval_min", "    tcb_eval_min: 20\n"),
	NO_WITH(P_TDX4, NULL, CONFIG, "mrservicetd",
		"    mrservicetd: \""
		"0000000000000000000000000000000000000000000000000000000000000000"
		"00000000000000000000000000000000\"\n"),
};

int main(void)
{
	struct CMUnitTest tests[ARRAY_LEN(forgeries)];

	for (size_t i = 0; i < ARRAY_LEN(forgeries); i++)
		tests[i] = (struct CMUnitTest){ .name = forgeries[i].name,
						.test_func = forgery_run,
						.initial_state = (void *)&forgeries[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
