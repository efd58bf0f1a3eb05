#!/usr/bin/env bash
# setup.sh [PYTHON]: makes .venv with the locked dependencies, the project and the example's engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: needs Python 3.11 or later; $python is $("$python" --version)" >&2
  exit 1
}
if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv 2>/dev/null; then
  rm -rf .venv
  echo "setup: installing python3-venv (this Python has no venv module)" >&2
  apt-get update --quiet=2
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 python3-venv >/dev/null
  "$python" -m venv .venv
fi
echo "setup: installing the locked dependencies into .venv" >&2
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
pip install --require-hashes --requirement requirements/dev.lock
pip install --no-deps --requirement examples/llama-server/requirements.txt
pip install --no-deps --editable .
