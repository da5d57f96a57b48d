"""The chain with the evidence of TEEs: quotes and reports by stand-ins for the hardware (test/attest),
signed by a maker that only the programs of these tests believe. See rats-attester(7), CAVEATS."""

import contextlib
import os
import subprocess
import sys

import attested
import netns
import pytest

MRENCLAVE = "5e" * 32


@pytest.fixture(scope="module")
def collateral(tmp_path_factory):
    """What the maker publishes, valid now; readable by everybody, as the daemons need it."""
    path = tmp_path_factory.mktemp("maker")
    netns.sh(netns.program("standin_pki"), path)
    for p in (path, *path.parents):
        if p.owner() == "root" and p != p.parent and str(p).startswith("/tmp"):
            p.chmod(0o755)
    return path


def gate(host, *args, device=(), wait=True):
    """A gateway that believes the test maker, behind the devices of a stand-in."""
    device = [netns.program("sgx_standin") if d == "ENCLAVE" else d for d in device]
    p = host.spawn(*device, netns.program("entg-testroots"), *args, name="entg")
    if wait:
        p.wait_log(r" ready\b", 20)
    return p


SGX = f"""  - tee: sgx
    name: enclave
    mrenclave: {MRENCLAVE}
    mrsigner: any
    {attested.ALL}
"""


class Chain(attested.Chain):
    """gate2 proves itself with the attester of a TEE; everybody else as in attested.Chain."""

    LISTEN = [*attested.Chain.LISTEN, "--enta-policy", "unattested"]

    def __init__(self, net):
        super().__init__(net)
        self.accepts1 = attested.policy(net, "accepts-gate1", self.tpm1.accept())

    def start_gate2(self, attester, device=(), wait=True, more=()):
        self.entg2 = gate(self.gate2, *self.LISTEN, "--entg-policy", self.accepts1,
                          "--attester", attester, *more, device=device, wait=wait)
        return self.entg2

    def start_rest(self, policy, collateral):
        self.AGENT_S[self.AGENT_S.index("--policy") + 1] = policy
        self.entg1 = gate(self.gate1, *self.LISTEN, "--entg-connect", "10.77.2.2:6979",
                          "--entg-policy", policy, "--collateral", collateral,
                          "--attester", self.tpm1.spec)
        return self.entg1

    def start_agents(self, collateral):
        self.enta_s = self.server.spawn(netns.program("enta-testroots"), *self.AGENT_S, "--replay", "icmp/",
                                        "--collateral", collateral, name="enta")
        self.enta_s.wait_log(r" link-up\b", 20)
        self.start_client()
        self.settle()


@pytest.fixture
def hard(net):
    return Chain(net)


def sgx(*options, mrenclave=MRENCLAVE):
    """The words in front of a program that is to see /dev/sgx."""
    return ["ENCLAVE", f"--mrenclave={mrenclave}", *options, "--"]


def test_sgx_gateway_is_pinned_by_its_mrenclave(hard, net, collateral):
    policy = attested.policy(net, "enclave", SGX)
    hard.start_gate2("sgx", device=sgx())
    hard.start_rest(policy, collateral / "intel")
    hard.entg1.wait_log(" peer-open .*tee=sgx", 20)
    hard.start_agents(collateral / "intel")
    peer = {p["identity"]: p for p in attested.peers(hard.entg1)}["enclave"]
    assert peer["measurement"] == MRENCLAVE
    assert peer["tcb"] == "UpToDate"


REFUSED = (
    ("another enclave", sgx(mrenclave="00" * 32), "MEASUREMENT"),
    ("a debug enclave", sgx("--debug"), "DEBUG"),
)


@pytest.mark.parametrize("what,device,check", REFUSED, ids=[r[0] for r in REFUSED])
def test_sgx_gateway_is_refused(hard, net, collateral, what, device, check):
    policy = attested.policy(net, "enclave", SGX)
    hard.start_gate2("sgx", device=device)
    entg1 = hard.start_rest(policy, collateral / "intel")
    line = entg1.wait_log(" reason=untrusted ", 20)
    assert f'detail="{check}:' in line
    assert not entg1.grep(" peer-open ")


def test_without_collateral_nothing_is_decided(hard, net, collateral, tmp_path):
    policy = attested.policy(net, "enclave", SGX)
    net.tmp.chmod(0o755)
    empty = net.tmp / "empty"
    empty.mkdir()
    hard.start_gate2("sgx", device=sgx())
    entg1 = hard.start_rest(policy, empty)
    assert 'detail="COLLATERAL:' in entg1.wait_log(" reason=untrusted ", 20)
    assert not entg1.grep(" peer-open ")


def test_endorsements_come_along(hard, net, collateral):
    """A verifier without a collateral service decides by what the peer sends."""
    policy = attested.policy(net, "enclave", SGX, more="collateral:\n  from_peer: true\n")
    net.tmp.chmod(0o755)
    empty = net.tmp / "empty"
    empty.mkdir()
    hard.start_gate2(f"sgx:endorsements={collateral / 'intel'}", device=sgx(),
                     more=["--endorsements"])
    hard.start_rest(policy, empty).wait_log(" peer-open .*tee=sgx", 20)


FAILURES = (
    ("absent", "--absent", "/dev/sgx"),
    ("EINVAL for ever", "--fail=1000000", "Invalid argument"),
)


@pytest.mark.parametrize("what,option,words", FAILURES, ids=[f[0] for f in FAILURES])
def test_sgx_that_does_not_work_ends_the_program(hard, what, option, words):
    p = hard.start_gate2("sgx", device=sgx(option), wait=False)
    assert p.wait(30) == 1
    lines = p.grep(" error ")
    assert len(lines) == 1 and words in lines[0], p.log()


@contextlib.contextmanager
def tsm(path, *options):
    path.mkdir()
    env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    p = subprocess.Popen([netns.program("tsm_standin"), *options, "--", path], env=env)
    try:
        netns.wait_until(lambda: os.path.ismount(path), 20, "configfs-tsm")
        yield path
    finally:
        p.terminate()
        p.wait()


@pytest.mark.parametrize("kind", ["tdx", "snp"])
def test_guest_gateway(hard, net, collateral, kind):
    net.tmp.chmod(0o755)
    with tsm(net.tmp / "report", *(["--snp"] if kind == "snp" else [])) as report:
        evidence = net.tmp / "evidence"
        driver = netns.sh(netns.program("attest_get"), kind, f"path={report}", "5a" * 64, evidence,
                           net.tmp / "endorsements")
        assert evidence.exists(), driver
        suggested = netns.sh(netns.program("rats-inspect-testroots"), "policy", evidence, "--collateral",
                             collateral / ("intel" if kind == "tdx" else "amd"))
        start = suggested.index("  - tee:")
        end = suggested.find("\ncollateral:", start)
        alternative = suggested[start:end if end > 0 else None].rstrip()
        policy = attested.policy(net, "guest", f"{alternative}\n    name: guest\n    {attested.ALL}\n")
        # The key of a report is certified by what the host sends along.
        hard.start_gate2(f"{kind}:path={report}", more=["--endorsements"])
        entg1 = hard.start_rest(policy, collateral / ("intel" if kind == "tdx" else "amd"))
        entg1.wait_log(f" peer-open .*identity=guest tee={kind}", 20)
        hard.start_agents(collateral / ("intel" if kind == "tdx" else "amd"))


if __name__ == "__main__":
    sys.exit("start me with test/run --only netns -- test/netns/test_hardware.py")
