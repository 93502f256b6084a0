# SPDX-License-Identifier: Apache-2.0
"""A collection large enough for its graph to be walked, in rounds of replacements, deletions, erasures, restarts, damage
and rebuilds. After each: no hit that may not be, exact scores, no short answer, and as much found as was asked for."""

from __future__ import annotations

import collections
import pathlib
import random
import time
from typing import Any, Optional

import numpy as np

from model.search_world import damage
from model.world import now
from oracle.oracle import Field, Type, View
from oracle.search_oracle import nearest_first, scores
from support import spec, wire
from support.daemon import Daemon

PROJECT = "large"
DIMENSION = 16
ROWS_A_WRITE = 2000
DRAWS = 10_000  # the field that filters of a chosen selectivity compare is uniform below this
TOP_K = 10
SLACK = 0.02  # of a mean over some 100 searches, beside the target
BUILD_SECONDS = 180
MAX_REPORTED = 3
_KEYS = [("thing", "STRING")]


def view_of(metric: str) -> View:
    return View("big", "thing", _KEYS, [
        Field("p", Type("FLOAT_VECTOR", dimension=DIMENSION), metric=metric), Field("draw", Type("INT64")),
        Field("plain", Type("INT64")), Field("part", Type("STRING"))])


class Collection:
    """The rows as they should be: `live` ones have the vector, draw and part that stand at their number."""

    def __init__(self, rng: random.Random, capacity: int) -> None:
        self.metric = rng.choice(["COSINE", "DOT", "L2"])
        self.target = rng.choice([0.9, 0.95, 0.98])
        self.random = np.random.default_rng(rng.randrange(1 << 32))
        self.middles = self.random.normal(size=(40, DIMENSION)) * 3
        self.live = np.zeros(capacity, dtype=bool)
        self.vectors = np.zeros((capacity, DIMENSION), dtype=np.float32)
        self.draws = np.zeros(capacity, dtype=np.int64)
        self.parts = np.zeros(capacity, dtype=np.int64)
        salt = rng.randrange(1 << 32)
        # Ascending, found in no other bytes: a table's index has made-up keys between its neighbours', but no such tail.
        self.keys = [f"thing {salt:08x} {i:06d} {i * 2654435761 % 2**32:08x}" for i in range(capacity)]
        self.numbers = {key: i for i, key in enumerate(self.keys)}
        self.erased: dict[int, list[bytes]] = {}  # number -> the bytes of all its vectors
        self.was: dict[int, list[bytes]] = collections.defaultdict(list)
        self.clock = now() - 10**9

    def object(self) -> list:
        out = spec.view_object(view_of(self.metric))
        out.feature_view.fields[0].index.target_recall = self.target
        out.feature_view.fields[1].indexed = out.feature_view.fields[3].indexed = True
        return [spec.entity_object("thing", _KEYS), out]

    def points(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(part, vector): around a middle each."""
        parts = self.random.integers(len(self.middles), size=count)
        return parts, (self.middles[parts] + self.random.normal(size=(count, DIMENSION))).astype(np.float32)

    def write(self, stubs: Any, numbers: np.ndarray) -> None:
        for begin in range(0, len(numbers), ROWS_A_WRITE):
            part = numbers[begin:begin + ROWS_A_WRITE]
            self.clock += 1
            self.live[part] = True
            self.parts[part], self.vectors[part] = self.points(len(part))
            self.draws[part] = self.random.integers(DRAWS, size=len(part))
            request = wire.ingest.WriteRequest(project=PROJECT, durability=wire.ingest.BUFFERED)
            batch = request.batches.add(feature_view="big", row_count=len(part))
            wire.fill(batch.columns["thing"], "STRING", [self.keys[i] for i in part])
            batch.columns["p"].vectors.dimension = DIMENSION
            batch.columns["p"].vectors.values.extend(self.vectors[part].ravel().tolist())
            for name in ("draw", "plain"):
                wire.fill(batch.columns[name], "INT64", self.draws[part].tolist())
            wire.fill(batch.columns["part"], "STRING", [f"part {i}" for i in self.parts[part]])
            batch.event_timestamps.micros.extend([self.clock] * len(part))
            stubs.ingest.Write(request, timeout=60)
            for i in part:
                self.was[int(i)].append(self.vectors[i].tobytes())

    def delete(self, stubs: Any, numbers: np.ndarray) -> None:
        self.clock += 1
        self.live[numbers] = False
        request = wire.ingest.DeleteRequest(project=PROJECT, feature_view="big", row_count=len(numbers))
        wire.fill(request.keys["thing"], "STRING", [self.keys[i] for i in numbers])
        request.event_timestamps.micros.extend([self.clock] * len(numbers))
        stubs.ingest.Delete(request, timeout=60)

    def erase(self, stubs: Any, numbers: np.ndarray) -> None:
        self.live[numbers] = False
        request = wire.ingest.EraseRequest(project=PROJECT, entity="thing", row_count=len(numbers))
        wire.fill(request.keys["thing"], "STRING", [self.keys[i] for i in numbers])
        stubs.ingest.Erase(request, timeout=60)
        stubs.admin.Compact(wire.admin.CompactRequest(project=PROJECT), timeout=120)
        for i in numbers:
            self.erased[int(i)] = self.was.pop(int(i), [])

    def pick(self, share: float, live: bool = True) -> np.ndarray:
        """Of those that may still be written, so not the erased."""
        allowed = self.live == live
        allowed[list(self.erased)] = False
        among = np.nonzero(allowed)[0]
        return self.random.choice(among, size=min(len(among), max(1, int(share * self.live.sum()))), replace=False)

    def left_on_disk(self, folder: pathlib.Path) -> list[str]:
        """Where a key or a vector of the erased still stands."""
        found = []
        for path in (p for p in folder.rglob("*") if p.is_file()):
            try:
                held = path.read_bytes()
            except FileNotFoundError:  # the daemon has replaced it
                continue
            for number, vectors in self.erased.items():
                if self.keys[number].encode() in held:
                    found.append(f"{path.relative_to(folder)} holds the key of {number}")
                if any(vector in held for vector in vectors):
                    found.append(f"{path.relative_to(folder)} holds a vector of {number}")
        return found


class Examiner:
    def __init__(self, daemon: Daemon, held: Collection, rng: random.Random) -> None:
        self.daemon = daemon
        self.held = held
        self.rng = rng
        self.searched = 0
        self.problems: list[str] = []
        self.strategies: collections.Counter = collections.Counter()
        self.recalls: dict[str, list[float]] = collections.defaultdict(list)

    # Filters: a name, the message, and whom it lets pass.
    def filters(self) -> list[tuple[str, Any, np.ndarray]]:
        held, every = self.held, self.held.live
        out: list[tuple[str, Any, np.ndarray]] = [("all", None, every)]
        for share in (0.5, 0.1, 0.01, 0.001):
            below = int(DRAWS * share)
            ref = self.rng.choice(["draw", "draw", "plain"])
            out.append((f"{share:.1%} by chance", spec.condition_filter(("compare", f"big:{ref}", "LT", below)),
                        every & (held.draws < below)))
        parts = self.rng.sample(range(len(held.middles)), 3)
        near = spec.condition_filter(("in", "big:part", [f"part {i}" for i in parts]))
        out.append(("three parts", near, every & np.isin(held.parts, parts)))
        return out

    def examine(self, count: int) -> None:
        """`count` searches of each filter; half of them by entities' own keys, half of the filters in a batch."""
        for name, condition, passing in self.filters():
            keys = self.rng.random() < 0.5
            numbers = self.held.random.choice(np.nonzero(self.held.live)[0], size=count)
            queries = self.held.vectors[numbers] if keys else self.held.points(count)[1]
            for number, query, hits in self._hits(condition, numbers if keys else None, queries):
                self.searched += 1
                self._check(name, query, passing, number, hits)

    def _hits(self, condition: Any, numbers: Optional[np.ndarray], queries: np.ndarray) -> list[tuple]:
        """(the number whose key was asked by, the query, [(number, score)]) of each search."""
        common = wire.vector.SearchRequest(project=PROJECT, index="big:p", top_k=TOP_K, explain=True)
        if condition is not None:
            common.filter.CopyFrom(condition)
        asked = [None] * len(queries) if numbers is None else [int(i) for i in numbers]
        out = []
        if self.rng.random() < 0.5:
            batch = wire.vector.BatchSearchRequest(common=common, query_count=len(queries))
            if numbers is None:
                batch.vectors.extend(queries.ravel().tolist())
            else:
                wire.fill(batch.entity_keys["thing"], "STRING", [self.held.keys[i] for i in numbers])
            answer = self.daemon.stubs.vector.BatchSearch(batch, timeout=120)
            self.strategies.update(p.strategy for p in answer.plans)
            hits, begin = self._pairs(answer.hits), 0
            for number, query, size in zip(asked, queries, answer.hit_counts, strict=True):
                out.append((number, query, hits[begin:begin + size]))
                begin += size
            return out
        for number, query in zip(asked, queries):
            request = wire.vector.SearchRequest()
            request.CopyFrom(common)
            if number is None:
                request.vector.extend(query.tolist())
            else:
                wire.fill(request.entity_key["thing"], "STRING", [self.held.keys[number]])
            answer = self.daemon.stubs.vector.Search(request, timeout=30)
            self.strategies[answer.plan.strategy] += 1
            out.append((number, query, self._pairs(answer)))
        return out

    def _pairs(self, answer: Any) -> list[tuple[int, float]]:
        if not answer.hit_count:
            return []
        keys = wire.values_of(answer.keys[0].column, answer.hit_count)
        return [(self.held.numbers[k], s) for k, s in zip(keys, answer.scores, strict=True)]

    def _check(self, name: str, query: np.ndarray, passing: np.ndarray, number: Optional[int], got: list) -> None:
        held = self.held
        allowed = passing.copy()
        if number is not None:
            allowed[number] = False
        among = np.nonzero(allowed)[0]
        found = scores(held.metric, query.astype(np.float64), held.vectors[among].astype(np.float64))
        order = nearest_first(held.metric, found)[:TOP_K]
        every = dict(zip(among.tolist(), found.tolist()))
        wrong = [hit for hit in got if every.get(hit[0]) != hit[1]]
        sign = 1 if held.metric == "L2" else -1
        if wrong:
            self.problems.append(f"{name}, asked by {number}: hits that may not be or whose score is wrong: {wrong}; "
                                 f"live {[bool(held.live[n]) for n, _ in wrong]}, erased "
                                 f"{[n in held.erased for n, _ in wrong]}, right {[every.get(n) for n, _ in wrong]}")
        elif got != sorted(set(got), key=lambda hit: (sign * hit[1], hit[0])):
            self.problems.append(f"{name}: hits out of order or twice: {got}")
        elif len(got) != len(order):
            self.problems.append(f"{name}: {len(got)} hits, but {len(among)} pass")
        elif len(order):
            last = sign * found[order[-1]]
            self.recalls[name].append(sum(sign * s <= last for _, s in got) / len(order))

    # The index itself.
    def describe(self) -> Any:
        return self.daemon.stubs.vector.DescribeIndex(
            wire.vector.DescribeIndexRequest(project=PROJECT, index="big:p"), timeout=30)

    def settled(self) -> Any:
        """What it is once nothing is under way and there is a graph."""
        deadline = time.monotonic() + BUILD_SECONDS
        while (state := self.describe()).state != "idle" or not state.graph_vectors:
            if time.monotonic() > deadline:
                self.problems.append(f"the index is not built after {BUILD_SECONDS} s: {state}")
                break
            time.sleep(0.1)
        live = int(self.held.live.sum())
        if not state.vectors == live == state.graph_vectors + state.buffered_vectors:
            self.problems.append(f"{live} vectors live, but the index says {state}")
        return state

    def audit(self) -> None:
        answer = self.daemon.stubs.vector.AuditRecall(wire.vector.AuditRecallRequest(
            project=PROJECT, index="big:p", queries=100, top_k=TOP_K, seed=self.rng.randrange(1 << 32),
            reachability=True), timeout=120)
        if answer.queries != 100 or answer.short_answers or answer.recall < self.held.target - SLACK:
            self.problems.append(f"an audit of target {self.held.target} found {answer}")

    def verdict(self) -> str:
        """The recall of each filter, and problems where it is less than asked for."""
        means = {name: sum(all_) / len(all_) for name, all_ in self.recalls.items() if all_}
        for name, mean in means.items():
            if mean < self.held.target - SLACK:
                self.problems.append(f"{name}: recall {mean:.3f} over {len(self.recalls[name])} searches, target "
                                     f"{self.held.target}")
        if not self.problems and not self.strategies["graph"]:
            self.problems.append(f"no search walked a graph: {dict(self.strategies)}")
        return ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())


