#!/bin/bash
# omp_libgomp - GCC's OpenMP: loops, reductions, critical sections, tasks with 8 threads
# packages: gcc
# build: gcc -O2 -fopenmp src/omp.c -o bin/omp -lm
. "${0%/*}/../lib.sh"
under_test "$BIN/omp" "$SECONDS_LOAD" 8 >out 2>err
want status 0 $?
want 'its own checks' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" rounds/s
finish
