#!/bin/bash
# command-dump.sh - `gthread dump`: does it show the goroutines of tests/small/parked.c and crowd.c,
# in a process, a hung one, a stopped one and a core file, with the frames that gdb finds?
name=command-dump
. "$(dirname "$0")/command.bash"

# look: what must be there of tests/small/parked.c.
look() {
    expect out '^parked [0-9]+.*: 6 goroutines on [0-9]+ kernel threads, 2 Ps$' \
        '^goroutine 1 "parked" tid [0-9]+ \[waiting: net read' \
        '^goroutine [0-9]+ "in-sleep" tid [0-9]+ \[waiting: sleep' \
        '^goroutine 3 "in-cond" tid [0-9]+ \[waiting: cond 0x[0-9a-f]+ <cond>' \
        '^goroutine [0-9]+ "in-mutex" tid [0-9]+ \[waiting: mutex 0x[0-9a-f]+ <mutex> held by goroutine 1' \
        '^goroutine [0-9]+ "spinning" tid [0-9]+ \[running, kernel thread [0-9]+\]:$' \
        '^goroutine [0-9]+ "unjoined" tid [0-9]+ \[dead\]:$' \
        '#.* wait_in_cond at .*parked.c:[0-9]+ in parked$' '#.* cond_thread at ' '#.* wait_in_mutex at ' \
        '#.* wait_in_sleep at ' '#0 +spin_in_loop at ' '#1 +spin_thread at ' '#.* main at '
}

# as_gdb WHAT GDB-ARGUMENT...: compares the program counters of each goroutine's frames with those
# that gdb finds, without inlined ones and the library's own. gdb stops at main.
cat >"$dir/frames.py" <<'P'
import gdb
def frames():
    f, found = gdb.selected_frame(), []
    while f:
        lib = gdb.solib_name(f.pc()) or ""
        if f.type() != gdb.INLINE_FRAME and "libgthread" not in lib:
            found.append(hex(f.pc()))
        f = f.older()
    print("FRAMES", " ".join(found))
P
cat >"$dir/ours.py" <<'P'
import json, sys
for g in json.load(open(sys.argv[1]))["goroutines"]:
    if g["state"] not in ("dead", "running"):
        names = [f.get("function") for f in g["frames"]]
        last = names.index("main") + 1 if "main" in names else len(names)
        print(g["id"], " ".join(f["pc"] for f in g["frames"][:last]))
P
as_gdb() {
    local what=$1 id ours gdbs n=0
    shift
    gthread 0 dump --json "$what"
    python3 "$dir/ours.py" "$dir/out" >"$dir/ours" || wrong "dump --json: no JSON"
    while read -r id ours; do
        gdbs=$(timeout -k 5 $deadline gdb -nx -batch -x tools/gthread-gdb.py -x "$dir/frames.py" "$@" \
            -ex "goroutine $id python frames()" 2>/dev/null </dev/null | sed -n 's/^FRAMES //p')
        [ "$gdbs" = "$ours" ] || wrong "goroutine $id of $what: gdb finds '$gdbs', came '$ours'"
        n=$((n + 1))
    done <"$dir/ours"
    [ $n = 4 ] || wrong "$what: expected 4 goroutines to compare, came $n"
}

start "$build/tests/small/parked"
gthread 0 dump "$child"
look
as_gdb "$child" -p "$child"
gthread 0 dump --goroutine 3 --library "$child"
expect out '#.* arch_switch' '#.* lot_wait' '#.* arch_entry'
gthread 0 dump --kernel "$child"
expect out '^kernel thread [0-9]+ .* without a goroutine:$' '#.* sysmon_main'
gthread 0 dump --goroutine 3 --frames 5 --json "$child"
python3 -c '
import json, sys
g, = json.load(open(sys.argv[1]))["goroutines"]
ok = g["id"] == 3 and g["name"] == "in-cond" and g["waits_for"] == "cond" and g["object_name"] == "cond"
sys.exit(not (ok and 0 < g["seconds"] < 600 and g["frames"][0]["function"] == "wait_in_cond"))' "$dir/out" ||
    wrong "dump --json: $(cat "$dir/out")"
one_line 125 'there is no goroutine 99' dump -g 99 "$child"
one_line 125 'not a number from 1 to 1024' dump -n 0 "$child"

# A stopped process stays so.
kill -STOP "$child"
gthread 0 dump "$child"
look
case $(ps -o stat= -p "$child") in T*) ;; *) wrong "expected the process to be stopped as before" ;; esac
kill -CONT "$child"

# A process that somebody else traces.
sleep 1000 3>&- &
other=$!
children+=("$other")
python3 - "$other" >"$dir/tracer" 3>&- <<'P' &
import ctypes, sys, time
libc = ctypes.CDLL(None)
libc.ptrace(0x4206, int(sys.argv[1]), 0, 0)  # PTRACE_SEIZE
print("traces", flush=True)
time.sleep(1000)
P
tracer=$!
children+=("$tracer")
for ((i = 0; i < 100; i++)); do
    grep -q traces "$dir/tracer" 2>/dev/null && break
    sleep 0.1
done
one_line 125 "process $other is traced by process $tracer, " dump "$other"
end_child "$tracer" "$other"

# The same from a core file of gdb's, and once more from the library without debug information.
timeout $deadline gdb -nx -batch -x tools/gthread-gdb.py -p "$child" -ex "goroutine core $dir/image" \
    >/dev/null 2>&1 </dev/null || wrong "gdb writes no core file"
finish
gthread 0 dump "$dir/image"
look
as_gdb "$dir/image" "$build/tests/small/parked" "$dir/image"
truncate -s 100000 "$dir/image"
gthread 125 dump "$dir/image"

# A core file of the kernel's, where it writes them into the current folder; a stripped library.
strip -o "$dir/libgthread.so" "$build/libgthread.so"
start_for_core "$dir/libgthread.so" "$build/tests/small/parked"
gthread 0 dump "$child"
look
if kernel_core; then
    gthread 0 dump "$core"
    look
fi

# A hung process, and why it hangs.
start "$build/tests/small/crowd" deadlock
gthread 0 dump "$child"
expect out '^deadlock: goroutine 2 waits for 3 waits for 2$' '#.* lock_in_turn at ' '<left> held by goroutine 2' \
    '<right> held by goroutine 3'
end_child "$child"
exec 3>&-

# Ten thousand: within 3 s, alike ones once.
start "$build/tests/small/crowd" 10000
before=$(date +%s%N)
gthread 0 dump "$child"
ms=$((($(date +%s%N) - before) / 1000000))
[ $ms -lt 3000 ] || wrong "dump of 10,000 goroutines: expected 3000 ms at most, came $ms"
expect out '10001 goroutines on ' '^10000 goroutines \[waiting: cond 0x[0-9a-f]+ <cond>' '^  goroutines 2-10001$' \
    '^  #0 +wait_in_crowd at '
[ "$(wc -l <"$dir/out")" -lt 30 ] || wrong "expected a short dump of goroutines that are alike"
gthread 0 dump --ungrouped "$child"
[ "$(grep -c '#0 *wait_in_crowd' "$dir/out")" = 10000 ] || wrong "expected 10000 backtraces"
finish

# Errors.
cannot_look dump
no_thread_yet dump
one_line 125 'neither a process nor a core file' dump /etc/passwd
one_line 125 'No such file' dump ./no-such-core
one_line 125 'expected one process id or core file' dump
one_line 125 'unrecognized option' dump --nonsense 1
end
