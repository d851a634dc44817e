#!/bin/bash
# sysbench_mutex - sysbench: 64 threads on 16 mutexes
# packages: sysbench
. "${0%/*}/../lib.sh"
under_test sysbench mutex --threads=64 --mutex-num=16 --mutex-locks=20000 --mutex-loops=200 run >out 2>err
want status 0 $?
want events 64 "$(awk '/total number of events/ {print $5}' out)"
figure "$(number 'total time: *([0-9.]+)s' out)" s smaller
finish
