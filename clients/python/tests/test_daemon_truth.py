# SPDX-License-Identifier: Apache-2.0
"""Windows, expressions, partial updates, training sets, erasure, lineage and audits against a fletchd."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from test_daemon import address, airport, client  # noqa: F401  (fixtures)

import fletch

SPECS = """
kind: FeatureView
name: {p}_flights
entity: {p}_airport
event_key: [{{name: flight, type: STRING}}]
fields: [{{name: delay_min, type: INT64}}, {{name: gate, type: STRING}}]
---
kind: Entity
name: {p}_airport
join_keys: [{{name: {p}_id, type: STRING}}]
---
kind: AggregationView
name: {p}_delays
source: {p}_flights
aggregations:
  - {{name: flights, function: count, window: 1d}}
  - {{name: mean, column: delay_min, function: mean, window: 1d}}
  - {{name: last, column: delay_min, function: last_k, k: 2, window: 1d}}
---
kind: OnDemandFeatureView
name: {p}_risk
inputs: [{p}_delays]
request: [{{name: hour, type: INT64}}]
fields: [{{name: late, type: BOOL, sql: "mean > 10 AND hour < 9"}}]
"""
PREFIXES = (f"t{i}" for i in itertools.count())


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def p(client: Any) -> str:  # noqa: F811
    """Views of this test's own, with two flights of airport "SFO"."""
    prefix = next(PREFIXES)
    client.apply(SPECS.format(p=prefix))
    flights = [{f"{prefix}_id": "SFO", "flight": f, "delay_min": d, "event_timestamp": now()} for f, d in [("a", 10), ("b", 20)]]
    client.write(f"{prefix}_flights", flights)
    return prefix


def test_windows_and_expressions_on_every_path(client: Any, p: str) -> None:  # noqa: F811
    refs = [f"{p}_delays:flights", f"{p}_delays:mean", f"{p}_delays:last", f"{p}_risk:late"]
    online = client.get_online_features(refs, [{f"{p}_id": "SFO"}, {f"{p}_id": "XXX"}], request_context={"hour": [8, 8]})
    cells = online.to_dict()
    assert [cells["values"][r] for r in refs] == [[2, 0], [15.0, None], [[20, 10], None], [True, None]]
    assert cells["statuses"][refs[1]] == ["PRESENT", "NULL_VALUE"]
    spine = [{f"{p}_id": "SFO", "event_timestamp": online.as_of, "hour": hour} for hour in (8, 9)]
    trained = client.get_historical_features(spine, refs, known_at=online.read_seq).to_dict()
    assert [trained[r] for r in refs] == [[2, 2], [15.0, 15.0], [[20, 10], [20, 10]], [True, False]]
    with pytest.raises(fletch.FletchError) as caught:
        client.get_online_features(refs, [{f"{p}_id": "SFO"}])
    assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", "request_context.hour")
    view = client.get_object("AggregationView", f"{p}_delays")
    assert (view.resolved_source, view.version, view.aggregations[2].type, view.aggregations[2].array) == (
        f"{p}_flights@v1", 1, "INT64", True,
    )  # fmt: skip


def test_a_partial_update_keeps_the_rest(client: Any, p: str) -> None:  # noqa: F811
    flight = {f"{p}_id": "JFK", "flight": "a", "event_timestamp": now()}
    client.write(f"{p}_flights", [{**flight, "delay_min": 7, "gate": "B1"}])
    client.write(f"{p}_flights", [{**flight, "gate": "B2"}], merge=True)
    got = client.get_online_features([f"{p}_flights:delay_min", f"{p}_flights:gate"], [{f"{p}_id": "JFK"}]).to_dict()
    assert list(got["values"].values()) == [[7], ["B2"]]


def test_a_training_set_lives_until_someone_in_it_is_erased(client: Any, p: str) -> None:  # noqa: F811
    refs = [f"{p}_delays:mean", f"{p}_risk:late"]
    spine = [{f"{p}_id": "SFO", "event_timestamp": now(), "hour": 8}, {f"{p}_id": "JFK", "event_timestamp": now(), "hour": 8}]
    made = client.create_training_set(f"{p}-set", spine, refs, description="two rows")
    with pytest.raises(fletch.FletchError) as taken:
        client.create_training_set(f"{p}-set", spine, refs)
    assert taken.value.code == "ALREADY_EXISTS"
    client.write(f"{p}_flights", [{f"{p}_id": "SFO", "flight": "c", "delay_min": 99, "event_timestamp": spine[0]["event_timestamp"]}])
    again = client.get_training_set(f"{p}-set").to_dict()
    assert again[refs[0]] == [15.0, None] and again[refs[1]] == [True, None] and again["hour"] == [8, 8]
    assert client.verify_training_set(f"{p}-set").same
    assert f"{p}-set" in [s.name for s in client.list_training_sets()]
    downstream = {(i.kind, i.name) for i in client.get_lineage("FeatureView", f"{p}_flights").downstream}
    assert downstream >= {("TrainingSet", made.name), ("AggregationView", f"{p}_delays"), ("OnDemandFeatureView", f"{p}_risk")}

    receipt = client.erase(f"{p}_airport", {f"{p}_id": "SFO"})
    assert (receipt.facts, receipt.feature_views, receipt.training_sets) == (3, [f"{p}_flights@v1"], [made.name])
    assert client.list_erasures()[0] == receipt
    gone = client.get_online_features([f"{p}_flights:delay_min"], [{f"{p}_id": "SFO"}]).to_dict()
    assert gone["statuses"][f"{p}_flights:delay_min"] == ["NOT_FOUND"]
    verified = client.verify_training_set(made.name)
    assert not verified.same and "erased" in verified.reason
    with pytest.raises(fletch.FletchError, match="erased"):
        client.get_training_set(made.name).to_arrow()
    assert client.compact().disk_bytes_after > 0
    client.delete_training_set(made.name)


def test_the_audit_finds_nothing(client: Any, p: str) -> None:  # noqa: F811
    audit = client.audit_parity([f"{p}_delays:mean", f"{p}_flights:delay_min"], entities=10)
    assert audit.mismatches == 0 and audit.cells == 2 * audit.entities > 0
