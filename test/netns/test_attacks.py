"""Attacks on attested hops, each with a tool that really does it (test/attack): none reaches OPEN,
each is named once in the log, no packet reaches the attacker, and the traffic of two honest agents
through the same gateway goes on. test_attack_tool.py shows that the attacks are what they say.
"""

import os
import re
import signal
import threading
import time

import pytest

import attested
import conftest
import eng1peer as e
import eng1tls as at
import field as f
import netns
import offences
import softtpm
from relay import Relay, Wire


@pytest.fixture(scope="module")
def field():
    """One gateway for all attackers that dial; agents whose traffic is watched throughout."""
    with netns.Net() as net:
        conftest.current.append(net)
        try:
            it = f.Field(net).start()
            yield it
            it.pair.check()
            it.pair.stop()
        finally:
            conftest.current.remove(net)


def names(attacks):
    return [a.name for a in attacks]


DIAL, LISTEN = offences.of_role(at.CLIENT), offences.of_role(at.SERVER)


def test_honest_peer_is_let_in(field):
    """The control of all others, with evidence of the gateway's own, which the tool verifies."""
    seen = []
    lab = field.dial_lab()
    c = lab.tls()
    mark = field.entg.mark()
    c.open(lab.hello(), field.tpm,
           lambda ev, rd: seen.append(ev) or f.genuine(field.gate_tpm, ev, rd))
    assert seen
    field.entg.wait_log(r" peer-open .*" + f.local(c.sock), 10)
    c.send(lab.packet())
    netns.wait_until(lambda: field.pair.foreign, 5, "its packet at an agent")
    field.pair.check(foreign=1)
    c.send(e.control(e.GOAWAY, {0: 1, 1: "done"}))
    assert "goaway" in f.closing_line(field.entg, f.local(c.sock), mark)
    c.abort()


def test_honest_gateway_is_let_in(field):
    listener, port = field.listener()
    with f.running(field.dialling_entg(port)) as entg:
        lab = field.listen_lab(listener)
        c = lab.tls()
        c.open(lab.hello(), field.tpm, lambda ev, rd: None)
        entg.wait_log(" peer-open ", 10)
        c.abort()


@pytest.mark.parametrize("attack", DIAL, ids=names(DIAL))
def test_attacker_dials(field, attack):
    field.pace.wait()
    f.strike(attack, field.dial_lab(), field.entg, None)
    field.pair.check()


@pytest.mark.parametrize("attack", LISTEN, ids=names(LISTEN))
def test_attacker_is_dialled(field, attack):
    listener, port = field.listener()
    with f.running(field.dialling_entg(port)) as entg:
        f.strike(attack, field.listen_lab(listener), entg, f"{f.ATTACKER}:{port}")


AGENT_VICTIM = ["replay-of-another-session", "role-swap", "evidence-for-another-key",
                "other-measurement", "null-evidence", "genuine-evidence-of-snp", "reflection",
                "packet-behind-evidence", "packet-before-our-accept", "no-alpn", "tls-1.2",
                "copied-certificate-without-its-key", "garbage", "eng1-without-tls",
                "goodbye-instead-of-evidence"]


@pytest.mark.parametrize("name", AGENT_VICTIM)
def test_attacker_is_dialled_by_an_agent(field, name):
    """And what the agent's host wants to send meanwhile does not leave it."""
    listener, port = field.listener()
    field.flush(field.agent_tpm)
    with f.running(netns.enta(
            field.dialler, "--entg-connect", f"{f.ATTACKER}:{port}", "--tun-addr", "192.168.0.1",
            "--capture", "icmp/10.99.0.1", "--policy", field.gateways, "--attester",
            field.agent_tpm.spec, *field.judge, up=False)) as enta:
        f.strike(offences.ATTACKS[name], field.listen_lab(listener), enta, f"{f.ATTACKER}:{port}")
        assert not enta.grep(" link-up ")
        assert field.dialler.run("ping", "-c1", "-W1", "10.99.0.1", check=False).returncode != 0


