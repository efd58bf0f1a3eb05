# shellcheck shell=bash
# Certificates and kubeconfigs of the cluster. Sourced by cluster.sh, after settings.sh.

ca() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" \
    -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}

cert() { # NAME CA SUBJECT [SUBJECT-ALT-NAMES]
  local extensions="extendedKeyUsage=serverAuth,clientAuth"
  [ -z "${4-}" ] || extensions+=$'\n'"subjectAltName=$4"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" \
    -keyout "$PKI/$1.key" 2>/dev/null |
    openssl x509 -req -days 3650 -CA "$PKI/$2.crt" -CAkey "$PKI/$2.key" \
      -set_serial "0x$(openssl rand -hex 8)" -extfile <(echo "$extensions") \
      -out "$PKI/$1.crt" 2>/dev/null
}

kubeconfig() { # NAME: from the certificate of that name
  cat >"$RUN/$1.kubeconfig" <<-YAML
	apiVersion: v1
	kind: Config
	clusters: [{name: $CLUSTER, cluster: {server: "https://$HOST_IP:$API_PORT", certificate-authority: $PKI/ca.crt}}]
	users: [{name: $1, user: {client-certificate: $PKI/$1.crt, client-key: $PKI/$1.key}}]
	contexts: [{name: $CLUSTER, context: {cluster: $CLUSTER, user: $1}}]
	current-context: $CLUSTER
	YAML
}

credentials() {
  mkdir -p "$PKI"
  ca ca
  ca front-proxy-ca
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$PKI/sa.key" 2>/dev/null
  openssl pkey -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub"
  cert apiserver ca /CN=kube-apiserver "IP:127.0.0.1,IP:$HOST_IP,IP:$API_SERVICE_IP,DNS:localhost,\
DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  cert apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client
  cert front-proxy-client front-proxy-ca /CN=front-proxy-client
  cert admin ca /O=system:masters/CN=admin
  cert kube-controller-manager ca /CN=system:kube-controller-manager
  cert kube-scheduler ca /CN=system:kube-scheduler
  cert kube-proxy ca /CN=system:kube-proxy
  cert coredns ca /CN=coredns
  cert kubelet ca "/O=system:nodes/CN=system:node:$NODE" "IP:$NODE_IP,DNS:$NODE"
  local name
  for name in admin kube-controller-manager kube-scheduler kube-proxy kubelet coredns; do
    kubeconfig "$name"
  done
}
