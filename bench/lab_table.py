"""lab_table: the experiments of `make lab`: paths, sides, bars. EXPERIMENTS is the list.

An experiment is a generator of (cell, function): the function measures and adds rows; where it
finds trouble, the other cells go on. What needs a switch that argosy does not have is not run;
SWITCHES is the one place that knows how switches are written.

Static assignment, the baseline over prefixes, is `--prefixes static --cc fixed:24`: three of what
is in flight for each of eight prefixes, and nobody takes over another's share."""

import json
import random
import re
import statistics
import subprocess
import sys
from functools import partial

import harness
import stats
from lab_bench import MIB, PREFIXES, payload
from lab_path import Off, Path, Trouble

LINK = 0.93                  # of the link: what "full" means in the bars
FIXED = (4, 8, 16, 32, 64)   # parts in flight, all cores: the grid of fixed settings
SLOTS = 24                   # of prefix experiments: three a prefix
SEEN_AHEAD = 8192            # small objects that argosy finds ahead: prefixes beyond have no work

SWITCHES = {
    "cc": ("--cc", "--cc auto|bbr|cubic|fixed:N"),
    "background": ("--background", "--background"),
    "max-rate": ("--max-rate", "--max-rate RATE"),
    "prefixes": ("--prefixes", "--prefixes fair|static"),
    "windows": ("--receive-windows", "--receive-windows auto|kernel"),
}


