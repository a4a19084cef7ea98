"""Rates: kept over all connections, in both directions."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from content import make_file, same
from harness import EXIT_MISSING, EXIT_USAGE, MIB, PARTS, Failure, case, require, wait_for
from proxy import Proxy

RATE = 10_000_000  # bytes/s: 80 Mbit/s


class Flow:
    """What a proxy moved, looked at twenty times a second, from when the copy is started."""

    def __init__(self, t, direction):
        self.proxy, self.direction = Proxy(t.server.url), direction
        # What waits in the proxy's own buffers has not reached argosy yet: little of it.
        self.proxy.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        self.env = {"AWS_ENDPOINT_URL": self.proxy.url}
        self.begin, self.points, self.open = time.monotonic(), [], True
        t.at_end(self.close)
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while self.open:
            moved = self.proxy.moved[self.direction]
            self.points.append((time.monotonic() - self.begin, moved))
            time.sleep(0.05)

    def close(self):
        self.open = False
        self.proxy.close()

    def rate(self):
        """The mean while something moved."""
        first = next((at for at, moved in self.points if moved), 0)
        last = next((at for at, moved in self.points if moved == self.points[-1][1]), 0)
        return self.points[-1][1] / (last - first) if last > first else 0

    def never_beyond(self, rate, beyond_bytes):
        """At no time more than the rate allowed until then. (A proxy that has slept sees much in a
        short time, but none of it too early.)"""
        for at, moved in self.points:
            require(moved <= rate * at + beyond_bytes,
                    f"{moved} bytes within {at:.2f} s, at {rate} bytes/s: {moved - rate * at:.0f}")


def reaches(rate, once):
    """A busy machine falls behind now and then, so that one of some runs is enough. `once`: makes a
    run and says what it reached; the exact bounds are the unit tests' (budget, pace), on virtual
    time."""
    reached = []
    while len(reached) < 5 and max(reached, default=0) <= 0.75 * rate:
        reached.append(once(len(reached)))
    require(max(reached) > 0.75 * rate, f"too slow: {reached}, asked {rate} bytes/s")


@case("stowage", "stowage-tls", waits=True)
def upload_at_a_rate(t):
    """Parts of 5 MiB are sent in slices: a fifth of a second more than the rate is never sent."""
    source = make_file(t.path("in"), 30 * MIB)
    copy = ("cp", *PARTS, "--max-rate", "80Mbit/s", "--json", source, t.uri("k"))

    def by_proxy(_):
        flow = Flow(t, "up")
        t.argosy(*copy, env=flow.env)
        flow.close()
        flow.never_beyond(RATE, RATE / 5)
        return flow.rate()

    def by_itself(_):  # no proxy between: the total tells
        rate = 30 * MIB / t.argosy(*copy).json["seconds"]
        require(rate < 1.06 * RATE, f"{rate:.0f} bytes/s")
        return rate
    reaches(RATE, by_itself if t.server.ca else by_proxy)
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "something else was stored")


@case("stowage", waits=True)
def download_at_a_rate(t):
    """By a timetable that says the same all day. What lies in argosy's own sockets is what goes
    beyond the rate, until it is read."""
    source = make_file(t.path("in"), 30 * MIB)
    t.argosy("cp", *PARTS, source, t.uri("k"))
    log = t.path("log")

    def once(_):
        flow = Flow(t, "down")
        seconds = t.argosy("cp", *PARTS, "--max-rate", "00:00,10MB 12:00,80Mbit", "--json",
                           "--log-decisions", log, t.uri("k"), t.path("out"),
                           env=flow.env).json["seconds"]
        flow.close()
        require(30 * MIB / seconds < 1.06 * RATE, f"{seconds} s")
        flow.never_beyond(RATE, RATE)
        return flow.rate()
    reaches(RATE, once)
    same(source, t.path("out"))
    with open(log, encoding="utf-8") as file:
        windows = [d for d in map(json.loads, file) if d["knob"].startswith("receive window")]
    require(windows and windows[0]["old"] is None and windows[0]["new"] >= 65536 and
            windows[0]["state"] == "limited" and windows[0]["reason"], f"{windows}")


@case("stowage", waits=True)
def small_files_at_a_rate(t):
    """Many objects: the rate holds over all connections together, heads counted."""
    for number in range(400):
        make_file(t.path("tree", f"{number}"), 20_000)

    def copied(*places):
        rate = 8_000_000 / t.argosy("cp", "-r", "--max-rate", "4MB", "--json",
                                    *places).json["seconds"]
        require(rate < 4_240_000, f"{rate:.0f} bytes/s from {places[0]}")
        return rate
    reaches(4_000_000, lambda n: copied(t.path("tree"), t.uri(f"t{n}/")))
    reaches(4_000_000, lambda n: copied(t.uri("t0/"), t.path(f"back{n}")))


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
    def are_good():
        caps[:] = caps_of(port)
        return len(caps) >= 2 and all(good(cap) for cap in caps)
    caps = []
    wait_for(are_good, lambda: f"caps {what}: {caps}")


def limit_of(t, copy):
    """Of one that runs, whatever else does on this machine; waits until it answers."""
    def found():
        states = [json.loads(line) for line in t.argosy("ctl", "--json").out.splitlines()]
        return [s for s in states if s["pid"] == copy.popen.pid and s["found"]]
    return wait_for(found, "the transfer to show up")[0]["max_rate_bytes_per_s"]


@case("stowage")
def each_connection_is_capped(t):
    """Twice its even share, which the kernel keeps to; another one with another rate, and none when
    there is none."""
    source = make_file(t.path("in"), 60 * MIB)
    flow = Flow(t, "up")
    flow.proxy.rate["up"] = MIB // 2  # so that there is something to see, however late we look
    port = flow.proxy.url.rsplit(":", 1)[1]
    copy = t.start("cp", "--cores", "1", "--cc", "fixed:4", *PARTS, "--max-rate", "8MB", source,
                   t.uri("k"), env=flow.env)
    limit_of(t, copy)
    await_caps(port, lambda cap: cap and 4e6 * 8 * 0.9 < cap <= 16e6 * 8 * 1.06, "at 8 MB/s")
    t.argosy("ctl", str(copy.popen.pid), "4MB")
    await_caps(port, lambda cap: cap and 2e6 * 8 * 0.9 < cap <= 8e6 * 8 * 1.06, "at 4 MB/s")
    t.argosy("ctl", str(copy.popen.pid), "off")
    await_caps(port, lambda cap: cap is None, "without a limit")
    flow.proxy.release()
    require(copy.finish().code == 0, "the copy failed")


@case("stowage")
def up_and_down_apart(t):
    """A run takes the rate of its way."""
    source = make_file(t.path("in"), 8 * MIB)
    copy = t.start("cp", "--max-rate", "off:100K", source, t.uri("k"))
    require(copy.finish(60).code == 0, "an upload was held to what is meant for downloads")
    slow = t.start("cp", "--max-rate", "off:100K", t.uri("k"), t.path("out"))
    require(limit_of(t, slow) == 102400, "the rate of downloads")
    changed = t.argosy("ctl", str(slow.popen.pid), "100K:off", "--json")
    require(changed.json["max_rate_bytes_per_s"] == 0, f"{changed}")
    require(slow.finish(60).code == 0, "the download failed")
    same(source, t.path("out"))


def running(t, count):
    """What ctl says once that many transfers run."""
    def found():
        states = [json.loads(line) for line in t.argosy("ctl", "--json").out.splitlines()]
        return states if len(states) == count and all(s["found"] for s in states) else None
    return wait_for(found, f"{count} transfers to show up")


@case("stowage")
def ctl_changes_the_rate(t):
    """At first it would take minutes; it ends at once when it may."""
    source = make_file(t.path("in"), 30 * MIB)
    log = t.path("log")
    copy = t.start("cp", *PARTS, "-v", "--max-rate", "100K", "--log-decisions", log, source,
                   t.uri("k"))
    state = running(t, 1)[0]
    require(state["max_rate_bytes_per_s"] == 102400 and state["job"] > 0, f"{state}")
    require(state["source"] == source and state["target"] == t.uri("k"), f"{state}")
    require(state["pid"] == copy.popen.pid and state["command"] == "cp", f"{state}")
    listed = t.argosy("ctl")
    require(f"job {state['job']} " in listed.out and "100 KiB/s" in listed.out, f"{listed}")
    wait_for(lambda: "policy" in t.argosy("ctl").out.partition("; time: ")[2], "what limits it")
    wait_for(lambda: running(t, 1)[0]["limited_by"] == "policy", "what limits it, by its name")
    folder = t.path("home", "argosy")
    require(os.stat(folder).st_mode & 0o777 == 0o700, "the folder is open to others")
    require(all(os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600
                for name in os.listdir(folder)), "the socket is open to others")
    changed = t.argosy("ctl", str(state["job"]), "200MB", "--json")
    require(changed.json["max_rate_bytes_per_s"] == 200_000_000, f"{changed}")
    changed = t.argosy("ctl", str(state["pid"]), "off")
    require("no limit" in changed.out, f"{changed}")
    result = copy.finish()
    require(result.code == 0 and "rate limit: off" in result.err, f"{result}")
    with open(log, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    asked = [(d["old"], d["new"], d["reason"]) for d in lines if "asked for" in d["knob"]]
    require(asked == [(None, 102400, "--max-rate"), (102400, 200_000_000, "argosy ctl"),
                      (200_000_000, None, "argosy ctl")], f"{asked}")
    parts = [d for d in lines if d["knob"] == "parts that share a rate"]
    caps = [d for d in lines if d["knob"] == "bytes a second of a connection, at most"]
    require(parts and parts[0]["old"] is None and parts[0]["new"] >= 1, f"{lines}")
    require(caps and caps[0]["old"] is None and 8192 < caps[0]["new"] < 1e6, f"{lines}")
    require(all(d["reason"] and d["state"] in ("limited", "free") for d in parts + caps),
            f"{lines}")
    require(not os.listdir(folder), "the socket was left")


def local_noon_in(seconds):
    """TZ: a time zone of one's own, in which it is noon then (POSIX: local + offset = UTC)."""
    east = round(12 * 3600 - seconds - time.time()) % 86400
    east -= 86400 if east > 43200 else 0
    minutes, rest = divmod(abs(east), 60)
    return f"TST{'-' if east > 0 else '+'}{minutes // 60}:{minutes % 60:02}:{rest:02}"


