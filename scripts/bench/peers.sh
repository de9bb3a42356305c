#!/usr/bin/env bash
# Puts what the ledger is measured against into the cache, once: packages with their exact versions and
# programs built from source. Nothing of it is a dependency of the product. What cannot be had is named;
# the bench then runs without it.
set -uo pipefail
exec </dev/null
cd "$(dirname "$0")" || exit 1

nats_version=2.15.2
packages=(better-sqlite3@12.11.1 lmdb@3.5.6 pg@8.23.1 nats@2.29.3)
cache="${FRACTALOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fractalops}"
folder="$cache/bench-peers"
bad=0

# better-sqlite3 is compiled: its install script would fetch a binary from elsewhere. The headers are
# those that came with this Node.
npm_peers() {
  local wanted="${packages[*]} for node $(node -p process.versions.modules)"
  if [ "$(cat "$folder/npm/.installed" 2>/dev/null)" = "$wanted" ]; then
    echo "${packages[*]}: in $folder/npm"
    return 0
  fi
  rm -rf "$folder/npm"
  mkdir -p "$folder/npm"
  echo '{ "private": true }' >"$folder/npm/package.json"
  local gyp prefix
  gyp="$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js"
  prefix="$(dirname "$(dirname "$(node -p 'fs.realpathSync(process.execPath)')")")"
  (cd "$folder/npm" && npm install --no-audit --no-fund --save-exact --ignore-scripts "${packages[@]}") || return 1
  if [ ! -f "$prefix/include/node/node.h" ]; then
    echo "better-sqlite3 cannot be compiled: there is no $prefix/include/node/node.h"
    return 1
  fi
  (cd "$folder/npm/node_modules/better-sqlite3" && node "$gyp" rebuild --release --nodedir="$prefix" >../../build.log 2>&1) || {
    tail -20 "$folder/npm/build.log"
    return 1
  }
  echo "$wanted" >"$folder/npm/.installed"
  echo "${packages[*]}: installed into $folder/npm"
}

nats() {
  local target="$folder/nats-server/$nats_version"
  [ -x "$target/nats-server" ] && echo "nats-server $nats_version: in $target" && return 0
  command -v go >/dev/null || { echo 'nats-server: Go is missing'; return 1; }
  mkdir -p "$target"
  local building
  building=$(mktemp -d "$target/building.XXXXXX")
  GOBIN="$building" GOFLAGS=-trimpath go install "github.com/nats-io/nats-server/v2@v$nats_version" &&
    mv "$building/nats-server" "$target/nats-server"
  local status=$?
  rm -rf "$building"
  return "$status"
}

postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null && return 0
  echo 'postgresql: install the package of the distribution'
  return 1
}

npm_peers || bad=1
nats || bad=1
postgres || bad=1
../../test/servers/tessera.sh || bad=1
exit "$bad"
