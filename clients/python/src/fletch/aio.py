# SPDX-License-Identifier: Apache-2.0
"""The client for asyncio: the methods of Client, awaited. Their docstrings are Client's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from fletch import _historical, _ingest, _io, _reads, _registry, _training_sets, specs
from fletch._frames import Rows
from fletch._ingest import WriteResult
from fletch._io import Operation, T
from fletch._reads import Context, Features
from fletch._registry import Session
from fletch._search_methods import AsyncSearchMethods
from fletch._times import Instant, KnownAt
from fletch.client import CHANNEL_OPTIONS, DEFAULT_TARGET, DEFAULT_TIMEOUT
from fletch.errors import from_rpc_error
from fletch.results import (
    Compaction,
    EraseReceipt,
    FeatureHistory,
    Lineage,
    OnlineFeatures,
    ParityAudit,
    Status,
    TrainingSetInfo,
    Verification,
)
from fletch.training import AsyncHistoricalFeatures, AsyncTrainingSet

_SEND_FAILED = "Internal error from Core"
_STATUS_SECONDS = 1.0  # the daemon's status is there or on its way


def _at_once(awaitable: Any) -> Any:
    """The result of a coroutine that has nothing to wait for, as those that ask an ended call have."""
    try:
        awaitable.send(None)
    except StopIteration as result:
        return result.value
    raise AssertionError("an ended call had no status")


class _AsyncStream:
    """A stream whose requests are taken from a queue by a task of grpc's, so that sending never blocks reading."""

    def __init__(self, channel: grpc.aio.Channel, method: _io.Method[Any, Any], timeout: float | None) -> None:
        self._requests: asyncio.Queue[Message | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._error: grpc.aio.AioRpcError | None = None
        start = channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        self._call = start(self._take(), timeout=timeout)
        self._call.add_done_callback(self._note_status)

    async def _take(self) -> AsyncIterator[Message]:
        while (request := await self._requests.get()) is not None:
            yield request

    def send(self, request: Message | None) -> None:
        self._requests.put_nowait(request)

    async def receive(self) -> Any:
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            if error.details() != _SEND_FAILED:
                raise
            raise await self._daemons_error(error) from None
        return None if response is grpc.aio.EOF else response

    def _note_status(self, call: Any) -> None:
        """Keeps the daemon's status: grpc.aio writes its own over it if a request is under way at that moment."""
        if _at_once(call.details()) != _SEND_FAILED:
            self._error = grpc.aio.AioRpcError(
                _at_once(call.code()),
                _at_once(call.initial_metadata()),
                _at_once(call.trailing_metadata()),
                _at_once(call.details()),
            )
            self._ended.set()

    async def _daemons_error(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        """Why the daemon ended the call, where `error` only says that a request could not be sent any more."""
        try:
            await asyncio.wait_for(self._ended.wait(), _STATUS_SECONDS)
        except TimeoutError:
            return error
        return self._error or error

    def cancel(self) -> None:
        self._call.cancel()


class AsyncClient(AsyncSearchMethods):
    """As `Client`, with methods to be awaited. Make it inside a running event loop and use it in that one only."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        project: str,
        credentials: grpc.ChannelCredentials | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        self._target = target
        self._timeout = timeout
        self._session = Session(project)
        self._calls: dict[str, Any] = {}  # by path: to make one costs as much as a small request
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)

    @property
    def project(self) -> str:
        return self._session.project

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, operation: Operation[T], timeout: float | None = None) -> T:
        try:
            step = next(operation)
            while True:
                try:
                    answer = await self._perform(step, timeout)
                except grpc.RpcError as error:
                    step = operation.throw(from_rpc_error(error, self._target))
                except asyncio.CancelledError:
                    operation.close()
                    raise
                else:
                    step = operation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _perform(self, step: _io.Step, timeout: float | None) -> Any:
        if isinstance(step, _io.Call):
            method = step.method
            unary = self._calls.get(method.path)
            if unary is None:
                unary = self._calls[method.path] = self._channel.unary_unary(
                    method.path,
                    request_serializer=method.request.SerializeToString,
                    response_deserializer=method.response.FromString,
                )
            return await unary(step.request, timeout=self._timeout if timeout is None else timeout)
        if isinstance(step, _io.Sleep):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, _io.Open):
            return _AsyncStream(self._channel, step.method, timeout)
        assert isinstance(step.stream, _AsyncStream)
        return step.stream.send(step.request) if isinstance(step, _io.Send) else await step.stream.receive()

    # The registry.

    async def apply(
        self,
        source: str | os.PathLike[str] | specs.Spec | Iterable[specs.Spec],
        *,
        dry_run: bool = False,
        allow_breaking: bool = False,
        expected_revision: int = 0,
        timeout: float | None = None,
    ) -> specs.Plan:
        return await self._run(
            _registry.apply(self._session, source, dry_run, allow_breaking, expected_revision),
            timeout,
        )

    async def get_object(self, kind: str, name: str, *, timeout: float | None = None) -> specs.Spec:
        return await self._run(_registry.get_object(self._session, kind, name), timeout)

    async def list_objects(self, kind: str | None = None, *, timeout: float | None = None) -> list[specs.Spec]:
        return await self._run(_registry.list_objects(self._session, kind), timeout)

    async def delete_object(self, kind: str, name: str, *, timeout: float | None = None) -> int:
        return await self._run(_registry.delete_object(self._session, kind, name), timeout)

    async def get_lineage(self, kind: str, name: str, *, timeout: float | None = None) -> Lineage:
        return await self._run(_reads.get_lineage(self._session, kind, name), timeout)

    # Writes.

    async def write(
        self,
        feature_view: str,
        rows: Rows,
        *,
        timestamp_column: str = "event_timestamp",
        durability: str = "SYNC",
        request_id: str = "",
        nan_as_value: bool = False,
        merge: bool = False,
        batch_rows: int | None = None,
        timeout: float | None = None,
    ) -> WriteResult:
        operation = _ingest.write(
            self._session,
            feature_view,
            rows,
            timestamp_column,
            durability,
            request_id,
            nan_as_value,
            merge,
            batch_rows,
        )
        return await self._run(operation, timeout)

    async def delete(
        self,
        feature_view: str,
        rows: Rows,
        *,
        timestamp_column: str = "event_timestamp",
        durability: str = "SYNC",
        request_id: str = "",
        timeout: float | None = None,
    ) -> WriteResult:
        operation = _ingest.delete(self._session, feature_view, rows, timestamp_column, durability, request_id)
        return await self._run(operation, timeout)

    async def retract(
        self,
        feature_view: str,
        rows: Rows,
        *,
        timestamp_column: str = "event_timestamp",
        tombstones: bool = False,
        durability: str = "SYNC",
        request_id: str = "",
        timeout: float | None = None,
    ) -> WriteResult:
        operation = _ingest.retract(
            self._session, feature_view, rows, timestamp_column, tombstones, durability, request_id
        )
        return await self._run(operation, timeout)

    async def erase(self, entity: str, key: Mapping[str, object], *, timeout: float | None = None) -> EraseReceipt:
        return await self._run(_ingest.erase(self._session, entity, key), timeout)

    async def list_erasures(self, *, timeout: float | None = None) -> list[EraseReceipt]:
        return await self._run(_ingest.list_erasures(self._session), timeout)

    # Reads.

    async def get_online_features(
        self,
        features: Features,
        entity_rows: Rows,
        *,
        request_context: Context | None = None,
        bindings: Sequence[specs.Binding] = (),
        as_of: Instant | None = None,
        known_at: KnownAt | None = None,
        min_seq: int = 0,
        include_event_timestamps: bool = True,
        timeout: float | None = None,
    ) -> OnlineFeatures:
        operation = _reads.get_online_features(
            self._session,
            features,
            entity_rows,
            request_context,
            bindings,
            as_of,
            known_at,
            min_seq,
            include_event_timestamps,
        )
        return await self._run(operation, timeout)

    async def get_historical_features(
        self,
        entity_df: Rows,
        features: Features,
        *,
        timestamp_column: str = "event_timestamp",
        bindings: Sequence[specs.Binding] = (),
        known_at: KnownAt | None = None,
        as_served: bool = False,
        min_seq: int = 0,
        include_statuses: bool = False,
        include_event_timestamps: bool = False,
        out_of_range: str = "FAIL",
        batch_rows: int | None = None,
        timeout: float | None = None,
    ) -> AsyncHistoricalFeatures:
        operation = _historical.open_join(
            self._session,
            entity_df,
            features,
            bindings,
            timestamp_column,
            known_at,
            as_served,
            min_seq,
            include_statuses,
            include_event_timestamps,
            out_of_range,
            batch_rows,
        )
        return AsyncHistoricalFeatures(await self._run(operation, timeout), self._run)

    async def get_feature_history(
        self,
        feature_view: str,
        key: Mapping[str, object] | None = None,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        last_k: int = 0,
        known_at: KnownAt | None = None,
        all_forms: bool = False,
        timeout: float | None = None,
    ) -> FeatureHistory:
        operation = _reads.get_feature_history(
            self._session, feature_view, key, start, end, last_k, known_at, all_forms
        )
        return await self._run(operation, timeout)

    async def status(self, *, timeout: float | None = None) -> Status:
        return await self._run(_reads.status(self._session), timeout)

    async def compact(self, *, timeout: float | None = None) -> Compaction:
        return await self._run(_reads.compact(self._session), timeout)

    async def audit_parity(
        self, features: Features | None = None, *, entities: int = 0, seed: int = 0, timeout: float | None = None
    ) -> ParityAudit:
        return await self._run(_reads.audit_parity(self._session, features, entities, seed), timeout)

    # Training sets.

    async def create_training_set(
        self,
        name: str,
        entity_df: Rows,
        features: Features,
        *,
        timestamp_column: str = "event_timestamp",
        bindings: Sequence[specs.Binding] = (),
        known_at: KnownAt | None = None,
        as_served: bool = False,
        out_of_range: str = "FAIL",
        description: str = "",
        batch_rows: int | None = None,
        timeout: float | None = None,
    ) -> TrainingSetInfo:
        operation = _training_sets.create(
            self._session,
            name,
            entity_df,
            features,
            bindings,
            timestamp_column,
            known_at,
            as_served,
            out_of_range,
            description,
            batch_rows,
        )
        return await self._run(operation, timeout)

    async def get_training_set(
        self,
        name: str,
        *,
        include_statuses: bool = False,
        include_event_timestamps: bool = False,
        timeout: float | None = None,
    ) -> AsyncTrainingSet:
        info = await self._run(_training_sets.describe(self._session, name), timeout)

        def read(batch: int) -> Operation[Any]:
            return _training_sets.read_batch(self._session, name, batch, include_statuses, include_event_timestamps)

        return AsyncTrainingSet(info, read, lambda operation: self._run(operation, timeout))

    async def list_training_sets(self, *, timeout: float | None = None) -> list[TrainingSetInfo]:
        return await self._run(_training_sets.list_all(self._session), timeout)

    async def verify_training_set(self, name: str, *, timeout: float | None = None) -> Verification:
        return await self._run(_training_sets.verify(self._session, name), timeout)

    async def delete_training_set(self, name: str, *, timeout: float | None = None) -> None:
        await self._run(_training_sets.delete(self._session, name), timeout)
