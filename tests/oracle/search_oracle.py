# SPDX-License-Identifier: Apache-2.0
"""Searches of whole histories in numpy: what Oracle.search answers, quickly enough for 100,000 of them, and groups.

oracle_test.py holds it against Oracle.search, which walks facts one by one.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from oracle.oracle import NOT_FOUND, PRESENT, RETRACTION, ROW, Cell, Condition, Fact, Key, Oracle, View, evaluate

Hit = tuple[Key, float, int]  # (key, score, event time of the vector)


def lane_sums(terms: np.ndarray) -> np.ndarray:
    """Of each row, in the order of nearness.lane_sum. Zeros fill up the last lanes: they change no sum from 0.0 on."""
    rows, width = terms.shape
    padded = np.zeros((rows, -(-width // 8) * 8))
    padded[:, :width] = terms
    lanes = np.zeros((rows, 8))
    for begin in range(0, padded.shape[1], 8):
        lanes += padded[:, begin:begin + 8]
    l0, l1, l2, l3, l4, l5, l6, l7 = lanes.T
    return ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7))


def scores(metric: str, query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """float32 scores of a float64 query with each row of float64 vectors."""
    with np.errstate(over="ignore"):  # a score beyond a float's range is infinite
        if metric == "L2":
            difference = query[None, :] - vectors
            return np.sqrt(lane_sums(difference * difference)).astype(np.float32)
        dots = lane_sums(query[None, :] * vectors)
        if metric == "DOT":
            return dots.astype(np.float32)
        own = np.sqrt(lane_sums((query * query)[None, :]))[0]
        return (dots / (own * np.sqrt(lane_sums(vectors * vectors)))).astype(np.float32)


def nearest_first(metric: str, of: np.ndarray) -> np.ndarray:
    """Positions by nearness; equal scores in the order they stand in."""
    return np.argsort(of if metric == "L2" else -of, kind="stable")


def best_of_groups(hits: list[Hit], group_of: Callable[[Key], Any], size: int, top_k: int) -> list[Hit]:
    """In order of nearness, a hit is kept when fewer than `size` kept ones share its group."""
    kept: list[Hit] = []
    members: dict[Any, int] = {}
    for hit in hits:
        if len(kept) == top_k:
            break
        group = group_of(hit[0])
        if members.get(group, 0) < size:
            members[group] = members.get(group, 0) + 1
            kept.append(hit)
    return kept


class Facts:
    """The facts of a view as columns: what is visible at (T, K) is a few passes over arrays."""

    def __init__(self, view: View, by_key: dict[Key, list[Fact]], places: dict[Key, int]) -> None:
        self.view = view
        self.entities = len(places)
        identities: dict[tuple, int] = {}
        flat = []
        for key, facts in by_key.items():
            for fact in facts:
                identity = identities.setdefault((key, fact.identity), len(identities))
                flat.append((identity, fact.commit, places[key], fact))
        flat.sort(key=lambda line: line[:2])
        self.facts = [line[3] for line in flat]
        self.identity = np.array([line[0] for line in flat], dtype=np.int64)
        self.commit = np.array([line[1] for line in flat], dtype=np.int64)
        self.place = np.array([line[2] for line in flat], dtype=np.int64)
        self.time = np.array([f.event_time for f in self.facts], dtype=np.int64)
        self.form = np.array([f.form for f in self.facts], dtype=np.int64)
        by_order = sorted(range(len(flat)), key=lambda i: self.facts[i].order)
        self.rank = np.empty(len(flat), dtype=np.int64)
        self.rank[by_order] = np.arange(len(flat))
        self._vectors: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def visible(self, as_of: int, known_at: int) -> np.ndarray:
        """Of each entity, the position of its visible fact; -1: none."""
        out = np.full(self.entities, -1, dtype=np.int64)
        known = np.nonzero((self.commit <= known_at) & (self.time <= as_of))[0]
        if not known.size:
            return out
        last = np.append(self.identity[known[1:]] != self.identity[known[:-1]], True)
        current = known[last]
        current = current[self.form[current] != RETRACTION]
        current = current[np.argsort(self.rank[current])]
        out[self.place[current]] = current  # of several, the last
        return out

    def vectors(self, field: str) -> tuple[np.ndarray, np.ndarray]:
        """(is there one, the vectors in double) by position."""
        if field not in self._vectors:
            width = self.view.field(field).type.dimension
            values = [f.values.get(field) if f.form == ROW else None for f in self.facts]
            there = np.array([v is not None for v in values], dtype=bool)
            dense = np.array([(0.0,) * width if v is None else v for v in values], dtype=np.float64)
            self._vectors[field] = (there, dense.reshape(len(values), width))
        return self._vectors[field]


class SearchOracle:
    """Of one entity, as its history is now: made anew when facts were added."""

    def __init__(self, oracle: Oracle, entity: str) -> None:
        self.oracle = oracle
        self.views = [v for v in oracle.views.values() if v.entity == entity and type(v) is View]
        self.keys: list[Key] = sorted({k for v in self.views for k in oracle.facts[v.name]})
        self.places = {key: i for i, key in enumerate(self.keys)}
        self.facts = {v.name: Facts(v, oracle.facts[v.name], self.places) for v in self.views}

    def at(self, as_of: int, known_at: int) -> "Snapshot":
        return Snapshot(self, as_of, known_at)


class Snapshot:
    """What is visible of an entity's views at one (T, K)."""

    def __init__(self, history: SearchOracle, as_of: int, known_at: int) -> None:
        self.history = history
        self.as_of = as_of
        self.known_at = known_at
        self._visible: dict[str, np.ndarray] = {}

    def visible(self, view: str) -> np.ndarray:
        if view not in self._visible:
            self._visible[view] = self.history.facts[view].visible(self.as_of, self.known_at)
        return self._visible[view]

    def cell(self, view: str, key: Key, field: str) -> Cell:
        place = self.history.places.get(key)
        if place is None:
            return (NOT_FOUND, None, None)
        found = self.visible(view)[place]
        return self.history.oracle.cell_of(view, field, self.as_of,
                                           self.history.facts[view].facts[found] if found >= 0 else None)

    def value(self, ref: str, key: Key) -> Any:
        """None: null, missing or expired."""
        view, field = ref.split(":")
        status, value, _ = self.cell(view, key, field)
        return value if status == PRESENT else None

    def vector(self, view: str, field: str, key: Key) -> Optional[tuple]:
        return self.value(f"{view}:{field}", key)

    def search(self, view: str, field: str, query: tuple, condition: Optional[Condition] = None,
               leave_out: Optional[Key] = None, threshold: Optional[float] = None) -> list[Hit]:
        """All hits, best first, ties by entity key."""
        facts = self.history.facts[view]
        metric, ttl = facts.view.field(field).metric, facts.view.ttl
        assert metric is not None
        there, vectors = facts.vectors(field)
        visible = self.visible(view)
        places = np.nonzero(visible >= 0)[0]
        places = places[there[visible[places]]]
        if ttl:
            places = places[self.as_of - facts.time[visible[places]] <= ttl]
        if leave_out is not None and leave_out in self.history.places:
            places = places[places != self.history.places[leave_out]]
        if not places.size:
            return []
        found = scores(metric, np.array(query, dtype=np.float64), vectors[visible[places]])
        if threshold is not None:
            near = found <= np.float32(threshold) if metric == "L2" else found >= np.float32(threshold)
            places, found = places[near], found[near]
        order = nearest_first(metric, found)
        places, found = places[order], found[order]
        times = facts.time[visible[places]]
        hits = zip(places.tolist(), found.tolist(), times.tolist())
        keys = self.history.keys
        return [(keys[p], s, t) for p, s, t in hits if condition is None or self._passes(condition, keys[p])]

    def _passes(self, condition: Condition, key: Key) -> bool:
        return evaluate(condition, lambda ref: self.value(ref, key)) is True
