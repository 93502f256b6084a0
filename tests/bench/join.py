# SPDX-License-Identifier: Apache-2.0
"""P10: a training join through the Python client against DuckDB's ASOF join in process.

`fletch-bench p10` starts the daemon and this. A result is printed only if every cell of ours was equal to DuckDB's
right answer: value, status and event timestamp.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

import fletch

FIELDS = 20
FACTS = 10_000_000  # at scale 1, over all views
SPINE = 1_000_000
ENTITIES = 100_000
QUICK_SCALE = 0.05
RIGHT_REPEATS = 2  # of DuckDB's right answers, which no bar is held against
CORRECTED = 0.01  # of the facts: written again later with other values, the same identity
UNKNOWN = 0.02  # of the spine's entities: nothing was ever written of them
EXACT = 0.05  # of the spine's instants: those of a fact
NULLS = 0.03  # of a view's first field
DAY = 86_400 * 1_000_000
RANGE = 100 * DAY
MIB = 1 << 20
TICK = os.sysconf("SC_CLK_TCK")


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


class Ours:
    """The daemon's side: what is declared, loaded and asked."""

    def __init__(self, address: str, world: World, project: str) -> None:
        self._world = world
        self._client = fletch.Client(address, project=project, timeout=None)
        key = fletch.KeyField("entity", "INT64")
        views = [
            fletch.FeatureView(v.name, "thing", [fletch.Field(n, "DOUBLE") for n in v.fields], f"{v.ttl_days()}d")
            for v in world.views
        ]
        self._client.apply([fletch.Project(project), fletch.Entity("thing", [key]), *views])

    def load(self) -> None:
        begin = time.perf_counter()
        for view in self._world.views:
            rows = as_timestamps(view.facts.drop_columns("commit"))
            first = rows.num_rows - view.corrections
            for part in (rows.slice(0, first), rows.slice(first)):
                self._client.write(view.name, part, timestamp_column="event_time")
        self._world.load_seconds = time.perf_counter() - begin

    def join(self) -> pa.Table:
        read = self._client.get_historical_features(
            self._spine(),
            self._world.refs,
            timestamp_column="event_time",
            include_statuses=True,
            include_event_timestamps=True,
        )
        table: pa.Table = read.to_arrow()
        return table

    def _spine(self) -> pa.Table:
        return as_timestamps(self._world.spine)

    def close(self) -> None:
        self._client.close()


