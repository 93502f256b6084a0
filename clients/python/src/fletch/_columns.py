# SPDX-License-Identifier: Apache-2.0
"""Arrow arrays as `fletch.v1.Column`s and back. Numbers go from buffer to buffer (see _wire)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fletch import _wire
from fletch._times import from_micros
from fletch._types import Array, FieldType
from fletch.v1 import data_pb2

_SUBMESSAGE = {
    data_pb2.BOOL: "bools",
    data_pb2.INT32: "int32s",
    data_pb2.INT64: "int64s",
    data_pb2.FLOAT: "floats",
    data_pb2.DOUBLE: "doubles",
    data_pb2.STRING: "strings",
    data_pb2.BYTES: "bytes",
    data_pb2.TIMESTAMP: "timestamps",
    data_pb2.JSON: "json",
}
_ZERO: dict[str, Any] = {"strings": "", "json": "", "bytes": b""}
_FIXED = {
    "int32s": pa.int32(),
    "int64s": pa.int64(),
    "floats": pa.float32(),
    "doubles": pa.float64(),
    "timestamps": pa.timestamp("us", "UTC"),
}
_LISTED = {"strings": pa.string(), "json": pa.string(), "bytes": pa.binary()}
_NUMBER = {f.name: f.number for f in data_pb2.Column.DESCRIPTOR.oneofs_by_name["values"].fields}
_STATUSES = data_pb2.Column.STATUSES_FIELD_NUMBER
_EVENT_TIMESTAMPS = data_pb2.Column.EVENT_TIMESTAMPS_FIELD_NUMBER


def fixed_bytes(array: Array) -> bytes:
    """The buffer of a fixed-width array without nulls."""
    width = array.type.bit_width // 8
    buffer = array.buffers()[1]
    if not len(array) or buffer is None:
        return b""
    return bytes(buffer.slice(array.offset * width, len(array) * width).to_pybytes())


def _scalars(array: Array, kind: str) -> bytes | list[Any]:
    """The packed bytes of a column without nulls, or for texts a list."""
    if kind in _LISTED:
        values: list[Any] = array.to_pylist()
        return values
    # A packed bool is a varint of one byte, 0 or 1.
    return fixed_bytes(array.cast(pa.uint8()) if kind == "bools" else array)


def encode(array: Array, field: FieldType) -> data_pb2.Column:
    """The column of `array`, which is of `field.arrow()`."""
    column = data_pb2.Column()
    if array.null_count:
        column.null_rows.extend(pc.indices_nonzero(array.is_null()).to_pylist())
    if field.type == data_pb2.FLOAT_VECTOR:
        column.vectors.dimension = field.dimension
        packed = fixed_bytes(_dense_vectors(array, field.dimension))
        column.vectors.MergeFromString(_wire.length_field(data_pb2.VectorValues.VALUES_FIELD_NUMBER, packed))
    elif field.array:
        column.arrays.lengths.extend(pc.fill_null(pc.list_value_length(array), 0).to_pylist())
        column.arrays.elements.CopyFrom(encode(array.flatten(), FieldType(field.type)))
    else:
        kind = _SUBMESSAGE[field.type]
        target = getattr(column, kind)
        if array.null_count:
            array = pc.fill_null(array, pa.scalar(_ZERO.get(kind, 0), _LISTED.get(kind)).cast(array.type))
        values = _scalars(array, kind)
        target.SetInParent()  # an empty column still says its type
        if isinstance(values, list):
            target.values.extend(values)
        else:
            target.MergeFromString(_wire.length_field(1, values))
    return column


def _dense_vectors(array: Array, dimension: int) -> Array:
    """All elements, row after row, zeros at null rows."""
    elements = array.flatten()  # of the rows that are not null
    if not array.null_count:
        return elements
    zeros = pa.array([0.0] * dimension, pa.float32())
    rows = pa.FixedSizeListArray.from_arrays(pa.concat_arrays([elements, zeros]), dimension)
    valid = array.is_valid()
    nth = pc.subtract(pc.cumulative_sum(valid.cast(pa.int64())), 1)
    return rows.take(pc.if_else(valid, nth, len(rows) - 1)).flatten()


def timestamps(micros: Array) -> data_pb2.TimestampColumn:
    """The wire form of int64 microseconds without nulls."""
    column = data_pb2.TimestampColumn()
    column.MergeFromString(_wire.length_field(1, fixed_bytes(micros)))
    return column


def _fixed_array(packed: bytes | memoryview, kind: Any) -> Array:
    # bytes(): a buffer of its own, so that it is aligned.
    data = bytes(packed)
    return pa.Array.from_buffers(kind, len(data) * 8 // kind.bit_width, [None, pa.py_buffer(data)])


def _bool_array(packed: bytes | memoryview) -> Array:
    return pc.not_equal(_fixed_array(packed, pa.uint8()), 0)


def decode_timestamps(column: data_pb2.TimestampColumn) -> Array:
    """Timestamps (microseconds, UTC) of an answer."""
    packed = _wire.length_fields(column.SerializeToString()).get(1, b"")
    return _fixed_array(packed, _FIXED["timestamps"])


def decode(column: data_pb2.Column, rows: int, field: FieldType | None) -> Array:
    """The values of an answer's column, null wherever it has none.

    `field` is the declared type if it is known: that of a column that came without values.
    """
    kind = column.WhichOneof("values")
    if kind is None:
        return pa.nulls(rows, field.arrow() if field is not None else pa.null())
    parts = _wire.length_fields(column.SerializeToString())
    values = _decode_values(getattr(column, kind), kind, parts[_NUMBER[kind]], field)
    valid = _valid_rows(column, parts, rows)
    if valid is None:
        return values
    if pa.types.is_nested(values.type):
        return values.take(pc.if_else(valid, pa.array(range(rows), pa.int64()), pa.scalar(None, pa.int64())))
    return pc.if_else(valid, values, pa.scalar(None, values.type))


def _decode_values(message: Any, kind: str, data: memoryview, field: FieldType | None) -> Array:
    if kind in _LISTED:
        return pa.array(list(message.values), _LISTED[kind])
    if kind == "arrays":
        lengths = pa.array([0, *message.lengths], pa.int64())
        offsets = pc.cumulative_sum(lengths).cast(pa.int32())
        element = FieldType(field.type) if field is not None else None
        return pa.ListArray.from_arrays(offsets, decode(message.elements, offsets[-1].as_py(), element))
    packed = _wire.length_fields(data)
    if kind == "vectors":
        floats = _fixed_array(packed.get(data_pb2.VectorValues.VALUES_FIELD_NUMBER, b""), pa.float32())
        return pa.FixedSizeListArray.from_arrays(floats, message.dimension)
    return _bool_array(packed.get(1, b"")) if kind == "bools" else _fixed_array(packed.get(1, b""), _FIXED[kind])


def _valid_rows(column: data_pb2.Column, parts: dict[int, memoryview], rows: int) -> Array | None:
    """Which rows have a value; None: all."""
    if _STATUSES in parts:  # each is a varint of one byte
        return pc.equal(_fixed_array(parts[_STATUSES], pa.uint8()), data_pb2.PRESENT)
    if column.null_rows:
        return pc.invert(_rows_mask(column.null_rows, rows))
    return None


def _rows_mask(numbers: Any, rows: int) -> Array:
    mask = bytearray(rows)
    for row in numbers:
        mask[row] = 1
    return _bool_array(bytes(mask))


def decode_statuses(column: data_pb2.Column, rows: int) -> Array:
    """The statuses of an answer's column, as a dictionary array of their names."""
    codes = bytes(column.statuses) if column.statuses else bytes(rows)
    names = pa.array(data_pb2.CellStatus.keys())
    return pa.DictionaryArray.from_arrays(_fixed_array(codes, pa.uint8()).cast(pa.int8()), names)


