"""A TPM 2.0 for one test: swtpm in a directory of its own, and a proxy that can misbehave."""

import contextlib
import os
import pathlib
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

CC = {"create_primary": 0x131, "quote": 0x158, "flush": 0x165, "pcr_read": 0x17e,
      "pcr_extend": 0x182}
DEADLINE = 60  # seconds; of a machine that is busy with other things


class Swtpm:
    def __init__(self):
        # short: the path of a socket has at most 107 bytes
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tpm."))
        self.path = self.dir / "s"
        (self.dir / "state").mkdir()
        self.process = None

    @property
    def tcti(self):
        return f"swtpm:path={self.path}"

    def start(self):
        for p in (self.path, f"{self.path}.ctrl"):
            pathlib.Path(p).unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--server", f"type=unixio,path={self.path}",
             "--ctrl", f"type=unixio,path={self.path}.ctrl",
             "--flags", "not-need-init,startup-clear", "--tpmstate", f"dir={self.dir}/state"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE
        while True:
            assert self.process.poll() is None, "swtpm has ended"
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.path))
                return self
            assert time.monotonic() < end, "swtpm does not listen"
            time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir)

    def command(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(str(self.path))
            s.sendall(command)
            return read_message(s)

    def extend(self, pcr, alg=0x000b, size=32):
        reply = self.command(extend_command(pcr, alg, size))
        assert reply[6:10] == b"\0\0\0\0", reply.hex()

    def tools(self, *args):
        env = dict(os.environ, TPM2TOOLS_TCTI=self.tcti)
        subprocess.run(args, env=env, cwd=self.dir, check=True, stdout=subprocess.DEVNULL,
                       timeout=DEADLINE)


def extend_command(pcr, alg=0x000b, size=32):
    auth = bytes.fromhex("40000009 0000 00 0000")
    rest = (pcr.to_bytes(4, "big") + len(auth).to_bytes(4, "big") + auth +
            (1).to_bytes(4, "big") + alg.to_bytes(2, "big") + b"\x5a" * size)
    return b"\x80\x02" + (10 + len(rest)).to_bytes(4, "big") + CC["pcr_extend"].to_bytes(4, "big") + rest


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def read_message(s):
    header = read_exactly(s, 10)
    return header + read_exactly(s, int.from_bytes(header[2:6], "big") - 10)


def error(rc):
    return b"\x80\x01" + (10).to_bytes(4, "big") + rc.to_bytes(4, "big")


class Gone(Exception):
    """Raised by a hook: the TPM is no more."""


class Proxy:
    """Between a TCTI and swtpm. hook(command code, command, forward) returns the answer."""

    def __init__(self, tpm, hook):
        self.tpm, self.hook = tpm, hook
        self.path = tpm.dir / "p"
        self.seen = []  # command codes
        self.held = []  # connections
        self.closing = threading.Event()
        self.listeners = [self.listen(self.path, self.serve_data),
                          self.listen(f"{self.path}.ctrl", self.serve_ctrl)]

    @property
    def tcti(self):
        return f"swtpm:path={self.path}"

    def forward(self, command):
        """A TPM that has just started wants some commands twice (TPM_RC_RETRY)."""
        while True:
            reply = self.tpm.command(command)
            if reply != error(0x922):
                return reply

    def listen(self, path, serve):
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(path))
        s.listen()

        def accept():
            while True:
                try:
                    c, _ = s.accept()
                except OSError:
                    return
                self.held.append(c)
                threading.Thread(target=serve, args=(c,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return s

    def serve_data(self, client):
        with contextlib.suppress(OSError, ConnectionError):
            while True:
                command = read_message(client)
                code = int.from_bytes(command[6:10], "big")
                self.seen.append(code)
                try:
                    client.sendall(self.hook(code, command, self.forward))
                except Gone:
                    self.close()
                    return

    def serve_ctrl(self, client):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as up:
            up.connect(f"{self.tpm.path}.ctrl")
            while not self.closing.is_set():
                for s in select.select([client, up], [], [], 1)[0]:
                    data = s.recv(4096)
                    if not data:
                        client.close()
                        return
                    (up if s is client else client).sendall(data)

    def close(self):
        self.closing.set()
        for s in self.listeners + self.held:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
