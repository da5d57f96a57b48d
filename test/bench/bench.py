#!/usr/bin/python3
"""make bench: the bare routed chain, ours (plaintext, attested), relays that do nothing, stunnels.

All in the same hosts (network namespaces); they are measured in turn, round after round, so that
what the machine does meanwhile hits all of them. Reported are the median of the rounds and their
spread, and ratios of two ways, taken round by round:

  1 stream, 4 streams   Gbit/s (iperf3), and CPU-seconds of the whole machine per GB moved: client,
                        server, gateways and the kernel's work for all of them. Time stolen by a
                        hypervisor is not counted as work but shown. `programs`: the CPU-seconds of
                        the way's own four programs, user and system; then of each by itself
  rtt SIZE              microseconds from sending a message to having its echo, p50 and p99; `plain`
                        with a socket's defaults, `nodelay` with TCP_NODELAY at both ends
  rtt 64 bulk           the same, with TCP_NODELAY, while 4 streams run
  machine               microseconds of a system call that does nothing, and of a turn, in which a
                        process that waits for a byte of another one gets it: a chain of four
                        programs takes eight turns for a round trip, whatever they are for
  start                 milliseconds from starting enta to the first answered ping through the chain
  handshakes            agents a second that one gateway takes up, one after the other and 16 at
                        once: TLS alone, with the gateway's evidence judged by the agent, with the
                        agent's judged by the gateway, and both (of software TPMs, which share the
                        machine)

Nothing is asserted: a number is a number of one machine. Rows go to test/bench/results.tsv.
"""

import argparse
import json
import pathlib
import socket
import struct
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "netns")]
import attested  # noqa: E402
import netns  # noqa: E402
import report  # noqa: E402
import ways as w  # noqa: E402

SIZES = (64, 4096, 20480)
AT_ONCE = 16


def iperf(chain, address, port, seconds, streams):
    """Whole seconds: of a part iperf3 makes 0, which is without end."""
    return ["iperf3", "-J", "-c", address, "-p", str(port), "-t", str(max(1, int(seconds))), "-P",
            str(streams)]


def measure_streams(ways, way, seconds, put):
    address, port = ways.address(way), ways.port(way, w.IPERF)
    for streams in (1, 4):
        (busy, stolen), own = report.cpu(), {r: report.cpu_of(p.pid)
                                             for r, p in ways.programs[way].items()}
        out = ways.chain.client.run(*iperf(ways.chain, address, port, seconds, streams)).stdout
        busy, stolen = report.cpu()[0] - busy, report.cpu()[1] - stolen
        own = {r: report.cpu_of(p.pid) - own[r] for r, p in ways.programs[way].items()}
        end = json.loads(out)["end"]["sum_received"]
        gb = end["bytes"] / 1e9
        name = f"{streams} stream"
        put(name, "Gbit/s", end["bits_per_second"] / 1e9)
        put(name, "CPU-s/GB", busy / gb)
        put(name, "stolen s", stolen)
        if own:
            put(f"{name}, programs", "CPU-s/GB", sum(own.values()) / gb)
        for role, seconds_of in own.items():
            if streams == 1 and way in w.OURS:
                put(f"{name}, {role}", "CPU-s/GB", seconds_of / gb)


def measure_rtt(ways, rtt, way, ms, put, sizes=SIZES, names=("plain", "nodelay")):
    for size in sizes:
        for name in names:
            service, more = (w.RTT_NODELAY, [name]) if name == "nodelay" else (w.RTT, [])
            r = json.loads(ways.chain.client.run(rtt, "client", ways.address(way),
                                                 ways.port(way, service), size, ms, *more).stdout)
            put(f"rtt {size} {name}", "us p50", r["p50"])
            put(f"rtt {size} {name}", "us p99", r["p99"])


def measure_machine(host, rtt, ms, put):
    r = json.loads(host.run(rtt, "machine", ms).stdout)
    put("system call", "us", r["call"])
    put("turn of a process", "us", r["turn"])


