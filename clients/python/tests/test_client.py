# SPDX-License-Identifier: Apache-2.0
"""Both clients against a server in this process: what they send, what they make of the answers."""

from __future__ import annotations

import datetime as dt
import inspect
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fake_daemon import MICROS0, REF, T0, TEMPERATURE, FakeDaemon, Refusal

import fletch
from fletch import _io
from fletch.v1 import admin_pb2, data_pb2, historical_pb2, ingest_pb2, registry_pb2, serving_pb2, vector_pb2


def rows(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"airport": [f"a{i}" for i in range(n)], "temperature_c": np.arange(n, dtype=float), "event_timestamp": T0}
    )


def acknowledge(requests: Iterator[ingest_pb2.WriteRequest]) -> Iterator[ingest_pb2.WriteStreamResponse]:
    for index, request in enumerate(requests):
        result = ingest_pb2.WriteResponse(
            commit_seq=index + 1, commit_time_micros=MICROS0, rows=request.batches[0].row_count
        )
        yield ingest_pb2.WriteStreamResponse(index=index, result=result)


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, Any]:
        return {n: inspect.signature(f) for n, f in inspect.getmembers(kind, inspect.isfunction) if n[0] != "_"}

    blocking, awaiting = methods(fletch.Client), methods(fletch.AsyncClient)
    assert blocking.keys() == awaiting.keys()
    for name in blocking:
        assert str(blocking[name].parameters) == str(awaiting[name].parameters), name


# Writes.


def test_a_small_write_is_one_commit(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE, registry_pb2.Field(name="n", type=data_pb2.INT64)])
    daemon.answers[_io.WRITE] = lambda r: ingest_pb2.WriteResponse(
        commit_seq=7, commit_time_micros=MICROS0, rows=sum(b.row_count for b in r.batches)
    )
    given = [
        {"airport": "SFO", "temperature_c": 1, "n": None, "event_timestamp": "2001-01-01T00:00:00Z"},
        {"airport": "JFK", "temperature_c": 2, "event_timestamp": T0},
    ]
    done = client.write("weather", given, request_id="r", durability="BUFFERED")
    assert done == fletch.WriteResult(commit_seq=7, commit_time=T0, rows=2, commits=1)
    (request,) = daemon.seen(ingest_pb2.WriteRequest)
    assert (request.project, request.request_id, request.durability) == ("demo", "r", ingest_pb2.BUFFERED)
    first, second = request.batches  # the row that leaves n out is not the row that says null
    assert set(first.columns) == {"airport", "temperature_c", "n"} and set(second.columns) == {
        "airport",
        "temperature_c",
    }
    assert list(first.columns["n"].null_rows) == [0]
    assert list(second.columns["temperature_c"].doubles.values) == [2.0]
    assert list(first.event_timestamps.micros) == [MICROS0]


def test_a_large_write_is_streamed_in_order(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])
    daemon.answers[_io.WRITE_STREAM] = acknowledge
    done = client.write("weather", rows(1050), batch_rows=100, request_id="id")
    assert (done.rows, done.commits, done.commit_seq) == (1050, 11, 11)
    requests = daemon.seen(ingest_pb2.WriteRequest)
    assert [r.request_id for r in requests] == [f"id#{i}" for i in range(11)]
    values = [v for r in requests for v in r.batches[0].columns["temperature_c"].doubles.values]
    assert values == list(range(1050))


def test_at_most_a_window_of_batches_is_under_way(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])
    ahead: list[int] = []

    def slow(requests: Iterator[ingest_pb2.WriteRequest]) -> Iterator[Any]:
        taken = [0]

        def take() -> None:
            for _ in requests:
                taken[0] += 1

        reader = threading.Thread(target=take)
        reader.start()
        for index in range(20):
            time.sleep(0.02)  # time enough to send everything, were there no window
            ahead.append(taken[0] - index)
            yield ingest_pb2.WriteStreamResponse(index=index, result=ingest_pb2.WriteResponse(rows=1))
        reader.join()

    daemon.answers[_io.WRITE_STREAM] = slow
    assert client.write("weather", rows(20), batch_rows=1).rows == 20
    assert 2 <= max(ahead) <= 5  # four, and the one whose acknowledgement is on its way


