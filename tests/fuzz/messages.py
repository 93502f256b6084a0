# SPDX-License-Identifier: Apache-2.0
"""Messages of random content, mostly of names that exist, and mutations of bytes."""

from __future__ import annotations

import random
import time
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message_factory import GetMessageClass

NAMES = ["fuzz", "fuzz", "fuzz", "e", "v", "v@v1", "v@v9", "s", "k", "l", "ek", "p", "v:p", "v:p", "v:f_int64", "v:f_string",
         "a:f_bool", "a", "f_int64", "f_double", "f_array", "f_json", "", "x" * 65, "Ü", "v:", ":", "2001-01-31T12:00:00Z"]
EDGES = [0, 0, 1, 1, 2, 3, -1, 7, 1000, 2**31 - 1, -(2**31), 2**32 + 5, 2**63 - 1, -(2**63), 253402300799999999,
         253402300800000000, -62135596800000000, -62135596800000001]
FLOATS = [0.0, -0.0, 1.0, 2.5, float("inf"), float("-inf"), float("nan"), 1e300, 5e-324]
# A key column of the view, by name: what most requests with a map of columns need in order to be accepted.
MAP_KEYS = ["k", "l", "ek", "f_int64", "p", "zz"]
_RANGES = {F.TYPE_INT32: 31, F.TYPE_SINT32: 31, F.TYPE_SFIXED32: 31, F.TYPE_UINT32: 32, F.TYPE_FIXED32: 32,
           F.TYPE_INT64: 63, F.TYPE_SINT64: 63, F.TYPE_SFIXED64: 63, F.TYPE_UINT64: 64, F.TYPE_FIXED64: 64}
_UNSIGNED = {F.TYPE_UINT32, F.TYPE_FIXED32, F.TYPE_UINT64, F.TYPE_FIXED64}


class Messages:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def make(self, descriptor: Any, depth: int = 0) -> Any:
        message = GetMessageClass(descriptor)()
        self._shape(message)
        for field in descriptor.fields:
            if self.rng.random() < (0.55 if depth < 3 else 0.25):
                self._set(message, field, depth)
        project = descriptor.fields_by_name.get("project")
        if project is not None and project.type == F.TYPE_STRING and self.rng.random() < 0.9:
            message.project = "fuzz"
        return message

    def _shape(self, message: Any) -> None:
        """Columns of one row where a message has columns, so that some requests are whole."""
        for name, count in (("row_count", 1), ("top_k", 3)):
            if name in message.DESCRIPTOR.fields_by_name and self.rng.random() < 0.8:
                setattr(message, name, count)
        for name in ("keys", "columns", "entity_key"):
            field = message.DESCRIPTOR.fields_by_name.get(name)
            if field is not None and field.message_type.GetOptions().map_entry:
                columns = getattr(message, name)
                columns["k"].int64s.values.append(self.rng.randrange(3))
                columns["l"].strings.values.append(self.rng.choice("ab"))
        if message.DESCRIPTOR.name == "RowBatch":
            message.feature_view = "v"
            message.columns["ek"].strings.values.append("x")
            message.event_timestamps.micros.append(int(time.time() * 1e6) - self.rng.randrange(10**9))
        if message.DESCRIPTOR.name == "BatchSearchRequest" and self.rng.random() < 0.7:
            message.common.CopyFrom(self.make(message.common.DESCRIPTOR, 3))
            message.common.ClearField("vector")
            message.common.ClearField("entity_key")
            message.common.project, message.common.index = "fuzz", "v:p"
            message.query_count = 2
            if self.rng.random() < 0.5:
                message.vectors.extend([1.0, 2.0, 0.5, 1.0])
            else:
                message.entity_keys["k"].int64s.values.extend([0, 1])
                message.entity_keys["l"].strings.values.extend(["a", "b"])
        if message.DESCRIPTOR.name in ("AuditRecallRequest", "DescribeIndexRequest", "RebuildIndexRequest"):
            message.index = "v:p"
        if message.DESCRIPTOR.name == "SearchRequest" and self.rng.random() < 0.7:
            message.index = "v:p"
            message.vector.extend([1.0, 2.0])
            message.ClearField("entity_key")

    def _set(self, message: Any, field: Any, depth: int) -> None:
        rng = self.rng
        if field.name in ("row_count", "top_k", "keys", "columns", "entity_key", "feature_view", "index",
                          "event_timestamps", "common", "query_count", "vectors", "entity_keys") and rng.random() < 0.85:
            return  # leave the shape whole, mostly
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            for _ in range(rng.randrange(3)):
                key = rng.choice(MAP_KEYS)
                if value.message_type is None:
                    getattr(message, field.name)[key] = rng.choice(NAMES)
                elif depth < 6:
                    getattr(message, field.name)[key].CopyFrom(self.make(value.message_type, depth + 1))
        elif field.message_type is not None:
            if depth >= 8:
                return
            if field.is_repeated:
                for _ in range(rng.randrange(1, 3)):
                    getattr(message, field.name).append(self.make(field.message_type, depth + 1))
            else:
                getattr(message, field.name).CopyFrom(self.make(field.message_type, depth + 1))
        elif field.is_repeated:
            getattr(message, field.name).extend(self._scalar(field) for _ in range(rng.randrange(4)))
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: Any) -> Any:
        rng = self.rng
        if field.type == F.TYPE_STRING:
            return rng.choice(NAMES)
        if field.type == F.TYPE_BYTES:
            return rng.randbytes(rng.randrange(8))
        if field.type == F.TYPE_BOOL:
            return rng.random() < 0.5
        if field.type == F.TYPE_ENUM:
            return rng.choice([v.number for v in field.enum_type.values] + [99])
        if field.type == F.TYPE_DOUBLE:
            return rng.choice(FLOATS)
        if field.type == F.TYPE_FLOAT:
            return rng.choice([x for x in FLOATS if x != 1e300])
        bits = _RANGES[field.type]
        value = rng.choice(EDGES) % (1 << bits)
        return value if field.type in _UNSIGNED or rng.random() < 0.7 else -value


def mutate(rng: random.Random, whole: bytes) -> bytes:
    """A few flips, cuts, repeats and insertions."""
    out = bytearray(whole)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not out:
            return rng.randbytes(3)
        at = rng.randrange(len(out))
        kind = rng.randrange(5)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.choice([0, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == 2:
            del out[at:at + rng.randrange(1, 9)]
        elif kind == 3:
            out[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            end = at + rng.randrange(1, 30)
            out[at:at] = out[at:end]
    return bytes(out)
