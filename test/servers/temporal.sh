#!/usr/bin/env bash
# Puts the Temporal dev server where the product and its tests look for it, once. Building it takes about
# three minutes; a machine that has it keeps it.
set -euo pipefail
exec </dev/null

version=1.5.1
cache="${FRACTALOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fractalops}"
folder="$cache/temporal-cli/$version"
attemptsMax=3

if [ -x "$folder/temporal" ]; then
  echo "temporal $version is in $folder"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo 'Go is missing: install it, or put the program temporal on PATH'
  exit 1
fi

mkdir -p "$folder"
building=$(mktemp -d "$folder/building.XXXXXX")
trap 'rm -rf "$building"' EXIT
for attempt in $(seq 1 "$attemptsMax"); do
  if GOBIN="$building" GOFLAGS=-trimpath go install "github.com/temporalio/cli/cmd/temporal@v$version"; then
    # A rename within one folder: whoever looks meanwhile finds the whole program or none.
    mv "$building/temporal" "$folder/temporal"
    echo "temporal $version was built into $folder"
    exit 0
  fi
  [ "$attempt" = "$attemptsMax" ] || sleep 5
done
echo "temporal $version could not be built"
exit 1
