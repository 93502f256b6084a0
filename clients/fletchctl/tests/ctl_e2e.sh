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
check "search with a threshold" 0 "airport*
JFK *
LAX *
2 hits*" "$ctl" search profile:vec --vector 0,1 --threshold 0.4
check "search by groups" 0 "airport*
4 hits*" "$ctl" search profile:vec --vector 0,1 --group-by airport --group-size 2 --target-recall 0.99
check "group of nothing" 1 "*NOT_FOUND*no join key city*" "$ctl" search profile:vec --vector 0,1 --group-by city
check "search for many" 0 "QUERY  airport * SCORE  EVENT TIME
*0  JFK *
*1  LAX *
2 hits of 2 queries, as_of *" "$ctl" search profile:vec --queries - --top-k 1 --filter "weather:note is null or weather:note = 'calm'" <<'C'
vector
"[0,1]"
"0.7,0.7"
C
check "search for many entities" 0 '{"as_of":*"queries":\[{"hits":\[{"keys":{"airport":"OAK"}*"plan":{"strategy":"exact"*},{"hits":\[*' \
  "$ctl" search profile:vec --queries - --format jsonl --explain --json <<'J'
{"airport":"SFO"}
{"airport":"JFK"}
J
check "queries that are none" 2 "*-:2: the columns are city; a query is a row of airport, or of one column \`vector\`*" \
  "$ctl" search profile:vec --queries - <<'C'
city
SFO
C
check "describe an index" 0 "index            profile@v1:vec
vectors          4 of 2 elements, COSINE
graph            none yet; 4 vectors compared one by one
target recall    0.95
*state            idle*" "$ctl" describe-index profile:vec
check "rebuild an index" 0 '{"index":"profile@v1:vec"*"state":"idle"*' "$ctl" rebuild-index profile:vec --json
check "audit recall" 0 "recall 1.0000 over 4 searches; the worst 1.0000, complete 100.0%, shorter than exact 0
median * µs a search*
0 vectors of the graph no walk reaches*" "$ctl" audit-recall profile:vec --reachability --top-k 2
check "no such index" 1 "*NOT_FOUND*" "$ctl" describe-index profile:nosuch
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

# --- partial updates
check "write with merge" 0 "wrote 1 row *" "$ctl" write weather - --format jsonl --merge <<'J'
{"airport":"OAK","event_timestamp":"2001-01-03","temperature_c":9.5,"note":"fog"}
J
check "merge keeps what is left out" 0 "wrote 1 row *" "$ctl" write weather - --format jsonl --merge <<'J'
{"airport":"OAK","event_timestamp":"2001-01-04","temperature_c":8}
J
check "merged" 0 "*OAK * 8  fog*" "$ctl" read --features weather:temperature_c,weather:note --key airport=OAK

# --- windows, expressions, training sets, erasure: the specs of the design, with vectors of two dimensions
cat > api.yaml <<'Y'
kind: Project
name: api
---
kind: Entity
name: airport
join_keys: [{name: airport, type: STRING}]
---
kind: FeatureView
name: airport_weather
entity: airport
ttl: 3h                 # 0 = never too old
retention: 0            # 0 = for ever; 400d = maintenance may drop what is older
fields:
  - {name: temperature_c, type: DOUBLE, description: "air temperature, degrees Celsius"}
---
kind: FeatureView
name: airport_profile
entity: airport
fields:
  - {name: profile, type: FLOAT_VECTOR, dimension: 2, index: {metric: COSINE}}
---
kind: FeatureView       # events: two departures of one airport in one minute are two facts
name: departures
entity: airport
event_key: [{name: flight, type: STRING}]
fields: [{name: delay_min, type: INT64, description: "minutes late at departure, negative if early"}]
---
kind: AggregationView   # exact trailing windows over a feature view's events
name: airport_delays
source: departures
aggregations:
  - {name: mean_delay_7d, column: delay_min, function: mean, window: 7d}
  - {name: departures_1h, function: count, window: 1h}
  - {name: p90, column: delay_min, function: approx_percentile, window: 7d, percentile: 0.9}
