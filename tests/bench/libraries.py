# SPDX-License-Identifier: Apache-2.0
"""P4 against other libraries as they come from PyPI: hnswlib, faiss HNSW (flat, 8 bits, 8 bits with refine), usearch.

    libraries.py --bench build/release/bin/fletch-bench --set glove100 [--vectors /tmp/vectors] [--repeats 5]

In one run, one thread a search, alternating with ours, which is the index of the daemon in a process of its own; CPU
seconds of the searching process. All graphs: M = 16, 200 candidates while building. One JSON line a library and
recall; then one against the faster of hnswlib and faiss with refine, which the bar is about.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import hnswlib
import numpy as np
import usearch.index

from common import print_line, quotients, summary

TOP_K = 10
M = 16
EF_CONSTRUCTION = 200
MOST_EF = 4096
REFINES = (2, 4, 8)  # candidates of 8 bits for each hit, compared again

Matrix = np.ndarray[Any, Any]


def load(path: Path, most: int) -> Matrix:
    rows, dimension = struct.unpack("<II", path.open("rb").read(8))
    return np.fromfile(path, dtype="<f4", offset=8, count=min(rows, most) * dimension).reshape(-1, dimension)


def pad(vectors: Matrix) -> Matrix:
    """To whole SIMD lanes, without which faiss's 8 bits are several times slower than its floats."""
    return np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % 16)))


def exact(vectors: Matrix, queries: Matrix) -> Matrix:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index.search(queries, TOP_K)[1]


def recall_of(found: Matrix, truth: Matrix) -> float:
    return float(np.mean([len(set(f) & set(t)) / TOP_K for f, t in zip(found, truth, strict=True)]))


class Lane:
    """fletch-bench search-lane: takes an ef, answers recall and queries a CPU second."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        command = [arguments.bench, "search-lane", "--set", arguments.set, "--vectors", str(arguments.vectors)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            sys.exit("libraries: fletch-bench search-lane ended early")
        return dict(json.loads(line))

    def measure(self, ef: int) -> tuple[float, float]:
        assert self._child.stdin
        print(ef, file=self._child.stdin, flush=True)
        answer = self._answer()
        return answer["recall"], answer["qps"]


@dataclass
class Library:
    name: str
    search: Callable[[int], Matrix]  # with this ef: the hits' rows
    queries: int
    truth: Matrix

    def measure(self, ef: int) -> tuple[float, float]:
        begin = time.process_time()
        found = self.search(ef)
        return recall_of(found, self.truth), self.queries / (time.process_time() - begin)


def least_ef(wanted: float, measure: Callable[[int], tuple[float, float]]) -> int | None:
    """As vector_set.cc's; None: not to be had."""
    low = high = TOP_K
    while measure(high)[0] < wanted:
        if high == MOST_EF:
            return None
        low, high = high, min(MOST_EF, high * 2)
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        if measure(middle)[0] >= wanted:
            high = middle
        else:
            low = middle
    return high


def libraries(vectors: Matrix, queries: Matrix, truth: Matrix) -> list[Library]:
    dimension = vectors.shape[1]
    plain = hnswlib.Index(space="ip", dim=dimension)
    plain.init_index(max_elements=len(vectors), ef_construction=EF_CONSTRUCTION, M=M)
    plain.add_items(vectors)
    plain.set_num_threads(1)

    def with_hnswlib(ef: int) -> Matrix:
        plain.set_ef(ef)
        return plain.knn_query(queries, TOP_K)[0]

    def faiss_graph(index: Any) -> Any:
        index.hnsw.efConstruction = EF_CONSTRUCTION
        return index

    flat = faiss_graph(faiss.IndexHNSWFlat(dimension, M, faiss.METRIC_INNER_PRODUCT))
    flat.add(vectors)
    padded = pad(vectors)
    codes = faiss_graph(
        faiss.IndexHNSWSQ(padded.shape[1], faiss.ScalarQuantizer.QT_8bit, M, faiss.METRIC_INNER_PRODUCT)
    )
    refined = faiss.IndexRefineFlat(codes)
    refined.train(padded)
    refined.add(padded)

    def with_faiss(index: Any, graph: Any, refine: int = 0) -> Callable[[int], Matrix]:
        asked = queries if graph is flat else pad(queries)

        def search(ef: int) -> Matrix:
            graph.hnsw.efSearch = ef
            if refine:
                index.k_factor = refine
            return index.search(asked, TOP_K)[1]

        return search

    used = usearch.index.Index(ndim=dimension, metric="ip", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION)
    used.add(np.arange(len(vectors)), vectors)
    used8 = usearch.index.Index(ndim=dimension, metric="cos", dtype="i8", connectivity=M, expansion_add=EF_CONSTRUCTION)
    used8.add(np.arange(len(vectors)), vectors)

    def with_usearch(index: Any) -> Callable[[int], Matrix]:
        def search(ef: int) -> Matrix:
            index.expansion_search = ef
            return index.search(queries, TOP_K, threads=1).keys

        return search

    faiss.omp_set_num_threads(1)
    searches = {
        "hnswlib": with_hnswlib,
        "faiss HNSW": with_faiss(flat, flat),
        "faiss HNSW, 8 bits": with_faiss(codes, codes),
        **{f"faiss HNSW, 8 bits, refine {n}": with_faiss(refined, codes, n) for n in REFINES},
        "usearch": with_usearch(used),
        "usearch, 8 bits": with_usearch(used8),
    }
    return [Library(name, search, len(queries), truth) for name, search in searches.items()]


