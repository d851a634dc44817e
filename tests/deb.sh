#!/bin/bash
# deb.sh - `make deb`: is the package well-formed and complete, does what it holds run from where it is
# unpacked, is it installed and removed without a trace, and is it the same when made again?
name=deb
. "$(dirname "$0")/command.bash"

unset MAKEFLAGS MFLAGS MAKELEVEL
# make_deb: in a folder of its own, of what has been built.
make_deb() {
    timeout -k 5 $deadline make -s deb BUILD="${BUILD:-build}" DEB="$dir/$1" >"$dir/out" 2>"$dir/err" ||
        give_up "make deb: $(cat "$dir/out" "$dir/err")"
}
make_deb one.deb
make_deb two.deb
cmp -s "$dir/one.deb" "$dir/two.deb" || wrong "made again from the same sources the package differs"

# What it says of itself.
dpkg-deb -I "$dir/one.deb" >"$dir/out" || wrong "dpkg-deb -I: status $?"
version=$("$build/gthread" --version | cut -d' ' -f2)
expect out '^ Package: gthread$' "^ Version: $version\$" "^ Architecture: $(dpkg --print-architecture)\$" \
    '^ Depends: .*libc6 \(>= [0-9.]+\)' '^ Depends: .*libjansson4' '^ Installed-Size: [0-9]+$' '^ Maintainer: .+ <.+>$' \
    '^ Description: ..*'
grep -q "gthread $version\"" docs/gthread.1 || wrong "docs/gthread.1 is not of version $version"
dpkg-deb -c "$dir/one.deb" >"$dir/out"
expect out ' root/root .* \./usr/bin/gthread$' ' \./usr/lib/libgthread\.so$' ' \./usr/share/man/man1/gthread\.1\.gz$' \
    ' \./usr/share/bash-completion/completions/gthread$' ' \./usr/lib/pkgconfig/gthread\.pc$' \
    ' \./usr/share/doc/gthread/copyright$' ' \./usr/share/gdb/auto-load/usr/lib/libgthread\.so-gdb\.py$'
! grep -qvE '^(d|-)rw[x-]r-[x-]r-[x-] root/root ' "$dir/out" || wrong "other owners or rights: $(cat "$dir/out")"

# Unpacked anywhere, it runs.
dpkg-deb -x "$dir/one.deb" "$dir/tree" && dpkg-deb -e "$dir/one.deb" "$dir/control"
(cd "$dir/tree" && md5sum --quiet -c ../control/md5sums) || wrong "md5sums do not hold"
[ "$(find "$dir/tree" -type f | wc -l)" = "$(wc -l <"$dir/control/md5sums")" ] || wrong "md5sums do not name all files"
GTHREAD_STATS=1 timeout $deadline "$dir/tree/usr/bin/gthread" run "$build/tests/small/blocked" 50 >"$dir/out" 2>"$dir/err" ||
    wrong "the unpacked command: status $?: $(cat "$dir/err")"
expect out '^all joined$'
expect err '^gthread: stats '
export PKG_CONFIG_LIBDIR=$dir/tree/usr/lib/pkgconfig
[ "$(pkg-config --modversion gthread)" = "$version" ] || wrong "pkg-config: expected version $version"
[ "$(pkg-config --variable=library gthread)" = /usr/lib/libgthread.so ] || wrong "pkg-config: expected the library's path"
gzip -dc "$dir/tree/usr/share/man/man1/gthread.1.gz" | cmp -s - docs/gthread.1 || wrong "another man page"

# Installed into an empty root and removed again: nothing of it stays.
if [ "$(id -u)" = 0 ]; then
    root=$dir/root
    mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
    : >"$root/var/lib/dpkg/status"
    in_root() {
        timeout -k 5 $deadline dpkg --root="$root" --log=/dev/null --force-depends "$@" >"$dir/out" 2>&1 ||
            wrong "dpkg $*: $(cat "$dir/out")"
    }
    in_root -i "$dir/one.deb"
    [ -x "$root/usr/bin/gthread" ] || wrong "not installed"
    [ "$(timeout $deadline dpkg --root="$root" --verify gthread)" = "" ] || wrong "dpkg --verify finds differences"
    in_root -P gthread
    left=$(find "$root" -path "$root/var" -prune -o -type f -print)
    [ -z "$left" ] && [ ! -e "$root/usr" ] || wrong "removed, but there is still: $(find "$root/usr")"
fi
end
