#!/usr/bin/python3
"""fuzz.py - damaged files and settings: what the command and the library make of them

usage: fuzz.py [--seed N] [--runs N] [--keep FOLDER] [check|dump|switches]...

check     `gthread check` of programs and libraries with damage in their headers, tables and ends
dump      `gthread dump` of core files with the same
switches  a program under the preload with nonsense in GTHREAD_*

Each has to end within its deadline with a status that is documented, and to say what is wrong in few
lines on stderr; a sanitizer's report or a signal is a fault. The command is the one with the address and
undefined-behaviour sanitizers, build/sanitize/gthread. Prints the seed; with --keep the files that
showed a fault stay.
"""
import argparse
import contextlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

DEADLINE = 60  # seconds; each takes some ms
BUILD = os.path.realpath(os.environ.get("BUILD", "build"))
SANITIZED = os.path.join(os.environ.get("SANITIZED", os.path.join(BUILD, "sanitize")), "gthread")
# Values at which sizes, counts and offsets overflow, or that point out of the file.
EDGES = [0, 1, 2, 3, 7, 0x7F, 0xFF, 0xFFF, 0x1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, 1 << 47,
         (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 8]


class Damaged:
    """A file some of whose numbers are changed in place, mostly where an ELF file has its header and
    tables, and changed back: a core file is too large to copy each time."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            head = f.read(64)
            self.size = os.path.getsize(path)
            phoff, shoff, phnum, shnum = *struct.unpack_from("<QQ", head, 32), *struct.unpack_from("<HxxH", head, 56)
            self.tables, self.data = [(0, 64), (phoff, phnum * 56), (shoff, shnum * 64)], []
            for i in range(phnum):  # what the segments of notes and the dynamic one hold
                f.seek(phoff + i * 56)
                kind, flags, offset, size = struct.unpack("<IIQ16xQ16x", f.read(56))
                if kind in (2, 4):
                    self.tables.append((offset, min(size, 4096)))
                elif kind == 1 and flags & 2 and 0 < size < 4 << 20:  # what the library tells of itself
                    self.data.append((offset, size))

    def places(self, rng):
        """Offsets and new bytes."""
        for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
            kind = rng.random()
            start, size = rng.choice(self.tables if kind < 0.5 or not self.data else self.data) if kind < 0.9 else (0, self.size)
            width = rng.choice([1, 2, 4, 8])
            if size < width:
                continue
            at = start + rng.randrange(0, size - width + 1)
            if rng.random() < 0.5:
                at -= at % width
            value = rng.choice(EDGES) if rng.random() < 0.7 else rng.getrandbits(64)
            yield at, (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")

    @contextlib.contextmanager
    def file(self, rng, cut):
        """The damaged file's path. Now and then it is a copy of its beginning, in `cut`."""
        was = []
        with open(self.path, "r+b", buffering=0) as f:
            for at, new in self.places(rng):
                f.seek(at)
                was.append((at, f.read(len(new))))
                f.seek(at)
                f.write(new)
            if rng.random() < 0.15:
                f.seek(0)
                with open(cut, "wb") as to:
                    to.write(f.read(rng.randrange(0, min(self.size, 1 << 20))))
                os.chmod(cut, 0o755)
                yield cut
            else:
                yield self.path
            for at, old in reversed(was):
                f.seek(at)
                f.write(old)


class Faults:
    def __init__(self, keep):
        self.n, self.keep = 0, keep

    def add(self, text, path=None):
        self.n += 1
        if path and self.keep:
            kept = os.path.join(self.keep, f"fault-{self.n}")
            shutil.copy(path, kept)
            text += f" ({kept})"
        print(text, flush=True)


def run(command, env=None):
    """Status and what it said; None: not ended within the deadline."""
    try:
        p = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        return None, ""
    return p.returncode, p.stderr.decode(errors="replace")


def files(subcommand, sources, allowed, args, rng, faults):
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:exitcode=99", UBSAN_OPTIONS="exitcode=99")
    sources = [Damaged(path) for path in sources]
    for _ in range(args.runs):
        with rng.choice(sources).file(rng, os.path.join(args.dir, "cut")) as path:
            status, said = run([SANITIZED, subcommand, path], env)
            if status not in allowed or said.count("\n") > 3:
                faults.add(f"{subcommand}: status {status}: {said[:1500]}", path)


def copy_of(args, name):
    to = os.path.join(args.dir, os.path.basename(name))
    shutil.copy(os.path.join(BUILD, name), to)
    return to


def fuzz_check(args, rng, faults):
    sources = [copy_of(args, "tests/small/blocked"), copy_of(args, "tests/progs/lib/tls_static.so")]
    files("check", sources, (0, 1, 2, 3, 125, 126), args, rng, faults)


def fuzz_dump(args, rng, faults):
    """From gdb's core file of a program with some blocked goroutines."""
    env = dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "libgthread.so"), GTHREAD_PROCS="2", GTHREAD_TEST_EXPECT="lib")
    core = os.path.join(args.dir, "core")
    with subprocess.Popen([os.path.join(BUILD, "tests/small/parked")], env=env, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        subprocess.run(["gdb", "-nx", "-batch", "-p", str(p.pid), "-ex", f"gcore {core}"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DEADLINE)
        p.kill()
    if not os.path.exists(core):
        sys.exit("fuzz.py: gdb writes no core file")
    files("dump", [core], (0, 125), args, rng, faults)


def nonsense(rng):
    words = ["", "0", "1", "2", "-1", "99999999999999999999", "off", "0x10", " 2", "2 ", ",", ",,,", "chaos=", "chaos=1",
             "chaos=1:", "chaos=1:2", "chaos=1:2-1", "chaos=x", "preempt=", "preempt=0", "preempt=-5", "schedtrace=",
             "trace=0", "trace=-1", "patch=", "patch=list", "fsbase=", "fsbase=prctl", "deadlock=off", "sigquit", "\xff\xfe", "%s%n"]
    kind = rng.random()
    if kind < 0.6:
        return ",".join(rng.choice(words) for _ in range(rng.randrange(1, 5)))
    if kind < 0.8:
        return "".join(chr(rng.randrange(1, 256)) for _ in range(rng.randrange(0, 40)))
    return rng.choice("x,=:9") * rng.randrange(1, 5000)


def fuzz_switches(args, rng, faults):
    names = ["GTHREAD_PROCS", "GTHREAD_DEBUG", "GTHREAD_STATS", "GTHREAD_FOLLOW", "GTHREAD_ONLY", "GTHREAD"]
    program = os.path.join(BUILD, "tests/small/many")
    for _ in range(args.runs):
        env = {k: v for k, v in os.environ.items() if not k.startswith("GTHREAD")}
        env["LD_PRELOAD"] = os.path.join(BUILD, "libgthread.so")
        chosen = {name: nonsense(rng) for name in rng.sample(names, rng.randrange(1, 4))}
        if len(chosen.get("GTHREAD_PROCS", "")) < 5 and chosen.get("GTHREAD_PROCS", "").isdigit():
            chosen["GTHREAD_PROCS"] = "3"
        env.update(chosen)
        status, said = run([program, "20"], {k.encode(): v.encode("latin-1") for k, v in env.items()})
        complaints = [line for line in said.split("\n") if "GTHREAD" in line]
        if status != 0 or any(len(line) > 400 for line in complaints):
            faults.add(f"{chosen}: status {status}: {said[:1500]}")


KINDS = {"check": fuzz_check, "dump": fuzz_dump, "switches": fuzz_switches}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--keep")
    parser.add_argument("kinds", nargs="*", choices=list(KINDS) + [[]])
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.runs} runs each", flush=True)
    faults = Faults(args.keep)
    with tempfile.TemporaryDirectory() as args.dir:
        for kind in args.kinds or KINDS:
            KINDS[kind](args, random.Random(f"{args.seed} {kind}"), faults)
    print(f"{faults.n} faults")
    sys.exit(faults.n > 0)


main()
