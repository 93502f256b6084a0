# SPDX-License-Identifier: Apache-2.0
"""What a project declares: projects, entities, views of all kinds, feature services; from and to the wire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from google.protobuf import duration_pb2

from fletch._columns import encode, values_list
from fletch._frames import Frame
from fletch._times import duration
from fletch._types import FieldType
from fletch.errors import bad_input
from fletch.v1 import data_pb2, registry_pb2


@dataclass(frozen=True)
class Project:
    """A tenant; every other object belongs to one."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class KeyField:
    """A named and typed key column: INT64 or STRING."""

    name: str
    type: str


@dataclass(frozen=True)
class Entity:
    """A kind of thing with 1 to 8 join keys."""

    name: str
    join_keys: Sequence[KeyField]
    description: str = ""


@dataclass(frozen=True)
class VectorIndex:
    """How a FLOAT_VECTOR field is searched: metric COSINE, DOT or L2.

    m: links of a graph's node, 4 to 64; 0: 16. ef_construction: candidates kept while building, m to 2000; 0: 200.
    target_recall: share of the exact answer that searches aim at, 0.5 to 0.999; 0: 0.95.
    """

    metric: str
    m: int = 0
    ef_construction: int = 0
    target_recall: float = 0.0


@dataclass(frozen=True)
class Field:
    """One field of a feature view. `type` is a value type's name, "DOUBLE"; with `array` an array of it."""

    name: str
    type: str
    array: bool = False
    dimension: int = 0
    description: str = ""
    default: Any = None
    forbid_nan: bool = False
    indexed: bool = False
    index: VectorIndex | None = None


@dataclass(frozen=True)
class FeatureView:
    """A typed, versioned set of fields of one entity. `version` is set in answers only.

    ttl: how long a fact may be read; 0: for ever. retention: how much history is kept; 0: all. max_future_skew: None:
    the daemon's default of 5 minutes. All three: a timedelta, or a text such as "3h".
    """

    name: str
    entity: str
    fields: Sequence[Field]
    ttl: dt.timedelta | str | int = 0
    event_key: Sequence[KeyField] = ()
    max_future_skew: dt.timedelta | str | int | None = None
    description: str = ""
    version: int = 0
    retention: dt.timedelta | str | int = 0


@dataclass(frozen=True)
class Aggregation:
    """One trailing window: `function` ("mean", "last_k", …) over the source's `column` in `window` (a timedelta, "7d").

    column: empty with "count": counts events. k: of last_k and top_k. percentile: of approx_percentile, between 0 and
    1. `type` and `array` are set in answers only.
    """

    name: str
    function: str
    window: dt.timedelta | str | int
    column: str = ""
    k: int = 0
    percentile: float = 0.0
    description: str = ""
    type: str = ""
    array: bool = False


@dataclass(frozen=True)
class AggregationView:
    """Exact trailing windows over the events of `source`. `version` and `resolved_source` are set in answers only."""

    name: str
    source: str
    aggregations: Sequence[Aggregation]
    description: str = ""
    version: int = 0
    resolved_source: str = ""


