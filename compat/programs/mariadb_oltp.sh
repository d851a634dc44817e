#!/bin/bash
# mariadb_oltp - MariaDB, a thread for each of 64 connections that read and write in transactions
# packages: mariadb-server sysbench
. "${0%/*}/../lib.sh"
. "${0%/*}/../mariadb.sh"
port=23401
mariadb_start $port
load=(sysbench oltp_read_write --mysql-host=127.0.0.1 "--mysql-port=$port" --mysql-user=tester --mysql-db=load_db
    --tables=2 --table-size=5000)
"${load[@]}" prepare >prepare.out 2>&1 || broken "sysbench prepare fails"
before=$(query 'select count(*), sum(id) from load_db.sbtest1')
"${load[@]}" --threads=64 --time="$SECONDS_LOAD" --mysql-ignore-errors=1213,1205,1020 run >load.out 2>&1 ||
    broken "sysbench fails: $(grep -m 1 FATAL load.out)"
figure "$(number 'transactions:.*\(([0-9.]+) per sec' load.out)" transactions/s
want 'rows and their sum' "$before" "$(query 'select count(*), sum(id) from load_db.sbtest1')"
want 'tables that are well' 2 "$(query 'check table load_db.sbtest1, load_db.sbtest2' | grep -c 'status.OK')"
stop_server
finish
