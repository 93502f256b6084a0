# SPDX-License-Identifier: Apache-2.0
"""What Flight's users see when something is wrong: the exception's class, and words that name the fault."""

from __future__ import annotations

import collections
import datetime
import decimal
import random
import threading
from typing import Any, Callable

import grpc
import pyarrow as pa
import pyarrow.flight as fl

from flight import tables
from flight.world import Client, at, flight, history_ticket, join_command, put_command
from support.daemon import Daemon

CHECKS: dict[str, Callable[[Daemon, Client], None]] = {}


def check(function: Callable[[Daemon, Client], None]) -> Callable[[Daemon, Client], None]:
    CHECKS[function.__name__.replace("_", " ")] = function
    return function


def refused(kind: type, words: list[str], call: Callable[[], Any]) -> None:
    try:
        call()
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{missing} not in: {error}"
        return
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}: {error}") from error
    raise AssertionError(f"nothing was raised; want {kind.__name__} with {words}")


def spine(**more: Any) -> pa.Table:
    return pa.table({"id": pa.array([1], pa.int64()), "event_timestamp": pa.array([at(0)], pa.timestamp("us", "UTC")),
                     **more})


@check
def unknown_names_are_key_errors(_: Daemon, client: Client) -> None:
    rows = tables.from_arrow(1)
    refused(KeyError, ["nowhere"], lambda: client.put(rows, put_command("nowhere")))
    refused(KeyError, ["nowhere"], lambda: client.join(spine(), join_command(["nowhere:x"])))
    refused(KeyError, ["nowhere"], lambda: client.join(spine(), join_command(["types:f_bool"], project="nowhere")))
    refused(KeyError, ["nowhere"], lambda: client.get(history_ticket("nowhere")))
    ticket = flight.FlightTicket(training_set=flight.FlightTrainingSet(project="flight", name="nowhere"))
    refused(KeyError, ["nowhere"], lambda: client.get(ticket.SerializeToString()))


@check
def wrong_columns_are_named(_: Daemon, client: Client) -> None:
    join = join_command(["types:f_bool"])
    refused(pa.ArrowInvalid, ["columns.label", "label", "join keys: id"],
            lambda: client.join(spine(label=[1]), join))
    refused(pa.ArrowInvalid, ["no timestamp column event_timestamp", "id"],
            lambda: client.join(spine().select(["id"]), join))
    refused(pa.ArrowInvalid, ["event_timestamp", "string", "cast"],
            lambda: client.join(pa.table({"id": [1], "event_timestamp": ["2026-01-01"]}), join))
    refused(pa.ArrowInvalid, ["keys.id"],
            lambda: client.join(spine().select(["event_timestamp"]), join))
    refused(pa.ArrowInvalid, ["row 1", "event_timestamp"], lambda: client.join(pa.table(
        {"id": pa.array([1, 2], pa.int64()), "event_timestamp": pa.array([at(0), None])}), join))
    rows = tables.from_arrow(1)
    refused(KeyError, ["stream's rows from 0: columns.unheard_of"],
            lambda: client.put(rows.append_column("unheard_of", pa.array([1, 2, 3])), put_command("types")))
    refused(pa.ArrowInvalid, ["columns.f_int64"],
            lambda: client.put(pa.table({**{n: rows[n] for n in ("id", "event_timestamp")}, "f_int64": ["a", "b", "c"]}),
                               put_command("types")))


@check
def types_without_a_place_say_what_would_do(_: Daemon, client: Client) -> None:
    values = {"decimal": pa.array([decimal.Decimal("1.5")]), "halffloat": pa.array([1.0]).cast(pa.float16()),
              "time span": pa.array([datetime.timedelta(seconds=1)]), "nested": pa.array([{"a": 1}]),
              "list of lists": pa.array([[[1]]])}
    for word, value in values.items():
        refused(pa.ArrowInvalid, ["columns.f_double", word],
                lambda value=value: client.put(spine(f_double=value), put_command("types")))
    big = pa.array([1 << 63], pa.uint64())
    refused(pa.ArrowInvalid, ["columns.f_int64", "row 0", "9223372036854775808"],
            lambda: client.put(spine(f_int64=big), put_command("types")))
    late = pa.array([253402300800], pa.timestamp("s"))
    refused(pa.ArrowInvalid, ["columns.f_timestamp", "row 0", "9999"],
            lambda: client.put(spine(f_timestamp=late), put_command("types")))


