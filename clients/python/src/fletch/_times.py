# SPDX-License-Identifier: Apache-2.0
"""Instants: microseconds since the epoch, UTC, on the wire; datetimes outside. Finer input is floored."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, TypeAlias

from fletch.errors import bad_input
from fletch.v1 import data_pb2

Instant: TypeAlias = dt.datetime | dt.date | int | str
"""A datetime (aware, or naive and then UTC; pandas' and numpy's too), int microseconds, or an RFC 3339 text."""

KnownAt: TypeAlias = int | dt.datetime | str
"""An int is a commit_seq; a datetime or an RFC 3339 text is a time."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICRO = dt.timedelta(microseconds=1)
_FINER_THAN_MICROS = re.compile(r"(\.\d{6})\d+")


def to_micros(value: Any, field: str) -> int:
    """Microseconds since the epoch of any `Instant`; `field` is named in the error."""
    if isinstance(value, dt.datetime):
        if value != value:
            raise bad_input(f"{field}: NaT is no time", field)
        return (_plain(value) - EPOCH) // _MICRO
    if isinstance(value, dt.date):
        return (dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC) - EPOCH) // _MICRO
    if isinstance(value, str):
        return to_micros(_parse(value, field), field)
    if type(value).__module__ == "numpy":
        return _numpy_micros(value, field)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise bad_input(
        f"{field}: {value!r} is no time; give a datetime, int microseconds or RFC 3339 text such as "
        '"2001-01-31T12:00:00Z"',
        field,
    )


def _plain(value: dt.datetime) -> dt.datetime:
    """Aware, and never a pandas Timestamp: its nanoseconds lie beyond a datetime's parts, so they are floored."""
    return dt.datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond,
        tzinfo=value.tzinfo or dt.UTC, fold=value.fold,
    )  # fmt: skip


def _parse(text: str, field: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(_FINER_THAN_MICROS.sub(r"\1", text.strip()))
    except ValueError:
        raise bad_input(f'{field}: {text!r} is no RFC 3339 time such as "2001-01-31T12:00:00Z"', field) from None


def _numpy_micros(value: Any, field: str) -> int:
    if value.dtype.kind in "iu":
        return int(value)
    if value.dtype.kind != "M" or value != value:
        raise bad_input(f"{field}: {value!r} is no time", field)
    return int(value.astype("datetime64[us]").astype("int64"))


def from_micros(micros: int) -> dt.datetime:
    """The aware datetime (UTC) of `micros`."""
    return EPOCH + dt.timedelta(microseconds=micros)


def instant(value: Instant, field: str) -> data_pb2.TimestampColumn:
    """One instant as it travels."""
    return data_pb2.TimestampColumn(micros=[to_micros(value, field)])


def known_at(value: KnownAt) -> data_pb2.KnownAt:
    """A moment of knowledge as it travels."""
    if isinstance(value, bool):
        raise bad_input("known_at: give a commit_seq (int) or a time (datetime), not a bool", "known_at")
    if isinstance(value, int):
        if value < 0:
            raise bad_input(f"known_at: {value} is negative; a commit_seq is 0 or more", "known_at")
        return data_pb2.KnownAt(commit_seq=value)
    return data_pb2.KnownAt(time=instant(value, "known_at"))


_UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
_DURATION = re.compile(r"(\d+)(d|h|m|s|ms|us)")


def duration(value: object, field: str) -> dt.timedelta:
    """A timedelta, 0, or a text of one number and unit: "7d", "3h", "10m", "90s", "500ms", "20us"."""
    if isinstance(value, dt.timedelta):
        if value < dt.timedelta(0):
            raise bad_input(f"{field}: {value} is negative", field)
        return value
    if value == "0" or (value == 0 and type(value) is int):
        return dt.timedelta(0)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise bad_input(f"{field}: {value!r} is no duration; write 7d, 3h, 10m, 90s, 500ms, 20us or 0", field)
    try:
        return dt.timedelta(microseconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise bad_input(f"{field}: {value!r} is too long", field) from None
