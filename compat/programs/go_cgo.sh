#!/bin/bash
# go_cgo - Go with cgo: 64 goroutines of its own that call into C, which makes threads
# packages: golang-1.19-go gcc
# build: env GO111MODULE=off GOCACHE=$PWD/gocache /usr/lib/go-1.19/bin/go build -o bin/cgo src/cgo.go
. "${0%/*}/../lib.sh"
under_test "$BIN/cgo" "$SECONDS_LOAD" >out 2>err
want status 0 $?
want 'its own checks' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" calls/s
finish
