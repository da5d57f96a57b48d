"""The faults that were observed in the original, each shown to be absent here.

A killed process that takes the others with it, and a silently dropped peer, are in test_faults.py;
exit status 0 after fatal errors is in test_cli.py.
"""

import json
import signal
import socket
import struct
import time

import pytest

import netns
import eng1peer as e
from traffic import Echo, Transfer, connect_error, echo_once, transfer, udp_once

FOREIGN = ("add table ip mine; add chain ip mine nat { type nat hook prerouting priority -100; }; "
           "add rule ip mine nat tcp dport 6978 redirect to :9; add table inet other; "
           "add chain inet other c { type filter hook output priority 0; }; "
           "add rule inet other c tcp dport 7 counter accept")


def add_foreign(host):
    """Rules of somebody else that look like the original's own: they must survive everything."""
    host.run("nft", FOREIGN)
    host.run("ip", "rule", "add", "to", "203.0.113.0/24", "lookup", "8", "priority", "1000")
    host.run("ip", "route", "add", "203.0.113.0/24", "via", "10.77.1.2", "table", "8")
    host.run("ip", "-6", "rule", "add", "to", "2001:db8::/32", "lookup", "8", "priority", "1000")


def test_zero_length_frame_does_not_kill_the_agent(bare):
    add_foreign(bare.client)
    before = bare.client.state()
    listener = bare.gate1.listen(6980)
    bare.start_client(up=False)
    for _ in range(3):
        s, _ = listener.accept()
        s.sendall(struct.pack(">I", 0))
        assert s.recv(1) in (b"", b"\0"[:1])
        s.close()
    assert bare.enta_c.alive() and bare.enta_c.grep("reason=.*empty")
    bare.enta_c.stop()
    assert bare.client.state() == before


def test_stranger_or_non_ip_frame_does_not_end_the_chain(chain):
    t = Transfer(chain.client, chain.server, chain.SERVER, 7, rate=100_000_000).start()
    for port in (6979, 6980):
        for data in (b"", b"\0\0\0\4junk", e.frame(b"hello"), e.hello(prefixes=["10.9.9.9/32"])):
            with chain.client.connect("10.77.1.2", port) as s:
                s.sendall(data)
    t.finish()
    assert all(p.alive() for p in chain.programs())


@pytest.mark.parametrize("victim", ["enta_c", "entg1", "entg2", "enta_s"])
def test_one_that_ends_does_not_take_the_others(chain, victim):
    getattr(chain, victim).stop()
    time.sleep(0.5)
    others = [p for p in chain.programs() if p is not getattr(chain, victim)]
    assert len(others) == 3 and all(p.alive() for p in others)


def test_second_agent_is_welcome(chain):
    second = chain.net.host("second")
    chain.net.link(second, chain.gate1, 8)
    netns.enta(second, "--entg-connect", "tcp://10.77.8.2:6980", "--tun-addr", "192.168.0.2", "--capture",
               "7")
    echo = Echo(chain.server, 7)
    assert echo_once(second, "192.0.2.7", 7, b"two") == b"two"
    assert echo_once(chain.client, "192.0.2.7", 7, b"one") == b"one"
    assert echo.peers == ["192.168.0.2", "192.168.0.1"]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop_leaves_nothing_behind(chain, sig):
    """nft, ip rule and ip route, byte for byte, at both ends, with foreign rules present."""
    for p in chain.programs():
        p.stop()
    add_foreign(chain.client)
    before = chain.client.state(), chain.server.state()
    for _ in range(2):
        chain.start(capture=("7", "udp/:53=192.168.0.254", "tcp/[fd77:3::2]:80"), replay=("7", "udp/", "icmp/"))
        assert (chain.client.state(), chain.server.state()) != before
        for p in chain.programs():
            assert p.stop(sig) == 0
        assert (chain.client.state(), chain.server.state()) == before


def test_restart_after_a_crash_doubles_nothing(bare):
    add_foreign(bare.client)
    before = bare.client.state()
    bare.start_client(up=False)
    running = bare.client.state()
    for _ in range(3):
        bare.enta_c.kill9()
        assert bare.client.state() != before, "the guard is gone after kill -9"
        bare.start_client(up=False)
        assert bare.client.state().count("\n") == running.count("\n")
    bare.enta_c.kill9()
    bare.client.run(netns.program("enta"), "cleanup")
    assert bare.client.state() == before
    bare.start_client(up=False).stop()
    assert bare.client.state() == before


