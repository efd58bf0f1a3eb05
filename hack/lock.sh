#!/usr/bin/env bash
# lock.sh: resolves the dependencies of pyproject.toml into requirements/*.lock, with hashes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
.venv/bin/python -m pip --disable-pip-version-check --quiet install uv
lock() { # NAME EXTRA...
  local name=$1 extras=()
  shift
  for extra; do extras+=(--extra "$extra"); done
  .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
    "${extras[@]}" pyproject.toml --output-file "requirements/$name.lock"
}
lock operator operator
lock sidecar sidecar
lock dev operator sidecar dev
