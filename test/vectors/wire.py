#!/usr/bin/python3
"""Makes wire.txt, the test vectors of docs/wire.md, from the specifications alone.

  test/vectors/wire.py > test/vectors/wire.txt

This is a second implementation of the formats, in another language and with nothing but the standard
library, so that the vectors do not merely repeat what the C code does. A line is

  KIND NAME RESULT HEX

frame    a stream; RESULT ok (its first frame is whole and the rest of the line's bytes follow it),
         more, empty or toobig
control  a whole frame; ok (and its sender wrote just these bytes), accept (good, but not what a sender
         writes), malformed or version
ip       a packet; ok or the reason of refusal
gso      the body of a PACKET_GSO; ok or the reason of refusal
segment  after the gso line of the same NAME: what it becomes, in order; RESULT is the number
"""

import struct

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FIN, SYN, PSH, ACK, CWR = 0x01, 0x02, 0x08, 0x10, 0x80


def emit(kind, name, result, data):
    print(kind, name, result, data.hex() or "-")


# CBOR, RFC 8949 section 3


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, fmt, limit in (24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64):
        if n < limit:
            return bytes([major << 5 | info]) + struct.pack(fmt, n)
    raise ValueError(n)


def cbor(v):
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(cbor, v))
    if isinstance(v, dict):
        return head(5, len(v)) + b"".join(cbor(k) + cbor(x) for k, x in v.items())
    raise TypeError(v)


def framed(body):
    return struct.pack(">I", len(body)) + body


def control(name, result, type_, value):
    body = bytes([type_]) + (value if isinstance(value, bytes) else cbor(value))
    emit("control", name, result, framed(body))


# Packets, RFC 791, 8200, 9293, 768, 1071


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


SRC4, DST4 = bytes([10, 0, 0, 1]), bytes([192, 168, 7, 9])
SRC6 = bytes.fromhex("20010db8000000000000000000000001")
DST6 = bytes.fromhex("20010db80000000100000000000000fe")


def ipv4(proto, payload, ident=0x1234, src=SRC4, dst=DST4, flags=0x4000, ttl=64, total=None):
    n = 20 + len(payload) if total is None else total
    h = struct.pack(">BBHHHBBH4s4s", 0x45, 0, n, ident & 0xFFFF, flags, ttl, proto, 0, src, dst)
    return h[:10] + struct.pack(">H", checksum(h)) + h[12:] + payload


def ipv6(proto, payload, src=SRC6, dst=DST6, between=b"", total=None):
    n = len(between) + len(payload) if total is None else total
    return struct.pack(">IHBB16s16s", 6 << 28, n, proto, 64, src, dst) + between + payload


def tcp(seq, flags, payload, options=b"", csum=0, offset=None):
    words = (20 + len(options)) // 4 if offset is None else offset
    return struct.pack(">HHIIBBHHH", 43210, 7, seq & 0xFFFFFFFF, 0x01020304, words << 4, flags, 502, csum, 0) + options + payload


def udp(payload, csum=0, length=None):
    return struct.pack(">HHHH", 5000, 53, 8 + len(payload) if length is None else length, csum) + payload


def finish(family, proto, l4):
    """Fills in the transport checksum of l4, whose checksum field is 0."""
    src, dst = (SRC4, DST4) if family == 4 else (SRC6, DST6)
    pseudo = src + dst + struct.pack(">II", len(l4), proto)
    c = checksum(pseudo + l4)
    if proto == UDP and c == 0:
        c = 0xFFFF
    at = 16 if proto == TCP else 6
    return l4[:at] + struct.pack(">H", c) + l4[at + 2:]


def wrap(family, proto, l4, ident, between, next_header):
    return ipv4(proto, l4, ident) if family == 4 else ipv6(next_header or proto, l4, between=between)


def vnet(flags, type_, hdr_len, size, start, offset):
    return struct.pack("<BBHHHH", flags, type_, hdr_len, size, start, offset)


def gso_body(hdr, packet):
    return b"\x08" + hdr + packet


PARTIAL = 0xBEEF  # whatever the sender left in the checksum field: it is not used