def missing(needs):
    """Of the switches that are needed, those that the built argosy does not have."""
    done = subprocess.run([harness.ARGOSY, "cp", "--help"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return [SWITCHES[n][1] for n in needs if SWITCHES[n][0] not in done.stdout.split()]


# --- one path, nothing changes ----------------------------------------------------------------

def clean(bench):
    for rtt in (50,) if bench.quick else (20, 50, 100):
        path = bench.link(1, f"rtt={rtt}ms")
        yield f"file up, {path}", partial(clean_file, bench, path, 0.93)
    yield "file up, 5 Gbit/s", partial(clean_fast, bench)
    path = bench.link(1, "rtt=50ms")
    yield f"file down, {path}", lambda: bench.pairs(
        f"file down, {path}", bench.iperf_best(path, "down"), bench.down(path), 0.93)
    yield f"tree of 1 MiB up, {path}", partial(clean_tree, bench, path)


def clean_file(bench, path, bar, **fields):
    bench.pairs(f"file up, {path}", bench.iperf_best(path), bench.up(path), bar, **fields)


def clean_fast(bench):
    """5 Gbit/s, or the most of these rates that this machine carries beside client and server."""
    for gigabits in (5, 3, 2) if bench.scale.links == 1 else ():
        path = bench.link(gigabits, "rtt=20ms")
        if bench.carries(path):
            return clean_file(bench, path, 0.90, **(
                {} if gigabits == 5 else {"note": "5 Gbit/s is more than this machine carries"}))
    raise Off("this machine does not carry 2 Gbit/s beside client and server")


def clean_tree(bench, path):
    count = int(path.rate * bench.scale.seconds * 1.5 / 8 / MIB)
    folder, _ = bench.tree("clean", [MIB] * count)
    side = bench.up(path, "-r", source=folder)
    bench.pairs(f"tree of 1 MiB up, {path}", bench.iperf_best(path), side, 0.93)


def loss_cells(bench):
    for rtt in (50,) if bench.quick else (50, 100):
        for loss in ("0.1%",) if bench.quick else ("0.01%", "0.1%", "1%"):
            path = bench.link(1, f"rtt={rtt}ms loss={loss}")
            yield f"{loss}, {rtt} ms, {path.rate / 1e6:.0f} Mbit/s", path


def loss_cubic(bench):
    for cell, path in loss_cells(bench):
        yield cell, partial(loss_cubic_cell, bench, cell, path)


def loss_cubic_cell(bench, cell, path):
    """auto against the best of the grid, and against fixed:8."""
    grid = {n: bench.up(path, "--tcp-cc", "cubic", "--cc", f"fixed:{n}")
            for n in ((8, 32) if bench.quick else FIXED)}
    best, _ = bench.best(grid)
    sides = {best: grid[best], 8: grid[8],
             "auto": bench.up(path, "--tcp-cc", "cubic", "--cc", "auto")}
    outcomes = bench.sides(sides)
    bench.ratio(f"{cell}: auto / fixed:{best}, the best", outcomes[best], outcomes["auto"], 0.95)
    floors = [min(1.25 * o.goodput, LINK * payload(path.rate)) for o in outcomes[8]]
    values = [o.goodput / f for o, f in zip(outcomes["auto"], floors)]
    bench.mean(f"{cell}: auto / min(1.25 fixed:8, {LINK} link)", outcomes["auto"], values, 1.0,
               note=f"the floor is {statistics.fmean(floors) / 1e6:.0f} Mbit/s")


def loss_bbr(bench):
    for cell, path in loss_cells(bench):
        yield cell, lambda c=cell, p=path: bench.share(
            f"{c}: of the link", bench.up(p, "--tcp-cc", "bbr"), payload(p.rate), 0.90)


def stationary(bench):
    """Nothing changes: what looking for better settings costs, against the best one kept."""
    for gigabits, rtt in ((1, 50),) if bench.quick else ((1, 50), (0.3, 100)):
        path = bench.link(gigabits, f"rtt={rtt}ms")
        yield str(path), partial(stationary_cell, bench, path)


def stationary_cell(bench, path):
    sides = {n: bench.up(path, "--cc", f"fixed:{n}") for n in (4, 8, 16)}
    best, _ = bench.best(sides)
    bench.pairs(f"auto / fixed:{best}, {path}", sides[best], bench.up(path, "--cc", "auto"), 0.98)


# --- prefixes ---------------------------------------------------------------------------------

def one_argosy(bench, path, tree, server, *options, watched=False):
    """A tree to its end, by one argosy."""
    folder, size = tree
    argv = bench.lab.copy("-r", "--cores", "2", *options, folder, "s3://lab/")
    return lambda seed: bench.lab.argosy(" ".join(("argosy", *options)), path, argv, server,
                                         seed=seed, moved_bytes=size, watched=watched)


def static(bench, path, tree, server, watched=False):
    return one_argosy(bench, path, tree, server, "--prefixes", "static", "--cc", f"fixed:{SLOTS}",
                      watched=watched)


def skew(bench):
    """64 objects over eight prefixes, each at most a sixth of the link fast."""
    dice = random.Random(4)
    path = bench.link(1, "rtt=20ms")
    server = ("--byte-rate", f"{path.rate * 0.16 / 8e3:.0f}KB per=object")
    mean = (8 if bench.quick else 16) * path.rate / 1e9 * MIB
    for name, bar, sizes in (
            ("lognormal σ=1", 1.20, [int(mean * dice.lognormvariate(-0.5, 1)) for _ in range(64)]),
            ("uniform", 0.98, [int(mean)] * 64)):
        yield f"{name}: auto / static", partial(skew_cell, bench, path, server, name, bar, sizes)


def skew_cell(bench, path, server, name, bar, sizes):
    tree = bench.tree("skew", sizes)
    sides = {"static": static(bench, path, tree, server),
             "auto": one_argosy(bench, path, tree, server, "--cc", "auto")}
    if not bench.quick:
        sides["fixed"] = one_argosy(bench, path, tree, server, "--cc", f"fixed:{SLOTS}")
    outcomes = bench.sides(sides)
    bench.ratio(f"{name}: auto / static", outcomes["static"], outcomes["auto"], bar)
    if "fixed" in outcomes:
        bench.ratio(f"{name}: fixed:{SLOTS} / static", outcomes["static"], outcomes["fixed"], None)


def slow_prefix(bench):
    """One of eight prefixes answers four times more slowly than the others. The requests in flight
    bound the rate, not the link: small objects, as S3 answers them."""
    sizes = [64 * 1024] * (2400 if bench.quick else SEEN_AHEAD)
    slow = ("--service-time", "fixed:400ms op=PutObject key=p0/*",
            "--service-time", "fixed:100ms op=PutObject")
    yield "one at 1/4 of the rate", partial(slow_prefix_cell, bench, sizes, slow, slow[2:])


def slow_prefix_cell(bench, sizes, server, healthy):
    path = bench.link(1, "rtt=20ms")
    tree = bench.tree("prefix", sizes)
    outcomes = bench.sides({
        "static": static(bench, path, tree, server, watched=True),
        "auto": one_argosy(bench, path, tree, server, "--cc", "auto", watched=True),
        "healthy": one_argosy(bench, path, tree, healthy, "--cc", "auto", watched=True)})
    bench.ratio("slow: auto / static", outcomes["static"], outcomes["auto"], 1.15)
    bench.ratio("slow: the others' rate / with all alike", outcomes["healthy"], outcomes["auto"],
                0.95, measure=lambda o: rate_of_others(o, bench.scale.warm))


LIMITED_S = 5.0  # from then on refusals must be rare


def limited_prefix(bench):
    """One of eight prefixes may have a quarter of the requests/s: SlowDown beyond. Once while all
    have work, where 72 small objects in flight are too few for what the server allows; and a tree
    to its end, which no scheme reaches before the limited prefix does."""
    yield "limited: while all have work", partial(limited_working, bench)
    yield "limited: to the end", partial(limited_tree, bench)


def limited_working(bench):
    path, seconds = bench.link(1, "rtt=20ms"), 14 if bench.quick else 20
    folder, _ = bench.tree("limited", [32 * 1024] * SEEN_AHEAD)
    limits = ("--prefix-limit", "12/s:12 key=p0/*", "--prefix-limit", "48/s:48",
              "--service-time", "fixed:250ms op=PutObject")

    def side(server, *options):
        return bench.up(path, "-r", *options, source=folder, target="s3://lab/",
                        server=server, seconds=seconds, watched=True)
    outcomes = bench.sides({"static": side(limits, "--prefixes", "static", "--cc",
                                           f"fixed:{SLOTS}"),
                            "auto": side(limits, "--cc", "auto"),
                            "healthy": side(limits[2:], "--cc", "auto")})
    bench.ratio("limited: auto / static", outcomes["static"], outcomes["auto"], 1.15,
                measure=lambda o: put_rate(o, LIMITED_S, seconds), note="objects with status 200")
    bench.ratio("limited: the others' rate / with all alike", outcomes["healthy"],
                outcomes["auto"], 0.95, measure=lambda o: put_rate(o, LIMITED_S, seconds, "p0/"))
    bench.worst("limited: share of SlowDown after 5 s", outcomes["auto"],
                [refused_share(o, LIMITED_S) for o in outcomes["auto"]], 0.01)


def limited_tree(bench):
    path = bench.link(1, "rtt=20ms")
    server = ("--prefix-limit", "50/s:50 key=p0/*", "--prefix-limit", "200/s:200")
    tree = bench.tree("prefix", [64 * 1024] * (1600 if bench.quick else 4000))
    outcomes = bench.sides({"static": static(bench, path, tree, server, watched=True),
                            "auto": one_argosy(bench, path, tree, server, "--cc", "auto",
                                               watched=True)})
    bench.ratio("limited, to the end: auto / static", outcomes["static"], outcomes["auto"], 1.15,
                note="both must wait for the limited prefix: 1 is the most")
    late = [o for o in outcomes["auto"] if o.elapsed_s > LIMITED_S]
    if late:
        bench.worst("limited, to the end: SlowDown after 5 s", late,
                    [refused_share(o, LIMITED_S) for o in late], 0.01)


def put_rate(outcome, begin_s, end_s, but="/"):
    """Bits/s of objects that were stored, but for those below a prefix."""
    sizes = [s.in_bytes for s in outcome.served if s.status == 200 and s.in_bytes
             and begin_s < s.end_s <= end_s and not s.key.startswith(but)]
    return sum(sizes) * 8 / (end_s - begin_s)


def rate_of_others(outcome, begin_s):
    """Bits/s of all prefixes but p0, behind Startup, until the last of them is through."""
    good = [s for s in outcome.served if s.status == 200 and not s.key.startswith("p0/")
            and s.in_bytes and s.end_s > begin_s]
    if not good:
        raise Trouble(f"{outcome.name}: the server's log has no request of the other prefixes")
    return sum(s.in_bytes for s in good) * 8 / (max(s.end_s for s in good) - begin_s)


def refused_share(outcome, after_s):
    later = [s for s in outcome.served if s.end_s > after_s]
    return sum(s.status == 503 for s in later) / len(later) if later else 0.0


# --- a server with a knee -----------------------------------------------------------------------

KNEE = 16


def knee(bench):
    """Latency grows beyond 16 requests in flight, 503 beyond 24."""
    yield "auto / fixed:64", partial(knee_cell, bench)


def knee_cell(bench):
    path = bench.link(1, "rtt=20ms")
    # 16 parts of 5 MiB in flight are 0.6 of the link: what is full is the server.
    whole_s = KNEE * 5 * MIB * 8 / (0.6 * path.rate)
    server = ("--knee", str(KNEE), "--service-time", f"fixed:{whole_s * 1000:.0f}ms op=UploadPart")
    seconds = 3 * bench.scale.seconds
    a, b = bench.pairs("goodput: auto / fixed:64", *(
        bench.up(path, "--part-size", "5M", "--cc", cc, server=server, seconds=seconds,
                 watched=True) for cc in ("fixed:64", "auto")), 1.0,
        measure=lambda o: served_rate(o, bench.scale.warm, seconds), note="parts with status 200")
    refused = [[max(1, sum(s.status == 503 for s in o.served)) for o in side] for side in (a, b)]
    bench.ratio("503s: fixed:64 / auto", b, a, 10.0, unit="",
                measure=lambda o: max(1, sum(s.status == 503 for s in o.served)),
                note=f"{sum(refused[0])} and {sum(refused[1])}")
    bench.worst(f"off {KNEE} in flight, second half", b,
                [abs(in_flight(o, seconds / 2, seconds) / KNEE - 1) for o in b], 0.2)


def served_rate(outcome, begin_s, end_s):
    parts = [s.in_bytes for s in outcome.served
             if s.status == 200 and s.operation == "UploadPart" and begin_s < s.end_s <= end_s]
    return sum(parts) * 8 / (end_s - begin_s)


def in_flight(outcome, begin_s, end_s):
    """The mean number of parts that the server had."""
    held = sum(max(0.0, min(s.end_s, end_s) - max(s.begin_s, begin_s)) for s in outcome.served
               if s.operation == "UploadPart")
    return held / (end_s - begin_s)


# --- a path that changes ------------------------------------------------------------------------

SETTLED = 0.9       # of a new level
SETTLE_S = 3.0      # the bar; ten round trips are less
SETTLE_WINDOW_S = 0.5


def steps(bench):
    """Capacity 1 G, 300 M, 1 G, and round trip 20, 120, 20 ms."""
    yield "auto / the setting that was enough at first", partial(steps_cell, bench)


def steps_cell(bench):
    still, less = bench.link(1, "rtt=20ms"), bench.link(0.3, "rtt=120ms")
    grid = {n: bench.up(still, "--cc", f"fixed:{n}")
            for n in ((2, 8) if bench.quick else (1, 2, 3, 4, 6, 8, 16, 32))}
    _, alone = bench.best(grid)
    most = max(o.goodput for o in alone.values())
    kept = min(n for n, o in alone.items() if o.goodput >= 0.98 * most)
    length = 15 if bench.quick else 30
    path = Path(still.text, f"{length}s {less}; {2 * length}s {still}", still.rate)
    a, b = bench.pairs(f"auto / fixed:{kept}", *(
        bench.up(path, "--cc", cc, seconds=3 * length) for cc in (f"fixed:{kept}", "auto")),
        1.15)
    for phase, name in ((1, str(less)), (2, str(still))):
        span = phase * length, (phase + 1) * length
        bench.ratio(f"auto / fixed:{kept}, while {name}", a, b, None,
                    measure=lambda o, s=span: o.between(*s))
        bench.worst(f"seconds to {SETTLED:.0%} of {name}", b, [settle_s(o, *span) for o in b],
                    SETTLE_S, unit="s")


def settle_s(outcome, begin_s, end_s):
    """Seconds from a step on until goodput is 90 % of what the phase ends with."""
    level = outcome.between(end_s - (end_s - begin_s) / 3, end_s)
    at = begin_s
    while at + SETTLE_WINDOW_S < end_s and \
            outcome.between(at, at + SETTLE_WINDOW_S) < SETTLED * level:
        at += 0.1
    return at - begin_s


# --- others on the path, and a cap --------------------------------------------------------------

def fairness(bench):
    """Beside one iperf3 flow under cubic, a queue of one BDP."""
    yield "the other flow beside argosy", partial(beside_cell, bench)


def beside_cell(bench):
    """argosy as it comes, and with --background where it has that."""
    path, seconds = bench.link(1, "rtt=20ms"), bench.scale.seconds
    flow = ["iperf3", "-c", "10.77.0.2", "-C", "cubic", "-t", str(seconds), "-J"]
    sides = {"alone": bench.iperf(path, 1, "cubic"), "beside": bench.up(path, beside=flow)}
    absent = missing(("background",))
    if not absent:
        sides["background"] = bench.up(path, "--background", beside=flow)
    outcomes = bench.sides(sides)
    for side, name, bar in (("beside", "argosy", None), ("background", "argosy --background", 0.8)):
        if side not in outcomes:
            bench.row(f"the other flow: beside {name} / alone", verdict="not run", bar=bar,
                      note="needs " + "; ".join(absent))
            continue
        bench.ratio(f"the other flow: beside {name} / alone", outcomes["alone"], outcomes[side],
                    bar, measure=iperf_rate)
        bench.mean(f"{name} and the other flow: of the link", outcomes[side],
                   [o.goodput / payload(path.rate) for o in outcomes[side]], None)


def iperf_rate(outcome):
    answer = json.loads(outcome.job.get("beside_out") or outcome.job["out"])
    if "end" not in answer:
        raise Trouble(f"iperf3: {answer.get('error')}")
    return answer["end"]["sum_received"]["bits_per_second"]


def windows(bench):
    """A download on a path whose queue is long: what a loss-based server makes of it."""
    path = bench.link(0.4, "rtt=50ms queue=4BDP")
    yield f"file down, {path}", partial(windows_cell, bench, path)


def windows_cell(bench, path):
    kernel, auto = bench.pairs("goodput: windows by argosy / by the kernel",
                               bench.down(path, "--receive-windows", "kernel"), bench.down(path),
                               0.98)
    bench.ratio("what queues in the second half, the same", kernel, auto, None,
                measure=lambda o: queued(o, 0.5), unit="bytes")


def queued(outcome, share):
    """Bytes in the bottleneck's queue of the download, the mean from that share of the run on."""
    series, every = outcome.report["series"]["down"]["queued_bytes"], outcome.every_s
    first, last = (round((outcome.first_s + s * outcome.elapsed_s) / every) for s in (share, 1))
    return statistics.fmean(series[first:last])


def max_rate(bench):
    """Any five seconds, from the first on, against what was asked for."""
    path = bench.link(1, "rtt=20ms")
    for megabits in (50,) if bench.quick else (10, 50, 400 * bench.scale.links):
        yield f"{megabits:.0f} Mbit/s", partial(max_rate_cell, bench, path, megabits)


def max_rate_cell(bench, path, megabits):
    seconds = 12
    side = bench.up(path, "--max-rate", f"{megabits:.0f}Mbit/s", seconds=seconds)
    outcomes = bench.sides({"B": side})["B"]
    windows = [[o.between(t / 10, t / 10 + 5) / (megabits * 1e6)
                for t in range(10, (seconds - 5) * 10)] for o in outcomes]
    bench.worst(f"{megabits:.0f} Mbit/s: any 5 s are off by", outcomes,
                [max(abs(w - 1) for w in run) for run in windows], 0.02)


# --- cost -------------------------------------------------------------------------------------

def cost(bench):
    """CPU on loopback, without a path: bench/pairs.py of auto against fixed."""
    yield "CPU a GiB, loopback", partial(cost_cell, bench)
    yield "handing out a part", partial(cost_of_a_part, bench)


def cost_cell(bench):
    argv = [sys.executable, f"{harness.ROOT}/bench/pairs.py", "--a=--cc fixed:4", "--b=--cc auto",
            "--pairs", str(stats.MEDIAN_MIN if bench.quick else 12), "up, plain, CRC32C"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with open(f"{harness.BUILD}/bench-pairs.jsonl", encoding="utf-8") as file:
        got = json.loads(file.readlines()[-1])
    if done.returncode not in (0, 1):
        raise Trouble(done.stdout[-600:])
    bench.row(f"{got['name']}: auto / fixed:4", value=got["ratio"], low=got["low"],
              high=got["high"], bar=got["bar"], most=True, a=got["cpu"]["A"], b=got["cpu"]["B"],
              names=["argosy --cc fixed:4", "argosy --cc auto"], unit="CPU s",
              verdict=got["verdict"], note="medians of pairs")


COST_LINE = re.compile(r"^a task through the fair queue, (.*?) +([0-9.]+) ns", re.M)


def cost_of_a_part(bench):
    """The scheduler's share of a part, by bench/primitives: at most 1 µs."""
    values = []
    for _ in range(bench.scale.pairs):
        done = subprocess.run([f"{harness.BUILD}/bench/primitives"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        found = COST_LINE.search(done.stdout)
        if not found:
            raise Trouble(f"bench/primitives says nothing of the fair queue: {done.stdout[-300:]}")
        values.append(float(found[2]) / 1000)
    mean, low, high = stats.mean_interval(values)
    bench.row(f"handing out a part, {found[1]}", value=mean, low=low, high=high, bar=1.0, most=True,
              b=values, names=["", "bench/primitives"], unit="µs",
              verdict=stats.verdict(low, high, at_most=1.0))


class Experiment:
    def __init__(self, title, needs, cells):
        self.title, self.needs, self.cells = title, needs, cells


EXPERIMENTS = {
    "clean": Experiment("clean paths: of iperf3's best", (), clean),
    "loss-bbr": Experiment("random loss, the kernel's bbr: of the link", (), loss_bbr),
    "loss-cubic": Experiment("random loss, the kernel's cubic: auto and fixed counts", ("cc",),
                             loss_cubic),
    "stationary": Experiment("nothing changes: the price of looking for better", ("cc",),
                             stationary),
    "skew": Experiment("sizes over prefixes: auto and static assignment", ("cc", "prefixes"), skew),
    "slow-prefix": Experiment("one prefix is four times slower", ("cc", "prefixes"), slow_prefix),
    "limited-prefix": Experiment("one prefix has a quarter of the requests/s",
                                 ("cc", "prefixes"), limited_prefix),
    "knee": Experiment("a server with a knee", ("cc",), knee),
    "steps": Experiment("capacity and round trip change", ("cc",), steps),
    "fairness": Experiment("beside another flow", (), fairness),
    "windows": Experiment("receive windows and a long queue", ("windows",), windows),
    "max-rate": Experiment("--max-rate is kept", ("max-rate",), max_rate),
    "cost": Experiment("what flow control costs", ("cc",), cost),
}
