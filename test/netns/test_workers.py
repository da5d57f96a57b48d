"""Agents with several workers: lanes to the gateway, each with its TUN queue and its thread."""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import signal
import socket
import threading
import time

import pytest

import attested
import eng1peer as e
import netns
from traffic import Transfer, transfer


SO_RCVBUFFORCE = 33  # Python has no name for it


class Sink:
    """A server of many connections at once: reads one to its end, and answers with the digest."""

    def __init__(self, host, port):
        self.listener = host.listen(port)
        self.listener.settimeout(None)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                s = self.listener.accept()[0]
                threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    @staticmethod
    def _serve(s):
        digest = hashlib.sha256()
        with s:
            while data := s.recv(1 << 16):
                digest.update(data)
            s.sendall(digest.digest())

    @staticmethod
    def send(client, address, size, seed):
        """Whether what arrived is what was sent."""
        data = hashlib.shake_128(str(seed).encode()).digest(size)
        with client.connect(address, 8, timeout=20) as s:
            s.settimeout(60 * netns.SLOW)
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < 32 and (more := s.recv(32)):
                answer += more
        return answer == hashlib.sha256(data).digest()


def fields(line):
    return dict(kv.split("=", 1) for kv in line.split() if "=" in kv)


def queues(proc):
    """SIGUSR1: what each worker says of its queue."""
    return sorted((fields(line) for line in proc.status(" counter-tun ")), key=lambda f: int(f["queue"]))


def links(proc):
    return [q["link"] for q in queues(proc)]


def start(bare, agents, gates=1):
    """agents, gates: workers of each."""
    bare.start_entg2("--workers", gates)
    bare.start_entg1("--workers", gates)
    bare.entg1.wait_log(" peer-open ", 15)
    bare.start_server("--workers", agents, replay=("7", "udp/:7", "tcp/:8", "icmp/"))
    bare.start_client("--workers", agents, capture=("7", "udp/:7=192.168.0.254", "tcp/:8=192.168.0.254"))
    bare.settle()
    for p in bare.enta_c, bare.enta_s:
        netns.wait_until(lambda p=p: links(p) == ["up"] * agents, 15, "all lanes")
    return bare


# --- one worker, several, and how they end ---


@pytest.mark.parametrize("n", ["0", "17", "-1", "two", ""])
def test_workers_out_of_range(bare, n):
    p = bare.start_client("--workers", n, wait=False)
    assert p.wait(10) == 2
    assert "--workers" in p.log() and "1 to 16" in p.log()
    assert "eng-enta" not in " ".join(bare.client.link_names())


def test_steering_that_is_not_permitted(bare):
    """Several queues that nobody steers would change the order of packets: an error, not a guess."""
    if pathlib.Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text(encoding="ascii").strip() == "0":
        pytest.skip("here everybody may load such a program")
    before = bare.client.link_names()
    args = ("setpriv", "--bounding-set", "-bpf,-sys_admin", netns.program("enta"), *bare.AGENT_C, "--capture", "7")
    p = bare.client.spawn(*args, "--workers", "2", name="enta")
    assert p.wait(10) == 1
    assert "CAP_BPF" in p.log() and "one worker" in p.log()
    assert len(bare.client.link_names()) == len(before)
    p = bare.client.spawn(*args, name="enta")
    p.wait_log(" ready ", 10)


def test_one_worker_is_one_thread_and_one_queue(bare):
    start(bare, 1)
    assert bare.enta_c.threads() == []
    assert not bare.enta_c.grep(" lanes | lane-up ")


def test_gateway_that_takes_one_connection(net):
    """It does not say that it takes lanes: none is tried, and everything goes by queue 0."""
    a, g = net.host("agent"), net.host("gate")
    net.link(a, g, 1)
    listener = g.listen(6980)
    p = netns.enta(a, "--entg-connect", "tcp://10.77.1.2:6980", "--tun-addr", "192.168.0.1",
                   "--capture", "udp/:7", "--workers", "3", up=False)
    peer = e.Peer(listener.accept()[0], e.hello(e.GATEWAY, features=3))
    p.wait_log(" link-up ", 10)
    assert len(p.grep(" lanes gateway=.* in_use=1 ")) == 1
    assert p.threads() == ["enta-1", "enta-2"]
    assert links(p) == ["up", "down", "down"]
    s = a.sock(kind=socket.SOCK_DGRAM)
    for port in range(40):
        s.sendto(b"x", ("192.168.0.2", 7))
        s.close()
        s = a.sock(kind=socket.SOCK_DGRAM)
    peer.wait(lambda: len(peer.packets) == 40, 10, "40 flows")
    listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.mark.parametrize("who", ["itself", "another"])