def test_a_refused_batch_ends_a_large_write_and_says_what_is_committed(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])

    def refuse_third(requests: Iterator[ingest_pb2.WriteRequest]) -> Iterator[Any]:
        for ack in acknowledge(requests):
            if ack.index == 2:
                ack = ingest_pb2.WriteStreamResponse(
                    index=2, code=8, message="queue full", reason="QUEUE_FULL", field="x"
                )
            yield ack

    daemon.answers[_io.WRITE_STREAM] = refuse_third
    with pytest.raises(fletch.FletchError, match="rows 200 to 299: queue full") as caught:
        client.write("weather", rows(1000), batch_rows=100)
    e = caught.value
    assert (e.code, e.reason, e.field, e.committed_rows) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL", "x", 200)


def test_a_stream_that_breaks_says_what_is_committed(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])

    def breaks(requests: Iterator[ingest_pb2.WriteRequest]) -> Iterator[Any]:
        for ack in acknowledge(requests):
            if ack.index == 2:
                raise Refusal(grpc.StatusCode.UNAVAILABLE, "draining", "DRAINING", retry=1.5)
            yield ack

    daemon.answers[_io.WRITE_STREAM] = breaks
    with pytest.raises(fletch.FletchError) as caught:
        client.write("weather", rows(1000), batch_rows=100)
    e = caught.value
    assert (e.code, e.reason, e.retry_after, e.committed_rows) == ("UNAVAILABLE", "DRAINING", 1.5, 200)


def test_a_bad_cell_in_the_last_row_keeps_the_first_from_being_sent(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [registry_pb2.Field(name="temperature_c", type=data_pb2.INT64)])
    frame = rows(1000)
    frame.loc[999, "temperature_c"] = 0.5
    with pytest.raises(fletch.FletchError, match="temperature_c"):
        client.write("weather", frame, batch_rows=10)
    assert not daemon.seen(ingest_pb2.WriteRequest)


def test_bad_arguments_of_a_write(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])
    for kwargs, part in (({"durability": "FAST"}, "SYNC"), ({"batch_rows": 0}, "100000")):
        with pytest.raises(fletch.FletchError, match=part):
            client.write("weather", rows(1), **kwargs)
    with pytest.raises(fletch.FletchError, match="no rows"):
        client.write("weather", [])


def test_schemas_are_fetched_once_and_again_when_the_daemon_refuses(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])
    kind = [data_pb2.DOUBLE]

    def write(request: ingest_pb2.WriteRequest) -> ingest_pb2.WriteResponse:
        wanted = "doubles" if kind[0] == data_pb2.DOUBLE else "strings"
        if request.batches[0].columns["temperature_c"].WhichOneof("values") != wanted:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "wrong type", "TYPE_MISMATCH", "f")
        return ingest_pb2.WriteResponse(commit_seq=1, rows=1)

    daemon.answers[_io.WRITE] = write
    client.write("weather", rows(1))
    client.write("weather", rows(1))
    assert len(daemon.seen(registry_pb2.GetRequest)) == 2  # the view and its entity
    kind[0] = data_pb2.STRING
    daemon.declare("weather", [registry_pb2.Field(name="temperature_c", type=data_pb2.STRING)])
    client.write("weather", rows(1).assign(temperature_c="warm"))
    assert len(daemon.seen(registry_pb2.GetRequest)) == 4
    daemon.answers[_io.WRITE] = lambda _: write(ingest_pb2.WriteRequest(batches=[ingest_pb2.RowBatch()]))
    with pytest.raises(fletch.FletchError, match="wrong type"):  # the schema is as before: no second try
        client.write("weather", rows(1).assign(temperature_c="warm"))
    assert len(daemon.seen(ingest_pb2.WriteRequest)) == 4


