# SPDX-License-Identifier: Apache-2.0
"""The package with what it requires and nothing else."""

from __future__ import annotations

import subprocess
import sys

BARE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"numpy", "pandas", "polars", "tqdm", "yaml"}:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import datetime as dt
import fletch
from fletch._columns import decode, encode
from fletch._frames import frame
from fletch._types import FieldType
from fletch.v1 import data_pb2 as d

part = frame([{"x": 1.5, "v": [1, 2], "t": dt.datetime(1970, 1, 1)}, {"x": None, "v": None, "t": "1970-01-02"}])
assert part.times("t").to_pylist() == [0, 86_400_000_000]
for name, kind, wanted in (
    ("x", FieldType(d.DOUBLE), [1.5, None]),
    ("v", FieldType(d.FLOAT_VECTOR, dimension=2), [[1.0, 2.0], None]),
):
    array, _ = part.array(name, kind)
    assert decode(encode(array, kind), 2, kind).to_pylist() == wanted
try:
    fletch.Client(project="demo").apply("kind: Project")
except fletch.FletchError as error:
    assert "fletch[yaml]" in error.message
    print("bare is fine")
"""


def test_works_without_the_extras() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "bare is fine\n"), done.stderr
