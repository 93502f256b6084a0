# SPDX-License-Identifier: Apache-2.0
"""Concurrent SYNC writers that remember every request sent and every acknowledgement received."""

from __future__ import annotations

import dataclasses
import itertools
import random
import threading
import time
from typing import Any, Iterator, Optional

import grpc

from oracle.oracle import RETRACTION, ROW, TOMBSTONE, Field, Type, View
from support import wire

PROJECT = "crash"
DIMENSION = 8
WRITERS = 8
_KEYS = [("writer", "INT64"), ("number", "INT64")]
VIEWS = [View("plain", "thing", _KEYS, [Field("id", Type("INT64")), Field("text", Type("STRING"))]),
         View("shape", "thing", _KEYS, [Field("id", Type("INT64")),
                                        Field("p", Type("FLOAT_VECTOR", dimension=DIMENSION), metric="L2")])]

# (view, key, event time, tombstone, form, id or None): what history shows of a fact.
Line = tuple[str, tuple, int, bool, int, Optional[int]]


@dataclasses.dataclass
class Request:
    kind: str
    message: Any
    lines: frozenset[Line]
    seq: int = 0  # 0: not acknowledged
    time: int = 0


def vector_of(number: int) -> list[float]:
    """A vector that no other id has: its digits in base 16, each exact in a float."""
    return [float((number >> (4 * i)) & 15) for i in range(DIMENSION)]


class Load:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ids = itertools.count(1)
        self.base = time.time_ns() // 1000 - 10**12
        self.requests: list[Request] = []  # all of the cycle
        self.acknowledged: dict[int, Request] = {}  # the ledger
        self.double: list[str] = []  # commit numbers that came twice or did not grow
        self.floor = 0  # the greatest number seen before this cycle
        self.threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._written: dict[int, list[tuple]] = {w: [] for w in range(WRITERS)}

    # One cycle.
    def start(self, stubs: Any) -> None:
        self.requests = []
        self.threads = [threading.Thread(target=self._stream if w % 4 == 0 else self._unary, daemon=True,
                                         args=(stubs, w, random.Random(self.rng.randrange(1 << 32))))
                        for w in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()

    def acknowledge(self, request: Request, answer: Any) -> None:
        with self._lock:
            if answer.commit_seq in self.acknowledged or answer.commit_seq <= self.floor:
                self.double.append(f"commit {answer.commit_seq} was given before (up to {self.floor})")
            request.seq, request.time = answer.commit_seq, answer.commit_time_micros
            self.acknowledged[answer.commit_seq] = request

    def _new(self, writer: int, rng: random.Random) -> Request:
        written = self._written[writer]
        roll = rng.random()
        if written and roll < 0.12:
            request = self._delete(rng.choice(written))
        elif written and roll < 0.24:
            request = self._retract(rng.choice(written))
        else:
            request = self._write(writer, rng, written)
        return self._sent(request)

    def _sent(self, request: Request) -> Request:
        """From here on it may be committed."""
        with self._lock:
            self.requests.append(request)
        return request

    def _write(self, writer: int, rng: random.Random, written: list[tuple]) -> Request:
        message = wire.ingest.WriteRequest(project=PROJECT)
        lines = []
        for view in rng.sample(VIEWS, rng.choice([1, 2])):
            rows: dict[tuple, int] = {}  # identity -> id
            for _ in range(rng.randrange(1, 4)):
                number = next(self.ids)
                before = rng.choice(written) if written and rng.random() < 0.3 else ("",)
                if before[0] == view.name:  # a correction
                    rows[before[1:]] = number
                else:
                    rows[((writer, number), self.base + number)] = number
            batch = message.batches.add(feature_view=view.name, row_count=len(rows))
            batch.event_timestamps.micros.extend(t for _, t in rows)
            for i, (name, type_) in enumerate(_KEYS):
                wire.fill(batch.columns[name], type_, [k[i] for k, _ in rows])
            wire.fill(batch.columns["id"], "INT64", list(rows.values()))
            if view.name == "plain":
                wire.fill(batch.columns["text"], "STRING", [f"text of {n} " * 20 for n in rows.values()])
            else:
                wire.fill(batch.columns["p"], "FLOAT_VECTOR", [vector_of(n) for n in rows.values()],
                          dimension=DIMENSION)
            lines += [(view.name, k, t, False, ROW, n) for (k, t), n in rows.items()]
        return Request("Write", message, frozenset(lines))

    def _delete(self, row: tuple) -> Request:
        view, key, time_ = row
        message = wire.ingest.DeleteRequest(project=PROJECT, feature_view=view, row_count=1,
                                            event_timestamps=wire.times(time_ + next(self.ids)))
        self._keys(message, key)
        return Request("Delete", message,
                       frozenset([(view, key, message.event_timestamps.micros[0], True, TOMBSTONE, None)]))

    def _retract(self, row: tuple) -> Request:
        view, key, time_ = row
        message = wire.ingest.RetractRequest(project=PROJECT, feature_view=view, row_count=1,
                                             event_timestamps=wire.times(time_))
        self._keys(message, key)
        return Request("Retract", message, frozenset([(view, key, time_, False, RETRACTION, None)]))

    def _keys(self, message: Any, key: tuple) -> None:
        for (name, type_), value in zip(_KEYS, key):
            wire.fill(message.keys[name], type_, [value])

    def _remember(self, writer: int, request: Request) -> None:
        self._written[writer] += [line[:3] for line in request.lines if line[4] == ROW]

    def _unary(self, stubs: Any, writer: int, rng: random.Random) -> None:
        try:
            while True:
                request = self._new(writer, rng)
                answer = getattr(stubs.ingest, request.kind)(request.message, timeout=30)
                self.acknowledge(request, answer)
                self._remember(writer, request)
        except grpc.RpcError as error:
            self._ended(error)

    def _stream(self, stubs: Any, writer: int, rng: random.Random) -> None:
        sent: list[Request] = []
        window = threading.Semaphore(16)
        over = threading.Event()

        def messages() -> Iterator[Any]:
            while not over.is_set():
                if not window.acquire(timeout=0.2):
                    continue
                request = self._sent(self._write(writer, rng, self._written[writer]))
                sent.append(request)
                yield request.message

        try:
            for ack in stubs.ingest.WriteStream(messages(), timeout=60):
                window.release()
                if ack.code != 0:
                    self.double.append(f"WriteStream refused a batch: {ack}")
                    continue
                self.acknowledge(sent[ack.index], ack.result)
                self._remember(writer, sent[ack.index])
        except grpc.RpcError as error:
            self._ended(error)
        finally:
            over.set()

    def _ended(self, error: Any) -> None:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            self.double.append(f"a write was refused: {error.code().name}: {error.details()}")
