# SPDX-License-Identifier: Apache-2.0
"""Operations without I/O: generators that yield what should be sent and are sent what came back.

Each client drives them in its own way, blocking or awaiting, so what a method does is written once.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from google.protobuf.message import Message

from fletch.v1 import admin_pb2, historical_pb2, ingest_pb2, registry_pb2, serving_pb2, vector_pb2

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
T = TypeVar("T")


@dataclass(frozen=True)
class Method(Generic[Q, R]):
    """An RPC: its path and the types of its messages."""

    path: str
    request: type[Q]
    response: type[R]


class Stream(Protocol):
    """An open bidirectional call. Must be cancelled or read to its end."""

    def cancel(self) -> None: ...


@dataclass(frozen=True)
class Call:
    """Step: one request, one response."""

    method: Method[Any, Any]
    request: Message


@dataclass(frozen=True)
class Open:
    """Step: opens a stream; answered with a `Stream`."""

    method: Method[Any, Any]


@dataclass(frozen=True)
class Send:
    """Step: hands a request to a stream; None: there are no more."""

    stream: Stream
    request: Message | None


@dataclass(frozen=True)
class Receive:
    """Step: waits for a stream's next response; answered with None at its end."""

    stream: Stream


@dataclass(frozen=True)
class Sleep:
    """Step: lets so many seconds pass."""

    seconds: float


Step: TypeAlias = Call | Open | Send | Receive | Sleep
Operation: TypeAlias = Generator[Step, Any, T]


def call(method: Method[Q, R], request: Q) -> Operation[R]:
    """One request, one response."""
    response: R = yield Call(method, request)
    return response


def _method(service: str, name: str, request: type[Q], response: type[R]) -> Method[Q, R]:
    return Method(f"/fletch.v1.{service}/{name}", request, response)


APPLY = _method("RegistryService", "Apply", registry_pb2.ApplyRequest, registry_pb2.ApplyResponse)
GET = _method("RegistryService", "Get", registry_pb2.GetRequest, registry_pb2.GetResponse)
LIST = _method("RegistryService", "List", registry_pb2.ListRequest, registry_pb2.ListResponse)
DELETE_OBJECT = _method(
    "RegistryService", "Delete", registry_pb2.DeleteObjectRequest, registry_pb2.DeleteObjectResponse
)
WRITE = _method("IngestService", "Write", ingest_pb2.WriteRequest, ingest_pb2.WriteResponse)
WRITE_STREAM = _method("IngestService", "WriteStream", ingest_pb2.WriteRequest, ingest_pb2.WriteStreamResponse)
DELETE = _method("IngestService", "Delete", ingest_pb2.DeleteRequest, ingest_pb2.DeleteResponse)
RETRACT = _method("IngestService", "Retract", ingest_pb2.RetractRequest, ingest_pb2.RetractResponse)
ERASE = _method("IngestService", "Erase", ingest_pb2.EraseRequest, ingest_pb2.EraseResponse)
GET_LINEAGE = _method(
    "RegistryService", "GetLineage", registry_pb2.GetLineageRequest, registry_pb2.GetLineageResponse
)
GET_ONLINE = _method(
    "ServingService",
    "GetOnlineFeatures",
    serving_pb2.GetOnlineFeaturesRequest,
    serving_pb2.GetOnlineFeaturesResponse,
)
GET_HISTORICAL = _method(
    "HistoricalService",
    "GetHistoricalFeatures",
    historical_pb2.GetHistoricalFeaturesRequest,
    historical_pb2.GetHistoricalFeaturesResponse,
)
GET_HISTORY = _method(
    "HistoricalService",
    "GetFeatureHistory",
    historical_pb2.GetFeatureHistoryRequest,
    historical_pb2.GetFeatureHistoryResponse,
)
CREATE_TRAINING_SET = _method(
    "HistoricalService",
    "CreateTrainingSet",
    historical_pb2.CreateTrainingSetRequest,
    historical_pb2.CreateTrainingSetResponse,
)
GET_TRAINING_SET = _method(
    "HistoricalService", "GetTrainingSet", historical_pb2.GetTrainingSetRequest, historical_pb2.GetTrainingSetResponse
)
LIST_TRAINING_SETS = _method(
    "HistoricalService",
    "ListTrainingSets",
    historical_pb2.ListTrainingSetsRequest,
    historical_pb2.ListTrainingSetsResponse,
)
VERIFY_TRAINING_SET = _method(
    "HistoricalService",
    "VerifyTrainingSet",
    historical_pb2.VerifyTrainingSetRequest,
    historical_pb2.VerifyTrainingSetResponse,
)
DELETE_TRAINING_SET = _method(
    "HistoricalService",
    "DeleteTrainingSet",
    historical_pb2.DeleteTrainingSetRequest,
    historical_pb2.DeleteTrainingSetResponse,
)
SEARCH = _method("VectorService", "Search", vector_pb2.SearchRequest, vector_pb2.SearchResponse)
BATCH_SEARCH = _method(
    "VectorService", "BatchSearch", vector_pb2.BatchSearchRequest, vector_pb2.BatchSearchResponse
)
AUDIT_RECALL = _method(
    "VectorService", "AuditRecall", vector_pb2.AuditRecallRequest, vector_pb2.AuditRecallResponse
)
DESCRIBE_INDEX = _method(
    "VectorService", "DescribeIndex", vector_pb2.DescribeIndexRequest, vector_pb2.DescribeIndexResponse
)
REBUILD_INDEX = _method(
    "VectorService", "RebuildIndex", vector_pb2.RebuildIndexRequest, vector_pb2.RebuildIndexResponse
)
GET_STATUS = _method("AdminService", "GetStatus", admin_pb2.GetStatusRequest, admin_pb2.GetStatusResponse)
COMPACT = _method("AdminService", "Compact", admin_pb2.CompactRequest, admin_pb2.CompactResponse)
AUDIT_PARITY = _method("AdminService", "AuditParity", admin_pb2.AuditParityRequest, admin_pb2.AuditParityResponse)
LIST_ERASURES = _method(
    "AdminService", "ListErasures", admin_pb2.ListErasuresRequest, admin_pb2.ListErasuresResponse
)
