# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, in one class."""

from __future__ import annotations

from typing import Any

import grpc

from fletch.v1 import errors_pb2

_DETAILS_KEY = "grpc-status-details-bin"


class FletchError(Exception):
    """A request that was refused, by the daemon or before it was sent.

    Attributes:
      code: The gRPC code's name: "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", …
      reason: Stable and for programs: "QUEUE_FULL", …; "BAD_INPUT" when this library refused it; "" when none was sent.
      message: What was wrong, where, and what would be right.
      field: Path of the field at fault, "" when no field is.
      retry_after: Seconds after which trying again can help; None: it cannot, or nobody knows.
      committed_rows: Of a write in several commits: rows committed before the refusal. They stay.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        field: str = "",
        retry_after: float | None = None,
        committed_rows: int = 0,
    ) -> None:
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.committed_rows = committed_rows
        super().__init__(code, message)  # what a pickled error is made of again; the rest are attributes

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text} (field: {self.field})" if self.field and self.field not in self.message else text


def bad_input(message: str, field: str = "") -> FletchError:
    """An error of the caller's data or arguments, found before anything was sent."""
    return FletchError("INVALID_ARGUMENT", message, reason="BAD_INPUT", field=field)


def from_rpc_error(error: grpc.RpcError, target: str) -> FletchError:
    """The daemon's error with its details; `target` is named when nobody answered."""
    code = error.code().name
    details = _status_details(error)
    if details is None:
        message = error.details() or "the daemon gave no message"
        if code == "UNAVAILABLE":
            message = f"no answer from {target}: is fletchd running there? ({message})"
        return FletchError(code, message)
    result = FletchError(code, details.message or error.details() or "")
    for detail in details.details:
        kind = detail.type_url.rsplit("/", 1)[-1]
        if kind == "google.rpc.ErrorInfo":
            result.reason = errors_pb2.ErrorInfo.FromString(detail.value).reason
        elif kind == "google.rpc.BadRequest":
            violations = errors_pb2.BadRequest.FromString(detail.value).field_violations
            result.field = violations[0].field if violations else ""
        elif kind == "google.rpc.RetryInfo":
            delay = errors_pb2.RetryInfo.FromString(detail.value).retry_delay
            result.retry_after = delay.seconds + delay.nanos / 1e9
    return result


def _status_details(error: grpc.RpcError) -> errors_pb2.ErrorStatus | None:
    metadata: Any = error.trailing_metadata() or ()  # pairs, of both clients
    for key, value in metadata:
        if key == _DETAILS_KEY:
            return errors_pb2.ErrorStatus.FromString(value)
    return None
