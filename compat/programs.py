"""programs.py - the matrix of real programs: each script of programs/, on NPTL and on gthread, in turns"""
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import statistics
import subprocess

from work import HERE, WORK, fail, install, progress, run

HUNG = "no end within"
DEADLINE = 60  # seconds that one run may take; the longest takes 20 on a slow machine


class Program:
    def __init__(self, path):
        self.path, self.name, text = path, path.stem, path.read_text()
        self.about = re.search(r"(?m)^# \S+ - (.*)", text)[1]
        self.packages = " ".join(re.findall(r"(?m)^# packages: (.*)", text)).split()
        self.builds = re.findall(r"(?m)^# build: (.*)", text)

    def setup(self):
        # Where a machine has its own, it is not Debian's that is wanted.
        own = {"nodejs": "/usr/bin/node", "rustc": os.path.expanduser("~/.cargo/bin/rustc")}
        install([p for p in self.packages if not os.path.exists(own.get(p, ""))])
        (WORK / "bin").mkdir(parents=True, exist_ok=True)
        src = WORK / "src"  # the folder is shared: it may be another tree's, which may be gone
        if not src.is_symlink() or src.readlink() != HERE / "src":
            src.unlink(missing_ok=True)
            src.symlink_to(HERE / "src")
        env = dict(os.environ, PATH=f"{os.environ['PATH']}:{os.path.expanduser('~/.cargo/bin')}")
        for build in self.builds:
            made, source = self.made_by(build)
            if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
                progress(f"building {made.name}")
                run(["sh", "-c", build], cwd=WORK, env=env)

    @staticmethod
    def made_by(build):
        source = HERE / re.search(r"src/\S+", build)[0]
        to = re.search(r"-o (bin/\S+)", build)
        return WORK / (to[1] if to else f"bin/{source.stem}.class"), source

    def run(self, command, library, seconds):
        """One run: {ok, why, figure, unit, smaller, and what `gthread run --measure` wrote}."""
        folder = WORK / "run" / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        env = dict(os.environ, GTHREAD=str(command), FOLDER=str(folder), BIN=str(WORK / "bin"),
                   SRC=str(HERE / "src"), DATA=str(WORK / "data"), SECONDS_LOAD=str(seconds),
                   SIDE=f"--library {library}" if library else "--nptl")
        p = subprocess.Popen([str(self.path)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        try:
            out, err = p.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            return {"ok": False, "why": f"{HUNG} {DEADLINE} s"}
        finally:
            end_session(p.pid)
        try:
            result = json.loads(out.strip().split("\n")[-1])
        except json.JSONDecodeError:
            return {"ok": False, "why": f"no result: {(err.strip() or out.strip())[-200:]}"}
        measures = folder / "measures"
        if measures.exists() and measures.stat().st_size:
            result.update({k: v for k, v in json.loads(measures.read_text()).items() if k != "program"})
        if result["ok"]:
            shutil.rmtree(folder, ignore_errors=True)
        return result


def end_session(leader):
    """Ends every process of the session: servers may have made process groups of their own."""
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int((p / "stat").read_text().rsplit(")", 1)[1].split()[3]) == leader:
                os.kill(int(p.name), signal.SIGKILL)
        except (OSError, IndexError):
            pass


PROGRAMS = {p.stem: Program(p) for p in sorted((HERE / "programs").glob("*.sh"))}

RATIOS = {"figure": "figure", "cpu": "cpu_s", "threads": "kernel_threads", "switches": "context_switches",
          "memory": "peak_bytes"}


def ratios(runs):
    """For each measure: the median ratio gthread / NPTL, the least and the most; of the figure with
    larger meaning better."""
    found = {}
    for name, key in RATIOS.items():
        pairs = [b[key] / a[key] for a, b in zip(runs["nptl"], runs["gthread"]) if a.get(key) and b.get(key)]
        if name == "figure" and runs["nptl"] and runs["nptl"][0]["smaller"]:
            pairs = [1 / p for p in pairs]
        if pairs:
            found[name] = [statistics.median(pairs), min(pairs), max(pairs)]
    return found


def judge(program, command, library, pairs, seconds, label):
    """Runs the pairs; a program that is wrong on NPTL cannot tell anything about gthread."""
    runs, bad, tries = {"nptl": [], "gthread": []}, [], 0
    for i in range(pairs):
        sides = [("nptl", None), ("gthread", library)]
        for side, lib in sides if i % 2 == 0 else sides[::-1]:
            progress(f"{label} {program.name}: pair {i + 1} of {pairs}, {side}")
            result = program.run(command, lib, seconds)
            if not result["ok"] and side == "nptl":
                return {"about": program.about, "word": "NPTL-FAILS", "why": result["why"]}
            if side == "gthread":
                tries += 1
            if result["ok"]:
                runs[side].append(result)
            else:
                bad.append(result["why"])
        if any(why.startswith(HUNG) for why in bad):
            break  # another one would cost another minute
    both = {side: {key: statistics.median(r[key] for r in runs[side] if key in r)
                   for key in RATIOS.values() if any(key in r for r in runs[side])} for side in runs}
    return {"about": program.about, "word": "PASS" if not bad else "FAIL", "tries": tries, "bad": len(bad),
            "why": bad[0] if bad else "", "unit": runs["nptl"][0]["unit"], "ratios": ratios(runs), **both}
