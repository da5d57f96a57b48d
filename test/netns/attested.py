"""The chain with attested hops: a software TPM for each that proves itself, policies that pin them.

    chain = attested.Chain(net).start()       gateways have TPMs, agents need no proof
    chain = attested.Mutual(net).start()      agents have TPMs too, and own what their policy grants

TPMs are swtpm's, enrolled by `rats-inspect tpm enroll`. The agents' policies pin the gateway they
talk to, the gateways' each other. With ENG_ENTG=occlum gateways are enclaves, and prove that: by quotes of
a stand-in for /dev/sgx (test/attest), signed by a maker that only programs of the tests believe.
"""

import hashlib
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
        text = netns.sh(netns.program("rats-inspect"), "tpm", "enroll", "--tcti", self.tcti,
                        "--name", name)
        self.alternative = text[text.index("  - tee"):].rstrip()

    @property
    def spec(self):
        """For --attester."""
        return f"tpm:tcti={self.tcti}"

    def accept(self, more=ALL, other=None):
        """The alternative of a policy that accepts the TPM as it was enrolled, or another like it."""
        text = self.alternative
        if other:
            text = re.sub(r"ak_sha256: (\w+)", rf"ak_sha256: [\1, {other.key}]", text)
        return f"{text}\n    {more}\n"

    @property
    def key(self):
        return re.search(r"ak_sha256: (\w+)", self.alternative).group(1)


class Enclave:
    """An enclave of its own MRENCLAVE, and the policy that accepts it. It can do what a Tpm can."""

    class Attester(str):
        """What --attester is given; it knows the words in front of a program that is to see the device."""

        enclave = None

        @property
        def device(self):
            return (netns.program("sgx_standin"), f"--mrenclave={self.enclave.mrenclave}",
                    *self.enclave.options, "--")

    def __init__(self, net, name, *options):
        self.net, self.name, self.options = net, name, options
        self.stop()

    @property
    def spec(self):
        attester = self.Attester("sgx")
        attester.enclave = self
        return attester

    def accept(self, more=ALL):
        return (f"  - tee: sgx\n    name: {self.name}\n    mrenclave: {self.mrenclave}\n"
                f"    mrsigner: any\n    {more}\n")

    def extend(self, _pcr):
        """From the next start on it is another program."""
        self.mrenclave = hashlib.sha256(self.mrenclave.encode()).hexdigest()

    def stop(self):
        self.mrenclave = hashlib.sha256(self.name.encode()).hexdigest()

    def start(self):
        """It is again what it was."""


def prover(net, name):
    """What a gateway proves itself with."""
    return (Enclave if netns.OCCLUM else Tpm)(net, name)


def collateral(net):
    """Options of those who judge enclaves: what the maker publishes, valid now."""
    if not netns.OCCLUM:
        return []
    path = net.tmp / "maker"
    if not path.exists():
        net.tmp.chmod(0o755)
        netns.sh(netns.program("standin_pki"), path)
    return ["--collateral", path / "intel"]


def owns(*prefixes, more=""):
    """What an alternative grants; for Tpm.accept()."""
    return f"allowed_ips: [{', '.join(prefixes)}]" + (f"\n    {more}" if more else "")


def policy(net, name, *alternatives, more=""):
    """Writes a policy file, or writes it anew; its path."""
    net.tmp.chmod(0o755)  # the daemons read it as nobody
    path = net.tmp / f"{name}.yaml"
    path.write_text("one_of:\n" + "".join(alternatives) + more)
    path.chmod(0o644)
    return path


class Chain(netns.Chain):
    """netns.Chain, rats-tls on every hop; the gateways prove themselves, by TPMs or as enclaves."""

    LISTEN = ["--entg-listen", "6979", "--enta-listen", "6980"]

    def __init__(self, net):
        super().__init__(net)
        self.tpm1, self.tpm2 = prover(net, "gate1"), prover(net, "gate2")
        judge = collateral(net)
        accepts1 = policy(net, "accepts-gate1", self.tpm1.accept())
        accepts2 = policy(net, "accepts-gate2", self.tpm2.accept())
        attester1, attester2 = ["--attester", self.tpm1.spec], ["--attester", self.tpm2.spec]
        self.GATE1 = [*self.LISTEN, "--entg-connect", "10.77.2.2:6979", "--entg-policy", accepts2,
                      "--enta-policy", "unattested", *attester1, *judge]
        self.GATE2 = [*self.LISTEN, "--entg-policy", accepts1, "--enta-policy", "unattested",
                      *attester2, *judge]
        self.AGENT_C = ["--entg-connect", "10.77.1.2:6980", "--tun-addr", "192.168.0.1",
                        "--policy", accepts1, *judge]
        self.AGENT_S = ["--entg-connect", "10.77.3.1:6980", "--tun-addr", "192.168.0.254",
                        "--policy", accepts2, *judge]


class Mutual(Chain):
    """Everybody proves itself to everybody; `third` is one more host behind gate1."""

    def __init__(self, net, *more):
        super().__init__(net)
        self.third = net.host("third")
        net.link(self.gate1, self.third, 9)
        self.tpm_c, self.tpm_s = Tpm(net, "client"), Tpm(net, "server")
        self.tpm_3 = Tpm(net, "third")
        self.clients = self.write_clients()
        self.servers = policy(net, "servers", self.tpm_s.accept(owns("192.168.0.254/32")))
        for args, agents in ((self.GATE1, self.clients), (self.GATE2, self.servers)):
            args[args.index("unattested")] = agents
            args += more
        self.AGENT_C += ["--attester", self.tpm_c.spec, *more]
        self.AGENT_S += ["--attester", self.tpm_s.spec, *more]

    def write_clients(self, third=owns("192.168.0.3/32"), other=None):
        """gate1's policy for agents: what third is granted (None: nothing, it is not accepted)."""
        return policy(self.net, "clients", self.tpm_c.accept(owns("192.168.0.1/32")),
                      self.tpm_3.accept(third, other) if third else "")

    def start_third(self, address="192.168.0.3", tpm=None, host=None, up=True, more=(), **kw):
        """One more agent, at gate1, with its own TPM or somebody else's."""
        args = self.AGENT_C[self.AGENT_C.index("--policy"):]
        args[args.index("--attester") + 1] = (tpm or self.tpm_3).spec
        return netns.enta(host or self.third, "--entg-connect", "10.77.9.1:6980", "--tun-addr",
                          address, "--replay", "icmp/", *args, *more, up=up, **kw)


def peers(proc):
    """SIGUSR1: a dictionary per line of event `peer`."""
    return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in proc.status(r" peer peer=")]


def workers(proc, name):
    """The processes of that name below a daemon: (pid, pid of the parent), the keeper first."""
    found = []
    for pid, parent in children(proc.pid):
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            if f.read().strip() == name:
                found.append((pid, parent))
    return sorted(found, key=lambda x: x[1] != proc.pid)


def children(pid):
    for line in netns.sh("ps", "-o", "pid=,ppid=", "--ppid", str(pid), check=False).splitlines():
        child = int(line.split()[0])
        yield child, pid
        yield from children(child)
