#!/usr/bin/env python3
"""Removes one check at a time and shows that the tests notice.

A mutation is a file, the exact text of a check (once in that file) and what it becomes without
it. For each, that file is compiled anew in a scratch copy and the programs below run: one of
them must fail. Prints a table of checks and who noticed; exits 1 if a mutation survives or its
text is no longer there.

usage: mutate.py [SOURCE_ROOT [PATTERN]]
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAMS = {
    "dcap": ["test/rats/dcap_test.c", "test/rats/forgery.c"],
    "evidence": ["test/rats/evidence_test.c", "test/rats/forgery.c"],
    "policy": ["src/rats/policy_test.c"],
}
PKI = ["test/rats/pki.c", "test/rats/pki_dcap.c"]
LIBS = ["-lcrypto", "-ljansson", "-lyaml", "-lcbor", "-lcmocka"]
FLAGS = ["-std=gnu17", "-O0", "-w", "-D_GNU_SOURCE", "-Isrc", "-Iinclude", "-Itest/rats"]

DCAP, QUOTE, PCK = "src/rats/dcap/dcap.c", "src/rats/dcap/quote.c", "src/rats/dcap/pck.c"
ENDORSE, EVAL = "src/rats/dcap/endorse.c", "src/rats/dcap/tcb_eval.c"
X509, CRL, COLL = "src/rats/x509.c", "src/rats/crl.c", "src/rats/collateral.c"
EVID, CERT, APPR = "src/rats/evidence.c", "src/rats/cert.c", "src/rats/appraise.c"
MATCH, POLICY, DOC = "src/rats/match.c", "src/rats/policy.c", "src/rats/dcap/tcb_info.c"

MUTATIONS = [
    (QUOTE, "q->version < 3 || q->version > 5", "q->version < 3"),
    (QUOTE, "q->version < 3 || q->version > 5", "q->version > 5"),
    (QUOTE, "if (q->key_type != 2)", "if (0)"),
    (QUOTE, "if (q->tee_type != TEE_SGX && (", "if (0 && ("),
    (QUOTE, "if (!span_equal(vendor, SPAN(intel_vendor, sizeof(intel_vendor))))", "if (0)"),
    (QUOTE, "if (type == 0 || type >= ARRAY_LEN(sizes) || size != sizes[type])",
     "if (type >= ARRAY_LEN(sizes))"),
    (QUOTE, "if (outer_type != CERT_QE_REPORT)", "if (0)"),
    (QUOTE, "if (outer_size != s.n)", "if (0)"),
    (QUOTE, 'return s.n == 0 ? NULL : "signature data is longer than its parts";', "return NULL;"),
    (DCAP, "q.is_tdx == is_tdx", "true"),
    (DCAP, "q->cert_type == CERT_PCK_CHAIN", "true"),
    (DCAP, "&& chain->n == 3", "&& chain->n >= 2"),
    (DCAP, "&& chain->n == 3", "&& chain->n <= 3"),
    (DCAP, '!chain_check(chain, a->roots->intel, a->roots->n_intel, "PCK chain", v)', "false"),
    (DCAP, 'RTLS_CHECK_CHAIN, !wrong, "PCK certificate"', 'RTLS_CHECK_CHAIN, true, "PCK certificate"'),
    (DCAP, "!check_key_binding(q, v)", "false"),
    (DCAP, "if (!p256_check(v, X509_get0_pubkey(chain->cert[0]), q->qe_report, q->qe_signature,\n"
           '\t\t\t"QE report signature", "PCK key") ||', "if ("),
    (DCAP, "return p256_check(v, key, q->signed_part, q->signature, \"quote signature\",",
     "return 1 || p256_check(v, key, q->signed_part, q->signature, \"quote signature\","),
    (DCAP, 'chain_check_time(&chain, a->now, "PCK chain validity", v) &&', ""),
    (DCAP, "chain_check_revocation(&chain, a->collateral, from_peer, &a->rules, a->now, v)", "true"),
    (DCAP, "a->rules.from_peer ? a->endorsements : NULL;\n\tCLEANUP", "a->endorsements;\n\tCLEANUP"),
    (X509, "if (flags & EXFLAG_CRITICAL)", "if (0)"),
    (X509, "if (X509_check_ca(x) != 1)", "if (0)"),
    (X509, "if (X509_check_issued(issuer, x) != X509_V_OK)", "if (0)"),
    (X509, "X509_verify(x, X509_get0_pubkey(issuer)) != 1", "0"),
    (X509, "key_of(c->bag, top, hash) && pin_find(pins, n_pins, hash)", "true"),
    (X509, "now >= from &&", ""),
    (X509, "&& now >= from &&\n\t\t\t  now <= to", "&& now >= from"),
    (PCK, "(prefix && oid.p[sizeof(sgx_oid)] != prefix)", "false"),
    (PCK, "memcmp(oid.p, sgx_oid, sizeof(sgx_oid)) != 0 ||", ""),
    (PCK, "return ok && seen == all;", "return ok;"),
    (PCK, "(*seen & 1u << *arc)", "false"),
    (PCK, "if ((seen & needed) != needed)", "if (0)"),
    (ENDORSE, "d->tcb && d->tcb->is_tdx == w->is_tdx &&", "d->tcb &&"),
    (ENDORSE, "memcmp(d->tcb->fmspc, w->pck->fmspc, sizeof(w->pck->fmspc)) == 0 &&", ""),
    (ENDORSE, "memcmp(d->tcb->pceid, w->pck->pceid, sizeof(w->pck->pceid)) == 0", "true"),
    (ENDORSE, 'strcmp(d->qe->id, w->is_tdx ? "TD_QE" : "QE") == 0', "true"),
    (ENDORSE, "if (!d->is_verified || memcmp(c->key, d->signer, sizeof(c->key)) != 0)", "if (0)"),
    (ENDORSE, 'strcmp(cn, "Intel SGX TCB Signing") != 0', "false"),
    (ENDORSE, "if (!root || !pin_find(a->roots->intel, a->roots->n_intel, root->key))", "if (!root)"),
    (ENDORSE, "a->now < c->from ||", ""),
    (ENDORSE, "a->now > c->to ||", ""),
    (ENDORSE, "best.signer != NULL, what", "true, what"),
    (ENDORSE, "!collateral_check_time(&a->rules, best.doc->issued, best.doc->expires, a->now, what,\n"
              "\t\t\t\t   v) ||", ""),
    (ENDORSE, "!crl_check(best.signer->x, best.root->x, a->collateral,\n\t\t       a->rules.from_peer "
              "? a->endorsements : NULL, &a->rules, a->now, v)", "false"),
    (ENDORSE, "if (a->rules.from_peer)\n", "if (1)\n"),
    (COLL, "now >= issued &&", ""),
    (COLL, "now <= expires + rules->grace_s &&", ""),
    (COLL, "(rules->max_age_s == 0 || now - issued <= rules->max_age_s)", "true"),
    (COLL, "crl_is_plain(crl) &&", ""),
    (DOC, "return ecdsa_verify_digest(", "return 1 || ecdsa_verify_digest("),
    (CRL, "best.is_signed && best.crl->well_formed", "best.crl->well_formed"),
    (CRL, "best.is_signed && best.crl->well_formed", "best.is_signed"),
    (CRL, "||\n\t    !collateral_check_time(rules, best.crl->issued, best.crl->expires, now, title, v)",
     ""),
    (CRL, "if (X509_CRL_get0_by_cert(best.crl->crl, &entry, x) == 0)", "if (1)"),
    (CRL, "if (!best.crl && rules->crl_if_present)", "if (!best.crl)"),
    (EVAL, 'return check_masked(v, "QE MISCSELECT", REPORT_MISCSELECT(report), qe->miscselect_mask,\n'
           "\t\t\t    qe->miscselect) &&", "return"),
    (EVAL, 'check_masked(v, "QE attributes", REPORT_ATTRIBUTES(report), qe->attributes_mask,\n'
           "\t\t\t    qe->attributes) &&", ""),
    (EVAL, 'verdict_check_equal(v, RTLS_CHECK_IDENTITY, "QE MRSIGNER",\n'
           "\t\t\t\t   SPAN(qe->mrsigner, sizeof(qe->mrsigner)),\n"
           "\t\t\t\t   REPORT_MRSIGNER(report)) &&", ""),
    (EVAL, "REPORT_ISVPRODID(report) == qe->isvprodid,", "true,"),
    (EVAL, "if (levels[i].isvsvn <= isvsvn)", "if (1)"),
    (EVAL, "if (have[i] < need[i])", "if (0)"),
    (EVAL, "|| pck->pcesvn < l->pcesvn", ""),
    (EVAL, "svn[1] > 0 ? 2 : 0", "2"),
    (EVAL, "m != NULL, \"TDX module identity\"", "true, \"TDX module identity\""),
    (EVAL, "return verdict_check_equal(v, RTLS_CHECK_IDENTITY, \"TDX module MRSIGNERSEAM\",\n"
           "\t\t\t\t   SPAN(m->mrsigner, sizeof(m->mrsigner)),\n"
           "\t\t\t\t   TD_MRSIGNERSEAM(q->body)) &&", "return"),
    (EVAL, "check_masked(v, \"TDX module SEAMATTRIBUTES\", TD_SEAMATTRIBUTES(q->body),\n"
           "\t\t\t    m->attributes_mask, m->attributes)", "true"),
    (EVAL, "if (part == TCB_NONE || s == TCB_NONE)\n\t\treturn TCB_NONE;", ""),
    (EVAL, "if (part == TCB_REVOKED || s == TCB_REVOKED)\n\t\treturn TCB_REVOKED;", ""),
    (EVAL, "overall = converge(overall, module_status);", ""),
    (EVAL, "overall = converge(overall, qe_status);", ""),
    (EVAL, "if (svn2[0] < need || svn2[2] < latest->tdx[2])", "if (svn2[2] < latest->tdx[2])"),
    (EVAL, "if (svn2[0] < need || svn2[2] < latest->tdx[2])", "if (svn2[0] < need)"),
    (EVAL, "overall != TCB_NONE, \"TCB level\"", "true, \"TCB level\""),
    (EVID, "it.value != 2 ||", ""),
    (EVID, "!cbor_take_bytes(&in, &c) || in.n != 0 ||", "!cbor_take_bytes(&in, &c) ||"),
    (EVID, "file.n > 0 && file.n <= EVIDENCE_MAX", "file.n > 0"),
    (CERT, "X509_verify(e->cert, X509_get0_pubkey(e->cert)) == 1", "true"),
    (CERT, "return evidence_open(value, e, v) && check_claims_buffer(e, v);",
     "return evidence_open(value, e, v);"),
    (CERT, "return verdict_check_equal(v, RTLS_CHECK_BINDING, \"pubkey-hash\", SPAN(digest, n), hash);",
     "return true;"),
    (CERT, "return verdict_check(v, RTLS_CHECK_FORMAT, bind_key(e), \"certificate key\",",
     "return 1 || verdict_check(v, RTLS_CHECK_FORMAT, bind_key(e), \"certificate key\","),
    (APPR, "e->body.n <= vf->evidence_max", "true"),
    (APPR, "vf != NULL, \"evidence\", \"is of no known kind\"", "true, \"evidence\", \"-\""),
    (APPR, "p && !verdict_check(v, RTLS_CHECK_POLICY, policy_names(p, vf)",
     "p && !verdict_check(v, RTLS_CHECK_POLICY, true"),
    (APPR, "if (!check_certificate_time(&e, ctx->time, v))", "if (0)"),
    (APPR, "if (vf != &verifier_null && !check_binding(&e, ctx, v))", "if (0)"),
    (APPR, "else if (e->n_bound > 0 &&", "else if (0 &&"),
    (APPR, "if (!ctx->report_data)\n\t\treturn true;\n\tmemcpy", "if (1)\n\t\treturn true;\n\tmemcpy"),
    (APPR, "policy_match(policy, vf, v);", ";"),
    (APPR, "|| !is_modest(c)", ""),
    (APPR, "if (!context_is_valid(context) || (collateral && !collateral_is_sealed(collateral)))",
     "if (!context_is_valid(context))"),
    (MATCH, "value_equals(&s->values[i], c->bytes)", "true"),
    (MATCH, "is_min ? c->num >= s->values[i].num : c->num == s->values[i].num",
     "is_min || c->num == s->values[i].num"),
    (MATCH, "is_min ? c->num >= s->values[i].num : c->num == s->values[i].num",
     "is_min ? c->num >= s->values[i].num : true"),
    (MATCH, "return !span_equal(text, SPAN(never, strlen(never)));", "return true;"),
    (MATCH, "return lists_text(s, text);", "return true;"),
    (MATCH, "return r->standard && span_equal(text, SPAN(r->standard, strlen(r->standard)));",
     "return true;"),
    (MATCH, "if (s->flag || (is_bool && c->num == 0))", "if (s->flag || is_bool)"),
    (MATCH, "if (s->flag || (is_bool && c->num == 0))", "if (s->flag || !is_bool || c->num == 0)"),
    (MATCH, "if (n == 0 && (r->kind == RULE_TEXT || r->standard) && !s->is_any)", "if (0)"),
    (POLICY, "return check_pins(n, a, err);", "return 0;"),
    (POLICY, "if (rule->flags & RULE_NO_ANY)", "if (0)"),
    (POLICY, "if (prefix_covers(&a->prefixes[i], &wanted))", "if (1)"),
    (POLICY, "rtls_verdict_result(v) != RTLS_TRUSTED ||", ""),
]


def run(args, **kw):
    return subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)


def compile_file(root, src):
    obj = os.path.join(root, "obj", src.replace("/", "_") + ".o")
    subprocess.run(["cc", *FLAGS, f'-DENG_SOURCE_ROOT="{root}"', "-c", src, "-o", obj],
                   cwd=root, check=True)
    return obj


def sources(root):
    found = []
    for pattern in ("src/rats/*.c", "src/rats/*/*.c", "src/base/*.c"):
        found += glob.glob(pattern, root_dir=root)
    return [f for f in found if not f.endswith("_test.c")]


def programs_that_fail(root, objs, pki, mains, stop=True):
    """Names of the programs that fail, in order; the first is enough when stop is set."""
    failed = []
    for name, main in mains.items():
        exe = os.path.join(root, "obj", name)
        subprocess.run(["cc", *main, *pki, *objs.values(), *LIBS, "-o", exe], cwd=root, check=True)
        try:
            if run([exe], cwd=root, timeout=60).returncode != 0:
                failed.append(name)
        except subprocess.TimeoutExpired:
            failed.append(name + " (hangs)")
        if failed and stop:
            break
    return failed


def main():
    source = sys.argv[1] if len(sys.argv) > 1 else "."
    pattern = sys.argv[2] if len(sys.argv) > 2 else ""
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutate-") as root:
        for d in ("src", "include", "test/rats", "man"):
            shutil.copytree(os.path.join(source, d), os.path.join(root, d))
        os.mkdir(os.path.join(root, "obj"))
        objs = {s: compile_file(root, s) for s in sources(root)}
        pki = [compile_file(root, s) for s in PKI]
        mains = {n: [compile_file(root, s) for s in files] for n, files in PROGRAMS.items()}
        if programs_that_fail(root, objs, pki, mains):
            sys.exit("the tests fail before anything is removed")
        done = 0
        for path, old, new in MUTATIONS:
            if pattern not in path + old:
                continue
            full = os.path.join(root, path)
            with open(full, encoding="utf-8") as f:
                text = f.read()
            if text.count(old) != 1:
                print(f"STALE    {path}: {text.count(old)} times: {old!r}")
                survivors += 1
                continue
            with open(full, "w", encoding="utf-8") as f:
                f.write(text.replace(old, new))
            compile_file(root, path)
            failed = programs_that_fail(root, objs, pki, mains)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
            compile_file(root, path)
            done += 1
            survivors += not failed
            word = " ".join(old.split())[:84]
            print(f"{'killed' if failed else 'SURVIVED':<9}{path[9:]:<22}{word:<86}"
                  f"{failed[0] if failed else ''}", flush=True)
    print(f"{done} checks removed, {done - survivors} noticed, {survivors} survived or stale")
    sys.exit(survivors > 0)


if __name__ == "__main__":
    main()
