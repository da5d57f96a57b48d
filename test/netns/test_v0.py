"""2: an original ENTA or ENTG at either end of our chain, in every combination.

The v0 peers end themselves with status 3 on anything that is not v0, so that they are still alive
shows that nothing else was sent to them.
"""

import itertools
import pathlib

import pytest

import netns
from traffic import transfer

V0 = pathlib.Path(__file__).resolve().parents[1] / "peer" / "v0peer.py"
SIZE = 10_000_000


def agent(host, gateway, address):
    p = host.spawn(V0, "agent", "--connect", gateway, "--tun-addr", address)
    p.wait_log("^ready", 15)
    return p


def start(chain, client, gate1, gate2, server):
    """Each argument says whose: "v0" or "ours"."""
    g2 = (chain.start_entg2("--compat") if gate2 == "ours"
          else chain.gate2.spawn(V0, "gateway", "--listen", 6979, "--agents", 6980))
    if gate2 == "v0":
        g2.wait_log("listening 6979")
    g1 = (chain.start_entg1("--compat") if gate1 == "ours"
          else chain.gate1.spawn(V0, "gateway", "--connect", "10.77.2.2:6979"))
    if gate1 == "v0":
        g1.wait_log("listening 6980")
    # Next to an original gateway our agent is told so: that gateway dies of a HELLO.
    s = (chain.start_server(*(["--compat"] if gate2 == "v0" else [])) if server == "ours"
         else agent(chain.server, "10.77.3.1:6980", "192.168.0.254"))
    c = (chain.start_client(*(["--compat"] if gate1 == "v0" else [])) if client == "ours"
         else agent(chain.client, "10.77.1.2:6980", "192.168.0.1"))
    return [c, g1, g2, s]


COMBINATIONS = list(itertools.product(("ours", "v0"), repeat=4))


@pytest.mark.parametrize("who", COMBINATIONS, ids=["-".join(c) for c in COMBINATIONS])
def test_every_combination(bare, who):
    programs = start(bare, *who)
    client, _, _, server = who
    bare.settle()
    # Our agent captures port 7 of any host; applications beside the original's TUN name it.
    where = (bare.SERVER, 7) if client == "ours" else ("192.168.0.254", 6978)
    transfer(bare.client, bare.server, *where, listen_port=7 if server == "ours" else 6978, size=SIZE)
    ping = bare.client.run("ping", "-c3", "-i0.2", "-I", "192.168.0.1", "192.168.0.254").stdout
    assert " 0% packet loss" in ping, ping
    assert all(p.alive() for p in programs), bare.net.logs()


def test_original_agent_is_recognised_without_compat(bare):
    """A v0 agent that speaks first needs no option on our side."""
    bare.start_entg2()
    bare.start_entg1()
    bare.start_server()
    a = agent(bare.client, "10.77.1.2:6980", "192.168.0.1")
    bare.settle()
    bare.entg1.wait_log("peer-open .*proto=v0", 5)
    bare.entg1.wait_log("peer-open .*proto=eng/1", 5)
    transfer(bare.client, bare.server, "192.168.0.254", 6978, size=SIZE)
    assert a.alive()


def test_several_original_agents_at_one_gateway(bare):
    """The original refuses a second agent; ours takes v0 agents beside each other."""
    third = bare.net.host("third")
    bare.net.link(bare.gate1, third, 9)
    bare.start_entg1(args=bare.LISTEN + ["--compat"])
    agents = [agent(bare.client, "10.77.1.2:6980", "192.168.0.1"),
              agent(third, "10.77.9.1:6980", "192.168.0.2")]
    # The second one says something, so its address is known.
    third.run("ping", "-c1", "-W1", "192.168.0.1", check=False)

    def ping():
        return bare.client.run("ping", "-c1", "-W1", "192.168.0.2", check=False).returncode == 0
    netns.wait_until(ping, 10, "ping between two v0 agents")
    transfer(bare.client, third, "192.168.0.2", 7000, listen_port=7000, size=SIZE)
    assert all(a.alive() for a in agents)
