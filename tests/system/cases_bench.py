"""The benchmarks' own arithmetic, and the laboratory's way from a run to its report: a wrong
interval would prove anything."""

import math
import os
import random
import re
import sys
from xml.etree import ElementTree

import harness
from harness import Skip, case, require

sys.path.insert(0, os.path.join(harness.ROOT, "bench"))

import lab
import lab_bench
import lab_path
import lab_report
import lab_table
import soak
import stats


def near(got, want):
    return all(abs(g - w) < 1e-3 for g, w in zip(got, want))


@case()
def statistics(_t):
    require(stats.order(4) == "ABBAABBA", stats.order(4))
    # Twelve values: the third from either end bounds the median (96.1 %; tables of the sign test).
    got = stats.median_interval(range(1, 13))
    require(got == (6.5, 3, 10), f"{got}")
    require(stats.median_interval(range(6))[1:] == (0, 5), f"{stats.median_interval(range(6))}")
    require(stats.median_interval([1, 2, 3])[1:] == (0.0, math.inf), "three values bound nothing")
    got = stats.mean_interval([4, 5, 6, 7])  # s 1.291, t 3.182
    require(near(got, (5.5, 3.446, 7.554)), f"{got}")
    got = stats.ratio_interval([1, 2, 4, 8], [2, 4, 8, 16])
    require(near(got, (2, 2, 2)), f"{got}")
    for low, high, want in ((0.9, 1.02, "reached"), (1.04, 1.2, "MISSED"), (1, 1.1, "not decided")):
        got = stats.verdict(low, high, at_most=1.03)
        require(got == want, f"{low} to {high}: {got}")
    require(stats.verdict(0.96, 1.2, at_least=0.95) == "reached", "at least")
    require(stats.verdict(0.8, 0.9, at_least=0.95) == "MISSED", "at least")


@case()
def intervals_hold_what_they_say(_t):
    """Of 95 % intervals of random values, at least 93 % have the truth."""
    dice, held = random.Random(1), 0
    for _ in range(2000):
        _, low, high = stats.median_interval([dice.expovariate(1) for _ in range(12)])
        held += low <= math.log(2) <= high
    require(held >= 1860, f"{held} of 2000 intervals have the median")


class Run:
    """As much of an outcome as rows need."""

    def __init__(self, name, goodput, sound=True):
        self.name, self.goodput, self.sound, self.void = name, goodput, sound, "" if sound else "?"

    @staticmethod
    def cpu_per_gib():
        return 0.5


def quiet_bench(lab, quick=True):
    bench = lab_bench.Bench(lab, lab_bench.Scale(quick), lambda _line: None)
    bench.about = {"when": "2026-11-25 08:00 UTC", "commit": "abc", "machine": "2 × CPU",
                   "quick": quick, "links": 1.0, "minutes": 1.5}
    return bench


class Kept:
    """A laboratory that only keeps lines."""

    def __init__(self):
        self.lines = []

    def keep(self, kind, line):
        self.lines.append((kind, line))


