"""Rates: kept over all connections, in both directions."""

import json
import os
import re
import socket
import subprocess
import threading
import time

from content import make_file, same
from harness import EXIT_MISSING, EXIT_USAGE, MIB, PARTS, case, require
from proxy import Proxy

RATE = 10_000_000  # bytes/s: 80 Mbit/s


class Flow:
    """Looks at what a proxy moved, twenty times a second."""

    def __init__(self, t, direction):
        self.proxy, self.direction = Proxy(t.server.url), direction
        # What waits in the proxy's own buffers has not reached argosy yet: little of it.
        self.proxy.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        self.env = {"AWS_ENDPOINT_URL": self.proxy.url}
        self.points, self.open = [], True
        t.at_end(self.close)
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while self.open:
            self.points.append((time.monotonic(), self.proxy.moved[self.direction]))
            time.sleep(0.05)

    def close(self):
        self.open = False
        self.proxy.close()

    def spans(self, seconds, since=0.0):
        """The rates over all spans of that length within which something moved throughout."""
        first = next((at for at, moved in self.points if moved), 0) + since
        last = next((at for at, moved in self.points if moved == self.points[-1][1]), 0)
        inside = [point for point in self.points if first <= point[0] <= last]
        for index, (begin, before) in enumerate(inside):
            end = next((point for point in inside[index:] if point[0] >= begin + seconds), None)
            if end:
                yield (end[1] - before) / (end[0] - begin)


def keeps(rates, rate):
    """A busy machine falls behind now and then, and its proxy sees bytes late; the exact bounds are
    the unit tests' (budget, pace), on virtual time."""
    rates = list(rates)
    require(rates, "the run was too short to be judged")
    mean, most = sum(rates) / len(rates), max(rates)
    text = f"asked {rate}, mean {mean:.0f}, most {most:.0f} bytes/s"
    require(most < 1.10 * rate, f"too fast: {text}")
    require(mean > 0.75 * rate, f"too slow: {text}")


@case("stowage", "stowage-tls")
def upload_at_a_rate(t):
    """Parts of 5 MiB are sent in slices: two seconds see the rate."""
    source = make_file(t.path("in"), 30 * MIB)
    if t.server.ca:  # no proxy between: the total tells
        seconds = t.argosy("cp", *PARTS, "--max-rate", "80Mbit/s", "--json", source,
                           t.uri("k")).json["seconds"]
        require(30 * MIB / seconds < 1.06 * RATE, f"{seconds} s")
        require(30 * MIB / seconds > 0.75 * RATE, f"{seconds} s")
        return
    flow = Flow(t, "up")
    t.argosy("cp", *PARTS, "--max-rate", "80Mbit/s", source, t.uri("k"), env=flow.env)
    keeps(flow.spans(2.0), RATE)
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "something else was stored")


@case("stowage")
def download_at_a_rate(t):
    """By a timetable that says the same all day."""
    source = make_file(t.path("in"), 30 * MIB)
    t.argosy("cp", *PARTS, source, t.uri("k"))
    flow = Flow(t, "down")
    t.argosy("cp", *PARTS, "--max-rate", "00:00,10MB 12:00,80Mbit", t.uri("k"), t.path("out"),
             env=flow.env)
    keeps(flow.spans(2.0, since=0.2), RATE)  # the proxy's own buffers fill first
    same(source, t.path("out"))


@case("stowage")
def small_files_at_a_rate(t):
    """Many objects: the rate holds over all connections together, heads counted."""
    for number in range(400):
        make_file(t.path("tree", f"{number}"), 20_000)
    result = t.argosy("cp", "-r", "--max-rate", "4MB", "--json", t.path("tree"), t.uri("t/"))
    up = 8_000_000 / result.json["seconds"]
    require(3_000_000 < up < 4_240_000, f"{up:.0f} bytes/s up")
    result = t.argosy("cp", "-r", "--max-rate", "4MB", "--json", t.uri("t/"), t.path("back"))
    down = 8_000_000 / result.json["seconds"]
    require(3_000_000 < down < 4_240_000, f"{down:.0f} bytes/s down")


@case()
def rates_that_are_refused(t):
    for text, word in (("50", "unit"), ("10Mb", "bits or bytes"), ("08:00,5M 25:00,off", "25:00"),
                       ("10M:5", "unit")):
        result = t.argosy("cp", "--max-rate", text, "/etc/hostname", "s3://bucket/k",
                          code=EXIT_USAGE)
        require("--max-rate" in result.err and word in result.err, f"{result}")


