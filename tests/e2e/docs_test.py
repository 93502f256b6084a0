# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/ are run as written, each page against a daemon of its own, and print what the page says.

As in readme_test.py: a ```python block is a script, and the ```text block that follows is what it prints; ```console
blocks are commands. 127.0.0.1:7447 stands for the daemon.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from readme_test import ROOT, Runner, matches, steps_of
from support.daemon import BINARY, Daemon

PAGES = [ROOT / "docs/point-in-time.md", ROOT / "docs/flight.md", ROOT / "docs/vectors.md",
         ROOT / "docs/filters.md"]


def run_page(path: pathlib.Path, client: pathlib.Path) -> tuple[int, int]:
    passed = failed = 0
    with Daemon() as daemon:
        runner = Runner(ROOT)
        # The client that is tested, not one that is installed; the console's tools are those that were built.
        runner.state.write_text(f"cd {ROOT}\nexport PYTHONPATH={client} FLETCH_ADDRESS={daemon.address} "
                                f"PATH={pathlib.Path(sys.executable).parent}:{BINARY.parent}:{os.environ['PATH']}\n")
        try:
            for step in steps_of(path.read_text()):
                step.command = step.command.replace("127.0.0.1:7447", daemon.address)
                got = runner.run(step)
                if got is not None and matches(step.expected, got):
                    passed += 1
                    continue
                failed += 1
                print(f"FAILED {path.name}:{step.line}:\n  expected:\n" +
                      "\n".join("    " + x for x in step.expected) + "\n  came:\n" +
                      "\n".join("    " + x for x in got or []), flush=True)
        finally:
            runner.close()
    return passed, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", type=pathlib.Path, default=ROOT / "build/bench-client",
                        help="where the Python package is installed")
    parser.add_argument("pages", nargs="*", type=pathlib.Path, default=PAGES)
    options = parser.parse_args()
    counts = [run_page(page.resolve(), options.client.resolve()) for page in options.pages]
    passed, failed = (sum(c) for c in zip(*counts))
    if passed == 0:
        print("FAILED no example found to run")
        failed += 1
    print(f"docs: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