def gso_tcp(name, family, size, payload, flags, options=b"", ecn=0, seq=0xFFFFFFF0, ident=0xFFFE, between=b"", next_header=0):
    l4_at = (20 if family == 4 else 40) + len(between)
    big = wrap(family, TCP, tcp(seq, flags, payload, options, PARTIAL), ident, between, next_header)
    type_ = ((1 if family == 4 else 4) | ecn) if size else 0
    emit("gso", name, "ok", gso_body(vnet(1, type_, 0, size, l4_at, 16), big))
    chunks = [payload[i:i + size] for i in range(0, len(payload), size)] if size else [payload]
    for i, chunk in enumerate(chunks or [b""]):
        last, f = i + 1 >= len(chunks), flags
        if not last:
            f &= ~(FIN | PSH)
        if i > 0:
            f &= ~CWR
        l4 = finish(family, TCP, tcp(seq + i * size, f, chunk, options))
        emit("segment", name, i, wrap(family, TCP, l4, ident + i, between, next_header))


def gso_udp(name, family, size, payload, ident=7):
    l4_at = 20 if family == 4 else 40
    big = wrap(family, UDP, udp(payload, PARTIAL), ident, b"", 0)
    emit("gso", name, "ok", gso_body(vnet(1, 5 if size else 0, l4_at + 8, size, l4_at, 6), big))
    chunks = [payload[i:i + size] for i in range(0, len(payload), size)] if size else [payload]
    for i, chunk in enumerate(chunks or [b""]):
        emit("segment", name, i, wrap(family, UDP, finish(family, UDP, udp(chunk)), ident + i, b"", 0))


def ramp(n):
    return bytes((7 * i + 1) & 0xFF for i in range(n))


def frames():
    emit("frame", "one", "ok", framed(b"\x45"))
    emit("frame", "two", "ok", framed(b"\x45\x00") + framed(b"\x60"))
    emit("frame", "nothing", "more", b"")
    emit("frame", "half-a-head", "more", b"\0\0\0")
    emit("frame", "head-alone", "more", b"\0\0\0\1")
    emit("frame", "body-short", "more", b"\0\0\0\2\x45")
    emit("frame", "largest-begun", "more", struct.pack(">I", 66000))
    emit("frame", "empty", "empty", b"\0\0\0\0\x45")
    emit("frame", "one-too-many", "toobig", struct.pack(">I", 66001))
    emit("frame", "largest-number", "toobig", b"\xff\xff\xff\xff")


NODE = bytes(range(16))
NODE2 = bytes(range(16, 32))
HELLO = {0: 1, 1: 1, 2: NODE, 3: "alpha", 4: [[SRC4, 32], [SRC6, 128]], 5: 3, 6: 1500}


def hello(name, result, **changes):
    """Keys as k0, k1, …; None takes a key away."""
    value = dict(HELLO)
    for key, v in changes.items():
        if v is None:
            del value[int(key[1:])]
        else:
            value[int(key[1:])] = v
    control(name, result, 1, dict(sorted(value.items())))


