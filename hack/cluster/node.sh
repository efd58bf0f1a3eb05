#!/usr/bin/env bash
# The node: runs as process 1 of its own PID, mount and network namespace, with
# containerd, the kubelet and kube-proxy below it. Killing it kills every
# container and drops every mount. Started by cluster.sh, with its variables; the
# argument only names the cluster in the list of processes.
set -euo pipefail
mount --make-rshared / # the kubelet wants mount propagation

# The usual paths, backed by the cluster's own folder.
for path in $NODE_PATHS; do
  mkdir -p "$RUN/node$path"
  mount --bind "$RUN/node$path" "$path"
done
cp "$RUN/conf/cni.conflist" /etc/cni/net.d/10-pods.conflist

# The kubelet sets these for the whole machine unless it finds them set.
mkdir -p "$RUN/node/sysctl"
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  key=${setting%=*}
  echo "${setting#*=}" >"$RUN/node/sysctl/${key//\//.}"
  mount --bind "$RUN/node/sysctl/${key//\//.}" "/proc/sys/$key"
done
echo 1 >/proc/sys/net/ipv4/ip_forward # of this network namespace only

wait_for() { # COMMAND...: until it succeeds, for a minute
  for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "node: gave up waiting for: $*" >&2
  exit 1
}

containerd --config "$RUN/conf/containerd.toml" >"$RUN/log/containerd.log" 2>&1 &
wait_for ctr version
ctr --namespace k8s.io images import "$BUILT/pause.tar"

wait_for "$BIN/kubectl" --kubeconfig "$RUN/admin.kubeconfig" get --raw /readyz
"$BIN/kubelet" --config "$RUN/conf/kubelet.yaml" --kubeconfig "$RUN/kubelet.kubeconfig" \
  --hostname-override "$NODE" --node-ip "$NODE_IP" >"$RUN/log/kubelet.log" 2>&1 &
"$BIN/kube-proxy" --config "$RUN/conf/kube-proxy.yaml" \
  --hostname-override "$NODE" >"$RUN/log/kube-proxy.log" 2>&1 &
"$BIN/coredns" -conf "$RUN/conf/Corefile" >"$RUN/log/coredns.log" 2>&1 &
wait # also reaps what containers leave behind
