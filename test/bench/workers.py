#!/usr/bin/python3
"""make bench-workers: chains whose four programs have two workers each, against one each.

Both stand in hosts of their own and are measured in turn, as in bench.py: 1 and 4 streams, and the
round trip of 64 bytes, alone and while 4 streams run. Ratios are taken round by round, and the
rounds are many, 9 minutes: of 5 rounds of 1 s the ratio of one stream scattered from 0.90 to 1.02.
Workers are for machines that have processors for them; here they are to cost nothing where there are
two for everything. Rows go to test/bench/results.tsv.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "netns")]
import bench  # noqa: E402
import netns  # noqa: E402
import report  # noqa: E402
import ways as w  # noqa: E402

WORKERS = (1, 2)


def name_of(way, workers):
    return f"{way}, {workers} worker{'s' * (workers > 1)}"


def set_up(net, rtt, workers):
    ways = w.Ways(net, w.OURS, more=("--workers", workers), chain=netns.Chain(net, f"w{workers}-"))
    ways.serve((w.IPERF, ("iperf3", "-s", "-p", "PORT")),
               (w.RTT_NODELAY, (rtt, "server", "PORT", "nodelay")))
    return ways


def measure(ways, way, rtt, seconds, put):
    bench.measure_streams(ways, way, seconds, put)
    bench.measure_bulk(ways, rtt, way, seconds, put)
    bench.measure_rtt(ways, rtt, way, int(seconds * 200), put, (64,), ("nodelay",))


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=15, help="many: the difference is small")
    ap.add_argument("--seconds", type=float, default=2, help="of one iperf3 run")
    ap.add_argument("--no-append", action="store_true")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"bench-workers: {why}")
    results = report.Results()
    with netns.Net() as net:
        rtt = net.tmp / "rtt"
        netns.sh("cc", "-O2", "-D_GNU_SOURCE", "-o", rtt, HERE / "rtt.c")
        chains = {n: set_up(net, rtt, n) for n in WORKERS}
        for n in range(args.rounds):
            for way in w.OURS:
                for workers in (WORKERS, WORKERS[::-1])[n % 2]:
                    def put(m, unit, value, to=name_of(way, workers)):
                        results.put(to, m, unit, value)
                    measure(chains[workers], way, rtt, args.seconds, put)
            print(f"round {n + 1} of {args.rounds}", flush=True)
    lines = []
    for way in w.OURS:
        for streams in (1, 4):
            lines.append((f"{way}: 2 workers over 1, throughput, {streams} stream",
                          results.ratio(f"{way}, 2/1", f"{streams} stream", "Gbit/s",
                                        name_of(way, 2), name_of(way, 1)), ">=", 1))
    results.show([name_of(way, n) for way in w.OURS for n in WORKERS])
    report.aims(*lines)
    if not args.no_append:
        results.append(args.rounds)


if __name__ == "__main__":
    main()
