#!/usr/bin/python3
"""make bench: the bare routed chain, ours (plaintext, attested) and a stunnel chain.

All in the same hosts (network namespaces); they are measured in turn, round after round, so that what the machine does meanwhile hits all of
them. Reported are the median of the rounds, their spread, and the ratio to the bare chain:

  1 stream, 4 streams   Gbit/s (iperf3), and CPU-seconds of the whole machine per GB moved: client,
                        server, gateways and the kernel's work for all of them. Time stolen by a
                        hypervisor is not counted as work but shown.
  rtt SIZE              microseconds from sending a message to having its echo, p50 and p99; `plain`
                        with a socket's defaults, `nodelay` with TCP_NODELAY at both ends

Nothing is asserted: a number is a number of one machine. Rows go to test/bench/results.tsv.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "netns"))
import attested  # noqa: E402
import netns  # noqa: E402

SIZES = (64, 4096, 20480)
# Every way has ports of its own, so that only ours is captured.
PORTS = {"bare": 5200, "plain": 5300, "stunnel": 5400, "attested": 5500}
IPERF, PLAIN, NODELAY = 1, 2, 3

STUNNEL = """foreground = yes
syslog = no
pid =
debug = warning
cert = {cert}
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


def cpu():
    """(busy, stolen) seconds of the whole machine since it started."""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) / os.sysconf("SC_CLK_TCK") for x in f.readline().split()[1:9]]
    return t[0] + t[1] + t[2] + t[5] + t[6], t[7]


def start_stunnel(chain, tmp):
    """Three hops, each TLS between neighbours; a gateway ends one session and begins the next."""
    cert = tmp / "stunnel.pem"
    netns.sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=bench", "-keyout", cert, "-out", f"{cert}.crt")
    with open(cert, "a", encoding="ascii") as f:
        f.write(pathlib.Path(f"{cert}.crt").read_text(encoding="ascii"))
    # host: (accepts TLS, where its client side leads)
    hops = ((chain.client, False, "10.77.1.2"), (chain.gate1, True, "10.77.2.2"),
            (chain.gate2, True, "10.77.3.2"), (chain.server, True, None))
    for host, tls, onward in hops:
        text = STUNNEL.format(cert=cert)
        for service in (IPERF, PLAIN, NODELAY):
            outer, inner = PORTS["stunnel"] + service, PORTS["stunnel"] + 10 + service
            if tls:
                to = inner if onward else PORTS["bare"] + service
                text += f"[in{service}]\naccept = {outer}\nconnect = 127.0.0.1:{to}\n"
            if onward:
                text += (f"[out{service}]\nclient = yes\naccept = 127.0.0.1:"
                         f"{inner if tls else outer}\nconnect = {onward}:{outer}\n")
        conf = tmp / f"stunnel-{host}.conf"
        conf.write_text(text, encoding="ascii")
        host.spawn("stunnel4", conf, quiet=True)
    for host, tls, _ in hops:
        netns.wait_until(lambda h=host: h.listening(PORTS["stunnel"] + IPERF), 10, "stunnel")


OURS = ("plain", "attested")


def span(way):
    """The ports of a way, as a capture rule writes them."""
    return f"{PORTS[way]}-{PORTS[way] + 9}"


def start_plain(chain):
    chain.start(capture=(f"tcp/{chain.SERVER}:{span('plain')}=192.168.0.254",),
                replay=(f"tcp/:{span('plain')}", "icmp/"))


def start_attested(chain, net):
    """A second chain in the same hosts: other ports, other addresses, rats-tls on each hop."""
    tpm1, tpm2 = attested.Tpm(net, "gate1"), attested.Tpm(net, "gate2")
    one = attested.policy(net, "accepts-gate1", tpm1.accept())
    two = attested.policy(net, "accepts-gate2", tpm2.accept())
    listen = ("--entg-listen", "7979", "--enta-listen", "7980", "--enta-policy", "unattested")
    netns.entg(chain.gate2, *listen, "--entg-policy", one, "--attester", tpm2.spec)
    gate1 = netns.entg(chain.gate1, *listen, "--entg-policy", two, "--attester", tpm1.spec,
                       "--entg-connect", "10.77.2.2:7979")
    gate1.wait_log(" peer-open ", 10)
    netns.enta(chain.server, "--instance", "att", "--entg-connect", "10.77.3.1:7980",
               "--tun-addr", "192.168.1.254", "--policy", two, "--replay", f"tcp/:{span('attested')}",
               "--replay", "icmp/")
    netns.enta(chain.client, "--instance", "att", "--entg-connect", "10.77.1.2:7980",
               "--tun-addr", "192.168.1.1", "--policy", one,
               "--capture", f"tcp/{chain.SERVER}:{span('attested')}=192.168.1.254")
    netns.wait_until(lambda: chain.client.run("ping", "-c1", "-W1", "-I", "192.168.1.1",
                                              "192.168.1.254", check=False).returncode == 0,
                     15, "ping through the attested chain")


