#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything, within CI's budget. Prints a line a step with its seconds; the last line is "N passed, N failed".
#   --only unit,model   only these suites (repeatable): unit contract model crash fuzz e2e bench-smoke tidy; and presets
#                       (asan, tsan and clang builds with their unit tests), which runs only when named
#   --budget 60s        how long each random test goes on (model, parity, crash, fuzz), instead of its usual count
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

SUITES="unit contract model crash fuzz e2e bench-smoke tidy"
only="" budget=()
while [ $# -gt 0 ]; do
  case $1 in
    --only) only="$only ${2//,/ }"; shift 2 ;;
    --budget) budget=(--budget "$2"); shift 2 ;;
    -h | --help) sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown argument '$1'; see --help" >&2; exit 2 ;;
  esac
done
for suite in $only; do
  [[ " $SUITES presets " == *" $suite "* ]] || { echo "run.sh: no suite '$suite'; there are: $SUITES presets" >&2; exit 2; }
done
only=${only:-$SUITES}

cache=${FLETCH_CACHE:-$HOME/.cache/fletch}
logs=build/test-logs
mkdir -p "$logs"
jobs=$(nproc)
export GRPC_VERBOSITY=ERROR # a client's line about a goaway at SIGTERM is no news
passed=0 failed=0
client_installed=

deploy/setup.sh || exit 1
python=$cache/venv/bin/python

# step NAME COMMAND…: runs it, adds up what its last count says ("N passed, N failed", or ctest's), else itself as one.
step() {
  local name=$1 log=$logs/${1// /-}.log begin=$SECONDS code good bad counts
  shift
  "$@" >"$log" 2>&1 </dev/null
  code=$?
  good=$((code == 0)) bad=$((code != 0))
  counts=$(grep -Eo '[0-9]+ passed, [0-9]+ failed|[0-9]+ tests failed out of [0-9]+' "$log" | tail -1)
  if [[ $counts == *passed* ]]; then
    read -r good _ bad _ <<<"$counts"
  elif [[ $counts == *"out of"* ]]; then
    read -r bad _ _ _ _ good <<<"$counts"
    good=$((good - bad))
  fi
  [ $code -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  passed=$((passed + good)) failed=$((failed + bad))
  if [ $code -eq 0 ] && [ "$bad" -eq 0 ]; then
    printf 'ok      %-28s %4d s  %s\n' "$name" $((SECONDS - begin)) "$(tail -1 "$log" | cut -c1-150)"
  else
    printf 'FAILED  %-28s %4d s  the end of %s:\n' "$name" $((SECONDS - begin)) "$log"
    tail -60 "$log" | sed 's/^/    /'
    return 1
  fi
}

build() { cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs"; }

unit() {
  step "unit: ctest" ctest --test-dir build/release -j "$jobs" --output-on-failure --no-tests=error -LE contract
  step "unit: oracle" "$python" tests/oracle/oracle_test.py
}
contract() { step "contract" ctest --test-dir build/release --output-on-failure --no-tests=error -L contract; }
model() {
  step "model: literal" "$python" tests/model/literal_test.py
  step "model: random" "$python" tests/model/model_test.py "${budget[@]}"
  step "model: parity" "$python" tests/model/model_test.py --parity "${budget[@]}"
  step "model: search" "$python" tests/model/search_model_test.py "${budget[@]}"
  step "model: duckdb" "$python" tests/model/duckdb_test.py
  step "model: feast faults" "$python" tests/model/feast_faults_test.py
}
crash() {
  step "crash" "$python" tests/crash/crash_test.py "${budget[@]}"
  step "crash: indexes" "$python" tests/crash/index_crash_test.py "${budget[@]}"
}
fuzz() { step "fuzz" "$python" tests/fuzz/wire_fuzz.py "${budget[@]}"; }
e2e() {
  step "e2e: includes" "$python" tests/e2e/includes_test.py
  step "e2e: grpcurl" "$python" tests/e2e/grpcurl_test.py
  step "e2e: Arrow Flight" "$python" tests/flight/flight_test.py
  step "e2e: python client" env FLETCH_REQUIRE_DAEMON=1 clients/python/tests/check.sh
  step "e2e: fletchctl" clients/fletchctl/tests/ctl_e2e.sh build/release/bin/fletchd build/release/bin/fletchctl
  step "e2e: C++ client" clients/cpp/tests/install_test.sh build/release
  step "e2e: quickstart" deploy/quickstart.sh --once
  step "e2e: README" "$python" tests/e2e/readme_test.py
  installed_client && step "e2e: docs" "$python" tests/e2e/docs_test.py
}
# The Python client in a folder of its own: the tests' environment has stubs of the same name.
installed_client() {
  [ -z "$client_installed" ] || return 0
  step "client" "$python" -m pip install --quiet --no-deps --no-build-isolation --upgrade \
    --target build/bench-client ./clients/python && client_installed=yes
}
bench_smoke() {
  installed_client && step "bench-smoke" env PYTHONPATH="$PWD/build/bench-client" FLETCH_BENCH_PYTHON="$python" \
    build/release/bin/fletch-bench all --quick
}
tidy() { step "tidy" "$python" tests/tidy/tidy.py; }
presets() {
  local preset without
  for preset in asan tsan clang; do
    step "presets: build $preset" build "$preset" || continue
    [ "$preset" = clang ] && continue # -Wthread-safety is the test
    without=()
    [ "$preset" = tsan ] && without=(-LE serial)
    step "presets: unit $preset" ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=error -L unit \
      "${without[@]}"
  done
}

begin=$SECONDS
if [ "${only// /}" != tidy ] && [ "${only// /}" != presets ]; then
  step "build release" build release || { echo "$passed passed, $failed failed"; exit 1; }
fi
for suite in $SUITES presets; do
  [[ " $only " == *" $suite "* ]] && "${suite//-/_}"
done
echo "$((SECONDS - begin)) s in all"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
