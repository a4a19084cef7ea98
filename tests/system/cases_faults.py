"""A network that alters, cuts and stalls; objects that change; a user who interrupts."""

import os
import signal
import threading
import time

from cases_flow import decisions_of
from content import make_file, same, same_trees
from harness import (EXIT_INTERRUPTED, EXIT_SOME, EXIT_TERMINATED, MIB, PARTS, case, require,
                     wait_for)
from proxy import Proxy


def through_proxy(t):
    proxy = Proxy(t.server.url)
    t.at_end(proxy.close)
    return proxy, {"AWS_ENDPOINT_URL": proxy.url}


@case("stowage", "rgw")
def altered_upload(t):
    """A bit flips on the way up: the server's check (CRC32C or Content-MD5) makes us resend."""
    source = make_file(t.path("in"), 17 * MIB)
    proxy, env = through_proxy(t)
    proxy.flip["up"] = (2 * MIB, 2)
    t.argosy("cp", "--no-sign-payload", "--content-md5", "on", *PARTS, source,
             t.uri("k"), env=env)
    require(proxy.flip["up"][1] == 0, "nothing was altered")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the altered content was stored")


@case("stowage")
def altered_upload_crc(t):
    source = make_file(t.path("in"), 17 * MIB)
    proxy, env = through_proxy(t)
    proxy.flip["up"] = (2 * MIB, 2)
    t.argosy("cp", "--no-sign-payload", "--content-md5", "off", *PARTS, source,
             t.uri("k"), env=env)
    require(proxy.flip["up"][1] == 0, "nothing was altered")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the altered content was stored")


@case("stowage")
def altered_download(t):
    source = make_file(t.path("in"), 17 * MIB)
    t.argosy("cp", *PARTS, source, t.uri("k"))
    proxy, env = through_proxy(t)
    proxy.flip["down"] = (2 * MIB, 1)
    result = t.argosy("cp", "--json", *PARTS, t.uri("k"), t.path("out"), env=env)
    require(proxy.flip["down"][1] == 0, "nothing was altered")
    same(source, t.path("out"))
    require(result.json["done_bytes"] == 17 * MIB and result.json["retries"] > 0, f"{result}")


def misbehave(t, *rules):
    t.server.faults(*rules)
    t.at_end(t.server.faults)


@case("stowage")
def altered_objects(t):
    """One altered answer is asked for again: a small object, a range with a checksum of its own, a
    range of an object that has only one of the whole."""
    t.argosy("cp", make_file(t.path("small"), 300_000), t.uri("small"))
    t.argosy("cp", make_file(t.path("large"), 17 * MIB), t.uri("large"))
    t.argosy("cp", "--checksum", "sha256", *PARTS, make_file(t.path("parts"), 17 * MIB),
             t.uri("parts"))
    for name, again in (("small", 1), ("parts", 1), ("large", 4)):
        misbehave(t, "corrupt after=50% op=GetObject first=1")
        result = t.argosy("cp", "--json", *PARTS, t.uri(name), t.path("out"))
        require(t.server.fault_counts()[0][2] == 1, "nothing was altered")
        same(t.path(name), t.path("out"))
        json = result.json
        require(json["retries"] == again and json["unverified"] == 0, f"{result}")
        require(json["done_bytes"] == os.path.getsize(t.path(name)), f"{result}")


@case("stowage")
def wrong_objects(t):
    """What never is what its checksum says fails, and nothing of it stays."""
    t.argosy("cp", make_file(t.path("small"), 300_000), t.uri("small"))
    t.argosy("cp", make_file(t.path("large"), 17 * MIB), t.uri("large"))
    misbehave(t, "corrupt op=GetObject")
    for name in ("small", "large"):
        result = t.argosy("cp", "--json", *PARTS, t.uri(name), t.path("out"), code=EXIT_SOME)
        require("checksum does not match" in result.err, f"{result}")
        require(0 < result.json["retries"] < 12, f"{result}")
        have = sorted(os.listdir(t.dir))
        require(have == ["home", "large", "small"], f"leftovers: {have}")