---
kind: OnDemandFeatureView
name: risk
inputs: [airport_delays, airport_weather]
request: [{name: hour, type: INT64}]
fields: [{name: icy_and_late, type: BOOL, sql: "temperature_c < 0 AND mean_delay_7d > 15 AND hour < 9"}]
---
kind: FeatureService
name: delay_model
bindings:               # one view in two roles; also allowed in a request
  - {alias: origin, feature_view: airport_delays, join_key_map: {airport: origin}}
  - {alias: destination, feature_view: airport_delays, join_key_map: {airport: destination}}
  - {alias: origin_risk, feature_view: risk, join_key_map: {airport: origin}}
features: ["origin:mean_delay_7d", "destination:mean_delay_7d", "origin_risk:icy_and_late"]
Y
export FLETCH_PROJECT=api
check "apply windows and expressions" 0 "*ADDED      AggregationView airport_delays (version 1)*ADDED      OnDemandFeatureView risk (version 1)*" \
  "$ctl" apply api.yaml
check "list them" 0 "*AggregationView * airport_delays * of departures, 3 windows*OnDemandFeatureView * risk * 1 expression of airport_delays, airport_weather*" \
  "$ctl" list
for object in "aggregation-view airport_delays" "on-demand-view risk" "service delay_model"; do
  # shellcheck disable=SC2086
  "$ctl" get $object > again.yaml
  check "what get $object prints applies unchanged" 0 "UNCHANGED*0 of 1 objects changed*" "$ctl" apply again.yaml
done
check "get --json of windows" 0 '{"kind":"AggregationView",*"resolved_source":"departures@v1","version":1,*"function":"mean","window":"7d","type":"DOUBLE"}*' \
  "$ctl" get aggregation-view airport_delays --json
check "no such function" 2 "*functions are count, sum, mean,*" "$ctl" apply <(sed 's/function: mean/function: avg/' api.yaml)
check "write departures" 0 "wrote 4 rows *" "$ctl" write departures - <<'C'
airport,flight,event_timestamp,delay_min
SFO,UA1,2001-01-04T10:00:00Z,10
SFO,UA2,2001-01-05T00:30:00Z,20
SFO,UA3,2001-01-05T00:30:00Z,30
JFK,AA1,2001-01-04T10:00:00Z,4
C
check "write weather" 0 "wrote 1 row *" "$ctl" write airport_weather - <<< $'airport,event_timestamp,temperature_c\nSFO,2001-01-05,-3'
check "write profiles" 0 "wrote 2 rows *" "$ctl" write airport_profile - <<< $'airport,event_timestamp,profile\nSFO,2001-01-01,"[1,0]"\nJFK,2001-01-01,"[0.9,0.2]"'
at="--as-of 2001-01-05T01:00:00Z"
# shellcheck disable=SC2086
check "read windows and expressions" 0 "origin  destination  origin:mean_delay_7d  destination:mean_delay_7d  origin_risk:icy_and_late
SFO     JFK * 20 * 4  true
SFO     SFO * 20 * 20  false
as_of 2001-01-05T01:00:00Z, *" "$ctl" read --service delay_model --key origin=SFO,SFO --key destination=JFK,SFO --context hour=8,9 $at
# shellcheck disable=SC2086
check "read a window by its ref" 0 "*airport_delays:departures_1h
SFO *2
LAX *0
*" "$ctl" read --features airport_delays:departures_1h --key airport=SFO,LAX $at
check "context is missing" 2 "fletchctl: the features need the request's hour; add --context hour=… (INT64)*" \
  "$ctl" read --features risk:icy_and_late --key airport=SFO
check "context is not wanted" 2 "*context columns here are none*" \
  "$ctl" read --features airport_delays:p90 --key airport=SFO --context hour=8
# shellcheck disable=SC2086
check "search with context" 0 "airport * risk:icy_and_late
SFO *true
JFK *false
2 hits*" "$ctl" search airport_profile:profile --vector 1,0 --features risk:icy_and_late --context hour=8 $at
cat > trips.csv <<'C'
origin,destination,hour,event_timestamp,label
SFO,JFK,8,2001-01-05T01:00:00Z,late
SFO,JFK,10,2001-01-05T01:00:00Z,
LAX,JFK,,2001-01-01T00:00:00Z,on time
C
joined='origin,destination,hour,event_timestamp,label,origin:mean_delay_7d,destination:mean_delay_7d,origin_risk:icy_and_late
SFO,JFK,8,2001-01-05T01:00:00Z,late,20,4,true
SFO,JFK,10,2001-01-05T01:00:00Z,,20,4,false
LAX,JFK,,2001-01-01T00:00:00Z,on time,,,'
check "train takes the context from the spine" 0 "$joined" "$ctl" train trips.csv --service delay_model --batch-rows 1
check "train without it" 2 "fletchctl: -: no column 'hour' (INT64), which the features take from the request's context*" \
  "$ctl" train - --service delay_model <<< $'origin,destination,event_timestamp\nSFO,JFK,2001-01-05'
