"""argosy verify: a copy is compared with its source, or with its manifest; what differs is told.

  tests/run system verify.             all of them
  tests/run system 'verify.tree_up[stowage]'"""

import json
import os
import re

import servers
from content import make_file
from harness import (EXIT_ENVIRONMENT, EXIT_MISSING, EXIT_OK, EXIT_SOME, EXIT_USAGE, MIB, PARTS,
                     case, require)
from proxy import Proxy

SIZES = {"a": 0, "b c/d": 5, "b c/é": 100_000, "large": 11 * MIB + 1, "z": 70_000}


def make_tree(t, name="in"):
    for path, size in SIZES.items():
        make_file(t.path(name, *path.split("/")), size)


def uploaded(t, *options):
    make_tree(t)
    t.argosy("cp", "-r", *PARTS, *options, "--manifest", t.path("m"), t.path("in"), t.uri("p"))


def check(t, *args, code=EXIT_OK):
    """(lines, summary) of a run with --json; the counts add up."""
    result = t.argosy("verify", "--json", *args, code=code)
    lines = [json.loads(line) for line in result.out.strip().split("\n")]
    end = lines.pop()
    require(end["found"] == end["equal"] + len(lines) + end["skipped"], f"{result}")
    for verdict in ("changed", "missing", "extra", "failed"):
        require(end[verdict] == sum(li["verdict"] == verdict for li in lines), f"{result}")
    require(end["exit_code"] == code, f"{result}")
    return {(li["verdict"], li.get("path") or li["key"]): li for li in lines}, end


def flip(path, at):
    """One byte is another one; size and times stay."""
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def flip_object(t, key, at):
    data = bytearray(t.get(key))
    data[at] ^= 1
    t.put(key, bytes(data))


def without_sums(t, key):
    """The object again, as a server has it that keeps no checksums."""
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
    try:
        t.server.boto3().put_object(Bucket=t.bucket, Key=key, Body=t.get(key))
    finally:
        del os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"]


@case("stowage", "rgw")
def tree_up(t):
    uploaded(t)
    tree = ("-r", t.path("in"), t.uri("p"))
    found, end = check(t, *tree)
    require(not found and end["equal"] == 5 and end["by_size"] == 0, f"{found} {end}")
    flip_object(t, "p/z", 69_999)
    t.s3.delete_object(Bucket=t.bucket, Key="p/a")
    t.put("p/b c/d", b"longer")
    t.put("p/new", b"x")
    found, end = check(t, *tree, code=EXIT_SOME)
    require(set(found) == {("changed", "p/z"), ("missing", "p/a"), ("changed", "p/b c/d"),
                           ("extra", "p/new")}, f"{found}")
    require("size is 6, not 5" in found["changed", "p/b c/d"]["why"], f"{found}")
    require(end["equal"] == 2, f"{end}")


@case("stowage", "rgw")
def tree_down(t):
    uploaded(t)
    t.argosy("cp", "-r", t.uri("p"), t.path("out"))
    tree = ("-r", t.uri("p"), t.path("out"))
    found, end = check(t, *tree)
    require(not found and end["equal"] == 5 and end["by_size"] == 0, f"{found} {end}")
    flip(t.path("out/large"), 6 * MIB)
    os.unlink(t.path("out/z"))
    make_file(t.path("out/new"), 3)
    found, _ = check(t, *tree, code=EXIT_SOME)
    require(set(found) == {("changed", t.path("out/large")), ("missing", t.path("out/z")),
                           ("extra", t.path("out/new"))}, f"{found}")


@case("stowage", "rgw")
def text_for_people(t):
    uploaded(t)
    result = t.argosy("verify", t.path("m"))
    require(result.out == "" and "5 of 5 equal" in result.err, f"{result}")
    t.put("p/b c/d", b"longer")
    t.put("p/odd\nname", b"x")
    result = t.argosy("verify", t.path("m"), code=EXIT_SOME)
    lines = sorted(result.out.splitlines())
    base = f"s3://{t.bucket}/p/"
    require(lines == [f"changed {base}b c/d: its size is 6, not 5",
                      f"extra   {base}odd\\x0aname"], f"{result}")
    require("1 changed, 1 extra" in result.err, f"{result}")


