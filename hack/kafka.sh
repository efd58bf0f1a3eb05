#!/usr/bin/env bash
# kafka.sh: makes sure that Apache Kafka's jars (43 MB, from Maven Central) are there, and prints the
# folder they are in. For the tests of the Kafka sink; needs Java 17 and Maven, which it installs
# where it may.
set -euo pipefail
CACHE=${SIDELIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidelight}
VERSION=4.1.0
home=$CACHE/kafka-$VERSION

need() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "kafka.sh: needs $1 on PATH (Java from 17 on)" >&2
    exit 1
  fi
  echo "kafka: installing $2" >&2
  apt-get update --quiet=2 >&2
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "$2" >&2
}

need java default-jre-headless
if [ ! -d "$home/lib" ]; then
  need mvn maven
  echo "kafka: fetching Kafka $VERSION (43 MB)" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cat >"$work/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>sidelight</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$VERSION</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
XML
  (cd "$work" && mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=lib \
    -DincludeScope=runtime) >&2
  mkdir -p "$home"
  rm -rf "$home/lib"
  mv "$work/lib" "$home/lib"
fi
echo "$home/lib"
