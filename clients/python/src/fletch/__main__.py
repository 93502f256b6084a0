# SPDX-License-Identifier: Apache-2.0
"""`python3 -m fletch write VIEW FILE.parquet`: what fletchctl leaves to Arrow."""

from __future__ import annotations

import argparse
import os
import sys

import pyarrow.parquet as pq

from fletch.client import DEFAULT_TARGET, Client
from fletch.errors import FletchError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m fletch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write a Parquet file's rows to a feature view")
    write.add_argument("view", help='"view" or "view@v2"')
    write.add_argument("file", help="a Parquet file: join keys, event keys, fields and the timestamp as columns")
    write.add_argument("--address", default=os.environ.get("FLETCH_ADDRESS", DEFAULT_TARGET))
    write.add_argument("--project", default=os.environ.get("FLETCH_PROJECT"), required="FLETCH_PROJECT" not in os.environ)
    write.add_argument("--timestamp-column", default="event_timestamp")
    write.add_argument("--durability", choices=["SYNC", "BUFFERED"], default="SYNC")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; 0: done, 1: refused (the reason goes to standard error)."""
    args = _parser().parse_args(arguments)
    try:
        table = pq.read_table(args.file)
        with Client(args.address, project=args.project) as client:
            result = client.write(
                args.view, table, timestamp_column=args.timestamp_column, durability=args.durability
            )
    except (FletchError, OSError, ValueError) as error:
        print(f"fletch: {error}", file=sys.stderr)
        return 1
    print(f"wrote {result.rows} rows, commit {result.commit_seq}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
