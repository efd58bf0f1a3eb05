#!/usr/bin/env bash
# bench-peers.sh: installs the proxies that `make bench` compares with, where they are missing.
# The Go one is built by the benchmark itself. Nothing of what is installed is left running.
set -euo pipefail
missing=()
command -v nginx >/dev/null || missing+=(nginx-light)
command -v haproxy >/dev/null || missing+=(haproxy)
[ ${#missing[@]} -eq 0 ] && exit 0

echo "bench: installing ${missing[*]}" >&2
apt-get update --quiet=2
# In runlevel 1 a package does not start its service: nginx would take port 80.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
  apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null
