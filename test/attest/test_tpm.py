#!/usr/bin/python3
"""The TPM attester against swtpm: what it says is what the policy that enroll writes accepts, as
long as it is that TPM in that state; and a TPM that is not there, dies, hangs, is busy or is old.

Run by Meson, which gives RATS_INSPECT and ATTEST_DRIVER, or by hand with both in the environment.
"""

import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest

import swtpm

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = os.environ.get("RATS_INSPECT", str(ROOT / "build/src/tool/rats-inspect"))
DRIVER = os.environ.get("ATTEST_DRIVER", str(ROOT / "build/src/rats/attest_driver"))
RANDOM = bytes((7 * i + 1) % 256 for i in range(64)).hex()  # 64 bytes, none of them zero for long
KINDS = ["", "ak=rsa", "pcrs=sha384:0-7", "pcrs=0+23", "ak=ecc,pcrs=sha256:0-23"]


def tool(*args, binary=False):
    r = subprocess.run([TOOL, *map(str, args)], capture_output=True, timeout=swtpm.DEADLINE,
                       check=False)
    assert r.returncode in (0, 1, 2), (args, r)
    return r.returncode, r.stdout if binary else r.stdout.decode(), r.stderr.decode()


def complaint(*args):
    """One line on stderr, nothing on stdout, status 2."""
    status, out, err = tool(*args)
    assert status == 2 and out == "", (status, out, err)
    assert len(err.splitlines()) == 1 and err.startswith("rats-inspect: ") and err[:-1].isprintable()
    return err[14:-1]


def options(text):
    return ["--options", text] if text else []


@pytest.fixture
def tpm():
    t = swtpm.Swtpm()
    try:
        yield t.start()
    finally:
        t.remove()


@pytest.fixture
def other():
    t = swtpm.Swtpm()
    try:
        yield t.start()
    finally:
        t.remove()


@pytest.fixture
def proxied(tpm):
    proxies = []

    def make(hook):
        proxies.append(swtpm.Proxy(tpm, hook))
        return proxies[-1]
    yield make
    for p in proxies:
        p.close()


def enroll(tmp_path, tcti, *more):
    status, text, err = tool("tpm", "enroll", "--tcti", tcti, *more)
    assert status == 0 and err == "", err
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    return policy


def quote(tmp_path, tcti, *more, report_data=RANDOM):
    status, evidence, err = tool("tpm", "quote", "--tcti", tcti, "--report-data", report_data, *more,
                                 binary=True)
    assert status == 0 and err == "", err
    file = tmp_path / "evidence"
    file.write_bytes(evidence)
    return file


