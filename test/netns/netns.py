"""Network namespaces in which the tests, the demo and the bench run the programs.

Everything lives in one private network, mount and process namespace that this file makes first
(`enter_private`). So nothing here can touch the machine's own network, names cannot clash, and
whatever ends the harness, SIGKILL too, takes every namespace, device and process with it.

    with netns.Net() as net:
        chain = netns.Chain(net)              client - gate1 - gate2 - server, routed
        chain.start()                         our programs, design addresses
        chain.client.run("ping", "-c1", "192.168.0.254")

A `Host` is one namespace, a `Proc` one program in it with its log in a file, a `Sniffer` a tcpdump.
What a test waits for is an event or a line of a log with a deadline, never a fixed sleep.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRIVATE = "ENG_PRIVATE_NS"
CLONE_NEWNET = 0x40000000
SLOW = float(os.environ.get("ENG_SLOW", "1"))  # sanitizers: deadlines are this many times longer
libc = ctypes.CDLL(None, use_errno=True)


class NetnsError(Exception):
    pass


class NetnsMissing(Exception):
    """Something that this machine or user does not have: the test is skipped, aloud."""


# --- the private namespace ---------------------------------------------------------------------


def enter_private():
    """Runs this very command again inside private namespaces; returns a reason if that cannot be."""
    if os.environ.get(PRIVATE):
        # As process 1 we have no default action for SIGTERM.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return None
    wrap = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        wrap += ["--user", "--map-root-user"]
    probe = "mount -t tmpfs none /run && mkdir /run/netns && ip tuntap add probe mode tun"
    r = subprocess.run(wrap + ["sh", "-c", probe], capture_output=True, text=True)
    if r.returncode != 0:
        why = (r.stderr.strip().splitlines() or ["unknown"])[-1]
        return f"no private network namespace here ({why}): run as root, or allow user namespaces"
    setup = "mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && exec \"$@\""
    os.environ[PRIVATE] = "1"
    sys.stdout.flush()
    os.execvp("unshare", wrap + ["sh", "-c", setup, "sh"] + sys.orig_argv)


def sh(*cmd, check=True, **kw):
    """Runs a command outside of any host; returns its standard output."""
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, **kw)
    if check and r.returncode != 0:
        raise NetnsError(f"{' '.join(map(str, cmd))}: exit {r.returncode}: {r.stderr.strip()}")
    return r.stdout


def wait_until(condition, timeout, what):
    """Polls until condition() is true; its value. Raises with `what` when the time is over."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NetnsError(f"not within {timeout * SLOW:g} s: {what}")
        time.sleep(0.02)


def build_dir():
    return pathlib.Path(os.environ.get("ENG_BUILD", ROOT / "build")).resolve()


# ENG_ENTG=occlum: the gateways are entg-occlum, in the jail that stands in for an enclave.
OCCLUM = os.environ.get("ENG_ENTG", "host") == "occlum"
WORKERS = os.environ.get("ENG_WORKERS")  # of every program that a test does not say it of
OCCLUM_BUILD = pathlib.Path(os.environ.get("ENG_BUILD_OCCLUM", ROOT / "build-occlum")).resolve()


def program(name):
    """The path of one of our programs in the build that is under test."""
    if name == "entg" and OCCLUM:
        return jailed("entg")
    if name == "enta" and OCCLUM:
        name = "enta-testroots"  # it judges enclaves, of hardware that is a stand-in
    places = {"echosvr": "examples/echosvr/echosvr", "rtt": "test/bench/rtt",
              "rats-inspect": "src/tool/rats-inspect"}
    places.update({n: f"test/attest/{n}" for n in (
        "enta-testroots", "entg-testroots", "rats-inspect-testroots", "attest_get", "sgx_standin",
        "tsm_standin", "standin_pki")})
    path = build_dir() / places.get(name, f"src/{name}/{name}")
    if not path.exists():
        raise NetnsError(f"{path} is not built (make build)")
    return str(path)


def jailed(name):
    """The script that runs that gateway of the build for Occlum in the jail."""
    path = OCCLUM_BUILD / "test" / "occlum" / name
    if not path.exists():
        raise NetnsError(f"{path} is not built (make entg-occlum)")
    return str(path)


# --- one host ----------------------------------------------------------------------------------


