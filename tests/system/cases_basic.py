"""Files up and down: sizes, keys, pipes, checksums."""

import os
import re
import stat
import subprocess
import threading

from content import AWKWARD_KEYS, crc32c, make_file, md5_etag, same
from harness import EXIT_SOME, MIB, PARTS, case, require

ALL = ("stowage", "rgw", "swift")
SIZES = [0, 1, 4095, 65536, 5 * MIB + 7, 5 * MIB * 3 + 1]


def check_etag(t, key, path, part_bytes):
    """What boto3 sees: the size, and an ETag of one of the two forms that S3 gives."""
    head = t.s3.head_object(Bucket=t.bucket, Key=key)
    require(head["ContentLength"] == os.path.getsize(path), f"size in the bucket: {head}")
    etag = head["ETag"]
    parts = re.fullmatch(r'"[0-9a-f]{32}-(\d+)"', etag)
    if parts:
        require(etag == md5_etag(path, part_bytes), f"ETag {etag} of parts is wrong")
    elif re.fullmatch(r'"[0-9a-f]{32}"', etag):
        require(etag == md5_etag(path), f"ETag {etag} is not the MD5")


@case(*ALL)
def sizes_up_and_down(t):
    for size in SIZES:
        source = make_file(t.path("in", f"f{size}"), size)
        t.argosy("cp", *PARTS, source, t.uri(f"f{size}"))
        check_etag(t, f"f{size}", source, 5 * MIB)
        with open(source, "rb") as file:
            require(t.get(f"f{size}") == file.read(), f"{size} bytes: boto3 reads other content")
        t.argosy("cp", *PARTS, t.uri(f"f{size}"), t.path(f"out{size}"))
        same(source, t.path(f"out{size}"))
    require(sorted(os.listdir(t.dir)) == sorted(["home", "in", *(f"out{s}" for s in SIZES)]),
            f"leftovers: {os.listdir(t.dir)}")


@case(*ALL)
def parts_in_flight(t):
    """A multipart object through several cores; its parts are what S3 says they are."""
    source = make_file(t.path("in"), 48 * MIB + 12345)
    t.argosy("cp", "--multipart-threshold", "8M", "--part-size", "8M", source, t.uri("big"))
    check_etag(t, "big", source, 8 * MIB)
    require(t.s3.head_object(Bucket=t.bucket, Key="big")["ETag"].endswith('-7"'), "not 7 parts")
    t.argosy("cp", *PARTS, t.uri("big"), t.path("out"))
    same(source, t.path("out"))


@case("stowage", "rgw")
def awkward_keys(t):
    source = make_file(t.path("in"), 1000)
    for key in AWKWARD_KEYS:
        t.argosy("cp", source, t.uri(key))
    require(set(t.keys()) == set(AWKWARD_KEYS), f"keys in the bucket: {sorted(t.keys())}")
    for index, key in enumerate(AWKWARD_KEYS):
        t.argosy("cp", t.uri(key), t.path(f"out{index}"))
        same(source, t.path(f"out{index}"))
    listed = t.argosy("ls", "-r", t.uri()).out
    for key in AWKWARD_KEYS:
        require(key in listed, f"ls -r does not show {key}:\n{listed}")


@case("swift")
def awkward_keys_strict(t):
    source = make_file(t.path("in"), 1000)
    keys = [k for k in AWKWARD_KEYS if len(k) < 1000]
    for key in keys:
        t.argosy("cp", source, t.uri(key))
        t.argosy("cp", t.uri(key), t.path("out"))
        same(source, t.path("out"))
    require(set(t.keys()) == set(keys), f"keys in the bucket: {sorted(t.keys())}")


@case("stowage", "rgw")
def multipart_awkward_key(t):
    """An upload's every request carries the key: all of them must escape it alike."""
    source = make_file(t.path("in"), 11 * MIB)
    for key in ("a b+c%/é=&?", "x//y;z"):
        t.argosy("cp", *PARTS, source, t.uri(key))
        t.argosy("cp", t.uri(key), t.path("out"))
        same(source, t.path("out"))


@case("stowage", "rgw")
def sparse_file(t):
    path = t.path("sparse")
    with open(path, "wb") as file:
        file.truncate(64 * MIB)
        file.seek(20 * MIB + 3)
        file.write(b"data")
    t.argosy("cp", path, t.uri("sparse"))
    require(t.keys() == {"sparse": 64 * MIB}, f"{t.keys()}")
    t.argosy("cp", t.uri("sparse"), t.path("out"))
    same(path, t.path("out"))


@case("rgw")
def four_gib(t):
    """One file of 4 GiB, random content, memory bounded far below it."""
    source = make_file(t.path("in"), 4096 * MIB)
    up = t.argosy("cp", "--memory", "256M", source, t.uri("big"), timeout=400)
    require(t.keys() == {"big": 4096 * MIB}, f"{t.keys()}")
    down = t.argosy("cp", "--memory", "256M", t.uri("big"), t.path("out"), timeout=400)
    same(source, t.path("out"))
    for result in (up, down):
        require(result.rss_bytes <= (256 + 64) * MIB,
                f"peak RSS {result.rss_bytes / MIB:.0f} MiB with --memory 256M:\n{result}")


