#!/usr/bin/env bash
# otlp-backends.sh: makes sure that Phoenix and MLflow are there, each in an environment of its own in
# the cache (0.85 GB each), and prints the folder of both.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
PHOENIX=20.26.1
MLFLOW=3.17.2
home=$CACHE/otlp-backends-$PHOENIX-$MLFLOW
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -e "$home/.ready" ]; then
  echo "otlp: installing Phoenix $PHOENIX and MLflow $MLFLOW (1.7 GB, some minutes)" >&2
  rm -rf "$home"
  mkdir -p "$home"
  for package in "arize-phoenix==$PHOENIX" "mlflow==$MLFLOW"; do
    name=${package%%==*}
    name=${name#arize-}
    .venv/bin/python -m venv "$home/$name"
    "$home/$name/bin/python" -m pip --disable-pip-version-check --quiet install "$package" >&2
  done
  touch "$home/.ready"
fi
echo "$home"
