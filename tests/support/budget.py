# SPDX-License-Identifier: Apache-2.0
"""How long a random test goes on: for a number of questions, or for a time."""

from __future__ import annotations

import argparse
import random
import re
import time


def seconds_of(text: str) -> float:
    """"60s", "5m", "1h" or plain seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is no length of time; say 60s, 5m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def add_arguments(parser: argparse.ArgumentParser, **counts: int) -> None:
    """--seed, --budget, and the count that holds without a budget (questions, cycles, inputs)."""
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--budget", type=seconds_of, default=None, help="go on for so long instead of a count: 60s, 5m")
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default)
        parser.set_defaults(count_name=name)


class Budget:
    def __init__(self, options: argparse.Namespace) -> None:
        self._start = time.monotonic()
        self._limit = options.budget
        self._count = getattr(options, options.count_name)
        self._spent = 0

    def spend(self, count: int) -> None:
        self._spent += count

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def over(self, unspent: int = 0) -> bool:
        """True when the time is over; without a limit of time, when the count is reached."""
        if self._limit is not None:
            return self.seconds() >= self._limit
        return self._spent + unspent >= self._count
