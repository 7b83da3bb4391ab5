#!/bin/sh
# Starts `server` or `sentinel` of one of several Valkey pods. Whoever the Sentinels call master is followed, also after all
# of this pod was lost; while none of them answers, the first peer is master.
# ME and PEERS are host names, REDIS_PASSWORD is everybody's. The other variables are for tests.
set -eu
: "${PORT:=6379}" "${SENTINEL_PORT:=26379}" "${BIND:=* -::*}" "${PROGRAM:=valkey}" "${DOWN_MS:=5000}"
: "${FAILOVER_MS:=10000}" "${CONF:=/etc/sluice/redis.conf}" "${OWN:=/tmp}"

master=""
for peer in $PEERS; do
    master=$(timeout 2 "$PROGRAM-cli" -h "$peer" -p "$SENTINEL_PORT" sentinel get-master-addr-by-name sluice 2>/dev/null | head -n 1) || true
    case $master in *" "*) master="" ;; esac # an error, not a name
    [ -z "$master" ] || break
done
: "${master:=${PEERS%% *}}"
umask 077

case $1 in
server)
    {
        echo "include $CONF"
        echo "bind $BIND"
        echo "port $PORT"
        echo "dir $OWN"
        echo "requirepass $REDIS_PASSWORD"
        echo "masterauth $REDIS_PASSWORD"
        echo "replica-announce-ip $ME"
        [ "$master" = "$ME" ] || echo "replicaof $master $PORT"
    } >"$OWN/server.conf"
    exec "$PROGRAM-server" "$OWN/server.conf"
    ;;
sentinel)
    # The file is rewritten by the Sentinel itself. It asks for no password, as it tells no more than an address.
    cat >"$OWN/sentinel.conf" <<END
bind $BIND
port $SENTINEL_PORT
dir $OWN
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $ME
sentinel monitor sluice $master $PORT 2
sentinel auth-pass sluice $REDIS_PASSWORD
sentinel down-after-milliseconds sluice $DOWN_MS
sentinel failover-timeout sluice $FAILOVER_MS
END
    exec "$PROGRAM-server" "$OWN/sentinel.conf" --sentinel
    ;;
esac