def test_delete_and_retract(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("departures", [TEMPERATURE], event_key="flight")
    daemon.answers[_io.DELETE] = lambda r: ingest_pb2.DeleteResponse(commit_seq=3, rows=r.row_count)
    daemon.answers[_io.RETRACT] = lambda r: ingest_pb2.RetractResponse(commit_seq=4, rows=r.row_count)
    done = client.delete("departures", [{"airport": "SFO", "event_timestamp": T0}], request_id="d")
    assert (done.commit_seq, done.rows) == (3, 1)
    (request,) = daemon.seen(ingest_pb2.DeleteRequest)
    assert request.keys["airport"].strings.values == ["SFO"] and request.request_id == "d"
    assert list(request.event_timestamps.micros) == [MICROS0]
    identity = {"airport": ["SFO"], "flight": ["UA1"], "t": [T0]}
    done = client.retract("departures", identity, timestamp_column="t", tombstones=True)
    assert (done.commit_seq, done.rows) == (4, 1)
    (request,) = daemon.seen(ingest_pb2.RetractRequest)
    assert request.keys["flight"].strings.values == ["UA1"] and request.tombstones


def test_a_delete_of_many_rows_is_cut(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])
    daemon.answers[_io.DELETE] = lambda r: ingest_pb2.DeleteResponse(commit_seq=3, rows=r.row_count)
    done = client.delete("weather", rows(100_001).drop(columns="temperature_c"), request_id="d")
    assert (done.rows, done.commits) == (100_001, 2)
    sent = daemon.seen(ingest_pb2.DeleteRequest)
    assert [(r.row_count, r.request_id) for r in sent] == [(100_000, "d#0"), (1, "d#1")]


# Online reads.


def online_answer(request: serving_pb2.GetOnlineFeaturesRequest) -> serving_pb2.GetOnlineFeaturesResponse:
    stamped = data_pb2.Column(
        doubles=data_pb2.DoubleValues(values=[1.5, 0]),
        statuses=[0, 2],
        event_timestamps=data_pb2.TimestampColumn(micros=[MICROS0, 0]),
        event_timestamp_unset_rows=[1],
    )
    counts = data_pb2.Column(int64s=data_pb2.Int64Values(values=[2**60 + 1, 0]), statuses=[0, 1])
    return serving_pb2.GetOnlineFeaturesResponse(
        as_of_micros=MICROS0,
        read_seq=9,
        features=[
            data_pb2.ResolvedFeature(
                ref="weather:temperature_c", resolved="weather@v1:temperature_c", type=data_pb2.DOUBLE
            ),
            data_pb2.ResolvedFeature(ref="weather:n", resolved="weather@v1:n", type=data_pb2.INT64),
            data_pb2.ResolvedFeature(ref="weather:never", resolved="weather@v1:never", type=data_pb2.INT64),
        ],
        columns=[stamped, counts, data_pb2.Column(statuses=[2, 2])],
        row_count=2,
    )


