#!/usr/bin/env bash
# permessage-deflate through the gateway: clients and servers that people use keep their contexts over many messages in both
# directions; what is taken out is out; bombs, oversize messages and texts that are none are stopped, in bounded memory.
#
# Needs node with npm and Python 3; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WS=8.23.0
WEBSOCKETS=17.4
WEBSOCKET_CLIENT=1.9.2
# What 20 bombs of 10 MB may cost: less than two of them would if they were held.
MOST_KIB=16384

need_gateway
npm_packages "ws-$WS" "ws@$WS"
pip_packages "clients-$WEBSOCKETS-$WEBSOCKET_CLIENT" \
    "websockets==$WEBSOCKETS" "websocket-client==$WEBSOCKET_CLIENT"

COMPRESSION=1 start node node "$E2E/echo-ws.mjs"
start python "$PYTHON" "$E2E/compression.py" serve
for name in node python; do
    line=$(wait_for "$name" '^listening on ' 20) || exit 1
    for kind in inspect terminate strip; do
        cat >"$WORK/$name-$kind.toml" <<EOF
version = 1
[[listeners]]
address = "127.0.0.1:0"
[[routes]]
name = "app"
upstream = "${line##* }"
auth = "none"
compression = "$kind"
EOF
        start "$name-$kind" "$GATEWAY" guard -c "$WORK/$name-$kind.toml"
    done
done

# at GATEWAY: sets URL to where it listens.
at() {
    URL=$(wait_for "$1" 'listening on ws://127\.0\.0\.1:[0-9]+' 20) || exit 1
    URL=$(grep -oE 'ws://127\.0\.0\.1:[0-9]+' <<<"$URL" | head -n 1)
}

# check NAME COMMAND...: passes when the command prints `fine` and succeeds.
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

for server in node python; do
    for kind in inspect terminate; do
        at "$server-$kind"
        check "$kind: node ws to $server" node "$E2E/compression.mjs" "$URL" echo
        check "$kind: python websockets to $server" "$PYTHON" "$E2E/compression.py" "$URL"
    done
    at "$server-strip"
    check "strip: node ws to $server" node "$E2E/compression.mjs" "$URL" plain
done

# The most memory that a gateway has ever held, in KiB.
peak() {
    awk '/^VmHWM:/ { print $2 }' "/proc/${PIDS[$1]}/status"
}

for kind in inspect terminate; do
    at "node-$kind"
    check "$kind: a text that is none" node "$E2E/compression.mjs" "$URL" utf8
    check "$kind: a message that is large inside" node "$E2E/compression.mjs" "$URL" large
    before=$(peak "node-$kind") || exit 1
    check "$kind: bombs" node "$E2E/compression.mjs" "$URL" bombs
    after=$(peak "node-$kind") || exit 1
    grown=$((after - before))
    if [ "$grown" -le "$MOST_KIB" ]; then
        pass "$kind: 20 bombs of 10 MB cost $grown KiB"
    else
        fail "$kind: 20 bombs of 10 MB cost $grown KiB"
    fi
done
finish
