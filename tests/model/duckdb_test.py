# SPDX-License-Identifier: Apache-2.0
"""Training reads answered again by an independent engine: DuckDB's ASOF JOIN and grouped range joins over the facts
that the daemon exports. Every cell is compared.

  duckdb_test.py [--seed N] [--cells N]
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time
from typing import Any, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import duckdb
import numpy as np
import pyarrow as pa

from oracle.oracle import Field, Type, View, WindowView
from oracle.windows import Aggregation
from support import spec, wire
from support.budget import add_arguments
from support.daemon import Daemon

PROJECT = "duck"
SECOND = 1_000_000
TTL = 600 * SECOND
SPAN = 3600 * SECOND
ROWS_A_WRITE, ROWS_A_BATCH = 20_000, 50_000
INTEGERS, DOUBLES, TEXTS = 3, 4, 1
COLUMNS = [(f"i{n}", "INT64") for n in range(INTEGERS)] + [(f"d{n}", "DOUBLE") for n in range(DOUBLES)] + [
    (f"s{n}", "STRING") for n in range(TEXTS)]
WINDOWS = [60 * SECOND, 599_999_999, 3600 * SECOND]
EXACT = ["COUNT", "SUM", "MIN", "MAX", "FIRST", "LAST", "COUNT_DISTINCT"]  # of an integer
FLOATING = ["SUM", "MEAN", "MIN", "MAX", "VARIANCE", "STDDEV", "LAST"]  # of a double


def aggregations() -> list[Aggregation]:
    out = [Aggregation(f"n_{w}", "", "COUNT", w) for w in WINDOWS]
    out += [Aggregation(f"{f.lower()}_i0_{w}", "i0", f, w) for f in EXACT for w in WINDOWS]
    return out + [Aggregation(f"{f.lower()}_d0_{w}", "d0", f, w) for f in FLOATING for w in WINDOWS]


class History:
    """Facts written, with late ones, corrections, deletions and retractions among them."""

    def __init__(self, stubs: Any, rng: np.random.Generator, entities: int) -> None:
        self.stubs, self.rng, self.entities = stubs, rng, entities
        self.base = (time.time_ns() // 1000 // SECOND - 20_000) * SECOND
        self.written: list[tuple[np.ndarray, np.ndarray]] = []

    def instants(self, count: int) -> np.ndarray:
        # Whole seconds for half of them: instants meet, and so do the bounds of windows and ttl.
        times = self.base + self.rng.integers(0, SPAN, count)
        whole = self.rng.random(count) < 0.5
        return np.where(whole, times // SECOND * SECOND, times)

    def _keys(self, column: Any, keys: np.ndarray) -> None:
        column.int64s.values.extend(keys.tolist())

    def write(self, count: int) -> None:
        for start in range(0, count, ROWS_A_WRITE):
            rows = min(ROWS_A_WRITE, count - start)
            keys, times = self.rng.integers(0, self.entities, rows), self.instants(rows)
            if self.written and self.rng.random() < 0.5:  # corrections
                old_keys, old_times = self.written[self.rng.integers(len(self.written))]
                again = self.rng.integers(0, len(old_keys), rows // 10)
                keys[:rows // 10], times[:rows // 10] = old_keys[again], old_times[again]
            keys, times = np.unique(np.stack([keys, times]), axis=1)
            self.written.append((keys, times))
            self._write(keys, times)

    def _write(self, keys: np.ndarray, times: np.ndarray) -> None:
        rows = len(keys)
        request = wire.ingest.WriteRequest(project=PROJECT, durability=wire.ingest.BUFFERED)
        batch = request.batches.add(feature_view="events", row_count=rows)
        self._keys(batch.columns["user"], keys)
        for name, type_name in COLUMNS:
            column = batch.columns[name]
            if type_name == "INT64":
                values = self.rng.integers(-50, 50, rows)
                column.int64s.values.extend(values.tolist())
            elif type_name == "DOUBLE":
                column.doubles.values.extend((self.rng.standard_normal(rows) * 100).tolist())
            else:
                column.strings.values.extend(f"t{v}" for v in self.rng.integers(0, 1000, rows))
            column.null_rows.extend(np.flatnonzero(self.rng.random(rows) < 0.05).tolist())
        batch.event_timestamps.micros.extend(times.tolist())
        self.stubs.ingest.Write(request, timeout=60)

    def delete(self, count: int) -> None:
        keys, times = np.unique(np.stack([self.rng.integers(0, self.entities, count), self.instants(count)]), axis=1)
        request = wire.ingest.DeleteRequest(project=PROJECT, feature_view="events", row_count=len(keys),
                                            event_timestamps=wire.data.TimestampColumn(micros=times.tolist()))
        self._keys(request.keys["user"], keys)
        self.stubs.ingest.Delete(request, timeout=60)

    def retract(self, count: int) -> None:
        keys, times = self.written[self.rng.integers(len(self.written))]
        chosen = self.rng.choice(len(keys), min(count, len(keys)), replace=False)
        request = wire.ingest.RetractRequest(
            project=PROJECT, feature_view="events", row_count=len(chosen),
            event_timestamps=wire.data.TimestampColumn(micros=times[chosen].tolist()))
        self._keys(request.keys["user"], keys[chosen])
        self.stubs.ingest.Retract(request, timeout=60)


def values(column: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(values, valid) of a column of an answer or of a history page."""
    which = column.WhichOneof("values")
    valid = np.ones(rows, bool)
    if column.statuses:
        valid = np.array(column.statuses) == 0
    valid[list(column.null_rows)] = False
    if which is None:
        return np.zeros(rows), valid
    data = getattr(column, which).values
    return np.array(data, dtype=object if which == "strings" else None), valid


