# SPDX-License-Identifier: Apache-2.0
"""Random histories of vectors and random searches over gRPC, against numpy's brute force over what is visible.

  search_model_test.py [--seed N] [--searches N] [--vectors N] [--rounds N] [--budget 60s]

First `searches` random ones at random (T, K) in small projects, with restarts, damaged index files, erasures and rebuilds
in between; then some seconds of searches beside writers; then `rounds` of churn in a collection of `vectors`, whose graph
is walked. A budget is divided among them.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from model import search_large, search_race
from model.model_test import report, wait_until_one_matures
from model.search_world import Searches, SearchWorld, damage
from model.writer import Writer
from support import spec, wire
from support.budget import Budget, add_arguments
from support.daemon import Daemon

ROUNDS_A_WORLD = 6
ROUNDS_OF_LOAD = 20
RACE_SECONDS = 6.0


def disturb(daemon: Daemon, world: SearchWorld, rng: random.Random) -> None:
    """What must change no answer."""
    kind = rng.choice(["restart", "damage", "rebuild", "parameters", "", ""])
    if kind in ("restart", "damage"):
        daemon.kill() if rng.random() < 0.5 else daemon.stop()
        if kind == "damage":
            damage(daemon.data_dir, rng)
        daemon.start()
    elif kind == "rebuild":
        for view in world.oracle.views.values():
            for field in view.fields_by_metric():
                daemon.stubs.vector.RebuildIndex(wire.vector.RebuildIndexRequest(
                    project=world.project, index=f"{view.name}:{field.name}"), timeout=30)
    elif kind == "parameters":
        world.change_indexes()
        spec.apply(daemon.stubs, world.project, world.objects())


def one_world(daemon: Daemon, rng: random.Random, number: int, commits: list, budget: Budget) -> tuple[Searches, list]:
    world = SearchWorld(rng, f"search{number}", commits)
    spec.apply(daemon.stubs, world.project, world.objects())
    writer, searches = Writer(world, daemon.stubs), Searches(world, daemon.stubs)
    for _ in range(rng.choice([1, ROUNDS_OF_LOAD])):
        writer.write()
    for _ in range(ROUNDS_A_WORLD):
        for _ in range(rng.randrange(2, 12)):
            writer.step()
        disturb(daemon, world, rng)
        writer.stubs = searches.stubs = daemon.stubs
        if rng.random() < 0.2:
            wait_until_one_matures(world)
        for _ in range(rng.randrange(20, 120)):
            searches.step()
        if searches.mismatches or writer.problems or budget.over(searches.searched):
            break
    report(daemon, world, searches)
    for problem in writer.problems[:3]:
        print(f"\nWRONG ANSWER TO A WRITE in project {world.project}: {problem}", flush=True)
    return searches, [m.what for m in searches.mismatches] + writer.problems


def small(daemon: Daemon, rng: random.Random, budget: Budget) -> list:
    """Returns the problems."""
    commits: list[tuple[int, int]] = []
    problems: list = []
    asked = searched = wanted = found = worlds = 0
    while not problems and not budget.over():
        searches, problems = one_world(daemon, rng, worlds, commits, budget)
        worlds += 1
        asked += searches.asked
        searched += searches.searched
        wanted += searches.wanted
        found += searches.found
        budget.spend(searches.searched)
    print(f"search model: {searched} searches and {asked - searched} cells in {worlds} projects, {daemon.starts - 1} "
          f"restarts, {found} of {wanted} hits found by searches that were not exact, {budget.seconds():.0f} s",
          flush=True)
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, searches=4000)
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"search model: seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    begin = time.monotonic()
    whole = options.budget
    if whole is not None:
        options.budget = whole * 0.4
    with Daemon() as daemon:
        problems = small(daemon, rng, Budget(options))
        if not problems:
            problems = search_race.run(daemon, rng, RACE_SECONDS if whole is None else whole * 0.1)
        if not problems:
            problems = search_large.run(daemon, rng, options.vectors, options.rounds,
                                        lambda: whole is not None and time.monotonic() - begin > whole)
    print(f"search model: seed {options.seed}: {len(problems)} problems, {time.monotonic() - begin:.0f} s", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
