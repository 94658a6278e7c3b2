#!/usr/bin/env bash
# Scans applications that have no flaw but that they speak ws://: the scanner must find nothing else of medium or higher.
#
# With --profile intrusive what is really missing must be found besides, and nothing else:
#   ws          `message-size-unbounded`: by `maxPayload: 0` in the echo server, and in the chat and the silent server by its default
#               of 100 MiB; `compression-bomb-accepted` in the echo server, which is the only one that compresses
#   websockets  neither: it closes at 1 MiB by default, inflated
#   aiohttp     neither: it closes at 4 MiB by default, inflated
#   deaf        neither: it answers nothing, so that nothing can be told
# None of them counts messages or connections: `connections-unbounded` must be found wherever pings are answered, and `rate-unbounded`
# may be wherever messages are and the machine is fast enough.
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

# scan NAME PROFILE: starts a scan of a server that was begun.
scan() {
    start "scan-$1" timeout 200 "$GATEWAY" scan "${URLS[$1]}" --profile "$2" --fail-on critical \
        --as 'mara=Cookie: sid=1111' --as 'ivo=Cookie: sid=2222' \
        --say '{"type":"hello","text":"good day"}' --say 'hello' -o "jsonl=$WORK/$1-$2.jsonl"
}

# judge NAME PROFILE: waits for the scan and looks at what it found.
judge() {
    local name=$1 profile=$2 missing= rule allowed found worse status absent=
    wait "${PIDS[scan-$name]}"
    status=$?
    unset "PIDS[scan-$name]"
    allowed='^(info|low) |^[a-z]+ cleartext-transport '
    if [ "$profile" = intrusive ]; then
        missing=${MISSING[$name]:-}
        allowed+='|^[a-z]+ rate-unbounded '
    fi
    for rule in $missing; do allowed+="|^[a-z]+ $rule "; done
    found=$(findings "$WORK/$name-$profile.jsonl")
    for rule in $missing; do grep -q " $rule " <<<"$found" || absent+=" $rule"; done
    worse=$(grep -vE "$allowed" <<<"$found")
    echo "$name, $profile:"
    sed 's/^/      /' <<<"$found"
    if [ "$status" -ne 0 ]; then
        cat "$WORK/scan-$name.log"
        fail "$name, $profile: the scan ended with $status"
    elif [ -n "$worse" ]; then
        cat "$WORK/scan-$name.log"
        fail "$name, $profile: found ${worse//$'\n'/, }"
    elif ! grep -q ' cleartext-transport ' <<<"$found"; then
        fail "$name, $profile: cleartext-transport is not found, so was anything tried?"
    elif [ -n "$absent" ]; then
        cat "$WORK/scan-$name.log"
        fail "$name, $profile:$absent not found, and the limit is truly missing"
    else
        pass "$name, $profile: $(grep -c . <<<"$found") finding(s), none that should not be"
    fi
}

declare -A URLS=()
declare -A MISSING=(
    [ws-echo]="message-size-unbounded compression-bomb-accepted connections-unbounded"
    [ws-chat]="message-size-unbounded connections-unbounded"
    [ws-silent]="message-size-unbounded connections-unbounded"
    [websockets]=connections-unbounded
    [aiohttp]=connections-unbounded
)
SERVERS=(ws-echo ws-chat ws-silent ws-deaf websockets aiohttp)
for name in "${SERVERS[@]}"; do
    case $name in
    ws-*) start "$name" node "$E2E/scan-apps.mjs" "${name#ws-}" ;;
    *) start "$name" "$PYTHON" "$E2E/scan-apps.py" "$name" ;;
    esac
done
for name in "${SERVERS[@]}"; do
    URLS[$name]=$(wait_for "$name" '^listening on ' 20) || exit 1
    URLS[$name]=${URLS[$name]##* }
done
# A scan mostly waits: those of one profile run side by side.
for profile in safe intrusive; do
    for name in "${SERVERS[@]}"; do scan "$name" "$profile"; done
    for name in "${SERVERS[@]}"; do judge "$name" "$profile"; done
done
finish
