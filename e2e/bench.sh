#!/usr/bin/env bash
# Short runs of the benchmarks and of the soak: every message must come back as it was sent; no time is judged.
#
# The gateway is $SOCKWARDEN, or the release build; the program that measures is built beside it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need taskset "no taskset (util-linux)"
need setpriv "no setpriv (util-linux)"
need_gateway
BENCH=${CARGO_TARGET_DIR:-$ROOT/target}/release/sockwarden-bench
[ -x "$BENCH" ] || { echo "no sockwarden-bench: run cargo build --release -p sockwarden-bench first"; exit 1; }
# The last core, which is the first where there is only one.
core=$(($(nproc) - 1))

# try NAME COMMAND...: one run that must succeed.
try() {
    local name=$1
    shift
    if timeout 120 "$@" >"$WORK/out.log" 2>&1 </dev/null; then
        pass "$name"
    else
        fail "$name"
        tail -n 60 "$WORK/out.log"
    fi
}

# relay PROXIES CASES
relay() {
    try "relay: $2 through $1" "$BENCH" relay --gateway "$GATEWAY" --load-core "$core" --proxies "$1" --cases "$2" \
        --rounds 1 --measure 50 --out "$WORK/relay.json"
    grep -q '"round_trips"' "$WORK/relay.json" || fail "relay: no numbers in the file"
}

relay sockwarden 16b-64c-w32-plain-raw,16k-64c-w8-tls-raw,1k-64c-w32-tls-deflate,256k-1c-pp-plain
try "idle: 60 pairs through sockwarden" "$BENCH" idle --gateway "$GATEWAY" --load-core "$core" --proxies sockwarden \
    --pairs 60 --out "$WORK/idle.json"
try "soak: 60 connections for 10 seconds" "$BENCH" soak --gateway "$GATEWAY" --seconds 10 --connections 60
if [ -x /usr/sbin/nginx ] && [ -x /usr/sbin/haproxy ]; then
    relay nginx,nginx64k,haproxy 125b-1c-w32
else
    echo "left out: nginx and HAProxy are not here"
fi

finish
