# SPDX-License-Identifier: Apache-2.0
"""On-demand expressions as trees: their SQL, and what docs/semantics.md says they are. Knows nothing of SQLite.

A tree is ("field", view, name), ("request", name), ("literal", value) or (operator, tree, …). Values are None, int,
float and str; booleans are 0 and 1.
"""

from __future__ import annotations

import math
import random
from typing import Any, Callable, Iterator

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
Tree = tuple
INTEGER, REAL, TEXT = "INTEGER", "REAL", "TEXT"
# A field's type as SQL sees it.
KIND_OF = {"BOOL": INTEGER, "INT32": INTEGER, "INT64": INTEGER, "TIMESTAMP": INTEGER, "FLOAT": REAL, "DOUBLE": REAL,
           "STRING": TEXT}


class Overflow(Exception):
    """An integer that 64 bits do not hold: the whole cell is an error."""


def atoms(tree: Tree) -> Iterator[Tree]:
    if tree[0] in ("field", "request"):
        yield tree
    elif tree[0] != "literal":
        for part in tree[1:]:
            if isinstance(part, tuple):
                yield from atoms(part)


def renamed(tree: Tree, before: str, after: str) -> Tree:
    """The tree, its fields of the view `before` being those of `after`."""
    if tree[0] == "field":
        return ("field", after, tree[2]) if tree[1] == before else tree
    return tuple(renamed(part, before, after) if isinstance(part, tuple) else part for part in tree)


def sql(tree: Tree) -> str:
    kind, parts = tree[0], tree[1:]
    if kind == "field":
        return f"{parts[0]}.{parts[1]}" if len(parts) == 2 else parts[0]
    if kind == "request":
        return parts[0]
    if kind == "literal":
        value = parts[0]
        if value is None:
            return "NULL"
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        return repr(value)
    if kind == "case":
        return f"CASE WHEN {sql(parts[0])} THEN {sql(parts[1])} ELSE {sql(parts[2])} END"
    if kind == "between":
        return f"({sql(parts[0])} BETWEEN {sql(parts[1])} AND {sql(parts[2])})"
    if kind == "in":
        return f"({sql(parts[0])} IN ({', '.join(map(sql, parts[1:]))}))"
    if kind == "isnull":
        return f"({sql(parts[0])} IS NULL)"
    if kind in ("not", "neg"):
        return f"({'NOT ' if kind == 'not' else '- '}{sql(parts[0])})"
    if kind in _FUNCTIONS:
        return f"{kind}({', '.join(map(sql, parts))})"
    return f"({sql(parts[0])} {kind} {sql(parts[1])})"


def _checked(value: Any) -> Any:
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        raise Overflow
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _arithmetic(op: str, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    if isinstance(a, float) or isinstance(b, float):
        a, b = float(a), float(b)
        if op == "/":
            return None if b == 0 else _checked(a / b)
        try:
            return _checked({"+": a + b, "-": a - b, "*": a * b}[op])
        except OverflowError:
            return math.inf
    if op in "/%":
        if b == 0:
            return None
        if op == "%":
            return abs(a) % abs(b) * (1 if a >= 0 else -1)
        return _checked(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))
    return _checked({"+": a + b, "-": a - b, "*": a * b}[op])


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def _abs(value: Any) -> Any:
    return None if value is None else _checked(-value if value < 0 else value)  # so -0.0 stays


def _extreme(choose: Callable) -> Callable:
    return lambda *v: None if None in v else choose(v)


_FUNCTIONS: dict[str, Callable] = {
    "abs": _abs,
    "coalesce": lambda *v: next((x for x in v if x is not None), None),
    "nullif": lambda a, b: None if a is not None and b is not None and a == b else a,
    "min": _extreme(lambda v: min(reversed(v))), "max": _extreme(max),  # of equal ones the last, the first: -0.0 = 0.0
    "length": lambda v: None if v is None else len(v.split("\0")[0]),
    "upper": lambda v: None if v is None else "".join(c.upper() if c.isascii() else c for c in v),
}


def _truth(value: Any) -> Any:
    return None if value is None else value != 0


def _and(a: Any, b: Any) -> Any:
    return False if a is False or b is False else None if a is None or b is None else True


def _not(a: Any) -> Any:
    return None if a is None else not a


def evaluate(tree: Tree, value_of: Callable[[Tree], Any]) -> Any:
    """None, int, float or str. Raises Overflow."""
    kind, parts = tree[0], tree[1:]
    if kind == "literal":
        return parts[0]
    if kind in ("field", "request"):
        value = value_of(tree)
        value = int(value) if isinstance(value, bool) else value
        return None if isinstance(value, float) and math.isnan(value) else value
    if kind == "case":
        return evaluate(parts[1] if _truth(evaluate(parts[0], value_of)) is True else parts[2], value_of)
    values = [evaluate(p, value_of) for p in parts]
    if kind in _FUNCTIONS:
        return _FUNCTIONS[kind](*values)
    if kind == "neg" and parts[0][0] == "literal":
        return _checked(-values[0])  # a negative literal: -0.0 is one
    if kind == "neg":
        return _arithmetic("-", 0, values[0])  # so of 0.0 it is 0.0
    if kind in ("+", "-", "*", "/", "%"):
        return _arithmetic(kind, *values)
    if kind == "||":
        return None if None in values else values[0] + values[1]
    return _as_int(_logic(kind, values))