@case("stowage")
def answers_of_another_length(t):
    """An answer that is too short or too long for the object is asked for again; one that does not
    tell its length is taken when it ends where it should."""
    make_file(t.path("in", "small"), 300_000)
    make_file(t.path("in", "empty"), 0)
    make_file(t.path("in", "large"), 17 * MIB)
    t.argosy("cp", "-r", t.path("in"), t.uri())
    for rule, again in (("truncate after=9", 2), ("length=+9", 2), ("length=-9", 2),
                        ("chunked", 0)):
        misbehave(t, f"{rule} op=GetObject key=small first=1",
                  f"{rule} op=GetObject key=large first=1")
        out = t.path("out-" + rule.split("=")[0].split()[0] + rule[-2:])
        result = t.argosy("cp", "-r", "--json", *PARTS, t.uri(), out)
        require([c[2] for c in t.server.fault_counts()] == [1, 1], f"{rule} did not come about")
        require(same_trees(t.path("in"), out) == 3, f"{result}")
        require(result.json["retries"] == again, f"{rule}: {result}")
    misbehave(t, "length=+9 op=HeadObject")
    t.argosy("cp", "-r", *PARTS, t.uri(), t.path("out-head"))
    same_trees(t.path("in"), t.path("out-head"))


@case("stowage", "rgw")
def cut_connections(t):
    source = make_file(t.path("in"), 31 * MIB)
    proxy, env = through_proxy(t)
    proxy.cut["up"] = (3 * MIB, 3)
    t.argosy("cp", *PARTS, source, t.uri("k"), env=env)
    require(proxy.cut["up"][1] == 0, "nothing was cut")
    proxy.cut["down"] = (2 * MIB, 3)
    t.argosy("cp", *PARTS, t.uri("k"), t.path("out"), env=env)
    require(proxy.cut["down"][1] == 0, "nothing was cut")
    same(source, t.path("out"))


@case("stowage", "rgw")
def object_changes_midway(t):
    """Half of one object and half of another is never written. On one connection, since ranges that
    were all asked for before the change are all of the old object."""
    make_file(t.path("one"), 64 * MIB)
    t.argosy("cp", t.path("one"), t.uri("k"))
    make_file(t.path("two"), 64 * MIB)
    proxy, env = through_proxy(t)
    proxy.hold("down", 12 * MIB)
    process = t.start("cp", *PARTS, "--memory", "64M", "--cores", "1", "--connections", "1",
                      t.uri("k"), t.path("out"), env=env)
    wait_for(lambda: proxy.moved["down"] >= 12 * MIB, "the download to run")
    t.argosy("cp", t.path("two"), t.uri("k"))
    proxy.release()
    result = process.finish()
    require(result.code == EXIT_SOME and "changed" in result.err, f"{result}")
    have = sorted(os.listdir(t.dir))
    require(have == ["home", "one", "two"], f"leftovers: {have}")


@case("stowage", "rgw")
def interrupted_upload(t):
    """Without a journal nobody can go on with it: it is aborted. With one: cases_resume.py."""
    source = make_file(t.path("in"), 128 * MIB)
    proxy, env = through_proxy(t)
    proxy.hold("up", 9 * MIB)
    process = t.start("cp", "--journal", "none", *PARTS, source, t.uri("k"), env=env)
    wait_for(lambda: proxy.moved["up"] > 8 * MIB, "the upload to run")
    require(len(t.uploads()) == 1, f"{t.uploads()}")
    process.interrupt(signal.SIGINT)
    proxy.release()
    result = process.finish()
    require(result.code == EXIT_INTERRUPTED, f"{result}")
    require("interrupted" in result.err.lower(), f"{result}")
    require(t.uploads() == [] and t.keys() == {}, f"{t.uploads()} {t.keys()}")


@case("stowage", "rgw")
def interrupted_download(t):
    """Without a journal; with one: cases_resume.py."""
    source = make_file(t.path("in"), 64 * MIB)
    t.argosy("cp", source, t.uri("k"))
    proxy, env = through_proxy(t)
    proxy.hold("down", 8 * MIB)
    process = t.start("cp", "--journal", "none", *PARTS, t.uri("k"), t.path("out"),
                      env=env)
    wait_for(lambda: proxy.moved["down"] >= 8 * MIB, "the download to run")
    process.interrupt(signal.SIGINT)
    result = process.finish()
    require(result.code == EXIT_INTERRUPTED, f"{result}")
    have = sorted(os.listdir(t.dir))
    require(have == ["home", "in"], f"leftovers: {have}")


@case("stowage")
def interrupted_tree(t):
    for index in range(500):
        make_file(t.path("in", f"f{index}"), 20_000)
    proxy, env = through_proxy(t)
    proxy.hold("up", 2 * MIB)
    process = t.start("cp", "-r", "--json", t.path("in"), t.uri(), env=env)
    wait_for(lambda: proxy.moved["up"] > MIB, "the upload to run")
    process.interrupt(signal.SIGTERM)
    proxy.release()
    result = process.finish()
    require(result.code == EXIT_TERMINATED, f"{result}")
    numbers = result.json
    require(numbers["unfinished"] > 0 and numbers["failed"] == 0, f"{numbers}")
    require(numbers["found"] == numbers["done"] + numbers["unfinished"], f"{numbers}")
    for key, size in t.keys().items():
        require(size == 20_000, f"{key}: {size}")


