"""The attack suite itself, against a peer that is not ours (reference.py): honest peers get
through, every attack is refused, and with the check that it goes against left out it succeeds. So
an attack that proves nothing is found here, where the programs would only look strong.
"""

import concurrent.futures

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
    attacker, targets = lab(role, skip, 4 if a.slow or skip else 20, a.needs == "reattest")
    offences.run(name, attacker, 40)
    for t in targets:
        t.thread.join(20)
    return attacker, targets[-1]


ALL = [(a, role) for a in offences.ATTACKS.values() for role in a.roles]
NAME = {at.CLIENT: "dials", at.SERVER: "listens"}
TRUST = {"binding", "signer", "signature", "measurement", "pcr-digest"}


def each(cases, judge):
    """judge(attack, role) for all, some at a time because most of it is waiting; the failures."""
    def one(case):
        try:
            judge(*case)
        except BaseException as x:  # noqa: BLE001 - reported by the caller
            return f"{case[0].name}, attacker {NAME[case[1]]}: {x!r}"
        return None
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        return [why for why in pool.map(one, cases) if why]


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


def test_attacks_are_refused():
    """Each by the check that it is about and by no other."""
    def judge(a, role):
        attacker, target = attack(a.name, role)
        assert target.opened == a.opens, target.why
        assert target.delivered == 0 and target.why
        assert not a.skip or target.why in a.skip or target.why.startswith("format"), target.why
        assert attacker.packets() == 0
    assert len(ALL) > 200
    assert not (wrong := each(ALL, judge)), "\n".join(wrong)


def test_attacks_would_succeed_without_the_check():
    def judge(a, role):
        _, target = attack(a.name, role, a.skip)
        assert target.opened or target.delivered or target.why not in a.skip, \
            f"still refused: {target.why}"
        if TRUST & set(a.skip):
            assert target.opened and (target.delivered == 1 or target.proofs == 2), target.why
    cases = [(a, role) for a, role in ALL if a.skip]
    assert len(cases) > 100
    assert not (wrong := each(cases, judge)), "\n".join(wrong)


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
