"""The capture against a real kernel, by a probe that relays packets without agent or gateway.

`a` is beside a client application, `s` beside a server; a socket pair joins their TUNs. Both have a
cable to `wire`, which answers on every port: what is seen there left in the clear.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import subprocess
import threading

import netns
import pytest

PROBE = netns.build_dir() / "src/enta/capture_probe"
MARK = 0x454E47
SO_MARK = 36
A_ADDR = ("--addr", "192.168.0.1/24")
S_ADDR = ("--addr", "192.168.0.254/24")
FOREIGN = """
nft add table inet other
nft add chain inet other post { type nat hook postrouting priority 100 ; }
nft add rule inet other post oifname dummy masquerade
nft add table ip eng
ip rule add priority 15893 from 10.9.9.9 lookup 77
ip rule add priority 100 fwmark 0x454e47 lookup 77
ip -6 rule add priority 15893 to 2001:db8:9::/48 lookup 77
ip route add 10.9.0.0/16 dev lo table 77
ip -6 route add 2001:db8:9::/48 dev lo table 77
"""


class Probe:
    def __init__(self, host, *args, verb="run", link=None):
        fds = (link.fileno(),) if link else ()
        cmd = [PROBE, verb, *args] + (["--link", str(link.fileno())] if link else [])
        self.p = subprocess.Popen(host.argv(cmd), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, pass_fds=fds)
        self.said = []
        while verb == "run" and "ready\n" not in self.said:
            line = self.p.stdout.readline()
            assert line, self.p.stderr.read()
            self.said.append(line)

    def stop(self):
        self.p.stdin.close()
        assert self.p.wait(20) == 0, self.p.stderr.read()

    def kill(self):
        self.p.kill()
        self.p.wait()


def once(host, verb, *args):
    host.run(PROBE, verb, *args)


@pytest.fixture
def world(net):
    w = type("World", (), {})()
    w.net, w.probes = net, []
    w.a, w.wire, w.s = net.host("a"), net.host("wire"), net.host("s")
    net.link(w.a, w.wire, 1)
    net.link(w.s, w.wire, 2)
    w.wire.sysctl("net.ipv4.ip_forward", 1)
    for h, n in ((w.a, 1), (w.s, 2)):
        h.run("ip", "route", "add", "default", "via", f"10.77.{n}.2")
        h.run("ip", "-6", "route", "add", "default", "via", f"fd77:{n}::2")
    w.ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for s in w.ends:
        s.setsockopt(socket.SOL_SOCKET, 32, 1 << 20)  # SO_SNDBUFFORCE: one packet is 64 KiB

    def run(host, *args):
        w.probes.append(Probe(host, *args, link=w.ends[0 if host is w.a else 1]))
        return w.probes[-1]
    w.run = run
    yield w
    for p in w.probes:
        p.kill()
    for s in w.ends:
        s.close()


@contextlib.contextmanager
def nothing_in_the_clear(host, expression="port 7 or port 6978 or net 192.168.0.0/24 or icmp6[0]==128"):
    """Sees every packet of the host's cable; a probe packet shows that the sniffer sees at all."""
    sniffer = netns.Sniffer(host, host.ifaces[0], f"({expression}) or udp port 4444")
    yield
    with host.sock(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
        u.sendto(b"seen", (f"10.77.{1 if host.name == 'a' else 2}.2", 4444))
    n = sniffer.stop()
    assert n == 1, sniffer.text()


def service(host, port, kind=socket.SOCK_STREAM, address="::"):
    """Echoes, after the address of the peer as it sees it; dual stack, bound to no address."""
    s = host.sock(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))

    def tcp():
        s.listen(16)
        with contextlib.suppress(OSError):
            while True:
                c, peer = s.accept()
                c.sendall(peer[0].encode() + b" " + c.recv(100))
                c.close()

    def udp():
        with contextlib.suppress(OSError):
            while True:
                data, peer = s.recvfrom(65535)
                s.sendto(peer[0].encode() + b" " + data, peer)
    if kind == socket.SOCK_STREAM:
        s.listen(16)
    threading.Thread(target=tcp if kind == socket.SOCK_STREAM else udp, daemon=True).start()
    return s