def export(stubs: Any, known_at: int) -> pa.Table:
    """The current form at `known_at` of every identity that counts, through GetFeatureHistory."""
    request = wire.historical.GetFeatureHistoryRequest(project=PROJECT, feature_view="events", page_size=100_000,
                                                       known_at=wire.known_at(seq=known_at))
    tables = []
    while True:
        page = stubs.historical.GetFeatureHistory(request, timeout=120)
        rows = page.row_count
        arrays = {}
        for named in page.columns:
            data, valid = values(named.column, rows)
            arrays[named.name] = pa.array(data, mask=~valid, type={"s": pa.string(), "d": pa.float64()}.get(
                named.name[0], pa.int64()))
        arrays["t"] = pa.array(np.array(page.event_timestamps.micros), pa.int64())
        arrays["seq"] = pa.array(np.array(page.commit_seqs), pa.int64())
        arrays["gone"] = pa.array(np.array(page.forms) == wire.historical.TOMBSTONE)
        tables.append(pa.table(arrays))
        if not page.next_page_token:
            return pa.concat_tables(tables)
        request.page_token = page.next_page_token


def fletch_answers(stubs: Any, refs: list[str], spine: pa.Table, known_at: int) -> dict[str, tuple]:
    header = wire.historical.HistoricalHeader(project=PROJECT, features=refs, known_at_mode=wire.historical.FIXED,
                                              known_at=wire.known_at(seq=known_at))

    def parts() -> Iterator[Any]:
        yield wire.historical.GetHistoricalFeaturesRequest(header=header)
        for batch in spine.to_batches(max_chunksize=ROWS_A_BATCH):
            part = wire.historical.GetHistoricalFeaturesRequest()
            part.spine.row_count = batch.num_rows
            part.spine.keys["user"].int64s.values.extend(batch["user"].to_pylist())
            part.spine.timestamps.micros.extend(batch["at"].to_pylist())
            yield part

    columns: list[list[tuple]] = [[] for _ in refs]
    for answer in stubs.historical.GetHistoricalFeatures(parts(), timeout=600):
        for out, column in zip(columns, answer.columns):
            out.append(values(column, answer.row_count))
    return {ref: (np.concatenate([v for v, _ in parts]), np.concatenate([v for _, v in parts]))
            for ref, parts in zip(refs, columns)}


