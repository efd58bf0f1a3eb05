#!/usr/bin/env bash
# The cluster that the demo and the tests use, in this order: the one that SIDELIGHT_KUBECONFIG
# names; a kind cluster, if kind and a container engine are there; else the built-in one.
#
#   provider.sh name              which: given, kind or built-in
#   provider.sh up | down         start or remove it (a given cluster is left alone)
#   provider.sh kubeconfig        print the path of its kubeconfig
#   provider.sh load-image TAR... give its nodes images
#   provider.sh can-run           say in one line why it cannot run here, or nothing
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
KIND_NAME=sidelight
KIND_KUBECONFIG=$CACHE/kind.kubeconfig

provider() {
  if [ -n "${SIDELIGHT_KUBECONFIG:-}" ]; then echo given
  elif command -v kind >/dev/null && { docker info || podman info; } >/dev/null 2>&1; then echo kind
  else echo built-in
  fi
}

kind_up() {
  mkdir -p "$CACHE"
  kind get clusters 2>/dev/null | grep -qx "$KIND_NAME" ||
    kind create cluster --name "$KIND_NAME" --wait 120s
  kind get kubeconfig --name "$KIND_NAME" >"$KIND_KUBECONFIG"
}

case $(provider):${1-} in
*:name) provider ;;
given:up | given:down | given:can-run) ;;
given:kubeconfig) echo "$SIDELIGHT_KUBECONFIG" ;;
given:load-image)
  echo "cluster: push the images where the nodes of your cluster can pull them, and name that" \
    "place with SIDELIGHT_IMAGE_PREFIX (now: ${SIDELIGHT_IMAGE_PREFIX:-localhost})" >&2 ;;
kind:up) kind_up ;;
kind:down) kind delete cluster --name "$KIND_NAME" ;;
kind:can-run) ;;
kind:kubeconfig) echo "$KIND_KUBECONFIG" ;;
kind:load-image) shift; for tar; do kind load image-archive "$tar" --name "$KIND_NAME"; done ;;
built-in:up | built-in:down | built-in:kubeconfig | built-in:load-image | built-in:can-run)
  exec "$here/cluster.sh" "$@" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