def test_slow_attackers_run_out_of_time(field):
    """Those that wait, all at once: strangers have 10 s to introduce themselves, 30 s to prove."""
    dial, listen = offences.of_role(at.CLIENT, True), offences.of_role(at.SERVER, True)
    field.pace.wait(len(dial))
    listeners = [field.listener() for _ in listen]
    entg = field.dialling_entg(*(port for _, port in listeners))
    failures = []

    def one(a, lab, proc, peer):
        try:
            f.strike(a, lab, proc, peer, timeout=60)
        except BaseException as x:  # noqa: BLE001 - reported below
            failures.append(f"{a.name} of {proc.host}: {x!r}")
    threads = [threading.Thread(target=one, args=(a, field.dial_lab(n=n), field.entg, None))
               for n, a in enumerate(dial, 1)]
    threads += [threading.Thread(target=one, args=(a, field.listen_lab(ls), entg,
                                                   f"{f.ATTACKER}:{port}"))
                for a, (ls, port) in zip(listen, listeners)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, "\n".join(failures)
    field.pair.check()
    entg.stop()


def test_tls_on_a_plaintext_port(field):
    field.pace.wait()
    mark, lab = field.entg.mark(), field.dial_lab(6981)
    with pytest.raises(at.Closed):
        lab.tls()
    line = f.closing_line(field.entg, f.local(lab.conns[0].sock), mark)
    assert "reason=tls-on-plain-link" in line
    lab.conns[0].abort()


# --- the man in the middle ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def middle(field):
    """Gateways whose agents prove themselves with a TPM, or need not."""
    field.flush(field.agent_tpm)
    accepts_agent = attested.policy(field.net, "accepts-agent", field.agent_tpm.accept())
    field.gate2_tpm = attested.prover(field.net, "gate2")
    accepts_gate = attested.policy(field.net, "accepts-gate", field.gate2_tpm.accept())
    return accepts_agent, accepts_gate


RELAYS = {  # what the genuine gateway demands, what the genuine agent demands, who has to refuse
    "evidence-of-the-agent": (True, False, "gate"),
    "evidence-of-the-gateway": (False, True, "agent"),
    "evidence-of-both": (True, True, "gate"),
}


def genuine_gateway(field, middle, asks):
    field.flush(field.gate2_tpm)
    return netns.entg(field.gate, "--enta-listen", "7980", "--enta-policy",
                      middle[0] if asks else "unattested", "--attester", field.gate2_tpm.spec)


def genuine_agent(field, middle, asks, port):
    field.flush(field.agent_tpm)
    return netns.enta(field.dialler, "--entg-connect", f"{f.ATTACKER}:{port}", "--tun-addr",
                      "192.168.0.1", "--replay", "icmp/", "--attester",
                      field.agent_tpm.spec, "--policy",
                      middle[1] if asks else "unattested", *field.judge, up=False)


@pytest.mark.parametrize("name", RELAYS)
def test_relayed_session(field, middle, name):
    """Two TLS legs, frames and genuine evidence passed through: refused. The same bytes passed
    through below TLS: let in, which is the control."""
    gate_asks, agent_asks, refuses = RELAYS[name]
    listener, port = field.listener()
    relay = Relay(listener, lambda: field.attacker.connect(f.GATE, 7980))
    with f.running(genuine_gateway(field, middle, gate_asks)) as gate:
        with f.running(genuine_agent(field, middle, agent_asks, port)) as agent:
            judge = gate if refuses == "gate" else agent
            line = judge.wait_log(r'reason=untrusted detail="BINDING', 20)
            assert "-close " in line
            assert not agent.grep(" link-up ")
            # Who takes the attacker unproven may open; through it goes nothing.
            assert not gate_asks or not gate.grep(" peer-open ")
            assert relay.evidence > 0, "it had genuine evidence to pass on"
            relay.stop()
        assert relay.packets == 0
        listener, port = field.listener()
        wire = Wire(listener, lambda: field.attacker.connect(f.GATE, 7980))
        with f.running(genuine_agent(field, middle, agent_asks, port)) as agent:
            agent.wait_log(" link-up ", 20)
        wire.stop()


# --- who may own what ---------------------------------------------------------------------------


def test_second_peer_with_the_same_prefix(field):
    """Refused; but where the policy says `replace: true`, the first one goes."""
    careful, may = softtpm.SoftTpm(), softtpm.SoftTpm()
    policy = attested.policy(
        field.net, "replace", f.alternative(careful, "10.66.2.0/24", name="careful"),
        f.alternative(may, "10.66.2.0/24", name="may", more="    replace: true\n"))
    entg = netns.entg(field.gate, "--enta-listen", "7981", "--enta-policy", policy)

    def come(tpm, prefix):
        lab = offences.Lab(at.CLIENT, lambda: field.attacker.connect(f.GATE, 7981), tpm, prefix)
        return lab.opened()
    first = come(careful, "10.66.2.1/32")
    mark = entg.mark()
    second = come(careful, "10.66.2.1/32")
    assert "prefix" in second.wait_closed(10 * netns.SLOW)
    assert "reason=prefix-taken" in f.closing_line(entg, f.local(second.sock), mark)
    first.send(e.control(e.PING, {0: 7}))
    first.until(e.PONG, 10)
    old = come(may, "10.66.2.9/32")
    mark = entg.mark()
    new = come(may, "10.66.2.9/32")
    old.wait_closed(10 * netns.SLOW)
    assert "reason=replaced" in f.closing_line(entg, f.local(old.sock), mark)
    new.send(e.control(e.PING, {0: 8}))
    new.until(e.PONG, 10)
    for c in (first, second, old, new):
        c.abort()
    entg.stop()


def test_lane_of_somebody_else(field):
    """A node id can be copied: who was accepted as something else joins no node by it, nor does a
    lane let in what its own evidence does not."""
    node, other, id_ = softtpm.SoftTpm(), softtpm.SoftTpm(), os.urandom(16)
    policy = attested.policy(
        field.net, "lanes", f.alternative(node, "10.66.3.0/24", name="node"),
        f.alternative(other, "10.66.0.0/16", name="other"))
    entg = netns.entg(field.gate, "--enta-listen", "7982", "--enta-policy", policy)

    def come(tpm, lane):
        lab = offences.Lab(at.CLIENT, lambda: field.attacker.connect(f.GATE, 7982), tpm,
                           "10.66.3.1/32")
        return lab.tls().open(lab.hello(node_id=id_, lane=lane), tpm)
    zero = come(node, 0)
    one = come(node, 1)
    for tpm, lane in ((other, 2), (other, 1)):
        mark = entg.mark()
        theirs = come(tpm, lane)
        assert "lane" in theirs.wait_closed(10 * netns.SLOW)
        assert "reason=lane-unexpected" in f.closing_line(entg, f.local(theirs.sock), mark)
        theirs.abort()
    mark = entg.mark()
    for c in (zero, one):
        c.send(e.control(e.PING, {0: 7}))
        c.until(e.PONG, 10)
    zero.abort()
    one.wait_closed(10 * netns.SLOW)
    assert "reason=lane-unexpected" in f.closing_line(entg, f.local(one.sock), mark)
    one.abort()
    entg.stop()


# --- collateral ---------------------------------------------------------------------------------

CA = softtpm.Ca()
GOOD, REVOKED = CA.tpm(), CA.tpm()
COLLATERAL = {  # the attestation key, the revocation list, what the log says (None: let in)
    "good": (GOOD, CA.crl(REVOKED.cert), None),
    "list-is-missing": (GOOD, None, "COLLATERAL"),
    "list-has-expired": (GOOD, CA.crl(since=-40, until=-10), "COLLATERAL"),
    "list-is-of-the-future": (GOOD, CA.crl(since=5, until=30), "COLLATERAL"),
    "list-of-another-ca": (GOOD, softtpm.Ca().crl(), "(COLLATERAL|SIGNATURE)"),
    "key-is-revoked": (REVOKED, CA.crl(REVOKED.cert), "REVOKED"),
    "certificate-has-expired": (CA.tpm(-100, -1), CA.crl(), "CHAIN.*valid"),
    "certificate-is-of-the-future": (CA.tpm(2, 100), CA.crl(), "CHAIN.*valid"),
    "certificate-of-another-ca": (softtpm.Ca().tpm(), CA.crl(), "(CHAIN|SIGNER|COLLATERAL)"),
}


@pytest.mark.parametrize("name", COLLATERAL)
def test_collateral(field, name):
    tpm, crl, word = COLLATERAL[name]
    where = field.net.tmp / f"collateral-{name}"
    where.mkdir()
    where.chmod(0o755)
    (where / "ca.pem").write_bytes(softtpm.pem(CA.cert))
    if crl:
        (where / "list.pem").write_bytes(crl)
    pcrs = "".join(f"      {i}: {v.hex()}\n" for i, v in tpm.pcrs.items())
    policy = attested.policy(field.net, f"ca-{name}",
                             f"  - tee: tpm\n    ca_sha256: {CA.key_sha256}\n    pcrs:\n{pcrs}"
                             "    allowed_ips: ['10.66.3.0/24']\n")
    lab = offences.Lab(at.CLIENT, lambda: field.attacker.connect(f.GATE, 7982), tpm,
                       "10.66.3.1/32")
    with f.running(netns.entg(field.gate, "--enta-listen", "7982", "--enta-policy", policy,
                              "--collateral", where)) as entg:
        if word is None:
            lab.opened()
            entg.wait_log(" peer-open ", 10)
        else:
            with pytest.raises(at.Closed):
                lab.opened()
            line = f.closing_line(entg, f.local(lab.conns[0].sock), 0)
            assert re.search(offences.untrusted(word), line), line
            assert not entg.grep(" peer-open ")
    lab.conns[0].abort()


# --- this side cannot make its quote --------------------------------------------------------------


# What an enclave's device does when it fails rather than hangs: test_occlum_chain.py.
@pytest.mark.parametrize("how", ["hangs"] if netns.OCCLUM else ["dies", "hangs"])
def test_tpm_of_the_gateway_fails(field, how):
    """Who asks is told and closed, with a named reason; who does not, is not delayed meanwhile."""
    tpm = attested.prover(field.net, "frail")
    entg = netns.entg(field.gate, "--enta-listen", "7983", "--enta-policy", "unattested",
                      "--attester", tpm.spec)
    pair = f.Pair(field.attacker, None, 7983, nets="10.66.4")
    lab = offences.Lab(at.CLIENT, lambda: field.attacker.connect(f.GATE, 7983), field.tpm,
                       "10.66.5.1/32")
    good = lab.tls()
    good.open(lab.hello(), None, lambda ev, rd: None)  # it has worked before
    good.close()
    device = entg.popen if netns.OCCLUM else tpm.process  # what stands in for /dev/sgx has started it
    if how == "dies":
        tpm.stop()
    else:
        device.send_signal(signal.SIGSTOP)
    try:
        mark = entg.mark()
        c = lab.tls()
        c.send(lab.hello(), at.challenge(bytes(32)))
        began = time.monotonic()
        late = offences.Lab(at.CLIENT, lambda: field.attacker.connect(f.GATE, 7983), None,
                            "10.66.5.2/32").opened()
        assert time.monotonic() - began < 5 * netns.SLOW, "a newcomer waits for somebody's quote"
        c.wait_closed(90 * netns.SLOW)
        assert "reason=cannot-prove" in f.closing_line(entg, f.local(c.sock), mark)
        assert c.received(at.EVIDENCE) == 0 and not c.packets
        pair.check()
        assert pair.slowest < 3 * netns.SLOW
        late.abort()
        c.abort()
    finally:
        if how == "hangs":
            device.send_signal(signal.SIGCONT)
    pair.stop()
    entg.stop()


# --- many at once -------------------------------------------------------------------------------


def test_strangers_at_once(field):
    """300 that will never be let in, kept open: memory is bounded, an honest agent gets in."""
    entg = netns.entg(field.gate, "--enta-listen", "7984", "--enta-policy", field.agents)
    pair = f.Pair(field.attacker, field.bystander, 7984)
    before = entg.rss_kib()
    held = []
    for i in range(300):
        s = field.attacker.connect(f.GATE, 7984)
        held.append(s)
        try:
            if i % 3 == 0:
                s.sendall(b"\x16\x03\x01\x02\x00\x01" + bytes(200))  # never goes on
            else:
                c = at.Conn(s, at.CLIENT, field.victim).handshake()
                c.send(e.hello() if i % 3 == 1 else b"\0\0\0\x40")
        except (OSError, at.Closed):
            pass  # it had to give way already
    grown = entg.rss_kib() - before
    assert grown < 64 * 1024 * netns.SLOW, f"{grown} KiB"
    lab = offences.Lab(at.CLIENT, lambda: field.attacker.connect(f.GATE, 7984), field.tpm)
    c = lab.opened()
    c.send(e.control(e.PING, {0: 1}))
    c.until(e.PONG, 10 * netns.SLOW)
    pair.check()
    for s in held:
        s.close()
    c.abort()
    pair.stop()
    entg.stop()
