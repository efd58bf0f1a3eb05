#!/usr/bin/env bash
# otelcol.sh: makes sure that an OpenTelemetry Collector is there (OTLP in, OTLP out; built from its Go
# modules, some minutes of CPU), and prints its path. For `make otlp-backends`.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
VERSION=0.165.0
program=$CACHE/otelcol-$VERSION

if [ ! -x "$program" ]; then
  command -v go >/dev/null || { echo "otelcol.sh: needs go on PATH" >&2; exit 1; }
  echo "otelcol: building an OpenTelemetry Collector $VERSION (some minutes of CPU)" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cat >"$work/builder.yaml" <<YAML
dist: {name: otelcol, output_path: $work/built, version: $VERSION}
receivers: [{gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v$VERSION}]
exporters: [{gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter v$VERSION}]
YAML
  (
    cd "$work"
    CGO_ENABLED=0 go run "go.opentelemetry.io/collector/cmd/builder@v$VERSION" --config builder.yaml
  ) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
  mkdir -p "$CACHE"
  mv "$work/built/otelcol" "$program"
fi
echo "$program"
