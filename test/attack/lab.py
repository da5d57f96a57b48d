"""What an attacker has: a way to reach its target, keys, and the table in which attacks stand.

A Lab reaches the target as the side that dials or as the one that is dialled. It has a genuine
attestation key, where the attack needs one, and a prefix that it would like to own.
"""

import dataclasses

import eng1peer as e
import eng1tls as at
from eng1tls import accept

TO = "10.66.1.2"  # to whom attackers send packets
BOTH, DIAL, LISTEN = (at.CLIENT, at.SERVER), (at.CLIENT,), (at.SERVER,)


class Lab:
    def __init__(self, role, connect, tpm, prefix="10.66.0.66/32", eng_role=None, victim=None):
        self.role, self.connect, self.tpm, self.prefix = role, connect, tpm, prefix
        self.eng_role = eng_role or (e.AGENT if role == at.CLIENT else e.GATEWAY)
        self.identity, self.conns, self.socks = at.Identity(), [], []
        self.victim = victim or at.Identity()  # whose certificate may be copied

    def hello(self, **kw):
        kw.setdefault("prefixes", [self.prefix] if self.eng_role == e.AGENT else [])
        return e.hello(kw.pop("role", self.eng_role), **kw)

    def raw(self):
        s = self.connect()
        s.settimeout(20)
        self.socks.append(s)
        return s

    def tls(self, **opts):
        c = self.new(**opts)
        return c.handshake()

    def new(self, **opts):
        opts.setdefault("identity", self.identity)
        c = at.Conn(self.raw(), self.role, **opts)
        self.conns.append(c)
        return c

    def greeted(self, **opts):
        """(Conn, nonce): introduced, and asked for evidence."""
        hello = opts.pop("hello", None) or self.hello()
        c = self.tls(**opts)
        if self.role == at.CLIENT:
            c.send(hello)
        nonce = c.until(at.CHALLENGE)[0]
        if self.role == at.SERVER:
            c.send(hello)
        return c, nonce

    def opened(self, **opts):
        c = self.tls(**opts)
        return c.open(self.hello(), self.tpm)

    def press(self, c, proof):
        """Offers it as proof, and uses what an accepted peer may do."""
        c.send(proof, accept())
        c.until(at.ACCEPT)
        c.send(self.packet())

    def asked_again(self):
        """(Conn, nonce): accepted, and now asked a second time."""
        c = self.opened()
        return c, c.until(at.CHALLENGE)[0]

    def packet(self):
        return e.frame(e.udp4(self.prefix.split("/", maxsplit=1)[0], TO, 9, 9, b"x" * 64))

    def finish(self, timeout):
        """Waits until the target has closed everything; how it ended each of them."""
        how = []
        for c in self.conns:
            how.append(c.wait_closed(timeout))
            c.abort()
        for s in self.socks[len(self.conns):]:
            s.settimeout(timeout)
            try:
                while s.recv(65536):
                    pass
            except TimeoutError:
                raise
            except OSError:
                pass
            how.append("closed")
            s.close()
        return how

    def packets(self):
        return sum(c.packets for c in self.conns)


@dataclasses.dataclass
class Attack:
    name: str
    run: object
    roles: tuple = BOTH
    log: str = r"reason=\S+"
    skip: tuple = ()
    opens: bool = False  # begins as a peer that is rightly accepted
    slow: bool = False   # ends by a timeout of the target
    needs: str = ""      # "attester": the target must be able to prove itself


ATTACKS = {}


def attack(name, **kw):
    def add(fn):
        assert name not in ATTACKS
        ATTACKS[name] = Attack(name, fn, **kw)
        return fn
    return add


def untrusted(check):
    return rf'reason=untrusted detail="{check}'


def proof(name, **kw):
    """An attack that answers the challenge with what fn(conn, nonce, tpm) makes, and accepts."""
    kw.setdefault("log", untrusted("BINDING"))

    def add(fn):
        def run(lab):
            c, nonce = lab.greeted()
            lab.press(c, fn(c, nonce, lab.tpm))
        attack(name, **kw)(run)
        return fn
    return add


def run(name, lab, timeout=30):
    """Does it and waits for the end; how the target ended each connection."""
    try:
        ATTACKS[name].run(lab)
    except (at.Closed, ConnectionError):
        pass  # refused in the middle of it
    return lab.finish(timeout)


def of_role(role, slow=False):
    return [a for a in ATTACKS.values() if role in a.roles and a.slow == slow]
