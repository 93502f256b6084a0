# SPDX-License-Identifier: Apache-2.0
"""What get_historical_features and get_training_set return: rows that are read when they are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fletch._historical import Join, next_answer
from fletch._io import Operation
from fletch.errors import FletchError
from fletch.results import Feature, TrainingSetInfo, to_pandas

if TYPE_CHECKING:
    import pandas


class _JoinResult:
    """What both results share. Every spine row comes back exactly once, in order, with its own columns first."""

    def __init__(self, join: Join) -> None:
        self._join = join
        self._features: Any = None  # the features' table, once it was read whole
        self.features = [Feature(*pair) for pair in zip(join.refs, join.resolved, strict=True)]

    @property
    def read_seq(self) -> int:
        """The greatest commit used so far; as_served: the newest that any row could use."""
        return self._join.read_seq

    def close(self) -> None:
        """Gives up a read whose rows are not wanted any more."""
        self._join.close()

    def _check_unread(self) -> None:
        if self._join.answered or self._join.ended:
            raise FletchError("FAILED_PRECONDITION", "the rows were read already: the stream can be read once")

    def _with_spine(self, start: int, batch: Any) -> Any:
        spine = self._join.spine_table().slice(start, batch.num_rows)
        arrays = [_whole(column) for column in spine.columns] + batch.columns
        return pa.RecordBatch.from_arrays(arrays, names=spine.column_names + batch.schema.names)

    def _keep(self, batches: list[Any]) -> None:
        self._features = pa.Table.from_batches(batches or [self._join.empty_batch()])

    def _arrow(self) -> pa.Table:
        spine = self._join.spine_table()
        for name in self._features.column_names:
            spine = spine.append_column(name, self._features.column(name))
        return spine

    def _df(self) -> pandas.DataFrame:
        import pandas

        if isinstance(self._join.spine, pandas.DataFrame):  # as it was given, its index and types too
            features = to_pandas(self._features).set_index(self._join.spine.index)
            return pandas.concat([self._join.spine, features], axis=1)
        return to_pandas(self._arrow())

    def _dict(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = self._arrow().to_pydict()
        return columns


def _whole(column: Any) -> Any:
    chunks = column.combine_chunks()
    return chunks.chunk(0) if isinstance(chunks, pa.ChunkedArray) else chunks


class HistoricalFeatures(_JoinResult):
    """A training read. `to_batches` streams it; the others read it whole and may be called again."""

    def __init__(self, join: Join, run: Callable[[Operation[Any]], Any]) -> None:
        super().__init__(join)
        self._run = run

    def __del__(self) -> None:
        # The thread that sends would wait for ever for rows of a result that nobody holds.
        self._join.close()

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Record batches in the spine's order, as they come. Can be read once."""
        self._check_unread()
        try:
            while True:
                start = self._join.answered
                batch = self._run(next_answer(self._join))
                if batch is None:
                    return
                yield self._with_spine(start, batch)
        finally:
            self._join.close()

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        self._read()
        return self._arrow()

    def to_df(self) -> pandas.DataFrame:
        """All rows as a pandas frame; a spine that was one keeps its index."""
        self._read()
        return self._df()

    def to_dict(self) -> dict[str, list[Any]]:
        """All rows: column name -> values."""
        self._read()
        return self._dict()

    def _read(self) -> None:
        if self._features is not None:
            return
        self._check_unread()
        batches = []
        while (batch := self._run(next_answer(self._join))) is not None:
            batches.append(batch)
        self._keep(batches)


class AsyncHistoricalFeatures(_JoinResult):
    """As HistoricalFeatures, to be awaited."""

    def __init__(self, join: Join, run: Callable[[Operation[Any]], Awaitable[Any]]) -> None:
        super().__init__(join)
        self._run = run

    async def to_batches(self) -> AsyncIterator[pa.RecordBatch]:
        """Record batches in the spine's order, as they come. Can be read once."""
        self._check_unread()
        try:
            while True:
                start = self._join.answered
                batch = await self._run(next_answer(self._join))
                if batch is None:
                    return
                yield self._with_spine(start, batch)
        finally:
            self._join.close()

    async def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        await self._read()
        return self._arrow()

    async def to_df(self) -> pandas.DataFrame:
        """All rows as a pandas frame; a spine that was one keeps its index."""
        await self._read()
        return self._df()

    async def to_dict(self) -> dict[str, list[Any]]:
        """All rows: column name -> values."""
        await self._read()
        return self._dict()

    async def _read(self) -> None:
        if self._features is not None:
            return
        self._check_unread()
        batches = []
        while (batch := await self._run(next_answer(self._join))) is not None:
            batches.append(batch)
        self._keep(batches)


class TrainingSet:
    """A training set: `info`, and its rows, read when they are asked for: keys, event_timestamp, then features."""

    def __init__(
        self,
        info: TrainingSetInfo,
        read: Callable[[int], Operation[Any]],
        run: Callable[[Operation[Any]], Any],
    ) -> None:
        self.info = info
        self._batch = read
        self._run = run

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Record batches in the spine's order, each as it was created."""
        for number in range(self.info.batch_count):
            yield self._run(self._batch(number))

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return pa.Table.from_batches(list(self.to_batches()))

    def to_df(self) -> pandas.DataFrame:
        """All rows as a pandas frame."""
        return to_pandas(self.to_arrow())

    def to_dict(self) -> dict[str, list[Any]]:
        """All rows: column name -> values."""
        columns: dict[str, list[Any]] = self.to_arrow().to_pydict()
        return columns


class AsyncTrainingSet:
    """As TrainingSet, to be awaited."""

    def __init__(
        self,
        info: TrainingSetInfo,
        read: Callable[[int], Operation[Any]],
        run: Callable[[Operation[Any]], Awaitable[Any]],
    ) -> None:
        self.info = info
        self._batch = read
        self._run = run

    async def to_batches(self) -> AsyncIterator[pa.RecordBatch]:
        """Record batches in the spine's order, each as it was created."""
        for number in range(self.info.batch_count):
            yield await self._run(self._batch(number))

    async def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return pa.Table.from_batches([batch async for batch in self.to_batches()])

    async def to_df(self) -> pandas.DataFrame:
        """All rows as a pandas frame."""
        return to_pandas(await self.to_arrow())

    async def to_dict(self) -> dict[str, list[Any]]:
        """All rows: column name -> values."""
        columns: dict[str, list[Any]] = (await self.to_arrow()).to_pydict()
        return columns
