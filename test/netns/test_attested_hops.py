"""What hops prove, one side at a time: impostors, grants, v0 by certificates, wrong starts."""

import re
import signal

import pytest

import attested
import netns
from traffic import Transfer, connect_error, transfer

RATE = 20_000_000  # bytes a second, of transfers that something happens to


@pytest.fixture
def secure(net):
    return attested.Chain(net)


def test_gateways_prove_themselves(secure):
    """And the impostors: changed code, another machine, and the genuine one back again."""
    secure.start()
    of = {p["identity"]: p for p in attested.peers(secure.entg1)}
    assert of["gate2"]["attested"] == "yes" and of["-"]["attested"] == "no"
    assert secure.entg1.grep("unattested peers=agents")
    sniffers = secure.sniff()
    t = Transfer(secure.client, secure.server, secure.SERVER, 7, rate=RATE, size=60_000_000).start()
    t.wait_received(0.2)
    secure.entg1.kill9()
    secure.tpm1.extend(4)
    mark_c, mark_2 = secure.enta_c.mark(), secure.entg2.mark()
    secure.start_entg1()
    for proc, mark in ((secure.enta_c, mark_c), (secure.entg2, mark_2)):
        line = proc.wait_log("reason=untrusted", 15, mark)
        assert re.search(r'detail="MEASUREMENT: [^"]*(pcr|mrenclave)', line, re.I), line
    assert connect_error(secure.client, secure.SERVER, 7, 5)[0], "connected through an impostor"
    secure.entg1.stop()
    other = attested.prover(secure.net, "other")
    mark_c = secure.enta_c.mark()
    args = [other.spec if a == secure.tpm1.spec else a for a in secure.GATE1]
    secure.start_entg1(args=args)
    line = secure.enta_c.wait_log("reason=untrusted", 15, mark_c)
    assert f'detail="{"MEASUREMENT" if netns.OCCLUM else "SIGNER"}: ' in line, line
    assert connect_error(secure.client, secure.SERVER, 7, 5)[0], "connected through an impostor"
    secure.entg1.stop()
    assert t.received < t.size and not t.failures
    secure.tpm1.stop()  # a restart of the machine: its registers are as they were
    secure.tpm1.start()
    secure.start_entg1()
    t.finish()
    count, text = netns.clear_packets(sniffers)
    assert count == 0, text


def test_agents_prove_themselves_to_gateways_that_do_not(net):
    chain = attested.Mutual(net)

    def without(args, *options):
        args = list(args)
        for o in options:
            del args[args.index(o):args.index(o) + 2]
        return args
    chain.GATE1 = [*without(chain.GATE1, "--attester", "--entg-policy"), "--entg-policy",
                   "unattested"]
    chain.GATE2 = [*without(chain.GATE2, "--attester", "--entg-policy"), "--entg-policy",
                   "unattested"]
    chain.AGENT_C = [*without(chain.AGENT_C, "--policy"), "--policy", "unattested"]
    chain.AGENT_S = [*without(chain.AGENT_S, "--policy"), "--policy", "unattested"]
    chain.start()
    transfer(chain.client, chain.server, chain.SERVER, 7, size=20_000_000)
    assert {p["identity"]: p["attested"] for p in attested.peers(chain.entg1)} == {
        "client": "yes", "-": "no"}
    assert {p["attested"] for p in attested.peers(chain.enta_c)} == {"no"}
    agent = netns.enta(chain.third, "--entg-connect", "10.77.9.1:6980", "--tun-addr", "192.168.0.3",
                       "--replay", "icmp/", "--policy", "unattested", up=False)
    agent.wait_log('reason=cannot-prove detail="no --attester here"', 15)
    agent.stop()


def test_gateway_with_routes_that_are_not_granted(net):
    """Those are passed over, with a line; the others stay."""
    chain = attested.Mutual(net)
    chain.servers.write_text("one_of:\n" + chain.tpm_s.accept(
        attested.owns("192.168.0.254/32", "192.168.0.100/32")))
    narrow = attested.policy(net, "narrow", chain.tpm2.accept(attested.owns("192.168.0.254/32")))
    chain.GATE1[chain.GATE1.index("--entg-policy") + 1] = narrow
    chain.AGENT_S += ["--tun-addr", "192.168.0.100"]
    chain.start()
    line = chain.entg1.wait_log("route-denied", 10)
    assert "prefix=192.168.0.100/32" in line, line
    assert chain.client.run("ping", "-c2", "-W2", "-I", "192.168.0.1", "192.168.0.100",
                            check=False).returncode != 0
    chain.settle()
    if netns.OCCLUM:
        return  # its policies are in its image, and stay what they are
    narrow.write_text("one_of:\n" + chain.tpm2.accept())  # widened: the neighbour tells it anew
    chain.entg1.send(signal.SIGHUP)

    def ping():
        return chain.client.run("ping", "-c1", "-W1", "-I", "192.168.0.1", "192.168.0.100",
                                check=False).returncode == 0
    netns.wait_until(ping, 20, "the route that is granted now")


