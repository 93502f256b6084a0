# SPDX-License-Identifier: Apache-2.0
"""What vector searches return, and what is known of the indexes they are made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fletch._columns import decode, decode_timestamps, values_list
from fletch._times import from_micros
from fletch._types import FieldType
from fletch.results import _arrays, _cells, _features, to_pandas
from fletch.v1 import vector_pb2

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Hit:
    """One entity that a search found. `features` and `statuses` are by ref."""

    key: dict[str, Any]
    score: float
    event_timestamp: dt.datetime
    features: dict[str, Any]
    statuses: dict[str, str]


@dataclass(frozen=True)
class SearchPlan:
    """How a search was done; see SearchPlan in vector.proto."""

    strategy: str
    selectivity: float
    candidates_visited: int
    segments: int
    buffered_vectors: int
    ef: int
    rescored: int
    indexed_refs: list[str]
    reason: str

    @classmethod
    def of(cls, plan: vector_pb2.SearchPlan) -> SearchPlan:
        """The plan of an answer."""
        return cls(
            plan.strategy,
            plan.selectivity,
            plan.candidates_visited,
            plan.segments,
            plan.buffered_vectors,
            plan.ef,
            plan.rescored,
            list(plan.indexed_refs),
            plan.reason,
        )


class SearchResult:
    """Hits, best first. `plan` is set with explain."""

    def __init__(
        self,
        response: vector_pb2.SearchResponse,
        types: Sequence[FieldType | None],
        plan: SearchPlan | None,
    ) -> None:
        self._response = response
        self._types = types
        self.as_of = from_micros(response.as_of_micros)
        self.read_seq = response.read_seq
        self.features = _features(response)
        self.plan = plan

    def __len__(self) -> int:
        return self._response.hit_count

    @property
    def hits(self) -> list[Hit]:
        """The hits one by one."""
        r, rows = self._response, self._response.hit_count
        keys = {k.name: values_list(k.column, rows) for k in r.keys}
        cells = _cells(r, rows)
        return [
            Hit(
                key={name: values[i] for name, values in keys.items()},
                score=r.scores[i],
                event_timestamp=from_micros(r.event_timestamps.micros[i]),
                features={ref: values[i] for ref, values in cells["values"].items()},
                statuses={ref: statuses[i] for ref, statuses in cells["statuses"].items()},
            )
            for i in range(rows)
        ]

    def to_dict(self) -> dict[str, Any]:
        """{"keys": {name: [...]}, "scores": [...], "vector_event_timestamps": [...]} and the features as online."""
        rows = self._response.hit_count
        return {
            "keys": {k.name: values_list(k.column, rows) for k in self._response.keys},
            "scores": list(self._response.scores),
            "vector_event_timestamps": [from_micros(m) for m in self._response.event_timestamps.micros],
            **_cells(self._response, rows),
        }

    def to_arrow(self, *, include_statuses: bool = False, include_event_timestamps: bool = False) -> pa.Table:
        """Keys, score, event_timestamp (the vector's), then features."""
        r, rows = self._response, self._response.hit_count
        columns = {k.name: decode(k.column, rows, None) for k in r.keys}
        columns["score"] = pa.array(list(r.scores), pa.float32())
        columns["event_timestamp"] = decode_timestamps(r.event_timestamps)
        columns.update(_arrays(r, rows, self._types, include_statuses, include_event_timestamps))
        return pa.table(columns)

    def to_df(self, *, include_statuses: bool = False, include_event_timestamps: bool = False) -> pandas.DataFrame:
        """As `to_arrow`, as a pandas frame."""
        table = self.to_arrow(include_statuses=include_statuses, include_event_timestamps=include_event_timestamps)
        return to_pandas(table)


class BatchSearchResult:
    """The hits of many queries, all at one `as_of` and `read_seq`. `result[i]` are those of query i, best first.

    plans: with explain, one a query.
    """

    def __init__(self, response: vector_pb2.BatchSearchResponse, types: Sequence[FieldType | None]) -> None:
        self._hits = SearchResult(response.hits, types, None)
        self._ends = [0]
        for count in response.hit_counts:
            self._ends.append(self._ends[-1] + count)
        self.as_of = self._hits.as_of
        self.read_seq = self._hits.read_seq
        self.features = self._hits.features
        self.plans = [SearchPlan.of(plan) for plan in response.plans]

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, query: int) -> list[Hit]:
        if not -len(self) <= query < len(self):
            raise IndexError(f"there are {len(self)} queries")
        query %= len(self)
        return self.hits[self._ends[query] : self._ends[query + 1]]

    def __iter__(self) -> Iterator[list[Hit]]:
        hits = self.hits
        return (hits[first:end] for first, end in zip(self._ends, self._ends[1:], strict=False))

    @property
    def hits(self) -> list[Hit]:
        """The hits of all queries, query after query."""
        return self._hits.hits

    def to_arrow(self, *, include_statuses: bool = False, include_event_timestamps: bool = False) -> pa.Table:
        """As SearchResult's, with a first column `query`: the number of the query that a hit belongs to."""
        table = self._hits.to_arrow(
            include_statuses=include_statuses, include_event_timestamps=include_event_timestamps
        )
        numbers = [i for i in range(len(self)) for _ in range(self._ends[i], self._ends[i + 1])]
        return table.add_column(0, "query", pa.array(numbers, pa.int64()))

    def to_df(self, *, include_statuses: bool = False, include_event_timestamps: bool = False) -> pandas.DataFrame:
        """As `to_arrow`, as a pandas frame."""
        table = self.to_arrow(include_statuses=include_statuses, include_event_timestamps=include_event_timestamps)
        return to_pandas(table)


@dataclass(frozen=True)
class RecallAudit:
    """How much of the exact answers searches found; see AuditRecallResponse in vector.proto."""

    queries: int
    recall: float
    worst_recall: float
    complete_share: float
    short_answers: int
    search_p50_micros: float
    exact_p50_micros: float
    unreachable: int
    read_seq: int


@dataclass(frozen=True)
class IndexDescription:
    """What an index holds, how it is built and how well; see DescribeIndexResponse in vector.proto.

    calibration: (recall, ef), measured on the newest graph.
    """

    index: str
    metric: str
    dimension: int
    m: int
    ef_construction: int
    target_recall: float
    vectors: int
    graph_vectors: int
    buffered_vectors: int
    dead_vectors: int
    unreachable_vectors: int
    encoding: str
    calibration: list[tuple[float, int]]
    graph_bytes: int
    vector_bytes: int
    other_bytes: int
    file_bytes: int
    file_seq: int
    state: str
    progress: float
    warning: str
    sampled_recall: float
    samples: int
