# SPDX-License-Identifier: Apache-2.0
"""What the Python client does in a second: rows written from a pandas frame, and spine rows joined into one.

Needs a running daemon: python_rates.py --address HOST:PORT. Prints one JSON line. No bar: it has no reference.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
import pandas as pd

import fletch

ROWS = 1_000_000  # written, 4 doubles each
SPINE = 100_000
ENTITIES = 10_000
FIELDS = ["a", "b", "c", "d"]
SPAN = pd.Timedelta(days=100)


def declare(address: str) -> fletch.Client:
    project = f"rates_{time.time_ns()}"
    client = fletch.Client(address, project=project, timeout=None)
    view = fletch.FeatureView("readings", "sensor", [fletch.Field(name, "DOUBLE") for name in FIELDS])
    client.apply([fletch.Project(project), fletch.Entity("sensor", [fletch.KeyField("sensor_id", "INT64")]), view])
    return client


def instants(start: pd.Timestamp, microseconds: Any) -> Any:
    return start + pd.to_timedelta(microseconds, unit="us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", required=True, help="the daemon's host:port")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    start = pd.Timestamp.now("UTC").floor("s") - SPAN - pd.Timedelta(days=1)
    span = SPAN // pd.Timedelta(microseconds=1)
    facts = pd.DataFrame({name: rng.random(ROWS) for name in FIELDS})
    facts["sensor_id"] = rng.integers(0, ENTITIES, ROWS)
    facts["event_timestamp"] = instants(start, np.arange(ROWS) * (span // ROWS))
    spine = pd.DataFrame({"sensor_id": rng.integers(0, ENTITIES, SPINE)})
    spine["event_timestamp"] = instants(start, rng.integers(0, span, SPINE))
    refs = [f"readings:{name}" for name in FIELDS]
    written, joined = [], []
    for _ in range(args.repeats):
        with declare(args.address) as client:
            begin = time.perf_counter()
            result = client.write("readings", facts)
            written.append(ROWS / (time.perf_counter() - begin))
            begin = time.perf_counter()
            found = client.get_historical_features(spine, refs).to_df()
            joined.append(SPINE / (time.perf_counter() - begin))
        if result.rows != ROWS or len(found) != SPINE or found["readings:a"].isna().mean() > 0.1:
            raise SystemExit("python_rates.py: the answer is not what was written")
    detail = {
        "written_rows": ROWS,
        "written_min": round(min(written)),
        "written_max": round(max(written)),
        "spine_rows": SPINE,
        "fields": len(FIELDS),
        "joined_min": round(min(joined)),
        "joined_max": round(max(joined)),
    }
    line = {
        "what": "Python client, pandas in and out",
        "written_rows_per_s": round(statistics.median(written)),
        "joined_rows_per_s": round(statistics.median(joined)),
        "detail": detail,
    }
    print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    main()
