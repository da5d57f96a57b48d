"""Attacks around the proof: frames before their time, silence, TLS, prefixes."""

import os
import random
import threading
import time

from OpenSSL import SSL

import eng1peer as e
import eng1tls as at
from eng1tls import accept, challenge, evidence
from lab import DIAL, attack
from offences_proof import MALFORMED

# --- order -------------------------------------------------------------------------------------

EARLY = "reason=too-early"
FIRST = "reason=hello-expected"


@attack("evidence-twice", log="reason=evidence-unexpected", skip=("unsolicited",))
def _(lab):
    c, nonce = lab.greeted()
    c.send(evidence(nonce, lab.tpm(c.report_data(nonce))) * 2)


@attack("evidence-before-hello", log=FIRST)
def _(lab):
    c = lab.tls()
    c.send(evidence(bytes(32), lab.tpm(c.report_data(bytes(32)))), lab.hello(), accept())


@attack("evidence-unsolicited-when-open", opens=True, log="reason=evidence-unexpected",
        skip=("unsolicited",))
def _(lab):
    c = lab.opened()
    c.send(evidence(bytes(32), lab.tpm(c.report_data(bytes(32)))))


def _intruders(lab):
    return {"packet": lab.packet(), "gso": e.frame(b"\x08" + bytes(10) + lab.packet()[4:]),
            "ping": e.control(e.PING, {0: 1}), "pong": e.control(e.PONG, {0: 1}),
            "routes": e.routes(("10.66.7.0/24", [bytes(16)]))}


for _what in ("packet", "gso", "ping", "pong", "routes"):
    def _before_hello(lab, what=_what):
        lab.tls().send(_intruders(lab)[what])

    def _after_hello(lab, what=_what):
        c, _ = lab.greeted()
        c.send(_intruders(lab)[what])

    def _with_proof(lab, what=_what):
        c, nonce = lab.greeted()
        c.send(evidence(nonce, lab.tpm(c.report_data(nonce))), _intruders(lab)[what])

    def _before_accept(lab, what=_what):
        c, nonce = lab.greeted()
        c.send(evidence(nonce, lab.tpm(c.report_data(nonce))))
        c.until(at.ACCEPT)  # it takes us for good; we have not said so of it
        c.send(_intruders(lab)[what])

    attack(_what + "-before-hello", log=FIRST)(_before_hello)
    attack(_what + "-before-evidence", log=EARLY, skip=("order",))(_after_hello)
    attack(_what + "-behind-evidence", log=EARLY, skip=("order",))(_with_proof)
    attack(_what + "-before-our-accept", log=EARLY, skip=("order",))(_before_accept)


@attack("packet-behind-accept-without-evidence", log=EARLY, skip=("order",))
def _(lab):
    c, _ = lab.greeted()
    c.send(accept(), lab.packet())


@attack("accept-before-hello", log=FIRST, skip=("hello-first",))
def _(lab):
    lab.tls().send(accept(), lab.hello())


@attack("accept-twice", log="reason=accept-unexpected", skip=("accept-once",))
def _(lab):
    c, _ = lab.greeted()
    c.send(accept(), accept())


@attack("accept-twice-when-open", log="reason=accept-unexpected", opens=True, skip=("accept-once",))
def _(lab):
    lab.opened().send(accept())


@attack("accept-malformed", log=MALFORMED, skip=("format",))
def _(lab):
    c, _ = lab.greeted()
    c.send(e.frame(bytes([at.ACCEPT]) + b"\xa0\0"))


@attack("accept-with-a-list", log=MALFORMED, skip=("format",))
def _(lab):
    c, _ = lab.greeted()
    c.send(e.frame(bytes([at.ACCEPT]) + b"\x80"))


@attack("hello-twice", log="reason=hello-unexpected", skip=("hello-once",))
def _(lab):
    c, _ = lab.greeted()
    c.send(lab.hello())


@attack("hello-of-version-2", log="reason=version", skip=("version",))
def _(lab):
    lab.tls().send(lab.hello(version=2))


@attack("hello-of-the-wrong-role", log="reason=role", skip=("role",))
def _(lab):
    lab.tls().send(lab.hello(role=e.GATEWAY if lab.eng_role == e.AGENT else e.AGENT))


@attack("challenge-before-hello", log=FIRST, skip=("hello-first",))
def _(lab):
    lab.tls().send(challenge(os.urandom(32)), lab.hello())


