# SPDX-License-Identifier: Apache-2.0
"""What reads and searches return. Every result knows the `as_of` and `read_seq` that it holds for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fletch._columns import (
    decode,
    decode_event_timestamps,
    decode_statuses,
    decode_timestamps,
    event_timestamps_list,
    statuses_list,
    values_list,
)
from fletch._times import from_micros
from fletch._types import Array, FieldType
from fletch.v1 import historical_pb2, serving_pb2

if TYPE_CHECKING:
    import pandas

_TIMESTAMP = pa.timestamp("us", "UTC")


def to_pandas(table: Any) -> pandas.DataFrame:
    """A pandas frame in which integers and booleans with nulls keep their type (Int64, boolean), not become floats."""
    import pandas

    nullable = {
        pa.int32(): pandas.Int32Dtype(),
        pa.int64(): pandas.Int64Dtype(),
        pa.bool_(): pandas.BooleanDtype(),
    }
    columns = {
        name: column.to_pandas(types_mapper=nullable.get if column.null_count else None)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pandas.DataFrame(columns, index=pandas.RangeIndex(table.num_rows))


@dataclass(frozen=True)
class Feature:
    """A feature of an answer: the ref as asked, and with its view's version, "view@v1:field"."""

    ref: str
    resolved: str


def _features(message: Any) -> list[Feature]:
    return [Feature(f.ref, f.resolved) for f in message.features]


def _cells(message: Any, rows: int) -> dict[str, dict[str, list[Any]]]:
    refs = [f.ref for f in message.features]
    pairs = list(zip(refs, message.columns, strict=True))
    result: dict[str, dict[str, list[Any]]] = {
        "values": {ref: values_list(column, rows) for ref, column in pairs},
        "statuses": {ref: statuses_list(column, rows) for ref, column in pairs},
    }
    if any(column.HasField("event_timestamps") for column in message.columns):
        result["event_timestamps"] = {ref: event_timestamps_list(column, rows) for ref, column in pairs}
    return result


def _arrays(
    message: Any,
    rows: int,
    types: Sequence[FieldType | None],
    statuses: bool,
    event_timestamps: bool,
) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for feature, column, kind in zip(message.features, message.columns, types, strict=True):
        columns[feature.ref] = decode(column, rows, kind)
        if statuses:
            columns[f"{feature.ref}__status"] = decode_statuses(column, rows)
        if event_timestamps:
            columns[f"{feature.ref}__event_timestamp"] = decode_event_timestamps(column, rows)
    return columns


class OnlineFeatures:
    """The answer of an online read: a row an entity row, a column a feature.

    as_of: the instant asked about. read_seq: the greatest commit used. Asked again at both, the answer is the same.
    """

    def __init__(
        self,
        response: serving_pb2.GetOnlineFeaturesResponse,
        keys: dict[str, Array],
        types: Sequence[FieldType | None],
    ) -> None:
        self._response = response
        self._keys = keys
        self._types = types
        self.as_of = from_micros(response.as_of_micros)
        self.read_seq = response.read_seq
        self.features = _features(response)

    def to_dict(self) -> dict[str, dict[str, list[Any]]]:
        """{"values": {ref: [...]}, "statuses": {ref: ["PRESENT", ...]}, "event_timestamps": {ref: [...]}}."""
        return _cells(self._response, self._response.row_count)

    def to_arrow(self, *, include_statuses: bool = False, include_event_timestamps: bool = False) -> pa.Table:
        """Keys, then features; a status is in "ref__status", an event timestamp in "ref__event_timestamp"."""
        rows = self._response.row_count
        cells = _arrays(self._response, rows, self._types, include_statuses, include_event_timestamps)
        return pa.table({**self._keys, **cells})

    def to_df(self, *, include_statuses: bool = False, include_event_timestamps: bool = False) -> pandas.DataFrame:
        """As `to_arrow`, as a pandas frame."""
        table = self.to_arrow(include_statuses=include_statuses, include_event_timestamps=include_event_timestamps)
        return to_pandas(table)


