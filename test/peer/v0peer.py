#!/usr/bin/python3
"""A small independent peer of protocol v0: what the original ENTA and ENTG do on the wire.

It shares no code with this repository, so that an error of ours in framing cannot cancel itself
out. v0 is a TCP stream of frames, u32 big-endian length and then one IP packet; nothing else, no
greeting, and neither side says who it is before its first packet.

  v0peer.py agent --connect HOST:PORT --tun-addr ADDR[/LEN] [--tun-name NAME]
      An original ENTA: a TUN device, and every packet of it on the stream. Unlike the original it
      sets no DNAT rules: applications use 192.168.0.254:6978 directly.
  v0peer.py gateway [--connect HOST:PORT | --listen PORT] --agents PORT
      An original ENTG: one agent, one neighbour, every frame of one goes to the other unchanged.

Both are strict: what is not a frame with an IP packet ends them with exit status 3 and a line that
says what it was. So a test in which they are still alive also shows that they were sent v0 only.
"""

import argparse
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 1500
LENGTH_MAX = 8 * 1024 * 1024  # the limit of the original's codec


class NotV0(Exception):
    pass


class Stream:
    """Frames over a connected socket."""

    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Lock()
        self.buf = bytearray()

    def _exactly(self, n):
        while len(self.buf) < n:
            data = self.sock.recv(262144)
            if not data:
                if self.buf:
                    raise NotV0(f"end of stream inside a frame, {len(self.buf)} bytes left")
                return None
            self.buf += data
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def receive(self):
        """The next packet, or None at the end of the stream."""
        head = self._exactly(4)
        if head is None:
            return None
        n = struct.unpack(">I", head)[0]
        if n == 0 or n > LENGTH_MAX:
            raise NotV0(f"frame length {n}")
        body = self._exactly(n)
        if body is None:
            raise NotV0("end of stream after a frame's length")
        check_packet(body)
        return body

    def send(self, body):
        with self.lock:
            self.sock.sendall(struct.pack(">I", len(body)) + body)


def check_packet(body):
    """Strictly an IP packet whose length field is the frame's."""
    version = body[0] >> 4
    if version == 4 and len(body) >= 20:
        total = struct.unpack_from(">H", body, 2)[0]
    elif version == 6 and len(body) >= 40:
        total = 40 + struct.unpack_from(">H", body, 4)[0]
    else:
        raise NotV0(f"frame that is no IP packet: {len(body)} bytes, {body[:16].hex()}")
    if total != len(body):
        raise NotV0(f"IP packet of {total} bytes in a frame of {len(body)}")


def tun_open(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    ifr = fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd, ifr[:16].rstrip(b"\0").decode()


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def say(*words):
    os.write(2, (" ".join(map(str, words)) + "\n").encode())  # one call: lines never mix


def connect(where):
    """Tries for 30 s: the other side may start later."""
    deadline = time.monotonic() + 30
    while True:
        try:
            s = socket.create_connection(where, 5)
            s.settimeout(None)
            say("connected", *where)
            return Stream(s)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def accept(port):
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    s = socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6)
    say("listening", port)
    c, who = s.accept()
    s.close()  # the original serves one
    say("accepted", who[0])
    return Stream(c)


def guarded(fn, *args):
    """Ends the whole program when a direction ends, as the original does."""
    def body():
        status = 0
        try:
            fn(*args)
            say("end of stream")
        except NotV0 as e:
            say("not v0:", e)
            status = 3
        except OSError as e:
            say("error:", e)
            status = 1
        os._exit(status)
    t = threading.Thread(target=body)
    t.start()


def run_agent(args):
    fd, name = tun_open(args.tun_name)
    addr = args.tun_addr if "/" in args.tun_addr else args.tun_addr + "/24"
    for cmd in (["addr", "add", addr, "dev", name],
                ["link", "set", name, "mtu", str(MTU), "up"]):
        subprocess.run(["ip", *cmd], check=True)
    stream = connect(endpoint(args.connect))
    say("ready")

    def up():
        while True:
            packet = os.read(fd, 65536)
            # The kernel's own IPv6 chatter is not the application's traffic.
            if packet[0] >> 4 == 4 or ":" in args.tun_addr and packet[24] != 0xFF:
                stream.send(packet)

    def down():
        while (packet := stream.receive()) is not None:
            os.write(fd, packet)

    guarded(up)
    guarded(down)


def run_gateway(args):
    sides = {}

    def agents():
        sides["agent"] = accept(args.agents)

    def neighbour():
        if args.connect:
            sides["gateway"] = connect(endpoint(args.connect))
        else:
            sides["gateway"] = accept(args.listen)

    waits = [threading.Thread(target=f) for f in (agents, neighbour)]
    for t in waits:
        t.start()
    for t in waits:
        t.join()
    say("ready")

    def pump(src, dst):
        while (packet := src.receive()) is not None:
            dst.send(packet)

    guarded(pump, sides["agent"], sides["gateway"])
    guarded(pump, sides["gateway"], sides["agent"])


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="role", required=True)
    agent = sub.add_parser("agent")
    agent.add_argument("--connect", required=True)
    agent.add_argument("--tun-addr", required=True)
    agent.add_argument("--tun-name", default="v0tun")
    gateway = sub.add_parser("gateway")
    gateway.add_argument("--connect")
    gateway.add_argument("--listen", type=int, default=6979)
    gateway.add_argument("--agents", type=int, default=6980)
    args = ap.parse_args()
    (run_agent if args.role == "agent" else run_gateway)(args)


if __name__ == "__main__":
    main()
