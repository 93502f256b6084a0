# SPDX-License-Identifier: Apache-2.0
"""Operations that read: requests built, answers turned into results."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from fletch import _io, _registry, specs
from fletch._columns import encode
from fletch._frames import Rows, frame
from fletch._io import Operation
from fletch._registry import Session
from fletch._times import Instant, KnownAt, from_micros, instant, known_at
from fletch._types import FieldType
from fletch.errors import bad_input
from fletch.results import (
    Compaction,
    FeatureHistory,
    IndexStatus,
    Lineage,
    LineageItem,
    OnlineFeatures,
    ParityAudit,
    ParityMismatch,
    Status,
)
from fletch.v1 import admin_pb2, data_pb2, historical_pb2, registry_pb2, serving_pb2

Features: TypeAlias = str | Sequence[str]
"""A feature service's name, or a list of refs ("view:field")."""

_MAX_HISTORY_PAGE = 100_000


def selection(features: Features) -> tuple[str, list[str]]:
    """(feature service, refs), one of them empty."""
    if isinstance(features, str):
        if ":" in features:
            raise bad_input(f"features: {features!r} is a ref; give a list of refs, [{features!r}]", "features")
        return features, []
    return "", list(features)


def key_columns(rows: Rows) -> tuple[int, dict[str, data_pb2.Column], dict[str, Any]]:
    """(row count, columns as they travel, the same as Arrow arrays)."""
    part = frame(rows)
    arrays = {name: part.array(name, None) for name in part.columns}
    columns = {name: encode(array, kind) for name, (array, kind) in arrays.items()}
    return part.row_count, columns, {name: array for name, (array, _) in arrays.items()}


Context: TypeAlias = Mapping[str, object]
"""The request's context: name -> a value for all rows, or a list (or array) of one a row."""


def context_columns(context: Context | None) -> dict[str, data_pb2.Column]:
    """The request's context as it travels."""
    columns = {}
    for name, value in (context or {}).items():
        many = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
        part = frame({name: value if many else [value]})
        array, kind = part.array(name, None)
        columns[name] = encode(array, kind)
    return columns


def get_online_features(
    session: Session,
    features: Features,
    entity_rows: Rows,
    request_context: Context | None,
    bindings: Sequence[specs.Binding],
    as_of: Instant | None,
    at: KnownAt | None,
    min_seq: int,
    include_event_timestamps: bool,
) -> Operation[OnlineFeatures]:
    service, refs = selection(features)
    rows, columns, keys = key_columns(entity_rows)
    response = yield from _io.call(
        _io.GET_ONLINE,
        serving_pb2.GetOnlineFeaturesRequest(
            project=session.project,
            feature_service=service,
            features=refs,
            bindings=specs.bindings_to_proto(bindings),
            row_count=rows,
            keys=columns,
            request_context=context_columns(request_context),
            as_of=None if as_of is None else instant(as_of, "as_of"),
            known_at=None if at is None else known_at(at),
            min_seq=min_seq,
            include_event_timestamps=include_event_timestamps,
        ),
    )
    return OnlineFeatures(response, keys, [FieldType.of(f) for f in response.features])


def get_feature_history(
    session: Session,
    view: str,
    key: Mapping[str, object] | None,
    start: Instant | None,
    end: Instant | None,
    last_k: int,
    at: KnownAt | None,
    all_forms: bool,
) -> Operation[FeatureHistory]:
    schema = yield from _registry.known_schema(session, view)
    request = historical_pb2.GetFeatureHistoryRequest(
        project=session.project,
        feature_view=view,
        keys=one_key(key, schema) if key else {},
        start=None if start is None else instant(start, "start"),
        end=None if end is None else instant(end, "end"),
        last_k=last_k,
        known_at=None if at is None else known_at(at),
        all_forms=all_forms,
        page_size=_MAX_HISTORY_PAGE,
    )
    pages = []
    while True:
        page = yield from _io.call(_io.GET_HISTORY, request)
        if any(schema.type_of(c.name) is None for c in page.columns):  # a version may get new fields
            schema = yield from _registry.fetch_schema(session, view)
        pages.append(page)
        if not page.next_page_token:
            return FeatureHistory(pages, schema.type_of)
        request.page_token = page.next_page_token


def one_key(key: Mapping[str, object], schema: _registry.ViewSchema | None) -> dict[str, data_pb2.Column]:
    part = frame([key])
    arrays = {name: part.array(name, schema.type_of(name) if schema else None) for name in part.columns}
    return {name: encode(array, kind) for name, (array, kind) in arrays.items()}


def get_lineage(session: Session, kind: str, name: str) -> Operation[Lineage]:
    request = registry_pb2.GetLineageRequest(project=session.project, kind=specs.object_kind(kind), name=name)
    response = yield from _io.call(_io.GET_LINEAGE, request)

    def item(message: registry_pb2.LineageItem) -> LineageItem:
        return LineageItem(
            specs.kind_name(message.kind), message.name, message.version, message.direct, message.read_seq
        )

    return Lineage(
        object=item(response.object),
        upstream=[item(m) for m in response.upstream],
        downstream=[item(m) for m in response.downstream],
        first_commit_seq=response.first_commit_seq,
        last_commit_seq=response.last_commit_seq,
    )


def compact(session: Session) -> Operation[Compaction]:
    r = yield from _io.call(_io.COMPACT, admin_pb2.CompactRequest(project=session.project))
    return Compaction(r.facts_folded, r.facts_dropped, r.disk_bytes_before, r.disk_bytes_after)


def audit_parity(session: Session, features: Features | None, entities: int, seed: int) -> Operation[ParityAudit]:
    service, refs = selection(features) if features is not None else ("", [])
    request = admin_pb2.AuditParityRequest(
        project=session.project, feature_service=service, features=refs, entities=entities, seed=seed
    )
    r = yield from _io.call(_io.AUDIT_PARITY, request)
    examples = [
        ParityMismatch(m.ref, m.key_hash.hex(), from_micros(m.as_of_micros), m.read_seq, m.differs_in)
        for m in r.examples
    ]
    return ParityAudit(r.cells, r.entities, r.mismatches, examples, r.seed)


def status(session: Session) -> Operation[Status]:
    s = yield from _io.call(_io.GET_STATUS, admin_pb2.GetStatusRequest())
    return Status(
        version=s.version,
        state=s.state,
        now=from_micros(s.now_micros),
        ready_since=from_micros(s.ready_since_micros),
        applied_seq=s.applied_seq,
        applied_time=_time_or_none(s.applied_time_micros),
        registry_revision=s.registry_revision,
        online_entities=s.online_entities,
        online_bytes=s.online_bytes,
        online_budget_bytes=s.online_budget_bytes,
        online_complete=s.online_complete,
        disk_bytes=s.disk_bytes,
        indexes=[
            IndexStatus(i.project, i.index, i.vectors, i.graph_vectors, i.buffered_vectors, i.building)
            for i in s.indexes
        ],
        warnings=list(s.warnings),
    )


def _time_or_none(micros: int) -> dt.datetime | None:
    return from_micros(micros) if micros else None
