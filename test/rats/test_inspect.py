#!/usr/bin/python3
"""rats-inspect as its users see it: exit status, one line of reason, JSON, policies, collateral.

Every vector of $ENG_VECTORS/manifest.json is verified under the policy that `policy --any` writes
from it, and what comes out is what the manifest says. Run by Meson, which gives RATS_INSPECT, or by
hand with both in the environment; without vectors it says so and ends with status 77.
"""

import base64
import calendar
import contextlib
import http.server
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VECTORS = pathlib.Path(os.environ.get("ENG_VECTORS", ROOT.parent / "shared" / "vectors"))
TOOL = os.environ.get("RATS_INSPECT", str(ROOT / "build/src/tool/rats-inspect"))
MANIFEST = VECTORS / "manifest.json"
ENTRIES = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []
EVIDENCE = [e for e in ENTRIES if e["tee"] != "intel" and not e["file"].endswith(".der") and
            (e["tee"] == "tpm" or not e["file"].endswith("/"))]
DIRS = sorted(p.name for p in (VECTORS / "collateral").glob("*"))
BY_NAME = {"extraData": "extra_data", "pcrDigest": "pcr_digest", "resetCount": "reset_count",
           "restartCount": "restart_count", "firmwareVersion": "firmware_version"}
ELSEWHERE = {"pcrSelect", "hw_report_data"}  # stated as pcr0...; inside other evidence
PARTS = {"quote.msg": "quote", "quote.sig": "signature", "quote.tpmt_signature": "signature",
         "pcrs_sha256.bin": "pcrs", "ak_pub.pem": "ak", "ak_pub.der": "ak", "ak_chain.pem": "ak_chain",
         "hcl_report.bin": "hcl", "td_quote.bin": "tee", "vcek.der": "endorsements"}


def tool(*args, stdin=None):
    """Ends by itself and never by a signal; returns (status, stdout, stderr)."""
    r = subprocess.run([TOOL, *map(str, args)], input=stdin, capture_output=True, timeout=30,
                       check=False)
    assert r.returncode in (0, 1, 2), (args, r)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


def one_line(out, err):
    lines = (out + err).splitlines()
    assert len(lines) == 1 and len(lines[0]) > 10 and lines[0].isprintable(), (out, err)
    return lines[0]


def head(major, n):
    for info, size in ((24, 1), (25, 2), (26, 4)):
        if n < 24:
            return bytes([major << 5 | n])
        if n < 1 << (8 * size):
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise ValueError(n)


def evidence_of(entry, tmp):
    """The file; of TPM evidence, which lies in parts, the map and the envelope in which it travels."""
    path = VECTORS / entry["file"]
    if not entry["file"].endswith("/"):
        return path
    parts = {PARTS[p.name]: p.read_bytes() for p in path.iterdir() if p.name in PARTS}
    body = head(5, len(parts)) + b"".join(head(3, len(k)) + k.encode() + head(2, len(v)) + v
                                          for k, v in parts.items())
    file = tmp / "tpm.cbor"
    file.write_bytes(head(6, 0x1a7507) + head(4, 2) + head(2, len(body)) + body + head(2, 0))
    return file


