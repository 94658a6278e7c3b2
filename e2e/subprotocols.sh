#!/usr/bin/env bash
# Real servers and clients of sub-protocols through the gateway: Socket.IO, GraphQL over WebSocket, STOMP, JSON-RPC, and MQTT 3.1.1 and 5
# with mosquitto. Each is recognised; what an allow-list does not name does not arrive, and the session lives on. Socket.IO goes by
# WebSocket, by long polling, and from the one to the other, within one session.
#
# Needs node with npm and mosquitto; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need_gateway
MOSQUITTO=$(command -v mosquitto || echo /usr/sbin/mosquitto)
need "$MOSQUITTO" "no mosquitto, the broker of MQTT"
npm_packages subprotocols-1 socket.io@4.8.4 socket.io-client@4.8.4 graphql-ws@6.4.2 graphql@16.15.0 ws@8.23.0 \
    @stomp/stompjs@7.5.0 stomp-broker-js@1.3.0 rpc-websockets@10.0.1 mqtt@5.16.0

# mosquitto takes no port 0: a free one is asked for, and given back.
MOSQUITTO_PORT=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$MOSQUITTO_PORT" >"$WORK/mosquitto.conf"
start mosquitto "$MOSQUITTO" -c "$WORK/mosquitto.conf" -v
wait_for mosquitto 'running' 20 >/dev/null || exit 1
start apps env MOSQUITTO="$MOSQUITTO_PORT" node "$E2E/subprotocols-apps.mjs"
ports=$(wait_for apps '^ports ' 20) || exit 1
read -r _ socketio graphql stomp rpc mqtt <<<"$ports"

# guard NAME: starts a gateway with a route for each protocol; its policy is read from standard input, under [routes.NAME].
# Sets PORT.
guard() {
    local name=$1 route port
    {
        echo 'version = 1'
        echo "events = { to = \"file\", file = \"$WORK/$name.jsonl\" }"
        echo '[[listeners]]'
        echo 'address = "127.0.0.1:0"'
        for route in socketio:/socket.io:$socketio graphql:/graphql:$graphql stomp:/stomp:$stomp rpc:/rpc:$rpc mqtt:/mqtt:$mqtt; do
            IFS=: read -r route path port <<<"$route"
            printf '[[routes]]\nname = "%s"\npath = "%s"\nupstream = "ws://127.0.0.1:%s"\nauth = "none"\n' "$route" "$path" "$port"
            [ "$route" = socketio ] && echo 'http = "pass"'
            [ "$name" = strict ] && policy "$route"
        done
    } >"$WORK/$name.toml"
    start "$name" "$GATEWAY" guard -c "$WORK/$name.toml"
    wait_for "$name" '^  route mqtt ' 20 >/dev/null || exit 1
    PORT=$(sed -nE 's/^listening on ws:.*:([0-9]+)$/\1/p' "$WORK/$name.log" | head -n 1)
}

# policy ROUTE: what clients of a route may do.
policy() {
    case $1 in
    socketio)
        printf '[routes.operation_policy]\nallow = [%s]\n' \
            '{ name = "say", subject = "/" }, { name = "picture", subject = "/" }, { action = "connect", subject = "/" }, { action = "connect", name = "upgrade" }'
        printf 'deny = [%s]\n' '{ action = "connect", subject = "/admin" }'
        ;;
    graphql)
        printf '[routes.graphql_limits]\nallow = ["query.hello", "query.person", "subscription.ticks"]\n'
        ;;
    stomp)
        printf '[routes.topic_policy]\npublish = ["/ask/*"]\nsubscribe = ["/room/*"]\n'
        ;;
    rpc)
        printf '[routes.operation_policy]\nallow = [%s]\n' '{ action = "call", name = "sum" }'
        ;;
    mqtt)
        printf '[routes.topic_policy]\npublish = ["room/+"]\nsubscribe = ["room/+"]\n'
        ;;
    esac
}

# check NAME COMMAND...: passes when the command says `fine` and nothing else.
check() {
    local name=$1 out
    shift
    if out=$(timeout 60 "$@" 2>&1 </dev/null) && [ "$out" = fine ]; then
        pass "$name"
    else
        tail -n 20 <<<"$out"
        fail "$name"
    fi
}

# recognised NAME ROUTE PROTOCOL: passes when every connection of the route ended with this protocol in its record.
recognised() {
    local records
    records=$(grep '"event":"close"' "$WORK/$1.jsonl" | grep "\"route\":\"$2\"" | grep -o '"protocol":[^,]*' | sort -u)
    if [ "$records" = "\"protocol\":\"$3\"" ]; then
        pass "$1: $2 is recognised as $3"
    else
        echo "${records:-no record}"
        fail "$1: $2 is recognised as $3"
    fi
}

# arrived WHAT: tells whether an application said that something has reached it.
arrived() {
    grep -qx "reached $1" "$WORK/apps.log"
}

guard open
open=$PORT
guard strict
strict=$PORT
names=(socket.io graphql stomp json-rpc mqtt)
routes=(socketio graphql stomp rpc mqtt)
known=(socket-io graphql-transport-ws stomp json-rpc mqtt)
for at in 0 1 2 3 4; do
    name=${names[at]}
    check "open: $name" node "$E2E/subprotocols-clients.mjs" "$name" "$open"
    check "strict: $name, what is allowed" node "$E2E/subprotocols-clients.mjs" "$name" "$strict"
    check "strict: $name, what is not, and then what is" \
        node "$E2E/subprotocols-clients.mjs" "$name" "$strict" forbidden
done
for how in polling upgrade; do
    check "open: socket.io, $how" node "$E2E/subprotocols-clients.mjs" "socket.io-$how" "$open"
    check "strict: socket.io, $how, what is allowed" node "$E2E/subprotocols-clients.mjs" "socket.io-$how" "$strict"
    check "strict: socket.io, $how, what is not, and then what is" \
        node "$E2E/subprotocols-clients.mjs" "socket.io-$how" "$strict" forbidden
done
attempts=('wipe by polling' 'wipe by websocket' /admin 'mutation wipe' /secret 'subscription /\*\*' 'rpc wipe')
for what in "${attempts[@]}"; do
    if arrived "$what"; then fail "strict: \`$what\` does not arrive"; else pass "strict: \`$what\` does not arrive"; fi
done
if grep -qE "PUBLISH from .*secret/plans|SUBSCRIBE.*secret" "$WORK/mosquitto.log"; then
    fail "strict: nothing about secret topics reaches mosquitto"
else
    pass "strict: nothing about secret topics reaches mosquitto"
fi
# Without the allow-lists the same attempts succeed.
for name in "${names[@]:0:4}" socket.io-polling; do
    timeout 60 node "$E2E/subprotocols-clients.mjs" "$name" "$open" forbidden >"$WORK/attempt" 2>&1 </dev/null
done
for what in "${attempts[@]}"; do
    if arrived "$what"; then pass "open: \`$what\` arrives"; else fail "open: \`$what\` arrives"; fi
done
stop open
stop strict
for at in 0 1 2 3 4; do
    recognised open "${routes[at]}" "${known[at]}"
    recognised strict "${routes[at]}" "${known[at]}"
done
finish
