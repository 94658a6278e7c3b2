#!/usr/bin/env bash
# The client for pages in a real browser: Chromium, on a page of an application with a session in a cookie, through the gateway with
# tickets. Then the page of a foreign site, which reads the visitor's letters from the application, and through the gateway does not.
#
# Needs node with npm, Chromium and openssl; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
# $SCREENSHOTS names a folder for pictures of the page.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PLAYWRIGHT=1.65.1
WS=8.23.0

need_gateway
need openssl "no openssl, which makes the certificate of the application"
CHROMIUM=${CHROMIUM:-$(command -v chromium || echo /usr/bin/chromium)}
need "$CHROMIUM" "no Chromium, the browser that is tried"
export CHROMIUM
npm_packages "browser-$PLAYWRIGHT-$WS" "playwright-core@$PLAYWRIGHT" "ws@$WS"
build_sdk

export WORK CERTIFICATE=$WORK/certificate.pem KEY=$WORK/key.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=harbour.example \
    -keyout "$KEY" -out "$CERTIFICATE" >"$WORK/openssl.log" 2>&1 || { cat "$WORK/openssl.log"; exit 1; }
start app node "$E2E/browser-app.mjs"
ports=$(wait_for app '^ports ' 20) || exit 1
read -r _ behind direct foreign <<<"$ports"

# route NAME PATH AUTH: a route to the application; what else it has is read from standard input.
route() {
    printf '[[routes]]\nname = "%s"\npath = "%s"\nupstream = "ws://127.0.0.1:%s"\nauth = "%s"\n' "$1" "$2" "$behind" "$3"
    cat
}
ticket='ticket = { issue_to = ["forward"], per_minute = 600, outstanding = 100 }'
forward="forward_auth = { url = \"http://127.0.0.1:$behind/api/session\", user_header = \"X-User\" }"
{
    printf 'version = 1\nevents = { to = "file", file = "%s" }\n' "$WORK/events.jsonl"
    printf '[[listeners]]\naddress = "127.0.0.1:0"\ntls_dev = true\n'
    route pages / none <<<'http = "pass"'
    route chat /chat ticket <<<"$ticket
$forward
session = { code = 4401, revalidate = \"1s\" }"
    route partners /partners ticket <<<"$ticket
$forward
origin_policy = { allow = [\"https://partner.example:$foreign\"] }"
    route origin-alone /origin-alone forward <<<"$forward"
    route tickets-alone /tickets-alone ticket <<<"$ticket
$forward
origin_policy = { mode = \"off\" }"
    route neither /neither forward <<<"$forward
origin_policy = { mode = \"off\" }"
} >"$WORK/gateway.toml"
start gateway "$GATEWAY" guard -c "$WORK/gateway.toml"
wait_for gateway '^  route neither ' 20 >/dev/null || { cat "$WORK/gateway.log"; exit 1; }
port=$(sed -nE 's/^listening on wss:.*:([0-9]+)$/\1/p' "$WORK/gateway.log" | head -n 1)

start browser node "$E2E/browser.mjs" "$port" "$direct" "$foreign"
wait_for browser '^done$' 100 >/dev/null
while read -r verdict name; do
    case $verdict in
    ok) pass "$name" ;;
    FAIL) fail "$name" ;;
    saw) sed 's/^/      /' <<<"$name" ;;
    esac
done <"$WORK/browser.log"

# What the foreign page was refused for stands in the log of the gateway; no ticket does, anywhere.
refused() {
    grep '"event":"verdict"' "$WORK/events.jsonl" | grep "\"route\":\"$1\"" | grep -q "$2" &&
        pass "the log says why: $2 ($1)" || { grep '"event":"verdict"' "$WORK/events.jsonl"; fail "the log says why: $2 ($1)"; }
}
refused origin-alone origin-policy
refused tickets-alone ticket-absent
refused chat ticket-used
if [ -s "$WORK/events.jsonl" ] && ! grep -q 'swt_' "$WORK/events.jsonl" "$WORK/gateway.log" "$WORK/app.log"; then
    pass "no ticket stands in a log"
else
    fail "no ticket stands in a log"
fi
grep -q '^done$' "$WORK/browser.log" || fail "the browser came to its end"
finish
