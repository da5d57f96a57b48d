"""What occlum/bom.yaml lists, for the checks and the image of the jail."""

import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTANCE = ROOT / "occlum" / "occlum_instance"
OCCLUM_LIBC = pathlib.Path("/opt/occlum/glibc/lib")  # of Occlum's image; here Debian's stands in for it
HOST_LIBC = pathlib.Path("/usr/lib/x86_64-linux-gnu")


def files(build):
    """(path in the image, file of this machine) of every file of the bom."""
    with open(ROOT / "occlum" / "bom.yaml", encoding="utf-8") as f:
        bom = yaml.safe_load(f)
    for target in bom["targets"]:
        for copy in target["copy"]:
            where = pathlib.Path(copy.get("from", INSTANCE))
            if where == OCCLUM_LIBC:
                where = HOST_LIBC
            for entry in copy.get("files", []):
                name = entry if isinstance(entry, str) else entry["name"]
                at = (where / name).resolve()
                if at.is_relative_to(ROOT / "build-occlum"):
                    at = build / at.relative_to(ROOT / "build-occlum")
                yield pathlib.Path(target["target"]) / pathlib.Path(name).name, at


def directories():
    """The directories of the instance that become part of the image: target and name."""
    with open(ROOT / "occlum" / "bom.yaml", encoding="utf-8") as f:
        bom = yaml.safe_load(f)
    for target in bom["targets"]:
        for copy in target["copy"]:
            for name in copy.get("dirs", []):
                yield pathlib.Path(target["target"]) / pathlib.Path(name).name
