#!/usr/bin/python3
"""make count: instructions of a gateway's packet path, and whether they have become more.

callgrind counts what bench_path (path.c) does between the arrival of bytes from one agent and their
departure to the other: per frame, where packets are small, and per KB, where frames are large;
plaintext, and rats-tls with either cipher backend. A number above test/bench/counts.tsv by more than
5% is a failure; `--update` writes the file anew, for the commit that explains why.

Counts do not depend on the machine: valgrind shows every program the same processor (AVX2 and
AES-NI, no AVX-512), whatever is below, so that libc, OpenSSL and ipsec-mb choose the same code. What
they cannot show is therefore what ipsec-mb gains by vector AES, and what the kernel does. A machine
without AVX2 cannot count, which is a failure too. They do depend on the compiler and the libraries,
which are those of Debian 12, and on meson's options: those of `make build`.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TSV = HERE / "counts.tsv"
LIMIT = 1.05
TURNS = 20
BACKENDS = ("plain", "evp", "ipsec-mb")
# name: bytes of a packet, what is divided by
MEASURES = {"a frame of 100 B": (100, lambda frames, size: frames),
            "a KB in frames of 60 KB": (60000, lambda frames, size: size / 1024)}


class CountError(Exception):
    pass


def count(exe, backend, measure):
    """Instructions per unit of the measure."""
    size, units = MEASURES[measure]
    with tempfile.TemporaryDirectory() as tmp:
        out = pathlib.Path(tmp) / "callgrind.out"
        # The environment lies on the stack: a long one would move it.
        r = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--toggle-collect=turn",
                            f"--callgrind-out-file={out}", exe, backend, str(size), str(TURNS)],
                           env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                           check=False)
        if r.returncode != 0:
            raise CountError(f"bench_path {backend}: {(r.stdout + r.stderr).strip()[-500:]}")
        total = re.search(r"^(?:summary|totals): (\d+)", out.read_text(encoding="ascii"), re.M)
    frames, n_bytes = map(int, r.stdout.split())
    if not total or int(total.group(1)) < frames:
        raise CountError(f"bench_path {backend}: callgrind has counted nothing")
    return int(total.group(1)) / units(frames, n_bytes)


def count_all(build):
    """{(backend, measure): instructions}"""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        if not re.search(r"^flags.* avx2 .*", f.read(), re.M):
            raise CountError("no AVX2 here: the counts of this machine compare with no other's")
    subprocess.run(["ninja", "-C", str(build), "test/bench/bench_path"], check=True,
                   stdout=subprocess.DEVNULL)
    exe = pathlib.Path(build) / "test" / "bench" / "bench_path"
    keys = [(b, m) for m in MEASURES for b in BACKENDS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(keys, pool.map(lambda k: count(exe, *k), keys)))


def committed():
    rows = [line.split("\t") for line in TSV.read_text(encoding="ascii").splitlines()[1:]]
    return {(backend, measure): float(n) for backend, measure, n in rows}


def compare(now, before):
    """Lines for people, and what is wrong."""
    lines, bad = [], []
    for key, n in now.items():
        old = before.get(key)
        if old is None:
            bad.append(f"counts.tsv has no row for {key[0]}, {key[1]}")
            continue
        lines.append(f"{key[0]:10}{key[1]:26}{n:12.1f}{old:12.1f}{100 * (n / old - 1):+8.1f}%")
        if n > old * LIMIT:
            bad.append(f"{key[0]}: {n:.1f} instructions {key[1]}, were {old:.1f}: "
                       f"{100 * (n / old - 1):+.1f}%, and {100 * (LIMIT - 1):.0f}% are allowed")
    bad += [f"counts.tsv has a row that nobody counts: {' '.join(k)}" for k in before if k not in now]
    return lines, bad


def check(build):
    """For test/lint: what is wrong."""
    try:
        return compare(count_all(build), committed())[1]
    except (CountError, OSError, ValueError, subprocess.CalledProcessError) as e:
        return [f"count: {e}"]


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.environ.get("ENG_BUILD", "build"))
    ap.add_argument("--update", action="store_true", help="write counts.tsv anew")
    args = ap.parse_args()
    build = ROOT / args.build
    try:
        now = count_all(build)
    except CountError as e:
        sys.exit(f"count: {e}")
    if args.update:
        rows = "".join(f"{b}\t{m}\t{n:.1f}\n" for (b, m), n in now.items())
        TSV.write_text("backend\tinstructions of\tcount\n" + rows, encoding="ascii")
    lines, bad = compare(now, committed())
    print(f"{'':10}{'instructions of':26}{'now':>12}{'counts.tsv':>12}")
    print("\n".join(lines + bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
