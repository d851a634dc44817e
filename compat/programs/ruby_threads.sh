#!/bin/bash
# ruby_threads - ruby: a token goes round 500 threads by queues
# packages: ruby
. "${0%/*}/../lib.sh"
under_test /usr/bin/ruby "$SRC/ring.rb" 500 "$SECONDS_LOAD" >out 2>err
want status 0 $?
want 'the ring' ok "$(head -c 2 out)"
figure "$(number 'rate=([0-9.]+)' out)" hops/s
finish
