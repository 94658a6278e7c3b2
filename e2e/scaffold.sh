#!/usr/bin/env bash
# What `cargo xtask new-check` and `new-defence` write compiles, and its tests fail until it is filled in.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command -v cargo >/dev/null || skip "no cargo"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
copy=$WORK/copy
mkdir -p "$copy"
git -C "$ROOT" ls-files -z | tar -C "$ROOT" --null --files-from=- -cf - | tar -C "$copy" -xf -
cd "$copy"

cargo xtask new-check a-sample-check >"$WORK/new.log" 2>&1 && pass "new-check" || fail "new-check: $(tail -n 1 "$WORK/new.log")"
cargo xtask new-defence a-sample-defence >"$WORK/new.log" 2>&1 && pass "new-defence" || fail "new-defence: $(tail -n 1 "$WORK/new.log")"

for crate in sockwarden-scan sockwarden-defend; do
    if cargo test --release --quiet -p "$crate" --lib --no-run >"$WORK/build.log" 2>&1; then
        pass "$crate compiles with what was written"
    else
        fail "$crate does not compile with what was written: $(grep -m 1 '^error' "$WORK/build.log")"
    fi
    cargo test --release --quiet -p "$crate" --lib a_sample >"$WORK/test.log" 2>&1
    if grep -q 'a_sample' "$WORK/test.log" && grep -q 'test result: FAILED' "$WORK/test.log"; then
        pass "the test of what was written for $crate fails until it is filled in"
    else
        fail "the test of what was written for $crate does not fail: $(tail -n 1 "$WORK/test.log")"
    fi
done

finish
