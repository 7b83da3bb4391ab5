#!/bin/sh
# Writes into .env a generated secret for each that docker-compose.yml asks for and that is not there yet.
set -eu
cd "$(dirname "$0")/../.."
umask 077
touch .env
chmod 600 .env
# Whoever wrote the last line may have left it open.
[ -z "$(tail -c 1 .env)" ] || echo >>.env
bom=$(printf '\357\273\277')

for name in POSTGRES_PASSWORD REDIS_PASSWORD RABBITMQ_PASSWORD SLUICE_KEY_PEPPER; do
    # As Compose reads it: there may be a byte order mark, `export`, blanks, and line ends of Windows. Quotes may hold nothing.
    if ! grep -Eq "^($bom)?[[:space:]]*(export[[:space:]]+)?${name}[[:space:]]*[=:][[:space:]]*([^[:space:]\"']|\"[^\"]|'[^'])" .env; then
        echo "$name=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >>.env
        echo "passwords: $name is new, in .env"
    fi
done