def ask(host, address, port, kind=socket.SOCK_STREAM, source=None, mark=None, data=b"hi", timeout=5):
    """The answer as text, or the name of the errno."""
    with host.sock(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as s:
        s.settimeout(timeout)
        try:
            if mark:
                s.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            if source:
                s.bind((source, 0))
            s.connect((address, port))
            s.sendall(data)
            return s.recv(65535).decode().removeprefix("::ffff:")
        except socket.timeout:
            return "timeout"
        except OSError as e:
            return errno.errorcode[e.errno]


UDP = socket.SOCK_DGRAM
REFUSED = ("EHOSTUNREACH", "ENETUNREACH", "ECONNREFUSED", "EPERM", "EACCES")


def raw_syn(host, address, port):
    """A TCP segment that no FIB rule recognises by its port: raw sockets tell the kernel none."""
    with host.sock(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as s:
        with contextlib.suppress(OSError):
            s.sendto(struct.pack("!HHIIBBHHH", 5555, port, 1, 0, 5 << 4, 2, 1000, 0, 0), (address, 0))


def assert_refused(w):
    """Nothing that rule 7 (tcp) covers gets out of a, by whatever way it is tried."""
    with nothing_in_the_clear(w.a):
        assert ask(w.a, "10.77.1.2", 7) in REFUSED
        assert ask(w.a, "10.77.1.2", 7, source="10.77.1.1") in REFUSED
        assert ask(w.a, "fd77:1::2", 7) in REFUSED
        assert ask(w.a, "192.168.0.254", 6978) in REFUSED
        assert ask(w.a, "192.168.0.77", 9999, UDP) in REFUSED
        raw_syn(w.a, "10.77.1.2", 7)
    assert ask(w.a, "10.77.1.2", 8) == "10.77.1.1 hi"  # and nothing else is refused


def wire_services(w):
    return [service(w.wire, p, k) for p in (7, 8, 6978) for k in (socket.SOCK_STREAM, UDP)]


@pytest.mark.parametrize("more", [(), ("--drop",)])
def test_stop_restores_every_byte(world, more):
    for line in FOREIGN.strip().splitlines():
        world.a.run(*line.split())
    before = world.a.state()
    p = world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "7", "--capture", "icmp/",
                  "--capture", "any/2001:db8::/64", "--replay", "7", *more)
    assert world.a.state() != before
    p.stop()
    assert world.a.state() == before


def test_kill_leaks_nothing_and_cleanup_restores(world):
    keep = wire_services(world)
    for line in FOREIGN.strip().splitlines():
        world.a.run(*line.split())
    before = world.a.state()
    assert ask(world.a, "10.77.1.2", 7) == "10.77.1.1 hi"
    world.run(world.a, *A_ADDR, "--capture", "7").kill()
    assert_refused(world)
    once(world.a, "cleanup")
    assert world.a.state() == before
    assert ask(world.a, "10.77.1.2", 7) == "10.77.1.1 hi"
    once(world.a, "cleanup")  # with nothing to clean
    assert world.a.state() == before
    assert keep


def test_restart_after_kill_then_stop_restores(world):
    before = world.a.state()
    world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "7", "--capture", "udp/:5").kill()
    world.run(world.a, *A_ADDR, "--capture", "8").stop()
    assert world.a.state() == before


def test_no_leak_at_any_moment_of_restarts(world):
    """Floods port 7 while the capture starts and dies; the guard stands from the first start on."""
    keep = wire_services(world)
    once(world.a, "guard", *A_ADDR, "--capture", "any/:7")
    done = threading.Event()
    sent = [0]

    def flood():
        with world.a.sock(socket.AF_INET, UDP) as u, world.a.sock(socket.AF_INET6, UDP) as v:
            while not done.is_set():
                for s, to in ((u, "10.77.1.2"), (v, "fd77:1::2")):
                    with contextlib.suppress(OSError):
                        s.sendto(b"secret", (to, 7))
                sent[0] += 1
    t = threading.Thread(target=flood)
    with nothing_in_the_clear(world.a, "port 7 or net 192.168.0.0/24"):
        t.start()
        for i in range(6):
            p = world.run(world.a, *A_ADDR, "--capture", "any/:7")
            p.kill() if i % 2 else p.stop()
        done.set()
        t.join()
    assert sent[0] > 100 and keep


