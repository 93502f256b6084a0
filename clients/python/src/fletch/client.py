# SPDX-License-Identifier: Apache-2.0
"""The blocking client."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc

from fletch import _historical, _ingest, _io, _reads, _registry, _training_sets, specs
from fletch._frames import Rows
from fletch._ingest import WriteResult
from fletch._io import Operation, T
from fletch._reads import Context, Features
from fletch._registry import Session
from fletch._search_methods import SearchMethods
from fletch._sync_stream import SyncStream
from fletch._times import Instant, KnownAt
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
from fletch.training import HistoricalFeatures, TrainingSet

DEFAULT_TARGET = "127.0.0.1:7447"
DEFAULT_TIMEOUT = 60.0
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Client(SearchMethods):
    """A client of one project. Safe to share between threads; close it, or use it in a `with`.

    target: the daemon's "host:port". credentials: None: no TLS. timeout: seconds a request may take, if the method
    is not given one of its own; None: for ever. Streams (a large write, a training read) have a deadline only if
    their method is given one.
    """

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
            self._channel = grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials, options=CHANNEL_OPTIONS)

    @property
    def project(self) -> str:
        """The project of every request."""
        return self._session.project

    def close(self) -> None:
        """Closes the connection; calls under way end."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, operation: Operation[T], timeout: float | None = None) -> T:
        try:
            step = next(operation)
            while True:
                try:
                    answer = self._perform(step, timeout)
                except grpc.RpcError as error:
                    step = operation.throw(from_rpc_error(error, self._target))
                else:
                    step = operation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _perform(self, step: _io.Step, timeout: float | None) -> Any:
        if isinstance(step, _io.Call):
            method = step.method
            unary = self._calls.get(method.path)
            if unary is None:
                unary = self._calls[method.path] = self._channel.unary_unary(
                    method.path,
                    request_serializer=method.request.SerializeToString,
                    response_deserializer=method.response.FromString,
                )
            return unary(step.request, timeout=self._timeout if timeout is None else timeout)
        if isinstance(step, _io.Sleep):
            return time.sleep(step.seconds)
        if isinstance(step, _io.Open):
            return SyncStream(self._channel, step.method, timeout)
        assert isinstance(step.stream, SyncStream)
        return step.stream.send(step.request) if isinstance(step, _io.Send) else step.stream.receive()

    # The registry.

    def apply(
        self,
        source: str | os.PathLike[str] | specs.Spec | Iterable[specs.Spec],
        *,
        dry_run: bool = False,
        allow_breaking: bool = False,
        expected_revision: int = 0,
        timeout: float | None = None,
    ) -> specs.Plan:
        """Makes the given specs so, all or none; makes the project when it does not exist. Returns the plan.

        Args:
          source: Path of a YAML file, YAML text, a spec object or several.
          dry_run: Only make the plan.
          allow_breaking: Let a breaking change of a view make a new, empty version.
          expected_revision: Apply only if the registry is still at this revision; 0: whatever it is.
        """
        return self._run(
            _registry.apply(self._session, source, dry_run, allow_breaking, expected_revision),
            timeout,
        )

    def get_object(self, kind: str, name: str, *, timeout: float | None = None) -> specs.Spec:
        """One object, by its kind as in a spec ("FeatureView"); a view also as "view@v2"."""
        return self._run(_registry.get_object(self._session, kind, name), timeout)

    def list_objects(self, kind: str | None = None, *, timeout: float | None = None) -> list[specs.Spec]:
        """The project's objects of a kind, or of all, by kind, name and version."""
        return self._run(_registry.list_objects(self._session, kind), timeout)

    def delete_object(self, kind: str, name: str, *, timeout: float | None = None) -> int:
        """Removes an object (a view: all its versions and facts). Returns the registry's revision."""
        return self._run(_registry.delete_object(self._session, kind, name), timeout)

    def get_lineage(self, kind: str, name: str, *, timeout: float | None = None) -> Lineage:
        """What an object reads and what reads it, training sets included; a view also as "view@v2"."""
        return self._run(_reads.get_lineage(self._session, kind, name), timeout)

    # Writes.

    def write(
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
        """Writes rows of a view. When it returns, every read and search sees them.

        What fits into 100,000 rows and 8 MiB is one commit, whole or not at all. More is streamed as several commits
        in order, at most four unacknowledged; a refused one ends the write with an error that has `committed_rows`.

        Args:
          feature_view: "view" (newest version) or "view@v2".
          rows: A pandas or polars frame, an Arrow table or batch, a list of dicts or a dict of lists. Columns: join
            keys, event keys, fields and the timestamp. A field left out takes its default; None is null.
          timestamp_column: The column with the event times (see `Instant`).
          durability: SYNC (on disk before the answer) or BUFFERED (survives a crash of the process only).
          request_id: The same id with the same rows is one commit. Of several commits the nth (from 0) has "id#n".
          nan_as_value: In a pandas frame, NaN in a field of floats is NaN and not null.
          merge: A partial update: fields left out keep what the current row says.
          batch_rows: Rows a commit, at most 100000; None: as above.
        """
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
        return self._run(operation, timeout)

    def delete(
        self,
        feature_view: str,
        rows: Rows,
        *,
        timestamp_column: str = "event_timestamp",
        durability: str = "SYNC",
        request_id: str = "",
        timeout: float | None = None,
    ) -> WriteResult:
        """Marks entities as gone from a view, each from its event time on. rows: join keys and the timestamp."""
        operation = _ingest.delete(self._session, feature_view, rows, timestamp_column, durability, request_id)
        return self._run(operation, timeout)

    def retract(
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
        """Withdraws facts as if they had never been; reads at an earlier known_at still see them.

        Args:
          rows: Join keys, the timestamp, and the event keys if the view has any.
          tombstones: Withdraw deletions instead of rows (without event keys).
        """
        operation = _ingest.retract(
            self._session, feature_view, rows, timestamp_column, tombstones, durability, request_id
        )
        return self._run(operation, timeout)

    def erase(self, entity: str, key: Mapping[str, object], *, timeout: float | None = None) -> EraseReceipt:
        """Removes all that is stored of an entity for good, in every view. key: join key -> value. Returns the receipt.

        `compact` then takes the last bytes off the disk.
        """
        return self._run(_ingest.erase(self._session, entity, key), timeout)

    def list_erasures(self, *, timeout: float | None = None) -> list[EraseReceipt]:
        """The ledger of erasures, newest first."""
        return self._run(_ingest.list_erasures(self._session), timeout)

    # Reads.

    def get_online_features(
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
        """The features of some keys as of one moment, now by default.

        Args:
          features: A feature service's name, or a list of refs.
          entity_rows: Key columns, up to 10,000 rows.
          request_context: What on-demand features take from the request: name -> a value, or a list of one a row.
          bindings: Roles of views, if refs are listed.
          as_of: The instant asked about, not beyond the daemon's clock.
          known_at: What the daemon may use: a commit_seq (int) or a time. None: all that is committed.
          min_seq: Wait, until the timeout, for this commit to be readable.
        """
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
        return self._run(operation, timeout)

    def get_historical_features(
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
    ) -> HistoricalFeatures:
        """Joins features onto a spine, each row's as of its own timestamp. Every row comes back once, in order.

        Args:
          entity_df: The spine: key columns, the timestamp, the columns of the request's context if on-demand features
            need any, and whatever else should come back beside the features.
          known_at: What rows may know, for all of them: a commit_seq (int) or a time. None: all that is committed.
          as_served: For each row what was known at its timestamp: what an online read would have answered then.
          include_statuses: Adds "ref__status" columns.
          include_event_timestamps: Adds "ref__event_timestamp" columns.
          out_of_range: Rows before a view's horizon: FAIL ends the read, MARK gives them OUT_OF_RETENTION.
          batch_rows: Spine rows a batch, at most 100000; None: chosen by the size of an answer.
          timeout: Seconds for the whole read.
        """
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
        return HistoricalFeatures(self._run(operation, timeout), self._run)

    def get_feature_history(
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
        """The facts of one entity, or of the whole view, with event times from start to end, both inclusive.

        Args:
          key: Join key -> value. None: every entity.
          last_k: Only the newest so many of each entity; 0: all.
          all_forms: Corrections, deletions and retractions too, as they were stored.
        """
        operation = _reads.get_feature_history(
            self._session, feature_view, key, start, end, last_k, known_at, all_forms
        )
        return self._run(operation, timeout)

    def status(self, *, timeout: float | None = None) -> Status:
        """What the daemon holds and how it is."""
        return self._run(_reads.status(self._session), timeout)

    def compact(self, *, timeout: float | None = None) -> Compaction:
        """Maintenance of this project now: horizons, folding, and files rewritten, so that what was erased is off the disk."""
        return self._run(_reads.compact(self._session), timeout)

    def audit_parity(
        self, features: Features | None = None, *, entities: int = 0, seed: int = 0, timeout: float | None = None
    ) -> ParityAudit:
        """Asks random entities online and as a training read at the same moment, and compares every cell.

        features: None: every view of the project. entities: 0: 1000. seed: 0: by the clock.
        """
        return self._run(_reads.audit_parity(self._session, features, entities, seed), timeout)

    # Training sets.

    def create_training_set(
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
        """Joins as get_historical_features and keeps the spine, the resolved refs and the moment under a name.

        The spine's keys, timestamps and request context are kept; its other columns (labels) stay yours. Read again, it
        gives the same rows bit for bit.
        """
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
        return self._run(operation, timeout)

    def get_training_set(
        self,
        name: str,
        *,
        include_statuses: bool = False,
        include_event_timestamps: bool = False,
        timeout: float | None = None,
    ) -> TrainingSet:
        """A training set's rows, as they were created. FAILED_PRECONDITION says why that can no longer be."""
        info = self._run(_training_sets.describe(self._session, name), timeout)

        def read(batch: int) -> Operation[Any]:
            return _training_sets.read_batch(self._session, name, batch, include_statuses, include_event_timestamps)

        return TrainingSet(info, read, lambda operation: self._run(operation, timeout))

    def list_training_sets(self, *, timeout: float | None = None) -> list[TrainingSetInfo]:
        """The project's training sets, by name."""
        return self._run(_training_sets.list_all(self._session), timeout)

    def verify_training_set(self, name: str, *, timeout: float | None = None) -> Verification:
        """Reads all of a training set again and compares it with its digest."""
        return self._run(_training_sets.verify(self._session, name), timeout)

    def delete_training_set(self, name: str, *, timeout: float | None = None) -> None:
        """Forgets a training set. Its features' facts stay."""
        self._run(_training_sets.delete(self._session, name), timeout)
