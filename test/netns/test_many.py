"""4: many agents and gateways, rings, withdrawn routes. The peers are scripted (eng1peer.py)."""

import json
import time

import pytest

import netns
import eng1peer as e
from traffic import transfer

AGENTS, NEIGHBOURS = 256, 8


def address(i):
    return f"10.20.{i // 256}.{i % 256}"


def join(host, gateway, prefixes, port=6980, role=e.AGENT, **kw):
    peer = e.Peer(host.connect(gateway, port), e.hello(role, prefixes, **kw))
    peer.wait(lambda: peer.hello, 10 * netns.SLOW, "HELLO of the gateway")
    return peer


def datagram(src, dst, data=b"x" * 32):
    return e.frame(e.udp4(src, dst, 1000, 2000, data))


def test_256_agents_and_8_neighbours_at_once(net):
    """Every agent sends to another one; every neighbour's network is reached and reaches back."""
    a, g = net.host("agents"), net.host("gate")
    net.link(a, g, 1)
    gate = netns.entg(g, "--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980")
    agents = [join(a, "10.77.1.2", [address(i) + "/32"]) for i in range(AGENTS)]
    ids = [bytes([n + 1]) * 16 for n in range(NEIGHBOURS)]
    neighbours = [join(a, "10.77.1.2", [], 6979, e.GATEWAY, node_id=i) for i in ids]
    for n, (peer, node) in enumerate(zip(neighbours, ids)):
        peer.send(e.routes((f"10.30.{n}.0/24", [node])))
    if netns.WORKERS:
        time.sleep(0.5 * netns.SLOW)  # a worker hears of what another was told a moment later
    # Every neighbour is told of every agent.
    for peer in neighbours:
        peer.wait(lambda p=peer: len({r[0] for r in p.routes if r[2]}) >= AGENTS, 10 * netns.SLOW,
                  "routes of all agents")
    for i, peer in enumerate(agents):
        peer.send(datagram(address(i), address((i + 1) % AGENTS)))
        peer.send(datagram(address(i), f"10.30.{i % NEIGHBOURS}.9"))
    for i, peer in enumerate(agents):
        peer.wait(lambda p=peer: p.packets, 10 * netns.SLOW, f"a packet at agent {i}")
        got = peer.packets[0]
        assert got[12:16] == bytes([10, 20, (i - 1) % AGENTS // 256, (i - 1) % AGENTS % 256])
    for n, peer in enumerate(neighbours):
        peer.wait(lambda p=peer: len(p.packets) >= AGENTS // NEIGHBOURS, 10 * netns.SLOW, "packets")
        peer.send(datagram(f"10.30.{n}.9", address(n)))
    for n in range(NEIGHBOURS):
        agents[n].wait(lambda p=agents[n]: len(p.packets) == 2, 10 * netns.SLOW, "an answer")
    time.sleep(0.3)
    assert all(len(p.packets) == (2 if i < NEIGHBOURS else 1) for i, p in enumerate(agents))
    assert all(len(p.packets) == AGENTS // NEIGHBOURS for p in neighbours)
    assert gate.alive() and not any(p.closed.is_set() for p in agents + neighbours)
    for p in agents + neighbours:
        p.close()


def test_route_is_withdrawn_when_the_agent_leaves(net):
    a, g = net.host("agents"), net.host("gate")
    net.link(a, g, 1)
    netns.entg(g, "--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980")
    neighbour = join(a, "10.77.1.2", [], 6979, e.GATEWAY)
    agent, other = join(a, "10.77.1.2", ["10.20.0.1/32"]), join(a, "10.77.1.2", ["10.20.0.2/32"])
    key = [bytes([10, 20, 0, 1]), 32]
    neighbour.wait(lambda: any(r[:2] == key and r[2] for r in neighbour.routes), 5, "announced")
    agent.close()
    neighbour.wait(lambda: any(r[:2] == key and not r[2] for r in neighbour.routes), 5, "withdrawn")
    # The same prefix on a new connection works, and what is for it goes there.
    agent = join(a, "10.77.1.2", ["10.20.0.1/32"])
    other.send(datagram("10.20.0.2", "10.20.0.1"))
    agent.wait(lambda: agent.packets, 5, "packet at the agent that came back")


def test_routes_that_lead_through_the_gateway_itself_are_refused(net):
    a, g = net.host("agents"), net.host("gate")
    net.link(a, g, 1)
    netns.entg(g, "--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980")
    n1 = join(a, "10.77.1.2", [], 6979, e.GATEWAY, node_id=b"1" * 16)
    n2 = join(a, "10.77.1.2", [], 6979, e.GATEWAY, node_id=b"2" * 16)
    gate_id = n1.hello[2]
    n1.send(e.routes(("10.40.0.0/16", [b"1" * 16, gate_id, b"3" * 16])))
    n1.send(e.routes(("10.41.0.0/16", [b"1" * 16, b"3" * 16])))
    n2.wait(lambda: n2.routes, 5, "the good route")
    time.sleep(0.2)
    told = [(r[0], len(r[2]) // 16) for r in n2.routes if r[2]]
    assert told == [(bytes([10, 41, 0, 0]), 3)], told
    agent = join(a, "10.77.1.2", ["10.20.0.1/32"])
    agent.send(datagram("10.20.0.1", "10.40.0.1"))
    agent.send(datagram("10.20.0.1", "10.41.0.1"))
    n1.wait(lambda: n1.packets, 5, "the packet for 10.41/16")
    time.sleep(0.2)
    assert len(n1.packets) == 1 and n1.packets[0][16:18] == bytes([10, 41]), "sent into a loop"


@pytest.fixture
def ring(net):
    """Four gateways, each connected to the next: everybody can be reached two ways."""
    hosts = [net.host(f"ring{i}") for i in range(4)]
    for i in range(4):
        net.link(hosts[i], hosts[(i + 1) % 4], i + 1)
    gates = [netns.entg(hosts[i], "--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980",
                        "--entg-connect", f"tcp://10.77.{i + 1}.2:6979") for i in range(4)]
    for g in gates:
        netns.wait_until(lambda p=g: len(p.grep(" peer-open ")) >= 2, 10, "both neighbours")
    return hosts, gates


def test_ring_of_four_does_not_loop_or_amplify(ring):
    hosts, gates = ring
    agents = [join(hosts[i], "127.0.0.1", [f"10.50.{i}.1/32"]) for i in range(4)]

    def reaches(i, j):
        n = len(agents[j].packets)
        agents[i].send(datagram(f"10.50.{i}.1", f"10.50.{j}.1"))
        try:
            agents[j].wait(lambda: len(agents[j].packets) > n, 0.3 * netns.SLOW, "")
            return True
        except TimeoutError:
            return False
    for i in range(4):
        for j in range(4):
            if i != j:
                netns.wait_until(lambda i=i, j=j: reaches(i, j), 5, f"{i} to {j}")
    time.sleep(0.3)  # what was still under way when it was reached
    for p in agents:
        p.packets.clear()
    before = sum(int(c["packets_in"]) for g in gates for c in g.counters() if c.get("peer"))
    for _ in range(100):
        for i in range(4):
            agents[i].send(datagram(f"10.50.{i}.1", f"10.50.{(i + 2) % 4}.1"))
            agents[i].send(datagram(f"10.50.{i}.1", "10.60.0.1"))  # nobody has this
    time.sleep(1)
    # ICMP answers to what nobody has are not ours to count.
    got = [sum(1 for x in p.packets if x[9] == 17) for p in agents]
    assert got == [100] * 4, got
    after = sum(int(c["packets_in"]) for g in gates for c in g.counters() if c.get("peer"))
    # Each packet to the opposite gateway enters three gateways, each to nobody enters one.
    assert after - before == 400 * 3 + 400, after - before
    # An idle ring is silent: routes have settled.
    def frames():
        return sum(int(c["frames_in"]) for g in gates for c in g.counters() if c.get("peer"))
    quiet = frames()
    time.sleep(2)
    assert frames() - quiet < 100, "routes keep circulating"


def test_ring_finds_the_other_way_round(ring):
    """With a gateway gone, its neighbours still reach each other; an agent's route moves."""
    hosts, gates = ring
    a0, a2 = join(hosts[0], "127.0.0.1", ["10.50.0.1/32"]), join(hosts[2], "127.0.0.1", ["10.50.2.1/32"])

    def reaches():
        n = len(a2.packets)
        a0.send(datagram("10.50.0.1", "10.50.2.1"))
        time.sleep(0.1)
        return len(a2.packets) > n
    netns.wait_until(reaches, 5, "0 to 2")
    for gone in (1, 3):
        gates[gone].kill9()
        netns.wait_until(reaches, 10, f"0 to 2 without gateway {gone}")
        gates[gone] = netns.entg(hosts[gone], *gates[gone].cmd[1:])
        netns.wait_until(lambda p=gates[gone]: len(p.grep(" peer-open ")) >= 2, 10, "back in the ring")


def test_agent_to_agent_on_one_gateway(net):
    """Two real agents beside each other, and a third that shares the gateway: nobody else's traffic."""
    g = net.host("gate")
    hosts = [net.host(f"agent{i}") for i in range(3)]
    for i, h in enumerate(hosts):
        net.link(h, g, i + 1)
    netns.entg(g, "--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980")
    for i, h in enumerate(hosts):
        netns.enta(h, "--entg-connect", f"tcp://10.77.{i + 1}.2:6980", "--tun-addr", f"192.168.0.{i + 1}",
                   "--replay", "tcp/:7000", "--replay", "icmp/")
    for src in range(3):
        for dst in range(3):
            if src != dst:
                out = hosts[src].run("ping", "-c3", "-i0.2", f"192.168.0.{dst + 1}").stdout
                assert " 0% packet loss" in out
    def received():
        link = json.loads(hosts[2].run("ip", "-j", "-s", "link", "show", "eng-enta").stdout)[0]
        return link["stats64"]["rx"]["packets"] + link["stats64"]["tx"]["packets"]
    before = received()
    assert before > 0
    transfer(hosts[0], hosts[1], "192.168.0.2", 7000, listen_port=7000, size=50_000_000)
    assert received() == before


@pytest.mark.parametrize("workers", [1, 3])
def test_when_descriptors_run_out(net, workers):
    """Strangers give way, whichever worker has them; who is there stays, and the rest waits."""
    room = 12
    a, g = net.host("agents"), net.host("gate")
    net.link(a, g, 1)
    gate = netns.entg_with_descriptors(g, room, "--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980",
                                        "--workers", workers)
    silent = [a.connect("10.77.1.2", 6980) for _ in range(3 * room)]
    agents = [join(a, "10.77.1.2", [address(i) + "/32"]) for i in range(room)]
    late = e.Peer(a.connect("10.77.1.2", 6980), e.hello(e.AGENT, [address(room) + "/32"]))
    gate.wait_log(" newcomers-wait ")
    before = gate.cpu_s()
    time.sleep(1)
    assert gate.cpu_s() - before < 0.5, "it is busy with those who wait"
    assert not late.hello
    for i, peer in enumerate(agents):
        peer.send(datagram(address(i), address((i + 1) % room)))
    for i, peer in enumerate(agents):
        peer.wait(lambda p=peer: p.packets, 10 * netns.SLOW, f"a packet at agent {i}")
    agents[0].close()
    late.wait(lambda: late.hello, 10 * netns.SLOW, "HELLO of the gateway")
    assert not any(p.closed.is_set() for p in agents[1:])
    for s in silent:
        s.close()
