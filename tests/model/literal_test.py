# SPDX-License-Identifier: Apache-2.0
"""semantics.md as literal cases. Every check is asked four ways: online, as a FIXED training read, as NEWEST where
that means the same, and as an exact search, which finds the entity's vector exactly when the cell is PRESENT."""

from __future__ import annotations

import itertools
import pathlib
import sys
import time
from typing import Any, Optional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import grpc

from model.world import now
from oracle.oracle import NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT, STATUS_NAMES, Field, Type, View
from support import spec, wire
from support.daemon import Daemon

S = 1_000_000
PROJECT = "literal"
_numbers = itertools.count()


class Case:
    """One view of user 7. Times are seconds after `base`, which lies far enough in the past."""

    def __init__(self, daemon: Daemon, ttl: float = 0, event_key: bool = False, base: Optional[int] = None) -> None:
        self.stubs = daemon.stubs
        self.base = now() - 10_000 * S if base is None else base
        self.name = f"v{next(_numbers)}"
        self.checks = 0
        self.seqs: dict[int, int] = {}  # the case's commit 1, 2, 3 … -> the daemon's number
        self.commit_times: dict[int, int] = {}
        view = View(self.name, "user", [("user", "INT64")],
                    [Field("x", Type("STRING")), Field("d", Type("INT64"), 5),
                     Field("p", Type("FLOAT_VECTOR", dimension=2), metric="L2")],
                    round(ttl * S), [("k", "STRING")] if event_key else [], 10 * S)
        spec.apply(self.stubs, PROJECT, [spec.entity_object("user", [("user", "INT64")]), spec.view_object(view)])

    def at(self, seconds: float) -> int:
        return self.base + round(seconds * S)

    # Commits, numbered 1, 2, 3 … in the case.
    def _committed(self, answer: Any) -> int:
        number = len(self.seqs) + 1
        self.seqs[number] = answer.commit_seq
        self.commit_times[number] = answer.commit_time_micros
        return number

    def write(self, *rows: tuple) -> int:
        """Rows are (seconds, x) or (seconds, x, event key); x None is an explicit null."""
        batch = wire.ingest.RowBatch(feature_view=self.name, row_count=len(rows),
                                     event_timestamps=wire.times(*(self.at(r[0]) for r in rows)))
        wire.fill(batch.columns["user"], "INT64", [7] * len(rows))
        wire.fill(batch.columns["x"], "STRING", [r[1] for r in rows])
        wire.fill(batch.columns["p"], "FLOAT_VECTOR", [[1.0, 2.0]] * len(rows), dimension=2)
        if len(rows[0]) == 3:
            wire.fill(batch.columns["k"], "STRING", [r[2] for r in rows])
        return self._committed(self.stubs.ingest.Write(
            wire.ingest.WriteRequest(project=PROJECT, batches=[batch]), timeout=10))

    def delete(self, seconds: float) -> int:
        request = wire.ingest.DeleteRequest(project=PROJECT, feature_view=self.name, row_count=1,
                                            event_timestamps=wire.times(self.at(seconds)))
        wire.fill(request.keys["user"], "INT64", [7])
        return self._committed(self.stubs.ingest.Delete(request, timeout=10))

    def retract(self, seconds: float, event_key: Optional[str] = None, tombstone: bool = False) -> int:
        request = wire.ingest.RetractRequest(project=PROJECT, feature_view=self.name, row_count=1,
                                             tombstones=tombstone, event_timestamps=wire.times(self.at(seconds)))
        wire.fill(request.keys["user"], "INT64", [7])
        if event_key is not None:
            wire.fill(request.keys["k"], "STRING", [event_key])
        return self._committed(self.stubs.ingest.Retract(request, timeout=10))

    # Questions.
    def online(self, as_of: Optional[int], known_at: Optional[int], field: str = "x", user: int = 7) -> tuple:
        request = wire.serving.GetOnlineFeaturesRequest(
            project=PROJECT, features=[f"{self.name}:{field}"], row_count=1, include_event_timestamps=True)
        wire.fill(request.keys["user"], "INT64", [user])
        if as_of is not None:
            request.as_of.micros.append(as_of)
        if known_at is not None:
            request.known_at.commit_seq = known_at
        answer = self.stubs.serving.GetOnlineFeatures(request, timeout=10)
        return wire.cells_of(answer.columns[0], 1, True)[0]

    def training(self, as_of: int, mode: str, known_at: Optional[int] = None, field: str = "x", user: int = 7) -> tuple:
        header = wire.historical.HistoricalHeader(project=PROJECT, features=[f"{self.name}:{field}"],
                                                  known_at_mode=mode, include_event_timestamps=True)
        if known_at is not None:
            header.known_at.commit_seq = known_at
        spine = wire.historical.SpineBatch(row_count=1, timestamps=wire.times(as_of))
        wire.fill(spine.keys["user"], "INT64", [user])
        parts = [wire.historical.GetHistoricalFeaturesRequest(header=header),
                 wire.historical.GetHistoricalFeaturesRequest(spine=spine)]
        answers = list(self.stubs.historical.GetHistoricalFeatures(iter(parts), timeout=10))
        return wire.cells_of(answers[1].columns[0], 1, True)[0]

    def found(self, as_of: int, known_at: int) -> bool:
        request = wire.vector.SearchRequest(project=PROJECT, index=f"{self.name}:p", vector=[0, 0], top_k=5,
                                            as_of=wire.times(as_of), known_at=wire.known_at(seq=known_at))
        request.params.exact = True
        return self.stubs.vector.Search(request, timeout=10).hit_count == 1

    def check(self, seconds: float, commit: int, status: int, x: Optional[str], stamp: Optional[float],
              field: str = "x") -> None:
        """At T = base + seconds and K = the case's commit `commit`."""
        as_of, known_at = self.at(seconds), self.seqs.get(commit, 0)
        expected = (status, x, None if stamp is None else self.at(stamp))
        answers = {"online": self.online(as_of, known_at, field),
                   "FIXED": self.training(as_of, "FIXED", known_at, field)}
        if commit == len(self.seqs):
            answers["NEWEST"] = self.training(as_of, "NEWEST", field=field)
            answers["online, newest"] = self.online(as_of, None, field)
        for way, got in answers.items():
            self.equal(f"T={seconds} K={commit} {way}", expected, got)
        if field == "x" and status != NULL_VALUE:
            self.equal(f"T={seconds} K={commit} search", status == PRESENT, self.found(as_of, known_at))

    def equal(self, what: str, expected: Any, got: Any) -> None:
        self.checks += 1
        if expected != got:
            raise AssertionError(f"{what}: {self.words(expected)} expected, {self.words(got)} came")

    @staticmethod
    def words(cell: Any) -> str:
        return f"{STATUS_NAMES[cell[0]]} {cell[1:]}" if isinstance(cell, tuple) else str(cell)


