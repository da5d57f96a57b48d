"""A gateway with several workers: who owns what, lanes of a node, and packets from one worker's
connection to another's. The agent's half is test_workers.py."""

import itertools
import os
import signal
import socket
import struct

import pytest

import eng1peer as e
import netns

LISTEN = ("--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980")
WORKERS = 3


@pytest.fixture
def gate(net):
    """(host of the peers, the gateway's program)."""
    a, g = net.host("peers"), net.host("gate")
    net.link(a, g, 1)
    return a, netns.entg(g, *LISTEN, "--workers", WORKERS)


def join(host, prefixes, port=6980, role=e.AGENT, **kw):
    peer = e.Peer(host.connect("10.77.1.2", port), e.hello(role, prefixes, **kw))
    peer.wait(lambda: peer.hello or peer.closed.is_set(), 10 * netns.SLOW, "HELLO or a refusal")
    return peer


def refusal(peer):
    peer.wait(peer.closed.is_set, 10 * netns.SLOW, "a refusal")
    return peer.error[1] if peer.error else None


def datagram(src, dst, n=0):
    return e.frame(e.udp4(src, dst, 1000, 2000, struct.pack(">I", n) + bytes(60)))


def numbers(peer):
    return [struct.unpack(">I", p[28:32])[0] for p in peer.packets]


def reach(a, src, b, dst):
    """Sends until one arrives: a worker hears a moment later of what another was told."""
    def look():
        a.send(datagram(src, dst))
        try:
            b.wait(lambda: b.packets, 0.3, "")
        except TimeoutError:
            return False
        return True
    netns.wait_until(look, 10, f"{src} reaches {dst}")


def worker_of(program, peer):
    """The worker whose status lists this peer; they print one after the other."""
    port, worker = peer.sock.getsockname()[1], None
    for line in program.status(" counter-worker | counter "):
        if " counter-worker " in line:
            worker = int(line.split("worker=")[-1].split()[0])
        elif f":{port}(" in line:
            return worker
    raise AssertionError("not in the status")


def test_peers_are_spread_and_reach_each_other_in_order(gate):
    """Every pair of workers, each way: all of 3,000 packets, in the order they were sent."""
    host, program = gate
    peers = [join(host, [f"10.50.{i}.1/32"]) for i in range(WORKERS)]
    if not netns.OCCLUM:  # where threads have no names
        assert program.threads() == ["entg-1", "entg-2"]
    assert {worker_of(program, p) for p in peers} == set(range(WORKERS))
    for i, j in itertools.permutations(range(WORKERS), 2):
        reach(peers[i], f"10.50.{i}.1", peers[j], f"10.50.{j}.1")
        peers[j].packets.clear()
        for n in range(3000):
            peers[i].send(datagram(f"10.50.{i}.1", f"10.50.{j}.1", n + 1))
        peers[j].wait(lambda j=j: 3000 in numbers(peers[j]), 20 * netns.SLOW, "the last packet")
        got = [n for n in numbers(peers[j]) if n]
        assert got == list(range(1, 3001)), f"{i} to {j}"
    assert program.alive()


def test_one_worker_sends_to_many_of_another(gate):
    """In turns, so that what goes over to another worker is for another peer each time."""
    host, _ = gate
    peers = [join(host, [f"10.50.{i}.1/32"]) for i in range(4 * WORKERS)]
    for i, p in enumerate(peers[1:], 1):
        reach(peers[0], "10.50.0.1", p, f"10.50.{i}.1")
    for p in peers:
        p.packets.clear()
    for n in range(1, 200):
        peers[0].send(b"".join(datagram("10.50.0.1", f"10.50.{i}.1", n)
                               for i in range(1, len(peers))))
    for i, p in enumerate(peers[1:], 1):
        p.wait(lambda p=p: 199 in numbers(p), 10, "the last packet")
        assert [n for n in numbers(p) if n] == list(range(1, 200))
        assert all(x[19] == 1 and x[18] == i for x in p.packets), "somebody else's"


def test_of_those_who_claim_a_prefix_at_once_one_has_it(gate):
    host, program = gate
    for n in range(150):
        socks = [host.connect("10.77.1.2", 6980) for _ in range(WORKERS)]
        hellos = [e.hello(e.AGENT, [f"10.51.{n}.1/32"]) for _ in socks]
        peers = [e.Peer(s) for s in socks]
        for p, h in zip(peers, hellos):
            p.send(h)
        netns.wait_until(lambda p=peers: sum(x.closed.is_set() for x in p) == WORKERS - 1, 5,
                         "all but one are refused")
        assert all(x.closed.is_set() == bool(x.error) for x in peers)
        for p in peers:
            p.close()
    assert program.alive()


