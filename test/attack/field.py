"""Where the attacks take place: an attacker's host between a gateway that is dialled and one that
dials, a software TPM or an enclave for both, policies that accept the genuine peers of the suite, and two agents
whose traffic must go on whatever happens.

The attacker's genuine key (`tpm`) is accepted by the policies: so what is refused is refused for
the attack. The policies also accept the target's own TPM: a reflection must not fail for less.
"""

import contextlib
import ipaddress
import re
import select
import struct
import threading
import time

import attested
import eng1peer as e
import eng1tls as at
import netns
import offences
import softtpm
import swtpm
from softtpm import SoftTpm

GATE, DIALLER, ATTACKER = "10.77.1.2", "10.77.2.2", "10.77.2.1"
OWN, BYSTANDERS = "10.66.0.0/24", "10.66.1.0/24"
CLOSE = r" (peer|stranger)-close "


def alternative(tpm, *allowed, name="suite", more=""):
    pcrs = "".join(f"      {i}: {v.hex()}\n" for i, v in tpm.pcrs.items())
    nets = ", ".join(f"'{a}'" for a in allowed)
    return (f"  - tee: tpm\n    name: {name}\n    ak_sha256: {tpm.ak_sha256}\n    pcrs:\n{pcrs}"
            f"    allowed_ips: [{nets}]\n{more}")


def genuine(prover, evidence, report_data):
    """None when this is evidence of that prover and about that report data; else what is wrong."""
    if isinstance(prover, attested.Enclave):
        tag, quote, claims = softtpm.untag(evidence)
        right = (softtpm.TAG_INTEL, b"", bytes.fromhex(prover.mrenclave), report_data)
        return None if (tag, claims, quote[112:144], quote[368:432]) == right else "another quote"
    return softtpm.appraise(evidence, report_data, prover.key)


class Pair:
    """Two honest agents. One sends a numbered packet every 20 ms, the other sends it back.

    They begin to count when the first has come back: a gateway hears of their ACCEPT a moment after
    it was sent, and has no route for what comes before.
    """

    WARM_UP = 1 << 62  # the number of the packets before

    def __init__(self, host, tpm, port=6980, at_=GATE, nets="10.66.1", appraise=None):
        self.a, self.b = f"{nets}.1", f"{nets}.2"
        self.conns = []
        for address in (self.a, self.b):
            c = at.Conn(host.connect(at_, port), at.CLIENT, at.Identity()).handshake()
            c.open(e.hello(prefixes=[address + "/32"], name="bystander"), tpm, appraise)
            self.conns.append(c)
        self.tpm, self.sent, self.back, self.failure = tpm, 0, {}, None
        self.foreign = 0  # packets of somebody else
        self.slowest = 0
        self.stopping, self.ready = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        netns.wait_until(lambda: self.failure or self.ready.is_set(), 10, "the bystanders reach each other")

    def _run(self):
        began = {}
        due = time.monotonic()
        try:
            while not self.stopping.is_set():
                now = time.monotonic()
                if now >= due:
                    n = self.sent if self.ready.is_set() else self.WARM_UP
                    began[n] = now
                    self.conns[0].send(self._packet(self.a, self.b, n))
                    self.sent += n != self.WARM_UP
                    due = now + 0.02
                ready = select.select([c.sock for c in self.conns], [], [], 0.02)[0]
                for i, c in enumerate(self.conns):
                    if c.sock in ready:
                        self._read(i, c, began)
        except Exception as x:  # noqa: BLE001 - reported by check()
            self.failure = x

    @staticmethod
    def _packet(src, dst, n):
        return e.frame(e.udp4(src, dst, 7, 7, n.to_bytes(8, "big")))

    def _read(self, i, c, began):
        while True:
            try:
                body = c.frame(0)
            except TimeoutError:
                return
            if body[0] == e.PING:
                c.send(e.frame(bytes([e.PONG]) + body[1:]))
            elif body[0] == at.CHALLENGE:
                c.answer(e.uncbor(body, 1)[0][0], self.tpm)
            elif body[0] >= 0x40:
                n = int.from_bytes(body[-8:], "big")
                if str(ipaddress.ip_address(body[12:16])) not in (self.a, self.b):
                    self.foreign += 1
                elif i == 1:
                    c.send(self._packet(self.b, self.a, n))
                elif n == self.WARM_UP:
                    self.ready.set()
                else:
                    self.back[n] = time.monotonic() - began.pop(n)
                    self.slowest = max(self.slowest, self.back[n])
            c.frames.clear()

    def check(self, foreign=0):
        """Everything sent until now comes back, and nothing came that is not theirs."""
        n = self.sent
        netns.wait_until(lambda: self.failure
                         or sum(k < n for k in list(self.back)) == n, 10,
                         "the bystanders' packets have arrived")
        assert not self.failure, repr(self.failure)
        assert self.foreign == foreign, f"{self.foreign} packets of others"
        self.foreign = 0

    def stop(self):
        self.stopping.set()
        self.thread.join()
        for c in self.conns:
            c.abort()