def test_a_lane_leads_where_lane_0_does(net, who):
    """Somebody else may answer at the same address: nothing is sent to him."""
    a, g = net.host("agent"), net.host("gate")
    net.link(a, g, 1)
    listener = g.listen(6980)
    p = netns.enta(a, "--entg-connect", "tcp://10.77.1.2:6980", "--tun-addr", "192.168.0.1",
                   "--capture", "udp/:7", "--workers", "2", up=False)
    ids = os.urandom(16), os.urandom(16)
    first = e.Peer(listener.accept()[0], e.hello(e.GATEWAY, features=7, node_id=ids[0]))
    lane = e.Peer(listener.accept()[0],
                  e.hello(e.GATEWAY, features=7, node_id=ids[who == "another"]))
    lane.wait(lambda: lane.hello, 10, "HELLO")
    assert lane.hello == first.hello | {7: 1}
    if who == "itself":
        p.wait_log(" lane-up .* lane=1", 10)
        assert links(p) == ["up", "up"]
        first.sock.close()
        lane.wait(lane.closed.is_set, 10, "the lane's end")
        return
    lane.wait(lane.closed.is_set, 10, "a refusal")
    assert lane.error[1] == "lane-unexpected"
    assert links(p) == ["up", "down"] and not first.closed.is_set()


def test_stop_is_clean(bare):
    clean = bare.client.state()
    start(bare, 4, 2)
    bare.enta_c.stop()
    assert bare.enta_c.grep(" stopped ")
    assert bare.client.state() == clean
    bare.entg1.wait_log("peer-close .*goaway", 5)
    bare.start_client("--workers", 4)
    bare.settle()
    bare.entg1.stop()
    bare.enta_c.wait_log(" link-lost ", 10)
    netns.wait_until(lambda: links(bare.enta_c)[1:] == ["down"] * 3, 10, "the other lanes' end")
    bare.enta_c.stop()
    assert bare.enta_c.grep(" stopped ")


def test_killed_and_started_again(bare):
    start(bare, 3, 2)
    bare.enta_c.kill9()
    bare.start_client("--workers", 3, capture=("7",))
    bare.settle()
    transfer(bare.client, bare.server, bare.SERVER, 7, size=5_000_000)


# --- lanes ---


@pytest.mark.parametrize("gates", [1, 2, 3])
@pytest.mark.parametrize("agents", [1, 2, 3])
def test_any_number_with_any_number(bare, agents, gates):
    """Several transfers at once, each with its checksum; all lanes have their part."""
    start(bare, agents, gates)
    flows = 4 * agents
    sink = Sink(bare.server, 8)
    with concurrent.futures.ThreadPoolExecutor(flows) as pool:
        sums = list(pool.map(lambda i: sink.send(bare.client, bare.SERVER, 3_000_000, i), range(flows)))
    assert all(sums), sums
    transfer(bare.client, bare.server, bare.SERVER, 7, size=4_000_000)
    for p in bare.enta_c, bare.enta_s:
        moved = [int(q["packets_out"]) for q in queues(p)]
        assert all(moved), moved
        assert not any(int(q["drop_tun"]) for q in queues(p))


