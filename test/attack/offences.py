"""The attacks, each as a program that does it. A Lab is what an attacker has: a way to reach its
target (as the dialling side or as the one that is dialled), genuine attestation keys where the
attack needs them, a prefix that it would like to own. An attack breaks one rule of docs/wire.md.

`skip` names the check of reference.py that alone stands in its way: the suite's own test leaves
it out and sees the attack succeed. `log` is what the line about it in our programs' log must say.
"""

import dataclasses
import hashlib
import os
import pathlib
import random
import re
import threading

from OpenSSL import SSL

import eng1tls as at
import eng1peer as e
import softtpm
from eng1tls import accept, challenge, evidence
from softtpm import SoftTpm, envelope

VECTORS = pathlib.Path(os.environ.get(
    "ENG_VECTORS", pathlib.Path(__file__).resolve().parents[3] / "shared" / "vectors"))
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


# --- EVIDENCE that is not about this session ---------------------------------------------------


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


def recorded(lab, key=None):
    """EVIDENCE that the genuine TEE gave in another session, for a nonce of the attacker's."""
    a, b = at.pair()
    out = {}

    def genuine():
        c = at.Conn(a, lab.role, key or lab.identity).handshake()
        out["nonce"] = os.urandom(32)
        out["evidence"] = lab.tpm(c.report_data(out["nonce"]))
        c.wait_closed()
    t = threading.Thread(target=genuine, daemon=True)
    t.start()
    server = lab.role == at.SERVER
    other = at.Conn(b, at.CLIENT if server else at.SERVER, at.Identity()).handshake()
    while "evidence" not in out:
        t.join(0.01)
    other.close()
    t.join()
    a.close()
    return out["nonce"], out["evidence"]


@attack("replay-of-another-session", log=untrusted("BINDING"), skip=("binding",))
def _(lab):
    _, old = recorded(lab)  # with the same key in the certificate
    c, nonce = lab.greeted()
    lab.press(c, evidence(nonce, old))


@attack("replay-verbatim", log="reason=evidence-unexpected", skip=("nonce", "binding"))
def _(lab):
    old_nonce, old = recorded(lab)
    c, _ = lab.greeted()
    lab.press(c, evidence(old_nonce, old))


@proof("replay-with-exporter-of-another-session", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, exporter=os.urandom(32))))


@proof("no-exporter", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, exporter=b"")))


@proof("zero-exporter", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, exporter=bytes(32))))


@proof("exporter-with-another-label", skip=("binding",))
def _(c, nonce, tpm):
    other = c.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32)
    return evidence(nonce, tpm(c.report_data(nonce, exporter=other)))


@proof("evidence-for-another-key", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, key=at.Identity().spki)))


@proof("evidence-for-the-verifiers-key", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, key=c.peer_spki())))


@proof("role-swap", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, role=c.other, key=c.identity.spki)))


@proof("role-swap-whole", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, role=c.other)))


@proof("role-swap-byte", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, role=c.other, label=c.role,
                                             key=c.identity.spki)))


@proof("role-swap-label", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce, label=c.other)))


@proof("evidence-over-another-nonce", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(os.urandom(32))))


@proof("evidence-over-no-nonce", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(b"")))


@proof("half-of-the-report-data", skip=("binding",))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce)[:32]))


@attack("reflection", roles=LISTEN, log=untrusted("BINDING"), skip=("binding",), needs="attester")
def _(lab):
    c, nonce = lab.greeted()
    c.send(challenge(nonce))
    m = c.until(at.EVIDENCE)
    lab.press(c, e.control(at.EVIDENCE, {0: nonce, 1: m[1], 2: m[2]}))


@attack("reflection-verbatim", roles=LISTEN, log="reason=evidence-unexpected",
        skip=("nonce", "binding"), needs="attester")
def _(lab):
    c, _ = lab.greeted()
    c.send(challenge(os.urandom(32)))
    c.until(at.EVIDENCE)
    lab.press(c, e.frame(next(f for f in c.frames if f[0] == at.EVIDENCE)))


# Who is dialled proves nothing to strangers. So an attacker that wants the verifier's own evidence
# has to be accepted first, and reflects when it is asked again.


@attack("reflection-when-asked-again", log=untrusted("BINDING"), skip=("binding",), opens=True,
        slow=True, needs="reattest")
def _(lab):
    c, nonce = lab.asked_again()
    c.send(challenge(nonce))
    m = c.until(at.EVIDENCE)
    c.send(e.control(at.EVIDENCE, {0: nonce, 1: m[1], 2: m[2]}))


@attack("replay-within-the-session", log=untrusted("BINDING"), skip=("binding",), opens=True,
        slow=True, needs="reattest")
def _(lab):
    c, nonce = lab.asked_again()
    c.send(evidence(nonce, c.proof))


