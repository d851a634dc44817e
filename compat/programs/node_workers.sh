#!/bin/bash
# node_workers - Node.js: eight workers, file reads and hashes on libuv's threads
# packages: nodejs
. "${0%/*}/../lib.sh"
under_test /usr/bin/node "$SRC/workers.js" "$SECONDS_LOAD" "$DATA/www/f150.txt" >out 2>err
want status 0 $?
want 'its own checks' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" messages/s
finish
