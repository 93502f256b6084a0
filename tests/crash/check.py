# SPDX-License-Identifier: Apache-2.0
"""What must hold after a crash."""

from __future__ import annotations

import collections
import random
from typing import Any

from crash.load import PROJECT, VIEWS, Line, Load, Request, vector_of
from oracle.oracle import ROW, Fact, Oracle
from support import wire

OLD_VECTORS_A_CYCLE = 200
KEYS_A_READ = 5000

LARGE_EF = 500  # no vector that is in the graph is missed


class Checker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.oracle = Oracle()
        for view in VIEWS:
            self.oracle.add_view(view)
        self.known: set[int] = set()  # commits that are in the oracle already
        self.problems: list[str] = []
        self.answers = 0
        self.unacknowledged_there = self.unacknowledged_gone = 0
        self.restart_seconds = 0.0

    def check(self, stubs: Any, load: Load) -> None:
        self.problems += load.double
        history = self._history(stubs)
        self._commits_whole(load, history)
        if self.problems:
            return
        new = set(load.acknowledged) - self.known
        for seq in sorted(new):
            self._into_oracle(load.acknowledged[seq])
        self.known |= new
        load.floor = max(history, default=0)
        self._online(stubs)
        live = self._live_vectors(stubs)
        fresh = [v for v in live if v[2] in new]
        old = [v for v in live if v[2] not in new]
        self._search(stubs, fresh + self.rng.sample(old, min(len(old), OLD_VECTORS_A_CYCLE)))

    def check_every_vector(self, stubs: Any, load: Load) -> None:
        self._search(stubs, self._live_vectors(stubs))

    def _history(self, stubs: Any) -> dict[int, set[Line]]:
        """Commit -> the facts it shows, of all forms."""
        out: dict[int, set[Line]] = collections.defaultdict(set)
        for view in VIEWS:
            request = wire.historical.GetFeatureHistoryRequest(project=PROJECT, feature_view=view.name, all_forms=True,
                                                               page_size=20_000)
            while True:
                page = stubs.historical.GetFeatureHistory(request, timeout=60)
                writers, numbers, ids = (wire.values_of(c.column, page.row_count) for c in page.columns[:3])
                for w, n, id_, t, seq, form in zip(writers, numbers, ids, page.event_timestamps.micros,
                                                   page.commit_seqs, page.forms, strict=True):
                    out[seq].add((view.name, (w, n), t, form == 2, form, id_))
                self.answers += page.row_count
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
        return out

    def _commits_whole(self, load: Load, history: dict[int, set[Line]]) -> None:
        """Every acknowledged commit is there as it was sent; every other one is an unacknowledged request, whole."""
        for seq, request in load.acknowledged.items():
            if history.get(seq, set()) != request.lines:
                self.problems.append(f"acknowledged commit {seq} ({request.kind}): sent {sorted(request.lines)}, "
                                     f"history has {sorted(history.get(seq, set()), key=str)}")
        waiting = {r.lines: r for r in load.requests if not r.seq}
        for seq in sorted(set(history) - set(load.acknowledged)):
            request = waiting.pop(frozenset(history[seq]), None)
            if request is None or seq <= load.floor:
                self.problems.append(f"commit {seq} (earlier ones went up to {load.floor}) is no request that was "
                                     f"under way: {sorted(history[seq], key=str)}")
                continue
            request.seq = seq
            load.acknowledged[seq] = request
            self.unacknowledged_there += 1
        self.unacknowledged_gone += len(waiting)

    def _into_oracle(self, request: Request) -> None:
        self.oracle.add_commit(request.seq, request.time)
        for view, key, time, tombstone, form, id_ in request.lines:
            values: dict = {}
            if form == ROW:
                assert id_ is not None
                values = {"id": id_}
                values |= {"text": f"text of {id_} " * 20} if view == "plain" else {"p": tuple(vector_of(id_))}
            self.oracle.add(view, key, Fact(time, tombstone, (), request.seq, form, values))

    def _online(self, stubs: Any) -> None:
        for view in VIEWS:
            keys = sorted(self.oracle.facts[view.name])
            for begin in range(0, len(keys), KEYS_A_READ):
                part = keys[begin:begin + KEYS_A_READ]
                request = wire.serving.GetOnlineFeaturesRequest(
                    project=PROJECT, features=[f"{view.name}:{f.name}" for f in view.fields], row_count=len(part),
                    include_event_timestamps=True)
                for i, (name, type_) in enumerate(view.join_keys):
                    wire.fill(request.keys[name], type_, [k[i] for k in part])
                answer = stubs.serving.GetOnlineFeatures(request, timeout=60)
                for field, column in zip(view.fields, answer.columns, strict=True):
                    self._compare(view.name, field.name, part, column, answer.as_of_micros)

    def _compare(self, view: str, field: str, keys: list, column: Any, as_of: int) -> None:
        self.answers += len(keys)
        for key, got in zip(keys, wire.cells_of(column, len(keys), True)):
            expected = self.oracle.cell(view, key, field, as_of, 1 << 62)
            if not wire.same_cell(expected, got):
                self.problems.append(f"online {view}:{field} of {key} at {as_of}: {expected} expected, {got} came; "
                                     f"facts {self.oracle.facts[view][key]}")

    def _live_vectors(self, stubs: Any) -> list[tuple]:
        """(key, vector, commit, event time) of what must be found now."""
        now = stubs.admin.GetStatus(wire.admin.GetStatusRequest(), timeout=10).now_micros
        out = []
        for key in self.oracle.facts["shape"]:
            fact = self.oracle.visible("shape", key, now, 1 << 62)
            if fact is not None and fact.form == ROW:
                out.append((key, fact.values["p"], fact.commit, fact.event_time))
        return out

    def _search(self, stubs: Any, vectors: list[tuple]) -> None:
        for key, vector, _, event_time in vectors:
            for exact in (True, False):
                request = wire.vector.SearchRequest(project=PROJECT, index="shape:p", vector=vector, top_k=1)
                request.params.exact = exact
                if not exact:
                    request.params.ef = LARGE_EF
                hit = stubs.vector.Search(request, timeout=30)
                self.answers += 1
                keys = list(zip(*(wire.values_of(c.column, hit.hit_count) for c in hit.keys)))
                got = (keys, list(hit.scores), list(hit.event_timestamps.micros))
                if got != ([key], [0.0], [event_time]):
                    self.problems.append(f"search by its own vector, exact={exact}: {key} at {event_time} expected, "
                                         f"{got} came")
