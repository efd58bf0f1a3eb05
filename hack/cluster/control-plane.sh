#!/usr/bin/env bash
# etcd and an API server alone, on loopback, for benchmarks: no node, nothing is run. Needs no root,
# and several may run beside each other and beside the cluster.
#
#   control-plane.sh FOLDER API_PORT ETCD_PORT ETCD_PEER_PORT
#
# Prints the path of an administrator's kubeconfig when it is up, and goes on until its standard
# input ends: with whoever started it, however that ended. Everything it keeps is in FOLDER, which
# goes with it; among it the API server's audit log: who wrote what.
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
export SIDELIGHT_CLUSTER_RUN=$1
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=credentials.sh
. "$here/credentials.sh"
# shellcheck source=processes.sh
. "$here/processes.sh"
ADVERTISED=$HOST_IP # to nobody, but it may not be a loopback address
HOST_IP=127.0.0.1
API_PORT=$2
ETCD_PORT=$3
ETCD_PEER_PORT=$4

stopped() {
  stop kube-apiserver KILL # an orderly stop waits a minute for open watches
  stop etcd
}

"$here/build.sh"
mkdir -p "$RUN/log" "$RUN/pid"
trap stopped EXIT
credentials
cat >"$RUN/audit.yaml" <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, verbs: [patch, update], resources: [{group: sidelight.dev}]}
  - {level: None}
YAML
start_api --advertise-address "$ADVERTISED" --endpoint-reconciler-type none \
  --audit-policy-file "$RUN/audit.yaml" --audit-log-path "$RUN/audit.log"
wait_for 90 "API server" kubectl get --raw /readyz
trap 'stopped; rm -rf "$RUN"' EXIT # not before: the logs say why it did not start
echo "$RUN/admin.kubeconfig"
cat >/dev/null