def seconds(t):
    """The manifest's times: seconds, or a date and a time of UTC."""
    return t if isinstance(t, int) else calendar.timegm(
        time.strptime(t[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S"))


def entry_for(entry, claims, tee):
    """Another entry whose collateral is for this platform, in this one's window: the newest."""
    if "fmspc" not in claims:
        return {}
    start, end = map(seconds, entry.get("window", [0, 1 << 40]))
    word = ("tdx-" if "tdx" in tee else "sgx-") + claims["fmspc"] + "-"
    fits = [e for e in ENTRIES if word in (e.get("collateral") or "") and
            start <= seconds(e["verify_time"]) <= end]
    return max(fits, key=lambda e: e["collateral"], default={})


def setting(entry, file):
    """--collateral and --time: the manifest's, else what there is for the platform, else now."""
    shown = json.loads(tool("show", file, "--json")[1])
    other = {} if entry.get("collateral") else entry_for(entry, shown["claims"], shown["tee"])
    collateral = entry.get("collateral") or other.get("collateral")
    when = entry.get("verify_time") or other.get("verify_time")
    if not when and "window" in entry:
        when = str(sum(map(seconds, entry["window"])) // 2)
    paths = [collateral, "snp/certs", "csv", "tpm/az_tdx_ak_chain_2026/azure_vtpm_root_2023.pem",
             entry.get("cert") or ("snp" if entry["tee"] == "snp" else None)]
    args = [a for p in paths if p for a in ("--collateral", VECTORS / p)]
    return args + (["--time", when] if when else [])


def same(claim, want):
    if isinstance(want, str) and isinstance(claim, int):
        return int(want, 0) == claim
    return claim == want


def outcomes(verdict, check):
    return {c["outcome"] for c in verdict["checks"] if c["check"] == check}


def judge(verdict, expected):
    """As test/rats/vectors.c does: what the manifest says in words, as result and failed check."""
    result, failed = verdict["result"], verdict["failed"]
    if expected == "TCB:NotSupported":
        return result == "REJECTED" and failed == "TCB"
    if expected.startswith("REJECT"):
        if "foreign VCEK" in expected:
            return result != "TRUSTED" and failed in ("CHAIN", "BINDING", "SIGNATURE", "COLLATERAL")
        chain = re.search("root|chain signature|certification data", expected)
        return result == "REJECTED" and failed == ("CHAIN" if chain else "SIGNATURE")
    if expected.startswith("signature valid"):
        return outcomes(verdict, "SIGNATURE") == {"passed"}
    if expected.startswith("parser must"):
        return "trailing_bytes" in verdict["claims"] and all(
            outcomes(verdict, c) == {"passed"} for c in ("FORMAT", "CHAIN", "SIGNATURE", "BINDING"))
    return result == "TRUSTED" and failed is None and verdict["why"] == ""


@pytest.mark.parametrize("entry", EVIDENCE, ids=lambda e: e["id"])
def test_vector(entry, tmp_path):
    file = evidence_of(entry, tmp_path)
    with_ = setting(entry, file)
    status, policy, err = tool("policy", "--any", file, *with_)
    assert status == 0 and len(err.splitlines()) <= 1
    (tmp_path / "p.yaml").write_text(policy)
    verify = ["verify", file, "--policy", tmp_path / "p.yaml", *with_]
    status, out, err = tool(*verify, "--json")
    verdict = json.loads(out)
    assert not err and set(verdict) >= {"result", "failed", "why", "tee", "tcb_status", "advisories",
                                        "claims"}
    assert status == {"TRUSTED": 0, "REJECTED": 1, "UNDECIDED": 2}[verdict["result"]]
    expected = entry["expected"]
    assert judge(verdict, expected["result"]), (expected["result"], verdict["result"],
                                                verdict["failed"], verdict["why"])
    for name, want in entry.get("claims", {}).items():
        claim = BY_NAME.get(name, name)
        assert name in ELSEWHERE or same(verdict["claims"].get(claim), want), name
    if expected["result"].startswith("TCB:"):
        assert verdict["tcb_status"] == expected["result"][4:]
        assert verdict["advisories"] == expected["advisoryIDs"]
    again, out, err = tool(*verify)
    assert again == status and one_line(out, err).startswith(verdict["result"])
    again, out, err = tool(*verify, "-v")
    lines = out.splitlines()
    assert again == status and lines[-1].startswith(verdict["result"]) and not err
    assert sum(re.match("(pass|fail|skip)  [A-Z]+ ", x) is not None for x in lines) == len(
        verdict["checks"])
    if status != 0:
        assert any(x.startswith("fail  " + verdict["failed"]) for x in lines)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e not in EVIDENCE], ids=lambda e: e["id"])
def test_what_is_no_evidence(entry):
    """The vectors that are collateral: certificates, lists, Intel's JSON."""
    path = VECTORS / entry["file"]
    if entry["file"].endswith(".der") and entry["tee"] == "snp":
        status, out, err = tool("show", path)
        assert status == 1 and not out and one_line(out, err)
    elif entry["file"] == "negative/json/":
        for p in path.iterdir():
            bad = "missing" in p.name or "Negative" in p.name
            status, out, err = tool("collateral", "show", p)
            assert (status == 2) == bad, p
            assert not bad or one_line(out, err)
    else:
        where = path if path.is_dir() else path.parent
        status, out, err = tool("collateral", "show", where, "--time", "2025-06-01T00:00:00Z")
        assert status in (0, 1) and not err and "UNSIGNED" not in out and "signed" in out


@pytest.mark.parametrize("entry", EVIDENCE, ids=lambda e: e["id"])
def test_policy_accepts_exactly_this(entry, tmp_path):
    """The exact policy accepts its evidence and, if it pins a measurement, no other of that TEE."""
    file = evidence_of(entry, tmp_path)
    with_ = setting(entry, file)
    loose, exact = tmp_path / "loose.yaml", tmp_path / "exact.yaml"
    loose.write_text(tool("policy", "--any", file, *with_)[1])
    exact.write_text(tool("policy", file, *with_)[1])
    status, out, err = tool("verify", file, "--policy", exact, *with_)
    if tool("verify", file, "--policy", loose, *with_)[0] == 0:
        assert status == 0, (out, err, exact.read_text())
    if status != 0:  # not genuine, or not judged for want of collateral: no policy makes it so
        return
    pins = re.findall("[0-9a-f]{64,}", exact.read_text())
    assert pins
    for pin in set(pins):
        other = ("0" if pin[0] != "0" else "1") + pin[1:]
        exact.write_text(tool("policy", file, *with_)[1].replace(pin, other))
        status, out, _ = tool("verify", file, "--policy", exact, *with_)
        commented = all(x.lstrip().startswith("#") for x in exact.read_text().splitlines()
                        if other in x)
        assert commented or (status == 1 and out.startswith("REJECTED ")), (pin, out)


def test_only_content_decides(tmp_path):
    for e in EVIDENCE:
        file = evidence_of(e, tmp_path)
        copy = tmp_path / "root.crl.pem"
        copy.write_bytes(file.read_bytes())
        args = ("--json", "--time", "2025-01-01T00:00:00Z")
        first = tool("show", file, *args)
        assert first[0] == 0 and json.loads(first[1])["claims"]
        assert tool("show", copy, *args) == first
        assert tool("show", "-", *args, stdin=file.read_bytes()) == first
        text = tool("show", file)[1].splitlines()
        assert len(text) > 3 and text[-1].startswith("not verified: ")


def test_time_outside_the_window(tmp_path):
    n = 0
    for e in EVIDENCE:
        if not e.get("collateral") or e["expected"]["result"] == "TCB:NotSupported":
            continue
        file, policy = VECTORS / e["file"], tmp_path / "p.yaml"
        policy.write_text(tool("policy", "--any", file, *setting(e, file))[1])
        for when, status in zip((-1, 0), (1, 0)):
            t = seconds(e["window"][0]) + when
            got = tool("verify", file, "--policy", policy, "--collateral",
                       VECTORS / e["collateral"], "--time", t)
            assert (got[0] == 0) == (status == 0), (e["id"], got)
        n += 1
    assert n > 5


def damaged(tmp_path):
    random = tmp_path / "random"
    random.write_bytes(os.urandom(10_000_000))
    yield random, 1
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    yield empty, 1
    yield tmp_path / "absent", 2
    yield tmp_path, 2
    yield pathlib.Path("/proc/self/mem"), 2
    for e in EVIDENCE:
        whole = evidence_of(e, tmp_path).read_bytes()
        for n in (1, len(whole) // 4, len(whole) // 2):
            cut = tmp_path / "cut"
            cut.write_bytes(whole[:n])
            yield cut, 1
        cut.write_bytes(os.urandom(len(whole)))
        yield cut, 1


def test_damaged_files(tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text("one_of:\n" + "".join(
        f"  - {{tee: {tee}, {pins}}}\n" for tee, pins in (
            ("sgx", "mrenclave: any, mrsigner: any"), ("csv", "measure: any"),
            ("tdx", "mrtd: any, rtmr0: any, rtmr1: any, rtmr2: any, rtmr3: any"))))
    n = 0
    for file, wanted in damaged(tmp_path):
        status, out, err = tool("verify", file, "--policy", policy)
        assert status == wanted or (file.name == "cut" and status == 2), (file, out, err)
        assert "UNDECIDED" in out or "REJECTED" in out or not out
        one_line(out, err)
        for command in (["show"], ["policy"], ["diff", file]):
            status, out, err = tool(*command, file)
            assert file.name == "cut" or status == (2 if command[0] == "diff" else wanted)
            assert status == 0 or one_line(out, err)
        n += 1
    assert n > 100


def test_diff(tmp_path):
    a, b = (VECTORS / "sgx" / n for n in ("sgx_00606a000000_occlum.quote.bin",
                                          "sgx_00a067110000_phala.quote.bin"))
    assert tool("diff", a, a) == (0, "", "")
    status, out, err = tool("diff", a, b)
    assert status == 1 and not err and all(x[:2] in ("- ", "+ ") for x in out.splitlines())
    left, right = (json.loads(tool("show", p, "--json")[1])["claims"] for p in (a, b))
    names = set(re.findall(r"^[-+] (\w+):", out, flags=re.M))
    assert names == {k for k in left.keys() | right.keys() if left.get(k) != right.get(k)}
    assert f"- mrenclave: {left['mrenclave']}\n+ mrenclave: {right['mrenclave']}\n" in out


def test_diff_of_two_versions():
    """A claim that only one file has is shown with its side."""
    old, new = (VECTORS / "tdx" / n for n in ("tdx4_90c06f000000_azure_ak.quote.bin",
                                              "tdx5_90c06f000000_google.quote.bin"))
    assert "\n+ mrservicetd: " in tool("diff", old, new)[1]
    assert "\n- mrservicetd: " in tool("diff", new, old)[1]


def test_bundle_of_odd_files(tmp_path):
    """Text before PEM is left out; a bundle has no place in a bundle, and that is said."""
    chain = (VECTORS / "collateral" / DIRS[0] / "tcb_signing_chain.pem").read_text()
    (tmp_path / "a.pem").write_text("subject=somebody\n\n" + chain)
    bundle = subprocess.run([TOOL, "collateral", "bundle", tmp_path], capture_output=True,
                            check=True).stdout
    assert tool("collateral", "show", "/dev/stdin", stdin=bundle)[1].count("certificate") == 2
    whole = subprocess.run([TOOL, "collateral", "bundle", VECTORS / "collateral" / DIRS[0]],
                           capture_output=True, check=True).stdout
    (tmp_path / "b").write_bytes(whole)
    status, out, err = tool("collateral", "bundle", tmp_path)
    assert status == 2 and not out and "no place" in one_line(out, err)


@pytest.mark.parametrize("name", DIRS)
def test_collateral(name, tmp_path):
    where, bundle = VECTORS / "collateral" / name, tmp_path / "bundle"
    entry = next(e for e in EVIDENCE if e.get("collateral") == f"collateral/{name}")
    when = entry["verify_time"]
    status, out, err = tool("collateral", "show", where, "--time", when)
    assert status == 0 and not err and "EXPIRED" not in out
    assert re.search(rf"tcb-info .* valid +signed .*{name[4:16]}", out)
    status, out, err = tool("collateral", "show", where, "--time", "2099-01-01T00:00:00Z")
    assert status == 1 and out.count("EXPIRED") >= 3
    r = subprocess.run([TOOL, "collateral", "bundle", where], capture_output=True, check=True)
    bundle.write_bytes(r.stdout)
    shown = [sorted(tool("collateral", "show", p, "--time", when)[1].splitlines())
             for p in (where, bundle)]
    assert shown[0] == shown[1] and len(shown[0]) > 4
    file, policy = VECTORS / entry["file"], tmp_path / "p.yaml"
    policy.write_text(tool("policy", "--any", file, *setting(entry, file))[1])
    verdicts = [tool("verify", file, "--policy", policy, "--collateral", p, "--time", when)
                for p in (where, bundle)]
    assert verdicts[0] == verdicts[1] and verdicts[0][1].split()[0] in ("TRUSTED", "REJECTED")
    with open(policy, "a", encoding="utf-8") as f:
        f.write("\n")
    text = policy.read_text()
    policy.write_text(text.replace("collateral:\n", f"collateral:\n  path: {bundle}\n", 1))
    assert tool("verify", file, "--policy", policy, "--time", when) == verdicts[1]


def test_collateral_that_is_none(tmp_path):
    for command in ("show", "bundle"):
        for path in (tmp_path, tmp_path / "absent"):
            status, out, err = tool("collateral", command, path)
            assert status == 2 and one_line("", err)
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n")
    for command in ("show", "bundle"):
        status, out, err = tool("collateral", command, tmp_path)
        assert status == 2 and one_line(out, err)


@contextlib.contextmanager
def service(answers, busy=None):
    """
    A service on loopback; answers: path with query -> (body, issuer chain header, chain).
    busy: path -> what it answers first, (status, Retry-After) in turn.
    """
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if (busy or {}).get(self.path):
                status, after = busy[self.path].pop(0)
                self.send_response(status)
                if after:
                    self.send_header("Retry-After", after)
                self.end_headers()
                return
            body, header, chain = answers.get(self.path, (None, None, None))
            self.send_response(404 if body is None else 200)
            if chain:
                self.send_header(header, urllib.parse.quote(chain))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body or b"no such thing")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_text(raw):
    """The ways in which evidence is pasted."""
    hexed, b64 = raw.hex(), base64.b64encode(raw).decode()
    yield from (hexed, hexed.upper() + "\n", "0x" + hexed, "\n".join(textwrap.wrap(hexed, 64)) + "\n")
    yield from (b64, b64.rstrip("="), base64.urlsafe_b64encode(raw).decode(), base64.encodebytes(raw).decode(),
                "\r\n".join(textwrap.wrap(b64, 76)))


@pytest.mark.parametrize("name", ["sgx/sgx_00606a000000_oasis.quote.bin", "snp/snp2_milan_google.report.bin",
                                  "tdx/tdx5_90c06f000000_google.quote.bin"])
def test_evidence_as_text(name, tmp_path):
    raw, policy = (VECTORS / name).read_bytes(), tmp_path / "p.yaml"
    entry = next(e for e in EVIDENCE if e["file"] == name)
    shown = tool("show", VECTORS / name)
    assert shown[0] == 0
    policy.write_text(tool("policy", "--any", VECTORS / name, *setting(entry, VECTORS / name))[1])
    verify = ["verify", "--policy", policy, *setting(entry, VECTORS / name)]
    verdict = tool(*verify, VECTORS / name)
    assert verdict[0] == 0
    for n, text in enumerate(as_text(raw)):
        assert tool("show", "-", stdin=text.encode()) == shown, n
        assert tool(*verify, "-", stdin=text.encode()) == verdict, n
    hexed = raw.hex()
    for broken in (hexed[:-1], hexed[:100] + "." + hexed[100:], hexed + "\0", "0x", "====", "A"):
        status, out, err = tool("show", "-", stdin=broken.encode())
        assert status == 1 and one_line(out, err)


def pem_in_order(raw, order):
    """The quote with the certificates of its PCK chain in another order."""
    start, end = raw.index(b"-----BEGIN"), raw.rindex(b"-----END CERTIFICATE-----") + 25
    certs = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", raw[start:end] + b"\n", re.S)
    assert len(certs) == 3
    chain = b"".join(c.rstrip(b"\n") + b"\n" for c in (certs[i] for i in order))[:end - start]
    assert len(chain) == end - start
    return raw[:start] + chain + raw[end:]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))) + [(0, 0, 1), (0, 2, 2)], ids=str)