@dataclass(frozen=True)
class RequestField:
    """A column of the request's context."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True)
class OnDemandField:
    """A scalar SQL expression (SQLite's dialect). `type`: BOOL, INT64, DOUBLE or STRING."""

    name: str
    type: str
    sql: str
    description: str = ""


@dataclass(frozen=True)
class OnDemandFeatureView:
    """Expressions over the fields of `inputs` and over the request's context.

    `version` and `resolved_inputs` are set in answers only.
    """

    name: str
    fields: Sequence[OnDemandField]
    inputs: Sequence[str] = ()
    request: Sequence[RequestField] = ()
    description: str = ""
    version: int = 0
    resolved_inputs: Sequence[str] = ()


@dataclass(frozen=True)
class Binding:
    """One view in a role: `alias` in refs instead of its name, join keys renamed by `join_key_map`."""

    alias: str
    feature_view: str
    join_key_map: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureService:
    """A named, ordered list of refs. `resolved_features` is set in answers only."""

    name: str
    features: Sequence[str]
    bindings: Sequence[Binding] = ()
    description: str = ""
    resolved_features: Sequence[str] = ()


Spec: TypeAlias = Project | Entity | FeatureView | AggregationView | OnDemandFeatureView | FeatureService


@dataclass(frozen=True)
class Change:
    """What apply does to one object: `change` is UNCHANGED, ADDED, CHANGED or BREAKING."""

    kind: str
    name: str
    change: str
    details: Sequence[str]
    version: int
    affected_services: Sequence[str]
    affected_training_sets: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """What apply did, or with dry_run would do. `print` shows it."""

    changes: Sequence[Change]
    revision: int

    def __str__(self) -> str:
        lines = []
        for c in self.changes:
            version = f" v{c.version}" if c.version else ""
            lines.append(f"{c.change:<9} {c.kind} {c.name}{version}")
            lines += [f"          {detail}" for detail in c.details]
            keep = [*c.affected_services, *(f"training set {name}" for name in c.affected_training_sets)]
            if keep:
                lines.append(f"          keep the older version: {', '.join(keep)}")
        return "\n".join(lines)


_KINDS = {
    "Project": registry_pb2.PROJECT,
    "Entity": registry_pb2.ENTITY,
    "FeatureView": registry_pb2.FEATURE_VIEW,
    "FeatureService": registry_pb2.FEATURE_SERVICE,
    "AggregationView": registry_pb2.AGGREGATION_VIEW,
    "OnDemandFeatureView": registry_pb2.ON_DEMAND_FEATURE_VIEW,
    "TrainingSet": registry_pb2.TRAINING_SET,
}
_KIND_NAMES = {number: name for name, number in _KINDS.items()}


def object_kind(kind: str) -> registry_pb2.ObjectKind:
    """The kind named as in a spec ("FeatureView") or on the wire ("FEATURE_VIEW")."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in registry_pb2.ObjectKind.keys()[1:]:
        return cast(registry_pb2.ObjectKind, registry_pb2.ObjectKind.Value(kind))
    raise bad_input(f"kind {kind!r} is unknown; kinds are {', '.join(_KINDS)}", "kind")


def value_type(name: object, path: str) -> data_pb2.ValueType:
    """The value type of that name."""
    names = data_pb2.ValueType.keys()[1:]
    if isinstance(name, str) and name in names:
        return cast(data_pb2.ValueType, data_pb2.ValueType.Value(name))
    raise bad_input(f"{path}: {name!r} is no type; types are {', '.join(names)}", path)


def kind_name(kind: registry_pb2.ObjectKind) -> str:
    """As in a spec: "FeatureView"."""
    return _KIND_NAMES[kind]


def aggregate_function(name: object, path: str) -> registry_pb2.AggregateFunction:
    """The function named as in a spec ("mean")."""
    names = [n.lower() for n in registry_pb2.AggregateFunction.keys()[1:]]
    if isinstance(name, str) and name in names:
        return cast(registry_pb2.AggregateFunction, registry_pb2.AggregateFunction.Value(name.upper()))
    raise bad_input(f"{path}: {name!r} is no function; functions are {', '.join(names)}", path)


def to_proto(spec: Spec) -> registry_pb2.Object:
    """A spec as it travels."""
    if isinstance(spec, Project):
        return registry_pb2.Object(project=registry_pb2.Project(name=spec.name, description=spec.description))
    if isinstance(spec, Entity):
        keys = _keys_to_proto(spec.join_keys, f"{spec.name}.join_keys")
        entity = registry_pb2.Entity(name=spec.name, join_keys=keys, description=spec.description)
        return registry_pb2.Object(entity=entity)
    if isinstance(spec, FeatureView):
        return registry_pb2.Object(feature_view=_view_to_proto(spec))
    if isinstance(spec, AggregationView):
        return registry_pb2.Object(aggregation_view=_windows_to_proto(spec))
    if isinstance(spec, OnDemandFeatureView):
        return registry_pb2.Object(on_demand_feature_view=_on_demand_to_proto(spec))
    if isinstance(spec, FeatureService):
        service = registry_pb2.FeatureService(
            name=spec.name,
            bindings=bindings_to_proto(spec.bindings),
            features=spec.features,
            description=spec.description,
        )
        return registry_pb2.Object(feature_service=service)
    wanted = "Project, Entity, FeatureView, AggregationView, OnDemandFeatureView or FeatureService"
    raise bad_input(f"{type(spec).__name__} is no spec; give {wanted}")


def bindings_to_proto(bindings: Sequence[Binding]) -> list[data_pb2.Binding]:
    """Bindings as they travel."""
    return [
        data_pb2.Binding(alias=b.alias, feature_view=b.feature_view, join_key_map=dict(b.join_key_map))
        for b in bindings
    ]


def _keys_to_proto(keys: Sequence[KeyField], path: str) -> list[registry_pb2.KeyField]:
    return [
        registry_pb2.KeyField(name=k.name, type=value_type(k.type, f"{path}[{i}].type")) for i, k in enumerate(keys)
    ]


def _view_to_proto(view: FeatureView) -> registry_pb2.FeatureView:
    message = registry_pb2.FeatureView(
        name=view.name,
        entity=view.entity,
        fields=[_field_to_proto(f, f"{view.name}.fields[{i}]") for i, f in enumerate(view.fields)],
        event_key=_keys_to_proto(view.event_key, f"{view.name}.event_key"),
        description=view.description,
    )
    ttl = duration(view.ttl, f"{view.name}.ttl")
    if ttl:
        message.ttl.CopyFrom(_duration_to_proto(ttl))
    if view.max_future_skew is not None:
        skew = duration(view.max_future_skew, f"{view.name}.max_future_skew")
        message.max_future_skew.CopyFrom(_duration_to_proto(skew))
    retention = duration(view.retention, f"{view.name}.retention")
    if retention:
        message.retention.CopyFrom(_duration_to_proto(retention))
    return message


def _windows_to_proto(view: AggregationView) -> registry_pb2.AggregationView:
    message = registry_pb2.AggregationView(name=view.name, source=view.source, description=view.description)
    for i, spec in enumerate(view.aggregations):
        path = f"{view.name}.aggregations[{i}]"
        message.aggregations.add(
            name=spec.name,
            column=spec.column,
            function=aggregate_function(spec.function, f"{path}.function"),
            window=_duration_to_proto(duration(spec.window, f"{path}.window")),
            k=spec.k,
            percentile=spec.percentile,
            description=spec.description,
        )
    return message


def _on_demand_to_proto(view: OnDemandFeatureView) -> registry_pb2.OnDemandFeatureView:
    message = registry_pb2.OnDemandFeatureView(name=view.name, inputs=view.inputs, description=view.description)
    for i, column in enumerate(view.request):
        kind = value_type(column.type, f"{view.name}.request[{i}].type")
        message.request.add(name=column.name, type=kind, description=column.description)
    for i, spec in enumerate(view.fields):
        kind = value_type(spec.type, f"{view.name}.fields[{i}].type")
        message.fields.add(name=spec.name, type=kind, sql=spec.sql, description=spec.description)
    return message


def _field_to_proto(spec: Field, path: str) -> registry_pb2.Field:
    kind = value_type(spec.type, f"{path}.type")
    message = registry_pb2.Field(
        name=spec.name,
        type=kind,
        array=spec.array,
        dimension=spec.dimension,
        description=spec.description,
        forbid_nan=spec.forbid_nan,
        indexed=spec.indexed,
    )
    if spec.index is not None:
        if spec.index.metric not in registry_pb2.Metric.keys()[1:]:
            where = f"{path}.index.metric"
            raise bad_input(f"{where}: {spec.index.metric!r} is no metric; metrics are COSINE, DOT, L2", where)
        message.index.metric = cast(registry_pb2.Metric, registry_pb2.Metric.Value(spec.index.metric))
        message.index.m = spec.index.m
        message.index.ef_construction = spec.index.ef_construction
        message.index.target_recall = spec.index.target_recall
    if spec.default is not None:
        where = f"{path}.default"
        declared = FieldType(kind, spec.array, spec.dimension)
        array, _ = Frame(1, {where: [spec.default]}).array(where, declared)
        message.default_value.value.CopyFrom(encode(array, declared))
    return message


def _duration_to_proto(value: dt.timedelta) -> duration_pb2.Duration:
    result = duration_pb2.Duration()
    result.FromTimedelta(value)
    return result


def from_proto(message: registry_pb2.Object) -> Spec:
    """A spec as it came."""
    kind = message.WhichOneof("object")
    if kind == "project":
        return Project(message.project.name, message.project.description)
    if kind == "entity":
        return Entity(
            message.entity.name,
            _keys_from_proto(message.entity.join_keys),
            message.entity.description,
        )
    if kind == "feature_view":
        return _view_from_proto(message.feature_view)
    if kind == "aggregation_view":
        return _windows_from_proto(message.aggregation_view)
    if kind == "on_demand_feature_view":
        return _on_demand_from_proto(message.on_demand_feature_view)
    service = message.feature_service
    return FeatureService(
        name=service.name,
        features=list(service.features),
        bindings=[Binding(b.alias, b.feature_view, dict(b.join_key_map)) for b in service.bindings],
        description=service.description,
        resolved_features=list(service.resolved_features),
    )


def _windows_from_proto(view: registry_pb2.AggregationView) -> AggregationView:
    return AggregationView(
        name=view.name,
        source=view.source,
        aggregations=[
            Aggregation(
                name=a.name,
                function=registry_pb2.AggregateFunction.Name(a.function).lower(),
                window=a.window.ToTimedelta(),
                column=a.column,
                k=a.k,
                percentile=a.percentile,
                description=a.description,
                type=data_pb2.ValueType.Name(a.type) if a.type else "",
                array=a.array,
            )
            for a in view.aggregations
        ],
        description=view.description,
        version=view.version,
        resolved_source=view.resolved_source,
    )


def _on_demand_from_proto(view: registry_pb2.OnDemandFeatureView) -> OnDemandFeatureView:
    name_of = data_pb2.ValueType.Name
    return OnDemandFeatureView(
        name=view.name,
        inputs=list(view.inputs),
        fields=[OnDemandField(f.name, name_of(f.type), f.sql, f.description) for f in view.fields],
        request=[RequestField(r.name, name_of(r.type), r.description) for r in view.request],
        description=view.description,
        version=view.version,
        resolved_inputs=list(view.resolved_inputs),
    )


def _keys_from_proto(keys: Any) -> list[KeyField]:
    return [KeyField(k.name, data_pb2.ValueType.Name(k.type)) for k in keys]


def _view_from_proto(view: registry_pb2.FeatureView) -> FeatureView:
    return FeatureView(
        name=view.name,
        entity=view.entity,
        fields=[_field_from_proto(f) for f in view.fields],
        ttl=view.ttl.ToTimedelta(),
        event_key=_keys_from_proto(view.event_key),
        max_future_skew=view.max_future_skew.ToTimedelta() if view.HasField("max_future_skew") else None,
        description=view.description,
        version=view.version,
        retention=view.retention.ToTimedelta(),
    )


def _field_from_proto(message: registry_pb2.Field) -> Field:
    return Field(
        name=message.name,
        type=data_pb2.ValueType.Name(message.type),
        array=message.array,
        dimension=message.dimension,
        description=message.description,
        default=values_list(message.default_value.value, 1)[0] if message.HasField("default_value") else None,
        forbid_nan=message.forbid_nan,
        indexed=message.indexed,
        index=_index_from_proto(message.index) if message.HasField("index") else None,
    )


def _index_from_proto(message: registry_pb2.VectorIndex) -> VectorIndex:
    metric = registry_pb2.Metric.Name(message.metric)
    return VectorIndex(metric, message.m, message.ef_construction, message.target_recall)


def plan_from_proto(response: registry_pb2.ApplyResponse) -> Plan:
    """A plan as it came."""
    changes = [
        Change(
            kind=_KIND_NAMES[c.kind],
            name=c.name,
            change=registry_pb2.ChangeKind.Name(c.change),
            details=list(c.details),
            version=c.version,
            affected_services=list(c.affected_services),
            affected_training_sets=list(c.affected_training_sets),
        )
        for c in response.changes
    ]
    return Plan(changes, response.revision)