@attack("challenge-twice", log="reason=challenge-unexpected", needs="attester",
        skip=("challenge-once",))
def _(lab):
    c, _ = lab.greeted()
    c.send(challenge(os.urandom(32)), challenge(os.urandom(32)))


@attack("challenge-flood", log="reason=challenge-unexpected", needs="attester")
def _(lab):
    c, _ = lab.greeted()
    c.send(*(challenge(os.urandom(32)) for _ in range(20000)))


@attack("challenge-again-and-again", log="reason=challenge-unexpected", needs="attester", opens=True,
        skip=("challenge-once",))
def _(lab):
    c = lab.opened()
    for _ in range(20):  # each when the last is answered
        c.send(challenge(os.urandom(32)))
        c.until(at.EVIDENCE)
    c.send(lab.packet())


@attack("challenge-short-nonce", log=MALFORMED, skip=("format",))
def _(lab):
    c, _ = lab.greeted()
    c.send(challenge(os.urandom(31)))


@attack("challenge-empty-map", log=MALFORMED)
def _(lab):
    c, _ = lab.greeted()
    c.send(e.control(at.CHALLENGE, {}))


@attack("type-11", log="reason=frame-type", skip=("type",))
def _(lab):
    c, _ = lab.greeted()
    c.send(e.frame(b"\x0b\xa0"))


# --- a peer that proves nothing ----------------------------------------------------------------


@attack("silence", slow=True, log="reason=no-evidence")
def _(lab):
    lab.greeted()


@attack("silence-of-the-handshake", slow=True, log="reason=silent")
def _(lab):
    lab.raw()


@attack("silence-behind-the-handshake", slow=True, log="reason=silent")
def _(lab):
    lab.tls()


@attack("accept-only", slow=True, log="reason=no-evidence")
def _(lab):
    c, _ = lab.greeted()
    c.send(accept())


@attack("evidence-but-never-accept", slow=True, log="reason=not-accepted")
def _(lab):
    c, nonce = lab.greeted()
    c.send(evidence(nonce, lab.tpm(c.report_data(nonce))))
    c.until(at.ACCEPT)


@attack("evidence-drop-by-drop", slow=True, log="reason=(no-evidence|silent)")
def _(lab):
    c, nonce = lab.greeted()
    data = evidence(nonce, lab.tpm(c.report_data(nonce)))
    stop = threading.Event()
    for b in data:
        if stop.wait(0.5):
            return
        try:
            c.send(bytes([b]))
            c.frame(0.01)
        except TimeoutError:
            pass
        except at.Closed:
            return


@attack("error-instead-of-evidence", log="reason=refused-by-peer")
def _(lab):
    c, _ = lab.greeted()
    c.send(e.control(e.ERROR, {0: 6, 1: "I have none"}))


@attack("goodbye-instead-of-evidence", log="reason=closed-by-peer")
def _(lab):
    c, _ = lab.greeted()
    c.tls.shutdown()
    c.flush()


# --- TLS ---------------------------------------------------------------------------------------

TLS = "reason=tls-handshake"


@attack("no-alpn", log=TLS, skip=("alpn",))
def _(lab):
    c = lab.tls(alpn=())
    c.send(lab.hello())


@attack("another-alpn", log=TLS)
def _(lab):
    c = lab.tls(alpn=(b"http/1.1", b"eng/2"))
    c.send(lab.hello())


@attack("tls-1.2", log=TLS)
def _(lab):
    c = lab.tls(version=SSL.TLS1_2_VERSION)
    c.send(lab.hello())


@attack("no-certificate", roles=DIAL, log=TLS, skip=("certificate",))
def _(lab):
    c = lab.tls(identity=None)
    c.send(lab.hello())


@attack("copied-certificate-without-its-key", log=TLS)
def _(lab):
    c = lab.tls(identity=at.Thief(lab.victim.cert))
    c.send(lab.hello())


def foreign_session(early=0):
    """A session with a ticket, of a server of the attacker's own."""
    a, b = at.pair()
    me = at.Identity()
    server = at.Conn(b, at.SERVER, me, tickets=True)
    at.libssl.SSL_set_max_early_data(server.ssl, early)
    client = at.Conn(a, at.CLIENT, me)
    t = threading.Thread(target=lambda: server.handshake().send(b"\0\0\0\1x"), daemon=True)
    t.start()
    client.handshake().frame()
    t.join()
    session = client.tls.get_session()
    for c in (client, server):  # who just goes away, may not resume
        c.tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
    a.close()
    b.close()
    return session


