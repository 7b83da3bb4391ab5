#!/bin/bash
# The first start of the official image in short: data, password, initial scripts over the socket, then the server.
set -euo pipefail

make_data() {
    local extra options
    read -ra extra <<<"${POSTGRES_INITDB_ARGS:-}"
    initdb --username=postgres --pwfile=<(echo "${POSTGRES_PASSWORD:?}") "${extra[@]}"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    options=$(printf '%q ' "$@" -c listen_addresses=)
    pg_ctl -w -o "$options" start
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --set ON_ERROR_STOP=1 --no-psqlrc --username postgres --dbname postgres --file "$file"
    done
    pg_ctl -w -m fast stop
}

if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    make_data "${@:2}"
fi
exec "$@"
