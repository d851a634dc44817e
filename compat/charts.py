"""charts.py - the little drawings of the report, as SVG in the colours of report.css"""
import math

SPAN = 64               # ratios are drawn from 1/64 to 64
TICKS = (1 / 8, 1 / 2, 2, 8)
WIDTH, HEIGHT = 170, 14
BARS = 90               # width of the two bars
HISTORY = (110, 30)     # width and height of the line of the reports
LEAST_RANGE = 2         # of that line: what changes by less than a half looks flat


def tone(low, high):
    """In colour only if all of the range is far from 1, since a few pairs of a noisy program can lie on one side
    by chance."""
    return "good" if low > 1.25 else "bad" if high < 0.8 else "same"


def place(ratio):
    """Where a ratio lies between -1 and 1. The root of the logarithm: half of the width is for what differs by less
    than a factor of 2.8, as most do."""
    log = max(-1, min(1, math.log(ratio, SPAN)))
    return math.copysign(math.sqrt(abs(log)), log)


def interval(middle, low, high, label):
    """The range of the pairs as a line, their median as a dot, and a mark where NPTL is."""
    def x(ratio):
        return WIDTH / 2 + (WIDTH / 2 - 6) * place(ratio)
    ticks = "".join(f"M{x(t):.1f} 4V10" for t in TICKS)
    return (f'<svg class="{tone(low, high)}" viewBox="0 0 {WIDTH} {HEIGHT}" width={WIDTH} height={HEIGHT} role=img '
            f'aria-label="{label}"><path class=axis d="M{WIDTH / 2:g} 0V{HEIGHT}{ticks}"/>'
            f'<path class=range d="M{x(low):.1f} 7H{x(high):.1f}"/><circle cx="{x(middle):.1f}" cy=7 r=4 /></svg>')


def two_bars(first, second, label):
    """NPTL's figure above gthread's."""
    most = max(first, second)

    def bar(kind, y, value):
        return f'<rect class={kind} x=0 y={y} width="{max(1, value / most * BARS):.1f}" height=5 rx=1 />'
    return (f'<svg viewBox="0 0 {BARS} {HEIGHT}" width={BARS} height={HEIGHT} role=img aria-label="{label}">'
            f"{bar('nptl', 1, first)}{bar('gthread', 8, second)}</svg>")


def history(points, label):
    """The rates of report after report, on a logarithmic scale of their own; None is a report in which it failed."""
    width, height = HISTORY
    rates = [math.log(p) for p in points if p]
    middle = (max(rates) + min(rates)) / 2 if rates else 0
    reach = max(math.log(LEAST_RANGE), max(rates) - min(rates)) / 2 if rates else 1
    step = (width - 8) / max(1, len(points) - 1)

    def y(ratio):
        return height / 2 - (height / 2 - 4) * (math.log(ratio) - middle) / reach
    line, pen, failed = "", "M", ""
    for i, ratio in enumerate(points):
        x = 4 + i * step
        if ratio:
            line += f"{pen}{x:.1f} {y(ratio):.1f}"
            pen = "L"
        else:
            failed += f'<path class=failed d="M{x - 3:.1f} {height / 2 - 3:g}l6 6m0-6l-6 6"/>'
            pen = "M"
    last = f'<circle cx="{width - 4}" cy="{y(points[-1]):.1f}" r=3 />' if points[-1] else ""
    return (f'<svg class=history viewBox="0 0 {width} {height}" width={width} height={height} role=img '
            f'aria-label="{label}"><path class=line d="{line}"/>{failed}{last}</svg>')
