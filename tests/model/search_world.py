# SPDX-License-Identifier: Apache-2.0
"""A random project for searches: more entities than World has, vectors that tie, lie close or far apart, fields with
and without an index, and what may happen to index files while the daemon is down."""

from __future__ import annotations

import pathlib
import random
from typing import Any

from model.questions import Questions
from model.world import SECOND, World, now
from oracle.nearness import float32
from oracle.oracle import Field, Key, Oracle, Type, View
from support import spec

_FILTERED = ["BOOL", "INT32", "INT64", "FLOAT", "DOUBLE", "STRING", "TIMESTAMP", "BYTES"]
_WORDS = ["", "a", "ab", "abc", "b", "ba", "é", "éa", "a\0", "a\0b", "ab\U0001f600", "zz"]


class SearchWorld(World):
    def __init__(self, rng: random.Random, project: str, commits: list[tuple[int, int]]) -> None:
        self.rng = rng
        self.project = project
        self.oracle = Oracle()
        self.oracle.commits = commits
        self.first_commit = len(commits)
        self.services: dict[str, list[str]] = {}
        self.instants = self._instants()
        self.scale = rng.choice([1.0, 1.0, 1.0, 1e-30, 1e30])  # sums of squares beyond a float's range, both ways
        self.dimensions = rng.sample(range(1, 49), 8)
        self.with_zero: set[int] = set()  # the dimensions whose vectors may be zero: those not of COSINE
        self.entities = {"item": [("item", rng.choice(["INT64", "STRING"]))],
                         "chunk": [("document", rng.choice(["STRING", "INT64"])), ("number", "INT64")]}
        self._keys = {entity: self._pool(entity) for entity in self.entities}
        for entity in self.entities:
            self._views(entity)
        self.indexed: set[tuple[str, str]] = set()
        self.parameters: dict[tuple[str, str], dict[str, Any]] = {}
        self.change_indexes()

    def _pool(self, entity: str) -> list[Key]:
        rng = self.rng
        count = rng.choice([2, 12, 40, 150])
        if entity == "item":
            kind = self.entities[entity][0][1]
            return [(i - 5 if kind == "INT64" else f"item {i}" + "\0" * (i % 3),) for i in range(count)]
        documents = [d if self.entities[entity][0][1] == "INT64" else f"{d}" for d in range(max(1, count // 8))]
        return [(rng.choice(documents), i) for i in range(count)]

    def _views(self, entity: str) -> None:
        """One with two vectors and scalars, one of scalars alone, sometimes one with a vector and events."""
        rng = self.rng
        for i, vectors in enumerate([2, 0] + rng.choice([[], [1]])):
            name = f"{entity}_{i}"
            fields = [Field(f"{name}_f{j}", Type(rng.choice(_FILTERED))) for j in range(rng.randrange(1, 5))]
            for field in fields:
                field.default = self.value(field.type) if rng.random() < 0.3 else None
            fields += [self._vector_field(f"{name}_p{j}") for j in range(vectors)]
            event_key = [("k", "INT64")] if vectors == 1 and rng.random() < 0.5 else []
            ttl = rng.choice([0, 0, 0, 1, 7 * SECOND, 61 * SECOND, 6000 * SECOND])
            self.oracle.add_view(View(name, entity, self.entities[entity], fields, ttl, event_key,
                                      rng.choice([None, SECOND, 3 * SECOND])))

    def _vector_field(self, name: str) -> Field:
        metric, dimension = self.rng.choice(["COSINE", "DOT", "L2"]), self.dimensions.pop()
        if metric != "COSINE":
            self.with_zero.add(dimension)
        return Field(name, Type("FLOAT_VECTOR", dimension=dimension), metric=metric)

    def change_indexes(self) -> None:
        """What may be changed at any time and must change no answer: applied with objects()."""
        rng = self.rng
        self.parameters = {}
        for view in self.oracle.views.values():
            for field in view.fields:
                at = (view.name, field.name)
                self.indexed.discard(at)
                if field.metric is not None:
                    self.parameters[at] = {"m": rng.choice([0, 4, 16, 64]), "ef_construction": rng.choice([0, 64, 200]),
                                           "target_recall": rng.choice([0, 0.5, 0.95, 0.999])}
                elif field.type.name != "BYTES" and rng.random() < 0.5:
                    self.indexed.add(at)

    def objects(self) -> list:
        out = [spec.entity_object(n, k) for n, k in self.entities.items()]
        for view in self.oracle.views.values():
            made = spec.view_object(view)
            for field in made.feature_view.fields:
                field.indexed = (view.name, field.name) in self.indexed
                for name, value in self.parameters.get((view.name, field.name), {}).items():
                    setattr(field.index, name, value)
            out.append(made)
        return out

    def key(self, entity: str) -> Key:
        return self.rng.choice(self._keys[entity])

    def value(self, type_: Type, vector_zero: bool = False) -> Any:
        rng = self.rng
        if type_.name == "FLOAT_VECTOR":
            return self._vector(type_.dimension)
        return {
            "BOOL": lambda: rng.random() < 0.5,
            "INT32": lambda: rng.choice([0, 1, 2, 3, -5, (1 << 31) - 1, -(1 << 31)]),
            "INT64": lambda: rng.choice([0, 1, 2, 3, -5, (1 << 63) - 1, -(1 << 63), 1 << 53, (1 << 53) + 1]),
            "FLOAT": lambda: rng.choice([0.0, -0.0, 1.5, float("inf"), float("nan"), float32(rng.random())]),
            "DOUBLE": lambda: rng.choice([0.0, -0.0, 1.5, -float("inf"), float("nan"), 2.0**53, rng.random()]),
            "STRING": lambda: rng.choice(_WORDS),
            "BYTES": lambda: rng.choice([b"", b"\0\xff", b"a"]),
            "TIMESTAMP": lambda: rng.choice([0, -1, now(), *self.instants[:3]]),
        }[type_.name]()

    def _vector(self, dimension: int) -> tuple:
        """Of few values, so that scores tie; or around one of three middles; or of sums that show the order in which
        they were added; or anywhere."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            vector = [float(rng.randrange(-1, 2)) for _ in range(dimension)]
        elif roll < 0.7:
            middle = rng.randrange(3)
            vector = [(i + middle) % 3 - 1 + rng.uniform(-0.01, 0.01) for i in range(dimension)]
        elif roll < 0.85:
            large = 2.0**40 if self.scale <= 1 else 2.0**20
            vector = [rng.choice([large, -large, rng.uniform(-1, 1)]) for _ in range(dimension)]
        else:
            vector = [rng.gauss(0, 1) for _ in range(dimension)]
        if not any(vector) and dimension not in self.with_zero:
            vector[0] = 1.0
        return tuple(float32(x * self.scale) for x in vector)


class Searches(Questions):
    """Searches alone, and quicker."""

    def step(self) -> None:
        self.search()

    def _cell(self, view: View, key: Key, field: str, as_of: int, known_at: int, context: dict, visible: dict) -> tuple:
        at = (view.entity, as_of, known_at)
        if at not in visible:
            visible[at] = self.snapshot(*at)
        return visible[at].cell(view.name, key, field)


def damage(data_dir: pathlib.Path, rng: random.Random) -> int:
    """Flips a bit in, cuts off, empties or deletes some of the index files of a daemon that is down. Returns how many."""
    damaged = 0
    for path in sorted(p for p in (data_dir / "index").rglob("*") if p.is_file()):
        if rng.random() < 0.3:
            continue
        held = bytearray(path.read_bytes())
        kind = rng.choice(["bit", "bit", "bits", "cut", "longer", "empty", "gone"])
        if kind == "gone":
            path.unlink()
        elif kind in ("bit", "bits") and held:
            for _ in range(1 if kind == "bit" else 100):
                held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
        elif kind == "longer":
            held += rng.randbytes(100)
        else:
            del held[rng.randrange(len(held)) if kind == "cut" and held else 0:]
        if kind != "gone":
            path.write_bytes(held)
        damaged += 1
    return damaged
