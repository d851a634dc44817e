#!/bin/bash
# pbzip2 - parallel bzip2 with 4 threads
# packages: pbzip2 bzip2
. "${0%/*}/../lib.sh"
under_test pbzip2 -1 -p4 -c <"$DATA/mix" >packed 2>err
want status 0 $?
bzip2 -dc <packed 2>>err | cmp -s - "$DATA/mix" || broken "what it packed unpacks to something else"
figure "$(python3 -c 'import json, os; print(os.path.getsize(os.environ["DATA"] + "/mix") / 1e6 / json.load(open("measures"))["wall_s"])')" MB/s
finish