def test_pck_chain_in_any_order(order):
    """The order of the certificates is not signed, and services differ in it."""
    raw = (VECTORS / "sgx/sgx_00a067110000_phala.quote.bin").read_bytes()
    e = next(x for x in EVIDENCE if x["id"] == "sgx_00a067110000_phala@2025")
    if len(set(order)) < 3:
        start = raw.index(b"-----BEGIN")
        certs = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", raw[start:], re.S)
        text = b"\n".join(certs[i] for i in order)
        size = raw.index(b"-----BEGIN") - 4
        quote_end = size + 4 + int.from_bytes(raw[size:size + 4], "little")
        cut = quote_end - int.from_bytes(raw[size:size + 4], "little") + len(text)
        changed = raw[:size] + len(text).to_bytes(4, "little") + text
        total = int.from_bytes(raw[432:436], "little") + cut - quote_end
        changed = changed[:432] + total.to_bytes(4, "little") + changed[436:]
    else:
        changed = pem_in_order(raw, order)
    with_ = setting(e, VECTORS / e["file"])
    v = json.loads(tool("show", "-", "--json", *with_, stdin=changed)[1])
    if len(set(order)) < 3:
        assert v["failed"] == "CHAIN", v["why"]
    else:
        assert v["failed"] is None, v["why"]


