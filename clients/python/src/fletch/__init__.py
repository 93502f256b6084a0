# SPDX-License-Identifier: Apache-2.0
"""Client of Fletch, a feature and vector server with exact point-in-time reads.

client = fletch.Client("127.0.0.1:7447", project="demo")
client.apply("features.yaml")
client.write("airport_weather", df)
client.get_online_features("delay_model", [{"origin": "SFO", "destination": "JFK"}]).to_df()
"""

from fletch._frames import Rows
from fletch._ingest import WriteResult
from fletch._times import Instant, KnownAt
from fletch.aio import AsyncClient
from fletch.client import Client
from fletch.errors import FletchError
from fletch.filters import FieldRef, Filter, field
from fletch.results import (
    Compaction,
    EraseReceipt,
    Feature,
    FeatureHistory,
    IndexStatus,
    Lineage,
    LineageItem,
    OnlineFeatures,
    ParityAudit,
    ParityMismatch,
    Status,
    TrainingSetInfo,
    Verification,
)
from fletch.search_results import (
    BatchSearchResult,
    Hit,
    IndexDescription,
    RecallAudit,
    SearchPlan,
    SearchResult,
)
from fletch.specs import (
    Aggregation,
    AggregationView,
    Binding,
    Change,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    KeyField,
    OnDemandFeatureView,
    OnDemandField,
    Plan,
    Project,
    RequestField,
    Spec,
    VectorIndex,
)
from fletch.training import AsyncHistoricalFeatures, AsyncTrainingSet, HistoricalFeatures, TrainingSet

__version__ = "0.1.0"

__all__ = [
    "Aggregation",
    "AggregationView",
    "AsyncClient",
    "AsyncHistoricalFeatures",
    "AsyncTrainingSet",
    "BatchSearchResult",
    "Binding",
    "Change",
    "Client",
    "Compaction",
    "Entity",
    "EraseReceipt",
    "Feature",
    "FeatureHistory",
    "FeatureService",
    "FeatureView",
    "Field",
    "FieldRef",
    "Filter",
    "FletchError",
    "HistoricalFeatures",
    "Hit",
    "IndexDescription",
    "IndexStatus",
    "Instant",
    "KeyField",
    "KnownAt",
    "Lineage",
    "LineageItem",
    "OnDemandFeatureView",
    "OnDemandField",
    "OnlineFeatures",
    "ParityAudit",
    "ParityMismatch",
    "Plan",
    "Project",
    "RecallAudit",
    "RequestField",
    "Rows",
    "SearchPlan",
    "SearchResult",
    "Spec",
    "Status",
    "TrainingSet",
    "TrainingSetInfo",
    "VectorIndex",
    "Verification",
    "WriteResult",
    "field",
]
