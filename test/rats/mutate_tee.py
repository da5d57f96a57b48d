#!/usr/bin/env python3
"""mutate.py for the verifiers of snp, tpm, csv and ear: the same, with their forgeries.

usage: mutate_tee.py [SOURCE_ROOT [PATTERN]]
"""
import mutate

CHAIN, SNP, CERT, REPORT = (f"src/rats/snp/{f}.c" for f in ("snp_chain", "snp", "snp_cert", "snp_report"))
TPM, AK, ATTEST, QUOTE, AZURE, HCL, EVID = (
    f"src/rats/tpm/{f}.c"
    for f in ("tpm", "tpm_ak", "tpm_attest", "tpm_quote", "tpm_azure", "tpm_hcl", "tpm_evidence"))
CSV, CCHAIN, CREPORT = (f"src/rats/csv/{f}.c" for f in ("csv", "csv_chain", "csv_report"))
EAR, ECLAIMS, EKEY, JWS, JWK = (
    f"src/rats/ear/{f}.c" for f in ("ear", "ear_claims", "ear_key", "jws", "jwk"))

GROUPS = {
    "snp": [
        (REPORT, "bytes.n != SNP_REPORT_SIZE ||", ""),
        (REPORT, "(r.version != 2 && r.version != 3 && r.version != 5)", "0"),
        (REPORT, "&& all_zero(rest)", ""),
        (REPORT, "|| !all_zero(s)", ""),
        (CERT, "if (at < 0 || again >= 0)", "if (at < 0)"),
        (CERT, "v.n != (c->product == SNP_PRODUCT_TURIN ? 8 : 64)", "v.n > 64"),
        (CERT, "if (c.product == SNP_PRODUCT_UNKNOWN)", "if (0)"),
        (CERT, "if (!get_tcb(x, c.product, &c.tcb))", "if (get_tcb(x, c.product, &c.tcb), 0)"),
        (CERT, "if (c.kind == SNP_KEY_VLEK && !get_csp_id(x, &c))", "if (0)"),
        (CERT, "if (!span_skip(&data, offset) || !span_take(&data, length, &cert))",
         "if (span_skip(&data, offset) ? 0 : 0)"),
        (SNP, "r->sig_algo == SIG_ALGO_ECDSA_P384_SHA384", "true"),
        (SNP, "r->policy & SNP_POLICY_MUST_BE_ONE", "true"),
        (SNP, "bool vcek = r->signing_key == SNP_KEY_VCEK && !r->mask_chip_key;",
         "bool vcek = r->signing_key == SNP_KEY_VCEK;"),
        (SNP, "vcek || r->signing_key == SNP_KEY_VLEK", "true"),
        (SNP, "|| !check_signature(&r, key, v))", ")"),
        (SNP, "snp_tcb_at_least(&committed, &reported)", "true"),
        (SNP, "snp_tcb_at_least(&current, &committed)", "true"),
        (CHAIN, 'chain_check(c, a->roots->amd, a->roots->n_amd, "AMD", v) &&', ""),
        (CHAIN, "check_names(c, info, a->roots, v) &&", ""),
        (CHAIN, "snp_cert_has_cn(c->cert[1], cn)", "true"),
        (CHAIN, "pin && strcmp(pin->name, product) == 0", "true"),
        (CHAIN, 'chain_check_time(c, a->now, "AMD", v) &&', ""),
        (CHAIN, "crl_check(c->cert[1], c->cert[2], a->collateral, theirs, &a->rules, a->now, v)", "true"),
        (CHAIN, "RTLS_CHECK_BINDING, fits, \"product\"", "RTLS_CHECK_BINDING, true, \"product\""),
        (CHAIN, "c->product == SNP_PRODUCT_MILAN ||", "true ||"),
        (CHAIN, "SPAN(c->hwid, sizeof(c->hwid)), r->chip_id))\n\t\treturn false;",
         "r->chip_id, r->chip_id))\n\t\treturn false;"),
        (CHAIN, "tcb_fits(r, c), \"reported TCB\"", "true, \"reported TCB\""),
        (CHAIN, "EVP_PKEY_get_bits(key) == 384", "true"),
    ],
    "tpm": [
        (EVID, "if (fields[i].value->n > 0 || value.n == 0)", "if (0)"),
        (AZURE, 'if (verdict_check(v, RTLS_CHECK_FORMAT, false, "TPM quote",',
         'if (0 && verdict_check(v, RTLS_CHECK_FORMAT, false, "TPM quote",'),
        (EVID, "s.n != 0 || e.quote.n == 0", "s.n != 0"),
        (ATTEST, "magic != TPM_GENERATED ||", ""),
        (ATTEST, "type != TPM_ST_ATTEST_QUOTE", "0"),
        (ATTEST, "|| safe > 1)", ")"),
        (ATTEST, "take_tpm2b(&s, TPM_DIGEST_MAX, &q.pcr_digest) || s.n != 0)",
         "take_tpm2b(&s, TPM_DIGEST_MAX, &q.pcr_digest))"),
        (ATTEST, "if (!ok || s.n != 0)", "if (!ok)"),
        (QUOTE, "e->pcrs.n == pcrs_size(q), \"PCR values\"", "true, \"PCR values\""),
        (QUOTE, "sig->hash != TPM_ALG_SHA1 &&", ""),
        (QUOTE, "&& EVP_PKEY_get_bits(ak) >= min", ""),
        (QUOTE, "verify_sig(ak, q->raw, &sig),", "true,"),
        (QUOTE, "SPAN(digest, n), q->pcr_digest);", "q->pcr_digest, q->pcr_digest);"),
        (AK, "is_ak_certificate(c->cert[0]),", "true,"),
        (AK, '!chain_check(c, NULL, 0, "AK certificate", v) ||', ""),
        (AK, '!chain_check_time(c, a->now, "AK certificate", v) ||', ""),
        (AK, "!chain_check_revocation(c, a->collateral, theirs, &a->rules, a->now, v)", "0"),
        (AK, "EVP_PKEY_eq(first, candidates[i]) == 1", "true"),
        (AK, "if (!is_self_issued(c->cert[c->n - 1]))\n\t\treturn verdict_missing",
         "if (0)\n\t\treturn verdict_missing"),
        (HCL, "|| version < 1 || version > 2", ""),
        (HCL, "n > TPM_HCL_JSON_MAX || data_size != n + HCL_HEADER_REST ||", ""),
        (AZURE, "tpm_hcl_parse(e->hcl, h) && h->kind == kind,", "tpm_hcl_parse(e->hcl, h),"),
        (AZURE, "SPAN(expected, sizeof(expected)), hw->bytes);", "hw->bytes, hw->bytes);"),
        (AZURE, "if (found)\n\t\t\treturn NULL;", ""),
        (AZURE, "tpm_ak_find(a, &e, vouched, v, &ak)", "tpm_ak_find(a, &e, NULL, v, &ak)"),
    ],
    "csv": [
        (CSV, "n == 0 || n == CSV_CERT_SIZE ||", "true || n == CSV_CERT_SIZE ||"),
        (CSV, "r->sig_usage == CSV_USAGE_PEK && r->sig_algo", "r->sig_algo"),
        (CSV, "r->sig_usage == CSV_USAGE_PEK && r->sig_algo == ALGO_SM2_SA,",
         "r->sig_usage == CSV_USAGE_PEK,"),
        (CSV, "csv_sm2_verify(&pek.key, r.signed_part, &r.sig)", "true"),
        (CSV, "csv_sm3_hmac_equal(SPAN(r.mnonce, sizeof(r.mnonce)), r.mac_part, r.mac)", "true"),
        (CREPORT, "|| curve != CURVE_SM2)", ")"),
        (CCHAIN, "pek->usage == CSV_USAGE_PEK,", "true,"),
        (CCHAIN, "if (c->sig_usage[i] == signer)", "if (i == 0)"),
        (CCHAIN, "return sig && csv_sm2_verify(by, c->signed_part, sig);", "return sig;"),
        (CCHAIN, "if (b->cek[b->n_ceks].usage == CSV_USAGE_CEK)", "if (1)"),
        (CCHAIN, "b->ca[i].usage == CSV_USAGE_HSK &&", ""),
        (CCHAIN, "csv_sm2_verify(&ca->key, ca->signed_part, &ca->sig), \"HRK\"", "true, \"HRK\""),
        (CCHAIN, "ca->usage != CSV_USAGE_HRK || !is_pinned(roots, ca->xy)",
         "ca->usage != CSV_USAGE_HRK"),
        (CCHAIN, "csv_sm2_verify(&hrk, hsk->signed_part, &hsk->sig),", "true,"),
    ],
    "ear": [
        (JWS, '&& !json_object_get(out->header, "crit")', ""),
        (JWS, "JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL", "JSON_ALLOW_NUL"),
        (JWS, "return key_is(key, algs[i].key) ? &algs[i] : NULL;", "return &algs[i];"),
        (JWS, "t->sig_n == 2 * alg->int_size &&", ""),
        (EAR, "alg != NULL, \"algorithm\"", "(alg = alg ? alg : jws_alg_for(t, key), true), \"algorithm\""),
        (EAR, "jws_verify(t, alg, key), \"token signature\"", "true, \"token signature\""),
        (EAR, "now >= nbf && now < exp, \"lifetime\"", "now >= nbf, \"lifetime\""),
        (EAR, "now >= nbf && now < exp, \"lifetime\"", "now >= nbf && now <= exp, \"lifetime\""),
        (EAR, "now >= nbf && now < exp, \"lifetime\"", "now < exp, \"lifetime\""),
        (EAR, 'json_object_get(payload, "exp") &&', ""),
        (EAR, "if (nbf < iat)\n\t\tnbf = iat;", ""),
        (ECLAIMS, "json_object_size(submods) == 0 ||", ""),
        (ECLAIMS, '|| !json_text(submod, "ear.status", &status))', ") { status = SPAN(name, 0); } if (0)"),
        (ECLAIMS, "if (!json_is_integer(value) || strlen(name) >= NAME_MAX_EAR)",
         "if (strlen(name) >= NAME_MAX_EAR)"),
        (ECLAIMS, "return verdict_check(v, RTLS_CHECK_FORMAT, ok, \"payload\",",
         "return verdict_check(v, RTLS_CHECK_FORMAT, true, \"payload\","),
        (EKEY, "EVP_PKEY_eq(key, certified) == 1", "true"),
        (EKEY, '!chain_check(c, NULL, 0, "signer\'s certificate", v) ||', ""),
        (EKEY, 'chain_check_time(c, a->now, "signer\'s certificate", v) &&', ""),
        (EKEY, "chain_check_revocation(c, a->collateral, NULL, &a->rules, a->now, v)", "true"),
        (EKEY, "if (!is_self_issued(c->cert[c->n - 1]))\n\t\treturn verdict_missing",
         "if (0)\n\t\treturn verdict_missing"),
        (EKEY, "&& span_equal(id, kid)", ""),
    ],
}


def main():
    survived = 0
    mutate.PKI = []
    for name, mutations in GROUPS.items():
        mutate.PROGRAMS = {name: [f"test/rats/{name}_forge.c"]}
        mutate.MUTATIONS = mutations
        try:
            mutate.main()
        except SystemExit as e:
            survived += bool(e.code)
            if isinstance(e.code, str):
                print(e.code)
    return survived


if __name__ == "__main__":
    raise SystemExit(main())
