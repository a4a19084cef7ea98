"""A run that is killed, interrupted or cut off goes on where it was."""

import contextlib
import os
import signal
import sqlite3
import threading
import time

from cases_bad import mount
from content import make_file, same
from harness import (EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, MIB, PARTS, case,
                     require, wait_for)
from proxy import Proxy

SLACK = 2 * MIB  # heads, and what was in the buffers of sockets and of the proxy
IN_FLIGHT = 2 * 5 * MIB  # two parts
HEADS = MIB // 4  # of the requests of a run that goes on


def parts_in_journal(t, state=None):
    """(number, start, bytes) of the newest job's parts, in the journal as it is now."""
    path = os.path.join(state or t.path("home", ".local", "state"), "argosy", "journal.db")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute("SELECT number, start, bytes FROM part WHERE job ="
                              " (SELECT max(id) FROM job) ORDER BY number").fetchall()
    except sqlite3.OperationalError:  # it is not there yet
        return []


def recorded(t, state=None):
    """Their bytes: what need not be moved again."""
    return sum(row[2] for row in parts_in_journal(t, state))


class Slow:
    """A run through a slow proxy, on one core with two parts under way, to be stopped midway: the
    proxy holds it up there, so that it cannot be over however late that is seen."""

    def __init__(self, t, *args, rate=20 * MIB):
        self.t = t
        self.args = [*args, *PARTS, "--cores", "1", "--cc", "fixed:2"]
        self.proxy = Proxy(t.server.url)
        t.at_end(self.proxy.close)
        self.env = {"AWS_ENDPOINT_URL": self.proxy.url}
        self.rate, self.ended = rate, 0.0

    def start(self, direction, hold_bytes):
        """The process, at its slow rate, and held up behind so many bytes."""
        self.proxy.rate[direction] = self.rate
        self.proxy.hold(direction, hold_bytes)
        return self.t.start(*self.args, env=self.env)

    def end(self, process, number):
        """Its result, ended by that signal, when the last of its bytes has come through."""
        self.ended = time.monotonic()
        (process.signal if number == signal.SIGKILL else process.interrupt)(number)
        self.proxy.release()
        result = process.finish()
        wait_for(self.proxy.at_rest, "the last of its bytes to come through")
        return result

    def stop(self, number, direction, after_bytes, also=lambda: True):
        """Its result, stopped by that signal when so many bytes have moved, and also that holds."""
        process = self.start(direction, after_bytes + 1)
        wait_for(lambda: self.proxy.moved[direction] > after_bytes and also(), "bytes to move")
        return self.end(process, number)

    def kill(self, direction, after_bytes, recorded_bytes):
        """What the journal had of it, when so many bytes had moved and so many at least were
        recorded."""
        self.stop(signal.SIGKILL, direction, after_bytes,
                  lambda: recorded(self.t) >= recorded_bytes)
        return recorded(self.t)

    def go_on(self, *args, **how):
        """(result, bytes up, bytes down) of the same command, or of another one; without those of
        connections that it took for slow, as it may on a busy machine."""
        before = dict(self.proxy.moved)
        result = self.t.argosy(*(args or self.args), "--json", env=self.env, **how)
        moved = [self.proxy.moved[d] - before[d] for d in ("up", "down")]
        in_vain = 0
        if result.code == EXIT_OK:
            in_vain = result.json["cut_bytes"] + SLACK * result.json["cuts"]
        return result, *(max(count - in_vain, 0) for count in moved)


def stop_behind(slow, text):
    """The run, killed when the server has answered the request with that text; the answer stays in
    the proxy."""
    asked, answered, killed = threading.Event(), threading.Event(), threading.Event()

    def loses(data, direction, _connection):
        if direction == "up" and text in data:
            asked.set()
        if direction == "up" or not asked.is_set():
            return False
        answered.set()
        killed.wait(60)
        return True
    slow.proxy.loses = loses
    process = slow.t.start(*slow.args, env=slow.env)
    require(answered.wait(60), "waited in vain for the answer")
    process.signal(signal.SIGKILL)
    process.finish()
    killed.set()
    del slow.proxy.loses