@case()
def lab_verdicts(_t):
    """Sides take turns with the same seeds; a void run takes the verdict away."""
    bench, ran = quiet_bench(Kept()), []

    def side(name, base):
        def run(seed):
            ran.append((name, seed))
            return Run(name, base + seed)
        return run
    bench.pairs("near", side("a", 1000), side("b", 1100), 1.0)
    require(ran == [("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)], f"{ran}")
    bench.ratio("far", [Run("a", 10), Run("a", 11)], [Run("b", 5), Run("b", 5.4)], 1.15)
    bench.ratio("void", [Run("a", 10), Run("a", 11, sound=False)], [Run("b", 5), Run("b", 5)], 1.15)
    bench.worst("most", [Run("b", 1)], [0.01], 0.02)
    verdicts = [row["verdict"] for row in bench.rows]
    require(verdicts == ["reached", "MISSED", "VOID", "reached"], f"{bench.rows}")
    require([k for k, _ in bench.lab.lines] == ["row"] * 4, f"{bench.lab.lines}")


@case()
def lab_late_runs(_t):
    """Late packets take from a share of the link: it may be reached with them, not missed.
    Of two sides nobody knows which lost more."""
    def late(goodput, why="too many packets came more than 1 ms late: the machine is too busy"):
        run = Run("b", goodput, sound=False)
        run.void = why
        return run
    bench = quiet_bench(Kept())
    bench.share("more", lambda seed: late(95 + seed), 100, 0.9)
    bench.share("less", lambda seed: late(80 + seed), 100, 0.9)
    bench.share("another", lambda seed: late(95 + seed, "the queue lost packets"), 100, 0.9)
    bench.pairs("two sides", late, lambda seed: late(2 * seed), 1.0)
    verdicts = [row["verdict"] for row in bench.rows]
    require(verdicts == ["reached", "VOID", "VOID", "VOID"], f"{bench.rows}")
    require("only takes from it" in bench.rows[0]["note"], f"{bench.rows[0]}")


@case()
def lab_waits_for_the_host(_t):
    """What is stolen is the eighth column; a void run is repeated when that is little, or after a
    while all the same."""
    lines = ["cpu  0 0 0 0 0 0 0 0 0 0", "cpu  40 10 20 10 0 0 0 20 9 9",
             "cpu  90 10 60 10 0 0 9 21 9 9", "cpu  190 10 60 10 0 0 9 21 9 9"]
    require(lab_path.stolen_share(*lines[:2]) == 0.2, "20 of 100")
    require(lab_path.stolen_share(lines[0], lines[0]) == 0, "no time")
    left = iter(lines)
    lab_path.wait_for_host(lambda: next(left), look_s=0.01)
    require(list(left) == lines[3:], "it waits while 20 % are stolen, and not when 1 % are")
    again = iter(range(10 ** 6))
    lab_path.wait_for_host(lambda: f"cpu 0 0 0 0 0 0 0 {next(again)}", wait_s=0.05, look_s=0.01)
    require(next(again) < 10, "it waits no longer than it was told")


@case()
def lab_report_is_whole(_t):
    """One page that asks for nothing else, whose drawings are XML; and a table."""
    bench = quiet_bench(Kept())
    bench.ratio("a & b", [Run("<a>", 2e8), Run("<a>", 2e8)], [Run("b", 3e8), Run("b", 3.1e8)], 1.1)
    bench.row("none | all", verdict="not run", note="needs --cc")
    dots = [(0.25, 10.0), (0.75, 900.0), (1.25, 880.0)]
    runs = [{"name": "auto", "goodput": dots, "window": [(0, 8), (1, 16)]},
            {"name": "<fixed>", "goodput": dots[:2], "window": []}]
    rows = [{"step": 0, "lane": "up", "what": "rate", "asked": 1.0, "measured": 1.0,
             "unit": "Mbit/s", "tolerance": 0.02, "good": True}]
    results = {"skew": {"title": "sizes", "about": bench.about, "rows": bench.rows,
                        "series": {"rate=1G": runs}, "calibrations": {"rate=1G": {"rows": rows}}}}
    page = lab_report.page(results)
    drawings = re.findall(r"<svg.*?</svg>", page, re.S)
    require(len(drawings) == 3, f"{len(drawings)} drawings")
    for drawing in drawings:
        ElementTree.fromstring(re.sub(r"class=(\w+)", r'class="\1"', drawing))
    require(not re.search(r"src=|href=|url\(|https?:", page), "the page asks for more")
    require("<a>" not in page and "a &amp; b" in page, "names are not escaped")
    table = lab_report.markdown(results).split("\n")
    require(table[0].startswith("2 × CPU") and "quick" in table[0], f"{table}")
    require(any("none \\| all" in li and "not run: needs --cc" in li for li in table), f"{table}")
    require(any("| ≥ 1.1 | 1.525 |" in li and "2026-11-25, abc" in li for li in table), f"{table}")


@case()
def lab_cells_run_again(_t):
    """A cell that is measured again replaces its own rows only; a cell whose path is off says so,
    and no run has to be right for the others to be shown."""
    def off():
        raise lab_path.Off("the path is off")

    def rows_of(cells):
        bench = quiet_bench(Kept())
        bench.scale.cells = "again"
        experiment = lab_table.Experiment("", (), lambda _b: cells(bench))
        lab.measure(experiment, bench)
        return {"rows": bench.rows, "calibrations": {}, "series": {}}

    def first(bench):
        yield "again 1", lambda: bench.row("x, 8 is best", verdict="MISSED")
        yield "again 2", lambda: bench.row("y", verdict="reached")
        yield "another", lambda: bench.row("z", verdict="reached")

    def second(bench):
        yield "again 1", lambda: bench.row("x, 4 is best", verdict="reached")
        yield "again 3", off
    got = lab.merged(rows_of(first), rows_of(second))["rows"]
    shown = [(r["cell"], r["verdict"]) for r in got]
    require(shown == [("y", "reached"), ("x, 4 is best", "reached"), ("again 3", "SKIPPED")],
            f"{shown}")


@case()
def lab_plots_the_window_alone(_t):
    """Of the decisions, those about parts in flight; a prefix's limits, which may end (null), are
    not that. One pair has no interval, and says so in one sign."""
    outcome = Run("auto", 1e9)
    outcome.elapsed_s, outcome.job, outcome.between = 2.0, {"window": 2.0}, lambda _b, _e: 5e8
    outcome.decisions = [
        {"t": 0.2, "knob": "requests a second of a prefix", "old": 90.5, "new": None},
        {"t": 0.5, "knob": "parts in flight", "old": 8, "new": 16},
        {"t": 0.7, "knob": "requests in flight of a prefix", "old": None, "new": 3}]
    require(lab_report.series(outcome)["window"] == [(0.0, 8), (0.5, 16), (2.0, 16)], "the window")
    bench = quiet_bench(Kept())
    bench.ratio("one", [Run("a", 10)], [Run("b", 12)], 1.1)
    require("0.000 to ∞ " in lab_bench.row_text(bench.rows[0]), lab_bench.row_text(bench.rows[0]))
    require(bench.rows[0]["verdict"] == "not decided", f"{bench.rows}")


@case()
def lab_experiments_are_known(_t):
    """Each has cells to run, or says which switch it lacks."""
    for quick in (True, False):
        for name, experiment in lab_table.EXPERIMENTS.items():
            absent = lab_table.missing(experiment.needs)
            require(all(a.startswith("--") for a in absent), f"{name}: {absent}")
            cells = list(experiment.cells(quiet_bench(Kept(), quick)))
            require(cells and all(callable(f) for _, f in cells), name)


@case()
def lab_measures(t):
    """A small path: what the laboratory says of a run is what the run and its server say."""
    with open(t.path("log"), "w", encoding="utf-8") as log:
        lab = lab_path.Lab(t.dir, log)
        bench = quiet_bench(lab)
        lab.calibrate = lambda path: None  # tests/system/cases_wanlab.py has that
        lab.tries = 1  # what is late on a busy machine does not matter here
        if harness.is_sanitized():
            os.environ["ASAN_OPTIONS"] = harness.NO_LEAKS
            t.at_end(lambda: os.environ.pop("ASAN_OPTIONS"))
        path = lab_path.Path("rate=100M rtt=10ms", rate=100e6)
        folder, size = bench.tree("tree", [256 * 1024] * 16)
        try:
            whole = lab_table.one_argosy(bench, path, (folder, size), (), watched=True)(1)
            eight = lab_table.static(bench, path, (folder, size), (), watched=True)(1) \
                if not lab_table.missing(("cc", "prefixes")) else whole
            cut = bench.up(path, seconds=3)(1)
        except lab_path.Trouble as trouble:
            if re.search("cannot make|/dev/net/tun|cannot mount|does not offload", str(trouble)):
                raise Skip(f"no laboratory on this machine: {trouble}") from None
            raise
    for run in (whole, eight):
        require(abs(run.goodput * run.elapsed_s / 8 - size) < 1, f"{run.line()}")
        stored = {s.key: s.in_bytes for s in run.served if s.operation == "PutObject"}
        require(len(stored) == 16 and sum(stored.values()) == size, f"{stored}")
        times = [(s.begin_s, s.end_s) for s in run.served if s.operation == "PutObject"]
        require(all(0 <= b <= e <= run.elapsed_s + 5 for b, e in times), f"{times} {run.elapsed_s}")
    require(whole.answer()["done"] == 16, f"{whole.answer()}")
    require(cut.cut and 0 < cut.goodput <= lab_bench.payload(100e6) * 1.02, f"{cut.line()}")


@case()
def soak_once(t):
    """One round of `make soak`: faults, and all adds up."""
    once = soak.Soak(t.dir, lambda _line: None)
    try:
        totals = once.run(0)
    finally:
        once.close()
    require(totals["rounds"] == 1 and totals["faults"] > 0, f"{totals}")
