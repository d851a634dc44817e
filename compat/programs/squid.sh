#!/bin/bash
# squid - a cache that reads its disk on 16 threads
# packages: squid nginx wrk curl
. "${0%/*}/../lib.sh"
port=23415 behind=23515
chmod 777 "$FOLDER"
nginx_conf $behind '' 'sendfile on; expires 1h;'
helper nginx -p "$FOLDER" -c "$FOLDER/nginx.conf" -e "$FOLDER/nginx.err"
mkdir -m 777 cache
: >cache.log && chmod 666 cache.log
cat >squid.conf <<C
http_port 127.0.0.1:$port accel defaultsite=localhost no-vhost
cache_peer 127.0.0.1 parent $behind 0 no-query originserver
cache_mem 0 MB
maximum_object_size_in_memory 0 KB
cache_dir aufs $FOLDER/cache 200 16 16
http_access allow all
pid_filename $FOLDER/squid.pid
access_log none
cache_log $FOLDER/cache.log
cache_effective_user proxy
shutdown_lifetime 1 seconds
visible_hostname compat
pinger_enable off
C
wait_port $behind
squid -z -N -f "$FOLDER/squid.conf" >init.out 2>&1
chmod -R 777 cache
serve squid -N -f "$FOLDER/squid.conf"
wait_port $port
http_verify $port
http_load $port 64
http_verify $port
stop_server
finish
