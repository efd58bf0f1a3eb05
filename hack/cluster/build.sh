#!/usr/bin/env bash
# Builds the cluster's programs once for each version and machine, into the cache.
#
#   build.sh deps     install what comes from Debian (needs root)
#   build.sh          build; prints nothing and returns at once when all is there
#
# The first build compiles Kubernetes: about 12 minutes of processor time.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

# nftables is for kube-proxy; buildah and mmdebstrap make images where there is no registry.
DEBIAN_PACKAGES=(containerd runc containernetworking-plugins nftables iproute2 openssl buildah mmdebstrap)
PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl etcd)

missing_packages() {
  local package
  for package in "${DEBIAN_PACKAGES[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
      echo "$package"
  done
}

deps() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "needs these Debian packages: ${missing[*]}"
  say "installing ${missing[*]}"
  apt-get update --quiet=2
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-upgrade \
    --no-install-recommends "${missing[@]}" >/dev/null
}

compile() { # FOLDER
  local out=$1 base=k8s.io/component-base/version minor=${KUBERNETES_VERSION#v1.} program
  local flags="-s -w -X $base.gitVersion=$KUBERNETES_VERSION -X $base.gitMajor=1"
  flags+=" -X $base.gitMinor=${minor%%.*} -X $base.gitTreeState=clean -X $base.gitCommit=$KUBERNETES_VERSION"
  mkdir -p "$out/bin"
  export CGO_ENABLED=0
  say "compiling Kubernetes $KUBERNETES_VERSION (the first time 5 to 15 minutes; kept in $CACHE)"
  (cd "$here/kube" && go build -trimpath -ldflags "$flags" -o "$out/bin/kube" . &&
    go build -trimpath -ldflags "-s -w" -o "$out/pause" ./pause)
  say "compiling CoreDNS"
  (cd "$here/dns" && go build -trimpath -ldflags "-s -w" -o "$out/bin/coredns" .)
  for program in "${PROGRAMS[@]}"; do ln -sf kube "$out/bin/$program"; done
  pause_image "$out"
}

pause_image() { # FOLDER: a docker archive made by hand, since no image builder is needed for one file
  local out=$1 dir=$1/pause.d layer
  mkdir -p "$dir"
  tar --create --file "$dir/layer.tar" --directory "$out" --owner 0 --group 0 --mtime @0 pause
  layer=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
  cat >"$dir/config.json" <<-JSON
	{"architecture": "$(go env GOARCH)", "os": "linux", "config": {"Entrypoint": ["/pause"]},
	 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}}
	JSON
  echo '[{"Config": "config.json", "RepoTags": ["localhost/pause:1"], "Layers": ["layer.tar"]}]' \
    >"$dir/manifest.json"
  tar --create --file "$out/pause.tar" --directory "$dir" manifest.json config.json layer.tar
  rm -r "$dir"
}

build() { # whole or not at all, and once even if two ask at the same time
  [ ! -e "$BUILT/pause.tar" ] || return 0
  command -v go >/dev/null || die "needs Go 1.26 or later to build Kubernetes; install it and try again"
  mkdir -p "$CACHE/cluster"
  exec 9>"$CACHE/cluster/lock"
  flock 9
  [ ! -e "$BUILT/pause.tar" ] || return 0
  local work
  work=$(mktemp -d "$CACHE/cluster/building.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now, not of the end
  trap "rm -rf '$work'" EXIT
  compile "$work"
  chmod 755 "$work"
  rm -rf "$BUILT"
  mv "$work" "$BUILT"
}

case ${1-build} in
deps) deps ;;
build) build ;;
*) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
