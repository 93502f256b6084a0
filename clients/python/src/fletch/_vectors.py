# SPDX-License-Identifier: Apache-2.0
"""Operations of the vector service: requests built, answers turned into results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from fletch import _io, _wire, specs
from fletch._columns import fixed_bytes
from fletch._frames import Rows
from fletch._io import Operation
from fletch._progress import progress
from fletch._reads import Context, Features, context_columns, key_columns, one_key, selection
from fletch._registry import Session
from fletch._times import Instant, KnownAt, instant, known_at
from fletch._types import Array, FieldType
from fletch.errors import bad_input
from fletch.filters import Filter
from fletch.search_results import BatchSearchResult, IndexDescription, RecallAudit, SearchPlan, SearchResult
from fletch.v1 import registry_pb2, vector_pb2

Vector: TypeAlias = Sequence[float]
"""Numbers: a list, a numpy or Arrow array."""

Vectors: TypeAlias = Sequence[Vector]
"""Vectors of one length: a list of them, or a numpy array with a row a vector."""

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Effort:
    """SearchParams."""

    exact: bool
    ef: int
    target_recall: float
    rescore: int

    def to_proto(self) -> vector_pb2.SearchParams:
        return vector_pb2.SearchParams(
            exact=self.exact, ef=self.ef, target_recall=self.target_recall, rescore=self.rescore
        )


@dataclass(frozen=True)
class Common:
    """All of a search but what is looked for."""

    index: str
    top_k: int
    filter: Filter | None
    score_threshold: float | None
    group_by: str | None
    group_size: int
    features: Features | None
    request_context: Context | None
    bindings: Sequence[specs.Binding]
    include_self: bool
    as_of: Instant | None
    known_at: KnownAt | None
    min_seq: int
    effort: Effort
    explain: bool
    include_event_timestamps: bool

    def to_proto(self, session: Session) -> vector_pb2.SearchRequest:
        if self.group_by is None and self.group_size != 1:
            raise bad_input("group_size says how many hits of a group; give group_by too", "group_size")
        group = None if self.group_by is None else vector_pb2.GroupBy(ref=self.group_by, size=self.group_size)
        service, refs = selection(self.features) if self.features is not None else ("", [])
        return vector_pb2.SearchRequest(
            project=session.project,
            index=self.index,
            include_self=self.include_self,
            top_k=self.top_k,
            filter=None if self.filter is None else self.filter.to_proto(),
            score_threshold=self.score_threshold,
            group_by=group,
            feature_service=service,
            features=refs,
            bindings=specs.bindings_to_proto(self.bindings),
            request_context=context_columns(self.request_context),
            as_of=None if self.as_of is None else instant(self.as_of, "as_of"),
            known_at=None if self.known_at is None else known_at(self.known_at),
            min_seq=self.min_seq,
            params=self.effort.to_proto(),
            explain=self.explain,
            include_event_timestamps=self.include_event_timestamps,
        )


def search(
    session: Session, vector: Vector | None, entity_key: Mapping[str, object] | None, common: Common
) -> Operation[SearchResult]:
    if (vector is None) == (entity_key is None):
        raise bad_input("give either vector or entity_key", "vector")
    request = common.to_proto(session)
    if vector is not None:
        request.vector.extend(_floats(vector, "vector").to_pylist())
    if entity_key is not None:
        for name, column in one_key(entity_key, None).items():
            request.entity_key[name].CopyFrom(column)
    response = yield from _io.call(_io.SEARCH, request)
    plan = SearchPlan.of(response.plan) if response.HasField("plan") else None
    return SearchResult(response, [FieldType.of(f) for f in response.features], plan)


def batch_search(
    session: Session, vectors: Vectors | None, entity_keys: Rows | None, common: Common
) -> Operation[BatchSearchResult]:
    if (vectors is None) == (entity_keys is None):
        raise bad_input("give either vectors or entity_keys", "vectors")
    request = vector_pb2.BatchSearchRequest(common=common.to_proto(session))
    if vectors is not None:
        request.query_count = len(vectors)
        request.MergeFromString(
            _wire.length_field(vector_pb2.BatchSearchRequest.VECTORS_FIELD_NUMBER, _packed(vectors))
        )
    if entity_keys is not None:
        rows, columns, _ = key_columns(entity_keys)
        request.query_count = rows
        for name, column in columns.items():
            request.entity_keys[name].CopyFrom(column)
    response = yield from _io.call(_io.BATCH_SEARCH, request)
    return BatchSearchResult(response, [FieldType.of(f) for f in response.hits.features])


def _packed(vectors: Vectors) -> bytes:
    """The floats of all vectors, little-endian."""
    parts = [_floats(vector, f"vectors[{i}]") for i, vector in enumerate(vectors)]
    for i, part in enumerate(parts):
        if len(part) != len(parts[0]):
            raise bad_input(f"vectors[{i}] has {len(part)} elements; the first has {len(parts[0])}", "vectors")
    return fixed_bytes(pa.concat_arrays(parts)) if parts else b""


def _floats(vector: Vector, path: str) -> Array:
    field = path.split("[")[0]
    try:
        found = pa.array(vector, pa.float32())
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise bad_input(f"{path}: {error}", field) from None
    if found.null_count:
        raise bad_input(f"{path}: element {found.is_null().index(True)} is null", field)
    return found


def audit_recall(
    session: Session,
    index: str,
    queries: int,
    top_k: int,
    filter: Filter | None,
    effort: Effort,
    seed: int,
    reachability: bool,
) -> Operation[RecallAudit]:
    request = vector_pb2.AuditRecallRequest(
        project=session.project,
        index=index,
        queries=queries,
        top_k=top_k,
        params=effort.to_proto(),
        filter=None if filter is None else filter.to_proto(),
        seed=seed,
        reachability=reachability,
    )
    r = yield from _io.call(_io.AUDIT_RECALL, request)
    return RecallAudit(
        r.queries,
        r.recall,
        r.worst_recall,
        r.complete_share,
        r.short_answers,
        r.search_p50_micros,
        r.exact_p50_micros,
        r.unreachable,
        r.read_seq,
    )


def describe_index(session: Session, index: str) -> Operation[IndexDescription]:
    request = vector_pb2.DescribeIndexRequest(project=session.project, index=index)
    response = yield from _io.call(_io.DESCRIBE_INDEX, request)
    return _description(response)


def rebuild_index(session: Session, index: str, wait: bool) -> Operation[IndexDescription]:
    request = vector_pb2.RebuildIndexRequest(project=session.project, index=index)
    response = yield from _io.call(_io.REBUILD_INDEX, request)
    now = response.index
    if not wait:
        return _description(now)
    bar = progress(100, f"building {now.index}", unit="%")
    try:
        shown = 0
        while now.state != "idle":
            yield _io.Sleep(_POLL_SECONDS)
            now = yield from _io.call(
                _io.DESCRIBE_INDEX, vector_pb2.DescribeIndexRequest(project=session.project, index=index)
            )
            share = int(100 * now.progress)
            bar.update(max(0, share - shown))
            shown = max(shown, share)
    finally:
        bar.close()
    return _description(now)


def _description(message: vector_pb2.DescribeIndexResponse) -> IndexDescription:
    fields: dict[str, Any] = {f.name: getattr(message, f.name) for f in message.DESCRIPTOR.fields}
    fields["metric"] = registry_pb2.Metric.Name(message.metric)
    fields["calibration"] = [(point.recall, point.ef) for point in message.calibration]
    return IndexDescription(**fields)