_SQL = {"COUNT": "count({c})", "SUM": "sum({c})", "MEAN": "avg({c})", "MIN": "min({c})", "MAX": "max({c})",
        "VARIANCE": "var_samp({c})", "STDDEV": "stddev_samp({c})", "COUNT_DISTINCT": "nullif(count(DISTINCT {c}), 0)",
        "FIRST": "arg_min({c}, f.o) FILTER ({c} IS NOT NULL)", "LAST": "arg_max({c}, f.o) FILTER ({c} IS NOT NULL)"}


def duck_stored(duck: Any) -> pa.Table:
    """The newest fact at or before each row's instant, within ttl; at one instant the newest commit's."""
    fields = ", ".join(f"CASE WHEN NOT f.gone AND s.at - f.t <= {TTL} THEN f.{n} END AS {n}" for n, _ in COLUMNS)
    return duck.sql(f"""
        WITH newest AS (SELECT * FROM facts QUALIFY row_number() OVER (PARTITION BY "user", t ORDER BY o DESC) = 1)
        SELECT {fields} FROM spine s ASOF LEFT JOIN newest f ON s."user" = f."user" AND s.at >= f.t
        ORDER BY s.row""").to_arrow_table()


def duck_windows(duck: Any, window: int) -> pa.Table:
    """Events of the window that are newer than the newest deletion before the row's instant."""
    asked = [a for a in aggregations() if a.window == window]
    outputs = ", ".join(f"{_SQL[a.function].format(c='f.' + (a.column or 'o'))} AS \"{a.name}\"" for a in asked)
    sizes = "sum(abs(f.d0)) AS d0_size, sum(f.d0 * f.d0) AS d0_squares"
    return duck.sql(f"""
        WITH deleted AS (SELECT "user", t, max(o) AS o FROM facts WHERE gone GROUP BY ALL),
             cut AS (SELECT s.row, s."user", s.at, coalesce(d.o, -1) AS o
                     FROM spine s ASOF LEFT JOIN deleted d ON s."user" = d."user" AND s.at >= d.t)
        SELECT {outputs}, {sizes} FROM cut LEFT JOIN (SELECT * FROM facts WHERE NOT gone) f
          ON cut."user" = f."user" AND f.t <= cut.at AND f.t > cut.at - {window} AND f.o > cut.o
        GROUP BY cut.row ORDER BY cut.row""").to_arrow_table()


def differing(mine: tuple, theirs: pa.ChunkedArray, tolerance: Any) -> np.ndarray:
    """Row numbers that differ. `tolerance`: None for bit for bit."""
    got, valid = mine
    column = theirs.combine_chunks()
    expected_valid = column.is_valid().to_numpy(zero_copy_only=False)
    zero = "" if pa.types.is_string(column.type) else 0
    expected = column.fill_null(zero).to_numpy(zero_copy_only=False)
    both = valid & expected_valid
    if tolerance is None:
        wrong = both & (got != expected)
    else:
        wrong = both & ~(np.abs(got.astype(float) - expected.astype(float)) <= tolerance)
    return np.flatnonzero(wrong | (valid != expected_valid))


def tolerance_of(aggregation: Aggregation, table: pa.Table, theirs: np.ndarray) -> Any:
    if aggregation.column != "d0" or aggregation.function in ("MIN", "MAX", "LAST"):
        return None
    size = np.nan_to_num(table["d0_size"].to_numpy())
    squares = np.nan_to_num(table["d0_squares"].to_numpy())
    if aggregation.function in ("SUM", "MEAN"):
        return 1e-9 * size
    if aggregation.function == "VARIANCE":
        return 1e-9 * squares
    return 1e-9 * squares / np.maximum(np.nan_to_num(theirs), 1e-6)


