#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Fletch is for, on the demo's data: online reads, a training join with its parity check, search now and as of
a month earlier, and a feature that would have leaked. Exits 1 if any answer is not what it must be."""

from __future__ import annotations

import argparse
import datetime as dt
import random
import statistics
import sys

import fletch
from load import departures

UTC = dt.timezone.utc
SEED = 2001
PARITY_ROWS = 500


def title(text: str) -> None:
    print(f"\n== {text}")


def check(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"this must hold and does not: {what}")


def online(client: fletch.Client) -> None:
    title("An online read: what the delay model sees of SFO -> JFK, now and on 1 February")
    row = [{"origin": "SFO", "destination": "JFK"}]
    now = client.get_online_features("delay_model", row)
    then = client.get_online_features("delay_model", row, as_of=dt.datetime(2001, 2, 1, tzinfo=UTC))
    for ref, values in now.to_dict()["values"].items():
        print(f"  {ref:<36} {values[0]!s:>20}  {then.to_dict()['values'][ref][0]!s:>20}")
    print(f"  as_of {now.as_of:%Y-%m-%d %H:%M:%S}, read_seq {now.read_seq}")
    statuses = {status for column in now.to_dict()["statuses"].values() for status in column}
    check(statuses == {"PRESENT"}, f"every feature is PRESENT, but there are {sorted(statuses)}")


def training(client: fletch.Client) -> tuple[list[dict[str, object]], dict[str, list[object]]]:
    title("A training join: every departure with its features as they stood at its scheduled minute")
    spine = [
        {"origin": d.origin, "destination": d.destination, "event_timestamp": d.scheduled, "delay_min": d.delay_min}
        for d in departures()
    ]
    joined = client.get_historical_features(
        spine, "delay_model", include_statuses=True, include_event_timestamps=True
    )
    table = joined.to_dict()
    check(table["delay_min"] == [row["delay_min"] for row in spine], "spine rows come back once, in order")
    first = ", ".join(f"{name}={table[name][-1]}" for name in ("origin", "destination", "delay_min"))
    print(f"  {len(spine):,} rows x {len(joined.features)} features at commit {joined.read_seq}; the last: {first},")
    print(f"  origin_traffic:mean_delay_min={table['origin_traffic:mean_delay_min'][-1]:.2f}")

    refs = [feature.ref for feature in joined.features]
    cells = 0
    for i in random.Random(SEED).sample(range(len(spine)), PARITY_ROWS):
        row = {key: spine[i][key] for key in ("origin", "destination")}
        answer = client.get_online_features(
            "delay_model", [row], as_of=spine[i]["event_timestamp"], known_at=joined.read_seq
        ).to_dict()
        for ref in refs:
            asked = (answer["values"][ref][0], answer["statuses"][ref][0], answer["event_timestamps"][ref][0])
            stored = (table[ref][i], table[f"{ref}__status"][i], table[f"{ref}__event_timestamp"][i])
            check(asked == stored, f"{ref} of row {i}: online {asked}, training {stored}")
            cells += 1
    print(f"  parity: {PARITY_ROWS} rows asked again online at their own as_of: {cells:,} cells, 0 differ")
    return spine, table


def search(client: fletch.Client) -> None:
    title("A search: which airports behave like SFO, now and a month earlier")
    answers = []
    for when in (None, dt.datetime(2001, 3, 1, tzinfo=UTC)):
        hits = client.search(
            "airport_profile:profile",
            entity_key={"airport": "SFO"},
            top_k=5,
            filter=fletch.field("airport_traffic:departures") >= 50,
            features=["airport_place:city", "airport_traffic:mean_delay_min"],
            as_of=when,
        ).hits
        answers.append([hit.key["airport"] for hit in hits])
        print(f"  {'now' if when is None else f'{when:%d %B %Y}'}:")
        for hit in hits:
            city, delay = hit.features["airport_place:city"], hit.features["airport_traffic:mean_delay_min"]
            print(f"    {hit.key['airport']}  {hit.score:.4f}  {city}, {delay:.1f} min late on average")
    check(answers[0] != answers[1], "the answer changes with as_of")


def leakage(client: fletch.Client, spine: list[dict[str, object]], table: dict[str, list[object]]) -> None:
    title("A feature that would have leaked: the route's mean delay, joined without its time")
    ref = "route_traffic:mean_delay_min"
    routes = sorted({(row["origin"], row["destination"]) for row in spine})
    newest: dict[tuple[object, object], object] = {}
    for begin in range(0, len(routes), 10_000):
        part = routes[begin : begin + 10_000]
        rows = [{"origin": origin, "destination": destination} for origin, destination in part]
        newest.update(zip(part, client.get_online_features([ref], rows).to_dict()["values"][ref]))
    known = [i for i, value in enumerate(table[ref]) if value is not None]
    labels = [float(spine[i]["delay_min"]) for i in known]
    honest = statistics.correlation(labels, [table[ref][i] for i in known])
    naive = statistics.correlation(labels, [newest[spine[i]["origin"], spine[i]["destination"]] for i in known])
    print(f"  correlation with the delay to be predicted: {honest:.2f} as it stood then, {naive:.2f} as it stands now.")
    print("  The newest value has seen the very delay that the model should predict; a model trained on it fails.")
    check(naive > honest + 0.05, "the newest values leak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:7447")
    client = fletch.Client(parser.parse_args().address, project="demo")
    online(client)
    spine, table = training(client)
    search(client)
    leakage(client, spine, table)


if __name__ == "__main__":
    main()
