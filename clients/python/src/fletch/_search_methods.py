# SPDX-License-Identifier: Apache-2.0
"""The clients' methods that search, blocking and awaited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fletch import _vectors, specs
from fletch._frames import Rows
from fletch._io import Operation, T
from fletch._reads import Context, Features
from fletch._registry import Session
from fletch._times import Instant, KnownAt
from fletch._vectors import Vector, Vectors
from fletch.filters import Filter
from fletch.search_results import BatchSearchResult, IndexDescription, RecallAudit, SearchResult


class SearchMethods:
    """What Client does with vectors."""

    _session: Session

    def _run(self, operation: Operation[T], timeout: float | None = None) -> T:
        raise NotImplementedError

    def search(
        self,
        index: str,
        *,
        vector: Vector | None = None,
        entity_key: Mapping[str, object] | None = None,
        top_k: int = 10,
        filter: Filter | None = None,
        features: Features | None = None,
        request_context: Context | None = None,
        bindings: Sequence[specs.Binding] = (),
        include_self: bool = False,
        as_of: Instant | None = None,
        known_at: KnownAt | None = None,
        min_seq: int = 0,
        score_threshold: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        exact: bool = False,
        ef: int = 0,
        target_recall: float = 0.0,
        rescore: int = 0,
        explain: bool = False,
        include_event_timestamps: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        """The entities whose vectors are nearest to `vector`, or to that of `entity_key`; best first.

        Args:
          index: "view:field" of a FLOAT_VECTOR field with an index.
          filter: Only entities of which this is true: `fletch.field("view:field") < 0`, joined by & | ~.
          features: Hydrates the hits: a feature service's name or a list of refs.
          request_context: What hydrated on-demand features take from the request: name -> a value for all hits.
          include_self: By entity_key: let the entity itself be a hit.
          score_threshold: Only hits at least this near: COSINE and DOT, score >= it; L2, score <= it.
          group_by: Only the best `group_size` hits of each group: a join key's name or "view:field" of the entity.
          exact: Compare with every vector.
          ef: Candidates kept while walking the graph, up to 10000; 0: chosen from target_recall.
          target_recall: Share of the exact answer to be found, above 0 and below 1; 0: the index's own.
          rescore: Candidates compared again at full precision, up to 10000; 0: chosen by the daemon.
          explain: Say how it was done, in `.plan`.
        """
        common = _vectors.Common(
            index=index,
            top_k=top_k,
            filter=filter,
            score_threshold=score_threshold,
            group_by=group_by,
            group_size=group_size,
            features=features,
            request_context=request_context,
            bindings=bindings,
            include_self=include_self,
            as_of=as_of,
            known_at=known_at,
            min_seq=min_seq,
            effort=_vectors.Effort(exact, ef, target_recall, rescore),
            explain=explain,
            include_event_timestamps=include_event_timestamps,
        )
        return self._run(_vectors.search(self._session, vector, entity_key, common), timeout)

    def batch_search(
        self,
        index: str,
        *,
        vectors: Vectors | None = None,
        entity_keys: Rows | None = None,
        top_k: int = 10,
        filter: Filter | None = None,
        features: Features | None = None,
        request_context: Context | None = None,
        bindings: Sequence[specs.Binding] = (),
        include_self: bool = False,
        as_of: Instant | None = None,
        known_at: KnownAt | None = None,
        min_seq: int = 0,
        score_threshold: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        exact: bool = False,
        ef: int = 0,
        target_recall: float = 0.0,
        rescore: int = 0,
        explain: bool = False,
        include_event_timestamps: bool = False,
        timeout: float | None = None,
    ) -> BatchSearchResult:
        """Many searches that have all but the query in common, at one moment; see `search`.

        Args:
          vectors: 1 to 1000 vectors: a numpy array with a row each, or a list of them. Or
          entity_keys: The queries are these entities' vectors: rows of join keys, as for `get_online_features`.
          top_k: Hits of each query.
        """
        common = _vectors.Common(
            index=index,
            top_k=top_k,
            filter=filter,
            score_threshold=score_threshold,
            group_by=group_by,
            group_size=group_size,
            features=features,
            request_context=request_context,
            bindings=bindings,
            include_self=include_self,
            as_of=as_of,
            known_at=known_at,
            min_seq=min_seq,
            effort=_vectors.Effort(exact, ef, target_recall, rescore),
            explain=explain,
            include_event_timestamps=include_event_timestamps,
        )
        return self._run(_vectors.batch_search(self._session, vectors, entity_keys, common), timeout)

    def audit_recall(
        self,
        index: str,
        *,
        queries: int = 0,
        top_k: int = 0,
        filter: Filter | None = None,
        ef: int = 0,
        target_recall: float = 0.0,
        rescore: int = 0,
        seed: int = 0,
        reachability: bool = False,
        timeout: float | None = None,
    ) -> RecallAudit:
        """Searches for the vectors of random entities as a search would and again exactly, and compares.

        queries: 0: 100. top_k: 0: 10. seed: 0: by the clock. reachability: count the vectors that no walk of the graph
        reaches, too.
        """
        effort = _vectors.Effort(False, ef, target_recall, rescore)
        operation = _vectors.audit_recall(
            self._session, index, queries, top_k, filter, effort, seed, reachability
        )
        return self._run(operation, timeout)

    def describe_index(self, index: str, *, timeout: float | None = None) -> IndexDescription:
        """What an index holds, how it is built and how well."""
        return self._run(_vectors.describe_index(self._session, index), timeout)

    def rebuild_index(self, index: str, *, wait: bool = False, timeout: float | None = None) -> IndexDescription:
        """Builds an index anew from the stored facts, in the background. Searches go on.

        wait: Return when it is done, with a progress bar if that takes more than two seconds in a terminal.
        """
        return self._run(_vectors.rebuild_index(self._session, index, wait), timeout)


class AsyncSearchMethods:
    """What AsyncClient does with vectors. The docstrings are SearchMethods'."""

    _session: Session

    async def _run(self, operation: Operation[T], timeout: float | None = None) -> T:
        raise NotImplementedError

    async def search(
        self,
        index: str,
        *,
        vector: Vector | None = None,
        entity_key: Mapping[str, object] | None = None,
        top_k: int = 10,
        filter: Filter | None = None,
        features: Features | None = None,
        request_context: Context | None = None,
        bindings: Sequence[specs.Binding] = (),
        include_self: bool = False,
        as_of: Instant | None = None,
        known_at: KnownAt | None = None,
        min_seq: int = 0,
        score_threshold: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        exact: bool = False,
        ef: int = 0,
        target_recall: float = 0.0,
        rescore: int = 0,
        explain: bool = False,
        include_event_timestamps: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        common = _vectors.Common(
            index=index,
            top_k=top_k,
            filter=filter,
            score_threshold=score_threshold,
            group_by=group_by,
            group_size=group_size,
            features=features,
            request_context=request_context,
            bindings=bindings,
            include_self=include_self,
            as_of=as_of,
            known_at=known_at,
            min_seq=min_seq,
            effort=_vectors.Effort(exact, ef, target_recall, rescore),
            explain=explain,
            include_event_timestamps=include_event_timestamps,
        )
        return await self._run(_vectors.search(self._session, vector, entity_key, common), timeout)

    async def batch_search(
        self,
        index: str,
        *,
        vectors: Vectors | None = None,
        entity_keys: Rows | None = None,
        top_k: int = 10,
        filter: Filter | None = None,
        features: Features | None = None,
        request_context: Context | None = None,
        bindings: Sequence[specs.Binding] = (),
        include_self: bool = False,
        as_of: Instant | None = None,
        known_at: KnownAt | None = None,
        min_seq: int = 0,
        score_threshold: float | None = None,
        group_by: str | None = None,
        group_size: int = 1,
        exact: bool = False,
        ef: int = 0,
        target_recall: float = 0.0,
        rescore: int = 0,
        explain: bool = False,
        include_event_timestamps: bool = False,
        timeout: float | None = None,
    ) -> BatchSearchResult:
        common = _vectors.Common(
            index=index,
            top_k=top_k,
            filter=filter,
            score_threshold=score_threshold,
            group_by=group_by,
            group_size=group_size,
            features=features,
            request_context=request_context,
            bindings=bindings,
            include_self=include_self,
            as_of=as_of,
            known_at=known_at,
            min_seq=min_seq,
            effort=_vectors.Effort(exact, ef, target_recall, rescore),
            explain=explain,
            include_event_timestamps=include_event_timestamps,
        )
        return await self._run(_vectors.batch_search(self._session, vectors, entity_keys, common), timeout)

    async def audit_recall(
        self,
        index: str,
        *,
        queries: int = 0,
        top_k: int = 0,
        filter: Filter | None = None,
        ef: int = 0,
        target_recall: float = 0.0,
        rescore: int = 0,
        seed: int = 0,
        reachability: bool = False,
        timeout: float | None = None,
    ) -> RecallAudit:
        effort = _vectors.Effort(False, ef, target_recall, rescore)
        operation = _vectors.audit_recall(
            self._session, index, queries, top_k, filter, effort, seed, reachability
        )
        return await self._run(operation, timeout)

    async def describe_index(self, index: str, *, timeout: float | None = None) -> IndexDescription:
        return await self._run(_vectors.describe_index(self._session, index), timeout)

    async def rebuild_index(self, index: str, *, wait: bool = False, timeout: float | None = None) -> IndexDescription:
        return await self._run(_vectors.rebuild_index(self._session, index, wait), timeout)
