"""6: what happens to a real transfer, and to what goes out in the clear, when parts fail."""

import contextlib
import os
import signal
import time

import pytest

import netns
from traffic import Echo, Transfer, connect_error, echo_once, transfer

RATE = 80_000_000  # bytes a second: 200 MB last long enough for a fault in the middle


@pytest.mark.parametrize("gate", ["entg1", "entg2"])
def test_connection_survives_kill_and_restart_of_gateway(chain, gate):
    sniffers = chain.sniff()
    t = Transfer(chain.client, chain.server, chain.SERVER, 7, rate=RATE).start()
    t.wait_received(0.2)
    getattr(chain, gate).kill9()
    time.sleep(1)
    assert t.received < t.size, "the transfer was over before the fault"
    getattr(chain, "start_" + gate)()
    t.finish()
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text


def test_client_agent_killed_and_restarted(chain):
    sniffers = chain.sniff()
    t = Transfer(chain.client, chain.server, chain.SERVER, 7, rate=RATE).start()
    t.wait_received(0.2)
    chain.enta_c.kill9()
    # What a crash leaves behind still refuses: at once, and never in the clear.
    for address in (chain.SERVER, "192.168.0.254"):
        error, seconds = connect_error(chain.client, address, 7)
        assert error, f"{address} answers while the agent is dead"
        assert seconds < 2, f"{address}: {error} only after {seconds:.1f} s"
    assert t.received < t.size
    chain.start_client()
    chain.settle()
    t.listener.close()
    transfer(chain.client, chain.server, chain.SERVER, 7)
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text


def test_server_agent_killed_and_restarted(chain):
    sniffers = chain.sniff()
    t = Transfer(chain.client, chain.server, chain.SERVER, 7, rate=RATE).start()
    t.wait_received(0.2)
    chain.enta_s.kill9()
    time.sleep(0.5)
    assert t.received < t.size
    chain.start_server()
    chain.settle()
    t.listener.close()
    transfer(chain.client, chain.server, chain.SERVER, 7)
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text


def test_link_cut_for_ten_seconds(chain):
    """The cable between the gateways: carrier lost, routes gone, all of it back after 10 s."""
    sniffers = chain.sniff()
    t = Transfer(chain.client, chain.server, chain.SERVER, 7, rate=RATE).start()
    t.wait_received(0.2)
    chain.gate2.run("ip", "link", "set", "to-gate1", "down")
    time.sleep(0.3)
    before = t.received
    time.sleep(9.7)
    assert t.received == before < t.size, "bytes went through a cut link"
    chain.gate2.run("ip", "link", "set", "to-gate1", "up")
    chain.gate2.run("ip", "route", "replace", "10.77.1.0/24", "via", "10.77.2.1")
    t.finish(90)
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text


def test_gateway_not_there_yet(bare):
    sniffers = bare.sniff()
    bare.start_server(replay=("7", "icmp/"), up=False)
    bare.start_client(up=False)
    time.sleep(2.5)
    for _ in range(2):
        error, seconds = connect_error(bare.client, bare.SERVER, 7, 10)
        assert error, "something answered without any gateway"
        assert seconds < 5, f"{error} only after {seconds:.1f} s"
    assert bare.enta_c.alive() and bare.enta_s.alive()
    bare.start_entg1()
    time.sleep(1)
    bare.start_entg2()
    bare.settle()
    transfer(bare.client, bare.server, bare.SERVER, 7)
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text


def test_half_open_peer_is_noticed(chain):
    """Packets vanish, nobody says FIN. Every side of both hops knows within 15 s, and recovers."""
    drop = ("add table inet cut; add chain inet cut in { type filter hook input priority -300; "
            "policy accept; }; add chain inet cut out { type filter hook output priority -300; "
            "policy accept; }; add rule inet cut in tcp dport { 6979, 6980 } drop; "
            "add rule inet cut in tcp sport { 6979, 6980 } drop; "
            "add rule inet cut out tcp dport { 6979, 6980 } drop; "
            "add rule inet cut out tcp sport { 6979, 6980 } drop")
    parties = [(chain.entg1, "peer-close"), (chain.entg1, "peer-close"), (chain.enta_c, "link-lost"),
               (chain.entg2, "peer-close")]
    marks = [p.mark() for p, _ in parties]
    chain.gate1.run("nft", drop)
    begin = time.monotonic()
    for (p, event), mark in zip(parties, marks):
        p.wait_log(f" {event} ", 15 / netns.SLOW, mark)
    netns.wait_until(lambda: len(chain.entg1.grep(" peer-close ", marks[0])) >= 2, 1, "both peers")
    assert time.monotonic() - begin <= 16
    chain.gate1.run("nft", "delete table inet cut")
    chain.settle(20)
    transfer(chain.client, chain.server, chain.SERVER, 7)