@case("stowage", "rgw", "swift")
def standard_input(t):
    for size in (0, 1, 100_000, 23 * MIB + 5):
        source = make_file(t.path(f"in{size}"), size)
        cat = subprocess.Popen(["cat", source], stdout=subprocess.PIPE)  # a pipe: length unknown
        t.argosy("cp", *PARTS, "-", t.uri(f"k{size}"), stdin=cat.stdout)
        cat.stdout.close()
        cat.wait()
        require(t.keys()[f"k{size}"] == size, f"{t.keys()}")
        t.argosy("cp", t.uri(f"k{size}"), t.path("out"))
        same(source, t.path("out"))


@case("stowage", "rgw")
def standard_output(t):
    for size in (0, 1, 17 * MIB + 5):
        source = make_file(t.path(f"in{size}"), size)
        t.argosy("cp", source, t.uri("k"))
        result = t.argosy("cp", *PARTS, t.uri("k"), "-")
        with open(source, "rb") as file:
            require(result.raw == file.read(), f"{size} bytes: standard output differs")


@case("stowage")
def pipes_and_devices(t):
    source = make_file(t.path("in"), 17 * MIB + 5)
    t.argosy("cp", source, t.uri("k"))
    t.argosy("cp", t.uri("k"), "/dev/null")
    require(stat.S_ISCHR(os.stat("/dev/null").st_mode), "/dev/null was replaced")
    os.mkfifo(t.path("pipe"))
    with open(t.path("out"), "wb") as out:
        cat = subprocess.Popen(["cat", t.path("pipe")], stdout=out)
        t.argosy("cp", t.uri("k"), t.path("pipe"))
        require(cat.wait(60) == 0, "the reader of the pipe failed")
    same(source, t.path("out"))
    require(stat.S_ISFIFO(os.stat(t.path("pipe")).st_mode), "the pipe was replaced")


@case("stowage")
def closed_output(t):
    """`argosy cp s3://… - | head -c 1`: the reader goes away; no endless run, no signal death."""
    t.argosy("cp", make_file(t.path("in"), 32 * MIB), t.uri("k"))
    read_end, write_end = os.pipe()
    process = t.start("cp", t.uri("k"), "-", stdout=write_end)
    os.close(write_end)
    os.read(read_end, 1)
    os.close(read_end)
    result = process.finish(20)
    require(result.code not in (0, -13), f"{result}")


@case("stowage", "rgw")
def every_checksum(t):
    source = make_file(t.path("in"), 11 * MIB + 3)
    small = make_file(t.path("small"), 70_000)
    for kind in ("crc32c", "crc32", "crc64nvme", "sha256", "none"):
        for path, key in ((source, f"big-{kind}"), (small, f"small-{kind}")):
            t.argosy("cp", "--checksum", kind, *PARTS, path, t.uri(key))
            t.argosy("cp", t.uri(key), t.path("out"))
            same(path, t.path("out"))


@case("stowage")
def checksum_in_the_bucket(t):
    """The stored CRC32C of one PUT and of parts combined is that of the whole content."""
    for key, size in (("small", 70_000), ("parts", 11 * MIB + 3)):
        source = make_file(t.path(key), size)
        t.argosy("cp", *PARTS, source, t.uri(key))
        head = t.s3.head_object(Bucket=t.bucket, Key=key, ChecksumMode="ENABLED")
        with open(source, "rb") as file:
            require(head.get("ChecksumCRC32C") == crc32c(file.read()), f"{key}: {head}")


@case("rgw")
def unconfirmed_checksum_is_told(t):
    result = t.argosy("cp", make_file(t.path("in"), 1000), t.uri("k"))
    require("not confirmed by the server" in result.out + result.err, f"{result}")


@case("stowage")
def confirmed_checksum_is_quiet(t):
    result = t.argosy("cp", make_file(t.path("in"), 1000), t.uri("k"))
    require("not confirmed" not in result.out + result.err, f"{result}")


@case("stowage", "rgw", "swift")
def content_md5(t):
    source = make_file(t.path("in"), 11 * MIB)
    for choice in ("on", "auto", "off"):
        t.argosy("cp", "--content-md5", choice, *PARTS, source, t.uri(choice))
        t.argosy("cp", t.uri(choice), t.path("out"))
        same(source, t.path("out"))


@case("stowage", "rgw", "swift")
def unsigned_payload(t):
    source = make_file(t.path("in"), 6 * MIB)
    t.argosy("cp", "--no-sign-payload", *PARTS, source, t.uri("k"))
    t.argosy("cp", t.uri("k"), t.path("out"))
    same(source, t.path("out"))