def hellos():
    hello("hello-agent", "ok")
    control("hello-gateway", "ok", 1, {0: 1, 1: 2, 2: NODE2, 3: "", 4: [], 5: 0, 6: 65535})
    hello("hello-max", "ok", k3="n" * 63, k4=[[DST6[:15] + bytes([i]), 128] for i in range(64)], k5=0xFFFFFFFF, k6=576)
    hello("hello-default-routes", "ok", k4=[[bytes(4), 0], [bytes(16), 0]])
    for lane in 1, 15:
        hello(f"hello-lane-{lane}", "ok", k7=lane)
    hello("hello-lane-0-said", "accept", k7=0)
    hello("hello-unknown-keys", "accept", k8=[1, [b"x", {1: "deep"}]], k1000={0: 1, -5: [0xFFFFFFFFFFFFFFFF]})
    unknown = b"\xf4\xf6\xf9\x3c\x00\xfb" + bytes(8) + b"\xc1\x00\xd9\xd9\xf7\x80"
    raw = cbor(dict(HELLO))[1:]
    control("hello-unknown-kinds", "accept", 1, b"\xa8" + raw + b"\x08\x86" + unknown)
    control("hello-long-integers", "accept", 1, b"\xa7\x00\x1b" + bytes(7) + b"\x01" + raw[2:])
    for v in 0, 2, 0xFFFFFFFFFFFFFFFF:
        hello(f"hello-version-{v}", "version", k0=v)
    control("hello-version-2-otherwise", "version", 1, {0: 2, 1: "another form"})
    for key in range(7):
        hello(f"hello-without-{key}", "malformed", **{f"k{key}": None})
    hello("hello-role-0", "malformed", k1=0)
    hello("hello-role-3", "malformed", k1=3)
    hello("hello-id-15", "malformed", k2=NODE[:15])
    hello("hello-id-17", "malformed", k2=NODE + b"x")
    hello("hello-name-64", "malformed", k3="n" * 64)
    for n, bad in enumerate([" ", '"', "\x1f", "\x7f", "é", "a\0b"]):
        hello(f"hello-name-character-{n}", "malformed", k3=bad)
    hello("hello-name-bytes", "malformed", k3=b"alpha")
    hello("hello-65-prefixes", "malformed", k4=[[SRC4, 32]] * 65)
    hello("hello-prefix-33", "malformed", k4=[[SRC4, 33]])
    hello("hello-prefix-129", "malformed", k4=[[SRC6, 129]])
    hello("hello-prefix-host-bits", "malformed", k4=[[SRC4, 31]])
    hello("hello-prefix-5-bytes", "malformed", k4=[[SRC4 + b"\0", 32]])
    hello("hello-prefix-one-item", "malformed", k4=[[SRC4]])
    hello("hello-prefix-three-items", "malformed", k4=[[SRC4, 32, 0]])
    hello("hello-features-33-bits", "malformed", k5=1 << 32)
    hello("hello-mtu-575", "malformed", k6=575)
    hello("hello-mtu-65536", "malformed", k6=65536)
    hello("hello-mtu-negative", "malformed", k6=-1500)
    hello("hello-lane-16", "malformed", k7=16)
    hello("hello-lane-negative", "malformed", k7=-1)
    hello("hello-lane-text", "malformed", k7="1")
    hello("hello-lane-without-mtu", "malformed", k6=None, k7=1)
    control("hello-lane-twice", "malformed", 1, b"\xa9" + raw + b"\x07\x01\x07\x01")
    control("hello-empty", "malformed", 1, b"")
    control("hello-empty-map", "malformed", 1, {})
    control("hello-array", "malformed", 1, list(HELLO.values()))
    control("hello-trailing", "malformed", 1, cbor(HELLO) + b"\0")
    control("hello-cut", "malformed", 1, cbor(HELLO)[:-1])
    control("hello-duplicate", "malformed", 1, b"\xa8" + raw + b"\x06\x19\x05\xdc")
    control("hello-duplicate-unknown", "malformed", 1, b"\xa9" + raw + b"\x08\x00\x08\x00")
    control("hello-descending", "malformed", 1, dict(reversed(HELLO.items())))
    control("hello-negative-key", "malformed", 1, b"\xa8" + raw + b"\x20\x00")
    control("hello-key-33-bits", "malformed", 1, b"\xa8" + raw + b"\x1b\0\0\0\1" + bytes(4) + b"\0")
    control("hello-text-key", "malformed", 1, b"\xa8" + raw + b"\x61a\x00")
    control("hello-indefinite-map", "malformed", 1, b"\xbf" + raw + b"\xff")
    control("hello-indefinite-inside", "malformed", 1, b"\xa8" + raw + b"\x08\x9f\xff")
    for head_byte in 0x5F, 0x7F, 0x9F, 0xBF:
        control(f"hello-indefinite-{head_byte:x}-alone", "malformed", 1, b"\xa8" + raw + bytes([8, head_byte]))
    control("hello-prefix-claims-three", "malformed", 1, cbor(HELLO).replace(b"\x82\x44", b"\x83\x44"))
    control("hello-break-inside", "malformed", 1, b"\xa8" + raw + b"\x08\xff")
    control("hello-huge-map", "malformed", 1, b"\xbb" + b"\xff" * 8 + raw)
    control("hello-huge-array-inside", "malformed", 1, b"\xa8" + raw + b"\x08\x9b" + b"\xff" * 8)
    control("hello-huge-map-inside", "malformed", 1, b"\xa8" + raw + b"\x08\xbb\x80" + bytes(7))
    control("hello-huge-string-inside", "malformed", 1, b"\xa8" + raw + b"\x08\x5b" + b"\xff" * 8)
    control("hello-8-deep", "accept", 1, b"\xa8" + raw + b"\x08" + b"\x81" * 8 + b"\x00")
    control("hello-9-deep", "malformed", 1, b"\xa8" + raw + b"\x08" + b"\x81" * 9 + b"\x00")
    control("hello-too-long", "malformed", 1, b"\xa8" + raw + b"\x08" + cbor(bytes(4096)))


