# SPDX-License-Identifier: Apache-2.0
"""Generates fletch/v1 from the protos when a wheel is built, and puts the protos into an sdist."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
# In an sdist the protos lie beside this file, in the repository two folders up.
PROTOS = HERE / "proto" if (HERE / "proto").is_dir() else HERE.parents[1] / "proto"
ROOMS = ["admin", "data", "errors", "flight", "historical", "ingest", "registry", "serving", "vector"]
FILES = [f"fletch/v1/{room}.proto" for room in ROOMS]
GENERATED = HERE / "src" / "fletch" / "v1"


def generate() -> None:
    import grpc_tools
    from grpc_tools import protoc

    missing = [name for name in FILES if not (PROTOS / name).is_file()]
    if missing:
        raise SystemExit(f"not in {PROTOS}: {missing}; build from Fletch's repository or from an sdist")
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    (GENERATED / "__init__.py").write_text('"""The wire contract, generated from proto/fletch/v1."""\n')
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    out = GENERATED.parents[1]
    arguments = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{well_known}",
        f"--python_out={out}",
        f"--pyi_out={out}",
    ]
    if protoc.main(arguments + FILES) != 0:
        raise SystemExit("protoc failed")


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        for name in FILES:
            target = Path(base_dir) / "proto" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROTOS / name, target)


generate()  # At once: setuptools wants to see the package's folder before it runs any command.
setup(cmdclass={"sdist": Sdist})
