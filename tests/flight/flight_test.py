# SPDX-License-Identifier: Apache-2.0
"""Arrow Flight as its users meet it: pyarrow's client, tables from pandas, polars and DuckDB, compression, errors,
cancellation, and the examples of docs/flight.md. Prints a line a check.

  flight_test.py [--only NAME]   --only: checks whose name contains it
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time
import traceback
from typing import Any, Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import pyarrow as pa
import pyarrow.flight as fl

from flight import bulk_checks, error_checks, tables
from flight.world import (Client, at, declare, flight, history_ticket, join_command, put_command)
from support import wire
from support.daemon import Daemon

CHECKS: dict[str, Callable[[Daemon, Client], None]] = {}


def spine(table: pa.Table) -> pa.Table:
    return table.select(["id", "event_timestamp"])


def rows_from(table: pa.Table, first: int, count: int) -> pa.Table:
    return table.filter(pa.array(first <= i < first + count for i in table["id"].to_pylist()))


def same(name: str, got: list[Any], want: list[Any]) -> None:
    if name in ("f_bytes",):  # a dictionary of bytes comes back plain
        got = [None if v is None else bytes(v) for v in got]
    assert got == want, f"{name}: {got}, want {want}"


def round_trip(source: str, first: int) -> Callable[[Daemon, Client], None]:
    def check(_: Daemon, client: Client) -> None:
        table = tables.SOURCES[source](first)
        commits = client.put(table, put_command("types"))
        assert [c.rows for c in commits] == [tables.COUNT], commits
        refs = [f"types:{name}" for name in tables.ROWS]
        joined = client.join(spine(table), join_command(refs, statuses=True))
        assert joined.num_rows == tables.COUNT
        history = rows_from(client.get(history_ticket("types")), first, tables.COUNT)
        for name, want in tables.ROWS.items():
            assert joined.schema.field(f"types:{name}").type == tables.arrow_type(name), joined.schema
            assert history.schema.field(name).type == tables.arrow_type(name), history.schema
            same(name, joined[f"types:{name}"].to_pylist(), want)
            same(name, history[name].to_pylist(), want)
            statuses = [0 if v is not None else 1 for v in want]
            assert joined[f"types:{name}__status"].to_pylist() == statuses, name
        assert history["event_timestamp"].to_pylist() == tables.keys(first)[1]
        assert set(history["__form"].to_pylist()) == {"ROW"}
        assert set(history["__commit_seq"].to_pylist()) == {commits[0].commit_seq}

    return check


for number, source_name in enumerate(tables.SOURCES):
    CHECKS[f"round trip from {source_name}"] = round_trip(source_name, 1000 * (number + 1))


def check(function: Callable[[Daemon, Client], None]) -> Callable[[Daemon, Client], None]:
    CHECKS[function.__name__.replace("_", " ")] = function
    return function


@check
def answers_go_to_pandas_polars_and_duckdb(_: Daemon, client: Client) -> None:
    import duckdb
    import polars as pl

    table = tables.from_arrow(20_000)
    client.put(table, put_command("types"))
    joined = client.join(spine(table), join_command([f"types:{name}" for name in tables.ROWS]))
    frame = joined.to_pandas()
    assert frame["types:f_int32"][1] == (1 << 31) - 1 and frame["types:f_string"].isna().tolist() == [False, False, True]
    polars = pl.from_arrow(joined)
    assert isinstance(polars, pl.DataFrame)
    assert polars["types:f_bool"].to_list() == tables.ROWS["f_bool"]
    assert polars["types:vector"].to_list() == tables.ROWS["vector"]
    with duckdb.connect() as connection:
        connection.register("joined", joined)
        answer = connection.sql('SELECT sum("types:f_float"), count("types:f_json") FROM joined').fetchall()
    assert answer == [(1.25, 2)], answer


@check
def empty_tables_and_empty_batches(_: Daemon, client: Client) -> None:
    table = tables.from_arrow(30_000)
    assert client.put(table.slice(0, 0), put_command("types")) == []
    assert client.put(pa.Table.from_batches([], schema=table.schema), put_command("types")) == []
    refs = [f"types:{name}" for name in tables.ROWS]
    for nothing in (spine(table).slice(0, 0), pa.Table.from_batches([], schema=spine(table).schema)):
        joined = client.join(nothing, join_command(refs, statuses=True, times=True))
        assert joined.num_rows == 0 and joined.num_columns == 2 * len(refs) + 1, joined.schema
        assert joined.schema.field("types:a_string").type == pa.list_(pa.string())
        assert int(joined.schema.metadata[b"fletch.read_seq"]) > 0
    empty = client.get(history_ticket("words"))
    assert empty.num_rows == 0
    assert empty.column_names == ["word", "n", "event_timestamp", "__commit_seq", "__commit_time", "__form"]


@check
def compressed_bodies(_: Daemon, client: Client) -> None:
    for number, codec in enumerate(("lz4", "zstd")):
        options = fl.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(compression=codec))
        first = 40_000 + 100 * number
        table = pa.concat_tables([tables.from_arrow(first + 10 * i) for i in range(4)]).combine_chunks()
        assert sum(c.rows for c in client.put(table, put_command("types"), options)) == 12
        refs = [f"types:{name}" for name in tables.ROWS]
        joined = client.join(spine(table), join_command(refs), options)
        for name, want in tables.ROWS.items():
            same(name, joined[f"types:{name}"].to_pylist(), want * 4)


@check
def categories_change_in_mid_stream(_: Daemon, client: Client) -> None:
    schema = pa.schema([("word", pa.dictionary(pa.int8(), pa.string())), ("n", pa.int64()),
                        ("event_timestamp", pa.date32())])
    writer, reader = client.flight.do_put(fl.FlightDescriptor.for_command(put_command("words")), schema)
    batches = [["a", "b", "a"], ["c"], ["b", "d"]]
    with writer:
        for number, words in enumerate(batches):
            days = pa.array([number * 10 + i for i in range(len(words))], pa.date32())
            writer.write_batch(pa.record_batch([pa.array(words).dictionary_encode().cast(schema.field(0).type),
                                                pa.array(range(len(words)), pa.int64()), days], schema))
        writer.done_writing()
        rows = 0
        while (answer := reader.read()) is not None:
            rows += wire.ingest.WriteResponse.FromString(answer.to_pybytes()).rows
    assert rows == 6, rows
    history = client.get(history_ticket("words"))
    assert history["word"].to_pylist() == ["a", "a", "b", "b", "c", "d"], history
    again = client.join(pa.table({"word": pa.array(["d", "x", "a"]).dictionary_encode(), "event_timestamp": pa.array(
        [100] * 3, pa.date32())}), join_command(["words:n"], statuses=True))
    assert again["words:n"].to_pylist() == [1, None, 2] and again["words:n__status"].to_pylist() == [0, 2, 0]


@check
def event_timestamps_come_once_a_view_and_role(_: Daemon, client: Client) -> None:
    table = tables.from_arrow(50_000)
    client.put(table, put_command("types"))
    refs = ["types:f_int64", "types:f_bool", "numbers:x1", "numbers:x0"]
    joined = client.join(spine(table), join_command(refs, times=True))
    assert joined.column_names == refs + ["types:f_int64__event_timestamp", "numbers:x1__event_timestamp"]
    of = {f.name: f.metadata for f in joined.schema}
    assert of["types:f_bool"][b"event_timestamp_column"] == b"types:f_int64__event_timestamp"
    assert of["types:f_bool"][b"fletch.resolved"] == b"types@v1:f_bool"
    assert of["numbers:x0"][b"event_timestamp_column"] == b"numbers:x1__event_timestamp"
    assert joined["types:f_int64__event_timestamp"].to_pylist() == tables.keys(50_000)[1]
    assert joined["numbers:x1__event_timestamp"].to_pylist() == [None] * 3


@check
def each_window_has_its_own_event_timestamp(_: Daemon, client: Client) -> None:
    times = pa.timestamp("us", "UTC")
    rows = pa.table({"word": ["window"] * 2, "n": [1, 2], "event_timestamp": pa.array([at(0), at(600)], times)})
    client.put(rows, put_command("words"))
    spine = pa.table({"word": ["window"] * 2, "event_timestamp": pa.array([at(630), at(700)], times)})
    joined = client.join(spine, join_command(["minutes:sum_60", "words:n", "minutes:sum_3600"], times=True))
    assert joined.to_pydict() == {
        "minutes:sum_60": [2, None], "words:n": [2, 2], "minutes:sum_3600": [3, 3],
        "minutes:sum_60__event_timestamp": [at(600), None], "words:n__event_timestamp": [at(600)] * 2,
        "minutes:sum_3600__event_timestamp": [at(600)] * 2}, joined.to_pydict()


@check
def expressions_take_request_context_from_the_spine(_: Daemon, client: Client) -> None:
    table = tables.from_arrow(60_000)
    client.put(table, put_command("types"))
    hours = spine(table).append_column("hour", pa.array([23, 23, 23], pa.int8()))
    joined = client.join(hours, join_command(["asks:late", "types:f_int64"], times=True))
    assert joined["asks:late"].to_pylist() == [False, True, None], joined
    assert b"event_timestamp_column" not in joined.schema.field("asks:late").metadata


@check
def joins_of_many_batches_answer_in_order(_: Daemon, client: Client) -> None:
    count = 250_000
    ids = pa.array([(i * 7919) % count for i in range(count)], pa.int64())
    times = pa.array([at(i % 100) for i in range(100)] * (count // 100), pa.timestamp("us", "UTC"))
    rows = pa.table({"id": ids, "event_timestamp": times, "x0": ids.cast(pa.float64())})
    commits = client.put(rows, put_command("numbers", rows_per_commit=100_000))
    assert [c.rows for c in commits] == [100_000, 100_000, 50_000]
    for chunk in (None, 17_000):
        writer, reader = client.flight.do_exchange(fl.FlightDescriptor.for_command(join_command(["numbers:x0"])))
        with writer:
            writer.begin(spine(rows).schema)
            writer.write_table(spine(rows), max_chunksize=chunk)
            writer.done_writing()
            seen = 0
            for batch in reader:
                seen += batch.data.num_rows
                progress = flight.FlightProgress.FromString(batch.app_metadata.to_pybytes())
                assert progress.rows == seen and progress.read_seq >= commits[-1].commit_seq
                want = rows["x0"].slice(seen - batch.data.num_rows, batch.data.num_rows)
                assert batch.data.column(0).equals(want.combine_chunks())
        assert seen == count


@check
def a_batch_is_answered_before_the_next_is_sent(_: Daemon, client: Client) -> None:
    table = spine(tables.from_arrow(70_000))
    writer, reader = client.flight.do_exchange(fl.FlightDescriptor.for_command(join_command(["types:f_int64"])))
    with writer:
        writer.begin(table.schema)
        for _unused in range(3):
            writer.write_table(table)
            assert reader.read_chunk().data.num_rows == tables.COUNT
        writer.done_writing()
        try:
            reader.read_chunk()
            raise AssertionError("more came than was asked")
        except StopIteration:
            pass


@check
def training_sets(daemon: Daemon, client: Client) -> None:
    table = tables.from_arrow(80_000)
    client.put(table, put_command("types"))
    header = wire.historical.HistoricalHeader(project="flight", features=["types:f_int64", "asks:late"])
    batch = wire.historical.SpineBatch(row_count=3, timestamps=wire.times(*[int(t.timestamp()) * 10**6
                                                                            for t in tables.keys(80_000)[1]]))
    wire.fill(batch.keys["id"], "INT64", tables.keys(80_000)[0])
    wire.fill(batch.request_context["hour"], "INT64", [23])
    request = wire.historical.CreateTrainingSetRequest
    list(daemon.stubs.historical.CreateTrainingSet(iter([
        request(header=wire.historical.TrainingSetHeader(name="late", read=header)), request(spine=batch),
        request(spine=batch), request(finish=wire.historical.TrainingSetFinish())]), timeout=30))
    ticket = flight.FlightTicket(training_set=flight.FlightTrainingSet(
        project="flight", name="late", include_statuses=True)).SerializeToString()
    got = client.get(ticket)
    assert got.column_names == ["id", "event_timestamp", "hour", "types:f_int64", "types:f_int64__status",
                                "asks:late", "asks:late__status"], got.column_names
    assert got["id"].to_pylist() == tables.keys(80_000)[0] * 2
    assert got["hour"].to_pylist() == [23] * 6
    assert got["types:f_int64"].to_pylist() == tables.ROWS["f_int64"] * 2
    info = client.flight.get_flight_info(fl.FlightDescriptor.for_command(ticket))
    assert info.total_records == 6 and info.schema.equals(got.schema)
    assert client.flight.do_get(info.endpoints[0].ticket).read_all().equals(got)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    checks = {**CHECKS, **error_checks.CHECKS, **bulk_checks.CHECKS}
    passed = failed = 0
    with Daemon() as daemon:
        declare(daemon.stubs)
        client = Client(daemon)
        for name, function in checks.items():
            if options.only not in name:
                continue
            begin = time.monotonic()
            try:
                function(daemon, client)
                passed += 1
                print(f"ok      {time.monotonic() - begin:5.1f} s  {name}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc()[-3000:]}", flush=True)
        if not daemon.alive():
            failed += 1
            print(f"the daemon is gone; its log ends:\n{daemon.log_tail()}")
        else:
            daemon.stop()
    print(f"flight: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
