#!/bin/bash
# command-compare.sh - `gthread compare`: measures what it says, calls noise no win, fails with one line
name=command-compare
. "$(dirname "$0")/command.bash"

# json PYTHON-EXPRESSION: of $dir/json, as c.
json() {
    python3 -c 'import json, sys; c = json.load(open(sys.argv[1])); m = c["metrics"]; sys.exit(not (eval(sys.argv[2])))' \
        "$dir/json" "$1" || wrong "json: expected $1, came $(head -c 4000 "$dir/json")"
}

# A program with many threads: on gthread they are no kernel threads.
gthread 0 compare -n 8 --seed 7 --json "$dir/json" --markdown "$dir/md" --svg "$dir/svg" "$build/tests/small/crowd" 300 400
expect out '^8 pairs, order drawn from seed 7, ' '^kernel threads +301 +[0-9]+ +0\.0[0-9]+ +.* to .* +fewer$' \
    '^wall time ' '^CPU time ' '^context switches ' '^peak memory ' '(gthread / NPTL is|times NPTL.s)'
expect md '^\| kernel threads \| 301 \| [0-9]+ \| .* \| fewer \|$'
expect svg '<svg' 'kernel threads'
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$dir/svg" || wrong "svg: not well-formed"
json 'c["pairs"] == 8 and len(m["wall_s"]["nptl"]) == 8 and m["kernel_threads"]["verdict"] == "less"'
json 'all(t == 301 for t in m["kernel_threads"]["nptl"]) and all(t < 50 for t in m["kernel_threads"]["gthread"])'
json 'm["kernel_threads"]["interval"][0] <= m["kernel_threads"]["ratio"] <= m["kernel_threads"]["interval"][1]'

# What it measures: a program of known time, CPU time and memory.
cat >"$dir/known" <<'P'
import resource, sys, time
while time.process_time() < 0.1: pass
time.sleep(0.2)
x = bytearray(50_000_000)
P
gthread 0 compare -n 2 --warmup 0 --json "$dir/json" /usr/bin/python3 "$dir/known"
json 'all(0.28 < t < 5 for s in ("nptl", "gthread") for t in m["wall_s"][s])'
json 'all(0.1 <= t < 0.5 for s in ("nptl", "gthread") for t in m["cpu_s"][s])'
json 'all(50e6 < t < 90e6 for s in ("nptl", "gthread") for t in m["peak_bytes"][s])'
json 'all(t == 1 for s in ("nptl", "gthread") for t in m["kernel_threads"][s])'
gthread 0 compare -n 2 --warmup 0 /usr/bin/python3 "$dir/known"
expect out 'too few pairs' '^2 pairs are too few to tell: 8 are needed$'

# A library that does nothing makes no difference. Each comparison may be wrong in 1 of 100, so it
# is wrong here only if two of three are: 3 in 10,000.
printf 'int nothing;\n' >"$dir/nothing.c" && gcc -shared -fPIC -o "$dir/nothing.so" "$dir/nothing.c" || give_up "gcc"
none=0
for i in 1 2 3; do
    gthread 0 compare -n 8 --json "$dir/json" --library "$dir/nothing.so" "$build/tests/small/crowd" 50 200
    grep -q '"verdict": "no_difference",$' <(grep -A0 '^ "verdict"' "$dir/json") && none=$((none + 1))
    json 'm["kernel_threads"]["verdict"] == "no_difference"'
    [ $none -lt 2 ] || break
done
[ $none -ge 2 ] || wrong "a library that does nothing: expected no difference, came $(cat "$dir/out")"

# A figure, larger or smaller is better; and a gate.
cat >"$dir/figure" <<'P'
import os
print("first 1 rate=%s last" % ("20.5" if "gthread" in os.environ.get("LD_PRELOAD", "") else "10.25"))
P
gthread 0 compare -n 8 --figure 'rate=([0-9.]+)' --gate /usr/bin/python3 "$dir/figure"
expect out '^figure +10.25 +20.5 +2.000 +2.000 to 2.000 +more$' '^gthread is better: its figure is 2.000 times' \
    'attention: on gthread it printed something else'
