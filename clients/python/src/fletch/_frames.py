# SPDX-License-Identifier: Apache-2.0
"""What callers hold (pandas, polars, Arrow, lists of dicts) as columns of one shape."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import pyarrow as pa

from fletch._times import to_micros
from fletch._types import Array, FieldType, cast, inferred, micros_of
from fletch.errors import bad_input
from fletch.v1 import data_pb2

if TYPE_CHECKING:
    import pandas
    import polars

Rows: TypeAlias = Union[
    "pandas.DataFrame",
    "polars.DataFrame",
    pa.Table,
    pa.RecordBatch,
    Sequence[Mapping[str, object]],
    Mapping[str, Sequence[object]],
]
"""A pandas or polars frame, an Arrow table or batch, a list of dicts (rows), or a dict of lists (columns)."""


@dataclass(frozen=True)
class Frame:
    """Named columns of `row_count` rows.

    A column is a pandas Series, an Arrow array (chunked or not) or a list of Python objects; `nan_as_value` is of
    pandas: a NaN in a field of floats is that value and not null.
    """

    row_count: int
    columns: dict[str, Any]
    nan_as_value: bool = False

    def without(self, name: str) -> dict[str, Any]:
        return {key: column for key, column in self.columns.items() if key != name}

    def times(self, name: str) -> Array:
        """The column `name` as int64 microseconds, none of them null."""
        if name not in self.columns:
            raise bad_input(
                f'column "{name}" with the event times is missing; columns are {sorted(self.columns)}; '
                "timestamp_column names another",
                name,
            )
        micros = _times(self.columns[name], name)
        if micros.null_count:
            row = micros.is_null().index(True).as_py()
            raise bad_input(f'column "{name}": row {row} has no time', name)
        return micros

    def array(self, name: str, field: FieldType | None) -> tuple[Array, FieldType]:
        """The column `name` brought to `field`, or to the type it has by itself."""
        source = self.columns[name]
        try:
            if isinstance(source, list):
                raw = _from_list(source, field, name)
            elif _is_series(source):
                raw = _from_series(source, field, name, self.nan_as_value)
            else:
                raw = source
        except (pa.ArrowException, OverflowError) as error:
            wanted = f"; the field is {field}" if field is not None else ""
            raise bad_input(f"{name}: {error}{wanted}", name) from None
        target = field or inferred(raw.type)
        if target is None:
            raise bad_input(f"{name}: Fletch has no type for values of Arrow type {raw.type}", name)
        return cast(raw, target, name), target


def frame(data: Rows, *, nan_as_value: bool = False) -> Frame:
    """`data` as one frame; where a dict of a list lacks a name that another has, the value is None."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        columns = dict(zip(_names(data.columns), (data.iloc[:, i] for i in range(data.shape[1])), strict=True))
        return Frame(len(data), columns, nan_as_value)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(data, polars.DataFrame):
        data = data.to_arrow()
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return Frame(data.num_rows, dict(zip(_names(data.column_names), data.columns, strict=True)))
    if isinstance(data, Mapping):
        return _of_columns(data)
    rows = _rows(data)
    names = dict.fromkeys(name for row in rows for name in row)
    return Frame(len(rows), {name: [row.get(name) for row in rows] for name in _names(names)})


def frames(data: Rows, *, nan_as_value: bool = False) -> list[Frame]:
    """As `frame`, but dicts that name different columns go to frames of their own.

    So what a row leaves out takes its default, and what it gives as None is null.
    """
    if isinstance(data, Sequence):
        groups: dict[frozenset[str], list[Mapping[str, object]]] = {}
        for row in _rows(data):
            groups.setdefault(frozenset(row), []).append(row)
        if len(groups) > 1:
            return [frame(rows) for rows in groups.values()]
    return [frame(data, nan_as_value=nan_as_value)]


def _rows(data: Any) -> Sequence[Mapping[str, object]]:
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        bad = next((i for i, row in enumerate(data) if not isinstance(row, Mapping)), None)
        if bad is None:
            return data
        raise bad_input(f"row {bad} is {type(data[bad]).__name__}, not a dict")
    raise bad_input(
        f"rows of type {type(data).__name__}; give a pandas or polars frame, an Arrow table or batch, or a list of dicts"
    )


def _names(names: Any) -> list[str]:
    seen: dict[str, None] = {}
    for name in names:
        if not isinstance(name, str):
            raise bad_input(f"column name {name!r} is no text")
        if name in seen:
            raise bad_input(f'column "{name}" is there twice', name)
        seen[name] = None
    return list(seen)


def _of_columns(data: Mapping[str, Any]) -> Frame:
    columns: dict[str, Any] = {}
    for name in _names(data):
        column = data[name]
        plain = isinstance(column, (pa.Array, pa.ChunkedArray)) or _is_series(column)
        if isinstance(column, (str, bytes, Mapping)) or not hasattr(column, "__len__"):
            raise bad_input(f'column "{name}" is {type(column).__name__}, not a list of values', name)
        columns[name] = column if plain else list(column)
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        raise bad_input(f"columns differ in length: {counts}")
    return Frame(next(iter(counts.values()), 0), columns)


def _is_series(source: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, pandas.Series)


def _from_list(values: list[Any], field: FieldType | None, path: str) -> Array:
    if field is not None and not field.array:
        if field.type == data_pb2.TIMESTAMP:
            return pa.array([None if v is None else to_micros(v, path) for v in values], pa.int64())
        if field.type == data_pb2.JSON:
            return pa.array([_json(v, path) for v in values], pa.string())
    if field is not None and field.array and field.type == data_pb2.TIMESTAMP:
        lists = [None if v is None else [to_micros(item, path) for item in v] for v in values]
        return pa.array(lists, pa.list_(pa.int64()))
    return pa.array(values)


def _json(value: object, path: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise bad_input(f"{path}: {error}", path) from None


def _from_series(series: Any, field: FieldType | None, path: str, nan_as_value: bool) -> Array:
    if series.dtype == object:
        # Cells may be dicts, lists or arrays: their own NaNs are values, only a whole cell can be missing.
        if field is not None and (field.nested or field.type in (data_pb2.JSON, data_pb2.TIMESTAMP)):
            cells = [None if gone else v for v, gone in zip(series, series.isna(), strict=True)]
            return _from_list(cells, field, path)
        first = next((v for v in series if v is not None), None)
        if field is None and hasattr(first, "__len__") and not isinstance(first, (str, bytes)):
            return pa.array([None if gone else v for v, gone in zip(series, series.isna(), strict=True)])
    keep_nan = nan_as_value and (field is None or field.floating)
    return pa.array(series, from_pandas=not keep_nan)


def _times(source: Any, path: str) -> Array:
    if not isinstance(source, list):
        if len(source) == 0:  # of whatever type
            return pa.array([], pa.int64())
        array = source
        if _is_series(source):
            array = None if source.dtype == object else pa.array(source, from_pandas=True)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if array is not None and not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            try:
                return micros_of(array, path)
            except pa.ArrowException as error:
                raise bad_input(f"{path}: {error}", path) from None
        source = list(source) if array is None else array.to_pylist()
    return pa.array([None if _missing(value) else to_micros(value, path) for value in source], pa.int64())


def _missing(value: Any) -> bool:
    """None, and the values that do not equal themselves: NaN, NaT and pandas.NA, whose comparison is no bool."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def spine_table(data: Rows) -> Any:
    """`data` as an Arrow table, every column as it is."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return pa.Table.from_pandas(data, preserve_index=False)
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    parts = frame(data)
    return pa.table({name: pa.array(c) if isinstance(c, list) else c for name, c in parts.columns.items()})
