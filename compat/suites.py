"""suites.py - conformance suites of Debian packages: how each is built, and run test by test

A suite has a name, the Debian packages it needs, setup(), and run(library, folder, only), which gives
({test: word}, seconds). Words: PASS, SKIP, or how it failed. Suites that can run some of their tests
alone say so by `selects`.
"""
import ctypes
import glob
import os
import pathlib
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree

from work import WORK, Test, debian_source, install, progress, run, run_tests, tap


CLONE_NEWIPC = 0x08000000


class Suite:
    packages, jobs, selects, minutes = [], 2, True, 1

    def setup(self):
        install(self.packages)

    @property
    def build(self):
        folder = WORK / "suites" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def tests(self, folder):
        raise NotImplementedError

    environment = {}

    def run(self, library, folder, only=None):
        tests = [t for t in self.tests(folder) if only is None or t.name in only]
        side = "gthread" if library else "NPTL"
        return run_tests(tests, library, folder, self.jobs, f"{self.name} on {side}", self.environment)


def compile_all(commands, label):
    """Runs compilers, two at a time; what does not compile is not there afterwards."""
    running, n = [], 0
    for command in commands:
        while len(running) >= 2:
            running = [p for p in running if p.poll() is None]
            time.sleep(0.01)
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        n += 1
        progress(f"{label}: compiling, {n} of {len(commands)}")
    for p in running:
        p.wait()
    progress("")


class Libstdcxx(Suite):
    """The threads, futures, mutexes, latches and semaphores of libstdc++: all its run tests."""
    name, packages, minutes = "libstdcxx", ["g++", "gcc-12-source"], 0.5

    def setup(self):
        super().setup()
        source, done = self.build / "source", self.build / "done"
        if done.exists():
            return
        source.mkdir(exist_ok=True)
        tar = glob.glob("/usr/src/gcc-12/gcc-12*.tar.xz")[0]
        run(["tar", "-xf", tar, "-C", source, "--strip-components=1", "--wildcards",
             "*/libstdc++-v3/testsuite/30_threads/*", "*/libstdc++-v3/testsuite/util/*"])
        suite, commands = source / "libstdc++-v3" / "testsuite", []
        for test in sorted((suite / "30_threads").rglob("*.cc")):
            text = test.read_text(errors="replace")
            if not re.search(r"dg-do run", text):
                continue
            standard = re.search(r"-std=(?:gnu|c)\+\+\w+", text)
            target = re.search(r"dg-do run *\{ *target [^}]*c\+\+(\d+)", text)
            level = standard.group() if standard else "-std=gnu++" + (
                target.group(1) if target and target.group(1) > "17" else "17")
            commands.append(["g++", "-O0", "-w", level, "-I", suite / "util", "-I", suite, test, "-pthread",
                             "-o", self.program(test.relative_to(suite / "30_threads"))])
        compile_all(commands, self.name)
        done.touch()

    def program(self, path):
        return self.build / (str(path.with_suffix("")).replace("/", "__") + ".test")

    def tests(self, folder):
        return [Test(p.stem, [p], folder) for p in sorted(self.build.glob("*.test"))]


class RtTests(Suite):
    """The programs of rt-tests that use threads, a few seconds of each."""
    name, packages, jobs, minutes = "rt-tests", ["rt-tests"], 1, 0.7
    commands = """hackbench -T -p -g 4 -l 200|hackbench -T -g 4 -l 200|hackbench -T -g 20 -f 20 -l 20
        hackbench -T -i -g 2 -l 50|hackbench -P -g 4 -l 200|ptsematest -t 2 -p 0 -i 1000 -D 3 -q
        ptsematest -a -t -p 50 -i 1000 -D 3 -q|svsematest -t 2 -p 0 -i 1000 -D 3 -q
        pmqtest -t 2 -p 0 -i 1000 -D 3 -q|sigwaittest -t 2 -p 0 -i 1000 -D 3 -q
        sigwaittest -f -t 2 -p 0 -i 1000 -D 3 -q|signaltest -t 4 -l 2000 -q
        cyclictest --policy other -t 4 -i 1000 -D 3 -q|cyclictest -p 50 -t 4 -i 1000 -D 3 -q
        pi_stress --duration 3 --groups 2 --quiet|pip_stress|rt-migrate-test -l 5|ssdd 5 200
        queuelat -m 1000 -c 100 -p 10 -f 1000 -t 2|oslat -D 2 -q"""

    def tests(self, folder):
        commands = [c.split() for c in re.split(r"[|\n]", self.commands)]
        return [Test("_".join(c).replace("--", "-"), c, folder) for c in commands]


