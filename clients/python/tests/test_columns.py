# SPDX-License-Identifier: Apache-2.0
"""Values to columns and back, against what a loop over the cells would send."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fletch
from fletch import _wire
from fletch._columns import decode, decode_event_timestamps, decode_statuses, encode, statuses_list, values_list
from fletch._frames import Frame, frame, frames
from fletch._types import FieldType
from fletch.v1 import data_pb2 as d

UTC = dt.UTC
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
SCALARS = [d.BOOL, d.INT32, d.INT64, d.FLOAT, d.DOUBLE, d.STRING, d.BYTES, d.TIMESTAMP, d.JSON]
TYPES = [FieldType(t) for t in SCALARS] + [FieldType(t, array=True) for t in SCALARS if t != d.JSON]
TYPES += [FieldType(d.FLOAT_VECTOR, dimension=n) for n in (1, 3)]


def cell(rng: random.Random, kind: FieldType) -> Any:
    if kind.array:
        return [cell(rng, FieldType(kind.type)) for _ in range(rng.randrange(4))]
    if kind.type == d.FLOAT_VECTOR:
        return [cell(rng, FieldType(d.FLOAT)) for _ in range(kind.dimension)]
    if kind.type == d.BOOL:
        return rng.random() < 0.5
    if kind.type in (d.INT32, d.INT64):
        bits = 31 if kind.type == d.INT32 else 63
        return rng.choice([0, -1, 2**bits - 1, -(2**bits), rng.randrange(-1000, 1000)])
    if kind.type == d.FLOAT:
        return float(np.float32(rng.uniform(-1e6, 1e6)))
    if kind.type == d.DOUBLE:
        return rng.choice([0.0, -0.0, math.inf, 5e-324, rng.uniform(-1e300, 1e300)])
    if kind.type == d.STRING:
        return "".join(rng.choice("aß語😀 ") for _ in range(rng.randrange(5)))
    if kind.type == d.BYTES:
        return rng.randbytes(rng.randrange(5))
    if kind.type == d.TIMESTAMP:
        return EPOCH + dt.timedelta(microseconds=rng.randrange(-62135596800000000, 253402300799999999))
    return json.dumps({"a": rng.randrange(9)})


def scalar_list(kind: FieldType, values: list[Any]) -> Any:
    """The submessage of a scalar column, cell by cell."""
    zero = {d.BOOL: False, d.STRING: "", d.JSON: "", d.BYTES: b""}.get(kind.type, 0)
    dense = [zero if v is None else v for v in values]
    if kind.type == d.TIMESTAMP:
        micros = [0 if v is None else (v - EPOCH) // dt.timedelta(microseconds=1) for v in values]
        return {"timestamps": d.TimestampColumn(micros=micros)}
    name, message = {
        d.BOOL: ("bools", d.BoolValues), d.INT32: ("int32s", d.Int32Values), d.INT64: ("int64s", d.Int64Values),
        d.FLOAT: ("floats", d.FloatValues), d.DOUBLE: ("doubles", d.DoubleValues),
        d.STRING: ("strings", d.StringValues), d.JSON: ("json", d.StringValues), d.BYTES: ("bytes", d.BytesValues),
    }[kind.type]  # fmt: skip
    return {name: message(values=dense)}


def expected(kind: FieldType, values: list[Any]) -> d.Column:
    nulls = [i for i, v in enumerate(values) if v is None]
    if kind.array:
        flat = [x for v in values if v is not None for x in v]
        elements = d.Column(**scalar_list(FieldType(kind.type), flat))
        lengths = [0 if v is None else len(v) for v in values]
        return d.Column(arrays=d.ArrayValues(lengths=lengths, elements=elements), null_rows=nulls)
    if kind.type == d.FLOAT_VECTOR:
        flat = [x for v in values for x in (v if v is not None else [0.0] * kind.dimension)]
        return d.Column(vectors=d.VectorValues(dimension=kind.dimension, values=flat), null_rows=nulls)
    return d.Column(**scalar_list(kind, values), null_rows=nulls)


def column(part: Frame, kind: FieldType) -> d.Column:
    array, _ = part.array("x", kind)
    return encode(array, kind)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_random_cells_travel_as_a_loop_would_send_them(kind: FieldType, seeded: random.Random) -> None:
    for share_of_nulls in (0.0, 0.3, 1.0):
        for rows in (0, 1, 7, 50):
            values = [None if seeded.random() < share_of_nulls else cell(seeded, kind) for _ in range(rows)]
            sent = column(frame([{"x": v} for v in values]) if rows else Frame(0, {"x": []}), kind)
            assert sent == expected(kind, values)
            arrow = pa.array(values, kind.arrow())
            assert column(frame(pa.table({"x": arrow})), kind) == sent
            assert column(frame(pa.table({"x": pa.chunked_array([arrow, arrow])})), kind) == expected(
                kind, values + values
            )
            back = decode(sent, rows, kind)
            assert back.type == kind.arrow() and back.to_pylist() == values
            assert values_list(sent, rows) == values


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_slice_is_encoded_as_if_it_were_alone(kind: FieldType, seeded: random.Random) -> None:
    values = [None if seeded.random() < 0.3 else cell(seeded, kind) for _ in range(40)]
    array, _ = frame([{"x": v} for v in values]).array("x", kind)
    for start, rows in ((0, 40), (3, 0), (3, 11), (17, 23), (39, 1)):
        assert encode(array.slice(start, rows), kind) == expected(kind, values[start : start + rows])


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_statuses_stand_for_nulls_in_answers(kind: FieldType, seeded: random.Random) -> None:
    rows = 30
    statuses = [seeded.choice([0, 1, 2, 3]) for _ in range(rows)]
    values = [cell(seeded, kind) if s == 0 else None for s in statuses]
    answer = expected(kind, values)
    del answer.null_rows[:]
    answer.statuses.extend(statuses)
    assert decode(answer, rows, None).to_pylist() == values
    assert values_list(answer, rows) == values
    names = [d.CellStatus.Name(s) for s in statuses]
    assert decode_statuses(answer, rows).to_pylist() == statuses_list(answer, rows) == names


def test_answers_without_values_or_statuses() -> None:
    assert decode(d.Column(), 2, FieldType(d.INT64)).equals(pa.nulls(2, pa.int64()))
    assert values_list(d.Column(statuses=[2, 2]), 2) == [None, None]
    assert statuses_list(d.Column(), 2) == ["PRESENT"] * 2
    assert decode_event_timestamps(d.Column(), 1).to_pylist() == [None]
    stamped = d.Column(event_timestamps=d.TimestampColumn(micros=[5, 0]), event_timestamp_unset_rows=[1])
    assert decode_event_timestamps(stamped, 2).to_pylist() == [EPOCH + dt.timedelta(microseconds=5), None]
    empty = d.Column(arrays=d.ArrayValues(lengths=[0, 0], elements=d.Column()))
    assert decode(empty, 2, FieldType(d.INT64, array=True)).type == pa.list_(pa.int64())


def test_pandas_columns(seeded: random.Random) -> None:
    nan = float("nan")
    floats = [None if seeded.random() < 0.3 else seeded.uniform(-1, 1) for _ in range(100)]
    texts = [None if seeded.random() < 0.3 else "t" * seeded.randrange(3) for _ in range(100)]
    ints = [None if seeded.random() < 0.3 else seeded.randrange(-9, 9) for _ in range(100)]
    cases: list[tuple[Any, FieldType, list[Any]]] = [
        (pd.Series(floats, dtype=float), FieldType(d.DOUBLE), floats),
        (pd.Series(floats, dtype=object), FieldType(d.DOUBLE), floats),
        (pd.Series(floats, dtype="Float64"), FieldType(d.DOUBLE), floats),
        (pd.Series(texts, dtype=object), FieldType(d.STRING), texts),
        (pd.Series([nan if t is None else t for t in texts], dtype=object), FieldType(d.STRING), texts),
        (pd.Series(texts, dtype="string"), FieldType(d.STRING), texts),
        (pd.Series(texts, dtype="category"), FieldType(d.STRING), texts),
        (pd.Series(texts, dtype=pd.ArrowDtype(pa.string())), FieldType(d.STRING), texts),
        (pd.Series(ints, dtype=float), FieldType(d.INT64), ints),  # what pandas makes of ints with gaps
        (pd.Series(ints, dtype="Int64"), FieldType(d.INT32), ints),
        (pd.Series([True, None], dtype=object), FieldType(d.BOOL), [True, None]),
        (pd.Series([{"a": 1}, nan, "[2]"], dtype=object), FieldType(d.JSON), ['{"a": 1}', None, "[2]"]),
        (pd.Series([np.array([1.0, 2.0]), None]), FieldType(d.FLOAT_VECTOR, dimension=2), [[1.0, 2.0], None]),
        (pd.Series([[1, 2], nan, []]), FieldType(d.INT64, array=True), [[1, 2], None, []]),
    ]
    for series, kind, values in cases:
        assert column(frame(pd.DataFrame({"x": series})), kind) == expected(kind, values), series.dtype


def test_nan_is_null_in_pandas_only_and_only_if_wanted() -> None:
    nan = float("nan")
    df = pd.DataFrame({"x": [1.0, nan]})
    double = FieldType(d.DOUBLE)
    assert list(column(frame(df), double).null_rows) == [1]
    kept = column(frame(df, nan_as_value=True), double)
    assert not kept.null_rows and math.isnan(kept.doubles.values[1])
    objects = column(frame(pd.DataFrame({"x": pd.Series([nan, None], dtype=object)}), nan_as_value=True), double)
    assert list(objects.null_rows) == [1] and math.isnan(objects.doubles.values[0])
    # A NaN cannot be a value of these, so it stays null.
    assert list(column(frame(df, nan_as_value=True), FieldType(d.INT64)).null_rows) == [1]
    texts = pd.DataFrame({"x": pd.Series(["a", nan], dtype=object)})
    assert list(column(frame(texts, nan_as_value=True), FieldType(d.STRING)).null_rows) == [1]
    for other in ([{"x": 1.0}, {"x": nan}], pa.table({"x": [1.0, nan]}), pl.DataFrame({"x": [1.0, nan]})):
        assert not column(frame(other), double).null_rows
    inside = pd.DataFrame({"x": [[1.0, nan]]})
    assert math.isnan(column(frame(inside), FieldType(d.DOUBLE, array=True)).arrays.elements.doubles.values[1])


def test_polars_and_arrow_types() -> None:
    df = pl.DataFrame(
        {"s": ["a", None], "v": [[1.0, 2.0], [3.0, 4.0]], "c": pl.Series(["x", "y"], dtype=pl.Categorical)}
    )
    part = frame(df)
    for name, kind, values in (
        ("s", FieldType(d.STRING), ["a", None]),
        ("v", FieldType(d.FLOAT_VECTOR, dimension=2), [[1.0, 2.0], [3.0, 4.0]]),
        ("c", FieldType(d.STRING), ["x", "y"]),
    ):
        assert encode(part.array(name, kind)[0], kind) == expected(kind, values)
    views = pa.table({"x": pa.array(["a"], pa.string_view())})
    assert column(frame(views), FieldType(d.STRING)) == expected(FieldType(d.STRING), ["a"])


def test_times_are_floored_and_utc() -> None:
    plus2 = dt.timezone(dt.timedelta(hours=2))
    wanted = [-1, -1, 1, 0, -7_200_000_000, 5, 86_400_000_000, -1, 1]
    given: list[Any] = [
        pd.Timestamp(-1, unit="ns"),
        "1969-12-31T23:59:59.9999999Z",
        "1970-01-01T00:00:00.0000019Z",
        dt.datetime(1970, 1, 1),
        dt.datetime(1970, 1, 1, tzinfo=plus2),
        5,
        dt.date(1970, 1, 2),
        np.datetime64(-1, "ns"),
        np.int64(1),
    ]
    assert frame([{"t": t} for t in given]).times("t").to_pylist() == wanted
    assert frame(pd.DataFrame({"t": pd.Series(given, dtype=object)})).times("t").to_pylist() == wanted
    nanos = [-1001, -1000, -1, 0, 1, 999, 1000]
    floored = [n // 1000 for n in nanos]
    for series in (
        pd.Series(pd.to_datetime(nanos)),
        pd.Series(pd.to_datetime(nanos, utc=True)).dt.tz_convert("Asia/Tokyo"),
    ):
        assert frame(pd.DataFrame({"t": series})).times("t").to_pylist() == floored
    assert frame(pa.table({"t": pa.array(nanos, pa.timestamp("ns"))})).times("t").to_pylist() == floored
    assert frame(pa.table({"t": pa.array([3], pa.timestamp("s"))})).times("t").to_pylist() == [3_000_000]
    assert frame(pa.table({"t": ["1970-01-01T00:00:01+00:00"]})).times("t").to_pylist() == [1_000_000]
    assert frame({"t": [dt.datetime.min, dt.datetime.max]}).times("t").to_pylist() == [
        -62135596800000000,
        253402300799999999,
    ]


@pytest.mark.parametrize(
    ("given", "kind", "part"),
    [
        (["1"], FieldType(d.INT64), "string"),
        ([1.5], FieldType(d.INT64), "truncated"),
        ([2**31], FieldType(d.INT32), "2147483648"),
        ([True], FieldType(d.INT64), "bool"),
        ([1], FieldType(d.STRING), "int64"),
        ([1], FieldType(d.BOOL), "int64"),
        (["a"], FieldType(d.BYTES), "string"),
        ([[1.0]], FieldType(d.FLOAT_VECTOR, dimension=2), "row 0 has 1 elements"),
        ([None, [1.0, None]], FieldType(d.FLOAT_VECTOR, dimension=2), "null"),
        ([[1, None]], FieldType(d.INT64, array=True), "never null"),
        ([1.0], FieldType(d.DOUBLE, array=True), "array of DOUBLE"),
        ([1, "a"], FieldType(d.INT64), "x: "),
        ([2**64], FieldType(d.INT64), "x: "),
        (["yesterday"], FieldType(d.TIMESTAMP), "RFC 3339"),
        ([1.5], FieldType(d.TIMESTAMP), "no time"),
        ([{"a": object()}], FieldType(d.JSON), "JSON"),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_with_its_column(given: list[Any], kind: FieldType, part: str) -> None:
    with pytest.raises(fletch.FletchError) as caught:
        frame([{"x": v} for v in given]).array("x", kind)
    assert caught.value.code == "INVALID_ARGUMENT" and caught.value.field == "x"
    assert part in str(caught.value)


def test_rows_that_name_different_columns_are_kept_apart() -> None:
    parts = frames([{"k": 1, "a": None}, {"k": 2}, {"a": 3, "k": 4}])
    assert [(p.row_count, p.columns) for p in parts] == [(2, {"k": [1, 4], "a": [None, 3]}), (1, {"k": [2]})]
    assert frame([{"k": 1}, {"a": 2}]).columns == {"k": [1, None], "a": [None, 2]}


@pytest.mark.parametrize("bad", [[1], "text", 5, {"a": [1], "b": [1, 2]}, {"a": "text"}, {1: [2]}])
def test_what_is_no_rows_is_refused(bad: Any) -> None:
    with pytest.raises(fletch.FletchError):
        frame(bad)


def test_a_missing_or_null_time_is_refused_with_its_row() -> None:
    with pytest.raises(fletch.FletchError, match="timestamp_column"):
        frame([{"k": 1}]).times("event_timestamp")
    for rows in ([{"t": 1}, {"t": None}], pd.DataFrame({"t": [pd.Timestamp(0), pd.NaT]})):
        with pytest.raises(fletch.FletchError, match="row 1"):
            frame(rows).times("t")


def test_wire_fields() -> None:
    assert _wire.varint(0) == b"\0" and _wire.varint(300) == b"\xac\x02"
    message = d.Column(null_rows=[1], doubles=d.DoubleValues(values=[1.5]), statuses=[3])
    found = _wire.length_fields(message.SerializeToString())
    assert {k: bytes(v) for k, v in found.items()} == {
        5: d.DoubleValues(values=[1.5]).SerializeToString(),
        12: b"\x01",
        13: b"\x03",
    }
    vectors = d.VectorValues(dimension=300, values=[1.0])
    assert bytes(_wire.length_fields(vectors.SerializeToString())[2]) == np.float32(1).tobytes()
