#!/usr/bin/env bash
# s3.sh: makes sure that an S3 server is there (Versity's gateway, built from its Go module: two
# and a half minutes of CPU), and prints its path. For the tests of the object store sink. It checks
# signatures, knows conditional puts, keeps objects as plain files, and builds in a third of MinIO's
# time; needs Go, as the cluster of the tests does.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
PROGRAM=github.com/versity/versitygw/cmd/versitygw
VERSION=1.8.0
program=$CACHE/versitygw-$VERSION

if [ ! -x "$program" ]; then
  command -v go >/dev/null || { echo "s3.sh: needs go on PATH" >&2; exit 1; }
  echo "s3: building versitygw $VERSION (two and a half minutes of CPU)" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (
    cd "$work"
    go mod init sidelight/s3
    go get "$PROGRAM@v$VERSION"
    CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags='-s -w' -o versitygw "$PROGRAM"
  ) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
  mkdir -p "$CACHE"
  mv "$work/versitygw" "$program"
fi
echo "$program"