def verify(policy, evidence, report_data=RANDOM):
    """The verdict's first words: "TRUSTED tpm", "REJECTED SIGNER"."""
    status, out, err = tool("verify", evidence, "--policy", policy, "--report-data", report_data)
    assert err == "" and (status == 0) == out.startswith("TRUSTED"), (status, out, err)
    return " ".join(re.split(r"[ :,]+", out)[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_enrolled(tmp_path, tpm, kind):
    policy = enroll(tmp_path, tpm.tcti, *options(kind), "--name", "a machine")
    text = policy.read_text()
    assert text.count("\n") > 5 and 'name: "a machine"' in text and "any" not in text
    assert verify(policy, quote(tmp_path, tpm.tcti, *options(kind))) == "TRUSTED tpm"
    tpm.stop()
    tpm.start()  # a machine that boots: the same key, without anything having been stored
    assert verify(policy, quote(tmp_path, tpm.tcti, *options(kind))) == "TRUSTED tpm"


@pytest.mark.parametrize("kind,index", [("", 7), ("", 14), ("pcrs=sha384:0-7", 0)])
def test_other_state(tmp_path, tpm, kind, index):
    policy = enroll(tmp_path, tpm.tcti, *options(kind))
    tpm.extend(index, *((0x000c, 48) if "384" in kind else ()))
    assert verify(policy, quote(tmp_path, tpm.tcti, *options(kind))) == "REJECTED MEASUREMENT"
    policy = enroll(tmp_path, tpm.tcti, *options(kind))
    assert verify(policy, quote(tmp_path, tpm.tcti, *options(kind))) == "TRUSTED tpm"


def test_pcr_outside_the_selection(tmp_path, tpm):
    policy = enroll(tmp_path, tpm.tcti)
    tpm.extend(11)
    assert verify(policy, quote(tmp_path, tpm.tcti)) == "TRUSTED tpm"


def test_other_tpm(tmp_path, tpm, other):
    policy = enroll(tmp_path, tpm.tcti)
    assert verify(policy, quote(tmp_path, other.tcti)) == "REJECTED SIGNER"


def test_other_key_of_the_same_tpm(tmp_path, tpm):
    policy = enroll(tmp_path, tpm.tcti)
    assert verify(policy, quote(tmp_path, tpm.tcti, "--options", "ak=rsa")) == "REJECTED SIGNER"


@pytest.mark.parametrize("said,expected,verdict", [
    (RANDOM, RANDOM, "TRUSTED tpm"),
    (RANDOM, RANDOM[:-2] + "00", "REJECTED BINDING"),
    (RANDOM[:64], RANDOM[:64], "TRUSTED tpm"),
    (RANDOM[:64], RANDOM[:64] + "00" * 32, "TRUSTED tpm"),
    (RANDOM[:64], RANDOM, "REJECTED BINDING"),
    ("00", "00", "TRUSTED tpm"),
    ("00", "01", "REJECTED BINDING"),
    ("01" + "00" * 62 + "01", "01", "REJECTED BINDING"),
])
def test_report_data(tmp_path, tpm, said, expected, verdict):
    policy = enroll(tmp_path, tpm.tcti)
    assert verify(policy, quote(tmp_path, tpm.tcti, report_data=said), expected) == verdict


def nonce_of(command):
    """The nonce in a quote command, behind one handle and one password session."""
    at = 14 + 4 + int.from_bytes(command[14:18], "big")
    return command[at + 2:at + 2 + int.from_bytes(command[at:at + 2], "big")]


@pytest.mark.parametrize("limit", [34, 50])
def test_tpm_with_short_nonces(tmp_path, tpm, proxied, limit):
    """As TPMs without SHA-512 are."""
    nonces = []

    def hook(code, command, forward):
        if code == swtpm.CC["quote"]:
            nonces.append(len(nonce_of(command)))
            if nonces[-1] > limit:
                return swtpm.error(0x1d5)  # TPM_RC_SIZE, parameter 1
        return forward(command)
    p = proxied(hook)
    policy = enroll(tmp_path, p.tcti)
    evidence = quote(tmp_path, p.tcti)
    assert verify(policy, evidence) == "TRUSTED tpm"
    assert verify(policy, evidence, RANDOM[:-2] + "00") == "REJECTED BINDING"
    assert nonces == [32, 64, 32]
    # what is short enough goes as it is
    assert verify(policy, quote(tmp_path, p.tcti, report_data=RANDOM[:64]), RANDOM[:64]) == "TRUSTED tpm"
    # and such a digest speaks for what it was made of alone
    digest = re.search(r"extra_data: (\w+)$", tool("show", evidence)[1], re.M).group(1)
    assert len(digest) == 64
    assert verify(policy, quote(tmp_path, tpm.tcti), digest) == "REJECTED BINDING"


def test_tpm_that_takes_no_nonce(tpm, proxied):
    def hook(code, command, forward):
        return swtpm.error(0x1d5) if code == swtpm.CC["quote"] else forward(command)
    assert "no nonce of 32 bytes" in complaint("tpm", "quote", "--tcti", proxied(hook).tcti,
                                               "--report-data", RANDOM)


def test_pcrs_that_change(tmp_path, tpm, proxied):
    """Between reading and quoting, as often as it may."""
    left = [4]

    def hook(code, command, forward):
        if code == swtpm.CC["quote"] and left[0] > 0:
            left[0] -= 1
            tpm.extend(7)
        return forward(command)
    p = proxied(hook)
    evidence = quote(tmp_path, p.tcti)
    assert left == [0] and p.seen.count(swtpm.CC["quote"]) == 5
    assert verify(enroll(tmp_path, p.tcti), evidence) == "TRUSTED tpm"
    left[0] = 5
    assert "disagree" in complaint("tpm", "quote", "--tcti", p.tcti, "--report-data", RANDOM)
    assert left == [0]


def test_pcrs_that_change_while_they_are_read(tmp_path, tpm, proxied):
    """It takes two commands to read the eleven of the default."""
    reads = []

    def hook(code, command, forward):
        reply = forward(command)
        if code == swtpm.CC["pcr_read"]:
            reads.append(code)
            if len(reads) == 1:
                tpm.extend(0)
        return reply
    p = proxied(hook)
    evidence = quote(tmp_path, p.tcti)
    assert len(reads) == 4 and p.seen.count(swtpm.CC["quote"]) == 1
    assert verify(enroll(tmp_path, tpm.tcti), evidence) == "TRUSTED tpm"


def test_pcrs_that_never_rest(tpm, proxied):
    def hook(code, command, forward):
        reply = forward(command)
        if code == swtpm.CC["pcr_read"]:
            tpm.extend(0)
        return reply
    assert "faster" in complaint("tpm", "quote", "--tcti", proxied(hook).tcti, "--report-data",
                                 RANDOM)


@pytest.mark.parametrize("pcrs", ["24", "0-24", "7-3", "", "0+", "+0", "0,,1", "sha1:0", "sha256:",
                                  "sha3:0", "99999999999999999999", "0x1"])
def test_bad_pcrs(tpm, pcrs):
    assert "give them as" in complaint("tpm", "enroll", "--tcti", tpm.tcti, "--options",
                                       f"pcrs={pcrs}")


@pytest.mark.parametrize("given,why", [
    ("colour=red", "attester tpm has no option 'colour'"),
    ("ak", "option 'ak' is not KEY=VALUE"),
    ("ak=dsa", "ak='dsa': ecc or rsa"),
    ("ak=rsa,ak=ecc", "option 'ak' is given twice"),
    ("ak=rsa,handle=0x81000001", "ak and handle exclude each other"),
    ("handle=0x80000001", "handle='0x80000001': give it as 0x81000000 to 0x81ffffff"),
    ("handle=0x82000000", "handle='0x82000000': give it as 0x81000000 to 0x81ffffff"),
    ("handle=81000001", "handle='81000001': give it as 0x81000000 to 0x81ffffff"),
    ("handle=0x8100000g", "handle='0x8100000g': give it as 0x81000000 to 0x81ffffff"),
    ("tcti=x", "option 'tcti' is given twice"),
])
def test_bad_options(tpm, given, why):
    assert complaint("tpm", "enroll", "--tcti", tpm.tcti, "--options", given) == why


@pytest.mark.parametrize("value", ["x" * 512, "x" * 2000])
def test_long_tcti(value):
    assert "tcti" in complaint("tpm", "enroll", "--tcti", value)


def test_tcti_with_commas(tpm):
    """It reaches tpm2-tss as it was given, which reads it as words of its own."""
    assert "unknown,option" in complaint("tpm", "enroll", "--tcti", f"{tpm.tcti},unknown,option=1")


def test_absent(tmp_path):
    assert complaint("tpm", "enroll", "--tcti", f"swtpm:path={tmp_path}/s").startswith(
        f"no TPM at swtpm:path={tmp_path}/s: ")
    assert complaint("tpm", "enroll", "--tcti", f"device:{tmp_path}/s").startswith(
        f"no TPM at device:{tmp_path}/s: ")
    assert complaint("tpm", "enroll", "--tcti", f"device:{os.devnull}").startswith("no TPM at ")


@pytest.mark.parametrize("name", ["create_primary", "pcr_read", "quote", "flush"])
@pytest.mark.parametrize("answer", ["gone", "error", "garbage"])
def test_failing(tpm, proxied, name, answer):
    """Whatever breaks when: one line and an error, or evidence that is whole."""
    def hook(code, command, forward):
        if code != swtpm.CC[name]:
            return forward(command)
        if answer == "gone":
            raise swtpm.Gone
        return swtpm.error(0x101) if answer == "error" else swtpm.error(0)[:9] + b"\0" + b"\xff"
    p = proxied(hook)
    status, out, err = tool("tpm", "quote", "--tcti", p.tcti, "--report-data", RANDOM, binary=True)
    assert swtpm.CC[name] in p.seen
    if name == "flush":  # the evidence is made by then
        assert status == 0 and out and err == ""
    else:
        assert status == 2 and out == b"" and len(err.splitlines()) == 1


RELAY = """
import os, sys
sys.path.insert(0, {module!r})
import swtpm
while True:
    header = os.read(0, 10)
    if not header:
        break
    command = header + os.read(0, int.from_bytes(header[2:6], "big") - 10)
    with swtpm.socket.socket(swtpm.socket.AF_UNIX) as s:
        s.connect({path!r})
        s.sendall(command)
        reply = swtpm.read_message(s)
    last = header[6:10] == {last!r}
    if last:
        os.close(0)
        os.closerange(3, 256)  # it was inherited more than once
    os.write(1, reply)
    if last:
        break
"""


@pytest.mark.parametrize("name", ["create_primary", "pcr_read"])
def test_pipe_that_breaks(tmp_path, tpm, name):
    """Nobody reads any more when the next command is written: an error, and no SIGPIPE."""
    script = tmp_path / "relay.py"
    script.write_text(RELAY.format(module=os.path.dirname(swtpm.__file__), path=str(tpm.path),
                                   last=swtpm.CC[name].to_bytes(4, "big")))
    tcti = f"cmd:exec {sys.executable} {script}"
    assert complaint("tpm", "quote", "--tcti", tcti, "--report-data", RANDOM).endswith("IO failure")
    script.write_text(script.read_text().replace("if last:", "if False:"))
    assert verify(enroll(tmp_path, tpm.tcti), quote(tmp_path, tcti)) == "TRUSTED tpm"


def test_hanging(tpm, proxied):
    """It waits as long as the TPM does, and can be ended from outside."""
    reached, go = threading.Event(), threading.Event()

    def hook(code, command, forward):
        if code == swtpm.CC["quote"]:
            reached.set()
            go.wait(swtpm.DEADLINE)
        return forward(command)
    with subprocess.Popen([TOOL, "tpm", "quote", "--tcti", proxied(hook).tcti, "--report-data", RANDOM],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        try:
            assert reached.wait(swtpm.DEADLINE)
            assert p.poll() is None
            p.send_signal(signal.SIGTERM)
            out, err = p.communicate(timeout=swtpm.DEADLINE)
        finally:
            go.set()
            p.kill()
    assert p.returncode == -signal.SIGTERM and out == b"" and err == b""


class Driver:
    def __init__(self, *args):
        self.process = subprocess.Popen([DRIVER, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.first = self.process.stdout.readline().strip()

    def ask(self, report_data=RANDOM):
        self.process.stdin.write(report_data + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.status = self.process.wait(swtpm.DEADLINE)
        finally:
            self.process.kill()
            self.process.stdout.close()


def test_kept_open(tmp_path, tpm):
    """Many quotes of one attester; and a TPM that goes away is found again."""
    policy = enroll(tmp_path, tpm.tcti)
    evidence = tmp_path / "evidence"
    with Driver("tpm", f"tcti={tpm.tcti}") as d:
        assert d.first == "open"

        def check():
            evidence.write_bytes(bytes.fromhex(d.ask()))
            assert verify(policy, evidence) == "TRUSTED tpm"
        for _ in range(5):
            check()
        tpm.stop()
        assert d.ask().startswith("error: ")
        assert d.ask().startswith("error: no TPM at ")
        tpm.start()
        check()
        check()
    assert d.status == 0


def test_no_key_is_left_behind(tmp_path, tpm):
    """A TPM has three places for keys: sooner or later one that is not given back is missed."""
    for _ in range(5):
        quote(tmp_path, tpm.tcti)


def make_ak(tpm, *more):
    tpm.tools("tpm2_createek", "-c", "ek.ctx", "-G", "ecc", "-u", "ek.pub")
    tpm.tools("tpm2_createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s",
              "ecdsa", "-u", "ak.pem", "-f", "pem", "-n", "ak.name")
    tpm.tools("tpm2_flushcontext", "-t")


def test_persistent_handle(tmp_path, tpm):
    make_ak(tpm)
    tpm.tools("tpm2_evictcontrol", "-C", "o", "-c", "ak.ctx", "0x81010005")
    tpm.tools("tpm2_flushcontext", "-t")
    handle = options("handle=0x81010005")
    policy = enroll(tmp_path, tpm.tcti, *handle)
    assert verify(policy, quote(tmp_path, tpm.tcti, *handle)) == "TRUSTED tpm"
    assert verify(policy, quote(tmp_path, tpm.tcti)) == "REJECTED SIGNER"
    assert complaint("tpm", "enroll", "--tcti", tpm.tcti, "--options",
                     "handle=0x81010006").startswith("attestation key at 0x81010006: ")


def test_key_that_signs_anything(tpm):
    """It could sign a quote that nobody's TPM has made."""
    tpm.tools("tpm2_createprimary", "-C", "o", "-G", "ecc:ecdsa-sha256", "-c", "p.ctx", "-a",
              "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign")
    tpm.tools("tpm2_evictcontrol", "-C", "o", "-c", "p.ctx", "0x81010007")
    tpm.tools("tpm2_flushcontext", "-t")
    assert "no attestation key" in complaint("tpm", "enroll", "--tcti", tpm.tcti, "--options",
                                             "handle=0x81010007")


def openssl(*args, cwd):
    return subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True).stdout


def test_certified_key(tmp_path, tpm):
    """The policy pins the CA; a key of another TPM cannot use the certificate."""
    make_ak(tpm)
    tpm.tools("tpm2_evictcontrol", "-C", "o", "-c", "ak.ctx", "0x81010005")
    tpm.tools("tpm2_flushcontext", "-t")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            "ca.key", "-out", "ca.pem", "-subj", "/CN=CA", "-days", "30", cwd=tpm.dir)
    (tpm.dir / "ext").write_text("extendedKeyUsage=2.23.133.8.3\nbasicConstraints=critical,CA:FALSE\n")
    openssl("x509", "-new", "-force_pubkey", "ak.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj",
            "/CN=AK", "-days", "30", "-extfile", "ext", "-out", "leaf.pem", cwd=tpm.dir)
    chain = tmp_path / "chain.pem"
    chain.write_bytes((tpm.dir / "leaf.pem").read_bytes() + (tpm.dir / "ca.pem").read_bytes())
    spki = openssl("pkey", "-in", "ca.key", "-pubout", "-outform", "DER", cwd=tpm.dir)
    policy = tmp_path / "policy.yaml"
    policy.write_text("one_of:\n  - {tee: tpm, pcrs: any, ca_sha256: " +
                      hashlib.sha256(spki).hexdigest() + "}\ncollateral: {crl: if-present}\n")
    given = f"handle=0x81010005,ak_chain={chain}"
    assert verify(policy, quote(tmp_path, tpm.tcti, "--options", given)) == "TRUSTED tpm"
    assert verify(policy, quote(tmp_path, tpm.tcti, "--options", given[:17])) == "REJECTED SIGNER"
    assert verify(policy, quote(tmp_path, tpm.tcti, "--options", f"ak_chain={chain}")) == \
        "REJECTED BINDING"
    chain.unlink()
    assert complaint("tpm", "quote", "--tcti", tpm.tcti, "--report-data", RANDOM, "--options",
                     given) == f"{chain}: No such file or directory"


def test_assemble(tmp_path, tpm):
    make_ak(tpm)
    tpm.tools("tpm2_quote", "-c", "ak.ctx", "-l", "sha256:0,7", "-q", RANDOM, "-m", "quote", "-s",
              "signature", "-o", "pcrs", "-F", "values", "-g", "sha256")
    pieces = [tpm.dir / name for name in ("quote", "signature", "pcrs", "ak.pem")]
    status, evidence, err = tool("tpm", "assemble", *pieces, binary=True)
    assert status == 0 and err == "", err
    file = tmp_path / "assembled"
    file.write_bytes(evidence)
    policy = tmp_path / "policy.yaml"
    status, text, err = tool("policy", file)
    assert status == 0, err
    policy.write_text(text)
    assert verify(policy, file) == "TRUSTED tpm"
    (tpm.dir / "pcrs").write_bytes(b"\1" * 64)
    status, out, err = tool("tpm", "assemble", *pieces)
    assert status == 1 and out == "" and "BINDING" in err
    (tpm.dir / "pcrs").write_bytes(b"")
    assert "from 1 to" in complaint("tpm", "assemble", *pieces)
    assert "takes 4 files" in tool("tpm", "assemble", *pieces[:3])[2]


def test_command_line():
    assert "--report-data" in tool("tpm", "quote")[2]
    assert "two hex digits" in tool("tpm", "quote", "--report-data", "123")[2]
    assert "without quotes" in tool("tpm", "enroll", "--name", 'a"b')[2]
    assert "does not take --tcti" in tool("attesters", "--tcti", "x")[2]
    assert "does not take --name" in tool("tpm", "quote", "--name", "x", "--report-data", "00")[2]
    assert "is no command" in tool("tpm", "clear")[2]


def test_attesters():
    status, out, err = tool("attesters")
    assert status == 0 and err == ""
    rows = dict(re.findall(r"^(\w+) +(yes|no) +\S.*$", out, re.M))
    assert rows["null"] == "yes" and rows["tpm"] in ("yes", "no")
    assert len(rows) == len(out.splitlines()) - 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