def test_worked_example(daemon: Daemon) -> Case:
    c = Case(daemon, ttl=60)
    c.write((100, "A"))
    c.write((130, "B"))
    c.write((120, "C"))
    c.check(99, 3, NOT_FOUND, None, None)
    c.check(100, 3, PRESENT, "A", 100)
    c.check(125, 2, PRESENT, "A", 100)
    c.check(125, 3, PRESENT, "C", 120)
    c.check(130, 3, PRESENT, "B", 130)
    c.check(190, 3, PRESENT, "B", 130)
    c.check(190.000001, 3, OUTSIDE_MAX_AGE, None, 130)
    c.retract(130)
    c.check(130, 4, PRESENT, "C", 120)
    c.check(130, 3, PRESENT, "B", 130)
    c.delete(125)
    c.check(125, 5, NOT_FOUND, None, 125)
    return c


def test_both_boundaries_of_ttl(daemon: Daemon) -> Case:
    c = Case(daemon, ttl=0.000005)
    c.write((10, "A"))
    c.check(9.999999, 1, NOT_FOUND, None, None)
    c.check(10, 1, PRESENT, "A", 10)
    c.check(10.000005, 1, PRESENT, "A", 10)
    c.check(10.000006, 1, OUTSIDE_MAX_AGE, None, 10)
    return c


def test_without_ttl_nothing_is_too_old(daemon: Daemon) -> Case:
    c = Case(daemon, base=-62_135_596_800 * S)  # 0001-01-01
    c.write((0, "A"))
    c.check(0, 1, PRESENT, "A", 0)
    c.check(63_871_200_000, 1, PRESENT, "A", 0)  # late in 2024
    return c


