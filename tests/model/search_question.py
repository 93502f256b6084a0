# SPDX-License-Identifier: Apache-2.0
"""Random searches, single and in batches: exact ones equal the oracle's to the last bit and tie; of others every hit
may be found, has the exact score, stands in order and once, and none is missing at the end."""

from __future__ import annotations

from typing import Any, Optional

import grpc

from model.search_shrink import shrink
from model.world import now
from oracle.oracle import Key, View
from oracle.search_oracle import Hit, Snapshot, best_of_groups
from support import wire
from support.spec import condition_filter

_STRATEGIES = ("graph", "exact", "exact_filtered", "as_of_scan")
_ORDERED = {"INT32", "INT64", "FLOAT", "DOUBLE", "STRING", "BYTES", "TIMESTAMP"}
_GROUPED = {"BOOL", "INT32", "INT64", "STRING", "TIMESTAMP"}


def _literal(rng: Any, world: Any, type_: Any) -> Any:
    while True:
        value = world.value(type_)
        if value == value:  # a literal may not be NaN
            return value


def _part_of(rng: Any, text: str) -> str:
    begin = rng.randrange(len(text) + 1)
    return text[begin:rng.randrange(begin, len(text) + 1)]


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
    comparable = field.type.name in _ORDERED or field.type.name == "BOOL"
    if rng.random() < 0.2 or field.type.array or not comparable:
        return ("is_null", ref)
    kind = rng.choice(["compare", "compare", "in", "between", "text"])
    if kind == "in":
        return ("in", ref, [_literal(rng, world, field.type) for _ in range(rng.randrange(1, 4))])
    if kind == "between" and field.type.name in _ORDERED:
        low, high = sorted([_literal(rng, world, field.type) for _ in range(2)])
        return ("between", ref, low, high)
    if kind == "text" and field.type.name == "STRING":
        text = _literal(rng, world, field.type)
        return ("compare", ref, rng.choice(["PREFIX", "CONTAINS"]), _part_of(rng, text) if rng.random() < 0.6 else text)
    ops = ["EQ", "NE"] if field.type.name == "BOOL" else ["EQ", "NE", "LT", "LE", "GT", "GE"]
    return ("compare", ref, rng.choice(ops), _literal(rng, world, field.type))


def _hits(answer: Any) -> list[Hit]:
    columns = [wire.values_of(c.column, answer.hit_count) for c in answer.keys]
    keys = list(zip(*columns)) if answer.hit_count else []
    return list(zip(keys, answer.scores, answer.event_timestamps.micros, strict=True))


