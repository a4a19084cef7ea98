"""lab_report: what the laboratory found, as one HTML page that needs no network, and as the table
of docs/flow-control.md. Pure: results in, text out.

`results`: name of an experiment → {"title", "about": {"when", "commit", "machine", "quick",
"minutes"}, "rows": as lab_bench makes them, "calibrations": path → wanlab's, "series": path →
runs}."""

import html
import math

from lab_bench import bar_text, interval_text, number

COLOURS = ("#2f6fb0", "#c4541c", "#3d8a4f", "#8a4f9e", "#a08216", "#5f6b76")
STRIP = (220, 22)       # pixels of the drawing in a row
PLOT = (760, 210)
MARGIN = (56, 12, 26)   # left, above, below
STEP_S = 0.5            # of a line in a plot

STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #68727c; --line: #d5dade; --page: #fff;
  --good: #2e7d43; --bad: #b3261e; --open: #8a6d00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8eb; --soft: #98a2ab; --line: #3a4249;
  --page: #16191c; --good: #74c689; --bad: #f28b82; --open: #e0bf4e } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  margin: 2rem auto; max-width: 1080px; padding: 0 1rem }
h2 { margin: 2.4rem 0 .2rem } p, figcaption { color: var(--soft); margin: .2rem 0 }
table { border-collapse: collapse; margin: .6rem 0 } td, th { padding: .25rem .7rem .25rem 0;
  border-bottom: 1px solid var(--line); text-align: left; vertical-align: middle }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap }
.reached { color: var(--good) } .MISSED, .VOID, .NO { color: var(--bad) }
.not { color: var(--open) }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft) }
svg .axis { stroke: var(--line) } svg .bar { stroke: var(--ink); stroke-dasharray: 2 2 }
svg .mean { stroke: var(--ink); stroke-width: 2 } svg .dot { fill: var(--soft) }
details { margin: .4rem 0 }
"""


def escape(text):
    return html.escape(str(text))


def rate(bits):
    return f"{bits / 1e6:,.0f}" if bits >= 1e7 else f"{bits / 1e6:.2f}"


# --- a row's drawing --------------------------------------------------------------------------

def points(row):
    """What the row's interval is of: ratios of pairs, or values."""
    if row["a"] and len(row["a"]) == len(row["b"]):
        return [b / a for a, b in zip(row["a"], row["b"]) if a]
    return row["b"]


def strip(row):
    """The bar (dashed), the runs (dots), the mean and its interval (a line), on a scale from 0."""
    if row["value"] is None:
        return ""
    width, height = STRIP
    finite = [v for v in (*points(row), row["value"], row["bar"] or 0, row["high"] or 0)
              if math.isfinite(v)]
    most = min(max(finite) * 1.1, 3 * max(row["value"], row["bar"] or 0)) or 1

    def x(value):
        return 2 + (width - 4) * min(max(value, 0), most) / most
    middle = height / 2
    parts = [f'<line class="axis" x1="0" y1="{middle}" x2="{width}" y2="{middle}"/>']
    if row["low"] is not None:
        parts.append(f'<line class="mean" x1="{x(row["low"]):.1f}" y1="{middle}" '
                     f'x2="{x(row["high"]):.1f}" y2="{middle}"/>')
    parts += [f'<circle class="dot" cx="{x(v):.1f}" cy="{middle}" r="2.5"/>' for v in points(row)]
    parts.append(f'<line class="mean" x1="{x(row["value"]):.1f}" y1="4" x2="{x(row["value"]):.1f}" '
                 f'y2="{height - 4}"/>')
    if row["bar"] is not None:
        parts.append(f'<line class="bar" x1="{x(row["bar"]):.1f}" y1="0" x2="{x(row["bar"]):.1f}" '
                     f'y2="{height}"/>')
    return f'<svg width="{width}" height="{height}">{"".join(parts)}</svg>'


def sides(row):
    """What A and B were, and their means."""
    shown = []
    for name, values in zip(row["names"], (row["a"], row["b"])):
        if not name or not values:
            continue
        mean = sum(values) / len(values)
        text = f"{rate(mean)} Mbit/s" if row["unit"] == "bit/s" else \
            f"{number(mean)} {row['unit']}".strip()
        shown.append(f"{name}: {text}")
    return shown


def row_html(row, about):
    """`about`: of the experiment's last run; a row that is older says of when it is."""
    kind = row["verdict"].split(" ")[0]
    cells = "<br>".join(escape(s) for s in sides(row))
    note = f"<br><small>{escape(row['note'])}</small>" if row["note"] else ""
    if row["about"]["when"] != about["when"]:
        note += f"<br><small>{escape(about_text(row['about']))}</small>"
    return (f"<tr><td>{escape(row['cell'])}{note}</td><td class=n>{number(row['value'])}</td>"
            f"<td class=n>{interval_text(row)}</td><td class=n>{bar_text(row)}</td>"
            f"<td class={kind}>{row['verdict']}</td><td>{strip(row)}</td>"
            f"<td><small>{cells}</small></td></tr>")


# --- plots over time --------------------------------------------------------------------------

def nice(value):
    """The next of 1, 2, 5 × 10ⁿ."""
    base = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(m * base for m in (1, 2, 5, 10) if m * base >= value * (1 - 1e-9))