def compare(stubs: Any, duck: Any, spine: pa.Table, known_at: int, label: str) -> tuple[int, int]:
    """Returns (cells, differing cells)."""
    facts = export(stubs, known_at)
    order = np.lexsort((facts["seq"].to_numpy(), facts["t"].to_numpy()))
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    facts = facts.append_column("o", pa.array(position))  # semantics.md's order of facts
    duck.register("facts", facts)
    begin = time.monotonic()
    stored = [(f"events:{n}", n) for n, _ in COLUMNS]
    windowed = [(f"w:{a.name}", a) for a in aggregations()]
    answers = fletch_answers(stubs, [r for r, _ in stored] + [r for r, _ in windowed], spine, known_at)
    took, begin = time.monotonic() - begin, time.monotonic()
    wrong = cells = 0

    def check(ref: str, theirs: pa.ChunkedArray, tolerance: Any) -> None:
        nonlocal wrong, cells
        rows = differing(answers[ref], theirs, tolerance)
        cells, wrong = cells + len(theirs), wrong + len(rows)
        for row in rows[:2]:
            print(f"  {label} {ref} row {row} {spine.slice(row, 1).to_pylist()}: expected {theirs[int(row)]}, "
                  f"got {answers[ref][0][row]} (valid {answers[ref][1][row]})", flush=True)

    table = duck_stored(duck)
    for ref, name in stored:
        check(ref, table[name], None)
    for window in WINDOWS:
        table = duck_windows(duck, window)
        for ref, aggregation in windowed:
            if aggregation.window == window:
                theirs = table[aggregation.name]
                check(ref, theirs, tolerance_of(aggregation, table, theirs.fill_null(0).to_numpy()))
    print(f"  {label}: {len(facts)} facts, {cells} cells, {wrong} differ; Fletch {took:.1f} s, "
          f"DuckDB {time.monotonic() - begin:.1f} s", flush=True)
    return cells, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser, cells=1_000_000)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"duckdb: seed {options.seed}", flush=True)
    width = len(COLUMNS) + len(aggregations())
    rows = options.cells // (2 * width) + 1
    facts, entities = max(rows, 20_000), max(rows // 40, 500)
    view = View("events", "user", [("user", "INT64")], [Field(n, Type(t)) for n, t in COLUMNS], TTL)
    windowed = WindowView("w", "user", view.join_keys, [], source="events", aggregations=aggregations())
    duck = duckdb.connect()
    with Daemon() as daemon:
        spec.apply(daemon.stubs, PROJECT, [spec.entity_object("user", view.join_keys), spec.view_object(view),
                                           spec.view_object(windowed)])
        history = History(daemon.stubs, rng, entities)
        history.write(facts // 2)
        history.delete(entities // 4)
        middle = daemon.stubs.admin.GetStatus(wire.admin.GetStatusRequest()).applied_seq
        history.write(facts // 2)
        history.retract(facts // 50)
        history.delete(entities // 4)
        daemon.stubs.admin.Compact(wire.admin.CompactRequest(), timeout=600)
        history.write(facts // 20)
        newest = daemon.stubs.admin.GetStatus(wire.admin.GetStatusRequest()).applied_seq
        spine = pa.table({"row": np.arange(rows), "user": rng.integers(0, entities + 5, rows),
                          "at": history.instants(rows) + rng.choice([0, 0, 1, -1, TTL, TTL + 1, *WINDOWS], rows)})
        duck.register("spine", spine)
        outcomes = [compare(daemon.stubs, duck, spine, newest, "newest"),
                    compare(daemon.stubs, duck, spine, middle, "known_at the middle")]
    cells, wrong = map(sum, zip(*outcomes))
    print(f"duckdb: seed {options.seed}: {cells} cells, {wrong} differ", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
