# SPDX-License-Identifier: Apache-2.0
"""YAML to specs to the wire and back; errors name the path."""

from __future__ import annotations

import builtins
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

import fletch
from fletch import _yaml, specs
from fletch._times import duration
from fletch.v1 import data_pb2, registry_pb2

DEMO = """
kind: Project
name: demo
---
kind: Entity
name: airport
join_keys: [{name: airport, type: STRING}]
---
kind: FeatureView
name: airport_weather
entity: airport
ttl: 3h                 # 0 = never too old
retention: 400d
max_future_skew: 10m
fields:
  - {name: temperature_c, type: DOUBLE, description: "air temperature, degrees Celsius", forbid_nan: true}
  - {name: alerts, type: STRING, array: true, default: [none]}
  - {name: seen, type: TIMESTAMP, default: "2001-01-31T12:00:00Z"}
  - {name: day, type: TIMESTAMP, default: 2001-01-31}
  - {name: extra, type: JSON, default: {a: 1}}
  - {name: count, type: INT64, default: 0, indexed: true}
---
kind: FeatureView
name: airport_profile
entity: airport
fields:
  - {name: profile, type: FLOAT_VECTOR, dimension: 2, index: {metric: COSINE}, default: [1, 0.5]}
---
kind: FeatureView
name: departures
entity: airport
event_key: [{name: flight, type: STRING}]
fields: [{name: delay_min, type: INT64, description: "minutes late at departure, negative if early"}]
---
kind: AggregationView
name: airport_delays
source: departures
aggregations:
  - {name: mean_delay_7d, column: delay_min, function: mean, window: 7d}
  - {name: worst, column: delay_min, function: approx_percentile, percentile: 0.99, window: 90m}
  - {name: recent, column: delay_min, function: last_k, k: 3, window: 1d}
---
kind: OnDemandFeatureView
name: risk
inputs: [airport_delays, airport_weather]
request: [{name: hour, type: INT64}]
fields: [{name: icy_and_late, type: BOOL, sql: "temperature_c < 0 AND mean_delay_7d > 15 AND hour < 9"}]
---
kind: FeatureService
name: delay_model
description: of origin and destination
bindings:
  - {alias: origin, feature_view: airport_weather, join_key_map: {airport: origin}}
  - {alias: destination, feature_view: airport_weather@v1, join_key_map: {airport: destination}}
features: ["origin:temperature_c", "destination:temperature_c"]
---
"""


def test_the_forms_of_the_specs() -> None:
    project, entity, weather, profile, departures, delays, risk, service = (specs.to_proto(s) for s in _yaml.load(DEMO))
    assert project == registry_pb2.Object(project=registry_pb2.Project(name="demo"))
    key = registry_pb2.KeyField(name="airport", type=data_pb2.STRING)
    assert entity.entity == registry_pb2.Entity(name="airport", join_keys=[key])
    view = weather.feature_view
    assert (view.name, view.entity, view.ttl.seconds, view.max_future_skew.seconds) == (
        "airport_weather", "airport", 10800, 600,
    )  # fmt: skip
    temperature, alerts, seen, day, extra, count = view.fields
    assert temperature == registry_pb2.Field(
        name="temperature_c", type=data_pb2.DOUBLE, description="air temperature, degrees Celsius", forbid_nan=True
    )
    assert alerts.array and alerts.default_value.value.arrays.elements.strings.values == ["none"]
    assert list(seen.default_value.value.timestamps.micros) == [980942400_000000]
    assert list(day.default_value.value.timestamps.micros) == [980899200_000000]
    assert extra.default_value.value.json.values == ['{"a": 1}']
    assert count.indexed and not day.indexed
    assert count.default_value.value.WhichOneof("values") == "int64s"
    assert list(count.default_value.value.int64s.values) == [0]
    field = profile.feature_view.fields[0]
    assert (field.dimension, field.index.metric) == (2, registry_pb2.COSINE)
    assert list(field.default_value.value.vectors.values) == [1.0, 0.5]
    assert departures.feature_view.event_key[0].name == "flight"
    assert not departures.feature_view.HasField("ttl")
    assert view.retention.seconds == 400 * 86400
    mean, worst, recent = delays.aggregation_view.aggregations
    assert (mean.column, mean.function, mean.window.seconds) == ("delay_min", registry_pb2.MEAN, 7 * 86400)
    assert (worst.function, worst.percentile, worst.window.seconds) == (registry_pb2.APPROX_PERCENTILE, 0.99, 5400)
    assert (delays.aggregation_view.source, recent.k) == ("departures", 3)
    on_demand = risk.on_demand_feature_view
    assert list(on_demand.inputs) == ["airport_delays", "airport_weather"]
    assert on_demand.request[0] == registry_pb2.RequestField(name="hour", type=data_pb2.INT64)
    assert on_demand.fields[0].sql.startswith("temperature_c < 0 AND")
    assert service.feature_service.bindings[1].feature_view == "airport_weather@v1"
    assert dict(service.feature_service.bindings[0].join_key_map) == {"airport": "origin"}
    assert list(service.feature_service.features) == ["origin:temperature_c", "destination:temperature_c"]


def test_specs_come_back_as_they_went() -> None:
    for spec in _yaml.load(DEMO):
        message = specs.to_proto(spec)
        assert specs.to_proto(specs.from_proto(message)) == message


