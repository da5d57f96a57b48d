"""Stand-ins for hardware and what they are asked with; for the tests in this folder.

Meson gives ATTEST_BUILD, the folder with the programs. Mounts happen in a mount namespace of this
process alone, so nothing is left behind whatever happens."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

BUILD = pathlib.Path(os.environ.get("ATTEST_BUILD", "build/test/attest")).resolve()
ASKED = "5a" * 32 + "c3" * 32
OTHER = "5a" * 32 + "c4" * 32
DEADLINE_S = 60  # for what takes seconds at most


def private_mounts():
    """Puts this process into a mount namespace whose mounts nobody else sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns, ms_rec, ms_private = 0x20000, 0x4000, 0x40000
    if libc.unshare(clone_newns) or libc.mount(b"none", b"/", None, ms_rec | ms_private, None):
        raise OSError(ctypes.get_errno(), "a mount namespace (root is needed)")


def mount_tmpfs(path):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(path), b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), f"tmpfs on {path}")


def run(*cmd):
    """Ends by itself and never by a signal of its own."""
    r = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=DEADLINE_S,
                       check=False)
    assert 0 <= r.returncode < 128 and "Sanitizer" not in r.stderr, (cmd, r)
    return r


def one_line(text):
    lines = text.splitlines()
    assert len(lines) == 1 and len(lines[0]) > 10 and lines[0].isprintable(), text
    return lines[0]


def device(kind, *options):
    """The words in front of a program that is to see the device."""
    return [BUILD / f"{kind}_standin", *options, "--"]


@contextlib.contextmanager
def file_system(kind, path, *options):
    """A stand-in that is mounted on `path` meanwhile."""
    # libfuse does not free all of its own when a signal ends it.
    env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    with subprocess.Popen([BUILD / f"{kind}_standin", *options, "--", path], env=env) as p:
        try:
            end = time.monotonic() + DEADLINE_S
            while not os.path.ismount(path):
                assert p.poll() is None and time.monotonic() < end, f"{kind} is not mounted"
                time.sleep(0.01)
            yield
        finally:
            p.send_signal(signal.SIGTERM)
            assert p.wait(DEADLINE_S) == 0
    assert not os.path.ismount(path)


class Bench:
    """A folder with the maker's collateral, and what the attesters give."""

    def __init__(self, path):
        self.path = path
        self.log = path / "log"
        self.evidence, self.endorsements = path / "evidence", path / "endorsements"
        subprocess.run([BUILD / "standin_pki", path / "pki"], check=True)

    def get_raw(self, name, *options, before=(), fork=False):
        """(status, line of error); the files are those of this time."""
        for f in (self.evidence, self.endorsements, self.log):
            f.unlink(missing_ok=True)
        r = run(*before, BUILD / "attest_get", name, ",".join(map(str, options)) or "-", ASKED,
                self.evidence, self.endorsements, *(["fork"] if fork else []))
        assert r.stdout == "", r
        return r.returncode, r.stderr.strip()

    def get(self, *args, **kwargs):
        status, line = self.get_raw(*args, **kwargs)
        assert self.evidence.exists() == (status == 0), (status, line)
        return status, one_line(line) if status else line

    def must_get(self, *args, **kwargs):
        assert self.get(*args, **kwargs) == (0, "")

    def must_fail(self, why, *args, **kwargs):
        status, line = self.get(*args, **kwargs)
        assert status == 1 and why in line, line

    def collateral(self, maker="all", endorsed=True):
        words = ["--collateral", self.path / "pki" / maker]
        if endorsed and self.endorsements.exists():
            words += ["--collateral", self.endorsements]
        return words

    def policy(self):
        """A policy that accepts exactly this evidence."""
        r = run(BUILD / "rats-inspect-testroots", "policy", self.evidence, *self.collateral())
        assert r.returncode == 0 and r.stderr == "", r
        file = self.path / "policy.yaml"
        file.write_text(r.stdout)
        return file

    def verify(self, policy, report_data=ASKED, tool=BUILD / "rats-inspect-testroots", **kwargs):
        return run(tool, "verify", self.evidence, "--policy", policy, *self.collateral(**kwargs),
                   "--report-data", report_data).stdout

    def must_be_trusted(self):
        """Under a policy that pins it, and for no other report data."""
        policy = self.policy()
        assert self.verify(policy).startswith("TRUSTED ")
        assert self.verify(policy, OTHER).startswith("REJECTED BINDING: expected report data")
        return policy

    def logged(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


def probe(*before):
    """{name: (works, why)}"""
    r = run(*before, BUILD / "attest_get", "probe")
    assert r.returncode == 0, r
    lines = [line.split("\t") for line in r.stdout.splitlines()]
    assert all(len(w) == 3 and w[2].isprintable() for w in lines), lines
    return {name: (works == "yes", why) for name, works, why in lines}


def main(file):
    if os.geteuid() != 0:
        print("SKIPPED: stand-ins for devices need root")
        sys.exit(77)
    private_mounts()
    sys.exit(pytest.main([file, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
