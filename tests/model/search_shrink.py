# SPDX-License-Identifier: Apache-2.0
"""Makes a wrong exact search small: its entity's facts in a project of their own, fewer and fewer of them."""

from __future__ import annotations

import copy
import time
from typing import Any, Optional

import grpc

from model.shrink import describe, numbers, write_fact
from oracle.oracle import Fact, Key, Oracle, View
from oracle.search_oracle import SearchOracle
from support import spec

Written = tuple[View, Key, Fact]
SECONDS = 30.0


def replay(stubs: Any, ask: Any, number: int, views: list[View], facts: list[Written], as_of: int,
           known_at: int) -> Optional[tuple]:
    """Writes the facts, a commit each, and searches again. Returns (expected, got) when they differ."""
    project = f"shrink{next(numbers)}"
    spec.apply(stubs, project, [spec.entity_object(views[0].entity, views[0].join_keys), *map(spec.view_object, views)])
    oracle = Oracle()
    for view in views:
        oracle.add_view(view)
    asked_at = 0
    for view, key, fact in facts:
        seq = write_fact(stubs, project, view, key, fact)
        if fact.commit <= known_at:
            asked_at = seq
        oracle.add(view.name, key, Fact(fact.event_time, fact.tombstone, fact.event_key, seq, fact.form, fact.values))
    expected = ask.exact_answer(number, SearchOracle(oracle, views[0].entity).at(as_of, asked_at))
    try:
        got = ask.again(stubs, project, number, as_of, asked_at)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        got = None
    right = None if expected is None else expected[1]
    return None if right == got else (right, got)


def shrink(stubs: Any, ask: Any, number: int, as_of: int, known_at: int) -> str:
    """The smallest history found that is still answered wrongly, or why there is none."""
    oracle = ask.q.oracle
    views = [copy.deepcopy(v) for v in oracle.views.values() if v.entity == ask.view.entity and type(v) is View]
    for view in views:
        view.max_future_skew = 366 * 86_400 * 1_000_000
    facts = [(v, k, f) for v in views for k, held in oracle.facts[v.name].items() for f in held]
    facts.sort(key=lambda written: written[2].commit)
    deadline = time.monotonic() + SECONDS
    answers = replay(stubs, ask, number, views, facts, as_of, known_at)
    if answers is None:
        return "replayed alone in a new project, the answer is right"
    size = max(1, len(facts) // 2)
    while time.monotonic() < deadline:
        for begin in range(0, len(facts), size):
            part = facts[:begin] + facts[begin + size:]
            try:
                fewer = replay(stubs, ask, number, views, part, as_of, known_at)
            except grpc.RpcError:  # a retraction of what was left out
                continue
            if fewer is not None:
                facts, answers = part, fewer
                break
            if time.monotonic() > deadline:
                break
        else:
            if size == 1:
                break
            size //= 2
    lines = "\n".join(f"{view.name} {key}\n{describe([fact])}" for view, key, fact in facts)
    return f"smallest, as_of={as_of}, known_at=the end:\n{lines}\n  expected {answers[0]}\n  got      {answers[1]}"