class Glib(Suite):
    """GLib's installed tests about locks, threads, pools, main loops, sockets and D-Bus."""
    name, packages, minutes = "glib", ["libglib2.0-tests"], 2
    folder = pathlib.Path("/usr/libexec/installed-tests/glib")
    chosen = """1bit-mutex array-test async-close-output-stream async-splice-output-stream asyncqueue atomic
        bitlock cancellable closure-refcount cond contexts converter-stream dataset file gdbus-connection
        gdbus-peer gdbus-proxy-threads gdbus-server-auth gdbus-threading gsocketclient-slow gsubprocess hash
        live-g-file logging mainloop memory-monitor mutex network-monitor-race object objects-refcount2 once
        onceinit pollable private properties-refcount2 queue rand rcbox readwrite rec-mutex refcount
        references resources rwlock sequence signal-handler signals signals-refcount2 slice slice-concurrent
        sleepy-stream socket socket-listener socket-service spawn-multithreaded spawn-singlethread spawn-test
        task testing thread thread-deprecated thread-pool thread-pool-slow threadtests timeout timer unix
        unix-fd unix-streams""".split()
    environment = {"G_TEST_SRCDIR": str(folder), "G_TEST_BUILDDIR": str(folder), "GIO_USE_VFS": "local",
                   "G_ENABLE_DIAGNOSTIC": "0", "DBUS_SESSION_BUS_ADDRESS": ""}

    def tests(self, folder):
        return [Test(n, [self.folder / n, "--tap"], folder, 120, tap)
                for n in self.chosen if os.access(self.folder / n, os.X_OK)]


class PerlThreads(Suite):
    """Perl's own tests of threads, shared data, queues, semaphores, fork, alarm and sleep."""
    name, packages, minutes = "perl-threads", ["perl"], 1.5
    parts = {"threads": "dist/threads", "threads-shared": "dist/threads-shared",
             "Thread-Queue": "dist/Thread-Queue", "Thread-Semaphore": "dist/Thread-Semaphore",
             "Time-HiRes": "dist/Time-HiRes"}
    core = ["threads*.t", "fork.t", "alarm.t", "kill0.t", "sselect.t", "sleep.t"]

    def setup(self):
        super().setup()
        if (self.build / "done").exists():
            return
        perl = debian_source("perl")
        for part, place in self.parts.items():
            shutil.copytree(perl / place / "t", self.build / part / "t", dirs_exist_ok=True)
            if part != "Time-HiRes":
                shutil.copy(perl / "t" / "test.pl", self.build / part / "t")
            for folder in ("lib", "arch"): # some look for themselves in a build tree
                (self.build / part / "blib" / folder).mkdir(parents=True, exist_ok=True)
        core = self.build / "core"
        (core / "op").mkdir(parents=True, exist_ok=True)
        for pattern in self.core + ["threads*.pl"]:
            for f in (perl / "t" / "op").glob(pattern):
                shutil.copy(f, core / "op")
        for f in ("test.pl", "charset_tools.pl", "loc_tools.pl"):
            shutil.copy(perl / "t" / f, core)
        # They put ../lib before everything: what the system's perl has.
        (self.build / "lib").mkdir(exist_ok=True)
        for folder in run(["perl", "-e", 'print "$_\n" for grep m{^/usr/(share|lib)}, @INC']).split():
            if os.path.isdir(folder):
                run(["cp", "-rsf", os.path.realpath(folder) + "/.", self.build / "lib"])
        (self.build / "done").touch()

    def tests(self, folder):
        found = []
        for part in [*self.parts, "core"]:
            for t in sorted((self.build / part).glob("*/*.t")):
                found.append(Test(f"{part}/{t.stem}", ["/usr/bin/perl", "-w", t.relative_to(self.build / part)],
                                  self.build / part, 180, tap))
        return found


