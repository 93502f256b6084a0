# SPDX-License-Identifier: Apache-2.0
"""The oracle against semantics.md's worked example, literal cases, and a second, differently shaped `visible`."""

from __future__ import annotations

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from oracle import expressions, nearness, windows
from oracle.oracle import (NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT, RETRACTION, ROW, TOMBSTONE, Fact, Field,
                           Oracle, Type, View, WindowView, evaluate)
from oracle.search_oracle import SearchOracle, best_of_groups

S = 1_000_000


def one_view(ttl: int = 60 * S, event_key: bool = False) -> Oracle:
    oracle = Oracle()
    oracle.add_view(View("v", "user", [("user", "INT64")], [Field("x", Type("STRING")), Field("d", Type("INT64"), 5)],
                         ttl, [("k", "STRING")] if event_key else []))
    return oracle


def put(oracle: Oracle, commit: int, time: int, form: int = ROW, tombstone: bool = False, event_key: tuple = (),
        **values) -> None:
    oracle.add("v", (7,), Fact(time, tombstone or form == TOMBSTONE, event_key, commit, form, values))
    oracle.add_commit(commit, 1000 * S + commit)


def test_worked_example() -> None:
    oracle = one_view()
    put(oracle, 1, 100 * S, x="A")
    put(oracle, 2, 130 * S, x="B")
    put(oracle, 3, 120 * S, x="C")
    put(oracle, 4, 130 * S, RETRACTION)
    put(oracle, 5, 125 * S, TOMBSTONE)
    for as_of, known_at, expected in [
            (99 * S, 3, (NOT_FOUND, None, None)), (100 * S, 3, (PRESENT, "A", 100 * S)),
            (125 * S, 2, (PRESENT, "A", 100 * S)), (125 * S, 3, (PRESENT, "C", 120 * S)),
            (130 * S, 3, (PRESENT, "B", 130 * S)), (190 * S, 3, (PRESENT, "B", 130 * S)),
            (190 * S + 1, 3, (OUTSIDE_MAX_AGE, None, 130 * S)), (130 * S, 4, (PRESENT, "C", 120 * S)),
            (130 * S, 3, (PRESENT, "B", 130 * S)), (125 * S, 5, (NOT_FOUND, None, 125 * S))]:
        assert oracle.cell("v", (7,), "x", as_of, known_at) == expected, (as_of, known_at)


def test_ties_nulls_and_defaults() -> None:
    oracle = one_view(0, event_key=True)
    put(oracle, 1, S, event_key=("b",), x="b")
    put(oracle, 2, S, event_key=("a",), x="a", d=None)
    put(oracle, 3, S, TOMBSTONE)
    put(oracle, 4, S, event_key=("a",), x=None)
    assert oracle.cell("v", (7,), "x", S, 1) == (PRESENT, "b", S)
    assert oracle.cell("v", (7,), "x", S, 2) == (PRESENT, "a", S)  # the later commit is the newer
    assert oracle.cell("v", (7,), "d", S, 2) == (NULL_VALUE, None, S)  # an explicit null stays null
    assert oracle.cell("v", (7,), "d", S, 1) == (PRESENT, 5, S)  # left out: the default
    assert oracle.cell("v", (7,), "x", S, 3) == (NOT_FOUND, None, S)
    assert oracle.cell("v", (7,), "x", S, 4) == (NULL_VALUE, None, S)
    assert [f.commit for _, f in oracle.history("v", 4)] == [4, 3, 1]
    assert [f.commit for _, f in oracle.history("v", 4, all_forms=True)] == [4, 3, 2, 1]


def second_visible(facts: list[Fact], as_of: int, known_at: int):
    """Walks facts newest first by (event_time, commit, event key); the first that is its identity's last word and not
    a retraction."""
    known = [f for f in facts if f.commit <= known_at and f.event_time <= as_of]
    for fact in sorted(known, key=lambda f: f.order, reverse=True):
        superseded = any(f.identity == fact.identity and f.commit > fact.commit for f in known)
        if fact.form != RETRACTION and not superseded:
            return fact
    return None


