# SPDX-License-Identifier: Apache-2.0
"""The training read: spine batches out, answers in, at most a window of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from fletch import _io, specs
from fletch._columns import decode, decode_event_timestamps, decode_statuses, encode, timestamps
from fletch._frames import Frame, Rows, frame, spine_table
from fletch._io import Operation
from fletch._progress import Progress, progress
from fletch._reads import Features, selection
from fletch._registry import Session
from fletch._times import KnownAt, known_at
from fletch._types import Array, FieldType
from fletch.errors import FletchError, bad_input
from fletch.v1 import data_pb2, historical_pb2

MAX_BATCH_ROWS = 100_000  # the daemon's limit
_ANSWER_BYTES = 8 << 20  # a batch's answer: well under the limit of a message, and memory stays bounded
_WINDOW = 16  # the daemon joins what has come in one pass


@dataclass
class Join:
    """A training read under way."""

    spine: Rows
    stream: _io.Stream
    bar: Progress
    columns: SpineColumns
    times: Array
    refs: list[str]
    resolved: list[str]
    types: list[FieldType]
    read_seq: int
    batch_rows: int
    include_statuses: bool
    include_event_timestamps: bool
    sent: int = 0
    answered: int = 0
    under_way: deque[int] = field(default_factory=deque)
    ended: bool = False
    _table: Any = None

    @property
    def rows(self) -> int:
        return len(self.times)

    def spine_table(self) -> Any:
        """The spine as an Arrow table, as it was given."""
        if self._table is None:
            self._table = spine_table(self.spine)
        return self._table

    def close(self) -> None:
        """Gives the call up if it is not at its end."""
        self.ended = True
        self.stream.cancel()
        self.bar.close()

    def feature_batch(self, response: historical_pb2.GetHistoricalFeaturesResponse) -> Any:
        """An answer as a record batch: features, and statuses and event timestamps if wanted."""
        rows = response.row_count
        columns: dict[str, Array] = {}
        for ref, kind, column in zip(self.refs, self.types, response.columns, strict=True):
            columns[ref] = decode(column, rows, kind)
            if self.include_statuses:
                columns[f"{ref}__status"] = decode_statuses(column, rows)
            if self.include_event_timestamps:
                columns[f"{ref}__event_timestamp"] = decode_event_timestamps(column, rows)
        return pa.record_batch(columns)

    def empty_batch(self) -> Any:
        """As an answer without rows."""
        columns = [data_pb2.Column() for _ in self.refs]
        return self.feature_batch(historical_pb2.GetHistoricalFeaturesResponse(columns=columns))


def read_header(
    session: Session,
    features: Features,
    bindings: Sequence[specs.Binding],
    at: KnownAt | None,
    as_served: bool,
    min_seq: int,
    include_event_timestamps: bool,
    out_of_range: str,
) -> historical_pb2.HistoricalHeader:
    """What a training read asks for."""
    if as_served and at is not None:
        raise bad_input("as_served fixes a known_at for each row: give one or the other", "known_at")
    if out_of_range not in ("FAIL", "MARK"):
        raise bad_input(f"out_of_range: {out_of_range!r} is unknown; give FAIL or MARK", "out_of_range")
    service, refs = selection(features)
    return historical_pb2.HistoricalHeader(
        project=session.project,
        feature_service=service,
        features=refs,
        bindings=specs.bindings_to_proto(bindings),
        known_at_mode=(
            historical_pb2.AS_SERVED if as_served else historical_pb2.NEWEST if at is None else historical_pb2.FIXED
        ),
        known_at=None if at is None else known_at(at),
        min_seq=min_seq,
        include_event_timestamps=include_event_timestamps,
        out_of_range=historical_pb2.MARK if out_of_range == "MARK" else historical_pb2.FAIL,
    )


def _open(
    header: historical_pb2.HistoricalHeader,
) -> Operation[tuple[_io.Stream, historical_pb2.GetHistoricalFeaturesResponse]]:
    stream: _io.Stream = yield _io.Open(_io.GET_HISTORICAL)
    try:
        yield _io.Send(stream, historical_pb2.GetHistoricalFeaturesRequest(header=header))
        answer: historical_pb2.GetHistoricalFeaturesResponse | None = yield _io.Receive(stream)
        if answer is None:
            raise FletchError("UNAVAILABLE", "the daemon ended the stream without an answer")
    except BaseException:
        stream.cancel()
        raise
    return stream, answer


def described(header: historical_pb2.HistoricalHeader) -> Operation[historical_pb2.GetHistoricalFeaturesResponse]:
    """What a read with this header takes and gives, without reading anything."""
    stream, answer = yield from _open(header)
    stream.cancel()
    return answer


@dataclass(frozen=True)
class SpineColumns:
    """The columns of a spine that a read takes, ready to be encoded."""

    keys: dict[str, tuple[Array, FieldType]]
    context: dict[str, tuple[Array, FieldType]]

    def batch(self, times: Array, start: int, rows: int) -> historical_pb2.SpineBatch:
        """Rows start to start + rows."""

        def cut(columns: dict[str, tuple[Array, FieldType]]) -> dict[str, data_pb2.Column]:
            return {name: encode(array.slice(start, rows), kind) for name, (array, kind) in columns.items()}

        return historical_pb2.SpineBatch(
            row_count=rows,
            keys=cut(self.keys),
            timestamps=timestamps(times.slice(start, rows)),
            request_context=cut(self.context),
        )


def spine_columns(spine: Frame, answer: historical_pb2.GetHistoricalFeaturesResponse) -> SpineColumns:
    """Those that the header's answer names."""
    keys = {c.name: FieldType(c.type) for c in answer.key_columns}
    context = {c.name: FieldType(c.type) for c in answer.context_columns}
    missing = [name for name in [*keys, *context] if name not in spine.columns]
    if missing:
        raise bad_input(f"the spine lacks columns {missing}; its columns are {sorted(spine.columns)}", missing[0])
    return SpineColumns(
        {name: spine.array(name, kind) for name, kind in keys.items()},
        {name: spine.array(name, kind) for name, kind in context.items()},
    )


