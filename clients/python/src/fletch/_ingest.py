# SPDX-License-Identifier: Apache-2.0
"""Operations that write: frames cut into batches, streamed with at most a window of them unacknowledged."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from fletch import _io
from fletch._columns import encode, timestamps
from fletch._frames import Frame, Rows, frame, frames
from fletch._io import Operation
from fletch._progress import progress
from fletch._registry import Session, ViewSchema, with_schema
from fletch._times import from_micros
from fletch._types import Array, FieldType
from fletch.errors import FletchError, bad_input
from fletch.results import EraseReceipt
from fletch.v1 import admin_pb2, data_pb2, ingest_pb2

MAX_BATCH_ROWS = 100_000  # the daemon's limit
_BATCH_BYTES = 8 << 20  # a commit of the size that the daemon groups
_WINDOW = 4  # batches under way: enough to keep the daemon busy, few enough to bound memory on both sides


@dataclass(frozen=True)
class WriteResult:
    """What was committed: the newest commit's number and time, how many facts, in how many commits."""

    commit_seq: int
    commit_time: dt.datetime
    rows: int
    commits: int = 1


@dataclass(frozen=True)
class _Table:
    """Columns ready to be encoded."""

    columns: dict[str, tuple[Array, FieldType]]
    times: Array

    def row_bytes(self) -> int:
        size = int(self.times.nbytes) + sum(int(array.nbytes) for array, _ in self.columns.values())
        return max(1, size // max(1, len(self.times)))

    def encode(self, start: int, rows: int) -> tuple[dict[str, data_pb2.Column], data_pb2.TimestampColumn]:
        columns = {name: encode(array.slice(start, rows), kind) for name, (array, kind) in self.columns.items()}
        return columns, timestamps(self.times.slice(start, rows))


def _table(part: Frame, schema: ViewSchema, timestamp_column: str) -> _Table:
    columns = {name: part.array(name, schema.type_of(name)) for name in part.without(timestamp_column)}
    return _Table(columns, part.times(timestamp_column))


def _row_batches(view: str, table: _Table, merge: bool, batch_rows: int | None) -> Iterator[ingest_pb2.RowBatch]:
    total = len(table.times)
    step = batch_rows or max(1, min(MAX_BATCH_ROWS, _BATCH_BYTES // table.row_bytes()))
    for start in range(0, total, step):
        rows = min(step, total - start)
        columns, times = table.encode(start, rows)
        yield ingest_pb2.RowBatch(
            feature_view=view, row_count=rows, columns=columns, event_timestamps=times, merge=merge
        )


def durability(name: str) -> ingest_pb2.Durability:
    if name not in ("SYNC", "BUFFERED"):
        raise bad_input(f"durability: {name!r} is unknown; give SYNC or BUFFERED", "durability")
    return ingest_pb2.SYNC if name == "SYNC" else ingest_pb2.BUFFERED


def write(
    session: Session,
    view: str,
    data: Rows,
    timestamp_column: str,
    durability_name: str,
    request_id: str,
    nan_as_value: bool,
    merge: bool,
    batch_rows: int | None,
) -> Operation[WriteResult]:
    if batch_rows is not None and not 1 <= batch_rows <= MAX_BATCH_ROWS:
        raise bad_input(f"batch_rows: {batch_rows} is not in 1 to {MAX_BATCH_ROWS}", "batch_rows")
    parts = frames(data, nan_as_value=nan_as_value)
    total = sum(part.row_count for part in parts)
    if total == 0:
        raise bad_input("there are no rows to write")
    head = ingest_pb2.WriteRequest(project=session.project, durability=durability(durability_name))

    def body(schema: ViewSchema) -> Operation[WriteResult]:
        # Converted whole before anything is sent: a bad cell in the last row keeps the first from being written.
        tables = [_table(part, schema, timestamp_column) for part in parts]
        batches = (batch for table in tables for batch in _row_batches(view, table, merge, batch_rows))
        small = sum(len(t.times) * t.row_bytes() for t in tables) <= _BATCH_BYTES and len(tables) <= 64
        if total <= (batch_rows or MAX_BATCH_ROWS) and small:
            return (yield from _write_once(head, batches, request_id))
        return (yield from _write_stream(head, batches, request_id, total))

    return with_schema(session, view, body)


def _write_once(
    head: ingest_pb2.WriteRequest, batches: Iterator[ingest_pb2.RowBatch], request_id: str
) -> Operation[WriteResult]:
    request = ingest_pb2.WriteRequest(request_id=request_id, batches=batches)
    request.MergeFrom(head)
    response = yield from _io.call(_io.WRITE, request)
    return WriteResult(response.commit_seq, from_micros(response.commit_time_micros), response.rows)


def _write_stream(
    head: ingest_pb2.WriteRequest,
    batches: Iterator[ingest_pb2.RowBatch],
    request_id: str,
    total: int,
) -> Operation[WriteResult]:
    stream: _io.Stream = yield _io.Open(_io.WRITE_STREAM)
    bar = progress(total, "write")
    sent: deque[int] = deque()  # rows of the batches under way
    acks = _Acknowledgements()
    try:
        for index, batch in enumerate(batches):
            if len(sent) == _WINDOW:
                acks.add((yield _io.Receive(stream)), sent.popleft())
                bar.update(acks.last_rows)
            request = ingest_pb2.WriteRequest(batches=[batch])
            request.MergeFrom(head)
            if request_id:
                request.request_id = f"{request_id}#{index}"
            yield _io.Send(stream, request)
            sent.append(batch.row_count)
        yield _io.Send(stream, None)
        while sent:
            acks.add((yield _io.Receive(stream)), sent.popleft())
            bar.update(acks.last_rows)
        yield _io.Receive(stream)  # the stream's own status
    except FletchError as error:
        error.committed_rows = error.committed_rows or acks.rows
        raise
    finally:
        stream.cancel()
        bar.close()
    return acks.result()


class _Acknowledgements:
    """Sums up a stream's answers."""

    def __init__(self) -> None:
        self.rows = 0
        self.last_rows = 0
        self._commits = 0
        self._seq = 0
        self._micros = 0

    def add(self, ack: ingest_pb2.WriteStreamResponse | None, rows: int) -> None:
        if ack is None:
            raise FletchError("UNAVAILABLE", "the daemon ended the stream before it had acknowledged every batch")
        if ack.code:
            first = self.rows
            raise FletchError(
                _code_name(ack.code),
                f"rows {first} to {first + rows - 1}: {ack.message} ({first} rows before them are committed)",
                reason=ack.reason,
                field=ack.field,
                committed_rows=first,
            )
        self.last_rows = rows
        self.rows += rows
        self._commits += 1
        self._seq = ack.result.commit_seq
        self._micros = ack.result.commit_time_micros

    def result(self) -> WriteResult:
        return WriteResult(self._seq, from_micros(self._micros), self.rows, self._commits)


def _code_name(code: int) -> str:
    return next((c.name for c in grpc.StatusCode if c.value[0] == code), "UNKNOWN")


def _keyed(
    session: Session,
    view: str,
    data: Rows,
    timestamp_column: str,
    durability_name: str,
    request_id: str,
    send: Callable[[dict[str, Any]], Operation[Any]],
) -> Operation[WriteResult]:
    """One request for every MAX_BATCH_ROWS keys; each is a commit of its own. `send` takes the message's fields."""
    level = durability(durability_name)

    def body(schema: ViewSchema) -> Operation[WriteResult]:
        table = _table(frame(data), schema, timestamp_column)
        total = len(table.times)
        if total == 0:
            raise bad_input("there are no rows")
        done = commits = 0
        while True:
            rows = min(MAX_BATCH_ROWS, total - done)
            keys, times = table.encode(done, rows)
            try:
                response = yield from send({
                    "project": session.project,
                    "feature_view": view,
                    "row_count": rows,
                    "keys": keys,
                    "event_timestamps": times,
                    "durability": level,
                    "request_id": f"{request_id}#{commits}" if request_id and total > MAX_BATCH_ROWS else request_id,
                })
            except FletchError as error:
                error.committed_rows = done
                raise
            done += rows
            commits += 1
            if done == total:
                return WriteResult(response.commit_seq, from_micros(response.commit_time_micros), done, commits)

    return with_schema(session, view, body)


def delete(
    session: Session, view: str, data: Rows, timestamp_column: str, durability_name: str, request_id: str
) -> Operation[WriteResult]:
    return _keyed(
        session, view, data, timestamp_column, durability_name, request_id,
        lambda fields: _io.call(_io.DELETE, ingest_pb2.DeleteRequest(**fields)),
    )  # fmt: skip


def retract(
    session: Session,
    view: str,
    data: Rows,
    timestamp_column: str,
    tombstones: bool,
    durability_name: str,
    request_id: str,
) -> Operation[WriteResult]:
    return _keyed(
        session, view, data, timestamp_column, durability_name, request_id,
        lambda fields: _io.call(_io.RETRACT, ingest_pb2.RetractRequest(tombstones=tombstones, **fields)),
    )  # fmt: skip


def erase(session: Session, entity: str, key: Mapping[str, object]) -> Operation[EraseReceipt]:
    part = frame([key])
    arrays = {name: part.array(name, None) for name in part.columns}
    request = ingest_pb2.EraseRequest(
        project=session.project,
        entity=entity,
        row_count=1,
        keys={name: encode(array, kind) for name, (array, kind) in arrays.items()},
    )
    receipt = (yield from _io.call(_io.ERASE, request)).receipts[0]
    return _receipt(receipt)


def list_erasures(session: Session) -> Operation[list[EraseReceipt]]:
    found: list[EraseReceipt] = []
    request = admin_pb2.ListErasuresRequest(project=session.project)
    while True:
        page = yield from _io.call(_io.LIST_ERASURES, request)
        found += [_receipt(r) for r in page.receipts]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def _receipt(message: ingest_pb2.EraseReceipt) -> EraseReceipt:
    return EraseReceipt(
        id=message.id,
        entity=message.entity,
        key_hash=message.key_hash.hex(),
        erased_at=from_micros(message.erased_at_micros),
        commit_seq=message.commit_seq,
        facts=message.facts,
        feature_views=list(message.feature_views),
        training_sets=list(message.training_sets),
        backups=list(message.backups),
    )
