# SPDX-License-Identifier: Apache-2.0
"""Large messages, and how fast bulk goes in and out."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.flight as fl

from flight.world import PROJECT, START, Client, history_ticket, join_command, put_command
from support import wire
from support.daemon import Daemon

CHECKS: dict[str, Callable[[Daemon, Client], None]] = {}
ROWS = 200_000
COMMIT = 10_000
FIELDS = [f"x{i}" for i in range(20)]


def check(function: Callable[[Daemon, Client], None]) -> Callable[[Daemon, Client], None]:
    CHECKS[function.__name__.replace("_", " ")] = function
    return function


def rows_of(first: int, count: int) -> pa.Table:
    random = np.random.default_rng(first)
    start = int(START.timestamp()) * 10**6
    columns = {"id": pa.array(np.arange(first, first + count)),
               "event_timestamp": pa.array(np.full(count, start)).cast(pa.timestamp("us", "UTC"))}
    return pa.table(columns | {name: pa.array(random.random(count)) for name in FIELDS})


def _requests(table: pa.Table, durability: int) -> Iterator[Any]:
    for begin in range(0, table.num_rows, COMMIT):
        part = table.slice(begin, COMMIT)
        batch = wire.ingest.RowBatch(feature_view="numbers", row_count=part.num_rows)
        batch.event_timestamps.micros.extend(part["event_timestamp"].cast(pa.int64()).to_numpy())
        batch.columns["id"].int64s.values.extend(part["id"].to_numpy())
        for name in FIELDS:
            batch.columns[name].doubles.values.extend(part[name].to_numpy())
        yield wire.ingest.WriteRequest(project=PROJECT, batches=[batch], durability=durability)


@check
def rates_of_do_put_and_write_stream(daemon: Daemon, client: Client) -> None:
    for durability in ("SYNC", "BUFFERED"):
        number = wire.ingest.Durability.Value(durability)
        first = 10_000_000 * (1 + number)
        table = rows_of(first, ROWS)
        requests = list(_requests(rows_of(first + ROWS, ROWS), number))  # made before the clock runs
        begin = time.monotonic()
        commits = client.put(table, put_command("numbers", durability=number, rows_per_commit=COMMIT))
        put_seconds = time.monotonic() - begin
        assert sum(c.rows for c in commits) == ROWS and len(commits) == ROWS // COMMIT
        begin = time.monotonic()
        answers = list(daemon.stubs.ingest.WriteStream(iter(requests), timeout=120))
        stream_seconds = time.monotonic() - begin
        assert all(a.code == 0 for a in answers)
        print(f"        {ROWS} rows of 20 doubles, {COMMIT} a commit, {durability}: DoPut "
              f"{ROWS / put_seconds:,.0f} rows/s, WriteStream {ROWS / stream_seconds:,.0f} rows/s (requests ready made)")


@check
def large_messages_in_and_out(_: Daemon, client: Client) -> None:
    count = 300_000  # 48 MB of doubles, in one message each way as far as the daemon lets it
    table = rows_of(50_000_000, count)
    begin = time.monotonic()
    commits = client.put(table, put_command("numbers", rows_per_commit=100_000))
    put_seconds = time.monotonic() - begin
    assert [c.rows for c in commits] == [100_000] * 3
    begin = time.monotonic()
    joined = client.join(table.select(["id", "event_timestamp"]), join_command([f"numbers:{n}" for n in FIELDS]))
    join_seconds = time.monotonic() - begin
    for name in FIELDS:
        assert joined[f"numbers:{name}"].equals(table[name]) or (
            joined[f"numbers:{name}"].to_numpy() == table[name].to_numpy()).all(), name
    begin = time.monotonic()
    history = client.get(history_ticket("numbers"))
    get_seconds = time.monotonic() - begin
    history = history.filter(pa.array(history["id"].to_numpy() >= 50_000_000))
    assert history.num_rows == count and (history["x7"].to_numpy() == table["x7"].to_numpy()).all()
    print(f"        {count} rows of 20 doubles: put {put_seconds:.2f} s, joined {join_seconds:.2f} s, with all other "
          f"history got {get_seconds:.2f} s")


@check
def a_message_beyond_the_limit_says_so(_: Daemon, client: Client) -> None:
    table = rows_of(60_000_000, 500_000)  # 84 MB in one message
    try:
        client.put(table, put_command("numbers"))
        raise AssertionError("a message beyond max_message was taken")
    except pa.ArrowException as error:
        assert "larger than max" in str(error), error
    assert client.put(table.slice(0, 10), put_command("numbers"))[0].rows == 10


@check
def answers_beyond_one_message_come_in_parts(_: Daemon, client: Client) -> None:
    text = "x" * (15 << 20)
    start = pa.array([START], pa.timestamp("us", "UTC"))
    row = pa.table({"id": pa.array([90], pa.int64()), "event_timestamp": start, "f_string": [text]})
    client.put(row, put_command("types"))
    spine = pa.table({"id": pa.array([90] * 9, pa.int64()), "event_timestamp": pa.concat_arrays([start] * 9)})
    joined = client.join(spine, join_command(["types:f_string"]))  # 135 MB
    assert [len(v.as_py()) for v in joined["types:f_string"]] == [15 << 20] * 9
    assert joined["types:f_string"].num_chunks >= 3
