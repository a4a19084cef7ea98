"""Receipts: the manifest of a run says what was moved, with checksums that others can check.

  tests/run system receipt.            all of them
  tests/run system 'receipt.upload_tree[stowage]'"""

import base64
import hashlib
import json
import os
import signal
import subprocess
import zlib

from content import make_file, same
from harness import (EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_SOME, MIB, PARTS, Skip, case, require,
                     wait_for)
from proxy import Proxy


def read(path):
    """(head, objects, end) of a manifest, each line of it JSON."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    objects = [li for li in lines if "key" in li and "argosy_manifest" not in li]
    heads = [li for li in lines if "argosy_manifest" in li]
    ends = [li for li in lines if "end" in li]
    require(len(heads) == 1 and len(ends) <= 1 and len(objects) + 1 + len(ends) == len(lines),
            f"{lines}")
    return heads[0], objects, ends[0] if ends else None


def text_of(data):
    return base64.b64encode(data).decode()


def sha256_of(path):
    with open(path, "rb") as file:
        return text_of(hashlib.sha256(file.read()).digest())


def sha256_of_parts(path, part_bytes):
    whole, count = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while part := file.read(part_bytes):
            whole.update(hashlib.sha256(part).digest())
            count += 1
    return f"{text_of(whole.digest())}-{count}"


def crc32_of(path):
    with open(path, "rb") as file:
        return text_of(zlib.crc32(file.read()).to_bytes(4, "big"))


def make_tree(t):
    sizes = {"a": 0, "b c/d": 5, "b c/é": 100_000, "large": 11 * MIB + 1}
    for name, size in sizes.items():
        make_file(t.path("in", *name.split("/")), size)
    os.utime(t.path("in/a"), ns=(0, -1_500_000_000))
    return sizes


def mtime_text(path):
    ns = os.stat(path).st_mtime_ns
    return f"{'-' if ns < 0 else ''}{abs(ns) // 10**9}.{abs(ns) % 10**9:09}"


def check_objects(t, objects, sizes, side):
    require({o["path"]: o["size"] for o in objects} == sizes, f"{objects}")
    for o in objects:
        require(o["bucket"] == t.bucket and o["key"] == "p/" + o["path"], f"{o}")
        require(o["mtime"] == mtime_text(t.path(side, o["path"])), f"{o}")
        head = t.s3.head_object(Bucket=t.bucket, Key=o["key"])
        told = t.server.confirms or o["size"] < 5 * MIB  # RGW 16 completes without an ETag
        require(o.get("etag") == (head["ETag"] if told or side == "out" else None), f"{o} {head}")


@case("stowage", "rgw")
def upload_tree(t):
    sizes = make_tree(t)
    t.argosy("cp", "-r", *PARTS, "--checksum", "sha256", "--manifest", t.path("m"), t.path("in"),
             t.uri("p"))
    head, objects, end = read(t.path("m"))
    require(head["root"] == t.path("in") and head["prefix"] == "p/" and head["tree"] is True,
            f"{head}")
    require(head["direction"] == "upload" and head["bucket"] == t.bucket, f"{head}")
    require(head["endpoint"] == t.server.url, f"{head}")
    require(end == {"end": True, "complete": True, "done": 4, "failed": 0, "skipped": 0,
                    "bytes": sum(sizes.values())}, f"{end}")
    check_objects(t, objects, sizes, "in")
    for o in objects:
        path = t.path("in", o["path"])
        parts = o["size"] >= 5 * MIB
        want = sha256_of_parts(path, 5 * MIB) if parts else sha256_of(path)
        require((o["checksum_kind"], o["checksum"]) == ("sha256", want), f"{o} {want}")
        require(o["confirmed"] is t.server.confirms, f"{o}")
        require((o.get("parts"), o.get("part_size")) == ((3, 5 * MIB) if parts else (None, None)),
                f"{o}")
    require(os.stat(t.path("m")).st_mode & 0o777 == 0o666 & ~umask(), "mode")


def umask():
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


@case("stowage", "rgw")
def full_object_checksum(t):
    """CRCs of parts are combined: one value of the whole, whatever the parts."""
    sizes = make_tree(t)
    t.argosy("cp", "-r", *PARTS, "--checksum", "crc32", "--manifest", t.path("m"), t.path("in"),
             t.uri("p"))
    _, objects, _ = read(t.path("m"))
    check_objects(t, objects, sizes, "in")
    for o in objects:
        require(o["checksum"] == crc32_of(t.path("in", o["path"])) and "parts" not in o, f"{o}")


@case("stowage", "rgw")
def download_tree(t):
    """Where the server has no checksum, ours are in the manifest all the same."""
    sizes = make_tree(t)
    t.argosy("cp", "-r", *PARTS, "--checksum", "crc32", t.path("in"), t.uri("p"))
    t.argosy("cp", "-r", *PARTS, "--checksum", "crc32", "--manifest", t.path("m"), t.uri("p"),
             t.path("out"))
    head, objects, end = read(t.path("m"))
    require(head["root"] == t.path("out") and head["direction"] == "download", f"{head}")
    require(end["done"] == 4 and end["complete"] is True, f"{end}")
    check_objects(t, objects, sizes, "out")
    for o in objects:
        require(o["checksum"] == crc32_of(t.path("in", o["path"])), f"{o}")
        require(o["confirmed"] is t.server.confirms, f"{o}")


@case("stowage")
def single_files_and_pipes(t):
    source = make_file(t.path("x/in"), 1000)
    t.argosy("cp", "--checksum", "sha256", "--manifest", t.path("m"), source, t.uri("k"))
    head, objects, _ = read(t.path("m"))
    require(head["root"] == t.path("x") and head["tree"] is False, f"{head}")
    require(objects[0]["path"] == "in" and objects[0]["key"] == "k", f"{objects}")
    t.argosy("cp", "--checksum", "sha256", "--manifest", t.path("m"), t.uri("k"), t.path("y/out"))
    head, objects, _ = read(t.path("m"))
    require(head["root"] == t.path("y") and objects[0]["path"] == "out", f"{head} {objects}")
    require(objects[0]["checksum"] == sha256_of(source), f"{objects}")
    with open(source, "rb") as file:
        t.argosy("cp", "--checksum", "sha256", "--manifest", t.path("m"), "-", t.uri("pipe"),
                 stdin=file)
    head, objects, _ = read(t.path("m"))
    require("root" not in head and objects[0]["path"] == "-" and "mtime" not in objects[0],
            f"{head} {objects}")
    require(objects[0]["checksum"] == sha256_of(source) and objects[0]["size"] == 1000,
            f"{objects}")


@case("stowage")
def name_that_is_not_utf8(t):
    folder = t.path("in").encode() + b"/d\xff"
    os.makedirs(folder)
    with open(folder + b"/f\xfe", "wb") as file:
        file.write(b"data")
    t.argosy("cp", "--manifest", t.path("m"), os.fsdecode(folder + b"/f\xfe"),
             t.uri("k"))
    head, objects, _ = read(t.path("m"))
    require(base64.b64decode(head["root_base64"]) == folder and "root" not in head, f"{head}")
    require(base64.b64decode(objects[0]["path_base64"]) == b"f\xfe", f"{objects}")
    require("path" not in objects[0] and objects[0]["key"] == "k", f"{objects}")


@case("stowage")
def failures_are_counted(t):
    """A run that did all it could is a whole one; what failed is not among the objects."""
    for name in ("a", "../b", "c"):
        t.put("p/" + name, b"data")
    t.argosy("cp", "-r", "--manifest", t.path("m"), t.uri("p"), t.path("out"), code=EXIT_SOME)
    _, objects, end = read(t.path("m"))
    require(sorted(o["path"] for o in objects) == ["a", "c"], f"{objects}")
    require((end["complete"], end["done"], end["failed"]) == (True, 2, 1), f"{end}")


def start_slow(t, *options):
    """A run that has moved some of 300 files, and is held up at the others; t.slow is its way to
    the server."""
    for index in range(300):
        make_file(t.path("in", f"f{index}"), 20_000)
    proxy = Proxy(t.server.url)
    t.at_end(proxy.close)
    proxy.hold("up", 2 * MIB)
    t.slow = proxy
    process = t.start("cp", "-r", *options, "--manifest", t.path("m"), t.path("in"), t.uri(),
                      env={"AWS_ENDPOINT_URL": proxy.url})
    wait_for(lambda: os.path.exists(t.path("m.partial")) and
             os.stat(t.path("m.partial")).st_size >= 2000, "lines that are written")
    return process


@case("stowage")
def interrupted(t):
    """What was there under the name stays, the partial one says that it is not complete."""
    with open(t.path("m"), "w", encoding="utf-8") as file:
        file.write("before\n")
    process = start_slow(t)
    process.interrupt(signal.SIGINT)
    t.slow.release()
    result = process.finish()
    require(result.code == EXIT_INTERRUPTED and "m.partial" in result.err, f"{result}")
    with open(t.path("m"), encoding="utf-8") as file:
        require(file.read() == "before\n", "the manifest of another run was replaced")
    _, objects, end = read(t.path("m.partial"))
    require(end["complete"] is False and end["done"] == len(objects), f"{end}")
    keys = t.keys()
    require(objects and all(keys.get(o["key"]) == o["size"] for o in objects), "not all are there")


@case("stowage")
def resumed(t):
    """What an earlier run has moved has no line: the manifest does not claim to be whole."""
    process = start_slow(t)
    process.interrupt(signal.SIGINT)
    t.slow.release()
    process.finish()
    result = t.argosy("cp", "-r", "--manifest", t.path("m"), t.path("in"), t.uri(),
                      env={"AWS_ENDPOINT_URL": t.slow.url})
    require("going on with job" in result.err and "earlier run" in result.err, f"{result}")
    _, objects, end = read(t.path("m.partial"))
    require(len(objects) < 300 and end["complete"] is False, f"{len(objects)} {end}")
    require(len(t.keys()) == 300 and not os.path.exists(t.path("m")), "keys or manifest")


@case("stowage")
def killed(t):
    """Whole lines for what was done until shortly before; private while partial."""
    process = start_slow(t)
    require(os.stat(t.path("m.partial")).st_mode & 0o777 == 0o600, "mode")
    second = t.argosy("cp", "--manifest", t.path("m"), t.path("in/f1"), t.uri("other"), code=None)
    require(second.code != 0 and "another run" in second.err, f"{second}")
    process.signal(signal.SIGKILL)
    process.finish()
    _, objects, end = read(t.path("m.partial"))
    keys = t.keys()
    require(end is None and objects, f"{end}")
    require(all(keys.get(o["key"]) == o["size"] for o in objects), "not all are there")
    t.argosy("cp", "-r", "--manifest", t.path("m"), t.path("in"), t.uri())
    _, objects, end = read(t.path("m"))
    require(len(objects) == 300 and end["complete"], f"{end}")
    require(not os.path.exists(t.path("m.partial")), "it stays")


@case("stowage")
def manifest_that_cannot_be_written(t):
    make_file(t.path("in"), 10)
    t.fails(["cp", "--manifest", t.path("none/m"), t.path("in"), t.uri("k")], 4, "none/m.partial",
            "no such file")
    require(t.keys() == {}, f"{t.keys()}")
    os.mkdir(t.path("mnt"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", t.path("mnt")],
                      check=False, stderr=subprocess.DEVNULL).returncode:
        raise Skip("mount of a tmpfs is not allowed here")
    t.at_end(lambda: subprocess.run(["umount", "-l", t.path("mnt")], check=True))
    for index in range(1000):
        make_file(t.path("tree", f"f{index}"), 10)
    t.fails(["cp", "-r", "--manifest", t.path("mnt/m"), t.path("tree"), t.uri()], EXIT_ENVIRONMENT,
            "mnt/m.partial", "no space")
    require(not os.path.exists(t.path("mnt/m")), "a manifest that is not whole got the name")


@case("stowage")
def manifest_changes_nothing_else(t):
    make_tree(t)
    t.argosy("cp", "-r", *PARTS, "--manifest", t.path("m"), t.path("in"), t.uri("p"))
    t.argosy("cp", *PARTS, "--manifest", t.path("m"), t.uri("p/large"), t.path("out"))
    same(t.path("in/large"), t.path("out"))