def _as_int(truth: Any) -> Any:
    return None if truth is None else int(truth)


def _logic(kind: str, values: list) -> Any:
    if kind == "isnull":
        return values[0] is None
    if kind == "not":
        return _not(_truth(values[0]))
    if kind == "AND":
        return _and(_truth(values[0]), _truth(values[1]))
    if kind == "OR":
        return _not(_and(_not(_truth(values[0])), _not(_truth(values[1]))))
    if kind == "between":
        return _and(_logic(">=", values[:2]), _logic("<=", [values[0], values[2]]))
    if kind == "in":
        if values[0] is None:
            return None
        return True if values[0] in [v for v in values[1:] if v is not None] else None if None in values[1:] else False
    return None if None in values else _COMPARE[kind](*values)


def result(tree: Tree, type_name: str, value_of: Callable[[Tree], Any]) -> Any:
    """The value of a field declared with this type; None: NULL_VALUE."""
    try:
        value = evaluate(tree, value_of)
    except Overflow:
        return None
    if value is None:
        return None
    if type_name == "BOOL":
        return value != 0
    return float(value) if type_name == "DOUBLE" else value


class Maker:
    """Random well-typed trees. Arithmetic stands only where every operand is evaluated, so that an overflow is one on
    every reading of SQL's freedom to skip operands."""

    def __init__(self, rng: random.Random, leaves: list[tuple[Tree, str]]) -> None:
        """`leaves`: atoms with their SQL kind; at least one field."""
        self.rng = rng
        self.leaves = leaves

    def _leaf(self, kind: str) -> Tree:
        fitting = [a for a, k in self.leaves if k == kind]
        if fitting and self.rng.random() < 0.75:
            return self.rng.choice(fitting)
        return ("literal", {
            INTEGER: lambda: self.rng.choice([0, 1, 2, 7, 1000, INT64_MAX]),
            REAL: lambda: self.rng.choice([0.0, 0.5, 1.5, 2.0**53, 1e300]),
            TEXT: lambda: self.rng.choice(["", "a", "it's", "é"])}[kind]())

    def _condition(self, depth: int) -> Tree:
        rng = self.rng
        kind = rng.choice([INTEGER, REAL, TEXT] if any(k == TEXT for _, k in self.leaves) else [INTEGER, REAL])
        roll = rng.random()
        if depth > 0 and roll < 0.35:
            if rng.random() < 0.25:
                return ("not", self._condition(depth - 1))
            return (rng.choice(["AND", "OR"]), self._condition(depth - 1), self._condition(depth - 1))
        if roll < 0.5:
            return ("isnull", self._leaf(kind))
        if roll < 0.6:
            return ("between", self._leaf(kind), self._leaf(kind), self._leaf(kind))
        if roll < 0.7:
            return ("in", self._leaf(kind), self._leaf(kind), self._leaf(kind))
        return (rng.choice(list(_COMPARE)), self._leaf(kind), self._leaf(kind))

    def _lazy(self, kind: str) -> Tree:
        rng = self.rng
        roll = rng.random()
        if roll < 0.3:
            return ("case", self._condition(1), self._leaf(kind), self._leaf(kind))
        if roll < 0.5:
            return ("coalesce", self._leaf(kind), self._leaf(kind))
        if roll < 0.6:
            return ("nullif", self._leaf(kind), self._leaf(kind))
        return self._leaf(kind)

    def _value(self, kind: str, depth: int) -> Tree:
        rng = self.rng
        if depth == 0 or rng.random() < 0.2:
            return self._lazy(kind)
        if kind == TEXT:
            return ("||", self._value(TEXT, depth - 1), self._lazy(TEXT)) if rng.random() < 0.6 else (
                "upper", self._leaf(TEXT))
        roll = rng.random()
        if roll < 0.12:
            return (rng.choice(["abs", "neg"]), self._value(kind, depth - 1))
        if roll < 0.22:
            return (rng.choice(["min", "max"]), self._leaf(kind), self._leaf(kind))
        if kind == INTEGER and roll < 0.3:
            return ("%", self._value(INTEGER, depth - 1), self._leaf(INTEGER))
        if kind == INTEGER and roll < 0.35 and any(k == TEXT for _, k in self.leaves):
            return ("length", self._leaf(TEXT))
        other = kind if kind == INTEGER else rng.choice([INTEGER, REAL])
        return (rng.choice(["+", "-", "*", "/"]), self._value(kind, depth - 1), self._value(other, depth - 1))

    def tree(self, type_name: str) -> Tree:
        """An expression of the declared type that reads at least one field."""
        while True:
            tree = (self._condition(2) if type_name == "BOOL" else
                    self._value({"INT64": INTEGER, "DOUBLE": REAL, "STRING": TEXT}[type_name], 2))
            if any(a[0] == "field" for a in atoms(tree)):
                return tree
