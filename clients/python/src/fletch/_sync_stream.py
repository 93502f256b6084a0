# SPDX-License-Identifier: Apache-2.0
"""A bidirectional call of the blocking client."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import Message

from fletch import _io


class SyncStream:
    """A stream whose requests are taken from a queue by grpc's own thread, so that sending never blocks reading."""

    def __init__(self, channel: grpc.Channel, method: _io.Method[Any, Any], timeout: float | None) -> None:
        self._requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        start = channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        self._call = start(self._take(), timeout=timeout)

    def _take(self) -> Iterator[Message]:
        while (request := self._requests.get()) is not None:
            yield request

    def send(self, request: Message | None) -> None:
        self._requests.put(request)

    def receive(self) -> Any:
        return next(self._call, None)

    def cancel(self) -> None:
        self._requests.put(None)
        self._call.cancel()
