"""Flow control: what each switch puts on the wire."""

import json
import os
import subprocess
import time

import servers
from content import make_file, same, same_trees
from harness import (EXIT_MISSING, EXIT_USAGE, MIB, PARTS, Skip, case, need_plain_build, require,
                     status_kib, wait_for)
from proxy import Proxy

ONE = ("--cores", "1", "--journal", "none")


def through_proxy(t):
    proxy = Proxy(t.server.url)
    t.at_end(proxy.close)
    return proxy, {"AWS_ENDPOINT_URL": proxy.url}


def decisions_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def decisions_so_far(path):
    """Those of a run that goes on: the last line may not be whole yet."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def limits_of(path):
    """What was decided of the limits of prefixes: their weights follow how quick answers are."""
    return [d for d in decisions_of(path) if "prefix" in d and d["knob"] != "weight of a prefix"]


def held_up(t, direction, count, *args):
    """(result, connections that it made): nothing goes beyond the first 64 KiB before so many
    connections are there, so that as many parts must be under way at once."""
    proxy, env = through_proxy(t)
    proxy.hold(direction, 64 * 1024)
    process = t.start(*args, env=env)
    wait_for(lambda: proxy.connections >= count, f"{count} connections")
    proxy.release()
    result = process.finish()
    require(result.code == 0, f"{result}")
    return result, proxy.connections


@case("stowage")
def fixed_is_what_is_in_flight(t):
    """Each part in flight is a connection: N of them, both ways."""
    source = make_file(t.path("in"), 60 * MIB)
    for count in (1, 7):
        log, words = t.path(f"log{count}"), (*ONE, *PARTS, "--cc", f"fixed:{count}")
        result, connections = held_up(t, "up", count, "cp", *words, "--log-decisions", log,
                                      "--json", source, t.uri("k"))
        require(result.json["cc"] == "fixed" and result.json["window"] == count, f"{result}")
        require(connections == count, f"{connections} connections, not {count}")
        require(decisions_of(log) == [], "a fixed window moved")
        _, connections = held_up(t, "down", count, "cp", *words, t.uri("k"), t.path("out"))
        require(connections == count, f"{connections} down, not {count}")
        same(source, t.path("out"))


@case("stowage")
def what_is_staged_follows_the_window(t):
    """Parts are read into memory as they are begun, not ahead: while the server takes nothing, so
    many of them are there as may be in flight, and no more."""
    need_plain_build()
    source, part_kib = make_file(t.path("in"), 400 * MIB), 16 * 1024

    def staged(count):
        proxy, env = through_proxy(t)
        proxy.hold("up", 64 * 1024)
        process = t.start("cp", *ONE, "--part-size", "16M", "--memory", "512M",
                          "--cc", f"fixed:{count}", source, t.uri("k"), env=env)
        wait_for(lambda: proxy.connections >= count and
                 status_kib(process.popen.pid, "VmRSS") > count * part_kib, f"{count} parts")
        time.sleep(0.5)  # in which the rest of the file could be read as well
        kib = status_kib(process.popen.pid, "VmRSS")
        proxy.release()
        result = process.finish()
        require(result.code == 0, f"{result}")
        return kib
    few, many = staged(2), staged(8)
    require(0.8 * 6 * part_kib < many - few < 8 * part_kib, f"{few} KiB, and {many} of 8 parts")


@case("stowage")
def fixed_shares_over_cores(t):
    """Five over two cores, and never more than five at a time."""
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("needs two CPUs")
    source = make_file(t.path("in"), 60 * MIB)
    _, connections = held_up(t, "up", 5, "cp", "--cores", "2", "--journal", "none", *PARTS, "--cc",
                             "fixed:5", source, t.uri("k"))
    require(connections <= 6, f"{connections} connections for fixed:5")


@case("stowage", waits=True)
def cubic_grows(t):
    """Nothing is refused, so slow start goes on to the bound; the log tells each step."""
    source = make_file(t.path("in"), 128 * MIB)
    proxy, env = through_proxy(t)
    proxy.rate["up"] = 2 * MIB  # of each connection
    process = t.start("cp", *ONE, *PARTS, "--cc", "cubic", "--connections", "24",
                      "--log-decisions", t.path("log"), source, t.uri("k"), env=env)
    wait_for(lambda: proxy.connections >= 12, "twice the connections that it begins with")
    proxy.release()
    result = process.finish()
    require(result.code == 0, f"{result}")
    require(proxy.connections <= 25, f"{proxy.connections} connections of 24")
    steps = [d for d in decisions_of(t.path("log")) if d["knob"] == "parts in flight"]
    require(steps and steps[0]["old"] == 6 and steps[0]["state"] == "slow start", f"{steps}")
    for before, after in zip(steps, steps[1:]):
        require(before["new"] == after["old"] and before["t"] <= after["t"], f"{before} {after}")
    require(all(s["new"] != s["old"] and s["reason"] for s in steps), f"{steps}")


@case(waits=True)
def the_closed_form_is_told(t):
    """Where it takes a while to answer, the model knows how few would do, and how many of them only
    wait, once a part is done; a controller that has no model says so. The path is slow until the
    log has said it."""
    server = servers.Stowage("--service-time", "fixed:100ms", "--null")
    t.at_end(server.stop)
    server.boto3().create_bucket(Bucket="null")
    proxy = Proxy(server.url)
    t.at_end(proxy.close)
    env = {**server.environment(), "AWS_ENDPOINT_URL": proxy.url}
    source = make_file(t.path("in"), 240 * MIB)
    for kind in ("auto", "bbr", "cubic"):
        log = t.path(f"log-{kind}")
        proxy.rate["up"] = 10 * MIB  # of each connection: a part takes half a second
        process = t.start("cp", *ONE, *PARTS, "--cc", kind, "--log-decisions", log, source,
                          f"s3://null/{kind}", env=env)
        wait_for(lambda: any(d["knee_waiting"] or kind == "cubic" for d in decisions_so_far(log)),
                 f"a decision of {kind}")
        proxy.release()
        result = process.finish()
        require(result.code == 0, f"{result}")
        steps = decisions_of(log)
        knees = [(d["knee"], d["knee_waiting"]) for d in steps if d["knee"] is not None]
        require(all("knee" in d and "knee_waiting" in d for d in steps), f"{steps}")
        require(steps and bool(knees) == (kind != "cubic"), f"{kind}: {steps}")
        require(all((waiting is None or 0 < waiting <= knee) and knee < 1000
                    for knee, waiting in knees), f"{knees}")


@case("stowage")
def wrong_words(t):
    source = make_file(t.path("in"), 1000)
    for word in ("reno", "fixed", "fixed:0", "fixed:1000", "bbr:2"):
        result = t.argosy("cp", "--cc", word, source, t.uri("k"), code=EXIT_USAGE)
        require(f"--cc {word}" in result.err and "fixed:N" in result.err, f"{result}")
    result = t.argosy("cp", "--cc", "fixed:9", "--cores", "1", "--connections", "2", source,
                      t.uri("k"), code=EXIT_USAGE)
    require("--connections" in result.err, f"{result}")
    result = t.argosy("cp", "--log-decisions", "/nonexistent/log", source, t.uri("k"),
                      code=EXIT_MISSING)
    require("/nonexistent/log: no such file" in result.err, f"{result}")


def two_prefixes(t, count, nbytes):
    """A tree whose keys have two prefixes, the first in every order being the limited one."""
    for name in ("a-hot", "b-cold"):
        os.makedirs(t.path("tree", name))
        for i in range(count):
            with open(t.path("tree", name, f"{i:05}"), "wb") as file:
                file.write(os.urandom(nbytes))
    return t.path("tree")


def limited(t, *rules):
    t.server = servers.Stowage(*[word for rule in rules for word in ("--prefix-limit", rule)])
    t.at_end(t.server.stop)
    t.server.boto3().create_bucket(Bucket="limited")
    return "s3://limited/run/"


@case(waits=True)
def limited_prefix_holds_nobody_up(t):
    """The server limits one prefix: it is refused little, and the other is done long before."""
    tree = two_prefixes(t, 400, 2000)
    target = limited(t, "80/s:20 key=*a-hot/*")
    started = time.monotonic()
    log = t.path("log")
    result = t.argosy("cp", "-r", *ONE, "--json", "--log-decisions", log, tree, target)
    seconds = time.monotonic() - started
    numbers = result.json
    require(numbers["done"] == 800 and numbers["failed"] == 0, f"{numbers}")
    require(seconds > 380 / 80 - 1, f"{seconds} s: nothing was limited")
    steps = limits_of(log)
    require(steps and all(d["prefix"] == "run/a-hot/" and d["reason"] for d in steps), f"{steps}")
    rates = [d for d in steps if d["knob"] == "requests a second of a prefix" and d["new"]]
    require(rates and 40 < rates[-1]["new"] < 120, f"{rates}")
    require(numbers["retries"] < 200, f"{numbers['retries']} refusals of 800 requests")


def moved_in_order(t, name, *args):
    """The keys of a copy, as they were done."""
    manifest = t.path(name)
    t.argosy("cp", "-r", *ONE, "--manifest", manifest, *args)
    with open(manifest, encoding="utf-8") as file:
        return [line["key"] for line in map(json.loads, file) if "key" in line]


@case(waits=True)
def limited_large_objects_hold_nobody_up(t):
    """More large objects of the limited prefix than are under way at once do not fill all places:
    the other prefix is done long before, though its objects come behind."""
    for name in ("a-hot", "b-cold"):
        os.makedirs(t.path("tree", name))
        for i in range(60):
            with open(t.path("tree", name, f"{i:05}"), "wb") as file:
                file.truncate(5 * MIB + 1)
    server = servers.Stowage("--null", "--prefix-limit", "10/s:20 key=*a-hot/*")
    t.at_end(server.stop)
    server.boto3().create_bucket(Bucket="limited")
    t.server = server
    keys = moved_in_order(t, "moved", *PARTS, t.path("tree"), "s3://limited/run/")
    require(len(keys) == 120, f"{len(keys)} objects")
    last = max(i for i, key in enumerate(keys) if "b-cold" in key)
    before = sum("a-hot" in key for key in keys[:last])
    require(before < 18, f"{before} of the limited ones were done before the last of the others")


@case(waits=True)
def slow_prefix_holds_nobody_up(t):
    """The first folder of a tree is slow, and has many more files than wait at once: what is behind
    it is found, and is done long before it, up and down."""
    count = 5000
    tree = two_prefixes(t, count, 500)
    t.server = servers.Stowage("--service-time", "fixed:4ms key=*a-hot/*")
    t.at_end(t.server.stop)
    t.server.boto3().create_bucket(Bucket="slow")
    place = "s3://slow/run/"
    for way, ends in (("up", (tree, place)), ("down", (place, t.path("out")))):
        keys = moved_in_order(t, f"manifest-{way}", "--cc", "fixed:4", *ends)
        other = [i for i, key in enumerate(keys) if "b-cold/" in key]
        require(len(set(keys)) == len(keys) == 2 * count and len(other) == count,
                f"{way}: {len(keys)} and {len(other)} of the other")
        before = other[0]  # so many of the slow one were done by then: a round's are 250
        require(before < 1000, f"{way}: {before} of the slow one's before the first of the other")
        slow = other[-1] - (count - 1)
        require(slow < 0.7 * count, f"{way}: the other was done after {slow} of the slow one's")
    require(same_trees(tree, t.path("out")) == 2 * count, "a file is missing")


@case("rgw")
def folders_are_listed_beside_each_other(t):
    """What is behind a large folder is listed from there on: nothing is left out, nothing comes
    twice, whatever the names begin with."""
    sizes = {"a.b": 1, "a0": 2, "b/1": 3, "b/2": 4, "b0/x/y": 5, "zz": 6}
    for name, size in sizes.items():
        make_file(t.path("in", *name.split("/")), size)
    for i in range(1700):
        make_file(t.path("in", "a", f"{i:04}"), 10)
    t.argosy("cp", "-r", *ONE, t.path("in"), t.uri("run/"), timeout=400)
    keys = moved_in_order(t, "manifest", "--cc", "fixed:1", t.uri("run/"), t.path("out"))
    require(len(keys) == len(set(keys)) == 1700 + len(sizes), f"{len(keys)}, {len(set(keys))}")
    require(same_trees(t.path("in"), t.path("out")) == len(keys), "a file is missing")
    at = keys.index("run/b/1")  # at least 676 wait when it is found, if folders go in order
    require(at < 1000, f"{at} keys before it: folders were listed one behind the other")


@case("stowage")
def congestion_control_of_the_kernel(t):
    """The sockets have what was asked for; what the kernel does not have is refused with a list."""
    source = make_file(t.path("in"), 60 * MIB)
    proxy, env = through_proxy(t)
    proxy.hold("up", 20 * MIB)
    process = t.start("cp", *ONE, *PARTS, "--tcp-cc", "reno", "--json", source, t.uri("k"), env=env)
    port = proxy.url.rsplit(":", 1)[1]
    wait_for(lambda: " reno " in subprocess.run(["ss", "-tinH", f"dport = :{port}"], check=True,
                                                stdout=subprocess.PIPE).stdout.decode(),
             "a socket that has reno")
    proxy.release()
    result = process.finish()
    require(result.json["tcp_cc"] == "reno", f"{result}")
    t.fails(["cp", "--tcp-cc", "nope", source, t.uri("k")], EXIT_USAGE, "nope", "it offers", "reno")
    result = t.argosy("cp", "--json", source, t.uri("k"))
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as file:
        has_bbr = "bbr" in file.read().split() and os.geteuid() == 0
    require(result.json["tcp_cc"] == "bbr" if has_bbr else result.json["tcp_cc"], f"{result}")
