#!/bin/bash
# command-trace.sh - `gthread trace`: does what it records of small programs and of hackbench's load add
# up (tests/trace_adds_up.py), from a program's start and of one that runs; does it say what it lost; is
# the traced program left as it was; is every error one line with its status? And are the probes there
# that the man page lists?
name=command-trace
. "$(dirname "$0")/command.bash"
export GTHREAD_PROCS=2

# adds_up FILE ARGUMENT...
adds_up() {
    local file=$1
    shift
    timeout $deadline python3 tests/trace_adds_up.py "$@" "$file" >"$dir/faults" 2>&1 ||
        wrong "$file does not add up: $(cat "$dir/faults")"
}
# other KEY: what the trace's otherData says, or one of its events or counters.
other() {
    python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))["otherData"]
print({**d.get("counters", {}), **d["events"], **d}[sys.argv[2]])' "$dir/trace" "$1"
}
between() { [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] || wrong "$1: expected $3 to $4, came $2"; }

# What stdio writes at the exit comes after the library has counted: it is to be no call of ours here.
unpatched=patch=off
# traced PROGRAM ARGUMENT...: from its start, with the library's own counters at its end, after which it
# may be preempted `after` times.
after=0
traced() {
    GTHREAD_DEBUG=${GTHREAD_DEBUG:-$unpatched} GTHREAD_STATS=1 GTHREAD_TEST_EXPECT=lib gthread 0 trace -o "$dir/trace" -- "$@"
    expect err "^gthread trace: [0-9]+ events in [0-9.]+ s, 0 lost: $dir/trace\$"
    adds_up "$dir/trace" --stats "$dir/err" --tolerance $after
}

# ---- a program from its start ----
small=$build/tests/small
traced "$small/blocked" 20
[ "$(other create)" = 20 ] || wrong "expected 20 creates, came $(other create)"
traced "$small/messages" 5 10 20
for damage in ready twice overlap two arrow count; do
    python3 tests/trace_adds_up.py --stats "$dir/err" --damage $damage "$dir/trace" >"$dir/faults" &&
        wrong "trace_adds_up.py does not see the damage `$damage`"
done
for seed in 1 2; do GTHREAD_DEBUG=$unpatched,chaos=$seed traced "$small/messages" 2 5 10; done
after=20 GTHREAD_DEBUG=$unpatched,preempt=200 traced "$small/messages" 2 5 500
GTHREAD_PROCS=8 traced "$build/tests/progs/mutex_exclusion"
traced "$build/tests/progs/waits_kernel"

# Status, signals and arguments are the program's; it need not make threads.
gthread 7 trace -o "$dir/trace" sh -c 'exit 7'
expect err 'has made no thread'
[ "$(other run)" = 0 ] || wrong "a program without threads: expected no runs"
gthread 143 trace -o "$dir/trace" sh -c 'kill -TERM $$'
gthread 0 trace -o "$dir/trace" -- sh -c "exec $small/blocked 5"
[ "$(other create)" = 5 ] || wrong "after exec: expected 5 creates, came $(other create)"
gthread 0 trace -o "$dir/trace" -- python3 -c '
import os, sys, threading
t = threading.Thread(target=print, args=("one",)); t.start(); t.join()
os.execv(sys.argv[1], [sys.argv[1], "5"])' "$small/blocked"
expect out '^one$' '^all joined$'
expect err 'has become another program'
[ "$(other create)" = 1 ] || wrong "until exec: expected one create, came $(other create)"

# ---- one that runs ----
start "$small/turns"
gthread 0 trace -d 0.5 -o "$dir/trace" "$child"
adds_up "$dir/trace"
between runs "$(other run)" 3 1000
gthread 0 trace -d 0.3 -o - "$child" # once more, with the log that is there
mv "$dir/out" "$dir/trace"
adds_up "$dir/trace"
gthread 0 trace -d 0.2 -o "$dir/trace.gz" "$child"
gunzip -t "$dir/trace.gz" || wrong "trace.gz is not compressed"
adds_up "$dir/trace.gz"
timeout -s INT 1 "$build/gthread" trace -o "$dir/trace" "$child" 2>"$dir/err"
expect err '0 lost'
adds_up "$dir/trace"