def routes():
    one = [SRC4, 32, NODE]
    control("routes-one", "ok", 2, {0: [one]})
    control("routes-withdraw", "ok", 2, {0: [[SRC6, 128, b""], [bytes([10, 0, 0, 0]), 8, b""]]})
    control("routes-long-path", "ok", 2, {0: [[SRC6[:8] + bytes(8), 64, ramp(240)]]})
    control("routes-32", "ok", 2, {0: [[bytes([10, 1, 2, i]), 32, NODE + NODE2] for i in range(32)]})
    control("routes-unknown-key", "accept", 2, {0: [one], 1: "later"})
    control("routes-none", "malformed", 2, {0: []})
    control("routes-33", "malformed", 2, {0: [one] * 33})
    control("routes-path-15-bytes", "malformed", 2, {0: [[SRC4, 32, NODE[:15]]]})
    control("routes-path-16-ids", "malformed", 2, {0: [[SRC4, 32, ramp(256)]]})
    control("routes-path-text", "malformed", 2, {0: [[SRC4, 32, "x" * 16]]})
    control("routes-no-path", "malformed", 2, {0: [[SRC4, 32]]})
    control("routes-claims-four", "malformed", 2, cbor({0: [one]}).replace(b"\x83", b"\x84"))
    control("routes-host-bits", "malformed", 2, {0: [[SRC4, 8, NODE]]})
    control("routes-no-key", "malformed", 2, {1: [one]})
    control("routes-not-arrays", "malformed", 2, {0: [1]})
    control("routes-no-list", "malformed", 2, {0: 1})


def others():
    control("ping", "ok", 3, {0: 0x0123456789ABCDEF})
    control("pong", "ok", 4, {0: 0})
    control("ping-negative", "malformed", 3, {0: -1})
    control("ping-empty", "malformed", 3, {})
    control("goaway", "ok", 6, {0: 1, 1: "shutdown"})
    control("error", "ok", 7, {0: 3, 1: 'prefix 10.0.0.1/32 is "taken"'})
    control("error-longest", "ok", 7, {0: 0xFFFFFFFF, 1: "~" * 200})
    control("error-201", "malformed", 7, {0: 3, 1: "~" * 201})
    control("error-newline", "malformed", 7, {0: 3, 1: "a\nb"})
    control("error-no-text", "malformed", 7, {0: 3})
    control("error-code-33-bits", "malformed", 7, {0: 1 << 32, 1: ""})


