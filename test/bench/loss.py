#!/usr/bin/python3
"""make bench-loss: a transfer over a hop that loses packets and takes its time, with and without us.

The hop between the gateways goes through a cable of 20 ms there and back (test/net/delay.c, which
also gives it a speed), and both of its ends lose packets at random (nftables, numgen) before anybody
sees them. The same transfer, one stream of iperf3, goes over it routed, through our plaintext chain
and through our attested chain; TCP's congestion control is varied for the transfer (that of its
sender) and for the hop (--tcp-congestion of the gateways; a gateway that dials has no rights any more
and gets reno where the system does not allow cubic to everybody). The other hops are perfect.

Mbit/s: median of the rounds; ratios to the bare transfer of the same round, loss and control. Rows
go to test/bench/results.tsv.
"""

import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "netns")]
import longnet  # noqa: E402
import netns  # noqa: E402
import report  # noqa: E402
import ways as w  # noqa: E402

WAYS = ("bare", "plain", "attested")
CONTROLS = ("cubic", "bbr")
HOPS = ("auto", *CONTROLS)
PER_MILLE = (0, 1, 10)


def lose(chain, per_mille):
    for host, dev in ((chain.gate1, "to-gate2"), (chain.gate2, "to-gate1")):
        host.run("nft", "delete", "table", "netdev", "loss", check=False)  # may not be there
        if per_mille:
            host.run("nft", f"add table netdev loss; add chain netdev loss in {{ type filter hook "
                     f"ingress device {dev} priority 0; }}; add rule netdev loss in numgen random "
                     f"mod 1000 < {per_mille} counter drop")


def lost(chain):
    """Packets that were lost, of those that count."""
    return sum(x["counter"]["packets"] for host in (chain.gate1, chain.gate2)
               for rule in json.loads(host.run("nft", "-j", "list", "table", "netdev",
                                               "loss").stdout)["nftables"]
               for x in rule.get("rule", {}).get("expr", []) if "counter" in x)


def transfer(ways, way, control, seconds):
    out = ways.chain.client.run("iperf3", "-J", "-c", ways.address(way), "-p",
                                ways.port(way, w.IPERF), "-t", seconds, "-C", control,
                                timeout=60).stdout
    return json.loads(out)["end"]["sum_received"]["bits_per_second"] / 1e6


def one_round(net, hop, seconds, put):
    ways = w.Ways(net, WAYS, (w.IPERF,), ("--tcp-congestion", hop))
    ways.serve((w.IPERF, ("iperf3", "-s", "-p", "PORT")))
    for per_mille in PER_MILLE:
        lose(ways.chain, per_mille)
        for control in CONTROLS:
            name = f"loss {per_mille / 10:g}%, transfer {control}"
            for way in WAYS:
                speed = transfer(ways, way, control, seconds)
                put(way, f"{name}, hop {hop}", "Mbit/s", speed)
                print(f"{name}, hop {hop}, {way}: {speed:.1f} Mbit/s", flush=True)
        if per_mille and not lost(ways.chain):
            raise netns.NetnsError("nothing was lost: not what is measured")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=5, help="of one transfer")
    ap.add_argument("--delay", type=float, default=20, help="ms there and back")
    ap.add_argument("--mbit", type=int, default=200, help="the hop's speed")
    ap.add_argument("--hops", default=",".join(HOPS), help="--tcp-congestion of our programs")
    ap.add_argument("--no-append", action="store_true")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"bench-loss: {why}")
    results = report.Results()
    for n in range(args.rounds):
        for hop in args.hops.split(","):
            with longnet.LongNet(args.delay, args.mbit) as net:
                one_round(net, hop, args.seconds, results.put)
        print(f"round {n + 1} of {args.rounds}", flush=True)
    lines = []
    for name, unit in list(results.values):
        for way in w.OURS:
            x = results.ratio(f"{way}/bare", name, unit, way, "bare")
            lines.append((f"{way} over bare: {name}", x, ">=", 0.7))
    results.show(WAYS)
    report.aims(*lines)
    if not args.no_append:
        results.append(args.rounds)


if __name__ == "__main__":
    main()