def plot(lines, unit):
    """Lines: (colour, name, [(seconds, value)], is it a staircase); as SVG."""
    width, height = PLOT
    left, above, below = MARGIN
    time = max((p[0] for *_, dots, _ in lines for p in dots), default=0) or 1
    most = nice(max((p[1] for *_, dots, _ in lines for p in dots), default=0) * 1.02 or 1)

    def at(seconds, value):
        return (f"{left + (width - left - 8) * seconds / time:.1f},"
                f"{height - below - (height - above - below) * value / most:.1f}")
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = at(0, share * most).split(",")[1]
        parts.append(f'<line class="axis" x1="{left}" y1="{y}" x2="{width - 8}" y2="{y}"/>'
                     f'<text x="{left - 6}" y="{float(y) + 4}" text-anchor="end">'
                     f'{share * most:g}</text>')
    every = nice(time / 8)
    for mark in range(int(time / every) + 1):
        x = at(mark * every, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle">{mark * every:g}</text>')
    parts.append(f'<text x="{left}" y="{above - 2}">{escape(unit)}, over seconds</text>')
    for colour, _, dots, is_stair in lines:
        if is_stair:
            dots = [p for i, (t, v) in enumerate(dots)
                    for p in ([(t, dots[i - 1][1])] if i else []) + [(t, v)]]
        parts.append(f'<polyline fill="none" stroke="{colour}" '
                     f'stroke-width="1.5" points="{" ".join(at(*p) for p in dots)}"/>')
    legend = " ".join(f'<span style="color:{colour}">━ {escape(name)}</span>'
                      for colour, name, *_ in lines)
    return (f'<figure><svg viewBox="0 0 {width} {height}" width="{width}">{"".join(parts)}</svg>'
            f'<figcaption>{legend}</figcaption></figure>')


def series(outcome):
    """What is kept of a run for its plots."""
    end = min(outcome.elapsed_s, outcome.job["window"])
    dots = [(i * STEP_S + STEP_S / 2, outcome.between(i * STEP_S, (i + 1) * STEP_S) / 1e6)
            for i in range(int(end / STEP_S))]
    decisions = [d for d in outcome.decisions if d["knob"] == "parts in flight"]
    window = [(0.0, decisions[0]["old"])] if decisions else []
    window += [(d["t"], d["new"]) for d in decisions if d["t"] <= end]
    if window:
        window.append((end, window[-1][1]))
    return {"name": outcome.name, "goodput": dots, "window": window}


def plots_html(runs_of):
    text = []
    for path, runs in runs_of.items():
        text.append(f"<p>{escape(path)}: the last run of each side</p>")
        coloured = [(COLOURS[i % len(COLOURS)], r) for i, r in enumerate(runs)]
        text.append(plot([(c, r["name"], r["goodput"], False) for c, r in coloured],
                         "Mbit/s on the path"))
        stairs = [(c, r["name"], r["window"], True) for c, r in coloured if r["window"]]
        if stairs:
            text.append(plot(stairs, "parts in flight, as decided"))
    return f"<details open><summary>over time</summary>{''.join(text)}</details>" if text else ""


def calibrations_html(calibrations):
    rows = "".join(
        f"<tr><td>{escape(path)}</td><td>{r['step']} {r['lane']}</td><td>{r['what']}</td>"
        f"<td class=n>{r['asked']:.3f}</td><td class=n>{r['measured']:.3f}</td>"
        f"<td class=n>±{r['tolerance']:.3f} {escape(r['unit'])}</td>"
        f"<td>{'' if r['good'] else '<b class=MISSED>off</b>'}</td></tr>"
        for path, calibration in calibrations.items() for r in calibration["rows"])
    return ("<details><summary>calibration</summary><table><tr><th>path<th>step<th>what<th>asked"
            f"<th>measured<th>tolerance<th></tr>{rows}</table></details>" if rows else "")


# --- the whole --------------------------------------------------------------------------------

def about_text(about):
    return (f"{about['when']}, commit {about['commit']}, {about['machine']}"
            f"{', quick' if about['quick'] else ''}")


def page(results):
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>argosy: laboratory</title>"
             f"<style>{STYLE}</style><h1>argosy: the laboratory's report</h1>"
             "<p>A value is a ratio of B to A unless said otherwise, with its 95 % interval. "
             "reached: the whole interval is on the good side of the bar; MISSED: the whole "
             "interval is not; not decided: more pairs would tell. VOID: the machine was too busy "
             "for the path. docs/lab.md says more.</p>"]
    for name, result in results.items():
        rows = "".join(row_html(r, result["about"]) for r in result["rows"])
        parts.append(
            f"<h2>{escape(name)}</h2><p>{escape(result['title'])}. "
            f"{escape(about_text(result['about']))}, {result['about']['minutes']:.1f} minutes</p>"
            f"<table><tr><th>cell<th>value<th>95 %<th>bar<th>verdict<th><th>sides</tr>{rows}"
            f"</table>{plots_html(result['series'])}{calibrations_html(result['calibrations'])}")
    return "\n".join(parts) + "\n"


def markdown(results):
    """A table for each machine, and for quick runs; each row with its day and commit."""
    groups = {}
    for name, result in results.items():
        for row in result["rows"]:
            about = row["about"]
            groups.setdefault((about["machine"], about["quick"]), []).append((name, row))
    parts = []
    for (machine, quick), found in groups.items():
        parts.append(f"{machine}{', quick runs' if quick else ''}:\n\n"
                     "| experiment | cell | bar | measured | 95 % | verdict | day, commit |\n"
                     "|---|---|---|---|---|---|---|")
        for name, row in found:
            note = f": {row['note']}" if row["value"] is None and row["note"] else ""
            cells = (name, row["cell"], bar_text(row), number(row["value"]), interval_text(row),
                     row["verdict"] + note,
                     f"{row['about']['when'][:10]}, {row['about']['commit']}")
            parts.append("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ")
                                           for c in cells) + " |")
        parts.append("")
    return "\n".join(parts)
