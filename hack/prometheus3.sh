#!/usr/bin/env bash
# prometheus3.sh: makes sure that a Prometheus is there that takes OTLP, which Debian's does not yet
# (built from its Go modules, some 13 minutes of CPU), and prints its path. For `make otlp-backends`.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
VERSION=3.16.0
MODULE=github.com/prometheus/prometheus
program=$CACHE/prometheus-$VERSION

if [ ! -x "$program" ]; then
  command -v go >/dev/null || { echo "prometheus3.sh: needs go on PATH" >&2; exit 1; }
  echo "prometheus: building Prometheus $VERSION (13 minutes of CPU)" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (
    cd "$work"
    printf 'module built\n\ngo 1.26\n' >go.mod
    # Its modules are numbered v0.3MM.P for 3.MM.P. No service discovery: this one is sent to.
    nice -n 15 go get "$MODULE@v0.3${VERSION#3.}"
    CGO_ENABLED=0 nice -n 15 go build -mod=mod -tags=remove_all_sd,netgo \
      -ldflags="-s -w -X github.com/prometheus/common/version.Version=$VERSION" \
      -o "$work/prometheus" "$MODULE/cmd/prometheus"
  ) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
  mkdir -p "$CACHE"
  mv "$work/prometheus" "$program"
fi
echo "$program"
