#!/usr/bin/env bash
# Attacks on Harbor, directly and through the gateway, while a hundred honest users post once a second: see attacks.mjs. Prints how
# long the honest waited (p99) either way, and what became of each attack. Through the gateway nobody honest may lose a message
# or a connection, and each attack must end with the code that its limit has.
#
# SECONDS_EACH=8 makes each attack longer than its 4 seconds. Needs node, and slowhttptest for slow requests; without node it
# exits with 77. The program is $SOCKWARDEN, or the release build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

EACH=${SECONDS_EACH:-4}

need_gateway
need node "no node, which honest users and attackers are written in"
# Sockets of the attackers, of the honest and of both sides of the gateway.
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 4096 ] || ulimit -n 4096 2>/dev/null ||
    skip "the attacks need 4096 open files, and the limit is $(ulimit -Hn)"

start lab "$GATEWAY" lab --listen 127.0.0.1:0 --listen-tls 127.0.0.1:0
lab=$(wait_for lab '^harbor on http://' 20 | sed -E 's/^harbor on (http:[^ ]*[0-9])\/ .*/\1/') || exit 1
lab_tls=$(wait_for lab '^harbor on https://' 20 | sed -E 's/^harbor on https(:[^ ]*[0-9])\/ .*/wss\1/') || exit 1
wait_for lab '^  admin ' 20 >/dev/null || exit 1

# Sessions: the attacker's, and those that the honest share.
log_in() {
    node "$E2E/attacks.mjs" login "$lab" "$1" "$(sed -nE "s/^  $1 +([^ ]+) .*/\1/p" "$WORK/lab.log")"
}
attacker=$(log_in joris)
honest=$(for user in mara ines yusuf; do log_in "$user"; done | paste -sd,)
[ -n "$attacker" ] && [ "$(tr -cd , <<<"$honest" | wc -c)" -eq 2 ] || { fail "nobody can log in"; finish; }

