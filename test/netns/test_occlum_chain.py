"""The chain of the original's demo, agent - gateway - gateway in an enclave - agent, attested on every
hop, policies that pin MRENCLAVE; and what the enclave does when its /dev/sgx fails.

The enclave is the jail of test/occlum, its device a stand-in of test/attest. gate1 is on a host with a
TPM; agents prove themselves by TPMs too.
"""

import os
import re
import signal
import time

import pytest

import attested
import netns
from traffic import transfer

LISTEN = ["--entg-listen", "6979", "--enta-listen", "6980"]


class Chain(netns.Chain):
    def __init__(self, net):
        super().__init__(net)
        tpms = self.tpm1, self.tpm_c, self.tpm_s = [attested.Tpm(net, n)
                                                    for n in ("gate1", "client", "server")]
        self.gate1_is, self.client_is, self.server_is = (
            attested.policy(net, f"accepts-{t.name}", t.accept()) for t in tpms)
        self.enclave_is = attested.policy(net, "accepts-enclave", attested.Enclave(net, "gate2").accept())
        judge = attested.collateral(net)
        self.GATE1 = [*LISTEN, "--entg-connect", "10.77.2.2:6979", "--entg-policy", self.enclave_is,
                      "--enta-policy", self.client_is, "--attester", self.tpm1.spec, *judge]
        self.AGENT_C = [*self.AGENT_C, "--attester", self.tpm_c.spec, "--policy", self.gate1_is]
        self.AGENT_S = [*self.AGENT_S, "--attester", self.tpm_s.spec, "--policy", self.enclave_is, *judge]
        self.AGENT_C[1], self.AGENT_S[1] = "10.77.1.2:6980", "10.77.3.1:6980"

    def start_entg1(self, *more, wait=True):
        self.entg1 = netns.entg(self.gate1, *self.GATE1, *more, wait=wait, enclave=False)
        return self.entg1

    def start_entg2(self, *more, name="gate2", device=(), wait=True, **kw):
        """The enclave: another name is another program, so another MRENCLAVE."""
        enclave = attested.Enclave(self.net, name, *device)
        self.entg2 = netns.entg(self.gate2, *LISTEN, "--entg-policy", self.gate1_is, "--enta-policy",
                                self.server_is, "--attester", enclave.spec, *more, wait=wait, **kw)
        return self.entg2


@pytest.fixture
def chain(net):
    return Chain(net)


def test_attested_on_every_hop(chain):
    chain.start()
    sniffers = chain.sniff()
    transfer(chain.client, chain.server, chain.SERVER, 7, size=50_000_000)
    chain.client.run("ping", "-c5", "-i0.1", "-I", "192.168.0.1", "192.168.0.254")
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text
    expected = {chain.entg1: {"gate2": "sgx", "client": "tpm"}, chain.entg2: {"gate1": "tpm", "server": "tpm"},
                chain.enta_c: {"gate1": "tpm"}, chain.enta_s: {"gate2": "sgx"}}
    for proc, peers in expected.items():
        seen = {p["identity"]: p for p in attested.peers(proc)}
        assert {name: p["tee"] for name, p in seen.items()} == peers
        assert all(p["attested"] == "yes" and p["transport"] == "rats-tls" for p in seen.values())
    mrenclave = attested.Enclave(chain.net, "gate2").mrenclave
    assert {p["identity"]: p for p in attested.peers(chain.enta_s)}["gate2"]["measurement"] == mrenclave


REFUSED = {"another-mrenclave": ({"name": "other"}, "MEASUREMENT"),
           "debug-enclave": ({"device": ["--debug"]}, "DEBUG")}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(chain, name):
    """By the gateway on the host, and by the agent behind it; then the genuine one is let in."""
    how, check = REFUSED[name]
    chain.start_entg2(**how)
    chain.start_entg1()
    chain.start_server(up=False)
    for judge in (chain.entg1, chain.enta_s):
        assert f'detail="{check}:' in judge.wait_log(" reason=untrusted ", 30)
        assert not judge.grep(" peer-open | link-up ")
    chain.entg2.stop()
    marks = chain.entg1.mark(), chain.enta_s.mark()
    chain.start_entg2()
    chain.entg1.wait_log(" peer-open .*identity=gate2", 30, marks[0])
    chain.enta_s.wait_log(" link-up ", 30, marks[1])