@attack("replay-within-the-session-verbatim", log="reason=evidence-unexpected",
        skip=("nonce", "binding"), opens=True, slow=True, needs="reattest")
def _(lab):
    c, _ = lab.asked_again()
    c.send(evidence(c.proof_nonce, c.proof))


@attack("proof-that-is-not-repeated", log="reason=no-evidence", opens=True, slow=True,
        needs="reattest")
def _(lab):
    lab.asked_again()


# --- EVIDENCE that is not good enough ----------------------------------------------------------


@proof("unknown-attestation-key", log=untrusted("SIGNER"), skip=("signer",))
def _(c, nonce, tpm):
    return evidence(nonce, SoftTpm(tpm.pcrs)(c.report_data(nonce)))


@proof("pinned-key-but-not-its-signature", log=untrusted("SIGNATURE"), skip=("signature",))
def _(c, nonce, tpm):
    rd = c.report_data(nonce)
    quote, _ = tpm.quote(rd)
    return evidence(nonce, envelope(softtpm.TAG_TPM, tpm.body(
        rd, signature=SoftTpm().sign(quote))))


@proof("other-measurement", log=untrusted("MEASUREMENT"), skip=("measurement",))
def _(c, nonce, tpm):
    return evidence(nonce, SoftTpm({4: bytes(32), 7: tpm.pcrs[7]}, key=tpm.key)(
        c.report_data(nonce)))


@proof("measurement-left-out", log=untrusted("MEASUREMENT"), skip=("measurement",))
def _(c, nonce, tpm):
    return evidence(nonce, SoftTpm({7: tpm.pcrs[7]}, key=tpm.key)(c.report_data(nonce)))


@proof("good-pcrs-beside-another-quote", skip=("pcr-digest",))
def _(c, nonce, tpm):
    rd = c.report_data(nonce)
    bad = SoftTpm({4: bytes(32), 7: tpm.pcrs[7]}, key=tpm.key)
    return evidence(nonce, envelope(softtpm.TAG_TPM, bad.body(rd, pcrs=tpm.quote(rd)[1])))


def claims(spki):
    """Claims buffer of Interoperable RA-TLS about a key."""
    return e.cbor({"pubkey-hash": e.cbor([1, hashlib.sha256(spki).digest()])})


@proof("evidence-bound-by-claims-buffer", log=untrusted("BINDING"), skip=("binding",))
def _(c, nonce, tpm):
    buf = claims(c.identity.spki)
    rd = hashlib.sha256(buf).digest() + bytes(32)
    return evidence(nonce, envelope(softtpm.TAG_TPM, tpm.body(rd), buf))


def certified(lab):
    """An identity whose certificate carries genuine evidence about its key, as RA-TLS has it."""
    key = at.ec.generate_private_key(at.ec.SECP256R1())
    buf = claims(softtpm.spki(key.public_key()))
    rd = hashlib.sha256(buf).digest() + bytes(32)
    return at.Identity(("2.23.133.5.4.9", envelope(softtpm.TAG_TPM, lab.tpm.body(rd), buf)),
                       key=key)


@attack("certificate-instead-of-session-evidence", log=untrusted("(BINDING|FORMAT)"))
def _(lab):
    who = certified(lab)
    c, nonce = lab.greeted(identity=who)
    lab.press(c, evidence(nonce, who.der()))


@attack("certificate-evidence-and-silence", slow=True, log="reason=no-evidence")
def _(lab):
    c, _ = lab.greeted(identity=certified(lab))
    c.send(accept())


# --- another kind of evidence ------------------------------------------------------------------


def vector(path, tag=None):
    data = (VECTORS / path).read_bytes()
    return envelope(tag, data) if tag else data


for _name, _path, _tag in (
        ("sgx", "sgx/sgx_00606a000000_occlum.quote.bin", softtpm.TAG_INTEL),
        ("tdx", "tdx", softtpm.TAG_INTEL),
        ("snp", "snp/snp3_milan_microsoft.report.bin", softtpm.TAG_SNP),
        ("snp-bare", "snp/snp3_milan_microsoft.report.bin", None),
        ("certificate-of-rats-tls", "ratls/interop_rats-tls-cert.pem", None)):
    def _vector(c, nonce, tpm, path=_path, tag=_tag):
        if path == "tdx":
            path = sorted((VECTORS / "tdx").glob("*.quote.bin"))[0].relative_to(VECTORS)
        return evidence(nonce, vector(path, tag))
    # A gateway in an enclave of the stand-ins' maker takes SGX, but no other maker's.
    _is_sgx = _name in ("sgx", "certificate-of-rats-tls")
    _why = "(POLICY|FORMAT|CHAIN)" if _is_sgx else "(POLICY|FORMAT)"
    proof("genuine-evidence-of-" + _name, log=untrusted(_why))(_vector)


