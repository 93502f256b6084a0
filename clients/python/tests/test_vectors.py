# SPDX-License-Identifier: Apache-2.0
"""Searches in batches, groups and thresholds, and what is asked of indexes, against a server in this process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fake_daemon import MICROS0, REF, T0, FakeDaemon

import fletch
from fletch import _io, _vectors, _yaml, specs
from fletch.v1 import data_pb2, registry_pb2, vector_pb2


def answer(counts: list[int], explain: bool) -> vector_pb2.BatchSearchResponse:
    total = sum(counts)
    names = data_pb2.Column(strings=data_pb2.StringValues(values=[f"a{i}" for i in range(total)]))
    return vector_pb2.BatchSearchResponse(
        hit_counts=counts,
        hits=vector_pb2.SearchResponse(
            hit_count=total,
            keys=[data_pb2.NamedColumn(name="airport", column=names)],
            scores=[float(i) for i in range(total)],
            event_timestamps=data_pb2.TimestampColumn(micros=[MICROS0] * total),
            features=[data_pb2.ResolvedFeature(ref=REF, resolved="weather@v1:temperature_c")],
            columns=[data_pb2.Column(doubles=data_pb2.DoubleValues(values=range(total)))],
            as_of_micros=MICROS0,
            read_seq=4,
        ),
        plans=[vector_pb2.SearchPlan(strategy="graph", ef=i) for i in range(len(counts))] if explain else [],
    )


def test_a_batch_of_vectors(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.BATCH_SEARCH] = lambda request: answer([2, 0, 1], request.common.explain)
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    got = client.batch_search("profile:v", vectors=vectors, top_k=2, features=[REF], explain=True)
    (request,) = daemon.seen(vector_pb2.BatchSearchRequest)
    assert (request.query_count, list(request.vectors)) == (3, [0, 1, 2, 3, 4, 5])
    assert (request.common.index, request.common.top_k, request.common.features) == ("profile:v", 2, [REF])
    assert not request.entity_keys and not request.common.vector
    assert (len(got), got.read_seq, got.as_of, [p.ef for p in got.plans]) == (3, 4, T0, [0, 1, 2])
    assert [[hit.key["airport"] for hit in hits] for hits in got] == [["a0", "a1"], [], ["a2"]]
    assert got[-1] == got[2] == got.hits[2:] and got[1] == []
    with pytest.raises(IndexError, match="3 queries"):
        got[3]
    assert got.to_df()["query"].tolist() == [0, 0, 2]
    assert got.to_arrow().column_names == ["query", "airport", "score", "event_timestamp", REF]

    client.batch_search("profile:v", vectors=[[1, 2], pa.array([3.0, 4.0])])
    assert list(daemon.seen(vector_pb2.BatchSearchRequest)[1].vectors) == [1, 2, 3, 4]


def test_a_batch_of_entities(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.BATCH_SEARCH] = lambda request: answer([1, 1], request.common.explain)
    got = client.batch_search("profile:v", entity_keys=[{"airport": "SFO"}, {"airport": "JFK"}], include_self=True)
    (request,) = daemon.seen(vector_pb2.BatchSearchRequest)
    assert request.query_count == 2 and request.entity_keys["airport"].strings.values == ["SFO", "JFK"]
    assert request.common.include_self and not request.vectors and got.plans == []


@pytest.mark.parametrize(
    ("vectors", "wrong"),
    [
        ([[1.0], [1.0, 2.0]], r"vectors\[1\] has 2 elements; the first has 1"),
        ([[1.0], [None]], r"vectors\[1\]: element 0 is null"),
        ([[1.0], ["x"]], r"vectors\[1\]: "),
        ([1.0, 2.0], r"vectors\[0\]: "),
    ],
)
def test_vectors_that_are_none(client: Any, vectors: Any, wrong: str) -> None:
    with pytest.raises(fletch.FletchError, match=wrong) as error:
        client.batch_search("profile:v", vectors=vectors)
    assert (error.value.code, error.value.field) == ("INVALID_ARGUMENT", "vectors")


def test_a_batch_is_of_vectors_or_of_entities(client: Any) -> None:
    for kwargs in ({}, {"vectors": [[1.0]], "entity_keys": [{"airport": "SFO"}]}):
        with pytest.raises(fletch.FletchError, match="either vectors or entity_keys"):
            client.batch_search("profile:v", **kwargs)


def test_groups_threshold_and_effort(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.SEARCH] = lambda _: vector_pb2.SearchResponse(
        plan=vector_pb2.SearchPlan(strategy="graph", ef=64, rescored=20, indexed_refs=["v:f"], reason="because")
    )
    got = client.search(
        "profile:v", vector=[1.0], score_threshold=0.0, group_by="airport", group_size=3, target_recall=0.9, rescore=7
    )
    client.search("profile:v", vector=[1.0], ef=3)
    grouped, plain = daemon.seen(vector_pb2.SearchRequest)
    assert grouped.HasField("score_threshold") and grouped.score_threshold == 0
    assert (grouped.group_by.ref, grouped.group_by.size) == ("airport", 3)
    assert (grouped.params.target_recall, grouped.params.rescore, grouped.params.ef) == (0.9, 7, 0)
    assert not plain.HasField("score_threshold") and not plain.HasField("group_by") and plain.params.ef == 3
    assert (got.plan.ef, got.plan.rescored, got.plan.indexed_refs, got.plan.reason) == (64, 20, ["v:f"], "because")
    with pytest.raises(fletch.FletchError, match="group_by"):
        client.search("profile:v", vector=[1.0], group_size=2)


def test_audit_recall(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.AUDIT_RECALL] = lambda _: vector_pb2.AuditRecallResponse(
        queries=50, recall=0.97, worst_recall=0.8, complete_share=0.75, exact_p50_micros=900, unreachable=1, read_seq=3
    )
    got = client.audit_recall(
        "profile:v", queries=50, top_k=5, target_recall=0.9, seed=7, reachability=True, filter=fletch.field(REF) < 0
    )
    (request,) = daemon.seen(vector_pb2.AuditRecallRequest)
    assert (request.index, request.queries, request.top_k, request.seed) == ("profile:v", 50, 5, 7)
    assert request.reachability and request.params.target_recall == 0.9
    assert request.filter == (fletch.field(REF) < 0).to_proto()
    assert got == fletch.RecallAudit(50, 0.97, 0.8, 0.75, 0, 0.0, 900.0, 1, 3)


def test_describe_index(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.DESCRIBE_INDEX] = lambda _: vector_pb2.DescribeIndexResponse(
        index="profile@v1:v",
        metric=registry_pb2.COSINE,
        dimension=48,
        calibration=[vector_pb2.IndexCalibration(recall=0.95, ef=40)],
        state="idle",
    )
    got = client.describe_index("profile:v")
    assert (got.index, got.metric, got.dimension, got.calibration) == ("profile@v1:v", "COSINE", 48, [(0.95, 40)])


def test_rebuild_index_waits_until_it_is_done(
    daemon: FakeDaemon, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_vectors, "_POLL_SECONDS", 0.01)
    states = ["building", "building", "saving", "idle"]

    def described(_: Any) -> vector_pb2.DescribeIndexResponse:
        return vector_pb2.DescribeIndexResponse(metric=registry_pb2.L2, state=states.pop(0), progress=0.5)

    daemon.answers[_io.REBUILD_INDEX] = lambda r: vector_pb2.RebuildIndexResponse(index=described(r))
    daemon.answers[_io.DESCRIBE_INDEX] = described
    assert client.rebuild_index("profile:v").state == "building"
    assert client.rebuild_index("profile:v", wait=True).state == "idle" and not states


def test_index_parameters_travel_both_ways() -> None:
    text = """
kind: FeatureView
name: profile
entity: airport
fields:
  - {name: v, type: FLOAT_VECTOR, dimension: 2,
     index: {metric: L2, m: 8, ef_construction: 100, target_recall: 0.9}}
"""
    (view,) = _yaml.parse(text)
    message = specs.to_proto(view)
    index = message.feature_view.fields[0].index
    assert (index.metric, index.m, index.ef_construction, index.target_recall) == (registry_pb2.L2, 8, 100, 0.9)
    back = specs.from_proto(message)
    assert back.fields[0].index == view.fields[0].index == fletch.VectorIndex("L2", 8, 100, 0.9)
