#!/bin/bash
# sysbench_threads - sysbench: 64 threads that yield between 8 mutexes
# packages: sysbench
. "${0%/*}/../lib.sh"
under_test sysbench threads --threads=64 --thread-locks=8 --thread-yields=100 --time="$SECONDS_LOAD" run >out 2>err
want status 0 $?
figure "$(awk -v s="$SECONDS_LOAD" '/total number of events/ {printf "%.1f", $5 / s}' out)" events/s
finish
