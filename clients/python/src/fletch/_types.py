# SPDX-License-Identifier: Apache-2.0
"""Declared types, and Arrow arrays brought to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from fletch.errors import bad_input
from fletch.v1 import data_pb2

Array: TypeAlias = Any  # pa.Array; pyarrow carries no types.

_ARROW = {
    data_pb2.BOOL: pa.bool_(),
    data_pb2.INT32: pa.int32(),
    data_pb2.INT64: pa.int64(),
    data_pb2.FLOAT: pa.float32(),
    data_pb2.DOUBLE: pa.float64(),
    data_pb2.STRING: pa.string(),
    data_pb2.BYTES: pa.binary(),
    data_pb2.TIMESTAMP: pa.timestamp("us", "UTC"),
    data_pb2.JSON: pa.string(),
}
_INTEGERS = (data_pb2.INT32, data_pb2.INT64)
_FLOATS = (data_pb2.FLOAT, data_pb2.DOUBLE)
_MICROS_PER = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True)
class FieldType:
    """The type of a field or key: a scalar, an array of `type`, or a vector of `dimension` floats."""

    type: data_pb2.ValueType
    array: bool = False
    dimension: int = 0

    @property
    def nested(self) -> bool:
        return self.array or self.type == data_pb2.FLOAT_VECTOR

    @property
    def floating(self) -> bool:
        return not self.array and self.type in _FLOATS

    def arrow(self) -> Any:
        """The Arrow type of its values."""
        if self.type == data_pb2.FLOAT_VECTOR:
            return pa.list_(pa.float32(), self.dimension)
        return pa.list_(_ARROW[self.type]) if self.array else _ARROW[self.type]

    @staticmethod
    def of(feature: data_pb2.ResolvedFeature) -> FieldType:
        """The type of a feature of an answer."""
        return FieldType(feature.type, feature.array, feature.dimension)

    def __str__(self) -> str:
        name = data_pb2.ValueType.Name(self.type)
        if self.type == data_pb2.FLOAT_VECTOR:
            return f"{name}({self.dimension})"
        return f"array of {name}" if self.array else name


def inferred(kind: Any) -> FieldType | None:
    """The type that values of the Arrow type `kind` have by themselves; None: Fletch has no such type."""
    kind = _plain(kind)
    if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type):
        return FieldType(data_pb2.FLOAT_VECTOR, dimension=kind.list_size)
    if _is_list(kind):
        element = inferred(kind.value_type)
        return None if element is None or element.nested else FieldType(element.type, array=True)
    tests = (
        (pa.types.is_boolean, data_pb2.BOOL),
        (pa.types.is_integer, data_pb2.INT64),
        (pa.types.is_float32, data_pb2.FLOAT),
        (pa.types.is_floating, data_pb2.DOUBLE),
        (_is_text, data_pb2.STRING),
        (pa.types.is_null, data_pb2.STRING),
        (_is_bytes, data_pb2.BYTES),
        (pa.types.is_timestamp, data_pb2.TIMESTAMP),
    )
    return next((FieldType(value_type) for test, value_type in tests if test(kind)), None)


def cast(array: Array, target: FieldType, path: str) -> Array:
    """`array` as an array of `target.arrow()`, or an error that names `path`. Never loses a value silently."""
    array = _decoded(array)
    try:
        if array.null_count == len(array):  # whatever type it was given: pandas makes NaNs of Nones
            return pa.nulls(len(array), target.arrow())
        if target.nested:
            return _cast_nested(array, target, path)
        return _cast_scalar(array, target, path)
    except pa.ArrowException as error:
        raise bad_input(f"{path}: {error}; the field is {target}", path) from None


def _cast_scalar(array: Array, target: FieldType, path: str) -> Array:
    kind, wanted = array.type, _ARROW[target.type]
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if target.type == data_pb2.TIMESTAMP:
        return micros_of(array, path).cast(wanted)
    fits = (
        (target.type in _INTEGERS + _FLOATS and number)
        or (target.type == data_pb2.BOOL and pa.types.is_boolean(kind))
        or (target.type in (data_pb2.STRING, data_pb2.JSON) and _is_text(kind))
        or (target.type == data_pb2.BYTES and _is_bytes(kind))
    )
    if not fits:
        raise bad_input(f"{path}: values of Arrow type {kind} are given; the field is {target}", path)
    return array.cast(wanted)


def _cast_nested(array: Array, target: FieldType, path: str) -> Array:
    if not _is_list(array.type) and not pa.types.is_fixed_size_list(array.type):
        raise bad_input(f"{path}: values of Arrow type {array.type} are given; the field is {target}", path)
    lengths = pc.list_value_length(array)
    vector = target.type == data_pb2.FLOAT_VECTOR
    if vector:
        wrong = pc.indices_nonzero(pc.fill_null(pc.not_equal(lengths, target.dimension), False))
        if len(wrong):
            row = wrong[0].as_py()
            raise bad_input(f"{path}: row {row} has {lengths[row]} elements; the field is {target}", path)
    element = FieldType(data_pb2.FLOAT if vector else target.type)
    elements = cast(array.flatten(), element, path)
    if elements.null_count:
        raise bad_input(f"{path}: an element is null; elements of {target} are never null", path)
    if vector:
        return _vectors(elements, array.is_valid(), target.dimension)
    ends = pc.cumulative_sum(pc.fill_null(lengths, 0).cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    mask = pc.is_null(array) if array.null_count else None
    return pa.ListArray.from_arrays(offsets, elements, mask=mask)


def _vectors(elements: Array, valid: Array, dimension: int) -> Array:
    """Vectors whose elements stand in `elements` for the rows that are `valid`."""
    vectors = pa.FixedSizeListArray.from_arrays(elements, dimension)
    if len(vectors) == len(valid):
        return vectors
    rows = pc.subtract(pc.cumulative_sum(valid.cast(pa.int64())), 1)
    return vectors.take(pc.if_else(valid, rows, pa.scalar(None, pa.int64())))


def micros_of(array: Array, path: str) -> Array:
    """int64 microseconds of an array of timestamps (any unit; without a zone: UTC), dates or integers; floored."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        ticks = array.view(pa.int64())
        if kind.unit == "ns":
            return _floor_thousandth(ticks)
        return pc.multiply_checked(ticks, pa.scalar(_MICROS_PER[kind.unit], pa.int64()))
    if pa.types.is_date(kind):
        return array.cast(pa.timestamp("us")).view(pa.int64())
    if pa.types.is_integer(kind):
        return array.cast(pa.int64())
    raise bad_input(f"{path}: values of Arrow type {kind} are no times", path)


def _floor_thousandth(ticks: Array) -> Array:
    thousandths = pc.divide(ticks, pa.scalar(1000, pa.int64()))  # towards zero
    remainder = pc.subtract(ticks, pc.multiply(thousandths, pa.scalar(1000, pa.int64())))
    return pc.subtract(thousandths, pc.less(remainder, 0).cast(pa.int64()))


def _decoded(array: Array) -> Array:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _plain(kind: Any) -> Any:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: Any) -> bool:
    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_fixed_size_binary,
        pa.types.is_binary_view,
    )
    return any(test(kind) for test in tests)