def test_nothing_in_the_clear_in_any_phase(bare):
    """Before start (with the guard), while the link is down, killed, restarting: packets = 0."""
    listener = Echo(bare.server, 7)
    # Control: without any of our programs the same connection does go out in the clear.
    control = bare.sniff()
    assert echo_once(bare.client, bare.SERVER, 7) == b"hello"
    assert netns.clear_packets(control)[0] > 0, "the sniffers see nothing"

    sniffers = bare.sniff()
    guard = bare.client.run(netns.program("enta"), "guard", *bare.AGENT_C, "--capture", "7",
                            check=False)
    assert guard.returncode == 0, guard.stderr
    assert connect_error(bare.client, bare.SERVER, 7, 2)[0], "guard lets traffic out"
    bare.start_client(up=False)
    assert connect_error(bare.client, bare.SERVER, 7, 5)[0], "no gateway, yet connected"
    bare.enta_c.kill9()
    assert connect_error(bare.client, bare.SERVER, 7, 2)[0], "killed, and traffic goes out"
    # Restarts while an application keeps trying.
    for _ in range(3):
        attempts = [bare.client.spawn("curl", "-sm", "2", f"http://{bare.SERVER}:7/", quiet=True)
                    for _ in range(5)]
        agent = bare.start_client(up=False)
        agent.kill9()
        for a in attempts:
            a.wait()
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text
    listener.close()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_gateway_stops_cleanly_and_agents_take_it(chain, sig):
    """An orderly stop of a gateway is as harmless as a crash, and its exit status is 0."""
    mark = chain.enta_c.mark()
    assert chain.entg1.stop(sig) == 0
    chain.enta_c.wait_log(" link-lost ", 5, mark)
    assert all(p.alive() for p in (chain.enta_c, chain.entg2, chain.enta_s))
    chain.start_entg1()
    chain.settle()
    transfer(chain.client, chain.server, chain.SERVER, 7, size=20_000_000)


def drain(fd):
    """All that is in the pipe."""
    data = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            data += os.read(fd, 1 << 16)
    return data


def test_nobody_reads_the_log(bare):
    """A pipe that is full, as of a terminal that was stopped: packets do not wait for its reader."""
    def start(host, program, *args):
        fifo = bare.net.tmp / f"log-{program}"
        os.mkfifo(fifo)
        readers.append(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        programs.append(host.spawn("sh", "-c", f'exec "$0" "$@" 2>{fifo}', netns.program(program), *args,
                                   name=program))
    readers, programs = [], []
    try:
        bare.start_entg2()
        start(bare.gate1, "entg", *bare.GATE1)
        netns.wait_until(lambda: bare.gate1.listening(6980), 10, "the gateway")
        bare.start_server()
        start(bare.client, "enta", *bare.AGENT_C, "--capture", "7")
        bare.settle()
        for _ in range(400):
            for p in programs:
                p.send(signal.SIGUSR1)
            time.sleep(0.01)
        transfer(bare.client, bare.server, bare.SERVER, 7, size=5_000_000)
        for p, reader in zip(programs, readers):
            assert drain(reader).count(b" counter-total ") < 400, "the pipe was never full"
            p.send(signal.SIGUSR1)
            time.sleep(0.5)
            assert b" log-lost lines=" in drain(reader).splitlines()[0]
    finally:
        for reader in readers:
            os.close(reader)


def test_started_without_standard_files(bare):
    """As some scripts start daemons: what it says must not go where a socket has got the number."""
    closed = 'exec "$0" "$@" <&- >&- 2>&-'
    bare.start_entg2()
    gate = bare.gate1.spawn("sh", "-c", closed, netns.program("entg"), *bare.GATE1, name="entg")
    agent = bare.client.spawn("sh", "-c", closed, netns.program("enta"), *bare.AGENT_C, "--capture", "7", name="enta")
    bare.start_server()
    bare.settle()
    for p in gate, agent:
        assert [os.readlink(f"/proc/{p.pid}/fd/{n}") for n in range(3)] == ["/dev/null"] * 3
        for _ in range(20):
            p.send(signal.SIGUSR1)
    transfer(bare.client, bare.server, bare.SERVER, 7, size=5_000_000)
    assert gate.stop() == agent.stop() == 0
