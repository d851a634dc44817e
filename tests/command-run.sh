#!/bin/bash
# command-run.sh - `gthread run`: is the preload there, are status, signals, terminal and arguments
# the program's, and is every error one line with its status?
name=command-run
. "$(dirname "$0")/command.bash"

# The library is at work, found beside the command.
gthread 0 run "$build/tests/small/blocked" 200
expect out '^kernel threads [0-9]{1,2}$' '^all joined$'
gthread 0 run --off "$build/tests/small/blocked" 200
expect out '^kernel threads 201$'
gthread 0 run --stats -p 3 "$build/tests/small/blocked" 20
expect err '^gthread: stats .* procs=3 '
gthread 0 run --library "$build/libgthread.so" --debug schedtrace=1000 "$build/tests/small/blocked" 20
expect err '^SCHED '

# What is there already stays.
LD_PRELOAD=libm.so.6 GLIBC_TUNABLES=glibc.malloc.arena_max=1 gthread 0 run --small env
expect out '^LD_PRELOAD=/.*/libgthread.so:libm.so.6$' \
    '^GLIBC_TUNABLES=glibc.rtld.nns=1:glibc.rtld.optional_static_tls=0:glibc.malloc.arena_max=1$'
gthread 0 run env
! grep -q GLIBC_TUNABLES "$dir/out" || wrong "tunables without --small"

gthread 0 run --no-follow sh -c env
! grep -q '^LD_PRELOAD=.*gthread' "$dir/out" || wrong "--no-follow: expected no preload in what the program starts"

# --small is less memory for each thread.
resident() {
    start "$@" "$build/tests/small/crowd" 2000
    kb=$(awk '/^VmRSS/ {print $2}' "/proc/$child/status")
    finish
}
resident && normal=$kb
resident --small && small=$kb
[ "$small" -lt $((normal * 3 / 4)) ] || wrong "2000 threads: expected less memory with --small, came $small kB after $normal kB"

# Exit status, signals, and a script without #!.
gthread 7 run sh -c 'exit 7'
"$build/gthread" run sh -c 'kill -TERM $$'
[ $? = 143 ] || wrong "expected the death by SIGTERM to be the shell's to see"
start "$build/tests/small/crowd" 10
[ "$(cat "/proc/$child/comm")" = crowd ] || wrong "expected the program in the place of the command"
finish
printf 'echo script $1\n' >"$dir/script" && chmod +x "$dir/script"
gthread 0 run "$dir/script" one
expect out '^script one$'
gthread 0 run -- sh -c 'echo "$1"' sh --help
expect out '^--help$'

# --measure: both sides, with the exit status; signals are passed on.
gthread 3 run --measure "$dir/m" sh -c "$build/tests/small/blocked 200; exit 3"
[ "$(python3 -c 'import json,sys; m=json.load(open(sys.argv[1])); print(m["gthread"], m["exit_status"], m["kernel_threads"]<50, m["wall_s"]>0, m["peak_bytes"]>1e6)' "$dir/m")" = "True 3 True True True" ] ||
    wrong "measures: $(cat "$dir/m")"
gthread 0 run --measure "$dir/m" --nptl "$build/tests/small/blocked" 200
[ "$(python3 -c 'import json,sys; m=json.load(open(sys.argv[1])); print(m["gthread"], m["kernel_threads"]>150)' "$dir/m")" = "False True" ] ||
    wrong "measures: $(cat "$dir/m")"
"$build/gthread" run --measure "$dir/m" sleep 60 &
sleep 0.5
kill -TERM $!
wait $!
[ $? = 143 ] || wrong "expected SIGTERM to be passed on"

# What cannot be preloaded runs all the same, and one line says so.
printf 'int main(void) { return 5; }\n' >"$dir/s.c" && gcc -static -o "$dir/static" "$dir/s.c" || give_up "gcc -static"
gthread 5 run "$dir/static"
expect err '^gthread run: /.*/static: It is statically linked:'

# Errors.
one_line 127 'no such program' run no-such-program
one_line 127 'No such file' run ./no-such-program
one_line 126 'Permission denied' run /etc/passwd
one_line 126 'Permission denied' run /etc
one_line 125 'which program' run
one_line 125 'not a number from 1 to 1024' run -p 0 true
one_line 125 'unrecognized option' run --nonsense true
one_line 125 'No such file' run --library /nowhere/libgthread.so true
one_line 125 'No such file' run --measure /nowhere/m true
one_line 125 'No space left' run --measure /dev/full true
mkdir "$dir/a b" && cp "$build/libgthread.so" "$dir/a b"
one_line 125 'blank or colon' run --library "$dir/a b/libgthread.so" true
cp "$build/gthread" "$dir"
"$dir/gthread" run true 2>"$dir/err"
[ $? = 125 ] && expect err '^gthread run: no libgthread.so beside the command'
one_line 125 'no such command' nonsense
one_line 125 'which command'
gthread 0 --help
expect out '^usage: gthread COMMAND'
gthread 0 --version
expect out '^gthread [0-9.]+$'
for command in run compare dump top trace check; do
    gthread 0 $command --help
    expect out "^usage: gthread $command"
    "$build/gthread" $command --help >/dev/full 2>"$dir/err"
    [ $? = 125 ] || wrong "$command --help on a full disk: expected status 125"
    expect err 'No space left'
done
end