def over_noon(t, rates, *places):
    """A copy that has begun by the first of two rates; (copy, its flow, when it is noon: on its
    clock). A machine may be too slow to begin in time: then noon comes later."""
    for seconds in (4, 15, 50):
        flow, log = Flow(t, "up"), t.path(f"log{seconds}")
        flow.proxy.noon = time.time() + seconds
        flow.env["TZ"] = local_noon_in(seconds)
        copy = t.start("cp", "--journal", "none", *PARTS, "--log-decisions", log, "--max-rate",
                       f"00:00,{rates[0][1]} 12:00,{rates[1][1]}", *places, env=flow.env)
        if limit_of(t, copy) == rates[0][0]:
            return copy, flow, log
        copy.interrupt(signal.SIGINT)
        copy.finish()
        flow.close()
    raise Failure("no copy began within 50 s")


def asked_for(log):
    """What --log-decisions has on the rate that is asked for: (when, old, new, reason)."""
    with open(log, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [(d["t"], d["old"], d["new"], d["reason"]) for d in lines if "asked for" in d["knob"]]


@case("stowage")
def timetable_raises_the_rate(t):
    """At the first rate it would take five minutes; at noon there comes another one."""
    source = make_file(t.path("in"), 30 * MIB)
    copy, flow, log = over_noon(t, ((102400, "100K"), (8_000_000, "8MB")), source, t.uri("k"))
    result = copy.finish()
    flow.close()
    ended = time.time()
    require(result.code == 0, f"{result}")
    by = "--max-rate, by the clock"
    asked = asked_for(log)
    require([a[1:] for a in asked] == [(None, 102400, by), (102400, 8_000_000, by)], f"{asked}")
    require(ended > flow.proxy.noon + 20 * MIB / 8e6, "it was over too early")
    changed = asked[1][0]
    early = [moved for at, moved in flow.points if at < changed]
    require(early and early[-1] < 102400 * (changed + 1), f"{early[-1]} bytes before noon")
    # Behind it by the second rate and no more; what the first allowed is included.
    require(all(moved <= early[-1] + 8e6 * (at - changed + 1) + MIB
                for at, moved in flow.points if at >= changed), "more than the second rate")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "something else was stored")


