#!/usr/bin/python3
"""check_elf.py refuses each thing that it is there to refuse: programs made wrong on purpose."""

import pathlib
import subprocess
import tempfile
import unittest

import check_elf

SOURCE = "#include <unistd.h>\n{head}\nint main(void)\n{{\n\t{body}\n\treturn 0;\n}}\n"


class CheckElf(unittest.TestCase):
    def verdict(self, *flags, head="", body="", program=True):
        with tempfile.TemporaryDirectory() as tmp:
            source, out = pathlib.Path(tmp) / "x.c", pathlib.Path(tmp) / "x"
            source.write_text(SOURCE.format(head=head, body=body), encoding="utf-8")
            subprocess.run(["gcc", "-o", out, source, *flags], check=True)
            return check_elf.check(check_elf.Elf(out), "x", program)

    def refused(self, word, *args, **kw):
        bad = self.verdict(*args, **kw)
        self.assertTrue(any(word in line for line in bad), (word, bad))

    def test_a_right_program_passes(self):
        self.assertEqual(self.verdict("-pie", "-fPIE"), [])

    def test_kinds_of_program(self):
        self.refused("ET_EXEC", "-no-pie")
        self.refused("interpreter None", "-static-pie", "-fPIE")
        self.refused("interpreter /x", "-pie", "-fPIE", "-Wl,--dynamic-linker=/x")
        self.refused("DT_RUNPATH", "-pie", "-fPIE", "-Wl,-rpath,/x")
        self.refused("executable", "-pie", "-fPIE", "-z", "execstack")

    def test_calls(self):
        self.refused("calls fork", "-pie", "-fPIE", body="(void)fork();")
        self.refused("calls dlopen", "-pie", "-fPIE", head="#include <dlfcn.h>", body="(void)dlopen(\"x\", 1);")

    def test_versions(self):
        self.assertEqual(check_elf.newer({"GLIBC_2.2.5", "GLIBC_2.35", "OPENSSL_3.0.0"}), [])
        self.assertEqual(check_elf.newer({"GLIBC_2.36"}), ["GLIBC_2.36"])
        self.assertEqual(check_elf.newer({"GLIBC_PRIVATE"}), ["GLIBC_PRIVATE"])

    def test_bom(self):
        class Fake:
            def __init__(self, *needed):
                self.needed = set(needed)
        self.assertEqual(check_elf.closure(Fake("a"), {"a": Fake("b", "c"), "b": Fake("a")}), {"a", "b", "c"})


if __name__ == "__main__":
    unittest.main()
