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
from oracle.expressions import atoms
from oracle.oracle import FORM_NAMES, RETRACTION, ROW, Fact, OnDemandView, Oracle, View, WindowView
from support import spec, wire

numbers = itertools.count()


Written = tuple[View, Fact]  # a fact of one of the views that are read


def with_inputs(world: World, name: str) -> list[View]:
    """The view and those it reads, each before its readers."""
    view = world.oracle.views[name]
    below = [view.source] if isinstance(view, WindowView) else view.inputs if isinstance(view, OnDemandView) else []
    found = [v for other in below for v in with_inputs(world, other)] + [view]
    return [v for i, v in enumerate(found) if v not in found[:i]]


def replay(stubs: Any, views: list[View], key: tuple, facts: list[Written], cell: tuple) -> Optional[tuple]:
    """Writes the facts, a commit each, and asks the cell of the last view as a FIXED training read. Returns (expected,
    got) when they differ. The commit asked at is the last one replayed that is not after the original's."""
    field, as_of, known_at, context = cell
    view = views[-1]
    project = f"shrink{next(numbers)}"
    spec.apply(stubs, project, [spec.entity_object(view.entity, view.join_keys), *map(spec.view_object, views)])
    oracle = Oracle()
    for declared in views:
        oracle.add_view(declared)
    asked_at = 0
    for source, fact in facts:
        seq = write_fact(stubs, project, source, key, fact)
        if fact.commit <= known_at:
            asked_at = seq
        oracle.add(source.name, key, Fact(fact.event_time, fact.tombstone, fact.event_key, seq, fact.form, fact.values))
    header = wire.historical.HistoricalHeader(project=project, features=[f"{view.name}:{field}"],
                                              known_at_mode=wire.historical.FIXED, include_event_timestamps=True,
                                              known_at=wire.known_at(seq=asked_at))
    spine = wire.historical.SpineBatch(row_count=1, timestamps=wire.times(as_of))
    _key(spine.keys, view.join_keys, key)
    if isinstance(view, OnDemandView):
        used = {a[1] for a in atoms(view.trees[field]) if a[0] == "request"}
        for name, type_ in view.request:
            if name in used:
                wire.fill(spine.request_context[name], type_, [context[name]])
    parts = [wire.historical.GetHistoricalFeaturesRequest(header=header),
             wire.historical.GetHistoricalFeaturesRequest(spine=spine)]
    answers = list(stubs.historical.GetHistoricalFeatures(iter(parts), timeout=30))
    got = wire.cells_of(answers[1].columns[0], 1, True)[0]
    expected = oracle.cell(view.name, key, field, as_of, asked_at, context)
    return None if wire.same_cell(expected, got) else (expected, got)


def _key(columns: Any, names: list, values: tuple) -> None:
    for (name, type_), value in zip(names, values):
        wire.fill(columns[name], type_, [value])


def write_fact(stubs: Any, project: str, view: View, key: tuple, fact: Fact) -> int:
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
    views = copy.deepcopy(with_inputs(world, mismatch.view))
    if any("@" in v.name for v in views):
        return "of an older version of a view: see the facts above"
    facts: list[Written] = []
    for view in views:
        view.max_future_skew = 366 * 86_400 * 1_000_000
        facts += [(view, f) for f in world.oracle.facts[view.name].get(mismatch.key, [])]
    facts.sort(key=lambda written: written[1].commit)
    deadline = time.monotonic() + seconds
    try:
        answers = replay(stubs, views, mismatch.key, facts, mismatch.cell)
        if answers is None:
            return "replayed alone in a new project, as a FIXED training read, the answer is right"
        again = True
        while again and time.monotonic() < deadline:
            again = False
            for i in range(len(facts)):
                try:
                    fewer = replay(stubs, views, mismatch.key, facts[:i] + facts[i + 1:], mismatch.cell)
                except grpc.RpcError:  # a retraction of what was left out
                    continue
                if fewer is not None:
                    facts, answers, again = facts[:i] + facts[i + 1:], fewer, True
                    break
    except grpc.RpcError as error:
        return f"the replay was refused: {error.details()}"
    return (f"smallest, as a FIXED training read of {mismatch.cell}:\n" + describe([f for _, f in facts]) +
            f"\n  expected {answers[0]}\n  got      {answers[1]}")


def describe(facts: list[Fact]) -> str:
    return "\n".join(
        f"  commit {f.commit} {FORM_NAMES[f.form]}{' of a tombstone' if f.form == RETRACTION and f.tombstone else ''}"
        f" event_time={f.event_time} event_key={f.event_key} {f.values}"
        for f in sorted(facts, key=lambda f: f.commit))
