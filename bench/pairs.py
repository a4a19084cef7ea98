#!/usr/bin/python3
"""pairs: client CPU of two argosys, or of one with two sets of options, side by side against
`stowage --null` on loopback: A B B A pairs of the rows of bench/core.py, the median of the ratios
B/A, and an interval that has the true median with 95 %.

  bench/pairs.py --base REV                     that revision (A) against this tree (B)
  bench/pairs.py --a='--journal none'           this tree, with options (--a=, --b=) and without
  --pairs N   at least 6, 12 unless said    --free   argosy chooses its CPUs (see bench/core.py)
  WORD…       only rows whose name contains one

Each run has a home of its own, so that no journal of another is read. The bars: a ratio of 1.03 a
GiB and 1.10 a small file. One JSON line a row goes to $BUILD/bench-pairs.jsonl; the exit code is 1
where a bar is missed for certain."""

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import time

import core
import harness
import stats

BAR_GIB, BAR_SMALL = 1.03, 1.10


def build_base(revision):
    """The argosy of that revision, built once a commit, in a worktree that goes away again."""
    commit = subprocess.run(["git", "rev-parse", "--verify", revision + "^{commit}"], check=True,
                            cwd=core.ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    folder = os.path.join(harness.BUILD, "base")
    program, tree = (os.path.join(folder, kind + commit[:12]) for kind in ("argosy-", "tree-"))
    if os.path.exists(program):
        return program
    os.makedirs(folder, exist_ok=True)
    try:
        subprocess.run(["git", "worktree", "add", "--force", "--detach", tree, commit], check=True,
                       cwd=core.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["make", f"-j{os.cpu_count()}", "BUILD=build", "build/argosy"], check=True,
                       cwd=tree, stdout=subprocess.DEVNULL)
        shutil.copy2(os.path.join(tree, "build/argosy"), program)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=core.ROOT)
    return program


def run_pairs(row, sides, folder, server, pairs, cores):
    """side → CPU seconds of each run, in order."""
    arguments = row[4](folder, "bench")
    cpu = {side: [] for side in sides}
    core.warm_source(folder, arguments)
    for side, (program, options) in sides.items():  # the first of each finds everything cold
        core.run_once(folder, server, [*options, *arguments], cores, program)
    for side in stats.order(pairs):
        program, options = sides[side]
        result = core.run_once(folder, server, [*options, *arguments], cores, program)
        cpu[side].append(result.cpu_s)
    return cpu


def compare(row, cpu):
    ratio, low, high = stats.median_interval([b / a for a, b in zip(cpu["A"], cpu["B"])])
    small = row[2] is None
    bar = BAR_SMALL if small else BAR_GIB
    scale = 1 if small else row[2] / core.GIB
    return {"name": row[0], "unit": "CPU s" if small else "CPU s/GiB",
            "a": statistics.median(cpu["A"]) / scale, "b": statistics.median(cpu["B"]) / scale,
            "ratio": ratio, "low": low, "high": high, "bar": bar,
            "verdict": stats.verdict(low, high, at_most=bar), "cpu": cpu}


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base")
    parser.add_argument("--a", default="")
    parser.add_argument("--b", default="")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--free", action="store_true")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    if asked.pairs < stats.MEDIAN_MIN:
        parser.error(f"fewer than {stats.MEDIAN_MIN} pairs say nothing")
    if not asked.base and asked.a == asked.b:
        parser.error("A and B are the same: give --base REV, or --a and --b")
    return asked


def main():
    harness.clean_environment()
    asked = read_arguments()
    base = build_base(asked.base) if asked.base else harness.ARGOSY
    sides = {"A": (base, shlex.split(asked.a)), "B": (harness.ARGOSY, shlex.split(asked.b))}
    cores = () if asked.free else core.ONE_CORE
    rows = core.choose(asked.words)
    folder = core.open_folder(rows)
    running, missed = {}, 0
    print(f"A: {asked.base or 'this tree'} {asked.a}\nB: this tree ({core.commit()}) {asked.b}\n"
          f"{asked.pairs} pairs\n\n{'work':38} {'A':>7} {'B':>7} {'B/A':>6}  95 % interval    bar",
          flush=True)
    try:
        for row in rows:
            server = core.server_of(running, row, folder)
            got = compare(row, run_pairs(row, sides, folder, server, asked.pairs, cores))
            missed += got["verdict"] == "MISSED"
            print(f"{got['name']:38} {got['a']:7.3f} {got['b']:7.3f} {got['ratio']:6.3f}  "
                  f"{got['low']:.3f} to {got['high']:.3f}  {got['bar']:5.2f}  {got['verdict']}",
                  flush=True)
            with open(os.path.join(harness.BUILD, "bench-pairs.jsonl"), "a",
                      encoding="utf-8") as log:
                log.write(json.dumps({**got, "base": asked.base, "options": [asked.a, asked.b],
                                      "commit": core.commit(), "kernel": platform.release(),
                                      "when": time.time()}) + "\n")
    finally:
        for server in running.values():
            server.stop()
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
