#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads the demo: computes each feature from the departures recorded so far, in event-time order, and writes it."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import pathlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import fletch

HERE = pathlib.Path(__file__).parent
START = dt.datetime(2001, 1, 1, tzinfo=dt.timezone.utc)
LATE_MIN = 15  # the Bureau's own bound of "late"


@dataclass
class Departure:
    flight: int
    scheduled: dt.datetime
    recorded: dt.datetime  # when its delay was known
    origin: str
    destination: str
    delay_min: int
    distance_mi: int


def departures() -> list[Departure]:
    """All departures in the order in which they were recorded."""
    rows = []
    with open(HERE / "departures.csv", newline="") as file:
        for flight, row in enumerate(csv.DictReader(file)):
            scheduled = dt.datetime.fromisoformat(row["scheduled"].replace("Z", "+00:00"))
            delay = int(row["delay_min"])
            recorded = scheduled + dt.timedelta(minutes=max(delay, 0) + 1)
            rows.append(
                Departure(
                    flight, scheduled, recorded, row["origin"], row["destination"], delay, int(row["distance_mi"])
                )
            )
    return sorted(rows, key=lambda d: (d.recorded, d.flight))


class Traffic:
    """Counts of the departures so far."""

    def __init__(self) -> None:
        self.departures = self.minutes = self.late = 0

    def add(self, delay_min: int) -> None:
        self.departures += 1
        self.minutes += delay_min
        self.late += delay_min > LATE_MIN

    def features(self) -> dict[str, float]:
        return {
            "departures": self.departures,
            "mean_delay_min": self.minutes / self.departures,
            "late_share": self.late / self.departures,
        }


class Profile:
    """Departures and delays by hour of day so far."""

    def __init__(self) -> None:
        self.count = [0] * 24
        self.minutes = [0] * 24

    def add(self, departure: Departure) -> None:
        self.count[departure.scheduled.hour] += 1
        self.minutes[departure.scheduled.hour] += departure.delay_min

    def vector(self) -> list[float]:
        total = sum(self.count)
        shares = [count / total for count in self.count]
        delays = [minutes / count / 60 if count else 0.0 for minutes, count in zip(self.minutes, self.count)]
        return shares + delays


def airport_places() -> Iterator[dict[str, object]]:
    with open(HERE / "airports.csv", newline="") as file:
        for row in csv.DictReader(file):
            yield {
                **row,
                "latitude": float(row["latitude"]),
                "longitude": float(row["longitude"]),
                "event_timestamp": START,
            }


def events(rows: Iterable[Departure]) -> Iterator[dict[str, object]]:
    for d in rows:
        yield {
            "airport": d.origin,
            "flight": d.flight,
            "to_airport": d.destination,
            "delay_min": d.delay_min,
            "distance_mi": d.distance_mi,
            "event_timestamp": d.recorded,
        }


def airport_traffic(rows: Iterable[Departure]) -> Iterator[dict[str, object]]:
    """One row an airport and minute: what was so after all departures recorded in it."""
    traffic: dict[str, Traffic] = defaultdict(Traffic)
    latest: dict[tuple[str, dt.datetime], dict[str, object]] = {}
    for d in rows:
        traffic[d.origin].add(d.delay_min)
        latest[d.origin, d.recorded] = traffic[d.origin].features()
    for (airport, minute), features in latest.items():
        yield {"airport": airport, **features, "event_timestamp": minute}


def route_traffic(rows: Iterable[Departure]) -> Iterator[dict[str, object]]:
    traffic: dict[tuple[str, str], Traffic] = defaultdict(Traffic)
    latest: dict[tuple[str, str, dt.datetime], dict[str, float]] = {}
    for d in rows:
        traffic[d.origin, d.destination].add(d.delay_min)
        latest[d.origin, d.destination, d.recorded] = traffic[d.origin, d.destination].features()
    for (origin, destination, minute), features in latest.items():
        features.pop("late_share")
        yield {"origin": origin, "destination": destination, **features, "event_timestamp": minute}


def airport_profiles(rows: list[Departure]) -> Iterator[dict[str, object]]:
    """One row an airport and week, dated at the week's end, of all departures recorded before."""
    profiles: dict[str, Profile] = defaultdict(Profile)
    week_end = START + dt.timedelta(days=7)
    for d in [*rows, None]:
        while d is None or d.recorded >= week_end:
            for airport, profile in profiles.items():
                yield {"airport": airport, "profile": profile.vector(), "event_timestamp": week_end}
            week_end += dt.timedelta(days=7)
            if d is None:
                return
        profiles[d.origin].add(d)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:7447")
    arguments = parser.parse_args()
    client = fletch.Client(arguments.address, project="demo")
    started = time.monotonic()
    client.apply(HERE / "features.yaml")
    rows = departures()
    total = 0
    for view, facts in {
        "airport_place": airport_places(),
        "departures": events(rows),
        "airport_traffic": airport_traffic(rows),
        "route_traffic": route_traffic(rows),
        "airport_profile": airport_profiles(rows),
    }.items():
        written = client.write(view, list(facts))
        total += written.rows
        print(f"  {view:<16} {written.rows:>7,} facts, commit {written.commit_seq}")
    print(f"  {total:,} facts in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
