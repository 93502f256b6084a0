# SPDX-License-Identifier: Apache-2.0
"""Random histories against the real daemon over gRPC, answered by the oracle of semantics.md.

  model_test.py [--seed N] [--questions N] [--budget 60s]   random questions; --budget instead of a number of them
  model_test.py --parity [--questions N] [--budget 60s]     online equals training at (as_of, read_seq) under writes
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from model import parity
from model.questions import Questions
from model.shrink import describe, shrink, with_inputs
from model.world import World, now
from model.writer import Writer
from support import spec
from support.budget import Budget, add_arguments
from support.daemon import Daemon

MAX_REPORTED = 3
ROUNDS_A_WORLD = 8


def wait_until_one_matures(world: World) -> None:
    """Sleeps until the next future event's time has come, if that is soon."""
    here = now()
    soon = [f.event_time for keys in world.oracle.facts.values() for facts in keys.values() for f in facts
            if here < f.event_time < here + 1_500_000]
    if soon:
        time.sleep((min(soon) - here) / 1e6)


def restart(daemon: Daemon, rng: random.Random) -> None:
    daemon.kill() if rng.random() < 0.5 else daemon.stop()
    daemon.start()


def report(daemon: Daemon, world: World, questions: Questions) -> None:
    for m in questions.mismatches[:MAX_REPORTED]:
        print(f"\nMISMATCH in project {world.project}: {m.what}\n  entity {m.key}\n  expected {m.expected}\n"
              f"  got      {m.got}", flush=True)
        if m.shrink:
            print(m.shrink(daemon.stubs), flush=True)
        if m.view:
            for view in with_inputs(world, m.view):
                facts = world.oracle.facts[view.name].get(m.key, [])
                print(f"  view {view}\n  its facts of this entity:\n{describe(facts)}")
            print(shrink(daemon.stubs, world, m), flush=True)


def one_world(daemon: Daemon, rng: random.Random, number: int, commits: list, budget: Budget) -> tuple[int, list]:
    """Returns the questions asked and the problems."""
    world = World(rng, f"model{number}", commits)
    spec.apply(daemon.stubs, world.project, world.objects())
    writer, questions = Writer(world, daemon.stubs), Questions(world, daemon.stubs)
    for _ in range(ROUNDS_A_WORLD):
        for _ in range(rng.randrange(2, 25)):
            writer.step()
        if rng.random() < 0.15:
            spec.apply(daemon.stubs, world.project, [world.add_field()])
        if rng.random() < 0.1:
            spec.apply(daemon.stubs, world.project, [world.break_view()], allow_breaking=True)
        if rng.random() < 0.15:
            restart(daemon, rng)
            writer.stubs = questions.stubs = daemon.stubs
        if rng.random() < 0.3:
            wait_until_one_matures(world)
        for _ in range(rng.randrange(4, 16)):
            questions.step()
        if questions.mismatches or writer.problems or budget.over(questions.asked):
            break
    report(daemon, world, questions)
    for problem in writer.problems[:MAX_REPORTED]:
        print(f"\nWRONG ANSWER TO A WRITE in project {world.project}: {problem}", flush=True)
    return questions.asked, questions.mismatches + writer.problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser, questions=100_000)
    parser.add_argument("--parity", action="store_true")
    options = parser.parse_args()
    if options.parity:
        return parity.run(options)
    rng = random.Random(options.seed)
    print(f"model: seed {options.seed}", flush=True)
    budget = Budget(options)
    commits: list[tuple[int, int]] = []
    asked, problems, worlds = 0, [], 0
    with Daemon() as daemon:
        while not problems and not budget.over(0):
            count, problems = one_world(daemon, rng, worlds, commits, budget)
            asked, worlds = asked + count, worlds + 1
            budget.spend(count)
        starts = daemon.starts
    print(f"model: seed {options.seed}: {asked} questions in {worlds} projects, {starts - 1} restarts, "
          f"{len(problems)} mismatches, {budget.seconds():.0f} s", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
