#!/usr/bin/python3
"""trace_adds_up.py - does a file of `gthread trace` add up?

usage: trace_adds_up.py [--stats FILE [--tolerance N]] [--damage KIND] TRACE

Looks only at what stands in the file: no two goroutines at a time on a P, no goroutine at a time on
two, no gap and no overlap in a goroutine's states; each wait is followed by one ready, with its
reason, and that by a run; each arrow has two ends that lie where they must. If no event is lost,
their numbers are those that the library counted: FILE is what GTHREAD_STATS=1 printed at the program's
end (after which N more events of a kind may have come), or the file has the counters itself.

--damage spoils the file in memory first, so that a test can see the check fail.
"""
import argparse
import collections
import gzip
import json
import re
import sys

PS, GOROUTINES, THREADS = 1, 2, 3
ROUNDING = 0.0021  # us: three digits behind the point, of two numbers
SKEW = 1.0  # us: between the clocks of two CPUs

faults = []


def wrong(text):
    faults.append(text)


def slices(trace, process, of_interest):
    """track -> [(from, to, slice)] in order."""
    tracks = collections.defaultdict(list)
    for e in trace["traceEvents"]:
        if e["ph"] == "X" and e["pid"] == process and of_interest(e["name"]):
            tracks[e["tid"]].append((e["ts"], e["ts"] + e["dur"], e))
    for track in tracks.values():
        track.sort(key=lambda s: s[:2])
    return tracks


def is_state(name):
    return name in ("running", "runnable", "moving") or name.startswith("waiting: ")


def check_overlap(tracks, what, tolerance):
    for number, track in tracks.items():
        for (_, end, a), (begin, _, b) in zip(track, track[1:]):
            if begin < end - tolerance:
                wrong(f"{what} {number}: `{a['name']}` until {end:.3f}, `{b['name']}` from {begin:.3f}")


def check_runs(trace):
    """Returns the runs of each goroutine."""
    ps = slices(trace, PS, lambda name: name.startswith("goroutine "))
    check_overlap(ps, "P", ROUNDING)
    runs = collections.defaultdict(list)
    for track in ps.values():
        for run in track:
            runs[run[2]["args"]["g"]].append(run)
    for track in runs.values():
        track.sort(key=lambda s: s[:2])
    check_overlap(runs, "runs of goroutine", SKEW)
    return runs


def check_states(trace):
    lost = trace["otherData"]["lost"]
    tracks = slices(trace, GOROUTINES, is_state)
    check_overlap(tracks, "goroutine", ROUNDING)
    for number, track in tracks.items():
        for (_, end, a), (begin, _, b) in zip(track, track[1:]):
            if begin > end + ROUNDING and not lost:
                wrong(f"goroutine {number}: nothing from {end:.3f} to {begin:.3f}")
            readied = "readied by" in b["args"]
            if a["name"].startswith("waiting: ") and not readied and not lost:
                wrong(f"goroutine {number}: waits at {a['ts']:.3f}, then `{b['name']}`, never readied")
            if readied and not a["name"].startswith("waiting: ") and not lost:
                wrong(f"goroutine {number}: readied at {begin:.3f}, but did not wait")
            if a["name"] == "runnable" and b["name"] != "running" and not lost:
                wrong(f"goroutine {number}: runnable until {end:.3f}, then `{b['name']}`")
    return tracks


def check_arrows(trace, runs):
    arrows = collections.defaultdict(list)
    starts = {(run[2]["tid"], round(run[0], 3)) for track in runs.values() for run in track}
    for e in trace["traceEvents"]:
        if e["ph"] in "sf":
            arrows[e["id"]].append(e)
    for number, ends in arrows.items():
        if [e["ph"] for e in ends] != ["s", "f"]:
            wrong(f"arrow {number} has the ends {[e['ph'] for e in ends]}")
            continue
        s, f = ends
        if f["ts"] < s["ts"] - SKEW:
            wrong(f"arrow {number} goes back in time, from {s['ts']:.3f} to {f['ts']:.3f}")
        if f["pid"] == PS and (f["tid"], round(f["ts"], 3)) not in starts:
            wrong(f"arrow {number} does not end where a goroutine begins to run")
    return len(arrows)


