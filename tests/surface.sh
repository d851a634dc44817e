#!/bin/bash
# surface.sh - is every function of the installed libc, and every system call, accounted for?
#
# usage: tests/surface.sh [LIB]
#
# Also: has every wrapper that can wait a row among the trials of tests/progs/waits_*.c?
#
# Compares interpose/symbols.tab and surface.tab with what libc.so.6 exports and with what the built
# library does, syscalls.tab with <sys/syscall.h>. One line for each name that is not as it should
# be: a new glibc's or kernel's names show up here.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
lib=$(realpath "${1:-$build/libgthread.so}")
libc=$(ldd "$lib" | awk '/libc\.so\.6/ {print $3}')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# rows TABLE: without comments and empty lines
rows() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }
# functions FILE: address, name, version of each that it exports
functions() { nm -D --defined-only "$1" | awk '$2 ~ /[TWi]/ {v = $3; sub(/@.*/, "", $3); sub(/^[^@]*/, "", v); print $1, $3, v}'; }

rows interpose/symbols.tab | awk '$2 != "-" {print $1}' | sort >"$work/wrapped"
rows interpose/symbols.tab | awk '$3 ~ /[?]$/ {print $1}' | sort >"$work/not_in_all"
rows interpose/surface.tab | awk '/^ / {for (i = 1; i <= NF; i++) print $i}' | sort >"$work/left"
rows interpose/syscalls.tab | awk '{for (i = 2; i <= NF; i++) print $i, $1}' | sort >"$work/numbers"
sed -nE 's/^\[[0-9]+\] = "(.*)",$/\1/p' "$build/gen/syscall_names.h" | sort >"$work/kernel"
functions "$lib" | awk '{print $2}' | sort -u >"$work/exported"
nm -D --defined-only "$lib" | awk '{sub(/@.*/, "", $3); print $3}' | sort -u >"$work/all_exported"
functions "$libc" >"$work/libc"

# unknown FUNCTIONS: those that are in neither table
unknown() {
    awk '$3 ~ /^@@/ && $3 != "@@GLIBC_PRIVATE" {print $2}' "$1" | sort -u |
        comm -23 - <(sort -u "$work/wrapped" "$work/left")
}
# aliases FUNCTIONS: not wrapped, but the same code as one that is
aliases() {
    awk -v list="$work/wrapped" '
        BEGIN { while ((getline name <list) > 0) wrapped[name] = 1 }
        $3 ~ /PRIVATE/ || ($1, $2) in seen { next }
        { seen[$1, $2] = 1; if ($2 in wrapped) of[$1] = $2; else names[$1] = names[$1] " " $2 }
        END { for (a in of) { n = split(names[a], t, " "); for (i = 1; i <= n; i++) print t[i], of[a] } }' "$1"
}

# Without a row: what only programs linked before 2.33 can call, NIS, what real-time priorities are
# needed for, and two protocols that nobody speaks any more and that look for cancellation as they like.
no_row='__fxstatat __lxstat __xstat innetgr mutex_setprioceiling rcmd rcmd_af rexec rexec_af'
# waiting FILES: the wrappers that bracket a call or park, by the name after shim_
waiting() {
    awk '
        /^(KEEP|GIVE|INSIDE|MOVES|BORN|GIVE_UNLESS)\(/ {
            macro = line = $0; sub(/\(.*/, "", macro); sub(/^[A-Z_]+\(/, "", line)
            n = split(line, arg, /, */)
            print arg[macro ~ /MOVES|BORN/ ? 1 : macro == "GIVE_UNLESS" ? 3 : 2]; next }
        /^SHIM_API .*shim_/ { name = $0; sub(/^.*shim_/, "", name); sub(/\(.*/, "", name); waits = 0 }
        name && /LIBC_CALL|IO_RESULT|BRACKETED|cancel_wait|lot_wait/ { waits = 1 }
        /^}|^SHIM_API .*}$/ { if (name && waits) print name; name = "" }' "$@" | sort -u
}
# no_trials: those of them that no row names, by any of their names
no_trials() {
    rows interpose/symbols.tab | awk '{sub(/^shim_/, "", $2); print $2, $1}' >"$work/names"
    cat tests/progs/waits_*.c | tr -cs '_a-zA-Z0-9' '\n' | sort -u >"$work/words"
    waiting shim/*.c | grep -vxF "${no_row// /$'\n'}" |
        awk -v names="$work/names" -v words="$work/words" '
            BEGIN {
                while ((getline word <words) > 0) in_rows[word] = 1
                while ((getline line <names) > 0) { split(line, f, " "); all[f[1]] = 1; if (f[2] in in_rows) has[f[1]] = 1 } }
            ($1 in all) && !($1 in has)'
}

{
    no_trials | sed 's/$/: may wait, and has no row in tests\/progs\/waits_*.c/'
    unknown "$work/libc" | sed "s|\$|: $libc has it, interpose/symbols.tab and surface.tab do not: can it wait?|"
    aliases "$work/libc" | awk '{print $1 ": is another name of " $2 ", which is wrapped; it is not"}'
    comm -12 "$work/wrapped" <(sort -u "$work/left") | sed 's/$/: is wrapped, and in interpose\/surface.tab/'
    uniq -d "$work/left" | sed 's/$/: stands in interpose\/surface.tab twice/'
    comm -23 "$work/wrapped" "$work/all_exported" | sed "s|\$|: interpose/symbols.tab says that it is wrapped, $lib does not export it|"
    comm -23 "$work/wrapped" <(awk '{print $2}' "$work/libc" | sort -u) |
        grep -vx gthread_debug | comm -23 - "$work/not_in_all" |
        sed "s|\$|: is wrapped, but $libc has no such function|"
    comm -23 "$work/kernel" <(cut -d' ' -f1 "$work/numbers") |
        sed 's/$/: a system call that interpose\/syscalls.tab does not have: can it wait?/'
    awk '$2 == "ours" {print $1}' "$work/numbers" | while read -r name; do
        grep -qw "SYS_$name" shim/syscall.c shim/syscall_fd.c shim/process.c shim/futex2.c ||
            echo "$name: interpose/syscalls.tab says that it is ours, its code is not there"
    done
} >"$work/wrong"

# Would it be noticed? A name that no libc has, and another name for a wrapped function.
{
    cat "$work/libc"
    echo "0 pthread_teleport_np @@GLIBC_9.9"
    awk '$2 == "read" {print $1, "read_renamed", "@@GLIBC_9.9"}' "$work/libc"
} >"$work/doctored"
[ "$(unknown "$work/doctored" | tr '\n' ' ')" = "$(unknown "$work/libc" | cat - <(printf 'pthread_teleport_np\nread_renamed\n') | sort | tr '\n' ' ')" ] ||
    echo "surface.sh: a name that is in neither table was not noticed" >>"$work/wrong"
aliases "$work/doctored" | grep -qx 'read_renamed [_a-z]*read' ||
    echo "surface.sh: another name of a wrapped function was not noticed" >>"$work/wrong"

waiting - <<<'KEEP(int, waits_for_nothing, (int fd), (fd))' | grep -qx waits_for_nothing && [ "$(waiting shim/*.c | wc -l)" -gt 120 ] ||
    echo "surface.sh: a wrapper that may wait was not noticed" >>"$work/wrong"

cat "$work/wrong"
echo "$(wc -l <"$work/wrapped") wrapped, $(wc -l <"$work/left") left, $(wc -l <"$work/kernel") system calls," \
    "$(wc -l <"$work/wrong") not accounted for"
[ ! -s "$work/wrong" ]