def test_before_any_commit(daemon: Daemon) -> Case:
    c = Case(daemon)
    c.write((10, "A"))
    c.check(20, 0, NOT_FOUND, None, None)
    c.equal("another user", (NOT_FOUND, None, None), c.online(c.at(20), c.seqs[1], user=8))
    c.equal("another user, training", (NOT_FOUND, None, None), c.training(c.at(20), "NEWEST", user=8))
    return c


def test_ties_of_one_instant(daemon: Daemon) -> Case:
    """(event_time, commit_seq, encoded event key): the later commit, then the greater event key."""
    c = Case(daemon, event_key=True)
    c.write((10, "k1", "k1"), (10, "k2", "k2"), (10, "k0", "k0"))
    c.check(10, 1, PRESENT, "k2", 10)
    c.write((10, "k0 again", "k0"))
    c.check(10, 2, PRESENT, "k0 again", 10)
    c.check(10, 1, PRESENT, "k2", 10)
    c.retract(10, "k0")
    c.check(10, 3, PRESENT, "k2", 10)
    c.retract(10, "k2")
    c.check(10, 4, PRESENT, "k1", 10)
    c.retract(10, "k1")
    c.check(10, 5, NOT_FOUND, None, None)
    return c


def test_event_keys_are_ordered_as_texts(daemon: Daemon) -> Case:
    c = Case(daemon, event_key=True)
    c.write((10, "a", "a"), (10, "a0", "a\0"), (10, "A", "A"))
    c.check(10, 1, PRESENT, "a0", 10)
    return c


def test_corrections(daemon: Daemon) -> Case:
    c = Case(daemon)
    c.write((10, "A"))
    c.write((20, "B"))
    c.write((10, "A corrected"))
    c.check(15, 2, PRESENT, "A", 10)
    c.check(15, 3, PRESENT, "A corrected", 10)
    c.check(20, 3, PRESENT, "B", 20)  # a late fact never replaces a newer value
    return c


def test_tombstones_beside_rows_of_one_instant(daemon: Daemon) -> Case:
    """A tombstone's identity is never a row's: the later commit of the two is the newer."""
    c = Case(daemon)
    c.write((10, "A"))
    c.delete(10)
    c.check(10, 1, PRESENT, "A", 10)
    c.check(10, 2, NOT_FOUND, None, 10)
    c.write((10, "A again"))
    c.check(10, 3, PRESENT, "A again", 10)
    c.retract(10)  # the row; the tombstone stays
    c.check(10, 4, NOT_FOUND, None, 10)
    c.retract(10, tombstone=True)
    c.check(10, 5, NOT_FOUND, None, None)
    c.write((10, "B"))
    c.check(10, 6, PRESENT, "B", 10)
    return c


def test_a_tombstone_hides_until_a_later_event(daemon: Daemon) -> Case:
    c = Case(daemon, ttl=100)
    c.write((10, "A"))
    c.delete(20)
    c.write((30, "B"))
    c.check(19.999999, 3, PRESENT, "A", 10)
    c.check(20, 3, NOT_FOUND, None, 20)
    c.check(29.999999, 3, NOT_FOUND, None, 20)
    c.check(30, 3, PRESENT, "B", 30)
    c.retract(20, tombstone=True)
    c.check(25, 4, PRESENT, "A", 10)
    c.check(25, 3, NOT_FOUND, None, 20)
    c.delete(5)  # a tombstone before the first event hides nothing
    c.check(10, 5, PRESENT, "A", 10)
    c.check(500, 5, OUTSIDE_MAX_AGE, None, 30)
    c.delete(40)
    c.check(500, 6, NOT_FOUND, None, 40)  # a tombstone is never too old
    return c


def test_retractions(daemon: Daemon) -> Case:
    """Retract withdraws an identity with all its corrections; a later write of it counts again."""
    c = Case(daemon)
    c.write((10, "A"))
    c.write((10, "A corrected"))
    c.retract(10)
    c.check(10, 2, PRESENT, "A corrected", 10)
    c.check(10, 3, NOT_FOUND, None, None)
    c.write((10, "A once more"))
    c.check(10, 4, PRESENT, "A once more", 10)
    c.check(10, 3, NOT_FOUND, None, None)
    c.check(10, 1, PRESENT, "A", 10)
    try:
        c.retract(11)
        raise AssertionError("a retraction of what was never written was accepted")
    except grpc.RpcError as error:
        c.equal("never written", grpc.StatusCode.NOT_FOUND, error.code())
    return c


