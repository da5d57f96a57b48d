#!/usr/bin/python3
"""Attesters of files against what stands in for them: configfs-tsm (TDX, SNP) and Gramine (SGX).

configfs-tsm is mounted at its real place, in a mount namespace of this test.
"""

import pathlib
import time

import pytest

from attest import Bench, device, file_system, main, mount_tmpfs, probe

REPORT = pathlib.Path("/sys/kernel/config/tsm/report")


@pytest.fixture(name="bench", scope="module")
def fixture_bench(tmp_path_factory):
    mount_tmpfs("/sys/kernel")
    REPORT.mkdir(parents=True)
    return Bench(tmp_path_factory.mktemp("tsm"))


def tsm(name, *options):
    return file_system("tsm", REPORT, *(["--snp"] if name == "snp" else []), *options)


@pytest.mark.parametrize("name", ["tdx", "snp"])
@pytest.mark.parametrize("fork", [False, True])
def test_evidence(bench, name, fork):
    with tsm(name, f"--log={bench.log}"):
        bench.must_get(name, fork=fork)
        assert not list(REPORT.iterdir())
    assert bench.logged() == ["mkdir", "rmdir", "mkdir", "outblob 0", "rmdir"]
    assert bench.endorsements.exists() == (name == "snp")
    policy = bench.must_be_trusted()
    with tsm(name, "--debug"):
        bench.must_get(name)
    assert bench.verify(policy).startswith("REJECTED DEBUG")


WRONG = [
    ("tdx", "--absent", "the kernel has no provider of reports"),
    ("snp", "--absent", "/dev/sev-guest is not here"),
    ("", "--denied", "configfs-tsm: provider: Permission denied"),
    ("tdx", "--other-tee", "the provider of reports is 'sev_guest', not 'tdx_guest'"),
    ("snp", "--other-tee", "/dev/sev-guest is not here"),
    ("", "--fail=1", "configfs-tsm: outblob: Input/output error"),
    ("", "--busy=99", "configfs-tsm: outblob: Device or resource busy"),
    ("", "--fail-quote", "configfs-tsm: outblob: Invalid argument"),
    ("", "--oversize", "configfs-tsm: outblob: more than 32768 bytes"),
    ("", "--race-forever", "configfs-tsm: generation went from "),
    ("", "--bad-generation", "configfs-tsm: generation: "),
    ("", "--other-data", "configfs-tsm: device answered with other report data"),
    ("tdx", "--garbage", "is no quote: "),
    ("tdx", "--cut", "is no quote: "),
    ("snp", "--garbage", "the answer (1184 bytes) is no SNP report"),
    ("snp", "--cut", "the answer (592 bytes) is no SNP report"),
]


@pytest.mark.parametrize("name,fault,why", [
    (n, f, w) for m, f, w in WRONG for n in ("tdx", "snp") if m in ("", n)])
def test_what_goes_wrong_is_told_in_one_line(bench, name, fault, why):
    with tsm(name, fault):
        bench.must_fail(why, name)
        assert not list(REPORT.iterdir())


@pytest.mark.parametrize("name", ["tdx", "snp"])
@pytest.mark.parametrize("fault,tries", [("--busy=3", 4), ("--race", 2), ("--slow=2", 1)])
def test_what_passes_is_waited_for(bench, name, fault, tries):
    start = time.monotonic()
    with tsm(name, fault, f"--log={bench.log}"):
        bench.must_get(name)
    assert len([w for w in bench.logged() if w.startswith("outblob")]) == tries
    assert bench.logged()[-1] == "rmdir"
    assert "slow" not in fault or time.monotonic() - start >= 2
    bench.must_be_trusted()


def test_without_the_kernel(bench):
    bench.must_fail(f"{REPORT / 'none'} is not here", "tdx", f"path={REPORT / 'none'}")
    bench.must_fail("/dev/null is not here", "tdx", "path=/dev/null")
    bench.must_fail("configfs-tsm: provider: ", "tdx")  # a folder like any other
    assert not list(REPORT.iterdir())


def test_certificates_and_level(bench):
    with tsm("snp"):
        bench.must_get("snp")
        policy, certs = bench.must_be_trusted(), bench.endorsements.read_bytes()
        bench.must_get("snp", "vmpl=3")
        assert bench.verify(policy).startswith("REJECTED CONFIG: vmpl")
    for fault in ("--no-certs", "--bad-certs", "--no-ext"):
        with tsm("snp", fault):
            bench.must_get("snp")
        assert not bench.endorsements.exists()
        assert bench.verify(policy).startswith("UNDECIDED CHAIN")
        bench.endorsements.write_bytes(certs)
        assert bench.verify(policy).startswith("TRUSTED snp")


def test_the_device_where_configfs_has_no_provider(bench):
    with tsm("snp", "--absent"):
        bench.must_get("snp", before=device("sev"))
        bench.must_be_trusted()


def test_probe(bench):
    with tsm("tdx", f"--log={bench.log}"):
        bench.log.unlink(missing_ok=True)
        found = probe()
        assert found["tdx"] == (True, f"{REPORT} with provider tdx_guest")
        assert not found["snp"][0]
        assert set(bench.logged()) == {"mkdir", "rmdir"}  # no quote
    with tsm("snp"):
        found = probe()
        assert found["snp"] == (True, f"{REPORT} with provider sev_guest")
        assert found["tdx"] == (
            False, "configfs-tsm: the provider of reports is 'sev_guest', not 'tdx_guest'")
    with tsm("snp", "--absent"):
        assert "no provider of reports" in probe()["tdx"][1]


def gramine(path, *options):
    return file_system("gramine", path, *options)


def test_gramine(bench, tmp_path):
    with gramine(tmp_path):
        bench.must_get("sgx", f"path={tmp_path}")
        bench.must_be_trusted()
        bench.must_get("sgx", f"path={tmp_path}", fork=True)
        bench.must_be_trusted()


@pytest.mark.parametrize("fault,why", [
    ("--other-tee", "the attestation type is 'none', not 'dcap'"),
    ("--denied", "/attestation_type: Permission denied"),
    ("--no-ext", "/quote: No such file or directory"),
    ("--fail=1", "/quote: Permission denied"),
    ("--other-data", "device answered with other report data"),
    ("--oversize", "/quote: more than 32768 bytes"),
    ("--garbage", "is no quote: "),
    ("--cut", "is no quote: "),
])
def test_gramine_gone_wrong(bench, tmp_path, fault, why):
    with gramine(tmp_path, fault):
        bench.must_fail(why, "sgx", f"path={tmp_path}")


if __name__ == "__main__":
    main(__file__)
