"""Hops that prove what they are: the chain over rats-tls, with software TPMs as the gateways' proof."""

import attested
import pytest


@pytest.fixture
def secure(net):
    return attested.Chain(net)


def test_chain_opens_and_shows_who_is_who(secure):
    secure.start()
    sniffers = secure.sniff()
    r = secure.client.run("ping", "-c5", "-i", "0.05", "192.168.0.254")
    assert " 0% packet loss" in r.stdout
    import netns
    n, text = netns.clear_packets(sniffers)
    assert n == 0, text
    of_gate1 = {p["identity"]: p for p in attested.peers(secure.entg1)}
    assert of_gate1["gate2"]["attested"] == "yes"
    assert of_gate1["gate2"]["tee"] == "tpm"
    assert of_gate1["-"]["attested"] == "no"
