# SPDX-License-Identifier: Apache-2.0
"""The wire contract in Python: stubs generated from proto/ into the cache, and columns to and from lists.

Plain generated stubs, not the client package, so that a fault of the client cannot hide one of the daemon.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pathlib
import shutil
import struct
import sys
import tempfile
from typing import Any, Optional, Sequence

from oracle.windows import Near

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("FLETCH_CACHE", pathlib.Path.home() / ".cache/fletch"))


def _generate() -> pathlib.Path:
    """The folder of the generated modules; made once for each content of the protos."""
    protos = sorted((ROOT / "proto/fletch/v1").glob("*.proto"))
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in protos)).hexdigest()[:12]
    folder = CACHE / f"stubs-{digest}"
    if folder.exists():
        return folder
    from grpc_tools import protoc
    import grpc_tools

    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.mkdtemp(dir=CACHE)
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={scratch}",
                        f"--grpc_python_out={scratch}", *map(str, protos)])
    if code != 0:
        raise RuntimeError("protoc failed")
    try:
        os.rename(scratch, folder)
    except OSError:  # another process made it meanwhile
        shutil.rmtree(scratch)
    return folder


sys.path.insert(0, str(_generate()))
data = importlib.import_module("fletch.v1.data_pb2")
registry = importlib.import_module("fletch.v1.registry_pb2")
ingest = importlib.import_module("fletch.v1.ingest_pb2")
serving = importlib.import_module("fletch.v1.serving_pb2")
historical = importlib.import_module("fletch.v1.historical_pb2")
vector = importlib.import_module("fletch.v1.vector_pb2")
admin = importlib.import_module("fletch.v1.admin_pb2")
_STUB_MODULES = [importlib.import_module(f"fletch.v1.{name}_pb2_grpc")
                 for name in ("registry", "ingest", "serving", "historical", "vector", "admin")]
MODULES = (registry, ingest, serving, historical, vector, admin)


class Stubs:
    """All services of one daemon."""

    def __init__(self, channel: Any) -> None:
        (self.registry, self.ingest, self.serving, self.historical, self.vector, self.admin) = (
            getattr(module, name + "ServiceStub")(channel) for module, name in zip(
                _STUB_MODULES, ("Registry", "Ingest", "Serving", "Historical", "Vector", "Admin")))


# type -> (oneof member, what stands at null rows)
_KINDS = {"BOOL": ("bools", False), "INT32": ("int32s", 0), "INT64": ("int64s", 0), "FLOAT": ("floats", 0.0),
          "DOUBLE": ("doubles", 0.0), "STRING": ("strings", ""), "BYTES": ("bytes", b""),
          "TIMESTAMP": ("timestamps", 0), "JSON": ("json", "")}


def fill(column: Any, type_name: str, values: Sequence[Any], array: bool = False, dimension: int = 0) -> Any:
    """Writes `values` (None: null) into `column`, a data.Column."""
    column.null_rows.extend(i for i, v in enumerate(values) if v is None)
    if array:
        column.arrays.lengths.extend(0 if v is None else len(v) for v in values)
        fill(column.arrays.elements, type_name, [e for v in values if v is not None for e in v])
    elif type_name == "FLOAT_VECTOR":
        column.vectors.dimension = dimension
        for v in values:
            column.vectors.values.extend([0.0] * dimension if v is None else v)
    else:
        member, zero = _KINDS[type_name]
        part = getattr(column, member)
        part.SetInParent()
        dense = [zero if v is None else v for v in values]
        (part.micros if type_name == "TIMESTAMP" else part.values).extend(dense)
    return column


def make(type_name: str, values: Sequence[Any], array: bool = False, dimension: int = 0) -> Any:
    return fill(data.Column(), type_name, values, array, dimension)


def times(*micros: int) -> Any:
    return data.TimestampColumn(micros=micros)


def known_at(seq: Optional[int] = None, time: Optional[int] = None) -> Any:
    return data.KnownAt(commit_seq=seq) if seq is not None else data.KnownAt(time=times(time))


class BadAnswer(Exception):
    """An answer that breaks the contract's own rules (lengths, order)."""


def _dense(column: Any, rows: int) -> list:
    which = column.WhichOneof("values")
    if which is None:
        return [None] * rows
    part = getattr(column, which)
    if which == "vectors":
        d = part.dimension
        return [tuple(part.values[i * d:(i + 1) * d]) for i in range(rows)]
    if which == "arrays":
        flat = _dense(part.elements, sum(part.lengths))
        out, at = [], 0
        for length in part.lengths:
            out.append(tuple(flat[at:at + length]))
            at += length
        return out
    return list(part.micros if which == "timestamps" else part.values)


def values_of(column: Any, rows: int) -> list:
    """The values of a column with null_rows; None where null."""
    out = _dense(column, rows)
    if len(out) != rows:
        raise BadAnswer(f"{len(out)} values for {rows} rows")
    for i in column.null_rows:
        out[i] = None
    return out


def cells_of(column: Any, rows: int, with_times: bool) -> list[tuple]:
    """(status, value, event timestamp) of each row of an answer's column."""
    values = _dense(column, rows)
    statuses = list(column.statuses) or [0] * rows
    if len(values) != rows or len(statuses) != rows:
        raise BadAnswer(f"{len(values)} values and {len(statuses)} statuses for {rows} rows")
    stamps: list[Optional[int]] = [None] * rows
    if with_times:
        stamps = list(column.event_timestamps.micros)
        if len(stamps) != rows:
            raise BadAnswer(f"{len(stamps)} event timestamps for {rows} rows")
        for i in column.event_timestamp_unset_rows:
            stamps[i] = None
    return [(s, v if s == 0 else None, t) for s, v, t in zip(statuses, values, stamps)]


def canonical(value: Any) -> Any:
    """A value that compares bit for bit: NaN equals itself, -0.0 is not 0.0, lists are tuples."""
    if isinstance(value, float):
        return struct.pack("<d", value) if value == value else "NaN"
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    return value


def same_cell(expected: tuple, got: tuple) -> bool:
    """(status, value, event timestamp) bit for bit, or near where the expected value says how near."""
    if expected[0] != got[0] or expected[2] != got[2]:
        return False
    if isinstance(expected[1], Near):
        return got[0] == 0 and expected[1].holds(got[1])
    return canonical(expected[1]) == canonical(got[1])


def field_path_and_reason(error: Any) -> tuple[str, str]:
    """(field path, reason) of a grpc.RpcError's details; empty where there are none."""
    errors = importlib.import_module("fletch.v1.errors_pb2")
    path = reason = ""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in errors.ErrorStatus.FromString(value).details:
            if detail.type_url.endswith("BadRequest"):
                path = errors.BadRequest.FromString(detail.value).field_violations[0].field
            if detail.type_url.endswith("ErrorInfo"):
                reason = errors.ErrorInfo.FromString(detail.value).reason
    return path, reason
