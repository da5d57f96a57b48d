#!/usr/bin/python3
"""Attesters of devices in /dev against what stands in for them: SGX in Occlum, SNP, CSV.

Evidence comes out of the program that ships, by real paths and ioctls, and is verified by
rats-inspect linked with the test maker's roots; then everything that a device can do wrong.
"""

import os
import pathlib
import subprocess
import time

import pytest

import attest
from attest import Bench, device, main, probe, run

TOOL = os.environ.get("RATS_INSPECT", "build/src/tool/rats-inspect")
SIZE, QUOTE = "ioctl 0x80047307", "ioctl 0xc0187308"


@pytest.fixture(name="bench", scope="module")
def fixture_bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("devices"))


@pytest.mark.parametrize("name,kind,options", [
    ("sgx", "sgx", []), ("snp", "sev", []), ("csv", "csv", []), ("csv", "csv", ["version=2"])])
@pytest.mark.parametrize("fork", [False, True])
def test_evidence(bench, name, kind, options, fork):
    bench.must_get(name, *options, before=device(kind), fork=fork)
    policy = bench.must_be_trusted()
    assert bench.endorsements.exists() == (name == "snp")
    shown = run(TOOL, "show", "-v", bench.evidence).stdout
    assert "report_data" in shown and "trailing" not in shown  # the device pads
    # The makers' real roots know nothing of that maker.
    assert bench.verify(policy, tool=TOOL).split()[:2] != ["TRUSTED", name]
    assert "CHAIN" in bench.verify(policy, tool=TOOL)


def test_the_claims_are_those_of_the_tee(bench):
    bench.must_get("sgx", before=device("sgx", "--mrenclave=" + "17" * 32))
    policy = bench.must_be_trusted()
    assert "mrenclave: " + "17" * 32 in policy.read_text()
    bench.must_get("sgx", before=device("sgx", "--mrenclave=" + "18" * 32))
    assert bench.verify(policy).startswith("REJECTED MEASUREMENT: mrenclave")
    bench.must_get("sgx", before=device("sgx", "--mrenclave=" + "17" * 32, "--debug"))
    assert bench.verify(policy).startswith("REJECTED DEBUG")
    bench.must_get("snp", before=device("sev"))
    policy = bench.must_be_trusted()
    bench.must_get("snp", before=device("sev", "--debug"))
    assert bench.verify(policy).startswith("REJECTED DEBUG")
    bench.must_get("snp", "vmpl=2", before=device("sev"))
    assert bench.verify(policy).startswith("REJECTED CONFIG: vmpl")


WRONG = {
    "sgx": [
        ("--absent", "neither /dev/sgx nor /dev/attestation is here"),
        ("--denied", "/dev/sgx: this user may not open it"),
        ("--fail=1", "/dev/sgx: the size of a quote: Invalid argument (DCAP on the host"),
        ("--fail-quote", "/dev/sgx: making a quote: Invalid argument"),
        ("--oversize", "/dev/sgx: says that a quote has 1048576 bytes, not 1 to 32768"),
        ("--other-data", "/dev/sgx: device answered with other report data"),
        ("--other-tee", "/dev/sgx: the answer"),
        ("--garbage", "is no quote"),
        ("--cut", "is no quote"),
    ],
    "snp": [
        ("--absent", "/dev/sev-guest is not here: not a guest of SEV-SNP"),
        ("--denied", "/dev/sev-guest: this user may not open it"),
        ("--fail=1", "/dev/sev-guest: Input/output error (firmware error 0x16, host error 0)"),
        ("--busy=99", "Resource temporarily unavailable (firmware error 0, host error 0x2)"),
        ("--fail-quote", "/dev/sev-guest: the firmware refuses: status 0x16"),
        ("--oversize", "/dev/sev-guest: says that a report has 4294967280 bytes"),
        ("--other-data", "/dev/sev-guest: device answered with other report data"),
        ("--garbage", "the answer (1184 bytes) is no SNP report"),
        ("--cut", "the answer (592 bytes) is no SNP report"),
    ],
    "csv": [
        ("--absent", "/dev/csv-guest is not here: not a guest of CSV"),
        ("--denied", "/dev/csv-guest: this user may not open it"),
        ("--fail=1", "/dev/csv-guest: asking for a report: Input/output error"),
        ("--other-data", "/dev/csv-guest: device answered with other report data"),
        ("--other-nonce", "/dev/csv-guest: device answered with another nonce"),
        ("--garbage", "/dev/csv-guest: "),
    ],
}


@pytest.mark.parametrize("name,fault,why", [(n, *w) for n, ws in WRONG.items() for w in ws])
def test_what_goes_wrong_is_told_in_one_line(bench, name, fault, why):
    bench.must_fail(why, name, before=device("sev" if name == "snp" else name, fault))


def test_another_version_than_was_asked_for(bench):
    bench.must_fail("/dev/csv-guest: ", "csv", "version=2", before=device("csv", "--other-tee"))


@pytest.mark.parametrize("name,option,why", [
    ("csv", "version=3", "version is 1 or 2, not '3'"),
    ("snp", "vmpl=4", "vmpl is a number from 0 to 3, not '4'"),
    ("snp", "vmpl=", "vmpl is a number from 0 to 3, not ''"),
    ("sgx", "mrenclave=1", "attester sgx has no option 'mrenclave'"),
    ("sgx", "path=/nowhere/sgx", "/nowhere/sgx is not here"),
    ("snp", "path=/nowhere/sev", "/nowhere/sev is not here"),
    ("csv", "path=/nowhere/csv", "/nowhere/csv is not here"),
    ("sgx", "path=/dev/null", "/dev/null: the size of a quote: Inappropriate ioctl for device"),
    ("csv", "path=/dev/null", "asking for a report: Inappropriate ioctl for device"),
    ("snp", "path=/dev/null", "Inappropriate ioctl for device"),
])
def test_wrong_options(bench, name, option, why):
    bench.must_fail(why, name, option)


