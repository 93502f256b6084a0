# SPDX-License-Identifier: Apache-2.0
"""Scores of vectors: sums in double in one fixed order (index/distance.h states it), returned as 32-bit floats."""

from __future__ import annotations

import math
import struct
from typing import Sequence


def float32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def lane_sum(terms: Sequence[float]) -> float:
    """Lane j adds the terms i with i % 8 == j in ascending i; then ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7))."""
    lanes = [0.0] * 8
    for i, term in enumerate(terms):
        lanes[i % 8] += term
    l0, l1, l2, l3, l4, l5, l6, l7 = lanes
    return ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7))


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return lane_sum([x * y for x, y in zip(a, b, strict=True)])


def score(metric: str, a: Sequence[float], b: Sequence[float]) -> float:
    if metric == "DOT":
        return float32(dot(a, b))
    if metric == "L2":
        return float32(math.sqrt(lane_sum([(x - y) * (x - y) for x, y in zip(a, b, strict=True)])))
    return float32(dot(a, b) / (math.sqrt(dot(a, a)) * math.sqrt(dot(b, b))))
