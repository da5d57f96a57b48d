#!/usr/bin/python3
"""make bench: appraisals of evidence a second, and the ratio to the signatures that cannot be avoided.

rats_bench measures both in one process, on one core, with cached collateral; here it runs round after
round. Reported are the median of the rounds, the lowest and the highest. Nothing is asserted: a
number is a number of one machine. Rows go to test/bench/results.tsv.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ROW = re.compile(r"(\S.*?) +(\d+) /s, (\d+\.\d+) times the time of (.*)")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        model = [x.split(":")[1].strip() for x in f if x.startswith("model name")]
    return f"{len(model)} x {model[0] if model else platform.machine()}, Linux {platform.release()}"


def measure(exe, seconds, results):
    r = subprocess.run([exe, str(seconds)], stdout=subprocess.PIPE, text=True, check=False)
    for line in r.stdout.splitlines():
        m = ROW.fullmatch(line)
        if not m:
            print(line)
            continue
        name, rate, ratio, which = m.groups()
        results.setdefault(("appraisal " + name, "1/s", which), []).append(float(rate))
        results.setdefault(("appraisal " + name, "ratio", which), []).append(float(ratio))
    if r.returncode not in (0, 77):  # 77: without vectors there are no reports, as it has said
        sys.exit(f"appraisals: rats_bench ended with status {r.returncode}")


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=0.5, help="of each row and round")
    ap.add_argument("--no-append", action="store_true")
    args = ap.parse_args()
    build = pathlib.Path(os.environ.get("ENG_BUILD", "build"))
    build = build if build.is_absolute() else ROOT / build
    subprocess.run(["ninja", "-C", build, "src/rats/rats_bench"], check=True,
                   stdout=subprocess.DEVNULL)
    results = {}
    for _ in range(args.rounds):
        measure(build / "src/rats/rats_bench", args.seconds, results)
    commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], text=True,
                            stdout=subprocess.PIPE, check=False).stdout.strip()
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
    rows = ""
    print(f"\n{'':46}{'median (min..max)':>26}")
    for (name, unit, which), x in results.items():
        row = statistics.median(x), min(x), max(x)
        digits = 2 if unit == "ratio" else 0
        text = f"{row[0]:.{digits}f} ({row[1]:.{digits}f}..{row[2]:.{digits}f})"
        print(f"{name + ' ' + unit:46}{text:>26}" + (f"   to {which}" if unit == "ratio" else ""))
        numbers = "\t".join(f"{v:.3f}" for v in row)
        rows += f"{when}\t{commit}\t{machine()}\t{args.rounds}\teng\t{name}\t{unit}\t{numbers}\n"
    if not args.no_append:
        path = HERE / "results.tsv"
        new = not path.exists()
        with open(path, "a", encoding="utf-8") as f:
            if new:
                f.write("time\tcommit\tmachine\trounds\tway\tmeasure\tunit\tmedian\tmin\tmax\n")
            f.write(rows)
        print(f"\nappended to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
