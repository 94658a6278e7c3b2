#!/usr/bin/env bash
# Ordinary HTTP through a route with `http = "pass"`: Socket.IO by long polling and from polling to websocket, pages on one
# connection by curl, over TLS too, and requests hidden in requests (http-smuggling.py).
#
# Needs node with npm, Python 3 and curl; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SOCKET_IO=4.8.4

need_gateway
need python3 "no Python 3, which the attacks are written in"
need curl "no curl, which asks for pages"
npm_packages "socket.io-$SOCKET_IO" "socket.io@$SOCKET_IO" "socket.io-client@$SOCKET_IO"

start app node "$E2E/http-app.mjs"
upstream=$(wait_for app '^listening on ' 20) || exit 1
upstream=${upstream##* }
# guard NAME LINE: starts a gateway with a line more for its listener; sets PORT.
guard() {
    cat >"$WORK/$1.toml" <<END
version = 1
events = { to = "file", file = "$WORK/$1.jsonl" }
[[listeners]]
address = "127.0.0.1:0"
$2
[[routes]]
name = "app"
path = "/"
upstream = "$upstream"
auth = "none"
http = "pass"
END
    start "$1" "$GATEWAY" guard -c "$WORK/$1.toml"
    wait_for "$1" '^  route app ' 20 >/dev/null || exit 1
    PORT=$(sed -nE 's/^listening on wss?:.*:([0-9]+)$/\1/p' "$WORK/$1.log" | head -n 1)
}
guard plain ""
plain=$PORT
guard tls "tls_dev = true"
tls=$PORT
sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' "$WORK/tls.log" >"$WORK/authority.pem"
export NODE_EXTRA_CA_CERTS=$WORK/authority.pem

# check NAME EXPECTED COMMAND...: passes when the command prints what is expected and succeeds.
check() {
    local name=$1 expected=$2 out
    shift 2
    if out=$(timeout 40 "$@" 2>&1 </dev/null) && [ "$out" = "$expected" ]; then
        pass "$name"
    else
        tail -n 20 <<<"$out"
        fail "$name"
    fi
}

check "Socket.IO by polling alone" fine node "$E2E/http-client.mjs" polling "http://127.0.0.1:$plain"
check "Socket.IO from polling to websocket" fine node "$E2E/http-client.mjs" upgrade "http://127.0.0.1:$plain"
check "Socket.IO by polling alone over TLS" fine node "$E2E/http-client.mjs" polling "https://127.0.0.1:$tls"
check "Socket.IO from polling to websocket over TLS" fine node "$E2E/http-client.mjs" upgrade "https://127.0.0.1:$tls"

# A page with what it needs, over one connection: curl tells how many it opened for each.
page() {
    curl -sS --max-time 20 --cacert "$WORK/authority.pem" -w '%{http_code} %{num_connects}\n' \
        "$1/" -o "$WORK/page" "$1/app.js" -o "$WORK/script" "$1/style.css" -o "$WORK/style" \
        "$1/large" -o "$WORK/large" "$1/nothing" -o "$WORK/nothing"
}
large() {
    page "$1" >/dev/null && head -c 16 "$WORK/large" && wc -c <"$WORK/large"
}
send() {
    head -c 200000 /dev/urandom >"$WORK/sent"
    curl -sS --max-time 20 -H 'Expect: 100-continue' -H 'Content-Type: application/octet-stream' "$@" --data-binary "@$WORK/sent" -o "$WORK/came" \
        "http://127.0.0.1:$plain/echo" && cmp "$WORK/sent" "$WORK/came" && echo fine
}
export WORK plain
export -f page large send
once=$'200 1\n200 0\n200 0\n200 0\n404 0'
check "a page and what it needs over one connection" "$once" bash -c 'page "$@"' page "http://127.0.0.1:$plain"
check "a page and what it needs over one TLS connection" "$once" bash -c 'page "$@"' page "https://127.0.0.1:$tls"
check "every byte of it comes" "0123456789abcdef3000000" bash -c 'large "$@"' large "http://127.0.0.1:$plain"
check "a body with a length goes and comes back" fine bash -c 'send "$@"' send
check "a body in chunks goes and comes back" fine bash -c 'send "$@"' send -H 'Transfer-Encoding: chunked'
check "bytes that are said to be a form are refused" 400 curl -sS -o /dev/null -w '%{http_code}' --data-binary "@$WORK/sent" "http://127.0.0.1:$plain/echo"
check "a body that is too large is refused" 413 curl -sS -o /dev/null -w '%{http_code}' --data-binary "@$WORK/large" "http://127.0.0.1:$plain/echo"
check "HTTP/1.0" 200 curl -sS -0 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$plain/"
check "TLS once is TLS for ever" "max-age=31536000" bash -c \
    'curl -sSI --cacert "$WORK/authority.pem" "$1" | tr -d "\r" | sed -n "s/^strict-transport-security: //Ip"' - "https://127.0.0.1:$tls/"

if timeout 120 python3 "$E2E/http-smuggling.py" "$plain" "${upstream##*:}" "$WORK/app.log" >"$WORK/smuggling.txt"; then
    pass "nothing is smuggled: $(tail -n 2 "$WORK/smuggling.txt" | head -n 1 | sed 's/^ok *//')"
else
    cat "$WORK/smuggling.txt"
    fail "nothing is smuggled"
fi

for name in plain tls; do
    stop "$name"
    records=$(grep -c '"event":"request"' "$WORK/$name.jsonl")
    if [ "$records" -ge 20 ] && ! grep '"event":"request"' "$WORK/$name.jsonl" | grep -q 'sid='; then
        pass "the log of $name has $records requests, and no query of them"
    else
        fail "the log of $name has $records requests, or queries"
    fi
done
finish
