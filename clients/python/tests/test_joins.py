# SPDX-License-Identifier: Apache-2.0
"""Training reads of both clients against a server in this process."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import grpc
import pandas as pd
import pyarrow as pa
import pytest
from fake_daemon import MICROS0, REF, T0, TEMPERATURE, FakeDaemon, Refusal

import fletch
from fletch import _io
from fletch.v1 import data_pb2, historical_pb2, registry_pb2


def join(requests: Iterator[historical_pb2.GetHistoricalFeaturesRequest]) -> Iterator[Any]:
    """Answers each row with its number of the spine's timestamp, and not at all where that is a multiple of 3."""
    header = next(requests).header
    refs = list(header.features) or ["origin:temperature_c"]
    resolved = [
        data_pb2.ResolvedFeature(ref=r, resolved="weather@v1:temperature_c", type=data_pb2.DOUBLE) for r in refs
    ]
    key = registry_pb2.KeyField(name="airport" if header.features else "from_airport", type=data_pb2.STRING)
    context = [registry_pb2.RequestField(name="hour", type=data_pb2.INT64)] if header.feature_service else []
    yield historical_pb2.GetHistoricalFeaturesResponse(
        read_seq=5, features=resolved, key_columns=[key], context_columns=context
    )
    for request in requests:
        numbers = [m - MICROS0 for m in request.spine.timestamps.micros]
        column = data_pb2.Column(
            doubles=data_pb2.DoubleValues(values=[n if n % 3 else 0 for n in numbers]),
            statuses=[0 if n % 3 else 2 for n in numbers],
        )
        if header.include_event_timestamps:
            column.event_timestamps.micros.extend(MICROS0 for _ in numbers)
        yield historical_pb2.GetHistoricalFeaturesResponse(
            read_seq=6, row_count=len(numbers), columns=[column] * len(refs)
        )


def spine(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": range(n),
            "airport": [f"a{i}" for i in range(n)],
            "when": pd.to_datetime([T0 + dt.timedelta(microseconds=i) for i in range(n)], utc=True),
        },
        index=[f"row{i}" for i in range(n)],
    )


def expected(n: int) -> list[float | None]:
    return [float(i) if i % 3 else None for i in range(n)]


def historical(daemon: FakeDaemon, client: Any, given: Any, **kwargs: Any) -> Any:
    daemon.declare("weather", [TEMPERATURE])
    daemon.answers[_io.GET_HISTORICAL] = join
    return client.get_historical_features(given, [REF], timestamp_column="when", **kwargs)


@pytest.mark.parametrize("batch_rows", [None, 1, 7])
def test_a_spine_comes_back_whole_and_in_order(daemon: FakeDaemon, client: Any, batch_rows: int | None) -> None:
    got = historical(daemon, client, spine(50), batch_rows=batch_rows, include_statuses=True)
    assert got.read_seq == 5
    df = got.to_df()
    assert got.read_seq == 6
    assert df.index.tolist() == [f"row{i}" for i in range(50)]
    assert df.columns.tolist() == ["label", "airport", "when", REF, f"{REF}__status"]
    assert [None if pd.isna(v) else v for v in df[REF]] == expected(50)
    assert got.to_dict()[REF] == expected(50)  # read once, shown as often as one likes
    table = got.to_arrow()
    assert table["airport"].to_pylist() == [f"a{i}" for i in range(50)]
    assert table[f"{REF}__status"].to_pylist() == ["PRESENT" if i % 3 else "NOT_FOUND" for i in range(50)]
    requests = daemon.seen(historical_pb2.GetHistoricalFeaturesRequest)
    assert all(set(r.spine.keys) == {"airport"} for r in requests[1:])  # the label stays at home


