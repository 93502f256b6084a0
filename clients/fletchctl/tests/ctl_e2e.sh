#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ctl_e2e.sh FLETCHD FLETCHCTL: every command of fletchctl against a daemon of its own, outputs compared.
set -u
[ $# -eq 2 ] || { echo "usage: $0 FLETCHD FLETCHCTL" >&2; exit 2; }
fletchd=$(realpath "$1")
ctl=$(realpath "$2")
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0
failed=0

# check NAME EXIT_CODE EXPECTED COMMAND…: standard output (and, when the code is not 0, standard error) must match the
# bash pattern EXPECTED as a whole.
check() {
  local name=$1 want_code=$2 want=$3 got code
  shift 3
  got=$("$@" 2> stderr)
  code=$?
  [ "$want_code" = 0 ] || got="$got$(cat stderr)"
  # shellcheck disable=SC2053
  if [ "$code" = "$want_code" ] && [[ $got == $want ]]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED %s: exit %s (expected %s)\n--- got\n%s\n%s\n--- expected\n%s\n' \
      "$name" "$code" "$want_code" "$got" "$(cat stderr)" "$want"
  fi
}

"$fletchd" --listen 127.0.0.1:0 --metrics-listen "" --data-dir data --port-file port > daemon.log 2>&1 &
daemon=$!
for _ in $(seq 150); do [ -s port ] && break; sleep 0.1; done
[ -s port ] || { cat daemon.log; echo "ctl_e2e: fletchd did not start"; exit 1; }
# The first line is host:port, or "port: N" of the loopback.
FLETCH_ADDRESS=$(sed -n '1s/^port: /127.0.0.1:/;1p' port)
export FLETCH_ADDRESS FLETCH_PROJECT=demo

cat > features.yaml <<'Y'
kind: Project
name: demo
---
kind: Entity
name: airport
join_keys: [{name: airport, type: STRING}]
---
kind: FeatureView
name: weather
entity: airport
ttl: 0
fields:
  - {name: temperature_c, type: DOUBLE, description: "air temperature, degrees Celsius"}
  - {name: note, type: STRING, default: calm}
---
kind: FeatureView
name: departures
entity: airport
event_key: [{name: flight, type: INT64}]
fields: [{name: delay_min, type: INT64}]
---
kind: FeatureView
name: profile
entity: airport
fields: [{name: vec, type: FLOAT_VECTOR, dimension: 2, index: {metric: COSINE}}]
---
kind: FeatureService
name: model
bindings:
  - {alias: origin, feature_view: weather, join_key_map: {airport: origin}}
  - {alias: destination, feature_view: weather, join_key_map: {airport: destination}}
features: ["origin:temperature_c", "destination:temperature_c"]
Y

# --- registry
check "dry run" 0 "*ADDED      FeatureView weather (version 1)*nothing was changed (--dry-run)*" \
  "$ctl" apply --dry-run features.yaml
check "apply" 0 "*ADDED      FeatureService model*" "$ctl" apply features.yaml
check "apply again" 0 "*UNCHANGED  FeatureView weather*0 of 6 objects changed*" "$ctl" apply features.yaml
check "apply --json" 0 '{"changes":\[*"change":"UNCHANGED"*"dry_run":false}' "$ctl" apply features.yaml --json
sed 's/temperature_c, type: DOUBLE/temperature_c, type: INT64/' features.yaml > breaking.yaml
check "breaking" 1 "fletchctl: FAILED_PRECONDITION: *weather*" "$ctl" apply breaking.yaml
check "breaking, dry run" 0 "*BREAKING   FeatureView weather (version 2)*" \
  "$ctl" apply --dry-run --allow-breaking breaking.yaml
echo 'kind: Entity
name: x
joinkeys: []' > bad.yaml
check "bad spec" 2 "fletchctl: bad.yaml:3: Entity x: unknown key 'joinkeys'*" "$ctl" apply bad.yaml
check "get" 0 "# version 1*kind: FeatureView*name: weather*default: calm*" "$ctl" get view weather
check "get --json" 0 '{"kind":"Entity","name":"airport","join_keys":\[{"name":"airport","type":"STRING"}\]}' \
  "$ctl" get entity airport --json
for object in "entity airport" "view weather" "view departures" "view profile" "service model"; do
  # shellcheck disable=SC2086
  "$ctl" get $object > again.yaml
  check "what get $object prints applies unchanged" 0 "UNCHANGED*0 of 1 objects changed*" "$ctl" apply again.yaml
done
check "list" 0 "KIND*weather*1*of airport, 2 fields*" "$ctl" list
check "list views" 0 "KIND*FeatureView*departures*" "$ctl" list view
check "list projects" 0 "*demo*" env -u FLETCH_PROJECT "$ctl" list project
check "unknown object" 1 "fletchctl: NOT_FOUND: *nosuch*" "$ctl" get view nosuch
check "view in use" 1 "fletchctl: FAILED_PRECONDITION: *model*" "$ctl" delete-object view weather

# --- write
cat > weather.csv <<'C'
airport,event_timestamp,temperature_c
SFO,2001-01-01T00:00:00Z,11.5
SFO,2001-01-02 00:00:00,12
JFK,2001-01-01,
C
check "write CSV" 0 "wrote 3 rows in 1 commit; the newest is *" "$ctl" write weather weather.csv
check "write JSON lines" 0 '{"rows":3,"commits":2,"commit_seq":*}' "$ctl" --json write departures - --format jsonl <<'J'
{"airport":"SFO","flight":1,"event_timestamp":"2001-01-01T00:00:00Z","delay_min":5}
{"airport":"SFO","flight":2,"event_timestamp":"2001-01-01T00:00:00Z","delay_min":null}
{"airport":"SFO","flight":3,"event_timestamp":"2001-01-01T00:00:00Z"}
J
check "write vectors" 0 "wrote 4 rows in 1 commit*" "$ctl" write profile - <<'C'
airport,event_timestamp,vec
SFO,2001-01-01,"[1,0]"
OAK,2001-01-01,"[0.9,0.1]"
JFK,2001-01-01,"[0,1]"
LAX,2001-01-01,"[1,0.5]"
C
check "bad cell" 2 "fletchctl: -*line 2: temperature_c: 'warm' is not of type DOUBLE*" \
  "$ctl" write weather - <<< $'airport,event_timestamp,temperature_c\nSFO,2001-01-03,warm'
check "refused by the daemon" 1 "fletchctl: OUT_OF_RANGE: line 2: 0 other rows committed; refused: *more than 5m (max_future_skew*" \
  "$ctl" write weather - <<< $'airport,event_timestamp,temperature_c\nSFO,2999-01-03,1'
check "Parquet" 2 "*python3 -m fletch write*" "$ctl" write weather a.parquet

# --- read, history
check "read" 0 "airport  weather:temperature_c  weather:note
SFO * 12  calm
JFK * <NULL_VALUE>  calm
LAX * <NOT_FOUND>  <NOT_FOUND>
as_of *, read_seq *" "$ctl" read --features weather:temperature_c,weather:note --key airport=SFO,JFK,LAX
check "read as of" 0 '{"as_of":"2001-01-01T12:00:00Z","read_seq":*"values":{"weather:temperature_c":11.5},"statuses":{"weather:temperature_c":"PRESENT"},"event_timestamps":{"weather:temperature_c":"2001-01-01T00:00:00Z"}}\]}' \
  "$ctl" read --features weather:temperature_c --key airport=SFO --as-of 2001-01-01T12:00:00Z --event-timestamps --json
check "read a service" 0 "origin  destination  origin:temperature_c  destination:temperature_c
SFO     JFK * 12 * <NULL_VALUE>
*" "$ctl" read --service model --key origin=SFO --key destination=JFK
check "read before any commit" 0 "*<NOT_FOUND>*" "$ctl" read --features weather:note --key airport=SFO --known-at 0
check "wrong key" 2 "*keys here are airport*" "$ctl" read --features weather:note --key plane=1
check "no key" 2 "*--key is required*" "$ctl" read --features weather:note
check "history" 0 "EVENT TIME*2001-01-02T00:00:00Z*12*ROW*2001-01-01T00:00:00Z*11.5*ROW*2 facts, read_seq *" \
  "$ctl" history weather --key airport=SFO
check "history as JSON lines" 0 '{"event_timestamp":"2001-01-02T00:00:00Z","form":"ROW","commit_seq":*"temperature_c":12.0,"note":"calm"}}' \
  "$ctl" --json history weather --key airport=SFO --last-k 1

# --- train
cat > spine.csv <<'C'
label,airport,event_timestamp
"yes, late",SFO,2001-01-01T12:00:00Z
no,SFO,2001-01-03T00:00:00Z
,LAX,2001-01-03T00:00:00Z
C
check "train" 0 'label,airport,event_timestamp,weather:temperature_c,weather:temperature_c__status
"yes, late",SFO,2001-01-01T12:00:00Z,11.5,PRESENT
no,SFO,2001-01-03T00:00:00Z,12,PRESENT
,LAX,2001-01-03T00:00:00Z,,NOT_FOUND' \
  "$ctl" train spine.csv --features weather:temperature_c --statuses --batch-rows 2
check "train as served" 0 '*SFO,2001-01-01T12:00:00Z,
*SFO,2001-01-03T00:00:00Z,
*LAX*' "$ctl" train spine.csv --features weather:temperature_c --as-served
check "train to a file" 0 "" "$ctl" train spine.csv --features weather:temperature_c -o joined.jsonl
check "that file" 0 '{"label":"yes, late","airport":"SFO","event_timestamp":"2001-01-01T12:00:00Z","weather:temperature_c":11.5}*' \
  cat joined.jsonl

# --- search
check "search by key" 0 "airport * SCORE  EVENT TIME*
OAK*
LAX*
JFK*
3 hits, as_of *" "$ctl" search profile:vec --key airport=SFO
check "search by vector" 0 '{"as_of":*"hits":\[{"keys":{"airport":"JFK"},"score":1.0,"event_timestamp":"2001-01-01T00:00:00Z"}\]*"plan":{"strategy":"exact"*}}' \
  "$ctl" search profile:vec --vector 0,1 --top-k 1 --exact --explain --json
check "search with a filter and features" 0 "airport*
SFO *12
1 hit,*" "$ctl" search profile:vec --vector 1,0 --filter "weather:temperature_c between 10 and 20 and not weather:note is null" \
  --features weather:temperature_c
check "search as of" 0 "0 hits*" "$ctl" search profile:vec --vector 1,0 --as-of 2000-01-01
check "search by key and vector" 2 "*give one of the two*" "$ctl" search profile:vec --vector 1,0 --key airport=SFO
check "bad filter" 2 "*filter: *\^" "$ctl" search profile:vec --vector 1,0 --filter "weather:temperature_c ="

# --- delete, retract
check "delete" 0 "deleted 1 row in commit *" "$ctl" delete weather --key airport=SFO --at 2001-01-05
check "it is gone" 0 "*<NOT_FOUND>*" "$ctl" read --features weather:note --key airport=SFO
check "retract the deletion" 0 "retracted 1 row *" \
  "$ctl" retract weather --key airport=SFO --at 2001-01-05 --tombstones
check "retract the newest row" 0 '{"rows":1,"commit_seq":*}' \
  "$ctl" retract weather --key airport=SFO --at 2001-01-02 --json
check "the older row shows" 0 "*11.5*" "$ctl" read --features weather:temperature_c --key airport=SFO
check "retract by event key" 0 "retracted 1 row*" \
  "$ctl" retract departures --key airport=SFO --key flight=2 --at 2001-01-01
check "two departures are left" 0 "*2 facts*" "$ctl" history departures
check "delete now" 0 "deleted 2 rows*" "$ctl" delete weather --key airport=SFO,JFK
check "retract what never was" 1 "fletchctl: NOT_FOUND: *" \
  "$ctl" retract weather --key airport=SFO --at 1999-01-01

# --- the rest
check "status" 0 "fletchd *serving since *profile@v1:vec*" "$ctl" status
check "status --json" 0 '{"version":*"state":"serving"*}' "$ctl" status --json
check "completion" 0 "*complete -o default -F _fletchctl fletchctl" "$ctl" completion bash
check "bash reads it" 0 "" bash -n <("$ctl" completion bash)
check "delete-object" 0 "deleted FeatureService model; revision *" "$ctl" delete-object service model
check "no project" 2 "*--project NAME*" env -u FLETCH_PROJECT "$ctl" list
check "nobody there" 1 "*is fletchd running?*" "$ctl" status --address 127.0.0.1:1 --timeout 0.3
check "error as JSON" 1 '{"error":{"code":"NOT_FOUND",*' "$ctl" get view nosuch --json
check "unknown command" 2 "*" "$ctl" frobnicate

echo "ctl_e2e: $passed passed, $failed failed"
[ "$failed" = 0 ]
