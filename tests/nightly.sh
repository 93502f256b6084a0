#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a night has time for: ten more seeds of the model, of parity and of search (100,000 searches each), 12 M cells
# against DuckDB, 300 kills, an hour of fuzz. Needs a release build (tests/run.sh makes one). The last line is
# "N passed, N failed".
#   --seed N   the first of the ten seeds; default: the date, so that every night asks other questions
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

first=$(date +%Y%m%d)00
[ "${1:-}" = --seed ] && first=${2:?--seed needs a number}
deploy/setup.sh || exit 1
python=${FLETCH_CACHE:-$HOME/.cache/fletch}/venv/bin/python

passed=0 failed=0
run() {
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $*"; fi
}
for seed in $(seq "$first" $((first + 9))); do
  run "$python" tests/model/model_test.py --seed "$seed"
  run "$python" tests/model/model_test.py --parity --seed "$seed"
  run "$python" tests/model/search_model_test.py --searches 100000 --rounds 20 --seed "$seed"
done
run "$python" tests/model/duckdb_test.py --cells 12000000
run "$python" tests/crash/crash_test.py --cycles 200
run "$python" tests/crash/index_crash_test.py --cycles 100 --vectors 50000
run "$python" tests/fuzz/wire_fuzz.py --budget 3600s
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
