# Sourced by the end-to-end scripts: processes that are stopped by their own id, waiting with a limit, counting.
#
#   start NAME COMMAND...         run in the background; its output goes to $WORK/NAME.log
#   wait_for NAME PATTERN SECONDS print the first line of NAME's output that matches; fails if it ends or the time is up
#   stop NAME                     end it, gently first
#   pass TEXT, fail TEXT          count and print one result
#   finish                        print `N passed, N failed` and exit with 1 if any failed
#   skip REASON                   exit with 77: it could not be tried here
#   need COMMAND REASON           skip unless COMMAND can be run
#   need_gateway                  fail unless the program is there: $SOCKWARDEN, or the release build; sets GATEWAY
#   npm_packages NAME PACKAGE...  install packages of node into the cache, once; sets NODE_MODULES
#   pip_packages NAME PACKAGE...  install packages of Python 3 into the cache, once; sets PYTHON
#   build_sdk                     build the client for pages; sets SDK
#
# Whatever is still running when the script ends, however it ends, is stopped, and $WORK is removed ($E2E_KEEP=1 keeps it).

set -u

E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$E2E/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sockwarden
WORK=$(mktemp -d)
PASSED=0
FAILED=0
declare -A PIDS=()

start() {
    local name=$1
    shift
    "$@" >"$WORK/$name.log" 2>&1 </dev/null &
    PIDS[$name]=$!
}

stop() {
    local pid=${PIDS[$1]:-} tries
    [ -n "$pid" ] || return 0
    unset "PIDS[$1]"
    kill "$pid" 2>/dev/null || { wait "$pid" 2>/dev/null; return 0; }
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    return 0
}

wait_for() {
    local name=$1 pattern=$2 seconds=$3 tries line
    for ((tries = 0; tries < seconds * 10; tries++)); do
        if line=$(grep -m 1 -E -- "$pattern" "$WORK/$name.log" 2>/dev/null); then
            printf '%s\n' "$line"
            return 0
        fi
        kill -0 "${PIDS[$name]:-0}" 2>/dev/null || break
        sleep 0.1
    done
    echo "$name never said \`$pattern\`; its last words:" >&2
    tail -n 20 "$WORK/$name.log" >&2
    return 1
}

pass() {
    PASSED=$((PASSED + 1))
    echo "ok    $1"
}

fail() {
    FAILED=$((FAILED + 1))
    echo "FAIL  $1"
}

finish() {
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
    exit
}

skip() {
    echo "skipped: $1"
    exit 77
}

need() {
    command -v "$1" >/dev/null 2>&1 || skip "$2"
}

need_gateway() {
    GATEWAY=${SOCKWARDEN:-${CARGO_TARGET_DIR:-$ROOT/target}/release/sockwarden}
    [ -x "$GATEWAY" ] || { echo "no program at ${GATEWAY#"$ROOT"/}: run cargo build --release first"; exit 1; }
}

npm_packages() {
    local dir=$CACHE/$1
    shift
    export NODE_MODULES=$dir/node_modules
    need node "no node, which this runs on"
    need npm "no npm to install $* with"
    [ -e "$dir/complete" ] && return 0
    mkdir -p "$dir"
    if ! npm install --prefix "$dir" --no-audit --no-fund --no-save "$@" >"$WORK/npm.log" 2>&1 </dev/null; then
        tail -n 20 "$WORK/npm.log"
        skip "$* cannot be installed here"
    fi
    touch "$dir/complete"
}

pip_packages() {
    local dir=$CACHE/$1
    shift
    PYTHON=$dir/bin/python
    [ -e "$dir/complete" ] && "$PYTHON" -c '' >/dev/null 2>&1 && return 0
    "${PY3:-python3}" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        skip "no Python 3 with venv and pip to install $* with"
    rm -rf "$dir"
    if ! { "${PY3:-python3}" -m venv "$dir" && "$PYTHON" -m pip install -q --no-cache-dir "$@"; } \
        >"$WORK/pip.log" 2>&1 </dev/null; then
        tail -n 20 "$WORK/pip.log"
        skip "$* cannot be installed here"
    fi
    touch "$dir/complete"
}

build_sdk() {
    export SDK=$ROOT/sdk/js
    need node "no node, which this runs on"
    need npm "no npm to install what the client is built with"
    # What npm has installed it writes down beside the packages.
    if [ "$SDK/package-lock.json" -nt "$SDK/node_modules/.package-lock.json" ] &&
        ! npm ci --prefix "$SDK" --prefer-offline --no-audit --no-fund >"$WORK/npm.log" 2>&1 </dev/null; then
        tail -n 20 "$WORK/npm.log"
        skip "what the client is built with cannot be installed here"
    fi
    npm run --silent --prefix "$SDK" build >"$WORK/sdk.log" 2>&1 </dev/null && return 0
    cat "$WORK/sdk.log"
    fail "the client for pages can be built"
    finish
}

cleanup() {
    local status=$? name
    trap - EXIT
    for name in "${!PIDS[@]}"; do
        stop "$name"
    done
    [ "${E2E_KEEP:-}" = 1 ] || rm -rf "$WORK"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
