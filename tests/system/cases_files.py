"""Files that fail, are short, or change while they are read; disks that refuse what is written;
what is synced when. By tests/system/meddle.c, between argosy and io_uring.

  tests/run system files.             all of them
  tests/run system 'files.source_changes[stowage]'"""

import os
import re

import harness
from content import make_file, same, same_trees
from harness import EXIT_ENVIRONMENT, EXIT_SOME, MIB, PARTS, case, require

PRELOAD = os.path.join(harness.BUILD, "tests/system/meddle.so")
ONE_CORE = ("--cores", "1", "--connections", "1")  # so that the n-th read is always the same one
LARGE, SMALL = 17 * MIB + 5, 300_000


def meddled(t, rules, *args, log=None, **how):
    """argosy with these rules of tests/system/meddle.c."""
    harness.need_program(PRELOAD)
    env = {"LD_PRELOAD": harness.preloads(PRELOAD), "MEDDLE": "\n".join(rules), "MEDDLE_LOG": log}
    return t.argosy(*args, env=env, **how)


def source(t, size, name="in/b"):
    """A file between two others: those must come over whatever happens to it."""
    for other in ("in/a", "in/c"):
        make_file(t.path(other), 1000)
    return make_file(t.path(name), size)


def require_failed(t, result, words, keys=("a", "c")):
    """b alone failed, with these words; nothing of it is on the server."""
    lines = [li for li in result.err.split("\n") if t.path("in/b") in li]
    require(len(lines) == 1 and words in lines[0], f"no line of in/b has {words!r}: {result}")
    require(set(t.keys()) == set(keys) and t.uploads() == [], f"{t.keys()} {t.uploads()}: {result}")


def require_same(t, path, key):
    with open(path, "rb") as file:
        require(t.get(key) == file.read(), f"{key} is not {path}")


def change_midway(t, what, size, read, words):
    """That happens to the file before that read: it must fail with these words, or, without any,
    come over as it was."""
    path = source(t, size)
    with open(path, "rb") as file:
        before = file.read()
    result = meddled(t, [f"read /in/b {read} 1 {what}"], "cp", "-r", "--journal", "none", *PARTS,
                     *ONE_CORE, t.path("in"), t.uri(), code=None)
    name = f"{what} before read {read} of {size} bytes"
    if words is None:
        require(result.code == 0 and t.get("b") == before, f"{name}: {result}")
    else:
        require(result.code == EXIT_SOME, f"{name}: {result}")
        require_failed(t, result, words)
    for key in t.keys():
        t.s3.delete_object(Bucket=t.bucket, Key=key)


@case("stowage")
def source_changes(t):
    """Whatever is written to it while it is read: there is no object, and the user is told. Of a
    file that lost its name what is open is read to its end; the next part does not find it."""
    changed, short, gone = "changed while it was read", "is shorter than it was", "no such file"
    for what, early, late in (("grow", changed, changed), ("change", changed, changed),
                                  ("shrink", changed, short), ("replace", changed, None),
                                  ("vanish", gone, None)):
        change_midway(t, what, LARGE, 2, early)  # of 18 reads, 5 a part: in the first part
        change_midway(t, what, LARGE, 18, late)  # in the last
        change_midway(t, what, 3 * MIB, 3, late)  # a whole object
        change_midway(t, what, SMALL, 1, late)


@case("stowage")
def source_changes_where_it_is_read_twice(t):
    """Parts that are larger than their share of memory: what was sent is what was summed, or the
    last bytes are never sent."""
    for what, read in (("grow", 30), ("change", 30), ("change", 50), ("shrink", 30), ("shrink", 50),
                       ("change", 62), ("change", 1)):
        source(t, 31 * MIB)  # 32 reads to sum it, 32 to send it
        result = meddled(t, [f"read /in/b {read} 1 {what}"], "cp", "-r", "--journal", "none",
                         "--memory", "32M", "--part-size", "64M", "--multipart-threshold", "64M",
                         *ONE_CORE, t.path("in"), t.uri(), code=EXIT_SOME)
        require_failed(t, result, "it was" if what == "shrink" else "changed")


