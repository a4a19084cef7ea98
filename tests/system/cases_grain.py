"""The size of parts and ranges is found by measuring: --part-size without a value of the user's."""

import re
import signal

import servers
from cases_flow import decisions_of
from cases_resume import parts_in_journal
from content import make_file, same
from harness import EXIT_USAGE, MIB, case, require, wait_for
from proxy import Proxy

ONE = ("--cores", "1", "--cc", "fixed:2")
# Of those 500, from where argosy learns that the last byte was sent: late, on a busy machine. Half
# of them tell that it was the server's time, of which 20 ms would do.
WAIT_MS = 250
SLOW = "fixed:500ms op=UploadPart,GetObject,CreateMultipartUpload,HeadObject,PutObject"


def serve(t, *args):
    t.server = servers.Stowage(*args)
    t.at_end(t.server.stop)
    t.s3 = t.server.boto3()
    t.s3.create_bucket(Bucket="grain")


def sizes_of(t, key):
    """Of the object's parts, as the server has them."""
    parts = t.s3.get_object_attributes(Bucket="grain", Key=key, MaxParts=1000,
                                       ObjectAttributes=["ObjectParts"])["ObjectParts"]["Parts"]
    return [p["Size"] for p in parts]


def steps_of(log):
    return [d for d in decisions_of(log) if d["knob"] == "part size"]


def object_is(t, key, source):
    with open(source, "rb") as file:
        require(t.s3.get_object(Bucket="grain", Key=key)["Body"].read() == file.read(),
                f"{key} is not the file")


@case()
def slow_answers_make_parts_grow(t):
    """Within an object where the store takes that; never where it was told, where the store may
    not, or where the parts' sizes are a part of the checksum."""
    serve(t, "--service-time", SLOW)
    source = make_file(t.path("in", "a"), 160 * MIB)
    log, copy = t.path("log"), ("cp", *ONE, "--log-decisions", t.path("log"), "--json")
    result = t.argosy(*copy, "--unequal-parts", "yes", source, "s3://grain/grown").json
    steps = steps_of(log)
    require(steps and steps[0]["old"] == 8 * MIB and steps[0]["new"] > 8 * MIB, f"{steps}")
    require(steps[0]["state"] == "growing" and steps[0]["answer_ms"] >= WAIT_MS, f"{steps[0]}")
    require("more than a tenth" in steps[0]["reason"], f"{steps[0]}")
    require(result["part_bytes"] >= 8 * MIB, f"{result}")
    sizes = sizes_of(t, "grown")
    require(sum(sizes) == 160 * MIB and sizes[0] == 8 * MIB, f"{sizes}")
    require(max(sizes) > 8 * MIB and min(sizes[:-1]) >= 8 * MIB, f"{sizes}")
    require(all(size % MIB == 0 for size in sizes), f"{sizes}")
    object_is(t, "grown", source)
    told = t.argosy(*copy, "--unequal-parts", "yes", "--part-size", "8M", source, "s3://grain/told")
    require(set(sizes_of(t, "told")) == {8 * MIB} and steps_of(log) == [], f"{steps_of(log)}")
    require(told.json["part_bytes"] == 8 * MIB, f"{told}")
    small = make_file(t.path("in", "b"), 40 * MIB)
    for words in ((), ("--unequal-parts", "no"), ("--unequal-parts", "auto"),
                  ("--unequal-parts", "yes", "--checksum", "sha256")):
        t.argosy(*copy, *words, small, "s3://grain/equal")
        require(set(sizes_of(t, "equal")) == {8 * MIB}, f"{words}: {sizes_of(t, 'equal')}")
    t.fails(["cp", "--unequal-parts", "perhaps", source, "s3://grain/x"], EXIT_USAGE, "auto|yes|no")


@case()
def slow_answers_make_ranges_grow(t):
    serve(t, "--service-time", SLOW, "--null")
    t.argosy("cp", *ONE, "--log-decisions", t.path("log"), "s3://grain/size-400MiB", t.path("out"))
    steps = steps_of(t.path("log"))
    require(steps and steps[0]["old"] == 16 * MIB and steps[0]["new"] > 16 * MIB, f"{steps}")
    require(steps[0]["answer_ms"] >= WAIT_MS, f"{steps[0]}")


