# SPDX-License-Identifier: Apache-2.0
"""Makes a mismatch small: the facts of its entity alone, in a project of their own, fewer and fewer of them."""

from __future__ import annotations

import copy
import itertools
import time
from typing import Any, Optional

import grpc

from model.questions import Mismatch
from model.world import World
from oracle.oracle import FORM_NAMES, RETRACTION, ROW, Fact, Oracle, View
from support import spec, wire

_numbers = itertools.count()


def replay(stubs: Any, view: View, key: tuple, facts: list[Fact], cell: tuple) -> Optional[tuple]:
    """Writes the facts, a commit each, and asks the cell as a FIXED training read. Returns (expected, got) when they
    differ. The commit asked at is the last one replayed that is not after the original's."""
    field, as_of, known_at = cell
    project = f"shrink{next(_numbers)}"
    spec.apply(stubs, project, [spec.entity_object(view.entity, view.join_keys), spec.view_object(view)])
    oracle = Oracle()
    oracle.add_view(view)
    asked_at = 0
    for fact in facts:
        seq = _write(stubs, project, view, key, fact)
        if fact.commit <= known_at:
            asked_at = seq
        oracle.add(view.name, key, Fact(fact.event_time, fact.tombstone, fact.event_key, seq, fact.form, fact.values))
    header = wire.historical.HistoricalHeader(project=project, features=[f"{view.name}:{field}"],
                                              known_at_mode=wire.historical.FIXED, include_event_timestamps=True,
                                              known_at=wire.known_at(seq=asked_at))
    spine = wire.historical.SpineBatch(row_count=1, timestamps=wire.times(as_of))
    _key(spine.keys, view.join_keys, key)
    parts = [wire.historical.GetHistoricalFeaturesRequest(header=header),
             wire.historical.GetHistoricalFeaturesRequest(spine=spine)]
    answers = list(stubs.historical.GetHistoricalFeatures(iter(parts), timeout=30))
    got = wire.cells_of(answers[1].columns[0], 1, True)[0]
    expected = oracle.cell(view.name, key, field, as_of, asked_at)
    return None if wire.same_cell(expected, got) else (expected, got)


def _key(columns: Any, names: list, values: tuple) -> None:
    for (name, type_), value in zip(names, values):
        wire.fill(columns[name], type_, [value])


def _write(stubs: Any, project: str, view: View, key: tuple, fact: Fact) -> int:
    stamps = wire.times(fact.event_time)
    if fact.form == ROW:
        batch = wire.ingest.RowBatch(feature_view=view.name, row_count=1, event_timestamps=stamps)
        _key(batch.columns, view.join_keys, key)
        _key(batch.columns, view.event_key, fact.event_key)
        for name, value in fact.values.items():
            t = view.field(name).type
            wire.fill(batch.columns[name], t.name, [value], t.array, t.dimension)
        return stubs.ingest.Write(wire.ingest.WriteRequest(project=project, batches=[batch])).commit_seq
    message = wire.ingest.RetractRequest if fact.form == RETRACTION else wire.ingest.DeleteRequest
    request = message(project=project, feature_view=view.name, row_count=1, event_timestamps=stamps)
    _key(request.keys, view.join_keys, key)
    if fact.form != RETRACTION:
        return stubs.ingest.Delete(request).commit_seq
    request.tombstones = fact.tombstone
    if not fact.tombstone:
        _key(request.keys, view.event_key, fact.event_key)
    return stubs.ingest.Retract(request).commit_seq


def shrink(stubs: Any, world: World, mismatch: Mismatch, seconds: float = 10) -> str:
    """The smallest history found that still answers wrongly, or why there is none."""
    if mismatch.cell is None or mismatch.key is None:
        return "not a single cell: see the facts above"
    view = copy.deepcopy(world.oracle.views[mismatch.view])
    view.max_future_skew = 366 * 86_400 * 1_000_000
    facts = sorted(world.oracle.facts[view.name].get(mismatch.key, []), key=lambda f: f.commit)
    deadline = time.monotonic() + seconds
    try:
        answers = replay(stubs, view, mismatch.key, facts, mismatch.cell)
        if answers is None:
            return "replayed alone in a new project, as a FIXED training read, the answer is right"
        again = True
        while again and time.monotonic() < deadline:
            again = False
            for i in range(len(facts)):
                try:
                    fewer = replay(stubs, view, mismatch.key, facts[:i] + facts[i + 1:], mismatch.cell)
                except grpc.RpcError:  # a retraction of what was left out
                    continue
                if fewer is not None:
                    facts, answers, again = facts[:i] + facts[i + 1:], fewer, True
                    break
    except grpc.RpcError as error:
        return f"the replay was refused: {error.details()}"
    return (f"smallest, as a FIXED training read of {mismatch.cell}:\n" + describe(facts) +
            f"\n  expected {answers[0]}\n  got      {answers[1]}")


def describe(facts: list[Fact]) -> str:
    return "\n".join(
        f"  commit {f.commit} {FORM_NAMES[f.form]}{' of a tombstone' if f.form == RETRACTION and f.tombstone else ''}"
        f" event_time={f.event_time} event_key={f.event_key} {f.values}"
        for f in sorted(facts, key=lambda f: f.commit))
