#!/usr/bin/env bash
# A real single-node Kubernetes cluster for the demo and the tests: no registry, no VM, no systemd.
#
#   cluster.sh up                  build what is missing, start it; nothing to do if it runs
#   cluster.sh down                stop it and remove every trace but the cache
#   cluster.sh load-image TAR...   give the node images (docker or OCI archives)
#   cluster.sh status              programs, memory, nodes
#   cluster.sh kubeconfig          print the path of the administrator's kubeconfig
#   cluster.sh can-run             say in one line why it cannot run here, or nothing
#
# The machine plays the control plane: etcd, the API server, the controller manager and the
# scheduler are plain processes on it. The node is a set of namespaces (node.sh) joined to it by a
# veth pair, so that containerd, the kubelet, kube-proxy's rules and every mount stay out of the
# machine and vanish with one process. The machine reaches pods and services by two routes.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=credentials.sh
. "$here/credentials.sh"
# shellcheck source=processes.sh
. "$here/processes.sh"

# --- processes -----------------------------------------------------------------
start_controllers() {
  spawn kube-controller-manager "$BIN/kube-controller-manager" \
    --kubeconfig "$RUN/kube-controller-manager.kubeconfig" --bind-address 127.0.0.1 \
    --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key"
  spawn kube-scheduler "$BIN/kube-scheduler" \
    --kubeconfig "$RUN/kube-scheduler.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false
}

# --- the node --------------------------------------------------------------------
cgroup_mounts() { findmnt --noheadings --list --output TARGET --types cgroup,cgroup2; }

start_node() {
  local mount file
  for mount in $(cgroup_mounts); do mkdir -p "$mount/$CLUSTER"; done
  mkdir -p "$RUN/conf"
  : >"$RUN/resolv.conf"
  for file in "$here"/conf/*; do
    sed "s#@RUN@#$RUN#g; s#@PKI@#$PKI#g; s#@CGROUP@#/$CLUSTER#g; s#@NODE_IP@#$NODE_IP#g
         s#@POD_CIDR@#$POD_CIDR#g; s#@DNS_IP@#$DNS_IP#g" "$file" >"$RUN/conf/${file##*/}"
  done
  spawn node nsenter --net="/run/netns/$CLUSTER" \
    unshare --mount --pid --fork --kill-child --mount-proc "$here/node.sh" "$RUN"
}

link_up() {
  ip netns add "$CLUSTER"
  ip link add "$CLUSTER" type veth peer name eth0 netns "$CLUSTER"
  ip address add "$HOST_IP/$LINK_CIDR_SIZE" dev "$CLUSTER"
  ip link set "$CLUSTER" up
  ip -netns "$CLUSTER" link set lo up
  ip -netns "$CLUSTER" address add "$NODE_IP/$LINK_CIDR_SIZE" dev eth0
  ip -netns "$CLUSTER" link set eth0 up
  ip -netns "$CLUSTER" route add default via "$HOST_IP"
  # Each pod has a route of its own. The address of one that is gone answers at once, instead of
  # travelling between machine and node until the client's patience ends.
  ip -netns "$CLUSTER" route add unreachable "$POD_CIDR"
  ip route add "$POD_CIDR" via "$NODE_IP"
  ip route add "$SERVICE_CIDR" via "$NODE_IP"
}

link_down() {
  ip link delete "$CLUSTER" 2>/dev/null || true
  ip netns delete "$CLUSTER" 2>/dev/null || true
}

node_ready() { kubectl wait --for condition=Ready "node/$NODE" --timeout 1s; }

healthy() { alive etcd && alive kube-apiserver && alive node && node_ready >/dev/null 2>&1; }

# --- commands ----------------------------------------------------------------------
one_at_a_time() { # names, addresses and ports are fixed: a second `up` or `down` waits for the first
  mkdir -p "$CACHE/cluster"
  exec 9>"$CACHE/cluster/run.lock" # `spawn` closes it, else the cluster itself would hold the lock
  flock 9
}

can_run() {
  [ "$(uname -s)" = Linux ] || die "the built-in cluster needs Linux"
  [ "$(id -u)" = 0 ] || die "the built-in cluster needs root (it makes namespaces)"
  unshare --mount --pid --net --fork true 2>/dev/null ||
    die "the built-in cluster needs the right to make namespaces (unshare failed)"
  [ -e "$BUILT/pause.tar" ] || command -v go >/dev/null ||
    die "the built-in cluster needs Go 1.26 or later to build Kubernetes"
}

up() {
  can_run
  one_at_a_time
  if [ -d "$RUN" ] && healthy; then
    say "already up"
    return
  fi
  "$here/build.sh" deps
  "$here/build.sh"
  down
  mkdir -p "$RUN/log" "$RUN/pid"
  say "starting etcd, the API server and a node"
  credentials
  link_up
  start_api
  make_mount_points
  start_node
  wait_for 90 "API server" kubectl get --raw /readyz
  start_controllers
  wait_for 90 "ready node" node_ready
  kubectl apply --filename "$RUN/conf/dns.yaml" >/dev/null
  wait_for 60 "default service account" kubectl get serviceaccount default
  say "up: Kubernetes $KUBERNETES_VERSION, kubeconfig $RUN/admin.kubeconfig"
}

down() {
  stop node KILL
  stop kube-scheduler
  stop kube-controller-manager
  stop kube-apiserver KILL # an orderly stop waits a minute for open watches
  stop etcd
  link_down
  local mount
  for mount in $(cgroup_mounts); do
    [ ! -d "$mount/$CLUSTER" ] ||
      wait_for 20 "empty cgroup $mount/$CLUSTER" \
        find "$mount/$CLUSTER" -depth -type d -exec rmdir {} +
  done
  remove_mount_points
  rm -rf "$RUN"
}

make_mount_points() { # the node mounts there, in its own namespace; `down` removes what was made
  local path missing
  for path in $NODE_PATHS; do
    while [ ! -d "$path" ]; do # the uppermost missing folder first
      missing=$path
      while [ ! -d "$(dirname "$missing")" ]; do missing=$(dirname "$missing"); done
      mkdir "$missing"
      echo "$missing" >>"$RUN/made"
    done
  done
}

remove_mount_points() {
  [ -f "$RUN/made" ] || return 0
  tac "$RUN/made" | xargs --no-run-if-empty rmdir --ignore-fail-on-non-empty 2>/dev/null || true
}

load_image() {
  alive node || die "no node is running; start it with: $0 up"
  local archive unshare inner
  unshare=$(cat "$RUN/pid/node")
  inner=$(cat "/proc/$unshare/task/$unshare/children")
  for archive; do
    nsenter --target "${inner% }" --mount ctr --namespace k8s.io images import "$(realpath "$archive")"
  done
}

status() {
  local name pid
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler node; do
    if alive "$name"; then
      pid=$(cat "$RUN/pid/$name")
      echo "$name: process $pid, $(awk '/VmRSS/ {print int($2 / 1024)}' "/proc/$pid/status") MiB"
    else
      echo "$name: not running"
    fi
  done
  ! alive kube-apiserver || kubectl get nodes -o wide
}

export BUILT BIN RUN NODE NODE_IP NODE_PATHS
case ${1-} in
up) up ;;
down) one_at_a_time; down ;;
load-image) shift; load_image "$@" ;;
status) status ;;
kubeconfig) echo "$RUN/admin.kubeconfig" ;;
can-run) can_run ;;
*) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