def open_join(
    session: Session,
    entity_df: Rows,
    features: Features,
    bindings: Sequence[specs.Binding],
    timestamp_column: str,
    at: KnownAt | None,
    as_served: bool,
    min_seq: int,
    include_statuses: bool,
    include_event_timestamps: bool,
    out_of_range: str,
    batch_rows: int | None,
) -> Operation[Join]:
    """Opens the read and returns it with the header answered, before any spine row is sent."""
    if as_served and at is not None:
        raise bad_input("as_served fixes a known_at for each row: give one or the other", "known_at")
    spine = frame(entity_df)
    times = spine.times(timestamp_column)
    header = read_header(
        session, features, bindings, at, as_served, min_seq, include_event_timestamps, out_of_range
    )
    stream, answer = yield from _open(header)
    try:
        names = [f.ref for f in answer.features]
        clash = next((name for name in names if name in spine.columns), None)
        if clash is not None:
            raise bad_input(f'spine column "{clash}" has the name of an output column', clash)
        columns = spine_columns(spine, answer)
    except BaseException:
        stream.cancel()
        raise
    types = [FieldType.of(f) for f in answer.features]
    return Join(
        spine=entity_df,
        stream=stream,
        bar=progress(len(times), "join"),
        columns=columns,
        times=times,
        refs=names,
        resolved=[f.resolved for f in answer.features],
        types=types,
        read_seq=answer.read_seq,
        batch_rows=batch_rows or _rows_per_batch(types),
        include_statuses=include_statuses,
        include_event_timestamps=include_event_timestamps,
    )


def _rows_per_batch(types: Sequence[FieldType]) -> int:
    row = sum(20 + 4 * kind.dimension for kind in types)  # value, status, timestamp
    return max(1, min(MAX_BATCH_ROWS // 2, _ANSWER_BYTES // max(1, row)))


def next_answer(join: Join) -> Operation[Any]:
    """The next batch of features (a record batch), in the spine's order; None at the end."""
    if join.ended:
        return None
    try:
        while join.sent < join.rows and len(join.under_way) < _WINDOW:
            yield _io.Send(join.stream, _spine_batch(join))
            if join.sent == join.rows:
                yield _io.Send(join.stream, None)
        if not join.under_way:
            if join.rows == 0:
                yield _io.Send(join.stream, None)
            yield _io.Receive(join.stream)  # the stream's own status
            join.close()
            return None
        response: historical_pb2.GetHistoricalFeaturesResponse | None = yield _io.Receive(join.stream)
        rows = join.under_way.popleft()
        if response is None or response.row_count != rows:
            got = "no more" if response is None else str(response.row_count)
            raise FletchError("INTERNAL", f"the daemon answered {got} rows for a spine batch of {rows}")
    except BaseException:
        join.close()
        raise
    join.answered += rows
    join.bar.update(rows)
    join.read_seq = max(join.read_seq, response.read_seq)
    return join.feature_batch(response)


def _spine_batch(join: Join) -> historical_pb2.GetHistoricalFeaturesRequest:
    rows = min(join.batch_rows, join.rows - join.sent)
    batch = join.columns.batch(join.times, join.sent, rows)
    join.sent += rows
    join.under_way.append(rows)
    return historical_pb2.GetHistoricalFeaturesRequest(spine=batch)