@case(waits=True)
def from_object_to_object(t):
    """Equal parts in each object; the later ones' are larger."""
    serve(t, "--service-time", SLOW)
    for i in range(44):
        make_file(t.path("in", f"{i:02}"), 9 * MIB)
    t.argosy("cp", "-r", "--cores", "1", "--cc", "fixed:4", "--multipart-threshold", "5M",
             t.path("in"), "s3://grain/", timeout=120)
    sizes = [sizes_of(t, f"{i:02}") for i in range(44)]
    require(all(s in ([8 * MIB, MIB], [9 * MIB]) for s in sizes), f"{sizes}")
    require(sizes[0] == [8 * MIB, MIB] and [9 * MIB] in sizes, f"{sizes}")


@case()
def quick_answers_leave_them(t):
    """On loopback parts stay small, since they stay in the cache. A machine so busy that not one
    answer comes within 20 ms is another matter: then the wait is told."""
    serve(t)
    source = make_file(t.path("in", "a"), 120 * MIB)
    result = t.argosy("cp", *ONE, "--unequal-parts", "yes", "--log-decisions", t.path("log"),
                      "--json", source, "s3://grain/k")
    steps = [d for d in steps_of(t.path("log")) if d["answer_ms"] < 20]
    require(steps == [], f"{steps}")
    if not steps_of(t.path("log")):
        require(set(sizes_of(t, "k")) == {8 * MIB}, f"{sizes_of(t, 'k')}")
        require(result.json["part_bytes"] == 8 * MIB, f"{result}")
    shown = t.argosy("cp", *ONE, "-v", source, "s3://grain/k").err
    require(re.search(r"2 parts of \S+ MiB in flight at the end", shown), f"{shown}")


GROWN = 400 * MIB  # ten ranges of 16 MiB, some of 32, and what is under way


def killed_when_grown(t, direction, args, env, proxy):
    """Until parts of two sizes are in the journal; the last of them are held up till then."""
    proxy.rate[direction] = 60 * MIB
    proxy.hold(direction, proxy.moved[direction] + 370 * MIB)
    process = t.start(*args, env=env)
    wait_for(lambda: len({row[2] for row in parts_in_journal(t)}) > 1 and
             len(parts_in_journal(t)) > 9, "parts of two sizes")
    process.signal(signal.SIGKILL)
    proxy.release()
    process.finish()
    wait_for(proxy.at_rest, "the last of its bytes to come through")
    known = parts_in_journal(t)
    before = proxy.moved[direction]
    result = t.argosy(*args, "--json", env=env)
    return known, proxy.moved[direction] - before, result


@case(waits=True)
def grown_and_killed(t):
    """The parts that were known are not sent again, and stay where they were; the rest is cut
    anew."""
    serve(t, "--service-time", SLOW)
    source = make_file(t.path("in", "a"), GROWN)
    proxy = Proxy(t.server.url)
    t.at_end(proxy.close)
    env = {"AWS_ENDPOINT_URL": proxy.url}
    args = ("cp", *ONE, "--unequal-parts", "yes", source, "s3://grain/k")
    known, up, result = killed_when_grown(t, "up", args, env, proxy)
    had = sum(row[2] for row in known)
    require(up < GROWN - had + 8 * MIB, f"{up} bytes were sent again, {had} were there")
    require(result.json["before_bytes"] == had, f"{result}\n{known}")
    sizes, at = sizes_of(t, "k"), 0
    places = {}
    for number, size in enumerate(sizes, 1):
        places[number] = (at, size)
        at += size
    for number, offset, size in known:
        require(places[number] == (offset, size), f"part {number}: {places[number]}")
    require(min(sizes[:-1]) >= 5 * MIB, f"{sizes}")
    object_is(t, "k", source)
    args = ("cp", *ONE, "s3://grain/k", t.path("out"))
    known, down, result = killed_when_grown(t, "down", args, env, proxy)
    had = sum(row[2] for row in known)
    require(down < GROWN - had + 8 * MIB, f"{down} bytes came again, {had} were there")
    require(result.json["before_bytes"] == had, f"{result}\n{known}")
    same(source, t.path("out"))
