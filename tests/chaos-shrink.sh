#!/bin/bash
# chaos-shrink.sh - does tools/chaos-shrink find the bug of tests/small/racy, and is what it prints
# enough to see it again?
set -u
cd "$(dirname "$0")/.." || exit 1
lib=$(realpath "${BUILD:-build}/libgthread.so")
racy=$(realpath "${BUILD:-build}/tests/small/racy")

export GTHREAD_TEST_EXPECT=lib

wrong() {
    echo "$*"
    echo "not ok chaos-shrink"
    exit 1
}

out=$(timeout 100 tools/chaos-shrink "$lib" -- "$racy" 2>&1) || wrong "status $?: $out"
settings=$(sed -nE 's/.* decisions are enough: (GTHREAD_PROCS=1 GTHREAD_DEBUG=chaos=[0-9:-]+)$/\1/p' <<<"$out")
[ -n "$settings" ] || wrong "expected the settings of a failing run, came $out"
grep -qE '^gthread: chaos [0-9]+: goroutine [0-9]+: ' <<<"$out" || wrong "expected the decisions, came $out"
for _ in 1 2 3; do
    # shellcheck disable=SC2086 # a list of words
    env $settings LD_PRELOAD="$lib" "$racy" >/dev/null 2>&1
    [ $? = 3 ] || wrong "expected $settings to fail each time"
done

# A program that is right: no seed fails, status 1.
out=$(timeout 100 tools/chaos-shrink --seeds 3 "$lib" -- /bin/true)
[ $? = 1 ] && grep -q 'no failure' <<<"$out" || wrong "expected no failure of /bin/true, came $out"
echo "ok chaos-shrink"
