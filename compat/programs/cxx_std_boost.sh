#!/bin/bash
# cxx_std_boost - C++: std::thread, Boost.Thread, futures, thread_local and exceptions, a ring of 200
# packages: g++ libboost-thread-dev libboost-chrono-dev
# build: g++ -O2 -pthread src/ring.cc -o bin/ring_cxx -lboost_thread -lboost_chrono -lboost_system
. "${0%/*}/../lib.sh"
under_test "$BIN/ring_cxx" 200 "$SECONDS_LOAD" >out 2>err
want status 0 $?
want 'its own checks' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" hops/s
finish