class Posix(Suite):
    """The Open POSIX Test Suite: threads, semaphores, signals, message queues, asynchronous I/O, timers."""
    name, packages, jobs, minutes = "posixtestsuite", ["gcc", "util-linux"], 4, 6
    interfaces = """pthread_* sem_* sched_* sig* mq_* aio_* lio_listio timer_* clock_* nanosleep kill killpg
        raise fork""".split()
    words = {0: "PASS", 1: "FAIL", 2: "UNRESOLVED", 4: "SKIP", 5: "SKIP"}

    def sources(self, root):
        for pattern in self.interfaces:
            yield from sorted((root / "conformance" / "interfaces").glob(f"{pattern}/**/[0-9]*-*.c"))
        for f in sorted((root / "functional").rglob("*.c")):
            # Helpers are no programs; the inversion tests take many minutes.
            if "int main" in f.read_text(errors="replace") and not re.search("pi_test|watchdog", str(f)):
                yield f

    def setup(self):
        super().setup()
        if (self.build / "done").exists():
            return
        root, commands = debian_source("posixtestsuite"), []
        for f in self.sources(root):
            # To set the machine's clock would disturb everybody.
            if "buildonly" in f.name or re.search(r"(clock_settime|settimeofday) *\(", f.read_text(errors="replace")):
                continue
            name = f.relative_to(root).with_suffix("")
            if name.parts[0] == "conformance":
                name = name.relative_to("conformance/interfaces")
            to = self.build / "bin" / name
            to.parent.mkdir(parents=True, exist_ok=True)
            commands.append(["gcc", "-w", "-O1", "-std=gnu99", "-D_GNU_SOURCE", "-include", "signal.h",
                             "-include", "fcntl.h", f"-I{root}/include", f"-I{f.parent}",
                             f"-I{root}/functional/threads/include", f"-I{root}/functional/threads/tools",
                             f, "-o", to, "-pthread", "-lrt", "-lm"])
        compile_all(commands, self.name)
        (self.build / "done").touch()

    def tests(self, folder):
        judge = lambda status, log: self.words.get(status, f"STATUS{status}")
        return [Test(str(p.relative_to(self.build / "bin")), [p], p.parent, 90, judge)
                for p in sorted((self.build / "bin").rglob("*")) if p.is_file()]

    def run(self, library, folder, only=None):
        """They ask for more messages in a queue than the default allows: the limit is raised, in an IPC
        namespace of this process, which it leaves again."""
        home = os.open("/proc/self/ns/ipc", os.O_RDONLY | os.O_CLOEXEC)
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            if libc.unshare(CLONE_NEWIPC) == 0:
                pathlib.Path("/proc/sys/fs/mqueue/msg_max").write_text("256")
                pathlib.Path("/proc/sys/fs/mqueue/msgsize_max").write_text("65536")
            return super().run(library, folder, only)
        finally:
            libc.setns(home, CLONE_NEWIPC)
            os.close(home)


class StressNg(Suite):
    """Stressors of stress-ng that have to do with threads, each verifying itself for three seconds."""
    name, packages, jobs, minutes = "stress-ng", ["stress-ng"], 1, 5.5
    chosen = """access affinity aio aiol alarm atomic brk clock clone context daemon dekker dnotify epoll
        eventfd exec fault fifo flock fork futex get getrandom hrtimers hsearch inotify io-uring itimer kill
        lease lockbus locka lockf lockofd malloc membarrier mlock mmapfork mq mremap msg munmap mutex
        nanosleep null peterson pipe pipeherd poll procfs pthread resources rseq schedpolicy sem sem-sysv
        sendfile session shm sigabrt sigchld sigfd sigfpe sigio signal signest sigpipe sigq sigrt sigsegv
        sigsuspend sigtrap sleep sock sockabuse sockmany sockpair spawn splice stack stackmmap switch
        sysinfo tee timer timerfd tlb-shootdown tsearch udp udp-flood userfaultfd vfork vm-splice vma wait
        yield zlib zombie""".split()
    seconds = 3

    def tests(self, folder):
        judge = lambda status, log: {0: "PASS", 3: "SKIP", 4: "SKIP"}.get(status, f"STATUS{status}")
        known = subprocess.run(["stress-ng", "--help"], capture_output=True, text=True).stdout
        return [Test(n, ["stress-ng", "--no-rand-seed", f"--{n}", "2", "--timeout", self.seconds, "--verify",
                         "--temp-path", folder], folder, self.seconds + 40, judge)
                for n in self.chosen if re.search(rf"--{n} N", known)]