def test_failed_start_does_not_clean_up_others(chain):
    """A second start of the same instance fails, and the running one goes on."""
    state = chain.client.state()
    r = chain.client.run(netns.program("enta"), *chain.AGENT_C, "--capture", "9", check=False, timeout=5)
    assert r.returncode == 1 and len(r.stderr.strip().splitlines()) == 1, r
    r = chain.client.run(netns.program("enta"), "cleanup", check=False, timeout=5)
    assert r.returncode == 1, "cleanup under a running agent"
    assert chain.client.state() == state
    transfer(chain.client, chain.server, chain.SERVER, 7, size=20_000_000)


def test_two_instances_stop_apart(chain):
    before = chain.client.state()
    b = netns.enta(chain.client, *chain.AGENT_C[:2], "--tun-addr", "192.168.7.1", "--capture",
                   "tcp/:8080=192.168.0.254:6978", "--instance", "b")
    echo = Echo(chain.server, 7)
    assert echo_once(chain.client, "192.0.2.9", 8080) == b"hello"
    assert echo_once(chain.client, "192.0.2.9", 7) == b"hello"
    assert echo.peers == ["192.168.7.1", "192.168.0.1"]
    b.kill9()
    assert echo_once(chain.client, "192.0.2.9", 7) == b"hello"
    chain.client.run(netns.program("enta"), "cleanup", "--instance", "b")
    assert chain.client.state() == before
    assert echo_once(chain.client, "192.0.2.9", 7) == b"hello"


def test_clean_exit_says_that_protection_ends(bare):
    bare.start_client(up=False)
    bare.enta_c.stop()
    assert bare.enta_c.grep("warn .*unprotected"), bare.enta_c.log()
    # And who wants it refused instead, can have that.
    before = bare.sniff()
    bare.start_client("--keep-guard", up=False)
    bare.enta_c.stop()
    listener = Echo(bare.server, 7)
    assert connect_error(bare.client, bare.SERVER, 7, 2)[0]
    count, text = netns.clear_packets(before)
    assert count == 0, text
    bare.client.run(netns.program("enta"), "cleanup")
    assert echo_once(bare.client, bare.SERVER, 7) == b"hello"
    listener.close()


def test_half_close_keeps_the_reply(chain):
    """The server answers only after the client's end of stream, and slowly."""
    listener = chain.server.listen(7)
    c = chain.client.connect(chain.SERVER, 7)
    c.sendall(b"question")
    c.shutdown(socket.SHUT_WR)
    s, _ = listener.accept()
    got = b""
    while more := s.recv(100):
        got += more
    assert got == b"question"
    time.sleep(1)
    s.sendall(b"answer" * 100_000)
    s.close()
    got = b""
    while more := c.recv(65536):
        got += more
    assert got == b"answer" * 100_000


def test_no_delayed_ack_stall(chain):
    """Messages around 4 KB met Nagle's algorithm and a delayed ACK in the original: 44 ms each. An
    ACK is delayed for at least 40 ms; half of the messages of a size below that meet none."""
    rtt = chain.net.tmp / "rtt"
    netns.sh("cc", "-O2", "-D_GNU_SOURCE", "-o", rtt, netns.ROOT / "test" / "bench" / "rtt.c")
    chain.server.spawn(rtt, "server", 7, quiet=True).wait_log("listening")
    for size in (64, 1400, 1500, 2000, 2900, 4096, 5000, 8192, 20480, 65536):
        out = json.loads(chain.client.run(rtt, "client", chain.SERVER, 7, size, 300).stdout)
        assert out["p50"] < 35_000, (size, out)


def test_redirect_does_not_serve_strangers(chain):
    """What the server side replays is for the tunnel: port 6978 is closed on every real address."""
    echo = Echo(chain.server, 7)
    assert echo_once(chain.client, chain.SERVER, 7) == b"hello"  # by the tunnel
    error, _ = connect_error(chain.gate2, chain.SERVER, 6978, 2)
    assert error, "a stranger is served at 10.77.3.2:6978"
    # Nor can a neighbour on the cable reach the TUN's address by routing to it.
    chain.gate2.run("ip", "route", "add", "192.168.0.254/32", "via", chain.SERVER)
    for port in (7, 6978):
        assert connect_error(chain.gate2, "192.168.0.254", port, 2)[0], port
    assert echo.peers == ["192.168.0.1"]


