# SPDX-License-Identifier: Apache-2.0
"""A wrong include does not compile: one-line files are compiled as if they stood in a room, with the very flags that
the build uses for that room. A right include from the same room does compile, so that the flags are known to work."""

from __future__ import annotations

import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
# (room, a wrong include, a right include)
CASES = [("storage", "index/distance.h", "base/status.h"),
         ("index", "storage/value.h", "base/limits.h"),
         ("server/engine", "server/rpc/method.h", "storage/value.h"),
         ("base", "storage/value.h", "base/clock.h")]


def flags_of(room: str) -> list[str]:
    """The compiler and its flags for a source of the room's library (tests beside it link to more)."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"])
        if source.parent == ROOT / room and not source.stem.endswith("_test"):
            words = shlex.split(entry["command"])
            words = [w for w in words if w != str(source) and not w.endswith("ccache")]
            at = words.index("-o")
            return words[:at] + words[at + 2:]
    raise SystemExit(f"no source of {room}/ in {BUILD}/compile_commands.json: configure with cmake --preset release")


def compiles(room: str, include: str, folder: str) -> tuple[bool, str]:
    source = pathlib.Path(folder) / "one_line.cc"
    source.write_text(f'#include "{include}"\n')
    words = [w for w in flags_of(room) if w != "-c"]
    done = subprocess.run([*words, "-fsyntax-only", str(source)], cwd=BUILD, capture_output=True, text=True)
    return done.returncode == 0, done.stderr


def main() -> int:
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for room, wrong, right in CASES:
            if not (ROOT / wrong).exists():
                failures.append(f"{wrong} does not exist: this test would prove nothing")
            good, errors = compiles(room, right, folder)
            if not good:
                failures.append(f"{room}/ cannot include {right}:\n{errors}")
            bad, errors = compiles(room, wrong, folder)
            if bad or "No such file" not in errors:
                failures.append(f"{room}/ can include {wrong}, or fails for another reason:\n{errors}")
        # The library itself: base/ must not see gRPC's headers as its own, so it is not on any room's include path.
        grpc_words = [w for w in flags_of("server/engine") if "grpc" in w.lower()]
        if grpc_words:
            failures.append(f"server/engine/ is compiled with {grpc_words}")
    for failure in failures:
        print(f"FAILED {failure}")
    total = 2 * len(CASES) + 1
    print(f"includes: {total - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