class Host:
    def __init__(self, net, name):
        self.net, self.name, self.ifaces = net, name, []
        sh("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")
        for key in ("default", "all"):  # addresses work at once
            self.sysctl(f"net.ipv6.conf.{key}.accept_dad", 0)

    def __repr__(self):
        return self.name

    def argv(self, cmd):
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"] + [str(c) for c in cmd]

    def run(self, *cmd, check=True, timeout=60, **kw):
        """Runs a command in this host to its end; CompletedProcess with text output."""
        r = subprocess.run(self.argv(cmd), capture_output=True, text=True,
                           timeout=timeout * SLOW, **kw)
        if check and r.returncode != 0:
            raise NetnsError(f"{self.name}: {' '.join(map(str, cmd))}: exit {r.returncode}: "
                             f"{r.stderr.strip()} {r.stdout.strip()}")
        return r

    def sysctl(self, key, value):
        self.run("sysctl", "-qw", f"{key}={value}")

    def spawn(self, *cmd, **kw):
        """Starts a program that goes on; a Proc."""
        return Proc(self, cmd, **kw)

    @contextlib.contextmanager
    def inside(self):
        """This thread opens sockets and devices in the host's namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield self
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)

    def sock(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        with self.inside():
            return socket.socket(family, kind, proto)

    def connect(self, address, port, timeout=10, **opts):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        s = self.sock(family)
        s.settimeout(timeout * SLOW)
        if opts.get("rcvbuf"):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, opts["rcvbuf"])
        try:
            s.connect((address, port))
        except OSError:
            s.close()
            raise
        return s

    def listen(self, port, address="", family=socket.AF_INET):
        s = self.sock(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(512)
        s.settimeout(30 * SLOW)
        return s

    def listening(self, port, proto="tcp"):
        flag = "-Hltn" if proto == "tcp" else "-Hlun"
        return self.run("ss", flag, f"sport = :{port}").stdout.strip() != ""

    def state(self):
        """What a clean stop must restore, as text: firewall, rules and routes of both families."""
        return "\n".join(self.run(*c.split()).stdout for c in (
            "nft list ruleset", "ip -4 rule", "ip -6 rule", "ip -4 route show table all",
            "ip -6 route show table all"))

    def link_names(self):
        return self.run("ip", "-br", "link").stdout.split("\n")


# --- one program -------------------------------------------------------------------------------


class Proc:
    """A running program; standard output and error go to a file each."""

    def __init__(self, host, cmd, name=None, quiet=False, stdin=subprocess.DEVNULL, env=None):
        self.host, self.cmd = host, [str(c) for c in cmd]
        self.name = name or os.path.basename(self.cmd[0])
        n = len(host.net.procs)
        self.err_path = host.net.tmp / f"{n:03}-{host.name}-{self.name}.err"
        self.out_path = host.net.tmp / f"{n:03}-{host.name}-{self.name}.out"
        with open(self.err_path, "wb") as err, open(self.out_path, "wb") as out:
            self.popen = subprocess.Popen(host.argv(self.cmd), stdin=stdin, stdout=out, stderr=err,
                                          env=dict(os.environ, **(env or {})))
        self.quiet = quiet
        self.expect_sanitizer = False
        host.net.procs.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def threads(self):
        """The names of those that it has started, sorted."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task").glob("*/comm")
        return sorted(t.read_text(encoding="ascii").strip() for t in tasks if t.parent.name != str(self.pid))

    def cpu_s(self):
        """Seconds that it has run, in user mode and in the kernel."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
        return sum(int(x) for x in fields[11:13]) / os.sysconf("SC_CLK_TCK")

    def log(self):
        return self.err_path.read_text(errors="replace")

    def out(self):
        return self.out_path.read_text(errors="replace")

    def mark(self):
        """A place in the log, for wait_log(since=...)."""
        return os.path.getsize(self.err_path)

    def grep(self, pattern, since=0):
        text = self.err_path.read_bytes()[since:].decode(errors="replace")
        return [line for line in text.splitlines() if re.search(pattern, line)]

    def alive(self):
        return self.popen.poll() is None

    def wait_log(self, pattern, timeout=10, since=0):
        """Waits for a line of the log that matches; the line."""
        def look():
            found = self.grep(pattern, since)
            if found:
                return found[-1]
            if not self.alive() and not self.grep(pattern, since):
                raise NetnsError(f"{self.host}: {self.name} ended ({self.popen.returncode}) before "
                                 f"/{pattern}/: {self.log()[-800:]}")
        return wait_until(look, timeout, f"/{pattern}/ in the log of {self.host}:{self.name}")

    def send(self, sig):
        self.popen.send_signal(sig)

    def wait(self, timeout=20):
        try:
            return self.popen.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise NetnsError(f"{self.host}: {self.name} does not end") from None

    def stop(self, sig=signal.SIGTERM, timeout=10, check=True):
        """A clean stop; the exit status must be 0 unless check is False."""
        if self.alive():
            self.send(sig)
        status = self.wait(timeout)
        if check and status != 0:
            raise NetnsError(f"{self.host}: {self.name} exits {status}: {self.log()[-800:]}")
        return status

    def kill9(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def status(self, pattern):
        """SIGUSR1: the lines of the answer that match."""
        since = self.mark()
        self.send(signal.SIGUSR1)
        self.wait_log(r" counter-total ", 5, since)
        return self.grep(pattern, since)

    def counters(self):
        """SIGUSR1: a dictionary per line of event `counter`."""
        return [dict(kv.split("=", 1) for kv in line.split() if "=" in kv)
                for line in self.status(r" counter ")]


class EnclaveGate(Proc):
    """entg-occlum: signals do not reach an enclave, so what they ask for goes through its admin door.

    Files that its options name are copied into its image. With an attester of attested.Enclave it
    runs behind that one's /dev/sgx, and is the program that believes the maker of such devices.
    """

    ADMIN = 16000
    FILES = ("--policy", "--entg-policy", "--enta-policy", "--collateral")

    def __init__(self, host, args, env=None, **kw):
        if "--admin" not in args:  # there may be several on a host
            args = (*args, "--admin", f"127.0.0.1:{self.ADMIN + len(host.net.procs)}")
        self.admin = int(str(args[args.index("--admin") + 1]).rpartition(":")[2])
        self.device = [str(w) for a in args for w in getattr(a, "device", ())]
        self.etc = pathlib.Path(tempfile.mkdtemp(dir=host.net.tmp, prefix="image-"))
        self.args = [self.into_image(a, before) for before, a in zip((None, *args), args)]
        program = jailed("entg-testroots" if self.device else "entg")
        super().__init__(host, [*self.device, program, *self.args], name="entg",
                         env=dict(env or {}, ENG_ETC=str(self.etc)), **kw)

    def into_image(self, word, before):
        """The word, where the image has the file that it names."""
        word = str(word)
        folder = re.search(r"(?<=endorsements=)[^,:]+", word) if before == "--attester" else None
        source = folder[0] if folder else word
        if not folder and (before not in self.FILES or not os.path.exists(word)):
            return word
        to = self.etc / os.path.basename(source)
        if os.path.isdir(source):
            shutil.copytree(source, to, dirs_exist_ok=True)
        else:
            shutil.copy(source, to)
        return word.replace(source, f"/etc/eng/{to.name}")

    @property
    def pid(self):
        """Of the program itself; in front of it may be its device."""
        if self.device and self.alive():
            with open(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children", encoding="ascii") as f:
                children = f.read().split()
            if children:
                return int(children[0])
        return self.popen.pid

    def ask(self, command):
        """The answer to one command."""
        with self.host.connect("127.0.0.1", self.admin) as s:
            s.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    COMMANDS = {signal.SIGTERM: "drain", signal.SIGINT: "drain", signal.SIGUSR1: "status", signal.SIGHUP: "reload"}

    def send(self, sig):
        if sig in self.COMMANDS:
            try:
                self.ask(self.COMMANDS[sig])
                return
            except OSError:
                pass  # not ready yet, or stuck: then it is as on a host of an enclave, it dies
        super().send(sig)

    def kill9(self):
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # and its device ends with it
        self.popen.wait()

    def status(self, pattern):
        return [line for line in self.ask("status").splitlines() if re.search(pattern, line)]

    def counters(self):
        return [dict(kv.split("=", 1) for kv in line.split() if "=" in kv)
                for line in self.status(" counter ")]


class Sniffer:
    """Counts the packets of an interface that match a filter, with tcpdump."""

    def __init__(self, host, iface, expression, snaplen=96):
        with open("/proc/self/setgroups", encoding="ascii") as f:
            if f.read().strip() == "deny":
                raise NetnsMissing("tcpdump does not run in a user namespace: run as root")
        self.host, self.iface, self.expression = host, iface, expression
        self.pcap = host.net.tmp / f"sniff-{len(host.net.procs):03}-{host.name}-{iface}.pcap"
        self.proc = host.spawn("tcpdump", "-Z", "root", "-i", iface, "-U", "--immediate-mode", "-n",
                               "-s", snaplen, "-B", 32768, "-w", self.pcap, expression, quiet=True)
        self.proc.wait_log("listening on", 10)

    def so_far(self):
        """The number of matching packets until now; tcpdump writes each at once."""
        return int(sh("tcpdump", "-n", "-r", self.pcap, "--count").split()[0])

    def stop(self):
        """Ends it; the number of matching packets."""
        time.sleep(0.1)
        self.proc.stop(signal.SIGINT)
        found = re.search(r"(\d+) packets? captured", self.proc.log())
        dropped = re.search(r"(\d+) packets? dropped by kernel", self.proc.log())
        if not found or int(dropped.group(1)):
            raise NetnsError(f"tcpdump on {self.host}:{self.iface}: {self.proc.log()}")
        return int(found.group(1))

    def text(self, n=10):
        return sh("tcpdump", "-n", "-r", self.pcap, "-c", n, check=False)


# --- a set of hosts ----------------------------------------------------------------------------


class Net:
    """Hosts, links and programs that end together."""

    def __init__(self):
        if not os.environ.get(PRIVATE):
            raise NetnsError("call netns.enter_private() first")
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="eng-netns-"))
        self.procs, self.hosts, self.tpms = [], [], []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
        for tpm in self.tpms:
            tpm.remove()
        bad = [p for p in self.procs if not p.expect_sanitizer
               and re.search(r"Sanitizer|runtime error:", p.log())]
        reports = [f"{p.host}:{p.name}: {p.log()[-4000:]}" for p in bad]
        if os.environ.get("ENG_KEEP"):
            print(f"logs kept in {self.tmp}", file=sys.stderr)
        else:
            shutil.rmtree(self.tmp, ignore_errors=True)
        if reports:
            raise NetnsError("sanitizer report: " + "\n".join(reports))

    def close(self):
        for p in reversed(self.procs):
            if p.alive():
                p.send(signal.SIGTERM)
        deadline = time.monotonic() + 5 * SLOW
        for p in reversed(self.procs):
            try:
                p.popen.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.kill9()
        for h in self.hosts:
            subprocess.run(["ip", "netns", "del", h.name], check=False, capture_output=True)
        self.hosts.clear()

    def host(self, name):
        h = Host(self, name)
        self.hosts.append(h)
        return h

    def link(self, a, b, number, mtu=1500):
        """A cable: 10.77.N.1 and fd77:N::1 at a, .2 and ::2 at b. Interface names: to-<other>."""
        na, nb = f"to-{b.name}"[:15], f"to-{a.name}"[:15]
        a.run("ip", "link", "add", na, "mtu", mtu, "type", "veth",
              "peer", "name", nb, "mtu", mtu, "netns", b.name)
        for h, dev, last in ((a, na, 1), (b, nb, 2)):
            h.ifaces.append(dev)
            h.run("ip", "link", "set", dev, "up")
            h.run("ip", "addr", "add", f"10.77.{number}.{last}/24", "dev", dev)
            h.run("ip", "addr", "add", f"fd77:{number}::{last}/64", "dev", dev, "nodad")
        return na, nb

    def logs(self, last=25):
        """The end of every program's log, for the report of a failed test."""
        parts = []
        for p in self.procs:
            if not p.quiet and p.err_path.exists():
                state = "running" if p.alive() else f"exit {p.popen.returncode}"
                tail = "\n".join(p.log().splitlines()[-last:])
                parts.append(f"--- {p.host}: {' '.join(p.cmd)} ({state})\n{tail}")
        return "\n".join(parts)