class Python(Suite):
    """CPython's tests of threads, processes, signals, sockets, asyncio and what is built on them."""
    name, packages, selects, minutes = "python", ["libpython3.11-testsuite", "python3.11"], False, 7
    chosen = """_xxsubinterpreters asynchat asyncio asyncore bz2 capi concurrent_futures context contextlib
        ctypes dbm decimal docxmlrpc eintr embed epoll faulthandler fork1 ftplib functools gc hashlib httplib
        httpservers imaplib import importlib interpreters io logging lzma mailbox multiprocessing_fork
        multiprocessing_forkserver multiprocessing_main_handling multiprocessing_spawn openpty os poll popen
        poplib posix print pty queue regrtest robotparser sched select selectors signal smtplib socket
        socketserver sqlite3 ssl subprocess super syslog telnetlib tempfile thread threadedtempfile threading
        threading_local threadsignals time timeout urllib2_localnet wait3 wait4 weakref xmlrpc zipfile
        zlib""".split()

    def run(self, library, folder, only=None):
        folder.mkdir(parents=True, exist_ok=True)
        report, begin = folder / "junit.xml", time.monotonic()
        files = [f"test_{n}" for n in self.chosen if glob.glob(f"/usr/lib/python3.11/test/test_{n}*")]
        env = dict(os.environ, TMPDIR=str(folder), LC_ALL="C.UTF-8")
        if library:
            env["LD_PRELOAD"] = str(library)
        progress(f"{self.name} on {'gthread' if library else 'NPTL'}: some minutes")
        with open(folder / "log", "w") as log:
            subprocess.run(["/usr/bin/python3.11", "-m", "test", f"-j{self.jobs}", "--timeout", "300", "-u", "none",
                            "--junit-xml", report, "-v", "-i", "*ThreadedVSOCK*", *files],
                           cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        results = self.of_cases(report)
        results.update(self.of_files((folder / "log").read_text(errors="replace")))
        progress("")
        return results, time.monotonic() - begin

    @staticmethod
    def of_cases(report):
        results = {}
        for case in xml.etree.ElementTree.parse(report).iter("testcase") if report.exists() else ():
            name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
            bad = next((c.tag for c in case if c.tag in ("failure", "error")), None)
            skipped = case.find("skipped") is not None or case.get("result") == "skipped"
            results[name] = "SKIP" if skipped else "PASS" if not bad else bad.upper()
        return results

    @staticmethod
    def of_files(log):
        """A file that crashes or hangs loses its single results, so its verdict counts too."""
        line = re.compile(r"^\d+:\d\d:\d\d (?:load avg: \S+ )?\[ *\d+/\d+(?:/\d+)?\] (\S+) (\w+)", re.M)
        return {f"file {m[1]}": {"passed": "PASS", "skipped": "SKIP", "ran": "SKIP"}.get(m[2], m[2].upper())
                for m in line.finditer(log)}


class Ruby(Suite):
    """Ruby's tests of threads, queues, processes, signals, sockets and fibers, by the system's ruby."""
    name, packages, selects, minutes = "ruby", ["ruby"], False, 2
    files = """ruby/test_thread ruby/test_thread_cv ruby/test_thread_queue ruby/test_threadgroup ruby/test_sleep
        ruby/test_fiber ruby/test_condition ruby/test_signal ruby/test_process ruby/test_io
        monitor/test_monitor socket/test_socket socket/test_tcp socket/test_udp socket/test_unix
        socket/test_nonblock test_timeout test_weakref ruby/test_autoload ruby/test_backtrace fiber/test_mutex
        fiber/test_scheduler fiber/test_sleep fiber/test_process fiber/test_thread fiber/test_io
        drb/test_drb""".split()
    letter = {"F": "FAIL", "E": "ERROR", "S": "SKIP"}

    def setup(self):
        super().setup()
        debian_source("ruby3.1")

    def run(self, library, folder, only=None):
        source, begin = debian_source("ruby3.1"), time.monotonic()
        files = [f"test/{f}.rb" for f in self.files if (source / "test" / f"{f}.rb").exists()]
        argv = ["ruby", "-Itool/lib", "-Itest/lib", "tool/test/runner.rb", "-v"]
        runs, _ = run_tests([Test(f, [*argv, f], source, 300) for f in files], library, folder, 1,
                            f"{self.name} on {'gthread' if library else 'NPTL'}", keep_logs=True)
        results = {f"file {name}": word for name, word in runs.items()}
        for f in files:
            log = folder / (f.replace("/", "__") + ".log")
            text = log.read_text(errors="replace") if log.exists() else ""
            for m in re.finditer(r"^\[ *\d+/\d+\] (\S+#test_\S+) = [\d.]+ s(?: = ([FES]))?", text, re.M):
                results[m[1]] = self.letter.get(m[2], "PASS")
        return results, time.monotonic() - begin


class Mariadb(Suite):
    """A subset of MariaDB's own tests, a thread for each connection; the library is in the server only."""
    name, packages, selects, minutes = "mariadb", ["mariadb-server", "mariadb-test"], False, 3.5
    root = pathlib.Path("/usr/share/mysql/mysql-test")
    chosen = """main.connect main.kill main.kill-2 main.kill_processlist-6619 main.lock_multi main.lock_kill
        main.mdl main.read_only main.flush main.deadlock_innodb main.lock_user main.events_1 main.events_2
        main.events_bugs main.shutdown main.status main.processlist main.wait_timeout main.max_statement_time
        main.sp-threads main.group_by main.join main.subselect main.order_by main.insert main.delete
        main.update main.select main.union main.func_time main.view main.trigger main.sp main.partition
        main.alter_table_online main.ssl main.ssl_connect main.delayed main.lock_sync main.query_cache
        main.multi_update main.rename main.truncate main.lock main.xa main.commit main.consistent_snapshot
        innodb.innodb-lock innodb.innodb_lock_wait_timeout_1 innodb.lock_deleted_record
        innodb.deadlock_detect innodb.innodb_bug53756 innodb.purge_thread_shutdown
        innodb.row_lock innodb.insert_into_empty perfschema.threads_mysql perfschema.threads_innodb
        perfschema.socket_connect maria.maria-connect""".split()

    def there(self, test):
        suite, name = test.split(".")
        places = [self.root / "main"] if suite == "main" else [self.root / "suite" / suite / "t",
                                                              self.root / "suite" / suite]
        return any((p / f"{name}.test").exists() for p in places)

    def run(self, library, folder, only=None):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "mysql")
        begin, tests = time.monotonic(), [t for t in self.chosen if self.there(t)]
        preload = [f"--mysqld-env=LD_PRELOAD={library}"] if library else []
        argv = ["perl", "./mysql-test-run.pl", f"--vardir={folder}/var", f"--tmpdir=/tmp/mtr{os.getpid()}",
                "--force", "--max-test-fail=0", "--retry=0", f"--parallel={self.jobs}", "--testcase-timeout=3",
                "--suite-timeout=20", "--nocheck-testcases", *preload, *tests]
        progress(f"{self.name} on {'gthread' if library else 'NPTL'}: some minutes")
        done = subprocess.run(["setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups", *argv],
                              cwd=self.root, capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL)
        (folder / "log").write_text(done.stdout + done.stderr)
        words = {"pass": "PASS", "fail": "FAIL", "skipped": "SKIP", "disabled": "SKIP"}
        results = {m[1] + (f" {m[2]}" if m[2] else ""): words[m[3]] for m in re.finditer(
            r"^(\w+\.[-\w]+)(?: '(\S+)')? +(?:w\d+ +)?\[ (pass|fail|skipped|disabled) ", done.stdout, re.M)}
        progress("")
        return results, time.monotonic() - begin


SUITES = {s.name: s for s in (Libstdcxx(), RtTests(), PerlThreads(), Glib(), Posix(), StressNg(), Mariadb(),
                              Ruby(), Python())}
