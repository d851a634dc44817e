#!/bin/sh
# matrix.sh - the real programs of shared/apps with 1, 2 and 8 Ps and under chaos
#
# usage: compat/matrix.sh [LIB [RUNS [APP...]]]
#
# Runs shared/apps/compare RUNS times for each number of Ps, then twice for each of ten chaos seeds.
# Every run verifies its output. Ends with the number of comparisons that passed and failed.
set -u
lib=$(realpath "${1:-build/libgthread.so}")
runs=${2:-20}
[ $# -gt 2 ] && shift 2 || set -- python_threads cxx_std_boost sysbench_threads sysbench_mutex pigz x264
compare=$(realpath "$(dirname "$0")/../../shared/apps/compare")

passed=0
failed=0
# one SETTINGS PAIRS APP...
one() {
    settings=$1 pairs=$2
    shift 2
    echo "== $settings"
    # shellcheck disable=SC2086 # a list of words
    out=$(env $settings "$compare" "$lib" "$@" --pairs "$pairs" --seconds 1)
    echo "$out"
    passed=$((passed + $(echo "$out" | sed -nE 's/^([0-9]+) passed.*/\1/p')))
    failed=$((failed + $(echo "$out" | sed -nE 's/.* ([0-9]+) failed$/\1/p')))
}

for procs in 1 2 8; do one "GTHREAD_PROCS=$procs" "$runs" "$@"; done
for seed in 1 2 3 4 5 6 7 8 9 10; do
    one "GTHREAD_PROCS=$((seed % 3 + 1)) GTHREAD_DEBUG=chaos=$seed" 2 "$@"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