def measure_bulk(ways, rtt, way, seconds, put):
    """Round trips of a small message in the middle of a transfer."""
    address = ways.address(way)
    bulk = ways.chain.client.spawn(*iperf(ways.chain, address, ways.port(way, w.IPERF),
                                          seconds + 1.5, 4), quiet=True)
    time.sleep(0.7)  # streams have started and are up to speed
    r = json.loads(ways.chain.client.run(rtt, "client", address, ways.port(way, w.RTT_NODELAY), 64,
                                         int(seconds * 1000) - 300, "nodelay").stdout)
    if not bulk.alive():
        raise netns.NetnsError("the transfer ended before the round trips: not what is measured")
    bulk.wait()
    put("rtt 64 bulk", "us p50", r["p50"])
    put("rtt 64 bulk", "us p99", r["p99"])
    put("rtt 64 bulk", "Gbit/s meanwhile",
        json.loads(bulk.out())["end"]["sum_received"]["bits_per_second"] / 1e9)


# --- start -------------------------------------------------------------------------------------


def echo_request(sequence):
    def packet(csum):
        return struct.pack("!BBHHH", 8, 0, csum, 0x454e, sequence)
    total = sum(struct.unpack("!4H", packet(0)))
    return packet(~(total + (total >> 16)) & 0xffff)


def wait_for_echo(host, source, target, deadline):
    """Sends echo requests from an address that does not exist yet, until one is answered."""
    with host.sock(kind=socket.SOCK_RAW, proto=socket.IPPROTO_ICMP) as s:
        s.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
        s.bind((source, 0))
        s.settimeout(0.002)
        for sequence in range(1 << 16):
            if time.monotonic() > deadline:
                raise netns.NetnsError(f"no echo from {target}")
            try:
                s.sendto(echo_request(sequence), (target, 0))
            except OSError:
                pass  # no route yet
            try:
                while s.recv(2048)[20] != 0:
                    pass
                return
            except TimeoutError:
                pass


class Newcomer:
    """A host of its own behind gate1, where an agent starts: the client's guard its addresses."""

    def __init__(self, net, ways):
        self.ways, self.host = ways, net.host("newcomer")
        net.link(ways.chain.gate1, self.host, 9)

    def measure(self, way, put):
        if way not in w.OURS:
            return
        number = w.OURS.index(way)
        args = (["tcp://10.77.9.1:6980"] if way == "plain" else
                ["10.77.9.1:7980", "--policy", self.ways.policies[0]])
        begin = time.monotonic()
        agent = netns.enta(self.host, "--tun-addr", "192.168.2.9", "--replay", "icmp/",
                           "--entg-connect", *args, wait=False)
        wait_for_echo(self.host, "192.168.2.9", f"192.168.{number}.254", begin + 20)
        put("start", "ms", (time.monotonic() - begin) * 1e3)
        agent.stop()


# --- handshakes --------------------------------------------------------------------------------


class Handshakes:
    """Four gateways, one for what each side proves, and bench_agents that come and go."""

    KINDS = ("none", "gateway", "agent", "both")

    def __init__(self, net, chain):
        self.chain, self.gates = chain, {}
        self.exe = netns.build_dir() / "test" / "bench" / "bench_agents"
        self.tpm_gate, self.tpm_agent = attested.Tpm(net, "gate"), attested.Tpm(net, "agent")
        self.of_gate = attested.policy(net, "of-gate", self.tpm_gate.accept())
        of_agent = attested.policy(net, "of-agent", self.tpm_agent.accept())
        for n, kind in enumerate(self.KINDS):
            args = ["--enta-policy", of_agent if kind in ("agent", "both") else "unattested"]
            if kind in ("gateway", "both"):
                args += ["--attester", self.tpm_gate.spec]
            self.gates[kind] = netns.entg(chain.gate1, "--enta-listen", str(8980 + n), *args,
                                          "--log-level", "error", wait=False)
            netns.wait_until(lambda p=8980 + n: chain.gate1.listening(p), 10, "gateway")

    def measure(self, ms, put):
        for n, kind in enumerate(self.KINDS):
            args = ["policy", self.of_gate] if kind in ("gateway", "both") else []
            if kind in ("agent", "both"):
                args += ["attester", self.tpm_agent.spec]
            for at_once in (1, AT_ONCE):
                pid = self.gates[kind].pid
                busy = report.cpu_of(pid)
                out = self.chain.client.run(self.exe, "loop", ms, at_once, *args, "10.77.1.2",
                                            8980 + n).stdout.split()
                busy, done, seconds = report.cpu_of(pid) - busy, int(out[1]), float(out[2]) / 1e3
                name = f"handshakes, {at_once} at once, evidence: {kind}"
                put(name, "1/s", done / seconds)
                put(name, "gateway CPU-ms each", busy * 1e3 / max(done, 1))