def test_only_replayed_ports_are_reached_through_the_tunnel(chain):
    Echo(chain.server, 22)
    Echo(chain.server, 7)
    assert connect_error(chain.client, "192.168.0.254", 22, 2)[0], "port 22 is open to the tunnel"
    assert echo_once(chain.client, "192.168.0.254", 6978) == b"hello"


def test_plain_end_against_tls_end_says_so(bare):
    """Both ways: a TLS client at our port, and our agent at a TLS server."""
    bare.start_entg1(args=bare.LISTEN)
    r = bare.client.run("timeout", "8", "openssl", "s_client", "-connect", "10.77.1.2:6980", check=False)
    assert r.returncode not in (0, 124), "openssl hangs"
    assert "tls" in bare.entg1.wait_log(r"-close .*reason=", 2).split("reason=")[1]
    bare.entg1.stop()
    key = bare.net.tmp / "key.pem"
    netns.sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", f"{key}.crt")
    bare.gate1.spawn("openssl", "s_server", "-quiet", "-accept", 6980, "-key", key, "-cert", f"{key}.crt",
                     quiet=True)
    netns.wait_until(lambda: bare.gate1.listening(6980), 5, "s_server")
    bare.start_client(up=False)
    # This server closes without a word; the agent says that, too, and does not wait for ever.
    assert bare.enta_c.wait_log(r" peer-close .*reason=(closed-by-peer|tls)", 8)
    assert bare.enta_c.wait_log(r" link-down .*retry=", 5)
    assert bare.enta_c.alive()


def test_nothing_is_hard_coded(bare):
    """Other addresses, ports and names; table 8 and 6978 belong to somebody else here."""
    add_foreign(bare.client)
    before = bare.client.state(), bare.server.state()
    bare.start_entg2(args=["--entg-listen", "tcp://1111", "--enta-listen", "tcp://2222"])
    bare.start_entg1(args=["--enta-listen", "tcp://3333", "--entg-connect", "tcp://10.77.2.2:1111"])
    s = netns.enta(bare.server, "--entg-connect", "tcp://10.77.3.1:2222", "--tun-addr", "172.20.5.9/16",
                   "--replay", "tcp/:1234=80", "--instance", "left", "--tun-name", "tunnel7")
    c = netns.enta(bare.client, "--entg-connect", "tcp://10.77.1.2:3333", "--tun-addr", "172.20.1.1",
                   "--tun-mask", "255.255.0.0", "--capture", "tcp/10.77.3.0/24:80=172.20.5.9:1234",
                   "--instance", "right")
    echo = Echo(bare.server, 80)
    netns.wait_until(lambda: connect_error(bare.client, bare.SERVER, 80)[0] is None, 5, "the chain")
    assert echo_once(bare.client, bare.SERVER, 80) == b"hello"
    assert set(echo.peers) == {"172.20.1.1"}
    c.stop()
    s.stop()
    assert (bare.client.state(), bare.server.state()) == before


def test_many_ports_and_protocols_at_once(bare):
    bare.start(capture=("tcp/10.77.3.2:7000-7099=192.168.0.254", "udp/10.77.3.2:53=192.168.0.254", "7"),
               replay=("tcp/:7000-7099", "udp/:53", "7", "icmp/"))
    echoes = [Echo(bare.server, p) for p in (7, 7000, 7050, 7099)] + [Echo(bare.server, 53, udp=True)]
    for port in (7, 7000, 7050, 7099):
        assert echo_once(bare.client, bare.SERVER, port) == b"hello", port
    assert udp_once(bare.client, bare.SERVER, 53, b"dns") == b"dns"
    assert all(set(x.peers) == {"192.168.0.1"} for x in echoes)
    # A port beside the range is not captured: it goes its ordinary way.
    outside = Echo(bare.server, 7100)
    assert echo_once(bare.client, bare.SERVER, 7100) == b"hello"
    assert outside.peers == [bare.CLIENT]


def test_udp_of_a_tcp_port_is_not_captured_unasked(chain):
    echo = Echo(chain.server, 7, udp=True)
    assert udp_once(chain.client, chain.SERVER, 7) == b"hello"
    assert echo.peers == [chain.CLIENT], "UDP port 7 came through the tunnel"