def packets():
    def addr4(name, result, **kw):
        emit("ip", name, result, ipv4(UDP, udp(b""), **kw))

    def addr6(name, result, text, dst=False):
        a = bytes.fromhex(text)
        emit("ip", name, result, ipv6(UDP, udp(b""), **({"dst": a} if dst else {"src": a})))

    good4, good6 = ipv4(UDP, udp(b"hi")), ipv6(UDP, udp(b"hi"))
    emit("ip", "v4", "ok", good4)
    emit("ip", "v6", "ok", good6)
    emit("ip", "v4-bare", "ok", ipv4(59, b""))
    emit("ip", "v6-bare", "ok", ipv6(59, b""))
    emit("ip", "nothing", "ip-version", b"")
    emit("ip", "v5", "ip-version", b"\x55" + good4[1:])
    emit("ip", "v4-19-bytes", "ip-version", good4[:19])
    emit("ip", "v6-39-bytes", "ip-version", good6[:39])
    emit("ip", "v4-ihl-4", "ip-header", b"\x44" + good4[1:])
    emit("ip", "v4-options", "ip-header", b"\x46" + ipv4(UDP, bytes(4) + udp(b""))[1:])
    emit("ip", "v4-longer", "ip-length", good4 + b"\0")
    emit("ip", "v4-shorter", "ip-length", good4[:-1])
    emit("ip", "v6-longer", "ip-length", good6 + b"\0")
    emit("ip", "v6-shorter", "ip-length", good6[:-1])
    addr4("v4-first-fragment", "ip-fragment", flags=0x2000)
    addr4("v4-last-fragment", "ip-fragment", flags=0x00B9)
    addr4("v4-reserved-bit", "ok", flags=0x8000)
    for side in "src", "dst":
        for n, a in ("any", [0, 0, 0, 0]), ("this-net", [0, 1, 2, 3]), ("loopback", [127, 0, 0, 1]), \
                ("loopback-end", [127, 255, 255, 255]), ("multicast", [224, 0, 0, 1]), \
                ("multicast-end", [239, 255, 255, 255]), ("broadcast", [255, 255, 255, 255]):
            addr4(f"v4-{side}-{n}", "ip-address", **{side: bytes(a)})
        for n, a in ("before-multicast", [223, 255, 255, 255]), ("class-e", [240, 0, 0, 1]), \
                ("after-loopback", [128, 0, 0, 1]), ("one", [1, 0, 0, 1]):
            addr4(f"v4-{side}-{n}", "ok", **{side: bytes(a)})
        for n, a in ("any", "0" * 32), ("loopback", "0" * 31 + "1"), ("mapped", "0" * 20 + "ffff7f000001"), \
                ("compatible", "0" * 24 + "0a000001"), ("multicast", "ff02" + "0" * 27 + "1"):
            addr6(f"v6-{side}-{n}", "ip-address", a, side == "dst")
        for n, a in ("link-local", "fe80" + "0" * 27 + "1"), ("unique-local", "fd00" + "0" * 27 + "1"), \
                ("translated", "0064ff9b" + "0" * 16 + "0a000001"), ("bit-79", "0" * 19 + "1" + "0" * 12):
            addr6(f"v6-{side}-{n}", "ok", a, side == "dst")
    opt = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])
    ah = bytes([UDP, 4]) + bytes(22)
    emit("ip", "v6-destination-options", "ok", ipv6(60, udp(b""), between=opt))
    emit("ip", "v6-authentication", "ok", ipv6(51, udp(b""), between=ah))
    emit("ip", "v6-three-extensions", "ok", ipv6(60, udp(b""), between=bytes([60]) + opt[1:] + bytes([51]) + opt[1:] + ah))
    emit("ip", "v6-four-extensions", "ip-extension", ipv6(60, udp(b""), between=(bytes([60]) + opt[1:]) * 3 + opt))
    emit("ip", "v6-hop-by-hop", "ip-extension", ipv6(0, udp(b""), between=opt))
    emit("ip", "v6-routing", "ip-extension", ipv6(43, udp(b""), between=opt))
    emit("ip", "v6-routing-second", "ip-extension", ipv6(60, udp(b""), between=bytes([43]) + opt[1:] + opt))
    emit("ip", "v6-fragment", "ip-fragment", ipv6(44, udp(b""), between=opt))
    emit("ip", "v6-fragment-second", "ip-fragment", ipv6(60, udp(b""), between=bytes([44]) + opt[1:] + opt))
    emit("ip", "v6-options-cut", "ip-extension", ipv6(60, b"", between=opt[:7]))
    emit("ip", "v6-options-beyond", "ip-extension", ipv6(60, b"", between=bytes([UDP, 1]) + bytes(6)))
    emit("ip", "v6-authentication-beyond", "ip-extension", ipv6(51, b"", between=ah[:20]))


