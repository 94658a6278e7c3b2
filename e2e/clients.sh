#!/usr/bin/env bash
# Clients that people use, through the gateway with its default limits: each sends text, 60 kB and a ping where it can, hears
# each again, and closes with a code that comes back; some over TLS with the development certificate's authority.
#
# Needs node with npm and Python 3; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WS=8.23.0
WSCAT=6.1.0
WEBSOCKETS=17.4
WEBSOCKET_CLIENT=1.9.2

need_gateway
npm_packages "wscat-$WSCAT" "wscat@$WSCAT"
wscat=$NODE_MODULES/wscat/bin/wscat
npm_packages "ws-$WS" "ws@$WS"
pip_packages "clients-$WEBSOCKETS-$WEBSOCKET_CLIENT" \
    "websockets==$WEBSOCKETS" "websocket-client==$WEBSOCKET_CLIENT"

start echo node "$E2E/echo-ws.mjs"
upstream=$(wait_for echo '^listening on ' 20) || exit 1
upstream=${upstream##* }
guard() {
    start "$@"
    URL=$(wait_for "$1" 'listening on wss?://127\.0\.0\.1:[0-9]+' 20) || exit 1
    URL=$(grep -oE 'wss?://127\.0\.0\.1:[0-9]+' <<<"$URL" | head -n 1)
}
guard plain "$GATEWAY" guard --listen 127.0.0.1:0 --upstream "$upstream" --auth none --limits default
plain=$URL
guard tls "$GATEWAY" guard --listen 127.0.0.1:0 --upstream "$upstream" --auth none --limits default --tls-dev
tls=$URL
wait_for tls '^-----END CERTIFICATE-----' 10 >/dev/null || exit 1
sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' "$WORK/tls.log" >"$WORK/authority.pem"

# check NAME COMMAND...: passes when the command prints `fine` and succeeds.
check() {
    local name=$1 out
    shift
    if out=$(timeout 30 "$@" 2>&1 </dev/null) && [ "$out" = fine ]; then
        pass "$name"
    else
        tail -n 20 <<<"$out"
        fail "$name"
    fi
}

# wscat says one text, prints what it hears and leaves after a second. It wants an input that stays open.
by_wscat() {
    local out
    out=$(sleep 3 | node "$wscat" --no-color -c "$1" -x 'good day' -w 1 "${@:2}" 2>&1)
    grep -q 'good day' <<<"$out" && echo fine || echo "$out"
}
export -f by_wscat
export wscat

check "python websockets" "$PYTHON" "$E2E/clients.py" websockets "$plain"
check "python websockets over TLS" "$PYTHON" "$E2E/clients.py" websockets "$tls" "$WORK/authority.pem"
check "python websocket-client" "$PYTHON" "$E2E/clients.py" websocket-client "$plain"
check "python websocket-client over TLS" "$PYTHON" "$E2E/clients.py" websocket-client "$tls" "$WORK/authority.pem"
check "node ws" node "$E2E/clients.mjs" ws "$plain"
check "node ws over TLS" node "$E2E/clients.mjs" ws "$tls" "$WORK/authority.pem"
check "wscat" bash -c 'by_wscat "$@"' wscat "$plain"
check "wscat over TLS" bash -c 'by_wscat "$@"' wscat "$tls" --ca "$WORK/authority.pem"
builtin=
node -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' || builtin=--experimental-websocket
if node $builtin -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' 2>/dev/null; then
    check "node's own WebSocket" node --no-warnings $builtin "$E2E/clients.mjs" builtin "$plain"
    check "node's own WebSocket over TLS" \
        env NODE_EXTRA_CA_CERTS="$WORK/authority.pem" node --no-warnings $builtin "$E2E/clients.mjs" builtin "$tls"
else
    echo "not tried: node's own WebSocket, which $(node --version) does not have"
fi
if "$PYTHON" "$E2E/clients.py" websockets "$tls" >"$WORK/untrusting.txt" 2>&1; then
    fail "a client that does not trust the authority is not let in by its own library"
else
    grep -qi certificate "$WORK/untrusting.txt" && pass "a client that does not trust the authority goes away" ||
        { cat "$WORK/untrusting.txt"; fail "a client that does not trust the authority goes away"; }
fi

# Nothing of this is a verdict, and every opening has its end.
for name in plain tls; do
    stop "$name"
    opens=$(grep -c '"event":"open"' "$WORK/$name.log")
    closes=$(grep -c '"event":"close"' "$WORK/$name.log")
    verdicts=$(grep '"event":"verdict"' "$WORK/$name.log")
    if [ "$opens" -ge 4 ] && [ "$opens" -eq "$closes" ] && [ -z "$verdicts" ]; then
        pass "the log of $name: $opens connections opened and closed, no verdict"
    else
        fail "the log of $name: $opens opened, $closes closed, verdicts: $verdicts"
    fi
done
finish