def test_json_of_diff_and_collateral(tmp_path):
    a, b = (VECTORS / "snp" / f"snp2_milan_{n}.report.bin" for n in ("google", "librats"))
    status, out, err = tool("diff", a, b, "--json")
    left, right = (json.loads(tool("show", f, "--json")[1])["claims"] for f in (a, b))
    d = {x["name"]: (x["before"], x["after"]) for x in json.loads(out)["differences"]}
    assert status == 1 and not err
    assert d == {k: (left.get(k), right.get(k)) for k in {**left, **right} if left.get(k) != right.get(k)}
    status, out, _ = tool("diff", a, a, "--json")
    assert status == 0 and json.loads(out) == {"differences": []}
    quote = VECTORS / "sgx/sgx_00a067110000_phala.quote.bin"
    d = json.loads(tool("diff", a, quote, "--json")[1])["differences"]
    assert d[0] == {"name": "tee", "before": "snp", "after": "sgx"} and {"name": "mrenclave", "before": None} \
        == {k: v for k, v in next(x for x in d if x["name"] == "mrenclave").items() if k != "after"}

    where = VECTORS / "collateral" / DIRS[0]
    for when in ("2023-01-01T00:00:00Z", "2099-01-01T00:00:00Z"):
        status, out, err = tool("collateral", "show", where, "--time", when, "--json")
        table = tool("collateral", "show", where, "--time", when)
        items = json.loads(out)["items"]
        assert status == table[0] and not err and len(items) == len(table[1].splitlines()) - 1
        for i, line in zip(items, table[1].splitlines()[1:]):
            assert line.startswith(i["kind"]) and line.endswith(i["name"])
            assert i["state"] in line if i["state"] else i["expires"] is None
            assert i["signed"] is ("  signed " in line)
    (tmp_path / "blob").write_bytes(b"neither")
    assert json.loads(tool("collateral", "show", tmp_path, "--json")[1])["items"] == [
        {"kind": "other", "name": "7 bytes", "from": None, "expires": None, "state": None, "signed": False}]