def churn(daemon: Daemon, held: Collection, examiner: Examiner, rng: random.Random, data_dir: pathlib.Path) -> None:
    """A round of changes, a fifth of all, with what may happen to a daemon in between."""
    held.write(daemon.stubs, held.pick(0.12))
    held.delete(daemon.stubs, held.pick(0.05))
    held.write(daemon.stubs, held.pick(0.04, live=False))
    event = rng.choice(["", "rebuild", "erase", "restart", "kill", "damage"])
    if event == "rebuild":
        daemon.stubs.vector.RebuildIndex(wire.vector.RebuildIndexRequest(project=PROJECT, index="big:p"), timeout=30)
    elif event == "erase":
        held.erase(daemon.stubs, held.pick(0.001))
        examiner.problems += held.left_on_disk(data_dir)
    elif event:
        daemon.kill() if event == "kill" or rng.random() < 0.5 else daemon.stop()
        if event == "damage":
            damage(data_dir, rng)
        daemon.start()


def run(daemon: Daemon, rng: random.Random, vectors: int, rounds: int, over: Any) -> list[str]:
    """Returns the problems; ends early when `over()`."""
    held = Collection(rng, vectors + vectors // 10)
    spec.apply(daemon.stubs, PROJECT, held.object())
    held.write(daemon.stubs, np.arange(vectors))
    examiner = Examiner(daemon, held, rng)
    examiner.examine(5)  # while it is built
    done = 0
    while done < rounds and not examiner.problems and not (done and over()):
        if done:
            churn(daemon, held, examiner, rng, daemon.data_dir)
            examiner.examine(5)
        examiner.settled()
        examiner.examine(30)
        examiner.audit()
        done += 1
    held.erase(daemon.stubs, held.pick(0.001))
    examiner.problems += held.left_on_disk(daemon.data_dir)
    examiner.examine(5)
    text = examiner.verdict()
    print(f"search model: {vectors} vectors, {held.metric}, target {held.target}, {done} rounds, {examiner.searched} "
          f"searches {dict(examiner.strategies)}, recall {text}", flush=True)
    for problem in examiner.problems[:MAX_REPORTED]:
        print(f"\nWRONG in the large collection: {problem[:3000]}", flush=True)
    return examiner.problems
