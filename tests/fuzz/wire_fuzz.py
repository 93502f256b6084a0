# SPDX-License-Identifier: Apache-2.0
"""Random, mutated and structurally random bytes on every RPC: an answer always has a code that says whose fault it is
(never UNKNOWN, INTERNAL or UNIMPLEMENTED, never silence), and the daemon lives and still answers rightly at the end.

  wire_fuzz.py [--seed N] [--inputs N] [--budget 60s]
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import random
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import grpc

from fuzz.messages import Messages, mutate
from support import spec, wire
from support.budget import Budget, add_arguments
from support.daemon import Daemon

PROJECT = "fuzz"
NEVER = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED,
         grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
TIMEOUT = 20
STANDING = wire.registry.FeatureView(
    name="standing", entity="standing_entity",
    fields=[wire.registry.Field(name="x", type=wire.data.INT64)])


def methods() -> list[Any]:
    return [m for module in wire.MODULES for s in module.DESCRIPTOR.services_by_name.values() for m in s.methods]


class Fuzzer:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.messages = Messages(rng)
        self.methods = methods()
        self.codes: collections.Counter = collections.Counter()
        self.problems: list[str] = []

    def _input(self, method: Any) -> bytes:
        roll = self.rng.random()
        if roll < 0.1:
            return self.rng.randbytes(self.rng.choice([0, 1, 5, 40, 2000]))
        whole = self.messages.make(method.input_type).SerializeToString()
        return whole if roll < 0.6 else mutate(self.rng, whole)

    def step(self, channel: Any) -> None:
        method = self.rng.choice(self.methods)
        count = self.rng.choice([0, 1, 2, 3]) if method.client_streaming else 1
        inputs = [self._input(method) for _ in range(count)]
        path = f"/{method.containing_service.full_name}/{method.name}"
        code, details = self._call(channel, method, path, inputs)
        self.codes[(method.name, code)] += 1
        if code in NEVER or (code != grpc.StatusCode.OK and not details):
            self.problems.append(f"{path}: {code.name}: '{details}'\n  inputs {[i.hex() for i in inputs]}")

    def _call(self, channel: Any, method: Any, path: str, inputs: list[bytes]) -> tuple[Any, str]:
        try:
            if method.client_streaming:
                for answer in channel.stream_stream(path)(iter(inputs), timeout=TIMEOUT):
                    if method.name == "WriteStream":
                        self._acknowledgement(path, answer, inputs)
            else:
                channel.unary_unary(path)(inputs[0], timeout=TIMEOUT)
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            return error.code(), error.details()

    def _acknowledgement(self, path: str, answer: bytes, inputs: list[bytes]) -> None:
        ack = wire.ingest.WriteStreamResponse.FromString(answer)
        if ack.code in {code.value[0] for code in NEVER}:
            self.problems.append(f"{path}: acknowledgement {ack}\n  inputs {[i.hex() for i in inputs]}")


def still_right(daemon: Daemon, number: int) -> str:
    """Writes and reads one row of the standing view; empty: right. Random Applies and Deletes may have met the
    project's objects, so it is a project that no input names."""
    stubs = daemon.stubs
    spec.apply(stubs, "standing", [spec.entity_object("standing_entity", [("id", "INT64")]),
                                   wire.registry.Object(feature_view=STANDING)])
    batch = wire.ingest.RowBatch(feature_view="standing", row_count=1, event_timestamps=wire.times(1000))
    wire.fill(batch.columns["id"], "INT64", [number])
    wire.fill(batch.columns["x"], "INT64", [number])
    stubs.ingest.Write(wire.ingest.WriteRequest(project="standing", batches=[batch]), timeout=10)
    request = wire.serving.GetOnlineFeaturesRequest(project="standing", features=["standing:x"], row_count=1)
    wire.fill(request.keys["id"], "INT64", [number])
    answer = stubs.serving.GetOnlineFeatures(request, timeout=10)
    cell = wire.cells_of(answer.columns[0], 1, False)[0]
    return "" if cell == (0, number, None) else f"row {number} was written and reads as {cell}"


def declare(daemon: Daemon) -> None:
    """What structurally random messages name, so that many of them go deep."""
    objects = [spec.entity_object("e", [("k", "INT64"), ("l", "STRING")])]
    view = wire.registry.FeatureView(name="v", entity="e", event_key=spec.key_fields([("ek", "STRING")]))
    for name in ("BOOL", "INT32", "INT64", "FLOAT", "DOUBLE", "STRING", "BYTES", "TIMESTAMP", "JSON"):
        view.fields.add(name=f"f_{name.lower()}", type=wire.data.ValueType.Value(name))
    view.fields.add(name="f_array", type=wire.data.DOUBLE, array=True)
    vector = view.fields.add(name="p", type=wire.data.FLOAT_VECTOR, dimension=2)
    vector.index.metric = wire.registry.L2
    objects += [wire.registry.Object(feature_view=view), spec.service_object("s", ["v:f_int64", "v:p"])]
    spec.apply(daemon.stubs, PROJECT, objects)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, inputs=20_000)
    options = parser.parse_args()
    print(f"fuzz: seed {options.seed}", flush=True)
    fuzzer = Fuzzer(random.Random(options.seed))
    budget = Budget(options)
    count = 0
    with Daemon() as daemon:
        declare(daemon)
        while not budget.over() and len(fuzzer.problems) < 5 and daemon.alive():
            if count % 2000 == 0:
                declare(daemon)
            fuzzer.step(daemon.channel)
            count += 1
            budget.spend(1)
        if not daemon.alive():
            fuzzer.problems.append(f"the daemon is gone; its log ends:\n{daemon.log_tail()}")
        else:
            problem = still_right(daemon, count) if daemon.serving() else "not SERVING"
            fuzzer.problems += [problem] if problem else []
            daemon.stop()
    for problem in fuzzer.problems[:5]:
        print(f"\nWRONG (seed {options.seed}): {problem[:4000]}", flush=True)
    accepted = sum(n for (_, code), n in fuzzer.codes.items() if code == grpc.StatusCode.OK)
    print(f"fuzz: seed {options.seed}: {count} calls of {len(fuzzer.methods)} RPCs, {accepted} accepted, "
          f"{len(fuzzer.problems)} problems, {budget.seconds():.0f} s", flush=True)
    return 1 if fuzzer.problems else 0


if __name__ == "__main__":
    sys.exit(main())