def segmentation():
    timestamps = bytes.fromhex("0101080a0000000100000002")
    gso_tcp("tcp4-three", 4, 16, ramp(40), ACK | PSH | FIN)
    gso_tcp("tcp4-exact", 4, 16, ramp(32), ACK | PSH)
    gso_tcp("tcp4-one", 4, 64, ramp(10), ACK | PSH)
    gso_tcp("tcp4-bare", 4, 64, b"", ACK)
    gso_tcp("tcp4-ecn-options", 4, 9, ramp(25), ACK | PSH | CWR, timestamps, 0x80)
    gso_tcp("tcp4-smallest", 4, 8, ramp(17), ACK)
    gso_tcp("tcp4-csum", 4, 0, ramp(21), ACK | PSH)
    gso_tcp("tcp6-three", 6, 16, ramp(33), ACK | PSH | FIN, timestamps)
    gso_tcp("tcp6-ecn", 6, 16, ramp(33), ACK | CWR, ecn=0x80)
    gso_tcp("tcp6-destination-options", 6, 16, ramp(20), ACK, between=bytes([TCP, 0, 1, 4, 0, 0, 0, 0]), next_header=60)
    gso_tcp("tcp6-csum", 6, 0, ramp(20), SYN, bytes.fromhex("020405b4"))
    gso_udp("udp4-three", 4, 10, ramp(25))
    gso_udp("udp6-three", 6, 10, ramp(25))
    gso_udp("udp4-csum", 4, 0, ramp(3))
    gso_udp("udp6-csum-bare", 6, 0, b"")
    gso_udp("udp4-128", 4, 1, ramp(128))
    for x in range(0x10000):  # a datagram whose checksum comes out as 0
        if checksum(SRC4 + DST4 + struct.pack(">II", 10, UDP) + udp(struct.pack(">H", x))) == 0:
            gso_udp("udp4-csum-zero", 4, 0, struct.pack(">H", x))
            break
    emit("gso", "plain", "ok", gso_body(vnet(0, 0, 99, 0, 98, 97), ipv4(ICMP, bytes(8))))
    emit("segment", "plain", 0, ipv4(ICMP, bytes(8)))
    emit("gso", "plain-valid", "ok", gso_body(vnet(2, 0, 0, 0, 0, 0), ipv6(59, b"")))
    emit("segment", "plain-valid", 0, ipv6(59, b""))


def refused():
    t4, t6 = ipv4(TCP, tcp(1, ACK, ramp(32))), ipv6(TCP, tcp(1, ACK, ramp(32)))
    u4, u6 = ipv4(UDP, udp(ramp(32))), ipv6(UDP, udp(ramp(32)))

    def bad(name, why, packet, *fields):
        emit("gso", "bad-" + name, why, gso_body(vnet(*fields), packet))

    emit("gso", "bad-empty", "gso-short", b"\x08")
    emit("gso", "bad-no-packet", "gso-short", gso_body(vnet(0, 0, 0, 0, 0, 0), b""))
    bad("one-byte", "ip-version", b"\x45", 0, 0, 0, 0, 0, 0)
    bad("length", "ip-length", t4 + b"\0", 1, 1, 40, 16, 20, 16)
    bad("flag-4", "gso-type", t4, 4, 0, 0, 0, 0, 0)
    bad("type-2", "gso-type", t4, 1, 2, 40, 16, 20, 16)
    bad("type-ufo", "gso-type", u4, 1, 3, 28, 16, 20, 6)
    bad("type-ecn-alone", "gso-type", t4, 1, 0x80, 40, 16, 20, 16)
    bad("type-ecn-udp", "gso-type", u4, 1, 0x85, 28, 16, 20, 6)
    bad("tcp4-is-v6", "gso-type", t6, 1, 1, 60, 16, 40, 16)
    bad("tcp6-is-v4", "gso-type", t4, 1, 4, 40, 16, 20, 16)
    bad("tcp4-is-udp", "gso-type", u4, 1, 1, 40, 16, 20, 6)
    bad("udp-is-tcp", "gso-type", t4, 1, 5, 40, 16, 20, 16)
    bad("type-without-csum", "gso-csum", t4, 0, 1, 40, 16, 20, 16)
    bad("type-valid-only", "gso-csum", t4, 2, 1, 40, 16, 20, 16)
    bad("csum-start-19", "gso-csum", t4, 1, 1, 40, 16, 19, 16)
    bad("csum-start-beyond", "gso-csum", t4, 1, 0, 0, 0, 65535, 16)
    bad("csum-offset-6", "gso-csum", t4, 1, 1, 40, 16, 20, 6)
    bad("csum-offset-udp-16", "gso-csum", u4, 1, 5, 28, 16, 20, 16)
    bad("csum-icmp", "gso-csum", ipv4(ICMP, bytes(8)), 1, 0, 0, 0, 20, 2)
    bad("csum-sctp", "gso-csum", ipv4(132, bytes(16)), 1, 0, 0, 0, 20, 8)
    bad("csum-other", "gso-csum", ipv4(132, tcp(1, ACK, b"")), 1, 0, 0, 0, 20, 16)
    bad("size-7", "gso-size", t4, 1, 1, 40, 7, 20, 16)
    bad("size-0", "gso-size", t4, 1, 1, 40, 0, 20, 16)
    bad("udp-size-0", "gso-size", u6, 1, 5, 48, 0, 40, 6)
    bad("udp-129", "gso-size", ipv4(UDP, udp(ramp(129))), 1, 5, 28, 1, 20, 6)
    bad("size-without-type", "gso-size", t4, 1, 0, 40, 16, 20, 16)
    bad("size-plain", "gso-size", t4, 0, 0, 0, 16, 0, 0)
    bad("tcp-19-bytes", "gso-header", ipv4(TCP, tcp(1, ACK, b"")[:19]), 1, 0, 0, 0, 20, 16)
    bad("tcp-offset-4", "gso-header", ipv4(TCP, tcp(1, ACK, b"", offset=4)), 1, 0, 0, 0, 20, 16)
    bad("tcp-offset-6", "gso-header", ipv4(TCP, tcp(1, ACK, b"", offset=6)), 1, 1, 40, 16, 20, 16)
    bad("udp-7-bytes", "gso-header", ipv4(UDP, udp(b"")[:7]), 1, 0, 0, 0, 20, 6)
    bad("udp-length-short", "gso-header", ipv4(UDP, udp(ramp(9), length=16)), 1, 0, 0, 0, 20, 6)
    bad("udp-length-long", "gso-header", ipv4(UDP, udp(ramp(9), length=18)), 1, 5, 28, 16, 20, 6)
    long_options = bytes([TCP, 8, 1, 68]) + bytes(68)
    bad("headers-129", "gso-header", ipv6(60, tcp(1, ACK, ramp(32)) , between=long_options), 1, 4, 0, 16, 112, 16)