def test_tunnel_carries_and_sets_the_source(world):
    keep = wire_services(world) + [service(world.s, 7)]
    p = world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "7", "--capture", "tcp/:9")
    world.run(world.s, *S_ADDR, "--replay", "7")
    assert "captures tcp any -> port 7, to 192.168.0.254:6978 via eng0; IPv6 is refused\n" in p.said
    with nothing_in_the_clear(world.a), nothing_in_the_clear(world.s):
        assert ask(world.a, "10.77.1.2", 7) == "192.168.0.1 hi"
        assert ask(world.a, "203.0.113.9", 7) == "192.168.0.1 hi"
        # An application that chose another address speaks from the TUN's all the same.
        assert ask(world.a, "10.77.1.2", 7, source="10.77.1.1") == "192.168.0.1 hi"
        # It could enter the TUN, but not be redirected to an IPv4 address.
        assert ask(world.a, "fd77:1::2", 7) == "ENETUNREACH"
    # The agent's own link passes by, other ports too, and this host's own services.
    assert ask(world.a, "10.77.1.2", 7, mark=MARK) == "10.77.1.1 hi"
    assert ask(world.a, "10.77.1.2", 8) == "10.77.1.1 hi"
    keep.append(service(world.a, 7))
    assert ask(world.a, "127.0.0.1", 7) == "127.0.0.1 hi"
    assert ask(world.a, "10.77.1.1", 7) == "10.77.1.1 hi"


def test_kept_destination_both_families(world):
    """The server's host has none of the addresses that its clients ask for."""
    keep = [service(world.s, 80), service(world.s, 81)]
    world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "tcp/10.99.0.0/16:80",
              "--capture", "[2001:db8::]/64:80", "--capture", "10.99.0.7:90=192.168.0.254:81")
    world.run(world.s, *S_ADDR, "--addr", "fd00::2/64", "--replay", "tcp/10.99.0.5:80",
              "--replay", "tcp/[2001:db8::5]:80", "--replay", "tcp/:81")
    with nothing_in_the_clear(world.a, "port 80"), nothing_in_the_clear(world.s, "port 80"):
        assert ask(world.a, "10.99.0.5", 80) == "192.168.0.1 hi"
        assert ask(world.a, "2001:db8::5", 80) == "fd00::1 hi"
        assert ask(world.a, "10.99.0.6", 80) in ("ECONNREFUSED", "timeout")  # not replayed
    assert ask(world.a, "10.99.0.7", 90) == "192.168.0.1 hi"
    assert keep


def test_ipv6_without_an_address_is_refused(world):
    keep = wire_services(world)
    p = world.run(world.a, *A_ADDR, "--capture", ":7")
    assert "captures tcp any -> port 7, destination kept via eng0; IPv6 is refused\n" in p.said
    with nothing_in_the_clear(world.a):
        assert ask(world.a, "fd77:1::2", 7) in REFUSED
    assert keep


def test_udp_replies_leave_from_the_address_that_was_asked(world):
    """A server bound to no address, several TUN addresses, ports redirected and kept."""
    keep = [service(world.s, 53, UDP), service(world.s, 5353, UDP)]
    world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "any/10.50.0.0/24",
              "--capture", "any/2001:db8::/64")
    world.run(world.s, *S_ADDR, "--addr", "192.168.0.253/24", "--addr", "10.50.0.1/24",
              "--addr", "fd00::2/64", "--addr", "fd00::3/64",
              "--replay", "udp/:53", "--replay", "udp/:54=5353")
    with nothing_in_the_clear(world.s, "udp and (port 53 or port 54 or port 5353)"):
        for address in ("192.168.0.254", "192.168.0.253", "10.50.0.1", "10.50.0.9"):
            for port in (53, 54):
                assert ask(world.a, address, port, UDP) == "192.168.0.1 hi", (address, port)
        for address in ("fd00::2", "fd00::3", "2001:db8::9"):
            for port in (53, 54):
                assert ask(world.a, address, port, UDP) == "fd00::1 hi", (address, port)
        # Beyond every MTU of a cable: one datagram, not fragments.
        assert len(ask(world.a, "192.168.0.254", 53, UDP, data=b"x" * 40000)) == 40000 + 12
    assert keep


