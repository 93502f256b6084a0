# SPDX-License-Identifier: Apache-2.0
"""Both clients against a fletchd of this test's own: env FLETCHD, by default the release build's.

Without the binary these tests are skipped, unless FLETCH_REQUIRE_DAEMON is set.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import connected

import fletch

BINARY = Path(os.environ.get("FLETCHD", Path(__file__).resolve().parents[3] / "build" / "release" / "bin" / "fletchd"))
READY_SECONDS = 60
T0 = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)

SPECS = """
kind: Entity
name: airport
join_keys: [{name: airport, type: STRING}]
---
kind: Entity
name: route
join_keys: [{name: number, type: INT64}, {name: airport, type: STRING}]
---
kind: FeatureView
name: weather
entity: airport
fields:
  - {name: temperature_c, type: DOUBLE}
  - {name: note, type: STRING, default: none}
  - {name: level, type: INT64}
---
kind: FeatureView
name: everything
entity: route
fields:
  - {name: a_bool, type: BOOL}
  - {name: an_int32, type: INT32}
  - {name: an_int64, type: INT64}
  - {name: a_float, type: FLOAT}
  - {name: a_double, type: DOUBLE}
  - {name: a_string, type: STRING}
  - {name: some_bytes, type: BYTES}
  - {name: a_time, type: TIMESTAMP}
  - {name: a_json, type: JSON}
  - {name: a_vector, type: FLOAT_VECTOR, dimension: 3}
  - {name: ints, type: INT64, array: true}
  - {name: texts, type: STRING, array: true}
---
kind: FeatureView
name: departures
entity: airport
event_key: [{name: flight, type: STRING}]
fields: [{name: delay_min, type: INT64}]
---
kind: FeatureView
name: profile
entity: airport
fields: [{name: shape, type: FLOAT_VECTOR, dimension: 2, index: {metric: COSINE}}]
---
kind: FeatureService
name: model
bindings:
  - {alias: origin, feature_view: weather, join_key_map: {airport: origin}}
  - {alias: destination, feature_view: weather, join_key_map: {airport: destination}}
features: ["origin:temperature_c", "destination:temperature_c"]
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not BINARY.exists():
        message = f"{BINARY} is missing: NOTHING IS TESTED AGAINST THE DAEMON. Build it, or name one with FLETCHD."
        if os.environ.get("FLETCH_REQUIRE_DAEMON"):
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("daemon")
    port_file, log = folder / "port", folder / "log"
    with log.open("wb") as out:
        arguments = ["--listen", "127.0.0.1:0", "--metrics-listen", "", "--data-dir", str(folder / "data")]
        # FLETCH_… in the environment are settings to the daemon; those of this test's are not.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLETCH")}
        command = [BINARY, *arguments, "--port-file", str(port_file)]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"fletchd is not ready; its log ends:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        target = port_file.read_text().splitlines()[0]
        with fletch.Client(target, project="demo") as client:
            while True:
                try:
                    if client.status().state == "serving":
                        break
                except fletch.FletchError as error:
                    if error.code != "UNAVAILABLE" or process.poll() is not None or time.monotonic() > deadline:
                        raise
                time.sleep(0.02)
            client.apply(SPECS)
        yield target
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text(errors="replace")[-2000:]