@pytest.mark.parametrize("status", [429, 503])
def test_fetch_waits_for_a_busy_service(status, tmp_path):
    """Retry-After is heeded if it is short, a limited number of times; else the next one is asked."""
    e = next(x for x in EVIDENCE if x["id"] == "sgx_00a067110000_phala@2025")
    right = pccs("sgx-00a067110000-20250619", "sgx", "00a067110000")
    tcb = next(iter(right))
    args = ["collateral", "fetch", VECTORS / e["file"], tmp_path / "c", "--time", e["verify_time"]]
    with service(right, {tcb: [(status, "1"), (status, None)]}) as (url, asked):
        code, _, err = tool(*args, "--url", url)
        assert code == 0 and err.count("again in 1 s") == 2 and asked.count(tcb) == 3, err
    with service(right, {tcb: [(status, "1")] * 9}) as a, service(right, {tcb: [(status, "3600")] * 9}) as b, \
            service(right) as c:
        code, _, err = tool(*args, "--url", a[0], "--url", b[0], "--url", c[0])
        assert code == 0 and a[1].count(tcb) == 4 and b[1].count(tcb) == c[1].count(tcb) == 1, err
    with service(right, {tcb: [(404, "1")]}) as (url, asked):
        assert tool(*args, "--url", url)[0] == 2 and asked.count(tcb) == 1


