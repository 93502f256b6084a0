# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from fake_daemon import FakeDaemon

import fletch


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    found = FakeDaemon()
    yield found
    found.stop()


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[fletch.Client]:
    with fletch.Client(daemon.target, project="demo", timeout=20) as found:
        yield found


@pytest.fixture
def seeded() -> random.Random:
    """Randomness whose seed a failing test prints."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)