class Duck:
    """DuckDB, in this process, over facts that were sorted beforehand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._db = duckdb.connect()
        self._db.register("given_spine", world.spine)
        self._db.execute("CREATE TABLE spine AS SELECT * FROM given_spine")
        for view in world.views:
            self._db.register("given", view.facts)
            self._db.execute(f"CREATE TABLE {view.name} AS SELECT * FROM given ORDER BY entity, event_time, commit")
            self._db.unregister("given")

    def set_threads(self, threads: int) -> None:
        self._db.execute(f"SET threads = {threads}")

    def plain(self) -> pa.Table:
        """The newest fact at or before each instant; of two commits any, no ttl, rows in any order."""
        views = self._world.views
        columns = ", ".join(f"{v.name}.event_time, {v.name}.{n}" for v in views for n in v.fields)
        return self._table(f"SELECT s.row, {columns} FROM spine s {self._asof([v.name for v in views])}")

    def right(self) -> pa.Table:
        """Said directly: the newest commit of each instant first, then the same join, ttl, the spine's order."""
        views = self._world.views
        newest = ", ".join(
            f"new_{v.name} AS (SELECT * FROM {v.name} QUALIFY row_number() OVER"
            f" (PARTITION BY entity, event_time ORDER BY commit DESC) = 1)"
            for v in views
        )
        columns = self._columns({v.name: f"new_{v.name}" for v in views})
        joins = self._asof([f"new_{v.name}" for v in views])
        return self._table(f"WITH {newest} SELECT s.row, {columns} FROM spine s {joins} ORDER BY s.row")

    def right_narrow(self) -> pa.Table:
        """The same answer the fastest way we know: keys alone are joined, fields fetched by row number."""
        parts, joins = [], []
        for v in (view.name for view in self._world.views):
            parts.append(
                f"at_{v} AS (SELECT s.row, s.entity, k.event_time FROM spine s ASOF LEFT JOIN"
                f" (SELECT entity, event_time FROM {v}) k"
                f" ON s.entity = k.entity AND s.event_time >= k.event_time)"
            )
            parts.append(
                f"row_{v} AS (SELECT at_{v}.row, arg_max({v}.rowid, {v}.commit) AS fact FROM at_{v} LEFT JOIN {v}"
                f" ON at_{v}.entity = {v}.entity AND at_{v}.event_time = {v}.event_time GROUP BY at_{v}.row)"
            )
            joins.append(f"JOIN row_{v} ON s.row = row_{v}.row LEFT JOIN {v} ON row_{v}.fact = {v}.rowid")
        columns = self._columns({v.name: v.name for v in self._world.views})
        query = f"WITH {', '.join(parts)} SELECT s.row, {columns} FROM spine s {' '.join(joins)} ORDER BY s.row"
        return self._table(query)

    def _columns(self, sources: dict[str, str]) -> str:
        """What a cell's value, status and event timestamp are made of."""
        found = []
        for view in self._world.views:
            fact = sources[view.name]
            fresh = f"s.event_time - {fact}.event_time <= {view.ttl_days() * DAY}"
            found.append(f"{fact}.event_time AS {view.name}_time, {fresh} AS {view.name}_fresh")
            found += [f"CASE WHEN {fresh} THEN {fact}.{n} END AS {n}" for n in view.fields]
        return ", ".join(found)

    @staticmethod
    def _asof(sources: list[str]) -> str:
        return " ".join(
            f"ASOF LEFT JOIN {f} ON s.entity = {f}.entity AND s.event_time >= {f}.event_time" for f in sources
        )

    def _table(self, query: str) -> pa.Table:
        table: pa.Table = self._db.sql(query).to_arrow_table()
        return table

    def close(self) -> None:
        self._db.close()


def values(column: pa.ChunkedArray, null: float) -> Any:
    """As numpy, `null` where there is none."""
    return column.fill_null(null).to_numpy()


def differing_cells(world: World, ours: pa.Table, right: pa.Table) -> int:
    """Cells of which value, status or event timestamp differ."""
    if ours.num_rows != world.spine.num_rows or right.num_rows != ours.num_rows:
        raise SystemExit(f"join.py: {ours.num_rows} rows and {right.num_rows} of {world.spine.num_rows}")
    differ = 0
    for view in world.views:
        absent = -1
        times = values(right[f"{view.name}_time"], absent)
        fresh = right[f"{view.name}_fresh"].fill_null(False).to_numpy()
        for name in view.fields:
            ref = f"{view.name}:{name}"
            cells = values(right[name], math.nan)
            expected = np.where(np.isnan(cells), "NULL_VALUE", "PRESENT")
            expected = np.where(fresh, expected, np.where(times == absent, "NOT_FOUND", "OUTSIDE_MAX_AGE"))
            status = ours[f"{ref}__status"].cast(pa.string()).to_numpy()
            stamp = values(ours[f"{ref}__event_timestamp"].cast(pa.int64()), absent)
            same = np.array_equal(values(ours[ref], math.nan), cells, equal_nan=True)
            if same and np.array_equal(status, expected) and np.array_equal(stamp, times):
                continue
            got = values(ours[ref], math.nan)
            value = (got == cells) | (np.isnan(got) & np.isnan(cells))
            differ += int(np.count_nonzero(~(value & (status == expected) & (stamp == times))))
    return differ


