#!/usr/bin/env bash
# wheels.sh [PYTHON-VERSION]: fills wheels/ with all that the two images install, for Python 3.11
# unless told otherwise: the locked dependencies, pip itself (the image's base may have none), and
# Sidelight. Does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1:-3.11}
python=.venv/bin/python
machine=$(uname -m)
exec 9>.venv/wheels.lock # one at a time
flock 9

key=$(cat requirements/operator.lock requirements/sidecar.lock hack/wheels.sh - <<<"$version" | sha256sum | cut -c1-16)
if [ "$(cat wheels/.key 2>/dev/null)" != "$key" ]; then
  echo "wheels: fetching the dependencies of both images" >&2
  rm -rf wheels
  mkdir -p wheels
  for part in operator sidecar; do
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" \
      --implementation cp --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" \
      --platform "manylinux2014_$machine" --dest wheels --require-hashes \
      --requirement "requirements/$part.lock"
  done
  "$python" -m pip download --quiet --no-deps --dest wheels pip
  echo "$key" >wheels/.key
fi
key=$(find contract operator sidecar pyproject.toml README.md -type f ! -path '*/__pycache__/*' -print0 |
  LC_ALL=C sort --zero-terminated | xargs --null sha256sum | sha256sum | cut -c1-16)
if [ "$(cat wheels/.sidelight.key 2>/dev/null)" != "$key" ]; then
  fresh=$(mktemp -d wheels/.new.XXXXXX)
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$fresh" .
  for old in wheels/sidelight-*.whl; do # an image may be built from it right now
    [ -e "$fresh/${old##*/}" ] || rm -f "$old"
  done
  mv "$fresh"/*.whl wheels/
  rmdir "$fresh"
  echo "$key" >wheels/.sidelight.key
fi

# The example's engine is an image of its own.
example=examples/llama-server
key=$(cat "$example/requirements.txt" hack/wheels.sh - <<<"$version" | sha256sum | cut -c1-16)
if [ "$(cat "$example/wheels/.key" 2>/dev/null)" != "$key" ]; then
  echo "wheels: fetching the example's engine and model (127 MB)" >&2
  rm -rf "$example/wheels"
  "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" \
    --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
    --dest "$example/wheels" --requirement "$example/requirements.txt"
  echo "$key" >"$example/wheels/.key"
fi