check "event timestamps of windows" 0 "airport,event_timestamp,airport_delays:p90,airport_delays:p90__event_timestamp
JFK,2001-01-05,4,2001-01-04T10:00:00Z" "$ctl" train - --features airport_delays:p90 --event-timestamps <<< $'airport,event_timestamp\nJFK,2001-01-05'

# --- lineage
check "lineage by name" 0 "FeatureView departures (version 1), facts of commits * to *
RELATION * KIND * NAME * VERSION*
*reads * Entity * airport*
*is read by * AggregationView * airport_delays * 1*
*is read through others * FeatureService * delay_model*" "$ctl" lineage departures
check "lineage --json" 0 '{"object":{"kind":"AggregationView","name":"airport_delays","version":1},"upstream":\[*"kind":"FeatureView","name":"departures","version":1,"direct":true}*' \
  "$ctl" lineage aggregation-view airport_delays --json
sed 's/^name: api/name: two/; s/airport_weather/airport/g' api.yaml > two.yaml
check "an entity and a view of one name" 0 "*FeatureView airport (version 1)*" "$ctl" apply --project two two.yaml
check "lineage of several" 2 "*'airport' is the name of several; say which: fletchctl lineage Entity airport, fletchctl lineage FeatureView airport*" \
  "$ctl" lineage airport --project two
check "lineage of nothing" 1 "fletchctl: NOT_FOUND: nothing is named 'nosuch'*next: *" "$ctl" lineage nosuch

# --- training sets
check "training-set list of none" 0 "no training sets; *" "$ctl" training-set list
check "training-set create" 0 "created training set q1: 3 rows at commit *" \
  "$ctl" training-set create q1 trips.csv --service delay_model --batch-rows 2 --description "the first"
check "the name is taken" 1 "fletchctl: ALREADY_EXISTS: *next: take another name*" \
  "$ctl" training-set create q1 trips.csv --service delay_model
check "training-set list" 0 "NAME *
q1 * 3 * NEWEST * of delay_model  yes" "$ctl" training-set list
check "training-set show" 0 "training set q1, created *the first*rows      3 in 2 batches, of 2001-01-01T00:00:00Z to 2001-01-05T01:00:00Z*origin:mean_delay_7d = airport_delays@v1:mean_delay_7d*" \
  "$ctl" training-set show q1
check "a late fact" 0 "wrote 1 row *" "$ctl" write departures - <<< $'airport,flight,event_timestamp,delay_min\nSFO,UA9,2001-01-04T11:00:00Z,500'
check "training-set read" 0 "destination,origin,event_timestamp,hour,origin:mean_delay_7d,origin:mean_delay_7d__status,*
JFK,SFO,2001-01-05T01:00:00Z,8,20,PRESENT,4,PRESENT,true,PRESENT
JFK,SFO,2001-01-05T01:00:00Z,10,20,PRESENT,4,PRESENT,false,PRESENT
JFK,LAX,2001-01-01T00:00:00Z,,,NULL_VALUE,,NULL_VALUE,,NULL_VALUE" "$ctl" training-set read q1 --statuses
check "training-set read --json" 0 '{"destination":"JFK","origin":"SFO","event_timestamp":"2001-01-05T01:00:00Z","hour":8,"origin:mean_delay_7d":20.0,*' \
  "$ctl" training-set read q1 --json
check "training-set verify" 0 "training set q1: its 3 rows are the same, bit for bit" "$ctl" training-set verify q1
check "lineage of a training set" 0 "TrainingSet q1*
*reads * FeatureService * delay_model*" "$ctl" lineage training-set q1
check "plans name training sets" 0 "*BREAKING   FeatureView departures (version 2)*training sets that keep the older version: q1*" \
  "$ctl" apply --dry-run --allow-breaking <(sed 's/name: delay_min, type: INT64/name: delay_min, type: DOUBLE/' api.yaml)
check "no such training set" 1 "fletchctl: NOT_FOUND: *next: *training-set list*" "$ctl" training-set show nosuch