@case("stowage", "rgw")
def killed_upload(t):
    """Of 40 MiB that were sent two parts can be under way: all others are in the journal, sooner or
    later, and are not sent again."""
    source = make_file(t.path("in"), 60 * MIB)
    slow = Slow(t, "cp", source, t.uri("k"))
    had = slow.kill("up", 40 * MIB, 30 * MIB)
    require(len(t.uploads()) == 1 and t.keys() == {}, f"{t.uploads()}")
    result, up, _ = slow.go_on()
    require("going on with job" in result.err, f"{result}")
    require(up <= 60 * MIB - had + HEADS, f"{up} bytes were sent again, {had} were there")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")
    require(t.uploads() == [], f"{t.uploads()}")


@case("stowage", "rgw")
def interrupted_upload(t):
    """Parked, and gone on with by `argosy resume` from another folder."""
    source = make_file(t.path("in"), 60 * MIB)
    slow = Slow(t, "cp", "in", t.uri("k"))
    result = slow.stop(signal.SIGINT, "up", 40 * MIB)
    require(result.code == EXIT_INTERRUPTED and "argosy resume 1" in result.err, f"{result}")
    require("1 not finished" in result.err and "failed" not in result.err, f"{result}")
    require(len(t.uploads()) == 1 and t.keys() == {}, f"{t.uploads()}")
    result, up, _ = slow.go_on("resume", "1")
    require(f": {source} -> {t.uri('k')}" in result.err, f"which copy? {result}")
    require(up < 20 * MIB + IN_FLIGHT + SLACK, f"{up} bytes were sent again")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")
    t.argosy("resume", code=4)


def begun(database):
    with contextlib.suppress(sqlite3.OperationalError):  # it is written to now
        database.execute("BEGIN IMMEDIATE")
    return database.in_transaction


@case("stowage", waits=True)
def interrupted_at_a_rate(t):
    """All parts in flight share the rate. So there are few of them, and not all are lost: two parts
    took ten seconds, and what comes after the signal is not more than the rest and one of them."""
    source = make_file(t.path("in"), 30 * MIB)
    proxy = Proxy(t.server.url)
    t.at_end(proxy.close)
    env = {"AWS_ENDPOINT_URL": proxy.url}
    words = ("cp", *PARTS, source, t.uri("k"))
    process = t.start(*words, "--max-rate", "1MiB", env=env)
    wait_for(lambda: proxy.moved["up"] > 8 * MIB, "bytes to move")
    process.signal(signal.SIGINT)
    result = process.finish()
    require(result.code == EXIT_INTERRUPTED, f"{result}")
    job = t.argosy("jobs", "--json").json
    require(job["left"] == 1 and job["failed"] == 0, f"{job}")
    wait_for(proxy.at_rest, "the last of its bytes to come through")
    before = proxy.moved["up"]
    t.argosy(*words, env=env)
    again = proxy.moved["up"] - before
    require(again < 25 * MIB + SLACK, f"no part of 8 MiB was kept: {again} bytes were sent")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")


@case("stowage")
def second_signal(t):
    """The journal is locked by somebody, so that nothing can be parked: then it leaves at once."""
    source = make_file(t.path("in"), 60 * MIB)
    slow = Slow(t, "cp", source, t.uri("k"))
    process = slow.start("up", 40 * MIB)
    wait_for(lambda: slow.proxy.moved["up"] > 30 * MIB, "bytes to move")
    lock = sqlite3.connect(t.path("home/.local/state/argosy/journal.db"), isolation_level=None)
    t.at_end(lock.close)
    wait_for(lambda: begun(lock), "the lock of the journal")
    process.interrupt(signal.SIGINT)
    result = slow.end(process, signal.SIGTERM)
    lock.execute("ROLLBACK")
    require(result.code == EXIT_TERMINATED and "argosy resume 1" in result.err, f"{result}")
    slow.go_on("resume", "1")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")
    require(t.uploads() == [], f"{t.uploads()}")


