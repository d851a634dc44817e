#!/bin/bash
# compat-smoke.sh - a little of compat/: does it judge right, run two programs, and write its report?
name=compat-smoke
. "$(dirname "$0")/command.bash"
export GTHREAD_COMPAT_WORK=$dir/work

python3 compat/test_compat.py >"$dir/unit" 2>&1 || wrong "test_compat.py: $(cat "$dir/unit")"

compat() {
    local want=$1 status
    shift
    timeout -k 5 120 compat/compat --library "$build/libgthread.so" --command "$build/gthread" "$@" \
        >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    [ $status = "$want" ] || wrong "compat $*: expected status $want, came $status: $(cat "$dir/err" "$dir/out")"
}
compat 0 --programs python_threads,pigz --suites none --pairs 1 --seconds 1 --report "$dir/report"
expect out '^python_threads +ok +rate +[0-9.]+ times NPTL.s, kernel threads 100[0-9] / [0-9]{1,2}$' '^pigz +ok '
expect report/index.html '^<!doctype html>' '2 of 2</b>programs verified'
# A second one compares with the first; here with one that says that a program failed.
sed -i '0,/"word": "PASS"/s//"word": "FAIL"/' "$dir/report/report.json"
compat 0 --programs python_threads --suites none --pairs 1 --seconds 1 --report "$dir/report"
expect out '^since the last report: python_threads: FAIL, now PASS'
[ -s "$dir/report/previous.json" ] || wrong "expected the last report to be kept"
[ "$(grep -c '"commit"' "$dir/report/history.json")" = 2 ] || wrong "expected two reports in the history"
expect report/index.html 'class=history' '<data value='

# A library that breaks programs is found out.
cat >"$dir/bad.c" <<'C'
#include <unistd.h>
ssize_t write(int fd, const void *buf, size_t n) { return fd == 1 ? (ssize_t)n : -1; }
C
gcc -shared -fPIC -o "$dir/bad.so" "$dir/bad.c"
timeout 120 compat/compat --library "$dir/bad.so" --command "$build/gthread" --programs pigz --suites none --pairs 1 \
    --report "$dir/bad" >"$dir/out" 2>&1
[ $? = 1 ] || wrong "a library that loses data: expected status 1, came $(cat "$dir/out")"
expect out '^pigz +FAIL '

compat 0 --list
expect out '^python_threads ' '^posixtestsuite +suite'
compat 125 --programs nonsense
expect err '^compat: nonsense: no such program'
compat 125 --suites nonsense
for options in --nonsense '--pairs many'; do
    # shellcheck disable=SC2086 # words
    compat 125 $options
    [ "$(wc -l <"$dir/err")" = 1 ] || wrong "$options: expected one line, came $(cat "$dir/err")"
done
compat 125 --library /nowhere/libgthread.so
expect err 'cannot be read'
compat 125 --programs pigz --suites none --pairs 1 --report /proc/nowhere
expect err '^compat: /proc/nowhere: '
[ "$(wc -l <"$dir/err")" = 1 ] || wrong "expected one line, came $(cat "$dir/err")"
end