def test_a_prefix_has_one_owner_whatever_worker_it_comes_to(gate):
    host, program = gate
    first = join(host, ["10.50.0.1/32"])
    for _ in range(2 * WORKERS):
        assert refusal(join(host, ["10.50.0.1/32"])) == "prefix-taken"
    assert not first.closed.is_set()
    first.close()
    program.wait_log(r"peer-close .*closed-by-peer", 5)
    second = join(host, ["10.50.0.1/32"])
    assert not second.closed.wait(0.3)


def test_a_node_that_comes_back_to_another_worker_replaces_itself(gate):
    host, program = gate
    node = os.urandom(16)
    peers = [join(host, ["10.50.0.1/32"], node_id=node)]
    for _ in range(2 * WORKERS):
        peers.append(join(host, ["10.50.0.1/32"], node_id=node))
        assert refusal(peers[-2]) == "replaced"
    assert not peers[-1].closed.wait(0.3)
    assert len({worker_of(program, peers[-1])}) == 1


def test_lanes_carry_packets_both_ways_and_end_with_their_node(gate):
    host, program = gate
    node = os.urandom(16)
    lanes = [join(host, ["10.50.0.1/32"], node_id=node, lane=k) for k in range(WORKERS)]
    other = join(host, ["10.50.9.1/32"])
    assert {worker_of(program, p) for p in lanes} == set(range(WORKERS))
    for lane in lanes:  # each is let in with the node's addresses
        other.packets.clear()
        reach(lane, "10.50.0.1", other, "10.50.9.1")
    # What comes back leaves by the lane of the worker that it came in by, always the same one.
    for n in range(300):
        other.send(datagram("10.50.9.1", "10.50.0.1", n))
    netns.wait_until(lambda: sum(len(p.packets) for p in lanes) >= 300, 10, "300 packets")
    ours = [p for p in lanes if p.packets]
    assert len(ours) == 1 and numbers(ours[0]) == list(range(300))
    assert worker_of(program, ours[0]) == worker_of(program, other)
    lanes[0].close()
    for lane in lanes[1:]:
        assert refusal(lane) == "lane-unexpected"
    assert not other.closed.is_set()


def test_a_lane_that_is_lost_leaves_the_others(gate):
    host, _ = gate
    node = os.urandom(16)
    lanes = [join(host, ["10.50.0.1/32"], node_id=node, lane=k) for k in range(WORKERS)]
    others = [join(host, [f"10.50.{i}.1/32"]) for i in range(1, WORKERS + 1)]
    lanes[1].close()
    lanes[2].close()
    for i, other in enumerate(others, 1):
        lanes[0].packets.clear()
        reach(other, f"10.50.{i}.1", lanes[0], "10.50.0.1")
    again = join(host, ["10.50.0.1/32"], node_id=node, lane=2)
    reach(again, "10.50.0.1", others[0], "10.50.1.1")
    assert not lanes[0].closed.is_set()


def test_a_lane_replaces_its_own_number_only(gate):
    host, _ = gate
    node = os.urandom(16)
    zero, one, two = (join(host, ["10.50.0.1/32"], node_id=node, lane=k) for k in range(3))
    again = join(host, ["10.50.0.1/32"], node_id=node, lane=1)
    assert refusal(one) == "replaced"
    assert not again.closed.wait(0.3) and not zero.closed.is_set() and not two.closed.is_set()


@pytest.mark.parametrize("what", ["nobody", "another role", "forged source", "routes"])
def test_what_a_lane_may_not(gate, what):
    host, _ = gate
    node = os.urandom(16)
    zero = join(host, ["10.50.0.1/32"], node_id=node)
    if what == "nobody":
        assert refusal(join(host, ["10.50.0.1/32"], lane=1)) == "lane-unexpected"
    elif what == "another role":
        lane = join(host, [], 6979, e.GATEWAY, node_id=node, lane=1)
        assert refusal(lane) == "lane-unexpected"
    elif what == "forged source":
        lane = join(host, ["10.50.7.7/32"], node_id=node, lane=1)  # what it claims counts nothing
        lane.send(datagram("10.50.7.7", "10.50.0.1"))
        assert refusal(lane) == "source-not-owned"
        assert not join(host, ["10.50.7.7/32"]).closed.wait(0.3)
    else:
        gateway = os.urandom(16)
        join(host, [], 6979, e.GATEWAY, node_id=gateway)
        lane = join(host, [], 6979, e.GATEWAY, node_id=gateway, lane=1)
        lane.send(e.routes(("10.60.0.0/16", [gateway])))
        assert refusal(lane) == "routes-not-allowed"
    assert not zero.closed.is_set()