@pytest.fixture(params=["sync", "async"])
def client(address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from connected(request.param, address)


NAMES = (f"p{i}" for i in itertools.count())


@pytest.fixture
def airport() -> str:
    """A key that no other test uses."""
    return next(NAMES)


def test_apply_plans_and_is_repeatable(client: Any) -> None:
    before = client.status().registry_revision
    plan = client.apply(SPECS)
    assert {c.change for c in plan.changes} == {"UNCHANGED"} and len(plan.changes) == 7
    breaking = fletch.FeatureView("weather", "airport", [fletch.Field("temperature_c", "STRING")])
    with pytest.raises(fletch.FletchError) as caught:
        client.apply(breaking)
    assert caught.value.code == "FAILED_PRECONDITION" and caught.value.reason
    plan = client.apply(breaking, dry_run=True, allow_breaking=True)
    assert plan.changes[0].change == "BREAKING" and "model" in plan.changes[0].affected_services
    assert client.status().registry_revision == before


def test_objects(client: Any) -> None:
    view = client.get_object("FeatureView", "weather")
    assert [f.name for f in view.fields] == ["temperature_c", "note", "level"]
    assert (view.version, view.fields[1].default) == (1, "none")
    names = {(type(o).__name__, o.name) for o in client.list_objects()}
    assert {("Entity", "route"), ("FeatureService", "model"), ("FeatureView", "profile")} <= names
    with pytest.raises(fletch.FletchError) as caught:
        client.delete_object("FeatureView", "weather")
    assert caught.value.code == "FAILED_PRECONDITION" and "model" in caught.value.message
    name = next(NAMES)
    client.apply(fletch.Entity(name, [fletch.KeyField("k", "INT64")]))
    client.delete_object("Entity", name)
    with pytest.raises(fletch.FletchError, match=name) as caught:
        client.get_object("Entity", name)
    assert caught.value.code == "NOT_FOUND"


def test_every_type_comes_back_on_every_path(client: Any) -> None:
    number = random.randrange(2**40)
    values = {
        "a_bool": True, "an_int32": -(2**31), "an_int64": 2**63 - 1, "a_float": 0.5, "a_double": 1e300,
        "a_string": "ß語😀", "some_bytes": b"\0\xff", "a_time": T0 + dt.timedelta(microseconds=1),
        "a_json": '{"a": [1, null]}', "a_vector": [1.0, -2.5, 0.0], "ints": [1, -(2**63)], "texts": ["", "x"],
    }  # fmt: skip
    key = {"number": number, "airport": "SFO"}
    null = {"number": number, "airport": "JFK"}
    rows = [{**key, **values, "event_timestamp": T0}, {**null, **dict.fromkeys(values), "event_timestamp": T0}]
    done = client.write("everything", rows)
    assert done.rows == 2
    refs = [f"everything:{name}" for name in values]
    got = client.get_online_features(refs, [key, null, {"number": number, "airport": "LAX"}])
    assert got.read_seq >= done.commit_seq
    cells = got.to_dict()
    assert {r: v[0] for r, v in cells["values"].items()} == {f"everything:{n}": v for n, v in values.items()}
    assert all(v[1:] == [None, None] for v in cells["values"].values())
    assert all(s == ["PRESENT", "NULL_VALUE", "NOT_FOUND"] for s in cells["statuses"].values())
    assert all(t == [T0, T0, None] for t in cells["event_timestamps"].values())
    assert got.to_arrow().select(refs).to_pylist() == [{r: cells["values"][r][i] for r in refs} for i in range(3)]
    spine = [{**key, "event_timestamp": T0, "label": 1}, {**key, "event_timestamp": T0 - HOUR, "label": 0}]
    joined = client.get_historical_features(spine, refs, include_statuses=True).to_dict()
    assert joined["label"] == [1, 0]
    for name, value in values.items():
        assert joined[f"everything:{name}"] == [value, None]
        assert joined[f"everything:{name}__status"] == ["PRESENT", "NOT_FOUND"]
    history = client.get_feature_history("everything", key).to_dict()
    assert {name: history[name] for name in values} == {name: [value] for name, value in values.items()}
    assert history["commit_seq"] == [done.commit_seq] and history["form"] == ["ROW"]


def test_the_worked_example_of_a_late_fact(client: Any, airport: str) -> None:
    def at(hours: float, known_at: int | None = None) -> Any:
        got = client.get_online_features(
            ["weather:temperature_c"], [{"airport": airport}], as_of=T0 + hours * HOUR, known_at=known_at
        )
        return got.to_dict()["values"]["weather:temperature_c"][0]

    commits = {}
    for name, hour, value in (("a", 100, 1.0), ("b", 130, 2.0), ("c", 120, 3.0)):
        row = {"airport": airport, "temperature_c": value, "event_timestamp": T0 + hour * HOUR}
        commits[name] = client.write("weather", [row]).commit_seq
    assert [at(99), at(100), at(125, commits["b"]), at(125), at(130)] == [None, 1.0, 1.0, 3.0, 2.0]
    b = [{"airport": airport, "event_timestamp": T0 + 130 * HOUR}]
    assert client.retract("weather", b).rows == 1
    assert [at(130), at(130, commits["c"])] == [3.0, 2.0]
    gone = client.delete("weather", [{"airport": airport, "event_timestamp": T0 + 125 * HOUR}])
    assert at(125) is None
    client.retract("weather", [{"airport": airport, "event_timestamp": T0 + 125 * HOUR}], tombstones=True)
    assert [at(125), at(125, gone.commit_seq)] == [3.0, None]
    forms = client.get_feature_history("weather", {"airport": airport}, all_forms=True).to_dict()["form"]
    assert sorted(forms) == ["RETRACTION", "RETRACTION", "ROW", "ROW", "ROW", "TOMBSTONE"]


def test_defaults_nulls_and_merges_of_sources(client: Any, airport: str) -> None:
    refs = ["weather:temperature_c", "weather:note", "weather:level"]

    def now() -> list[Any]:
        cells = client.get_online_features(refs, [{"airport": airport}]).to_dict()["values"]
        return [cells[r][0] for r in refs]

    def when(n: int) -> dt.datetime:
        return T0 + n * HOUR

    client.write("weather", [{"airport": airport, "temperature_c": 1, "event_timestamp": when(0)}])
    assert now() == [1.0, "none", None]
    client.write("weather", [{"airport": airport, "note": None, "event_timestamp": when(1)}])
    assert now() == [None, None, None]
    df = pd.DataFrame(
        {"airport": [airport], "temperature_c": [2.5], "level": [float("nan")], "event_timestamp": [when(2)]}
    )
    client.write("weather", df)
    assert now() == [2.5, "none", None]
    client.write("weather", df.assign(temperature_c=float("nan"), event_timestamp=when(3)), nan_as_value=True)
    assert now()[0] != now()[0]
    client.write("weather", df.assign(temperature_c=float("nan"), event_timestamp=when(4)))
    assert now()[0] is None
    client.write("weather", pa.Table.from_pandas(df.assign(event_timestamp=when(5), level=5)))
    assert now() == [2.5, "none", 5]
    client.write("weather", pl.DataFrame({"airport": [airport], "level": [6], "event_timestamp": [when(6)]}))
    assert now() == [None, "none", 6]


def test_event_keys_tell_events_of_one_instant_apart(client: Any, airport: str) -> None:
    rows = [
        {"airport": airport, "flight": f, "delay_min": d, "event_timestamp": T0} for f, d in (("UA1", 5), ("UA2", 7))
    ]
    client.write("departures", rows)
    history = client.get_feature_history("departures", {"airport": airport}).to_dict()
    assert sorted(zip(history["flight"], history["delay_min"], strict=True)) == [("UA1", 5), ("UA2", 7)]
    client.retract("departures", [{"airport": airport, "flight": "UA2", "event_timestamp": T0}])
    assert client.get_feature_history("departures", {"airport": airport}).to_dict()["flight"] == ["UA1"]


def test_a_service_reads_one_view_in_two_roles(client: Any) -> None:
    origin, destination = next(NAMES), next(NAMES)
    rows = [
        {"airport": origin, "temperature_c": 1.0, "event_timestamp": T0},
        {"airport": destination, "temperature_c": 2.0, "event_timestamp": T0 + HOUR},
    ]
    client.write("weather", rows)
    key = {"origin": origin, "destination": destination}
    online = client.get_online_features("model", [key]).to_dict()["values"]
    assert online == {"origin:temperature_c": [1.0], "destination:temperature_c": [2.0]}
    spine = pd.DataFrame([{**key, "event_timestamp": T0}, {**key, "event_timestamp": T0 + HOUR}], index=[7, 8])
    df = client.get_historical_features(spine, "model").to_df()
    assert df.index.tolist() == [7, 8] and df["origin:temperature_c"].tolist() == [1.0, 1.0]
    assert [None if pd.isna(v) else v for v in df["destination:temperature_c"]] == [None, 2.0]
    roles = [fletch.Binding("origin", "weather", {"airport": "from_airport"})]
    got = client.get_online_features(["origin:temperature_c"], [{"from_airport": origin}], bindings=roles)
    assert got.to_dict()["values"] == {"origin:temperature_c": [1.0]}


def test_search(client: Any) -> None:
    near, far, cold = next(NAMES), next(NAMES), next(NAMES)
    shapes = [(near, [1.0, 0.1]), (far, [-1.0, 0.3]), (cold, [1.0, 0.0])]
    client.write("profile", [{"airport": a, "shape": s, "event_timestamp": T0} for a, s in shapes])
    for name, temperature in ((near, 5.0), (far, 6.0), (cold, -5.0)):
        client.write("weather", [{"airport": name, "temperature_c": temperature, "event_timestamp": T0}])
    mine = fletch.field("weather:temperature_c").isin([5.0, 6.0, -5.0])
    ref = "weather:temperature_c"
    got = client.search("profile:shape", vector=[1.0, 0.0], top_k=500, features=[ref], exact=True, explain=True)
    ranked = [h for h in got.hits if h.key["airport"] in (near, far, cold)]
    assert [h.key["airport"] for h in ranked] == [cold, near, far]
    assert [h.features[ref] for h in ranked] == [-5.0, 5.0, 6.0]
    assert ranked[0].score == pytest.approx(1.0) and ranked[0].event_timestamp == T0
    assert got.plan is not None and got.plan.strategy
    warm = client.search(
        "profile:shape", entity_key={"airport": near}, top_k=500, filter=mine & (fletch.field(ref) > 0)
    )
    found = {h.key["airport"] for h in warm.hits}
    assert far in found and near not in found and cold not in found
    before = client.search("profile:shape", vector=[1.0, 0.0], top_k=500, as_of=T0 - HOUR)
    assert not {near, far, cold} & {h.key["airport"] for h in before.hits}
    with pytest.raises(fletch.FletchError) as caught:
        client.search("profile:shape", entity_key={"airport": "nobody"})
    assert caught.value.code == "NOT_FOUND" and "nobody" in caught.value.message


def test_refusals_name_code_reason_and_field(client: Any, airport: str) -> None:
    key = [{"airport": airport}]
    row = {"airport": airport, "temperature_c": 1.0, "event_timestamp": T0}
    cases = [
        ("NOT_FOUND", "nowhere", lambda: client.get_online_features(["nowhere:x"], key)),
        ("NOT_FOUND", "nothing", lambda: client.get_online_features(["weather:nothing"], key)),
        ("NOT_FOUND", "no_view", lambda: client.write("no_view", [row])),
        ("NOT_FOUND", "colour", lambda: client.write("weather", [{**row, "colour": 1}])),
        ("INVALID_ARGUMENT", "temperature_c", lambda: client.write("weather", [{**row, "temperature_c": "warm"}])),
        ("INVALID_ARGUMENT", "", lambda: client.write("weather", [row, row])),
        ("OUT_OF_RANGE", "", lambda: client.write("weather", [{**row, "event_timestamp": dt.datetime(2999, 1, 1)}])),
        ("FAILED_PRECONDITION", "", lambda: client.get_online_features(["weather:note"], key, known_at=2**60)),
        ("NOT_FOUND", "", lambda: client.retract("weather", [{"airport": airport, "event_timestamp": T0}])),
        ("INVALID_ARGUMENT", "", lambda: client.search("profile:shape", vector=[1.0, 2.0, 3.0])),
    ]
    for code, part, call in cases:
        with pytest.raises(fletch.FletchError) as caught:
            call()
        error = caught.value
        assert error.code == code and part in str(error) and error.reason, error
    assert client.get_online_features(["weather:note"], key).to_dict()["statuses"]["weather:note"] == ["NOT_FOUND"]


def test_a_request_id_is_one_commit(client: Any, airport: str) -> None:
    rows = [{"airport": airport, "temperature_c": 1.0, "event_timestamp": T0}]
    first = client.write("weather", rows, request_id=f"once-{airport}")
    assert client.write("weather", rows, request_id=f"once-{airport}") == first
    with pytest.raises(fletch.FletchError) as caught:
        client.write("weather", [{**rows[0], "temperature_c": 2.0}], request_id=f"once-{airport}")
    assert caught.value.code == "INVALID_ARGUMENT"


def test_large_frames_equal_a_loop_and_training_equals_online(client: Any, seeded: random.Random) -> None:
    project_keys = [next(NAMES) for _ in range(500)]
    n = 120_000  # several commits
    rng = np.random.default_rng(seeded.randrange(2**32))
    minutes = np.arange(n)  # no identity twice
    df = pd.DataFrame(
        {
            "airport": np.array(project_keys, dtype=object)[rng.integers(0, 500, n)],
            "temperature_c": rng.normal(size=n),
            "level": rng.integers(-(2**62), 2**62, n),
            "event_timestamp": pd.Timestamp(T0) + pd.to_timedelta(minutes, unit="min"),
        }
    )
    df.loc[rng.random(n) < 0.1, "temperature_c"] = np.nan
    done = client.write("weather", df)
    assert done.rows == n and done.commits > 1
    spine = pd.DataFrame(
        {
            "airport": np.array(project_keys, dtype=object)[rng.integers(0, 500, 30_000)],
            "event_timestamp": pd.Timestamp(T0) + pd.to_timedelta(rng.integers(0, n, 30_000), unit="min"),
        }
    )
    refs = ["weather:temperature_c", "weather:level"]
    joined = client.get_historical_features(spine, refs, include_statuses=True, batch_rows=7_000).to_df()
    oracle = pd.merge_asof(  # as-of join by pandas
        spine.reset_index().sort_values("event_timestamp"), df, on="event_timestamp", by="airport"
    ).set_index("index").loc[spine.index]  # fmt: skip
    wanted = oracle["temperature_c"].to_numpy()
    given = joined[refs[0]].to_numpy(dtype=float, na_value=np.nan)
    assert np.array_equal(given, wanted, equal_nan=True)
    levels = [None if pd.isna(v) else int(v) for v in joined[refs[1]]]
    known = dict(zip(zip(df["airport"], df["event_timestamp"], strict=True), df["level"], strict=True))
    newest: dict[int, int | None] = {}
    merged = pd.merge_asof(
        spine.reset_index().sort_values("event_timestamp"),
        df[["airport", "event_timestamp"]].assign(found=df["event_timestamp"]),
        on="event_timestamp",
        by="airport",
    )
    for index, airport, found in zip(merged["index"], merged["airport"], merged["found"], strict=True):
        newest[index] = None if pd.isna(found) else int(known[airport, found])
    assert levels == [newest[i] for i in range(len(spine))]
    for row in seeded.sample(range(len(spine)), 40):
        key, instant = spine.loc[row, "airport"], spine.loc[row, "event_timestamp"]
        online = client.get_online_features(refs, [{"airport": key}], as_of=instant, known_at=done.commit_seq).to_dict()
        for ref in refs:
            value = joined.loc[row, ref]
            assert online["statuses"][ref] == [joined.loc[row, f"{ref}__status"]]
            assert online["values"][ref] == [None if pd.isna(value) else value]


def test_status(client: Any) -> None:
    status = client.status()
    assert status.state == "serving" and status.version
    assert status.now > T0 and status.applied_seq >= 0
    assert any(i.index == "profile@v1:shape" for i in status.indexes)


def test_the_command_writes_a_parquet_file(
    address: str, airport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq
    from fletch.__main__ import main

    rows = {"airport": [airport] * 3, "temperature_c": [1.5, None, 3.5], "event_timestamp": [T0, T0 + HOUR, T0 + 2 * HOUR]}
    pq.write_table(pa.table(rows), tmp_path / "facts.parquet")
    where = ["--address", address, "--project", "demo"]
    assert main(["write", "weather", str(tmp_path / "facts.parquet"), *where]) == 0
    assert capsys.readouterr().out.startswith("wrote 3 rows, commit ")
    with fletch.Client(address, project="demo") as client:
        history = client.get_feature_history("weather", {"airport": airport}).to_dict()
    assert history["temperature_c"] == [3.5, None, 1.5]

    assert main(["write", "no_such_view", str(tmp_path / "facts.parquet"), *where]) == 1
    assert "no_such_view" in capsys.readouterr().err