@attack("session-of-another-server", roles=DIAL, log="reason=refused-by-peer")
def _(lab):
    c = lab.new(session=foreign_session())
    c.handshake()
    assert not at.libssl.SSL_session_reused(c.ssl)
    c.send(lab.hello())
    c.until(at.CHALLENGE)  # a handshake like any other: it proves nothing
    c.send(e.control(e.ERROR, {0: 6, 1: "not resumed"}))


@attack("early-data", roles=DIAL, log="reason=hello-expected")
def _(lab):
    early = lab.hello() + lab.packet()
    c = lab.new(session=foreign_session(16384), early=early)
    c.handshake()
    assert at.libssl.SSL_get_early_data_status(c.ssl) == 1, "early data was accepted"
    try:
        c.frame(1)
        raise AssertionError("it answered to early data")
    except TimeoutError:
        c.send(e.control(e.ERROR, {0: 6, 1: "no early data"}))


@attack("ticket-for-later", roles=DIAL, opens=True, log="reason=goaway")
def _(lab):
    c = lab.opened()
    assert not at.libssl.SSL_SESSION_is_resumable(at.pointer(c.tls.get_session()._session)), \
        "a ticket came"
    c.send(e.control(e.GOAWAY, {0: 1, 1: "done"}))


@attack("renegotiation", log=TLS)
def _(lab):
    c, _ = lab.greeted()
    again = SSL.Connection(at.context(at.CLIENT, lab.identity), None)
    again.set_connect_state()
    try:
        again.do_handshake()
    except SSL.WantReadError:
        c.raw(again.bio_read(65536))


@attack("tampered-record", log=TLS)
def _(lab):
    c, nonce = lab.greeted()
    c.tls.send(evidence(nonce, lab.tpm(c.report_data(nonce))))
    record = bytearray(c.tls.bio_read(65536))
    record[-1] ^= 1
    c.raw(bytes(record))


@attack("oversize-record", log=TLS)
def _(lab):
    c, _ = lab.greeted()
    c.raw(b"\x17\x03\x03\xff\xff" + bytes(65535))


@attack("key-update-flood", log="reason=(refused-by-peer|tls-handshake)")
def _(lab):
    c, _ = lab.greeted()
    for _ in range(5000):
        at.libssl.SSL_key_update(c.ssl, 1)  # and yours too, please
        c.send(b"")
        c._tls(c.tls.do_handshake, time.monotonic() + 15)  # pylint: disable=protected-access
    c.send(e.control(e.ERROR, {0: 6, 1: "had enough"}))


@attack("eng1-without-tls", log=TLS)
def _(lab):
    s = lab.raw()
    s.sendall(lab.hello() + lab.packet())


@attack("packet-without-tls", log=TLS)
def _(lab):
    lab.raw().sendall(lab.packet())


@attack("garbage", log=TLS)
def _(lab):
    lab.raw().sendall(random.Random(6).randbytes(100_000))


@attack("http", log=TLS)
def _(lab):
    lab.raw().sendall(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n" * 10)


@attack("half-a-client-hello", slow=True, roles=DIAL, log="reason=silent")
def _(lab):
    c = at.Conn(lab.raw(), lab.role, lab.identity)
    try:
        c.tls.do_handshake()
    except SSL.WantReadError:
        c.raw(c.tls.bio_read(65536)[:-20])


# --- what a good peer may not have -------------------------------------------------------------


@attack("prefix-that-is-not-granted", roles=DIAL, log="reason=prefix-not-granted", skip=("prefix",))
def _(lab):
    c, nonce = lab.greeted(hello=lab.hello(prefixes=["10.99.0.1/32"]))
    c.send(evidence(nonce, lab.tpm(c.report_data(nonce))), accept())


@attack("wider-prefix-than-granted", roles=DIAL, log="reason=prefix-not-granted", skip=("prefix",))
def _(lab):
    c, nonce = lab.greeted(hello=lab.hello(prefixes=["10.66.0.0/15"]))
    c.send(evidence(nonce, lab.tpm(c.report_data(nonce))), accept())
