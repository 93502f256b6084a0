# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Iterator
from typing import Any

import pytest
from fake_daemon import FakeDaemon

import fletch


class Awaited:
    """An AsyncClient, or its training read, with the methods of the blocking one: each awaited on one loop."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.isasyncgenfunction(found):
            return lambda: self._iterate(found())
        if inspect.iscoroutinefunction(found):
            return lambda *args, **kwargs: self._wrap(self._loop.run_until_complete(found(*args, **kwargs)))
        return found

    def _wrap(self, result: Any) -> Any:
        awaited = (fletch.AsyncHistoricalFeatures, fletch.AsyncTrainingSet)
        return Awaited(result, self._loop) if isinstance(result, awaited) else result

    def _iterate(self, items: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(anext(items))
            except StopAsyncIteration:
                return


def connected(kind: str, target: str) -> Iterator[Any]:
    """A client of either kind, used in the same way."""
    if kind == "sync":
        with fletch.Client(target, project="demo", timeout=20) as found:
            yield found
        return
    loop = asyncio.new_event_loop()

    async def make() -> fletch.AsyncClient:
        return fletch.AsyncClient(target, project="demo", timeout=20)

    inner = loop.run_until_complete(make())
    yield Awaited(inner, loop)
    loop.run_until_complete(inner.close())
    loop.close()


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    found = FakeDaemon()
    yield found
    found.stop()


@pytest.fixture(params=["sync", "async"])
def client(daemon: FakeDaemon, request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from connected(request.param, daemon.target)


@pytest.fixture
def seeded() -> random.Random:
    """Randomness whose seed a failing test prints."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)