@case("stowage", "rgw", "swift")
def make_bucket(t):
    name = t.bucket + "-made"
    t.at_end(lambda: t.s3.delete_bucket(Bucket=name))
    t.argosy("mb", f"s3://{name}")
    names = [b["Name"] for b in t.s3.list_buckets()["Buckets"]]
    require(name in names, f"boto3 sees {names}")


@case("stowage", "rgw")
def list_pages(t):
    """More keys than a page holds, put by argosy itself."""
    os.makedirs(t.path("in/deep"))
    for index in range(1205):
        with open(t.path("in", "deep" if index % 2 else "", f"n{index:05}"), "wb") as file:
            file.write(b"x" * (index % 7))
    t.argosy("cp", "-r", t.path("in"), t.uri("top/"))
    require(len(t.keys()) == 1205, f"{len(t.keys())} objects in the bucket")
    listed = t.argosy("ls", "-r", t.uri("top/")).out
    names = set(re.findall(r"n\d{5}", listed))
    require(len(names) == 1205, f"ls -r shows {len(names)} of 1205")
    flat = t.argosy("ls", t.uri("top/")).out
    require("deep/" in flat and len(set(re.findall(r"n\d{5}", flat))) == 603, f"ls:\n{flat[-500:]}")
    buckets = t.argosy("ls").out + t.argosy("ls", "s3://").out
    require(buckets.count(t.bucket) == 2, f"ls without a bucket:\n{buckets}")


@case("stowage", "rgw")
def times_are_kept(t):
    source = make_file(t.path("in"), 100)
    os.utime(source, ns=(10**18, 1_234_567_890_123_456_789))
    t.argosy("cp", source, t.uri("k"))
    t.argosy("cp", t.uri("k"), t.path("out"))
    kept = os.stat(t.path("out")).st_mtime_ns
    require(abs(kept - 1_234_567_890_123_456_789) < 1_000_000_000, f"mtime {kept}")
    t.argosy("cp", "--no-mtime", t.uri("k"), t.path("out2"))
    require(os.stat(t.path("out2")).st_mtime > 1_500_000_000, "--no-mtime set the time")


@case("stowage", "rgw")
def direct_io(t):
    source = make_file(t.path("in"), 21 * MIB + 777)
    for choice in ("on", "off", "auto"):
        t.argosy("cp", "--direct", choice, *PARTS, source, t.uri(choice))
        t.argosy("cp", "--direct", choice, t.uri(choice), t.path("out"))
        same(source, t.path("out"))


@case("stowage")
def part_larger_than_memory(t):
    """Read twice: once to sum, once to send."""
    source = make_file(t.path("in"), 200 * MIB + 1)
    result = t.argosy("cp", "--memory", "64M", "--part-size", "150M", source, t.uri("k"))
    require(result.rss_bytes < (64 + 64) * MIB, f"RSS {result.rss_bytes / MIB:.0f} MiB\n{result}")
    t.argosy("cp", "--memory", "64M", t.uri("k"), t.path("out"))
    same(source, t.path("out"))


@case("stowage")
def overwrites_regular_files_only(t):
    t.put("k", b"new")
    with open(t.path("out"), "wb") as file:
        file.write(b"old content")
    t.argosy("cp", t.uri("k"), t.path("out"))
    with open(t.path("out"), "rb") as file:
        require(file.read() == b"new", "the old file is still there")
    os.mkdir(t.path("folder"))
    t.argosy("cp", t.uri("k"), t.path("folder/"))
    same(t.path("out"), t.path("folder/k"))


@case("stowage")
def json_summary_reconciles(t):
    for index in range(5):
        make_file(t.path("in", f"f{index}"), 1000 + index)
    numbers = t.argosy("cp", "-r", "--json", t.path("in"), t.uri()).json
    require(numbers["found"] == 5, f"{numbers}")
    require(numbers["found"] == numbers["done"] + numbers["skipped"] + numbers["failed"],
            f"{numbers}")


@case("stowage")
def json_tells_the_size_of_one_object(t):
    """Its size is learned from the server, and counts as found all the same."""
    t.argosy("cp", make_file(t.path("in"), 20 * MIB), t.uri("k"))
    numbers = t.argosy("cp", "--json", t.uri("k"), t.path("out")).json
    require(numbers["found_bytes"] == numbers["done_bytes"] == 20 * MIB, f"{numbers}")


@case("stowage")
def file_changes_while_read(t):
    """A source that grows under our hands is an error, never a mixture."""
    source = make_file(t.path("in"), 64 * MIB)
    stop = threading.Event()

    def append():
        while not stop.wait(0.002):
            with open(source, "ab") as file:
                file.write(b"more")
    thread = threading.Thread(target=append)
    thread.start()
    try:
        t.fails(["cp", *PARTS, source, t.uri("k")], EXIT_SOME, "in", "changed")
    finally:
        stop.set()
        thread.join()
    require(t.keys() == {}, f"{t.keys()}")