@case("stowage", "rgw")
def manifest_of_an_upload(t):
    """By the server's checksums where it has them: nothing is read; else all is read back."""
    uploaded(t)
    found, end = check(t, t.path("m"))
    read = 0 if t.server.confirms else sum(SIZES.values())
    require(not found and end["equal"] == 5 and end["by_size"] == 0, f"{found} {end}")
    require(end["read_bytes"] == read, f"{end}")
    _, end = check(t, "--read-back", t.path("m"))
    require(end["read_bytes"] == sum(SIZES.values()), f"{end}")
    _, end = check(t, "--check", "files", t.path("m"))
    require(end["equal"] == 5 and end["read_bytes"] == sum(SIZES.values()), f"{end}")
    flip_object(t, "p/large", 11 * MIB)
    t.s3.delete_object(Bucket=t.bucket, Key="p/z")
    t.put("p/new", b"x")
    flip(t.path("in/z"), 0)
    make_file(t.path("in/new"), 3)
    found, _ = check(t, t.path("m"), code=EXIT_SOME)
    require(set(found) == {("changed", "p/large"), ("missing", "p/z"), ("extra", "p/new")},
            f"{found}")
    found, _ = check(t, "--check", "files", t.path("m"), code=EXIT_SOME)
    require(set(found) == {("changed", t.path("in/z")), ("extra", t.path("in/new"))}, f"{found}")


@case("stowage")
def manifest_of_a_download(t):
    make_tree(t)
    t.argosy("cp", "-r", *PARTS, t.path("in"), t.uri("p"))
    t.argosy("cp", "-r", "--manifest", t.path("m"), t.uri("p"), t.path("out"))
    found, end = check(t, t.path("m"))
    require(not found and end["equal"] == 5 and end["requests"] == 0, f"{found} {end}")
    os.unlink(t.path("out/a"))
    flip(t.path("out/b c/é"), 99_999)
    found, _ = check(t, t.path("m"), code=EXIT_SOME)
    require(set(found) == {("missing", t.path("out/a")), ("changed", t.path("out/b c/é"))},
            f"{found}")
    _, end = check(t, "--check", "objects", t.path("m"))
    require(end["equal"] == 5 and end["read_bytes"] == 0, f"{end}")


@case("stowage", "rgw")
def composite_checksums(t):
    """A SHA-256 of parts is compared at the parts' boundaries, wherever they are."""
    uploaded(t, "--checksum", "sha256")
    for args in ((t.path("m"),), ("--read-back", t.path("m")), ("--check", "files", t.path("m")),
                 ("-r", t.path("in"), t.uri("p")), ("-r", t.uri("p"), t.path("in"))):
        found, end = check(t, *args)
        require(not found and end["equal"] == 5 and end["by_size"] == 0, f"{args} {found} {end}")
    flip(t.path("in/large"), 5 * MIB - 1)
    for args in (("--check", "files", t.path("m")), ("-r", t.path("in"), t.uri("p"))):
        found, _ = check(t, *args, code=EXIT_SOME)
        require(len(found) == 1 and next(iter(found))[0] == "changed", f"{args} {found}")