# --- parity
check "audit" 0 "compared * cells of 2 entities, online and in training: all are equal (seed 7)" "$ctl" audit --seed 7
check "audit a service" 0 '{"cells":*"mismatches":0,"examples":\[\],"seed":7}' \
  "$ctl" audit --features airport_delays:mean_delay_7d,airport_weather:temperature_c --seed 7 --json

# --- erasure
check "erase asks" 2 "*of 1 key of entity airport,*add --yes*" "$ctl" erase airport --key airport=SFO
check "erase" 0 "RECEIPT *airport * airport_weather@v1*q1*
1 key erased; \`fletchctl compact\` takes *" "$ctl" erase airport --key airport=SFO --yes
check "nothing is left of it" 0 "*<NULL_VALUE>*" "$ctl" read --features airport_delays:mean_delay_7d --key airport=SFO --as-of 2001-01-05T01:00:00Z
check "the training set says so" 0 "training set q1, created *erased*rows *" "$ctl" training-set show q1
check "and is not read" 1 "fletchctl: FAILED_PRECONDITION: *" "$ctl" training-set read q1
check "nor verified" 1 "fletchctl: FAILED_PRECONDITION: *erased*" "$ctl" training-set verify q1
check "erasures" 0 "RECEIPT *
*airport * q1*
1 erasure in project api" "$ctl" erasures
check "erasures of all" 0 '\[{"id":*"project":"api","entity":"airport","key_hash":"*","erased_at":*"facts":6,"feature_views":\[*\],"training_sets":\["q1"\],"backups":\[\]}\]' \
  "$ctl" erasures --all --json
check "compact" 0 "folded * facts into blocks, dropped 0 facts past their horizons; * MiB on disk before, * MiB after" "$ctl" compact --all
check "training-set delete" 0 "deleted training set q1; *" "$ctl" training-set delete q1

# --- retention
cat > recent.yaml <<'Y'
kind: FeatureView
name: recent
entity: airport
retention: 30d
fields: [{name: visits, type: INT64}]
Y
check "apply a retention" 0 "ADDED*" "$ctl" apply recent.yaml
check "get shows it" 0 "*retention: 30d*" "$ctl" get view recent
check "write old rows" 0 "wrote 2 rows *" "$ctl" write recent - <<< $'airport,event_timestamp,visits\nJFK,2001-01-01,1\nJFK,2001-01-02,2'
check "compact drops what is past" 0 '{"facts_folded":*,"facts_dropped":1,*}' "$ctl" compact --json
check "get shows the horizon" 0 "*# history is kept from 20* on*" "$ctl" get view recent
spine=$'airport,event_timestamp\nJFK,2001-01-05'
check "train before the horizon" 1 "fletchctl: OUT_OF_RANGE: *next: *--out-of-range mark*" "$ctl" train - --features recent:visits <<< "$spine"
check "train, marked" 0 "*JFK,2001-01-05,,OUT_OF_RETENTION" \
  "$ctl" train - --features recent:visits --statuses --out-of-range mark <<< "$spine"
check "what is visible stays" 0 "*JFK *2*" "$ctl" read --features recent:visits --key airport=JFK
export FLETCH_PROJECT=demo

# --- the rest
check "status" 0 "fletchd *serving since *profile@v1:vec*" "$ctl" status
check "status --json" 0 '{"version":*"state":"serving"*}' "$ctl" status --json
check "help" 0 "*--context*Example:*fletchctl read *" "$ctl" read --help
check "help of a subcommand" 0 "*--description*Example:*fletchctl training-set create *" "$ctl" training-set create --help
check "completion" 0 "*complete -o default -F _fletchctl fletchctl" "$ctl" completion bash
check "bash reads it" 0 "" bash -n <("$ctl" completion bash)
check "delete-object" 0 "deleted FeatureService model; revision *" "$ctl" delete-object service model
check "no project" 2 "*--project NAME*" env -u FLETCH_PROJECT "$ctl" list
check "nobody there" 1 "*is fletchd running?*" "$ctl" status --address 127.0.0.1:1 --timeout 0.3
check "error as JSON" 1 '{"error":{"code":"NOT_FOUND",*' "$ctl" get view nosuch --json
check "unknown command" 2 "*" "$ctl" frobnicate

echo "ctl_e2e: $passed passed, $failed failed"
[ "$failed" = 0 ]
