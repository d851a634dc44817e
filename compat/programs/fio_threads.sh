#!/bin/bash
# fio_threads - fio: 64 threads that read and write files and verify checksums
# packages: fio
. "${0%/*}/../lib.sh"
under_test fio --name=job --thread=1 --numjobs=64 --ioengine=psync --rw=randrw --bs=4k --size=1m --verify=crc32c \
    --do_verify=1 --runtime="$SECONDS_LOAD" --directory="$FOLDER" --group_reporting --output-format=json --fsync=32 \
    --output=out.json >out 2>err
want status 0 $?
# What it complains of goes in front of the JSON.
[ "$(head -c 1 out.json)" = '{' ] || broken "fio complains: $(head -n 1 out.json)"
# The loads of this matrix last a second or two, in which fio's own rate may still be 0.
figure "$(python3 -c 'import json
j = json.load(open("out.json"))["jobs"][0]
assert j["error"] == 0
print((j["read"]["io_bytes"] + j["write"]["io_bytes"]) / 1e6 / json.load(open("measures"))["wall_s"])')" MB/s
finish
