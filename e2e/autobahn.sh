#!/usr/bin/env bash
# The Autobahn TestSuite (247 cases of 1 to 7 and 10, 24 of 12 and 13) through the gateway in front of node's ws, and against ws directly.
#
#   e2e/autobahn.sh            fails when a case through the gateway is not OK, or worse than direct
#   e2e/autobahn.sh --direct   against ws alone
#   e2e/autobahn.sh --compression
#                              60 cases of permessage-deflate (12 and 13) instead, up to 128 KiB: minutes
#
# All 517 cases, in both roles: cargo xtask autobahn --full.
#
# Needs node with npm, Python 3 and a Python 2.7 ($PY27, `python2.7`, or one of pyenv's); without them it exits with 77. What it
# installs is kept in the user's cache. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$E2E/autobahn-lib.sh"

# deflate NUMBER...: names these cases of each of the 12 kinds of compression, by content (12) and by parameters (13).
deflate() {
    local kind number
    for kind in 12.{1..5} 13.{1..7}; do
        for number; do printf ', "%s.%s"' "$kind" "$number"; done
    done
}

# In short, messages of 64 and 1024 bytes.
CASES=271
SELECTED="\"1.*\", \"2.*\", \"3.*\", \"4.*\", \"5.*\", \"6.*\", \"7.*\", \"10.*\"$(deflate 2 4)"
if [ "${1:-}" = --compression ]; then
    CASES=60
    SELECTED=$(deflate 2 4 6 9 11)
    SELECTED=${SELECTED#, }
fi
export COMPRESSION=1

npm_packages "ws-$WS" "ws@$WS"
install_suite
[ "${1:-}" = --direct ] || need_gateway

start echo node "$E2E/echo-ws.mjs"
direct=$(wait_for echo '^listening on ' 20) || exit 1
direct=${direct##* }
servers="{\"agent\": \"direct\", \"url\": \"$direct\"}"

if [ "${1:-}" != --direct ]; then
    start gateway "$GATEWAY" guard --listen 127.0.0.1:0 --upstream "$direct" --auth none --limits relaxed
    gateway=$(wait_for gateway 'listening on ws://127\.0\.0\.1:[0-9]+' 20) || exit 1
    gateway=$(grep -oE 'ws://127\.0\.0\.1:[0-9]+' <<<"$gateway" | head -n 1)
    servers+=", {\"agent\": \"gateway\", \"url\": \"$gateway\"}"
fi

mkdir "$WORK/reports"
cat >"$WORK/spec.json" <<EOF
{"outdir": "$WORK/reports", "servers": [$servers],
 "cases": [$SELECTED], "exclude-cases": [], "exclude-agent-cases": {}}
EOF
echo "running $CASES cases against: $servers"
start wstest timeout 900 "$WSTEST" -m fuzzingclient -s "$WORK/spec.json"
if ! wait "${PIDS[wstest]}"; then
    echo "the suite did not finish; its last words:"
    tail -n 20 "$WORK/wstest.log"
    exit 1
fi
unset "PIDS[wstest]"

index=$WORK/reports/index.json
if [ "${1:-}" = --direct ]; then
    node "$E2E/autobahn-compare.mjs" "$index" $CASES direct
else
    node "$E2E/autobahn-compare.mjs" "$index" $CASES direct | sed '$d; s/^FAIL /note /'
    node "$E2E/autobahn-compare.mjs" "$index" $CASES gateway direct
fi