def pccs(name, tee, fmspc):
    where = VECTORS / "collateral" / name
    chain, crl_chain = ((where / n).read_text() for n in ("tcb_signing_chain.pem",
                                                          "pck_crl_issuer_chain.pem"))
    crl = ((where / "pck_crl.der").read_bytes(), "SGX-PCK-CRL-Issuer-Chain", crl_chain)
    return {
        f"/{tee}/certification/v4/tcb?fmspc={fmspc}": (
            (where / "tcb_info.json").read_bytes(), "TCB-Info-Issuer-Chain", chain),
        f"/{tee}/certification/v4/qe/identity": (
            (where / "qe_identity.json").read_bytes(), "SGX-Enclave-Identity-Issuer-Chain", chain),
        "/sgx/certification/v4/pckcrl?ca=processor&encoding=der": crl,
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der": crl,
        "/sgx/certification/v4/rootcacrl": (
            (where / "root_ca_crl.der").read_bytes().hex().encode() + b"\n", None, None),
    }


@pytest.fixture(name="no_proxy", autouse=True)
def fixture_no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_fetch_from_a_pccs(tmp_path):
    """The second of a dead, a wrong, a late and a right endpoint that answers well is believed."""
    e = next(x for x in EVIDENCE if x["id"] == "tdx4_90c06f000000_azure_ak@2026")
    file, cache, when = VECTORS / e["file"], tmp_path / "cache", e["verify_time"]
    right = pccs("tdx-90c06f000000-20260608", "tdx", "90c06f000000")
    html = {path: (b"<html>maintenance</html>", None, None) for path in right}
    late = pccs("tdx-90c06f000000-20250605", "tdx", "90c06f000000")
    huge = {path: (bytes(5 << 20), None, None) for path in right}
    with service(html) as a, service(late) as b, service(huge) as c, service(right) as d:
        urls = [x for u in ("http://127.0.0.1:1", a[0], b[0], c[0] + "/", d[0]) for x in ("--url", u)]
        status, out, err = tool("collateral", "fetch", file, cache, "--time", when, *urls)
        assert status == 0 and not out, err
        assert err.count(": ok\n") == 5 and "too large" in err and "not what was asked for" in err
        assert "expired" in err and a[1] and set(d[1]) >= set(right) - set(late)
    names = sorted(p.name for p in cache.iterdir())
    assert len(names) == 9 and not any(n.startswith(".") for n in names), names
    policy = tmp_path / "p.yaml"
    policy.write_text(tool("policy", "--any", file, "--collateral", cache, "--time", when)[1].replace(
        "crl: if-present", "crl: required"))
    status, out, err = tool("verify", file, "--policy", policy, "--collateral", cache, "--time", when)
    assert status == 0 and out.startswith("TRUSTED tdx") and "UpToDate" in out


