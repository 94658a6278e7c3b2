#!/usr/bin/env bash
# Scans applications that have no flaw but that they speak ws://: the scanner must find nothing else of medium or higher.
#
# With --profile intrusive, `message-size-unbounded` may be found besides where a message of 16 MiB is really taken in:
#   ws          by `maxPayload: 0` in the echo server, and in the chat and the silent server by its default of 100 MiB
#   websockets  never: it closes at 1 MiB by default
#   aiohttp     never: it closes at 4 MiB by default
#   deaf        never: it answers nothing, so that nothing can be told
#
# Needs node with npm and Python 3; without them it exits with 77. The scanner is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WS=8.23.0
WEBSOCKETS=17.4
AIOHTTP=3.14.5

need_gateway
npm_packages "ws-$WS" "ws@$WS"
pip_packages "echo-$WEBSOCKETS-$AIOHTTP" "websockets==$WEBSOCKETS" "aiohttp==$AIOHTTP"

# Prints what is in a report, one finding a line: severity and rule.
findings() {
    node -e 'for (const line of require("fs").readFileSync(process.argv[1], "utf8").split("\n").filter(Boolean)) {
        const finding = JSON.parse(line);
        console.log(`${finding.severity} ${finding.rule} (${finding.summary})`);
    }' "$1"
}

# check NAME URL ALLOWED-INTRUSIVE: scans with both profiles.
check() {
    local name=$1 url=$2 profile allowed found worse status
    for profile in safe intrusive; do
        allowed='^(info|low) |^[a-z]+ cleartext-transport '
        [ "$profile" = intrusive ] && [ -n "$3" ] && allowed+="|^[a-z]+ $3 "
        timeout 60 "$GATEWAY" scan "$url" --profile "$profile" --fail-on critical \
            --as 'mara=Cookie: sid=1111' --as 'ivo=Cookie: sid=2222' \
            --say '{"type":"hello","text":"good day"}' --say 'hello' \
            -o "jsonl=$WORK/$name-$profile.jsonl" >"$WORK/$name-$profile.txt" 2>&1 </dev/null
        status=$?
        found=$(findings "$WORK/$name-$profile.jsonl")
        sed "s/^/      /" <<<"$found"
        worse=$(grep -vE "$allowed" <<<"$found")
        if [ "$status" -ne 0 ]; then
            cat "$WORK/$name-$profile.txt"
            fail "$name, $profile: the scan ended with $status"
        elif [ -n "$worse" ]; then
            cat "$WORK/$name-$profile.txt"
            fail "$name, $profile: found ${worse//$'\n'/, }"
        elif ! grep -q ' cleartext-transport ' <<<"$found"; then
            fail "$name, $profile: cleartext-transport is not found, so was anything tried?"
        elif [ "$profile" = intrusive ] && [ -n "$3" ] && ! grep -q " $3 " <<<"$found"; then
            fail "$name, $profile: $3 is truly missing and is not found"
        else
            pass "$name, $profile: $(grep -c . <<<"$found") finding(s), none that should not be"
        fi
    done
}

# begin NAME COMMAND...: starts a server and sets URL.
begin() {
    start "$@"
    URL=$(wait_for "$1" '^listening on ' 20) || exit 1
    URL=${URL##* }
}

for kind in echo chat silent deaf; do
    begin "ws-$kind" node "$E2E/scan-apps.mjs" "$kind"
    unbounded=message-size-unbounded
    [ "$kind" = deaf ] && unbounded=
    check "ws-$kind" "$URL" "$unbounded"
    stop "ws-$kind"
done
for library in websockets aiohttp; do
    begin "$library" "$PYTHON" "$E2E/scan-apps.py" "$library"
    check "$library" "$URL" ""
    stop "$library"
done
finish