@case("stowage")
def timetable_lowers_the_rate(t):
    """What is under way is slowed at noon, in the midst of its parts."""
    source = make_file(t.path("in"), 60 * MIB)
    copy, flow, log = over_noon(t, ((1_000_000, "1MB"), (102400, "100K")), source, t.uri("k"))
    wait_for(lambda: limit_of(t, copy) == 102400, "the second rate", 100)
    wait_for(lambda: len(asked_for(log)) == 2, "its line")
    begin, first = time.monotonic(), flow.proxy.moved["up"]
    time.sleep(3)
    moved, seconds = flow.proxy.moved["up"] - first, time.monotonic() - begin
    require(moved < 102400 * seconds + 1e6, f"{moved} bytes in {seconds:.1f} s of the second rate")
    flow.never_beyond(1e6, 1e6)
    copy.interrupt(signal.SIGINT)
    copy.finish()
    by = "--max-rate, by the clock"
    require([a[1:] for a in asked_for(log)] == [(None, 1_000_000, by), (1_000_000, 102400, by)],
            f"{asked_for(log)}")


@case("stowage")
def progress_within_parts(t):
    """A part takes half a minute at this rate: its bytes are told as they go, and once only."""
    source = make_file(t.path("in"), 30 * MIB)
    copy = t.start("cp", "--part-size", "30MiB", "--multipart-threshold", "5MiB", "--max-rate",
                   "1MiB", source, t.uri("k"))
    seen = []
    while len(set(seen)) <= 10 or seen[-1] < 2 * MIB:
        state = running(t, 1)[0]
        require(state["done_bytes"] == 0, f"the part is done? {state}")
        seen.append(state["moving_bytes"])
        time.sleep(0.05)
    require(seen == sorted(seen), f"{seen}")
    t.argosy("ctl", "off")
    result = copy.finish()
    require(result.code == 0, f"{result}")