cat >"$WORK/gateway.toml" <<END
version = 1
events = { to = "file", file = "$WORK/events.jsonl" }
[[listeners]]
address = "127.0.0.1:0"
[[listeners]]
address = "127.0.0.1:0"
tls_dev = true
[[routes]]
name = "harbor"
path = "/"
upstream = "${lab/#http/ws}"
auth = ["forward"]
compression = "terminate"
# One attacker fills the application to see whether there is room.
connection_limits = { per_user = 500 }
[routes.forward_auth]
url = "$lab/api/session"
user_header = "x-harbor-user"
# Shorter than by default, so that it need not be waited for.
[routes.timeouts]
ping_interval = "2s"
pong = "2s"
# What the application can take of its dearest request. The honest have an address each, and the attacker one.
[routes.rate_limit]
per = "address"
messages_per_second = 5
messages_burst = 10
queue_messages = 50
queue_timeout = "2s"
# Else the attacker would not get as far as its next attack.
ban = { after = 0 }
END
start gateway "$GATEWAY" guard -c "$WORK/gateway.toml"
wait_for gateway '^  route harbor ' 20 >/dev/null || exit 1
gate=$(sed -nE 's/^listening on (ws:.*:[0-9]+).*/\1/p' "$WORK/gateway.log" | head -n 1)
gate_tls=$(sed -nE 's/^listening on (wss:.*:[0-9]+).*/\1/p' "$WORK/gateway.log" | head -n 1)
direct=${lab/#http/ws}

# field NAME JSON: one number of a line.
field() {
    node -pe 'JSON.parse(process.argv[2])[process.argv[1]]' "$1" "$2"
}

# together URL COMMAND...: the attack while the honest post; sets HONEST and OUTCOME.
together() {
    local url=$1
    shift
    start honest timeout 90 node "$E2E/attacks.mjs" honest "$url" "$honest" "$((EACH + 2))"
    wait_for honest '^ready' 20 >/dev/null || return 1
    sleep 1
    OUTCOME=$(timeout 80 "$@" 2>&1 </dev/null | tail -n 1)
    HONEST=$(wait_for honest '^\{' 60) || return 1
    wait "${PIDS[honest]}" 2>/dev/null
    unset "PIDS[honest]"
}

# both NAME DIRECT GATE [SECONDS]: an attack either way; sets DIRECT and THROUGH besides, each the p99 of the honest.
both() {
    local name=$1 seconds=${4:-$EACH}
    settle
    together "$direct" node "$E2E/attacks.mjs" "$name" "$2" "$attacker" "$seconds" || return 1
    DIRECT=$(field p99 "$HONEST")
    echo "      $name, direct:  honest p99 $DIRECT ms, $(field lost "$HONEST") lost; $OUTCOME"
    settle
    together "$gate" node "$E2E/attacks.mjs" "$name" "$3" "$attacker" "$seconds" || return 1
    THROUGH=$(field p99 "$HONEST")
    echo "      $name, through: honest p99 $THROUGH ms, $(field lost "$HONEST") lost; $OUTCOME"
}

# attack NAME DIRECT GATE EXPECTED [SECONDS]: either way; the outcome through the gateway must match.
attack() {
    local name=$1 expected=$4
    both "$1" "$2" "$3" "${5:-$EACH}" || { fail "$name: it could not be made"; return 1; }
    if [ "$(field users "$HONEST")" != 100 ] || [ "$(field lost "$HONEST")" != 0 ] || [ "$(field closed "$HONEST")" != 0 ]; then
        fail "$name: honest users lose messages or connections through the gateway: $HONEST"
    elif ! grep -qE -- "$expected" <<<"$OUTCOME"; then
        fail "$name: what became of it is not \`$expected\`"
    else
        pass "$name: honest p99 $DIRECT ms direct, $THROUGH ms through"
    fi
}

# Waits until the application has room and answers at once, either way: what it still works on is not what comes next.
settle() {
    local tries url outcome
    for url in "$direct" "$gate"; do
        for ((tries = 0; tries < 30; tries++)); do
            outcome=$(timeout 10 node "$E2E/attacks.mjs" room "$url" "$attacker" 0)
            grep -q '"ready":true' <<<"$outcome" && continue 2
            sleep 0.5
        done
        echo "      not at rest after the attack: $outcome"
    done
}

# faster NAME: through the gateway the honest wait less than half as long.
faster() {
    if node -e 'process.exit(Number(process.argv[2]) * 2 < Number(process.argv[1]) ? 0 : 1)' "$DIRECT" "$THROUGH"; then
        pass "$1: the honest wait less than half as long through the gateway"
    else
        fail "$1: the honest wait $DIRECT ms direct, $THROUGH ms through"
    fi
}

together "$direct" sleep "$EACH"
echo "      in peace, direct:  $HONEST"
together "$gate" sleep "$EACH"
echo "      in peace, through: $HONEST"
[ "$(field users "$HONEST")" = 100 ] && [ "$(field lost "$HONEST")" = 0 ] &&
    pass "a hundred honest users post through the gateway" || fail "in peace not everything is answered: $HONEST"

attack flood-1 "$direct" "$gate" '"codes":\{"1013":1\}'
attack flood-50 "$direct" "$gate" '"codes":\{.*"1013":' && faster flood-50
attack connections "$direct" "$gate" '"attack":"connections"'
attack half-open "$direct" "$gate" '"left":50' 7
attack slow-tls "$lab_tls" "$gate_tls" '"held":200,"ended":200' 14
attack fragments "$direct" "$gate" '"codes":\{"1008":1\}'
attack empty-fragments "$direct" "$gate" '"codes":\{"1008":1\}'
attack pings "$direct" "$gate" '"codes":\{"1008":1\}'
attack bomb "$direct" "$gate" '"codes":\{"1009":1\}.*"agreed":true'
attack giant "$direct" "$gate" '"codes":\{"1009":1\}'
attack depth "$direct" "$gate" '"codes":\{"1009":1\}'
attack slow-reader "$direct" "$gate" '"attack":"slow-reader"'

if command -v slowhttptest >/dev/null 2>&1; then
    # slow URL: two hundred requests that never end, a header every two seconds.
    slow() {
        together "$1" slowhttptest -H -c 200 -r 200 -i 2 -l 14 -u "${2/#ws/http}/ws" -p 3
    }
    EACH=14
    slow "$direct" "$direct"
    before=$(field p99 "$HONEST")
    slow "$gate" "$gate"
    after=$(field p99 "$HONEST")
    if [ "$(field lost "$HONEST")" = 0 ] && [ "$(field closed "$HONEST")" = 0 ]; then
        pass "slow requests: honest p99 $before ms direct, $after ms through"
    else
        fail "slow requests: honest users lose messages or connections: $HONEST"
    fi
else
    echo "      left out: slowhttptest is not here"
fi

if kill -0 "${PIDS[gateway]}" 2>/dev/null; then
    pass "the gateway is still there, with $(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/${PIDS[gateway]}/status") MiB at most"
else
    fail "the gateway ended"
fi
finish
