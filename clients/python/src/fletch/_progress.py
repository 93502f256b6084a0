# SPDX-License-Identifier: Apache-2.0
"""A progress bar over anything that takes more than two seconds, in a terminal, if tqdm is installed."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def update(self, rows: int) -> object: ...

    def close(self) -> object: ...


class _Silent:
    def update(self, rows: int) -> None:
        pass

    def close(self) -> None:
        pass


def progress(rows: int, what: str, unit: str = " rows") -> Progress:
    """A bar of `rows` rows (or of another unit) that shows itself after two seconds."""
    try:
        from tqdm import tqdm
    except ImportError:
        return _Silent()
    # disable=None: no bar unless standard error is a terminal.
    bar: Progress = tqdm(total=rows, desc=what, unit=unit, unit_scale=True, delay=2.0, disable=None, leave=False)
    return bar
