# SPDX-License-Identifier: Apache-2.0
"""Window aggregates by plain loops, from docs/semantics.md alone."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any, Optional, Sequence

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
_FLOATS = ("FLOAT", "DOUBLE")
_INTEGERS = ("INT32", "INT64")
_PERCENTILE_ERROR = 0.0101  # 1 %, and the rounding of the answer


@dataclasses.dataclass(frozen=True)
class Near:
    """A floating-point answer: any value this near is right."""
    value: float
    tolerance: float
    upper: Optional[float] = None  # a range instead of one value

    def holds(self, got: Any) -> bool:
        if not isinstance(got, (int, float)):
            return False
        if math.isnan(self.value) or math.isnan(got):
            return math.isnan(self.value) and math.isnan(got)
        upper = self.value if self.upper is None else self.upper
        if math.isinf(self.value) or math.isinf(upper) or math.isinf(got):  # no range: one bound or the other
            return any(got == bound or abs(got - bound) <= self.tolerance for bound in (self.value, upper))
        return self.value - self.tolerance <= got <= upper + self.tolerance


@dataclasses.dataclass
class Aggregation:
    name: str
    column: str  # "": the events themselves
    function: str
    window: int  # microseconds
    k: int = 0
    percentile: float = 0.0


def output(function: str, type_name: str) -> tuple[str, bool]:
    """(type, array) of a function over a scalar of this type."""
    if function in ("COUNT", "COUNT_DISTINCT"):
        return "INT64", False
    if function == "SUM":
        return ("INT64" if type_name in _INTEGERS else "DOUBLE"), False
    if function in ("MEAN", "VARIANCE", "STDDEV", "APPROX_PERCENTILE"):
        return "DOUBLE", False
    return type_name, function in ("LAST_K", "TOP_K")


def functions_of(type_name: str, array: bool) -> list[str]:
    """What may be asked of a column of this type."""
    out = ["COUNT"]
    if array or type_name == "FLOAT_VECTOR":
        return out
    out += ["FIRST", "LAST"]
    if type_name != "JSON":
        out += ["LAST_K", "COUNT_DISTINCT", "TOP_K"]
    if type_name in _INTEGERS + _FLOATS:
        out += ["SUM", "MEAN", "VARIANCE", "STDDEV", "APPROX_PERCENTILE"]
    if type_name in _INTEGERS + _FLOATS + ("TIMESTAMP",):
        out += ["MIN", "MAX"]
    return out


def _sum(values: Sequence[float]) -> float:
    if any(math.isnan(v) for v in values):
        return math.nan
    infinite = {v for v in values if math.isinf(v)}
    if infinite:
        return infinite.pop() if len(infinite) == 1 else math.nan
    return math.fsum(values)


def _identity(value: Any) -> tuple:
    """What makes two values one, in the order of values: -0.0 is 0.0, all NaN are one and the last."""
    if isinstance(value, float):
        return (1, 0.0) if math.isnan(value) else (0, value + 0.0)
    return (0, value)


def _top(values: Sequence[Any], k: int) -> tuple:
    counts = collections.Counter(_identity(v) for v in values)
    order = sorted(counts, key=lambda v: (-counts[v], v))
    return tuple(math.nan if nan else value for nan, value in order[:k])


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """(sample variance, tolerance)."""
    if any(not math.isfinite(v) for v in values):
        return math.nan, 0.0
    n = len(values)
    mean = math.fsum(values) / n
    squares = math.fsum((v - mean) ** 2 for v in values)
    return squares / (n - 1), 1e-9 * math.fsum(v * v for v in values) / (n - 1)


def aggregate(aggregation: Aggregation, type_name: str, values: Sequence[Any]) -> Any:
    """The value over `values`, oldest first, without nulls; None: NULL_VALUE. Floats come as Near."""
    function = aggregation.function
    if function == "COUNT":
        return len(values)
    if not values:
        return None
    if function == "FIRST":
        return values[0]
    if function == "LAST":
        return values[-1]
    if function == "LAST_K":
        return tuple(reversed(values[-aggregation.k:]))
    if function == "COUNT_DISTINCT":
        return len({_identity(v) for v in values})
    if function == "TOP_K":
        return _top(values, aggregation.k)
    return _number(aggregation, type_name, values)


def _number(aggregation: Aggregation, type_name: str, values: Sequence[Any]) -> Any:
    function, n = aggregation.function, len(values)
    if function in ("MIN", "MAX"):
        if any(isinstance(v, float) and math.isnan(v) for v in values):
            return Near(math.nan, 0.0)
        found = min(values) if function == "MIN" else max(values)
        return Near(found, 0.0) if isinstance(found, float) else found
    if function == "SUM" and type_name in _INTEGERS:
        total = sum(values)
        return total if INT64_MIN <= total <= INT64_MAX else None
    floats = [float(v) for v in values]
    size = _sum([abs(v) for v in floats])
    if function == "SUM":
        return Near(_sum(floats), 1e-9 * size if math.isfinite(size) else 0.0)
    if function == "MEAN":
        mean = _sum(floats) / n if type_name in _FLOATS else sum(values) / n
        return Near(mean, 1e-9 * size / n if math.isfinite(size) else 0.0)
    if function in ("VARIANCE", "STDDEV"):
        if n == 1:
            return None
        variance, tolerance = _spread(floats)
        if function == "VARIANCE":
            return Near(variance, tolerance)
        if math.isnan(variance):
            return Near(variance, 0.0)
        low = math.sqrt(max(0.0, variance - tolerance))
        return Near(low, 1e-12 * low, math.sqrt(variance + tolerance))
    assert function == "APPROX_PERCENTILE", function
    if any(math.isnan(v) for v in floats):
        return Near(math.nan, 0.0)
    ordered = sorted(floats)
    rank = aggregation.percentile * (n - 1)
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    size = max((abs(v) for v in (low, high) if math.isfinite(v)), default=0.0)
    return Near(low, _PERCENTILE_ERROR * size, high)
