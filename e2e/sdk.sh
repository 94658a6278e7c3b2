#!/usr/bin/env bash
# The client for pages by itself: built, and tried with sockets, requests and a clock of the tests' own; its size and its types.
#
# Needs node with npm; without them it exits with 77.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_sdk
(cd "$SDK" && timeout 120 node --test --test-reporter=tap test/*.test.js) >"$WORK/tests.tap" 2>&1
while read -r verdict name; do
    case $verdict in
    ok) pass "$name" ;;
    not) fail "${name#ok }" ;;
    esac
done < <(grep -E '^(not )?ok ' "$WORK/tests.tap" | sed -E 's/^((not )?ok) [0-9]+ - /\1 /')
[ "$FAILED" -eq 0 ] || grep -A 40 '^not ok' "$WORK/tests.tap"
grep -qE '^# pass [1-9]' "$WORK/tests.tap" || { tail -n 20 "$WORK/tests.tap"; fail "the tests came to their end"; }
finish
