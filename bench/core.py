#!/usr/bin/python3
"""bench-core: client CPU per GiB and peak memory against `stowage --null` on loopback.

CPU is user + system time of the argosy process (wait4), the median of three runs. Both ends use the
cubic congestion control: loopback under bbr costs about twice. stowage is pinned to the last CPU
and argosy runs with --cores 1, which is the first, so that the client's figure is not blurred by
the two fighting over a CPU; `--free` lets argosy choose. Source files are in the page cache, read
once before each row. The bars are those of issue 2. One JSON line a row goes to
$BUILD/bench-core.jsonl.

  bench/core.py [--free] [--runs N] [WORD…]     rows whose name contains a word"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))

import harness
import servers
from content import make_file
from harness import MIB

GIB = 1024 * MIB
RSS_MAX = (256 + 64) * MIB
BOUNDED = ("--memory", "256M")
UNSIGNED = ("--no-sign-payload",)
ONE_CORE = ("--cores", "1")

# name, server, bytes (None: the bar is CPU seconds in all), bar, arguments from (folder, bucket)
ROWS = [
    ("4 GiB up, plain, CRC32C, unsigned", "plain", 4 * GIB, 0.32,
     lambda d, b: [*UNSIGNED, f"{d}/large", f"s3://{b}/large"]),
    ("4 GiB up, TLS 1.3, CRC32C", "tls", 4 * GIB, 0.62,
     lambda d, b: [f"{d}/large", f"s3://{b}/large"]),
    ("4 GiB down to a file, plain", "plain", 4 * GIB, 0.45,
     lambda d, b: [f"s3://{b}/large", f"{d}/out"]),
    ("4 GiB down to /dev/null, plain", "plain", 4 * GIB, 0.30,
     lambda d, b: [f"s3://{b}/large", "/dev/null"]),
    ("10,000 x 16 KiB up, plain, unsigned", "plain", None, 1.6,
     lambda d, b: ["-r", *UNSIGNED, f"{d}/small", f"s3://{b}/small/"]),
    ("1,000 x 1 MiB up, plain, unsigned", "plain", None, 0.6,
     lambda d, b: ["-r", *UNSIGNED, f"{d}/medium", f"s3://{b}/medium/"]),
]


SOURCES = (("large", 1, 4 * GIB), ("small", 10_000, 16 * 1024), ("medium", 1000, MIB))


def make_files(folder, rows):
    """What the rows move; kept for the next time."""
    named = {os.path.basename(a) for row in rows for a in row[4](folder, "bench")}
    for name, count, size in SOURCES:
        for index in range(count if name in named else 0):
            path = os.path.join(folder, name, f"d{index % 100:02}", f"f{index:05}")
            path = os.path.join(folder, name) if count == 1 else path
            if not os.path.exists(path) or os.path.getsize(path) != size:
                make_file(path, size)


def open_folder(rows):
    """Where the rows' files are, made where they are missing."""
    folder = os.path.join(harness.BUILD, "bench")
    os.makedirs(folder, exist_ok=True)
    make_files(folder, rows)
    return folder


def choose(words):
    return [row for row in ROWS if not words or any(w in row[0] for w in words)]


def warm_source(folder, arguments):
    """Reads what an upload reads: the page cache has it then."""
    for path in arguments:
        if path.startswith(folder) and not path.endswith("/out"):
            subprocess.run(["sh", "-c", f"find '{path}' -type f -exec cat {{}} + >/dev/null"],
                           check=True)


def start_server(kind):
    last = max(os.sched_getaffinity(0))
    args = ["--null", "--tcp-cc", "cubic"]
    if kind == "plain":
        return servers.Stowage(*args, cpu=last)
    return servers.StowageTls(*args, cpu=last)


def server_of(running, row, folder):
    """The row's server, from those that run or started now; it has what the row downloads."""
    kind = row[1]
    if kind not in running:
        running[kind] = start_server(kind)
        running[kind].boto3().create_bucket(Bucket="bench")
    if "down" in row[0]:
        run_once(folder, running[kind], ROWS[0][4](folder, "bench"), ONE_CORE)
    return running[kind]


def run_once(folder, server, arguments, cores, program=harness.ARGOSY):
    """One copy, with a home of its own: no run finds the journal of another."""
    home = tempfile.mkdtemp(prefix="home-", dir=folder)
    argv = [program, "cp", "--tcp-cc", "cubic", *BOUNDED, *cores, *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": home,
           **server.environment()}
    result = harness.Process(argv, env, folder).finish(600)
    shutil.rmtree(home, ignore_errors=True)
    harness.require(result.code == 0, f"{result}")
    out = os.path.join(folder, "out")
    if os.path.exists(out):
        os.unlink(out)
    return result


def measure(row, folder, server, runs, cores):
    name, kind, size, bar, arguments = row
    args = arguments(folder, "bench")
    warm_source(folder, args)
    results = [run_once(folder, server, args, cores) for _ in range(runs)]
    scale = size / GIB if size else 1
    cpu = [r.cpu_s / scale for r in results]
    seconds = statistics.median(r.seconds for r in results)
    return {"name": name, "unit": "CPU s/GiB" if size else "CPU s", "bar": bar,
            "cpu": statistics.median(cpu), "runs": [round(c, 3) for c in cpu],
            "rss_mib": max(r.rss_bytes for r in results) / MIB, "seconds": seconds,
            "gib_per_s": size / GIB / seconds if size else None,
            "ok": statistics.median(cpu) <= bar,
            "rss_ok": max(r.rss_bytes for r in results) <= RSS_MAX}


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.strip()


def main():
    harness.clean_environment()
    words = [w for w in sys.argv[1:] if not w.startswith("--")]
    runs = 3
    if "--runs" in sys.argv:
        runs = int(sys.argv[sys.argv.index("--runs") + 1])
        words.remove(str(runs))
    cores = () if "--free" in sys.argv else ONE_CORE
    rows = choose(words)
    folder = open_folder(rows)
    running, failed = {}, 0
    log = open(os.path.join(harness.BUILD, "bench-core.jsonl"), "a", encoding="utf-8")
    print(f"{'work':38} {'measured':>9} {'bar':>6}  {'unit':9} {'verdict':8} "
          f"{'peak RSS':>9}  {'wall':>7}  runs")
    try:
        for row in rows:
            got = measure(row, folder, server_of(running, row, folder), runs, cores)
            failed += not (got["ok"] and got["rss_ok"])
            print(f"{got['name']:38} {got['cpu']:9.3f} {got['bar']:6.2f}  {got['unit']:9} "
                  f"{'reached' if got['ok'] else 'MISSED':8} {got['rss_mib']:5.0f} MiB"
                  f"{' ' if got['rss_ok'] else '!'} {got['seconds']:6.2f} s  {got['runs']}",
                  flush=True)
            log.write(json.dumps({**got, "commit": commit(), "kernel": platform.release(),
                                  "cores": " ".join(cores), "when": time.time()}) + "\n")
    finally:
        for server in running.values():
            server.stop()
        log.close()
    print(f"peak RSS must be at most {RSS_MAX // MIB} MiB with {' '.join(BOUNDED)}; "
          f"{failed} of the rows missed a bar")


if __name__ == "__main__":
    main()