# A second reader is refused; one that was killed is no hindrance. A stopped reader loses events, and says
# how many: those it has and those it lost are all.
"$build/gthread" trace -o "$dir/first" "$child" 2>/dev/null 3>&- &
first=$!
children+=("$first")
for ((i = 0; i < 100; i++)); do
    [ -e "$dir/first" ] && break
    sleep 0.1
done
sleep 0.5
one_line 125 "is being traced by process $first" trace -o "$dir/trace" "$child"
end_child "$first"
gthread 0 trace -d 0.2 -o "$dir/trace" "$child"
adds_up "$dir/trace"

# It is left as it was: still at work, and stopped if it was.
kill -STOP "$child"
gthread 0 trace -d 0.1 -o "$dir/trace" "$child"
[ "$(other run)" = 0 ] || wrong "a stopped process: expected no runs"
case $(ps -o stat= -p "$child") in T*) ;; *) wrong "expected the process to be stopped as before" ;; esac
kill -CONT "$child"
# The trace ends with it.
timeout $deadline "$build/gthread" trace -o "$dir/trace" "$child" 2>"$dir/err" 3>&- &
tracer=$!
children+=("$tracer")
sleep 0.5
finish
wait $tracer || wrong "the process has ended: expected status 0: $(cat "$dir/err")"
expect err '0 lost'

GTHREAD_STATS=1 GTHREAD_TEST_EXPECT=lib timeout $deadline "$build/gthread" trace --events 1024 \
    -o "$dir/trace" -- "$small/hotpaths" park 1000000 >"$dir/out" 2>"$dir/err" &
tracer=$!
children+=("$tracer")
for ((i = 0; i < 40; i++)); do
    kill -STOP $tracer 2>/dev/null || break
    sleep 0.05
    kill -CONT $tracer 2>/dev/null || break
    sleep 0.01
done
wait $tracer || wrong "with a slow reader: status $?: $(cat "$dir/err")"
[ "$(other lost)" -gt 0 ] || wrong "expected a slow reader to lose events"
adds_up "$dir/trace"

# ---- the probes ----
readelf -n "$build/libgthread.so" | sed -nE 's/^ +Name: ([a-z]+)$/\1/p; s/^ +Arguments: (.*)/\1/p' |
    awk 'NR % 2 { name = $0; next } { print name, NF }' | sort -u >"$dir/out"
expect out '^create 1$' '^exit 1$' '^handoff 1$' '^park 3$' '^preempt 1$' '^ready 3$' '^run 2$' '^steal 3$'
mandoc -T ascii docs/gthread.1 | col -b >"$dir/page"
for probe in $(cut -d' ' -f1 "$dir/out"); do expect page "gthread:$probe\\b"; done

# ---- errors ----
cannot_look trace
one_line 127 'no such program' trace -o "$dir/x" no-such-program
one_line 126 'Permission denied' trace -o "$dir/x" /etc/passwd
one_line 125 'No such file' trace -o /nowhere/x true
gthread 125 trace -o /dev/full "$small/blocked" 5
expect err '/dev/full: cannot be written: No space left'
[ "$(wc -l <"$dir/err")" = 1 ] || wrong "a full disk: expected one line, came $(cat "$dir/err")"
one_line 125 'which process or program' trace
one_line 125 'not a number of seconds from 0.001 to 86400' trace -d 0 true
one_line 125 'not a number from 1024 to' trace --events 10 true
one_line 125 'not a number from 1 to 1024' trace -p 0 true
one_line 125 'are for a program that is started' trace -p 1 1
one_line 125 'unrecognized option' trace --nonsense true
TMPDIR=/nowhere one_line 125 '/nowhere/gthread-trace-' trace -o "$dir/x" true
(failed=; ulimit -f 100; start "$small/turns"; one_line 125 'cannot make the log: File too large' trace -o "$dir/x" "$child"; finish; [ -z "$failed" ]) ||
    wrong "a limit of file sizes"
end
