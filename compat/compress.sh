#!/bin/sh
# compress.sh - real compressors with threads: does what they write come back the same?
#
# usage: compat/compress.sh [LIB [RUNS [MEGABYTES]]]
#
# Each of xz, zstd, pbzip2, lbzip2 and pigz compresses a mix of text, code and random bytes with 4
# threads under the preload, RUNS times for each setting, and plain (without the preload)
# decompression must give the same bytes. Prints a line for each and `N passed, N failed`.
set -u
lib=$(realpath "${1:-build/libgthread.so}")
runs=${2:-20}
mb=${3:-20}
deadline=120 # seconds a run may take
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# A third each of text, machine code and noise, so that blocks take unequal times.
third=$((mb * 1024 * 1024 / 3))
{
    find /usr/share /usr/include -type f -size -200k -print0 2>/dev/null | sort -z |
        xargs -0 cat 2>/dev/null | head -c $third
    cat /usr/bin/* 2>/dev/null | head -c $third
    head -c $third /dev/urandom
} >"$dir/data"
sum=$(cksum <"$dir/data")

passed=0
failed=0
# one NAME SETTINGS COMPRESS DECOMPRESS
one() {
    good=0
    for _ in $(seq "$runs"); do
        # shellcheck disable=SC2086 # lists of words
        if env $2 LD_PRELOAD="$lib" timeout $deadline $3 <"$dir/data" >"$dir/packed" &&
            [ "$($4 <"$dir/packed" | cksum)" = "$sum" ]; then
            good=$((good + 1))
        fi
    done
    echo "$1: $good of $runs with $2"
    passed=$((passed + good))
    failed=$((failed + runs - good))
}

for settings in GTHREAD_PROCS=1 GTHREAD_PROCS=2 "GTHREAD_PROCS=2 GTHREAD_DEBUG=fsbase=prctl"; do
    one xz "$settings" "xz -1 -T4 -c" "xz -dc"
    one zstd "$settings" "zstd -q -T4 -c" "zstd -qdc"
    one pbzip2 "$settings" "pbzip2 -1 -p4 -c" "pbzip2 -dc"
    one lbzip2 "$settings" "lbzip2 -1 -n4 -c" "lbzip2 -dc"
    one pigz "$settings" "pigz -p4 -c" "pigz -dc"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