class Ask:
    """One request of `queries` that have all else in common; of a single one a Search, if not told to be a batch."""

    def __init__(self, questions: Any) -> None:
        self.q = questions
        rng = questions.world.rng
        self.view: View = rng.choice([v for v in questions.oracle.views.values() if v.fields_by_metric()])
        self.field = rng.choice(self.view.fields_by_metric())
        self.batch = rng.random() < 0.25
        self.request = wire.vector.SearchRequest(
            project=questions.world.project, index=f"{self.view.name}:{self.field.name}",
            top_k=rng.choice([1, 2, 5, 20, 100, 10_000]), include_event_timestamps=True, explain=rng.random() < 0.2)
        self.by_key = rng.random() < 0.5
        self.keys: list[Key] = []
        self.vectors: list[tuple] = []
        self.condition: Optional[tuple] = None
        self.as_of: Optional[int] = None
        self.known_at: Optional[int] = None
        self.cells: list = []
        self.context: dict = {}

    # What is asked.
    def fill(self) -> None:
        world, rng, request = self.q.world, self.q.world.rng, self.request
        if rng.random() < 0.5:
            self.condition = condition(self.q, self.view.entity)
            request.filter.CopyFrom(condition_filter(self.condition))
        if rng.random() < 0.6:
            self.as_of = world.as_of(now())
            request.as_of.micros.append(self.as_of)
        if rng.random() < 0.5:
            moment, self.known_at = self.q._known_at()
            request.known_at.CopyFrom(moment)
        if rng.random() < 0.2:
            request.min_seq = self.q.oracle.newest
        self._queries()
        self._how()
        if rng.random() < 0.3:
            self._group()
        if rng.random() < 0.3:
            self._threshold()
        if rng.random() < 0.5:
            self.hydrate()

    def _queries(self) -> None:
        """By key mostly of those that have a vector, or a batch would hardly ever be answered."""
        world, rng = self.q.world, self.q.world.rng
        count = rng.choice([1, 2, 7, 30]) if self.batch else 1
        if not self.by_key:
            self.vectors = [world.value(self.field.type) for _ in range(count)]
            return
        self.request.include_self = rng.random() < 0.5
        self.keys = [world.key(self.view.entity) for _ in range(count)]
        if rng.random() < 0.85:
            snapshot = self._snapshot_asked()
            there = [k for k in snapshot.history.keys if snapshot.vector(self.view.name, self.field.name, k) is not None]
            if there:
                self.keys = [rng.choice(there) for _ in range(count)]

    def _how(self) -> None:
        rng, params = self.q.world.rng, self.request.params
        params.exact = rng.random() < 0.75
        if params.exact:
            return
        kind = rng.choice(["", "", "ef", "target"])
        if kind == "ef":
            params.ef = rng.choice([1, 10, 200, 10_000])
        elif kind == "target":
            params.target_recall = rng.choice([0.01, 0.5, 0.9, 0.999])
        if rng.random() < 0.2:
            params.rescore = rng.choice([1, 50, 10_000])

    def _group(self) -> None:
        rng = self.q.world.rng
        refs = [name for name, _ in self.view.join_keys]
        refs += [f"{v.name}:{f.name}" for v in self.q.oracle.views.values() if v.entity == self.view.entity
                 and type(v) is View for f in v.fields if f.type.name in _GROUPED and not f.type.array]
        self.request.group_by.ref = rng.choice(refs)
        self.request.group_by.size = rng.choice([0, 1, 2, 5, 100])

    def _threshold(self) -> None:
        """Mostly exactly the score of a hit, which then is one."""
        rng = self.q.world.rng
        snapshot = self._snapshot_asked()
        query = self.vectors[0] if self.vectors else snapshot.vector(self.view.name, self.field.name, self.keys[0])
        hits = [] if query is None else snapshot.search(self.view.name, self.field.name, query)
        score = rng.choice(hits)[1] if hits and rng.random() < 0.8 else rng.uniform(-1, 2)
        self.request.score_threshold = score if abs(score) < 3e38 else 1.0

    def hydrate(self) -> None:
        from model.questions import Role
        views = [v for v in self.q.oracle.views.values() if v.entity == self.view.entity]
        self.cells = [(Role(v), f.name) for v in views for f in v.fields[:2]]
        self.request.features.extend(f"{role.name}:{f}" for role, f in self.cells)
        self.context = self.q._context(self.request.request_context, self.cells, 1)[0]

    # What is answered.
    def run(self) -> None:
        before = now()
        try:
            hits, counts, plans = self._send()
        except grpc.RpcError as error:
            return self._refused(error, before)
        known_at = self._known_at()
        self.q._same("search read_seq", known_at, hits.read_seq)
        self.q._same("search as_of", self.as_of, hits.as_of_micros, self.as_of is None)
        self.q._same("search: sums of hits", (max(1, len(self.keys) + len(self.vectors)), hits.hit_count),
                     (len(counts), sum(counts)))
        self.q._same("search: plans", len(counts) if self.request.explain else 0, len(plans))
        for plan in plans:
            if plan.strategy not in _STRATEGIES or not 0 <= plan.selectivity <= 1:
                self.q._same(f"the plan of {self.request} {self.condition}", "a strategy and a share of all", plan)
        self._check(hits, counts, self.snapshot(hits.as_of_micros, known_at))

    def _send(self) -> tuple[Any, list, list]:
        """The hits, how many of each query, and the plans."""
        request, view = self.request, self.view
        if not self.batch:
            if self.keys:
                self.q.world.key_columns(request.entity_key, view.entity, self.keys)
            else:
                request.vector.extend(self.vectors[0])
            answer = self.q.stubs.vector.Search(request, timeout=30)
            return answer, [answer.hit_count], [answer.plan] if request.explain else []
        batch = wire.vector.BatchSearchRequest(common=request, query_count=len(self.keys) + len(self.vectors))
        batch.common.top_k = request.top_k = min(request.top_k, 3000)  # 100,000 hits of all queries at most
        if self.keys:
            self.q.world.key_columns(batch.entity_keys, view.entity, self.keys)
        else:
            batch.vectors.extend(x for v in self.vectors for x in v)
        answer = self.q.stubs.vector.BatchSearch(batch, timeout=30)
        return answer.hits, list(answer.hit_counts), list(answer.plans)

    def _refused(self, error: Any, before: int) -> None:
        """Right only when an entity asked by has no visible vector."""
        if self.keys and error.code() == grpc.StatusCode.NOT_FOUND:
            for as_of in ([self.as_of] if self.as_of is not None else [before, now()]):
                snapshot = self.snapshot(as_of, self._known_at())
                if any(snapshot.vector(self.view.name, self.field.name, key) is None for key in self.keys):
                    self.q.asked += 1
                    return
        self.q._fail("search", self.request, error)

    def _check(self, answer: Any, counts: list[int], snapshot: Snapshot) -> None:
        got = _hits(answer)
        keys = [hit[0] for hit in got]
        begin = 0
        for i, count in enumerate(counts):
            if not self._check_one(i, got[begin:begin + count], snapshot):
                return
            begin += count
        visible: dict = {}
        for (role, field), column in zip(self.cells, answer.columns, strict=True):
            self.q._compare("search hydration", column, role, field, keys,
                            [(snapshot.as_of, snapshot.known_at)] * len(keys), [self.context] * len(keys), visible, True)

    def exact_answer(self, number: int, snapshot: Snapshot) -> Optional[tuple[list[Hit], list[Hit]]]:
        """All that pass, best first, and what an exact search answers; None: the entity asked by has no vector."""
        request, view, field = self.request, self.view.name, self.field.name
        key = self.keys[number] if self.keys else None
        query = snapshot.vector(view, field, key) if key is not None else self.vectors[number]
        if query is None:
            return None
        every = snapshot.search(view, field, query, self.condition, None if request.include_self else key,
                                request.score_threshold if request.HasField("score_threshold") else None)
        if not request.HasField("group_by"):
            return every, every[:request.top_k]
        return every, best_of_groups(every, lambda k: self._group_of(k, snapshot), max(1, request.group_by.size),
                                     request.top_k)

    def _check_one(self, number: int, got: list[Hit], snapshot: Snapshot) -> bool:
        answer = self.exact_answer(number, snapshot)
        if answer is None:
            self.q._same(f"search by {self.keys[number]}, which has no visible vector", "NOT_FOUND", got)
            return False
        every, expected = answer
        exact = self.request.params.exact
        self.q.asked += 1
        self.q.searched += 1
        wrong = "" if got == expected else "the exact answer" if exact else self._why_wrong(
            got, every, expected, snapshot)
        if wrong:
            self.q._same(f"search {number} of {self.request} keys {self.keys} {self.condition} as_of={snapshot.as_of} "
                         f"known_at={snapshot.known_at}: not {wrong}; vectors {self._vectors_at(snapshot)}", expected, got)
            if exact:
                self.q.mismatches[-1].shrink = lambda stubs: shrink(stubs, self, number, snapshot.as_of,
                                                                    snapshot.known_at)
        elif not exact:
            self.q.wanted += len(expected)
            self.q.found += len({h[0] for h in got} & {h[0] for h in expected})
        return not wrong

    def again(self, stubs: Any, project: str, number: int, as_of: int, known_at: int) -> list[Hit]:
        """The same search of a project that has this entity's views, without hydration."""
        request = wire.vector.SearchRequest()
        request.CopyFrom(self.request)
        for name in ("features", "bindings", "request_context", "min_seq", "vector", "entity_key"):
            request.ClearField(name)
        request.project = project
        request.as_of.CopyFrom(wire.times(as_of))
        request.known_at.CopyFrom(wire.known_at(seq=known_at))
        if self.keys:
            self.q.world.key_columns(request.entity_key, self.view.entity, [self.keys[number]])
        else:
            request.vector.extend(self.vectors[number])
        return _hits(stubs.vector.Search(request, timeout=30))

    def _why_wrong(self, got: list[Hit], every: list[Hit], expected: list[Hit], snapshot: Snapshot) -> str:
        """What an approximate answer is not. Any hits will do, in the order in which they stand among all."""
        places = {hit: i for i, hit in enumerate(every)}
        at = [places.get(hit, -1) for hit in got]
        if -1 in at:
            return f"a hit that is visible, passes and has its exact score: {got[at.index(-1)]}"
        if at != sorted(set(at)):
            return "in order and each once"
        if len(got) != len(expected):
            return f"{len(expected)} hits but {len(got)}"
        size = max(1, self.request.group_by.size)
        if self.request.HasField("group_by") and best_of_groups(
                got, lambda k: self._group_of(k, snapshot), size, len(got)) != got:
            return f"at most {size} of a group"
        return ""

    def _group_of(self, key: Key, snapshot: Snapshot) -> Any:
        ref = self.request.group_by.ref
        names = [name for name, _ in self.view.join_keys]
        return key[names.index(ref)] if ref in names else snapshot.value(ref, key)

    def _known_at(self) -> int:
        return self.q.oracle.newest if self.known_at is None else self.known_at

    def _snapshot_asked(self) -> Snapshot:
        return self.snapshot(now() if self.as_of is None else self.as_of, self._known_at())

    def snapshot(self, as_of: int, known_at: int) -> Snapshot:
        return self.q.snapshot(self.view.entity, as_of, known_at)

    def _vectors_at(self, snapshot: Snapshot) -> list:
        keys = snapshot.history.keys
        return [(k, snapshot.cell(self.view.name, k, self.field.name)) for k in keys[:30]]


def ask(questions: Any) -> None:
    search = Ask(questions)
    search.fill()
    search.run()
