# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys
import time

import pytest

from fletch._progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "seconds", "shown"), [(Terminal, 2.2, True), (Terminal, 0.3, False), (io.StringIO, 2.2, False)]
)
def test_a_bar_after_two_seconds_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], seconds: float, shown: bool
) -> None:
    shown_on = stream()
    monkeypatch.setattr(sys, "stderr", shown_on)
    bar = progress(100, "write")
    time.sleep(seconds)
    bar.update(50)
    text = shown_on.getvalue()
    bar.close()
    assert ("write" in text and "50" in text) == shown