def test_neighbours_open_a_lane_for_each_worker(net):
    """And again after the far side was killed; without workers there, all come to the one."""
    a, b = net.host("gate1"), net.host("gate2")
    net.link(a, b, 1)
    far = netns.entg(b, *LISTEN, "--workers", 2)
    near = netns.entg(a, *LISTEN, "--entg-connect", "tcp://10.77.1.2:6979", "--workers", 3)

    def lanes(program):
        return sorted(int(c["lane"]) for c in program.counters() if c.get("role") == "gateway")
    netns.wait_until(lambda: lanes(near) == [0, 1, 2] == lanes(far), 10, "three lanes")
    far.send(signal.SIGKILL)
    near.wait_log(r"peer-close ", 10)
    far = netns.entg(b, *LISTEN)
    netns.wait_until(lambda: lanes(near) == [0, 1, 2] == lanes(far), 15, "three lanes again")
    # The near side's agents are known there, and reach the far side's.
    one = join_at(a, ["10.50.0.1/32"])
    two = join_at(b, ["10.50.1.1/32"])
    reach(one, "10.50.0.1", two, "10.50.1.1")
    reach(two, "10.50.1.1", one, "10.50.0.1")


def join_at(host, prefixes):
    peer = e.Peer(host.connect("127.0.0.1", 6980), e.hello(e.AGENT, prefixes))
    peer.wait(lambda: peer.hello, 10, "HELLO")
    return peer


def test_status_is_asked_while_it_stops(gate):
    """A worker that has nothing left ends at once; nobody waits for its answer."""
    host, program = gate
    reader = host.connect("10.77.1.2", 6980)  # takes nothing: its worker, the first, has to wait
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.sendall(e.hello(e.AGENT, ["10.50.0.1/32"]))
    program.wait_log(" peer-open ", 5)
    sender = join(host, ["10.50.1.1/32"])
    for n in range(300):
        sender.send(e.frame(e.udp4("10.50.1.1", "10.50.0.1", 1, 2, bytes(60000))))
    netns.wait_until(lambda: any(int(c["queue_bytes"]) for c in program.counters()), 10, "a queue")
    program.send(signal.SIGTERM)
    program.wait_log(" stopping ", 5)
    program.send(signal.SIGUSR1)
    assert program.wait(10) == 0


def test_no_lock_is_taken_for_packets(net):
    """Between workers and within one: what is locked does not grow with what is moved."""
    a, g = net.host("peers"), net.host("gate")
    net.link(a, g, 1)
    probe, counter = net.tmp / "lock_probe.so", net.tmp / "locks"
    netns.sh("cc", "-shared", "-fPIC", "-O2", "-o", probe,
             os.path.join(os.path.dirname(__file__), "lock_probe.c"), "-ldl")
    counter.write_bytes(bytes(8))
    counter.chmod(0o666)
    # A sanitizer wants to be the first of the libraries; here it may be the second.
    asan = ":".join(x for x in (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0") if x)
    program = netns.entg(g, *LISTEN, "--workers", 2, env={
        "LD_PRELOAD": str(probe), "LOCK_PROBE": str(counter), "ASAN_OPTIONS": asan})
    peers = [join(a, [f"10.50.{i}.1/32"]) for i in range(4)]

    def locks():
        return struct.unpack("=Q", counter.read_bytes())[0]

    def exchange(n):
        for p in peers:
            p.packets.clear()
        for k in range(n):
            for i in range(4):
                peers[i].send(datagram(f"10.50.{i}.1", f"10.50.{k % 4}.1", k))
        netns.wait_until(lambda: sum(len(p.packets) for p in peers) >= 3 * n, 60, "all packets")
    for i in range(1, 4):
        reach(peers[0], "10.50.0.1", peers[i], f"10.50.{i}.1")
    assert locks() > 0, "the probe counts"
    before = locks()
    exchange(2000)
    taken = locks() - before
    assert taken < 50, f"{taken} locks for 6,000 packets"
    assert program.alive()
