"""report.py - the report as HTML that opens from a file: nothing in it is loaded from elsewhere"""
import html
import pathlib
from urllib.parse import quote

import charts

STYLE = (pathlib.Path(__file__).resolve().parent / "report.css").read_text()
MEASURES = {"cpu": "CPU", "switches": "Switches"}  # shown as a ratio only


def text(x):
    return html.escape(str(x))


def ratio(r):
    return f"{r:.4f}" if r < 0.1 else f"{r:.2f}" if r < 10 else f"{r:.1f}"


def whole(n):
    return f"{n:.0f}"


def megabytes(n):
    return f"{n / 1e6:.1f}" if n < 1e8 else f"{n / 1e6:.0f}"


def figure(data, path, form=whole):
    """A number of report.json, and where in it: the test of the page looks each one up."""
    at = data
    for key in path:
        at = at[key]
    return f'<data value="{at}" data-of="{"/".join(quote(str(k), safe="") for k in path)}">{form(at)}</data>'


def word(w, known):
    kind = "good" if w == "PASS" else "known" if known or w == "NPTL-FAILS" else "bad"
    shown = {"PASS": "verified", "NPTL-FAILS": "not judged"}.get(w, "known to fail" if known else "fails")
    return f'<span class="{kind}">{shown}</span>'


# ---- programs ----

def rate_cells(data, path, unit):
    ratios = data["programs"][path[1]]["ratios"]
    if "figure" not in ratios:
        return "<td><td>"
    middle, low, high = ratios["figure"]
    at = [*path, "ratios", "figure"]
    around = f"{figure(data, [*at, 1], ratio)} to {figure(data, [*at, 2], ratio)}" if low != high else ""
    return (f"<td class=n data-column=Rate>{figure(data, [*at, 0], ratio)}<br><span class=small>{around}</span></td>"
            f"<td>{charts.interval(middle, low, high, f'{ratio(low)} to {ratio(high)}, median {ratio(middle)}')}"
            f"<span class=small>{text(unit)}</span></td>")


def both_cell(data, path, key, column, form):
    """What NPTL and gthread had, each."""
    p = data["programs"][path[1]]
    if not all(p[side].get(key) for side in ("nptl", "gthread")):
        return "<td>"
    return (f"<td class=n data-column='{column}'>{figure(data, [*path, 'nptl', key], form)} / "
            f"{figure(data, [*path, 'gthread', key], form)}")


def memory_cells(data, path):
    p = data["programs"][path[1]]
    cell, sizes = both_cell(data, path, "peak_bytes", "Memory, MB", megabytes), \
        [p[side].get("peak_bytes", 0) for side in ("nptl", "gthread")]
    if not all(sizes):
        return "<td><td>"
    return f"{cell}<td>{charts.two_bars(*sizes, f'{megabytes(sizes[0])} and {megabytes(sizes[1])} MB')}"


def ratio_cell(data, path, measure):
    if measure not in data["programs"][path[1]]["ratios"]:
        return "<td>"
    return (f"<td class=n data-column={MEASURES[measure]}>"
            f"{figure(data, [*path, 'ratios', measure, 0], ratio)}")


def rates_of(name, history):
    """Its rate in each report that had it; None where it did not pass."""
    return [entry["programs"][name] for entry in history if name in entry["programs"]]


def program_row(data, name, history):
    p, path = data["programs"][name], ["programs", name]
    cells = [f"<td><b>{text(name)}</b><br><span class=about>{text(p['about'])}</span></td>",
             f"<td>{word(p['word'], p.get('known'))}</td>"]
    if p["word"] == "PASS":
        cells += [rate_cells(data, path, p["unit"]), both_cell(data, path, "kernel_threads", "Kernel threads", whole)]
        cells += [ratio_cell(data, path, m) for m in MEASURES]
        cells.append(memory_cells(data, path))
    else:
        why = f"{p['bad']} of {p['tries']} runs: " if p["word"] == "FAIL" else "on NPTL: "
        cells.append(f"<td colspan=7>{text(why + p['why'])}"
                     f"<br><span class=small>{text(p.get('known', ''))}</span></td>")
    points = rates_of(name, history)
    shown = ", ".join("failed" if r is None else ratio(r) for r in points)
    cells.append(f"<td data-column='Reports'>{charts.history(points, shown)}" if len(points) > 1 else "<td>")
    return f"<tr>{''.join(cells)}</tr>"


