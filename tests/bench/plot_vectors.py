# SPDX-License-Identifier: Apache-2.0
"""Draws the lines of fletch-bench p6 and of libraries.py: plot_vectors.py FILE… --out FOLDER

p6-SET.svg: median time by selectivity beside what it is compared with, a panel for each order of the filter's field.
p4-SET.svg: queries a CPU second by recall, ours and other libraries'.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

Line = dict[str, Any]
ORDERS = ("random", "near", "far")


def median(detail: Any) -> float:
    return float(detail["median"] if isinstance(detail, dict) else detail)


def file_name(bar: str, what: str) -> str:
    return f"{bar.lower()}-{re.sub(r'[^a-z0-9]+', '-', what.lower())}.svg"


def draw_filters(what: str, lines: list[tuple[float, str, Line]], out: Path) -> None:
    figure, panels = plt.subplots(1, len(ORDERS), figsize=(15, 5), sharey=True)
    for panel, order in zip(panels, ORDERS, strict=True):
        rows = sorted((percent, line["detail"]) for percent, of, line in lines if of == order)
        percents = [percent for percent, _ in rows]
        drawn = {
            "Fletch, filtered": [median(d["p50_us"]) for _, d in rows],
            "scan of the matches, listed beforehand": [
                median(d["scan_of_matches_us"]) + median(d["call_us"]) for _, d in rows
            ],
            "unfiltered / selectivity": [median(d["unfiltered_p50_us"]) / p * 100 for p, d in rows],
        }
        for (name, values), style in zip(drawn.items(), ("o-", "--", ":"), strict=True):
            panel.plot(percents, values, style, label=name)
        for percent, detail in rows:
            panel.annotate(f"{median(detail['recall']):.3f}", (percent, median(detail["p50_us"])), fontsize=8)
        panel.set(xscale="log", yscale="log", xlabel="entities that pass, %", title=f"field {order}")
        panel.invert_xaxis()
    panels[0].set_ylabel("p50 of a search through gRPC, µs (recall@10 beside it)")
    panels[0].legend()
    figure.suptitle(what)
    figure.tight_layout()
    figure.savefig(out / file_name("P6", what))


def draw_libraries(what: str, lines: list[tuple[str, Line]], out: Path) -> None:
    curves: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for name, line in lines:
        detail = line["detail"]
        curves["Fletch"].add((median(detail["recall"]), median(detail["qps"])))
        curves[name].add((median(detail["other_recall"]), median(detail["other_qps"])))
    figure, axes = plt.subplots(figsize=(9, 6))
    for name, points in curves.items():
        ordered = sorted(points)
        axes.plot(
            [recall for recall, _ in ordered],
            [qps for _, qps in ordered],
            "o-" if name == "Fletch" else "o--",
            label=name,
        )
    axes.set(yscale="log", xlabel="recall@10", ylabel="queries a CPU second, one thread", title=what)
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / file_name("P4", what))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("."))
    arguments = parser.parse_args()
    filters: dict[str, list[tuple[float, str, Line]]] = defaultdict(list)
    others: dict[str, list[tuple[str, Line]]] = defaultdict(list)
    for path in arguments.files:
        for text in path.read_text().splitlines():
            if not text.startswith("{"):
                continue
            line = json.loads(text)
            if found := re.fullmatch(r"filtered p50 .*?, (\S+) % (\w+), (.*)", line["what"]):
                filters[found[3]].append((float(found[1]), found[2], line))
            elif found := re.fullmatch(r"QPS / (.*)'s at recall@10 [\d.]+, (.*)", line["what"]):
                others[found[2]].append((found[1], line))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for what, lines in filters.items():
        draw_filters(what, lines, arguments.out)
    for what, named in others.items():
        draw_libraries(what, named, arguments.out)


if __name__ == "__main__":
    main()
