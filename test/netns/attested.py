"""The chain with attested hops: a software TPM for each gateway, policies that pin them.

    chain = attested.Chain(net).start()

gate1 and gate2 have a TPM each (swtpm), enrolled by `rats-inspect tpm enroll`. The agents' policies
pin the gateway they talk to, the gateways' each other, and agents need no proof by default.
"""

import re
import sys

import netns

sys.path.insert(0, str(netns.ROOT / "test" / "attest"))
import swtpm  # noqa: E402

ALL = "allowed_ips: ['0.0.0.0/0', '::/0']"


class Tpm(swtpm.Swtpm):
    """A software TPM that ends with the net it belongs to, and the policy that accepts it."""

    def __init__(self, net, name):
        super().__init__()
        self.net, self.name = net, name
        net.tpms.append(self)
        self.start()

    @property
    def spec(self):
        """For --attester."""
        return f"tpm:tcti={self.tcti}"

    def enroll(self, more=ALL, name=None):
        """The alternative of a policy that accepts the TPM as it is now."""
        text = netns.sh(netns.program("rats-inspect"), "tpm", "enroll", "--tcti", self.tcti,
                        "--name", name or self.name)
        alternative = text[text.index("  - tee"):].rstrip()
        return f"{alternative}\n    {more}\n"


def policy(net, name, *alternatives, more=""):
    """Writes a policy file; its path."""
    net.tmp.chmod(0o755)  # the daemons read it as nobody
    path = net.tmp / f"{name}.yaml"
    path.write_text("one_of:\n" + "".join(alternatives) + more)
    path.chmod(0o644)
    return path


class Chain(netns.Chain):
    """netns.Chain, rats-tls on every hop."""

    def __init__(self, net):
        super().__init__(net)
        self.tpm1, self.tpm2 = Tpm(net, "gate1"), Tpm(net, "gate2")
        self.accepts1 = policy(net, "accepts-gate1", self.tpm1.enroll())
        self.accepts2 = policy(net, "accepts-gate2", self.tpm2.enroll())

    LISTEN = ["--entg-listen", "6979", "--enta-listen", "6980", "--enta-policy", "unattested"]

    @property
    def GATE1(self):
        return self.LISTEN + ["--entg-connect", "10.77.2.2:6979", "--entg-policy", self.accepts2,
                              "--attester", self.tpm1.spec]

    @property
    def GATE2(self):
        return self.LISTEN + ["--entg-policy", self.accepts1, "--attester", self.tpm2.spec]

    @property
    def AGENT_C(self):
        return ["--entg-connect", "10.77.1.2:6980", "--tun-addr", "192.168.0.1",
                "--policy", self.accepts1]

    @property
    def AGENT_S(self):
        return ["--entg-connect", "10.77.3.1:6980", "--tun-addr", "192.168.0.254",
                "--policy", self.accepts2]


def peers(proc):
    """SIGUSR1: a dictionary per line of event `peer`."""
    return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in proc.status(r" peer peer=")]
