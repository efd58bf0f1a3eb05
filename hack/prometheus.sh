#!/usr/bin/env bash
# prometheus.sh: makes sure that prometheus and promtool are there, and prints the folder they are
# in: that of the ones on PATH, else Debian's package (or Ubuntu's), unpacked into the cache. It is
# not installed, so it needs no root and no service is started.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
bin=$CACHE/prometheus/usr/bin

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  dirname "$(command -v promtool)"
  exit 0
fi
if [ ! -x "$bin/prometheus" ] || [ ! -x "$bin/promtool" ]; then
  command -v apt-get >/dev/null || {
    echo "prometheus.sh: put prometheus and promtool on PATH; only Debian's are fetched" >&2
    exit 1
  }
  echo "prometheus: fetching prometheus and promtool (60 MB)" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  cd "$work"
  apt-get download --quiet=2 -o APT::Sandbox::User=root prometheus || {
    [ "$(id -u)" = 0 ] || { echo "prometheus.sh: run apt-get update first" >&2; exit 1; }
    apt-get update --quiet=2 && apt-get download --quiet=2 -o APT::Sandbox::User=root prometheus
  } >&2
  dpkg-deb --extract prometheus_*.deb "$work/unpacked"
  mkdir -p "$CACHE"
  rm -rf "$CACHE/prometheus"
  mv "$work/unpacked" "$CACHE/prometheus"
fi
echo "$bin"
