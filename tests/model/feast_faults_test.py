# SPDX-License-Identifier: Apache-2.0
"""Faults that other feature stores are known for, one test each, shown right here."""

from __future__ import annotations

import pathlib
import statistics
import sys
from typing import Any, Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from model.world import now
from oracle.oracle import NOT_FOUND, OUTSIDE_MAX_AGE, PRESENT, Field, Type, View, WindowView
from oracle.windows import Aggregation
from support import spec, wire
from support.daemon import Daemon

S = 1_000_000
PROJECT = "faults"


def declare(stubs: Any, *views: View) -> None:
    entity = spec.entity_object(views[0].entity, views[0].join_keys)
    spec.apply(stubs, PROJECT, [entity, *map(spec.view_object, views)])


def write(stubs: Any, view: View, *rows: tuple) -> int:
    """Rows are (key, event time, values); one commit. Returns its number."""
    batch = wire.ingest.RowBatch(feature_view=view.name, row_count=len(rows),
                                 event_timestamps=wire.times(*(r[1] for r in rows)))
    for i, (name, type_) in enumerate(view.join_keys):
        wire.fill(batch.columns[name], type_, [r[0][i] for r in rows])
    for i, field in enumerate(view.fields):
        wire.fill(batch.columns[field.name], field.type.name, [r[2][i] for r in rows])
    return stubs.ingest.Write(wire.ingest.WriteRequest(project=PROJECT, batches=[batch]), timeout=10).commit_seq


def keys_of(columns: Any, view: View, keys: list[tuple]) -> None:
    for i, (name, type_) in enumerate(view.join_keys):
        wire.fill(columns[name], type_, [k[i] for k in keys])


def online(stubs: Any, view: View, refs: list[str], keys: list[tuple]) -> list[list[tuple]]:
    """(status, value) of each row, a list a ref."""
    request = wire.serving.GetOnlineFeaturesRequest(project=PROJECT, features=refs, row_count=len(keys))
    keys_of(request.keys, view, keys)
    answer = stubs.serving.GetOnlineFeatures(request, timeout=10)
    return [[c[:2] for c in wire.cells_of(column, len(keys), False)] for column in answer.columns]


def train(stubs: Any, view: View, refs: list[str], spine: list[tuple]) -> list[list[tuple]]:
    """The same of a spine of (key, timestamp)."""
    batch = wire.historical.SpineBatch(row_count=len(spine), timestamps=wire.times(*(t for _, t in spine)))
    keys_of(batch.keys, view, [k for k, _ in spine])
    parts = [wire.historical.GetHistoricalFeaturesRequest(
        header=wire.historical.HistoricalHeader(project=PROJECT, features=refs)),
        wire.historical.GetHistoricalFeaturesRequest(spine=batch)]
    answer = list(stubs.historical.GetHistoricalFeatures(iter(parts), timeout=10))[1]
    assert answer.row_count == len(spine)
    return [[c[:2] for c in wire.cells_of(column, len(spine), False)] for column in answer.columns]


def test_ttl_is_obeyed_online(stubs: Any) -> None:
    view = View("ttl", "user", [("user", "INT64")], [Field("x", Type("INT64"))], ttl=60 * S)
    declare(stubs, view)
    write(stubs, view, ((1,), now() - 61 * S, [5]), ((2,), now() - 30 * S, [6]))
    assert online(stubs, view, ["ttl:x"], [(1,), (2,)]) == [[(OUTSIDE_MAX_AGE, None), (PRESENT, 6)]]


def test_composite_keys_never_meet(stubs: Any) -> None:
    for type_, keys in [("INT64", [(1, 23), (12, 3)]), ("STRING", [("1", "23"), ("12", "3")])]:
        name = f"pair_{type_.lower()}"
        view = View(name, name, [("a", type_), ("b", type_)], [Field("x", Type("INT64"))])
        declare(stubs, view)
        write(stubs, view, (keys[0], now() - S, [1]))
        assert online(stubs, view, [f"{name}:x"], keys) == [[(PRESENT, 1), (NOT_FOUND, None)]]
        write(stubs, view, (keys[1], now() - S, [2]))
        assert online(stubs, view, [f"{name}:x"], keys) == [[(PRESENT, 1), (PRESENT, 2)]]


def test_spine_rows_are_neither_dropped_nor_doubled(stubs: Any) -> None:
    view = View("spine", "user", [("user", "INT64")], [Field("x", Type("INT64"))])
    declare(stubs, view)
    t = now() - 100 * S
    write(stubs, view, ((1,), t, [1]), ((1,), t + S, [2]))
    write(stubs, view, ((1,), t + S, [3]))  # a correction: two facts of one instant
    spine = [((1,), t + S), ((9,), t), ((1,), t + S), ((1,), t - 1), ((1,), t), ((9,), t)]
    expected = [(PRESENT, 3), (NOT_FOUND, None), (PRESENT, 3), (NOT_FOUND, None), (PRESENT, 1), (NOT_FOUND, None)]
    assert train(stubs, view, ["spine:x"], spine) == [expected]


def test_min_max_and_stddev_of_windows(stubs: Any) -> None:
    events = View("events", "user", [("user", "INT64")], [Field("x", Type("DOUBLE"))])
    asked = ["MIN", "MAX", "STDDEV", "COUNT"]
    windowed = WindowView("windows", "user", events.join_keys, [], source="events",
                          aggregations=[Aggregation(f.lower(), "x", f, 50 * S) for f in asked])
    declare(stubs, events, windowed)
    t = now() - 1000 * S
    values = [3.5, -7.25, 12.0, 0.5, 4.0, -1.0, 8.75]
    write(stubs, events, *(((1,), t + 10 * i * S, [v]) for i, v in enumerate(values)))
    write(stubs, events, ((2,), t, [-5.0]))  # min and max of what is all below 0
    inside = values[2:]  # T - 50 s < event time <= T
    got = train(stubs, events, [f"windows:{f.lower()}" for f in asked], [((1,), t + 60 * S), ((2,), t)])
    assert [c[0] for c in got[:2]] == [(PRESENT, min(inside)), (PRESENT, max(inside))]
    assert abs(got[2][0][1] - statistics.stdev(inside)) < 1e-9 and got[3][0] == (PRESENT, len(inside))
    assert [c[1] for c in got[:2]] == [(PRESENT, -5.0), (PRESENT, -5.0)]


def test_a_late_row_never_replaces_a_newer_online_value(stubs: Any) -> None:
    view = View("late", "user", [("user", "INT64")], [Field("x", Type("INT64"))])
    declare(stubs, view)
    t = now() - 100 * S
    write(stubs, view, ((1,), t + 10 * S, [2]))
    write(stubs, view, ((1,), t, [1]))
    assert online(stubs, view, ["late:x"], [(1,)]) == [[(PRESENT, 2)]]
    assert train(stubs, view, ["late:x"], [((1,), t + 5 * S), ((1,), t + 10 * S)]) == [[(PRESENT, 1), (PRESENT, 2)]]


def main() -> int:
    tests: list[Callable[[Any], None]] = [f for name, f in globals().items() if name.startswith("test_")]
    with Daemon() as daemon:
        for test in tests:
            test(daemon.stubs)
            print(f"ok {test.__name__}", flush=True)
    print(f"feast faults: {len(tests)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