# --- the chain of the design -------------------------------------------------------------------

CLEAR = "(port 7 or port 6978 or net 192.168.0.0/24 or icmp6[0] == 128) and not tcp port 6979 " \
        "and not tcp port 6980"


class Chain:
    """client - gate1 - gate2 - server, one cable between neighbours, and routes end to end.

    The gateways forward, so that traffic which escapes capture really arrives in the clear and is
    seen, and so that the same hosts serve as the bare chain to compare with.
    """

    CLIENT, SERVER = "10.77.1.1", "10.77.3.2"
    CLIENT6, SERVER6 = "fd77:1::1", "fd77:3::2"

    def __init__(self, net, prefix=""):
        """prefix: of the hosts' names, where there is more than one chain."""
        self.net = net
        self.client, self.gate1, self.gate2, self.server = self.hosts = [
            net.host(prefix + n) for n in ("client", "gate1", "gate2", "server")]
        for i in range(3):
            net.link(self.hosts[i], self.hosts[i + 1], i + 1)
        for g in (self.gate1, self.gate2):
            g.sysctl("net.ipv4.ip_forward", 1)
            g.sysctl("net.ipv6.conf.all.forwarding", 1)
        for host, via in ((self.client, "{}1{}2"), (self.server, "{}3{}1")):
            host.run("ip", "route", "add", "default", "via", via.format("10.77.", "."))
            host.run("ip", "-6", "route", "add", "default", "via", via.format("fd77:", "::"))
        for host, net_no, via in ((self.gate1, 3, "{}2{}2"), (self.gate2, 1, "{}2{}1")):
            host.run("ip", "route", "add", f"10.77.{net_no}.0/24", "via", via.format("10.77.", "."))
            host.run("ip", "-6", "route", "add", f"fd77:{net_no}::/64",
                     "via", via.format("fd77:", "::"))
        self.enta_c = self.entg1 = self.entg2 = self.enta_s = None

    # The command lines, as a user would write them. Each program starts apart, for the fault tests.

    LISTEN = ["--entg-listen", "tcp://6979", "--enta-listen", "tcp://6980"]
    GATE1 = LISTEN + ["--entg-connect", "tcp://10.77.2.2:6979"]
    GATE2 = LISTEN
    AGENT_C = ["--entg-connect", "tcp://10.77.1.2:6980", "--tun-addr", "192.168.0.1"]
    AGENT_S = ["--entg-connect", "tcp://10.77.3.1:6980", "--tun-addr", "192.168.0.254"]

    def start_entg1(self, *more, args=None, wait=True):
        self.entg1 = entg(self.gate1, *(self.GATE1 if args is None else args), *more, wait=wait)
        return self.entg1

    def start_entg2(self, *more, args=None, wait=True):
        self.entg2 = entg(self.gate2, *(self.GATE2 if args is None else args), *more, wait=wait)
        return self.entg2

    def start_client(self, *more, capture=("7",), wait=True, up=True):
        rules = [x for c in capture for x in ("--capture", c)]
        self.enta_c = enta(self.client, *self.AGENT_C, *rules, *more, wait=wait, up=up)
        return self.enta_c

    def start_server(self, *more, replay=("7", "icmp/"), wait=True, up=True):
        rules = [x for c in replay for x in ("--replay", c)]
        self.enta_s = enta(self.server, *self.AGENT_S, *rules, *more, wait=wait, up=up)
        return self.enta_s

    def start(self, *more, capture=("7",), replay=("7", "icmp/")):
        """more: for all four."""
        self.start_entg2(*more)
        self.start_entg1(*more)
        self.entg1.wait_log(" peer-open ", 10)
        self.start_server(*more, replay=replay)
        self.start_client(*more, capture=capture)
        self.settle()
        return self

    def settle(self, timeout=15):
        """Until packets cross: routes have spread to both ends."""
        def ping():
            return self.client.run("ping", "-c1", "-W1", "-I", "192.168.0.1", "192.168.0.254",
                                   check=False).returncode == 0
        wait_until(ping, timeout, "ping through the chain")

    def sniff(self, expression=CLEAR):
        """A sniffer on every real interface of every host."""
        return [Sniffer(h, i, expression) for h in self.hosts for i in h.ifaces]

    def programs(self):
        return [p for p in (self.enta_c, self.entg1, self.entg2, self.enta_s) if p]