@check
def commands_that_are_none(_: Daemon, client: Client) -> None:
    schema = pa.schema([("id", pa.int64())])
    for descriptor in (fl.FlightDescriptor.for_path("a"), fl.FlightDescriptor.for_command(b"")):
        def put(descriptor: Any = descriptor) -> None:
            writer, reader = client.flight.do_put(descriptor, schema)
            with writer:
                writer.done_writing()
                reader.read()
        refused(pa.ArrowInvalid, ["fletch.v1.FlightPut"], put)
        refused(pa.ArrowInvalid, ["fletch.v1.FlightTicket"],
                lambda descriptor=descriptor: client.flight.get_flight_info(descriptor))
    refused(pa.ArrowInvalid, ["fletch.v1.FlightTicket"], lambda: client.get(b"\xff\xff"))
    refused(pa.ArrowInvalid, ["history or training_set"], lambda: client.get(b""))
    refused(pa.ArrowInvalid, ["rows_per_commit"],
            lambda: client.put(spine(), put_command("types", rows_per_commit=100_001)))
    refused(pa.ArrowInvalid, ["history.page_token"], lambda: client.get(history_ticket("types", page_token="x")))


@check
def what_is_not_spoken_says_so(_: Daemon, client: Client) -> None:
    assert list(client.flight.list_flights()) == []
    assert client.flight.list_actions() == []
    refused(NotImplementedError, ["no actions"], lambda: list(client.flight.do_action(fl.Action("x", b""))))
    refused(NotImplementedError, ["no credentials"], lambda: client.flight.authenticate_basic_token("a", "b"))


@check
def a_refused_commit_ends_the_stream_and_names_its_rows(_: Daemon, client: Client) -> None:
    schema = pa.schema([("word", pa.string()), ("n", pa.int64()), ("event_timestamp", pa.timestamp("us", "UTC"))])
    writer, reader = client.flight.do_put(fl.FlightDescriptor.for_command(put_command("words")), schema)
    commits = 0

    def batch(word: Any) -> pa.RecordBatch:
        return pa.record_batch([pa.array([word], pa.string()), pa.array([1]), pa.array([at(0)], schema.field(2).type)],
                               schema)

    def put() -> None:
        nonlocal commits
        with writer:
            for word in ("err1", "err2", None):
                writer.write_batch(batch(word))
            writer.done_writing()
            while reader.read() is not None:
                commits += 1

    refused(pa.ArrowInvalid, ["rows from 2", "columns.word"], put)
    assert commits == 2, commits


@check
def a_request_id_makes_sending_again_harmless(_: Daemon, client: Client) -> None:
    rows = pa.table({"word": [f"again{i}" for i in range(25)], "n": pa.array(range(25), pa.int64()),
                     "event_timestamp": pa.array([at(i) for i in range(25)], pa.timestamp("us", "UTC"))})
    command = put_command("words", request_id="load-1", rows_per_commit=10)
    first = client.put(rows, command)
    assert [c.rows for c in first] == [10, 10, 5]
    assert client.put(rows, command) == first
    other = rows.set_column(1, "n", pa.array([i + 1 for i in range(25)], pa.int64()))
    refused(pa.ArrowInvalid, ["rows from 0", "another payload"], lambda: client.put(other, command))


def _mutated(rng: random.Random, message: bytes) -> bytes:
    out = bytearray(message)
    for _unused in range(rng.choice([0, 0, 1, 3])):
        if out:
            out[rng.randrange(len(out))] = rng.choice([0, 1, 7, 127, 128, 255, rng.randrange(256)])
    return bytes(out[:rng.randrange(len(out) + 1)] if rng.random() < 0.1 else out)


def _flight_data(command: bytes = b"", header: bytes = b"", body: bytes = b"") -> bytes:
    """By hand: {descriptor {type = 1, cmd = 2} = 1, data_header = 2, data_body = 1000}."""
    def part(tag: bytes, value: bytes) -> bytes:
        size, digits = len(value), bytearray()
        while size >= 128:
            digits.append(size & 127 | 128)
            size >>= 7
        return tag + bytes([*digits, size]) + value

    out = part(b"\x0a", b"\x08\x02" + part(b"\x12", command)) if command else b""
    return out + (part(b"\x12", header) if header else b"") + (part(b"\xc2\x3e", body) if body else b"")


