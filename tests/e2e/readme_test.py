# SPDX-License-Identifier: Apache-2.0
"""The README's commands are run as written, and their outputs are what it shows.

Blocks fenced as ```console are run, in order, as in one shell that starts in the repository's root:
  $ command          a command; lines that end in a backslash or within '…' go on in the next
  $ command &        one that stays: it is ended after the last block; its output lines are waited for
  output             what must come, line by line; `…` stands for any text within a line, and a line that is only `…`
                     for any lines
A ```python block is run as a script by that shell's `python3` (so the README makes and activates an environment
first), and a ```text block that follows at once is what it must print. Other fences are not run; nor is a block after
the line <!-- not run: reason -->.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 600
BACKGROUND_SECONDS = 300  # the quickstart, once built


@dataclasses.dataclass
class Step:
    line: int
    command: str
    expected: list[str]
    python: bool = False


def matches(expected: list[str], got: list[str]) -> bool:
    """`…` alone in a line stands for any lines; within one for any text."""
    parts = []
    for line in expected:
        if line.strip() == "…":
            parts.append("(?:[^\n]*\n)*?")
        else:
            parts.append(".*?".join(map(re.escape, line.rstrip().split("…"))) + "[ ]*\n")
    return re.fullmatch("".join(parts), "".join(line.rstrip() + "\n" for line in got)) is not None


def blocks(text: str) -> list[tuple[int, str, list[str]]]:
    """(first line, language, lines) of each fenced block that is to be run or compared."""
    out: list[tuple[int, str, list[str]]] = []
    lines, at, skip = text.split("\n"), 0, False
    while at < len(lines):
        if lines[at].startswith("<!-- not run:"):
            skip = True
        elif lines[at].startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i].startswith("```"))
            if not skip:
                out.append((at + 2, lines[at][3:].strip(), lines[at + 1:end]))
            at, skip = end, False
        at += 1
    return out


def console_steps(first: int, lines: list[str]) -> list[Step]:
    steps: list[Step] = []
    going_on = False
    for number, line in enumerate(lines, first):
        if going_on:
            steps[-1].command += "\n" + line
        elif line.startswith("$ "):
            steps.append(Step(number, line[2:], []))
        elif steps:
            steps[-1].expected.append(line)
            continue
        going_on = bool(steps) and (steps[-1].command.endswith("\\") or steps[-1].command.count("'") % 2 == 1)
    return steps


def steps_of(text: str) -> list[Step]:
    steps: list[Step] = []
    before = ""
    for first, language, lines in blocks(text):
        if language == "console":
            steps += console_steps(first, lines)
        elif language == "python":
            steps.append(Step(first, "\n".join(lines), [], python=True))
        elif language == "text" and before == "python":
            steps[-1].expected = lines
        before = language
    return steps


class Runner:
    """Commands share environment variables and the working directory through files, as in one shell."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.scratch = tempfile.TemporaryDirectory()
        self.state = pathlib.Path(self.scratch.name) / "state"
        self.state.write_text(f"cd {root}\n")
        self.background: list[subprocess.Popen] = []

    def run(self, step: Step) -> list[str] | None:
        """The output's lines; None when the command failed."""
        if step.command.endswith("&"):
            return self._start(step)
        if step.python:
            script = pathlib.Path(self.scratch.name) / "block.py"
            script.write_text(step.command)
            command = f"python3 {script}"
        else:
            command = step.command
        # The state is set outside the pipe, so that `cd` and `export` last.
        text = f". {self.state}\n{command}\ncode=$?\n(export -p; echo cd \"$PWD\") > {self.state}\nexit $code\n"
        done = subprocess.run(["bash", "-c", text], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS)
        lines = done.stdout.rstrip("\n").split("\n") if done.stdout.strip() else []
        if done.returncode != 0:
            print(f"exit code {done.returncode}:\n{done.stdout[-3000:]}")
            return None
        return lines

    def _start(self, step: Step) -> list[str] | None:
        log = pathlib.Path(self.scratch.name) / f"background-{len(self.background)}"
        with log.open("wb") as out:
            self.background.append(subprocess.Popen(
                ["bash", "-c", f". {self.state}\nexec {step.command[:-1]}"], stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True))
        deadline = time.monotonic() + BACKGROUND_SECONDS
        while time.monotonic() < deadline and self.background[-1].poll() is None:
            lines = log.read_text(errors="replace").splitlines()
            for count in range(len(lines) + 1):  # what comes later is not asked about
                if matches(step.expected, lines[:count]):
                    return lines[:count]
            time.sleep(0.1)
        print(f"the background command's output:\n{log.read_text(errors='replace')[-3000:]}")
        return None

    def close(self) -> None:
        for process in self.background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
        self.scratch.cleanup()


def self_test() -> None:
    assert matches(["a…c", "…", "z"], ["abc", "x", "y", "z"]) and matches(["…"], []) and matches([], [])
    assert not matches(["a"], ["b"]) and not matches(["a"], ["a", "b"]) and not matches([], ["a"])
    text = "```console\n$ echo a \\\n  'b\n'c\na b\nc\n$ export X=1\n```\n<!-- not run: x -->\n```console\n$ false\n```\n"
    steps = steps_of(text)
    assert [s.expected for s in steps] == [["a b", "c"], []], steps
    runner = Runner(ROOT)
    outputs = [runner.run(s) for s in steps] + [runner.run(Step(0, "echo $X", []))]
    runner.close()
    assert outputs == [["a b", "c"], [], ["1"]], outputs


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=pathlib.Path, default=[ROOT / "README.md"])
    self_test()
    passed = failed = 0
    for path in parser.parse_args().files:
        runner = Runner(ROOT)
        try:
            for step in steps_of(path.read_text()):
                got = runner.run(step)
                if got is not None and matches(step.expected, got):
                    passed += 1
                    continue
                failed += 1
                print(f"FAILED {path.name}:{step.line}: {step.command}\n  expected:\n" +
                      "\n".join("    " + x for x in step.expected) + "\n  came:\n" +
                      "\n".join("    " + x for x in got or []), flush=True)
        finally:
            runner.close()
    if passed + failed == 0:
        print("FAILED no command found to run: the README's commands stand in ```console blocks, after `$ `")
        failed = 1
    print(f"readme: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
