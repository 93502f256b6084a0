# SPDX-License-Identifier: Apache-2.0
"""Packed protobuf fields straight from and to buffers, so that a million values are a few copies, not a million objects.

Knows three facts of the protobuf encoding: a field is a tag (number << 3 | wire type) and its bytes; wire type 2 is a
varint length and so many bytes; a packed list of fixed-width numbers is their little-endian bytes one after the other.
"""

from __future__ import annotations

import sys

assert sys.byteorder == "little", "fletch hands numbers over as little-endian buffers"

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """`value` (not negative) as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_field(number: int, payload: bytes | memoryview) -> bytes:
    """The field `number` holding `payload`: a packed list, a text or a message."""
    return b"".join((varint(number << 3 | _LENGTH), varint(len(payload)), payload))


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def length_fields(data: bytes | memoryview) -> dict[int, memoryview]:
    """The length-delimited fields of a serialised message, by number; of one that comes again, the last.

    REQUIRES: `data` was serialised by protobuf itself, so it is well formed.
    """
    view = memoryview(data)
    found: dict[int, memoryview] = {}
    at = 0
    while at < len(view):
        tag, at = _read_varint(view, at)
        kind = tag & 7
        if kind == _LENGTH:
            size, at = _read_varint(view, at)
            found[tag >> 3] = view[at : at + size]
            at += size
        elif kind == _VARINT:
            _, at = _read_varint(view, at)
        else:
            at += 8 if kind == _FIXED64 else 4
    return found