@case("stowage")
def parts_of_unequal_sizes(t):
    """Another client's: only the server knows where its parts were."""
    parts = [os.urandom(5 * MIB + 7), os.urandom(6 * MIB), b"end"]
    upload = t.s3.create_multipart_upload(Bucket=t.bucket, Key="k",
                                          ChecksumAlgorithm="CRC32")["UploadId"]  # of parts' sums
    done = []
    for number, part in enumerate(parts, 1):
        reply = t.s3.upload_part(Bucket=t.bucket, Key="k", UploadId=upload, PartNumber=number,
                                 Body=part, ChecksumAlgorithm="CRC32")
        done.append({"PartNumber": number, "ETag": reply["ETag"],
                     "ChecksumCRC32": reply["ChecksumCRC32"]})
    t.s3.complete_multipart_upload(Bucket=t.bucket, Key="k", UploadId=upload,
                                   MultipartUpload={"Parts": done})
    with open(t.path("in"), "wb") as file:
        file.write(b"".join(parts))
    _, end = check(t, t.path("in"), t.uri("k"))
    require(end["equal"] == 1 and end["by_size"] == 0 and
            end["read_bytes"] == sum(map(len, parts)), f"{end}")
    flip(t.path("in"), 5 * MIB + 7)
    found, _ = check(t, t.path("in"), t.uri("k"), code=EXIT_SOME)
    require("-3" in found["changed", "k"]["why"], f"{found}")


@case("stowage")
def objects_without_checksums(t):
    """They are compared by their ETags, where those are MD5s; or received; or, when that is
    refused, only sizes are checked and that is said."""
    uploaded(t)
    for path in SIZES:
        without_sums(t, "p/" + path)
    total = sum(SIZES.values())
    _, end = check(t, t.path("m"))
    require(end["equal"] == 5 and end["by_size"] == 0 and end["read_bytes"] == total, f"{end}")
    _, end = check(t, "-r", t.path("in"), t.uri("p"))
    require(end["equal"] == 5 and end["read_bytes"] == total, f"{end}")
    _, end = check(t, "--read-back", "-r", t.path("in"), t.uri("p"))
    require(end["equal"] == 5 and end["read_bytes"] == 2 * total, f"{end}")
    for args in ((t.path("m"),), ("-r", t.path("in"), t.uri("p"))):
        _, end = check(t, "--cheap", *args)
        require(end["equal"] == 5 and end["by_size"] == 4 and end["read_bytes"] == 0, f"{end}")
        result = t.argosy("verify", "--cheap", *args)
        require("only their sizes were checked" in result.err, f"{result}")
    flip(t.path("in/large"), 9 * MIB)
    found, _ = check(t, "-r", t.path("in"), t.uri("p"), code=EXIT_SOME)
    require("differs within bytes" in found["changed", "p/large"]["why"], f"{found}")


@case()
def etags_that_are_no_md5(t):
    """Such as encrypted objects have: nothing is concluded from them, the bytes are compared. (The
    server does not look at signatures, since the proxy alters a header that is signed.)"""
    t.server = servers.Stowage("--no-auth")
    t.at_end(t.server.stop)
    t.s3 = t.server.boto3()
    t.bucket = t.new_bucket()
    make_tree(t)
    for path, size in SIZES.items():
        with open(t.path("in", *path.split("/")), "rb") as file:
            t.put("p/" + path, file.read())
        without_sums(t, "p/" + path)
    etag = t.s3.head_object(Bucket=t.bucket, Key="p/large")["ETag"].strip('"').encode()
    proxy = Proxy(t.server.url)
    t.at_end(proxy.close)
    env = {"AWS_ENDPOINT_URL": proxy.url}
    total = sum(SIZES.values())
    for swap, more in ((None, 0), ((etag, etag[::-1]), 2 * SIZES["large"]),
                       ((etag, b"-" + etag[1:]), SIZES["large"])):
        proxy.swap = swap
        result = t.argosy("verify", "--json", "-r", t.path("in"), t.uri("p"), env=env)
        end = result.json
        require(end["equal"] == 5 and end["by_size"] == 0, f"{swap}: {result}")
        require(end["read_bytes"] == total + more, f"{swap}: {result}")


