"""TPM evidence without a TPM, and its verifier: TPM 2.0 Library Part 2 in Python, no code of ours.

A verifier that pins the attestation key cannot tell a chip from this: so the peers of the attack
suite are genuine whenever they want to be, and anything in their evidence can be changed. The
programs under attack have their evidence from swtpm.
"""

import datetime
import hashlib
import struct

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

from eng1peer import cbor, head, uncbor

TAG_NULL, TAG_SNP, TAG_TPM, TAG_INTEL = 0x1A7500, 0x1A7504, 0x1A7507, 60000
GENERATED, ST_QUOTE = 0xFF544347, 0x8018
SHA256, RSASSA, ECDSA = 0x000B, 0x0014, 0x0018
AIK = x509.ObjectIdentifier("2.23.133.8.3")
PCRS = {4: bytes(range(32)), 7: bytes(range(32, 64))}  # what the policies of the suite pin


def spki(key):
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def two(b):
    return struct.pack(">H", len(b)) + b


def envelope(tag, body, claims=b""):
    return head(6, tag) + cbor([body, claims])


class Malformed(Exception):
    pass


class SoftTpm:
    """An attestation key and PCR values. `chain` is PEM for verifiers that pin a CA."""

    def __init__(self, pcrs=None, chain=None, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.pcrs, self.chain = dict(PCRS if pcrs is None else pcrs), chain
        self.ak = spki(self.key.public_key())

    @property
    def ak_sha256(self):
        return hashlib.sha256(self.ak).hexdigest()

    def quote(self, nonce):
        values = b"".join(v for _, v in sorted(self.pcrs.items()))
        mask = sum(1 << i for i in self.pcrs)
        return (struct.pack(">IH", GENERATED, ST_QUOTE) + two(b"\0\x0b" + bytes(32)) + two(nonce)
                + struct.pack(">QIIBQ", 1000, 1, 1, 1, 0x2026)
                + struct.pack(">IHB", 1, SHA256, 3) + mask.to_bytes(3, "little")
                + two(hashlib.sha256(values).digest()), values)

    def sign(self, message):
        der = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(der)
        return struct.pack(">HH", ECDSA, SHA256) + two(r.to_bytes(32, "big")) + two(
            s.to_bytes(32, "big"))

    def body(self, report_data, **change):
        """The map of the evidence; `change` replaces fields of it, None leaves one out."""
        quote, values = self.quote(report_data)
        m = {"quote": quote, "signature": self.sign(quote), "pcrs": values, "ak": self.ak}
        if self.chain:
            m["ak_chain"] = self.chain
        m.update(change)
        return cbor({k: v for k, v in m.items() if v is not None})

    def __call__(self, report_data):
        return envelope(TAG_TPM, self.body(report_data))


# --- what a verifier does ----------------------------------------------------------------------


class Reader:
    def __init__(self, b):
        self.b, self.at = b, 0

    def take(self, n):
        if len(self.b) - self.at < n:
            raise Malformed("short")
        self.at += n
        return self.b[self.at - n:self.at]

    def num(self, n):
        return int.from_bytes(self.take(n), "big")

    def two(self):
        return self.take(self.num(2))


def untag(b):
    """(tag, body, claims buffer) of an envelope."""
    try:
        if b[0] >> 5 != 6:
            raise Malformed("no tag")
        tag, at = uncbor(bytes([b[0] & 0x1F]) + b[1:])
        (body, claims), at = uncbor(b, at)
    except (IndexError, ValueError, TypeError) as e:
        raise Malformed(str(e)) from None
    if at != len(b) or not isinstance(body, bytes) or not isinstance(claims, bytes):
        raise Malformed("envelope")
    return tag, body, claims


def signature_holds(ak, message, sig):
    r = Reader(sig)
    scheme, hash_alg = r.num(2), r.num(2)
    if hash_alg != SHA256:
        return False
    try:
        if scheme == ECDSA and isinstance(ak, ec.EllipticCurvePublicKey):
            der = utils.encode_dss_signature(int.from_bytes(r.two(), "big"),
                                             int.from_bytes(r.two(), "big"))
            ak.verify(der, message, ec.ECDSA(hashes.SHA256()))
            return True
        if scheme == RSASSA and isinstance(ak, rsa.RSAPublicKey):
            ak.verify(r.two(), message, padding.PKCS1v15(), hashes.SHA256())
            return True
    except InvalidSignature:
        pass
    return False


def appraise(evidence, report_data, ak_sha256, pcrs=None, skip=()):
    """None when the evidence is good; else the word for what is not. `skip`: checks left out."""
    try:
        tag, body, claims = untag(evidence)
        if tag != TAG_TPM:
            return "policy"
        m, end = uncbor(body)
        if end != len(body) or not isinstance(m, dict):
            raise Malformed("map")
        quote, sig, values, ak = (m[k] for k in ("quote", "signature", "pcrs", "ak"))
        q = Reader(quote)
        if q.num(4) != GENERATED or q.num(2) != ST_QUOTE:
            raise Malformed("no quote")
        q.two()
        nonce = q.two()
        q.take(25)
        selected = []
        for _ in range(q.num(4)):
            alg, mask = q.num(2), int.from_bytes(q.take(q.num(1)), "little")
            selected += [(alg, i) for i in range(24) if mask >> i & 1]
        digest = q.two()
        if q.at != len(quote) or any(alg != SHA256 for alg, _ in selected):
            raise Malformed("quote")
        key = serialization.load_der_public_key(ak)
        good = signature_holds(key, quote, sig)
    except (KeyError, IndexError, ValueError, TypeError, Malformed):
        return "format"
    if hashlib.sha256(ak).hexdigest() != ak_sha256 and "signer" not in skip:
        return "signer"
    if not good and "signature" not in skip:
        return "signature"
    if digest != hashlib.sha256(values).digest() and "pcr-digest" not in skip:
        return "pcr-digest"
    bound = hashlib.sha256(claims).digest() + bytes(32) if claims else report_data
    if (nonce.ljust(64, b"\0") != report_data or bound != report_data) and "binding" not in skip:
        return "binding"
    found = {i: values[32 * n:32 * n + 32] for n, (_, i) in enumerate(selected)}
    if any(found.get(i) != v for i, v in (pcrs or {}).items()) and "measurement" not in skip:
        return "measurement"
    return None


# --- a PKI for attestation keys ----------------------------------------------------------------


def pem(*objects):
    return b"".join(o.public_bytes(serialization.Encoding.PEM) for o in objects)


class Ca:
    """Issues certificates for attestation keys, and revocation lists. Times in days from now."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "attack suite CA")])
        self.cert = self._issue(self.key, self.name, -30, 3650, ca=True)
        self.key_sha256 = hashlib.sha256(spki(self.key.public_key())).hexdigest()

    def _issue(self, key, subject, since, until, ca):
        now = datetime.datetime.utcnow()
        b = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
             .public_key(key.public_key()).serial_number(x509.random_serial_number())
             .not_valid_before(now + datetime.timedelta(days=since))
             .not_valid_after(now + datetime.timedelta(days=until))
             .add_extension(x509.BasicConstraints(ca, None), critical=True))
        if ca:
            b = b.add_extension(x509.KeyUsage(False, False, False, False, False, True, True,
                                              False, False), critical=True)
        else:
            b = b.add_extension(x509.ExtendedKeyUsage([AIK]), critical=False)
        return b.sign(self.key, hashes.SHA256())

    def tpm(self, since=-10, until=365, **kw):
        """A SoftTpm whose key this CA vouches for; its certificate is `.cert`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "attack suite AK")])
        cert = self._issue(key, name, since, until, ca=False)
        t = SoftTpm(key=key, chain=pem(cert, self.cert), **kw)
        t.cert = cert
        return t

    def crl(self, *revoked, since=-1, until=30):
        now = datetime.datetime.utcnow()
        b = (x509.CertificateRevocationListBuilder().issuer_name(self.name)
             .last_update(now + datetime.timedelta(days=since))
             .next_update(now + datetime.timedelta(days=until))
             .add_extension(x509.CRLNumber(1), critical=False))
        for cert in revoked:
            b = b.add_revoked_certificate(x509.RevokedCertificateBuilder()
                                          .serial_number(cert.serial_number)
                                          .revocation_date(now - datetime.timedelta(days=2))
                                          .build())
        return pem(b.sign(self.key, hashes.SHA256()))