@pytest.mark.parametrize("gates", [1, 3])
def test_a_flow_keeps_its_order(bare, gates):
    """One flow of datagrams beside another's bulk: ascending numbers, whatever is dropped."""
    start(bare, 3, gates)
    bulk = Transfer(bare.client, bare.server, bare.SERVER, 7, size=60_000_000).start()
    receiver = bare.server.sock(kind=socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
    receiver.bind(("", 7))
    senders = [bare.client.sock(kind=socket.SOCK_DGRAM) for _ in range(6)]
    for n in range(1, 2001):
        for s in senders:
            s.sendto(n.to_bytes(4, "big") + bytes(200), (bare.SERVER, 7))
    bulk.finish()
    for n in range(2001, 2021):  # that the last come, too
        for s in senders:
            s.sendto(n.to_bytes(4, "big"), (bare.SERVER, 7))
        time.sleep(0.01)
    got = {}
    receiver.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while True:
            data, who = receiver.recvfrom(1000)
            got.setdefault(who[1], []).append(int.from_bytes(data[:4], "big"))
    assert len(got) == len(senders)
    for numbers in got.values():
        assert len(numbers) > 100
        assert all(a < b for a, b in zip(numbers, numbers[1:])), "out of order, or twice"


def lane_port(bare, lane):
    """The local port of that lane, as the gateway sees it."""
    for c in bare.entg1.counters():
        if c.get("role") == "agent" and c["lane"] == str(lane):
            return c["peer"].split("(")[0].rsplit(":", 1)[1]
    raise AssertionError(f"no lane {lane}")


def test_lanes_that_are_lost_come_back(bare):
    start(bare, 3, 3)
    t = Transfer(bare.client, bare.server, bare.SERVER, 7, size=60_000_000, rate=20_000_000).start()
    ups = len(bare.enta_c.grep(" lane-up "))
    for n in range(3):
        t.wait_received(0.2 + 0.2 * n)
        mark = bare.enta_c.mark()
        for lane in 1, 2:
            bare.client.run("ss", "-K", "sport", "=", f":{lane_port(bare, lane)}")
        netns.wait_until(lambda: len(bare.enta_c.grep(" lane-up ", mark)) == 2, 15, "both lanes again")
    assert not bare.enta_c.grep(" link-lost ")
    assert len(bare.enta_c.grep(" lane-up ")) >= ups + 6
    t.finish()
    assert links(bare.enta_c) == ["up"] * 3


def test_lane_0_takes_the_others_with_it_and_brings_them_back(bare):
    start(bare, 3, 2)
    t = Transfer(bare.client, bare.server, bare.SERVER, 7, size=40_000_000, rate=20_000_000).start()
    t.wait_received(0.2)
    mark = bare.enta_c.mark()
    bare.client.run("ss", "-K", "sport", "=", f":{lane_port(bare, 0)}")
    bare.enta_c.wait_log(" link-up ", 10, mark)
    netns.wait_until(lambda: len(bare.enta_c.grep(" lane-up ", mark)) == 2, 15, "the other lanes")
    t.finish()
    mark = bare.enta_c.mark()
    bare.entg1.kill9()
    bare.enta_c.wait_log(" link-lost ", 10, mark)
    netns.wait_until(lambda: links(bare.enta_c)[1:] == ["down"] * 2, 10, "the other lanes' end")
    bare.start_entg1("--workers", 2)
    netns.wait_until(lambda: links(bare.enta_c) == ["up"] * 3, 15, "all lanes")
    bare.settle()
    transfer(bare.client, bare.server, bare.SERVER, 7, size=5_000_000)


def test_attested_lanes(net):
    """Each lane is a session that proves itself; a new policy judges all of them."""
    chain = attested.Mutual(net)
    start(chain, 3, 2)
    peers = attested.peers(chain.enta_c)
    assert len(peers) == 3 and all(p["attested"] == "yes" and p["identity"] == "gate1" for p in peers)
    assert len([p for p in attested.peers(chain.entg1) if p["identity"] == "client"]) == 3
    transfer(chain.client, chain.server, chain.SERVER, 7, size=20_000_000)
    mark = chain.enta_c.mark()
    chain.enta_c.send(signal.SIGHUP)
    chain.enta_c.wait_log(" reloaded ", 10, mark)
    transfer(chain.client, chain.server, chain.SERVER, 7, size=5_000_000)
    assert links(chain.enta_c) == ["up"] * 3
    policy = chain.AGENT_C[chain.AGENT_C.index("--policy") + 1]
    pathlib.Path(policy).write_text("one_of:\n" + chain.tpm2.accept(), encoding="utf-8")
    chain.enta_c.send(signal.SIGHUP)
    netns.wait_until(lambda: "up" not in links(chain.enta_c), 15, "no lane to whom the policy refuses")
    chain.enta_c.stop()