class FeatureHistory:
    """Facts of a view by entity key, then newest first: keys, fields, event_timestamp, commit_seq, commit_time, form.

    A field that has the name of one of the last four keeps it; they get an underscore behind theirs.
    """

    def __init__(
        self,
        pages: Sequence[historical_pb2.GetFeatureHistoryResponse],
        type_of: Callable[[str], FieldType | None],
    ) -> None:
        self.read_seq = pages[0].read_seq
        self._table = pa.concat_tables([_history_table(p, type_of) for p in pages], promote_options="permissive")

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def to_arrow(self) -> pa.Table:
        return self._table

    def to_df(self) -> pandas.DataFrame:
        return to_pandas(self._table)

    def to_dict(self) -> dict[str, list[Any]]:
        """Column name -> values."""
        columns: dict[str, list[Any]] = self._table.to_pydict()
        return columns


def _history_table(page: historical_pb2.GetFeatureHistoryResponse, type_of: Callable[[str], FieldType | None]) -> Any:
    rows = page.row_count
    columns = {c.name: decode(c.column, rows, type_of(c.name)) for c in page.columns}
    about = {
        "event_timestamp": decode_timestamps(page.event_timestamps),
        "commit_seq": pa.array(list(page.commit_seqs), pa.int64()),
        "commit_time": pa.array(list(page.commit_times_micros), pa.int64()).cast(_TIMESTAMP),
        "form": pa.array([historical_pb2.FactForm.Name(f) for f in page.forms], pa.string()),
    }
    for name, column in about.items():
        columns[f"{name}_" if name in columns else name] = column
    return pa.table(columns)


@dataclass(frozen=True)
class LineageItem:
    """One object: its kind as in a spec ("FeatureView", "TrainingSet"), name, a view's version, a training set's commit.

    direct: it is next to the object asked about, not only reached through another one.
    """

    kind: str
    name: str
    version: int
    direct: bool
    read_seq: int


@dataclass(frozen=True)
class Lineage:
    """What an object reads (upstream) and what reads it (downstream); of a view the commits that hold its facts."""

    object: LineageItem
    upstream: list[LineageItem]
    downstream: list[LineageItem]
    first_commit_seq: int
    last_commit_seq: int


@dataclass(frozen=True)
class Compaction:
    """What Compact did: facts folded into blocks, facts dropped past their horizons, bytes on disk."""

    facts_folded: int
    facts_dropped: int
    disk_bytes_before: int
    disk_bytes_after: int


@dataclass(frozen=True)
class ParityMismatch:
    """A cell that differs between online and training; `differs_in`: status, value or event_timestamp."""

    ref: str
    key_hash: str
    as_of: dt.datetime
    read_seq: int
    differs_in: str


@dataclass(frozen=True)
class ParityAudit:
    """Cells compared, entities asked about, cells that differ (0 is the promise) and the first of them."""

    cells: int
    entities: int
    mismatches: int
    examples: list[ParityMismatch]
    seed: int


@dataclass(frozen=True)
class EraseReceipt:
    """Proof of an erasure; see EraseReceipt in ingest.proto. `key_hash` is hexadecimal."""

    id: int
    entity: str
    key_hash: str
    erased_at: dt.datetime
    commit_seq: int
    facts: int
    feature_views: list[str]
    training_sets: list[str]
    backups: list[str]


@dataclass(frozen=True)
class TrainingSetInfo:
    """What is known of a training set; see TrainingSet in historical.proto.

    digest: SHA-256 over the result, hexadecimal. unreadable: why it can no longer be read; empty: it can.
    """

    name: str
    description: str
    created: dt.datetime
    row_count: int
    batch_count: int
    read_seq: int
    known_at_mode: str
    features: list[Feature]
    feature_service: str
    min_timestamp: dt.datetime
    max_timestamp: dt.datetime
    digest: str
    engine_version: str
    unreadable: str


@dataclass(frozen=True)
class Verification:
    """Whether a training set's rows are still the same bit for bit, and if not why."""

    training_set: TrainingSetInfo
    same: bool
    reason: str


@dataclass(frozen=True)
class IndexStatus:
    """One vector index: "view@v1:field", how many vectors, how many in the graph and in the exact buffer."""

    project: str
    index: str
    vectors: int
    graph_vectors: int
    buffered_vectors: int
    building: bool


@dataclass(frozen=True)
class Status:
    """What the daemon holds and how it is; see GetStatusResponse in admin.proto. Bytes are bytes."""

    version: str
    state: str
    now: dt.datetime
    ready_since: dt.datetime
    applied_seq: int
    applied_time: dt.datetime | None
    registry_revision: int
    online_entities: int
    online_bytes: int
    online_budget_bytes: int
    online_complete: bool
    disk_bytes: int
    indexes: list[IndexStatus]
    warnings: list[str]