def test_visible_against_a_second_implementation() -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    for _ in range(300):
        oracle = one_view(event_key=True)
        for commit in range(1, 25):
            form = rng.choice([ROW, ROW, ROW, TOMBSTONE, RETRACTION])
            tombstone = form == TOMBSTONE or (form == RETRACTION and rng.random() < 0.4)
            put(oracle, commit, rng.randrange(5), form, tombstone, () if tombstone else (rng.choice("ab"),), x="x")
        for _ in range(40):
            as_of, known_at = rng.randrange(-1, 6), rng.randrange(26)
            assert oracle.visible("v", (7,), as_of, known_at) is second_visible(
                oracle.facts["v"][(7,)], as_of, known_at), seed


def test_commit_at_is_inclusive() -> None:
    oracle = one_view()
    oracle.add_commit(3, 100)
    oracle.add_commit(4, 100)
    oracle.add_commit(9, 200)
    assert [oracle.commit_at(t) for t in (99, 100, 199, 200, 201)] == [0, 4, 4, 9, 9]


def test_three_valued_filters() -> None:
    values = {"v:a": 5, "v:b": None, "v:c": float("nan"), "v:d": "abc"}
    a_is_5, b_is_5 = ("compare", "v:a", "EQ", 5), ("compare", "v:b", "EQ", 5)
    for condition, expected in [
            (a_is_5, True), (b_is_5, None), (("not", b_is_5), None), (("and", [a_is_5, b_is_5]), None),
            (("and", [("not", a_is_5), b_is_5]), False), (("or", [a_is_5, b_is_5]), True),
            (("or", [("not", a_is_5), b_is_5]), None), (("is_null", "v:b"), True), (("not", ("is_null", "v:a")), True),
            (("in", "v:b", [5]), None), (("in", "v:a", [4, 5]), True), (("between", "v:a", 5, 5), True),
            (("compare", "v:c", "LT", 1.0), False), (("compare", "v:c", "NE", 1.0), True),
            (("compare", "v:d", "PREFIX", "ab"), True), (("compare", "v:d", "PREFIX", "b"), False),
            (("compare", "v:d", "CONTAINS", "b"), True), (("compare", "v:d", "CONTAINS", ""), True),
            (("compare", "v:b", "CONTAINS", ""), None)]:
        assert evaluate(condition, values.get) is expected, condition


def test_scores() -> None:
    assert nearness.score("DOT", [1, 2, 3], [4, 5, 6]) == 32
    assert nearness.score("L2", [0, 0], [3, 4]) == 5
    assert nearness.score("COSINE", [1, 0], [0, 2]) == 0
    assert nearness.score("COSINE", [1, 1], [2, 2]) == 1
    # Eight lanes: 1e16 and -1e16 meet in one lane before the small terms are added.
    terms = [1e16, 1, 1, 1, 1, 1, 1, 1, -1e16]
    assert nearness.lane_sum(terms) == 7


def test_search_leaves_out_what_is_not_visible() -> None:
    oracle = Oracle()
    oracle.add_view(View("v", "e", [("e", "INT64")], [Field("p", Type("FLOAT_VECTOR", dimension=2), metric="L2")], 10))
    for key, time, commit, vector in [(2, 0, 1, [1, 0]), (1, 0, 1, [0, 1]), (3, -11, 1, [0, 0]), (4, 0, 2, [0, 0]),
                                      (5, 1, 1, [0, 0])]:
        oracle.add("v", (key,), Fact(time, False, (), commit, ROW, {"p": vector}))
    assert oracle.search("v", "p", [0, 0], 0, 1) == [((1,), 1.0, 0), ((2,), 1.0, 0)]
    assert oracle.search("v", "p", [0, 0], 1, 2, top_k=2) == [((4,), 0.0, 0), ((5,), 0.0, 1)]


