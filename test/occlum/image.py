#!/usr/bin/python3
"""Makes what the tests run in place of an enclave:

    image.py BUILD JAIL TESTROOTS OUT OUT_TESTROOTS
                                the image of occlum/bom.yaml in BUILD/occlum-image, and beside the program
                                there TESTROOTS, the same one that believes the stand-ins for hardware;
                                OUT and OUT_TESTROOTS, scripts that run them in the jail

The scripts take entg's options; files that those name come from the directory ENG_ETC and are
/etc/eng/FILE inside. ENG_JAIL=errno answers instead of killing, ENG_JAIL_COUNT=FILE counts system calls.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import sys

import bom

# Of max_num_of_threads the program does not have all: Occlum's PAL enters the enclave by a thread of its
# own for signals between threads (src/pal/src/pal_interrupt_thread.c), and one to start the process.
OCCLUM_THREADS = 2

SCRIPT = """#!/bin/sh
# {program} in the jail; made by test/occlum/image.py.
exec {jail} --table {table} --mode "${{ENG_JAIL:-kill}}" --threads {threads} --memory {memory} \\
\t--image {image} ${{ENG_ETC:+--etc "$ENG_ETC"}} ${{ENG_JAIL_COUNT:+--count "$ENG_JAIL_COUNT"}} \\
\t-- /bin/{program} "$@"
"""


def size(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]B)", text).groups()
    return int(number) << {"KB": 10, "MB": 20, "GB": 30}[unit]


def make_image(build):
    root = build / "occlum-image"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "dev", "etc", "host", "lib", "opt", "proc", "root", "sys", "tmp"):  # base.yaml
        (root / name).mkdir(parents=True)
    for target in bom.directories():
        (root / target.relative_to("/")).mkdir(parents=True, exist_ok=True)
    for target, source in bom.files(build):
        to = root / target.relative_to("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, to)
    # Occlum's loader looks in /opt/occlum/glibc/lib by itself; Debian's in its own place.
    os.symlink(bom.OCCLUM_LIBC, root / "lib64")
    os.symlink(bom.OCCLUM_LIBC, root / "lib" / "x86_64-linux-gnu")
    return root


def main():
    build, jail, testroots, *outs = (pathlib.Path(p).resolve() for p in sys.argv[1:])
    settings = json.loads((bom.ROOT / "occlum" / "settings.json").read_text(encoding="utf-8"))
    limits = settings["resource_limits"]
    image = make_image(build)
    shutil.copy(testroots, image / "bin")
    for program, out in zip(("entg-occlum", testroots.name), outs, strict=True):
        text = SCRIPT.format(jail=shlex.quote(str(jail)), image=shlex.quote(str(image)), program=program,
                             table=shlex.quote(str(pathlib.Path(__file__).resolve().parent / "syscalls.tsv")),
                             threads=limits["max_num_of_threads"] - OCCLUM_THREADS,
                             memory=size(limits["user_space_size"]))
        out.write_text(text, encoding="utf-8")
        out.chmod(0o755)


if __name__ == "__main__":
    main()
