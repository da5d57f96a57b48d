"""What waits for a link that does not keep up: each flow in its own order, small ones first."""

import signal
import socket
import struct
import time

import pytest

import eng1peer as e
import netns

PORT = 5000
LARGE, SMALL = 60000, 100
SO_RCVBUFFORCE = 33


class Datagrams:
    """Numbered datagrams through the chain; at its far end (source port, number) as they come.

    One worker each: flows meet in its queue.
    """

    def __init__(self, chain):
        chain.start("--workers", 1, capture=(f"udp/{chain.SERVER}:{PORT}=192.168.0.254",),
                    replay=(f"udp/:{PORT}", "icmp/"))
        self.chain = chain
        self.server = chain.server.sock(kind=socket.SOCK_DGRAM)
        self.server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.server.bind(("", PORT))

    def flow(self):
        s = self.chain.client.sock(kind=socket.SOCK_DGRAM)
        s.connect((self.chain.SERVER, PORT))
        s.send(b"-" * SMALL)
        assert self.receive()  # the path, and nftables' memory of it
        return s

    def taken(self):
        """How many packets the client's agent has read from its device."""
        line = self.chain.enta_c.status(" counter-tun ")[-1]
        return {k: int(v) for k, v in (x.split("=") for x in line.split() if "=" in x)
                if v.isdigit()}

    def send(self, s, size, numbers):
        """Sends and waits until the agent has it all."""
        before = self.taken()["packets_out"]
        for n in numbers:
            s.send(struct.pack("!I", n) + b"-" * (size - 4))
            if n % 50 == 49:  # no more than the device's own queue has room for
                netns.wait_until(lambda: self.taken()["packets_out"] - before > n - numbers[0], 10,
                                 "the agent reads")
        netns.wait_until(lambda: self.taken()["packets_out"] - before >= len(numbers), 10,
                         "the agent reads")

    def receive(self):
        self.server.settimeout(3 * netns.SLOW)
        data, sender = self.server.recvfrom(1 << 16)
        return sender[1], struct.unpack("!I", data[:4])[0]

    def receive_until(self, last):
        """All up to that one, or until no more come."""
        got = []
        try:
            while not got or got[-1] != last:
                got.append(self.receive())
        except TimeoutError:
            pass
        return got


def numbers_of(got, s):
    return [n for port, n in got if port == s.getsockname()[1]]


def test_small_flow_overtakes_the_backlog_of_a_blocked_link(bare):
    d = Datagrams(bare)
    bulk, small = d.flow(), d.flow()
    bare.entg1.send(signal.SIGSTOP)
    d.send(bulk, LARGE, range(150))
    d.send(small, SMALL, range(20))
    bare.entg1.send(signal.SIGCONT)
    got = d.receive_until((bulk.getsockname()[1], 149))
    assert numbers_of(got, small) == list(range(20))
    assert numbers_of(got, bulk) == sorted(numbers_of(got, bulk))
    # Before it was only what sockets held, and the batch at which the link was found to be blocked.
    behind = [port for port, _ in got[got.index((small.getsockname()[1], 19)):]]
    assert len(behind) > 75, f"{len(behind)} datagrams behind the small flow"
    assert d.taken()["waited"] > 100


def test_backlog_is_bounded_and_its_cause_pays(bare):
    d = Datagrams(bare)
    bulk, small = d.flow(), d.flow()
    bare.entg1.send(signal.SIGSTOP)
    d.send(bulk, LARGE, range(50))
    d.send(small, SMALL, range(20))
    d.send(bulk, LARGE, range(50, 400))  # 24 MB
    dropped = d.taken()["drop_queue"]
    assert dropped > 50
    bare.entg1.send(signal.SIGCONT)
    got = d.receive_until((bulk.getsockname()[1], 399))
    assert numbers_of(got, small) == list(range(20))
    there = numbers_of(got, bulk)
    assert there == sorted(there) and len(there) <= 400 - dropped
    assert there[-1] > 300, "what came last was dropped, not what had waited longest"


def test_backlog_goes_with_its_link(bare):
    d = Datagrams(bare)
    bulk = d.flow()
    bare.entg1.send(signal.SIGSTOP)
    d.send(bulk, LARGE, range(100))
    bare.entg1.kill9()
    bare.enta_c.wait_log(" link-lost ")
    since = bare.enta_c.mark()
    bare.start_entg1().wait_log(" peer-open ")
    bare.enta_c.wait_log(" link-up ", since=since)
    bare.settle()
    d.send(bulk, LARGE, [1000])
    assert d.receive_until((bulk.getsockname()[1], 1000)) == [(bulk.getsockname()[1], 1000)]


class SlowGateway:
    """Scripted: takes an agent in, reads when it is told to, and answers PING or does not."""

    def __init__(self, listener, answers):
        self.sock, self.answers = listener.accept()[0], answers
        self.buf, self.packets, self.probes = bytearray(), 0, 0
        self.sock.sendall(e.hello(e.GATEWAY, features=3))

    def read(self, size, timeout):
        self.sock.settimeout(timeout)
        try:
            self.buf += self.sock.recv(size)
        except TimeoutError:
            return
        while len(self.buf) >= 4:
            n = 4 + int.from_bytes(self.buf[:4], "big")
            if len(self.buf) < n:
                return
            self.frame(bytes(self.buf[4:n]))
            del self.buf[:n]

    def frame(self, body):
        self.packets += body[0] >= 0x40 or body[0] == e.PACKET_GSO
        if body[0] != e.PING:
            return
        self.probes += e.uncbor(body, 1)[0][0] >> 63
        if self.answers:
            self.sock.sendall(e.frame(bytes([e.PONG]) + body[1:]))


def overtake(host, gateway, bulk=150, small=60):
    """A backlog, and one who sends little and goes before it while the gateway reads slowly."""
    flows = [host.sock(kind=socket.SOCK_DGRAM) for _ in range(2)]
    for s in flows:
        s.connect(("192.168.0.2", PORT))
    for _ in range(bulk):
        flows[0].send(b"-" * LARGE)
    for _ in range(small):
        flows[1].send(b"-" * SMALL)
        gateway.read(200_000, 0.01)
    deadline = time.monotonic() + 15 * netns.SLOW
    while gateway.packets < bulk + small:
        assert time.monotonic() < deadline, f"{gateway.packets} of {bulk + small} packets"
        gateway.read(1 << 20, 0.1)


@pytest.mark.parametrize("answers", [True, False])
def test_agent_asks_what_the_gateway_has_read(net, answers):
    """While a small flow overtakes; and goes on if nobody answers."""
    a, g = net.host("agent"), net.host("gate")
    net.link(a, g, 1)
    listener = g.listen(6980)
    listener.settimeout(10 * netns.SLOW)
    for _ in range(5):  # a busy machine's handshake may take too long for a peer that is near
        p = netns.enta(a, "--entg-connect", "tcp://10.77.1.2:6980", "--tun-addr", "192.168.0.1",
                       "--capture", f"udp/:{PORT}", up=False)
        gateway = SlowGateway(listener, answers)
        p.wait_log(" link-up ", 10)
        overtake(a, gateway)
        p.stop()
        gateway.sock.close()
        if gateway.probes:
            break
    assert gateway.probes >= 2 if answers else gateway.probes == 1
