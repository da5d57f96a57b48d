"""The chain in which everybody proves itself to everybody, by software TPMs, every five seconds.

One chain for all tests of this file; each leaves it as it found it.
"""

import os
import re
import signal
import time

import pytest

import attested
import conftest
import netns
from traffic import Transfer, transfer

RATE = 20_000_000  # bytes a second, of transfers that something happens to


@pytest.fixture(scope="module")
def mutual():
    with netns.Net() as net:
        conftest.current.append(net)
        try:
            yield attested.Mutual(net, "--reattest", "5").start()
        finally:
            conftest.current.remove(net)


@pytest.fixture(autouse=True)
def leftovers(mutual):
    """What a failed test has left running or written."""
    before = list(mutual.net.procs)
    yield
    for p in mutual.net.procs:
        if p not in before and p not in mutual.programs() and p.alive():
            p.kill9()
    mutual.write_clients()


class Ping:
    """A ping from the client to the server while something happens; lost() ends it."""

    def __init__(self, chain, host=None, source="192.168.0.1"):
        self.proc = (host or chain.client).spawn("ping", "-i", "0.01", "-I", source,
                                                 "192.168.0.254", quiet=True)
        netns.wait_until(lambda: "icmp_seq=5 " in self.proc.out(), 10, "ping")

    def lost(self):
        self.proc.stop(signal.SIGINT, check=False)
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received",
                                            self.proc.out()).groups())
        return sent - received, sent

    def assert_none_lost(self):
        lost, sent = self.lost()
        assert lost <= 1, f"{lost} of {sent} lost"  # the one that was under way at the end


def reload(proc):
    mark = proc.mark()
    proc.send(signal.SIGHUP)
    return mark


def seconds(line):
    """Of the time that a line of the log begins with."""
    h, m, s = re.match(r"\S+T(\d+):(\d+):([\d.]+)Z", line).groups()
    return int(h) * 3600 + int(m) * 60 + float(s)


def test_everybody_knows_everybody(mutual):
    sniffers = mutual.sniff()
    transfer(mutual.client, mutual.server, mutual.SERVER, 7, size=50_000_000)
    n, text = netns.clear_packets(sniffers)
    assert n == 0, text
    expected = {mutual.entg1: {"gate2", "client"}, mutual.entg2: {"gate1", "server"},
                mutual.enta_c: {"gate1"}, mutual.enta_s: {"gate2"}}
    for proc, names in expected.items():
        of = {p["identity"]: p for p in attested.peers(proc)}
        assert set(of) == names
        for p in of.values():
            kind = "sgx" if netns.OCCLUM and p["identity"].startswith("gate") else "tpm"
            assert p["attested"] == "yes" and p["tee"] == kind and p["transport"] == "rats-tls"
            assert re.fullmatch(r"[0-9a-f]{64}", p["measurement"]), p
            assert int(p["evidence_age_s"]) <= 10 * netns.SLOW, p


def test_evidence_is_renewed_without_losing_a_packet(mutual):
    programs = mutual.programs()
    ping = Ping(mutual)
    renewals = {p: 0 for p in programs}
    ages = {p: {} for p in programs}

    def renewed():
        for p in programs:
            for peer in attested.peers(p):
                age = int(peer["evidence_age_s"])
                renewals[p] += age < ages[p].get(peer["identity"], 0)
                ages[p][peer["identity"]] = age
        return all(n >= (2 if p in (mutual.enta_c, mutual.enta_s) else 4)
                   for p, n in renewals.items())
    netns.wait_until(renewed, 40, "two renewals in each direction of each hop")
    ping.assert_none_lost()
    assert not any(p.grep("peer-close|link-lost") for p in (mutual.enta_c, mutual.enta_s))


def test_agent_with_another_prefix_is_refused(mutual):
    mark = mutual.entg1.mark()
    agent = mutual.start_third("192.168.0.77", up=False)
    line = mutual.entg1.wait_log("reason=prefix-not-granted", 15, mark)
    assert "peer-close" in line or "stranger-close" in line
    agent.wait_log(" link-lost | link-down ")
    agent.stop()


def test_stranger_is_refused_by_name_of_the_check(mutual):
    other = attested.Tpm(mutual.net, "stranger")
    mark = mutual.entg1.mark()
    agent = mutual.start_third("192.168.0.3", tpm=other, up=False)
    line = mutual.entg1.wait_log("reason=untrusted", 15, mark)
    assert re.search(r'stranger-close .*detail="SIGNER: [^"?]+"', line), line
    agent.wait_log("reason=refused-by-peer detail=\"untrusted\"", 10)
    assert not agent.grep(" link-up ")
    agent.stop()


def test_agent_without_attester_says_so(mutual):
    agent = netns.enta(mutual.third, "--entg-connect", "10.77.9.1:6980", "--tun-addr", "192.168.0.3",
                       "--replay", "icmp/", "--policy", mutual.AGENT_C[5], up=False)
    agent.wait_log('reason=cannot-prove detail="no --attester here"', 15)
    assert not agent.grep(" link-up ")
    agent.stop()


def test_gateway_of_another_kind_is_refused(mutual):
    policy = attested.policy(mutual.net, "tdx", "  - {tee: tdx, mrtd: any, rtmr0: any, rtmr1: any, "
                             "rtmr2: any, rtmr3: any}\n")
    mark = mutual.entg1.mark()
    agent = mutual.start_third(up=False, more=("--policy", policy))
    line = agent.wait_log("reason=untrusted", 15)
    assert 'detail="POLICY: ' in line and ("sgx" if netns.OCCLUM else "tpm") in line, line
    mutual.entg1.wait_log("reason=refused-by-peer", 10, mark)
    agent.stop()


