#!/usr/bin/env bash
# Puts the clients of other languages that the tests use where the tests look for them, once: each a program of
# test/integration/clients with what it needs, in versions that stand there.
set -uo pipefail
exec </dev/null
cd "$(dirname "$0")/../integration/clients" || exit 1

cache="${FRACTALOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fractalops}/clients"
attemptsMax=3
mavenCopy=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies
mkdir -p "$cache" || exit 1

# Runs a command until it succeeds, at most so many times.
persist() {
  local attempt
  for attempt in $(seq 1 "$attemptsMax"); do
    "$@" && return 0
    [ "$attempt" = "$attemptsMax" ] || sleep 5
  done
  return 1
}

# An environment of its own; the list of versions lies in it when it is whole.
python_client() {
  local folder="$cache/python" wanted=python/requirements.txt
  if cmp -s "$wanted" "$folder/requirements.txt"; then return 0; fi
  if ! command -v python3 >/dev/null; then
    echo 'Python is missing: install python3 with its module venv'
    return 1
  fi
  rm -rf "$folder"
  if python3 -m venv "$folder" &&
    persist "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$wanted" &&
    cp "$wanted" "$folder/requirements.txt"; then return 0; fi
  echo 'the Python client could not be installed'
  return 1
}

# Our own program is small and may have changed: Go knows whether it must be built again.
go_client() {
  local building
  if ! command -v go >/dev/null; then
    echo 'Go is missing: install it to build the program with the Go client'
    return 1
  fi
  mkdir -p "$cache/go" && building=$(mktemp -d "$cache/go/building.XXXXXX") || return 1
  if (cd go && persist go build -trimpath -o "$building/client" .); then
    mv "$building/client" "$cache/go/client" && rm -rf "$building"
    return
  fi
  rm -rf "$building"
  echo 'the program with the Go client could not be built'
  return 1
}

# The jars of the client, and our own program beside them; what they were made of lies there when they are whole.
java_client() {
  local folder="$cache/java" building
  if [ "$(cat java/pom.xml java/*.java | sha256sum)" = "$(cat "$folder/made-of" 2>/dev/null)" ]; then return 0; fi
  if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
    echo 'Java is missing: install a JDK of 17 or later, and Maven'
    return 1
  fi
  building=$(mktemp -d "$cache/building.XXXXXX") || return 1
  if persist mvn -q -B -f java/pom.xml "$mavenCopy" -DincludeScope=runtime -DoutputDirectory="$building/jars" &&
    javac -nowarn -Xlint:none -cp "$building/jars/*" -d "$building/classes" java/*.java &&
    jar --create --file "$building/jars/client.jar" -C "$building/classes" . &&
    cat java/pom.xml java/*.java | sha256sum >"$building/jars/made-of"; then
    rm -rf "$folder" && mv "$building/jars" "$folder" && rm -rf "$building"
    return
  fi
  rm -rf "$building"
  echo 'the program with the Java client could not be built'
  return 1
}

bad=0
jobs=()
for client in python_client go_client java_client; do
  "$client" &
  jobs+=("$!")
done
for job in "${jobs[@]}"; do
  wait "$job" || bad=1
done
[ "$bad" = 1 ] || echo "the clients of other languages are in $cache"
exit "$bad"
