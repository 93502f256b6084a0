# SPDX-License-Identifier: Apache-2.0
"""The training read: spine batches out, answers in, at most a window of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from fletch import _io, _registry, specs
from fletch._columns import decode, decode_event_timestamps, decode_statuses, encode, timestamps
from fletch._frames import Rows, frame, spine_table
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
_WINDOW = 4


@dataclass
class Join:
    """A training read under way."""

    spine: Rows
    stream: _io.Stream
    bar: Progress
    keys: dict[str, tuple[Array, FieldType]]
    times: Array
    refs: list[str]
    resolved: list[str]
    types: list[FieldType | None]
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
    batch_rows: int | None,
) -> Operation[Join]:
    """Opens the read and returns it with the header answered, before any spine row is sent."""
    if as_served and at is not None:
        raise bad_input("as_served fixes a known_at for each row: give one or the other", "known_at")
    service, refs = selection(features)
    spine = frame(entity_df)
    times = spine.times(timestamp_column)
    wanted = yield from _join_keys(session, service, refs, bindings)
    keys = {name: spine.array(name, kind) for name, kind in wanted.items() if name in spine.columns}
    missing = [name for name in wanted if name not in keys]
    if missing:
        raise bad_input(
            f"the spine lacks key columns {missing}; its columns are {sorted(spine.columns)}",
            missing[0],
        )
    mode = historical_pb2.AS_SERVED if as_served else historical_pb2.NEWEST if at is None else historical_pb2.FIXED
    header = historical_pb2.HistoricalHeader(
        project=session.project,
        feature_service=service,
        features=refs,
        bindings=specs.bindings_to_proto(bindings),
        known_at_mode=mode,
        known_at=None if at is None else known_at(at),
        min_seq=min_seq,
        include_event_timestamps=include_event_timestamps,
    )
    stream: _io.Stream = yield _io.Open(_io.GET_HISTORICAL)
    try:
        yield _io.Send(stream, historical_pb2.GetHistoricalFeaturesRequest(header=header))
        answer: historical_pb2.GetHistoricalFeaturesResponse | None = yield _io.Receive(stream)
        if answer is None:
            raise FletchError("UNAVAILABLE", "the daemon ended the stream without an answer")
        resolved = [f.resolved for f in answer.features]
        types = yield from _registry.feature_types(session, resolved)
        names = [f.ref for f in answer.features]
        clash = next((name for name in names if name in spine.columns), None)
        if clash is not None:
            raise bad_input(f'spine column "{clash}" has the name of an output column', clash)
    except BaseException:
        stream.cancel()
        raise
    return Join(
        spine=entity_df,
        stream=stream,
        bar=progress(len(times), "join"),
        keys=keys,
        times=times,
        refs=names,
        resolved=resolved,
        types=types,
        read_seq=answer.read_seq,
        batch_rows=batch_rows or _rows_per_batch(types),
        include_statuses=include_statuses,
        include_event_timestamps=include_event_timestamps,
    )


def _rows_per_batch(types: Sequence[FieldType | None]) -> int:
    row = sum(20 + 4 * (kind.dimension if kind is not None else 0) for kind in types)  # value, status, timestamp
    return max(1, min(MAX_BATCH_ROWS // 2, _ANSWER_BYTES // max(1, row)))


def _join_keys(
    session: Session, service: str, refs: Sequence[str], bindings: Sequence[specs.Binding]
) -> Operation[dict[str, FieldType]]:
    """The key columns that the features need, by name. Asked anew each time: a service may have changed."""
    if service:
        found = yield from _registry.get_object(session, "FeatureService", service)
        assert isinstance(found, specs.FeatureService)
        refs, bindings = found.features, found.bindings
    roles = {binding.alias: binding for binding in bindings}
    keys: dict[str, FieldType] = {}
    for name in dict.fromkeys(ref.partition(":")[0] for ref in refs):
        role = roles.get(name)
        view = name if role is None else role.feature_view
        schema = yield from _registry.fetch_schema(session, view)
        for key, kind in schema.join_keys.items():
            keys[key if role is None else role.join_key_map.get(key, key)] = kind
    return keys


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
    start, rows = join.sent, min(join.batch_rows, join.rows - join.sent)
    batch = historical_pb2.SpineBatch(
        row_count=rows,
        keys={name: encode(array.slice(start, rows), kind) for name, (array, kind) in join.keys.items()},
        timestamps=timestamps(join.times.slice(start, rows)),
    )
    join.sent += rows
    join.under_way.append(rows)
    return historical_pb2.GetHistoricalFeaturesRequest(spine=batch)