@case("stowage", "rgw")
def large_object(t):
    """In ranges, on all cores, within the memory that was granted."""
    make_file(t.path("in"), 100 * MIB)
    t.argosy("cp", "--manifest", t.path("m"), t.path("in"), t.uri("k"))
    for args in (("--read-back", t.path("m")), ("--check", "files", t.path("m")),
                 ("--read-back", t.path("in"), t.uri("k"))):
        result = t.argosy("verify", "--json", "--memory", "64M", *args)
        require(result.json["equal"] == 1 and result.json["by_size"] == 0, f"{result}")
        require(result.rss_bytes < 128 * MIB, f"{result.rss_bytes}")
    flip(t.path("in"), 99 * MIB)
    found, _ = check(t, "--read-back", t.path("in"), t.uri("k"), code=EXIT_SOME)
    why = found["changed", "k"]["why"]
    first, last = map(int, re.search(r"bytes (\d+)-(\d+)", why).groups())
    require(first <= 99 * MIB <= last and last - first < 16 * MIB, why)


@case("stowage")
def names_as_for_cp(t):
    make_file(t.path("x/in"), 1000)
    t.argosy("cp", t.path("x/in"), t.uri("p/"))
    t.argosy("cp", t.uri("p/in"), t.path("y") + "/")
    check(t, t.path("x/in"), t.uri("p/"))
    check(t, t.uri("p/in"), t.path("y"))
    check(t, t.uri("p/in"), t.path("y/in"))
    found, _ = check(t, t.path("x/in"), t.uri("other"), code=EXIT_SOME)
    require(set(found) == {("missing", "other")}, f"{found}")
    found, _ = check(t, t.uri("p/in"), t.path("y/other"), code=EXIT_SOME)
    require(set(found) == {("missing", t.path("y/other"))}, f"{found}")
    t.fails(["verify", t.uri("none"), t.path("x/in")], EXIT_MISSING, "no such object")
    t.fails(["verify", t.path("none"), t.uri("p/in")], EXIT_MISSING, "none")
    t.fails(["verify", t.path("x"), t.uri("p")], EXIT_USAGE, "use -r")
    t.fails(["verify", t.path("x/in"), t.path("y/in")], EXIT_USAGE, "one side")
    t.fails(["verify", t.uri("p")], EXIT_USAGE, "compared with what")
    t.fails(["verify", "--cheap", "--read-back", t.path("x/in"), t.uri("p/in")], EXIT_USAGE)


@case("stowage")
def damaged_manifests(t):
    """Nothing is checked before all of it was understood; the line's number is told."""
    uploaded(t)
    with open(t.path("m"), encoding="utf-8") as file:
        lines = file.readlines()
    damages = {
        "not JSON": (3, "{\"path\":"),
        "no size": (2, '{"path":"x","key":"p/x"}'),
        "bad checksum": (4, lines[3].replace('"checksum":"', '"checksum":"!')),
        "other format": (1, lines[0].replace('"argosy_manifest":1', '"argosy_manifest":9')),
        "no head": (1, ""),
    }
    for what, (number, text) in damages.items():
        broken = lines[:]
        broken[number - 1] = text.rstrip("\n") + "\n"
        with open(t.path("broken"), "w", encoding="utf-8") as file:
            file.writelines(broken)
        line = 2 if what == "no head" else number
        t.fails(["verify", t.path("broken")], EXIT_USAGE, f"broken: line {line}:")
    with open(t.path("cut"), "w", encoding="utf-8") as file:
        file.write("".join(lines)[:-200])
    t.fails(["verify", t.path("cut")], EXIT_USAGE, "cut: line ")
    make_file(t.path("noise"), MIB)
    t.fails(["verify", t.path("noise")], EXIT_USAGE, "noise: line ")
    t.fails(["verify", t.path("none")], EXIT_MISSING, "none")
    make_file(t.path("empty"), 0)
    t.fails(["verify", t.path("empty")], EXIT_USAGE, "empty")


