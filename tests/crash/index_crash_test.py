# SPDX-License-Identifier: Apache-2.0
"""kill -9 while graphs are built, extended and saved. After each restart every key has what was acknowledged last (or
what was under way), the index has as many, those asked are found by their own vectors, exactly and through the graph, and
nothing that was deleted is found. At the end all are asked.

  index_crash_test.py [--seed N] [--cycles N] [--vectors N] [--budget 60s]
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys
import threading
import time
from typing import Any, Optional

import grpc
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from oracle.oracle import Field, Type, View
from support import spec, wire
from support.budget import Budget, add_arguments
from support.daemon import Daemon

PROJECT = "index_crash"
DIMENSION = 16
WRITERS = 3
ROWS = 200
QUERIES_A_BATCH = 1000
SEARCHED_A_CYCLE = 2000  # of those changed since the last restart, and as many of all
FOUND_SHARE = 0.95  # of searches through the graph for a stored vector: the index's target
_VIEW = View("shape", "thing", [("thing", "INT64")],
             [Field("p", Type("FLOAT_VECTOR", dimension=DIMENSION), metric="L2")])

Vector = Optional[bytes]  # float32s; None: deleted or never written


class Ledger:
    """What may be there, by key. Each key has one writer, so its writes have an order."""

    def __init__(self, rng: random.Random, most: int) -> None:
        """`most`: no new keys beyond about so many."""
        self.random = np.random.default_rng(rng.randrange(1 << 32))
        self.most = most
        self.sure: dict[int, Vector] = {}
        self.under_way: dict[int, Vector] = {}
        self.touched: set[int] = set()  # since the last restart
        self.next_key = 0
        self.clock = time.time_ns() // 1000 - 10**10
        self.acknowledged = 0
        self.problems: list[str] = []
        self._lock = threading.Lock()

    def changes(self, writer: int) -> tuple[dict[int, Vector], int]:
        """New vectors, replacements or deletions of the writer's own keys, and their event time."""
        with self._lock:
            self.clock += 1
            roll = self.random.random()
            own = [k for k in self.sure if k % WRITERS == writer and k not in self.under_way]
            if own and roll < 0.1:
                keys = self.random.choice(own, size=min(len(own), ROWS // 4), replace=False).tolist()
                out: dict[int, Vector] = dict.fromkeys(keys)
            else:
                if own and (roll < 0.4 or len(self.sure) >= self.most):
                    keys = self.random.choice(own, size=min(len(own), ROWS), replace=False).tolist()
                else:
                    keys = [self.next_key + i * WRITERS + writer for i in range(ROWS)]
                    self.next_key += ROWS * WRITERS
                vectors = self.random.normal(size=(len(keys), DIMENSION)).astype(np.float32)
                out = {key: vector.tobytes() for key, vector in zip(keys, vectors)}
            self.under_way.update(out)
            self.touched.update(out)
            return out, self.clock

    def acknowledge(self, changes: dict[int, Vector]) -> None:
        with self._lock:
            self.acknowledged += 1
            self.sure.update(changes)
            for key in changes:
                self.under_way.pop(key)

    def settle(self, there: dict[int, Vector]) -> None:
        """What stands after the restart: nothing but what was acknowledged last, or was under way."""
        for key, vector in there.items():
            allowed = [self.sure.get(key)] + ([self.under_way[key]] if key in self.under_way else [])
            if vector not in allowed:
                self.problems.append(f"{key} holds neither what was acknowledged nor what was under way: {vector!r}")
        self.sure.update(there)
        self.under_way.clear()


def send(stubs: Any, changes: dict[int, Vector], clock: int) -> None:
    deleted = None in changes.values()
    if deleted:
        request = wire.ingest.DeleteRequest(project=PROJECT, feature_view="shape", row_count=len(changes))
        wire.fill(request.keys["thing"], "INT64", list(changes))
        request.event_timestamps.micros.extend([clock] * len(changes))
        stubs.ingest.Delete(request, timeout=30)
        return
    write = wire.ingest.WriteRequest(project=PROJECT)
    batch = write.batches.add(feature_view="shape", row_count=len(changes))
    wire.fill(batch.columns["thing"], "INT64", list(changes))
    batch.columns["p"].vectors.dimension = DIMENSION
    batch.columns["p"].vectors.values.extend(np.frombuffer(b"".join(changes.values()), dtype=np.float32).tolist())
    batch.event_timestamps.micros.extend([clock] * len(changes))
    stubs.ingest.Write(write, timeout=30)


def write_until_killed(stubs: Any, ledger: Ledger, writer: int) -> None:
    try:
        while True:
            changes, clock = ledger.changes(writer)
            send(stubs, changes, clock)
            ledger.acknowledge(changes)
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            ledger.problems.append(f"a write was refused: {error.code().name}: {error.details()}")


def rebuild_until_killed(stubs: Any, states: set, pause: float) -> None:
    """Keeps the index at work, and notes what a kill may have met."""
    try:
        while True:
            state = stubs.vector.DescribeIndex(wire.vector.DescribeIndexRequest(project=PROJECT, index="shape:p"),
                                               timeout=30).state
            states.add(state)
            if state == "idle":
                stubs.vector.RebuildIndex(wire.vector.RebuildIndexRequest(project=PROJECT, index="shape:p"), timeout=30)
            time.sleep(pause)
    except grpc.RpcError:
        pass


class Checker:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.answers = 0
        self.graph_asked = self.graph_found = 0

    def check(self, stubs: Any, every: bool = False) -> None:
        self.ledger.settle(self._online(stubs))
        live = {k: v for k, v in self.ledger.sure.items() if v is not None}
        described = stubs.vector.DescribeIndex(
            wire.vector.DescribeIndexRequest(project=PROJECT, index="shape:p"), timeout=30)
        if described.vectors != len(live):
            self.ledger.problems.append(f"{len(live)} vectors live, but the index says {described}")
        keys = list(live)
        if not every:
            touched = sorted(k for k in self.ledger.touched if k in live)
            keys = [k for of in (touched, keys) for k in self.ledger.random.permutation(of)[:SEARCHED_A_CYCLE].tolist()]
        self.ledger.touched.clear()
        for begin in range(0, len(keys), QUERIES_A_BATCH):
            part = keys[begin:begin + QUERIES_A_BATCH]
            for exact in (True, False):
                self._search(stubs, part, [live[k] for k in part], live, exact)

    def _online(self, stubs: Any) -> dict[int, Vector]:
        keys = sorted(self.ledger.sure.keys() | self.ledger.under_way.keys())
        out: dict[int, Vector] = {}
        for begin in range(0, len(keys), 5000):
            part = keys[begin:begin + 5000]
            request = wire.serving.GetOnlineFeaturesRequest(project=PROJECT, features=["shape:p"], row_count=len(part))
            wire.fill(request.keys["thing"], "INT64", part)
            answer = stubs.serving.GetOnlineFeatures(request, timeout=60)
            for key, cell in zip(part, wire.cells_of(answer.columns[0], len(part), False), strict=True):
                out[key] = np.array(cell[1], dtype=np.float32).tobytes() if cell[0] == 0 else None
        return out

    def _search(self, stubs: Any, keys: list[int], vectors: list[bytes], live: dict[int, bytes], exact: bool) -> None:
        request = wire.vector.BatchSearchRequest(query_count=len(keys), common=wire.vector.SearchRequest(
            project=PROJECT, index="shape:p", top_k=1, params=wire.vector.SearchParams(exact=exact)))
        request.vectors.extend(np.frombuffer(b"".join(vectors), dtype=np.float32).tolist())
        answer = stubs.vector.BatchSearch(request, timeout=120)
        self.answers += len(keys)
        if list(answer.hit_counts) != [1] * len(keys):
            self.ledger.problems.append(f"hits of {len(keys)} searches for 1, exact={exact}: {answer.hit_counts}")
            return
        hits = wire.values_of(answer.hits.keys[0].column, len(keys))
        for key, hit, score in zip(keys, hits, answer.hits.scores, strict=True):
            own = hit == key and score == 0
            if hit not in live or (exact and not own):
                self.ledger.problems.append(f"search by the vector of {key}, exact={exact}: {hit} came with score {score}")
            if not exact:
                self.graph_asked += 1
                self.graph_found += own


def cycle(daemon: Daemon, ledger: Ledger, checker: Checker, rng: random.Random, states: set) -> float:
    """Returns the seconds of the restart."""
    threads = [threading.Thread(target=write_until_killed, args=(daemon.stubs, ledger, w)) for w in range(WRITERS)]
    threads.append(threading.Thread(target=rebuild_until_killed, args=(daemon.stubs, states, rng.choice([0.01, 0.3]))))
    for thread in threads:
        thread.start()
    time.sleep(rng.uniform(0.1, 2.0))
    daemon.kill()
    for thread in threads:
        thread.join()
    begin = time.monotonic()
    daemon.start()
    seconds = time.monotonic() - begin
    checker.check(daemon.stubs)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, cycles=8)
    parser.add_argument("--vectors", type=int, default=6000, help="written before the first kill")
    options = parser.parse_args()
    print(f"index crash: seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    budget = Budget(options)
    ledger = Ledger(rng, 3 * options.vectors)
    checker = Checker(ledger)
    cycles, slowest = 0, 0.0
    states: set = set()
    with Daemon() as daemon:
        spec.apply(daemon.stubs, PROJECT, [spec.entity_object("thing", _VIEW.join_keys), spec.view_object(_VIEW)])
        while len(ledger.sure) < options.vectors:
            changes, clock = ledger.changes(rng.randrange(WRITERS))
            send(daemon.stubs, changes, clock)
            ledger.acknowledge(changes)
        while not ledger.problems and not budget.over():
            slowest = max(slowest, cycle(daemon, ledger, checker, rng, states))
            cycles += 1
            budget.spend(1)
        if not ledger.problems:
            checker.check(daemon.stubs, every=True)
    if checker.graph_found < FOUND_SHARE * checker.graph_asked:
        ledger.problems.append(f"{checker.graph_found} of {checker.graph_asked} stored vectors found through the graph")
    for problem in ledger.problems[:5]:
        print(f"\nLOST OR WRONG (seed {options.seed}, cycle {cycles}): {problem[:2000]}", flush=True)
    print(f"index crash: seed {options.seed}: {cycles} kills while {sorted(states)}, {ledger.acknowledged} acknowledged "
          f"requests, {len(ledger.sure)} keys, {checker.answers} searches, {checker.graph_found} of "
          f"{checker.graph_asked} found through the graph, slowest restart {slowest:.2f} s, {len(ledger.problems)} "
          f"problems, {budget.seconds():.0f} s", flush=True)
    return 1 if ledger.problems else 0


if __name__ == "__main__":
    sys.exit(main())