def test_nulls_and_defaults(daemon: Daemon) -> Case:
    c = Case(daemon)
    c.write((10, None))
    c.check(10, 1, NULL_VALUE, None, 10)
    c.check(10, 1, PRESENT, 5, 10, field="d")
    c.check(9, 1, NOT_FOUND, None, None, field="d")
    return c


def test_future_events_within_the_skew(daemon: Daemon) -> Case:
    """Stored, hides nothing, and becomes visible when its time comes: without any further write."""
    c = Case(daemon, base=now())
    c.write((-10, "A"))
    c.write((1.5, "B"))
    c.equal("online before", (PRESENT, "A", c.at(-10)), c.online(None, None))
    c.equal("training before", (PRESENT, "A", c.at(-10)), c.training(now(), "NEWEST"))
    c.equal("training at it", (PRESENT, "B", c.at(1.5)), c.training(c.at(1.5), "NEWEST"))
    c.equal("as served just before", (PRESENT, "A", c.at(-10)), c.training(now(), "AS_SERVED"))
    c.delete(2.5)
    time.sleep(max(0, (c.at(1.5) - now()) / 1e6) + 0.01)
    c.equal("online after", (PRESENT, "B", c.at(1.5)), c.online(None, None))
    time.sleep(max(0, (c.at(2.5) - now()) / 1e6) + 0.01)
    c.equal("online, deleted", (NOT_FOUND, None, c.at(2.5)), c.online(None, None))
    c.check(1.499999, 3, PRESENT, "A", -10)
    c.check(1.5, 3, PRESENT, "B", 1.5)
    c.check(2.5, 3, NOT_FOUND, None, 2.5)
    return c


def test_beyond_the_skew_and_the_clock(daemon: Daemon) -> Case:
    c = Case(daemon, base=now())
    c.write((-10, "A"))
    for what, call in [("an event beyond the skew", lambda: c.write((60, "B"))),
                       ("an online as_of beyond the clock", lambda: c.online(c.at(60), None))]:
        try:
            call()
            raise AssertionError(f"{what} was accepted")
        except grpc.RpcError as error:
            c.equal(what, grpc.StatusCode.OUT_OF_RANGE, error.code())
    try:
        c.online(None, c.seqs[1] + 1_000_000)
        raise AssertionError("a known_at that is not yet reached was accepted")
    except grpc.RpcError as error:
        c.equal("known_at", grpc.StatusCode.FAILED_PRECONDITION, error.code())
    c.check(0, 1, PRESENT, "A", -10)
    return c


def test_as_served(daemon: Daemon) -> Case:
    """For each row the last commit with commit_time <= its timestamp: what an online read would have answered."""
    c = Case(daemon, ttl=100, base=now())
    c.write((-20, "A"))
    time.sleep(0.005)
    c.write((-10, "B"))
    time.sleep(0.005)
    c.write((-15, "C, late"))
    time.sleep(0.005)
    c.retract(-10)
    time.sleep(0.005)
    first, second, third, fourth = (c.commit_times[i] for i in (1, 2, 3, 4))
    for what, as_of, expected in [
            ("before the first commit", first - 1, (NOT_FOUND, None, None)),
            ("at the first commit", first, (PRESENT, "A", c.at(-20))),
            ("just before the second", second - 1, (PRESENT, "A", c.at(-20))),
            ("at the second", second, (PRESENT, "B", c.at(-10))),
            ("at the late one", third, (PRESENT, "B", c.at(-10))),
            ("just before the retraction", fourth - 1, (PRESENT, "B", c.at(-10))),
            ("at the retraction", fourth, (PRESENT, "C, late", c.at(-15)))]:
        c.equal(f"{what}, as served", expected, c.training(as_of, "AS_SERVED"))
        known_at = max((c.seqs[n] for n, t in c.commit_times.items() if t <= as_of), default=0)
        c.equal(f"{what}, online", expected, c.online(as_of, known_at))
    c.equal("all that is known now", (PRESENT, "C, late", c.at(-15)), c.training(first, "NEWEST"))
    return c


def main() -> int:
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    failed = checks = 0
    with Daemon() as daemon:
        for name, test in tests:
            try:
                checks += test(daemon).checks
            except (AssertionError, grpc.RpcError) as error:
                failed += 1
                text = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.RpcError) else error
                print(f"FAILED {name}: {text}", flush=True)
    print(f"literal: {len(tests) - failed} passed, {failed} failed ({checks} answers compared)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