def check_counts(trace, tracks, arrows, counted, tolerance):
    events = trace["otherData"]["events"]
    without_p = trace["otherData"]["events without a P"]
    counts = {"switches": "run", "parks": "park", "steals": "steal", "syscalls": "call",
              "handoffs": "handoff", "preempts": "preempt", "unseen": "unseen", "netpolls": "netpoll",
              "creates": "create", "exits": "exit"}
    ours = {name: events[event] - without_p[event] for name, event in counts.items()}
    states = [s[2] for track in tracks.values() for s in track]
    ours["timers"] = sum(s["args"].get("how") == "time-out" and "without a P" not in s["args"]
                         for s in states)
    for name, n in ours.items():
        if abs(n - counted[name]) > tolerance:
            wrong(f"{name}: {n} in the trace, the library counted {counted[name]}")
    waits = sum(s["name"].startswith("waiting: ") and "for" in s["args"] for s in states)
    if waits != events["park"]:
        wrong(f"{events['park']} parks, {waits} waits")
    readied = sum("readied by" in s["args"] for s in states)
    if readied != events["ready"] and not tolerance:
        wrong(f"{events['ready']} readies, {readied} states that follow from one")
    if abs(readied - arrows - events["stay"]) > events["stay"] + tolerance:
        wrong(f"{readied} readied, {arrows} arrows")


def damage(trace, kind):
    events = trace["traceEvents"]
    states = [e for e in events if e["ph"] == "X" and e["pid"] == GOROUTINES]
    runs = [e for e in events if e["ph"] == "X" and e["pid"] == PS and "g" in e["args"]]
    if kind == "ready":  # one is missing
        events.remove(next(e for e in states if "readied by" in e["args"]))
    elif kind == "twice":  # readied twice
        events.append(next(e for e in states if "readied by" in e["args"]))
    elif kind == "overlap":  # a run that lasts into the next one
        track = sorted((e for e in runs if e["tid"] == runs[0]["tid"]), key=lambda e: e["ts"])
        track[0]["dur"] = track[1]["ts"] - track[0]["ts"] + 1
    elif kind == "two":  # a goroutine on a second P meanwhile
        events.append(dict(max(runs, key=lambda e: e["dur"]), tid=999))
    elif kind == "arrow":
        events.remove(next(e for e in events if e["ph"] == "f"))
    elif kind == "count":
        trace["otherData"]["events"]["run"] += 3
    else:
        sys.exit(f"no such damage: {kind}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trace")
    parser.add_argument("--stats")
    parser.add_argument("--tolerance", type=int, default=0)
    parser.add_argument("--damage")
    args = parser.parse_args()
    with (gzip.open if args.trace.endswith(".gz") else open)(args.trace, "rt") as f:
        trace = json.load(f)
    if args.damage:
        damage(trace, args.damage)
    other = trace["otherData"]
    if other["problems"]:
        wrong(f"{other['problems']} problems: {other['problem']}")
    runs = check_runs(trace)
    tracks = check_states(trace)
    arrows = check_arrows(trace, runs)
    counted, tolerance = other.get("counters"), 2  # it goes on while they are read
    if args.stats:
        with open(args.stats) as f:
            counted = {k: int(v) for k, v in re.findall(r"^gthread:   (\w+)=(\d+)$", f.read(), re.M)}
        tolerance = args.tolerance
    if not other["lost"]:
        if counted:
            check_counts(trace, tracks, arrows, counted, tolerance)
        else:
            wrong("nothing to compare the counts with")
    for fault in faults[:10]:
        print(fault)
    sys.exit(bool(faults))


main()
