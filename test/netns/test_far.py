"""A hop's TCP congestion control: by its distance, unless the operator names one."""

import re

import pytest

import netns


def control(host, *which):
    """That of all connections which ss finds: a lane is one, and a hop has one at least."""
    lines = host.run("ss", "-tinHO", "state", "established", *which).stdout.splitlines()
    names = {re.search(r"\b(bbr|cubic|reno|dctcp)\b", line).group(1) for line in lines}
    assert names, "no connection"
    return "+".join(sorted(names))


def hops(chain):
    """Of both ends of each hop: {(host, its neighbour): name}."""
    return {("client", "gate1"): control(chain.client, "dport = :6980"),
            ("gate1", "client"): control(chain.gate1, "sport = :6980"),
            ("gate1", "gate2"): control(chain.gate1, "dport = :6979"),
            ("gate2", "gate1"): control(chain.gate2, "sport = :6979"),
            ("gate2", "server"): control(chain.gate2, "sport = :6980"),
            ("server", "gate2"): control(chain.server, "dport = :6980")}


FAR = {("gate1", "gate2"), ("gate2", "gate1")}


def allowed(host):
    """What a gateway, which has no rights, may set."""
    return host.run("sysctl", "-n", "net.ipv4.tcp_allowed_congestion_control").stdout.split()


def start(net, *more):
    chain = netns.Chain(net)
    chain.start_entg2(*more)
    chain.start_entg1(*more).wait_log(" peer-open ", 10)
    chain.start_server(*more)
    chain.start_client(*more)
    chain.settle()
    return chain


def test_a_far_hop_paces_and_near_ones_do_not(far_net):
    chain = start(far_net, "--log-level", "debug")
    paced = FAR if "bbr" in allowed(chain.gate1) else set()
    # A busy machine may make a near hop look far at first.
    netns.wait_until(lambda: {h for h, c in hops(chain).items() if c == "bbr"} == paced, 20,
                     f"bbr on {paced}: {hops(chain)}")
    for gate in (chain.entg1, chain.entg2):
        assert gate.grep(f' congestion .* distance=far result="{"ok" if paced else "[A-Z]"}')


@pytest.mark.parametrize("name", ["reno", "bbr"])
def test_a_name_is_for_all_hops(far_net, name):
    chain = start(far_net, "--tcp-congestion", name)
    for (host, _), has in hops(chain).items():
        # The agents may set what the system has, the gateways what it allows.
        assert has in (name, "reno") and (has == name or name not in allowed(chain.gate1)), host
