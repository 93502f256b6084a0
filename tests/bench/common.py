# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks in Python share: the daemon seen from outside, processors, figures and their line."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


class Daemon:
    """The process that serves, seen from outside."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._proc = Path(f"/proc/{pid}")

    def cpu_seconds(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def reset_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")

    def peak_mib(self) -> float:
        line = next(line for line in (self._proc / "status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def settle(self) -> None:
        """Waits until compaction of what was loaded is done."""
        for _ in range(600):
            before = self.cpu_seconds()
            time.sleep(0.2)
            if self.cpu_seconds() - before <= 0.02:
                return


@contextmanager
def pinned(pids: list[int], cpus: set[int]) -> Iterator[None]:
    """Keeps every thread of the processes on these processors."""

    def pin(to: set[int]) -> None:
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), to)

    everywhere = os.sched_getaffinity(0)
    pin(cpus)
    try:
        yield
    finally:
        pin(everywhere)


@dataclass
class Figures:
    """One measurement a repeat, by name."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.of.setdefault(name, []).append(value)

    def timed(self, name: str, work: Callable[[], Any], processes: dict[str, Callable[[], float]]) -> None:
        before = {process: clock() for process, clock in processes.items()}
        begin = time.perf_counter()
        work()
        self.add(f"{name}_s", time.perf_counter() - begin)
        for process, clock in processes.items():
            self.add(f"{process}_cpu_s", clock() - before[process])


def summary(measured: list[float]) -> Any:
    """As report.cc's: the median and, of more than one, the least and greatest."""
    rounded = [float(f"{x:.6g}") for x in measured]
    middle = float(f"{statistics.median(measured):.6g}")
    return middle if len(measured) == 1 else {"median": middle, "min": min(rounded), "max": max(rounded)}


def quotients(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def print_line(
    bar: str, what: str, value: float, at_most: float | None, detail: dict[str, Any], at_least: float | None = None
) -> None:
    """A result, as report.cc's. Both bounds None: no bar is held against it."""
    line: dict[str, Any] = {"bar": bar, "what": what, "value": float(f"{value:.6g}"), "unit": "ratio"}
    if at_most is not None:
        line |= {"at_most": at_most, "holds": value <= at_most}
    if at_least is not None:
        line |= {"at_least": at_least, "holds": value >= at_least}
    print(json.dumps(line | {"detail": detail}, separators=(",", ":")), flush=True)
