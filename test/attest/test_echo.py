#!/usr/bin/python3
"""examples/rats-echo: certificates that carry evidence, between our own programs and with OpenSSL's,
whose settings are those of the original rats-tls: TLS 1.3 without ALPN, the certificate self-signed."""

import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading

import pytest
import swtpm

ECHO, INSPECT = os.environ.get("RATS_ECHO", ""), os.environ.get("RATS_INSPECT", "")
HELLO = "Hello and welcome to RATS-TLS!\n"
DEADLINE = 60


def run(*cmd):
    return subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=DEADLINE,
                          check=False)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, *options):
        self.port = free_port()
        self.p = subprocess.Popen([ECHO, "server", str(self.port), *map(str, options)],
                                  stderr=subprocess.PIPE, text=True)
        line = self.p.stderr.readline()
        assert "listening" in line, line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        self.p.stderr.close()


@pytest.fixture(scope="module")
def tpm():
    t = swtpm.Swtpm().start()
    yield t
    t.remove()


@pytest.fixture(scope="module")
def policy(tpm, tmp_path_factory):
    r = run(INSPECT, "tpm", "enroll", "--tcti", tpm.tcti)
    assert r.returncode == 0, r.stderr
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(r.stdout)
    return path


def client(port, *options):
    return run(ECHO, "client", "127.0.0.1", port, *options)


def test_client_trusts_the_evidence_in_the_certificate(tpm, policy):
    with Server("--attester", f"tpm:tcti={tpm.tcti}", "--unattested") as s:
        r = client(s.port, "--policy", policy)
        assert (r.returncode, r.stdout) == (0, "echo: " + HELLO), r.stderr
        assert "trusted: tpm" in r.stderr


def test_server_trusts_the_client(tpm, policy):
    with Server("--policy", policy) as s:
        assert client(s.port, "--attester", f"tpm:tcti={tpm.tcti}", "--unattested").returncode == 0
        r = client(s.port, "--unattested")
        assert (r.returncode, r.stdout) == (1, ""), r
        assert "trusted: tpm" in s.p.stderr.readline()
        assert "refused: FORMAT" in s.p.stderr.readline()


def test_other_measurement_is_refused(tpm, policy, tmp_path):
    other = tmp_path / "other.yaml"
    text, n = re.subn(r"( +0: )[0-9a-f]{64}", r"\g<1>" + "11" * 32, policy.read_text(), count=1)
    assert n == 1
    other.write_text(text)
    with Server("--attester", f"tpm:tcti={tpm.tcti}", "--unattested") as s:
        r = client(s.port, "--policy", other)
    assert (r.returncode, r.stdout) == (1, "")
    assert "refused: MEASUREMENT" in r.stderr


def test_without_policy_it_does_not_start():
    assert client(1).returncode == 2
    assert client(1, "--unattested", "--policy", "x").returncode == 2


@pytest.fixture(scope="module", params=["rsa:3072", "ec"])
def certificate(request, tmp_path_factory):
    base = tmp_path_factory.mktemp("cert")
    kind = ["-newkey", request.param]
    if request.param == "ec":
        kind += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    r = run("openssl", "req", "-x509", *kind, "-nodes", "-days", "2", "-subj",
            "/O=Inclavare Containers/CN=RATS-TLS", "-keyout", base / "key.pem", "-out", base / "cert.pem")
    assert r.returncode == 0, r.stderr
    return base


def context(protocol, base):
    c = ssl.SSLContext(protocol)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.load_cert_chain(base / "cert.pem", base / "key.pem")
    return c


def test_stock_client(certificate):
    with Server("--unattested") as s, socket.create_connection(("127.0.0.1", s.port)) as plain, \
            context(ssl.PROTOCOL_TLS_CLIENT, certificate).wrap_socket(plain) as c:
        assert c.version() == "TLSv1.3"
        c.sendall(HELLO.encode() * 5000)
        got = b""
        while len(got) < len(HELLO) * 5000:
            got += c.recv(65536)
        assert got == HELLO.encode() * 5000


def test_stock_server(certificate):
    """It sends session tickets, as OpenSSL does unless it is told not to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        got = []

        def serve():
            plain, _ = listener.accept()
            with context(ssl.PROTOCOL_TLS_SERVER, certificate).wrap_socket(plain, server_side=True) as c:
                got.append(c.recv(4096))
                c.sendall(got[0])

        t = threading.Thread(target=serve)
        t.start()
        r = client(listener.getsockname()[1], "--unattested")
        t.join(DEADLINE)
    assert (r.returncode, r.stdout) == (0, "echo: " + HELLO), r.stderr
    assert got == [HELLO.encode()]


def test_stock_server_without_evidence_is_refused(certificate, policy):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            plain, _ = listener.accept()
            try:
                with context(ssl.PROTOCOL_TLS_SERVER, certificate).wrap_socket(plain, server_side=True) as c:
                    assert c.recv(4096) == b""
            except ssl.SSLError:
                pass

        t = threading.Thread(target=serve)
        t.start()
        r = client(listener.getsockname()[1], "--policy", policy)
        t.join(DEADLINE)
    assert (r.returncode, r.stdout) == (1, ""), r
    assert "refused: FORMAT" in r.stderr, r.stderr


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
