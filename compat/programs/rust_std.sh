#!/bin/bash
# rust_std - Rust's standard library: 200 connections echoed by a thread each, channels, scoped threads
# packages: rustc
# build: rustc -O src/echo.rs -o bin/echo_rust
. "${0%/*}/../lib.sh"
under_test "$BIN/echo_rust" 200 "$SECONDS_LOAD" >out 2>err
want status 0 $?
want 'its own checks' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" echos/s
finish