# --- a device that fails ---------------------------------------------------------------------------


def cpu_ms(pid):
    """Of the program, its threads, as the kernel has counted."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


AT_START = {  # what the device does, what the one line says
    "absent": ("--absent", "neither /dev/sgx nor /dev/attestation is here"),
    "EINVAL-once": ("--fail=1", "/dev/sgx: the size of a quote: Invalid argument"),
    "EINVAL-for-ever": ("--fail=1000000", "/dev/sgx: the size of a quote: Invalid argument"),
    "oversize": ("--oversize", "/dev/sgx: says that a quote has 1048576 bytes"),
}


@pytest.mark.parametrize("name", AT_START)
def test_without_a_device_it_does_not_start(chain, name):
    """It ends, for the supervisor on the host to start it anew, and does not ask again and again."""
    option, words = AT_START[name]
    log = chain.net.tmp / "device"
    gate = chain.start_entg2(device=[option, f"--log={log}"], wait=False)
    assert gate.wait(30) == 1
    lines = gate.log().splitlines()
    assert len(lines) == 1 and " error " in lines[0] and words in lines[0], lines
    asked = log.read_text(encoding="ascii").splitlines()
    assert len(asked) <= 2, asked  # it opens the device and asks for the size


def test_slow_first_quote(chain):
    """Ten seconds: it waits, idle, and works."""
    gate = chain.start_entg2(device=["--slow=10"], wait=False)
    time.sleep(5)
    assert gate.alive() and not gate.grep(" ready "), gate.log()
    assert cpu_ms(gate.pid) < 2000, "it waits by asking"
    gate.wait_log(" ready ", 30)
    chain.start_entg1().wait_log(" peer-open .*tee=sgx", 30)


AFTER_START = {
    "quote-fails": ("--fail-quote", "/dev/sgx: making a quote: Invalid argument"),
    "other-report-data": ("--other-data", "/dev/sgx: device answered with other report data"),
    "other-tee": ("--other-tee", "of another kind of TEE"),
    "garbage": ("--garbage", "is no quote"),
}


@pytest.mark.parametrize("name", AFTER_START)
def test_quote_that_cannot_be_used(chain, name):
    """The connection is closed and both sides say why; the gateway stays, and is not busy."""
    option, words = AFTER_START[name]
    count = chain.net.tmp / "calls"
    gate = chain.start_entg2(device=[option], env={"ENG_JAIL_COUNT": str(count)})
    other = chain.start_entg1()
    line = gate.wait_log("reason=cannot-prove", 30)
    assert words in line, line
    assert re.search(r"(stranger|peer)-close ", line)
    other.wait_log('reason=refused-by-peer detail="cannot-prove', 30)
    assert not other.grep(" peer-open ") and not gate.grep(" peer-open ")

    def calls():
        data = count.read_bytes()
        return sum(int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8))
    before = calls()
    time.sleep(5)
    assert calls() - before < 2000, "it is busy"  # gate1 comes again now and then: some 100 calls each
    gate.stop()


def test_outcome_stays_for_the_life_of_the_enclave(chain):
    """So the supervisor's restart is what helps: the first device fails, the next one works."""
    gate = chain.start_entg2(device=["--fail-quote"])
    chain.start_entg1()
    gate.wait_log("reason=cannot-prove", 30)
    mark = gate.mark()
    gate.wait_log("reason=cannot-prove", 60, mark)  # when gate1 comes again it is no better
    gate.send(signal.SIGTERM)
    assert gate.wait() == 0
    mark = chain.entg1.mark()
    chain.start_entg2()
    chain.entg1.wait_log(" peer-open .*tee=sgx", 60, mark)
