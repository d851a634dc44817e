#!/bin/bash
# python_threads - python3: a token goes round 1000 threads by queues
# packages: python3
. "${0%/*}/../lib.sh"
under_test /usr/bin/python3 "$SRC/ring.py" 1000 "$SECONDS_LOAD" >out 2>err
want status 0 $?
want 'the ring' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" hops/s
finish