def random_vectors(rng: random.Random) -> Oracle:
    """Few keys, instants and values, so that everything meets."""
    oracle = Oracle()
    dimension, metric = rng.choice([1, 3, 8, 17]), rng.choice(["COSINE", "DOT", "L2"])
    for name in "vw":
        oracle.add_view(View(name, "e", [("e", "INT64")], [
            Field("p", Type("FLOAT_VECTOR", dimension=dimension), metric=metric), Field("x", Type("INT64"))],
            rng.choice([0, 2]), [("k", "STRING")]))
    for commit in range(1, 60):
        form = rng.choice([ROW, ROW, ROW, ROW, TOMBSTONE, RETRACTION])
        tombstone = form == TOMBSTONE or (form == RETRACTION and rng.random() < 0.4)
        values = {}
        if form == ROW:
            vector = tuple(rng.choice([0.5, 1.0, nearness.float32(0.1)]) for _ in range(dimension))
            values = {"p": rng.choice([None, vector, vector]), "x": rng.choice([None, 1, 2])}
        oracle.add(rng.choice("vw"), (rng.randrange(6),), Fact(
            rng.randrange(5), tombstone, () if tombstone else (rng.choice("ab"),), commit, form, values))
        oracle.add_commit(commit, commit)
    return oracle


def test_searches_in_numpy_equal_walks() -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    hits = 0
    for _ in range(60):
        oracle = random_vectors(rng)
        quick = SearchOracle(oracle, "e")
        for _ in range(20):
            as_of, known_at = rng.randrange(-1, 8), rng.randrange(62)
            condition = rng.choice([None, ("compare", "w:x", "EQ", 1), ("not", ("is_null", "v:x"))])
            query = tuple(rng.choice([1.0, -0.5]) for _ in range(oracle.views["v"].field("p").type.dimension))
            leave_out = rng.choice([None, (3,), (77,)])
            slow = oracle.search("v", "p", list(query), as_of, known_at, None, condition, leave_out)
            snapshot = quick.at(as_of, known_at)
            assert snapshot.search("v", "p", query, condition, leave_out) == slow, seed
            if slow:
                at = slow[len(slow) // 2][1]
                near = [h for h in slow if (h[1] <= at if oracle.views["v"].field("p").metric == "L2" else h[1] >= at)]
                assert snapshot.search("v", "p", query, condition, leave_out, at) == near, seed
            for key in [(i,) for i in range(7)]:
                assert snapshot.cell("w", key, "x") == oracle.cell("w", key, "x", as_of, known_at), seed
            hits += len(slow)
    assert hits > 1000, hits


def test_groups() -> None:
    hits = [((1, 1), 0.9, 0), ((1, 2), 0.8, 0), ((2, 1), 0.7, 0), ((1, 3), 0.6, 0), ((3, 1), 0.5, 0)]

    def numbers(size: int, top_k: int) -> list:
        return [h[0] for h in best_of_groups(hits, lambda key: key[0], size, top_k)]

    assert numbers(1, 10) == [(1, 1), (2, 1), (3, 1)]
    assert numbers(2, 10) == [(1, 1), (1, 2), (2, 1), (3, 1)]
    assert numbers(2, 3) == [(1, 1), (1, 2), (2, 1)] and numbers(9, 9) == [h[0] for h in hits]


def window_view(oracle: Oracle, *aggregations: windows.Aggregation) -> None:
    oracle.add_view(WindowView("w", "e", [("e", "INT64")], [], source="v", aggregations=list(aggregations)))


def test_windows_literally() -> None:
    oracle = one_view(1)  # the source's ttl does not matter
    for commit, (time, x) in enumerate([(10, 3), (20, 1), (20, None), (30, 2), (40, 2)], 1):
        put(oracle, commit, time, event_key=(commit,), d=x)
    put(oracle, 6, 25, TOMBSTONE)
    put(oracle, 7, 30, RETRACTION, event_key=(4,))

    def ask(function: str, as_of: int, known_at: int, window: int = 100, **more: float) -> tuple:
        oracle.views.pop("w", None)
        window_view(oracle, windows.Aggregation("a", "d", function, window, **more))
        return oracle.cell("w", (7,), "a", as_of, known_at)

    assert ask("COUNT", 40, 5) == (PRESENT, 4, 40)  # the null does not count
    assert ask("COUNT", 40, 5, window=20) == (PRESENT, 2, 40)  # the event at 20 lies just outside
    assert ask("COUNT", 40, 5, window=21) == (PRESENT, 3, 40)
    assert ask("COUNT", 5, 5) == (PRESENT, 0, None)
    assert ask("SUM", 5, 5) == (NULL_VALUE, None, None)
    assert ask("SUM", 40, 5) == (PRESENT, 8, 40)
    assert ask("SUM", 40, 6) == (PRESENT, 4, 40)  # the deletion at 25 cuts the older ones off
    assert ask("SUM", 24, 6) == (PRESENT, 4, 20)  # before it they are there
    assert ask("SUM", 39, 7) == (NULL_VALUE, None, None)
    assert ask("FIRST", 40, 5)[1] == 3 and ask("LAST", 24, 5)[1] == 1 and ask("LAST_K", 40, 5, k=3)[1] == (2, 2, 1)
    assert ask("TOP_K", 40, 5, k=2)[1] == (2, 1) and ask("COUNT_DISTINCT", 40, 5)[1] == 3
    assert ask("VARIANCE", 10, 5) == (NULL_VALUE, None, 10)
    assert ask("VARIANCE", 20, 5)[1].holds(2.0) and not ask("VARIANCE", 20, 5)[1].holds(1.0)
    assert ask("APPROX_PERCENTILE", 40, 5, percentile=0.5)[1].holds(2.01)


def test_aggregates_of_floats() -> None:
    def of(function: str, values: list, **more: float) -> object:
        return windows.aggregate(windows.Aggregation("a", "d", function, 1, **more), "DOUBLE", values)

    nan, inf = float("nan"), float("inf")
    assert of("SUM", [1.0, nan]).holds(nan) and of("MIN", [1.0, nan]).holds(nan) and of("SUM", [inf, -inf]).holds(nan)
    assert of("SUM", [inf, 1.0]).holds(inf) and not of("SUM", [inf, 1.0]).holds(1.0)
    assert of("COUNT_DISTINCT", [0.0, -0.0, nan, nan]) == 2
    top = of("TOP_K", [nan, nan, 1.0, 1.0, 0.5], k=3)
    assert top[0] == 1.0 and top[1] != top[1] and top[2] == 0.5
    middle = of("APPROX_PERCENTILE", [1.0, inf], percentile=0.5)
    assert middle.holds(1.009) and middle.holds(inf) and not middle.holds(1.5) and not middle.holds(-inf)
    assert windows.aggregate(windows.Aggregation("a", "d", "SUM", 1), "INT64", [(1 << 63) - 1, 1]) is None


def test_expressions_against_sqlite() -> None:
    """SQLite's own answer to the same text, wherever no integer overflows (there Fletch differs on purpose)."""
    import sqlite3
    database = sqlite3.connect(":memory:")
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    fields = {"i": ["INT64", 7, -3, 0, None, 1 << 40], "r": ["DOUBLE", 1.5, -0.5, None, 2.0**60, 0.0, -0.0],
              "s": ["STRING", "a", "", None, "é'"], "b": ["BOOL", True, False, None]}
    leaves = [(("field", "v", n), expressions.KIND_OF[f[0]]) for n, f in fields.items()]
    compared = 0
    for _ in range(3000):
        type_name = rng.choice(["BOOL", "INT64", "DOUBLE", "STRING"])
        tree = expressions.Maker(rng, leaves).tree(type_name)
        row = {n: rng.choice(f[1:]) for n, f in fields.items()}
        try:
            mine = expressions.evaluate(tree, lambda atom: row[atom[2]])
        except expressions.Overflow:
            continue
        text = f"SELECT {expressions.sql(tree)} FROM (SELECT ? AS i, ? AS r, ? AS s, ? AS b) AS v"
        theirs = database.execute(text, [row[n] for n in "irsb"]).fetchone()[0]
        assert repr(mine) == repr(theirs), (seed, text, row, mine, theirs)  # 0.0 is not -0.0
        compared += 1
    assert compared > 2000, compared


def main() -> int:
    tests = [f for name, f in sorted(globals().items()) if name.startswith("test_")]
    for test in tests:
        test()
    print(f"oracle: {len(tests)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
