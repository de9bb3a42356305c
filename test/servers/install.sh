#!/usr/bin/env bash
# Puts the real servers that the tests use in place, once: programs go into a cache outside the checkout,
# keyed by version (FRACTALOPS_TEST_CACHE, by default ~/.cache/fractalops), packages come from the distribution.
set -uo pipefail
exec </dev/null
cd "$(dirname "$0")" || exit 1

attemptsMax=3
bad=0

# A browser for the portal's tests; only where the distribution's package manager may be used.
browser() {
  if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -qi dejavu; then return 0; fi
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo 'chromium or the DejaVu fonts are missing: install the packages chromium and fonts-dejavu-core'
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  for _ in $(seq 1 "$attemptsMax"); do
    apt-get update -qq &&
      apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fontconfig && return 0
    sleep 5
  done
  echo 'chromium could not be installed'
  return 1
}

# Lets real calls of the operating system fail.
strace_program() {
  if command -v strace >/dev/null; then return 0; fi
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo 'strace is missing: install the package strace'
    return 1
  fi
  for _ in $(seq 1 "$attemptsMax"); do
    apt-get update -qq && apt-get install -y -qq --no-install-recommends strace && return 0
    sleep 5
  done
  echo 'strace could not be installed'
  return 1
}

# One behind the other: both may need the package manager.
packages() {
  local missing=0
  browser || missing=1
  strace_program || missing=1
  ./postgres.sh || missing=1
  return "$missing"
}

temporal() {
  if [ ! -x ./temporal.sh ]; then
    echo 'test/servers/temporal.sh is not there'
    return 1
  fi
  ./temporal.sh
}

# Beside each other: one waits for the network while another compiles.
jobs=()
for server in packages temporal ./tessera.sh ./clients.sh; do
  "$server" &
  jobs+=("$!")
done
for job in "${jobs[@]}"; do
  wait "$job" || bad=1
done
exit "$bad"
