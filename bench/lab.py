#!/usr/bin/python3
"""lab: the experiments of bench/lab_table.py on wanlab's paths, and their report. As root.

  bench/lab.py                 all of them: two hours on two cores that do nothing else
  bench/lab.py clean loss-bbr  these; what the report has of the others stays in it
  bench/lab.py 'clean:100ms'   of that one, the cells whose name contains this
  bench/lab.py -l              their names
  --quick                      fewer cells, shorter runs: half an hour, and wider intervals
  --pairs N                    of runs, instead of 4 (quick: 3)
  --links SHARE                of the bars' rates: 0.5 is 500 Mbit/s where they say 1 Gbit/s; else
                               what this machine carries of 1, 0.5 and 0.3, which is tried
  --seconds N                  of a run, instead of 20 (quick: 7)
  --tries N                    of a run that is void, instead of 4
  --markdown                   runs nothing: the last results as the table of docs/flow-control.md
  --report                     runs nothing: writes the report of the last results again

Under $BUILD/lab: report.html (plots inside, no network), results.json, and runs-NAME.jsonl (a line
a calibration, run and row). A bar that is missed is a result. The exit code is 1 where a program
failed and a cell so has none; one whose path could not be made as asked is skipped, and says so."""

import argparse
import json
import os
import platform
import shutil
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))

import core
import harness
import lab_report
from lab_bench import Bench, Scale, row_text
from lab_path import TRIES, Lab, Off, Trouble
from lab_table import EXPERIMENTS, missing

FOLDER = os.path.join(harness.BUILD, "lab")
RESULTS = os.path.join(FOLDER, "results.json")
SIDES_PLOTTED = 4
LINKS = (1.0, 0.5, 0.3)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((li.split(":")[1].strip() for li in file if li.startswith("model name")), "?")
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}"


def load():
    if not os.path.exists(RESULTS):
        return {}
    with open(RESULTS, encoding="utf-8") as file:
        return json.load(file)


def save(results):
    """In the order of the table, whatever was run last."""
    results = {name: results[name] for name in EXPERIMENTS if name in results}
    for path, text in ((RESULTS, json.dumps(results)),
                       (os.path.join(FOLDER, "report.html"), lab_report.page(results))):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)


def last_runs(outcomes):
    """path → the last run of each side, those first that ran most often: a grid is left out."""
    by_path = {}
    for outcome in outcomes:
        by_path.setdefault(outcome.path, {}).setdefault(outcome.name, []).append(outcome)
    return {path: [lab_report.series(runs[-1]) for runs in
                   sorted(names.values(), key=len, reverse=True)[:SIDES_PLOTTED]]
            for path, names in by_path.items()}


def measure(experiment, bench, keep=lambda: None):
    absent = missing(experiment.needs)
    if absent:
        bench.row("all", verdict="not run", note="needs " + "; ".join(absent))
        return
    for cell, function in experiment.cells(bench):
        if bench.scale.cells not in cell:
            continue
        bench.cell = cell
        try:
            function()
        except Off as off:
            bench.row(cell, verdict="SKIPPED", note=str(off))
        except Trouble as trouble:
            bench.row(cell, verdict="NO RESULT", note=" ".join(str(trouble).split())[-400:])
        keep()


def merged(old, new):
    """The experiment's result where only some of its cells were run again."""
    if not old:
        return new
    again = {r["of"] for r in new["rows"]}
    kept = [r for r in old["rows"] if r["of"] not in again]
    return {**new, "rows": kept + new["rows"],
            **{k: {**old[k], **new[k]} for k in ("calibrations", "series")}}


def run(name, scale, keep):
    """Measures; after each cell, keep() has the experiment's result as bench/lab_report.py wants
    it, in case that the laboratory is ended before the next."""
    experiment, started = EXPERIMENTS[name], time.monotonic()
    about = {"commit": core.commit(), "machine": machine(), "quick": scale.quick,
             "links": scale.links,
             "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    print(f"{name}: {experiment.title}", flush=True)
    with open(os.path.join(FOLDER, f"runs-{name}.jsonl"), "w", encoding="utf-8") as log:
        lab = Lab(FOLDER, log)
        lab.tries = scale.tries
        lab.keep("about", about)
        bench = Bench(lab, scale, lambda line: print(line, flush=True))
        bench.about = about

        def keep_cell():
            minutes = (time.monotonic() - started) / 60
            keep({"title": experiment.title, "about": {**about, "minutes": minutes},
                  "rows": list(bench.rows), "calibrations": dict(lab.calibrations),
                  "series": last_runs(lab.outcomes)})
        try:
            measure(experiment, bench, keep_cell)
            keep_cell()
        finally:
            shutil.rmtree(os.path.join(FOLDER, "files"), ignore_errors=True)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--quick", "--markdown", "--report", "-l"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--links", type=float)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    if asked.tries < 1:
        parser.error("--tries wants 1 or more")
    for name in asked.names:
        if name.split(":")[0] not in EXPERIMENTS:
            parser.error(f"there is no experiment {name}; there are: {' '.join(EXPERIMENTS)}")
    return asked


def carried():
    """How wide links may be here, of what the bars speak of: client, server and path share the
    CPUs. The hardest of the clean paths says so."""
    for links in LINKS:
        with open(os.path.join(FOLDER, "runs-links.jsonl"), "w", encoding="utf-8") as log:
            bench = Bench(Lab(FOLDER, log), Scale(True, links=links))
            try:
                if bench.carries(bench.link(1, "rtt=100ms")):
                    break
            except Trouble as trouble:
                sys.exit(f"lab: there is no laboratory here: {trouble}")
            finally:
                shutil.rmtree(os.path.join(FOLDER, "files"), ignore_errors=True)
    print(f"links: {links:g} of the bars' rates\n", flush=True)
    return links


def say_end(results):
    """All rows once more, as a table."""
    print()
    for name, result in results.items():
        print(name)
        for row in result["rows"]:
            print(row_text(row))
    verdicts = [r["verdict"] for result in results.values() for r in result["rows"]]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts)))
    print(f"\n{counts}\n{os.path.relpath(FOLDER)}/report.html")
    return 1 if "NO RESULT" in verdicts else 0


def main():
    harness.clean_environment()
    asked = read_arguments()
    if asked.l:
        print("\n".join(f"{name:15} {e.title}" for name, e in EXPERIMENTS.items()))
        return 0
    results = load()
    if asked.markdown:
        print(lab_report.markdown(results))
        return 0
    if asked.report:
        save(results)
        return 0
    if not shutil.which("iperf3"):
        sys.exit("lab: iperf3 is missing: make deps-lab")
    os.makedirs(FOLDER, exist_ok=True)
    new, links = {}, asked.links or carried()
    for word in asked.names or EXPERIMENTS:
        name, _, cells = word.partition(":")
        before = new.get(name) or (results.get(name) if cells else None)

        def keep(result, name=name, before=before):
            results[name] = merged(before, result)
            save(results)
        scale = Scale(asked.quick, asked.pairs, asked.seconds, cells, links, asked.tries)
        run(name, scale, keep)
        new[name] = results[name]
    return say_end(new)


if __name__ == "__main__":
    sys.exit(main())