def test_inwards_only_what_is_replayed(world):
    keep = [service(world.s, p, k) for p in (7, 22, 6978) for k in (socket.SOCK_STREAM, UDP)]
    world.run(world.a, *A_ADDR, "--capture", "7", "--capture", "any/10.77.2.0/24")
    world.run(world.s, *S_ADDR, "--replay", "7")
    assert ask(world.a, "192.168.0.254", 6978) == "192.168.0.1 hi"
    assert ask(world.a, "192.168.0.254", 22) == "ECONNREFUSED"
    assert ask(world.a, "192.168.0.254", 7, UDP) in ("EHOSTUNREACH", "ENETUNREACH", "EACCES")
    # Another address of the host, and a host behind it.
    for address in ("10.77.2.1", "10.77.2.2"):
        assert ask(world.a, address, 22, timeout=1.5) in ("timeout", "ECONNREFUSED"), address
    assert world.a.run("ping", "-c1", "-W1", "192.168.0.254", check=False).returncode != 0
    assert keep


@contextlib.contextmanager
def nothing_into_the_tun(host, expression):
    sniffer = netns.Sniffer(host, "eng0", f"({expression}) or udp port 4444")
    yield
    with host.sock(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.sendto(b"seen", ("192.168.0.99", 4444))
    n = sniffer.stop()
    assert n == 1, sniffer.text()


def udp_packet(source, port, destination, dport, data):
    """A UDP/IPv4 packet behind its empty virtio_net_hdr."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    total = sum(struct.unpack("!10H", head))
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", total) + head[12:]
    return bytes(10) + head + struct.pack("!HHHH", port, dport, 8 + len(data), 0) + data


def test_no_packet_from_the_tun_enters_a_flow_of_the_cable(world):
    """It bears the addresses and ports of an established flow, but came by another way."""
    world.run(world.s, *S_ADDR, "--capture", "any/10.77.2.0/24", "--replay", "udp/:5000")
    keep = [service(world.wire, 9, UDP), service(world.s, 5000, UDP)]
    with world.s.sock(socket.AF_INET, UDP) as u:
        u.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
        u.bind(("10.77.2.1", 4000))
        u.connect(("10.77.2.2", 9))
        u.settimeout(5)
        u.send(b"hi")
        assert u.recv(100).endswith(b"hi")  # established, by the cable
        tun = world.ends[0]
        tun.send(udp_packet("10.77.2.2", 9, "10.77.2.1", 4000, b"forged"))
        tun.settimeout(5)
        while (answer := tun.recv(70000))[19] != 1:  # ICMP: refused; so it was handled
            pass
        u.settimeout(0.2)
        with pytest.raises(socket.timeout):
            u.recv(100)
    tun.send(udp_packet("192.168.0.1", 9, "192.168.0.254", 5000, b"replayed"))  # such a one is let in
    while not (answer := tun.recv(70000)).endswith(b"replayed"):
        pass
    assert keep


def test_a_foreign_rule_cannot_lead_a_redirected_flow_astray(world):
    world.run(world.a, *A_ADDR, "--capture", "7")
    world.a.run("ip", "rule", "add", "priority", "50", "to", "192.168.0.254", "lookup", "main")
    with nothing_in_the_clear(world.a):
        assert ask(world.a, "10.77.1.2", 7, timeout=1.5) != "192.168.0.1 hi"


def test_strangers_on_the_cable(world):
    """Neither redirected, nor let at the TUN's addresses, nor routed into the TUN; ordinary services
    answer them as ever."""
    keep = [service(world.s, 7)]
    world.run(world.s, *S_ADDR, "--replay", "7")
    world.wire.run("ip", "route", "add", "192.168.0.254", "via", "10.77.2.1")
    assert ask(world.wire, "10.77.2.1", 6978) == "ECONNREFUSED"
    world.wire.run("ip", "route", "add", "192.168.0.1", "via", "10.77.2.1")
    world.s.run("ip", "route", "add", "192.168.0.1", "dev", "eng0")
    world.s.sysctl("net.ipv4.ip_forward", 1)
    with nothing_into_the_tun(world.s, "tcp or udp port 5555"):
        assert ask(world.wire, "192.168.0.254", 7, timeout=1.5) == "timeout"
        assert ask(world.wire, "192.168.0.254", 6978, timeout=1.5) == "timeout"
        assert ask(world.wire, "192.168.0.1", 5555, UDP, timeout=0.5) == "timeout"
    assert ask(world.wire, "10.77.2.1", 7) == "10.77.2.2 hi"
    assert keep


def test_replies_of_a_service_do_not_leave_in_the_clear(world):
    """The server's TUN dies; what the service still says to its client goes nowhere."""
    listener = world.s.listen(7)
    world.run(world.a, *A_ADDR, "--capture", "7")
    p = world.run(world.s, *S_ADDR, "--replay", "7")
    c = world.a.connect("10.77.1.2", 7)
    served, _ = listener.accept()
    with nothing_in_the_clear(world.s, "net 192.168.0.0/24"):
        p.kill()
        for _ in range(3):
            with contextlib.suppress(OSError):
                served.sendall(b"secret")
            select.select([served], [], [], 0.3)
    c.close()


def test_flow_from_before_the_start_is_cut(world):
    """A firewall that tracks connections knows it, so no translation applies to it any more."""
    for line in ("table inet fw", "chain inet fw in { type filter hook input priority 0 ; }",
                 "rule inet fw in ct state established accept"):
        world.a.run("nft", "add", *line.split())
    listener = world.wire.listen(7)
    c = world.a.connect("10.77.1.2", 7)
    served, _ = listener.accept()
    world.run(world.a, *A_ADDR, "--capture", "7")
    world.run(world.s, *S_ADDR, "--replay", "7")
    with nothing_in_the_clear(world.a), nothing_into_the_tun(world.a, "tcp"):
        with contextlib.suppress(OSError):
            c.sendall(b"secret")
        assert not select.select([served], [], [], 1)[0]


@pytest.mark.parametrize("address", ["10.99.0.5", "2001:db8::5"])
def test_a_connection_does_not_go_on_in_the_clear_after_a_stop(world, address):
    listener = world.s.listen(80, "::", socket.AF_INET6)
    p = world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "any/10.99.0.0/16",
                  "--capture", "any/2001:db8::/64", "--drop")
    world.run(world.s, *S_ADDR, "--addr", "fd00::2/64", "--replay", "tcp/:80")
    c = world.a.connect(address, 80)
    served, _ = listener.accept()
    with nothing_in_the_clear(world.a, "port 80"):
        p.stop()
        with contextlib.suppress(OSError):
            c.sendall(b"secret")
        assert not select.select([served], [], [], 1)[0]