@case("stowage")
def changed_source(t):
    """The old upload is aborted, and nothing of it gets into the object."""
    source = make_file(t.path("in"), 60 * MIB)
    slow = Slow(t, "cp", source, t.uri("k"))
    slow.stop(signal.SIGKILL, "up", 40 * MIB)
    os.utime(source, ns=(1, 1))
    before = slow.proxy.moved["up"]
    slow.go_on()
    up = slow.proxy.moved["up"] - before
    require(up >= 60 * MIB, f"only {up} bytes were sent")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")
    require(t.uploads() == [], f"{t.uploads()}")


@case("stowage")
def vanished_source(t):
    """What was begun of a file that is gone is aborted by the run that goes on."""
    make_file(t.path("in", "a"), 60 * MIB)
    make_file(t.path("in", "b"), 1000)
    slow = Slow(t, "cp", "-r", t.path("in"), t.uri("p"))
    slow.stop(signal.SIGKILL, "up", 40 * MIB)
    os.remove(t.path("in", "a"))
    slow.go_on()
    require(t.uploads() == [] and list(t.keys()) == ["p/b"], f"{t.uploads()} {t.keys()}")


@case("stowage")
def lost_upload(t):
    """The server does not know it any more."""
    source = make_file(t.path("in"), 60 * MIB)
    slow = Slow(t, "cp", source, t.uri("k"))
    slow.stop(signal.SIGKILL, "up", 40 * MIB)
    for upload in t.uploads():
        t.s3.abort_multipart_upload(Bucket=t.bucket, Key="k", UploadId=upload["UploadId"])
    result, _, _ = slow.go_on()
    require("begun anew" in result.err, f"{result}")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")


@case("stowage")
def other_parts(t):
    """What the server has under a part's number is not ours: it is sent again."""
    source = make_file(t.path("in"), 60 * MIB)
    slow = Slow(t, "cp", "--checksum", "crc32", source, t.uri("k"))  # boto3 has no CRC32C
    slow.stop(signal.SIGKILL, "up", 40 * MIB)
    upload = t.uploads()[0]["UploadId"]
    t.s3.upload_part(Bucket=t.bucket, Key="k", UploadId=upload, PartNumber=2, Body=b"x" * 5 * MIB)
    slow.go_on()
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")


@case("stowage")
def completed_upload(t):
    """Killed behind the completion, before that was written down: it is known again."""
    source = make_file(t.path("in"), 20 * MIB)
    slow = Slow(t, "cp", source, t.uri("k"))
    stop_behind(slow, b"POST /" + t.bucket.encode() + b"/k?uploadId")
    require(list(t.keys()) == ["k"], f"{t.keys()}")
    _, up, _ = slow.go_on()
    require(up < MIB, f"{up} bytes were sent again")


@case("stowage")
def upload_without_id(t):
    """Killed while the upload was created: it is found by its key and aborted. Others' are not."""
    source = make_file(t.path("in"), 20 * MIB)
    other = t.s3.create_multipart_upload(Bucket=t.bucket, Key="k2")["UploadId"]
    slow = Slow(t, "cp", source, t.uri("k"))
    stop_behind(slow, b"POST /" + t.bucket.encode() + b"/k?uploads")
    require(len(t.uploads()) == 2, f"{t.uploads()}")
    slow.go_on()
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")
    require([u["Key"] for u in t.uploads()] == ["k2"], f"{t.uploads()}")
    t.s3.abort_multipart_upload(Bucket=t.bucket, Key="k2", UploadId=other)


def temps(folder):
    return [name for name in os.listdir(folder) if name.startswith(".argosy-")]


def download(t, *args):
    """A file, its object, and a slow run that fetches it into out/."""
    source = make_file(t.path("in"), 60 * MIB)
    t.argosy("cp", *PARTS, source, t.uri("k"))
    os.mkdir(t.path("out"))
    return source, Slow(t, "cp", *args, t.uri("k"), t.path("out/k"))


