#!/usr/bin/env bash
# Live sockets with traffic while the gateway is reloaded ten times, gets new certificates twice, closes the sockets of a route
# that changes, and is drained: see reload.mjs. SOCKETS=2000 is the full size; the default is 500.
#
# Needs openssl, and node with npm; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WS=8.23.0
export SOCKETS=${SOCKETS:-500} WORK

need_gateway
need openssl "no openssl to make certificates with"
npm_packages "ws-$WS" "ws@$WS"
# Two for each session in the gateway.
files=$((SOCKETS * 2 + 200))
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge "$files" ] || ulimit -n "$files" 2>/dev/null ||
    skip "$SOCKETS sockets need $files open files, and the limit is $(ulimit -Hn)"

for name in first second third; do
    mkdir -p "$WORK/certificates/$name"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=app.example \
        -addext subjectAltName=DNS:app.example,IP:127.0.0.1 -keyout "$WORK/certificates/$name/key.pem" \
        -out "$WORK/certificates/$name/certificate.pem" 2>"$WORK/openssl.log" || { cat "$WORK/openssl.log"; exit 1; }
done
ln -s first "$WORK/certificates/current"

start app node "$E2E/reload.mjs" app
UPSTREAM=$(wait_for app '^listening on ' 20) || exit 1
export UPSTREAM=${UPSTREAM##* }
node "$E2E/reload.mjs" config 0 >"$WORK/gateway.toml"
start gateway "$GATEWAY" guard -c "$WORK/gateway.toml"
URL=$(wait_for gateway '^listening on wss://' 20) || exit 1
export URL=${URL##* } GATEWAY_PID=${PIDS[gateway]}

timeout 80 node "$E2E/reload.mjs" crowd 2>&1 | tee "$WORK/crowd.log"
status=${PIPESTATUS[0]}
PASSED=$(grep -c '^ok ' "$WORK/crowd.log")
FAILED=$(grep -c '^FAIL ' "$WORK/crowd.log")
[ "$status" -eq 0 ] || [ "$FAILED" -gt 0 ] || fail "the crowd ended with $status"

for ((tries = 0; tries < 80; tries++)); do
    kill -0 "$GATEWAY_PID" 2>/dev/null || break
    sleep 0.1
done
if kill -0 "$GATEWAY_PID" 2>/dev/null; then
    fail "the gateway ends when everybody is gone"
else
    wait "$GATEWAY_PID"
    status=$?
    [ "$status" -eq 0 ] && pass "the gateway ends when everybody is gone" || fail "the gateway ended with $status"
fi
opens=$(grep -c '"event":"open"' "$WORK/events.jsonl")
closes=$(grep -c '"event":"close"' "$WORK/events.jsonl")
if [ "$opens" -eq "$closes" ] && [ "$opens" -ge "$SOCKETS" ]; then
    pass "the log: $opens sessions opened and closed"
else
    fail "the log: $opens opened, $closes closed"
fi
[ "$FAILED" -eq 0 ] || { grep -vE '"event":"(open|close)"' "$WORK/events.jsonl"; cat "$WORK/gateway.log"; } | tail -n 40
finish
