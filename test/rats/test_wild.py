#!/usr/bin/python3
"""Evidence as it is met in the wild: the vectors, padded, wrapped and re-encoded the way services do.

None of it is signed over, so that the verdict must be that of the vector; or it is not evidence, and
then it must be refused for what it is. Run like test_inspect.py.
"""

import base64
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VECTORS = pathlib.Path(os.environ.get("ENG_VECTORS", ROOT.parent / "shared" / "vectors"))
TOOL = os.environ.get("RATS_INSPECT", str(ROOT / "build/src/tool/rats-inspect"))
VCEK, ASK, ARK = (bytes.fromhex(h) for h in ("63da758de6644564adc5f4b93be8accd",
                                             "4ab7b379bbac4fe4a02f05aef327c782",
                                             "c0b406a4a80349529743" "3fb6014cd0ae"))


def read(name):
    return (VECTORS / name).read_bytes()


def show(raw, *args):
    """(kind, failed check, why, claims); kind is "" if it is no evidence."""
    r = subprocess.run([TOOL, "show", "-", "--json", *map(str, args)], input=raw, capture_output=True,
                       timeout=30, check=False)
    if r.returncode == 1:
        return "", None, r.stderr.decode(), {}
    assert r.returncode == 0, r
    v = json.loads(r.stdout)
    return v["tee"], v["failed"], v["why"], v["claims"]


def pem(der):
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def table(*entries, page=1):
    """GHCB 56421, 4.1.8.1."""
    at, head, data = 24 * (len(entries) + 1), b"", b""
    for guid, der in entries:
        head += guid + struct.pack("<II", at + len(data), len(der))
        data += der
    out = head + bytes(24) + data
    return out + bytes(-len(out) % page)


SNP_TIME = ["--time", "2024-06-01T00:00:00Z"]
SNP_CERT = ["--collateral", VECTORS / "snp/snp2_milan_google.vcek.der"]


def snp_tables():
    vcek, ask, ark = (read(f"snp/{n}.der") for n in ("snp2_milan_google.vcek", "certs/milan_ask",
                                                     "certs/milan_ark"))
    return {
        "VCEK alone": table((VCEK, vcek)),
        "page of all": table((ARK, ark), (ASK, ask), (VCEK, vcek), page=4096),
        "PEM": table((VCEK, pem(vcek)), (ASK, pem(ask))),
        "unknown entry": table((b"x" * 16, b"hello"), (VCEK, vcek)),
        "empty ASK": table((ASK, b""), (VCEK, vcek)),
    }


@pytest.mark.parametrize("form", ["VCEK alone", "page of all", "PEM", "unknown entry", "empty ASK"])
def test_extended_reports(form):
    report = read("snp/snp2_milan_google.report.bin")
    bare = show(report, *SNP_TIME, *SNP_CERT)
    assert bare[:2] == ("snp", None)
    assert show(report + snp_tables()[form], *SNP_TIME) == bare


@pytest.mark.parametrize("padding", [24, 4000 - 32 - 1184, 4096])
def test_padded_reports(padding):
    """A host without certificates hands out a table without entries; buffers are larger than reports."""
    report = read("snp/snp2_milan_google.report.bin")
    assert show(report + bytes(padding), *SNP_TIME, *SNP_CERT) == show(report, *SNP_TIME, *SNP_CERT)


def with_chain(raw, change):
    """An SGX quote of version 3 whose certification data is changed, lengths and all."""
    total = struct.unpack("<I", raw[432:436])[0]
    start = raw.index(b"-----BEGIN")
    new = change(raw[start:436 + total])
    out = bytearray(raw[:start] + new)
    out[432:436] = struct.pack("<I", total + len(new) - (436 + total - start))
    out[start - 4:start] = struct.pack("<I", len(new))
    return bytes(out)


def blocks(chain):
    return re.findall(rb"-----BEGIN.*?-----END CERTIFICATE-----", chain, re.S)


def ders(chain):
    return [base64.b64decode(b"".join(b.splitlines()[1:-1])) for b in blocks(chain)]


