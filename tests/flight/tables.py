# SPDX-License-Identifier: Apache-2.0
"""The same rows of every type, made by pyarrow, pandas, polars and DuckDB, as each of them hands them over."""

from __future__ import annotations

import datetime
from typing import Any, Callable

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from flight.world import UTC, at

T0 = datetime.datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
T1 = datetime.datetime(1, 1, 1, tzinfo=UTC)
T2 = datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

# What every source says, row by row; None is null.
ROWS: dict[str, list[Any]] = {
    "f_bool": [True, False, None],
    "f_int32": [-(1 << 31), (1 << 31) - 1, None],
    "f_int64": [-(1 << 63), (1 << 63) - 1, None],
    "f_float": [1.5, -0.25, None],
    "f_double": [0.1, float("inf"), None],
    "f_string": ["", "Zürich ✈", None],
    "f_bytes": [b"", b"\x00\xff", None],
    "f_timestamp": [T0, T2, None],
    "f_json": ['{"a": [1, null]}', "3", None],
    "a_bool": [[True, False], [], None],
    "a_int32": [[1, -2], [], None],
    "a_int64": [[1 << 40], [2, 3], None],
    "a_float": [[0.5], [], None],
    "a_double": [[0.1, 0.2], [], None],
    "a_string": [["a", ""], ["ü"], None],
    "a_bytes": [[b"\x00"], [], None],
    "a_timestamp": [[T0, T2], [], None],
    "vector": [[1.0, 2.0, 3.0], [-1.0, 0.0, 0.5], None],
}
COUNT = 3
_ARROW = {"bool": pa.bool_(), "int32": pa.int32(), "int64": pa.int64(), "float": pa.float32(), "double": pa.float64(),
          "string": pa.string(), "bytes": pa.binary(), "timestamp": pa.timestamp("us", "UTC"), "json": pa.string()}


def arrow_type(name: str) -> pa.DataType:
    if name == "vector":
        return pa.list_(pa.float32(), 3)
    kind = _ARROW[name[2:]]
    return pa.list_(kind) if name.startswith("a_") else kind


def keys(first: int) -> tuple[list[int], list[datetime.datetime]]:
    return [first + i for i in range(COUNT)], [at(i) for i in range(COUNT)]


def from_arrow(first: int) -> pa.Table:
    ids, times = keys(first)
    columns = {"id": pa.array(ids, pa.int64()), "event_timestamp": pa.array(times, pa.timestamp("us", "UTC"))}
    return pa.table(columns | {name: pa.array(values, arrow_type(name)) for name, values in ROWS.items()})


def wide_arrow(first: int) -> pa.Table:
    """The same in the types that are wider or packed otherwise."""
    plain = from_arrow(first)
    casts = {"event_timestamp": pa.timestamp("ns", "America/New_York"), "f_string": pa.large_string(),
             "f_bytes": pa.large_binary(), "a_double": pa.large_list(pa.float64()), "f_json": pa.string_view(),
             "f_timestamp": pa.timestamp("ns", "Asia/Tokyo"), "a_string": pa.large_list(pa.large_string()),
             "vector": pa.list_(pa.float64(), 3)}
    for name, kind in casts.items():
        plain = plain.set_column(plain.column_names.index(name), name, plain[name].cast(kind))
    for name in ("f_int64", "f_bytes"):
        at_column = plain.column_names.index(name)
        plain = plain.set_column(at_column, name, plain[name].dictionary_encode())
    return plain


def from_pandas(first: int) -> pa.Table:
    """As a frame, with pandas' own dtypes; texts as categories, vectors as numpy arrays."""
    ids, times = keys(first)
    frame = pd.DataFrame({"id": ids, "event_timestamp": pd.to_datetime(times)})
    dtypes = {"f_bool": "boolean", "f_int32": "Int32", "f_int64": "Int64", "f_float": "float32", "f_double": "float64",
              "f_string": "category"}
    for name, values in ROWS.items():
        frame[name] = pd.Series(values, dtype=dtypes.get(name, "object"))
    frame["f_timestamp"] = pd.to_datetime(frame["f_timestamp"], utc=True)
    frame["a_float"] = pd.Series([np.float32([0.5]), np.float32([]), None], dtype="object")
    frame["a_int32"] = pd.Series([np.int32([1, -2]), np.int32([]), None], dtype="object")
    frame["vector"] = [np.float64(v) if v is not None else None for v in ROWS["vector"]]
    return pa.Table.from_pandas(frame, preserve_index=False)


def _polars(first: int) -> pl.DataFrame:
    ids, times = keys(first)
    frame = pl.from_arrow(from_arrow(first))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col("f_string").cast(pl.Categorical), pl.Series("id", ids), pl.Series(
        "event_timestamp", times).cast(pl.Datetime("ns", "UTC")))


def from_polars(first: int) -> pa.Table:
    return _polars(first).to_arrow()


def from_polars_views(first: int) -> pa.Table:
    """With string views, which polars works with inside."""
    return _polars(first).to_arrow(compat_level=pl.CompatLevel.newest())


def from_duckdb(first: int) -> pa.Table:
    rows = from_arrow(first)
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        return connection.sql("SELECT * FROM rows ORDER BY id").to_arrow_table()


SOURCES: dict[str, Callable[[int], pa.Table]] = {
    "pyarrow": from_arrow, "pyarrow, wide": wide_arrow, "pandas": from_pandas, "polars": from_polars,
    "polars, views": from_polars_views, "duckdb": from_duckdb}
