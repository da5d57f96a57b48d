#!/usr/bin/python3
"""entg-occlum takes nothing from its host: no argument, no environment; without its file it does not run."""

import subprocess
import sys
import unittest


class Start(unittest.TestCase):
    program = None

    def start(self, *args, env=None):
        r = subprocess.run([self.program, *args], env=env or {}, capture_output=True, text=True, timeout=60)
        self.assertEqual((r.returncode, r.stdout), (2, ""), r)
        self.assertEqual(len(r.stderr.splitlines()), 1, r.stderr)
        return r.stderr

    def test_arguments_are_refused(self):
        for args in (["--policy", "/host/any.yaml"], ["--help"], ["x"], [""]):
            self.assertIn(f"argument '{args[0]}' is refused", self.start(*args, env={"OCCLUM": "yes"}))

    def test_environment_is_refused(self):
        for name in ("OPENSSL_CONF", "LD_LIBRARY_PATH", "EVENT_NOEPOLL", "OCCLUM_LOG_LEVEL", "X"):
            text = self.start(env={"OCCLUM": "yes", name: "1"})
            self.assertIn(f"environment variable '{name}' is refused", text)

    def test_without_its_file_it_does_not_start(self):
        self.assertIn("/etc/eng/entg.args: No such file", self.start(env={"OCCLUM": "yes"}))


if __name__ == "__main__":
    Start.program = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
