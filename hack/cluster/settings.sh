# shellcheck shell=bash disable=SC2034 # used by those that source it
# What the other scripts of this folder share: names, addresses, paths. Sourced, never run.

CLUSTER=${SIDELIGHT_CLUSTER:-sidelight}   # names the network namespace, the link and the cgroup
KUBERNETES_VERSION=v1.34.4
NODE=node-1

# Everything lies inside one documentation range (TEST-NET-2), which is nobody's real network.
POD_CIDR=198.51.100.0/25
SERVICE_CIDR=198.51.100.128/26
API_SERVICE_IP=198.51.100.129             # Kubernetes gives itself the first one
DNS_IP=198.51.100.138
LINK_CIDR_SIZE=30                         # 198.51.100.252/30 joins machine and node
HOST_IP=198.51.100.253
NODE_IP=198.51.100.254
API_PORT=6443
ETCD_PORT=2379
ETCD_PEER_PORT=2380

# Built programs outlive the work tree and are keyed by all that goes into them.
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
RUN=${SIDELIGHT_CLUSTER_RUN:-/var/tmp/sidelight-cluster}   # what a running cluster keeps
PKI=$RUN/pki
export KUBECACHEDIR=$RUN/kubectl-cache                     # else kubectl keeps it in ~/.kube
# The usual paths, which the node mounts in its own namespace.
NODE_PATHS="/run/containerd /run/netns /var/lib/containerd /var/lib/kubelet /var/lib/cni"
NODE_PATHS+=" /var/log/pods /var/log/containers /etc/cni/net.d"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

sources_key() { # hash of what the programs are built from
  (cd "$here" && cat kube/go.mod kube/go.sum kube/main.go kube/pause/main.go dns/go.mod dns/go.sum \
    dns/main.go build.sh) | sha256sum | cut -c1-12
}

BUILT=$CACHE/cluster/$KUBERNETES_VERSION-$(sources_key)
BIN=$BUILT/bin

say() { echo "cluster: $*" >&2; }
die() { say "$*"; exit 1; }

wait_for() { # SECONDS WHAT COMMAND...: until it succeeds
  local seconds=$1 what=$2 deadline=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt "$deadline" ] || die "no $what after $seconds s; see $RUN/log"
    sleep 0.1
  done
}
