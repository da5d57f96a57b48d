"""A gateway does not read a peer while the next hop has no room: it says so in its counters, never
for long, and never to the harm of others. Who waits for whom: src/entg/backpressure_test.c."""

import os
import threading

import pytest

import eng1peer as e
import netns

N, SIZE = 400, 60000  # 24 MB: more than the queue of a channel and its sockets hold


@pytest.fixture
def gate(net):
    """(host of the peers, the gateway's program)."""
    a, g = net.host("peers"), net.host("gate")
    net.link(a, g, 1)
    return a, netns.entg(g, "--enta-listen", "tcp://6980", "--workers", 1)


def join(host, prefix, **kw):
    peer = e.Peer(host.connect("10.77.1.2", 6980), e.hello(e.AGENT, [prefix]), **kw)
    peer.wait(lambda: peer.hello, 10 * netns.SLOW, "HELLO of the gateway")
    return peer


def join_deaf(host, prefix):
    """One that never reads."""
    s = host.connect("10.77.1.2", 6980)
    s.sendall(e.hello(e.AGENT, [prefix]))
    return s


def counters(program, sock):
    port = sock.getsockname()[1]
    return next({k: int(c[k]) for k in ("pauses", "drop_queue", "packets_in")}
                for c in program.counters() if c.get("peer", "").split("(")[0].endswith(f":{port}"))


def flood(peer, src, dst, n=N):
    """In a thread of its own: sends until the gateway has taken it all."""
    data = e.frame(e.udp4(src, dst, 1000, 2000, os.urandom(SIZE)))
    thread = threading.Thread(target=lambda: [peer.send(data) for _ in range(n)], daemon=True)
    thread.start()
    return thread


def reach(a, src, b, dst):
    a.send(e.frame(e.udp4(src, dst, 1000, 2000, b"hello")))
    b.wait(lambda: b.packets, 5 * netns.SLOW, f"a packet for {dst}")


def test_stuck_next_hop_is_waited_for_and_not_for_ever(gate):
    host, program = gate
    sender, third = join(host, "10.50.0.1/32"), join(host, "10.50.2.1/32")
    deaf = join_deaf(host, "10.50.1.1/32")
    netns.wait_until(lambda: len(program.grep(" peer-open ")) == 3, 10, "all peers")
    sending = flood(sender, "10.50.0.1", "10.50.1.1")
    sending.join(10 * netns.SLOW)
    assert not sending.is_alive(), "the gateway reads no more"
    netns.wait_until(lambda: counters(program, sender.sock)["packets_in"] == N, 10, "all packets")
    assert counters(program, sender.sock)["pauses"] >= 1
    assert counters(program, deaf)["drop_queue"] > 0
    reach(sender, "10.50.0.1", third, "10.50.2.1")
    reach(third, "10.50.2.1", sender, "10.50.0.1")


def test_what_is_not_counted_as_dropped_arrives(gate):
    host, program = gate
    sender, reader = join(host, "10.50.0.1/32"), join(host, "10.50.1.1/32")
    flood(sender, "10.50.0.1", "10.50.1.1").join(30 * netns.SLOW)
    netns.wait_until(lambda: counters(program, sender.sock)["packets_in"] == N, 10, "all packets")
    dropped = counters(program, reader.sock)["drop_queue"]
    reader.wait(lambda: len(reader.packets) + dropped == N, 10 * netns.SLOW, "the packets")


def test_next_hop_that_goes_is_not_waited_for(gate):
    host, program = gate
    sender, third = join(host, "10.50.0.1/32"), join(host, "10.50.2.1/32")
    for _ in range(3):
        since = program.mark()
        deaf = join_deaf(host, "10.50.1.1/32")
        program.wait_log(" peer-open ", since=since)
        waits = counters(program, sender.sock)["pauses"]
        sending = flood(sender, "10.50.0.1", "10.50.1.1", 40)
        netns.wait_until(lambda w=waits: counters(program, sender.sock)["pauses"] > w, 10, "a wait")
        deaf.close()
        program.wait_log(" peer-close ", since=since)
        sending.join(10 * netns.SLOW)
        assert not sending.is_alive()
        third.packets.clear()
        reach(sender, "10.50.0.1", third, "10.50.2.1")
        sender.packets.clear()
        third.packets.clear()
    assert program.alive()
