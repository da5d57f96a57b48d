"""A peer of eng/1 over TLS 1.3, written from docs/wire.md on OpenSSL alone: dials or listens,
attests itself, demands evidence. Honest as it stands; every step can be taken apart, and that is
what the attacks do. No code of ours.

A Conn belongs to one thread. What it received stands in `frames`, in order; `packets` counts what
may never come before both sides have accepted each other.
"""

import ctypes
import datetime
import hashlib
import os
import select
import socket
import struct
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

import eng1peer as e
from softtpm import spki

EVIDENCE, CHALLENGE, ACCEPT = 5, 9, 10
CLIENT, SERVER = 1, 2
LABEL = {CLIENT: b"EXPORTER-ENG-attest-v1-client", SERVER: b"EXPORTER-ENG-attest-v1-server"}
ALPN = b"eng/1"
libssl = ctypes.CDLL("libssl.so.3")  # the one that pyOpenSSL uses: for what it does not offer
libssl.SSL_write_early_data.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t,
                                        ctypes.POINTER(ctypes.c_size_t)]
for name in ("SSL_key_update", "SSL_set_max_early_data"):
    getattr(libssl, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
libssl.SSL_CTX_set_num_tickets.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
for name in ("SSL_session_reused", "SSL_get_early_data_status", "SSL_SESSION_is_resumable"):
    getattr(libssl, name).argtypes = [ctypes.c_void_p]


def pointer(cdata):
    """The address of an object of pyOpenSSL's, for libssl."""
    return int(SSL._ffi.cast("uintptr_t", cdata))  # pylint: disable=protected-access


def challenge(nonce):
    return e.control(CHALLENGE, {0: nonce})


def evidence(nonce, body, endorsements=b""):
    return e.control(EVIDENCE, {0: nonce, 1: body, 2: endorsements})


def accept():
    return e.control(ACCEPT, {})


class Identity:
    """A fresh key and its self-signed certificate, with extensions (OID, DER) on request."""

    def __init__(self, *extensions, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "eng")])
        now = datetime.datetime.utcnow()
        b = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
             .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
             .not_valid_before(now - datetime.timedelta(days=1))
             .not_valid_after(now + datetime.timedelta(days=30)))
        for oid, value in extensions:
            b = b.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value),
                                critical=False)
        self.cert = b.sign(self.key, hashes.SHA256())
        self.pkey = crypto.PKey.from_cryptography_key(self.key)

    @property
    def spki(self):
        return spki(self.cert.public_key())

    def der(self):
        return self.cert.public_bytes(serialization.Encoding.DER)


class Thief(Identity):
    """Somebody else's certificate, without its key: signatures are made with a key of its own."""

    def __init__(self, cert):
        self.cert, self.key = cert, ec.generate_private_key(ec.SECP256R1())
        scalar = self.key.private_numbers().private_value.to_bytes(32, "big")
        point = cert.public_key().public_bytes(serialization.Encoding.X962,
                                               serialization.PublicFormat.UncompressedPoint)
        # ECPrivateKey of RFC 5915 whose two halves do not belong together: OpenSSL compares the
        # certificate with the public half only.
        der = bytes.fromhex("30770201010420") + scalar + bytes.fromhex(
            "a00a06082a8648ce3d030107a144034200") + point
        self.pkey = crypto.load_privatekey(crypto.FILETYPE_ASN1, der)