def test_batches_stream(daemon: FakeDaemon, client: Any) -> None:
    got = historical(daemon, client, pa.Table.from_pandas(spine(50), preserve_index=False), batch_rows=20)
    batches = list(got.to_batches())
    assert [b.num_rows for b in batches] == [20, 20, 10]
    assert [v for b in batches for v in b.column(REF).to_pylist()] == expected(50)
    assert [v for b in batches for v in b.column("label").to_pylist()] == list(range(50))
    with pytest.raises(fletch.FletchError, match="once"):
        got.to_df()


def test_a_spine_of_dicts_and_an_empty_one(daemon: FakeDaemon, client: Any) -> None:
    got = historical(daemon, client, spine(4).to_dict("records"), include_event_timestamps=True)
    assert got.to_dict()[f"{REF}__event_timestamp"] == [T0] * 4
    empty = historical(daemon, client, spine(0)).to_df()
    assert len(empty) == 0 and empty.columns.tolist() == ["label", "airport", "when", REF]


def test_modes(daemon: FakeDaemon, client: Any) -> None:
    for kwargs, mode in (({}, "NEWEST"), ({"known_at": 3}, "FIXED"), ({"as_served": True}, "AS_SERVED")):
        daemon.requests.clear()
        historical(daemon, client, spine(1), **kwargs).close()
        header = daemon.seen(historical_pb2.GetHistoricalFeaturesRequest)[0].header
        assert historical_pb2.KnownAtMode.Name(header.known_at_mode) == mode
        assert header.known_at.commit_seq == kwargs.get("known_at", 0)
    with pytest.raises(fletch.FletchError, match="one or the other"):
        historical(daemon, client, spine(1), known_at=3, as_served=True)


def test_the_header_says_what_the_spine_must_bring(daemon: FakeDaemon, client: Any) -> None:
    daemon.answers[_io.GET_HISTORICAL] = join
    given = spine(4).rename(columns={"airport": "from_airport"}).assign(hour=[8, None, 9, 10])
    got = client.get_historical_features(given, "model", timestamp_column="when", out_of_range="MARK").to_df()
    assert [None if pd.isna(v) else v for v in got["origin:temperature_c"]] == expected(4)
    header, batch = daemon.seen(historical_pb2.GetHistoricalFeaturesRequest)
    assert header.header.out_of_range == historical_pb2.MARK
    assert list(batch.spine.keys) == ["from_airport"] and list(batch.spine.request_context) == ["hour"]
    hours = batch.spine.request_context["hour"]
    assert list(hours.int64s.values) == [8, 0, 9, 10] and list(hours.null_rows) == [1]
    with pytest.raises(fletch.FletchError, match="lacks columns.*from_airport.*hour"):
        client.get_historical_features(spine(4), "model", timestamp_column="when")
    with pytest.raises(fletch.FletchError, match="FAIL or MARK"):
        client.get_historical_features(given, "model", timestamp_column="when", out_of_range="IGNORE")


def test_a_spine_that_cannot_be_joined(daemon: FakeDaemon, client: Any) -> None:
    with pytest.raises(fletch.FletchError, match="name of an output column"):
        historical(daemon, client, spine(2).assign(**{REF: 1}))
    with pytest.raises(fletch.FletchError, match="timestamp_column"):
        historical(daemon, client, spine(2).drop(columns="when"))


def test_a_join_that_is_refused_midway(daemon: FakeDaemon, client: Any) -> None:
    def refuses(requests: Iterator[Any]) -> Iterator[Any]:
        answers = join(requests)
        yield next(answers)
        yield next(answers)
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "row 3: no key", "NULL_KEY", "spine.keys.airport")

    got = historical(daemon, client, spine(50), batch_rows=5)
    got.close()
    daemon.answers[_io.GET_HISTORICAL] = refuses
    got = client.get_historical_features(spine(50), [REF], timestamp_column="when", batch_rows=5)
    with pytest.raises(fletch.FletchError, match="row 3") as caught:
        got.to_arrow()
    assert caught.value.reason == "NULL_KEY"