NONCE = bytes(range(0x20, 0x40))


def attestation():
    control("challenge", "ok", 9, {0: NONCE})
    control("challenge-unknown-key", "accept", 9, {0: NONCE, 1: "more"})
    control("challenge-31", "malformed", 9, {0: NONCE[:31]})
    control("challenge-33", "malformed", 9, {0: NONCE + b"x"})
    control("challenge-text", "malformed", 9, {0: "n" * 32})
    control("challenge-empty", "malformed", 9, {})
    control("challenge-trailing", "malformed", 9, cbor({0: NONCE}) + b"\0")
    control("evidence", "ok", 5, {0: NONCE, 1: b"proof", 2: b""})
    control("evidence-endorsed", "ok", 5, {0: NONCE, 1: ramp(300), 2: ramp(600)})
    control("evidence-unknown-key", "accept", 5, {0: NONCE, 1: b"proof", 2: b"", 3: [1]})
    control("evidence-none", "malformed", 5, {0: NONCE, 1: b"", 2: b""})
    control("evidence-short-nonce", "malformed", 5, {0: NONCE[:31], 1: b"proof", 2: b""})
    for key in range(3):
        value = {0: NONCE, 1: b"proof", 2: b""}
        del value[key]
        control(f"evidence-without-{key}", "malformed", 5, value)
    control("evidence-text", "malformed", 5, {0: NONCE, 1: "proof", 2: b""})
    control("evidence-order", "malformed", 5, {1: b"proof", 0: NONCE, 2: b""})
    control("evidence-cut", "malformed", 5, cbor({0: NONCE, 1: b"proof", 2: b""})[:-1])
    control("evidence-trailing", "malformed", 5, cbor({0: NONCE, 1: b"proof", 2: b""}) + b"\0")
    control("accept", "ok", 10, {})
    control("accept-unknown-key", "accept", 10, {7: 1})
    control("accept-array", "malformed", 10, [])
    control("accept-nothing", "malformed", 10, b"")


print("# Made by wire.py beside this file, which says what the columns mean.")
for part in frames, hellos, routes, others, packets, segmentation, refused, attestation:
    part()
