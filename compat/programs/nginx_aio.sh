#!/bin/bash
# nginx_aio - nginx reading files on a pool of 32 threads
# packages: nginx wrk curl
. "${0%/*}/../lib.sh"
port=23404
nginx_conf $port 'thread_pool default threads=32 max_queue=65536;' 'aio threads; sendfile off; output_buffers 2 64k;'
serve nginx -p "$FOLDER" -c "$FOLDER/nginx.conf" -e "$FOLDER/nginx.err"
wait_port $port
http_verify $port
http_load $port 64
http_verify $port
stop_server QUIT
finish
