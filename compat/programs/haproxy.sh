#!/bin/bash
# haproxy - a proxy with four threads in front of nginx
# packages: haproxy nginx wrk curl
. "${0%/*}/../lib.sh"
port=23408 behind=23508
nginx_conf $behind '' 'sendfile on;'
helper nginx -p "$FOLDER" -c "$FOLDER/nginx.conf" -e "$FOLDER/nginx.err"
cat >haproxy.cfg <<C
global
    nbthread 4
    maxconn 4000
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
frontend front
    bind 127.0.0.1:$port
    default_backend back
backend back
    server one 127.0.0.1:$behind
C
wait_port $behind
serve haproxy -db -f haproxy.cfg
wait_port $port
http_verify $port
http_load $port 64
http_verify $port
stop_server TERM any
finish