@dataclass
class Figures:
    """One measurement a repeat, by name."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.of.setdefault(name, []).append(value)

    def timed(self, name: str, work: Callable[[], pa.Table], processes: dict[str, Callable[[], float]]) -> None:
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


def report(world: World, threads: int, scale: float, figures: Figures, daemon: Daemon) -> None:
    of = figures.of
    ratios = quotients(of["ours_s"], of["duckdb_s"])
    both = [a + b for a, b in zip(of["daemon_cpu_s"], of["client_cpu_s"], strict=True)]
    detail: dict[str, Any] = {"ratio": summary(ratios), "cpu_ratio": summary(quotients(both, of["duckdb_cpu_s"]))}
    for other in ("duckdb_right", "duckdb_right_narrow"):
        quotient = statistics.median(of["ours_s"]) / statistics.median(of[f"{other}_s"])
        detail[f"ratio_to_{other}"] = summary([quotient])
    detail |= {name: summary(measured) for name, measured in of.items()}
    rows = world.spine.num_rows
    detail |= {
        "rows_per_s": summary([rows / seconds for seconds in of["ours_s"]]),
        "daemon_peak_mib": round(daemon.peak_mib()),
        "load_rows_per_s": round(world.fact_count / world.load_seconds),
        "spine_rows": rows,
        "facts": world.fact_count,
        "scale": scale,
        "threads": threads,
        "differing_cells": 0,
    }
    value = statistics.median(ratios)
    line = {
        "bar": "P10",
        "what": f"training join, {world.shape.name}, scale {scale:g}, {threads} thread{'s' * (threads > 1)}, wall time",
        "value": float(f"{value:.6g}"),
        "unit": "ratio",
        "at_most": world.shape.at_most,
        "holds": value <= world.shape.at_most,
        "detail": detail,
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)


def measure(ours: Ours, duck: Duck, daemon: Daemon, threads: int, repeats: int) -> Figures:
    figures = Figures()
    duck.set_threads(threads)
    client = {"client": time.process_time}
    for repeat in range(repeats):
        figures.timed("ours", ours.join, {"daemon": daemon.cpu_seconds, **client})
        figures.timed("duckdb", duck.plain, {"duckdb": time.process_time})
        if repeat >= RIGHT_REPEATS:
            continue
        figures.timed("duckdb_right", duck.right, {})
        figures.timed("duckdb_right_narrow", duck.right_narrow, {})
    return figures


def run(shape: Shape, args: argparse.Namespace, daemon: Daemon) -> None:
    world = Random(shape, args.scale).world()
    ours = Ours(args.address, world, f"p10_{SHAPES.index(shape)}_{int(time.time())}")
    ours.load()
    duck = Duck(world)
    daemon.settle()
    right = duck.right()
    if not right.equals(duck.right_narrow()):
        raise SystemExit("join.py: DuckDB's two right answers differ")
    daemon.reset_peak()
    differ = differing_cells(world, ours.join(), right)
    if differ:
        raise SystemExit(f"join.py: {shape.name}: {differ} cells differ from DuckDB's right answer")
    del right
    cpus = sorted(os.sched_getaffinity(0))
    for threads in (1, 2):
        if threads > len(cpus):
            print(f"join.py: no {threads} processors here", file=sys.stderr)
            continue
        with pinned([daemon.pid, os.getpid()], set(cpus[:threads])):
            report(world, threads, args.scale, measure(ours, duck, daemon, threads, args.repeats), daemon)
    ours.close()
    duck.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", required=True, help="the daemon's host:port")
    parser.add_argument("--pid", type=int, required=True, help="the daemon's process")
    parser.add_argument("--repeats", type=int, default=5, help="alternating, ours and DuckDB's")
    parser.add_argument("--scale", type=float, default=1.0, help="of facts, entities and spine; 1: 10 M facts")
    parser.add_argument("--quick", action="store_true", help=f"the first shape alone, at scale {QUICK_SCALE}")
    args = parser.parse_args()
    if args.quick:
        args.scale = QUICK_SCALE
    for shape in SHAPES[:1] if args.quick else SHAPES:
        run(shape, args, Daemon(args.pid))


if __name__ == "__main__":
    main()