def clear_packets(sniffers):
    """Stops them; the number of packets in the clear and the first of them as text."""
    counts = [(s, s.stop()) for s in sniffers]
    texts = [f"{s.host}:{s.iface}: {n} packets\n{s.text()}" for s, n in counts if n]
    return sum(n for _, n in counts), "\n".join(texts)


def entg(host, *args, wait=True, enclave=OCCLUM, **kw):
    """Starts a gateway, in the jail or on the host; one on the host judges enclaves if there are any."""
    if WORKERS and "--workers" not in args:
        args = (*args, "--workers", WORKERS)
    if enclave:
        p = EnclaveGate(host, args, **kw)
    else:
        p = Proc(host, (program("entg-testroots" if OCCLUM else "entg"), *args), name="entg", **kw)
    if wait:
        p.wait_log(r" ready\b", 20)
    return p


def entg_with_descriptors(host, n, *args):
    """A gateway that may open n more than it has at the start."""
    probe = entg(host, *args)
    used = {int(fd) for fd in os.listdir(f"/proc/{probe.pid}/fd")}
    probe.stop()
    limit = len(used) + n
    while limit - len([fd for fd in used if fd < limit]) < n:
        limit += 1
    gate = Proc(host, ("prlimit", f"--nofile={limit}:{limit}", *probe.cmd), name="entg")
    gate.wait_log(r" ready\b", 20)
    return gate


def enta(host, *args, wait=True, up=True, **kw):
    """Starts an agent; waits until it is ready and, with up, until its link is."""
    if WORKERS and "--workers" not in args:
        args = (*args, "--workers", WORKERS)
    p = host.spawn(program("enta"), *args, name="enta", **kw)
    if wait:
        p.wait_log(r" ready\b", 10)
    if wait and up:
        p.wait_log(r" link-up\b", 10)
    return p