def decode_event_timestamps(column: data_pb2.Column, rows: int) -> Array:
    """The event timestamps of an answer's column, null where unset."""
    if not column.HasField("event_timestamps"):
        return pa.nulls(rows, _FIXED["timestamps"])
    times = decode_timestamps(column.event_timestamps)
    if not column.event_timestamp_unset_rows:
        return times
    unset = _rows_mask(column.event_timestamp_unset_rows, rows)
    return pc.if_else(unset, pa.scalar(None, times.type), times)


def values_list(column: data_pb2.Column, rows: int) -> list[Any]:
    """The values as Python objects. For the few rows of an online read, where Arrow's fixed cost a column is most of it."""
    kind = column.WhichOneof("values")
    if kind is None:
        return [None] * rows
    if kind in ("vectors", "arrays", "timestamps"):
        found: list[Any] = decode(column, rows, None).to_pylist()
        return found
    values = list(getattr(column, kind).values)
    if column.statuses:
        present = data_pb2.PRESENT
        return [v if s == present else None for v, s in zip(values, column.statuses, strict=True)]
    for row in column.null_rows:
        values[row] = None
    return values


def statuses_list(column: data_pb2.Column, rows: int) -> list[str]:
    """The statuses by name."""
    names = data_pb2.CellStatus.keys()
    return [names[s] for s in column.statuses] if column.statuses else ["PRESENT"] * rows


def event_timestamps_list(column: data_pb2.Column, rows: int) -> list[dt.datetime | None]:
    """The event timestamps, None where unset."""
    if not column.HasField("event_timestamps"):
        return [None] * rows
    times: list[dt.datetime | None] = [from_micros(m) for m in column.event_timestamps.micros]
    for row in column.event_timestamp_unset_rows:
        times[row] = None
    return times
