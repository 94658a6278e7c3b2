#!/usr/bin/env bash
# Requests that two parsers may read differently, through the gateway in front of node's ws: see smuggling.py.
#
# Needs node with npm and Python 3; without them it exits with 77. The gateway is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WS=8.23.0

need_gateway
need python3 "no Python 3, which the requests are written in"
npm_packages "ws-$WS" "ws@$WS"

start app node "$E2E/smuggling-app.mjs"
upstream=$(wait_for app '^listening on ' 20) || exit 1
start gateway "$GATEWAY" guard --listen 127.0.0.1:0 --upstream "${upstream##* }" --auth none
gateway=$(wait_for gateway 'listening on ws://127\.0\.0\.1:[0-9]+' 20) || exit 1
timeout 110 python3 "$E2E/smuggling.py" "${gateway##*:}" "$WORK/app.log"