@pytest.mark.parametrize("harm", ["nothing there", "root crl is missing", "forged", "no chain"])
def test_fetch_leaves_the_cache_alone(harm, tmp_path):
    e = next(x for x in EVIDENCE if x["id"] == "sgx_00a067110000_phala@2025")
    file, cache = VECTORS / e["file"], tmp_path / "cache"
    args = ["collateral", "fetch", file, cache, "--time", e["verify_time"], "--url"]
    right = pccs("sgx-00a067110000-20250619", "sgx", "00a067110000")
    with service(right) as (url, _):
        assert tool(*args, url)[0] == 0
    before = {p.name: (p.read_bytes(), p.stat().st_ino) for p in cache.iterdir()}
    tcb = next(iter(right))
    if harm == "nothing there":
        right = {}
    elif harm == "root crl is missing":
        del right["/sgx/certification/v4/rootcacrl"]
    elif harm == "forged":
        body, header, chain = right[tcb]
        right[tcb] = (body.replace(b'DataNumber":17', b'DataNumber":99'), header, chain)
        assert right[tcb][0] != body
    else:
        right = {path: (body, None, None) for path, (body, _, _) in right.items()}
    with service(right) as (url, _):
        status, out, err = tool(*args, url)
    assert status == 2 and not out and "left as it was" in err.splitlines()[-1]
    assert before == {p.name: (p.read_bytes(), p.stat().st_ino) for p in cache.iterdir()}


def amd_like(tmp):
    """A CA, its CRL and a certificate under it: what the client checks of AMD's, and no more."""
    (tmp / "index").write_text("")
    (tmp / "conf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={tmp}/index\n")

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp / "k", "-out", tmp / "ca",
            "-subj", "/CN=ARK-X", "-days", "30")
    openssl("ca", "-config", tmp / "conf", "-gencrl", "-keyfile", tmp / "k", "-cert", tmp / "ca",
            "-md", "sha256", "-crldays", "30", "-out", tmp / "crl.pem")
    openssl("crl", "-in", tmp / "crl.pem", "-outform", "DER", "-out", tmp / "crl")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp / "k2", "-out", tmp / "csr",
            "-subj", "/CN=SEV-VCEK")
    openssl("x509", "-req", "-in", tmp / "csr", "-CA", tmp / "ca", "-CAkey", tmp / "k", "-days", "30",
            "-set_serial", "1", "-outform", "DER", "-out", tmp / "vcek")
    return [((tmp / n).read_bytes(), None, None) for n in ("ca", "crl", "vcek")]


@pytest.mark.parametrize("name,kind,product,chip,svns", [
    ("snp5_turin_microsoft", "vcek", "Turin", 8, "fmcSPL=1&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81"),
    ("snp3_genoa_microsoft", "vcek", "Genoa", 64, "blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84"),
    ("snp2_milan_google", "vcek", "Milan", 64, "blSPL=02&teeSPL=00&snpSPL=05&ucodeSPL=68"),
    ("snp2_milan_google", "vcek", "Genoa", 64, "blSPL=02&teeSPL=00&snpSPL=05&ucodeSPL=68"),
    ("snp3_milan_vlek_aws_trustee", "vlek", "Milan", 0, ""),
])
def test_fetch_from_kds(name, kind, product, chip, svns, tmp_path):
    file, cache = VECTORS / "snp" / f"{name}.report.bin", tmp_path / "cache"
    claims = json.loads(tool("show", file, "--json")[1])["claims"]
    ca, crl, vcek = amd_like(tmp_path)
    answers = {f"/{kind}/v1/{product}/cert_chain": ca, f"/{kind}/v1/{product}/crl": crl}
    if chip:
        answers[f"/{kind}/v1/{product}/{claims['chip_id'][:2 * chip]}?{svns}"] = vcek
    with service(answers) as (url, asked):
        status, out, err = tool("collateral", "fetch", file, cache, "--url", url)
    assert status == 0 and not out, err
    assert set(answers) <= set(asked)
    assert len(list(cache.iterdir())) == len(answers)
    status, out, _ = tool("collateral", "show", cache)
    assert status == 0 and "UNSIGNED" not in out


