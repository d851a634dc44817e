#!/bin/bash
# command-top.sh - `gthread top`: does it count the goroutines of tests/small/turns.c and crowd.c by
# state, and their switches, as lines and on a terminal, until the process ends; and is every error
# one line with its status?
name=command-top
. "$(dirname "$0")/command.bash"

# columns: of the last line, after its head.
column() { awk -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } END { print $at }' "$dir/columns"; }
# The head's `Ps idle` and `Ms idle` are one column each.
columns() { sed 's/\([PM]s\) idle/\1/g' "$dir/out" >"$dir/columns"; }
between() { awk -v n="$2" -v least="$3" -v most="$4" 'BEGIN { exit !(n >= least && n <= most) }' ||
    wrong "$1: expected $3 to $4, came $2: $(cat "$dir/out")"; }

start "$build/tests/small/turns"
gthread 0 top -n 3 -d 0.5 "$child"
columns
[ "$(wc -l <"$dir/out")" = 4 ] || wrong "expected a head and 3 lines, came: $(cat "$dir/out")"
between goroutines "$(column goroutines)" 3 3
between running "$(column running)" 0 1
between waiting "$(column waiting)" 2 3
between Ps "$(column Ps | cut -d/ -f1)" 2 2
between Ms "$(column Ms | cut -d/ -f1)" 1 20
between switches/s "$(column switches/s)" 4 1000 # 100, unless the machine is busy
between creates/s "$(column creates/s)" 0 0

# A stopped process: it is read all the same, does nothing, and stays stopped.
kill -STOP "$child"
gthread 0 top --count=1 --delay=0.3 "$child"
columns
between switches/s "$(column switches/s)" 0 0
case $(ps -o stat= -p "$child") in T*) ;; *) wrong "expected the process to be stopped as before" ;; esac
kill -CONT "$child"

# On a terminal: what they wait for as well.
script -qec "$build/gthread top -n 2 -d 0.3 $child" /dev/null </dev/null >"$dir/out" 2>&1 ||
    wrong "on a terminal: status $?: $(cat "$dir/out")"
expect out 'turns [0-9]+: 3 goroutines, 2 Ps ' 'waiting +[23]' 'mutex +1' 'net read +1' 'switches +[0-9]+'
script -qec "$build/gthread top -b -n 1 -d 0.3 $child" /dev/null </dev/null >"$dir/out" 2>&1
expect out '^goroutines +running '

# It ends with the process.
timeout $deadline "$build/gthread" top -d 0.2 "$child" >"$dir/out" 2>"$dir/err" 3>&- &
top=$!
children+=("$top")
sleep 1
finish
wait $top
status=$?
[ $status = 0 ] || wrong "the process has ended: expected status 0, came $status: $(cat "$dir/err")"

# Ten thousand.
start "$build/tests/small/crowd" 10000
gthread 0 top -n 1 -d 0.1 "$child"
columns
between goroutines "$(column goroutines)" 10001 10001
between waiting "$(column waiting)" 10000 10001
finish

# Errors.
cannot_look top
no_thread_yet top
one_line 125 'process self: not a number' top self
one_line 125 'expected one process id' top
one_line 125 'not a number of seconds from 0.1 to 3600' top -d 0 1
one_line 125 'not a number of seconds from 0.1 to 3600' top -d nan 1
one_line 125 'not a number from 1 to' top -n 0 1
one_line 125 'unrecognized option' top --nonsense 1
end