def start_servers(chain, rtt):
    for base in [PORTS[w] for w in ("bare", *OURS)]:
        chain.server.spawn("iperf3", "-s", "-p", base + IPERF, quiet=True)
        chain.server.spawn(rtt, "server", base + PLAIN, quiet=True)
        chain.server.spawn(rtt, "server", base + NODELAY, "nodelay", quiet=True)
    for base in [PORTS[w] for w in ("bare", *OURS)]:
        for service in (IPERF, PLAIN, NODELAY):
            netns.wait_until(lambda p=base + service: chain.server.listening(p), 10, "servers")


def measure(chain, rtt, way, seconds, put):
    """One round of one way; put(measure, unit, value)."""
    host = "127.0.0.1" if way == "stunnel" else chain.SERVER
    base = PORTS[way]
    for streams in (1, 4):
        busy, stolen = cpu()
        out = chain.client.run("iperf3", "-J", "-c", host, "-p", base + IPERF, "-t", seconds,
                               "-P", streams, timeout=60).stdout
        busy, stolen = cpu()[0] - busy, cpu()[1] - stolen
        end = json.loads(out)["end"]["sum_received"]
        put(f"{streams} stream", "Gbit/s", end["bits_per_second"] / 1e9)
        put(f"{streams} stream", "CPU-s/GB", busy / (end["bytes"] / 1e9))
        put(f"{streams} stream", "stolen s", stolen)
    for size in SIZES:
        for name, service in (("plain", PLAIN), ("nodelay", NODELAY)):
            more = ["nodelay"] if service == NODELAY else []
            r = json.loads(chain.client.run(rtt, "client", host, base + service, size, seconds * 300,
                                            *more).stdout)
            put(f"rtt {size} {name}", "us p50", r["p50"])
            put(f"rtt {size} {name}", "us p99", r["p99"])


def rows(results, ways):
    """(measure, unit, {way: (median, min, max)}) in the order of measuring."""
    for key in results[ways[0]]:
        yield *key, {w: (statistics.median(results[w][key]), min(results[w][key]),
                         max(results[w][key])) for w in ways}


def show(results, ways):
    print(f"\n{'':24}" + "".join(f"{w + ' median (min..max)':>34}" for w in ways)
          + "".join(f"{w + '/bare':>14}" for w in ways if w != "bare" and "bare" in ways))
    for name, unit, by_way in rows(results, ways):
        line = f"{name + ' ' + unit:24}"
        for w in ways:
            median, low, high = by_way[w]
            line += f"{f'{median:.2f} ({low:.2f}..{high:.2f})':>34}"
        for w in ways:
            if w != "bare" and "bare" in ways and by_way["bare"][0]:
                line += f"{by_way[w][0] / by_way['bare'][0]:14.2f}"
        print(line)


def append(results, ways, rounds):
    """Adds to results.tsv: a row a measure and way."""
    path = HERE / "results.tsv"
    commit = netns.sh("git", "-C", HERE, "describe", "--always", "--dirty", check=False).strip()
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        model = [x.split(":")[1].strip() for x in f if x.startswith("model name")]
    machine = f"{len(model)} x {model[0] if model else platform.machine()}, Linux {platform.release()}"
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
    new = not path.exists()
    with open(path, "a", encoding="utf-8") as f:
        if new:
            f.write("time\tcommit\tmachine\trounds\tway\tmeasure\tunit\tmedian\tmin\tmax\n")
        for name, unit, by_way in rows(results, ways):
            for w in ways:
                numbers = "\t".join(f"{x:.3f}" for x in by_way[w])
                f.write(f"{when}\t{commit}\t{machine}\t{rounds}\t{w}\t{name}\t{unit}\t{numbers}\n")
    print(f"\nappended to {path.relative_to(netns.ROOT)}")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=3, help="of one iperf3 run")
    ap.add_argument("--ways", default="bare,plain,attested,stunnel")
    ap.add_argument("--no-append", action="store_true")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"bench: {why}")
    ways = args.ways.split(",")
    with netns.Net() as net:
        rtt = net.tmp / "rtt"
        netns.sh("cc", "-O2", "-D_GNU_SOURCE", "-o", rtt, HERE / "rtt.c")
        chain = netns.Chain(net)
        start_servers(chain, rtt)
        if "plain" in ways:
            start_plain(chain)
        if "attested" in ways:
            start_attested(chain, net)
        if "stunnel" in ways:
            start_stunnel(chain, net.tmp)
        results = {w: {} for w in ways}
        for n in range(args.rounds):
            for way in ways:
                begin = time.monotonic()
                measure(chain, rtt, way, args.seconds, lambda name, unit, value, w=way:
                        results[w].setdefault((name, unit), []).append(value))
                print(f"round {n + 1} of {args.rounds}: {way} in {time.monotonic() - begin:.0f} s",
                      flush=True)
        show(results, ways)
        if not args.no_append:
            append(results, ways, args.rounds)


if __name__ == "__main__":
    main()
