#!/usr/bin/python3
"""soak: trees go up to stowage and come down again, round after round, while one request in fifty
is misbehaved with.

  bench/soak.py --minutes 30

Each round must end in time with nothing left (no upload, no connection), and add up: what argosy
says (--json), what stowage counted, what boto3 finds, and the bytes that came back. Memory of both
programs must not grow: argosy's stays below its --memory plus 64 MiB, and over the second half of
a long round it rises by no more than SLOPE_MAX; stowage's, once it is emptied after each round, by
no more than that from the first half of the rounds to the second."""

import argparse
import hashlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))

import harness
import servers
from content import make_file, same_trees
from harness import MIB, require

# One request in fifty, in the ways that a network and a store really have.
FAULTS = ("error=500:InternalError p=0.8%", "error=SlowDown p=0.6%",
          "reset after=50% p=0.4% op=PutObject,UploadPart,GetObject",
          "lost p=0.2% op=PutObject,UploadPart")
MEMORY = 64 * MIB
RSS_MAX = MEMORY + 64 * MIB   # as tests/system/cases_budget.py
CONNECTIONS = 16              # a core
CORES = 2
DESCRIPTORS_MAX = 64 + 4 * CORES * CONNECTIONS  # a socket and a file each, twice
BOTO_CONNECTIONS = 10         # that it may keep open
SLOPE_MAX = 8 * MIB
SAMPLE_S = 0.1
SAMPLES_MIN = 200             # of a round that says something about growth: 20 s
ROUND_S = 60                  # what rounds grow to
COPIES_MAX = 16               # of the tree: the store has them all in memory
STUCK_S = 300                 # beyond any round