def test_tpm_that_goes_away_is_noticed(net):
    """At the next challenge: this side names what fails, the peer learns that it is refused."""
    chain = attested.Chain(net)
    chain.start_entg2("--reattest", "5")
    chain.start_entg1("--reattest", "5")
    chain.entg1.wait_log(" peer-open ", 15)
    marks = chain.entg1.mark(), chain.entg2.mark()
    chain.tpm2.stop()
    line = chain.entg2.wait_log("reason=cannot-prove", 20, marks[1])
    assert re.search(r'detail="[^"?]{8,}"', line), line
    chain.entg1.wait_log("reason=refused-by-peer|reason=closed-by-peer", 5, marks[0])
    mark = chain.entg1.mark()
    chain.tpm2.start()
    chain.entg1.wait_log(" peer-open ", 20, mark)


def test_null_works_and_shouts(net):
    chain = attested.Chain(net)
    insecure = net.tmp / "insecure.yaml"
    net.tmp.chmod(0o755)
    insecure.write_text("insecure: null\n")
    everybody = ["--policy", insecure, "--attester", "null"]
    chain.GATE2 = [*chain.LISTEN, *everybody]
    chain.GATE1 = [*chain.LISTEN, "--entg-connect", "10.77.2.2:6979", *everybody]
    chain.AGENT_C = ["--entg-connect", "10.77.1.2:6980", "--tun-addr", "192.168.0.1", *everybody]
    chain.AGENT_S = ["--entg-connect", "10.77.3.1:6980", "--tun-addr", "192.168.0.254", *everybody]
    chain.start()
    transfer(chain.client, chain.server, chain.SERVER, 7, size=10_000_000)
    for p in chain.programs():
        assert p.grep("warn +insecure .*proves NOTHING"), p.log()


@pytest.mark.parametrize("backend", ["evp"] if netns.OCCLUM else ["evp", "ipsec-mb"])
def test_cipher_backend(net, backend):
    chain = attested.Chain(net)
    chain.start_entg2("--cipher-backend", backend)
    chain.start_entg1("--cipher-backend", backend)
    line = chain.entg1.wait_log(" peer-open ", 15)
    assert re.search(rf'cipher="TLS_\S+ {backend}"', line), line


def test_v0_over_tls_by_certificates(net):
    """--compat at every program: no ALPN, no frames of eng/1, evidence in the certificates."""
    chain = attested.Mutual(net)
    chain.start("--compat")
    transfer(chain.client, chain.server, chain.SERVER, 7, size=20_000_000)
    for p in chain.programs():
        assert p.grep("peer-open .*proto=v0 transport=rats-tls attested=yes"), p.log()
    chain.entg1.kill9()
    chain.tpm1.extend(4)
    mark = chain.enta_c.mark()
    chain.start_entg1("--compat")
    line = chain.enta_c.wait_log("reason=untrusted", 15, mark)
    assert 'detail="MEASUREMENT: ' in line, line


# --- what is wrong is said at the start ----------------------------------------------------------

AGENT = ["--entg-connect", "127.0.0.1:6980", "--tun-addr", "192.168.0.1", "--capture", "7"]
GATE = ["--entg-listen", "6979", "--enta-listen", "6980"]
BAD_STARTS = [
    ("entg", [*GATE, "--policy", "/no/such.yaml"], "/no/such.yaml"),
    ("entg", [*GATE, "--policy", "unattested", "--attester", "tmp"], "attester tmp: "),
    ("entg", [*GATE, "--policy", "unattested", "--attester", "tpm:tcti=swtpm:path=/no/tpm"],
     "attester tpm:"),
    ("entg", [*GATE, "--policy", "unattested", "--cipher-backend", "fast"], "cipher backend fast"),
    ("enta", [*AGENT, "--policy", "/no/such.yaml"], "/no/such.yaml"),
    ("enta", [*AGENT, "--policy", "unattested", "--attester", "tpm:tcti=swtpm:path=/no/tpm"],
     "attester tpm:"),
    ("enta", [*AGENT, "--policy", "unattested", "--cipher-backend", "fast"], "cipher backend fast"),
]


@pytest.mark.parametrize("name,args,expected", BAD_STARTS,
                         ids=[f"{n}-{e.split()[-1].strip('/:')}" for n, _, e in BAD_STARTS])
def test_bad_start(net, name, args, expected):
    host = net.host("a")
    r = host.run(netns.program(name), *args, check=False)
    errors = [line for line in r.stderr.splitlines() if " error " in line]
    assert r.returncode == 1 and len(errors) == 1 and expected in errors[0], r.stderr
    assert not host.listening(6979) and not host.listening(6980)
    assert '""' not in errors[0], errors[0]
