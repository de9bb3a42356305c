#!/usr/bin/env bash
# Puts the programs of Tessera that the tests run against our tiles where the tests look for them, once:
# fsck, the load generator hammer, its POSIX conformance server, and our checkpoint reader in Go.
set -euo pipefail
exec </dev/null
cd "$(dirname "$0")"

version=1.0.4
cache="${FRACTALOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fractalops}"
folder="$cache/tessera/$version"
attemptsMax=3

programs=(fsck hammer posix)
module=github.com/transparency-dev/tessera
packages=("$module/cmd/fsck@v$version" "$module/internal/hammer@v$version" "$module/cmd/conformance/posix@v$version")

# Our own reader of checkpoints is small and may have changed: Go knows whether it must be built again.
opener() {
  local building
  building=$(mktemp -d "$cache/building.XXXXXX")
  if (cd open-checkpoint && go build -trimpath -o "$building/open-checkpoint" .); then
    mv "$building/open-checkpoint" "$folder/open-checkpoint"
    rm -rf "$building"
  else
    rm -rf "$building"
    echo 'test/servers/open-checkpoint could not be built'
    return 1
  fi
}

missing=()
for at in "${!programs[@]}"; do
  [ -x "$folder/${programs[$at]}" ] || missing+=("$at")
done
if ! command -v go >/dev/null; then
  echo 'Go is missing: install it to build the programs of Tessera'
  exit 1
fi

mkdir -p "$folder"
opener
if [ "${#missing[@]}" = 0 ]; then
  echo "tessera $version is in $folder"
  exit 0
fi
building=$(mktemp -d "$folder/building.XXXXXX")
trap 'rm -rf "$building"' EXIT

build() {
  for attempt in $(seq 1 "$attemptsMax"); do
    GOBIN="$building" GOFLAGS=-trimpath go install "$1" && return 0
    [ "$attempt" = "$attemptsMax" ] || sleep 5
  done
  echo "$1 could not be built"
  return 1
}

for at in "${missing[@]}"; do
  build "${packages[$at]}"
  # A rename within one folder: whoever looks meanwhile finds the whole program or none.
  mv "$building/${programs[$at]}" "$folder/${programs[$at]}"
done
echo "tessera $version was built into $folder"
