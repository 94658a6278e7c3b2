#!/usr/bin/env bash
# The Autobahn TestSuite (247 cases of 1 to 7 and 10, 24 of 12 and 13) through the gateway in front of node's ws, and against ws directly.
#
#   e2e/autobahn.sh            fails when a case through the gateway is not OK, or worse than direct
#   e2e/autobahn.sh --direct   against ws alone
#   e2e/autobahn.sh --compression
#                              60 cases of permessage-deflate (12 and 13) instead, up to 128 KiB: minutes
#
# Needs node with npm, Python 3 and a Python 2.7 ($PY27, `python2.7`, or one of pyenv's); without them it exits with 77. What it
# installs is kept in the user's cache. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

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
SUITE=25.10.1
WS=8.23.0

is_python27() {
    [ -n "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1
}

find_python27() {
    local candidate
    for candidate in "${PY27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python; do
        if is_python27 "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# The last virtualenv that can make an environment for Python 2.7 needs a Python 3 that still has what it imports.
find_python3() {
    local candidate
    for candidate in "${PY3:-}" python3 python3.11 python3.10 python3.9 python3.8; do
        if [ -n "$candidate" ] && "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

install_suite() {
    local dir=$CACHE/autobahn-$SUITE python2 python3
    WSTEST=$dir/suite/bin/wstest
    [ -e "$dir/complete" ] && "$WSTEST" --help >/dev/null 2>&1 && return 0
    python2=$(find_python27) || skip "no Python 2.7 (set PY27), which the Autobahn TestSuite runs on"
    python3=$(find_python3) || skip "no Python 3 with venv and pip to install the Autobahn TestSuite with"
    echo "installing Autobahn TestSuite $SUITE for $("$python2" --version 2>&1)"
    rm -rf "$dir"
    mkdir -p "$dir"
    if ! {
        "$python3" -m venv "$dir/tool" &&
            "$dir/tool/bin/pip" install -q 'virtualenv==20.15.1' 'setuptools<81' &&
            "$dir/tool/bin/python" -m virtualenv -q -p "$python2" "$dir/suite" &&
            "$dir/suite/bin/pip" install -q --no-python-version-warning "autobahntestsuite==$SUITE"
    } >"$WORK/install.log" 2>&1 </dev/null; then
        tail -n 20 "$WORK/install.log"
        skip "the Autobahn TestSuite cannot be installed here"
    fi
    touch "$dir/complete"
}

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
