#!/bin/bash
# knot - a name server with threads for UDP, TCP and background work
# packages: knot dnsperf bind9-dnsutils
. "${0%/*}/../lib.sh"
port=23411
{
    printf '$ORIGIN t.\n$TTL 60\n@ SOA ns admin 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n'
    for ((i = 1; i <= 2000; i++)); do echo "h$i A 10.0.$((i / 250)).$((i % 250))"; done
} >t.zone
for ((i = 1; i <= 2000; i++)); do echo "h$i.t. A"; done >queries
cat >knot.conf <<C
server:
    rundir: "$FOLDER"
    listen: 127.0.0.1@$port
    udp-workers: 4
    tcp-workers: 4
    background-workers: 4
database:
    storage: "$FOLDER"
zone:
  - domain: t
    storage: "$FOLDER"
    file: t.zone
log:
  - target: stderr
    any: warning
C
serve knotd -c "$FOLDER/knot.conf"
wait_port $port
for ((i = 0; i < 100; i++)); do # the zone is loaded in the background
    [ -n "$(dig +short +time=1 +tries=1 -p $port @127.0.0.1 h1.t.)" ] && break
    sleep 0.1
done
for i in 1 77 500 1999; do
    want "h$i" "10.0.$((i / 250)).$((i % 250))" "$(dig +short +time=3 +tries=3 -p $port @127.0.0.1 "h$i.t.")"
    want "h$i by TCP" "10.0.$((i / 250)).$((i % 250))" "$(dig +tcp +short +time=3 +tries=3 -p $port @127.0.0.1 "h$i.t.")"
done
dnsperf -s 127.0.0.1 -p $port -d queries -l "$SECONDS_LOAD" -c 16 -T 1 -q 200 >load.out 2>&1
want 'all answers' 100.00 "$(number 'Response codes: *NOERROR [0-9]+ \(([0-9.]+)%\)' load.out)"
figure "$(number 'Queries per second: *([0-9.]+)' load.out)" queries/s
stop_server
finish
