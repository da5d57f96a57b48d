"""The demo's attested chain with gate2 in an enclave: entg-occlum in the jail of test/occlum, behind a
stand-in for /dev/sgx. gate1 is on a host with a TPM; who talks to gate2 pins its MRENCLAVE.
"""

import attested
import demo_attested
import netns
from demo_attested import refusal, restart_gate2, say_log


HONESTLY = """ gate2's enclave is a jail with what
Occlum 0.31 has, its /dev/sgx a stand-in; its quotes are signed by a maker that only this demo believes."""


class Chain(demo_attested.Chain):
    def __init__(self, net):
        super().__init__(net)
        self.tpm2 = attested.Enclave(net, "gate2")
        _, maker = attested.collateral(net)
        self.judge = ["--collateral", maker.relative_to(net.tmp)]
        self.AGENT_S = [*self.AGENT_S, *self.judge]
        self.attacks = ATTACKS

    @property
    def GATE1(self):
        return [*super().GATE1, *self.judge]

    def enroll(self):
        self.tpm1.boot("the good kernel")
        self.tpm1.enroll()
        say_log(self.gate2, f"MRENCLAVE {self.tpm2.mrenclave} of its image is what gate2.yaml pins")
        attested.policy(self.net, "gate2", self.tpm2.accept(demo_attested.GRANTS.strip()))

    def start_entg1(self, *more, args=None, wait=True):
        self.entg1 = netns.entg(self.gate1, *(args or self.GATE1), *more, wait=wait, enclave=False)
        return self.entg1


def attack_with(chain, watch, enclave, check):
    marks = restart_gate2(chain, enclave)
    details = [refusal(p, check, since) for p, since in marks]
    stuck = watch.stays_put()
    demo_attested.gate2_comes_back(chain)
    return details[0], stuck


def another_enclave(chain, watch):
    """gate2 as another program, or another option in its image, in a genuine enclave."""
    return attack_with(chain, watch, attested.Enclave(chain.net, "gate2 with a back door"), "MEASUREMENT")


def readable_enclave(chain, watch):
    """gate2, the very same image, in an enclave whose memory its host can read."""
    return attack_with(chain, watch, attested.Enclave(chain.net, "gate2", "--debug"), "DEBUG")


ATTACKS = (("other measurement", "another program in gate2's enclave (MRENCLAVE)", another_enclave),
           ("debug enclave", "gate2's program, but its host can read it", readable_enclave),
           demo_attested.ATTACKS[2])
