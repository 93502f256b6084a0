# SPDX-License-Identifier: Apache-2.0
"""Searches while writers write, delete and rebuild: each answer is right at the commit that it says it has read."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from typing import Any, Optional

import numpy as np

from model.world import now
from oracle.oracle import Field, Type, View
from oracle.search_oracle import nearest_first, scores
from support import spec, wire
from support.daemon import Daemon

PROJECT = "race"
DIMENSION = 12
WRITERS = 2
SEARCHERS = 2
DRAWS = 1000
_KEYS = [("thing", "INT64")]
MAX_REPORTED = 3


@dataclasses.dataclass
class Change:
    numbers: np.ndarray
    vectors: Optional[np.ndarray]  # None: deleted
    draws: Optional[np.ndarray]


@dataclasses.dataclass
class Answer:
    read_seq: int
    query: np.ndarray
    below: int  # of draw
    exact: bool
    top_k: int
    hits: list[tuple[int, float]]


class Race:
    def __init__(self, rng: random.Random, stubs: Any, count: int) -> None:
        self.rng = rng
        self.stubs = stubs
        self.count = count
        self.metric = rng.choice(["COSINE", "DOT", "L2"])
        self.clock = now() - 10**9
        self.commits: dict[int, Change] = {}
        self.answers: list[Answer] = []
        self.problems: list[str] = []
        self.over = threading.Event()
        self._lock = threading.Lock()

    def prepare(self) -> None:
        view = spec.view_object(View("v", "thing", _KEYS, [
            Field("p", Type("FLOAT_VECTOR", dimension=DIMENSION), metric=self.metric), Field("draw", Type("INT64"))]))
        view.feature_view.fields[1].indexed = self.rng.random() < 0.5
        spec.apply(self.stubs, PROJECT, [spec.entity_object("thing", _KEYS), view])
        draw = np.random.default_rng(self.rng.randrange(1 << 32))
        for begin in range(0, self.count, 1000):
            self._write(draw, np.arange(begin, min(self.count, begin + 1000)))

    def _write(self, draw: Any, numbers: np.ndarray) -> None:
        vectors = draw.normal(size=(len(numbers), DIMENSION)).astype(np.float32)
        draws = draw.integers(DRAWS, size=len(numbers))
        request = wire.ingest.WriteRequest(project=PROJECT, durability=wire.ingest.BUFFERED)
        batch = request.batches.add(feature_view="v", row_count=len(numbers))
        wire.fill(batch.columns["thing"], "INT64", numbers.tolist())
        batch.columns["p"].vectors.dimension = DIMENSION
        batch.columns["p"].vectors.values.extend(vectors.ravel().tolist())
        wire.fill(batch.columns["draw"], "INT64", draws.tolist())
        batch.event_timestamps.micros.extend([self._tick()] * len(numbers))
        seq = self.stubs.ingest.Write(request, timeout=30).commit_seq
        self.commits[seq] = Change(numbers, vectors, draws)

    def _delete(self, numbers: np.ndarray) -> None:
        request = wire.ingest.DeleteRequest(project=PROJECT, feature_view="v", row_count=len(numbers))
        wire.fill(request.keys["thing"], "INT64", numbers.tolist())
        request.event_timestamps.micros.extend([self._tick()] * len(numbers))
        seq = self.stubs.ingest.Delete(request, timeout=30).commit_seq
        self.commits[seq] = Change(numbers, None, None)

    def _tick(self) -> int:
        with self._lock:
            self.clock += 1
            return self.clock

    def guarded(self, work: Any, *arguments: Any) -> None:
        """A thread: goes on until it is over, or a call fails."""
        try:
            while not self.over.is_set():
                work(*arguments)
        except Exception as error:  # an RpcError, or a fault of this test: a thread that ends must fail it
            self.problems.append(f"{work.__name__}: {error!r}")
            self.over.set()

    def change(self, draw: Any, writer: int) -> None:
        """Of its own numbers alone, so that its event times are in the order of its commits."""
        own = np.arange(writer, self.count, WRITERS)
        numbers = draw.choice(own, size=draw.integers(1, min(40, len(own))), replace=False)
        self._delete(numbers) if draw.random() < 0.3 else self._write(draw, numbers)

    def rebuild(self) -> None:
        self.stubs.vector.RebuildIndex(wire.vector.RebuildIndexRequest(project=PROJECT, index="v:p"), timeout=30)
        time.sleep(0.5)

    def search(self, draw: Any) -> None:
        query = draw.normal(size=DIMENSION).astype(np.float32)
        below, top_k, exact = int(draw.choice([DRAWS, DRAWS, 500, 20])), int(draw.choice([1, 10])), draw.random() < 0.5
        request = wire.vector.SearchRequest(project=PROJECT, index="v:p", vector=query.tolist(), top_k=top_k)
        request.params.exact = bool(exact)
        if below < DRAWS:
            request.filter.CopyFrom(spec.condition_filter(("compare", "v:draw", "LT", below)))
        answer = self.stubs.vector.Search(request, timeout=30)
        keys = wire.values_of(answer.keys[0].column, answer.hit_count) if answer.hit_count else []
        self.answers.append(Answer(answer.read_seq, query, below, bool(exact), top_k,
                                   list(zip(keys, answer.scores, strict=True))))

    def check(self) -> None:
        """Goes through commits and answers in the order of their numbers."""
        live = np.zeros(self.count, dtype=bool)
        vectors = np.zeros((self.count, DIMENSION))
        draws = np.zeros(self.count, dtype=np.int64)
        pending = sorted(self.commits)
        for answer in sorted(self.answers, key=lambda a: a.read_seq):
            while pending and pending[0] <= answer.read_seq:
                change = self.commits[pending.pop(0)]
                live[change.numbers] = change.vectors is not None
                if change.vectors is not None:
                    vectors[change.numbers], draws[change.numbers] = change.vectors, change.draws
            among = np.nonzero(live & (draws < answer.below))[0]
            found = scores(self.metric, answer.query.astype(np.float64), vectors[among])
            order = nearest_first(self.metric, found)
            expected = list(zip(among[order].tolist(), found[order].tolist()))
            places = {hit: i for i, hit in enumerate(expected)}
            at = [places.get(hit, -1) for hit in answer.hits]
            right = answer.hits == expected[:answer.top_k] if answer.exact else (
                -1 not in at and at == sorted(set(at)) and len(at) == min(answer.top_k, len(expected)))
            if not right:
                self.problems.append(f"at commit {answer.read_seq}, exact={answer.exact}, draw < {answer.below}: got "
                                     f"{answer.hits} of {expected[:answer.top_k]}; places {at}")


def run(daemon: Daemon, rng: random.Random, seconds: float) -> list[str]:
    race = Race(rng, daemon.stubs, rng.choice([50, 3000]))
    race.prepare()
    work = [(race.change, np.random.default_rng(rng.randrange(1 << 32)), w) for w in range(WRITERS)]
    work += [(race.search, np.random.default_rng(rng.randrange(1 << 32))) for _ in range(SEARCHERS)] + [(race.rebuild,)]
    threads = [threading.Thread(target=race.guarded, args=w) for w in work]
    for thread in threads:
        thread.start()
    race.over.wait(seconds)
    race.over.set()
    for thread in threads:
        thread.join()
    race.check()
    for problem in race.problems[:MAX_REPORTED]:
        print(f"\nWRONG while writers write ({race.metric}, {race.count} vectors): {problem[:2000]}", flush=True)
    print(f"search model: {len(race.answers)} searches during {len(race.commits)} commits to {race.count} vectors, "
          f"{len(race.problems)} problems", flush=True)
    return race.problems