class Closed(Exception):
    """The other side closed, or its TLS failed; `how` says it in words."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


def select_alpn(ours, offered):
    """Honest with the one protocol; what an attacker wants instead is selected unasked."""
    if not ours or ours == (ALPN,) and ALPN not in offered:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    return ours[0]


def context(role, identity, alpn=(ALPN,), version=SSL.TLS1_3_VERSION, tickets=False):
    c = SSL.Context(SSL.TLS_METHOD)
    c.set_min_proto_version(version)
    c.set_max_proto_version(version)
    c.set_verify(SSL.VERIFY_PEER, lambda *_: True)  # whose key it is, evidence will say
    if identity:
        c.use_certificate(crypto.X509.from_cryptography(identity.cert))
        c.use_privatekey(identity.pkey)
    if role == CLIENT and alpn:
        c.set_alpn_protos(list(alpn))
    if role == SERVER:
        c.set_alpn_select_callback(lambda _, offered: select_alpn(alpn, offered))
        c.set_session_cache_mode(SSL.SESS_CACHE_SERVER if tickets else SSL.SESS_CACHE_OFF)
        c.set_session_id(b"eng")
        if not tickets:
            libssl.SSL_CTX_set_num_tickets(pointer(c._context), 0)  # pylint: disable=protected-access
    return c


class Conn:
    """TLS and frames over a socket that is connected."""

    def __init__(self, sock, role, identity=None, session=None, early=None, **opts):
        self.sock, self.role, self.identity = sock, role, identity
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.frames, self.packets, self.error = [], 0, None
        self.buf, self.eof = bytearray(), None
        self.tls = SSL.Connection(context(role, identity, **opts), None)
        if session:
            self.tls.set_session(session)
        if role == CLIENT:
            self.tls.set_connect_state()
            if early:
                n = ctypes.c_size_t()
                libssl.SSL_write_early_data(self.ssl, early, len(early), ctypes.byref(n))
        else:
            self.tls.set_accept_state()

    @property
    def ssl(self):
        return pointer(self.tls._ssl)  # pylint: disable=protected-access

    # --- bytes

    def flush(self):
        while True:
            try:
                data = self.tls.bio_read(262144)
            except SSL.WantReadError:
                return
            self.raw(data)

    def raw(self, data):
        """Bytes past TLS."""
        self.sock.settimeout(20)
        try:
            self.sock.sendall(data)
        except OSError as x:
            raise Closed(f"sending: {x}") from None

    def _more(self, deadline):
        """Feeds what arrives next to TLS; TimeoutError at the deadline."""
        left = max(0, deadline - time.monotonic())
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(left * 1000):
            raise TimeoutError
        try:
            data = self.sock.recv(262144)
        except OSError as x:
            raise Closed(f"receiving: {x}") from None
        if not data:
            raise Closed("end of stream")
        self.tls.bio_write(data)

    def _tls(self, fn, deadline):
        """A call into TLS, repeated until it has what it needs."""
        while True:
            try:
                value = fn()
                self.flush()
                return value
            except SSL.WantReadError:
                self.flush()
                self._more(deadline)
            except SSL.ZeroReturnError:
                raise Closed("close_notify") from None
            except SSL.SysCallError as x:
                raise Closed(f"tls: {x}") from None
            except SSL.Error as x:
                try:
                    self.flush()  # our alert
                except Closed:
                    pass
                why = "; ".join(r[-1] for r in x.args[0]) if x.args and x.args[0] else "failed"
                raise Closed("tls: " + why) from None

    def handshake(self, timeout=15):
        self._tls(self.tls.do_handshake, time.monotonic() + timeout)
        return self

    def send(self, *data):
        view = memoryview(b"".join(data))
        while view.nbytes:
            n = self._tls(lambda: self.tls.send(view[:65536]), time.monotonic() + 15)
            view = view[n:]

    # --- frames

    def frame(self, timeout=15):
        """The body of the next frame. Closed, with what the peer's ERROR said; TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buf) >= 4:
                n = int.from_bytes(self.buf[:4], "big")
                if len(self.buf) >= 4 + n:
                    body = bytes(self.buf[4:4 + n])
                    del self.buf[:4 + n]
                    self._count(body)
                    return body
            self.buf += self._tls(lambda: self.tls.recv(65536), deadline)

    def _count(self, body):
        self.frames.append(body)
        if body[0] >= 0x40 or body[0] == e.PACKET_GSO:
            self.packets += 1
        elif body[0] in (e.ERROR, e.GOAWAY):
            self.error = e.uncbor(body, 1)[0]

    def until(self, kind, timeout=15):
        """The map of the next frame of this kind; what comes before it is kept in `frames`."""
        deadline = time.monotonic() + timeout
        while True:
            body = self.frame(deadline - time.monotonic())
            if body[0] == kind:
                return e.uncbor(body, 1)[0]
            if body[0] == e.PING and kind != e.PING:
                self.send(e.frame(bytes([e.PONG]) + body[1:]))

    def wait_closed(self, timeout=30):
        """Reads, answers PING, until the other side closes; how. TimeoutError if it does not."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                body = self.frame(deadline - time.monotonic())
                if body[0] == e.PING:
                    self.send(e.frame(bytes([e.PONG]) + body[1:]))
            except Closed as x:
                return self.error[1] if self.error else x.how

    def received(self, kind):
        return sum(1 for f in self.frames if f[0] == kind)

    def close(self):
        try:
            self.tls.shutdown()
            self.flush()
        except (SSL.Error, Closed):
            pass
        self.abort()

    def abort(self):
        self.sock.close()

    # --- what evidence speaks for

    def exporter(self, role):
        return self.tls.export_keying_material(LABEL[role], 32)

    def peer_spki(self):
        return spki(self.tls.get_peer_certificate().to_cryptography().public_key())

    def report_data(self, nonce, role=None, label=None, key=None, exporter=None):
        """Of this side, unless something else is asked for."""
        role = role or self.role
        key = key or (self.identity.spki if role == self.role else self.peer_spki())
        exporter = self.exporter(label or role) if exporter is None else exporter
        return hashlib.sha512(b"ENG-attest-v1" + bytes([role]) + exporter
                              + hashlib.sha384(key).digest() + nonce).digest()

    @property
    def other(self):
        return SERVER if self.role == CLIENT else CLIENT

    # --- an honest peer

    def open(self, hello, attester=None, appraise=None, timeout=20):
        """Introduces itself, proves itself when asked, accepts the peer: if `appraise(evidence,
        report data)` returns None, or unproven without one. Returns when packets may pass."""
        deadline = time.monotonic() + timeout
        mine = os.urandom(32)
        demand = challenge(mine) if appraise else b""
        accepted = greeted = heard = False
        if self.role == CLIENT:
            self.send(hello, demand)
        while not (accepted and heard):
            body = self.frame(deadline - time.monotonic())
            kind = body[0]
            if kind == e.HELLO:
                greeted = True
                if self.role == SERVER:
                    self.send(hello, demand)
                if not appraise:
                    self.send(accept())
                    accepted = True
            elif kind == CHALLENGE and attester:
                self.answer(e.uncbor(body, 1)[0][0], attester)
            elif kind == EVIDENCE and appraise:
                m = e.uncbor(body, 1)[0]
                why = appraise(m[1], self.report_data(mine, self.other))
                if m[0] != mine or why:
                    raise Closed(f"refused by us: {why or 'nonce'}")
                self.send(accept())
                accepted = True
            elif kind == ACCEPT and greeted:
                heard = True
            elif kind in (e.ERROR, e.GOAWAY):
                raise Closed(self.error[1])
            else:
                raise Closed(f"frame {kind} out of order")
        return self

    def answer(self, nonce, attester):
        self.proof_nonce, self.proof = nonce, attester(self.report_data(nonce))
        self.send(evidence(nonce, self.proof))


def pair():
    """Two connected sockets, of TCP: tests of the tool need no network."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        a = socket.create_connection(s.getsockname())
        b, _ = s.accept()
    return a, b


def reset(sock):
    """Ends a connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
