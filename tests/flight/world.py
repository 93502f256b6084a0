# SPDX-License-Identifier: Apache-2.0
"""A daemon with views of every type, and pyarrow's Flight client for it."""

from __future__ import annotations

import datetime
import importlib
from typing import Any, Optional, Sequence

import pyarrow as pa
import pyarrow.flight as fl

from support import wire
from support.daemon import Daemon

flight = importlib.import_module("fletch.v1.flight_pb2")

PROJECT = "flight"
TYPES = ("BOOL", "INT32", "INT64", "FLOAT", "DOUBLE", "STRING", "BYTES", "TIMESTAMP", "JSON")
UTC = datetime.timezone.utc
START = datetime.datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime.datetime:
    return START + datetime.timedelta(seconds=seconds)


def _view(name: str, entity: str, fields: Sequence[Any]) -> Any:
    return wire.registry.Object(feature_view=wire.registry.FeatureView(name=name, entity=entity, fields=fields))


def declare(stubs: Any) -> None:
    value_type = wire.data.ValueType.Value
    field = wire.registry.Field
    entities = [wire.registry.Object(entity=wire.registry.Entity(
        name=name, join_keys=[wire.registry.KeyField(name=name, type=value_type(kind))]))
        for name, kind in (("id", "INT64"), ("word", "STRING"))]
    every = [field(name=f"f_{t.lower()}", type=value_type(t)) for t in TYPES]
    every += [field(name=f"a_{t.lower()}", type=value_type(t), array=True) for t in TYPES if t != "JSON"]
    every.append(field(name="vector", type=value_type("FLOAT_VECTOR"), dimension=3))
    numbers = [field(name=f"x{i}", type=value_type("DOUBLE")) for i in range(20)]
    asks = wire.registry.Object(on_demand_feature_view=wire.registry.OnDemandFeatureView(
        name="asks", inputs=["types"], request=[wire.registry.RequestField(name="hour", type=value_type("INT64"))],
        fields=[wire.registry.OnDemandField(name="late", type=value_type("BOOL"), sql="f_int64 > 0 AND hour > 20")]))
    minute = wire.registry.AggregationView(name="minutes", source="words")
    for seconds in (60, 3600):
        window = minute.aggregations.add(name=f"sum_{seconds}", column="n", function=wire.registry.SUM)
        window.window.seconds = seconds
    windows = wire.registry.Object(aggregation_view=minute)
    stubs.registry.Apply(wire.registry.ApplyRequest(project=PROJECT, objects=[
        *entities, _view("types", "id", every), _view("numbers", "id", numbers),
        _view("words", "word", [field(name="n", type=value_type("INT64"))]), asks, windows]), timeout=30)


def put_command(view: str, **options: Any) -> bytes:
    return flight.FlightPut(project=PROJECT, feature_view=view, **options).SerializeToString()


def join_command(features: Sequence[str], statuses: bool = False, times: bool = False, timestamp_column: str = "",
                 project: str = PROJECT) -> bytes:
    header = wire.historical.HistoricalHeader(project=project, features=features, include_event_timestamps=times)
    return flight.FlightJoin(header=header, include_statuses=statuses,
                             timestamp_column=timestamp_column).SerializeToString()


def history_ticket(view: str, **options: Any) -> bytes:
    return flight.FlightTicket(history=wire.historical.GetFeatureHistoryRequest(
        project=PROJECT, feature_view=view, **options)).SerializeToString()


class Client:
    """pyarrow's, with the calls as a user writes them."""

    def __init__(self, daemon: Daemon) -> None:
        self.flight = fl.connect(f"grpc://{daemon.address}")

    def put(self, table: pa.Table, command: bytes, options: Optional[fl.FlightCallOptions] = None,
            rows: Optional[int] = None) -> list[Any]:
        """The commits."""
        writer, reader = self.flight.do_put(fl.FlightDescriptor.for_command(command), table.schema, options)
        commits = []
        with writer:
            writer.write_table(table, max_chunksize=rows)
            writer.done_writing()
            while (answer := reader.read()) is not None:
                commits.append(wire.ingest.WriteResponse.FromString(answer.to_pybytes()))
        return commits

    def join(self, spine: pa.Table, command: bytes, options: Optional[fl.FlightCallOptions] = None,
             rows: Optional[int] = None) -> pa.Table:
        writer, reader = self.flight.do_exchange(fl.FlightDescriptor.for_command(command), options)
        with writer:
            writer.begin(spine.schema)
            writer.write_table(spine, max_chunksize=rows)
            writer.done_writing()
            return reader.read_all()

    def get(self, ticket: bytes) -> pa.Table:
        return self.flight.do_get(fl.Ticket(ticket)).read_all()