class Watch:
    """A process's memory and descriptors over time."""

    def __init__(self, pid):
        self.pid, self.rss, self.descriptors, self.over = pid, [], [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(SAMPLE_S):
            rss = harness.status_kib(self.pid, "VmRSS") * 1024
            if rss:
                self.rss.append(rss)
                self.descriptors.append(descriptors(self.pid))

    def end(self):
        self.over.set()
        self.thread.join()


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def growth(values):
    """How much the last quarter has above the third."""
    quarter = len(values) // 4
    return statistics.median(values[-quarter:]) - statistics.median(values[-2 * quarter:-quarter])


class Soak:
    def __init__(self, folder, say):
        self.folder, self.say, self.dice = folder, say, random.Random(1)
        self.server = servers.Stowage("--memory", "2G")
        self.s3 = self.server.boto3()
        self.s3.create_bucket(Bucket="soak")
        self.base = self.tree()
        self.totals = {"rounds": 0, "objects": 0, "bytes": 0, "retries": 0, "faults": 0}
        self.server_rss, self.round_s, self.copies = [], 0.0, 1
        self.idle = descriptors(self.server.pid) + BOTO_CONNECTIONS

    def close(self):
        self.server.stop()

    def tree(self):
        """Files of all kinds: empty, small, just below and above the threshold, in parts."""
        sizes = [0, 1, 4095, 65537, 5 * MIB - 1, 5 * MIB, 12 * MIB + 3]
        sizes += [self.dice.randrange(1, 128 * 1024) for _ in range(120)]
        for index, size in enumerate(sizes):
            make_file(os.path.join(self.folder, "base", f"d{index % 7}", f"f{index:03}"), size)
        return os.path.join(self.folder, "base")

    def settle(self):
        """Waits until the store has closed the connections of clients that have gone."""
        deadline = time.monotonic() + 30
        while descriptors(self.server.pid) > self.idle and time.monotonic() < deadline:
            time.sleep(0.05)
        now = descriptors(self.server.pid)
        require(now <= self.idle, f"stowage has {now} descriptors, {self.idle} at first")

    def argosy(self, *arguments):
        """One copy, watched; its numbers."""
        home = tempfile.mkdtemp(prefix="home-", dir=self.folder)
        env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": home,
               **self.server.environment()}
        process = harness.Process(
            [harness.ARGOSY, "cp", "-r", "--json", "-q", "--memory", str(MEMORY), "--cores",
             str(CORES), "--connections", str(CONNECTIONS), *harness.PARTS, *arguments], env,
            self.folder)
        watch = Watch(process.popen.pid)
        try:
            result = process.finish(STUCK_S)
        finally:
            watch.end()
            shutil.rmtree(home, ignore_errors=True)
        require(result.code == 0, f"{result}")
        require(result.rss_bytes <= RSS_MAX, f"{result.rss_bytes / MIB:.0f} MiB: {result}")
        most = max(watch.descriptors, default=0)
        require(most <= DESCRIPTORS_MAX, f"{most} descriptors: {result}")
        if len(watch.rss) >= SAMPLES_MIN:
            grown = growth(watch.rss)
            require(grown <= SLOPE_MAX, f"memory rises: {grown / MIB:.1f} MiB in a quarter")
        return result.json

    def add_up(self, numbers, count, size, counted):
        """argosy's account, and what stowage did to it."""
        requests, received, sent, hits = counted
        require(numbers["found"] == numbers["done"] == count and numbers["failed"] == 0
                and numbers["skipped"] == 0, f"{count} files: {numbers}")
        require(numbers["done_bytes"] == numbers["found_bytes"] == size, f"{size}: {numbers}")
        require(max(received, sent) >= size, f"stowage moved {received} and {sent} of {size}")
        require(requests >= count, f"stowage had {requests} requests: {numbers}")
        # A connection that broke before a byte of the reply is replaced, and counts as no retry.
        errors = hits[0] + hits[1]
        require(numbers["retries"] >= errors, f"{errors} errors were answered: {numbers}")
        self.totals["retries"] += numbers["retries"]
        self.totals["faults"] += sum(hits)

    def counted(self):
        """(requests, bytes in, bytes out, how often each rule hit); the rules end."""
        traffic = self.server.traffic()
        return (*traffic, [hit for _, hit, _ in self.server.faults()])

    def round(self):
        started, source, target = time.monotonic(), *(os.path.join(self.folder, n)
                                                      for n in ("source", "target"))
        os.mkdir(source)
        for index in range(self.copies):
            os.symlink(self.base, os.path.join(source, f"c{index:02}"))
        sizes = [os.path.getsize(os.path.join(here, f))
                 for here, _, files in os.walk(self.base) for f in files]
        count, size = len(sizes) * self.copies, sum(sizes) * self.copies
        seed = self.totals["rounds"] + 1
        rules = [f"{rule} seed={seed}" for rule in FAULTS]
        self.server.faults(*rules)
        self.add_up(self.argosy(source, "s3://soak/r/"), count, size, self.counted())
        self.read_back(source, count, size)
        self.server.faults(*rules)
        self.add_up(self.argosy("s3://soak/r/", target), count, size, self.counted())
        require(same_trees(source, target, follow=True) == count, "files are missing")
        self.clear(source, target)
        self.totals["rounds"] += 1
        self.totals["objects"] += 2 * count
        self.totals["bytes"] += 2 * size
        self.round_s = time.monotonic() - started

    def read_back(self, source, count, size):
        """By boto3: names, sizes, some of the contents, and that no upload was left."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="soak", Prefix="r/")
        found = {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}
        require(len(found) == count and sum(found.values()) == size,
                f"{len(found)} objects of {count}, {sum(found.values())} bytes of {size}")
        for key in self.dice.sample(sorted(found), min(20, count)):
            data = self.s3.get_object(Bucket="soak", Key=key)["Body"].read()
            with open(os.path.join(source, key.removeprefix("r/")), "rb") as file:
                require(hashlib.sha256(data).digest() == hashlib.sha256(file.read()).digest(), key)
        left = self.s3.list_multipart_uploads(Bucket="soak").get("Uploads", [])
        require(not left, f"uploads are left: {left}")

    def clear(self, source, target):
        """Empties the store, where nothing of the round may stay."""
        shutil.rmtree(source)  # its links, not what they lead to
        shutil.rmtree(target)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="soak")
        for page in pages:
            keys = [{"Key": o["Key"]} for o in page.get("Contents", [])]
            self.s3.delete_objects(Bucket="soak", Delete={"Objects": keys, "Quiet": True})
        self.settle()
        self.server_rss.append(harness.status_kib(self.server.pid, "VmRSS") * 1024)

    def run(self, seconds):
        """Rounds until the time is over; at least one."""
        end = time.monotonic() + seconds
        while True:
            self.round()
            self.say(f"round {self.totals['rounds']}: {self.copies} trees, {self.round_s:.1f} s, "
                     f"store {self.server_rss[-1] / MIB:.0f} MiB; so far "
                     f"{self.totals['faults']} faults, {self.totals['retries']} retries")
            if time.monotonic() + self.round_s > end:
                break
            if 2 * self.round_s < min(ROUND_S, seconds / 4):
                self.copies, self.server_rss = min(2 * self.copies, COPIES_MAX), []
        require(self.totals["faults"] > 0, "nothing was misbehaved with")
        rss = self.server_rss[1:]  # of rounds of one size; the first of them grows
        if len(rss) >= 8:
            half = len(rss) // 2
            grown = statistics.median(rss[half:]) - statistics.median(rss[:half])
            require(grown <= SLOPE_MAX, f"stowage grew by {grown / MIB:.1f} MiB")
        return self.totals


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    harness.clean_environment()
    folder = tempfile.mkdtemp(prefix="soak-", dir=harness.work_folder())
    soak = Soak(folder, lambda line: print(line, flush=True))
    try:
        totals = soak.run(asked.minutes * 60)
    except harness.Failure as failure:
        sys.exit(f"soak: FAILED in round {soak.totals['rounds'] + 1}: {failure}")
    finally:
        soak.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"soak: all adds up: {totals['rounds']} rounds, {totals['objects']} objects, "
          f"{totals['bytes'] / 1e9:.2f} GB, {totals['faults']} faults, {totals['retries']} retries")


if __name__ == "__main__":
    main()