gthread 2 compare -n 8 --figure 'rate=([0-9.]+)' --smaller --gate /usr/bin/python3 "$dir/figure"
expect out '^gthread is worse: '
one_line 1 'printed no number that --figure finds' compare -n 1 --figure 'nothing=([0-9.]+)' true

# A server under a load that runs without the library.
cat >"$dir/server" <<'P'
import signal, socket, sys, threading, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
time.sleep(0.2)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
def serve(c):
    while c.recv(1): c.send(b"x")
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
P
cat >"$dir/load" <<'P'
import os, socket, sys, time
assert not os.environ.get("LD_PRELOAD")
c = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for i in range(20)]
for i in range(10):
    for x in c: x.send(b"a")
    for x in c: assert x.recv(1) == b"x"
time.sleep(0.5)
print("answers", 200)
P
port=$((20000 + RANDOM % 10000))
gthread 0 compare -n 2 --json "$dir/json" --ready $port --figure 'answers ([0-9]+)' \
    --load "/usr/bin/python3 $dir/load $port" -- /usr/bin/python3 "$dir/server" $port
json 'm["figure"]["nptl"] == [200, 200] and all(t >= 20 for t in m["kernel_threads"]["nptl"])'
one_line 1 'ended before it accepted connections' compare -n 1 --ready $port --load true true
one_line 1 'failed under the load, which ended with status 3' compare -n 1 --load 'exit 3' sleep 60

# Runs that fail, on either side.
one_line 1 'on (NPTL|gthread) ended with status 3' compare -n 1 sh -c 'exit 3'
gthread 0 compare -n 1 --warmup 0 --ignore-status sh -c 'exit 3'
one_line 1 'on gthread ended with status 4' compare -n 1 sh -c 'test -z "$LD_PRELOAD" || exit 4'
one_line 1 'was ended by signal 9' compare -n 1 sh -c 'kill -9 $$'
one_line 1 'does not end within 1 s' compare -n 1 --timeout 1 sleep 60
# Its end is the end of what it runs.
"$build/gthread" compare -n 1 sleep 61.25 >/dev/null 2>&1 &
comparing=$!
sleep 0.5
kill -TERM $comparing
wait $comparing 2>/dev/null
sleep 0.2
[ -z "$(pgrep -f 'sleep 61[.]25')" ] || wrong "expected the program to be ended with the comparison"

one_line 127 'no such program' compare no-such-program
one_line 126 'Permission denied' compare /etc/passwd
one_line 125 'which program' compare
one_line 125 'not a number from 1' compare -n 0 true
one_line 125 'has no' compare --figure 'x=[0-9]' true
one_line 125 '--figure .*: ' compare --figure '(' true
one_line 125 'No such file' compare --json /nowhere/json true
one_line 125 'No such file' compare --input /nowhere/input true
one_line 125 'No space left' compare -n 1 --warmup 0 --json /dev/full true
one_line 125 'No space left' compare -n 1 --warmup 0 --markdown /dev/full true
one_line 125 'No space left' compare -n 1 --warmup 0 --svg /dev/full true
(PATH=/nowhere && "$build/gthread" compare -n 1 --warmup 0 --svg "$dir/none" /bin/true) >"$dir/out" 2>"$dir/err"
[ $? = 125 ] && expect err '^gthread compare: --svg needs gnuplot: No such file'
# On a terminal it tells how far it is.
script -qec "$build/gthread compare -n 2 --warmup 1 true" /dev/null </dev/null >"$dir/out" 2>&1
expect out 'pair 1 of 3' 'pair 2 of 3, [0-9]+ s left'
one_line 125 '--ready is for --load' compare --ready 80 true
end
