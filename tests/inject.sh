#!/bin/bash
# inject.sh - system calls of the library fail: EAGAIN or the call's errno, nothing lost, no hang
#
# usage: tests/inject.sh [all [CALLS]]
#
# Runs tests/progs/calls_refused with each kind of call failing at the 1st, 2nd, 3rd.. time, at every
# 2nd, 3rd, 5th, and always from the 1st, 2nd.. on. Without `all` only the first few of each, in CI;
# CALLS: only kinds that have this in their name.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(realpath "${BUILD:-build}")
few=2 steps=3
[ "${1:-}" != all ] || few=1000 steps='2 3 5'
count=$(mktemp) out=$(mktemp)
trap 'rm -f "$count" "$out"' EXIT

export CALLS_REFUSED=1 GTHREAD_TEST_EXPECT=lib GTHREAD_TEST_WATCHDOG=45

# Options of failcall, calls, error. Where memory is refused to the whole program, -a, libc refuses
# threads of its own accord; a clone is libc's always.
kinds='
mmap                     ENOMEM
madvise,process_madvise  ENOMEM
madvise,process_madvise  EINVAL
mprotect                 ENOMEM
munmap                   ENOMEM
-a clone3                EAGAIN
-a clone,clone3          EAGAIN
epoll_create1            EMFILE
eventfd2                 ENFILE
epoll_ctl                ENOSPC
epoll_ctl                ENOMEM
epoll_pwait2             ENOSYS
fcntl                    EMFILE
openat                   EMFILE
membarrier               ENOSYS
-a mmap                  ENOMEM
'
runs=0 failed=0

# refuse WHEN PROCS OPTIONS-CALLS ERROR: one run; its standard output and error go to $out.
refuse() {
    # shellcheck disable=SC2086 # options and calls
    GTHREAD_PROCS=$2 timeout 60 "$build/tests/small/failcall" -c "$count" $3 "$4" "$1" \
        env LD_PRELOAD="$build/libgthread.so" "$build/tests/progs/calls_refused" >"$out" 2>&1
    local status=$?
    runs=$((runs + 1))
    [ $status = 0 ] && return
    failed=$((failed + 1))
    echo "failcall $3 $4 $1, GTHREAD_PROCS=$2: status $status"
    head -5 "$out"
}

while read -r calls error; do
    [[ -n $calls && $calls$error == *"${2:-}"* ]] || continue
    case $calls in -a) calls="-a ${error% *}" error=${error##* } ;; esac
    refuse 0 2 "$calls" "$error"
    n=$(cat "$count")
    printf '%-24s %s: %d calls\n' "$calls" "$error" "$n"
    for ((i = 1; i <= n && i <= few; i++)); do
        refuse $i $((i % 2 + 1)) "$calls" "$error"
        refuse "$i+" $((i % 2 + 1)) "$calls" "$error"
    done
    for step in $steps; do refuse "1+$step" 2 "$calls" "$error"; done
    [ $failed -lt 10 ] || break
done <<<"$kinds"
echo "$((runs - failed)) passed, $failed failed"
[ $failed = 0 ]