def test_online_features(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE, registry_pb2.Field(name="never", type=data_pb2.INT64)])
    daemon.objects[registry_pb2.FEATURE_VIEW, "weather"].feature_view.fields.append(
        registry_pb2.Field(name="n", type=data_pb2.INT64)
    )
    daemon.answers[_io.GET_ONLINE] = online_answer
    refs = ["weather:temperature_c", "weather:n", "weather:never"]
    binding = fletch.Binding("origin", "weather", {"airport": "origin"})
    keys = [{"airport": "SFO", "n": 1}, {"airport": "JFK", "n": 2}]
    got = client.get_online_features(
        refs, keys, request_context={"hour": 8, "notes": ["a", None]}, bindings=[binding], as_of=T0, known_at=5, min_seq=4
    )
    (request,) = daemon.seen(serving_pb2.GetOnlineFeaturesRequest)
    assert list(request.features) == refs and request.feature_service == ""
    assert request.keys["airport"].strings.values == ["SFO", "JFK"]
    assert list(request.keys["n"].int64s.values) == [1, 2]
    assert (list(request.as_of.micros), request.known_at.commit_seq, request.min_seq) == ([MICROS0], 5, 4)
    assert list(request.request_context["hour"].int64s.values) == [8]
    assert list(request.request_context["notes"].null_rows) == [1]
    assert request.bindings[0].join_key_map["airport"] == "origin" and request.include_event_timestamps
    assert (got.as_of, got.read_seq, got.features[0].resolved) == (T0, 9, "weather@v1:temperature_c")
    assert got.to_dict() == {
        "values": {refs[0]: [1.5, None], refs[1]: [2**60 + 1, None], refs[2]: [None, None]},
        "statuses": {
            refs[0]: ["PRESENT", "NOT_FOUND"],
            refs[1]: ["PRESENT", "NULL_VALUE"],
            refs[2]: ["NOT_FOUND", "NOT_FOUND"],
        },
        "event_timestamps": {refs[0]: [T0, None], refs[1]: [None, None], refs[2]: [None, None]},
    }
    table = got.to_arrow(include_statuses=True, include_event_timestamps=True)
    assert table.column_names[:5] == ["airport", "n", refs[0], f"{refs[0]}__status", f"{refs[0]}__event_timestamp"]
    assert table[refs[2]].type == pa.int64()  # the declared type of a column that came without values
    assert table[f"{refs[1]}__status"].to_pylist() == ["PRESENT", "NULL_VALUE"]
    df = got.to_df()
    assert df[refs[1]].tolist() == [2**60 + 1, pd.NA]  # exact: not a float
    assert df["airport"].tolist() == ["SFO", "JFK"]


def test_known_at_and_service_names(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.GET_ONLINE] = lambda r: serving_pb2.GetOnlineFeaturesResponse(row_count=r.row_count)
    client.get_online_features("model", {"airport": ["SFO"]}, known_at=T0)
    (request,) = daemon.seen(serving_pb2.GetOnlineFeaturesRequest)
    assert request.feature_service == "model" and list(request.known_at.time.micros) == [MICROS0]
    for kwargs in ({"known_at": True}, {"known_at": -1}, {"as_of": "noon"}):
        with pytest.raises(fletch.FletchError):
            client.get_online_features("model", [{"airport": "SFO"}], **kwargs)
    with pytest.raises(fletch.FletchError, match="list of refs"):
        client.get_online_features("weather:temperature_c", [{"airport": "SFO"}])


def test_errors_carry_the_daemons_details(daemon: FakeDaemon, client: Any) -> None:
    def refuse(_: Any) -> None:
        raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full ✓", "QUEUE_FULL", "keys.airport", 0.25)

    daemon.answers[_io.GET_ONLINE] = refuse
    with pytest.raises(fletch.FletchError) as caught:
        client.get_online_features("model", [{"airport": "SFO"}])
    e = caught.value
    assert (e.code, e.reason, e.message, e.field, e.retry_after) == (
        "RESOURCE_EXHAUSTED", "QUEUE_FULL", "the queue is full ✓", "keys.airport", 0.25,
    )  # fmt: skip
    again = pickle.loads(pickle.dumps(e))  # as from a worker process
    assert (again.code, again.reason, again.field, str(again)) == (e.code, e.reason, e.field, str(e))
    assert str(e) == "RESOURCE_EXHAUSTED: the queue is full ✓ (field: keys.airport)"


def test_nobody_answers(daemon: FakeDaemon, client: Any) -> None:
    daemon.stop()
    with pytest.raises(fletch.FletchError, match=f"is fletchd running there") as caught:
        client.status(timeout=5)
    assert caught.value.code == "UNAVAILABLE" and daemon.target in caught.value.message


def test_a_deadline(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.GET_STATUS] = lambda _: time.sleep(1) or admin_pb2.GetStatusResponse()
    with pytest.raises(fletch.FletchError) as caught:
        client.status(timeout=0.05)
    assert caught.value.code == "DEADLINE_EXCEEDED"


# History, search, registry, status.


