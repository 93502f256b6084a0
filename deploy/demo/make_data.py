#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes departures.csv and airports.csv from the npm package vega-datasets 3.2.1.

    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
    python3 make_data.py package/data

Only needed to make the two files anew; they are part of the repository.
"""
import csv
import json
import pathlib
import sys


def main() -> None:
    source = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    flights = json.loads((source / "flights-20k.json").read_text())
    flights.sort(key=lambda f: (f["date"], f["origin"], f["destination"]))
    used = {f["origin"] for f in flights} | {f["destination"] for f in flights}
    with open(here / "departures.csv", "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["scheduled", "origin", "destination", "delay_min", "distance_mi"])
        for f in flights:
            minute = f["date"].replace("/", "-").replace(" ", "T") + "Z"
            writer.writerow([minute, f["origin"], f["destination"], f["delay"], f["distance"]])
    with open(source / "airports.csv", newline="") as airports, open(here / "airports.csv", "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["airport", "name", "city", "state", "latitude", "longitude"])
        for a in csv.DictReader(airports):
            if a["iata"] in used:
                writer.writerow([a["iata"], a["name"], a["city"], a["state"], a["latitude"], a["longitude"]])


main()
