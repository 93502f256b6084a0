# SPDX-License-Identifier: Apache-2.0
"""Specs from YAML. An unknown key, a wrong type or a missing name is an error that names the path."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias

from fletch import specs
from fletch._times import duration
from fletch.errors import FletchError, bad_input

Reader: TypeAlias = Callable[[Any, str], Any]

def load(source: str | os.PathLike[str]) -> list[specs.Spec]:
    """The specs of a file, or of a text that is YAML itself (it has a line break or a colon)."""
    name = os.fspath(source)
    is_text = isinstance(source, str) and ("\n" in name or (":" in name and not os.path.exists(name)))
    if is_text:
        return parse(name)
    try:
        with open(name, encoding="utf-8") as file:
            return parse(file.read(), name)
    except OSError as error:
        raise bad_input(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise bad_input(f"{name}: not UTF-8 at byte {error.start}") from None


def parse(text: str, name: str = "the YAML text") -> list[specs.Spec]:
    """The specs of a YAML text; `name` says in errors where it came from."""
    documents = _documents(text, name)
    found = [_spec(doc, f"document {i + 1}") for i, doc in enumerate(documents) if doc is not None]
    if not found:
        raise bad_input(f"{name} holds no specs")
    return found


def _documents(text: str, name: str) -> list[Any]:
    try:
        import yaml
    except ImportError:
        raise FletchError(
            "FAILED_PRECONDITION",
            "YAML specs need PyYAML: pip install 'fletch[yaml]'; or give spec objects (fletch.FeatureView, …)",
            reason="MISSING_PACKAGE",
        ) from None

    class Loader(yaml.SafeLoader):
        """As SafeLoader, but a key that stands twice is an error and not the last one's value."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                raise bad_input(f'{name}, line {node.start_mark.line + 1}: key "{twice}" stands twice')
            return super().construct_mapping(node, deep)

    try:
        return list(yaml.load_all(text, Loader))
    except yaml.YAMLError as error:
        raise bad_input(f"{name}: {error}") from None


def _spec(document: Any, path: str) -> specs.Spec:
    if not isinstance(document, dict):
        raise bad_input(f"{path}: a spec is a mapping with kind and name", path)
    kind = document.get("kind")
    if kind not in _READERS:
        raise bad_input(f"{path}: kind {kind!r} is unknown; kinds are {', '.join(_READERS)}", f"{path}.kind")
    constructor, keys, required = _READERS[kind]
    if isinstance(document.get("name"), str):
        path = f"{path} ({kind} {document['name']})"
    body = {key: value for key, value in document.items() if key != "kind"}
    spec: specs.Spec = _object(constructor, keys, required)(body, path)
    return spec


def _object(constructor: Callable[..., Any], keys: dict[str, Reader], required: tuple[str, ...]) -> Reader:
    """A reader of a mapping: each key by its reader, given to `constructor` by name."""

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise bad_input(f"{path}: {value!r} is given; a mapping with {', '.join(keys)} is wanted", path)
        for key in value:
            if key not in keys:
                where = f"{path}.{key}"
                raise bad_input(f"{where}: unknown key; keys are {', '.join(keys)}", where)
        missing = next((key for key in required if value.get(key) is None), None)
        if missing is not None:
            raise bad_input(f"{path}.{missing}: missing", f"{path}.{missing}")
        given = {key: keys[key](item, f"{path}.{key}") for key, item in value.items()}
        return constructor(**given)

    return read


def _list(item: Reader) -> Reader:
    def read(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise bad_input(f"{path}: {value!r} is given; a list is wanted", path)
        return [item(element, f"{path}[{i}]") for i, element in enumerate(value)]

    return read


def _of_type(kind: type, wanted: str) -> Reader:
    def read(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise bad_input(f"{path}: {value!r} is given; {wanted} is wanted", path)
        return value

    return read


def _type_name(value: Any, path: str) -> Any:
    specs.value_type(value, path)
    return value


def _function(value: Any, path: str) -> Any:
    specs.aggregate_function(value, path)
    return value


def _number(value: Any, path: str) -> Any:
    if type(value) not in (int, float):
        raise bad_input(f"{path}: {value!r} is given; a number is wanted", path)
    return float(value)


def _mapping_of_texts(value: Any, path: str) -> Any:
    if not isinstance(value, dict) or not all(isinstance(x, str) for pair in value.items() for x in pair):
        raise bad_input(f"{path}: {value!r} is given; a mapping of names to names is wanted", path)
    return value


def _anything(value: Any, path: str) -> Any:
    return value


_text = _of_type(str, "text")
_flag = _of_type(bool, "true or false")
_count = _of_type(int, "a whole number")
_key = _object(specs.KeyField, {"name": _text, "type": _type_name}, ("name", "type"))
_field = _object(
    specs.Field,
    {
        "name": _text,
        "type": _type_name,
        "array": _flag,
        "dimension": _count,
        "description": _text,
        "default": _anything,
        "forbid_nan": _flag,
        "indexed": _flag,
        "index": _object(
            specs.VectorIndex,
            {"metric": _text, "m": _count, "ef_construction": _count, "target_recall": _number},
            ("metric",),
        ),
    },
    ("name", "type"),
)
_aggregation = _object(
    specs.Aggregation,
    {
        "name": _text,
        "column": _text,
        "function": _function,
        "window": duration,
        "k": _count,
        "percentile": _number,
        "description": _text,
    },
    ("name", "function", "window"),
)
_request_field = _object(
    specs.RequestField, {"name": _text, "type": _type_name, "description": _text}, ("name", "type")
)
_on_demand_field = _object(
    specs.OnDemandField,
    {"name": _text, "type": _type_name, "sql": _text, "description": _text},
    ("name", "type", "sql"),
)
_binding = _object(
    specs.Binding,
    {"alias": _text, "feature_view": _text, "join_key_map": _mapping_of_texts},
    ("alias", "feature_view"),
)

_READERS: dict[str, tuple[Callable[..., Any], dict[str, Reader], tuple[str, ...]]] = {
    "Project": (specs.Project, {"name": _text, "description": _text}, ("name",)),
    "Entity": (
        specs.Entity,
        {"name": _text, "join_keys": _list(_key), "description": _text},
        ("name", "join_keys"),
    ),
    "FeatureView": (
        specs.FeatureView,
        {
            "name": _text,
            "entity": _text,
            "ttl": duration,
            "retention": duration,
            "fields": _list(_field),
            "event_key": _list(_key),
            "max_future_skew": duration,
            "description": _text,
        },
        ("name", "entity", "fields"),
    ),
    "AggregationView": (
        specs.AggregationView,
        {"name": _text, "source": _text, "aggregations": _list(_aggregation), "description": _text},
        ("name", "source", "aggregations"),
    ),
    "OnDemandFeatureView": (
        specs.OnDemandFeatureView,
        {
            "name": _text,
            "inputs": _list(_text),
            "request": _list(_request_field),
            "fields": _list(_on_demand_field),
            "description": _text,
        },
        ("name", "fields"),
    ),
    "FeatureService": (
        specs.FeatureService,
        {
            "name": _text,
            "bindings": _list(_binding),
            "features": _list(_text),
            "description": _text,
        },
        ("name", "features"),
    ),
}