CHAINS = {
    "as it is": lambda c: c,
    "CR LF": lambda c: c.replace(b"\n", b"\r\n"),
    "no end of line": lambda c: c.rstrip(b"\0\n"),
    "NUL": lambda c: c.rstrip(b"\0\n") + b"\n\0",
    "many NULs": lambda c: c + bytes(100),
    "spaces at the end": lambda c: c.rstrip(b"\0") + b" \t \n",
    "spaces in the lines": lambda c: c.replace(b"\n", b" \n"),
    "tabs between": lambda c: c.replace(b"-----END CERTIFICATE-----\n", b"-----END CERTIFICATE-----\t\n"),
    "blank lines": lambda c: b"\n" + b"\n\n".join(blocks(c)),
    "longer lines": lambda c: b"".join(map(pem, ders(c))),
    "one line": lambda c: b"".join(b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(d) +
                                   b"\n-----END CERTIFICATE-----\n" for d in ders(c)),
}


@pytest.mark.parametrize("form", CHAINS)
def test_pck_chains(form):
    raw = read("sgx/sgx_00a067110000_phala.quote.bin")
    with_ = ["--time", "2025-07-04T10:28:44Z", "--collateral", VECTORS / "collateral/sgx-00a067110000-20250619"]
    want = show(raw, *with_)
    assert want[:2] == ("sgx", None)
    assert show(with_chain(raw, CHAINS[form]), *with_) == want


@pytest.mark.parametrize("change", [lambda c: b"\n".join(blocks(c)[:2]), lambda c: b"x" + c,
                                    lambda c: c.replace(b"-----END", b"x-----END", 1)],
                         ids=["no root", "text before", "text inside"])
def test_broken_pck_chains(change):
    raw = read("sgx/sgx_00a067110000_phala.quote.bin")
    assert show(with_chain(raw, change))[:2] == ("sgx", "CHAIN")


CERTIFICATES = sorted(p.name for p in (VECTORS / "ratls").glob("*.pem"))


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(name):
    text = read(f"ratls/{name}")
    want = show(text)
    assert want[0] == "sgx"
    for form in (text.replace(b"\n", b"\r\n"), b"\n\n" + text, b"\xef\xbb\xbf" + text,
                 b" 0 s:CN = RATS\n   i:CN = RATS\n" + text, text + text, ders(text)[0]):
        assert show(form) == want, form[:40]
    for form in (b"\0" + text, b"\xff" + text, text[:-60]):
        assert show(form)[0] == ""


@pytest.mark.parametrize("end", ["\n", "\r\n", " "])
@pytest.mark.parametrize("name", sorted(p.name for p in (VECTORS / "token").glob("*.jwt")))
def test_tokens(name, end):
    token = read(f"token/{name}").strip()
    with_ = ["--time", "2026-01-20T08:00:00Z"]
    assert show(token, *with_)[0] == "ear"
    assert show(token + end.encode(), *with_) == show(token, *with_)


@pytest.mark.parametrize("name,kind", [("az_snp_v2", "az_snp"), ("az_tdx_v1", "az_tdx"),
                                       ("az_tdx_ak_chain_2026", "az_tdx")])
def test_report_of_the_paravisor_by_itself(name, kind, tmp_path):
    """It is shown, with what the TEE says, and never accepted: it is not fresh."""
    raw = read(f"tpm/{name}/hcl_report.bin")
    tee, failed, why, claims = show(raw, "--collateral", VECTORS / "snp")
    assert (tee, failed) == (kind, "FORMAT") and "without a quote" in why
    assert "HCLAkPub" in claims["runtime_data"] and ("measurement" in claims) is (kind == "az_snp")
    policy, file = tmp_path / "p.yaml", tmp_path / "hcl"
    file.write_bytes(raw)
    suggested = subprocess.run([TOOL, "policy", "--any", file], capture_output=True, check=True).stdout
    assert f"tee: {kind}".encode() in suggested
    policy.write_bytes(re.sub(rb"(?m)^    pcrs?:.*$", b"    pcrs: any", suggested))
    r = subprocess.run([TOOL, "verify", file, "--policy", policy, "--collateral", VECTORS / "snp"],
                       capture_output=True, check=False)
    assert r.returncode in (1, 2) and b"TRUSTED" not in r.stdout


def test_csv_pages():
    report = read("csv/csvrs_report_v1.bin")
    with_ = ["--collateral", VECTORS / "csv"]
    want = show(report, *with_)
    assert want[:2] == ("csv", None) and show(report.ljust(4096, b"\0"), *with_) == want


if __name__ == "__main__":
    if not (VECTORS / "manifest.json").exists():
        print(f"SKIPPED: there are no vectors in {VECTORS}; set ENG_VECTORS")
        sys.exit(77)
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
