#!/bin/bash
# memcached - 16 worker threads, 200 connections that store values and verify what they get
# packages: memcached gcc
# build: gcc -O2 src/memcache_load.c -o bin/memcache_load
. "${0%/*}/../lib.sh"
port=23403
serve memcached -u nobody -p $port -U 0 -l 127.0.0.1 -t 16 -m 128 -c 2000
wait_port $port
"$BIN/memcache_load" $port 200 "$SECONDS_LOAD" >load.out 2>load.err || broken "load: $(tail -n 1 load.err)"
figure "$(number 'rate=([0-9.]+)' load.out)" "verified ops/s"
stop_server
finish
