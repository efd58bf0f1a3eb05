#!/usr/bin/env bash
# aiperf.sh: makes sure that AIPerf is there, in an environment of its own in the cache (1.2 GB), and
# prints the Python of that environment.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
VERSION=0.13.0
home=$CACHE/aiperf-$VERSION
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -e "$home/.ready" ]; then
  echo "accuracy: installing AIPerf $VERSION (1.2 GB, some minutes)" >&2
  rm -rf "$home"
  mkdir -p "$home"
  .venv/bin/python -m venv "$home/venv"
  "$home/venv/bin/python" -m pip --disable-pip-version-check --quiet install "aiperf==$VERSION" >&2
  touch "$home/.ready"
fi
echo "$home/venv/bin/python"
