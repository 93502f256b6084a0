# SPDX-License-Identifier: Apache-2.0
"""Operations on the registry, and the views' schemas that reads and writes need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fletch import _io, _yaml, specs
from fletch._io import Operation, T
from fletch._types import FieldType
from fletch.errors import FletchError, bad_input
from fletch.v1 import registry_pb2


@dataclass(frozen=True)
class ViewSchema:
    """A view's columns by name, in order."""

    version: int
    join_keys: dict[str, FieldType]
    event_keys: dict[str, FieldType]
    fields: dict[str, FieldType]

    def type_of(self, name: str) -> FieldType | None:
        return self.join_keys.get(name) or self.event_keys.get(name) or self.fields.get(name)


@dataclass
class Session:
    """What a client keeps: its project, and the schemas it has seen ("view" or "view@v2")."""

    project: str
    schemas: dict[str, ViewSchema] = field(default_factory=dict)


def get_object(session: Session, kind: str, name: str) -> Operation[specs.Spec]:
    request = registry_pb2.GetRequest(project=session.project, kind=specs.object_kind(kind), name=name)
    return specs.from_proto((yield from _io.call(_io.GET, request)).object)


def list_objects(session: Session, kind: str | None) -> Operation[list[specs.Spec]]:
    found: list[specs.Spec] = []
    request = registry_pb2.ListRequest(project=session.project)
    if kind is not None:
        request.kind = specs.object_kind(kind)
    while True:
        page = yield from _io.call(_io.LIST, request)
        found += [specs.from_proto(o) for o in page.objects]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def delete_object(session: Session, kind: str, name: str) -> Operation[int]:
    request = registry_pb2.DeleteObjectRequest(project=session.project, kind=specs.object_kind(kind), name=name)
    response = yield from _io.call(_io.DELETE_OBJECT, request)
    session.schemas.clear()
    return response.revision


def apply(
    session: Session,
    source: str | os.PathLike[str] | specs.Spec | Iterable[specs.Spec],
    dry_run: bool,
    allow_breaking: bool,
    expected_revision: int,
) -> Operation[specs.Plan]:
    found: Sequence[specs.Spec]
    if isinstance(source, (str, os.PathLike)):
        found = _yaml.load(source)
    elif isinstance(source, specs.Spec):
        found = [source]
    else:
        found = list(source)
    for spec in found:
        if isinstance(spec, specs.Project) and spec.name != session.project:
            raise bad_input(
                f"the spec is of project {spec.name!r}, the client of {session.project!r}; "
                f"use fletch.Client(…, project={spec.name!r})",
                "project",
            )
    request = registry_pb2.ApplyRequest(
        project=session.project,
        objects=[specs.to_proto(s) for s in found],
        dry_run=dry_run,
        allow_breaking=allow_breaking,
        expected_revision=expected_revision,
    )
    response = yield from _io.call(_io.APPLY, request)
    if not dry_run:
        session.schemas.clear()
    return specs.plan_from_proto(response)


def fetch_schema(session: Session, view: str) -> Operation[ViewSchema]:
    """The schema of "view" or "view@v2" as it is now."""
    response = yield from _io.call(
        _io.GET,
        registry_pb2.GetRequest(project=session.project, kind=registry_pb2.FEATURE_VIEW, name=view),
    )
    found = response.object.feature_view
    response = yield from _io.call(
        _io.GET,
        registry_pb2.GetRequest(project=session.project, kind=registry_pb2.ENTITY, name=found.entity),
    )
    schema = ViewSchema(
        version=found.version,
        join_keys={k.name: FieldType(k.type) for k in response.object.entity.join_keys},
        event_keys={k.name: FieldType(k.type) for k in found.event_key},
        fields={f.name: FieldType(f.type, f.array, f.dimension) for f in found.fields},
    )
    session.schemas[view] = schema
    return schema


def known_schema(session: Session, view: str) -> Operation[ViewSchema]:
    """The schema of a view, fetched once."""
    known = session.schemas.get(view)
    return known if known is not None else (yield from fetch_schema(session, view))


def with_schema(session: Session, view: str, body: Callable[[ViewSchema], Operation[T]]) -> Operation[T]:
    """Runs `body` with the view's schema; once more if it was refused and the schema turns out to have changed."""
    remembered = view in session.schemas
    schema = yield from known_schema(session, view)
    try:
        return (yield from body(schema))
    except FletchError as error:
        if not remembered or error.code not in ("NOT_FOUND", "INVALID_ARGUMENT") or error.committed_rows:
            raise
        fresh = yield from fetch_schema(session, view)
        if fresh == schema:
            raise
    return (yield from body(fresh))