def programs(data, history):
    if not data["programs"]:
        return ""
    rows = "".join(program_row(data, n, history) for n in data["programs"])
    return (f"<h2>Programs</h2><p class=small>Each run verifies what the program did. Ratios are gthread / NPTL, "
            f"median and range of {data['pairs']} pair{'s' if data['pairs'] > 1 else ''} of runs of {data['seconds']} s, in turns; the rate's is turned "
            "so that more than 1 is better. A few pairs show large differences only: `gthread compare` "
            "says what is more than noise. Kernel threads and peak memory: <i class=nptl></i> NPTL / "
            "<i class=gthread></i> gthread. The last column is the rate in this report and those before it, a cross where "
            "the program failed.</p><table><thead><tr><th>Program<th><th class=n>Rate<th>1/64 to 64, ticks at 2 and 8"
            "<th class=n>Kernel threads<th class=n>CPU<th class=n>Switches<th class=n>Memory, MB<th>"
            f"<th>Reports</thead><tbody>{rows}</tbody></table>")


# ---- suites ----

def suite_row(data, name, s):
    bad = "".join(f"<li class=bad>{text(t)}: {text(w)}" for t, w in s["regressions"].items())
    known = "".join(f"<li class=known>{text(t)}: {text(w)} <span class=small>{text(why)}</span>"
                    for t, (w, why) in s["known"].items())
    gone = "".join(f"<li>{text(t)} passes: take it out of known.tsv" for t in s["gone"])
    details = f"<details><summary>which</summary><ul>{bad}{known}{gone}</ul></details>" if bad + known + gone else ""
    held, path = s["judged"] - len(s["regressions"]) - len(s["known"]), ["suites", name]
    return (f"<tr><td><b>{text(name)}</b><br><span class=about>{text(s['about'])}</span>{details}</td>"
            f"<td class=n data-column=Hold>{held} of {figure(data, [*path, 'judged'])}</td>"
            f"<td class=n data-column=Lost><span class={'bad' if s['regressions'] else 'good'}>{len(s['regressions'])}</span></td>"
            f"<td class=n data-column=Known>{len(s['known'])}</td>"
            f"<td class=n data-column='Not judged'>{figure(data, [*path, 'not_judged'])}</td>"
            f"<td class=n data-column=Time>{figure(data, [*path, 'seconds'])} s</td></tr>")


def suites(data):
    if not data["suites"]:
        return ""
    return ("<h2>Conformance suites</h2><p class=small>Judged is every test that passes on NPTL (compat/baseline) and is "
            "not flaky there. Lost: it fails on gthread in two of three tries and is no known difference.</p>"
            "<table><thead><tr><th>Suite<th class=n>Hold<th class=n>Lost<th class=n>Known<th class=n>Not judged"
            "<th class=n>Time</thead><tbody>" + "".join(suite_row(data, n, s) for n, s in data["suites"].items())
            + "</tbody></table>")


# ---- the reports before ----

def entry_of(data):
    """What the history keeps of a report."""
    rates = {n: p["ratios"].get("figure", [None])[0] if p["word"] == "PASS" else None
             for n, p in data["programs"].items() if p["word"] != "NPTL-FAILS"}
    return {"date": data["date"], "commit": data["commit"], "pairs": data["pairs"], "programs": rates,
            "suites": {n: [s["judged"] - len(s["regressions"]) - len(s["known"]), s["judged"]]
                       for n, s in data["suites"].items()}}


