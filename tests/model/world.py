# SPDX-License-Identifier: Apache-2.0
"""A random project: its schema, the instants and values its history is made of, and the oracle that knows it."""

from __future__ import annotations

import copy
import itertools
import random
import time
from typing import Any, Optional

from oracle import expressions, windows
from oracle.nearness import float32
from oracle.oracle import Field, Key, OnDemandView, Oracle, Type, View, WindowView
from support import spec

SECOND = 1_000_000
MIN_TIME, MAX_TIME = -62_135_596_800_000_000, 253_402_300_799_999_999
SCALARS = ["BOOL", "INT32", "INT64", "FLOAT", "DOUBLE", "STRING", "BYTES", "TIMESTAMP", "JSON"]
# Keys whose parts, written one after the other, look alike.
KEY_POOLS: dict[tuple, list] = {
    ("INT64",): [(0,), (-1,), (1,), (1 << 62,), (-(1 << 63),), (7,), (12,), (256,)],
    ("STRING",): [("a",), ("ab",), ("a\0",), ("a\0b",), ("é",), ("\U0001f600",), ("\uffff",), ("z" * 300,)],
    ("INT64", "INT64"): [(1, 23), (12, 3), (123, 0), (1, -23), (-1, 23), (0, 0), (23, 1)],
    ("STRING", "STRING"): [("a", "bc"), ("ab", "c"), ("a\0", "bc"), ("a", "\0bc"), ("abc", "d"), ("1", "23"), ("12", "3")],
    ("STRING", "INT64"): [("1", 23), ("12", 3), ("a", 1), ("a\0", 1), ("a\0\0", 1), ("a", 256)],
    ("INT64", "STRING"): [(1, "23"), (12, "3"), (1, "\0"), (256, "a"), (1, "2")],
}


def now() -> int:
    return time.time_ns() // 1000


