#!/usr/bin/python3
"""make bench-occlum: what forwarding costs in an enclave, counted in system calls.

A call is what takes the gateway out of its enclave, so calls are counted, not seconds: by the jail, at
one gateway of the chain, under bulk load and idle, with plaintext hops and with attested ones. A counted call stops for the jail, which takes about
as long as leaving an enclave and coming back does, so that batches form as they would there.

Exits are a model of Occlum 0.31 (docs/occlum.md): one for a call on a socket of up to 128 KiB and for
an epoll_ctl, three for an epoll_wait that sleeps and one for one that does not, none for the clock. How
many slept is not seen here; the table gives the most there can have been.

Ends with 1 if a target is missed: one call for 32 KiB forwarded, two a second and peer when idle.
"""

import argparse
import json
import os
import pathlib
import struct
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "netns"))
import attested  # noqa: E402
import netns  # noqa: E402

BULK_BYTES, IDLE_CALLS = 32 * 1024, 2.0
WAITS = {"epoll_wait", "epoll_pwait"}
WAIT_EXITS = 3
FREE = {"clock_gettime", "gettimeofday", "getpid", "brk", "mmap", "munmap", "madvise"}  # stay inside


def names():
    lines = (HERE / "syscalls.tsv").read_text(encoding="ascii").splitlines()
    return {int(n): name for n, name, _ in (x.split("\t") for x in lines if not x.startswith("#"))}


class Counted:
    """One gateway, its calls and the bytes that it forwarded, between two moments."""

    def __init__(self, gate, path):
        self.gate, self.path, self.names = gate, path, names()

    def read(self):
        counts = struct.unpack("1024Q", self.path.read_bytes())
        return {self.names.get(nr, str(nr)): n for nr, n in enumerate(counts) if n}

    def forwarded(self):
        return sum(int(c["packet_bytes_in"]) for c in self.gate.counters())

    def during(self, what):
        """(calls by name, bytes, seconds) of what()."""
        n_bytes = self.forwarded()
        begin, calls = time.monotonic(), self.read()
        what()
        seconds, after = time.monotonic() - begin, self.read()
        delta = {n: after[n] - calls.get(n, 0) for n in after if after[n] != calls.get(n, 0)}
        return delta, self.forwarded() - n_bytes, seconds


def most_exits(calls):
    return sum(n * (0 if name in FREE else WAIT_EXITS if name in WAITS else 1)
               for name, n in calls.items())


def listing(calls):
    return ", ".join(f"{n} {name}" for name, n in sorted(calls.items(), key=lambda x: -x[1]))


def load(chain, counted, cmd):
    """A run of iperf3; again while its server has not let go of the one before."""
    for _ in range(20):
        out = {}
        measured = counted.during(
            lambda: out.update(json.loads(chain.client.run(*cmd, check=False).stdout)))
        if "error" not in out:
            return measured
        time.sleep(1)
    raise netns.NetnsError(f"iperf3: {out['error']}")


def bulk(chain, counted, seconds):
    """Rows and whether the target is met."""
    good = True
    for name, more in (("1 stream", []), ("4 streams", ["-P", 4]), ("1 stream, back", ["-R"]),
                       ("1 stream, both ways", ["--bidir"])):
        cmd = ["iperf3", "-J", "-c", chain.SERVER, "-t", seconds, *more]
        calls, n_bytes, took = load(chain, counted, cmd)
        n = sum(calls.values())
        each = n_bytes / n
        good = good and each >= BULK_BYTES
        print(f"{name:20} {n_bytes * 8 / took / 1e9:6.2f} Gbit/s {each / 1024:8.1f} KiB a call "
              f"{n_bytes / most_exits(calls) / 1024:8.1f} KiB an exit at least   "
              f"{'ok' if each >= BULK_BYTES else 'MISSED'}\n{'':22}{listing(calls)}", flush=True)
    return good


def idle(counted, seconds, peers):
    calls, _, took = counted.during(lambda: time.sleep(seconds))
    each = sum(calls.values()) / took / peers
    print(f"{'idle, ' + str(peers) + ' peers':20} {each:6.2f} calls a second and peer, "
          f"{most_exits(calls) / took / peers:.2f} exits at most   {'ok' if each < IDLE_CALLS else 'MISSED'}\n"
          f"{'':22}{listing(calls)}", flush=True)
    return each < IDLE_CALLS


def measure(chain, seconds):
    """The table of one chain, whose first gateway is counted; whether the targets are met."""
    count = chain.net.tmp / "calls"
    chain.start_entg2()
    chain.entg1 = netns.entg(chain.gate1, *chain.GATE1, env={"ENG_JAIL_COUNT": str(count)})
    chain.start_server(replay=("tcp/:5201", "icmp/"))
    chain.start_client(capture=("tcp/10.77.3.2:5201=192.168.0.254",))
    chain.settle()
    chain.server.spawn("iperf3", "-s", quiet=True)
    netns.wait_until(lambda: chain.server.listening(5201), 10, "iperf3")
    counted = Counted(chain.entg1, count)
    print(f"{'attested' if isinstance(chain, attested.Chain) else 'plaintext'} hops, cores {os.cpu_count()}, "
          f"load {os.getloadavg()[0]:.1f}\n")
    good = bulk(chain, counted, seconds)
    time.sleep(3)
    good = idle(counted, 6 * seconds, 2) and good
    print()
    return good


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seconds", type=int, default=5, help="of load each way; idle takes 6 times as long")
    args = ap.parse_args()
    why = netns.enter_private()
    if why:
        sys.exit(f"cost: {why}")
    if not netns.OCCLUM:
        sys.exit("cost: start me with ENG_ENTG=occlum")
    good = True
    for make in (netns.Chain, attested.Chain):
        with netns.Net() as net:
            good = measure(make(net), args.seconds) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
