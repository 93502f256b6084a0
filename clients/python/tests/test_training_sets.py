# SPDX-License-Identifier: Apache-2.0
"""Training sets, erasures, lineage and audits of both clients against a server in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from fake_daemon import MICROS0, REF, T0, FakeDaemon
from test_joins import join, spine

import fletch
from fletch import _io
from fletch.v1 import admin_pb2, data_pb2, historical_pb2, ingest_pb2, registry_pb2

FEATURE = data_pb2.ResolvedFeature(ref=REF, resolved="weather@v1:temperature_c", type=data_pb2.DOUBLE)
SET = historical_pb2.TrainingSet(
    project="demo", name="set", created_micros=MICROS0, row_count=5, batch_count=2, read_seq=7, features=[FEATURE],
    known_at_mode=historical_pb2.FIXED, min_timestamp_micros=MICROS0, max_timestamp_micros=MICROS0 + 4,
    digest=b"\x01\xff", engine_version="fletch 0.1.0",
)  # fmt: skip


def create(requests: Iterator[Any]) -> Iterator[Any]:
    rows = 0
    for request in requests:
        rows += request.spine.row_count
        made = SET if request.HasField("finish") else None
        yield historical_pb2.CreateTrainingSetResponse(row_count=rows, training_set=made)


def test_create(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.GET_HISTORICAL] = join
    daemon.answers[_io.CREATE_TRAINING_SET] = create
    made = client.create_training_set(
        "set", spine(5), [REF], timestamp_column="when", known_at=7, description="for a test", batch_rows=2
    )
    assert (made.name, made.row_count, made.digest, made.known_at_mode) == ("set", 5, "01ff", "FIXED")
    assert made.features == [fletch.Feature(REF, "weather@v1:temperature_c")] and made.created == T0
    header, *batches, finish = daemon.seen(historical_pb2.CreateTrainingSetRequest)
    assert (header.header.name, header.header.description) == ("set", "for a test")
    assert header.header.read.known_at.commit_seq == 7 and header.header.read.include_event_timestamps
    assert [b.spine.row_count for b in batches] == [2, 2, 1] and finish.HasField("finish")
    assert list(batches[1].spine.keys["airport"].strings.values) == ["a2", "a3"]
    with pytest.raises(fletch.FletchError, match="no rows"):
        client.create_training_set("set", spine(0), [REF], timestamp_column="when")


def batch(request: historical_pb2.GetTrainingSetRequest) -> historical_pb2.GetTrainingSetResponse:
    answer = historical_pb2.GetTrainingSetResponse(training_set=SET)
    if request.describe_only:
        return answer
    numbers = [0, 1, 2] if request.batch == 0 else [3, 4]
    answer.spine.row_count = len(numbers)
    answer.spine.keys["airport"].strings.values.extend(f"a{n}" for n in numbers)
    answer.spine.timestamps.micros.extend(MICROS0 + n for n in numbers)
    answer.spine.request_context["hour"].int64s.values.extend([8] if request.batch == 0 else [9, 10])
    column = answer.columns.add(statuses=[2 if n == 3 else 0 for n in numbers])
    column.doubles.values.extend(0.0 if n == 3 else n + 0.5 for n in numbers)
    return answer


def test_read_again(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.GET_TRAINING_SET] = batch
    got = client.get_training_set("set", include_statuses=True)
    table = got.to_dict()
    assert got.info.row_count == 5
    assert table["airport"] == ["a0", "a1", "a2", "a3", "a4"] and table["hour"] == [8, 8, 8, 9, 10]
    assert table[REF] == [0.5, 1.5, 2.5, None, 4.5] and table[f"{REF}__status"][3] == "NOT_FOUND"
    frame = got.to_df()
    assert frame.columns.tolist() == ["airport", "event_timestamp", "hour", REF, f"{REF}__status"]
    assert frame["event_timestamp"][0] == pd.Timestamp(T0)
    assert [b.num_rows for b in got.to_batches()] == [3, 2]


def test_list_verify_delete(daemon: FakeDaemon, client: Any) -> None:
    def page(request: historical_pb2.ListTrainingSetsRequest) -> historical_pb2.ListTrainingSetsResponse:
        more = "" if request.page_token else "more"
        return historical_pb2.ListTrainingSetsResponse(training_sets=[SET], next_page_token=more)

    daemon.answers[_io.LIST_TRAINING_SETS] = page
    assert [s.name for s in client.list_training_sets()] == ["set", "set"]
    daemon.answers[_io.VERIFY_TRAINING_SET] = lambda _: historical_pb2.VerifyTrainingSetResponse(
        training_set=SET, same=False, reason="erased"
    )
    verified = client.verify_training_set("set")
    assert (verified.same, verified.reason, verified.training_set.name) == (False, "erased", "set")
    daemon.answers[_io.DELETE_TRAINING_SET] = lambda _: historical_pb2.DeleteTrainingSetResponse()
    client.delete_training_set("set")
    assert daemon.seen(historical_pb2.DeleteTrainingSetRequest)[0].name == "set"


def test_erase_and_its_ledger(daemon: FakeDaemon, client: Any) -> None:
    receipt = ingest_pb2.EraseReceipt(
        id=3, entity="airport", key_hash=b"\xab", erased_at_micros=MICROS0, facts=9, feature_views=["weather@v1"]
    )
    daemon.answers[_io.ERASE] = lambda _: ingest_pb2.EraseResponse(receipts=[receipt])
    got = client.erase("airport", {"airport": "SFO"})
    assert (got.id, got.key_hash, got.erased_at, got.facts) == (3, "ab", T0, 9) and got.feature_views == ["weather@v1"]
    (request,) = daemon.seen(ingest_pb2.EraseRequest)
    assert request.keys["airport"].strings.values == ["SFO"] and request.row_count == 1
    daemon.answers[_io.LIST_ERASURES] = lambda _: admin_pb2.ListErasuresResponse(receipts=[receipt])
    assert client.list_erasures() == [got]


def test_lineage_compact_audit(daemon: FakeDaemon, client: Any) -> None:
    view = registry_pb2.LineageItem(kind=registry_pb2.FEATURE_VIEW, name="weather", version=2)
    reader = registry_pb2.LineageItem(kind=registry_pb2.TRAINING_SET, name="set", direct=True, read_seq=7)
    daemon.answers[_io.GET_LINEAGE] = lambda _: registry_pb2.GetLineageResponse(
        object=view, downstream=[reader], first_commit_seq=1, last_commit_seq=9
    )
    lineage = client.get_lineage("FeatureView", "weather@v2")
    assert lineage.object == fletch.LineageItem("FeatureView", "weather", 2, False, 0)
    assert lineage.downstream == [fletch.LineageItem("TrainingSet", "set", 0, True, 7)] and lineage.last_commit_seq == 9
    daemon.answers[_io.COMPACT] = lambda _: admin_pb2.CompactResponse(facts_folded=5, disk_bytes_after=10)
    assert client.compact() == fletch.Compaction(5, 0, 0, 10)
    mismatch = admin_pb2.ParityMismatch(
        ref=REF, key_hash=b"\x01", as_of_micros=MICROS0, read_seq=4, differs_in="value"
    )
    daemon.answers[_io.AUDIT_PARITY] = lambda _: admin_pb2.AuditParityResponse(
        cells=100, entities=10, mismatches=1, examples=[mismatch], seed=5
    )
    audit = client.audit_parity([REF], entities=10, seed=5)
    assert (audit.cells, audit.mismatches) == (100, 1)
    assert audit.examples == [fletch.ParityMismatch(REF, "01", T0, 4, "value")]
    assert list(daemon.seen(admin_pb2.AuditParityRequest)[0].features) == [REF]
