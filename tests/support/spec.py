# SPDX-License-Identifier: Apache-2.0
"""Oracle schemas as registry objects."""

from __future__ import annotations

from typing import Any, Iterable

from google.protobuf.duration_pb2 import Duration
from oracle import expressions
from oracle.oracle import OnDemandView, View, WindowView
from support import wire


def duration(micros: int) -> Any:
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def key_fields(keys: Iterable[tuple[str, str]]) -> list:
    return [wire.registry.KeyField(name=n, type=wire.data.ValueType.Value(t)) for n, t in keys]


def entity_object(name: str, join_keys: list[tuple[str, str]]) -> Any:
    return wire.registry.Object(entity=wire.registry.Entity(name=name, join_keys=key_fields(join_keys)))


def view_object(view: View) -> Any:
    if isinstance(view, WindowView):
        return wire.registry.Object(aggregation_view=wire.registry.AggregationView(
            name=view.name, source=view.source, aggregations=[
                wire.registry.Aggregation(name=a.name, column=a.column, k=a.k, percentile=a.percentile,
                                          function=wire.registry.AggregateFunction.Value(a.function),
                                          window=duration(a.window)) for a in view.aggregations]))
    if isinstance(view, OnDemandView):
        value_type = wire.data.ValueType.Value
        return wire.registry.Object(on_demand_feature_view=wire.registry.OnDemandFeatureView(
            name=view.name, inputs=view.inputs,
            request=[wire.registry.RequestField(name=n, type=value_type(t)) for n, t in view.request],
            fields=[wire.registry.OnDemandField(name=f.name, type=value_type(f.type.name),
                                                sql=expressions.sql(view.trees[f.name])) for f in view.fields]))
    out = wire.registry.FeatureView(name=view.name, entity=view.entity, event_key=key_fields(view.event_key))
    if view.ttl:
        out.ttl.CopyFrom(duration(view.ttl))
    if view.max_future_skew is not None:
        out.max_future_skew.CopyFrom(duration(view.max_future_skew))
    for f in view.fields:
        field = out.fields.add(name=f.name, type=wire.data.ValueType.Value(f.type.name), array=f.type.array,
                               dimension=f.type.dimension)
        if f.default is not None:
            wire.fill(field.default_value.value, f.type.name, [f.default], f.type.array)
        if f.metric is not None:
            field.index.metric = wire.registry.Metric.Value(f.metric)
    return wire.registry.Object(feature_view=out)


def service_object(name: str, features: list[str], bindings: Iterable[Any] = ()) -> Any:
    return wire.registry.Object(
        feature_service=wire.registry.FeatureService(name=name, features=features, bindings=bindings))


def apply(stubs: Any, project: str, objects: list, **options: Any) -> Any:
    return stubs.registry.Apply(
        wire.registry.ApplyRequest(project=project, objects=objects, **options), timeout=30)


def condition_filter(condition: tuple) -> Any:
    """An oracle condition as a Filter message."""
    kind, out = condition[0], wire.vector.Filter()
    if kind in ("and", "or"):
        getattr(out, kind).filters.extend(condition_filter(c) for c in condition[1])
    elif kind == "not":
        getattr(out, kind).CopyFrom(condition_filter(condition[1]))
    elif kind == "compare":
        out.compare.ref, out.compare.op = condition[1], wire.vector.CompareOp.Value(condition[2])
        out.compare.value.CopyFrom(literal(condition[3]))
    elif kind == "in":
        part = getattr(out, "in")
        part.ref = condition[1]
        part.values.extend(map(literal, condition[2]))
    elif kind == "between":
        out.between.ref = condition[1]
        out.between.low.CopyFrom(literal(condition[2]))
        out.between.high.CopyFrom(literal(condition[3]))
    else:
        out.is_null.ref = condition[1]
    return out


def literal(value: Any) -> Any:
    names = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return wire.vector.Value(**{names[type(value)]: value})
