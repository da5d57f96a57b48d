"""Applications for the tests: transfers with a checksum, echo servers, probes. Plain sockets."""

import hashlib
import os
import socket
import threading
import time

import netns

BLOCK = 1 << 20


class Transfer:
    """One TCP connection that carries `size` bytes one way and their SHA-256 back.

    The sender half-closes after its last byte and waits for the digest, so a lost half-close is
    found too. `rate`, in bytes a second, keeps it going while a test does something to the path.
    """

    def __init__(self, client, server, address="192.168.0.254", port=6978, listen_port=7,
                 size=200_000_000, rate=None):
        self.client, self.address, self.port = client, address, port
        self.size, self.rate = size, rate
        self.sent = self.received = 0
        self.failures = []
        self.done = threading.Event()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = server.listen(listen_port, family=family)
        self.threads = [threading.Thread(target=self._guard, args=(f,), daemon=True)
                        for f in (self._serve, self._send)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def _guard(self, fn):
        try:
            fn()
        except Exception as e:  # noqa: BLE001 - reported by finish()
            self.failures.append(f"{fn.__name__}: {e!r}")

    def _serve(self):
        digest = hashlib.sha256()
        buf = memoryview(bytearray(BLOCK))
        s, self.seen_from = self.listener.accept()
        with s:
            s.settimeout(60 * netns.SLOW)
            while (n := s.recv_into(buf)) > 0:
                digest.update(buf[:n])
                self.received += n
            s.sendall(digest.digest())

    def _send(self):
        digest = hashlib.sha256()
        block = bytearray(os.urandom(BLOCK))
        s = self.client.connect(self.address, self.port, timeout=20)
        with s:
            s.settimeout(60 * netns.SLOW)
            begin = time.monotonic()
            while self.sent < self.size:
                block[:8] = self.sent.to_bytes(8, "big")  # no two blocks are the same
                part = memoryview(block)[:min(BLOCK, self.size - self.sent)]
                digest.update(part)
                s.sendall(part)
                self.sent += len(part)
                if self.rate:
                    ahead = self.sent / self.rate - (time.monotonic() - begin)
                    time.sleep(max(0, ahead))
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < 32 and (more := s.recv(32)):
                answer += more
        self.ok = answer == digest.digest() and self.received == self.size
        self.done.set()

    def wait_received(self, share):
        """Until this share of the bytes has arrived."""
        netns.wait_until(lambda: self.received >= share * self.size or self.failures, 30,
                         f"{share:.0%} of the transfer; {self.received} of {self.size}")
        assert not self.failures, self.failures

    def finish(self, timeout=60):
        for t in self.threads:
            t.join(timeout * netns.SLOW)
        self.listener.close()
        assert not self.failures, self.failures
        assert self.done.is_set(), f"stuck: sent {self.sent}, received {self.received}"
        assert self.ok, f"digest differs, or {self.received} of {self.size} bytes arrived"


def transfer(*args, **kw):
    """A whole transfer, at full speed."""
    t = Transfer(*args, **kw).start()
    t.finish()
    return t


class Echo:
    """A TCP echo server: every connection until its end of stream. Or a UDP one."""

    def __init__(self, host, port, udp=False, address="", family=socket.AF_INET):
        self.peers, self.udp = [], udp
        if udp:
            self.sock = host.sock(family, socket.SOCK_DGRAM)
            self.sock.bind((address, port))
        else:
            self.sock = host.listen(port, address, family)
            self.sock.settimeout(None)
        threading.Thread(target=self._datagrams if udp else self._accept, daemon=True).start()

    def _datagrams(self):
        try:
            while True:
                data, who = self.sock.recvfrom(65535)
                self.peers.append(who[0])
                self.sock.sendto(data, who)
        except OSError:
            return

    def _accept(self):
        try:
            while True:
                s, who = self.sock.accept()
                self.peers.append(who[0])
                threading.Thread(target=self._stream, args=(s,), daemon=True).start()
        except OSError:
            return

    @staticmethod
    def _stream(s):
        try:
            with s:
                while data := s.recv(65536):
                    s.sendall(data)
        except OSError:
            return

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def echo_once(host, address, port, data=b"hello", timeout=5):
    """Sends, half-closes, returns what comes back until the end of the stream."""
    with host.connect(address, port, timeout) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while more := s.recv(65536):
            got += more
    return got


def udp_once(host, address, port, data=b"hello", timeout=3):
    """The answer to a datagram, or None."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.sock(family, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        try:
            s.sendto(data, (address, port))
            return s.recvfrom(65535)[0]
        except OSError:
            return None


def connect_error(host, address, port, timeout=4):
    """The name of the error that a connection attempt meets, or None; and how long that took."""
    begin = time.monotonic()
    try:
        host.connect(address, port, timeout).close()
        return None, time.monotonic() - begin
    except OSError as e:
        return type(e).__name__ + f" {e.errno}", time.monotonic() - begin
