"""The demo's chain with attested hops: a software TPM for each gateway, enrolled; then attacks on it,
live, while an application's connection waits, and goes on.

An attack returns what the table says of it, or raises.
"""

import hashlib
import os
import shlex
import socket
import subprocess
import sys
import threading
import time

import netns

for folder in ("peer", "attack"):
    sys.path.insert(0, str(netns.ROOT / "test" / folder))

GRANTS = "    allowed_ips: [192.168.0.0/24]"
STEPS = 25  # that the application takes before, between and after attacks


def say(host, *words):
    """A command line, as one would type it at that host."""
    text = " ".join(w if w in ("|", "&&", ">", ">>") else shlex.quote(str(w)) for w in words)
    print(f"  {host.name + '#':9} {text}", flush=True)


def announce(p):
    """The command line of a program that runs on."""
    if isinstance(p, netns.EnclaveGate):
        say(p.host, "entg-occlum", *p.args)  # in its image's entg.args, really
    else:
        say(p.host, p.name, *p.cmd[1:])


def say_log(host, line):
    print(f"  {host.name + ':':9} {line}", flush=True)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Tpm:
    """A TPM of one gateway, and the computer around it: what that boots is measured into PCR 4."""

    def __init__(self, host, name):
        self.host, self.name, self.socket = host, name, f"{name}.tpm"
        (host.net.tmp / f"{name}-state").mkdir()
        self.proc = None

    @property
    def tcti(self):
        return f"swtpm:path={self.socket}"

    @property
    def spec(self):
        """For --attester."""
        return f"tpm:tcti={self.tcti}"

    def boot(self, kernel):
        """Switches the computer on, or off and on again: PCRs begin at 0."""
        if self.proc:
            self.proc.kill9()
            for end in ("", ".ctrl"):
                (self.host.net.tmp / f"{self.socket}{end}").unlink(missing_ok=True)
        cmd = ["swtpm", "socket", "--tpm2", "--server", f"type=unixio,path={self.socket}",
               "--ctrl", f"type=unixio,path={self.socket}.ctrl", "--flags",
               "not-need-init,startup-clear", "--tpmstate", f"dir={self.name}-state"]
        say(self.host, *cmd)
        self.proc = self.host.spawn(*cmd, quiet=True)
        netns.wait_until((self.host.net.tmp / self.socket).exists, 20, "the TPM's socket")
        extend = ["tpm2_pcrextend", "-T", self.tcti, f"4:sha256={digest(kernel)}"]
        say(self.host, *extend)
        netns.wait_until(lambda: self.host.run(*extend, check=False).returncode == 0, 20,
                         "the TPM answers")

    def enroll(self):
        """Writes the policy that accepts this TPM as it is now, NAME.yaml."""
        path = self.host.net.tmp / f"{self.name}.yaml"
        words = ["tpm", "enroll", "--tcti", self.tcti, "--name", self.name]
        say(self.host, "rats-inspect", *words, ">", path.name)
        say(self.host, "echo", GRANTS, ">>", path.name)
        made = self.host.run(netns.program("rats-inspect"), *words).stdout
        path.write_text(f"{made}{GRANTS}\n")
        path.chmod(0o644)


class Chain(netns.Chain):
    """The chain of the design, every hop attested: agents and gateways demand a gateway's TPM,
    agents need no proof."""

    def __init__(self, net):
        super().__init__(net)
        self.tpm1, self.tpm2 = Tpm(self.gate1, "gate1"), Tpm(self.gate2, "gate2")
        self.attacks = ATTACKS

    LISTEN = ["--entg-listen", "6979", "--enta-listen", "6980", "--enta-policy", "unattested"]
    AGENT_C = ["--entg-connect", "10.77.1.2:6980", "--policy", "gate1.yaml", "--name", "client",
               "--tun-addr", "192.168.0.1"]
    AGENT_S = ["--entg-connect", "10.77.3.1:6980", "--policy", "gate2.yaml", "--name", "server",
               "--tun-addr", "192.168.0.254"]

    @property
    def GATE1(self):
        return ["--name", "gate1", *self.LISTEN, "--entg-connect", "10.77.2.2:6979", "--entg-policy",
                "gate2.yaml", "--attester", self.tpm1.spec]

    @property
    def GATE2(self):
        return self.gate2_with(self.tpm2)

    def gate2_with(self, tpm):
        return ["--name", "gate2", *self.LISTEN, "--entg-policy", "gate1.yaml", "--attester", tpm.spec]

    def enroll(self):
        for tpm in (self.tpm1, self.tpm2):
            tpm.boot("the good kernel")
            tpm.enroll()

    def show_peers(self):
        """Who has proved what to whom, as SIGUSR1 tells."""
        for p in (self.enta_c, self.entg1, self.enta_s):
            say(p.host, "kill", "-USR1", p.pid)
            for line in p.status(r" peer peer=.* attested=yes"):
                say_log(p.host, line)


