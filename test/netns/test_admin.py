"""The admin door of the gateway: what it answers, and that nobody can block or break the gateway by it."""

import re
import time

import eng1peer as e
import netns

PORT = 6981
DOOR = ["--admin", f"127.0.0.1:{PORT}"]


def visit(host, line, half_close=False):
    with host.connect("127.0.0.1", PORT) as s:
        s.sendall(line)
        if half_close:
            s.shutdown(1)
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def test_status_has_what_is_logged_and_drain_ends_with_goodbye(bare):
    bare.start_entg2()
    bare.start_entg1(*DOOR)
    bare.start_client()
    status = visit(bare.gate1, b"status\n")
    lines = [x for x in status.splitlines() if " counter " in x and " lane=0 " in x]
    assert len(lines) == 2 and all("frames_in=" in x and "state=open" in x for x in lines), status
    assert "counter" not in bare.entg1.log(), "asked for, not logged"
    assert visit(bare.gate1, b"drain\r\n") == "draining\n"
    assert bare.entg1.wait() == 0
    bare.entg2.wait_log(r"reason=goaway")


def test_status_has_the_lines_of_every_worker(bare):
    bare.start_entg1(*DOOR, "--workers", 3)
    status = visit(bare.gate1, b"status\n")
    assert re.findall(r"counter-worker worker=(\d)", status) == ["0", "1", "2"], status
    assert status.count(" counter-total ") == 1
    assert "counter" not in bare.entg1.log(), "asked for, not logged"


def test_what_is_no_command_is_an_error_and_no_more(bare):
    bare.start_entg2(*DOOR)
    for line in (b"\n", b"Status\n", b"status now\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\xff\n",
                 b"x" * 4096, b"x" * 4096 + b"\nstatus\n"):
        answer = visit(bare.gate2, line)
        assert answer.startswith("error: ") and answer.count("\n") == 1, (line, answer)
    assert visit(bare.gate2, b"reload\n") == "done\n"
    assert "counter-total" in visit(bare.gate2, b"status\n", half_close=True)
    assert bare.entg2.alive()


def test_visitors_who_say_nothing_do_not_close_the_door(bare):
    bare.start_entg2(*DOOR)
    silent = [bare.gate2.connect("127.0.0.1", PORT) for _ in range(12)]
    assert "counter-total" in visit(bare.gate2, b"status\n"), "who has waited longest gives way"
    for s in silent:
        s.close()
    assert bare.entg2.stop() == 0


def test_one_who_asks_and_goes_is_obeyed(bare):
    bare.start_entg2(*DOOR)
    s = bare.gate2.connect("127.0.0.1", PORT)
    s.sendall(b"drain\n")
    s.close()
    assert bare.entg2.wait() == 0


def test_the_door_is_on_the_loopback_only(bare):
    bare.start_entg2(*DOOR)
    listening = bare.gate2.run("ss", "-Hltn", f"sport = :{PORT}").stdout
    assert listening.count("127.0.0.1:6981") == 1 and len(listening.strip().splitlines()) == 1, listening


def test_a_taken_port_ends_the_start(bare):
    taken = bare.gate2.listen(PORT, "127.0.0.1")
    r = bare.gate2.run(netns.program("entg"), *bare.GATE2, *DOOR, check=False, timeout=20)
    assert r.returncode == 1 and "6981" in r.stderr, r
    taken.close()


def test_without_descriptors_somebody_may_still_ask_why(net):
    """One at a time; and those who come meanwhile wait at no cost."""
    gate = net.host("gate")
    p = netns.entg_with_descriptors(gate, 2, "--enta-listen", "tcp://6980", *DOOR)
    peers = []
    for i in range(3):  # the third one waits; two who are no strangers any more do not give way
        peers.append(e.Peer(gate.connect("127.0.0.1", 6980), e.hello(e.AGENT, [f"10.1.0.{i}/32"])))
        if i < 2:
            peers[i].wait(lambda p=peers[i]: p.hello, 10 * netns.SLOW, "HELLO of the gateway")
    p.wait_log(" newcomers-wait ")
    for _ in range(5):
        assert " counter-total peers=2 " in visit(gate, b"status\n")
        time.sleep(0.2)  # the third peer is looked at again, and must not get what the visitor had
    silent = [gate.connect("127.0.0.1", PORT) for _ in range(3)]
    before = p.cpu_s()
    time.sleep(1)
    assert p.cpu_s() - before < 0.5, "it is busy with those who wait"
    for s in silent:
        s.close()
    assert "counter-total" in visit(gate, b"status\n")
    for peer in peers:
        peer.close()
    assert p.stop() == 0
