#!/bin/bash
# torture.sh - tests/small/torture under chaos, seed after seed
#
# usage: tests/torture.sh [LIB [OPERATIONS [FIRST-SEED]]]
#
# Spreads OPERATIONS (10^9) over runs of 10^7, each with the next seed and in turn with 1, 2, 1 and 8
# Ps. A run that fails prints its line and the settings to see it again. Ends with the sum.
set -u
cd "$(dirname "$0")/.." || exit 1
lib=$(realpath "${1:-build/libgthread.so}")
operations=${2:-1000000000}
seed=${3:-1}
per_run=10000000
procs=(1 2 1 8)
runs=$(((operations + per_run - 1) / per_run))
[ $runs -gt 1 ] || per_run=$operations

done=0 passed=0 failed=0
for ((i = 0; i < runs && failed < 10; i++, seed++)); do
    settings="GTHREAD_PROCS=${procs[i % 4]} GTHREAD_DEBUG=chaos=$seed GTHREAD_TEST_SEED=$seed"
    # shellcheck disable=SC2086 # a list of words
    if out=$(env $settings LD_PRELOAD="$lib" GTHREAD_TEST_EXPECT=lib \
        "${BUILD:-build}/tests/small/torture" $per_run 2>&1); then
        passed=$((passed + 1))
        done=$((done + ${out%% *}))
    else
        failed=$((failed + 1))
        echo "$settings: $out"
    fi
done
echo "$done operations over $((passed + failed)) seeds; counted wake-ups: all right in $passed, wrong in $failed"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
