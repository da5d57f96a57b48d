"""Numbers of a bench: kept round by round, shown as median and spread, appended to results.tsv."""

import datetime
import os
import pathlib
import platform
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
HEAD = "time\tcommit\tmachine\trounds\tway\tmeasure\tunit\tmedian\tmin\tmax\n"
TICK = os.sysconf("SC_CLK_TCK")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        model = [x.split(":")[1].strip() for x in f if x.startswith("model name")]
    return f"{len(model)} x {model[0] if model else platform.machine()}, Linux {platform.release()}"


def cpu():
    """(busy, stolen) seconds of the whole machine since it started."""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) / TICK for x in f.readline().split()[1:9]]
    return t[0] + t[1] + t[2] + t[5] + t[6], t[7]


def cpu_of(*pids):
    """Seconds that processes have run, in user mode and in the kernel, with the children below."""
    below, times = {}, {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = int(path.parent.name), path.read_text(errors="replace").rsplit(") ", 1)[1]
        except OSError:
            continue  # it has just ended
        f = rest.split()
        below.setdefault(int(f[1]), []).append(pid)
        times[pid] = sum(int(x) for x in f[11:15]) / TICK  # the last two: children waited for
    todo, total = list(pids), 0.0
    while todo:
        pid = todo.pop()
        total += times.get(pid, 0)
        todo += below.get(pid, [])
    return total


class Results:
    """put() keeps one value of a round; way and measure in the order of their first value."""

    def __init__(self):
        self.values = {}

    def put(self, way, measure, unit, value):
        self.values.setdefault((measure, unit), {}).setdefault(way, []).append(value)

    def get(self, way, measure, unit):
        """The values, a round each; [] if there are none."""
        return self.values.get((measure, unit), {}).get(way, [])

    def median(self, way, measure, unit):
        x = self.get(way, measure, unit)
        return statistics.median(x) if x else None

    def ratio(self, name, measure, unit, over, under):
        """One more way, `name`: that of two others, round by round, so that what the machine did
        meanwhile hits both."""
        a, b = self.get(over, measure, unit), self.get(under, measure, unit)
        for x, y in zip(a, b):
            if y:
                self.put(name, measure, f"x {unit}", x / y)
        return self.median(name, measure, f"x {unit}")

    def rows(self):
        for (measure, unit), by_way in self.values.items():
            for way, x in by_way.items():
                yield way, measure, unit, (statistics.median(x), min(x), max(x))

    def show(self, ways):
        """A table: a line a measure, a column a way; after it what only other ways have."""
        print(f"\n{'':56}" + "".join(f"{w:>24}" for w in ways))
        for (measure, unit), by_way in self.values.items():
            if not any(w in by_way for w in ways):
                continue
            line = f"{measure + ' ' + unit:56}"
            for w in ways:
                x = by_way.get(w)
                line += f"{spread(x) if x else '-':>24}"
            print(line)
        others = [(m, u, w, x) for (m, u), by_way in self.values.items() for w, x in by_way.items()
                  if w not in ways]
        for measure, unit, way, x in others:
            print(f"{way + ': ' + measure + ' ' + unit:56}{spread(x):>24}")

    def append(self, rounds):
        path = HERE / "results.tsv"
        commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], text=True,
                                stdout=subprocess.PIPE, check=False).stdout.strip()
        when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
        new = not path.exists()
        with open(path, "a", encoding="utf-8") as f:
            if new:
                f.write(HEAD)
            for way, measure, unit, numbers in self.rows():
                text = "\t".join(f"{x:.3f}" for x in numbers)
                f.write(f"{when}\t{commit}\t{machine()}\t{rounds}\t{way}\t{measure}\t{unit}\t{text}\n")
        print(f"\nappended to test/bench/{path.name}")


def number(x):
    return f"{x:.0f}" if abs(x) >= 1000 else f"{x:.4g}"


def spread(x):
    return f"{number(statistics.median(x))} ({number(min(x))}..{number(max(x))})"


def aims(*lines):
    """(what, value or None, "<=" or ">=", limit or None): said, not asserted."""
    print()
    for what, value, sign, limit in lines:
        if value is None:
            continue
        if limit is None:
            print(f"{what:66}{value:9.2f}")
            continue
        as_shown = round(value, 2)
        met = as_shown <= limit if sign == "<=" else as_shown >= limit
        print(f"{what:66}{value:9.2f}  aim {sign} {limit:g}: {'met' if met else 'NOT MET'}")
