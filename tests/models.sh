#!/bin/bash
# models.sh - the protocols of sched/ as Promela models, searched by spin in all their states
#
# usage: tests/models.sh [MODEL...]    (names in models/)
#
# A model says at its head how it is to be run, one line for each run:
#     holds: SWITCHES                no error in any state
#     fails: SWITCHES | TEXT  WHY    a barrier or a step is taken out: spin must find that error
# Each model ends in assertions on what must be true when nothing can move any more (a lost wake-up
# shows there), so states that spin calls invalid ends are left to them (pan -E).
set -u
cd "$(dirname "$0")/models" || exit 1
command -v spin >/dev/null || { echo "spin is not installed"; exit 1; }
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
export tmp models=$PWD

# search MODEL SWITCHES: what pan says of it. Not optimised: that takes longer than most searches
search() {
    local dir
    dir=$(mktemp -d "$tmp/XXXXXX") && cd "$dir" || return 1
    # shellcheck disable=SC2086 # a list of words
    spin -a $2 "$models/$1.pml" >log 2>&1 && clang -w -DSAFETY -DMEMLIM=1000 -o pan pan.c >>log 2>&1 ||
        { cat log; return; }
    timeout 100 ./pan -E -m200000 -n -w22 2>&1
}

# run_one "MODEL EXPECTED LINE": one line that says whether it came as expected
run_one() {
    local name expected line switches text out error states
    read -r name expected line <<<"$1"
    switches=${line%% | *} text=${line#* | } text=${text%%  *}
    out=$(search "$name" "$switches")
    error=$(grep -m1 '^pan:[0-9]*: ' <<<"$out")
    states=$(sed -nE 's/^ *([0-9e+.]+) states, stored.*/\1 states/p' <<<"$out")
    if [ "$expected" = fails: ] && [ "${error/"$text"/}" != "$error" ]; then
        echo "ok    $name $switches: fails as it should, $states"
    elif [ "$expected" = holds: ] && grep -q 'errors: 0$' <<<"$out" &&
        ! grep -q 'max search depth too small\|Search not completed' <<<"$out"; then
        echo "ok    $name $switches: holds, $states"
    else
        echo "WRONG $name $switches: expected: $expected ${text#"$line"}"
        grep -E '[Ee]rror|pan:|states, stored|depth' <<<"$out" | head -20 | sed 's/^/    /'
    fi
}
export -f search run_one

[ $# -gt 0 ] || set -- *.pml
for file; do
    name=$(basename "$file" .pml)
    sed -nE "s/^ \* (holds:|fails:) /$name \1 /p" "$name.pml"
done >"$tmp/runs"
xargs -d '\n' -P 2 -n 1 bash -c 'run_one "$0"' <"$tmp/runs" | tee "$tmp/results"
passed=$(grep -c '^ok' "$tmp/results") runs=$(wc -l <"$tmp/runs")
echo "$passed passed, $((runs - passed)) failed"
[ "$passed" = "$runs" ] && [ "$runs" -gt 0 ]