def without_slow_refines(others: list[Library], efs: dict[str, int]) -> list[Library]:
    """Of faiss with refine, whichever number of candidates is fastest here."""
    speed = {other.name: other.measure(efs[other.name])[1] for other in others if "refine" in other.name}
    fastest = max(speed, key=lambda name: speed[name], default=None)
    return [other for other in others if "refine" not in other.name or other.name == fastest]


def compare(wanted: float, lane: Lane, others: list[Library], repeats: int, what: str, bound: float) -> None:
    our_ef = least_ef(wanted, lane.measure)
    if our_ef is None:
        print(f"libraries: ours does not reach {wanted} on {what}", file=sys.stderr)
        return
    efs: dict[str, int] = {}
    for other in others:
        ef = least_ef(wanted, other.measure)
        if ef is None:
            print(f"libraries: {other.name} does not reach {wanted} on {what}", file=sys.stderr)
        else:
            efs[other.name] = ef
    others = without_slow_refines([other for other in others if other.name in efs], efs)
    ours: list[tuple[float, float]] = []
    theirs: dict[str, list[tuple[float, float]]] = {other.name: [] for other in others}
    for _ in range(repeats):
        ours.append(lane.measure(our_ef))
        for other in others:
            theirs[other.name].append(other.measure(efs[other.name]))
    our_qps = [qps for _, qps in ours]

    def line(text: str, name: str, at_least: float | None) -> None:
        qps = [each for _, each in theirs[name]]
        ratios = quotients(our_qps, qps)
        detail = {
            "ratio": summary(ratios),
            "qps": summary(our_qps),
            "recall": summary([recall for recall, _ in ours]),
            "ef": our_ef,
            "other": name,
            "other_qps": summary(qps),
            "other_recall": summary([recall for recall, _ in theirs[name]]),
            "other_ef": efs[name],
        }
        print_line("P4", text, statistics.median(ratios), None, detail, at_least=at_least)

    for name in theirs:
        line(f"QPS / {name}'s at recall@10 {wanted:.2f}, {what}", name, None)
    rivals = [name for name in theirs if name == "hnswlib" or "refine" in name]
    fastest = max(rivals, key=lambda name: statistics.median(qps for _, qps in theirs[name]))
    line(f"QPS / the faster of hnswlib's and faiss's with refine, at recall@10 {wanted:.2f}, {what}", fastest, bound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bench", required=True, help="fletch-bench")
    parser.add_argument("--vectors", type=Path, default=Path("/tmp/vectors"))
    parser.add_argument("--set", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    vectors = load(arguments.vectors / f"{arguments.set}.f32", 350_000)
    queries = load(arguments.vectors / f"{arguments.set}-queries.f32", 1000)
    truth = exact(vectors, queries)
    lane = Lane(arguments)
    others = libraries(vectors, queries, truth)
    what = f"{arguments.set}, {len(vectors)} x {vectors.shape[1]}-d"
    for wanted in (0.90, 0.95, 0.98, 0.99):
        compare(wanted, lane, others, arguments.repeats, what, 2.0 if vectors.shape[1] <= 128 else 2.5)


if __name__ == "__main__":
    main()
