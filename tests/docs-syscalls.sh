#!/bin/bash
# docs-syscalls.sh - does docs/differences.md name every system call that programs make on gthread and
# not on NPTL? A Python program with sleeps, locks and sockets, and pigz; as strace sees them.
name=docs-syscalls
. "$(dirname "$0")/command.bash"

cat >"$dir/mixed.py" <<'P'
import queue, socket, subprocess, threading, time
def sleeps(i):
    for k in range(20): time.sleep(0.001)
def computes(until):
    while time.monotonic() < until: pass
def serves(listener):
    c, _ = listener.accept()
    while d := c.recv(100): c.sendall(d)
threads = [threading.Thread(target=sleeps, args=(i,)) for i in range(50)]
threads += [threading.Thread(target=computes, args=(time.monotonic() + 0.1,)) for i in range(3)]
listener = socket.create_server(("127.0.0.1", 0))
threads.append(threading.Thread(target=serves, args=(listener,)))
for t in threads: t.start()
c = socket.create_connection(listener.getsockname())
for i in range(100):
    c.sendall(b"hello")
    c.recv(100)
c.close()
subprocess.run(["true"])
for t in threads: t.join()
time.sleep(1.5)
P
head -c 3000000 /dev/urandom >"$dir/data"

# calls FILE SETTING COMMAND...: the names of the system calls that it and its children make.
calls() {
    local to=$1 setting=$2
    shift 2
    timeout -k 5 $deadline strace -f -qq -E "$setting" -o "$dir/strace" "$@" >/dev/null 2>"$dir/err" </dev/null ||
        give_up "strace $*: status $?: $(head -c 1000 "$dir/err")"
    sed -nE 's/^[0-9]+ +([a-z_0-9]+)\(.*/\1/p' "$dir/strace" >>"$dir/$to"
}
for command in "/usr/bin/python3 $dir/mixed.py" "pigz -p 4 -kfc $dir/data"; do
    # shellcheck disable=SC2086 # a list of words
    calls ours LD_PRELOAD="$build/libgthread.so" $command
    # shellcheck disable=SC2086
    calls nptl GTHREAD=off $command
done
grep -q '^membarrier$' "$dir/ours" || wrong "the programs did not run on gthread"
sed -n '/^## System calls/,/^## When/p' docs/differences.md | grep -oE '`[a-z_0-9]+`' | tr -d '`' | sort -u >"$dir/named"
missing=$(comm -23 <(sort -u "$dir/ours") <(sort -u "$dir/nptl" "$dir/named"))
[ -z "$missing" ] || wrong "docs/differences.md does not name the system calls:" $missing
end
