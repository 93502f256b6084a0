# SPDX-License-Identifier: Apache-2.0
"""A brute-force oracle, written from docs/semantics.md alone and knowing nothing of the C++.

Facts are plain lists; every question walks all facts of the entity. Times are integer microseconds. Keys and event
keys are tuples of int and str: tuples compare as the encoded keys do (Python compares str by code point, which is the
order of UTF-8 bytes).
"""

from __future__ import annotations

import bisect
import dataclasses
from typing import Any, Callable, Iterable, Optional

from oracle import expressions, nearness, windows

PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, OUT_OF_RETENTION = 0, 1, 2, 3, 4
STATUS_NAMES = ("PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "OUT_OF_RETENTION")
ROW, TOMBSTONE, RETRACTION = 1, 2, 3
FORM_NAMES = ("", "row", "tombstone", "retraction")

Key = tuple
Cell = tuple  # (status, value or None, event timestamp or None)


@dataclasses.dataclass(frozen=True)
class Type:
    name: str  # "INT64", "FLOAT_VECTOR", …
    array: bool = False
    dimension: int = 0


@dataclasses.dataclass
class Field:
    name: str
    type: Type
    default: Any = None  # None: a field left out is null
    metric: Optional[str] = None  # FLOAT_VECTOR: "COSINE", "DOT" or "L2"


@dataclasses.dataclass
class View:
    name: str
    entity: str
    join_keys: list[tuple[str, str]]  # (name, "INT64" or "STRING")
    fields: list[Field]
    ttl: int = 0
    event_key: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    max_future_skew: Optional[int] = None
    version: int = 1

    def field(self, name: str) -> Field:
        return next(f for f in self.fields if f.name == name)

    def fields_by_metric(self) -> list[Field]:
        """The fields that can be searched."""
        return [f for f in self.fields if f.metric is not None]


@dataclasses.dataclass
class WindowView(View):
    """Windows over the events of `source`; `fields` are its aggregations' values."""
    source: str = ""
    aggregations: list[windows.Aggregation] = dataclasses.field(default_factory=list)

    def aggregation(self, name: str) -> windows.Aggregation:
        return next(a for a in self.aggregations if a.name == name)


@dataclasses.dataclass
class OnDemandView(View):
    """Expressions over views of one entity; `fields` are their values."""
    inputs: list[str] = dataclasses.field(default_factory=list)
    request: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    trees: dict[str, expressions.Tree] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Fact:
    event_time: int
    tombstone: bool  # the identity's kind: a tombstone's identity is never a row's
    event_key: tuple
    commit: int
    form: int
    values: dict[str, Any]

    @property
    def identity(self) -> tuple:
        return (self.event_time, self.tombstone, self.event_key)

    @property
    def order(self) -> tuple:
        return (self.event_time, self.commit, self.event_key)


def current_forms(facts: Iterable[Fact], known_at: int, until: Optional[int] = None) -> list[Fact]:
    """The current form at `known_at` of every identity that counts, oldest first; event times up to `until`."""
    newest: dict[tuple, Fact] = {}
    for fact in facts:
        if fact.commit > known_at or (until is not None and fact.event_time > until):
            continue
        held = newest.get(fact.identity)
        if held is None or held.commit < fact.commit:
            newest[fact.identity] = fact
    return sorted((f for f in newest.values() if f.form != RETRACTION), key=lambda f: f.order)


class Oracle:
    def __init__(self) -> None:
        self.views: dict[str, View] = {}
        self.facts: dict[str, dict[Key, list[Fact]]] = {}
        self.commits: list[tuple[int, int]] = []  # (commit_time, commit_seq), ascending

    def add_view(self, view: View) -> None:
        self.views[view.name] = view
        self.facts.setdefault(view.name, {})

    # What was acknowledged.
    def add_commit(self, seq: int, time: int) -> None:
        bisect.insort(self.commits, (time, seq))

    def add(self, view: str, key: Key, fact: Fact) -> None:
        self.facts[view].setdefault(key, []).append(fact)

    @property
    def newest(self) -> int:
        return max((seq for _, seq in self.commits), default=0)

    def commit_at(self, time: int) -> int:
        """The greatest commit with commit_time <= time; 0: none."""
        return max((seq for t, seq in self.commits if t <= time), default=0)

    def commit_time(self, seq: int) -> int:
        return next(t for t, s in self.commits if s == seq)

    # Reads.
    def visible(self, view: str, key: Key, as_of: int, known_at: int) -> Optional[Fact]:
        forms = current_forms(self.facts[view].get(key, ()), known_at, as_of)
        return forms[-1] if forms else None

    def cell(self, view: str, key: Key, field: str, as_of: int, known_at: int,
             context: Optional[dict[str, Any]] = None) -> Cell:
        """`context`: the row of the request's context, for on-demand views."""
        declared = self.views[view]
        if isinstance(declared, WindowView):
            return self._window(declared, key, declared.aggregation(field), as_of, known_at)
        if isinstance(declared, OnDemandView):
            return self._expression(declared, key, field, as_of, known_at, context or {})
        return self.cell_of(view, field, as_of, self.visible(view, key, as_of, known_at))

    def _window(self, view: WindowView, key: Key, asked: windows.Aggregation, as_of: int, known_at: int) -> Cell:
        forms = current_forms(self.facts[view.source].get(key, ()), known_at, as_of)
        deletions = [i for i, f in enumerate(forms) if f.form == TOMBSTONE]
        events = [f for f in forms[deletions[-1] + 1 if deletions else 0:] if f.event_time > as_of - asked.window]
        type_name = ""
        if asked.column:
            column = self.views[view.source].field(asked.column)
            type_name = column.type.name
            events = [f for f in events if f.values.get(asked.column, column.default) is not None]
            values = [f.values.get(asked.column, column.default) for f in events]
        else:
            values = [True for _ in events]
        value = windows.aggregate(asked, type_name, values)
        time = events[-1].event_time if events else None
        return (NULL_VALUE if value is None else PRESENT, value, time)

    def _expression(self, view: OnDemandView, key: Key, field: str, as_of: int, known_at: int,
                    context: dict[str, Any]) -> Cell:
        def value_of(atom: tuple) -> Any:
            if atom[0] == "request":
                return context[atom[1]]
            status, value, _ = self.cell(atom[1], key, atom[2], as_of, known_at)
            return value if status == PRESENT else None

        value = expressions.result(view.trees[field], view.field(field).type.name, value_of)
        return (NULL_VALUE if value is None else PRESENT, value, None)

    def cell_of(self, view: str, field: str, as_of: int, fact: Optional[Fact]) -> Cell:
        """The cell of `field` when `fact` is what is visible."""
        declared = self.views[view]
        if fact is None:
            return (NOT_FOUND, None, None)
        if fact.form == TOMBSTONE:
            return (NOT_FOUND, None, fact.event_time)
        if declared.ttl > 0 and as_of - fact.event_time > declared.ttl:
            return (OUTSIDE_MAX_AGE, None, fact.event_time)
        value = fact.values.get(field, declared.field(field).default)
        if value is None:
            return (NULL_VALUE, None, fact.event_time)
        return (PRESENT, value, fact.event_time)

    def merged(self, view: str, key: Key, event_time: int, event_key: tuple, given: dict[str, Any]) -> dict[str, Any]:
        """The full row that a partial update becomes, by what is known now."""
        declared = self.views[view]
        forms = current_forms(self.facts[view].get(key, ()), self.newest, event_time)
        same = [f for f in forms if f.identity == (event_time, False, event_key)]
        base = (same or forms or [None])[-1]
        row = base.values if base is not None and base.form == ROW else {}
        return {f.name: given[f.name] if f.name in given else row.get(f.name, f.default) for f in declared.fields}

    def history(self, view: str, known_at: int, key: Optional[Key] = None, start: Optional[int] = None,
                end: Optional[int] = None, last_k: int = 0, all_forms: bool = False) -> list[tuple[Key, Fact]]:
        """(entity key, fact) by entity key, then newest first."""
        out: list[tuple[Key, Fact]] = []
        for k in sorted(self.facts[view]):
            if key is not None and k != key:
                continue
            facts = self.facts[view][k]
            if all_forms:
                forms = sorted((f for f in facts if f.commit <= known_at), key=lambda f: f.order)
            else:
                forms = current_forms(facts, known_at)
            chosen = [f for f in reversed(forms)
                      if (start is None or f.event_time >= start) and (end is None or f.event_time <= end)]
            out += [(k, f) for f in (chosen[:last_k] if last_k else chosen)]
        return out

    # Search.
    def vector(self, view: str, key: Key, field: str, as_of: int, known_at: int) -> Optional[tuple[list, int]]:
        """(vector, event time) when it is visible."""
        status, value, time = self.cell(view, key, field, as_of, known_at)
        return (value, time) if status == PRESENT else None

    def search(self, view: str, field: str, query: list, as_of: int, known_at: int, top_k: Optional[int] = None,
               condition: Optional["Condition"] = None, leave_out: Optional[Key] = None) -> list[tuple[Key, float, int]]:
        """(key, score, event time of the vector), best first, ties by entity key. top_k None: all."""
        metric = self.views[view].field(field).metric
        assert metric is not None
        hits = []
        for key in self.facts[view]:
            if key == leave_out:
                continue
            found = self.vector(view, key, field, as_of, known_at)
            if found is None or (condition is not None and self.truth(condition, key, as_of, known_at) is not True):
                continue
            hits.append((key, nearness.score(metric, query, found[0]), found[1]))
        sign = 1 if metric == "L2" else -1
        hits.sort(key=lambda hit: (sign * hit[1], hit[0]))
        return hits if top_k is None else hits[:top_k]

    def truth(self, condition: "Condition", key: Key, as_of: int, known_at: int) -> Optional[bool]:
        """True, False or None (unknown), as in SQL."""

        def value_of(ref: str) -> Any:
            view, field = ref.split(":")
            status, value, _ = self.cell(view, key, field, as_of, known_at)
            return value if status == PRESENT else None

        return evaluate(condition, value_of)


# ("and", [c…]) ("or", [c…]) ("not", c) ("compare", ref, op, value) ("in", ref, [value…]) ("between", ref, low, high)
# ("is_null", ref)
Condition = tuple

_OPS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda a, b: a == b, "NE": lambda a, b: a != b, "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b, "GT": lambda a, b: a > b, "GE": lambda a, b: a >= b,
    "PREFIX": lambda a, b: a.startswith(b), "CONTAINS": lambda a, b: b in a}  # UTF-8 tells the same, byte by byte


def _and(truths: list[Optional[bool]]) -> Optional[bool]:
    return False if False in truths else None if None in truths else True


def _not(truth: Optional[bool]) -> Optional[bool]:
    return None if truth is None else not truth


def evaluate(condition: Condition, value_of: Callable[[str], Any]) -> Optional[bool]:
    kind = condition[0]
    if kind == "and":
        return _and([evaluate(c, value_of) for c in condition[1]])
    if kind == "or":
        return _not(_and([_not(evaluate(c, value_of)) for c in condition[1]]))
    if kind == "not":
        return _not(evaluate(condition[1], value_of))
    value = value_of(condition[1])
    if kind == "is_null":
        return value is None
    if value is None:
        return None
    if kind == "compare":
        return _OPS[condition[2]](value, condition[3])
    if kind == "in":
        return any(value == v for v in condition[2])
    if kind == "between":
        return condition[2] <= value <= condition[3]
    raise AssertionError(f"no such condition: {condition}")