@case("stowage")
def manifests_one_behind_the_other(t):
    """Of several lines about one object the last counts; a run that was cut short is noted."""
    uploaded(t)
    make_file(t.path("in/z"), 70_001)
    t.argosy("cp", "--manifest", t.path("m2"), t.path("in/z"), t.uri("p/z"))
    for name in ("m", "m2"):
        with open(t.path(name), encoding="utf-8") as file, \
                open(t.path("both"), "a", encoding="utf-8") as both:
            both.write(file.read())
    found, end = check(t, t.path("both"))
    require(not found and end["found"] == 5, f"{found} {end}")
    found, _ = check(t, t.path("m"), code=EXIT_SOME)
    require(set(found) == {("changed", "p/z")}, f"{found}")
    with open(t.path("both"), encoding="utf-8") as file:
        lines = [li for li in file if '"end":true' not in li]
    with open(t.path("both"), "w", encoding="utf-8") as file:
        file.writelines(lines)
    require("not complete" in t.argosy("verify", t.path("both")).err, "no note")


@case("stowage")
def objects_without_any_sum(t):
    """Made with --checksum none: only the size, and that the ETag is the same, can be compared."""
    make_file(t.path("in"), 5000)
    t.argosy("cp", "--checksum", "none", "--manifest", t.path("m"), t.path("in"), t.uri("k"))
    _, end = check(t, t.path("m"))
    require(end["equal"] == 1 and end["by_size"] == 1, f"{end}")
    flip_object(t, "k", 7)
    found, _ = check(t, t.path("m"), code=EXIT_SOME)
    require("ETag" in found["changed", "k"]["why"], f"{found}")


@case("stowage")
def what_cannot_be_compared(t):
    make_tree(t)
    os.mkfifo(t.path("in/pipe"))
    os.mkdir(t.path("in/empty"))
    t.argosy("cp", "-r", t.path("in"), t.uri("p"))
    os.symlink("nowhere", t.path("in/link"))
    found, end = check(t, "-r", t.path("in"), t.uri("p"))
    require(end["skipped"] == 3 and end["equal"] == 5 and not found, f"{end} {found}")


@case("stowage")
def file_that_is_shorter_than_it_says(t):
    """As those of sysfs are: it cannot be read to its end, so nothing can be said of the copy."""
    make_tree(t)
    t.argosy("cp", "-r", t.path("in"), t.uri("p"))
    attribute = "/sys/kernel/mm/transparent_hugepage/enabled"
    os.symlink(attribute, t.path("in/link"))
    t.s3.put_object(Bucket=t.bucket, Key="p/link", Body=b"x" * os.stat(attribute).st_size)
    found, end = check(t, "-r", t.path("in"), t.uri("p"), code=EXIT_SOME)
    require(end["failed"] == 1 and end["equal"] == 5, f"{end}")
    require([li[0] for li in found] == ["failed"], f"{found}")


@case("stowage")
def many_small_ones(t):
    for index in range(1500):
        make_file(t.path("in", f"{index % 7}", f"f{index}"), index % 50)
    t.argosy("cp", "-r", "--manifest", t.path("m"), t.path("in"), t.uri("p"))
    _, end = check(t, t.path("m"))
    require(end["equal"] == 1500 and end["read_bytes"] == 0, f"{end}")
    _, end = check(t, "-r", t.path("in"), t.uri("p"))
    require(end["equal"] == 1500, f"{end}")
    for index in range(0, 1500, 100):
        t.s3.delete_object(Bucket=t.bucket, Key=f"p/{index % 7}/f{index}")
    _, end = check(t, t.path("m"), code=EXIT_SOME)
    require(end["missing"] == 15 and end["equal"] == 1485, f"{end}")


@case("stowage")
def reader_that_leaves(t):
    make_tree(t)
    result = t.argosy("verify", "-r", t.path("in"), t.uri("p"), code=None,
                      stdout=open("/dev/full", "w", encoding="utf-8"))
    require(result.code == EXIT_ENVIRONMENT and "standard output" in result.err, f"{result}")