@case("stowage")
def idle_connections_that_close(t):
    """A server closes connections between requests: replaced, not counted as failures."""
    for index in range(30):
        make_file(t.path("in", f"f{index}"), 2 * MIB)
    proxy, env = through_proxy(t)
    stop = threading.Event()

    def cut_now_and_then():
        while not stop.wait(0.1):
            proxy.cut["down"] = (1, 1)
    thread = threading.Thread(target=cut_now_and_then)
    thread.start()
    try:
        t.argosy("cp", "-r", t.path("in"), t.uri(), env=env)
    finally:
        stop.set()
        thread.join()
    require(len(t.keys()) == 30, f"{t.keys()}")


@case("stowage", "rgw", "swift")
def lost_completion(t):
    """The upload was completed, but the answer got lost: HEAD tells, nothing is done twice."""
    source = make_file(t.path("in"), 17 * MIB)
    proxy, env = through_proxy(t)
    proxy.lose = [b"/k?uploadId=", 1]
    t.argosy("cp", *PARTS, source, t.uri("k"), env=env)
    require(proxy.lose[1] == 0, "no reply was lost")
    require(proxy.seen == 1, f"completed {proxy.seen} times")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "other content")


def begin_upload(t, proxy, env):
    """(the run, the id of the upload that it makes), held up when a part of the four under way at
    least is there."""
    source = make_file(t.path("in"), 64 * MIB)
    proxy.hold("up", 24 * MIB)
    process = t.start("cp", "--cores", "1", "--cc", "fixed:4", *PARTS, source, t.uri("k"), env=env)
    wait_for(lambda: proxy.moved["up"] >= 24 * MIB, "the upload to run")
    uploads = t.uploads()
    require(len(uploads) == 1, f"{uploads}")
    return process, uploads[0]["UploadId"]


@case("stowage", "rgw")
def upload_that_vanishes(t):
    """Somebody aborts our multipart upload: it is begun anew."""
    proxy, env = through_proxy(t)
    process, upload = begin_upload(t, proxy, env)
    t.s3.abort_multipart_upload(Bucket=t.bucket, Key="k", UploadId=upload)
    proxy.release()
    result = process.finish()
    require(result.code == 0 and "begun anew" in result.err, f"{result}")
    with open(t.path("in"), "rb") as file:
        require(t.get("k") == file.read(), "other content")


@case("stowage", "rgw")
def part_that_is_replaced(t):
    """Other bytes get into a part that was acknowledged: the server does not accept our list, and
    the part is sent again."""
    proxy, env = through_proxy(t)
    process, upload = begin_upload(t, proxy, env)
    part = wait_for(lambda: t.s3.list_parts(Bucket=t.bucket, Key="k", UploadId=upload).get("Parts"),
                    "a part")[0]["PartNumber"]
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"  # not another kind than ours
    other = t.server.boto3()
    del os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"]
    other.upload_part(Bucket=t.bucket, Key="k", UploadId=upload, PartNumber=part,
                      Body=b"x" * (5 * MIB))
    proxy.release()
    result = process.finish()
    require(result.code == 0, f"{result}")
    with open(t.path("in"), "rb") as file:
        require(t.get("k") == file.read(), "other content")


@case("stowage")
def server_that_restarts(t):
    """Nobody listens for some seconds: argosy says so once, waits, and goes on."""
    for index in range(200):
        make_file(t.path("in", f"f{index}"), 100_000)
    proxy, env = through_proxy(t)
    proxy.hold("up", 8 * MIB)  # more than what can be under way at once
    log = t.path("log")
    process = t.start("cp", "-r", "--log-decisions", log, t.path("in"), t.uri(), env=env)
    wait_for(t.keys, "an object that is there: what has never worked is given up sooner")
    proxy.pause(5)
    proxy.release()
    began = time.monotonic()
    result = process.finish()
    seconds = time.monotonic() - began
    require(result.code == 0 and len(t.keys()) == 200, f"{result}")
    notes = [li for li in result.err.split("\n") if "trying again" in li or "next try" in li]
    require(1 <= len(notes) <= 3, f"{len(notes)} notes: {result}")
    require("answers again" in result.err and seconds < 60, f"{seconds}: {result}")
    kept = [d for d in decisions_of(log) if d["knob"] == "hosts that requests are kept from"]
    require(kept and kept[0]["old"] is None and kept[0]["new"] >= 1, f"{kept}")
    require(all(d["state"] == ("open" if d["new"] else "closed") and d["reason"] for d in kept),
            f"{kept}")