@case("stowage")
def reads_that_fail(t):
    """Once is enough: the others come over, and so does this one when it can be read again."""
    for error, words in (("EIO", "input/output error"), ("ESTALE", "stale file handle")):
        for size, read in ((LARGE, 1), (LARGE, 7), (LARGE, 18), (3 * MIB, 2), (SMALL, 1)):
            path = source(t, size)
            args = ("cp", "-r", "--journal", "none", *PARTS, *ONE_CORE, t.path("in"), t.uri())
            result = meddled(t, [f"read /in/b {read} 1 {error}"], *args, code=EXIT_SOME)
            require_failed(t, result, words)
            t.argosy(*args)
            require_same(t, path, "b")
            t.s3.delete_object(Bucket=t.bucket, Key="b")


@case("stowage")
def opens_that_fail(t):
    for error, words in (("EIO", "input/output error"), ("ESTALE", "stale file handle"),
                         ("EACCES", "permission denied")):
        for size, nth in ((LARGE, 1), (LARGE, 4), (SMALL, 1)):
            source(t, size)
            result = meddled(t, [f"open /in/b {nth} 1 {error}"], "cp", "-r", "--journal", "none",
                             *PARTS, *ONE_CORE, t.path("in"), t.uri(), code=EXIT_SOME)
            require_failed(t, result, words)


@case("stowage")
def reads_that_are_short(t):
    """Or interrupted: the rest is asked for, also of a direct file. All bytes come over."""
    for size in (LARGE, SMALL):
        for options in ((), ("--direct", "on"), ("--direct", "off")):
            path = source(t, size)
            rules = ["read /in/b 1 3 short", "read /in/b 4 2 EINTR", "read /in/b 6 2 EAGAIN",
                     "read /in/b 8 99 short"]
            meddled(t, rules, "cp", "-r", *PARTS, *options, t.path("in"), t.uri())
            require_same(t, path, "b")
            meddled(t, [rule.replace("read /in/b", "write /out/") for rule in rules],
                    "cp", "-r", *PARTS, *options, t.uri(), t.path("out"))
            same(path, t.path("out/b"))


def require_left(t, *expected):
    """So much is in out/, and no temporary file."""
    have = sorted(os.listdir(t.path("out")))
    require(have == sorted(expected), f"out has {have}")


@case("stowage")
def writes_that_fail(t):
    """A disk that is full, or read only, ends the run when nothing fits there; one bad file fails
    alone. Under the target's name is what was there before."""
    large = make_file(t.path("large"), LARGE)
    t.argosy("cp", *PARTS, large, t.uri("k/large"))
    os.mkdir(t.path("out"))
    old = make_file(t.path("out/large"), 10)
    for op, error, words, code in (
            ("write", "ENOSPC", "no space left on the device", EXIT_ENVIRONMENT),
            ("write", "EDQUOT", "disk quota exceeded", EXIT_ENVIRONMENT),
            ("write", "EROFS", "read-only file system", EXIT_ENVIRONMENT),
            ("write", "EIO", "input/output error", EXIT_ENVIRONMENT),
            ("write", "EFBIG", "is larger than the file system", EXIT_ENVIRONMENT),
            ("open", "EROFS", "read-only file system", EXIT_ENVIRONMENT),
            ("open", "ENOSPC", "no space left on the device", EXIT_ENVIRONMENT),
            ("allocate", "ENOSPC", "no space left on the device", EXIT_ENVIRONMENT),
            ("allocate", "EDQUOT", "disk quota exceeded", EXIT_ENVIRONMENT),
            ("close", "ENOSPC", "no space left on the device", EXIT_ENVIRONMENT),
            ("close", "EDQUOT", "disk quota exceeded", EXIT_ENVIRONMENT),
            ("rename", "EIO", "input/output error", EXIT_ENVIRONMENT),
            ("sync", "EIO", "input/output error", EXIT_ENVIRONMENT)):
        name = "large" if op == "rename" else ".argosy-"
        first = 9 if op == "write" else 1
        result = meddled(t, [f"{op} {name} {first} 99 {error}"], "cp", "--fsync", "file",
                         "--journal", "none", *PARTS, *ONE_CORE, t.uri("k/large"),
                         t.path("out/large"), code=code)
        require(f"out/large: {words}" in result.err, f"{op} {error}: {result}")
        require(os.path.getsize(old) == 10, f"{op} {error}: the old file is gone")
        require_left(t, "large")


