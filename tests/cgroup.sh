#!/bin/bash
# cgroup.sh - in a cgroup that lets a program have few kernel threads, or little memory: threads are
# made, or EAGAIN says that they are not, and all that were made end. And with as much memory there are
# more of them than on NPTL. Without the right to make a cgroup (root, a writable mount): skipped.
name=cgroup
. "$(dirname "$0")/command.bash"

# Where a controller's cgroups can be made: of version 1, or of version 2 where it is enabled.
controller() {
    local v1=/sys/fs/cgroup/$1 v2=/sys/fs/cgroup
    if [ -e "$v1/cgroup.procs" ]; then
        echo "$v1"
    elif grep -qw "$1" "$v2/cgroup.subtree_control" 2>/dev/null; then
        echo "$v2"
    fi
}
# group CONTROLLER: makes $group.
groups=()
group() {
    local above
    above=$(controller "$1")
    group=$above/gthread-test-$1-$$
    [ -n "$above" ] && mkdir "$group" 2>/dev/null || { echo "skipped $name: no cgroups with $1"; exit 77; }
    groups+=("$group")
}
trap 'cleanup; for g in "${groups[@]}"; do rmdir "$g"; done' EXIT

# inside COMMAND...: in the group; what it says is in $dir/out. Its status.
inside() {
    timeout -k 5 $deadline sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@" >"$dir/out" 2>"$dir/err" </dev/null
}
# made: how many threads there were, from the last run; all of them have ended.
made() { sed -nE 's/^([0-9]+) threads.*/\1/p' "$dir/out"; }
many=$build/tests/small/many
preload=LD_PRELOAD=$build/libgthread.so

# ---- kernel threads ----
group pids
for most in 2 3; do # less than the runtime needs to begin
    echo $most >"$group/pids.max"
    inside env "$preload" "$many" 1000 || wrong "pids.max $most: status $?: $(cat "$dir/err")"
    expect out '^0 threads, Resource temporarily unavailable$' '^joined$'
done
for most in 5 8; do
    echo $most >"$group/pids.max"
    for procs in 1 4; do
        inside env "$preload" GTHREAD_PROCS=$procs "$many" 1000 || wrong "pids.max $most: status $?"
        expect out '^1000 threads, Success$' '^joined$'
    done
done
inside "$many" 1000
expect out '^[0-9] threads, Resource temporarily unavailable$' '^joined$'

# ---- memory ----
# NPTL in a group of 64 MB: as many as there are when the kernel ends it, or refuses more.
group memory
limit=$((64 << 20))
if [ -e "$group/memory.max" ]; then
    echo $limit >"$group/memory.max"
    echo 0 >"$group/memory.swap.max" 2>/dev/null
else
    echo $limit >"$group/memory.limit_in_bytes"
    echo $limit >"$group/memory.memsw.limit_in_bytes" 2>/dev/null
fi
most() { # the most threads of which all end well
    local n best=0
    for n in 500 1000 1500 2000 3000 4000 5000; do
        inside env $1 "$many" $n && [ "$(made)" = $n ] && best=$n
    done
    echo $best
}
nptl=$(most X=)
gthread=$(most "$preload")
[ "$nptl" -ge 500 ] || wrong "memory: expected 500 threads on NPTL, came $nptl"
[ "$gthread" -ge $((2 * nptl)) ] || wrong "memory: expected twice NPTL's $nptl threads, came $gthread"
end
