"""The other side of the attacks, as docs/wire.md wants it: a verifier that keeps every rule, on
OpenSSL, no code of ours. With it the attack suite is tested itself: each attack is refused here
too, and with the one check left out that it goes against (`skip`) it gets through. So an attack
that would be refused for some other reason than the one it is about, is found.
"""

import ipaddress
import os
import threading
import time

from OpenSSL import SSL

import eng1tls as at
import eng1peer as e

GRANTED = ipaddress.ip_network("10.66.0.0/24")
PACKETS = (e.ROUTES, e.PING, e.PONG, e.PACKET_GSO)


class Refused(Exception):
    pass


class Reference:
    """One connection, served in a thread. Afterwards `opened` and `why` tell what came of it."""

    def __init__(self, sock, role, identity, appraise, attester=None, skip=(), timeout=5,
                 reattest=False):
        self.sock, self.role, self.identity = sock, role, identity
        self.appraise, self.attester = appraise, attester
        self.skip, self.timeout, self.reattest = skip, timeout, reattest
        self.opened, self.why = False, None
        self.mine, self.answered, self.challenged = os.urandom(32), False, False
        self.prefixes = []
        self.greeted = self.accepted = self.heard = False
        self.delivered = self.proofs = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def check(self, name, ok):
        if not ok and name not in self.skip:
            raise Refused(name)

    def _run(self):
        try:
            self._serve()
        except Refused as x:
            self.why = str(x)
            try:
                self.c.send(e.control(e.ERROR, {0: 6, 1: self.why}))
            except (at.Closed, TimeoutError):
                pass
        except at.Closed as x:
            self.why = x.how
        except TimeoutError:
            self.why = "timeout"
        except Exception as x:  # noqa: BLE001 - what the peer sent made no sense to this decoder
            self.why = f"format: {x!r}"
        finally:
            self.sock.close()

    def _serve(self):
        deadline = time.monotonic() + self.timeout
        self.c = c = at.Conn(self.sock, self.role, self.identity)
        if "tls13" in self.skip:
            c.tls.get_context().set_min_proto_version(SSL.TLS1_2_VERSION)
        c.handshake(self.timeout)
        self.check("alpn", c.tls.get_alpn_proto_negotiated() == at.ALPN)
        self.check("certificate", c.tls.get_peer_certificate() is not None)
        self.check("resumed", not at.libssl.SSL_session_reused(c.ssl))
        hello = e.hello(e.GATEWAY, name="reference")
        if self.role == at.CLIENT:
            c.send(hello, at.challenge(self.mine))
        while True:
            self._frame(c.frame(deadline - time.monotonic()), hello)
            was_open, self.opened = self.opened, self.accepted and self.heard
            if self.opened and not was_open and self.reattest:
                self.mine, self.answered = os.urandom(32), False
                self.challenged = False
                c.send(at.challenge(self.mine))

    def _frame(self, body, hello):
        kind = body[0]
        if kind >= 0x40 or kind in PACKETS:
            self.check("order", self.opened)
            self.delivered += 1
            raise Refused("nothing: delivered")
        elif kind == e.HELLO:
            self.check("hello-once", not self.greeted)
            m = e.uncbor(body, 1)[0]
            self.check("version", m[0] == 1)
            self.check("role", m[1] == (e.AGENT if self.role == at.SERVER else e.GATEWAY))
            if self.role == at.SERVER and not self.greeted:
                self.c.send(hello, at.challenge(self.mine))
            self.prefixes = m[4]
            self.greeted = True
        elif kind == e.ERROR:
            raise Refused("error of the peer")
        else:
            self.check("hello-first", self.greeted)
            {at.CHALLENGE: self._challenged, at.EVIDENCE: self._evidence,
             at.ACCEPT: self._accept}.get(kind, self._unknown)(body)

    def _unknown(self, body):
        self.check("type", False)

    @staticmethod
    def _granted(prefix):
        return ipaddress.ip_network((prefix[0], prefix[1])).subnet_of(GRANTED)

    def _map(self, body):
        """The map of a control frame, which has to be as a sender writes it."""
        m, _ = e.uncbor(body, 1)
        self.check("format", e.cbor(m) == body[1:])
        return m

    def _challenged(self, body):
        m = self._map(body)
        self.check("format", len(m[0]) == 32)
        self.check("challenge-once", not self.challenged)
        self.challenged = True
        self.check("attester", self.attester is not None)
        if self.attester:
            self.c.answer(m[0], self.attester)

    def _evidence(self, body):
        m = self._map(body)
        self.check("format", sorted(m)[:3] == [0, 1, 2] and len(m[0]) == 32 and m[1]
                   and len(m[1]) <= 60000 and len(m[2]) <= 60000)
        self.check("unsolicited", not self.answered)
        self.check("nonce", m[0] == self.mine)
        self.answered = True
        why = self.appraise(m[1], self.c.report_data(self.mine, self.c.other), self.skip)
        self.check(why or "", not why)
        self.proofs += 1
        self.check("prefix", all(self._granted(p) for p in self.prefixes))
        if not self.accepted:
            self.c.send(at.accept())
        self.accepted = True

    def _accept(self, body):
        self.check("accept-once", not self.heard)
        self.check("format", body[1:] == b"\xa0")
        self.heard = True