def test_history_follows_the_pages(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])

    def page(request: historical_pb2.GetFeatureHistoryRequest) -> historical_pb2.GetFeatureHistoryResponse:
        n = int(request.page_token or 0)
        temperature = (
            data_pb2.Column(doubles=data_pb2.DoubleValues(values=[n])) if n else data_pb2.Column(null_rows=[0])
        )
        return historical_pb2.GetFeatureHistoryResponse(
            read_seq=8,
            row_count=1,
            columns=[
                data_pb2.NamedColumn(
                    name="airport", column=data_pb2.Column(strings=data_pb2.StringValues(values=["SFO"]))
                ),
                data_pb2.NamedColumn(name="temperature_c", column=temperature),
            ],
            event_timestamps=data_pb2.TimestampColumn(micros=[MICROS0]),
            commit_seqs=[n],
            commit_times_micros=[MICROS0],
            forms=[historical_pb2.ROW if n else historical_pb2.TOMBSTONE],
            next_page_token=str(n + 1) if n < 2 else "",
        )

    daemon.answers[_io.GET_HISTORY] = page
    got = client.get_feature_history("weather", {"airport": "SFO"}, start=T0, last_k=3, all_forms=True)
    assert (len(got), got.read_seq) == (3, 8)
    assert got.to_dict() == {
        "airport": ["SFO"] * 3,
        "temperature_c": [None, 1.0, 2.0],
        "event_timestamp": [T0] * 3,
        "commit_seq": [0, 1, 2],
        "commit_time": [T0] * 3,
        "form": ["TOMBSTONE", "ROW", "ROW"],
    }
    assert got.to_df()["commit_seq"].tolist() == [0, 1, 2]
    request = daemon.seen(historical_pb2.GetFeatureHistoryRequest)[0]
    assert (request.last_k, request.all_forms, list(request.start.micros)) == (3, True, [MICROS0])
    assert request.keys["airport"].strings.values == ["SFO"] and not request.HasField("end")


def test_search(daemon: FakeDaemon, client: Any) -> None:
    def answer(request: vector_pb2.SearchRequest) -> vector_pb2.SearchResponse:
        names = data_pb2.Column(strings=data_pb2.StringValues(values=["JFK", "LAX"]))
        return vector_pb2.SearchResponse(
            hit_count=2,
            keys=[data_pb2.NamedColumn(name="airport", column=names)],
            scores=[0.5, 0.25],
            event_timestamps=data_pb2.TimestampColumn(micros=[MICROS0, MICROS0]),
            features=[data_pb2.ResolvedFeature(ref=REF, resolved="weather@v1:temperature_c")],
            columns=[data_pb2.Column(doubles=data_pb2.DoubleValues(values=[3, 0]), statuses=[0, 3])],
            as_of_micros=MICROS0,
            read_seq=4,
            plan=vector_pb2.SearchPlan(strategy="exact", selectivity=0.5) if request.explain else None,
        )

    daemon.answers[_io.SEARCH] = answer
    got = client.search(
        "profile:v",
        entity_key={"airport": "SFO"},
        top_k=2,
        filter=fletch.field(REF) < 0,
        features=[REF],
        explain=True,
        exact=True,
    )
    (request,) = daemon.seen(vector_pb2.SearchRequest)
    assert (request.index, request.top_k, request.params.exact, request.params.ef) == ("profile:v", 2, True, 0)
    assert request.entity_key["airport"].strings.values == ["SFO"] and not request.vector
    assert request.filter == (fletch.field(REF) < 0).to_proto()
    assert (len(got), got.read_seq, got.as_of, got.plan.strategy) == (2, 4, T0, "exact")
    assert got.hits == [
        fletch.Hit({"airport": "JFK"}, 0.5, T0, {REF: 3.0}, {REF: "PRESENT"}),
        fletch.Hit({"airport": "LAX"}, 0.25, T0, {REF: None}, {REF: "OUTSIDE_MAX_AGE"}),
    ]
    assert got.to_df().columns.tolist() == ["airport", "score", "event_timestamp", REF]
    assert got.to_arrow(include_statuses=True)[f"{REF}__status"].to_pylist() == ["PRESENT", "OUTSIDE_MAX_AGE"]
    assert got.to_dict()["keys"] == {"airport": ["JFK", "LAX"]} and got.to_dict()["scores"] == [0.5, 0.25]

    client.search("profile:v", vector=np.array([1, 0.5]))
    assert list(daemon.seen(vector_pb2.SearchRequest)[1].vector) == [1.0, 0.5]
    for kwargs in ({}, {"vector": [1.0], "entity_key": {"airport": "SFO"}}, {"vector": ["a"]}, {"vector": [None]}):
        with pytest.raises(fletch.FletchError, match="vector"):
            client.search("profile:v", **kwargs)