def caps_of(port):
    """SO_MAX_PACING_RATE of the connections to a port, bits/s, as ss shows it behind the rate of
    now; None: not set."""
    out = subprocess.run(["ss", "-tinH", f"dport = :{port}"], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    units = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    caps = []
    for line in out.splitlines():
        found = re.search(r"pacing_rate [\d.]+[KMGT]?bps(?:/([\d.]+)([KMGT]?)bps)?", line)
        if found:
            caps.append(float(found[1]) * units[found[2]] if found[1] else None)
    return caps


def await_caps(port, good, what):
    """Waits until the caps of all connections are as they should be."""
    end, caps = time.monotonic() + 20, []
    while time.monotonic() < end:
        caps = caps_of(port)
        if len(caps) >= 2 and all(good(cap) for cap in caps):
            return
        time.sleep(0.05)
    raise AssertionError(f"{what}: {caps}")


def limit_of(t, copy):
    """Of one that runs, whatever else does on this machine; waits until it answers."""
    for _ in range(200):
        states = [json.loads(line) for line in t.argosy("ctl", "--json").out.splitlines()]
        for state in states:
            if state["pid"] == copy.popen.pid and state["found"]:
                return state["max_rate_bytes_per_s"]
        time.sleep(0.02)
    raise AssertionError("the transfer does not show up")


@case("stowage")
def each_connection_is_capped(t):
    """Twice its even share, which the kernel keeps to; another one with another rate, and none when
    there is none."""
    source = make_file(t.path("in"), 60 * MIB)
    flow = Flow(t, "up")
    port = flow.proxy.url.rsplit(":", 1)[1]
    copy = t.start("cp", "--cores", "1", "--cc", "fixed:4", *PARTS, "--max-rate", "8MB", source,
                   t.uri("k"), env=flow.env)
    limit_of(t, copy)
    await_caps(port, lambda cap: cap and 4e6 * 8 * 0.9 < cap <= 16e6 * 8 * 1.06, "at 8 MB/s")
    t.argosy("ctl", str(copy.popen.pid), "4MB")
    await_caps(port, lambda cap: cap and 2e6 * 8 * 0.9 < cap <= 8e6 * 8 * 1.06, "at 4 MB/s")
    flow.proxy.rate["up"] = 6 * MIB  # so that there is something left to see
    t.argosy("ctl", str(copy.popen.pid), "off")
    await_caps(port, lambda cap: cap is None, "without a limit")
    flow.proxy.rate.clear()
    require(copy.finish(30).code == 0, "the copy failed")


@case("stowage")
def up_and_down_apart(t):
    """A run takes the rate of its way."""
    source = make_file(t.path("in"), 8 * MIB)
    copy = t.start("cp", "--max-rate", "off:100K", source, t.uri("k"))
    require(copy.finish(20).code == 0, "an upload was held to what is meant for downloads")
    slow = t.start("cp", "--max-rate", "off:100K", t.uri("k"), t.path("out"))
    require(limit_of(t, slow) == 102400, "the rate of downloads")
    changed = t.argosy("ctl", str(slow.popen.pid), "100K:off", "--json")
    require(changed.json["max_rate_bytes_per_s"] == 0, f"{changed}")
    require(slow.finish(20).code == 0, "the download failed")
    same(source, t.path("out"))


def running(t, count):
    """What ctl says once that many transfers run."""
    for _ in range(200):
        result = t.argosy("ctl", "--json")
        states = [json.loads(line) for line in result.out.splitlines()]
        if len(states) == count and all(state["found"] for state in states):
            return states
        time.sleep(0.02)
    raise AssertionError(f"{count} transfers do not show up: {result}")


@case("stowage")
def ctl_changes_the_rate(t):
    """At first it would take minutes; it ends at once when it may."""
    source = make_file(t.path("in"), 30 * MIB)
    copy = t.start("cp", *PARTS, "-v", "--max-rate", "100K", source, t.uri("k"))
    state = running(t, 1)[0]
    require(state["max_rate_bytes_per_s"] == 102400 and state["job"] > 0, f"{state}")
    require(state["source"] == source and state["target"] == t.uri("k"), f"{state}")
    require(state["pid"] == copy.popen.pid and state["command"] == "cp", f"{state}")
    listed = t.argosy("ctl")
    require(f"job {state['job']} " in listed.out and "100 KiB/s" in listed.out, f"{listed}")
    folder = t.path("home", "argosy")
    require(os.stat(folder).st_mode & 0o777 == 0o700, "the folder is open to others")
    require(all(os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600
                for name in os.listdir(folder)), "the socket is open to others")
    changed = t.argosy("ctl", str(state["job"]), "200MB", "--json")
    require(changed.json["max_rate_bytes_per_s"] == 200_000_000, f"{changed}")
    changed = t.argosy("ctl", str(state["pid"]), "off")
    require("no limit" in changed.out, f"{changed}")
    result = copy.finish(20)
    require(result.code == 0 and "rate limit: off" in result.err, f"{result}")
    require(not os.listdir(folder), "the socket was left")


@case("stowage")
def ctl_says_what_is_wrong(t):
    source = make_file(t.path("in"), 5 * MIB)
    t.fails(("ctl", "50M"), EXIT_MISSING, "no transfer")
    require("no transfer" in t.argosy("ctl").err, "an empty list is not told")
    t.fails(("ctl", "5", "50Q"), EXIT_USAGE, "50Q")
    t.fails(("ctl", "now", "50M"), EXIT_USAGE, "now")
    copies = [t.start("cp", "--journal", "none", "--max-rate", "100K", source, t.uri(key))
              for key in ("a", "b")]
    running(t, 2)
    t.fails(("ctl", "999999999", "50M"), EXIT_MISSING, "999999999")
    t.fails(("ctl", "50M"), EXIT_USAGE, "2 transfers")
    listed = t.argosy("ctl").out
    require(all(f"{source} {t.uri(key)}:" in listed for key in ("a", "b")), f"{listed}")
    copies[0].popen.kill()
    copies[0].finish()
    state = running(t, 1)[0]  # the name that the dead one left does not matter
    require(state["pid"] == copies[1].popen.pid, f"{state}")
    require("at most 50.0 MiB/s" in t.argosy("ctl", "50M").out, "the only one needs no number")
    require(copies[1].finish(20).code == 0, "the other copy failed")