@check
def damaged_messages_are_the_clients_fault(daemon: Daemon, client: Client) -> None:
    rng = random.Random(20260101)
    never = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED,
             grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE}
    table = tables.wide_arrow(95_000)
    codes: collections.Counter = collections.Counter()
    for _unused in range(1500):
        method = rng.choice(["DoPut", "DoExchange", "DoGet", "GetFlightInfo", "GetSchema"])
        put = method == "DoPut"
        rows = table if put else table.select(["id", "event_timestamp"])
        command = put_command("types") if put else join_command(["types:f_bool"])
        if put or method == "DoExchange":
            data = [[command, b"", b""]]
            stream = pa.BufferOutputStream()
            with pa.ipc.new_stream(stream, rows.schema) as writer:
                writer.write_table(rows)
            reader = pa.ipc.MessageReader.open_stream(stream.getvalue())
            data += [[b"", m.metadata.to_pybytes(), m.body.to_pybytes() if m.body is not None else b""]
                     for m in reader]
            data = [[_mutated(rng, part) if rng.random() < 0.15 else part for part in message] for message in data]
            messages = [_mutated(rng, _flight_data(*message)) for message in data]
        else:
            ticket = _mutated(rng, history_ticket("types"))
            prefix = b"\x0a" if method == "DoGet" else b"\x08\x02\x12"
            messages = [_mutated(rng, prefix + bytes([len(ticket)]) + ticket)]
        path = f"/arrow.flight.protocol.FlightService/{method}"
        try:
            for _answer in daemon.channel.stream_stream(path)(iter(messages), timeout=30):
                pass
            codes["OK"] += 1
        except grpc.RpcError as error:
            assert error.code() not in never and error.details(), (error, [m.hex() for m in messages])
            codes[error.code().name] += 1
    print(f"        {dict(codes)}")
    assert codes["OK"] > 100 and codes["INVALID_ARGUMENT"] > 300, codes
    assert client.join(spine(), join_command(["types:f_bool"])).num_rows == 1


@check
def deadlines(_: Daemon, client: Client) -> None:
    options = fl.FlightCallOptions(timeout=0.2)

    def wait() -> None:
        writer, reader = client.flight.do_exchange(
            fl.FlightDescriptor.for_command(join_command(["types:f_bool"])), options)
        with writer:
            writer.begin(spine().schema)  # and then nothing
            reader.read_all()

    refused(fl.FlightTimedOutError, [], wait)


@check
def cancelled_in_mid_stream(daemon: Daemon, client: Client) -> None:
    count = 200_000
    table = pa.table({"id": pa.array(range(count), pa.int64()),
                      "event_timestamp": pa.array([at(0)] * count, pa.timestamp("us", "UTC"))})
    refs = [f"numbers:x{i}" for i in range(20)]
    for _unused in range(3):
        writer, reader = client.flight.do_exchange(fl.FlightDescriptor.for_command(join_command(refs)))
        writer.begin(table.schema)

        def send(writer: Any = writer) -> None:
            try:
                for _chunk in range(20):
                    writer.write_table(table)
                writer.done_writing()
            except pa.ArrowException:
                pass  # cancelled

        thread = threading.Thread(target=send)
        thread.start()
        assert reader.read_chunk().data.num_rows > 0
        reader.cancel()
        refused(fl.FlightCancelledError, [], lambda reader=reader: [reader.read_chunk() for _chunk in range(1000)])
        thread.join(30)
        assert not thread.is_alive()
    reader = client.flight.do_get(fl.Ticket(history_ticket("numbers", page_size=1000)))
    reader.read_chunk()
    reader.cancel()
    refused(fl.FlightCancelledError, [], lambda reader=reader: [reader.read_chunk() for _chunk in range(1000)])
    assert daemon.serving()
    assert client.join(spine(), join_command(["types:f_bool"])).num_rows == 1


@check
def a_daemon_that_drains_ends_puts_and_finishes_joins(_: Daemon, client: Client) -> None:
    from flight.world import declare

    with Daemon() as other:
        declare(other.stubs)
        own = Client(other)
        rows = tables.from_arrow(1)
        put_writer, put_reader = own.flight.do_put(fl.FlightDescriptor.for_command(put_command("types")), rows.schema)
        put_writer.write_table(rows)
        assert put_reader.read() is not None
        writer, reader = own.flight.do_exchange(fl.FlightDescriptor.for_command(join_command(["types:f_bool"])))
        writer.begin(spine().schema)
        writer.write_table(rows.select(["id", "event_timestamp"]))
        assert reader.read_chunk().data.num_rows == tables.COUNT
        stopping = threading.Thread(target=other.stop)
        stopping.start()
        assert put_reader.read() is None
        refused(fl.FlightUnavailableError, ["stopping"], put_writer.close)
        writer.write_table(rows.select(["id", "event_timestamp"]))
        assert reader.read_chunk().data.num_rows == tables.COUNT
        writer.done_writing()
        try:
            reader.read_chunk()
            raise AssertionError("more came than was asked")
        except StopIteration:
            pass
        stopping.join(60)
        assert not stopping.is_alive() and not other.alive()
        writer.close()
