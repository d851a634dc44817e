#!/bin/bash
# mariadb_conns - MariaDB with 1000 idle connections, a thread each, and 16 that ask all the time
# packages: mariadb-server libmariadb-dev gcc
# build: gcc -O2 -pthread src/mariadb_load.c -o bin/mariadb_load -lmariadb
. "${0%/*}/../lib.sh"
. "${0%/*}/../mariadb.sh"
port=23402 idle=1000
mariadb_start $port
"$BIN/mariadb_load" $port $idle 16 "$SECONDS_LOAD" >load.out 2>load.err || broken "load: $(tail -n 1 load.err)"
want 'idle connections that still answer' $idle "$(number 'idle=([0-9]+)' load.out)"
figure "$(number 'rate=([0-9.]+)' load.out)" queries/s
stop_server
finish
