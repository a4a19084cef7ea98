"""Staging ahead: parts that are read before they may be sent; from a slow disk, by cgroups."""

import os
import time

import servers
from cases_flow import ONE, decisions_of, through_proxy
from content import make_file, same
from harness import (ARGOSY, MIB, PARTS, Skip, case, need_plain_build, require, status_kib,
                     wait_for)

BLKIO = "/sys/fs/cgroup/blkio"


def disk_of(path):
    """The whole disk's number, "major:minor", since that is what can be throttled."""
    number = os.stat(path).st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    at = os.path.realpath(f"/sys/dev/block/{name}")
    if not os.path.exists(f"/sys/dev/block/{name}"):
        raise Skip(f"{path} is on no disk")
    if os.path.exists(os.path.join(at, "partition")):
        at = os.path.dirname(at)
    with open(os.path.join(at, "dev"), encoding="ascii") as file:
        return file.read().strip()


def throttled_group(t, path, bytes_per_s):
    """A group whose members read no more than that of path's disk."""
    disk, group = disk_of(path), os.path.join(BLKIO, f"argosy-test-{os.getpid()}")
    limit = os.path.join(group, "blkio.throttle.read_bps_device")
    try:
        os.mkdir(group)
        t.at_end(lambda: os.rmdir(group))
        with open(limit, "w", encoding="ascii") as file:
            file.write(f"{disk} {bytes_per_s}")
    except OSError as err:
        raise Skip(f"no throttled disk on this machine: {err}") from err
    return group


def cold(path):
    """Written, and out of the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


# Beside others: of a window of one, it is most of the time that reading leaves free.
@case(waits=True)
def slow_disk_is_read_ahead_of(t):
    """The disk is slower than the connection, which waits for it: that is found out and told, and
    what comes of it is the file."""
    need_plain_build()
    source = make_file(t.path("in"), 240 * MIB)
    group = throttled_group(t, source, 48 * MIB)
    t.server = servers.Stowage("--byte-rate", "80MiB op=UploadPart")
    t.at_end(t.server.stop)
    t.server.boto3().create_bucket(Bucket="staged")
    enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    copy = ("-c", enter, group, ARGOSY, "cp", *ONE, *PARTS, "--direct", "on", "--cc", "fixed:1",
            "--json", "--log-decisions")
    log, quiet = t.path("log"), t.path("quiet")
    t.argosy(*copy, log, cold(source), "s3://staged/k", program="/bin/sh")
    found = [d for d in decisions_of(log) if d["knob"] == "parts staged ahead"]
    require(found and found[0]["old"] is None and found[0]["new"] >= 1, f"{found}")
    require("parts were being read" in found[0]["reason"], f"{found}")
    t.argosy("cp", "s3://staged/k", t.path("out"))
    same(source, t.path("out"))
    t.argosy(*copy, quiet, "--stage-ahead", "0", cold(source), "s3://staged/k", program="/bin/sh")
    found = [d for d in decisions_of(quiet) if d["knob"] == "parts staged ahead"]
    require(found == [], f"{found}")


@case("stowage")
def staged_ahead_waits_in_memory(t):
    """While the server takes nothing, what is staged ahead is in memory, beside what is sent; and
    each that is sent has a connection, and no other. A download stages nothing, whatever it is
    told."""
    need_plain_build()
    source, part_kib = make_file(t.path("in"), 400 * MIB), 16 * 1024

    def staged(ahead):
        proxy, env = through_proxy(t)
        proxy.hold("up", 64 * 1024)
        process = t.start("cp", *ONE, "--part-size", "16M", "--memory", "512M", "--cc", "fixed:2",
                          "--stage-ahead", ahead, "--stall-timeout", "300s", "--json", source,
                          t.uri("k"), env=env)
        parts = 2 + int(ahead)
        wait_for(lambda: proxy.connections >= 2 and
                 status_kib(process.popen.pid, "VmRSS") > parts * part_kib, f"{parts} parts")
        time.sleep(0.5)  # in which more could be read, or sent
        kib, connections = status_kib(process.popen.pid, "VmRSS"), proxy.connections
        proxy.release()
        result = process.finish()
        require(result.code == 0 and result.json["staged_ahead"] == int(ahead), f"{result}")
        require(connections == 2, f"{connections} connections for fixed:2")
        return kib
    none, six = staged("0"), staged("6")
    require(0.8 * 6 * part_kib < six - none < 8 * part_kib, f"{none} KiB, and {six} of 6 more")
    result = t.argosy("cp", "--stage-ahead", "6", "--json", t.uri("k"), t.path("out"))
    require(result.json["staged_ahead"] == 0, f"{result}")
    same(source, t.path("out"))
