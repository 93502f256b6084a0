# SPDX-License-Identifier: Apache-2.0
"""P10: a training join, streamed over Arrow Flight into an Arrow table, against DuckDB's ASOF join in process.

`fletch-bench p10` starts the daemon and this. A result is printed only if every cell of ours was equal to DuckDB's
right answer: value, status and event timestamp. polars and pandas stand beside, over facts sorted beforehand.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from common import Daemon, Figures, pinned, print_line, quotients, summary
from join_ours import Ours, differing_cells
from join_world import DAY, SHAPES, Random, Shape, World

QUICK_SCALE = 0.05
RIGHT_REPEATS = 2  # of DuckDB's right answers and of polars and pandas, which no bar is held against
FRESH = 0.1  # of the facts, not folded
SPARSE = [1_000, 10_000]


class Duck:
    """DuckDB, in this process, over facts that were sorted beforehand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._db = duckdb.connect()
        self.set_spine(world.spine)
        for view in world.views:
            self._db.register("given", view.facts)
            self._db.execute(f"CREATE TABLE {view.name} AS SELECT * FROM given ORDER BY entity, event_time, commit")
            self._db.unregister("given")

    def set_spine(self, spine: pa.Table) -> None:
        self._db.register("given_spine", spine)
        self._db.execute("CREATE OR REPLACE TABLE spine AS SELECT * FROM given_spine")

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


class Frames:
    """polars and pandas over facts sorted beforehand: the newest fact, no ttl, one of two commits."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._polars = [pl.from_arrow(v.facts).sort("event_time", "commit") for v in world.views]
        self._pandas = [f.to_pandas() for f in self._polars]
        self._spine: Any = pl.from_arrow(world.spine).sort("event_time")
        self._pandas_spine = self._spine.to_pandas()

    def polars(self) -> Any:
        joined = self._spine
        for facts in self._polars:
            joined = joined.join_asof(facts, on="event_time", by="entity", suffix="_" + facts.columns[3])
        return joined.to_arrow()

    def pandas(self) -> Any:
        joined = self._pandas_spine
        for facts in self._pandas:
            suffixes = ("", "_" + facts.columns[3])
            joined = pd.merge_asof(joined, facts, on="event_time", by="entity", suffixes=suffixes)
        return joined


def report(world: World, label: str, threads: int, scale: float, figures: Figures, daemon: Daemon) -> None:
    of = figures.of
    ratios = quotients(of["ours_s"], of["duckdb_s"])
    both = [a + b for a, b in zip(of["daemon_cpu_s"], of["client_cpu_s"], strict=True)]
    detail: dict[str, Any] = {"ratio": summary(ratios), "cpu_ratio": summary(quotients(both, of["duckdb_cpu_s"]))}
    for other in ("duckdb_right", "duckdb_right_narrow", "polars", "pandas"):
        if f"{other}_s" in of:
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
    what = f"training join, {world.shape.name}{label}, scale {scale:g}, {threads} thread{'s' * (threads > 1)}, wall time"
    print_line("P10", what, statistics.median(ratios), None if label else world.shape.at_most, detail)


def measure(
    ours: Ours, duck: Duck, frames: Frames | None, daemon: Daemon, threads: int, repeats: int, as_served: bool
) -> Figures:
    figures = Figures()
    duck.set_threads(threads)
    client = {"client": time.process_time}
    for repeat in range(repeats):
        figures.timed("ours", lambda: ours.join(as_served=as_served), {"daemon": daemon.cpu_seconds, **client})
        figures.timed("duckdb", duck.plain, {"duckdb": time.process_time})
        if repeat >= RIGHT_REPEATS or as_served:
            continue
        figures.timed("duckdb_right", duck.right, {})
        figures.timed("duckdb_right_narrow", duck.right_narrow, {})
        if frames is not None:
            figures.timed("polars", frames.polars, {})
            figures.timed("pandas", frames.pandas, {})
    return figures


def growth(ours: Ours, world: World, daemon: Daemon, scale: float) -> None:
    """The daemon's peak memory while the spine grows tenfold."""
    for times in (1, 3, 10):
        spine = pa.concat_tables([world.spine] * times)
        daemon.reset_peak()
        begin = time.perf_counter()
        rows = ours.join(spine).num_rows
        seconds = time.perf_counter() - begin
        detail = {"spine_rows": rows, "seconds": round(seconds, 3), "scale": scale}
        print_line("P10", f"daemon's peak MiB, {world.shape.name}, spine x {times}", daemon.peak_mib(), None, detail)


def sparse(ours: Ours, duck: Duck, world: World, repeats: int, scale: float) -> None:
    """Spines of few rows over all the facts."""
    for rows in SPARSE:
        spine = world.spine.slice(0, rows)
        duck.set_spine(spine)
        figures = Figures()
        for _ in range(repeats):
            figures.timed("ours", lambda: ours.join(spine), {})
            figures.timed("duckdb", duck.plain, {})
        ratios = quotients(figures.of["ours_s"], figures.of["duckdb_s"])
        detail = {name: summary(measured) for name, measured in figures.of.items()} | {"scale": scale}
        print_line("P10", f"{world.shape.name}, spine of {rows} rows", statistics.median(ratios), None, detail)
    duck.set_spine(world.spine)


def run(shape: Shape, fresh: float, more: bool, args: argparse.Namespace, daemon: Daemon) -> None:
    world = Random(shape, args.scale).world()
    ours = Ours(args.address, world, f"p10_{SHAPES.index(shape)}_{time.time_ns() // 1000}")
    ours.load(fresh)
    duck = Duck(world)
    frames = Frames(world) if args.frames else None
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
    label = "" if fresh == FRESH else f", {fresh:.0%} fresh"
    for threads in (1, 2):
        if threads > len(cpus):
            print(f"join.py: no {threads} processors here", file=sys.stderr)
            continue
        with pinned([daemon.pid, os.getpid()], set(cpus[:threads])):
            figures = measure(ours, duck, frames, daemon, threads, args.repeats, False)
            report(world, label, threads, args.scale, figures, daemon)
            if more and threads == 1:
                figures = measure(ours, duck, None, daemon, threads, args.repeats, True)
                report(world, label + ", AS_SERVED", threads, args.scale, figures, daemon)
    if more:
        sparse(ours, duck, world, args.repeats, args.scale)
        growth(ours, world, daemon, args.scale)
    ours.close()
    duck.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", required=True, help="the daemon's host:port")
    parser.add_argument("--pid", type=int, required=True, help="the daemon's process")
    parser.add_argument("--repeats", type=int, default=5, help="alternating, ours and DuckDB's")
    parser.add_argument("--scale", type=float, default=1.0, help="of facts, entities and spine; 1: 10 M facts")
    parser.add_argument("--shapes", default="0,1,2,3", help="which of the four shapes")
    parser.add_argument("--more", action="store_true", help="of the first shape AS_SERVED, sparse and growing spines, 20 %% fresh")
    parser.add_argument("--no-frames", dest="frames", action="store_false", help="without polars and pandas")
    parser.add_argument("--quick", action="store_true", help=f"the first shape alone, at scale {QUICK_SCALE}")
    args = parser.parse_args()
    if args.quick:
        args.scale, args.shapes = QUICK_SCALE, "0"
    daemon = Daemon(args.pid)
    for number in map(int, args.shapes.split(",")):
        run(SHAPES[number], FRESH, args.more and number == 0, args, daemon)
    if args.more:
        run(SHAPES[0], 0.2, False, args, daemon)


if __name__ == "__main__":
    main()
