# SPDX-License-Identifier: Apache-2.0
"""The daemon's side of P10 and P14: loaded through the Python client, joined over Arrow Flight into an Arrow table."""

from __future__ import annotations

import threading
import time
from typing import Any

import fletch
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
from fletch.v1 import flight_pb2, historical_pb2

from join_world import World, as_timestamps

BATCH_ROWS = 65_536


def joined(client: Any, header: Any, spine: pa.Table, statuses: bool = True) -> pa.Table:
    """A training join over DoExchange; the spine is sent while the answer is read."""
    command = flight_pb2.FlightJoin(header=header, timestamp_column="event_time", include_statuses=statuses)
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(command.SerializeToString()))

    def send() -> None:
        writer.begin(spine.schema)
        writer.write_table(spine, max_chunksize=BATCH_ROWS)
        writer.done_writing()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        table: pa.Table = reader.read_all()
    finally:
        sender.join()
        writer.close()
    return table


class Ours:
    """What is declared, loaded and asked."""

    def __init__(self, address: str, world: World, project: str) -> None:
        self._world = world
        self._project = project
        self._client = fletch.Client(address, project=project, timeout=None)
        self._flight = flight.connect(f"grpc://{address}")
        key = fletch.KeyField("entity", "INT64")
        views = [
            fletch.FeatureView(v.name, "thing", [fletch.Field(n, "DOUBLE") for n in v.fields], f"{v.ttl_days()}d")
            for v in world.views
        ]
        self._client.apply([fletch.Project(project), fletch.Entity("thing", [key]), *views])

    def load(self, fresh: float) -> None:
        """Writes all facts, corrections last; the last `fresh` share of them stays unfolded."""
        begin = time.perf_counter()
        parts: list[tuple[str, pa.Table]] = []
        for view in self._world.views:
            rows = as_timestamps(view.facts.drop_columns("commit"))
            first = rows.num_rows - view.corrections
            folded = min(first, int(rows.num_rows * (1 - fresh)))
            self._client.write(view.name, rows.slice(0, folded), timestamp_column="event_time", durability="BUFFERED")
            parts += [(view.name, rows.slice(folded, first - folded)), (view.name, rows.slice(first))]
        self._world.load_seconds = time.perf_counter() - begin
        self._client.compact(timeout=3600)
        for name, rows in parts:
            if rows.num_rows:
                self._client.write(name, rows, timestamp_column="event_time", durability="BUFFERED")

    def join(self, spine: pa.Table | None = None, as_served: bool = False) -> pa.Table:
        mode = historical_pb2.AS_SERVED if as_served else historical_pb2.NEWEST
        header = historical_pb2.HistoricalHeader(
            project=self._project, features=self._world.refs, known_at_mode=mode, include_event_timestamps=True
        )
        rows = self._world.spine if spine is None else spine
        return joined(self._flight, header, as_timestamps(rows.drop_columns("row")))

    def close(self) -> None:
        self._flight.close()
        self._client.close()


def differing_cells(world: World, ours: pa.Table, right: pa.Table) -> int:
    """Cells of which value, status or event timestamp differ from those of DuckDB's right answer."""
    if ours.num_rows != world.spine.num_rows or right.num_rows != ours.num_rows:
        raise SystemExit(f"{ours.num_rows} rows and {right.num_rows} of {world.spine.num_rows}")
    present, null, not_found, too_old = range(4)  # CellStatus
    absent = -1
    differ = 0
    for view in world.views:
        times = right[f"{view.name}_time"].fill_null(absent).to_numpy()
        fresh = right[f"{view.name}_fresh"].fill_null(False).to_numpy()
        for name in view.fields:
            ref = f"{view.name}:{name}"
            cells = right[name].fill_null(np.nan).to_numpy()
            expected = np.where(np.isnan(cells), null, present)
            expected = np.where(fresh, expected, np.where(times == absent, not_found, too_old))
            metadata = ours.schema.field(ref).metadata
            stamp = ours[metadata[b"event_timestamp_column"].decode()].cast(pa.int64()).fill_null(absent).to_numpy()
            status, got = ours[f"{ref}__status"].to_numpy(), ours[ref].fill_null(np.nan).to_numpy()
            value = (got == cells) | (np.isnan(got) & np.isnan(cells))
            differ += int(np.count_nonzero(~(value & (status == expected) & (stamp == times))))
    return differ