class Pace:
    """Our programs log 20 closed strangers at once, then two a second: an attacker that wants to
    be named waits its turn."""

    def __init__(self, burst=18, period=0.51):
        self.burst, self.period, self.used, self.last = burst, period, 0, time.monotonic()

    def wait(self, n=1):
        while True:
            now = time.monotonic()
            refill = int((now - self.last) / self.period)
            if refill:
                self.used, self.last = max(0, self.used - refill), now
            if self.used + n <= self.burst:
                self.used += n
                return
            time.sleep(0.05)


class Field:
    def __init__(self, net):
        self.net = net
        self.attacker, self.gate, self.dialler = (net.host(n)
                                                  for n in ("attacker", "gate", "dialler"))
        net.link(self.attacker, self.gate, 1)
        net.link(self.attacker, self.dialler, 2)
        self.tpm, self.bystander = SoftTpm(), SoftTpm()
        self.gate_tpm = attested.prover(net, "gate")
        self.dialler_tpm = attested.prover(net, "dialler")
        self.agent_tpm = attested.Tpm(net, "agent") if netns.OCCLUM else self.dialler_tpm
        self.judge = attested.collateral(net)
        self.agents = attested.policy(
            net, "agents", alternative(self.tpm, OWN), alternative(self.bystander, BYSTANDERS),
            self.gate_tpm.accept())
        self.gateways = attested.policy(net, "gateways", alternative(self.tpm, "0.0.0.0/0"),
                                        self.dialler_tpm.accept())
        self.victim = at.Identity()  # whose certificate everybody has seen
        self.pace, self.port = Pace(), 7100
        self.entg = self.pair = None

    def start(self):
        self.entg = netns.entg(self.gate, "--enta-listen", "6980", "--enta-listen", "tcp://6981",
                               "--policy", self.agents, "--attester", self.gate_tpm.spec,
                               "--reattest", "5", *self.judge)
        self.pair = Pair(self.attacker, self.bystander)
        return self

    # --- the attacker dials

    def dial_lab(self, port=6980, n=66):
        return offences.Lab(at.CLIENT, lambda: self.attacker.connect(GATE, port), self.tpm,
                            prefix=f"10.66.0.{n}/32", victim=self.victim)

    # --- the attacker is dialled

    def listener(self):
        self.port += 1
        return self.attacker.listen(self.port), self.port

    def listen_lab(self, listener):
        def accept():
            s, _ = listener.accept()
            listener.close()  # who comes again is not let in
            return s
        return offences.Lab(at.SERVER, accept, self.tpm, victim=self.victim)

    @staticmethod
    def flush(tpm):
        """A chip behind no resource manager keeps the keys of programs that are gone, three at
        most: TPM2_FlushContext of each. Nobody may be using it. An enclave has nothing of that."""
        if isinstance(tpm, attested.Enclave):
            return
        for handle in range(0x80000000, 0x80000003):
            tpm.command(struct.pack(">HIII", 0x8001, 14, swtpm.CC["flush"], handle))

    def dialling_entg(self, *ports):
        self.flush(self.dialler_tpm)
        to = [x for p in ports for x in ("--entg-connect", f"{ATTACKER}:{p}")]
        return netns.entg(self.dialler, *to, "--enta-listen", "tcp://6980", "--entg-policy",
                          self.gateways, "--attester", self.dialler_tpm.spec, "--reattest", "5",
                          *self.judge)


@contextlib.contextmanager
def running(proc):
    """Ends it; in order if nothing went wrong."""
    try:
        yield proc
        proc.stop()
    finally:
        proc.kill9()


def local(sock):
    """The name of this end, as the other side's log writes it."""
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"


def closing_line(proc, peer, since):
    """The line about the end of this peer, of which there must be one."""
    pattern = CLOSE + rf".*peer={re.escape(peer)}(?![0-9])"
    proc.wait_log(pattern, 10, since)
    time.sleep(0.05)
    lines = proc.grep(pattern, since)
    assert len(lines) == 1, lines
    return lines[0]


def opened(proc, peer, since):
    return proc.grep(rf" peer-open .*peer={re.escape(peer)}(?![0-9])", since)


def strike(attack, lab, proc, peer, timeout=30):
    """Does it; then: refused, named once, nothing delivered to the attacker."""
    mark = proc.mark()
    box = []
    connect = lab.connect

    def watched():
        s = connect()
        box.append(local(s))
        return s
    lab.connect = watched
    offences.run(attack.name, lab, timeout * netns.SLOW)
    assert len(box) == 1, "one connection an attack"
    who = peer or box[0]
    line = closing_line(proc, who, mark)
    assert re.search(attack.log, line), line
    assert bool(opened(proc, who, mark)) == attack.opens, f"peer-open: {line}"
    assert lab.packets() == 0, "a packet reached the attacker"
    assert proc.alive()
