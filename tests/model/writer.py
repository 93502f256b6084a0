# SPDX-License-Identifier: Apache-2.0
"""Random writes, deletions and retractions against the daemon; what was acknowledged goes into the oracle."""

from __future__ import annotations

from typing import Any, Callable

import grpc

from model.world import SECOND, World, now
from oracle.oracle import RETRACTION, ROW, TOMBSTONE, Fact, View
from support import wire

MERGE = 4  # a partial update: becomes a row at its commit
Pending = list[tuple[str, tuple, int, bool, tuple, int, dict]]  # view, key, time, tombstone, event key, form, values


class Writer:
    def __init__(self, world: World, stubs: Any, name: str = "r") -> None:
        """`name` starts the request ids: no two writers of a project share one."""
        self.world = world
        self.stubs = stubs
        self.name = name
        self.requests = 0
        self.problems: list[str] = []
        self.remembered: list[tuple[Any, Any]] = []  # requests with an id, and their answers

    def step(self) -> None:
        kinds: list[tuple[Callable[[], None], int]] = [
            (self.write, 50), (self.stream, 6), (self.delete, 14), (self.retract, 18), (self.repeat, 4),
            (self.refused, 8), (self.erase, 2), (self.fold, 2)]
        self.world.rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]()

    # What is asked.
    def _batch(self, out: Any, view: View, taken: set, pending: Pending) -> None:
        """Fills a RowBatch with rows whose identities are not in `taken`."""
        rng = self.world.rng
        rows = []
        for _ in range(rng.randrange(1, 9)):
            identity = (view.name, self.world.key(view.entity), self.world.event_time(view), self.world.event_key(view))
            if identity not in taken:
                taken.add(identity)
                rows.append(identity[1:])
        if not rows:
            return
        batch = out.batches.add(feature_view=view.name, row_count=len(rows))
        self.world.key_columns(batch.columns, view.entity, [r[0] for r in rows])
        for i, (name, type_) in enumerate(view.event_key):
            wire.fill(batch.columns[name], type_, [r[2][i] for r in rows])
        batch.merge = rng.random() < 0.2
        values: list[dict] = [{} for _ in rows]
        for field in view.fields:
            if rng.random() < (0.5 if batch.merge else 0.2):  # left out: the default, else null
                continue
            column = [None if rng.random() < 0.2 else self.world.value(field.type) for _ in rows]
            wire.fill(batch.columns[field.name], field.type.name, column, field.type.array, field.type.dimension)
            for row, value in zip(values, column):
                row[field.name] = value
        if not batch.merge:
            for row in values:
                for field in view.fields:
                    row.setdefault(field.name, field.default)
        batch.event_timestamps.micros.extend(r[1] for r in rows)
        form = MERGE if batch.merge else ROW
        pending += [(view.name, k, t, False, e, form, v) for (k, t, e), v in zip(rows, values)]

    def _write_request(self) -> tuple[Any, Pending]:
        request = wire.ingest.WriteRequest(project=self.world.project, durability=self._durability())
        pending: Pending = []
        taken: set = set()
        for _ in range(self.world.rng.choice([1, 1, 2, 3])):
            self._batch(request, self.world.view(), taken, pending)
        if self.world.rng.random() < 0.2:
            self.requests += 1
            request.request_id = f"{self.name}{self.requests}"
        return request, pending

    def _durability(self) -> int:
        return self.world.rng.choice([wire.ingest.DURABILITY_UNSPECIFIED, wire.ingest.SYNC, wire.ingest.BUFFERED])

    # What is said back.
    def _acknowledged(self, answer: Any, pending: Pending) -> None:
        oracle = self.world.oracle
        if answer.commit_seq <= oracle.newest:
            self.problems.append(f"commit {answer.commit_seq} after commit {oracle.newest}")
        if oracle.commits and answer.commit_time_micros < oracle.commits[-1][0]:
            self.problems.append(f"the time of commit {answer.commit_seq} goes back")
        if answer.rows != len(pending):
            self.problems.append(f"commit {answer.commit_seq} says {answer.rows} rows of {len(pending)}")
        rows = [(*p[:5], ROW, oracle.merged(p[0], p[1], p[2], p[4], p[6])) if p[5] == MERGE else p for p in pending]
        oracle.add_commit(answer.commit_seq, answer.commit_time_micros)
        for view, key, time, tombstone, event_key, form, values in rows:
            oracle.add(view, key, Fact(time, tombstone, event_key, answer.commit_seq, form, values))

    def write(self) -> None:
        request, pending = self._write_request()
        answer = self.stubs.ingest.Write(request, timeout=30)
        self._acknowledged(answer, pending)
        if request.request_id:
            self.remembered.append((request, answer))

    def repeat(self) -> None:
        """The same request id with the same payload is one commit and gets the same answer."""
        if not self.remembered:
            return
        request, answer = self.world.rng.choice(self.remembered)
        again = self.stubs.ingest.Write(request, timeout=30)
        if again != answer:
            self.problems.append(f"request {request.request_id} repeated: {again} instead of {answer}")

    def stream(self) -> None:
        requests, pendings = zip(*(self._write_request() for _ in range(self.world.rng.randrange(1, 6))))
        for i, ack in enumerate(self.stubs.ingest.WriteStream(iter(requests), timeout=30)):
            if ack.index != i or ack.code != 0:
                self.problems.append(f"WriteStream acknowledgement {i}: {ack}")
                continue
            self._acknowledged(ack.result, pendings[i])

    def erase(self) -> None:
        """As if the entity's facts had never been, at any commit."""
        entity = self.world.rng.choice(sorted(self.world.entities))
        key = self.world.key(entity)
        request = wire.ingest.EraseRequest(project=self.world.project, entity=entity, row_count=1)
        self.world.key_columns(request.keys, entity, [key])
        receipt = self.stubs.ingest.Erase(request, timeout=30).receipts[0]
        oracle = self.world.oracle
        erased = {v.name: oracle.facts[v.name].pop(key, []) for v in oracle.views.values() if v.entity == entity}
        views = sorted(name if "@" in name else f"{name}@v{oracle.views[name].version}"
                       for name, facts in erased.items() if facts)
        if (receipt.facts, sorted(receipt.feature_views)) != (sum(map(len, erased.values())), views):
            self.problems.append(f"erasing {key} of {entity}: {receipt}, but there were {erased}")
        oracle.add_commit(receipt.commit_seq, receipt.erased_at_micros)

    def fold(self) -> None:
        self.stubs.admin.Compact(wire.admin.CompactRequest(project=self.world.project), timeout=60)

    def delete(self) -> None:
        view = self.world.view()
        count = self.world.rng.randrange(1, 4)
        rows = list({(self.world.key(view.entity), self.world.event_time(view)) for _ in range(count)})
        request = wire.ingest.DeleteRequest(project=self.world.project, feature_view=view.name, row_count=len(rows),
                                            durability=self._durability())
        self.world.key_columns(request.keys, view.entity, [k for k, _ in rows])
        request.event_timestamps.micros.extend(t for _, t in rows)
        answer = self.stubs.ingest.Delete(request, timeout=30)
        self._acknowledged(answer, [(view.name, k, t, True, (), TOMBSTONE, {}) for k, t in rows])

    def retract(self) -> None:
        rng = self.world.rng
        view = self.world.view()
        tombstones = rng.random() < 0.3
        known = sorted({(k, *f.identity) for k, facts in self.world.oracle.facts[view.name].items() for f in facts
                        if f.tombstone == tombstones})
        if not known:
            return
        rows = rng.sample(known, min(len(known), rng.randrange(1, 4)))
        answer = self.stubs.ingest.Retract(self._retract_request(view, rows, tombstones), timeout=30)
        self._acknowledged(answer, [(view.name, k, t, tombstones, e, RETRACTION, {}) for k, t, _, e in rows])

    def _retract_request(self, view: View, rows: list, tombstones: bool) -> Any:
        request = wire.ingest.RetractRequest(project=self.world.project, feature_view=view.name, row_count=len(rows),
                                             tombstones=tombstones, durability=self._durability())
        self.world.key_columns(request.keys, view.entity, [r[0] for r in rows])
        if not tombstones:
            for i, (name, type_) in enumerate(view.event_key):
                wire.fill(request.keys[name], type_, [r[3][i] for r in rows])
        request.event_timestamps.micros.extend(r[1] for r in rows)
        return request

    def refused(self) -> None:
        """A refused request changes nothing: later questions would show it."""
        rng = self.world.rng
        view = self.world.view()
        kind = rng.choice(["beyond skew", "twice", "never written"])
        if kind == "never written":
            row = (self.world.key(view.entity), 12345, False, self.world.event_key(view))
            request = self._retract_request(view, [row], False)
            self._expect(grpc.StatusCode.NOT_FOUND, self.stubs.ingest.Retract, request, kind)
            return
        request, pending = self._write_request()
        if not pending:
            return
        batch = request.batches[-1]
        if kind == "twice":
            request.batches.add().CopyFrom(batch)
            self._expect(grpc.StatusCode.INVALID_ARGUMENT, self.stubs.ingest.Write, request, kind)
        else:
            batch.event_timestamps.micros[-1] = now() + 400 * SECOND
            self._expect(grpc.StatusCode.OUT_OF_RANGE, self.stubs.ingest.Write, request, kind)

    def _expect(self, code: grpc.StatusCode, call: Any, request: Any, kind: str) -> None:
        try:
            call(request, timeout=30)
            self.problems.append(f"{kind}: accepted, {code.name} expected")
        except grpc.RpcError as error:
            if error.code() != code:
                self.problems.append(f"{kind}: {error.code().name} ({error.details()}) instead of {code.name}")
