#!/usr/bin/python3
"""The jail bites: a probe per rule, killed in one mode, answered as Occlum would in the other.

Each probe also runs outside, where it must not end as in the jail: else it would prove nothing. What
is allowed is tried too.
"""

import signal
import subprocess
import sys
import unittest

ALLOWED, THREADS, MEMORY = 0, -1, -2
ENOMEM = 12
LIMITS = ["--threads", "6", "--memory", str(512 << 20)]


class Probes(unittest.TestCase):
    jail = table = probe = None

    def run_probe(self, name, *mode):
        """(status, errno that it printed or None, what the jail said)."""
        cmd = [self.jail, "--table", self.table, *LIMITS, *mode, "--"] if mode else []
        r = subprocess.run([*cmd, self.probe, name], capture_output=True, text=True, timeout=60,
                           stdin=subprocess.DEVNULL)
        words = r.stdout.split()
        return r.returncode, int(words[1]) if words[:1] == [name] else None, r.stderr

    def test_every_probe(self):
        lines = subprocess.run([self.probe, "list"], capture_output=True, text=True, check=True).stdout
        probes = [(n, int(a)) for n, a in (line.split() for line in lines.splitlines())]
        self.assertGreater(len(probes), 50)
        for name, answer in probes:
            with self.subTest(name):
                self.check(name, answer)

    def check(self, name, answer):
        killed, answered = self.run_probe(name, "--mode", "kill"), self.run_probe(name, "--mode", "errno")
        if answer == ALLOWED:
            self.assertEqual((killed[:2], answered[:2]), ((0, 0), (0, 0)), killed[2] + answered[2])
        elif answer == THREADS:
            self.assertEqual((killed[0], answered[0]), (-signal.SIGKILL, -signal.SIGKILL))
            self.assertIn("Out of TCS", killed[2])
            self.assertEqual(self.run_probe(name)[:2], (0, 0))
        elif answer == MEMORY:
            self.assertEqual((killed[:2], answered[:2]), ((0, ENOMEM), (0, ENOMEM)))
            self.assertEqual(self.run_probe(name)[:2], (0, 0))
        else:
            self.assertEqual(killed[:2], (-signal.SIGSYS, None), killed[2])
            self.assertIn("not in Occlum", killed[2])
            self.assertEqual(answered[:2], (0, answer), answered[2])
            status, got, _ = self.run_probe(name)
            self.assertNotEqual(status, -signal.SIGSYS)
            self.assertIsNotNone(got)


if __name__ == "__main__":
    Probes.jail, Probes.table, Probes.probe = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1])
