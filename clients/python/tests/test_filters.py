# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

import fletch


def as_dict(condition: fletch.Filter) -> Any:
    return json_format.MessageToDict(condition.to_proto(), preserving_proto_field_name=True)


def test_comparisons() -> None:
    f = fletch.field("v:a")
    operators = {"EQ": f == 1, "NE": f != 1, "LT": f < 1, "LE": f <= 1, "GT": f > 1, "GE": f >= 1}
    for name, condition in operators.items():
        assert as_dict(condition) == {"compare": {"ref": "v:a", "op": name, "value": {"int_value": "1"}}}
    assert as_dict(1 < f)["compare"]["op"] == "GT"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, {"bool_value": True}),
        (np.bool_(True), {"bool_value": True}),
        (-(2**63), {"int_value": str(-(2**63))}),
        (np.int32(4), {"int_value": "4"}),
        (0.5, {"double_value": 0.5}),
        (np.float32(0.5), {"double_value": 0.5}),
        ("x", {"string_value": "x"}),
        (b"x", {"bytes_value": "eA=="}),
        (dt.datetime(1970, 1, 1, 0, 0, 1), {"int_value": "1000000"}),
    ],
)
def test_values(value: Any, wanted: dict[str, Any]) -> None:
    assert as_dict(fletch.field("v:a") == value)["compare"]["value"] == wanted


def test_and_or_not_in_between_null() -> None:
    a, b, c = (fletch.field(f"v:{name}") < 1 for name in "abc")
    assert as_dict(a & b & c) == {"and": {"filters": [as_dict(a), as_dict(b), as_dict(c)]}}
    assert as_dict(a | b & c) == {"or": {"filters": [as_dict(a), {"and": {"filters": [as_dict(b), as_dict(c)]}}]}}
    assert as_dict(~(a | b)) == {"not": {"or": {"filters": [as_dict(a), as_dict(b)]}}}
    f = fletch.field("v:a")
    assert as_dict(f.isin(["x", "y"])) == {
        "in": {"ref": "v:a", "values": [{"string_value": "x"}, {"string_value": "y"}]}
    }
    assert as_dict(f.between(1, 2.5)) == {
        "between": {"ref": "v:a", "low": {"int_value": "1"}, "high": {"double_value": 2.5}}
    }
    assert as_dict(f.is_null()) == {"is_null": {"ref": "v:a"}}
    assert as_dict(f.startswith("x")) == {"compare": {"ref": "v:a", "op": "PREFIX", "value": {"string_value": "x"}}}
    assert as_dict(f.contains("x")) == {"compare": {"ref": "v:a", "op": "CONTAINS", "value": {"string_value": "x"}}}
    assert repr(f.startswith("x") | f.contains("y")) == "((v:a starts with 'x') | (v:a contains 'y'))"
    shown = repr((f < 1) & ~f.isin([b"x"]) | f.between(1, 2) | f.is_null())
    assert shown == "(((v:a < 1) & ~(v:a in [b'x'])) | (1 <= v:a <= 2) | (v:a is null))"


def test_parts_are_not_changed_by_what_is_made_of_them() -> None:
    both = (fletch.field("v:a") < 1) & (fletch.field("v:b") < 1)
    before = as_dict(both)
    _ = both & (fletch.field("v:c") < 1)
    assert as_dict(both) == before


def test_what_is_no_filter() -> None:
    f = fletch.field("v:a")
    for bad in (None, float("nan"), 2**63, object(), [1]):
        with pytest.raises(fletch.FletchError, match="v:a"):
            _ = f == bad  # type: ignore[operator]
    with pytest.raises(fletch.FletchError, match="v:a: only a text is looked for in a text, not a int"):
        f.contains(3)  # type: ignore[arg-type]
    with pytest.raises(fletch.FletchError, match="view:field"):
        fletch.field("a")
    with pytest.raises(TypeError, match="&"):
        bool((f < 1) and (f > 0))
    with pytest.raises(TypeError):
        _ = (f < 1) & True  # type: ignore[operator]
