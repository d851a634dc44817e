#!/bin/bash
# gdb-script.sh - does tools/gthread-gdb.py show the goroutines of tests/small/parked.c, in the
# process and in core files of gdb's and of the kernel's, and does the process go on as if nothing had happened?
#
# Prints `ok gdb-script`, or what is wrong and `not ok gdb-script`. KEEP=1 keeps the files.
name=gdb-script
. "$(dirname "$0")/command.bash"

# debug OUTPUT GDB-ARGUMENT...: one run of gdb. It loads the script by itself, which lies next to
# the library under the library's name.
debug() {
    local output=$1
    shift
    timeout -k 5 $deadline gdb -nx -batch -iex "set auto-load safe-path $dir:/usr" \
        -iex 'set width 0' "$@" >"$dir/$output" 2>&1 </dev/null || wrong "$output: gdb: status $?"
}

# look OUTPUT GDB-ARGUMENT...: the same commands and expectations for process and core file.
# Goroutine 3 is the one in wait_in_cond. Which frame is selected depends on where the process was
# stopped; the first and the last `frame` must agree.
look() {
    local out=$1
    debug "$@" -ex frame -ex 'info goroutines' -ex 'goroutine 3 frame function wait_in_cond' \
        -ex 'goroutine 3 nonsense' -ex 'goroutine all bt' -ex 'goroutine 99 bt' -ex 'goroutine 1' \
        -ex frame
    expect "$out" \
        '^. +1 +[0-9]+ +parked +waiting: net read 0x[0-9a-f]+ main ' \
        ' in-sleep +waiting: sleep +pause_ms ' \
        '^  3 +[0-9]+ +in-cond +waiting: cond 0x[0-9a-f]+ <cond> wait_in_cond ' \
        ' in-mutex +waiting: mutex 0x[0-9a-f]+ <mutex> wait_in_mutex ' \
        ' spinning +running: LWP [0-9]+ +spin_in_loop ' \
        ' unjoined +dead +-' \
        '^#[0-9]+ .*wait_in_cond \(depth=.*42\) at ' '^#[0-9]+ .*cond_thread \(' \
        '^#[0-9]+ .*wait_in_mutex \(\)' '^#[0-9]+ .*mutex_thread \(' \
        '^#[0-9]+ .*wait_in_sleep \(\)' '^#[0-9]+ .*sleep_thread \(' \
        '^#[0-9]+ .*spin_in_loop \(\)' '^#[0-9]+ .*spin_thread \(' \
        '^#[0-9]+ .*main \(\)' \
        '^Undefined command: "nonsense"' '^there is no goroutine 99$' '^usage: goroutine N'
    [ "$(grep -cE '^[ *] +[0-9]+ +[0-9]+ ' "$dir/$out")" = 6 ] || wrong "$out: expected 6 goroutines"
    # The five with frames: four threads and main. Each backtrace must reach its end.
    [ "$(sed -n '/^Goroutine 1 /,$p' "$dir/$out" | grep -cE ' (arch_entry|main) \(')" = 5 ] ||
        wrong "$out: expected five complete backtraces"
    [ "$(grep '^#0 ' "$dir/$out" | sed '1p;$!d' | uniq | wc -l)" = 1 ] ||
        wrong "$out: expected the selected frame to be the same after the commands"
}

command -v gdb >/dev/null || give_up "gdb is not installed"
make -s BUILD="$build" "$build/libgthread.so" "$build/tests/small/parked" || give_up "make failed"
# Copies: somebody may build while gdb reads them.
cp "$build/libgthread.so" "$build/tests/small/parked" "$dir" || give_up "cp failed"
cp tools/gthread-gdb.py "$dir/libgthread.so-gdb.py" || give_up "cp failed"

start_by env LD_PRELOAD="$dir/libgthread.so" "$dir/parked"
look process -p "$child" -ex "goroutine core $dir/image"
look again -p "$child"
finish
look core "$dir/parked" "$dir/image"

# The same from a core file of the kernel's, where it writes them into the current folder.
start_for_core "$dir/libgthread.so" "$dir/parked"
if kernel_core; then look kernels "$dir/parked" "$core"; fi

# Where there is nothing to show, one line says so.
strip -g -o "$dir/stripped" "$dir/libgthread.so" && mv "$dir/stripped" "$dir/libgthread.so"
debug nothing -ex "source tools/gthread-gdb.py" -ex 'info goroutines' \
    -ex "set exec-wrapper env LD_PRELOAD=$dir/libgthread.so" -ex 'break main' -ex run \
    -ex 'goroutine 1 bt' -ex kill "$dir/parked"
expect nothing '^there is no process and no core file$' '^.*libgthread.so has no debug info'
cp "$build/libgthread.so" "$dir"
debug early -ex "set exec-wrapper env LD_PRELOAD=$dir/libgthread.so" -ex 'break main' -ex run \
    -ex 'info goroutines' -ex kill "$dir/parked"
expect early '^the runtime has not started'
end
