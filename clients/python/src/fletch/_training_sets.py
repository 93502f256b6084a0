# SPDX-License-Identifier: Apache-2.0
"""Training sets: spines kept with what they are to be joined with."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fletch import _io, specs
from fletch._columns import decode, decode_event_timestamps, decode_statuses, decode_timestamps
from fletch._frames import Rows, frame
from fletch._historical import MAX_BATCH_ROWS, described, read_header, spine_columns
from fletch._io import Operation
from fletch._progress import progress
from fletch._reads import Features
from fletch._registry import Session
from fletch._times import KnownAt, from_micros
from fletch._types import FieldType
from fletch.errors import FletchError, bad_input
from fletch.results import Feature, TrainingSetInfo, Verification
from fletch.v1 import data_pb2, historical_pb2

_WINDOW = 4  # batches under way


def info(message: historical_pb2.TrainingSet) -> TrainingSetInfo:
    return TrainingSetInfo(
        name=message.name,
        description=message.description,
        created=from_micros(message.created_micros),
        row_count=message.row_count,
        batch_count=message.batch_count,
        read_seq=message.read_seq,
        known_at_mode=historical_pb2.KnownAtMode.Name(message.known_at_mode),
        features=[Feature(f.ref, f.resolved) for f in message.features],
        feature_service=message.feature_service,
        min_timestamp=from_micros(message.min_timestamp_micros),
        max_timestamp=from_micros(message.max_timestamp_micros),
        digest=message.digest.hex(),
        engine_version=message.engine_version,
        unreadable=message.unreadable,
    )


def create(
    session: Session,
    name: str,
    entity_df: Rows,
    features: Features,
    bindings: Sequence[specs.Binding],
    timestamp_column: str,
    at: KnownAt | None,
    as_served: bool,
    out_of_range: str,
    description: str,
    batch_rows: int | None,
) -> Operation[TrainingSetInfo]:
    spine = frame(entity_df)
    times = spine.times(timestamp_column)
    if len(times) == 0:
        raise bad_input("the spine has no rows")
    header = read_header(session, features, bindings, at, as_served, 0, True, out_of_range)
    columns = spine_columns(spine, (yield from described(header)))
    step = batch_rows or MAX_BATCH_ROWS // 2
    stream: _io.Stream = yield _io.Open(_io.CREATE_TRAINING_SET)
    bar = progress(len(times), "training set")
    under_way: deque[int] = deque()

    def receive() -> Operation[historical_pb2.CreateTrainingSetResponse]:
        answer = yield _io.Receive(stream)
        if answer is None:
            raise FletchError("UNAVAILABLE", "the daemon ended the stream without an answer")
        return answer  # type: ignore[no-any-return]

    try:
        first = historical_pb2.TrainingSetHeader(name=name, read=header, description=description)
        yield _io.Send(stream, historical_pb2.CreateTrainingSetRequest(header=first))
        yield from receive()
        for start in range(0, len(times), step):
            if len(under_way) == _WINDOW:
                yield from receive()
                bar.update(under_way.popleft())
            batch = columns.batch(times, start, min(step, len(times) - start))
            yield _io.Send(stream, historical_pb2.CreateTrainingSetRequest(spine=batch))
            under_way.append(batch.row_count)
        finish = historical_pb2.TrainingSetFinish()
        yield _io.Send(stream, historical_pb2.CreateTrainingSetRequest(finish=finish))
        yield _io.Send(stream, None)
        while under_way:
            yield from receive()
            bar.update(under_way.popleft())
        made = yield from receive()
        yield _io.Receive(stream)  # the stream's own status
        return info(made.training_set)
    finally:
        stream.cancel()
        bar.close()


def describe(session: Session, name: str) -> Operation[TrainingSetInfo]:
    request = historical_pb2.GetTrainingSetRequest(project=session.project, name=name, describe_only=True)
    return info((yield from _io.call(_io.GET_TRAINING_SET, request)).training_set)


def read_batch(
    session: Session, name: str, batch: int, include_statuses: bool, include_event_timestamps: bool
) -> Operation[Any]:
    """One batch as a record batch: spine, then features."""
    request = historical_pb2.GetTrainingSetRequest(
        project=session.project, name=name, batch=batch, include_event_timestamps=include_event_timestamps
    )
    answer = yield from _io.call(_io.GET_TRAINING_SET, request)
    rows = answer.spine.row_count
    columns = {key: decode(column, rows, None) for key, column in sorted(answer.spine.keys.items())}
    columns["event_timestamp"] = decode_timestamps(answer.spine.timestamps)
    for key, column in sorted(answer.spine.request_context.items()):
        columns[key] = _context(column, rows)
    for feature, column in zip(answer.training_set.features, answer.columns, strict=True):
        columns[feature.ref] = decode(column, rows, FieldType.of(feature))
        if include_statuses:
            columns[f"{feature.ref}__status"] = decode_statuses(column, rows)
        if include_event_timestamps:
            columns[f"{feature.ref}__event_timestamp"] = decode_event_timestamps(column, rows)
    return pa.record_batch(columns)


def _context(column: data_pb2.Column, rows: int) -> Any:
    """A column of the request's context: a value a row, or one for all."""
    kind = column.WhichOneof("values")
    if kind is None:
        return pa.nulls(rows)
    part = getattr(column, kind)
    count = len(part.micros if kind == "timestamps" else part.values)
    array = decode(column, count, None)
    return array if count == rows else pa.array(array.to_pylist() * rows, array.type)


def list_all(session: Session) -> Operation[list[TrainingSetInfo]]:
    found: list[TrainingSetInfo] = []
    request = historical_pb2.ListTrainingSetsRequest(project=session.project)
    while True:
        page = yield from _io.call(_io.LIST_TRAINING_SETS, request)
        found += [info(t) for t in page.training_sets]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def verify(session: Session, name: str) -> Operation[Verification]:
    request = historical_pb2.VerifyTrainingSetRequest(project=session.project, name=name)
    answer = yield from _io.call(_io.VERIFY_TRAINING_SET, request)
    return Verification(info(answer.training_set), answer.same, answer.reason)


def delete(session: Session, name: str) -> Operation[None]:
    request = historical_pb2.DeleteTrainingSetRequest(project=session.project, name=name)
    yield from _io.call(_io.DELETE_TRAINING_SET, request)
