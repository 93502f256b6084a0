#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing to build, run and test Fletch on Debian 12: the packages of deploy/dependencies.txt, and one
# Python environment for the tests, in $FLETCH_CACHE (default ~/.cache/fletch). Does nothing, quickly, when all is there.
#   --packages-only: no Python environment (the quickstart needs none).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FLETCH_CACHE:-$HOME/.cache/fletch}

install_packages() {
  local missing=() package
  for package in $(sed 's/#.*//' "$here/dependencies.txt"); do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "setup: these packages are missing: ${missing[*]}; run this as root, or install sudo" >&2
      exit 1
    }
    sudo=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# One folder a list of versions and a python, so that another branch's environment is never changed under it.
make_venv() {
  local requirements=$here/../tests/requirements.txt python
  python=$(command -v python3)
  local version venv
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  venv=$cache/venv-$version-$(sha256sum "$requirements" | cut -c1-12)
  if [ ! -e "$venv/ready" ]; then
    echo "setup: making the tests' Python environment in $venv"
    rm -rf "$venv"
    mkdir -p "$cache"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    touch "$venv/ready"
  fi
  ln -sfn "$venv" "$cache/venv"
}

install_packages
[ "${1:-}" = --packages-only ] || make_venv