@case("stowage")
def writes_that_fail_in_a_tree(t):
    """A file that cannot be written fails alone. Where a small one has no room the others would
    fare no better: the run ends. What is there is whole, and the next run brings the rest."""
    for index in range(20):
        make_file(t.path("in", f"{index:02}"), 1000)
    t.argosy("cp", "-r", t.path("in"), t.uri("k"))
    args = ("cp", "-r", "--json", "--journal", "none", *ONE_CORE, t.uri("k"))
    for error, words, code, done in (
            ("EIO", "input/output error", EXIT_SOME, 19),
            ("ENOSPC", "no space left on the device", EXIT_ENVIRONMENT, 4)):
        out = t.path("out-" + error)
        result = meddled(t, [f"write .argosy- 5 1 {error}"], *args, out, code=code)
        require(result.json["done"] == done and result.err.count(words) == 1, f"{result}")
        names = os.listdir(out)
        require(len(names) == done, f"{names}")
        for name in names:
            same(t.path("in", name), os.path.join(out, name))
        t.argosy(*args, out)
        require(same_trees(t.path("in"), out) == 20, f"{os.listdir(out)}")


def synced(t, policy, *args):
    """What a download into out/deep/ synced and renamed, in order; temporary names as TEMP."""
    log = t.path("log-" + policy)
    meddled(t, [], "cp", "--fsync", policy, "--journal", "none", *ONE_CORE, *args, log=log)
    with open(log, encoding="utf-8") as file:
        lines = [re.sub(r"\.argosy-[0-9a-f-]+", "TEMP", li.strip()) for li in file]
    return [li.replace(t.path("out-" + policy), "out") for li in lines]


@case("stowage")
def what_is_synced(t):
    """none: nothing. file: its content, before it gets its name. all: content, times and mode, then
    the folder, and each folder that was made in the one above it."""
    t.put("k", b"data")
    for policy, expected in (
            ("none", ["rename out/deep/k"]),
            ("file", ["datasync out/deep/TEMP", "rename out/deep/k"]),
            ("all", ["sync out", "sync " + t.path(), "sync out/deep/TEMP", "rename out/deep/k",
                     "sync out/deep"])):
        lines = synced(t, policy, t.uri("k"), t.path("out-" + policy, "deep", "k"))
        require(sorted(lines) == sorted(expected), f"{policy}: {lines}")
        content = [li for li in lines if "TEMP" in li or "/k" in li or li == "sync out/deep"]
        require(content == expected[-len(content):], f"{policy}: in another order: {lines}")


@case("stowage")
def what_is_synced_of_a_tree(t):
    """Every file of it, large ones too."""
    sizes = {"a": 0, "b/c": 1000, "b/d": LARGE}
    for name, size in sizes.items():
        make_file(t.path("in", name), size)
    t.argosy("cp", "-r", *PARTS, t.path("in"), t.uri("p"))
    for policy, word in (("file", "datasync"), ("all", "sync")):
        lines = synced(t, policy, "-r", *PARTS, t.uri("p"), t.path("out-" + policy))
        count = sum(li.startswith(word + " ") and li.endswith("TEMP") for li in lines)
        require(count == len(sizes), f"{policy}: {lines}")
        for name in sizes:
            renamed = lines.index(f"rename out/{name}")
            folder = "sync out" + ("/b" if "/" in name else "")
            require((folder in lines[renamed:]) == (policy == "all"), f"{policy} {name}: {lines}")
