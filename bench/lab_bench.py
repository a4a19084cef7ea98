"""lab_bench: what the experiments of bench/lab_table.py are made with: sides in A B B A order, rows
with an interval and a verdict, and the things that are moved."""

import math
import os
import shutil
import statistics

import stats
from lab_path import SEGMENT_SHARE, TRIES, Off, Path, Trouble, sparse_file

MIB = 2 ** 20
PREFIXES = 8
LATE = " late: "  # in what wanlab says of a run whose packets came later than they should have


class Scale:
    """How long, how often, and how wide: links are this share of what the bars speak of, where the
    machine carries no more. `cells`: only those whose name contains this."""

    def __init__(self, quick, pairs=None, seconds=None, cells="", links=1.0, tries=TRIES):
        self.quick, self.cells, self.links, self.tries = quick, cells, links, tries
        self.seconds = seconds or (7 if quick else 20)
        self.warm = max(2, self.seconds // 5)
        self.pairs = pairs or (3 if quick else 4)


class Bench:
    def __init__(self, lab, scale, say=print):
        self.lab, self.scale, self.quick, self.say = lab, scale, scale.quick, say
        self.rows, self.cell, self.about = [], "", {}

    def link(self, gigabits, text):
        """A path of that rate, as wide as this machine has them."""
        rate = gigabits * 1e9 * self.scale.links
        return Path(f"rate={rate / 1e6:.0f}M {text}", rate=rate)

    # --- what is moved
    def file(self, rate, seconds):
        """One that is not through when the time is over."""
        size = math.ceil(rate * seconds * 1.5 / 8 / MIB) * MIB
        return sparse_file(os.path.join(self.lab.folder, "files", f"{size}"), size)

    def tree(self, name, sizes):
        """(folder, bytes): files of these sizes, dealt out to PREFIXES folders in turn."""
        folder = os.path.join(self.lab.folder, "files", name)
        shutil.rmtree(folder, ignore_errors=True)
        for index, size in enumerate(sizes):
            sparse_file(os.path.join(folder, f"p{index % PREFIXES}", f"f{index:05}"), size)
        return folder, sum(sizes)

    # --- rows
    def row(self, cell, **fields):
        """One of the report: what was measured, with its interval, against its bar."""
        fields = {"cell": cell, "of": self.cell, "about": self.about, "note": "", "low": None,
                  "high": None, "bar": None, "most": False, "value": None, "a": [], "b": [],
                  "names": ["", ""], "unit": "", **fields}
        self.rows.append(fields)
        self.lab.keep("row", fields)
        self.say(row_text(fields))

    def verdict(self, outcomes, low, high, at_least, late_costs=False):
        """A verdict, unless a run of these is void to the last. Where what comes late can only take
        from the value, a bar may be reached all the same."""
        spoilt = [o for o in outcomes if not o.sound]
        if spoilt:
            note = f"{len(spoilt)} of {len(outcomes)} runs: {spoilt[0].void}"
            reached = late_costs and stats.verdict(low, high, at_least=at_least) == "reached"
            if reached and all(LATE in o.void for o in spoilt):
                return {"verdict": "reached", "note": f"{note}, which only takes from it"}
            return {"verdict": "VOID", "note": note}
        if at_least is None:
            return {"verdict": "reported"}
        return {"verdict": stats.verdict(low, high, at_least=at_least)}

    def sides(self, sides, pairs=None):
        """side → its outcomes; sides in order, then backwards, and so on; each is a function of a
        seed, which is the same for all of a round."""
        outcomes = {side: [] for side in sides}
        for index in range(pairs or self.scale.pairs):
            order = list(sides) if index % 2 == 0 else list(sides)[::-1]
            for side in order:
                outcomes[side].append(sides[side](index + 1))
        return outcomes

    def ratio(self, cell, a, b, bar, measure=lambda o: o.goodput, **fields):
        """Of outcomes that were run in pairs: B / A."""
        values = [[measure(o) for o in side] for side in (a, b)]
        if min(values[0] + values[1]) <= 0:
            raise Trouble(f"a run moved nothing: {values}")
        ratio, low, high = stats.ratio_interval(*values)
        self.row(cell, value=ratio, low=low, high=high, bar=bar, a=values[0], b=values[1],
                 names=[a[0].name, b[0].name], cpu=[cpu_of(a), cpu_of(b)],
                 **{"unit": "bit/s", **self.verdict(a + b, low, high, bar), **fields})

    def pairs(self, cell, a, b, bar, pairs=None, **fields):
        outcomes = self.sides({"A": a, "B": b}, pairs)
        self.ratio(cell, outcomes["A"], outcomes["B"], bar, **fields)
        return outcomes["A"], outcomes["B"]

    def share(self, cell, run, whole, bar):
        """Of the link: the mean of as many runs as pairs would have."""
        outcomes = self.sides({"B": run})["B"]
        self.mean(cell, outcomes, [o.goodput / whole for o in outcomes], bar, late_costs=True)
        return outcomes

    def mean(self, cell, outcomes, values, bar, late_costs=False, **fields):
        """Of values that runs have, not of pairs."""
        mean, low, high = stats.mean_interval(values)
        self.row(cell, value=mean, low=low, high=high, bar=bar, b=values,
                 names=["", outcomes[0].name], cpu=[None, cpu_of(outcomes)],
                 **{**self.verdict(outcomes, low, high, bar, late_costs), **fields})

    def worst(self, cell, outcomes, values, bar, **fields):
        """The largest of values that must all be at most `bar`."""
        verdict = self.verdict(outcomes, max(values), max(values), None)
        if verdict["verdict"] == "reported":
            verdict["verdict"] = "reached" if max(values) <= bar else "MISSED"
        self.row(cell, value=max(values), bar=bar, most=True, b=values,
                 names=["", outcomes[0].name],
                 **{**verdict, "note": verdict.get("note", "the most of all runs"), **fields})

    def best(self, runs):
        """(its key, outcomes by key): of single runs, the one with the most goodput."""
        outcomes = {key: run(1) for key, run in runs.items()}
        return max(outcomes, key=lambda k: outcomes[k].goodput), outcomes

    def carries(self, path):
        """Is the path as asked, and does argosy's traffic over it leave the machine time for it?"""
        tries, self.lab.tries = self.lab.tries, 1
        try:
            return all(self.up(path)(seed).sound for seed in (1, 2))
        except Off:
            return False
        finally:
            self.lab.tries = tries

    # --- sides
    def up(self, path, *options, source=None, target="s3://lab/k", seconds=None,
           **how):
        """argosy sends a file that has no end, until the time is over."""
        seconds = seconds or self.scale.seconds
        source = source or self.file(path.rate, seconds)
        argv = self.lab.copy(*options, source, target)
        label = how.pop("label", " ".join(("argosy", *options)))
        return lambda seed: self.lab.argosy(label, path, argv, seed=seed, seconds=seconds,
                                            warm=self.scale.warm, **how)

    def down(self, path, *options):
        """The same from the server to nowhere."""
        size = math.ceil(path.rate * self.scale.seconds * 1.5 / 8 / 2 ** 30)
        argv = self.lab.copy(*options, f"s3://lab/size-{size}GiB", "/dev/null")
        return lambda seed: self.lab.argosy(" ".join(("argosy", *options)), path, argv, seed=seed,
                                            seconds=self.scale.seconds, warm=self.scale.warm,
                                            direction="down")

    def iperf(self, path, flows, cc, direction="up"):
        return lambda seed: self.lab.iperf(path, self.scale.seconds, self.scale.warm, flows, cc,
                                           direction, seed)

    def iperf_best(self, path, direction="up"):
        """iperf3 as it was best among these."""
        runs = {(flows, cc): self.iperf(path, flows, cc, direction)
                for cc in ("cubic", "bbr") for flows in ((4,) if self.quick else (1, 8))}
        key, _ = self.best(runs)
        return runs[key]


def cpu_of(outcomes):
    return statistics.fmean(o.cpu_per_gib() for o in outcomes)


def payload(rate):
    """Of a link's rate, what is left for TCP's payload."""
    return rate * SEGMENT_SHARE


def number(value):
    if value is None or math.isfinite(value):
        return "" if value is None else f"{value:.3f}"
    return "∞" if value > 0 else "-∞"


def bar_text(row):
    return "" if row["bar"] is None else f"{'≤' if row['most'] else '≥'} {row['bar']:.3g}"


def interval_text(row):
    return "" if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"


def row_text(row):
    return (f"  {row['cell']:44} {number(row['value']):>8} {interval_text(row):19} "
            f"{bar_text(row):>7}  {row['verdict']:12} {row['note']}").rstrip()