# --- the application that lives through it --------------------------------------------------------


class Counter:
    """One TCP connection to the echo server, on which an application counts: each number has to
    come back before the next one is sent."""

    def __init__(self, chain):
        self.n, self.failure, self.stopping = 0, None, threading.Event()
        self.sock = chain.client.connect(chain.SERVER, 7)
        self.sock.settimeout(60 * netns.SLOW)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.stopping.wait(0.02):
                line = b"%d\n" % (self.n + 1)
                self.sock.sendall(line)
                got = b""
                while len(got) < len(line):
                    more = self.sock.recv(len(line) - len(got))
                    if not more:
                        raise ConnectionError("closed by the server")
                    got += more
                if got != line:
                    raise ValueError(f"{got!r} instead of {line!r}")
                self.n += 1
        except (OSError, ValueError) as e:
            self.failure = e

    def advance(self, timeout=30):
        """Waits until it has counted on."""
        goal = self.n + STEPS
        netns.wait_until(lambda: self.failure or self.n >= goal, timeout,
                         f"the application has counted to {goal}; it is at {self.n}")
        if self.failure:
            raise netns.NetnsError(f"the application's connection: {self.failure!r}")
        return self.n

    def stop(self):
        self.stopping.set()
        self.thread.join(5)
        self.sock.close()


class Watch:
    """What must hold while a gateway is refused: nothing gets through, nothing goes another way."""

    def __init__(self, chain, sniffers):
        self.chain, self.sniffers = chain, sniffers
        self.counter = Counter(chain)

    def clear(self):
        """Captured packets outside the tunnel so far, on all cables."""
        return sum(s.so_far() for s in self.sniffers)

    def stays_put(self):
        """The number at which the application waits."""
        stuck = self.counter.n
        cmd = ["curl", "-sS", "-m", "1", f"http://{self.chain.SERVER}/"]
        r = self.chain.client.run(*cmd, check=False)
        say(self.chain.client, *cmd)
        say_log(self.chain.client, r.stderr.strip())
        assert r.returncode != 0, "a new connection came through"
        assert self.counter.n == stuck and not self.counter.failure, "the application goes on"
        n = self.clear()
        if self.sniffers:
            say_log(self.chain.client, f"the application waits at {stuck}; {n} packets in the clear")
        assert n == 0, f"{n} captured packets in the clear"
        return stuck

    def goes_on(self):
        now = self.counter.advance()
        say_log(self.chain.client, f"the application counts on, to {now}, on the same connection "
                                   f"(port {self.counter.port})")
        return now


# --- the attacks: each returns (the refusing line's reason, counter before, counter after) ---------

UNTRUSTED = r' reason=untrusted detail="'


def refusal(proc, check, since):
    """The line that says so, shown; its reason and detail."""
    line = proc.wait_log(rf'-close .*{UNTRUSTED}{check}\b', 20, since)
    say_log(proc.host, line)
    return line.split(UNTRUSTED)[1].split('"')[0]


def restart_gate2(chain, tpm, *command):
    """The other program at gate2's address; marks in the logs of those who will judge it."""
    marks = [(p, p.mark()) for p in (chain.entg1, chain.enta_s)]
    if command:
        say(chain.gate2, *command)
    chain.entg2.stop()
    chain.start_entg2(args=chain.gate2_with(tpm))
    announce(chain.entg2)
    return marks


def gate2_comes_back(chain):
    marks = restart_gate2(chain, chain.tpm2)
    for p, since in marks:
        p.wait_log(r" peer-open ", 20, since)
    say_log(chain.gate1, chain.entg1.grep(r" peer-open ")[-1])


