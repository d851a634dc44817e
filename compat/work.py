"""work.py - where compat builds and runs things, Debian packages, and tests with a deadline"""
import os
import pathlib
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
WORK = pathlib.Path(os.environ.get("GTHREAD_COMPAT_WORK") or "/var/tmp/gthread-compat")


def fail(message):
    """One line, and the status with which the gthread command fails too."""
    progress("")
    print(f"compat: {message}", file=sys.stderr)
    sys.exit(125)


def progress(text):
    """One line on a terminal, overwritten; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:100]}", end="", file=sys.stderr, flush=True)


# ---- packages ----

def missing_packages(names):
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
                           capture_output=True, text=True).stdout.split("\n")
    return [n for n in names if f"{n} installed" not in shown]


def install(names):
    """Installs Debian packages that are not there. A server must not start because it is installed:
    policy-rc.d says so for the time."""
    names = missing_packages(names)
    if not names:
        return
    if os.geteuid() != 0:
        fail(f"must be root to install {' '.join(names)}")
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        apt(["install", "-y", "--no-install-recommends", *names], f"install {' '.join(names)}")
    finally:
        if ours:
            policy.unlink()


def apt(arguments, what):
    progress(f"apt-get: {what}")
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / "apt.log"
    with open(log, "ab") as to:
        command = ["apt-get", "-o", "DPkg::Lock::Timeout=900", *arguments]
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        if subprocess.run(command, stdout=to, stderr=to, env=env).returncode:
            fail(f"cannot {what}, see {log}")


def debian_source(package):
    """The unpacked Debian source of a package, from the archive that this machine is set up for; the
    entries for sources lie in a list of our own."""
    folder = WORK / "source" / package
    if folder.exists():
        return folder
    install(["dpkg-dev"])
    lists, parts, got = WORK / "apt" / "lists", WORK / "apt" / "parts", WORK / "source" / "got"
    for p in (lists / "partial", parts, got):
        p.mkdir(parents=True, exist_ok=True)
    for source in pathlib.Path("/etc/apt/sources.list.d").glob("*.sources"):
        blocks = [b for b in source.read_text().split("\n\n") if "security" not in b]
        (parts / source.name).write_text("\n\n".join(
            re.sub(r"(?m)^Types:.*", "Types: deb-src", b) for b in blocks))
    lines = pathlib.Path("/etc/apt/sources.list")
    if lines.exists():
        kept = [f"deb-src{l[3:]}" for l in lines.read_text().split("\n")
                if l.startswith("deb ") and "security" not in l]
        (parts / "main.list").write_text("\n".join(kept) + "\n")
    ours = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={parts}",
            "-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=root",
            "-o", "Dir::Cache::srcpkgcache=", "-o", "Dir::Cache::pkgcache="]
    apt([*ours, "update"], "read the lists of sources")
    before = os.getcwd()
    os.chdir(got)
    try:
        apt([*ours, "source", "--download-only", "--only-source", package], f"get the source of {package}")
    finally:
        os.chdir(before)
    description = sorted(got.glob(f"{package}_*.dsc"))
    if not description:
        fail(f"no Debian source of {package}")
    run(["dpkg-source", "--no-check", "-x", str(description[-1]), str(folder)])
    return folder


def run(command, **how):
    """A command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", **how)
    if done.returncode:
        fail(f"{shlex.join(map(str, command))}: {(done.stderr.strip() or done.stdout.strip())[-300:]}")
    return done.stdout


# ---- tests ----

class Test:
    """One program that is a test. judge(status, log) gives PASS, FAIL, SKIP or another word."""

    def __init__(self, name, argv, cwd, seconds=60, judge=None):
        self.name, self.argv, self.cwd, self.seconds = name, list(map(str, argv)), cwd, seconds
        self.judge = judge or (lambda status, log: "PASS" if status == 0 else f"STATUS{status}")


def run_test(test, library, log, env=None):
    """The word for its end. Its whole session is ended with it."""
    env = dict(os.environ, LC_ALL="C", **(env or {}))
    if library:
        env["LD_PRELOAD"] = str(library)
    with open(log, "wb") as out:
        try:
            p = subprocess.Popen(test.argv, cwd=test.cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            return f"CANNOT-RUN {error.strerror}"
        try:
            status = p.wait(test.seconds)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        p.wait()
    if status is None:
        return "TIMEOUT"
    if status < 0:
        return f"SIGNAL{-status}"
    with open(log, errors="replace") as f:
        return test.judge(status, f.read())


def run_tests(tests, library, folder, jobs, label, env=None, keep_logs=False):
    """{name: word}, and the seconds. Logs of those that do not pass stay in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    todo, results, lock = queue.Queue(), {}, threading.Lock()
    for t in tests:
        todo.put(t)

    def worker():
        while True:
            try:
                t = todo.get_nowait()
            except queue.Empty:
                return
            log = folder / (t.name.replace("/", "__") + ".log")
            word = run_test(t, library, log, env)
            if word in ("PASS", "SKIP") and not keep_logs:
                log.unlink(missing_ok=True)
            with lock:
                results[t.name] = word
                progress(f"{label}: {len(results)} of {len(tests)}")

    begin = time.monotonic()
    threads = [threading.Thread(target=worker) for _ in range(jobs)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    progress("")
    return results, time.monotonic() - begin


def tap(status, log):
    """Test Anything Protocol: every line `ok`, as many as planned."""
    ok = len(re.findall(r"(?m)^ok\b", log))
    bad = [l for l in re.findall(r"(?m)^not ok\b.*", log) if "# TODO" not in l.upper()]
    todo = len(re.findall(r"(?mi)^not ok\b.*# TODO", log))
    plan = re.search(r"(?m)^1\.\.(\d+)", log)
    if plan and plan.group(1) == "0":
        return "SKIP"
    if status or bad:
        return "FAIL"
    if not plan or ok + todo != int(plan.group(1)):
        return "INCOMPLETE"
    return "SKIP" if ok and ok == len(re.findall(r"(?mi)^ok\b.*# SKIP", log)) else "PASS"
