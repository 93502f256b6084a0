# SPDX-License-Identifier: Apache-2.0
"""Style as a test: fails on what docs' style page names. Prints a line a finding; exits 1 if there is any.

  tidy.py [--no-format]   --no-format: without clang-format
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
from typing import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import functions
import protos

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_README_LINES = 30
SPDX = "SPDX-License-Identifier: Apache-2.0"

# (rule, path or path prefix ending in "/") -> reason. Short, and every line is a debt.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("spdx", "tests/golden/"): "golden files are bytes that must never change",
    ("spdx", "deploy/demo/"): "data; its licence stands in the folder's README",
    ("length", "deploy/demo/"): "data",
    ("test", "tests/nightly.sh"): "takes a night",
}

# A foreign library's header -> the places that may include it: one file, or the rooms that speak the wire.
FOREIGN: list[tuple[str, str, list[str]]] = [
    ("RocksDB", r"<rocksdb/", ["storage/rocksdb_kv_store.cc", "storage/rocksdb_dump_testing.h"]),
    ("hnswlib", r"<hnswlib/", ["index/"]),
    ("SQLite", r"<sqlite3\.h>", ["server/engine/sql_session.cc", "server/engine/expression_witness_test.cc"]),
    ("yaml-cpp", r"<yaml-cpp/", ["server/", "clients/fletchctl/"]),
    ("prometheus", r"<prometheus/", ["base/metrics.cc", "server/"]),
    ("gRPC", r"[<\"](grpc|grpcpp|grpc\+\+)/|\.grpc\.pb\.h", ["server/rpc/", "server/flight/", "server/daemon", "clients/"]),
]
ONE_FILE = {"RocksDB", "SQLite", "hnswlib", "prometheus"}
CODE = (".cc", ".h")
TEXT = (".cc", ".h", ".py", ".sh", ".proto", ".cmake", ".yaml", ".yml", ".pyi")


class Tidy:
    def __init__(self) -> None:
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout.split("\n")
        self.files = [f for f in listed if f and (ROOT / f).is_file()]
        self.findings: list[str] = []
        self.used: set[tuple[str, str]] = set()

    def text(self, path: str) -> str:
        return (ROOT / path).read_text(errors="replace")

    def find(self, rule: str, path: str, what: str) -> None:
        for key in EXCEPTIONS:
            if key[0] == rule and (path == key[1] or (key[1].endswith("/") and path.startswith(key[1]))):
                self.used.add(key)
                return
        self.findings.append(f"{path}: {what} [{rule}]")

    def of(self, *suffixes: str) -> list[str]:
        return [f for f in self.files if f.endswith(suffixes)]

    # The rules.
    def lengths(self) -> None:
        for path in self.of(*CODE, ".py", ".sh"):
            lines = self.text(path).count("\n")
            if lines > MAX_FILE_LINES:
                self.find("length", path, f"{lines} lines; at most {MAX_FILE_LINES}")
            for name, line, count in functions.of(path, self.text(path)):
                if count > MAX_FUNCTION_LINES:
                    self.find("length", f"{path}:{line}", f"{name} has {count} lines; at most {MAX_FUNCTION_LINES}")

    def spdx(self) -> None:
        for path in self.of(*TEXT, "CMakeLists.txt", "Dockerfile"):
            if SPDX not in "\n".join(self.text(path).split("\n")[:3]):
                self.find("spdx", path, f"no line '{SPDX}' at its top")

    def includes(self) -> None:
        holders: dict[str, set[str]] = {}
        for path in self.of(*CODE):
            for number, line in enumerate(self.text(path).split("\n"), 1):
                if not line.startswith("#include"):
                    continue
                if '"../' in line:
                    self.find("include", f"{path}:{number}", "names a parent folder; say it from the room's root")
                self._foreign(path, number, line, holders)
        for library, paths in holders.items():
            paths = {p for p in paths if not p.endswith("_testing.h")}  # a witness may look at what the room wrote
            if library in ONE_FILE and len(paths) > 1:
                self.find("foreign", sorted(paths)[0], f"{library} is included in {len(paths)} files: {sorted(paths)}")

    def _foreign(self, path: str, number: int, line: str, holders: dict[str, set[str]]) -> None:
        if path.startswith("tests/"):  # they speak the wire, and the benchmark's references are those libraries
            return
        for library, pattern, places in FOREIGN:
            if re.search(pattern, line):
                if not any(path.startswith(p) for p in places):
                    self.find("foreign", f"{path}:{number}", f"includes {library}; only {', '.join(places)} may")
                elif not path.endswith("_test.cc"):
                    holders.setdefault(library, set()).add(path)

    def temporaries(self) -> None:
        # Until C++23 what such a pointer holds dies before the loop begins.
        loop = re.compile(r"for \([^;]*\s:\s\*\w+\(\)\)")
        for path in self.of(*CODE):
            for number, line in enumerate(self.text(path).split("\n"), 1):
                if loop.search(line):
                    self.find("temporary", f"{path}:{number}", "loops over what a temporary points to; give it a name")

    def tests_registered(self) -> None:
        lists = {f: self.text(f) for f in self.of("CMakeLists.txt")}
        for path in self.of("_test.cc"):
            name = path.rsplit("/", 1)[1]
            stem = re.compile(rf"\b{name[:-len('_test.cc')]}\b")  # foreach(name …) fletch_test(${{name}}_test …)
            if not any(name in text or ("}_test.cc" in text and stem.search(text)) for f, text in lists.items()
                       if path.startswith(f[:-len("CMakeLists.txt")])):
                self.find("test", path, "is in no CMakeLists.txt")
        run = self.text("tests/run.sh")
        scripts = [f for f in self.of("_test.py", ".sh") if f.startswith("tests/") and f != "tests/run.sh"]
        for path in [f for f in scripts if "/golden/" not in f]:
            if path.removeprefix("tests/") not in run:
                self.find("test", path, "is not run by tests/run.sh")

    def rooms(self) -> None:
        rooms = {f.rsplit("/", 1)[0] for f in self.of("CMakeLists.txt", "pyproject.toml") if "/" in f}
        rooms |= {"deploy", "tests"}
        for room in sorted(rooms):
            if room == "server" or "/tests/" in room:  # server/ is its rooms; those are parts of a test
                continue
            readme = f"{room}/README.md"
            if readme not in self.files:
                self.find("readme", room, "has no README.md")
            elif (lines := self.text(readme).count("\n")) > MAX_README_LINES:
                self.find("readme", readme, f"{lines} lines; at most {MAX_README_LINES}")

    def protos(self) -> None:
        for path in self.of(".proto"):
            for line, what in protos.undocumented(self.text(path)):
                self.find("proto", f"{path}:{line}", f"{what} has no comment")

    def format(self) -> None:
        paths = self.of(*CODE)
        for begin in range(0, len(paths), 50):
            done = subprocess.run(["clang-format", "--dry-run", "--ferror-limit=1", *paths[begin:begin + 50]], cwd=ROOT,
                                  capture_output=True, text=True)
            for path in sorted(set(re.findall(r"^(\S+?):\d+:\d+: (?:warning|error)", done.stderr, re.M))):
                self.find("format", path, "differs from clang-format; run clang-format -i on it")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-format", action="store_true")
    options = parser.parse_args()
    functions.self_test()
    protos.self_test()
    tidy = Tidy()
    rules: list[Callable[[], None]] = [tidy.lengths, tidy.spdx, tidy.includes, tidy.temporaries, tidy.tests_registered,
                                       tidy.rooms, tidy.protos]
    rules += [] if options.no_format else [tidy.format]
    failed = 0
    for rule in rules:
        before = len(tidy.findings)
        rule()
        failed += len(tidy.findings) > before
    for finding in tidy.findings:
        print(finding)
    print(f"tidy: {len(rules) - failed} passed, {failed} failed ({len(tidy.files)} files, {len(tidy.findings)} findings)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
