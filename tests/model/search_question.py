# SPDX-License-Identifier: Apache-2.0
"""Random searches: exact ones equal the oracle's whole; of others every hit's score, and what may be found."""

from __future__ import annotations

from typing import Any, Optional

import grpc

from model.world import now
from oracle.oracle import Key, View
from support import wire
from support.spec import condition_filter

_COMPARABLE = {"BOOL", "INT32", "INT64", "FLOAT", "DOUBLE", "STRING", "BYTES"}


def _literal(rng: Any, world: Any, type_: Any) -> Any:
    while True:
        value = world.value(type_)
        if value == value:  # a literal may not be NaN
            return value


def condition(questions: Any, entity: str, depth: int = 0) -> tuple:
    """A random filter over all views of the entity."""
    world, rng = questions.world, questions.world.rng
    if depth < 3 and rng.random() < 0.4:
        kind = rng.choice(["and", "or", "not"])
        if kind == "not":
            return ("not", condition(questions, entity, depth + 1))
        return (kind, [condition(questions, entity, depth + 1) for _ in range(rng.randrange(1, 4))])
    view = world.view(entity)
    field = rng.choice(view.fields)
    ref = f"{view.name}:{field.name}"
    if rng.random() < 0.2 or field.type.array or field.type.name not in _COMPARABLE:
        return ("is_null", ref)
    kind = rng.choice(["compare", "compare", "in", "between"])
    if kind == "in":
        return ("in", ref, [_literal(rng, world, field.type) for _ in range(rng.randrange(1, 4))])
    if field.type.name == "BOOL" and kind == "between":
        kind = "compare"
    if kind == "between":
        low, high = sorted([_literal(rng, world, field.type) for _ in range(2)])
        return ("between", ref, low, high)
    ops = ["EQ", "NE"] if field.type.name == "BOOL" else ["EQ", "NE", "LT", "LE", "GT", "GE"]
    return ("compare", ref, rng.choice(ops), _literal(rng, world, field.type))


class Ask:
    def __init__(self, questions: Any) -> None:
        self.q = questions
        world, rng = questions.world, questions.world.rng
        self.view: View = rng.choice([v for v in questions.oracle.views.values() if v.fields_by_metric()])
        self.field = rng.choice(self.view.fields_by_metric())
        self.exact = rng.random() < 0.8
        self.request = wire.vector.SearchRequest(
            project=world.project, index=f"{self.view.name}:{self.field.name}", top_k=rng.choice([1, 2, 5, 100]),
            include_event_timestamps=True, explain=rng.random() < 0.2)
        self.request.params.exact = self.exact
        self.key: Optional[Key] = None
        self.condition: Optional[tuple] = None

    def fill(self) -> None:
        world, rng, request = self.q.world, self.q.world.rng, self.request
        if rng.random() < 0.5:
            request.vector.extend(world.value(self.field.type))
        else:
            self.key = world.key(self.view.entity)
            world.key_columns(request.entity_key, self.view.entity, [self.key])
            request.include_self = rng.random() < 0.5
        if rng.random() < 0.5:
            self.condition = condition(self.q, self.view.entity)
            request.filter.CopyFrom(condition_filter(self.condition))
        self.as_of = self.known_at = None
        if rng.random() < 0.6:
            self.as_of = world.as_of(now())
            request.as_of.micros.append(self.as_of)
        if rng.random() < 0.5:
            moment, self.known_at = self.q._known_at()
            request.known_at.CopyFrom(moment)
        self.cells, self.context = [], {}
        if rng.random() < 0.6:
            self.hydrate()

    def hydrate(self) -> None:
        from model.questions import Role
        views = [v for v in self.q.oracle.views.values() if v.entity == self.view.entity]
        self.cells = [(Role(v), f.name) for v in views for f in v.fields[:2]]
        self.request.features.extend(f"{role.name}:{f}" for role, f in self.cells)
        self.context = self.q._context(self.request.request_context, self.cells, 1)[0]

    def run(self) -> None:
        before = now()
        try:
            answer = self.q.stubs.vector.Search(self.request, timeout=30)
        except grpc.RpcError as error:
            return self.refused(error, before)
        known_at = self.q.oracle.newest if self.known_at is None else self.known_at
        self.q._same("search read_seq", known_at, answer.read_seq)
        self.q._same("search as_of", self.as_of, answer.as_of_micros, self.as_of is None)
        self.check(answer, answer.as_of_micros, known_at)

    def refused(self, error: Any, before: int) -> None:
        """Right only when the entity asked by has no visible vector."""
        if self.key is not None and error.code() == grpc.StatusCode.NOT_FOUND:
            known_at = self.q.oracle.newest if self.known_at is None else self.known_at
            for as_of in ([self.as_of] if self.as_of is not None else [before, now()]):
                if self.q.oracle.vector(self.view.name, self.key, self.field.name, as_of, known_at) is None:
                    self.q.asked += 1
                    return
        self.q._fail("search", self.request, error)

    def check(self, answer: Any, as_of: int, known_at: int) -> None:
        oracle, view = self.q.oracle, self.view.name
        query = list(self.request.vector)
        if self.key is not None:
            own = oracle.vector(view, self.key, self.field.name, as_of, known_at)
            if own is None:
                return self.q._same(f"search by {self.key}, which has no visible vector", "NOT_FOUND", str(answer))
            query = own[0]
        every = oracle.search(view, self.field.name, query, as_of, known_at, None, self.condition,
                              None if self.request.include_self else self.key)
        expected = every[:self.request.top_k]
        columns = [wire.values_of(c.column, answer.hit_count) for c in answer.keys]
        keys = list(zip(*columns)) if answer.hit_count else []
        got = list(zip(keys, answer.scores, answer.event_timestamps.micros, strict=True))
        self.q.asked += max(1, len(expected))
        wrong = got != expected if self.exact else (
            len(got) != len(expected) or any(hit not in every for hit in got))
        if wrong:
            self.q._same(f"search {self.request} {self.condition} as_of={as_of} known_at={known_at}; "
                         f"vectors {self.vectors(as_of, known_at)}", expected, got)
            return
        visible: dict = {}
        for (role, field), column in zip(self.cells, answer.columns, strict=True):
            self.q._compare("search hydration", column, role, field, keys, [(as_of, known_at)] * len(keys),
                            [self.context] * len(keys), visible, True)

    def vectors(self, as_of: int, known_at: int) -> list:
        oracle = self.q.oracle
        return [(k, oracle.vector(self.view.name, k, self.field.name, as_of, known_at))
                for k in sorted(oracle.facts[self.view.name])]


def ask(questions: Any) -> None:
    search = Ask(questions)
    search.fill()
    search.run()