def test_second_with_the_same_prefix(mutual):
    """Refused; with `replace: true` it takes over, and the first one is told."""
    other = attested.Tpm(mutual.net, "other")
    mutual.write_clients(other=other)  # one alternative, two keys
    mutual.entg1.wait_log(" reloaded peers=agents", 10, reload(mutual.entg1))
    first = mutual.start_third()
    elsewhere = mutual.net.host("elsewhere")
    mutual.net.link(mutual.gate1, elsewhere, 10)
    elsewhere.run("ip", "route", "add", "default", "via", "10.77.10.1")
    mark = mutual.entg1.mark()
    second = mutual.start_third(tpm=other, host=elsewhere, up=False)
    mutual.entg1.wait_log("reason=prefix-taken", 15, mark)
    assert not first.grep(" link-lost ")
    second.stop()
    mutual.write_clients(attested.owns("192.168.0.3/32", more="replace: true"), other)
    mark = reload(mutual.entg1)
    mutual.entg1.wait_log(" reloaded peers=agents", 10, mark)
    second = mutual.start_third(tpm=other, host=elsewhere)
    mutual.entg1.wait_log("peer-close .*reason=replaced", 10, mark)
    first.wait_log(" link-lost ", 10)
    first.stop()
    second.stop()
    mutual.write_clients()
    mark = reload(mutual.entg1)
    mutual.entg1.wait_log(" reloaded peers=agents", 10, mark)


def test_reload_closes_whom_it_refuses_and_nobody_else(mutual):
    third = mutual.start_third()
    ping = Ping(mutual)
    mutual.write_clients(third=None)
    mark = reload(mutual.entg1)
    done = mutual.entg1.wait_log(" reloaded peers=agents", 10, mark)
    closed = mutual.entg1.wait_log("peer-close .*reason=untrusted", 10, mark)
    assert seconds(closed) - seconds(done) < 1 * netns.SLOW, (done, closed)
    assert 'detail="SIGNER: ' in closed, closed
    third.wait_log(" link-lost ", 5)
    mark = third.mark()
    mutual.write_clients()  # back again, and that agent with it
    mutual.entg1.wait_log(" reloaded peers=agents", 10, reload(mutual.entg1))
    third.wait_log(" link-up ", 15, mark)
    ping.assert_none_lost()
    third.stop()


def test_bad_policy_on_reload_keeps_the_old_one(mutual):
    ping = Ping(mutual)
    for text in ("one_of:\n  - tee: tpn\n", "", None):
        if text is None:
            mutual.clients.unlink()
        else:
            mutual.clients.write_text(text)
        mark = reload(mutual.entg1)
        line = mutual.entg1.wait_log("reload-failed", 10, mark)
        assert "peers=agents" in line and "clients.yaml" in line, line
    mutual.write_clients()
    third = mutual.start_third()  # judged by the policy that was kept
    third.stop()
    ping.assert_none_lost()


def test_grants_that_were_widened_count_at_once(mutual):
    agent = mutual.start_third("192.168.0.77", up=False)
    mutual.entg1.wait_log("reason=prefix-not-granted", 15)
    mutual.write_clients(third=attested.owns("192.168.0.77/32"))
    mutual.entg1.wait_log(" reloaded peers=agents", 10, reload(mutual.entg1))
    agent.wait_log(" link-up ", 15)
    mutual.write_clients()  # and what was taken back ends it
    mark = agent.mark()
    mutual.entg1.wait_log("reason=prefix-not-granted", 10, reload(mutual.entg1))
    agent.wait_log(" link-lost ", 10, mark)
    agent.stop()


@pytest.mark.parametrize("which", ["worker", "keeper"])
def test_appraiser_is_killed(mutual, which):
    """Channels stay; until the next one is there nobody new is trusted; then they are."""
    ping = Ping(mutual)
    for keeper, _ in [x for x in attested.workers(mutual.entg1, "eng-appraiser")
                      if x[1] == mutual.entg1.pid]:
        worker = next(attested.children(keeper))[0]
        os.kill(keeper if which == "keeper" else worker, signal.SIGKILL)
    third = mutual.start_third()
    third.stop()
    ping.assert_none_lost()
    names = {p["identity"] for p in attested.peers(mutual.entg1)}
    assert {"gate2", "client"} <= names, names


def test_prover_worker_is_killed(mutual):
    ping = Ping(mutual)
    workers = attested.workers(mutual.entg1, "eng-prover")
    assert len(workers) == 2, workers
    os.kill(workers[1][0], signal.SIGKILL)
    third = mutual.start_third()  # wants evidence of gate1
    third.stop()
    ping.assert_none_lost()


@pytest.mark.parametrize("gate", ["entg1", "entg2"])
def test_connection_survives_kill_and_restart_of_gateway(mutual, gate):
    sniffers = mutual.sniff()
    t = Transfer(mutual.client, mutual.server, mutual.SERVER, 7, rate=RATE, size=100_000_000).start()
    t.wait_received(0.2)
    getattr(mutual, gate).kill9()
    time.sleep(0.5)
    assert t.received < t.size, "the transfer was over before the fault"
    getattr(mutual, "start_" + gate)()
    t.finish()
    mutual.settle()
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text
