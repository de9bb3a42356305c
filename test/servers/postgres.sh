#!/usr/bin/env bash
# PostgreSQL from the distribution, for the tests of the table of live messages. Only the programs: the tests start
# servers of their own.
set -uo pipefail
exec </dev/null

attemptsMax=3

if compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then
  echo 'PostgreSQL is installed'
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo 'PostgreSQL is missing: install the package postgresql'
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# The package would begin a server of its own on the usual port.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
for attempt in $(seq 1 "$attemptsMax"); do
  apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql && exit 0
  [ "$attempt" = "$attemptsMax" ] || sleep 5
done
echo 'PostgreSQL could not be installed'
exit 1