def test_apply_returns_the_plan(daemon: FakeDaemon, client: Any) -> None:
    change = registry_pb2.PlannedChange(
        kind=registry_pb2.FEATURE_VIEW,
        name="weather",
        change=registry_pb2.BREAKING,
        details=["ttl 3h becomes 2h"],
        version=2,
        affected_services=["model"],
    )
    daemon.answers[_io.APPLY] = lambda _: registry_pb2.ApplyResponse(changes=[change], revision=3)
    entity = fletch.Entity("airport", [fletch.KeyField("airport", "STRING")])
    plan = client.apply([fletch.Project("demo"), entity], dry_run=True, expected_revision=2)
    (request,) = daemon.seen(registry_pb2.ApplyRequest)
    assert (request.project, request.dry_run, request.expected_revision) == ("demo", True, 2)
    assert [o.WhichOneof("object") for o in request.objects] == ["project", "entity"]
    assert plan.revision == 3 and plan.changes[0].affected_services == ["model"]
    assert str(plan) == (
        "BREAKING  FeatureView weather v2\n          ttl 3h becomes 2h\n          keep the older version: model"
    )
    client.apply(entity)
    client.apply("kind: Project\nname: demo\n")
    assert len(daemon.seen(registry_pb2.ApplyRequest)) == 3
    with pytest.raises(fletch.FletchError, match="'other'"):
        client.apply("kind: Project\nname: other\n")
    with pytest.raises(fletch.FletchError, match="no spec"):
        client.apply([5])


def test_objects(daemon: FakeDaemon, client: Any) -> None:
    daemon.declare("weather", [TEMPERATURE])
    view = client.get_object("FeatureView", "weather")
    assert view == fletch.FeatureView(
        "weather", "airport", [fletch.Field("temperature_c", "DOUBLE")], ttl=dt.timedelta(0), event_key=[], version=1,
        retention=dt.timedelta(0),
    )  # fmt: skip
    with pytest.raises(fletch.FletchError, match="no nowhere") as caught:
        client.get_object("ENTITY", "nowhere")
    assert (caught.value.code, caught.value.field) == ("NOT_FOUND", "name")
    with pytest.raises(fletch.FletchError, match="kinds are"):
        client.get_object("View", "weather")

    def page(request: registry_pb2.ListRequest) -> registry_pb2.ListResponse:
        last = request.page_token == "more"
        name = "b" if last else "a"
        return registry_pb2.ListResponse(
            objects=[registry_pb2.Object(project=registry_pb2.Project(name=name))],
            next_page_token="" if last else "more",
        )

    daemon.answers[_io.LIST] = page
    assert client.list_objects() == [fletch.Project("a"), fletch.Project("b")]
    client.list_objects("Entity")
    assert daemon.seen(registry_pb2.ListRequest)[-1].kind == registry_pb2.ENTITY
    daemon.answers[_io.DELETE_OBJECT] = lambda _: registry_pb2.DeleteObjectResponse(revision=6)
    assert client.delete_object("FeatureView", "weather") == 6


def test_status(daemon: FakeDaemon, client: Any) -> None:
    index = admin_pb2.VectorIndexStatus(project="demo", index="profile@v1:v", vectors=3)
    daemon.answers[_io.GET_STATUS] = lambda _: admin_pb2.GetStatusResponse(
        version="0.1.0", state="serving", now_micros=MICROS0, indexes=[index], warnings=["w"]
    )
    got = client.status()
    assert (got.version, got.state, got.now, got.applied_time, got.warnings) == ("0.1.0", "serving", T0, None, ["w"])
    assert got.indexes[0].vectors == 3
