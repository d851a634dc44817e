#!/bin/bash
# redis_io - redis with two I/O threads, a saved snapshot, and lazy freeing
# packages: redis-server redis-tools
. "${0%/*}/../lib.sh"
port=23407
serve redis-server --port $port --bind 127.0.0.1 --io-threads 2 --io-threads-do-reads yes --save "" \
    --appendonly yes --appendfsync everysec --dir "$FOLDER"
wait_port $port
timeout 60 redis-benchmark -p $port -c 100 -n $((SECONDS_LOAD * 15000)) -t get -P 4 -r 100000 -q --csv >load.out 2>&1
figure "$(number '"GET","([0-9.]+)"' load.out)" gets/s
sum='for i = 1, 20000 do redis.call("set", "k" .. i, i * 7) end
     local s = 0 for i = 1, 20000 do s = s + redis.call("get", "k" .. i) end return s'
redis-cli -p $port flushall >/dev/null
want 'the sum of what was stored' 1400070000 "$(redis-cli -p $port eval "$sum" 0)"
redis-cli -p $port bgsave >/dev/null
for ((i = 0; i < 100; i++)); do
    [ "$(redis-cli -p $port info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 0 ] && break
    sleep 0.1
done
want 'the last save' ok "$(redis-cli -p $port info persistence | tr -d '\r' | sed -n 's/^rdb_last_bgsave_status://p')"
want 'keys' 20000 "$(redis-cli -p $port dbsize)"
redis-cli -p $port flushall async >/dev/null
stop_server
finish
