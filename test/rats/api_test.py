#!/usr/bin/env python3
"""The symbols that librats_tls.so exports, the functions of its header and those of its manual
pages are the same set; and the example builds against the installed header alone and works.

usage: api_test.py SOURCE_ROOT LIBRARY EXAMPLE
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

source, library, example = sys.argv[1:]
failed = False


def read(path):
    with open(os.path.join(source, path), encoding="utf-8") as f:
        return f.read()


def compare(what, found, where, wanted):
    global failed
    for name in sorted(found - wanted):
        print(f"{name}: in {what}, not in {where}")
        failed = True
    for name in sorted(wanted - found):
        print(f"{name}: in {where}, not in {what}")
        failed = True


nm = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
exports = {line.split()[-1].split("@")[0] for line in nm.stdout.splitlines()}
exports = {e for e in exports if not e.startswith("RATS_TLS_")}
code = re.sub(r"/\*.*?\*/", "", read("include/rats_tls.h"), flags=re.S)
header = set(re.findall(r"\b(rtls_\w+)\(", code))
script = set(re.findall(r"\b(rtls_\w+);", read("src/rats/rats_tls.sym")))
manual, synopsis = set(), set()
for page in glob.glob(os.path.join(source, "man/rats_*.3")):
    text = read(page)
    manual |= set(re.findall(r"^\.Nm (rtls_\w+)", text, flags=re.M))
    synopsis |= set(re.findall(r"^\.Fn (rtls_\w+) \"", text, flags=re.M))
compare("the exports", exports, "the header", header)
compare("rats_tls.sym", script, "the header", header)
compare("the names of the manual", manual, "the header", header)
compare("the synopses of the manual", synopsis, "the header", header)

# The library's own name for "null" policies makes the example decide without any hardware.
with tempfile.TemporaryDirectory() as d:
    policy, evidence = os.path.join(d, "p.yaml"), os.path.join(d, "e")
    for text, code, word in (("insecure: null\n", 0, "TRUSTED"), ("insecure: nul\n", 2, "1:11"),
                             ("one_of: [{tee: sgx, mrenclave: any, mrsigner: any}]\n", 1, "FORMAT")):
        for path, content in ((policy, text), (evidence, "not evidence")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
        r = subprocess.run([example, policy, d, evidence], capture_output=True, text=True)
        if r.returncode != code or word not in r.stdout + r.stderr:
            print(f"example under {text!r}: {r.returncode}, {r.stdout}{r.stderr}")
            failed = True

print(f"{len(header)} functions")
sys.exit(failed or not header)