# --- what it comes to --------------------------------------------------------------------------


def over(results, way, other, measure, unit):
    a, b = results.median(way, measure, unit), results.median(other, measure, unit)
    return None if a is None or b is None else a - b


def compare(results):
    cpu, gbit = "CPU-s/GB", "Gbit/s"
    lines = [("attested over plain, CPU per GB, 1 stream",
              results.ratio("attested/plain", "1 stream", cpu, "attested", "plain"), "<=", 1.25),
             ("attested over plain, CPU per GB, 4 streams",
              results.ratio("attested/plain", "4 stream", cpu, "attested", "plain"), "<=", 1.25),
             ("attested over plain, CPU per GB, programs alone, 1 stream",
              results.ratio("attested/plain", "1 stream, programs", cpu, "attested", "plain"), "", None),
             ("attested over stunnel, throughput, 1 stream",
              results.ratio("attested/stunnel", "1 stream", gbit, "attested", "stunnel"), ">=", 2),
             ("attested over stunnel, throughput, 4 streams",
              results.ratio("attested/stunnel", "4 stream", gbit, "attested", "stunnel"), ">=", 2),
             ("attested over stunnel, CPU per GB, 1 stream",
              results.ratio("attested/stunnel", "1 stream", cpu, "attested", "stunnel"), "<=", 1),
             ("plain over bare, CPU per GB, 1 stream",
              results.ratio("plain/bare", "1 stream", cpu, "plain", "bare"), "<=", 3)]
    turn = results.median("machine", "turn of a process", "us")
    lines.append(("eight turns of processes, us", turn and 8 * turn, "", None))
    for way, limit in (("plain", 60), ("attested", 90)):
        for kind in ("plain", "nodelay"):
            lines.append((f"{way} above bare, us, 64 B round trip, p50, {kind}",
                          over(results, way, "bare", f"rtt 64 {kind}", "us p50"), "<=", limit))
            lines.append((f"{way} above relay, us, 64 B round trip, p50, {kind}",
                          over(results, way, "relay", f"rtt 64 {kind}", "us p50"), "", None))
        lines.append((f"{way}, us, 64 B round trip in a bulk transfer, p99",
                      results.median(way, "rtt 64 bulk", "us p99"), "<=", 5000))
    return lines


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=3, help="of one iperf3 run")
    ap.add_argument("--ways", default=",".join(w.ALL))
    ap.add_argument("--no-append", action="store_true")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"bench: {why}")
    names, results = args.ways.split(","), report.Results()
    with netns.Net() as net:
        rtt = net.tmp / "rtt"
        netns.sh("cc", "-O2", "-D_GNU_SOURCE", "-o", rtt, HERE / "rtt.c")
        netns.sh("ninja", "-C", netns.build_dir(), "test/bench/bench_agents")
        ways = w.Ways(net, names)
        ways.serve((w.IPERF, ("iperf3", "-s", "-p", "PORT")), (w.RTT, (rtt, "server", "PORT")),
                   (w.RTT_NODELAY, (rtt, "server", "PORT", "nodelay")))
        newcomer = Newcomer(net, ways)
        handshakes = Handshakes(net, ways.chain) if "attested" in names else None
        for n in range(args.rounds):
            begin = time.monotonic()
            measure_machine(ways.chain.client, rtt, int(args.seconds * 200),
                            lambda *x: results.put("machine", *x))
            for way in names:
                def put(measure, unit, value, way=way):
                    results.put(way, measure, unit, value)
                measure_streams(ways, way, args.seconds, put)
                measure_rtt(ways, rtt, way, int(args.seconds * 200), put)
                measure_bulk(ways, rtt, way, args.seconds, put)
                newcomer.measure(way, put)
            if handshakes:
                handshakes.measure(int(args.seconds * 300), lambda *x: results.put("attested", *x))
            print(f"round {n + 1} of {args.rounds} in {time.monotonic() - begin:.0f} s", flush=True)
        lines = compare(results)
        results.show(names)
        report.aims(*lines)
        if not args.no_append:
            results.append(args.rounds)


if __name__ == "__main__":
    main()