@proof("null-evidence", log=untrusted("(POLICY|FORMAT)"))
def _(c, nonce, tpm):
    return evidence(nonce, envelope(softtpm.TAG_NULL, c.report_data(nonce)))


@proof("unknown-tag", log=untrusted("FORMAT"))
def _(c, nonce, tpm):
    return evidence(nonce, envelope(0x1A75FF, tpm.body(c.report_data(nonce))))


@proof("tag-of-another-tee", log=untrusted("(FORMAT|POLICY)"))
def _(c, nonce, tpm):
    return evidence(nonce, envelope(softtpm.TAG_SNP, tpm.body(c.report_data(nonce))))


@proof("bare-json", log=untrusted("FORMAT"))
def _(c, nonce, tpm):
    return evidence(nonce, b'{"trusted":true}')


@proof("random-evidence", log=untrusted("FORMAT"))
def _(c, nonce, tpm):
    return evidence(nonce, random.Random(4).randbytes(60000))


@proof("truncated-evidence", log=untrusted("FORMAT"))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce))[:-1])


@proof("evidence-twice-in-one", log=untrusted("FORMAT"))
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce)) * 2)


# --- malformed frames --------------------------------------------------------------------------

MALFORMED = "reason=control-malformed"


def shape(name, log=MALFORMED, **kw):
    return proof("evidence-frame-" + name, log=log, **kw)


@shape("empty")
def _(c, nonce, tpm):
    return e.frame(bytes([at.EVIDENCE]))


@shape("empty-map")
def _(c, nonce, tpm):
    return e.control(at.EVIDENCE, {})


def _good_map(c, nonce, tpm):
    return {0: nonce, 1: tpm(c.report_data(nonce)), 2: b""}


for _key, _what in ((0, "nonce"), (1, "evidence"), (2, "endorsements")):
    def _without(c, nonce, tpm, key=_key):
        m = _good_map(c, nonce, tpm)
        del m[key]
        return e.control(at.EVIDENCE, m)
    shape("without-" + _what)(_without)


@shape("truncated")
def _(c, nonce, tpm):
    return e.frame(e.control(at.EVIDENCE, _good_map(c, nonce, tpm))[4:-2])


@shape("trailing", skip=("format",))
def _(c, nonce, tpm):
    return e.frame(e.control(at.EVIDENCE, _good_map(c, nonce, tpm))[4:] + b"\0")


@shape("duplicate-key")
def _(c, nonce, tpm):
    good = e.control(at.EVIDENCE, _good_map(c, nonce, tpm))[4:]
    return e.frame(good[:1] + b"\xa4\x00" + e.cbor(nonce) + good[2:])


@shape("descending-keys")
def _(c, nonce, tpm):
    m = _good_map(c, nonce, tpm)
    return e.frame(bytes([at.EVIDENCE, 0xA3])
                   + b"".join(e.cbor(k) + e.cbor(m[k]) for k in (2, 1, 0)))


@shape("indefinite")
def _(c, nonce, tpm):
    good = e.control(at.EVIDENCE, _good_map(c, nonce, tpm))[4:]
    return e.frame(good[:1] + b"\xbf" + good[2:] + b"\xff")


@shape("nonce-of-31")
def _(c, nonce, tpm):
    return evidence(nonce[:31], tpm(c.report_data(nonce)))


@shape("nonce-of-33")
def _(c, nonce, tpm):
    return evidence(nonce + b"\0", tpm(c.report_data(nonce)))


@shape("text-for-bytes")
def _(c, nonce, tpm):
    return e.control(at.EVIDENCE, {0: nonce, 1: "tpm", 2: b""})


@shape("no-evidence-in-it")
def _(c, nonce, tpm):
    return evidence(nonce, b"")


@shape("evidence-of-60001")
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce)).ljust(60001, b"\0"))


@shape("endorsements-of-60001")
def _(c, nonce, tpm):
    return evidence(nonce, tpm(c.report_data(nonce)), bytes(60001))


@shape("of-66001", log="reason=frame-too-long")
def _(c, nonce, tpm):
    return (66001).to_bytes(4, "big") + bytes(66001)


@shape("length-0", log="reason=frame-empty")
def _(c, nonce, tpm):
    return bytes(4)




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
        c._tls(c.tls.do_handshake, at.time.monotonic() + 15)  # pylint: disable=protected-access
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


def run(name, lab, timeout=30):
    """Does it and waits for the end; how the target ended each connection."""
    try:
        ATTACKS[name].run(lab)
    except (at.Closed, ConnectionError):
        pass  # refused in the middle of it
    return lab.finish(timeout)


def of_role(role, slow=False):
    return [a for a in ATTACKS.values() if role in a.roles and a.slow == slow]


def matches(attack_, line):
    return re.search(attack_.log, line)
