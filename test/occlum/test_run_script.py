#!/usr/bin/python3
"""occlum/run_on_occlum.sh, with programs that only say how they were called in place of Occlum's."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "occlum"
TEMPLATE = {  # what of Occlum 0.31's template matters here
    "resource_limits": {"user_space_size": "300MB", "max_num_of_threads": 32, "other": "kept"},
    "env": {"default": ["OCCLUM=yes"], "untrusted": ["EXAMPLE"]},
    "metadata": {"debuggable": True, "product_id": 0},
    "mount": [{"target": "/", "type": "unionfs"}, {"target": "/host", "type": "hostfs", "source": "."},
              {"target": "/dev", "type": "devfs"}],
}
FAKE = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $1" in
"occlum init") mkdir image; cp "$TEMPLATE" Occlum.json ;;
"occlum print") echo 0123abcd ;;
esac
"""


class RunScript(unittest.TestCase):
    def setUp(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.tmp)
        for name in ("occlum", "copy_bom"):
            (self.tmp / "bin").mkdir(exist_ok=True)
            (self.tmp / "bin" / name).write_text(FAKE, encoding="ascii")
            (self.tmp / "bin" / name).chmod(0o755)
        shutil.copytree(SOURCE, self.tmp / "occlum", ignore=shutil.ignore_patterns("occlum_instance"))
        (self.tmp / "template.json").write_text(json.dumps(TEMPLATE), encoding="ascii")

    def run_script(self, *args, **env):
        r = subprocess.run([self.tmp / "occlum" / "run_on_occlum.sh", *args], cwd=self.tmp, text=True,
                           capture_output=True, check=True, timeout=60,
                           env=dict(os.environ, PATH=f"{self.tmp / 'bin'}:{os.environ['PATH']}",
                                    CALLS=str(self.tmp / "calls"), TEMPLATE=str(self.tmp / "template.json"),
                                    **env))
        self.instance = self.tmp / "occlum" / "occlum_instance"
        self.settings = json.loads((self.instance / "Occlum.json").read_text(encoding="utf-8"))
        return r.stdout, (self.tmp / "calls").read_text(encoding="utf-8").splitlines()

    def test_options_go_into_the_image_and_nowhere_else(self):
        out, calls = self.run_script("--entg-listen", "tcp://6979", "--compat", "--name", "a b",
                                     "--admin=127.0.0.1:1")
        args = (self.instance / "eng" / "entg.args").read_text(encoding="utf-8")
        self.assertEqual(args.split("\n"), ["", "--entg-listen tcp://6979", "--compat", "--name a b",
                                            "--admin=127.0.0.1:1", ""])
        self.assertEqual(calls, [
            "occlum init", "copy_bom -f ../bom.yaml --root image --include-dir /opt/occlum/etc/template",
            "occlum build", "occlum print mrenclave", "occlum run /bin/entg-occlum"])
        self.assertIn("MRENCLAVE 0123abcd", out)

    def test_settings(self):
        self.run_script()
        s = self.settings
        self.assertIs(s["metadata"]["debuggable"], False)
        self.assertEqual(s["env"], {"default": ["OCCLUM=yes"], "untrusted": []})
        self.assertEqual([m["target"] for m in s["mount"]], ["/", "/dev"])
        self.assertEqual(s["resource_limits"]["max_num_of_threads"], 8)
        self.assertEqual(s["resource_limits"]["other"], "kept")

    def test_debug_is_asked_for(self):
        _, calls = self.run_script("--debug", "--build-only", "--compat")
        self.assertIs(self.settings["metadata"]["debuggable"], True)
        self.assertEqual(calls[-1], "occlum print mrenclave")
        self.assertEqual((self.instance / "eng" / "entg.args").read_text(encoding="utf-8"), "\n--compat\n")

    def test_policies_and_key(self):
        (self.tmp / "etc").mkdir()
        (self.tmp / "etc" / "gateways.yaml").write_text("x", encoding="ascii")
        (self.tmp / "etc" / "entg.args").write_text("--overwritten", encoding="ascii")
        (self.tmp / "key.pem").touch()
        _, calls = self.run_script("--compat", ENG_ETC="etc", ENG_SIGN_KEY="key.pem")
        self.assertEqual((self.instance / "eng" / "gateways.yaml").read_text(encoding="utf-8"), "x")
        self.assertEqual((self.instance / "eng" / "entg.args").read_text(encoding="utf-8"), "\n--compat\n")
        self.assertIn(f"occlum build --sign-key {self.tmp.resolve() / 'key.pem'}", calls)


if __name__ == "__main__":
    unittest.main()