def test_sources(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("kind: Project\nname: demo")
    assert _yaml.load(path) == _yaml.load(str(path)) == _yaml.load("{kind: Project, name: demo}")
    with pytest.raises(fletch.FletchError, match=r"nowhere\.yaml: No such file"):
        _yaml.load("nowhere.yaml")
    with pytest.raises(fletch.FletchError, match="holds no specs"):
        _yaml.load("---\n---\n")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("3h", dt.timedelta(hours=3)),
        ("7d", dt.timedelta(days=7)),
        ("90s", dt.timedelta(seconds=90)),
        ("10m", dt.timedelta(minutes=10)),
        ("500ms", dt.timedelta(milliseconds=500)),
        ("20us", dt.timedelta(microseconds=20)),
        (0, dt.timedelta(0)),
        (dt.timedelta(microseconds=1), dt.timedelta(microseconds=1)),
    ],
)
def test_durations(given: Any, wanted: dt.timedelta) -> None:
    assert duration(given, "ttl") == wanted


@pytest.mark.parametrize("bad", ["3", 3, "-3h", "1h30m", "1.5h", "3 h", "", None, False, "9" * 30 + "d"])
def test_what_is_no_duration(bad: Any) -> None:
    with pytest.raises(fletch.FletchError) as caught:
        duration(bad, "view.ttl")
    assert caught.value.field == "view.ttl"


VIEW = "kind: FeatureView\nname: v\nentity: e\n"


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        ("name: x", "document 1.kind", "kind None is unknown"),
        ("kind: Stream\nname: x", "document 1.kind", "'Stream' is unknown"),
            ("kind: AggregationView\nname: x\nsource: y", "document 1 (AggregationView x).aggregations", "missing"),
            (
                "kind: AggregationView\nname: x\nsource: y\naggregations: [{name: a, function: median, window: 1d}]",
                "document 1 (AggregationView x).aggregations[0].function",
                "approx_percentile",
            ),
            (
                "kind: OnDemandFeatureView\nname: x\nfields: [{name: a, type: BOOL, sql: 5}]",
                "document 1 (OnDemandFeatureView x).fields[0].sql",
                "text is wanted",
            ),
        ("kind: Project\nname: a\n---\nkind: Project\nname: b\ncolour: red", "document 2 (Project b).colour", "unknown"),
        (VIEW + "fields: [{name: a, type: INT64, dimenson: 3}]", "document 1 (FeatureView v).fields[0].dimenson", "dimension"),
        (VIEW + "fields: [{name: a, type: INT}]", "document 1 (FeatureView v).fields[0].type", "INT64"),
        (VIEW + "fields: [{name: a}]", "document 1 (FeatureView v).fields[0].type", "missing"),
        (VIEW + "fields: {name: a}", "document 1 (FeatureView v).fields", "a list is wanted"),
        (VIEW + "fields: [a]", "document 1 (FeatureView v).fields[0]", "a mapping with name"),
        (VIEW, "document 1 (FeatureView v).fields", "missing"),
        (VIEW + "fields: []\nttl: 3 hours", "document 1 (FeatureView v).ttl", "no duration"),
            (VIEW + "fields: []\nretention: long", "document 1 (FeatureView v).retention", "no duration"),
        (VIEW + "fields: [{name: a, type: INT64, array: 1}]", "document 1 (FeatureView v).fields[0].array", "true or false"),
        (VIEW + "fields: [{name: a, type: INT64, index: {kind: flat}}]", "document 1 (FeatureView v).fields[0].index.kind", "metric"),
        ("kind: Project\nname: 5", "document 1.name", "text is wanted"),
        ("kind: Project", "document 1.name", "missing"),
        ("- kind: Project", "document 1", "mapping"),
        (
            "kind: FeatureService\nname: s\nfeatures: []\nbindings: [{alias: a, feature_view: v, join_key_map: {a: 1}}]",
            "document 1 (FeatureService s).bindings[0].join_key_map",
            "names to names",
        ),
    ],
)  # fmt: skip
def test_wrong_yaml_names_the_path(text: str, path: str, part: str) -> None:
    with pytest.raises(fletch.FletchError) as caught:
        _yaml.parse(text)
    assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", path)
    assert part in caught.value.message and path.partition(".kind")[0] in caught.value.message


def test_wrong_values_of_specs_name_the_path() -> None:
    cases = [
        (fletch.Field("a", "INT64", default="3"), "v.fields[0].default"),
        (fletch.Field("a", "INT32", default=2**40), "v.fields[0].default"),
        (fletch.Field("a", "FLOAT_VECTOR", dimension=2, default=[1.0]), "v.fields[0].default"),
        (fletch.Field("a", "TEXT"), "v.fields[0].type"),
        (fletch.Field("a", "FLOAT_VECTOR", index=fletch.VectorIndex("cosine")), "v.fields[0].index.metric"),
    ]
    for field, path in cases:
        with pytest.raises(fletch.FletchError) as caught:
            specs.to_proto(fletch.FeatureView("v", "e", [field]))
        assert caught.value.field == path


def test_yaml_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fletch.FletchError, match="line 1"):
        _yaml.parse("kind: [")
    with pytest.raises(fletch.FletchError, match='line 1: key "name" stands twice'):
        _yaml.parse("kind: Project\nname: a\nname: b")
    real = builtins.__import__

    def without_yaml(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    with pytest.raises(fletch.FletchError, match=r"pip install 'fletch\[yaml\]'"):
        _yaml.parse("kind: Project\nname: a")
