"""1 and 8: the options of the original, what help and manual say, wrong usage, and what is shown.

A wrong command line is answered by one line that says what, where and what would be right, by exit
status 2, and by nothing else: no device, no rule, no listening socket.
"""

import re
import signal
import socket
import subprocess

import pytest

import netns
from traffic import Echo, echo_once, transfer

ORIGINAL = {
    "enta": ["--entg-connect", "--tun-addr", "--tun-mask", "--capture", "--replay", "--entg-rats-tls"],
    "entg": ["--entg-connect", "--entg-listen", "--enta-listen", "--entg-rats-tls", "--enta-rats-tls"],
    "echosvr": ["--host", "--port"],
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_help_and_version(net, name):
    host = net.host("a")
    r = host.run(netns.program(name), "--help")
    assert not r.stderr and all(o in r.stdout for o in ORIGINAL[name]), r.stdout
    assert max(map(len, r.stdout.splitlines())) <= 100
    r = host.run(netns.program(name), "--version")
    assert re.search(r"\d+\.\d+", r.stdout) and not r.stderr


def test_help_that_cannot_be_written_is_an_error():
    for name in ("enta", "entg"):
        with open("/dev/full", "w") as full:
            r = subprocess.run([netns.program(name), "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
        assert r.returncode == 2 and "standard output" in r.stderr


@pytest.mark.parametrize("name", ORIGINAL)
def test_manual_page_has_every_option(name):
    pages = list((netns.ROOT / "man").glob(f"{name}.[18]"))
    assert len(pages) == 1, f"man/{name}.1 or .8: {pages}"
    text = pages[0].read_text(encoding="utf-8")
    options = set(re.findall(r"--([a-z][a-z-]+)", netns.sh(netns.program(name), "--help")))
    missing = {o for o in options if not re.search(rf"Fl Fl {o}\b|Fl -{o}\b|\\-\\-{o}", text)}
    assert not missing, missing


AGENT = ["--entg-connect", "tcp://127.0.0.1:1", "--tun-addr", "192.168.0.1"]
GATE = ["--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980"]
WRONG = [
    ("enta", [], "entg-connect"),
    ("enta", AGENT[:2], "tun-addr"),
    ("enta", ["--entg-connect", "127.0.0.1:6980", *AGENT[2:], "--capture", "7"], "unattested"),
    ("enta", [*AGENT, "--capture", "7", "--entg-rats-tls"], "tcp://"),
    ("enta", [*AGENT, "--policy", ""], "--policy"),
    ("enta", [*AGENT, "--attester", "x" * 5000], "--attester"),
    ("enta", [*AGENT, "--reattest", "4"], "604800"),
    ("enta", [*AGENT, "--cipher-backend", "a" * 16], "--cipher-backend"),
    ("enta", ["--entg-connect", "tcp://127.0.0.1", *AGENT[2:]], "HOST:PORT"),
    ("enta", ["--entg-connect", "tcp://127.0.0.1:99999", *AGENT[2:]], "65535"),
    ("enta", ["--entg-connect", "tcp://::1:6980", *AGENT[2:]], "bracket"),
    ("enta", ["--entg-connect", "udp://127.0.0.1:6980", *AGENT[2:]], "tcp://"),
    ("enta", [*AGENT[:2], "--tun-addr", "192.168.0.300"], "192.168.0.300"),
    ("enta", [*AGENT[:2], "--tun-addr", "192.168.0.1/33"], "192.168.0.1/33"),
    ("enta", [*AGENT, "--tun-mask", "255.0.255.0"], "255.0.255.0"),
    ("enta", [*AGENT, "--capture", "0"], "--capture"),
    ("enta", [*AGENT, "--capture", "70000"], "70000"),
    ("enta", [*AGENT, "--capture", "tcp/:9-7"], "tcp/:9-7"),
    ("enta", [*AGENT, "--capture", "sctp/:7"], "sctp"),
    ("enta", [*AGENT, "--capture", "tcp/10.0.0.0/33:7"], "10.0.0.0/33"),
    ("enta", [*AGENT, "--capture", "7=hello"], "7=hello"),
    ("enta", [*AGENT, "--replay", "x"], "--replay"),
    ("enta", [*AGENT, "--instance", "No Such"], "instance"),
    ("enta", [*AGENT, "--tun-name", "much-too-long-a-name"], "tun-name"),
    ("enta", [*AGENT, "--log-level", "loud"], "loud"),
    ("enta", [*AGENT, "--nonsense"], "nonsense"),
    ("enta", [*AGENT, "--capture"], "capture"),
    ("enta", ["stray", *AGENT], "stray"),
    ("entg", [], "unattested"),
    ("entg", ["--entg-listen", "6979"], "--entg-policy"),
    ("entg", ["--enta-listen", "6980", "--entg-policy", "unattested"], "--enta-policy"),
    ("entg", [*GATE, "--reattest", "1h"], "604800"),
    ("entg", [*GATE, "--entg-connect", "10.0.0.1:6979"], "tcp://"),
    ("entg", [*GATE, "--entg-rats-tls"], "--entg-rats-tls and --entg-listen tcp://"),
    ("entg", [*GATE, "--enta-rats-tls"], "--enta-rats-tls and --enta-listen tcp://"),
    ("entg", ["--entg-listen", "tcp://host.example:6979"], "host.example"),
    ("entg", ["--entg-listen", "tcp://0"], "entg-listen"),
    ("entg", ["--enta-listen", "tcp://[::1:6980"], "[::1"),
    ("entg", [*GATE, "--name", "two words"], "name"),
    ("entg", [*GATE, "--admin", "10.0.0.1:6981"], "loopback"),
    ("entg", [*GATE, "--admin", "6981"], "loopback"),
    ("entg", [*GATE, "--nonsense"], "nonsense"),
    ("echosvr", ["client", "--port", "0"], "65535"),
    ("echosvr", ["sideways"], "sideways"),
    ("echosvr", [], "client"),
]


@pytest.mark.parametrize("name,args,word", WRONG, ids=[" ".join([n, *a])[:60] for n, a, _ in WRONG])
def test_wrong_usage(net, name, args, word):
    host = net.host("a")
    before = host.state(), host.link_names()
    r = host.run(netns.program(name), *args, check=False, timeout=5)
    assert r.returncode == 2, (r.returncode, r.stderr)
    assert len(r.stderr.strip().splitlines()) == 1 and not r.stdout, r.stderr
    assert word.lower() in r.stderr.lower(), r.stderr
    assert (host.state(), host.link_names()) == before


def test_runtime_failure_is_status_1(net):
    """A port that is taken, a device that is there: one clear error, exit status 1, nothing left."""
    host = net.host("a")
    taken = host.listen(6980)
    r = host.run(netns.program("entg"), *GATE, check=False, timeout=5)
    assert r.returncode == 1 and "6980" in r.stderr, r
    taken.close()
    host.run("ip", "tuntap", "add", "dev", "taken", "mode", "tap")
    before = host.state()
    r = host.run(netns.program("enta"), *AGENT, "--capture", "7", "--tun-name", "taken", check=False,
                 timeout=5)
    assert r.returncode == 1 and "taken" in r.stderr, r
    assert host.state() == before


def test_endpoints_in_every_form(net):
    """IPv6 in brackets, a listening address, several listeners, a list of gateways to try."""
    chain = netns.Chain(net)
    chain.start_entg2(args=["--entg-listen", "tcp://[fd77:2::2]:7001", "--enta-listen",
                            "tcp://10.77.3.1:7002", "--enta-listen", "tcp://[fd77:3::1]:7003"])
    chain.start_entg1(args=["--entg-connect", "tcp://[fd77:2::2]:7001", "--enta-listen", "tcp://[::]:7004"])
    netns.enta(chain.server, "--entg-connect", "tcp://[fd77:3::1]:7003", "--tun-addr",
               "192.168.0.254/24", "--replay", "7", "--replay", "icmp/")
    # The first two gateways of the list do not answer.
    netns.enta(chain.client, "--entg-connect", "tcp://10.77.1.2:1", "--entg-connect", "tcp://[fd77:1::2]:2",
               "--entg-connect", "tcp://[fd77:1::2]:7004", "--tun-addr", "192.168.0.1", "--tun-mask",
               "255.255.255.0", "--capture", "7")
    chain.settle()
    transfer(chain.client, chain.server, chain.SERVER, 7, size=10_000_000)
    # What listens on one address does not listen on another.
    assert chain.gate2.run("ss", "-Hltn").stdout.count("7002") == 1
    assert "0.0.0.0:7002" not in chain.gate2.run("ss", "-Hltn").stdout


def test_two_tun_addresses_and_both_families(net):
    chain = netns.Chain(net)
    chain.start_entg2()
    chain.start_entg1()
    netns.enta(chain.server, *chain.AGENT_S, "--tun-addr", "fd99::254/64", "--tun-addr", "192.168.0.253",
               "--replay", "tcp/:80", "--replay", "icmp/")
    netns.enta(chain.client, *chain.AGENT_C, "--tun-addr", "fd99::1/64", "--capture",
               "tcp/[fd77:3::2]:80=fd99::254", "--capture", "tcp/10.77.3.2:80=192.168.0.253")
    chain.settle()
    v6 = Echo(chain.server, 80, address="fd99::254", family=socket.AF_INET6)
    v4 = Echo(chain.server, 80, address="192.168.0.253")  # bound: the address is kept
    assert echo_once(chain.client, "fd77:3::2", 80, b"six") == b"six"
    assert echo_once(chain.client, "10.77.3.2", 80, b"four") == b"four"
    assert v6.peers == ["fd99::1"] and v4.peers == ["192.168.0.1"]


def test_echosvr_reports_as_the_original(chain):
    server = chain.server.spawn(netns.program("echosvr"), "server", "--port", 7)
    server.wait_log("listening")
    r = chain.client.run(netns.program("echosvr"), "client", "--host", chain.SERVER, "--port", 7)
    assert r.stdout == "sent 4096 bytes, received 4096 bytes, check size: ok, check content: ok\n"
    assert server.stop(signal.SIGTERM) == 0


def test_start_says_what_is_captured_and_by_which_rule(chain):
    log = chain.enta_c.log()
    line = next(x for x in log.splitlines() if " capture " in x)
    assert re.search(r"rule=1 .*tcp.*\b7\b.*192\.168\.0\.254:6978", line), line
    assert re.search(r" replay .*rule=1 .*6978.*\b7\b", chain.enta_s.log())
    assert "tcp-plaintext" in log, "plaintext is reported"
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn |info |debug) [a-z-]+( |$)"
    for p in chain.programs():
        assert all(re.match(stamp, x) for x in p.log().splitlines()), p.log()


def test_sigusr1_prints_counters_of_every_peer(chain):
    transfer(chain.client, chain.server, chain.SERVER, 7, size=20_000_000)
    for p, peers in ((chain.enta_c, 1), (chain.entg1, 2), (chain.entg2, 2), (chain.enta_s, 1)):
        lines = [c for c in p.counters() if "peer" in c]
        assert sum(c["lane"] == "0" for c in lines) == peers, lines
        for c in lines:
            wanted = {"frames_in", "frames_out", "bytes_in", "bytes_out"}
            assert wanted <= set(c), c
            assert any("rtt" in k for k in c) and any("queue" in k for k in c), c
            assert any(k.startswith("drop") for k in c), c
        assert max(int(c["bytes_in"]) + int(c["bytes_out"]) for c in lines) > 20_000_000, lines
        assert p.alive()


def test_stop_twice_and_signals_at_start(net):
    """A signal right after the start, or two of them, ends in a clean stop too."""
    host = net.host("a")
    before = host.state()
    for _ in range(5):
        p = netns.enta(host, *AGENT, "--capture", "7", up=False)
        p.send(signal.SIGTERM)
        p.send(signal.SIGINT)
        assert p.wait(5) in (0, -signal.SIGTERM, -signal.SIGINT)
        subprocess.run(host.argv([netns.program("enta"), "cleanup"]), check=True, capture_output=True)
        assert host.state() == before