class World:
    def __init__(self, rng: random.Random, project: str, commits: list[tuple[int, int]]) -> None:
        """`commits` are those of the daemon's other projects so far: commits are the daemon's, not a project's."""
        self.rng = rng
        self.project = project
        self.oracle = Oracle()
        self.oracle.commits = commits
        self.first_commit = len(commits)
        self.entities: dict[str, list[tuple[str, str]]] = {}
        # What each reads: refs, and the views they meant when it was applied.
        self.services: dict[str, tuple[list[str], dict[str, View]]] = {}
        self.instants = self._instants()
        for i in range(rng.randrange(2, 4)):
            shape = rng.choice(list(KEY_POOLS))
            self.entities[f"e{i}"] = [(f"e{i}_k{j}", t) for j, t in enumerate(shape)]
        for i in range(rng.randrange(3, 6)):
            self.oracle.add_view(self._view(i, rng.choice(sorted(self.entities))))
        for i in range(rng.randrange(0, 3)):
            self.oracle.add_view(self._window_view(i))
        for i in range(rng.randrange(0, 3)):
            self._add_on_demand(i)

    def _instants(self) -> list[int]:
        """Few instants, so that ties, corrections and both boundaries of ttl happen all the time."""
        base = now() - self.rng.choice([60, 5000]) * SECOND - self.rng.randrange(SECOND)
        steps = [self.rng.choice([1, 2, SECOND, 7 * SECOND]) for _ in range(self.rng.randrange(4, 12))]
        out = list(itertools.accumulate(steps, initial=base))
        if self.rng.random() < 0.2:
            out += [MIN_TIME, -1, 0]
        return out

    def _view(self, number: int, entity: str) -> View:
        rng = self.rng
        name = f"v{number}"
        fields = [self._field(f"{name}_f{i}") for i in range(rng.randrange(1, 5))]
        if number == 0 or rng.random() < 0.4:
            fields.append(Field("p", Type("FLOAT_VECTOR", dimension=rng.choice([1, 3, 8, 9, 17])),
                                metric=rng.choice(["COSINE", "DOT", "L2"])))
        event_key = rng.choice([[], [], [("k", "STRING")], [("k", "INT64"), ("l", "STRING")]])
        ttl = rng.choice([0, 0, 1, SECOND, 7 * SECOND, 8 * SECOND + 1, 61 * SECOND, 6000 * SECOND])
        return View(name, entity, self.entities[entity], fields, ttl, event_key,
                    rng.choice([None, 0, SECOND, 3 * SECOND]))

    def _field(self, name: str) -> Field:
        type_ = Type(self.rng.choice(SCALARS))
        if type_.name != "JSON" and self.rng.random() < 0.2:
            type_ = Type(type_.name, array=True)
        return Field(name, type_, self.value(type_) if self.rng.random() < 0.3 else None)

    def _window_view(self, number: int) -> View:
        rng = self.rng
        source = self.view()
        name, aggregations, fields = f"w{number}", [], []
        for i in range(rng.randrange(1, 7)):
            field = rng.choice(source.fields)
            function = rng.choice(windows.functions_of(field.type.name, field.type.array))
            counts_events = function == "COUNT" and rng.random() < 0.5
            aggregations.append(windows.Aggregation(
                f"{name}_f{i}", "" if counts_events else field.name, function,
                rng.choice([1, 2, SECOND, 7 * SECOND, 9 * SECOND, 3600 * SECOND, 3660 * 86_400 * SECOND]),
                rng.choice([1, 2, 5]) if function in ("LAST_K", "TOP_K") else 0,
                rng.choice([0.01, 0.25, 0.5, 0.99]) if function == "APPROX_PERCENTILE" else 0.0))
            type_name, array = windows.output(function, field.type.name)
            fields.append(Field(f"{name}_f{i}", Type(type_name, array)))
        return WindowView(name, source.entity, source.join_keys, fields, source=source.name, aggregations=aggregations)

    def _add_on_demand(self, number: int) -> None:
        """Reads what is compared bit for bit only: a value near the right one can lie on either side of a border."""
        rng = self.rng
        entity = rng.choice(sorted(self.entities))
        inputs = [v for v in self.oracle.views.values() if v.entity == entity and not isinstance(v, OnDemandView)]
        leaves = []
        for view in inputs:
            for field in view.fields:
                kind = expressions.KIND_OF.get(field.type.name)
                exact = not isinstance(view, WindowView) or kind != expressions.REAL
                if kind and exact and not field.type.array:
                    leaves.append((("field", view.name, field.name), kind))
        if not leaves:
            return
        name = f"d{number}"
        request = [(f"{name}_r{i}", rng.choice(["INT64", "DOUBLE", "STRING", "BOOL"]))
                   for i in range(rng.randrange(0, 3))]
        leaves += [(("request", n), expressions.KIND_OF[t]) for n, t in request]
        maker = expressions.Maker(rng, leaves)
        fields, trees = [], {}
        kinds = {k for a, k in leaves if a[0] == "field"}
        types = ["BOOL"] + [t for t in ("INT64", "DOUBLE", "STRING") if expressions.KIND_OF[t] in kinds]
        for i in range(rng.randrange(1, 5)):
            fields.append(Field(f"{name}_f{i}", Type(rng.choice(types))))
            trees[fields[-1].name] = maker.tree(fields[-1].type.name)
        used = {a[1] for tree in trees.values() for a in expressions.atoms(tree) if a[0] == "field"}
        self.oracle.add_view(OnDemandView(name, entity, self.entities[entity], fields,
                                          inputs=[v.name for v in inputs if v.name in used or rng.random() < 0.5],
                                          request=request, trees=trees))

    def context_names(self, view: View, fields: set[str]) -> dict[str, str]:
        """The columns of the request's context that these fields of the view need, with their types."""
        if not isinstance(view, OnDemandView):
            return {}
        used = {a[1] for f in fields for a in expressions.atoms(view.trees[f]) if a[0] == "request"}
        return {n: t for n, t in view.request if n in used}

    def objects(self) -> list:
        rng = self.rng
        out = [spec.entity_object(n, k) for n, k in self.entities.items()]
        out += [spec.view_object(v) for v in self.oracle.views.values()]
        for i in range(2):
            refs = self.refs()
            self.services[f"s{i}"] = refs, dict(self.oracle.views)
            out.append(spec.service_object(f"s{i}", refs))
        rng.shuffle(out)
        return out

    def add_field(self) -> Any:
        """A compatible change: a view gains a nullable or defaulted field. Returns the object to apply."""
        view = self._newest_view()
        view.fields.append(self._field(f"{view.name}_g{len(view.fields)}"))
        return spec.view_object(view)

    def break_view(self) -> Any:
        """A breaking change: the view's next version starts empty, the one before goes by view@vN; what was applied
        over that stays with it. Returns the object to apply."""
        oracle, old = self.oracle, self._newest_view()
        new = copy.deepcopy(old)
        new.version += 1
        new.ttl = self.rng.choice([t for t in (0, SECOND, 61 * SECOND) if t != old.ttl])
        if len(new.fields) > 1 and self.rng.random() < 0.5:
            del new.fields[self.rng.randrange(len(new.fields))]
        name = old.name
        old.name = f"{name}@v{old.version}"
        oracle.views[old.name] = oracle.views.pop(name)
        oracle.facts[old.name] = oracle.facts.pop(name)
        oracle.add_view(new)
        for view in oracle.views.values():
            if isinstance(view, WindowView) and view.source == name:
                view.source = old.name
            if isinstance(view, OnDemandView):
                view.inputs = [old.name if i == name else i for i in view.inputs]
                view.trees = {f: expressions.renamed(tree, name, old.name) for f, tree in view.trees.items()}
        return spec.view_object(new)

    def _newest_view(self) -> View:
        return self.rng.choice([v for v in self.oracle.views.values() if type(v) is View and "@" not in v.name])

    def commits(self) -> list[tuple[int, int]]:
        """(time, number) of the last commit before this project's, and of its own."""
        return self.oracle.commits[max(0, self.first_commit - 1):]

    # Random picks.
    def view(self, entity: Optional[str] = None) -> View:
        """One that takes writes."""
        return self.rng.choice([v for v in self.oracle.views.values()
                                if entity in (None, v.entity) and type(v) is View])

    def refs(self) -> list[str]:
        every = [f"{v.name}:{f.name}" for v in self.oracle.views.values() for f in v.fields]
        return self.rng.sample(every, self.rng.randrange(1, min(len(every), 8) + 1))

    def key(self, entity: str) -> Key:
        return self.rng.choice(KEY_POOLS[tuple(t for _, t in self.entities[entity])])

    def event_key(self, view: View) -> tuple:
        return tuple(self.rng.choice([-3, 0, 5]) if t == "INT64" else self.rng.choice(["x", "x\0", "y"])
                     for _, t in view.event_key)

    def event_time(self, view: View) -> int:
        """Mostly of the pool; sometimes now, sometimes in the future within the skew (less what a call may take)."""
        roll = self.rng.random()
        if roll < 0.75:
            return self.rng.choice(self.instants)
        skew = 300 * SECOND if view.max_future_skew is None else view.max_future_skew
        if roll < 0.85 or skew == 0:
            return now() - self.rng.randrange(2 * SECOND)
        return now() + self.rng.randrange(min(skew, 5 * SECOND))

    def as_of(self, until: Optional[int]) -> int:
        """An instant at, one before or one after a boundary; not after `until`."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.55:
            t = rng.choice(self.instants) + rng.choice([0, 0, 0, -1, 1])
            lengths = [v.ttl for v in self.oracle.views.values()] + [
                a.window for v in self.oracle.views.values() if isinstance(v, WindowView) for a in v.aggregations]
            t += rng.choice(lengths) * rng.choice([0, 0, 1])
        elif roll < 0.8 and self.commits():
            t = rng.choice(self.commits())[0] + rng.choice([0, -1, 1, rng.randrange(-SECOND, SECOND)])
        else:
            facts = rng.choice(list(self.oracle.facts[self.view().name].values()) or [[]])
            t = rng.choice(facts).event_time + rng.choice([0, -1, 1]) if facts else now()
        t = max(MIN_TIME, min(t, MAX_TIME))
        return t if until is None else min(t, until)

    def value(self, type_: Type, vector_zero: bool = False) -> Any:
        rng = self.rng
        if type_.array:
            return tuple(self.value(Type(type_.name)) for _ in range(rng.randrange(4)))
        if type_.name == "FLOAT_VECTOR":
            vector = tuple(float(rng.randrange(-2, 3)) if rng.random() < 0.7 else float32(rng.uniform(-1, 1))
                           for _ in range(type_.dimension))
            return vector if any(vector) else (1.0,) * type_.dimension
        return {
            "BOOL": lambda: rng.random() < 0.5,
            "INT32": lambda: rng.choice([0, 1, -5, (1 << 31) - 1, -(1 << 31)]),
            "INT64": lambda: rng.choice([0, 1, -5, (1 << 63) - 1, -(1 << 63), 1 << 53, (1 << 53) + 1]),
            "FLOAT": lambda: rng.choice([0.0, -0.0, 1.5, float("inf"), float("nan"), float32(rng.random())]),
            "DOUBLE": lambda: rng.choice([0.0, -0.0, 1.5, -float("inf"), float("nan"), 2.0**53, rng.random()]),
            "STRING": lambda: rng.choice(["", "a", "é\0", "long " * 30, str(rng.random())]),
            "BYTES": lambda: rng.choice([b"", b"\0\xff", rng.randbytes(5)]),
            "TIMESTAMP": lambda: rng.choice([0, -1, MIN_TIME, MAX_TIME, now()]),
            "JSON": lambda: rng.choice(["null", "{}", '{"a": [1, 2.5, "x"]}', "3"]),
        }[type_.name]()

    # Key columns.
    def key_columns(self, columns: Any, entity: str, keys: list[Key], names: Optional[list[str]] = None) -> None:
        from support import wire
        for i, (name, type_) in enumerate(self.entities[entity]):
            wire.fill(columns[names[i] if names else name], type_, [k[i] for k in keys])
