#!/bin/bash
# command-check.sh - `gthread check`: one program of each kind, built here, and what is said of it
name=command-check
. "$(dirname "$0")/command.bash"

cat >"$dir/thread.c" <<'C'
#include <pthread.h>
static void *run(void *arg) { return arg; }
int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0) || pthread_join(t, 0); }
C
# build NAME COMMAND...: false if this machine cannot.
build_one() {
    local to=$1
    shift
    "$@" -o "$dir/$to" "$dir/thread.c" -pthread >"$dir/cc" 2>&1
}

build_one plain gcc || give_up "gcc: $(cat "$dir/cc")"
gthread 0 check "$dir/plain"
expect out '/plain: works$'
[ "$(wc -l <"$dir/out")" = 1 ] || wrong "plain: expected no remark, came $(cat "$dir/out")"

build_one static gcc -static || give_up "gcc -static"
gthread 2 check "$dir/static"
expect out ': no effect' 'statically linked'
build_one static-pie gcc -static-pie || give_up "gcc -static-pie"
gthread 2 check "$dir/static-pie"

build_one asan gcc -fsanitize=address || give_up "gcc -fsanitize=address"
gthread 3 check "$dir/asan"
expect out 'uses AddressSanitizer'
build_one tsan gcc -fsanitize=thread || give_up "gcc -fsanitize=thread"
gthread 3 check "$dir/tsan"
expect out 'uses ThreadSanitizer'
# What matters of a program for musl, or with 32 bits, is its loader, or its header.
build_one musl gcc -Wl,-dynamic-linker,/lib/ld-musl-x86_64.so.1 || give_up "gcc -dynamic-linker"
gthread 3 check "$dir/musl"
expect out 'linked with musl'
build_one other gcc -Wl,-dynamic-linker,/lib/ld-other.so || give_up "gcc -dynamic-linker"
gthread 3 check "$dir/other"
expect out 'loader /lib/ld-other.so is not glibc'
printf '.globl _start\n_start: ud2\n' | as --32 -o "$dir/32.o" - && ld -m elf_i386 -o "$dir/thirty-two" "$dir/32.o" ||
    give_up "as --32"
gthread 2 check "$dir/thirty-two"
expect out '32-bit program'

cp "$dir/plain" "$dir/setuid" && chmod 4755 "$dir/setuid"
gthread 2 check "$dir/setuid"
expect out 'set-user-id: unless .* runs it, ld.so ignores the preload'
cp "$dir/plain" "$dir/setgid" && chmod 2755 "$dir/setgid"
gthread 2 check "$dir/setgid"
expect out 'set-group-id'
cp "$dir/plain" "$dir/caps"
if [ "$(id -u)" = 0 ]; then
    python3 -c 'import os, struct, sys  # cap_net_raw+ep, as setcap writes it
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))' "$dir/caps" ||
        give_up "setxattr failed"
    gthread 2 check "$dir/caps"
    expect out 'file capabilities'
fi

# A system call made inline: its number is told, stripped or not; the same bytes inside of another
# instruction, and in data, are none.
cat >"$dir/thread.c" <<'C'
#include <pthread.h>
int word, value;
const unsigned char data[] = {0x0f, 0x05, 0x0f, 0x05};
static void *run(void *arg) {
    long r = 202;
    __asm__ volatile("syscall" : "+a"(r) : "D"(&word), "S"(1), "d"(1) : "rcx", "r11", "memory");
    value = 0x050f050f;
    return arg;
}
int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0) || pthread_join(t, 0); }
C
build_one inline gcc -O2 || give_up "gcc: $(cat "$dir/cc")"
gthread 1 check "$dir/inline"
expect out ': works, with limits$' 'inline makes system calls inline.*\(futex\)'
strip "$dir/inline"
gthread 1 check "$dir/inline"
expect out '\(futex\)'
cat >"$dir/thread.c" <<'C'
int value;
int main(void) { value = 0x050f050f; return 0; }
C
build_one none gcc -O2
gthread 0 check "$dir/none"
expect out 'Neither it nor its libraries make threads'
! grep -q inline "$dir/out" || wrong "expected no system call in a constant, came $(cat "$dir/out")"
# The library counts too: libgomp waits by futex, inline .
cat >"$dir/thread.c" <<'C'
int main(void) {
    int n = 0;
#pragma omp parallel for reduction(+ : n)
    for (int i = 0; i < 100; i++)
        n += i;
    return n != 4950;
}
C
build_one omp gcc -fopenmp -O1 || give_up "gcc -fopenmp"
gthread 1 check "$dir/omp"
expect out 'libgomp.so.1 makes .*\(futex\)'

# Go, by the note that its linker writes.
objcopy --add-section .note.go.buildid=/dev/null --set-section-flags .note.go.buildid=contents,readonly \
    "$dir/plain" "$dir/go" || give_up "objcopy"
gthread 1 check "$dir/go"
expect out "Go's runtime"

# Scripts are followed to what runs them.
printf '#!%s\n' "$dir/plain" >"$dir/one" && printf '#!%s -x\n' "$dir/one" >"$dir/two" && chmod +x "$dir/one" "$dir/two"
gthread 0 check "$dir/two"
expect out '^  two is a script of .*/one\.$' '^  one is a script of .*/plain\.$'
printf '#!/usr/bin/env -S bash -e\n' >"$dir/three" && chmod +x "$dir/three"
gthread 0 check "$dir/three"
expect out 'three is a script of .*/bash\.$'
printf '#!%s\n' "$dir/loop" >"$dir/loop" && chmod +x "$dir/loop"
one_line 126 'neither an ELF program nor a script' check "$dir/loop"

gthread 2 check --json "$dir/setuid"
python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); sys.exit(r["verdict"]!="no_effect" or r["findings"][0]["verdict"]!="no_effect")' "$dir/out" ||
    wrong "check --json: $(cat "$dir/out")"

# A library that is not there.
printf 'int there;\n' >"$dir/gone.c" && gcc -shared -fPIC -Wl,-soname,libgone.so -o "$dir/libgone.so" "$dir/gone.c"
printf 'extern int there; int main(void) { return there; }\n' >"$dir/thread.c"
build_one needs gcc -L"$dir" -Wl,--no-as-needed -lgone && rm "$dir/libgone.so"
gthread 3 check "$dir/needs"
expect out 'does not start here, with or without: libgone.so:'

one_line 127 'no such program' check no-such-program
one_line 126 'Permission denied' check /etc
printf 'text\n' >"$dir/text" && chmod +x "$dir/text"
one_line 126 'neither an ELF program nor a script' check "$dir/text"
one_line 125 'expected one program' check
end
