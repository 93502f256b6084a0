# SPDX-License-Identifier: Apache-2.0
"""P14: windows over a training spine against DuckDB, and online windows as their events grow.

`fletch-bench p14` starts the daemon and this. DuckDB's best formulation is a range join, grouped. Counts, minima and
maxima are compared exactly, sums, means and deviations within 1e-9 of the sum of absolute values.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import Any

import duckdb
import fletch
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
from fletch.v1 import historical_pb2

from common import Daemon, Figures, pinned, print_line, quotients, summary
from join_ours import joined
from join_world import DAY, as_timestamps

EVENTS, SPINE, ENTITIES = 10_000_000, 1_000_000, 100_000
QUICK_SCALE = 0.02
RANGE = 100 * DAY
WINDOWS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
FUNCTIONS = {"count": "count(x)", "sum": "sum(x)", "mean": "avg(x)", "min": "min(x)", "max": "max(x)",
             "stddev": "stddev_samp(x)"}  # fmt: skip
LOGARITHMIC = ["count", "sum", "mean", "min", "max", "variance", "stddev", "first", "last", "approx_percentile"]
ONLINE_EVENTS = [100, 10_000, 1_000_000]


def some_entities(rng: Any, count: int, entities: int, zipf: bool) -> Any:
    if not zipf:
        return rng.integers(0, entities, count)
    weights = np.cumsum(1 / np.arange(1, entities + 1) ** 1.1)
    return (np.searchsorted(weights, rng.random(count) * weights[-1]) * 7919) % entities


def make(scale: float, zipf: bool) -> tuple[pa.Table, pa.Table]:
    """(events, spine)."""
    rng = np.random.default_rng(14)
    count, rows, entities = int(EVENTS * scale), int(SPINE * scale), int(ENTITIES * scale)
    start = int(time.time()) * 1_000_000 - RANGE - DAY
    step = RANGE // count
    times = start + np.arange(count) * step + rng.integers(0, step, count)
    mask = rng.random(count) < 0.02
    events = pa.table({
        "entity": some_entities(rng, count, entities, zipf), "event_time": times,
        "x": pa.array(rng.standard_normal(count) * 10, mask=mask),
    })  # fmt: skip
    at = start + rng.integers(0, RANGE, rows)
    spine = pa.table({"row": np.arange(rows), "entity": some_entities(rng, rows, entities, zipf), "event_time": at})
    return events, spine


def declare(client: Any, windows: list[str], functions: list[str]) -> list[str]:
    """Returns the refs."""
    aggregations = [
        fletch.Aggregation(f"{f}_{w}", f, w, column="x", percentile=0.5 if f == "approx_percentile" else 0)
        for f in functions for w in windows
    ]  # fmt: skip
    client.apply([
        fletch.Project(client.project), fletch.Entity("thing", [fletch.KeyField("entity", "INT64")]),
        fletch.FeatureView("events", "thing", [fletch.Field("x", "DOUBLE")]),
        fletch.AggregationView("w", "events", aggregations),
    ])  # fmt: skip
    return [f"w:{a.name}" for a in aggregations]


class Duck:
    def __init__(self, events: pa.Table, spine: pa.Table) -> None:
        self._db = duckdb.connect()
        for name, table, order in [("events", events, "ORDER BY entity, event_time"), ("spine", spine, "")]:
            self._db.register("given", table)
            self._db.execute(f"CREATE TABLE {name} AS SELECT * FROM given {order}")
            self._db.unregister("given")

    def set_threads(self, threads: int) -> None:
        self._db.execute(f"SET threads = {threads}")

    def answer(self, extra: str = "") -> pa.Table:
        """One range join over the longest window; the shorter ones are filters of its aggregates."""
        longest = max(WINDOWS.values())
        outputs = [
            f"{sql} FILTER (age < {w}) AS {f}_{name}" for f, sql in FUNCTIONS.items() for name, w in WINDOWS.items()
        ]
        table: pa.Table = self._db.sql(f"""
            SELECT row, {", ".join(outputs)}{extra} FROM (
              SELECT s.row, e.x, s.event_time - e.event_time AS age FROM spine s LEFT JOIN events e
                ON s.entity = e.entity AND e.event_time <= s.event_time AND e.event_time > s.event_time - {longest})
            GROUP BY row ORDER BY row""").to_arrow_table()
        return table

    def plain(self) -> pa.Table:
        return self.answer()

    def close(self) -> None:
        self._db.close()


def differing_cells(ours: pa.Table, duck: Duck) -> int:
    sizes = "".join(f", sum(abs(x)) FILTER (age < {w}) AS size_{name}" for name, w in WINDOWS.items())
    sizes += "".join(f", sum(x * x) FILTER (age < {w}) AS squares_{name}" for name, w in WINDOWS.items())
    right = duck.answer(sizes)
    differ = 0
    for name in WINDOWS:
        size = right[f"size_{name}"].fill_null(0).to_numpy()
        squares = right[f"squares_{name}"].fill_null(0).to_numpy()
        for function in FUNCTIONS:
            expected = right[f"{function}_{name}"].cast(pa.float64()).fill_null(np.nan).to_numpy()
            got = ours[f"w:{function}_{name}"].cast(pa.float64()).fill_null(np.nan).to_numpy()
            near = {"sum": 1e-9 * size, "mean": 1e-9 * size,
                    "stddev": 1e-9 * squares / np.maximum(np.nan_to_num(expected), 1e-6)}.get(function, 0)  # fmt: skip
            same = (np.abs(got - expected) <= near) | (np.isnan(got) & np.isnan(expected))
            differ += int(np.count_nonzero(~same))
    return differ


def training(zipf: bool, at_most: float, args: argparse.Namespace, daemon: Daemon) -> None:
    events, spine = make(args.scale, zipf)
    client = fletch.Client(args.address, project=f"p14_{time.time_ns() // 1000}", timeout=None)
    refs = declare(client, list(WINDOWS), list(FUNCTIONS))
    client.write("events", as_timestamps(events), timestamp_column="event_time", durability="BUFFERED")
    client.compact(timeout=3600)
    daemon.settle()
    stream = flight.connect(f"grpc://{args.address}")
    header = historical_pb2.HistoricalHeader(project=client.project, features=refs)
    asked = as_timestamps(spine.drop_columns("row"))

    def ours() -> pa.Table:
        return joined(stream, header, asked, statuses=False)

    duck = Duck(events, spine)
    differ = differing_cells(ours(), duck)
    if differ:
        raise SystemExit(f"windows.py: {differ} cells differ from DuckDB's")
    shape = "Zipf" if zipf else "uniform"
    cpus = sorted(os.sched_getaffinity(0))
    for threads in (1, 2):
        if threads > len(cpus):
            print(f"windows.py: no {threads} processors here", file=sys.stderr)
            continue
        figures = Figures()
        duck.set_threads(threads)
        with pinned([daemon.pid, os.getpid()], set(cpus[:threads])):
            daemon.reset_peak()
            for _ in range(args.repeats):
                figures.timed("ours", ours, {"daemon": daemon.cpu_seconds, "client": time.process_time})
                figures.timed("duckdb", duck.plain, {"duckdb": time.process_time})
        of = figures.of
        ratios = quotients(of["ours_s"], of["duckdb_s"])
        detail = {"ratio": summary(ratios)} | {name: summary(measured) for name, measured in of.items()}
        detail |= {"spine_rows": spine.num_rows, "events": events.num_rows, "scale": args.scale, "threads": threads,
                   "daemon_peak_mib": round(daemon.peak_mib()), "differing_cells": 0}  # fmt: skip
        what = f"18 windows, {shape}, scale {args.scale:g}, {threads} thread{'s' * (threads > 1)}, wall time"
        print_line("P14", what, statistics.median(ratios), at_most, detail)
    stream.close()
    client.close()
    duck.close()


def online(args: argparse.Namespace) -> None:
    """Microseconds a call as the window's events grow; the first is the client's and the transport's floor."""
    client = fletch.Client(args.address, project=f"p14_online_{time.time_ns() // 1000}", timeout=None)
    declare(client, ["1d"], [*LOGARITHMIC, "count_distinct"])
    rng = np.random.default_rng(15)
    now = time.time_ns() // 1000
    counts = ONLINE_EVENTS[: 2 if args.quick else 3]
    for entity, count in enumerate(counts):
        ages = np.unique(rng.integers(1_000_000, DAY // 2, count + count // 10 + 10))  # no instant twice
        times = now - rng.choice(ages, count, replace=False)
        rows = pa.table({"entity": np.full(count, entity), "event_time": np.sort(times), "x": rng.integers(0, 50, count) * 1.5})
        client.write("events", as_timestamps(rows), timestamp_column="event_time", durability="BUFFERED")
    results: dict[str, Any] = {}
    for function in [*LOGARITHMIC, "count_distinct"]:
        for entity, count in enumerate(counts):
            ref, key = [f"w:{function}_1d"], [{"entity": entity}]
            client.get_online_features(ref, key)  # loads the entity's events
            took = []
            for _ in range(300):
                begin = time.perf_counter()
                client.get_online_features(ref, key)
                took.append((time.perf_counter() - begin) * 1e6)
            results[f"{function}_{count}_p50_us"] = round(statistics.median(took), 1)
    slowest = max(results[f"{f}_{counts[-1]}_p50_us"] / results[f"{f}_{counts[0]}_p50_us"] for f in LOGARITHMIC)
    what = f"online windows, p50 at {counts[-1]:,} events to that at {counts[0]:,}, slowest logarithmic function"
    print_line("P14", what, slowest, 1.5, results)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", required=True, help="the daemon's host:port")
    parser.add_argument("--pid", type=int, required=True, help="the daemon's process")
    parser.add_argument("--repeats", type=int, default=5, help="alternating, ours and DuckDB's")
    parser.add_argument("--scale", type=float, default=1.0, help="of events, entities and spine; 1: 10 M events")
    parser.add_argument("--quick", action="store_true", help=f"at scale {QUICK_SCALE}")
    args = parser.parse_args()
    if args.quick:
        args.scale = QUICK_SCALE
    daemon = Daemon(args.pid)
    training(False, 0.5, args, daemon)
    training(True, 0.2, args, daemon)
    online(args)


if __name__ == "__main__":
    main()
