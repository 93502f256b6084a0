# SPDX-License-Identifier: Apache-2.0
"""P10's data: facts and spines in four shapes, the same every time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

FIELDS = 20
FACTS = 10_000_000  # at scale 1, over all views
SPINE = 1_000_000
ENTITIES = 100_000
CORRECTED = 0.01  # of the facts: written again later with other values, the same identity
UNKNOWN = 0.02  # of the spine's entities: nothing was ever written of them
EXACT = 0.05  # of the spine's instants: those of a fact
NULLS = 0.03  # of a view's first field
DAY = 86_400 * 1_000_000
RANGE = 100 * DAY


@dataclass(frozen=True)
class Shape:
    name: str
    at_most: float
    views: int = 1
    zipf: bool = False
    single_events: bool = False  # every entity has one event


SHAPES = [
    Shape("100 k entities x 100 events", 0.4),
    Shape("Zipf", 0.4, zipf=True),
    Shape("ten views x 2 fields", 0.4, views=10),
    Shape("10 M entities x 1 event", 0.6, single_events=True),
]


@dataclass
class View:
    name: str
    fields: list[str]
    facts: pa.Table  # row by row as written: entity, event_time, commit, fields; corrections last
    corrections: int

    def ttl_days(self) -> int:
        return 10


@dataclass
class World:
    """One shape's data."""

    shape: Shape
    views: list[View]
    spine: pa.Table  # row, entity, event_time
    load_seconds: float = 0.0

    @property
    def fact_count(self) -> int:
        return sum(view.facts.num_rows for view in self.views)

    @property
    def refs(self) -> list[str]:
        return [f"{view.name}:{name}" for view in self.views for name in view.fields]


class Random:
    """The data of one scale; the same every time."""

    def __init__(self, shape: Shape, scale: float) -> None:
        self._rng = np.random.default_rng(10)
        self._shape = shape
        self._facts = int(FACTS * scale) // shape.views
        self._written = self._facts - int(self._facts * CORRECTED)
        self._entities = self._written if shape.single_events else int(ENTITIES * scale)
        self._spine = int(SPINE * scale)
        self._start = int(time.time()) * 1_000_000 - RANGE - DAY

    def world(self) -> World:
        views = [self._view(v) for v in range(self._shape.views)]
        return World(self._shape, views, self._spine_table(views[0].facts))

    def _some_entities(self, count: int) -> Any:
        if not self._shape.zipf:
            return self._rng.integers(0, self._entities, count)
        # By rank, exponent 1.1, ranks spread over the keys.
        weights = np.cumsum(1 / np.arange(1, self._entities + 1) ** 1.1)
        ranks = np.searchsorted(weights, self._rng.random(count) * weights[-1])
        return (ranks * 7919) % self._entities

    def _view(self, number: int) -> View:
        count = self._written
        step = RANGE // count  # no two instants alike: an identity twice in a batch is refused
        times = self._start + np.arange(count) * step + self._rng.integers(0, step, count)
        single = self._shape.single_events
        entities = self._rng.permutation(count) if single else self._some_entities(count)
        again = np.sort(self._rng.choice(count, self._facts - count, replace=False))
        columns: dict[str, Any] = {
            "entity": np.concatenate([entities, entities[again]]),
            "event_time": np.concatenate([times, times[again]]),
            "commit": np.repeat([1, 2], [count, len(again)]),
        }
        names = [f"f{number}_{i}" for i in range(FIELDS // self._shape.views)]
        for name in names:
            mask = self._rng.random(self._facts) < NULLS if name == names[0] else None
            columns[name] = pa.array(self._rng.random(self._facts), mask=mask)
        return View(f"v{number}", names, pa.table(columns), len(again))

    def _spine_table(self, facts: pa.Table) -> pa.Table:
        entities = self._some_entities(self._spine)
        times = self._start + self._rng.integers(0, RANGE, self._spine)
        picked = self._rng.random(self._spine)
        entities[picked < UNKNOWN] += 1_000_000_000
        exact = np.flatnonzero(picked > 1 - EXACT)
        of = self._rng.integers(0, facts.num_rows, len(exact))
        entities[exact] = facts["entity"].to_numpy()[of]
        times[exact] = facts["event_time"].to_numpy()[of]
        return pa.table({"row": np.arange(self._spine), "entity": entities, "event_time": times})


def as_timestamps(table: pa.Table) -> pa.Table:
    at = table.column_names.index("event_time")
    return table.set_column(at, "event_time", table["event_time"].cast(pa.timestamp("us", "UTC")))
