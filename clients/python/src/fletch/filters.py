# SPDX-License-Identifier: Apache-2.0
"""Filter expressions of a search: `(fletch.field("airport_weather:temperature_c") < 0) & ...`."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import NoReturn, TypeAlias

from fletch._times import to_micros
from fletch.errors import bad_input
from fletch.v1 import vector_pb2

Scalar: TypeAlias = bool | int | float | str | bytes | dt.datetime


class Filter:
    """A condition. Combine with `&`, `|` and `~`; three-valued as in SQL, only true passes."""

    def __init__(self, message: vector_pb2.Filter) -> None:
        self._message = message

    def to_proto(self) -> vector_pb2.Filter:
        """The condition as it travels."""
        return self._message

    def __and__(self, other: Filter) -> Filter:
        return _joined("and", self, other)

    def __or__(self, other: Filter) -> Filter:
        return _joined("or", self, other)

    def __invert__(self) -> Filter:
        result = vector_pb2.Filter()
        getattr(result, "not").CopyFrom(self._message)
        return Filter(result)

    def __bool__(self) -> NoReturn:
        raise TypeError("a filter has no truth of its own: combine with & | ~, not with and, or, not or a < b < c")

    def __repr__(self) -> str:
        return _text(self._message)


class FieldRef:
    """A field in a filter. Comparisons make a `Filter`; with null, missing or expired they are never true."""

    def __init__(self, ref: str) -> None:
        self._ref = ref

    def __eq__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return self._compare(vector_pb2.EQ, value)

    def __ne__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return self._compare(vector_pb2.NE, value)

    def __lt__(self, value: Scalar) -> Filter:
        return self._compare(vector_pb2.LT, value)

    def __le__(self, value: Scalar) -> Filter:
        return self._compare(vector_pb2.LE, value)

    def __gt__(self, value: Scalar) -> Filter:
        return self._compare(vector_pb2.GT, value)

    def __ge__(self, value: Scalar) -> Filter:
        return self._compare(vector_pb2.GE, value)

    __hash__ = None  # type: ignore[assignment]

    def isin(self, values: Iterable[Scalar]) -> Filter:
        """The field is one of `values`."""
        result = vector_pb2.Filter()
        in_list = vector_pb2.InList(ref=self._ref, values=[_value(self._ref, v) for v in values])
        getattr(result, "in").CopyFrom(in_list)
        return Filter(result)

    def between(self, low: Scalar, high: Scalar) -> Filter:
        """low <= field <= high."""
        between = vector_pb2.Between(ref=self._ref, low=_value(self._ref, low), high=_value(self._ref, high))
        return Filter(vector_pb2.Filter(between=between))

    def startswith(self, text: str) -> Filter:
        """The field, a STRING, begins with `text`."""
        return self._compare_text(vector_pb2.PREFIX, text)

    def contains(self, text: str) -> Filter:
        """`text` occurs in the field, a STRING."""
        return self._compare_text(vector_pb2.CONTAINS, text)

    def is_null(self) -> Filter:
        """The field is null, missing or expired."""
        return Filter(vector_pb2.Filter(is_null=vector_pb2.IsNull(ref=self._ref)))

    def _compare_text(self, op: vector_pb2.CompareOp, text: str) -> Filter:
        if not isinstance(text, str):
            raise bad_input(f"{self._ref}: only a text is looked for in a text, not a {type(text).__name__}", self._ref)
        return self._compare(op, text)

    def _compare(self, op: vector_pb2.CompareOp, value: Scalar) -> Filter:
        comparison = vector_pb2.Comparison(ref=self._ref, op=op, value=_value(self._ref, value))
        return Filter(vector_pb2.Filter(compare=comparison))


def field(ref: str) -> FieldRef:
    """The field "view:field" of the searched entity."""
    if ref.count(":") != 1:
        raise bad_input(f'{ref!r} is no field; write "view:field"')
    return FieldRef(ref)


def _value(ref: str, value: object) -> vector_pb2.Value:
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return vector_pb2.Value(bool_value=value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise bad_input(f"{ref}: {value} does not fit into 64 bits", ref)
        return vector_pb2.Value(int_value=value)
    if isinstance(value, float):
        if math.isnan(value):
            raise bad_input(f"{ref}: NaN compares with nothing", ref)
        return vector_pb2.Value(double_value=value)
    if isinstance(value, str):
        return vector_pb2.Value(string_value=value)
    if isinstance(value, bytes):
        return vector_pb2.Value(bytes_value=value)
    if isinstance(value, dt.date):
        return vector_pb2.Value(int_value=to_micros(value, ref))
    if value is None:
        raise bad_input(f"{ref}: nothing equals null; use .is_null()", ref)
    raise bad_input(f"{ref}: cannot compare with a {type(value).__name__}", ref)


def _joined(kind: str, left: Filter, right: Filter) -> Filter:
    if not isinstance(left, Filter) or not isinstance(right, Filter):
        raise TypeError(f"a filter can be combined with a filter only, not with {right!r}")
    result = vector_pb2.Filter()
    filters = getattr(result, kind).filters
    for side in (left.to_proto(), right.to_proto()):
        # a & b & c is one list of three: lists are shallow and levels are limited.
        if side.WhichOneof("filter") == kind:
            filters.extend(getattr(side, kind).filters)
        else:
            filters.append(side)
    return Filter(result)


_SIGNS = {
    "EQ": "==",
    "NE": "!=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "PREFIX": "starts with",
    "CONTAINS": "contains",
}


def _value_text(value: vector_pb2.Value) -> str:
    return repr(getattr(value, value.WhichOneof("value") or "string_value"))


def _text(message: vector_pb2.Filter) -> str:
    kind = message.WhichOneof("filter")
    if kind in ("and", "or"):
        sign = " & " if kind == "and" else " | "
        return "(" + sign.join(_text(f) for f in getattr(message, kind).filters) + ")"
    if kind == "not":
        return "~" + _text(getattr(message, "not"))
    if kind == "compare":
        c = message.compare
        return f"({c.ref} {_SIGNS[vector_pb2.CompareOp.Name(c.op)]} {_value_text(c.value)})"
    if kind == "between":
        b = message.between
        return f"({_value_text(b.low)} <= {b.ref} <= {_value_text(b.high)})"
    if kind == "in":
        listed = getattr(message, "in")
        return f"({listed.ref} in [{', '.join(_value_text(v) for v in listed.values)}])"
    return f"({message.is_null.ref} is null)"
