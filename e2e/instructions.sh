#!/usr/bin/env bash
# The instructions that a message costs must not grow beyond what bench/baseline.json allows.
#
# Needs valgrind and a processor with AVX2; without them it exits with 77. Record a new baseline on purpose:
# cargo xtask bench instructions --record
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need valgrind "no valgrind (Debian: valgrind) to count instructions with"
BENCH=${CARGO_TARGET_DIR:-$ROOT/target}/release/sockwarden-bench
[ -x "$BENCH" ] || { echo "no sockwarden-bench: run cargo build --release -p sockwarden-bench first"; exit 1; }
timeout 300 "$BENCH" instructions --baseline "$ROOT/bench/baseline.json"
