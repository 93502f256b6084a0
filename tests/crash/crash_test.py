# SPDX-License-Identifier: Apache-2.0
"""kill -9 during mixed concurrent SYNC writes. A ledger outside the process holds every acknowledgement; after each
restart the whole history must be the ledger's requests, each whole, plus unacknowledged ones, each whole or not at
all, and everything must be read back online, in history and by search.

  crash_test.py [--seed N] [--cycles N] [--budget 60s]
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from crash.check import Checker
from crash.load import PROJECT, VIEWS, Load
from support import spec
from support.budget import Budget, add_arguments
from support.daemon import Daemon


def cycle(daemon: Daemon, load: Load, checker: Checker, rng: random.Random) -> None:
    load.start(daemon.stubs)
    time.sleep(rng.uniform(0.1, 1.2))
    daemon.kill()
    load.join()
    begin = time.monotonic()
    daemon.start()
    checker.restart_seconds = max(checker.restart_seconds, time.monotonic() - begin)
    checker.check(daemon.stubs, load)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, cycles=20)
    options = parser.parse_args()
    print(f"crash: seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    budget = Budget(options)
    cycles = 0
    checker = Checker(rng)
    with Daemon() as daemon:
        spec.apply(daemon.stubs, PROJECT, [spec.entity_object("thing", VIEWS[0].join_keys)] +
                   [spec.view_object(v) for v in VIEWS])
        load = Load(rng.randrange(1 << 32))
        while not checker.problems and not budget.over():
            cycle(daemon, load, checker, rng)
            cycles += 1
            budget.spend(1)
        if not checker.problems:
            checker.check_every_vector(daemon.stubs, load)
    for problem in checker.problems[:5]:
        print(f"\nLOST OR WRONG (seed {options.seed}, cycle {cycles}): {problem}", flush=True)
    print(f"crash: seed {options.seed}: {cycles} kills, {len(load.acknowledged)} acknowledged requests, "
          f"{checker.unacknowledged_there} unacknowledged ones there whole, {checker.unacknowledged_gone} not at all, "
          f"{checker.answers} answers checked, slowest restart {checker.restart_seconds:.2f} s, "
          f"{len(checker.problems)} problems, {budget.seconds():.0f} s", flush=True)
    return 1 if checker.problems else 0


if __name__ == "__main__":
    sys.exit(main())
