#!/usr/bin/env bash
# mocknvml.sh: makes sure that the NVML library of the tests is there, and prints its folder: a
# libnvidia-ml.so.1 to be found by LD_LIBRARY_PATH. Built once for each version of its sources, with
# Go and gcc, into the cache (5 MB; the first time about a minute). hack/mocknvml/README.md says what
# it answers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/mocknvml" && pwd)
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
MODULE=github.com/NVIDIA/go-nvml
LIBRARY=libnvidia-ml.so.1
key=$(cat "$here"/go.* "$here"/*.go "$here/shim.c" "${BASH_SOURCE[0]}" - <<<"$(uname -m)" | sha256sum | cut -c1-12)
built=$CACHE/mocknvml/$key

compile() { # FOLDER
  local work=$1 header
  cp "$here"/go.* "$here"/*.go "$here/shim.c" "$work/"
  cd "$work"
  go mod download "$MODULE"
  header=$(go list -m -f '{{.Dir}}' "$MODULE")/pkg/nvml/nvml.h
  install -m 644 "$header" nvml.h
  # go-nvml names every function of the library, and all must be there when it is loaded; those that
  # shim.c lacks are hidden, so that whoever looks for one is told "Function Not Found".
  comm -23 <(grep -ohE '\bnvml[A-Z][A-Za-z0-9_]* ?\(' nvml.h | tr -d ' (' | sort -u) \
    <(grep -ohE '\bnvml[A-Z][A-Za-z0-9_]*' shim.c | sort -u) |
    sed 's/.*/__attribute__((visibility("hidden"))) int &(void) { return 13; }/' >missing.c
  CGO_ENABLED=1 CGO_CFLAGS="-O2 -Wno-deprecated-declarations" go build -trimpath -buildmode=c-shared \
    -ldflags="-s -w -extldflags=-Wl,-soname,$LIBRARY" -o "out/$LIBRARY" .
}

if [ ! -e "$built/$LIBRARY" ]; then
  command -v go >/dev/null || { echo "mocknvml: needs Go 1.26 or later" >&2; exit 1; }
  if ! command -v gcc >/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "mocknvml: needs gcc" >&2; exit 1; }
    echo "mocknvml: installing gcc" >&2
    apt-get update --quiet=2 >&2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
      gcc libc6-dev >/dev/null
  fi
  mkdir -p "$CACHE/mocknvml"
  exec 9>"$CACHE/mocknvml/lock"
  flock 9
  if [ ! -e "$built/$LIBRARY" ]; then
    echo "mocknvml: building the NVML library of the tests (once, about a minute)" >&2
    work=$(mktemp -d "$CACHE/mocknvml/building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    (compile "$work") >&2
    mkdir -p "$built"
    mv "$work/out/$LIBRARY" "$built/"
  fi
fi
echo "$built"
