# lib.sh - what the scripts of programs/ share: to be sourced first. Each runs one real program under
# test, verifies what it did, and prints one line of JSON. They are started by compat/compat, which sets:
#   GTHREAD   the gthread command          SIDE     its options: which library, or none
#   FOLDER    an empty folder              SECONDS_LOAD  how long a load is to last
#   BIN       what src/ is built into      DATA     input files (src/make-data)
# shellcheck shell=bash
set -u
cd "${FOLDER:?run by compat/compat}" || exit 125
export LC_ALL=C PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
ulimit -n 20000 2>/dev/null
ok=true why='' value=0 unit='' smaller=false server='' helpers=()

cleanup() {
    for pid in $server "${helpers[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
}
trap cleanup EXIT

# under_test PROGRAM...: in the foreground.
under_test() {
    # shellcheck disable=SC2086 # a list of words
    "$GTHREAD" run $SIDE --measure "$FOLDER/measures" -- "$@"
}
# serve PROGRAM...: in the background, until stop_server.
serve() {
    # shellcheck disable=SC2086
    "$GTHREAD" run $SIDE --measure "$FOLDER/measures" -- "$@" >server.out 2>server.err </dev/null &
    server=$!
}
# helper PROGRAM...: in the background, not under test.
helper() {
    "$@" >helper.out 2>&1 </dev/null &
    helpers+=($!)
}

# broken TEXT: what went wrong; the first one is told.
broken() {
    [ $ok = false ] || why=$*
    ok=false
}
# want WHAT EXPECTED CAME
want() {
    [ "$2" = "$3" ] || broken "$1: expected '$2', came '$3'"
}
figure() { # VALUE UNIT [smaller]
    value=${1:-0} unit=$2
    [ "${3:-}" != smaller ] || smaller=true
    [[ $value =~ ^[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$ ]] && [[ $value =~ [1-9] ]] ||
        { broken "no figure: '$value'"; value=0; }
}
finish() {
    if [ $ok = false ] && [ -s server.err ]; then why="$why; $(tail -n 1 server.err)"; fi
    python3 -c 'import json, sys
a = sys.argv
print(json.dumps({"ok": a[1] == "true", "why": a[2][:300], "figure": float(a[3]), "unit": a[4], "smaller": a[5] == "true"}))' \
        "$ok" "$why" "$value" "$unit" "$smaller"
    [ $ok = true ]
    exit
}

# wait_port PORT: until it accepts connections; ends the script if it does not.
wait_port() {
    for ((i = 0; i < 600; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then break; fi
        sleep 0.05
    done
    broken "nothing listens on port $1"
    finish
}
# stop_server [SIGNAL [STATUS]]: it must end within 20 s, with that status (default 0, `any`).
stop_server() {
    kill "-${1:-TERM}" "$server" 2>/dev/null
    for ((i = 0; i < 400; i++)); do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$server" 2>/dev/null; then
        broken "does not end after SIG${1:-TERM}"
        pkill -KILL -P "$server"
    fi
    wait "$server"
    local status=$?
    server=
    [ "${2:-0}" = any ] || want "the server's status" "${2:-0}" "$status"
}

# number PATTERN FILE: the number that stands where the () of the sed pattern are.
number() {
    sed -nE "s/.*$1.*/\1/p" "$2" | tail -n 1
}

# http_verify PORT: twenty files as they should be. http_load PORT CONNECTIONS: the figure is wrk's.
http_verify() {
    for ((i = 1; i <= 200; i += 10)); do
        curl -sS -m 10 "http://127.0.0.1:$1/f$i.txt" 2>curl.err | cmp -s - "$DATA/www/f$i.txt" ||
            broken "f$i.txt comes back wrong: $(cat curl.err)"
    done
}
http_load() {
    cat >load.lua <<'L'
local n = 0
request = function()
    n = n + 1
    return wrk.format("GET", "/f" .. (n % 200 + 1) .. ".txt")
end
L
    wrk -t 2 -c "$2" -d "${SECONDS_LOAD}s" --timeout 10s -s load.lua "http://127.0.0.1:$1/" >load.out 2>&1
    local bad
    bad=$(grep -E 'Socket errors|Non-2xx' load.out) && broken "under load: $bad"
    figure "$(number 'Requests\/sec: *([0-9.]+)' load.out)" req/s
}
# nginx_conf PORT MAIN HTTP: writes nginx.conf for the files in $DATA/www.
nginx_conf() {
    cat >nginx.conf <<C
daemon off; master_process off; user root; worker_processes 1; pid $FOLDER/nginx.pid;
error_log $FOLDER/nginx.err; $2
events { worker_connections 4096; }
http {
    access_log off; keepalive_requests 100000000; $3
    client_body_temp_path $FOLDER/t1; proxy_temp_path $FOLDER/t2; fastcgi_temp_path $FOLDER/t3;
    uwsgi_temp_path $FOLDER/t4; scgi_temp_path $FOLDER/t5;
    server { listen 127.0.0.1:$1 backlog=4096; root $DATA/www; }
}
C
}
