# SPDX-License-Identifier: Apache-2.0
"""A server in this process that speaks the generated messages; each test says what it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import any_pb2

from fletch import _io
from fletch.v1 import data_pb2, errors_pb2, registry_pb2

UNARY = [
    _io.APPLY, _io.GET, _io.LIST, _io.DELETE_OBJECT, _io.WRITE, _io.DELETE, _io.RETRACT, _io.GET_ONLINE,
    _io.GET_HISTORY, _io.SEARCH, _io.GET_STATUS, _io.ERASE, _io.LIST_ERASURES, _io.GET_LINEAGE, _io.COMPACT,
    _io.AUDIT_PARITY, _io.GET_TRAINING_SET, _io.LIST_TRAINING_SETS, _io.VERIFY_TRAINING_SET, _io.DELETE_TRAINING_SET,
    _io.BATCH_SEARCH, _io.AUDIT_RECALL, _io.DESCRIBE_INDEX, _io.REBUILD_INDEX,
]  # fmt: skip
STREAMS = [_io.WRITE_STREAM, _io.GET_HISTORICAL, _io.CREATE_TRAINING_SET]

# What the tests write and read.
T0 = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
MICROS0 = 978307200_000000
TEMPERATURE = registry_pb2.Field(name="temperature_c", type=data_pb2.DOUBLE)
REF = "weather:temperature_c"


class Refusal(Exception):
    """Raised by a handler: becomes a gRPC error with details, as the daemon sends them."""

    def __init__(self, code: grpc.StatusCode, message: str, reason: str, field: str = "", retry: float = 0) -> None:
        super().__init__(message)
        self.code = code
        self.details = errors_pb2.ErrorStatus(code=code.value[0], message=message)
        self._add("ErrorInfo", errors_pb2.ErrorInfo(reason=reason, domain="fletch"))
        if field:
            violation = errors_pb2.BadRequest.FieldViolation(field=field, description=message)
            self._add("BadRequest", errors_pb2.BadRequest(field_violations=[violation]))
        if retry:
            info = errors_pb2.RetryInfo()
            info.retry_delay.FromMilliseconds(round(retry * 1000))
            self._add("RetryInfo", info)

    def _add(self, name: str, message: Any) -> None:
        packed = any_pb2.Any(type_url=f"type.googleapis.com/google.rpc.{name}", value=message.SerializeToString())
        self.details.details.append(packed)


class FakeDaemon:
    """`answers[method]` is a function of a request (or of an iterator of them); `requests` is all that came."""

    def __init__(self) -> None:
        self.answers: dict[_io.Method[Any, Any], Callable[[Any], Any]] = {_io.GET: self.get}
        self.requests: list[Any] = []
        self.objects: dict[tuple[int, str], registry_pb2.Object] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
        handlers: dict[str, dict[str, Any]] = {}
        for method in UNARY + STREAMS:
            _, service, name = method.path.split("/")
            make = grpc.stream_stream_rpc_method_handler if method in STREAMS else grpc.unary_unary_rpc_method_handler
            handlers.setdefault(service, {})[name] = make(
                self._streamer(method) if method in STREAMS else self._caller(method),
                request_deserializer=method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0)

    def seen(self, kind: type[Any]) -> list[Any]:
        return [r for r in self.requests if isinstance(r, kind)]

    def get(self, request: registry_pb2.GetRequest) -> registry_pb2.GetResponse:
        found = self.objects.get((request.kind, request.name.partition("@")[0]))
        if found is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"no {request.name}", "NO_SUCH_OBJECT", "name")
        return registry_pb2.GetResponse(object=found, revision=1)

    def declare(self, view: str, fields: list[registry_pb2.Field], event_key: str | None = None) -> None:
        """A view of the entity "airport", whose join key is "airport"."""
        key = registry_pb2.KeyField(name="airport", type=data_pb2.STRING)
        entity = registry_pb2.Entity(name="airport", join_keys=[key])
        self.objects[registry_pb2.ENTITY, "airport"] = registry_pb2.Object(entity=entity)
        keys = [registry_pb2.KeyField(name=event_key, type=data_pb2.STRING)] if event_key else []
        declared = registry_pb2.FeatureView(name=view, entity="airport", fields=fields, event_key=keys, version=1)
        self.objects[registry_pb2.FEATURE_VIEW, view] = registry_pb2.Object(feature_view=declared)

    def _caller(self, method: _io.Method[Any, Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            self.requests.append(request)
            try:
                return self.answers[method](request)
            except Refusal as refusal:
                _refuse(context, refusal)

        return handle

    def _streamer(self, method: _io.Method[Any, Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            def recorded() -> Iterator[Any]:
                for request in requests:
                    self.requests.append(request)
                    yield request

            try:
                yield from self.answers[method](recorded())
            except Refusal as refusal:
                _refuse(context, refusal)

        return handle


def _refuse(context: grpc.ServicerContext, refusal: Refusal) -> None:
    context.set_trailing_metadata((("grpc-status-details-bin", refusal.details.SerializeToString()),))
    context.abort(refusal.code, str(refusal))
