# shellcheck shell=bash
# Programs that are started, watched and stopped, and the API server with its etcd. Sourced by
# cluster.sh and control-plane.sh, after settings.sh.

spawn() { # NAME COMMAND...
  local name=$1
  shift
  setsid "$@" </dev/null >"$RUN/log/$name.log" 2>&1 9>&- &
  echo $! >"$RUN/pid/$name"
  disown # its end is no news
}

alive() { # NAME: runs; a zombie has no command line, and a stranger with its number another one
  [ -e "$RUN/pid/$1" ] && grep -qs -- "$RUN" "/proc/$(cat "$RUN/pid/$1")/cmdline"
}

gone() { ! alive "$1"; }

stop() { # NAME [SIGNAL]
  alive "$1" || return 0
  kill "-${2-TERM}" "$(cat "$RUN/pid/$1")"
  wait_for 20 "end of $1" gone "$1"
}

kubectl() { "$BIN/kubectl" --kubeconfig "$RUN/admin.kubeconfig" "$@"; }

start_api() { # OPTION...: more of the API server's
  spawn etcd "$BIN/etcd" --name "$CLUSTER" --data-dir "$RUN/etcd" --unsafe-no-fsync \
    --listen-client-urls "http://127.0.0.1:$ETCD_PORT" \
    --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
    --listen-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
    --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
    --initial-cluster "$CLUSTER=http://127.0.0.1:$ETCD_PEER_PORT"
  spawn kube-apiserver "$BIN/kube-apiserver" \
    --etcd-servers "http://127.0.0.1:$ETCD_PORT" \
    --bind-address "$HOST_IP" --secure-port "$API_PORT" \
    --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
    --client-ca-file "$PKI/ca.crt" --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction --allow-privileged \
    --kubelet-preferred-address-types InternalIP \
    --service-cluster-ip-range "$SERVICE_CIDR" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/sa.pub" --service-account-signing-key-file "$PKI/sa.key" \
    --kubelet-client-certificate "$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key "$PKI/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" \
    --requestheader-client-ca-file "$PKI/front-proxy-ca.crt" \
    --requestheader-allowed-names front-proxy-client \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$PKI/front-proxy-client.crt" \
    --proxy-client-key-file "$PKI/front-proxy-client.key" "$@"
}
