"""report.py - the report as HTML that opens from a file: nothing in it is loaded from elsewhere"""
import html
import math

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2430; max-width: 1080px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em; margin-bottom: .2em } h2 { font-size: 1.2em; margin-top: 1.8em }
table { border-collapse: collapse; width: 100% } th, td { padding: .28em .6em; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #c8d0da; font-weight: 600 } td { border-bottom: 1px solid #e6eaf0 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.about, .small { color: #5d6875; font-size: .87em } .good { color: #14713c } .bad { color: #b3261e; font-weight: 600 }
.known { color: #8a5a00 } .tiles { display: flex; gap: 1em; flex-wrap: wrap; margin: 1em 0 }
.tile { border: 1px solid #d6dde6; border-radius: 8px; padding: .6em 1em; min-width: 9em }
.tile b { display: block; font-size: 1.5em } summary { cursor: pointer }
"""


def text(x):
    return html.escape(str(x))


def ratio(r):
    return f"{r:.4f}" if r < 0.1 else f"{r:.2f}" if r < 10 else f"{r:.1f}"


def bar(values):
    """The range of the pairs and their median on a logarithmic scale from 1/64 to 64; in colour only if it is
    far from 1, since a few pairs of a noisy program can lie on one side by chance."""
    def x(r):
        return 80 + 80 * max(-1, min(1, math.log(r, 64)))
    middle, low, high = values
    color = "#14713c" if low > 1.25 else "#b3261e" if high < 0.8 else "#5d6875"
    return (f'<svg width="160" height="14" role="img" aria-label="{ratio(middle)}">'
            f'<path d="M80 0V14" stroke="#9aa5b1"/><path d="M{x(low):.1f} 7H{x(high):.1f}" stroke="{color}" '
            f'stroke-width="3"/><circle cx="{x(middle):.1f}" cy="7" r="4" fill="{color}"/></svg>')


def word(w, known):
    kind = "good" if w == "PASS" else "known" if known else "bad"
    shown = {"PASS": "verified", "NPTL-FAILS": "not judged"}.get(w, "known to fail" if known else "fails")
    return f'<span class="{kind if w != "NPTL-FAILS" else "known"}">{shown}</span>'


def program_row(name, p):
    cells = [f"<td><b>{text(name)}</b><br><span class=about>{text(p['about'])}</span></td>",
             f"<td>{word(p['word'], p.get('known'))}</td>"]
    if p["word"] == "PASS":
        figure = p["ratios"].get("figure")
        threads = [p[s].get("kernel_threads") for s in ("nptl", "gthread")]
        cells.append(f"<td class=n>{ratio(figure[0]) if figure else ''}<br><span class=small>"
                     f"{f'{ratio(figure[1])} to {ratio(figure[2])}' if figure and figure[1] != figure[2] else ''}</span></td>"
                     f"<td>{bar(figure) if figure else ''}<br><span class=small>{text(p['unit'])}</span></td>")
        cells.append(f"<td class=n>{' / '.join(f'{t:.0f}' for t in threads if t)}</td>")
        cells += [f"<td class=n>{ratio(p['ratios'][k][0]) if k in p['ratios'] else ''}</td>"
                  for k in ("cpu", "switches", "memory")]
    else:
        why = f"{p['bad']} of {p['tries']} runs: " if p["word"] == "FAIL" else "on NPTL: "
        cells.append(f"<td colspan=6>{text(why + p['why'])}"
                     f"<br><span class=small>{text(p.get('known', ''))}</span></td>")
    return f"<tr>{''.join(cells)}</tr>"


def programs(data):
    if not data["programs"]:
        return ""
    rows = "".join(program_row(n, p) for n, p in data["programs"].items())
    return (f"<h2>Programs</h2><p class=small>Each run verifies what the program did. Ratios are gthread / NPTL, "
            f"median and range of {data['pairs']} pair{'s' if data['pairs'] > 1 else ''} of runs of {data['seconds']} s, in turns; the rate's is turned "
            "so that more than 1 is better. A few pairs show large differences only: `gthread compare` "
            "says what is more than noise.</p><table><tr><th>Program<th><th class=n>Rate<th>1/64 &nbsp; to &nbsp; 64"
            "<th class=n>Kernel threads<th class=n>CPU<th class=n>Switches<th class=n>Memory</tr>" + rows + "</table>")


def suite_row(name, s):
    bad = "".join(f"<li class=bad>{text(t)}: {text(w)}" for t, w in s["regressions"].items())
    known = "".join(f"<li class=known>{text(t)}: {text(w)} <span class=small>{text(why)}</span>"
                    for t, (w, why) in s["known"].items())
    gone = "".join(f"<li>{text(t)} passes: take it out of known.tsv" for t in s["gone"])
    details = f"<details><summary>which</summary><ul>{bad}{known}{gone}</ul></details>" if bad + known + gone else ""
    held = s["judged"] - len(s["regressions"]) - len(s["known"])
    return (f"<tr><td><b>{text(name)}</b><br><span class=about>{text(s['about'])}</span>{details}</td>"
            f"<td class=n>{held} of {s['judged']}</td>"
            f"<td class=n><span class={'bad' if s['regressions'] else 'good'}>{len(s['regressions'])}</span></td>"
            f"<td class=n>{len(s['known'])}</td><td class=n>{s['not_judged']}</td><td class=n>{s['seconds']:.0f} s</td></tr>")


def suites(data):
    if not data["suites"]:
        return ""
    return ("<h2>Conformance suites</h2><p class=small>Judged is every test that passes on NPTL (compat/baseline) and is "
            "not flaky there. Lost: it fails on gthread in two of three tries and is no known difference.</p>"
            "<table><tr><th>Suite<th class=n>Hold<th class=n>Lost<th class=n>Known<th class=n>Not judged"
            "<th class=n>Time</tr>" + "".join(suite_row(n, s) for n, s in data["suites"].items()) + "</table>")


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


def page(data, before):
    passed = sum(p["word"] == "PASS" for p in data["programs"].values())
    judged = sum(s["judged"] for s in data["suites"].values())
    lost = sum(len(s["regressions"]) + len(s["known"]) for s in data["suites"].values())
    tiles = []
    if data["programs"]:
        tiles.append(f"<div class=tile><b>{passed} of {len(data['programs'])}</b>programs verified</div>")
    if data["suites"]:
        tiles.append(f"<div class=tile><b>{judged - lost} of {judged}</b>tests hold</div>")
    found = changes(data, before)
    since = "".join(f"<li class={kind}>{text(t)}" for kind, t in found) or "<li>nothing"
    last = f"<h2>Since the report of {text(before['date'])}</h2><ul>{since}</ul>" if before else ""
    return (f'<!doctype html><html lang=en><meta charset=utf-8><title>gthread: compatibility</title><style>{STYLE}</style>'
            f"<h1>What runs on gthread</h1><p class=small>{text(data['date'])}, commit {text(data['commit'])}, "
            f"{text(data['machine'])}</p><div class=tiles>{''.join(tiles)}</div>{last}{programs(data)}{suites(data)}</html>\n")
