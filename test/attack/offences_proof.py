"""Attacks with the proof itself: EVIDENCE of other sessions, keys, roles, TEEs; malformed EVIDENCE."""

import hashlib
import os
import pathlib
import random
import threading

import eng1peer as e
import eng1tls as at
import softtpm
from eng1tls import accept, challenge, evidence
from lab import LISTEN, attack, proof, untrusted
from softtpm import SoftTpm, envelope

VECTORS = pathlib.Path(os.environ.get(
    "ENG_VECTORS", pathlib.Path(__file__).resolve().parents[3] / "shared" / "vectors"))
MALFORMED = "reason=control-malformed"


# --- EVIDENCE that is not about this session ---------------------------------------------------


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
