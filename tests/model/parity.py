# SPDX-License-Identifier: Apache-2.0
"""Any online answer, asked again as a training read at its own (as_of, read_seq), is equal cell for cell, and any exact
search, asked again at its own, is equal whole: while writers run."""

from __future__ import annotations

import random
import threading
from typing import Any

import grpc

from model.questions import Mismatch, Questions, Role
from model.search_question import Ask
from model.world import World, now
from model.writer import Writer
from support import spec, wire
from support.budget import Budget
from support.daemon import Daemon

WRITERS = 3
ROWS = 100


class WriterThread(threading.Thread):
    """Writes into the world with a picker and an oracle of its own: what others wrote is none of its business."""

    def __init__(self, world: World, stubs: Any, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.world = World.__new__(World)
        self.world.__dict__.update(world.__dict__, rng=random.Random(seed))
        self.writer = Writer(self.world, stubs, f"{seed}-")
        self.writer._acknowledged = self._acknowledged  # type: ignore[method-assign]
        self.stop = stop
        self.commits = 0
        self.problem = ""

    def _acknowledged(self, answer: Any, pending: list) -> None:
        self.commits += 1

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.world.rng.choices([self.writer.write, self.writer.delete, self.writer.stream], [8, 2, 1])[0]()
        except grpc.RpcError as error:
            self.problem = f"a writer was refused: {error.code().name}: {error.details()}"


class Reader(Questions):
    def online_twice(self) -> None:
        """Online, now or as of then; then as a training read at what the answer says it used."""
        rng = self.world.rng
        request = wire.serving.GetOnlineFeaturesRequest(project=self.world.project, row_count=ROWS,
                                                        include_event_timestamps=True)
        cells, _ = self._select(request)
        self._keys(request.keys, cells, ROWS)
        self._context(request.request_context, cells, ROWS)
        if rng.random() < 0.4:
            request.as_of.micros.append(self.world.as_of(now()))
        online = self.stubs.serving.GetOnlineFeatures(request, timeout=30)
        if rng.random() < 0.3:  # again, at an earlier commit
            request.known_at.commit_seq = rng.randrange(online.read_seq + 1)
            online = self.stubs.serving.GetOnlineFeatures(request, timeout=30)
        header = wire.historical.HistoricalHeader(
            project=request.project, feature_service=request.feature_service, features=request.features,
            bindings=request.bindings, known_at_mode=wire.historical.FIXED,
            known_at=wire.known_at(seq=online.read_seq), include_event_timestamps=True)
        spine = wire.historical.SpineBatch(row_count=ROWS, keys=request.keys,
                                           timestamps=wire.times(*[online.as_of_micros] * ROWS),
                                           request_context=request.request_context)
        parts = [wire.historical.GetHistoricalFeaturesRequest(header=header),
                 wire.historical.GetHistoricalFeaturesRequest(spine=spine)]
        trained = list(self.stubs.historical.GetHistoricalFeatures(iter(parts), timeout=60))[1]
        for (role, field), a, b in zip(cells, online.columns, trained.columns, strict=True):
            self._same_column(role, field, a, b, f"as_of={online.as_of_micros} read_seq={online.read_seq}")

    def _same_column(self, role: Role, field: str, a: Any, b: Any, moment: str) -> None:
        self.asked += ROWS
        if a == b:
            return
        for row, (x, y) in enumerate(zip(wire.cells_of(a, ROWS, True), wire.cells_of(b, ROWS, True))):
            if not wire.same_cell(x, y):
                self.mismatches.append(Mismatch(f"row {row} of {role.view.name}:{field} {moment}", "", None,
                                                f"{y} (training)", f"{x} (online)"))

    def search_twice(self) -> None:
        ask = Ask(self)
        ask.request.params.exact = True
        ask.request.vector.extend(self.world.value(ask.field.type))
        ask.hydrate()
        first = self.stubs.vector.Search(ask.request, timeout=30)
        ask.request.as_of.micros.append(first.as_of_micros)
        ask.request.known_at.commit_seq = first.read_seq
        second = self.stubs.vector.Search(ask.request, timeout=30)
        self.asked += max(1, first.hit_count)
        first.ClearField("plan")
        second.ClearField("plan")
        if first.SerializeToString(deterministic=True) != second.SerializeToString(deterministic=True):
            self.mismatches.append(Mismatch(f"search {ask.request}", "", None, f"{second}", f"{first}"))


def one_world(daemon: Daemon, rng: random.Random, number: int, budget: Budget) -> tuple[int, int, list]:
    """Returns the cells compared, the commits made meanwhile, and the problems."""
    world = World(rng, f"parity{number}", [])
    spec.apply(daemon.stubs, world.project, world.objects())
    stop = threading.Event()
    threads = [WriterThread(world, daemon.stubs, rng.randrange(1 << 32), stop) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    reader = Reader(world, daemon.stubs)
    problems: list = []
    try:
        for _ in range(60):
            reader.search_twice() if rng.random() < 0.2 else reader.online_twice()
            if reader.mismatches or budget.over(reader.asked):
                break
    except grpc.RpcError as error:
        problems.append(f"a read was refused: {error.code().name}: {error.details()}")
    stop.set()
    for thread in threads:
        thread.join()
    problems += [t.problem for t in threads if t.problem] + reader.mismatches
    return reader.asked, sum(t.commits for t in threads), problems


def run(options: Any) -> int:
    rng = random.Random(options.seed)
    budget = Budget(options)
    cells, commits, worlds = 0, 0, 0
    problems: list = []
    print(f"parity: seed {options.seed}", flush=True)
    with Daemon() as daemon:
        while not problems and not budget.over():
            count, written, problems = one_world(daemon, rng, worlds, budget)
            cells, commits, worlds = cells + count, commits + written, worlds + 1
            budget.spend(count)
    for problem in problems[:3]:
        print(f"\nMISMATCH: {problem}", flush=True)
    print(f"parity: seed {options.seed}: {cells} cells compared while {commits} commits were made, "
          f"{len(problems)} mismatches, {budget.seconds():.0f} s", flush=True)
    return 1 if problems else 0
