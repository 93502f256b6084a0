#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_test.sh BUILD_FOLDER: installs a built Fletch into a new folder and builds a foreign project against it.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 BUILD_FOLDER" >&2; exit 2; }
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() { echo "install_test: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/prefix" > "$work/install.log" || { cat "$work/install.log" >&2; fail "cmake --install"; }
cmake -G Ninja -S "$here/foreign" -B "$work/foreign" -DCMAKE_PREFIX_PATH="$work/prefix" > "$work/configure.log" 2>&1 ||
  { cat "$work/configure.log" >&2; fail "find_package(fletch)"; }
cmake --build "$work/foreign" > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; fail "building the foreign project"; }
# Nothing of the installed package may lead back to the build tree.
if grep -rIl -e "$build" "$work/prefix/lib/cmake" "$work"/prefix/lib/*/cmake 2>/dev/null | grep -q .; then
  fail "the installed package names the build folder"
fi

got=$("$work/foreign/foreign" 127.0.0.1:1)
[ "$got" = CONNECTION_FAILED ] || fail "without a daemon: expected CONNECTION_FAILED, got '$got'"
echo "ok: installed, found, linked, run"

if [ -x "$work/prefix/bin/fletchd" ]; then
  "$work/prefix/bin/fletchd" --listen 127.0.0.1:0 --metrics-listen "" --data-dir "$work/data" \
    --port-file "$work/port" > "$work/daemon.log" 2>&1 &
  daemon=$!
  for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.1; done
  [ -s "$work/port" ] || { cat "$work/daemon.log" >&2; fail "the installed fletchd did not start"; }
  # The first line is host:port, or "port: N" of the loopback.
  got=$("$work/foreign/foreign" "$(sed -n '1s/^port: /127.0.0.1:/;1p' "$work/port")") || fail "with the installed daemon: $got"
  echo "ok: the installed fletchd is version $got"
fi
