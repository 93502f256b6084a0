#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the wheel, installs it into a fresh virtual environment, checks its types, tests it.
# Needs python3 (3.11 or newer) with venv. Arguments go to pytest.
# The packages it installs are kept in FLETCH_PYTHON_CACHE (default ~/.cache/fletch-python), so a second run is quick.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(dirname "$here")
cache=${FLETCH_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fletch-python}
python=${PYTHON:-python3}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The tools and the wheel's dependencies: an environment of their own, made anew when the list of them changes.
"$python" -c 'import sys, venv; assert sys.version_info >= (3, 11), sys.version'
key=$({ cat "$here/requirements.txt" "$project/pyproject.toml"; "$python" -V; } | sha256sum | cut -c1-16)
tools=$cache/tools-$key
if [ ! -f "$tools/complete" ]; then
  mkdir -p "$cache"
  rm -rf "$cache"/tools-*
  "$python" -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --cache-dir "$cache/pip" -r "$here/requirements.txt"
  touch "$tools/complete"
fi

echo "== wheel"
rm -rf "$project/build"
"$tools/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --wheel-dir "$work/dist" "$project"
rm -rf "$project/build"
ls "$work/dist"

# A fresh environment with the wheel in it; its dependencies are seen in the other one.
"$python" -m venv --without-pip "$work/venv"
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$tools/bin/pip" --python "$work/venv/bin/python" install --quiet --disable-pip-version-check --no-deps \
  "$work"/dist/fletch-*.whl
"$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/tools.pth"
"$tools/bin/pip" --python "$work/venv/bin/python" check --disable-pip-version-check

cd "$work" # so that the installed package is found, not the source
echo "== mypy --strict"
"$work/venv/bin/python" -m mypy --config-file "$project/pyproject.toml" --cache-dir "$cache/mypy-$key" -p fletch
echo "== pytest"
"$work/venv/bin/python" -m pytest -p no:cacheprovider --rootdir "$project" -c "$project/pyproject.toml" "$here" "$@"