def another_measurement(chain, watch):
    """gate2 after something else was measured into its PCR 4."""
    extend = ["tpm2_pcrextend", "-T", chain.tpm2.tcti, f"4:sha256={digest('a kernel with a back door')}"]
    chain.gate2.run(*extend)
    marks = restart_gate2(chain, chain.tpm2, *extend)
    details = [refusal(p, "MEASUREMENT", since) for p, since in marks]
    stuck = watch.stays_put()
    chain.entg2.stop()
    chain.tpm2.boot("the good kernel")
    gate2_comes_back(chain)
    return details[0], stuck


def copy_without_its_tpm(chain, watch):
    """All of gate2 that can be copied, at its address: program, policies, boot; with another TPM."""
    rogue = Tpm(chain.gate2, "rogue")
    rogue.boot("the good kernel")
    marks = restart_gate2(chain, rogue)
    details = [refusal(p, "SIGNER", since) for p, since in marks]
    stuck = watch.stays_put()
    gate2_comes_back(chain)
    return details[0], stuck


class Mallory:
    """A host that has taken over the way from client to gate1, addresses included."""

    def __init__(self, chain):
        self.chain = chain
        self.host = chain.net.host("mallory")
        chain.net.link(chain.client, self.host, 4)
        chain.net.link(self.host, chain.gate1, 5)
        self.host.run("ip", "addr", "add", "10.77.1.2/32", "dev", "lo")
        self.host.run("ip", "route", "add", "10.77.1.1/32", "via", "10.77.4.1")

    ROUTE = ("10.77.1.2/32", "via", "10.77.4.2")

    def divert(self):
        self.chain.client.run("ip", "route", "add", *self.ROUTE)

    def leave(self):
        self.chain.client.run("ip", "route", "del", *self.ROUTE)


def man_in_the_middle(chain, watch, mallory):
    """TLS ends at mallory on both sides, frames go through: gate1's challenge, its evidence."""
    from relay import Relay
    relay = Relay(mallory.host.listen(6980), lambda: mallory.host.connect("10.77.5.2", 6980))
    since = chain.enta_c.mark()
    mallory.divert()
    say_log(mallory.host, "is 10.77.1.2 for client now; passes every frame on to gate1 (test/attack/relay.py)")
    detail = refusal(chain.enta_c, "BINDING", since)
    say_log(chain.client, chain.enta_c.wait_log(r" link-waiting ", 10, since))
    stuck = watch.stays_put()
    mallory.leave()
    relay.stop()
    say_log(mallory.host, f"has passed on gate1's genuine evidence {relay.evidence} times, and {relay.packets} packets")
    assert relay.evidence > 0, "no evidence was relayed"
    assert relay.packets == 0, f"{relay.packets} packets went to mallory"
    chain.enta_c.wait_log(r" link-up ", 20, since)
    say_log(chain.client, chain.enta_c.grep(r" link-up ", since)[-1])
    return detail, stuck


ATTACKS = (("other measurement", "gate2 has booted something else (PCR 4)", another_measurement),
           ("copy without its TPM", "program, policies, address, PCRs of gate2", copy_without_its_tpm),
           ("man in the middle", "relays gate1's genuine evidence, two TLS legs", man_in_the_middle))


def run_attacks(chain, sniffers, mallory):
    """Rows (what, how, result), and whether all went as they must."""
    watch = Watch(chain, sniffers)
    rows, good = [], True
    watch.counter.advance()
    for what, how, attack in chain.attacks:
        print(f"\nAttack: {what}. {attack.__doc__.splitlines()[0].rstrip('.')}:\n", flush=True)
        try:
            args = (mallory,) if attack is man_in_the_middle else ()
            detail, stuck = attack(chain, watch, *args)
            after = watch.goes_on()
            result = f"ok: refused, {detail.split(':')[0]}; connection waited at {stuck}, now {after}"
        except (AssertionError, netns.NetnsError, OSError, subprocess.TimeoutExpired) as e:
            result, good = f"FAILED: {str(e)[:160]}", False
        rows.append((what, how, result))
        if not good:
            break  # what follows would start from an unknown state
    rows += [(what, how, "FAILED: not tried") for what, how, _ in chain.attacks[len(rows):]]
    watch.counter.stop()
    return rows, good