def test_icmp_echo_is_captured_and_answers_are_not(world):
    world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "icmp/")
    world.run(world.s, *S_ADDR, "--addr", "fd00::2/64", "--replay", "icmp/")
    with nothing_in_the_clear(world.a, "icmp[0]==8 or icmp6[0]==128"):
        for to in ("192.168.0.254", "203.0.113.5", "fd00::2", "2001:db8::1"):
            world.a.run("ping", "-c1", "-W2", to)
    for to in ("10.77.1.1", "fd77:1::1"):  # our answers to others, and how neighbours are found
        world.wire.run("ping", "-c1", "-W2", to)
    world.a.run("ip", "neigh", "flush", "all")
    keep = wire_services(world)
    assert ask(world.a, "fd77:1::2", 8) == "fd77:1::1 hi"
    assert keep


def test_everything_captured_but_the_link(world):
    """any/ is all there is: the neighbour is still found, and the marked link still works."""
    keep = wire_services(world) + [service(world.s, 8)]
    world.run(world.a, *A_ADDR, "--addr", "fd00::1/64", "--capture", "any/")
    world.run(world.s, *S_ADDR, "--addr", "fd00::2/64", "--replay", "any/")
    world.a.run("ip", "neigh", "flush", "all")
    with nothing_in_the_clear(world.a, "port 8"):
        assert ask(world.a, "10.77.1.2", 8) == "192.168.0.1 hi"
        assert ask(world.a, "fd77:1::2", 8) == "fd00::1 hi"
    assert ask(world.a, "10.77.1.2", 8, mark=MARK) == "10.77.1.1 hi"
    assert ask(world.a, "fd77:1::2", 8, mark=MARK) == "fd77:1::1 hi"
    assert keep