def history_table(history):
    if len(history) < 2:
        return ""

    def row(e):
        passed = sum(r is not None for r in e["programs"].values())
        held, judged = (sum(s[k] for s in e["suites"].values()) for k in (0, 1))
        return (f"<tr><td>{text(e['date'])}<td>{text(e['commit'])}"
                f"<td class=n data-column=Programs>{f'''{passed} of {len(e['programs'])}''' if e['programs'] else ''}"
                f"<td class=n data-column=Tests>{f'{held} of {judged}' if judged else ''}</tr>")
    return ("<h2>Reports</h2><table><thead><tr><th>Date<th>Commit<th class=n>Programs verified<th class=n>Tests that hold"
            f"</thead><tbody>{''.join(row(e) for e in reversed(history))}</tbody></table>")


def changes(data, before):
    """What is worse, better, or new since the last report, as (kind, text). Of rates only what is far outside of
    what was measured: with few pairs the range of the pairs says little about the next run."""
    found, pairs = [], min(data["pairs"], (before or data)["pairs"])
    far = 1.1 if pairs >= 8 else 1.5 if pairs >= 2 else 3
    for name, p in data["programs"].items():
        old = (before or {}).get("programs", {}).get(name)
        if old and old["word"] != p["word"]:
            found.append(("good" if p["word"] == "PASS" else "bad", f"{name}: {old['word']}, now {p['word']} {p['why']}"))
        elif old and p["word"] == "PASS" and "figure" in p["ratios"] and "figure" in old["ratios"]:
            now, then = p["ratios"]["figure"], old["ratios"]["figure"]
            if now[1] > then[2] * far or now[2] < then[1] / far:
                found.append(("good" if now[0] > then[0] else "bad",
                              f"{name}: rate {ratio(then[0])} times NPTL's, now {ratio(now[0])}"))
    for name, s in data["suites"].items():
        old = (before or {}).get("suites", {}).get(name)
        if old:
            was, now = set(old["regressions"]) | set(old["known"]), set(s["regressions"]) | set(s["known"])
            found += [("bad", f"{name}: {t} is lost") for t in sorted(now - was)]
            found += [("good", f"{name}: {t} holds again") for t in sorted(was - now)]
    return found


# ---- the page ----

def tiles(data):
    passed = sum(p["word"] == "PASS" for p in data["programs"].values())
    judged = sum(s["judged"] for s in data["suites"].values())
    lost = sum(len(s["regressions"]) + len(s["known"]) for s in data["suites"].values())
    shown = []
    if data["programs"]:
        shown.append((f"{passed} of {len(data['programs'])}", "programs verified"))
    if data["suites"]:
        shown.append((f"{judged - lost} of {judged}", "tests hold"))
    for kind, words in (("good", "clearly faster"), ("bad", "clearly slower")):
        some = [n for n, p in data["programs"].items() if "figure" in p.get("ratios", {})
                and charts.tone(*p["ratios"]["figure"][1:]) == kind]
        if some:
            shown.append((len(some), words))
    return "".join(f"<div class=tile><b>{n}</b>{what}</div>" for n, what in shown)


def page(data, before, history=()):
    """data, before: a report.json and the one before it, or None; history: entry_of those before and of data."""
    found = changes(data, before)
    since = "".join(f"<li class={kind}>{text(t)}" for kind, t in found) or "<li>nothing"
    last = f"<h2>Since the report of {text(before['date'])}</h2><ul>{since}</ul>" if before else ""
    return ("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>gthread: compatibility</title><style>{STYLE}</style>"
            f"<h1>What runs on gthread</h1><p class=small>{text(data['date'])}, commit {text(data['commit'])}, "
            f"{text(data['machine'])}</p><div class=tiles>{tiles(data)}</div>{last}{programs(data, history)}{suites(data)}"
            f"{history_table(history)}</html>\n")
