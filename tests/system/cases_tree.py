"""Trees: real folders, links, and keys that a folder cannot hold."""

import os
import socket

from content import make_file, same_trees, take_tree
from harness import EXIT_MISSING, EXIT_SOME, case, require

REAL = (("/usr/share/doc", "/usr/share/zoneinfo", "/usr/share/perl", "/usr/share/man",
         "/usr/share"), ("/usr/lib/python3", "/usr/lib"))


def round_trip(t, most):
    for places in REAL:
        tree = take_tree(t.path("in"), places, most // len(REAL))
    up = t.argosy("cp", "-r", "--symlinks", "skip", tree, t.uri("tree/"), timeout=400)
    keys = t.keys()
    t.argosy("cp", "-r", t.uri("tree/"), t.path("out"), timeout=400)
    count = same_trees(tree, t.path("out"))
    require(len(keys) == count, f"{count} files, {len(keys)} objects\n{up}")
    for key, size in keys.items():
        require(os.path.getsize(t.path("in", key.removeprefix("tree/"))) == size, f"{key}: {size}")


@case("stowage")
def real_tree(t):
    round_trip(t, 12_000)


@case("rgw")
def smaller_real_tree(t):
    """Five pages of keys; more of them say nothing else of this server, which takes its time."""
    round_trip(t, 5_000)


@case("swift")
def small_real_tree(t):
    round_trip(t, 300)


@case("stowage")
def links(t):
    tree = t.path("in")
    make_file(t.path("in/a/file"), 100)
    make_file(t.path("outside/kept"), 200)
    os.symlink("file", t.path("in/a/to-file"))
    os.symlink("../outside", t.path("in/to-folder"))
    os.symlink("nowhere", t.path("in/dangling"))
    os.symlink("ring", t.path("in/ring"))
    os.symlink("..", t.path("in/a/loop"))
    quiet = t.argosy("cp", "-r", "--symlinks", "skip", tree, t.uri("skip/"))
    require("to-file" not in quiet.err and "skipped" in quiet.err, f"{quiet}")
    told = t.argosy("cp", "-rv", "--symlinks", "skip", tree, t.uri("skip/"))
    require("a/to-file: skipped: a symbolic link" in told.err, f"{told}")
    require(set(t.keys()) == {"skip/a/file"}, f"{t.keys()}")
    result = t.argosy("cp", "-r", "--json", tree, t.uri("follow/"))  # as it is by default
    follow = {k for k in t.keys() if k.startswith("follow/")}
    require(follow == {"follow/a/file", "follow/a/to-file", "follow/to-folder/kept"},
            f"{follow}\n{result}")
    for words in ("dangling: skipped: a symbolic link to nothing",
                  "ring: skipped: a symbolic link to nothing",
                  "a/loop: skipped: it leads back to a folder above it"):
        require(words in result.err, f"without {words!r}: {result}")
    numbers = [result.json[name] for name in ("found", "done", "skipped", "failed")]
    require(numbers == [6, 3, 3, 0], f"{result}")


@case("stowage")
def link_that_is_named(t):
    """The source itself is followed; one that leads nowhere is a missing file."""
    make_file(t.path("file"), 10)
    os.symlink("file", t.path("link"))
    os.symlink("nowhere", t.path("dangling"))
    t.argosy("cp", t.path("link"), t.uri())
    require(t.keys() == {"link": 10}, f"{t.keys()}")
    t.fails(["cp", t.path("dangling"), t.uri()], EXIT_MISSING, "dangling", "no such file")
    t.fails(["cp", "-r", t.path("dangling"), t.uri()], EXIT_MISSING, "dangling", "no such file")


@case("stowage")
def special_files(t):
    make_file(t.path("in/file"), 100)
    os.mkfifo(t.path("in/pipe"))
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(t.path("in"))  # a socket's name is short
    listener.bind("socket")
    os.chdir("/")
    result = t.argosy("cp", "-r", t.path("in"), t.uri())
    listener.close()
    require(set(t.keys()) == {"file"}, f"{t.keys()}")
    require("pipe" in result.err and "socket" in result.err, f"skipped without a word:\n{result}")


@case("stowage", "rgw")
def empty_files_and_folders(t):
    os.makedirs(t.path("in/empty-folder"))
    for name in ("a", "b/c", "b/d/e"):
        make_file(t.path("in", name), 0)
    t.argosy("cp", "-r", t.path("in"), t.uri("p/"))
    require(t.keys() == {"p/a": 0, "p/b/c": 0, "p/b/d/e": 0}, f"{t.keys()}")
    t.argosy("cp", "-r", t.uri("p/"), t.path("out"))
    same_trees(t.path("in"), t.path("out"))


@case("stowage", "rgw")
def escaping_keys(t):
    """A bucket is not trusted with the file system outside the target."""
    bad = ["../escaped", "a/../../escaped", "//absolute", "b/..", "./c/./../../escaped"]
    for key in [*bad, "good", "fine/file"]:
        t.put(key, b"data")
    result = t.argosy("cp", "-r", t.uri(), t.path("deep/er/out"), code=EXIT_SOME)
    require(not os.path.exists("/absolute"), "an absolute key was written")
    inside = [os.path.relpath(os.path.join(h, f), t.dir) for h, _, fs in os.walk(t.dir) for f in fs]
    inside = [f for f in inside if not f.startswith("home/")]  # the journal
    require(sorted(inside) == ["deep/er/out/fine/file", "deep/er/out/good"], f"{inside}\n{result}")
    for key in bad:
        require(key in result.err, f"no word about {key}:\n{result}")


@case("stowage")
def link_in_the_target(t):
    """A link in the target folder does not lead the download out of it."""
    os.makedirs(t.path("out"))
    os.makedirs(t.path("elsewhere"))
    os.symlink("../elsewhere", t.path("out/folder"))
    t.put("folder/file", b"data")
    t.argosy("cp", "-r", t.uri(), t.path("out"), code=None)
    require(os.listdir(t.path("elsewhere")) == [], "written through a link")


@case("stowage")
def file_where_a_folder_must_be(t):
    """Keys `a` and `a/b` cannot both be files: one is told, all others come."""
    for key in ("a", "a/b", "c"):
        t.put(key, key.encode())
    result = t.argosy("cp", "-r", t.uri(), t.path("out"), code=EXIT_SOME)
    require(os.path.isfile(t.path("out/c")), f"{result}")
    require(os.path.exists(t.path("out/a")), f"{result}")


@case("stowage")
def folder_markers(t):
    """Keys that end in / are other tools' folders: no file, no failure."""
    t.put("f/", b"")
    t.put("f/file", b"data")
    t.argosy("cp", "-r", t.uri(), t.path("out"))
    require(os.listdir(t.path("out/f")) == ["file"], f"{os.listdir(t.path('out/f'))}")