@case("stowage", "rgw")
def killed_download(t):
    source, slow = download(t)
    had = slow.kill("down", 40 * MIB, 30 * MIB)
    require(len(temps(t.path("out"))) == 1, f"{os.listdir(t.path('out'))}")
    result, _, down = slow.go_on()
    require("going on with job" in result.err, f"{result}")
    require(down <= 60 * MIB - had + HEADS, f"{down} bytes were fetched again, {had} were there")
    same(source, t.path("out/k"))
    require(os.listdir(t.path("out")) == ["k"], f"{os.listdir(t.path('out'))}")


@case("stowage")
def interrupted_download(t):
    source, slow = download(t)
    result = slow.stop(signal.SIGTERM, "down", 40 * MIB)
    require(result.code == EXIT_TERMINATED and "argosy resume" in result.err, f"{result}")
    require(len(temps(t.path("out"))) == 1, f"{os.listdir(t.path('out'))}")
    _, _, down = slow.go_on("resume")
    require(down < 20 * MIB + IN_FLIGHT + SLACK, f"{down} bytes were fetched again")
    same(source, t.path("out/k"))


@case("stowage")
def written_bytes_that_are_lost(t):
    """As after a power cut: what the journal says was written is not in the file any more."""
    source, slow = download(t)
    had = slow.kill("down", 40 * MIB, 30 * MIB)
    with open(t.path("out", temps(t.path("out"))[0]), "r+b") as file:
        file.write(bytes(7 * MIB))
    _, _, down = slow.go_on()
    require(60 * MIB - had < down <= 60 * MIB - had + 2 * 5 * MIB + HEADS,
            f"{down} bytes were fetched again, {had} were there, two parts of which were lost")
    same(source, t.path("out/k"))


def boot(t):
    """As if all that the journal has was written before the machine was started anew."""
    with contextlib.closing(sqlite3.connect(t.path("home/.local/state/argosy/journal.db"),
                                            isolation_level=None)) as db:
        for table in ("job", "object", "done"):
            db.execute(f"UPDATE {table} SET boot='another'")


def rename_it(t, source, content):
    """As a run does that is killed before it has written that down."""
    temp = t.path("out", temps(t.path("out"))[0])
    with open(temp, "r+b") as file:
        file.write(content)
        file.truncate()
    os.utime(temp, ns=(os.stat(source).st_mtime_ns,) * 2)
    os.rename(temp, t.path("out/k"))


@case("stowage")
def renamed_before_a_power_cut(t):
    """It was not written down any more, nor was its content, and the first run behind it does not
    come to that: the second one does not believe it either."""
    source, slow = download(t)
    slow.kill("down", 40 * MIB, 30 * MIB)
    rename_it(t, source, bytes(60 * MIB))
    boot(t)
    stop_behind(slow, b"HEAD /")
    result, _, down = slow.go_on("resume")
    require("going on with job" in result.err and down >= 60 * MIB, f"{down} {result}")
    same(source, t.path("out/k"))
    require(os.listdir(t.path("out")) == ["k"], f"{os.listdir(t.path('out'))}")


@case("stowage")
def renamed_after_a_power_cut(t):
    """A run behind it goes on with the temporary file: what it has renamed is believed, though that
    was not written down."""
    source, slow = download(t)
    slow.kill("down", 20 * MIB, 10 * MIB)
    boot(t)
    slow.kill("down", 50 * MIB, 30 * MIB)
    with open(source, "rb") as file:
        rename_it(t, source, file.read())
    result, _, down = slow.go_on("resume")
    require("going on with job" in result.err and down < HEADS, f"{down} {result}")
    same(source, t.path("out/k"))


@case("stowage")
def changed_object(t):
    """The old bytes are removed, and none of them gets into the file."""
    _, slow = download(t)
    slow.stop(signal.SIGKILL, "down", 40 * MIB)
    other = make_file(t.path("in"), 60 * MIB)
    t.argosy("cp", *PARTS, other, t.uri("k"))
    slow.go_on()
    same(other, t.path("out/k"))
    require(os.listdir(t.path("out")) == ["k"], f"{os.listdir(t.path('out'))}")


