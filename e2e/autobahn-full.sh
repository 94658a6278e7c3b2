#!/usr/bin/env bash
# All 517 cases of the Autobahn TestSuite in both roles, and docs/conformance.md from them: cargo xtask autobahn --full.
#
#   e2e/autobahn-full.sh [--minutes N] [--roles server,client] [--out FILE] [--resume FOLDER] [GROUP...]
#
# With --resume the results are kept in a folder, and what is there already is not run again.
#
# Server role: the suite's client against node's ws alone, and against the gateway in front of it. Client role: the suite's
# server is met by node's ws alone, by the same through the gateway (whose upstream side is then judged), and by our own
# client. Each group of cases has its time; one that does not finish is reported as that. Like the others it needs node with
# npm and a Python 2.7. It is not executable, because the test command runs what is.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$E2E/autobahn-lib.sh"

MINUTES=240
GROUP_SECONDS=1200
ROLES=server,client
OUT=$ROOT/docs/conformance.md
RESULTS=$WORK/results
GROUPS_OF_CASES=(1 2 3 4 5 6 7 9 10 12.{1..5} 13.{1..7})
chosen=()
while [ $# -gt 0 ]; do
    case $1 in
    --minutes) MINUTES=$2 && shift ;;
    --roles) ROLES=$2 && shift ;;
    --out) OUT=$2 && shift ;;
    --resume) RESULTS=$2 && shift ;;
    -*) echo "unknown: $1" && exit 2 ;;
    *) chosen+=("$1") ;;
    esac
    shift
done
[ ${#chosen[@]} -eq 0 ] || GROUPS_OF_CASES=("${chosen[@]}")
END=$((SECONDS + MINUTES * 60))
export COMPRESSION=1

need_gateway
BENCH=$(dirname "$GATEWAY")/sockwarden-bench
[ -x "$BENCH" ] || { echo "no sockwarden-bench beside the gateway: cargo build --release -p sockwarden-bench"; exit 1; }
npm_packages "ws-$WS" "ws@$WS"
install_suite
mkdir -p "$RESULTS"

# gateway_before NAME URL: starts a gateway in front of URL and sets URL to where it listens.
gateway_before() {
    start "$1" "$GATEWAY" guard --listen 127.0.0.1:0 --upstream "$2" --auth none --limits relaxed --events none
    URL=$(wait_for "$1" 'listening on ws://127\.0\.0\.1:[0-9]+' 20) || exit 1
    URL=$(grep -oE 'ws://127\.0\.0\.1:[0-9]+' <<<"$URL" | head -n 1)
}

# run ROLE GROUP AGENT COMMAND...: one agent through one group, within its time; tells how it went.
run() {
    local role=$1 group=$2 agent=$3 begun=$SECONDS left
    shift 3
    left=$((END - SECONDS))
    [ $left -gt $GROUP_SECONDS ] && left=$GROUP_SECONDS
    if [ $left -le 0 ]; then
        echo "    left out, the time is over"
        return
    fi
    start agent timeout "$left" "$@"
    if wait "${PIDS[agent]}"; then
        touch "$RESULTS/$role/$group/$agent/complete"
        echo "    $((SECONDS - begun)) s"
    else
        echo "    NOT FINISHED after $((SECONDS - begun)) s: $(tail -n 1 "$WORK/agent.log")"
    fi
    unset "PIDS[agent]"
}

# is_done FOLDER: whether its results are there already.
is_done() {
    [ -e "$1/complete" ] && echo "    done before"
}

# server_role GROUP AGENT
server_role() {
    local group=$1 agent=$2 url=$DIRECT out=$RESULTS/server/$1/$2
    is_done "$out" && return
    [ "$agent" = gateway ] && url=$THROUGH
    mkdir -p "$out"
    cat >"$out/spec.json" <<EOF
{"outdir": "$out", "servers": [{"agent": "$agent", "url": "$url"}],
 "cases": ["$group.*"], "exclude-cases": [], "exclude-agent-cases": {}}
EOF
    run server "$group" "$agent" "$WSTEST" -m fuzzingclient -s "$out/spec.json"
}

# client_role GROUP AGENT: one fuzzing server for each run, always at the port that the gateway leads to.
client_role() {
    local group=$1 agent=$2 out=$RESULTS/client/$1/$2
    is_done "$out" && return
    mkdir -p "$out"
    cat >"$out/spec.json" <<EOF
{"outdir": "$out", "url": "ws://127.0.0.1:$FUZZING_PORT", "webport": 0,
 "cases": ["$group.*"], "exclude-cases": [], "exclude-agent-cases": {}}
EOF
    start fuzzing "$WSTEST" -m fuzzingserver -s "$out/spec.json"
    wait_for_port "$FUZZING_PORT" || { echo "    the fuzzing server does not come"; return; }
    case $agent in
    direct) run client "$group" direct node "$E2E/autobahn-client.mjs" "$FUZZING" direct ;;
    gateway) run client "$group" gateway node "$E2E/autobahn-client.mjs" "$FUZZING_THROUGH" gateway "${FUZZING#ws://}" ;;
    sockwarden) run client "$group" sockwarden "$BENCH" autobahn-client "$FUZZING" sockwarden ;;
    esac
    stop fuzzing
}

wait_for_port() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}

case ,$ROLES, in *,server,*)
    start echo node "$E2E/echo-ws.mjs"
    DIRECT=$(wait_for echo '^listening on ' 20) || exit 1
    DIRECT=${DIRECT##* }
    gateway_before gateway "$DIRECT"
    THROUGH=$URL
    ;;
esac
case ,$ROLES, in *,client,*)
    FUZZING_PORT=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); });')
    FUZZING=ws://127.0.0.1:$FUZZING_PORT
    gateway_before gateway-client "$FUZZING"
    FUZZING_THROUGH=$URL
    ;;
esac

# What is ours first: where the time is over, it is the comparison that is left out.
for pass in server:gateway client:sockwarden client:gateway server:direct client:direct; do
    role=${pass%:*}
    case ,$ROLES, in *,$role,*) ;; *) continue ;; esac
    done_groups=0
    for group in "${GROUPS_OF_CASES[@]}"; do
        done_groups=$((done_groups + 1))
        echo "$role role, ${pass#*:} [$done_groups/${#GROUPS_OF_CASES[@]}] $group.* ($((SECONDS / 60)) min)"
        "${role}_role" "$group" "${pass#*:}"
    done
done

node "$E2E/autobahn-report.mjs" "$RESULTS" "$OUT" "$SUITE" "$WS" "$("$GATEWAY" --version)" "${GROUPS_OF_CASES[@]}"
