#!/bin/bash
# hackbench_threads - rt-tests' hackbench: 400 threads that write to each other through sockets
# packages: rt-tests
. "${0%/*}/../lib.sh"
under_test hackbench -T -g 10 -l 200 >out 2>err
want status 0 $?
figure "$(number '^Time: *([0-9.]+)' out)" s smaller
finish