@case("stowage")
def other_temporary_file(t):
    """Gone, or somebody else's: then the download begins anew."""
    source, slow = download(t)
    slow.stop(signal.SIGKILL, "down", 40 * MIB)
    temp = t.path("out", temps(t.path("out"))[0])
    os.rename(temp, t.path("moved"))
    make_file(temp, 60 * MIB)
    slow.go_on()
    same(source, t.path("out/k"))
    require(os.listdir(t.path("out")) == ["k"], f"{os.listdir(t.path('out'))}")


@case("stowage")
def vanished_object(t):
    """A tree: what was begun of an object that is gone is removed by the run that goes on; small
    files that were under way leave nothing either."""
    make_file(t.path("in", "a"), 60 * MIB)
    for index in range(20):
        make_file(t.path("in", f"f{index}"), 100000)
    t.argosy("cp", "-r", *PARTS, t.path("in"), t.uri("p"))
    slow = Slow(t, "cp", "-r", t.uri("p"), t.path("out"))
    slow.stop(signal.SIGKILL, "down", 40 * MIB)
    t.s3.delete_object(Bucket=t.bucket, Key="p/a")
    slow.go_on()
    require(sorted(os.listdir(t.path("out"))) == sorted(f"f{i}" for i in range(20)),
            f"{os.listdir(t.path('out'))}")


@case("stowage")
def done_download(t):
    """Of a tree of which a large object is done already, that one is not fetched again."""
    make_file(t.path("in", "a"), 15 * MIB)
    make_file(t.path("in", "b"), 120 * MIB)
    t.argosy("cp", "-r", *PARTS, t.path("in"), t.uri("p"))
    slow = Slow(t, "cp", "-r", t.uri("p"), t.path("out"))
    process = slow.start("down", 100 * MIB)  # of which a comes beside b
    wait_for(lambda: os.path.exists(t.path("out", "a")), "the first object to be done")
    slow.end(process, signal.SIGINT)
    left = 135 * MIB - slow.proxy.moved["down"]
    require(left > 15 * MIB, f"only {left} bytes were left")
    result, _, down = slow.go_on("resume")
    require(down < left + IN_FLIGHT + SLACK, f"{down} bytes were fetched again, {left} were left")
    require(result.json["before"] == 1, f"{result}")
    for name in ("a", "b"):
        same(t.path("in", name), t.path("out", name))


@case("stowage")
def journal_on_a_full_disk(t):
    """A journal that stops midway is a warning; one that cannot be begun is one too, unless it was
    asked for. The copy itself loses nothing."""
    folder = mount(t, "-o", "size=256k")
    state = {"XDG_STATE_HOME": folder}
    for index in range(20):
        make_file(t.path("in", str(index)), 6 * MIB)
    command = ["cp", "-r", "--json", *PARTS, t.path("in"), t.uri("p")]
    t.argosy("cp", t.path("in", "0"), t.uri("first"), env=state)  # the journal is there
    said = ""
    for room in range(0, 48 * 1024, 8192):  # not enough to begin, or to go on, or enough
        with open(folder + "/filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.truncate(folder + "/filler", os.path.getsize(folder + "/filler") - room)
        result = t.argosy(*command, env=state)
        said += result.err
        there = result.json["done"] + result.json["before"]
        require(there == 20 and len(t.keys(Prefix="p/")) == 20, f"{result}")
        require(t.uploads() == [], f"{t.uploads()}")
    for words in ("warning: this job cannot be resumed: ", "warning: from here on this job cannot"):
        require(words in said and "no space left" in said, said)
    t.fails([*command, "--journal", folder + "/other.db"], EXIT_ENVIRONMENT, folder + "/other.db")
    os.remove(folder + "/filler")
    t.argosy("jobs", env=state)