WRONG = [
    (["collateral", "fetch", "f"], "2 files"), (["collateral", "fetch", "f", "d", "--url", "x"], "https://"),
    (["show", "f", "--url", "http://x"], "--url"),
    ([], "verify"), (["sideways"], "sideways"), (["verify"], "1 file"), (["verify", "a", "b"], "1 file"),
    (["verify", "a"], "--policy"), (["show"], "1 file"), (["show", "a", "b", "c"], "c"),
    (["diff", "a"], "2 files"), (["policy"], "1 file"), (["collateral"], "collateral show"),
    (["collateral", "sell", "d"], "collateral show"), (["collateral", "show"], "1 file"),
    (["show", "a", "--policy", "p"], "--policy"), (["verify", "a", "--any"], "--any"),
    (["show", "a", "--nothing"], "--nothing"), (["show", "a", "-x"], "-x"),
    (["show", "a", "--time"], "--time"), (["show", "a", "--time", "yesterday"], "2026-01-31T10:00:00Z"),
    (["show", "a", "--time", "0"], "1970"), (["show", "a", "--time", "-5"], "1970"),
    (["show", "a", "--time", "2026-01-31T10:00:00Zzz"], "1970"),
    (["verify", "a", "--report-data", "0"], "hex"), (["verify", "a", "--report-data", "0g"], "hex"),
    (["verify", "a", "--report-data", "00" * 65], "64"), (["verify", "a", "--report-data", ""], "hex"),
    (["show", "a", "--json", "-v"], "--json"), (["show", "a"] + ["--collateral", "c"] * 17, "too often"),
    (["verify", "/dev/null", "--policy", "/absent/p"], "/absent/p"),
    (["verify", "/dev/null", "--policy", "/dev/null"], "/dev/null"),
    (["show", "/dev/null", "--collateral", "/absent/c"], "/absent/c"),
]


@pytest.mark.parametrize("args,word", WRONG, ids=[" ".join(a)[:40] for a, _ in WRONG])
def test_wrong_usage(args, word):
    status, out, err = tool(*args)
    assert status == 2 and not out and word in one_line(out, err)


def test_report_data(tmp_path):
    e = next(x for x in EVIDENCE if x["id"] == "sgx_00a067110000_phala@2025")
    file, policy = VECTORS / e["file"], tmp_path / "p.yaml"
    policy.write_text(tool("policy", "--any", file, *setting(e, file))[1])
    verify = ["verify", file, "--policy", policy, *setting(e, file), "--report-data"]
    right = e["claims"]["report_data"]
    assert tool(*verify, right)[0] == 0 and tool(*verify, right.upper())[0] == 0
    assert tool(*verify, right.rstrip("0"))[0] == 0  # padded with zeros
    status, out, _ = tool(*verify, "00" + right[2:])
    assert status == 1 and out.startswith("REJECTED BINDING: ")


def test_insecure_shouts(tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text("insecure: null\n")
    status, out, err = tool("verify", "/dev/null", "--policy", policy)
    assert status == 0 and out.startswith("TRUSTED null") and "WARNING" in err


def test_output_that_cannot_be_written():
    file = VECTORS / "sgx/sgx_00a067110000_phala.quote.bin"
    with open("/dev/full", "w", encoding="utf-8") as full:
        r = subprocess.run([TOOL, "show", file], stdout=full, stderr=subprocess.PIPE, check=False)
    assert r.returncode == 2 and b"standard output" in r.stderr


def test_manual_and_completion():
    text = tool("--help")[1]
    options = set(re.findall(r"--([a-z][a-z-]+)", text))
    commands = set(re.findall(r"rats-inspect ((?:collateral|tpm) \w+|[a-z]+)\b", text))
    assert len(options) >= 9 and len(commands) >= 6, (options, commands)
    page = (ROOT / "man/rats-inspect.1").read_text()
    assert not {o for o in options if f"Fl -{o}" not in page}
    assert not {c for c in commands if f"Cm {c}" not in page}
    script = ROOT / "packaging/completion/rats-inspect"

    def complete(*words):
        line = " ".join(f"'{w}'" for w in ("rats-inspect",) + words)
        r = subprocess.run(["bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD="
                            f"{len(words)}; _rats_inspect; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
                           capture_output=True, text=True, check=True)
        return set(r.stdout.split())
    assert complete("") == {c.split()[0] for c in commands}
    for first in ("collateral", "tpm"):
        assert {f"{first} {w}" for w in complete(first, "")} == {
            c for c in commands if c.startswith(f"{first} ")}
    offered = set()
    for c in commands:
        mine = {o[2:] for o in complete(*c.split(), "--")}
        offered |= mine
        for o in mine - {"help", "version"}:
            assert "does not take" not in tool(*c.split(), "/dev/null", f"--{o}",
                                               *([] if o in ("json", "any", "verbose") else ["1"]))[2]
    assert offered == options


if __name__ == "__main__":
    if not ENTRIES:
        print(f"SKIPPED: there is no {MANIFEST}; set ENG_VECTORS")
        sys.exit(77)
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
