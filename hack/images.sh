#!/usr/bin/env bash
# Builds the three images and prints the archive of each: Sidelight's two, and the example's engine.
#
#   images.sh            with docker or podman where one works, else buildah on a Debian base made
#                        here from Debian's packages (no image registry needed)
#
# An image is built again only when what goes into it changed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
IMAGES=$CACHE/images
PREFIX=${SIDELIGHT_IMAGE_PREFIX:-localhost}
# The base has the release, and so the Python (3.11), of the Dockerfiles' own: the wheels are for it.
SUITE=bookworm
# What the Dockerfiles would install into python:slim; here it is in the bases from the start.
SIDELIGHT_PACKAGES=python3,nftables,ca-certificates
ENGINE_PACKAGES=python3,libgomp1

say() { echo "images: $*" >&2; }

builder() {
  if docker info >/dev/null 2>&1; then echo docker
  elif podman info >/dev/null 2>&1; then echo podman
  else echo buildah
  fi
}
BUILDER=${SIDELIGHT_IMAGE_BUILDER:-$(builder)}

buildah_here() { # the store is ours alone, and chroot isolation needs no container runtime
  buildah --root "$CACHE/buildah/root" --runroot "$CACHE/buildah/run" --storage-driver overlay "$@"
}

base() { # PACKAGES: prints the name of a Debian base image with them, made when it is not there
  local packages=$1 name
  name=localhost/sidelight-base:$(echo "$SUITE $packages" | sha256sum | cut -c1-12)
  if ! buildah_here images --quiet "$name" >/dev/null 2>&1; then
    say "making a base image from Debian $SUITE's packages (once, half a minute)"
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || # on Debian's relatives
      DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 debian-archive-keyring >&2
    local work
    work=$(mktemp -d)
    mmdebstrap --quiet --variant=minbase --include="$packages" \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt=force-unsafe-io "$SUITE" "$work/root.tar"
    printf 'FROM scratch\nADD root.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n' \
      >"$work/Dockerfile"
    buildah_here bud --quiet --isolation chroot --tag "$name" "$work" >/dev/null
    rm -r "$work"
  fi
  echo "$name"
}

image() { # NAME KEY-FILES... -- BUILD-ARGUMENTS...: builds localhost/NAME:dev, prints its archive
  local name=$1 key tar tag=$PREFIX/$1:dev
  shift
  local files=()
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  # With the word of what Sidelight's wheel was made from: it may be older than the sources by now.
  key=$( (echo "$BUILDER $BASE $tag $*"; cat wheels/.sidelight.key; find "${files[@]}" -type f ! -path '*/__pycache__/*' ! -name '.*' ! -path 'wheels/sidelight-*' | LC_ALL=C sort |
    xargs sha256sum) | sha256sum | cut -c1-16)
  tar=$IMAGES/$name-$key.tar
  if [ ! -e "$tar" ]; then
    say "building $tag with $BUILDER"
    rm -f "$tar.new" # podman and buildah add to an archive that is there
    case $BUILDER in
    docker | podman)
      "$BUILDER" build --quiet --tag "$tag" "$@" >/dev/null
      "$BUILDER" save --output "$tar.new" "$tag" ;;
    buildah)
      buildah_here bud --quiet --isolation chroot --pull-never --build-arg "BASE=$BASE" --tag "$tag" "$@" >/dev/null
      buildah_here push --quiet "$tag" "docker-archive:$tar.new:$tag"
      # What a build that failed left behind, and the image that had the name before.
      buildah_here rm --all >/dev/null
      buildah_here rmi --prune >/dev/null ;;
    esac
    rm -f "$IMAGES/$name"-*.tar
    mv "$tar.new" "$tar"
  fi
  echo "$tar"
}

set_base() { # PACKAGES: the base of the next images, where no registry has one
  BASE=
  [ "$BUILDER" != buildah ] || BASE=$(base "$1")
}

mkdir -p "$IMAGES"
exec 9>"$IMAGES/lock"
flock 9
[ "$BUILDER" != buildah ] || hack/cluster/build.sh deps
set_base "$SIDELIGHT_PACKAGES"
image sidelight-operator Dockerfile wheels contract operator pyproject.toml -- --target operator .
image sidelight-sidecar Dockerfile wheels contract sidecar pyproject.toml -- --target sidecar .
set_base "$ENGINE_PACKAGES"
image llama-server examples/llama-server -- examples/llama-server