def test_occlum_is_asked_once(bench):
    """What has failed there stays so: trying again is waste, and probing must not spoil it."""
    log = f"--log={bench.log}"
    bench.must_get("sgx", before=device("sgx", log))
    assert bench.logged() == ["open", SIZE + " 0", QUOTE + " 0"]
    bench.get("sgx", before=device("sgx", log, "--fail=1"))
    assert bench.logged() == ["open", SIZE + " -22"]
    bench.log.unlink()
    assert probe(*device("sgx", log))["sgx"] == (True, "/dev/sgx of Occlum")
    assert bench.logged() == ["open"]


def test_a_slow_first_request(bench):
    start = time.monotonic()
    bench.must_get("sgx", before=device("sgx", "--slow=2"))
    assert time.monotonic() - start >= 2
    bench.must_be_trusted()


def test_others_go_on_while_one_waits(bench, tmp_path):
    """Two processes of one command: the device serves the second while the first is slow."""
    get = f"{attest.BUILD}/attest_get sgx - {attest.ASKED}"
    script = (f"{get} {tmp_path}/1 {tmp_path}/e & sleep 0.5; {get} {tmp_path}/2 {tmp_path}/e; "
              f"test ! -e {tmp_path}/1 || exit 9; wait $!")
    r = run(*device("sgx", "--slow=6"), "sh", "-c", script)
    assert r.returncode == 0, r
    assert (tmp_path / "1").exists() and (tmp_path / "2").exists()


def test_certificates_of_the_host(bench):
    bench.must_get("snp", before=device("sev", f"--log={bench.log}"))
    assert len(bench.logged()) == 2  # one request
    policy = bench.must_be_trusted()
    trusted = bench.verify(policy)
    first = bench.endorsements.read_bytes()
    assert bench.verify(policy, endorsed=False).startswith("UNDECIDED CHAIN")
    for options, requests, certs in [
            (["--certs-len=32768"], 2, True),  # it says how much room they take
            (["--certs-len=1048576"], 2, False),  # not that much: the report alone
            (["--certs-len=20000"], 2, False),  # not a number of pages
            (["--no-certs"], 1, False), (["--bad-certs"], 1, False),
            (["--no-ext"], 2, False), (["--busy=2"], 3, True)]:
        bench.must_get("snp", before=device("sev", f"--log={bench.log}", *options))
        assert len(bench.logged()) == 1 + requests, (options, bench.logged())
        assert bench.endorsements.exists() == certs, options
        if not certs:
            bench.endorsements.write_bytes(first)  # of the same chip
        assert bench.verify(policy) == trusted


@pytest.mark.parametrize("maker", ["intel", "amd", "hygon"])
def test_endorsements_of_the_user(bench, maker):
    """A folder of collateral is sent as one bundle; with it the peer needs none of its own."""
    name, kind = {"intel": ("sgx", "sgx"), "amd": ("snp", "sev"), "hygon": ("csv", "csv")}[maker]
    folder = bench.path / "pki" / maker
    bench.must_get(name, f"endorsements={folder}", before=device(kind))
    assert bench.endorsements.stat().st_size > sum(f.stat().st_size for f in folder.iterdir())
    shown = run(TOOL, "collateral", "show", bench.endorsements).stdout.splitlines()
    assert sorted(shown) == sorted(run(TOOL, "collateral", "show", folder).stdout.splitlines())
    single = next(f for f in folder.iterdir())
    bench.must_get(name, f"endorsements={single}", before=device(kind))
    assert bench.endorsements.read_bytes() == single.read_bytes()


def test_too_many_endorsements(bench, tmp_path):
    for i in range(7):
        (tmp_path / str(i)).write_bytes(bytes(9000))
    status, line = bench.get_raw("sgx", f"endorsements={tmp_path}", before=device("sgx"))
    assert status == 1 and line.startswith("90:"), line  # EMSGSIZE
    (tmp_path / "6").unlink()
    bench.must_get("sgx", f"endorsements={tmp_path}", before=device("sgx"))


def test_probe():
    nothing = probe()
    for name in ("sgx", "tdx", "snp", "csv"):
        assert not nothing[name][0] and "here" in nothing[name][1], nothing
    assert probe(*device("sgx"))["sgx"][0]
    assert probe(*device("sev"))["snp"] == (True, "/dev/sev-guest")
    assert probe(*device("csv"))["csv"] == (True, "/dev/csv-guest")
    assert probe(*device("csv", "--denied"))["csv"] == (
        False, "/dev/csv-guest: this user may not open it")


def test_the_stand_in_keeps_out_of_the_way(tmp_path):
    """It ends as the command does, hands signals on, and leaves other files and ioctls alone."""
    assert run(*device("sgx"), "sh", "-c", "exit 3").returncode == 3
    r = subprocess.run([*device("sgx"), "sh", "-c", "kill -9 $$"], check=False,
                       timeout=attest.DEADLINE_S)
    assert r.returncode == 128 + 9
    flag = tmp_path / "ready"
    with subprocess.Popen([*device("csv"), "sh", "-c",
                           f"trap 'exit 5' TERM; touch {flag}; while :; do sleep 0.1; done"]) as p:
        end = time.monotonic() + attest.DEADLINE_S
        while not flag.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        p.terminate()
        assert p.wait(attest.DEADLINE_S) == 5
    text = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert run(*device("sgx"), "cat", __file__).stdout == text
    assert run(*device("sgx"), "dd", "if=/dev/sgx", "bs=1", "count=1").returncode == 0


if __name__ == "__main__":
    main(__file__)