def test_guard_alone_and_back_to_it(world):
    keep = wire_services(world) + [service(world.s, 7)]
    before = world.a.state()
    once(world.a, "guard", *A_ADDR, "--capture", "7")
    assert_refused(world)
    guarded = world.a.state()
    p = world.run(world.a, *A_ADDR, "--capture", "7")
    world.run(world.s, *S_ADDR, "--replay", "7")
    assert ask(world.a, "10.77.1.2", 7) == "192.168.0.1 hi"
    assert world.a.run(PROBE, "guard", *A_ADDR, "--capture", "7", check=False).returncode != 0
    p.stop()
    assert world.a.state() == guarded
    assert_refused(world)
    once(world.a, "cleanup")
    assert world.a.state() == before
    assert keep


def test_two_instances(world):
    """Each has its own rules, table and TUN; one's end leaves the other's alone."""
    keep = wire_services(world)
    before = world.a.state()
    one = world.run(world.a, *A_ADDR, "--capture", "7")
    alone = world.a.state()
    two = Probe(world.a, "--instance", "two", "--tun", "eng1", "--addr", "192.168.1.1/24",
                "--capture", "tcp/:8=192.168.1.254:6978", "--mark", str(MARK + 1))
    world.probes.append(two)
    two.kill()
    with nothing_in_the_clear(world.a, "port 8 or port 7"):
        assert ask(world.a, "10.77.1.2", 8) in REFUSED
    once(world.a, "cleanup", "--instance", "two")
    assert world.a.state() == alone
    one.stop()
    assert world.a.state() == before
    assert keep


def test_names_that_share_a_place_are_told_apart(world):
    """Two names that hash to one slot: the second is refused, and changes nothing."""
    def slot(name):
        h = 2166136261
        for byte in name.encode():
            h = (h ^ byte) * 16777619 % 2**32
        return h % 5000
    other = next(n for n in (f"n{i}" for i in range(100000)) if slot(n) == slot("enta"))
    world.run(world.a, *A_ADDR, "--capture", "7")
    before = world.a.state()
    r = world.a.run(PROBE, "guard", "--instance", other, "--tun", "eng9", *A_ADDR, "--capture", "8",
                    check=False)
    assert r.returncode != 0 and "choose another name" in r.stderr
    assert world.a.run(PROBE, "cleanup", "--instance", other, check=False).returncode != 0
    assert world.a.state() == before


def test_ipv6_switched_off(world):
    world.a.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    world.a.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    before = world.a.state()
    keep = [service(world.s, 7)]
    p = world.run(world.a, *A_ADDR, "--capture", "7")
    world.run(world.s, *S_ADDR, "--replay", "7")
    assert ask(world.a, "10.77.1.2", 7) == "192.168.0.1 hi"
    p.stop()
    assert world.a.state() == before
    assert keep


def test_offloads_are_granted(world):
    p = world.run(world.a, *A_ADDR, "--capture", "7")
    bits = int(next(s for s in p.said if s.startswith("offloads")).split()[1])
    modern = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 2)
    assert bits == (7 if modern else 3)
