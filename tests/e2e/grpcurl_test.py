# SPDX-License-Identifier: Apache-2.0
"""grpcurl, which knows the daemon by reflection alone, lists, describes and calls every service; health per service."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import wire
from support.daemon import Daemon

VERSION = "v1.8.9"  # the last that Debian 12's Go builds
FOLDER = wire.CACHE / f"grpcurl-{VERSION}"
SERVICES = [s.full_name for m in wire.MODULES for s in m.DESCRIPTOR.services_by_name.values()]

# Every RPC, in an order that works: (service/method, request, what the answer must hold).
CALLS: list[tuple[str, object, str]] = [
    ("RegistryService/Apply", {"project": "demo", "objects": [
        {"entity": {"name": "airport", "join_keys": [{"name": "airport", "type": "STRING"}]}},
        {"feature_view": {"name": "airport_weather", "entity": "airport", "fields": [
            {"name": "temperature_c", "type": "DOUBLE"},
            {"name": "place", "type": "FLOAT_VECTOR", "dimension": 2, "index": {"metric": "L2"}}]}}]},
     '"change": "ADDED"'),
    ("RegistryService/Get", {"project": "demo", "kind": "ENTITY", "name": "airport"}, '"join_keys"'),
    ("RegistryService/List", {"project": "demo"}, '"airport_weather"'),
    ("IngestService/Write", {"project": "demo", "batches": [{
        "feature_view": "airport_weather", "row_count": 1,
        "columns": {"airport": {"strings": {"values": ["SFO"]}}, "temperature_c": {"doubles": {"values": [11.5]}},
                    "place": {"vectors": {"dimension": 2, "values": [1, 2]}}},
        "event_timestamps": {"rfc3339": ["2001-11-22T00:00:00Z"]}}]}, '"commit_seq"'),
    ("IngestService/WriteStream", {"project": "demo", "batches": [{
        "feature_view": "airport_weather", "row_count": 1, "columns": {"airport": {"strings": {"values": ["JFK"]}}},
        "event_timestamps": {"rfc3339": ["2001-11-22T00:00:00Z"]}}]}, '"result"'),
    ("ServingService/GetOnlineFeatures", {
        "project": "demo", "features": ["airport_weather:temperature_c"], "row_count": 2,
        "keys": {"airport": {"strings": {"values": ["SFO", "JFK"]}}}, "as_of": {"rfc3339": ["2001-11-22T00:30:00Z"]}},
     "11.5"),
    ("HistoricalService/GetHistoricalFeatures", [
        {"header": {"project": "demo", "features": ["airport_weather:temperature_c"]}},
        {"spine": {"row_count": 1, "keys": {"airport": {"strings": {"values": ["SFO"]}}},
                   "timestamps": {"rfc3339": ["2001-11-22T00:00:00Z"]}}}], "11.5"),
    ("HistoricalService/GetFeatureHistory", {"project": "demo", "feature_view": "airport_weather"}, '"ROW"'),
    ("VectorService/Search", {"project": "demo", "index": "airport_weather:place", "vector": [1, 2], "top_k": 1},
     '"SFO"'),
    ("VectorService/BatchSearch", {
        "common": {"project": "demo", "index": "airport_weather:place", "top_k": 1, "explain": True,
                                      "group_by": {"ref": "airport"}, "score_threshold": 3},
        "query_count": 2, "vectors": [1, 2, 3, 3]}, '"plans"'),
    ("VectorService/AuditRecall", {"project": "demo", "index": "airport_weather:place", "reachability": True},
     '"recall": 1'),
    ("VectorService/RebuildIndex", {"project": "demo", "index": "airport_weather:place"}, '"airport_weather@v1:place"'),
    ("VectorService/DescribeIndex", {"project": "demo", "index": "airport_weather:place"}, '"target_recall": 0.95'),
    ("IngestService/Delete", {
        "project": "demo", "feature_view": "airport_weather", "row_count": 1,
        "keys": {"airport": {"strings": {"values": ["JFK"]}}},
        "event_timestamps": {"rfc3339": ["2001-11-23T00:00:00Z"]}}, '"commit_seq"'),
    ("IngestService/Retract", {
        "project": "demo", "feature_view": "airport_weather", "row_count": 1, "tombstones": True,
        "keys": {"airport": {"strings": {"values": ["JFK"]}}},
        "event_timestamps": {"rfc3339": ["2001-11-23T00:00:00Z"]}}, '"commit_seq"'),
    ("RegistryService/Apply", {"project": "demo", "objects": [
        {"aggregation_view": {"name": "warmth", "source": "airport_weather", "aggregations": [
            {"name": "mean_1d", "column": "temperature_c", "function": "MEAN", "window": "86400s"}]}},
        {"on_demand_feature_view": {"name": "risk", "inputs": ["warmth"], "request": [{"name": "hour", "type": "INT64"}],
                                    "fields": [{"name": "icy", "type": "BOOL", "sql": "mean_1d < 15 AND hour < 9"}]}}]},
     '"ADDED"'),
    ("ServingService/GetOnlineFeatures", {
        "project": "demo", "features": ["warmth:mean_1d", "risk:icy"], "row_count": 1,
        "keys": {"airport": {"strings": {"values": ["SFO"]}}}, "request_context": {"hour": {"int64s": {"values": ["8"]}}},
        "as_of": {"rfc3339": ["2001-11-22T00:30:00Z"]}}, "true"),
    ("RegistryService/GetLineage", {"project": "demo", "kind": "FEATURE_VIEW", "name": "airport_weather"}, '"risk"'),
    ("HistoricalService/CreateTrainingSet", [
        {"header": {"name": "set", "read": {"project": "demo", "features": ["airport_weather:temperature_c"]}}},
        {"spine": {"row_count": 1, "keys": {"airport": {"strings": {"values": ["SFO"]}}},
                   "timestamps": {"rfc3339": ["2001-11-22T00:00:00Z"]}}},
        {"finish": {}}], '"digest"'),
    ("HistoricalService/GetTrainingSet", {"project": "demo", "name": "set"}, "11.5"),
    ("HistoricalService/ListTrainingSets", {"project": "demo"}, '"set"'),
    ("HistoricalService/VerifyTrainingSet", {"project": "demo", "name": "set"}, '"same": true'),
    ("AdminService/AuditParity", {"project": "demo"}, '"cells"'),
    ("IngestService/Erase", {"project": "demo", "entity": "airport", "row_count": 1,
                             "keys": {"airport": {"strings": {"values": ["SFO"]}}}}, '"set"'),
    ("AdminService/ListErasures", {}, '"airport"'),
    ("AdminService/Compact", {}, '"disk_bytes_after"'),
    ("HistoricalService/DeleteTrainingSet", {"project": "demo", "name": "set"}, "{"),
    ("AdminService/GetStatus", {}, '"serving"'),
    ("RegistryService/Delete", {"project": "demo", "kind": "ON_DEMAND_FEATURE_VIEW", "name": "risk"}, '"revision"'),
]


def install() -> str:
    binary = FOLDER / "grpcurl"
    if not binary.exists():
        subprocess.run(["go", "install", f"github.com/fullstorydev/grpcurl/cmd/grpcurl@{VERSION}"], check=True,
                       env={**os.environ, "GOBIN": str(FOLDER)}, stderr=subprocess.DEVNULL, timeout=600)
    return str(binary)


def snake_case(text: str) -> str:
    """Field names as the protos have them: versions of grpcurl differ."""
    return re.sub(r'"[a-z]+(?:[A-Z][a-z]+)+":', lambda name: re.sub("[A-Z]", lambda c: "_" + c[0].lower(), name[0]), text)


class Check:
    def __init__(self, binary: str, address: str) -> None:
        self.binary, self.address = binary, address
        self.passed = self.failed = 0

    def run(self, *arguments: str, data: str = "", flags: Sequence[str] = ()) -> str:
        done = subprocess.run([self.binary, "-plaintext", *flags, *(["-d", "@"] if data else []), self.address,
                               *arguments], input=data, capture_output=True, text=True, timeout=60)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}{done.stdout}"

    def holds(self, what: str, text: str, *wanted: str) -> None:
        missing = [w for w in wanted if w not in text]
        if missing or text.startswith("failed"):
            self.failed += 1
            print(f"FAILED {what}: {missing} expected in\n{text}", flush=True)
        else:
            self.passed += 1


def main() -> int:
    binary = install()
    rpcs = {f"{s.name}/{m.name}" for mod in wire.MODULES for s in mod.DESCRIPTOR.services_by_name.values()
            for m in s.methods}
    with Daemon() as daemon:
        check = Check(binary, daemon.address)
        check.holds("list", check.run("list"), *SERVICES, "grpc.health.v1.Health", "grpc.reflection")
        for service in SERVICES:
            methods = [m for m in rpcs if m.startswith(service.split(".")[-1] + "/")]
            check.holds(f"describe {service}", check.run("describe", service), *(m.split("/")[1] for m in methods))
        for method, request, wanted in CALLS:
            parts = request if isinstance(request, list) else [request]
            answer = check.run(f"fletch.v1.{method}", data="\n".join(map(json.dumps, parts)))
            check.holds(method, snake_case(answer), wanted)
        # gRPC's own health service is listed and cannot be described: grpcurl is given its proto.
        health = ["-import-path", str(pathlib.Path(__file__).parent), "-proto", "health.proto"]
        for service in ["", *SERVICES]:
            answer = check.run("grpc.health.v1.Health/Check", data=json.dumps({"service": service}), flags=health)
            check.holds(f"health of '{service}'", answer, '"SERVING"')
        check.holds("every RPC is called", str({m for m, _, _ in CALLS} == rpcs), "True")
        daemon.stop()
    print(f"grpcurl: {check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
