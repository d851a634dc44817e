#!/bin/bash
# instructions.sh - are the hot paths as short as they were? Counts instructions with callgrind
#
# usage: tests/instructions.sh [LIB]
#
# Each path of tests/small/hotpaths runs N and 2N times under valgrind with one P; the difference is
# what one time costs, the caller's loop and the PLT included. Such counts repeat exactly. A path may
# take at most its limit, which is what it took when the line was last changed (gcc 12, -O2) and a
# tenth: who makes one longer changes the line, and says in the commit why it is worth it.
set -u
cd "$(dirname "$0")/.." || exit 1
lib=$(realpath "${1:-${BUILD:-build}/libgthread.so}")
program=$(realpath "${BUILD:-build}/tests/small/hotpaths")
n=5000

# path, limit, what one time is
limits='
lock        43  lock and unlock a free mutex
recursive  140  the same with a recursive one
sem        115  post and wait without waiting
yield      295  sched_yield to another goroutine
park       930  a post that readies, a wait that parks, the switch
cond      1180  a signal that readies, a wait that parks, lock and unlock, the switch
create    3160  create, run, exit and join with a stack that is there
'

# count PATH TIMES: instructions of the whole run
count() {
    local out
    out=$(env GTHREAD_TEST_EXPECT=lib GTHREAD_PROCS=1 GTHREAD_DEBUG=fsbase=prctl LD_PRELOAD="$lib" \
        timeout 100 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$program" "$1" "$2" 2>&1) || { echo "$out" >&2; return 1; }
    sed -nE 's/.*Collected : ([0-9]+).*/\1/p' <<<"$out"
}

command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 1; }
failed=0 passed=0
while read -r path limit what; do
    [ -n "$path" ] || continue
    once=$(count "$path" $n) && twice=$(count "$path" $((2 * n))) || exit 1
    each=$(((twice - once) / n))
    verdict=ok
    if [ $each -gt "$limit" ]; then verdict="OVER THE LIMIT"; fi
    printf '%-10s %5d of %5d  %s: %s\n' "$path" $each "$limit" "$what" "$verdict"
    if [ "$verdict" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done <<<"$limits"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