@case("stowage")
def ctl_says_what_is_wrong(t):
    source = make_file(t.path("in"), 5 * MIB)
    t.fails(("ctl", "50M"), EXIT_MISSING, "no transfer")
    require("no transfer" in t.argosy("ctl").err, "an empty list is not told")
    t.fails(("ctl", "5", "50Q"), EXIT_USAGE, "50Q")
    t.fails(("ctl", "now", "50M"), EXIT_USAGE, "now")
    copies = [t.start("cp", "--journal", t.path(key), "--max-rate", "100K", source, t.uri(key))
              for key in ("a", "b")]
    running(t, 2)
    t.fails(("ctl", "999999999", "50M"), EXIT_MISSING, "999999999")
    t.fails(("ctl", "1", "50M"), EXIT_USAGE, "2 transfers have that number")  # a journal each
    t.fails(("ctl", "50M"), EXIT_USAGE, "2 transfers")
    listed = t.argosy("ctl").out
    require(all(f"{source} {t.uri(key)}:" in listed for key in ("a", "b")), f"{listed}")
    copies[0].popen.kill()
    copies[0].finish()
    state = running(t, 1)[0]  # the name that the dead one left does not matter
    require(state["pid"] == copies[1].popen.pid, f"{state}")
    require("at most 50.0 MiB/s" in t.argosy("ctl", "50M").out, "the only one needs no number")
    require(copies[1].finish().code == 0, "the other copy failed")
