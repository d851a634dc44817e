# command.bash - what the tests of the gthread command share; to be sourced with `name` set
#
# They print `ok NAME`, or what is wrong and `not ok NAME`. KEEP=1 keeps the files.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
build=$(realpath "${BUILD:-build}")
deadline=60 # seconds for each step
dir=$(mktemp -d)
children=()
unset GTHREAD_TEST_EXPECT # that of the program that runs this

cleanup() {
    exec 3>&-
    for child in "${children[@]}"; do end_child "$child" 2>/dev/null; done
    if [ -n "${KEEP:-}" ]; then echo "files: $dir"; else rm -rf "$dir"; fi
}
trap cleanup EXIT

failed=
wrong() {
    echo "$*"
    failed=1
}
end() {
    if [ -z "$failed" ]; then echo "ok $name"; else echo "not ok $name"; fi
    [ -z "$failed" ]
    exit
}
give_up() {
    wrong "$@"
    end
}

# gthread STATUS ARGUMENT...: runs the command; its output is in $dir/out and $dir/err.
gthread() {
    local want=$1 status
    shift
    timeout -k 5 $deadline "$build/gthread" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    [ $status = "$want" ] || wrong "gthread $*: expected status $want, came $status: $(head -c 2000 "$dir/err")"
}

# expect FILE PATTERN...: each must match a line.
expect() {
    local file=$1 pattern
    shift
    for pattern; do
        grep -qE -- "$pattern" "$dir/$file" ||
            wrong "$file: expected: $pattern; came: $(head -c 3000 "$dir/$file")"
    done
}

# one_line STATUS PATTERN ARGUMENT...: the command fails with one line on stderr and nothing else.
one_line() {
    local status=$1 pattern=$2
    shift 2
    gthread "$status" "$@"
    [ "$(wc -l <"$dir/err")" = 1 ] || wrong "gthread $*: expected one line, came: $(cat "$dir/err")"
    [ ! -s "$dir/out" ] || wrong "gthread $*: expected nothing on stdout, came: $(head -c 500 "$dir/out")"
    expect err "$pattern"
}

# start PROGRAM ARGUMENT...: in the background under gthread, until it says `ready`; its standard
# input ends with `exec 3>&-`.
start() { start_by "$build/gthread" run "$@"; }

# start_by COMMAND ARGUMENT...: the same for a command that brings the library along. One arena,
# since cores have the address space that each reserves.
start_by() {
    rm -f "$dir/in" "$dir/program" # of the last one, which has said `ready`
    mkfifo "$dir/in" || give_up "mkfifo failed"
    GTHREAD_PROCS=2 MALLOC_ARENA_MAX=1 GTHREAD_TEST_EXPECT=lib GTHREAD_TEST_WATCHDOG=300 \
        "$@" <"$dir/in" >"$dir/program" 2>&1 &
    child=$!
    children+=("$child")
    exec 3>"$dir/in"
    for ((i = 0; i < deadline * 10; i++)); do
        grep -q ready "$dir/program" && return
        sleep 0.1
    done
    give_up "$*: not ready after $deadline s: $(cat "$dir/program")"
}

# start_for_core LIBRARY PROGRAM: the same, with the library given, where a core file of it is found.
start_for_core() {
    mkdir -p "$dir/cores"
    start_by bash -c 'cd "$1/cores" && ulimit -c unlimited && exec env LD_PRELOAD="$2" "$3"' start "$dir" "$@"
}

# kernel_core: ends it; its core file, written by the kernel, is $core. False: the kernel writes none here.
kernel_core() {
    local pattern
    pattern=$(cat /proc/sys/kernel/core_pattern)
    kill -ABRT "$child" # SIGQUIT is ignored in the background
    wait "$child" 2>/dev/null
    exec 3>&-
    [ "${pattern#[|/]}" = "$pattern" ] || return 1
    core=$(find "$dir/cores" -type f | head -1)
    [ -n "$core" ] || wrong "expected a core file in $dir/cores (core_pattern $pattern)"
}

# cannot_look SUBCOMMAND: it says so of a process of root's, as nobody; of one that is not on gthread;
# of one that is not there.
cannot_look() {
    local other
    if [ "$(id -u)" = 0 ]; then
        sleep 1000 &
        other=$!
        children+=("$other")
        chmod 755 "$dir" && cp "$build/gthread" "$dir"
        setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/gthread" "$1" "$other" >"$dir/out" 2>"$dir/err"
        [ $? = 125 ] || wrong "a process of root, as nobody: expected status 125"
        expect err "^gthread $1: not permitted to trace process $other "
        end_child "$other"
    fi
    sleep 1000 &
    other=$!
    children+=("$other")
    one_line 125 'does not run on gthread' "$1" "$other"
    end_child "$other"
    one_line 125 'there is no process 99999999' "$1" 99999999
}

# no_thread_yet SUBCOMMAND: it says so of a process that has the library and has made no thread.
no_thread_yet() {
    local early
    "$build/gthread" run sleep 1000 &
    early=$!
    children+=("$early")
    for ((i = 0; i < 100; i++)); do
        grep -q libgthread "/proc/$early/maps" 2>/dev/null && break
        sleep 0.1
    done
    sleep 0.2
    one_line 125 'has made no thread yet' "$1" "$early"
    end_child "$early"
}

# end_child PID...: without the shell's word about it.
end_child() {
    kill -KILL "$@"
    wait "$@" 2>/dev/null
}

# finish: it goes on to its end.
finish() {
    exec 3>&-
    for ((i = 0; i < deadline * 10; i++)); do
        case $(ps -o stat= -p "$child") in "" | Z*) break ;; esac
        sleep 0.1
    done
    [ $i -lt $((deadline * 10)) ] || give_up "the program does not end any more"
    wait "$child"
    local status=$?
    [ $status = 0 ] || wrong "the program: expected status 0, came $status: $(cat "$dir/program")"
    grep -q 'went on' "$dir/program" || wrong "the program does not say that it went on"
}
