"""Scripted peers of protocol eng/1, written from docs/wire.md: for tests that need many peers, or
ones that do not keep the rules. No code of ours; the CBOR here is the little that the format has.
"""

import ipaddress
import os
import socket
import struct
import threading
import time

HELLO, ROUTES, PING, PONG, EVIDENCE, GOAWAY, ERROR, PACKET_GSO = range(1, 9)
AGENT, GATEWAY = 1, 2
FEATURE_GSO, FEATURE_USO = 1, 2


# --- CBOR (RFC 8949), deterministic, as far as control frames go ----------------------------------


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for more, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | more]) + n.to_bytes(size, "big")
    raise ValueError(n)


def cbor(v):
    if isinstance(v, int):
        return head(0, v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, (list, tuple)):
        return head(4, len(v)) + b"".join(cbor(x) for x in v)
    if isinstance(v, dict):
        return head(5, len(v)) + b"".join(cbor(k) + cbor(x) for k, x in sorted(v.items()))
    raise TypeError(type(v))


def uncbor(b, at=0):
    """(value, next) of the item at `at`."""
    major, low = b[at] >> 5, b[at] & 31
    at += 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    n = int.from_bytes(b[at:at + size], "big") if size else low
    at += size
    if major == 0:
        return n, at
    if major in (2, 3):
        raw = b[at:at + n]
        return (raw if major == 2 else raw.decode()), at + n
    if major == 4:
        out = []
        for _ in range(n):
            v, at = uncbor(b, at)
            out.append(v)
        return out, at
    if major == 5:
        pairs = {}
        for _ in range(n):
            k, at = uncbor(b, at)
            pairs[k], at = uncbor(b, at)
        return pairs, at
    raise ValueError(f"major type {major}")


# --- frames ------------------------------------------------------------------------------------


def frame(body):
    return struct.pack(">I", len(body)) + body


def control(kind, pairs):
    return frame(bytes([kind]) + cbor(pairs))


def prefix(text):
    net = ipaddress.ip_network(text)
    return [net.network_address.packed, net.prefixlen]


def hello(role=AGENT, prefixes=(), name="scripted", node_id=None, features=0, mtu=1500, version=1, lane=0):
    return control(HELLO, {0: version, 1: role, 2: node_id or os.urandom(16), 3: name,
                           4: [prefix(p) for p in prefixes], 5: features, 6: mtu} | ({7: lane} if lane else {}))


def routes(*pairs):
    """(prefix, [node ids]) each; an empty path withdraws."""
    return control(ROUTES, {0: [prefix(p) + [b"".join(path)] for p, path in pairs]})


# --- packets -----------------------------------------------------------------------------------


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def ipv4(src, dst, payload, proto=17, ttl=64, ihl=5, options=b"", flags_fragment=0x4000, total=None):
    total = 20 + len(options) + len(payload) if total is None else total
    h = struct.pack(">BBHHHBBH4s4s", 0x40 | ihl, 0, total, 0, flags_fragment, ttl, proto, 0,
                    ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed) + options
    return h[:10] + struct.pack(">H", checksum(h)) + h[12:] + payload


def udp4(src, dst, sport, dport, data, **kw):
    pseudo = (ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
              + struct.pack(">BBH", 0, 17, 8 + len(data)))
    h = struct.pack(">HHHH", sport, dport, 8 + len(data), 0)
    h = h[:6] + struct.pack(">H", checksum(pseudo + h + data) or 0xFFFF)
    return ipv4(src, dst, h + data, **kw)


# --- peers -------------------------------------------------------------------------------------


class Closed(Exception):
    """The other side closed; `error` has the text of its ERROR frame, if it sent one."""

    def __init__(self, error=None):
        super().__init__(error or "closed")
        self.error = error


class Peer:
    """A connection that answers PING in a thread of its own and keeps what else arrives."""

    def __init__(self, sock, first=b"", answer_pings=True):
        self.sock, self.answer_pings = sock, answer_pings
        self.sock.settimeout(None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lock = threading.Lock()
        self.hello = self.error = None
        self.packets, self.routes, self.closed = [], [], threading.Event()
        if first:
            self.send(first)
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, data):
        with self.lock:
            self.sock.sendall(data)

    def _read(self):
        buf = bytearray()
        try:
            while data := self.sock.recv(262144):
                buf += data
                at = 0
                while len(buf) - at >= 4:
                    n = int.from_bytes(buf[at:at + 4], "big")
                    if len(buf) - at < 4 + n:
                        break
                    self._frame(bytes(buf[at + 4:at + 4 + n]))
                    at += 4 + n
                del buf[:at]
        except OSError:
            pass
        self.closed.set()

    def _frame(self, body):
        kind = body[0]
        if kind >= 0x40 or kind == PACKET_GSO:
            self.packets.append(body)
        elif kind == HELLO:
            self.hello = uncbor(body, 1)[0]
        elif kind == ROUTES:
            self.routes += uncbor(body, 1)[0][0]
        elif kind == PING and self.answer_pings:
            self.send(frame(bytes([PONG]) + body[1:]))
        elif kind in (ERROR, GOAWAY):
            self.error = uncbor(body, 1)[0]

    def wait(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.01)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
