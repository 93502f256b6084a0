#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to a running daemon with real data: installs what is missing, builds, starts fletchd, loads the demo, shows
# what Fletch is for, and leaves the daemon running until Ctrl-C.
#   --once           stop the daemon after the tour and exit 0
#   --listen ADDR    serve there; default 127.0.0.1:7447 (metrics: the port after it)
# The demo's data lies in build/quickstart-data and is made anew every time.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${FLETCH_CACHE:-$HOME/.cache/fletch}
listen=127.0.0.1:7447
once=false
while [ $# -gt 0 ]; do
  case $1 in
    --once) once=true ;;
    --listen) listen=${2:?--listen needs HOST:PORT}; shift ;;
    *) echo "quickstart: unknown option $1; known: --once, --listen HOST:PORT" >&2; exit 2 ;;
  esac
  shift
done

say() { printf '\n== %s\n' "$*"; }

say "Installing what is missing"
deploy/setup.sh --packages-only

say "Building (the first time takes some minutes)"
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release --target fletchd fletchctl

# The client in an environment of its own, made anew when its sources change.
client=$cache/quickstart-$(find clients/python/src clients/python/pyproject.toml clients/python/setup.py proto -type f \
  -not -path '*/v1/*_pb2*' -not -path '*.egg-info*' -not -path '*__pycache__*' -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-12)
if [ ! -e "$client/ready" ]; then
  say "Installing the Python client"
  rm -rf "$client"
  mkdir -p "$cache"
  python3 -m venv "$client"
  "$client/bin/python" -m pip install --quiet --disable-pip-version-check "./clients/python[yaml]"
  touch "$client/ready"
fi

say "Starting fletchd on $listen"
data=build/quickstart-data
rm -rf "$data"
metrics=${listen%:*}:$((${listen##*:} + 1))
build/release/bin/fletchd --listen "$listen" --metrics-listen "$metrics" --data-dir "$data" \
  --port-file "$data.port" 2>"$data.log" &
daemon=$!
stop() {
  trap - EXIT INT TERM
  kill -TERM "$daemon" 2>/dev/null || true
  wait "$daemon"
}
trap 'stop; exit 130' INT TERM
trap stop EXIT
rm -f "$data.port"
for _ in $(seq 300); do
  [ -s "$data.port" ] && break
  kill -0 "$daemon" 2>/dev/null || { echo "quickstart: fletchd did not start:" >&2; cat "$data.log" >&2; trap - EXIT; exit 1; }
  sleep 0.1
done

say "Loading US domestic flights of early 2001 (deploy/demo/README.md names the source)"
"$client/bin/python" deploy/demo/load.py --address "$listen"
"$client/bin/python" deploy/demo/tour.py --address "$listen"

say "Try next"
cat <<TEXT
  grpcurl -plaintext $listen list
  grpcurl -plaintext -d '{"project":"demo","feature_service":"delay_model","row_count":1,
    "keys":{"origin":{"strings":{"values":["SFO"]}},"destination":{"strings":{"values":["JFK"]}}}}' \\
    $listen fletch.v1.ServingService/GetOnlineFeatures
  grpcurl -plaintext -d '{"project":"demo","index":"airport_profile:profile","top_k":3,
    "entity_key":{"airport":{"strings":{"values":["SFO"]}}},"as_of":{"rfc3339":["2001-02-01T00:00:00Z"]}}' \\
    $listen fletch.v1.VectorService/Search
  build/release/bin/fletchctl --address $listen --project demo read --service delay_model --key origin=SFO --key destination=JFK
  build/release/bin/fletchctl --address $listen status
  curl -s http://$metrics/metrics | grep ^fletch
TEXT

if $once; then
  stop
  say "Done; the daemon has stopped"
else
  say "fletchd goes on serving on $listen; Ctrl-C stops it"
  wait "$daemon"
fi
