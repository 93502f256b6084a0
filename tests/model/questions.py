# SPDX-License-Identifier: Apache-2.0
"""Random questions to the daemon, answered by the oracle too. A cell (or a fact, or a hit) is one question."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Optional

import grpc

from model.world import World, now
from oracle.oracle import Cell, Fact, Key, OnDemandView, Type, View
from oracle.search_oracle import SearchOracle, Snapshot
from support import wire


@dataclasses.dataclass
class Mismatch:
    what: str
    view: str
    key: Optional[Key]
    expected: Any
    got: Any
    cell: Optional[tuple] = None  # (field, as_of, known_at, context): what can be asked again
    shrink: Optional[Callable[[Any], str]] = None  # with a daemon's stubs: says the smallest case


class Role:
    """A view as one request names it: directly, or through a binding with key columns of its own."""

    def __init__(self, view: View, alias: str = "") -> None:
        self.view = view
        self.name = alias or view.name
        self.columns = [f"{alias}_{k}" if alias else k for k, _ in view.join_keys]

    def binding(self) -> Any:
        return wire.data.Binding(alias=self.name, feature_view=self.view.name,
                                 join_key_map=dict(zip((k for k, _ in self.view.join_keys), self.columns)))


class Questions:
    def __init__(self, world: World, stubs: Any) -> None:
        self.world = world
        self.oracle = world.oracle
        self.stubs = stubs
        self.asked = 0
        self.mismatches: list[Mismatch] = []
        self.searched = 0
        self.wanted = self.found = 0  # hits of exact answers to searches that were not exact, and those that came
        self._histories: dict[str, tuple[int, SearchOracle]] = {}

    def step(self) -> None:
        kinds: list[tuple[Callable[[], None], int]] = [
            (self.online, 40), (self.historical, 40), (self.history, 8), (self.search, 25)]
        self.world.rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]()

    # Selections.
    def _select(self, request: Any) -> tuple[list[tuple[Role, str]], list[str]]:
        """Fills in what is read. Returns (role, field) a column, and the refs."""
        rng = self.world.rng
        if rng.random() < 0.15:
            request.feature_service = rng.choice(sorted(self.world.services))
            refs, views = self.world.services[request.feature_service]
            roles = {name: Role(v) for name, v in views.items()}
        else:
            roles = {name: Role(v) for name, v in self.oracle.views.items()}
            refs = self.world.refs()
            if rng.random() < 0.4:
                for alias in ("origin", "destination"):
                    role = roles[alias] = Role(rng.choice(list(self.oracle.views.values())), alias)
                    request.bindings.append(role.binding())
                    refs += [f"{alias}:{f.name}" for f in role.view.fields[:2]]
                rng.shuffle(refs)
            request.features.extend(refs)
        return [(roles[r.split(":")[0]], r.split(":")[1]) for r in refs], refs

    def _keys(self, columns: Any, cells: list[tuple[Role, str]], rows: int) -> dict[str, list[Key]]:
        """Key columns for every role; join keys of one name are one column. Returns role -> the key of each row."""
        by_columns: dict[tuple, list[Key]] = {}
        out = {}
        for role, _ in cells:
            names = tuple(role.columns)
            if names not in by_columns:
                by_columns[names] = [self.world.key(role.view.entity) for _ in range(rows)]
                self.world.key_columns(columns, role.view.entity, by_columns[names], list(names))
            out[role.name] = by_columns[names]
        return out

    def _context(self, columns: Any, cells: list[tuple[Role, str]], rows: int) -> list[dict[str, Any]]:
        """The request's context that the cells need. Returns it row by row."""
        needed: dict[str, str] = {}
        for role, field in cells:
            needed.update(self.world.context_names(role.view, {field}))
        given = rows if self.world.rng.random() < 0.5 else 1
        values = {}
        for name, type_ in needed.items():
            values[name] = [None if self.world.rng.random() < 0.2 else self.world.value(Type(type_))
                            for _ in range(given)]
            wire.fill(columns[name], type_, values[name])
        return [{n: v[i if given > 1 else 0] for n, v in values.items()} for i in range(rows)]

    def _known_at(self) -> tuple[Any, Optional[int]]:
        """A KnownAt of an acknowledged commit (or 0, or a time) and the commit it means."""
        rng = self.world.rng
        if rng.random() < 0.4 and self.world.commits():
            time = min(rng.choice(self.world.commits())[0] + rng.choice([0, -1, 1]), now())
            return wire.known_at(time=time), self.oracle.commit_at(time)
        seq = rng.choice([0] + [s for _, s in self.world.commits()])
        return wire.known_at(seq=seq), seq

    # Comparisons.
    def _compare(self, what: str, column: Any, role: Role, field: str, keys: list[Key],
                 moments: list[tuple[int, int]], contexts: list[dict], visible: dict, with_times: bool) -> None:
        self.asked += len(keys)
        try:
            cells = wire.cells_of(column, len(keys), with_times)
        except wire.BadAnswer as bad:
            self.mismatches.append(Mismatch(f"{what}: {bad}", role.view.name, None, None, str(column)[:300]))
            return
        for key, (as_of, known_at), context, got in zip(keys, moments, contexts, cells):
            expected = self._cell(role.view, key, field, as_of, known_at, context, visible)
            if not with_times:
                expected = (*expected[:2], None)
            if not wire.same_cell(expected, got):
                about = f" context={context}" if isinstance(role.view, OnDemandView) else ""
                self.mismatches.append(Mismatch(
                    f"{what} {role.name}:{field} as_of={as_of} known_at={known_at}{about}", role.view.name, key,
                    expected, got, (field, as_of, known_at, context)))

    def _cell(self, view: View, key: Key, field: str, as_of: int, known_at: int, context: dict,
              visible: dict) -> Cell:
        if type(view) is not View:
            return self.oracle.cell(view.name, key, field, as_of, known_at, context)
        at = (view.name, key, as_of, known_at)
        if at not in visible:
            visible[at] = self.oracle.visible(*at)
        return self.oracle.cell_of(view.name, field, as_of, visible[at])

    def _fail(self, what: str, request: Any, error: grpc.RpcError) -> None:
        self.mismatches.append(Mismatch(f"{what}: {str(request)[:2000]}", "", None, "an answer",
                                        f"{error.code().name}: {error.details()}"))

    # Online.
    def online(self) -> None:
        rng = self.world.rng
        rows = rng.choice([1, 3, 10, 30])
        request = wire.serving.GetOnlineFeaturesRequest(
            project=self.world.project, row_count=rows, include_event_timestamps=rng.random() < 0.9)
        cells, refs = self._select(request)
        keys = self._keys(request.keys, cells, rows)
        contexts = self._context(request.request_context, cells, rows)
        as_of = known_at = None
        if rng.random() < 0.7:
            as_of = self.world.as_of(now())
            request.as_of.micros.append(as_of)
        if rng.random() < 0.5:
            moment, known_at = self._known_at()
            request.known_at.CopyFrom(moment)
        if rng.random() < 0.2:
            request.min_seq = self.oracle.newest
        try:
            answer = self.stubs.serving.GetOnlineFeatures(request, timeout=30)
        except grpc.RpcError as error:
            return self._fail("online", request, error)
        self._same("online as_of", as_of, answer.as_of_micros, as_of is None)
        self._same("online read_seq", self.oracle.newest if known_at is None else known_at, answer.read_seq)
        self._same("online refs", refs, [f.ref for f in answer.features])
        moments = [(answer.as_of_micros, self.oracle.newest if known_at is None else known_at)] * rows
        visible: dict = {}
        for (role, field), column in zip(cells, answer.columns, strict=True):
            self._compare("online", column, role, field, keys[role.name], moments, contexts, visible,
                          request.include_event_timestamps)

    def _same(self, what: str, expected: Any, got: Any, skip: bool = False) -> None:
        if not skip and expected != got:
            self.mismatches.append(Mismatch(what, "", None, expected, got))

    # Training.
    def historical(self) -> None:
        rng = self.world.rng
        header = wire.historical.HistoricalHeader(project=self.world.project,
                                                  include_event_timestamps=rng.random() < 0.9)
        cells, refs = self._select(header)
        mode = header.known_at_mode = rng.choice([
            wire.historical.KNOWN_AT_MODE_UNSPECIFIED, wire.historical.NEWEST, wire.historical.FIXED,
            wire.historical.AS_SERVED, wire.historical.AS_SERVED])
        fixed = self.oracle.newest
        if mode == wire.historical.FIXED:
            moment, fixed = self._known_at()
            header.known_at.CopyFrom(moment)
        requests = [wire.historical.GetHistoricalFeaturesRequest(header=header)]
        batches = []
        for _ in range(rng.randrange(1, 4)):
            rows = rng.choice([1, 10, 40])
            part = wire.historical.GetHistoricalFeaturesRequest()
            spine = part.spine
            spine.row_count = rows
            keys = self._keys(spine.keys, cells, rows)
            contexts = self._context(spine.request_context, cells, rows)
            until = now() if mode == wire.historical.AS_SERVED else None
            spine.timestamps.micros.extend(self.world.as_of(until) for _ in range(rows))
            moments = [(t, self.oracle.commit_at(t) if mode == wire.historical.AS_SERVED else fixed)
                       for t in spine.timestamps.micros]
            batches.append((keys, moments, contexts))
            requests.append(part)
        try:
            answers = list(self.stubs.historical.GetHistoricalFeatures(iter(requests), timeout=60))
        except grpc.RpcError as error:
            return self._fail("historical", header, error)
        self._same("historical: answers", 1 + len(batches), len(answers))
        self._same("historical refs", refs, [f.ref for f in answers[0].features])
        self._same("historical read_seq", fixed, answers[0].read_seq, mode == wire.historical.AS_SERVED)
        name = wire.historical.KnownAtMode.Name(mode)
        for (keys, moments, contexts), answer in zip(batches, answers[1:]):
            self._same("historical: rows", len(moments), answer.row_count)
            visible: dict = {}
            for (role, field), column in zip(cells, answer.columns, strict=True):
                self._compare(name, column, role, field, keys[role.name], moments, contexts, visible,
                              header.include_event_timestamps)

    # History.
    def history(self) -> None:
        rng = self.world.rng
        view = self.world.view()
        request = wire.historical.GetFeatureHistoryRequest(
            project=self.world.project, feature_view=view.name, all_forms=rng.random() < 0.3,
            last_k=rng.choice([0, 0, 1, 3]), page_size=rng.choice([0, 1, 4, 50]))
        key = None
        if rng.random() < 0.6:
            key = self.world.key(view.entity)
            self.world.key_columns(request.keys, view.entity, [key])
        start, end = (self.world.as_of(None) if rng.random() < 0.4 else None for _ in range(2))
        if start is not None and end is not None and start > end:
            start, end = end, start
        if start is not None:
            request.start.micros.append(start)
        if end is not None:
            request.end.micros.append(end)
        known_at = self.oracle.newest
        if rng.random() < 0.5:
            moment, known_at = self._known_at()
            request.known_at.CopyFrom(moment)
        expected = self.oracle.history(view.name, known_at, key, start, end, request.last_k, request.all_forms)
        try:
            got = self._history_pages(view, request, known_at)
        except grpc.RpcError as error:
            return self._fail("history", request, error)
        self.asked += max(1, len(expected)) * len(view.fields)
        want = [self._history_row(view, k, f) for k, f in expected]
        if wire.canonical(want) != wire.canonical(got):
            wrong = next((i for i, (a, b) in enumerate(zip(want, got)) if wire.canonical(a) != wire.canonical(b)),
                         min(len(want), len(got)))
            self.mismatches.append(Mismatch(
                f"history: {len(want)} facts expected, {len(got)} came, the first that differs is {wrong}: {request}",
                view.name, expected[wrong][0] if wrong < len(expected) else key, want[wrong:wrong + 1],
                got[wrong:wrong + 1]))

    def _history_row(self, view: View, key: Key, fact: Fact) -> tuple:
        values = [fact.values.get(f.name, f.default) if fact.form == 1 else None for f in view.fields]
        event_key = (None,) * len(view.event_key) if fact.tombstone else fact.event_key
        return (*key, *event_key, *values, fact.event_time, fact.commit, self.oracle.commit_time(fact.commit),
                fact.form)

    def _history_pages(self, view: View, request: Any, known_at: int) -> list[tuple]:
        names = [n for n, _ in view.join_keys + view.event_key] + [f.name for f in view.fields]
        rows: list[tuple] = []
        while True:
            page = self.stubs.historical.GetFeatureHistory(request, timeout=30)
            self._same("history: columns", names, [c.name for c in page.columns])
            self._same("history: read_seq", known_at, page.read_seq)
            if page.row_count > (request.page_size or 1000):
                self._same("history: page size", request.page_size, page.row_count)
            columns = [wire.values_of(c.column, page.row_count) for c in page.columns]
            rows += zip(*columns, page.event_timestamps.micros, page.commit_seqs, page.commit_times_micros, page.forms,
                        strict=True)
            if not page.next_page_token:
                return rows
            request.page_token = page.next_page_token

    # Search.
    def snapshot(self, entity: str, as_of: int, known_at: int) -> Snapshot:
        newest = self.oracle.newest  # every change of facts is a commit
        if self._histories.get(entity, (-1,))[0] != newest:
            self._histories[entity] = (newest, SearchOracle(self.oracle, entity))
        return self._histories[entity][1].at(as_of, known_at)

    def search(self) -> None:
        from model.search_question import ask
        ask(self)
