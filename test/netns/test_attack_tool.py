"""The attack suite itself, against a peer that is not ours (reference.py): honest peers get
through, every attack is refused, and with the check that it goes against left out it succeeds. So
an attack that proves nothing is found here, where the programs would only look strong.
"""

import pytest

import eng1tls as at
import eng1peer as e
import offences
import softtpm
from reference import Reference

TPM = softtpm.SoftTpm()


def appraise(evidence, report_data, skip=()):
    return softtpm.appraise(evidence, report_data, TPM.ak_sha256, TPM.pcrs, skip)


def lab(role, skip=(), timeout=10, reattest=False):
    """An attacker in this role, and the list in which its targets appear."""
    targets = []

    def connect():
        a, b = at.pair()
        targets.append(Reference(b, at.SERVER if role == at.CLIENT else at.CLIENT, at.Identity(),
                                 appraise, TPM, skip, timeout, reattest))
        return a
    return offences.Lab(role, connect, TPM), targets


def attack(name, role, skip=()):
    a = offences.ATTACKS[name]
    attacker, targets = lab(role, skip, 1 if a.slow or skip else 10, a.needs == "reattest")
    offences.run(name, attacker, 20)
    for t in targets:
        t.thread.join(20)
    return attacker, targets[-1]


CASES = [(a.name, role) for a in offences.ATTACKS.values() for role in a.roles]
SOFT = [(a.name, role) for a in offences.ATTACKS.values() for role in a.roles if a.skip]
NAME = {at.CLIENT: "dials", at.SERVER: "listens"}


def ids(cases):
    return [f"{name}-{NAME[role]}" for name, role in cases]


@pytest.mark.parametrize("role", [at.CLIENT, at.SERVER], ids=["dials", "listens"])
def test_honest_peer_gets_through(role):
    """The control of all others: both prove themselves, a packet arrives."""
    me, targets = lab(role)
    c = me.tls()
    c.open(me.hello(), TPM, appraise)
    c.send(me.packet())
    c.close()
    targets[0].thread.join(10)
    assert targets[0].opened and targets[0].delivered == 1, targets[0].why


@pytest.mark.parametrize("name,role", CASES, ids=ids(CASES))
def test_attack_is_refused(name, role):
    attacker, target = attack(name, role)
    assert target.opened == offences.ATTACKS[name].opens, target.why
    assert target.delivered == 0 and target.why
    skip = offences.ATTACKS[name].skip
    # By the check that it is about and by no other.
    assert not skip or target.why in skip or target.why.startswith("format"), target.why
    assert attacker.packets() == 0


@pytest.mark.parametrize("name,role", SOFT, ids=ids(SOFT))
def test_attack_would_succeed_without_the_check(name, role):
    _, target = attack(name, role, offences.ATTACKS[name].skip)
    assert target.opened or target.delivered or target.why not in offences.ATTACKS[name].skip, \
        f"still refused: {target.why}"
    binding = {"binding", "signer", "signature", "measurement", "pcr-digest"}
    if binding & set(offences.ATTACKS[name].skip):
        assert target.opened and (target.delivered == 1 or target.proofs == 2), target.why


def test_verifier_of_the_tool_refuses_what_it_should():
    """appraise() is what the tool uses on our own programs' evidence."""
    rd = bytes(range(64))
    good = TPM(rd)
    assert appraise(good, rd) is None
    assert appraise(good, bytes(64)) == "binding"
    assert softtpm.appraise(good, rd, softtpm.SoftTpm().ak_sha256) == "signer"
    assert appraise(good[:-1], rd) == "format"
    assert appraise(softtpm.SoftTpm({4: bytes(32)}, key=TPM.key)(rd), rd) == "measurement"
    assert e.uncbor(e.cbor({0: b"x"}))[0] == {0: b"x"}
