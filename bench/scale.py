#!/usr/bin/python3
"""scale: does memory stay flat however much there is to do? And how large does the journal get?

  bench/scale.py [--objects N] [--parts N] [many|large]     both; 1,000,000 objects, 10,000 parts

Two uploads to `stowage --null` with the journal on: a tree of N small files (hard links, so that it
costs names only), and one sparse file in N parts of 5 MiB. Four times a second the resident memory
of argosy is sampled beside the number of requests that the server has seen. The slope is the least
squares line through the samples behind the first fifth, when pools and connections have been made;
the growth is that slope over the whole run. PASS: it is below the bar. The last line says so."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))

import harness
import servers
from harness import MIB

FOLDER_FILES = 1000
FILE_BYTES = 1024
PART_BYTES = 5 * MIB
WARM_SHARE = 0.2
# So little that the pools are soon as large as they may become; SHA-256 of each part says nothing.
BOUNDED = ("--memory", "64M", "--no-sign-payload")
# More than what is noise of an allocator; a leak of one small allocation an object would be 16 MiB.
GROWTH_BYTES_MAX = 8 * MIB


def make_many(folder, count):
    """`count` names of small files, FOLDER_FILES in a folder, all of them links of one."""
    done = os.path.join(folder, "many.done")
    many = os.path.join(folder, "many")
    if os.path.exists(done) and open(done, encoding="utf-8").read() == str(count):
        return many
    shutil.rmtree(many, ignore_errors=True)
    for first in range(0, count, FOLDER_FILES):
        below = os.path.join(many, f"d{first // FOLDER_FILES:05}")
        os.makedirs(below)
        one = os.path.join(below, "f00000")
        with open(one, "wb") as file:
            file.write(os.urandom(FILE_BYTES))
        for index in range(1, min(FOLDER_FILES, count - first)):
            os.link(one, os.path.join(below, f"f{index:05}"))
    with open(done, "w", encoding="utf-8") as file:
        file.write(str(count))
    return many


def make_large(folder, parts):
    path = os.path.join(folder, "large")
    with open(path, "wb") as file:
        file.truncate(parts * PART_BYTES)
    return path


def folder_bytes(folder):
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.path.getsize(os.path.join(here, name))
            except OSError:  # a journal's file that went away
                pass
    return total


def slope(samples):
    """Bytes a request, of [(requests, bytes)]."""
    count = len(samples)
    mean_x = sum(x for x, _ in samples) / count
    mean_y = sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0


def run(name, folder, server, requests, *args):
    """One upload, watched; a line of figures, and whether it passed."""
    home = tempfile.mkdtemp(prefix="home-", dir=folder)
    env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": home,
           **server.environment()}
    server.faults()  # counts anew
    started, samples, journal_max = time.monotonic(), [], 0
    process = subprocess.Popen([harness.ARGOSY, "cp", *BOUNDED, *args], env=env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            rss_bytes = harness.status_kib(process.pid, "VmRSS") * 1024
            if rss_bytes:
                samples.append((server.traffic()[0], rss_bytes))
            journal_max = max(journal_max, folder_bytes(home))
            time.sleep(0.25)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    seconds, journal_end = time.monotonic() - started, folder_bytes(home)
    shutil.rmtree(home, ignore_errors=True)
    moved = server.traffic()[0]
    warm = [s for s in samples if s[0] >= WARM_SHARE * requests]
    if process.returncode or moved < requests or len(warm) < 5:
        print(f"FAIL {name}: exit {process.returncode}, {moved:,} of {requests:,} requests, "
              f"{len(warm)} samples")
        return False
    each = slope(warm)
    passed = each * requests <= GROWTH_BYTES_MAX
    print(f"{'PASS' if passed else 'FAIL'} {name}: RSS slope {each:+.2f} bytes a request over "
          f"{len(warm)} samples: {each * requests / MIB:+.1f} MiB in all (bar "
          f"{GROWTH_BYTES_MAX // MIB}); RSS {max(y for _, y in samples) / MIB:.0f} MiB at most; "
          f"journal {journal_max / MIB:.1f} MiB at most, {journal_end / MIB:.1f} MiB at the end, "
          f"{journal_max / requests:.0f} bytes a request; {seconds:.0f} s, "
          f"{moved / seconds:,.0f} requests/s", flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("which", nargs="*", choices=[[], "many", "large"])
    options = parser.parse_args()
    which = options.which or ["many", "large"]
    folder = os.path.join(harness.BUILD, "scale")
    os.makedirs(folder, exist_ok=True)
    harness.clean_environment()
    server, passed = servers.Stowage("--null"), []
    try:
        server.boto3().create_bucket(Bucket="scale")
        if "many" in which:
            many = make_many(folder, options.objects)
            passed.append(run(f"{options.objects:,} objects", folder, server, options.objects,
                              "-r", many, "s3://scale/many/"))
        if "large" in which:
            large = make_large(folder, options.parts)
            passed.append(run(f"{options.parts:,} parts", folder, server, options.parts,
                              "--part-size", "5M", large, "s3://scale/large"))
            os.unlink(large)
    finally:
        server.stop()
    print(f"scale: {sum(passed)} passed, {len(passed) - sum(passed)} failed")
    sys.exit(0 if passed and all(passed) else 1)


if __name__ == "__main__":
    main()
