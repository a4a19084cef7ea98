"""kill -9 at seeded random points of a run; then the same command must make it whole.

In `make test` a few points, in `make crash` CRASH_POINTS of them in each direction, from number
CRASH_FIRST of the seed's on; of each variant (the server is killed too, the disk gets full) a
quarter. A seed that failed is run again with CRASH_SEED=N. Another client judges what came of it,
not argosy; and what may be moved twice is judged by what the journal held at the kill: nothing that
was recorded is moved again."""

import contextlib
import glob
import os
import random
import shutil
import signal
import sqlite3
import threading
import time

import servers
from cases_bad import mount
from cases_resume import HEADS, IN_FLIGHT, SLACK, Slow, temps
from content import make_file, same
from harness import EXIT_ENVIRONMENT, EXIT_OK, EXIT_SOME, MIB, PARTS, case, require, wait_for

SIZE = 60 * MIB
RATE = 20 * MIB  # of each of two connections
LAG_S = 0.5  # of the journal, beside its writes: it lingers 0.2 s
BOUND = IN_FLIGHT + SLACK  # of what is moved twice, beside that


def recorded(t, folder):
    """Bytes of the newest job's parts that the journal holds, by a copy of it."""
    copy = t.path("copy-of-journal")
    shutil.rmtree(copy, ignore_errors=True)
    os.mkdir(copy)
    for path in glob.glob(os.path.join(folder, "argosy", "journal.db*")):
        shutil.copy(path, copy)
    file = os.path.join(copy, "journal.db")
    if not os.path.exists(file):
        return 0
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT coalesce(sum(bytes), 0) FROM part WHERE job ="
                          " (SELECT max(id) FROM job)").fetchone()[0]


class Lag:
    """What the journal need not have yet: what was moved since its last but one write began. How
    long a write takes on this disk now, with others that load it, is seen by writes of our own."""

    def __init__(self, folder, slow, direction):
        self.slow, self.direction, self.slowest, self.bytes = slow, direction, 0.0, RATE
        self.points, self.over = [(0.0, slow.proxy.moved[direction])], threading.Event()
        self.path = os.path.join(folder, "slow-disk")
        self.thread = threading.Thread(target=self.look)

    def look(self):
        with open(self.path, "wb", buffering=0) as file:
            begin = time.monotonic()
            while not self.over.wait(0.02):
                file.write(b"x")
                os.fsync(file.fileno())
                end = time.monotonic()
                self.slowest = max(self.slowest, end - begin)
                self.points.append((end, self.slow.proxy.moved[self.direction]))
                begin = end

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        until = self.slow.ended - LAG_S - 2 * self.slowest
        known = max(moved for at, moved in self.points if at <= until or at == 0)
        self.bytes = max(RATE, self.slow.proxy.moved[self.direction] - known)


class Crashes:
    """Kills at points of a transfer of SIZE bytes, and what going on cost."""

    def __init__(self, t, direction, share=1):
        self.t, self.direction = t, direction
        self.count = max(1, int(os.environ.get("CRASH_POINTS", "3")) // share)
        self.first = int(os.environ.get("CRASH_FIRST", "0")) // share
        self.seed = int(os.environ.get("CRASH_SEED", "1"))
        self.state = t.path("home", ".local", "state")
        self.again, self.unrecorded, self.lag = [], [], RATE

    def points(self):
        """(number, bytes after which to kill); the last tenth of the way may be over too early."""
        source = random.Random(f"{self.seed} {self.direction}")
        draws = [source.randrange(SIZE * 9 // 10) for _ in range(self.first + self.count)]
        return list(enumerate(draws))[self.first:]

    def kill(self, slow, point):
        """What the proxy had moved by then, when the last of it has come through."""
        first = slow.proxy.moved[self.direction]
        with Lag(self.t.dir, slow, self.direction) as lag:
            result = slow.stop(signal.SIGKILL, self.direction, first + point)
        self.lag = lag.bytes
        require(result.code == -signal.SIGKILL, f"it was over before {point}: {result}")
        return slow.proxy.moved[self.direction] - first

    def go_on(self, slow, point, moved, lost=False, cut=0):
        """The rest, and no more than the rest; `lost`: the server has forgotten the upload; `cut`:
        bytes under way that another failure had moved twice before."""
        held = 0 if lost else recorded(self.t, self.state)
        moved = 0 if lost else moved
        _, up, down = slow.go_on()
        rest = up if self.direction == "up" else down
        where = f"killed after {point} (CRASH_SEED={self.seed})"
        require(rest <= SIZE - held + HEADS, f"{where}: {held} bytes were in the journal, but "
                                             f"{rest} of {SIZE} were moved afterwards")
        again = moved + rest - SIZE
        most = BOUND + self.lag + cut
        require(again <= most, f"{where}: {again} bytes were moved twice, at most {most} may be")
        self.again.append(again)
        self.unrecorded.append(max(0, moved - held))

    def nothing_left(self, point, folder=None):
        """Neither an upload nor a temporary file, once the jobs are forgotten."""
        t = self.t
        t.argosy("jobs", "clean", "--older-than", "0s", env={"XDG_STATE_HOME": self.state})
        require(t.uploads() == [], f"killed after {point}: {t.uploads()}")
        left = temps(folder) if folder else []
        require(left == [], f"killed after {point}: {left}")

    def say(self, what=""):
        if what.endswith("anew"):
            print(f"        {len(self.again)} kills, {self.direction}{what}", flush=True)
            return
        if not self.again:
            return  # a slice of one point, that was not gone on with
        mean = sum(self.again) / len(self.again) / MIB
        print(f"        {len(self.again)} kills, {self.direction}{what}: moved twice {mean:.1f} "
              f"MiB on average, {max(self.again) / MIB:.1f} at most; "
              f"not in the journal at the kill {max(self.unrecorded) / MIB:.1f} MiB at most",
              flush=True)


def slow_run(t, *args):
    slow = Slow(t, *args, rate=RATE)
    slow.args = [*args, *PARTS, "--cores", "1", "--cc", "fixed:2"]
    return slow


def set_command(slow, *args):
    slow.args = [*args, *PARTS, "--cores", "1", "--cc", "fixed:2"]


def read(path):
    with open(path, "rb") as file:
        return file.read()


@case("stowage")
def upload(t):
    source = make_file(t.path("in"), SIZE)
    content = read(source)
    crashes = Crashes(t, "up")
    slow = slow_run(t)
    for number, point in crashes.points():
        key = f"k{number}"
        set_command(slow, "cp", source, t.uri(key))
        moved = crashes.kill(slow, point)
        if number % 4 == 3:  # not gone on with at all
            crashes.nothing_left(point)
            require(t.keys() == {}, f"{t.keys()}")
            continue
        crashes.go_on(slow, point, moved)
        require(t.get(key) == content, f"killed after {point}: the object is not the file")
        require(t.uploads() == [], f"killed after {point}: {t.uploads()}")
        t.s3.delete_object(Bucket=t.bucket, Key=key)
        crashes.nothing_left(point)
    crashes.say()


@case("stowage")
def download(t):
    source = make_file(t.path("in"), SIZE)
    t.put("k", read(source))
    out = t.path("out")
    os.mkdir(out)
    crashes = Crashes(t, "down")
    slow = slow_run(t)
    for number, point in crashes.points():
        target = os.path.join(out, f"f{number}")
        set_command(slow, "cp", t.uri("k"), target)
        moved = crashes.kill(slow, point)
        if number % 4 == 3:
            crashes.nothing_left(point, out)
            require(os.listdir(out) == [], f"{os.listdir(out)}")
            continue
        crashes.go_on(slow, point, moved)
        same(source, target)
        require(temps(out) == [], f"killed after {point}: {temps(out)}")
        os.remove(target)
        crashes.nothing_left(point, out)
    crashes.say()


class Restarted:
    """A stowage that keeps its objects in a folder, and is killed and started anew there."""

    def __init__(self, t):
        self.t, self.folder, self.server = t, t.path("store"), None
        t.at_end(lambda: self.server.stop())
        self.start()
        t.bucket = t.new_bucket()

    def start(self):
        self.server = servers.Stowage("--dir", self.folder)
        self.t.server, self.t.s3 = self.server, self.server.boto3()

    def again(self, slow):
        def restart():
            self.server.popen.kill()
            self.server.stop()
            self.start()
            slow.proxy.target = tuple(self.server.url.partition("://")[2].split(":"))
        slow.proxy.pause(0, restart)


@case()
def restarted_server(t):
    """The server is killed as well: right behind argosy, or while it is under way, before it.
    stowage forgets unfinished uploads then: they are begun anew. Of a download nothing is lost."""
    store = Restarted(t)
    source = make_file(t.path("in"), SIZE)
    content = read(source)
    out = t.path("out")
    os.mkdir(out)
    slow = slow_run(t)
    for direction in ("up", "down"):
        crashes = Crashes(t, direction, 4)
        for number, point in crashes.points():
            key, target = f"k{number}", os.path.join(out, f"f{number}")
            up = direction == "up"
            set_command(slow, "cp", *((source, t.uri(key)) if up else (t.uri("k"), target)))
            if number % 2 == 0:
                moved = crashes.kill(slow, point)
                store.again(slow)
            else:  # what argosy had under way is asked for again, and that counts
                first = slow.proxy.moved[direction]
                with Lag(t.dir, slow, direction) as lag:
                    process = slow.start(direction, first + point + 1)
                    wait_for(lambda: slow.proxy.moved[direction] > first + point, "bytes to move")
                    store.again(slow)
                    before = slow.proxy.moved[direction]
                    slow.proxy.hold(direction, before + MIB + 1)
                    wait_for(lambda: slow.proxy.moved[direction] > before + MIB, "it to go on")
                    slow.end(process, signal.SIGKILL)
                crashes.lag = lag.bytes
                moved = min(SIZE, slow.proxy.moved[direction] - first)
            crashes.go_on(slow, point, moved, lost=up, cut=number % 2 * IN_FLIGHT)
            if up:
                require(t.get(key) == content, f"killed after {point}: other content")
            else:
                same(source, target)
                os.remove(target)
            crashes.nothing_left(point, out)
            if up and number == crashes.first:
                t.s3.copy_object(Bucket=t.bucket, Key="k", CopySource=f"{t.bucket}/{key}")
            if up:
                t.s3.delete_object(Bucket=t.bucket, Key=key)
        crashes.say(", the server restarted" + (": begun anew" if up else ""))


def fill(folder):
    """Not a byte is left."""
    with open(os.path.join(folder, "filler"), "ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
    return os.path.join(folder, "filler")


@case("stowage")
def full_journal(t):
    """The journal's disk gets full before the kill, and is still full when the same command comes
    again; then there is room, and what was left is known and goes."""
    disk = mount(t, "-o", "size=2m")
    source = make_file(t.path("in"), SIZE)
    content = read(source)
    crashes = Crashes(t, "up", 4)
    crashes.state = disk
    slow = slow_run(t)
    slow.env["XDG_STATE_HOME"] = disk
    for number, point in crashes.points():
        key = f"k{number}"
        set_command(slow, "cp", source, t.uri(key))
        crashes.state = disk
        first = slow.proxy.moved["up"]
        process = slow.start("up", first + point + 1)
        wait_for(lambda: slow.proxy.moved["up"] > first + point // 2, "bytes to move")
        wait_for(t.uploads, "the upload to be there")
        filler = fill(disk)
        wait_for(lambda: slow.proxy.moved["up"] > first + point, "bytes to move")
        result = slow.end(process, signal.SIGKILL)
        require(result.code == -signal.SIGKILL, f"it was over before {point}: {result}")
        result, _, _ = slow.go_on()
        require(t.get(key) == content, f"killed after {point}: other content: {result}")
        os.remove(filler)
        slow.go_on()
        require(t.get(key) == content, f"killed after {point}: other content")
        crashes.nothing_left(point)
        t.s3.delete_object(Bucket=t.bucket, Key=key)
        crashes.again.append(0)
        crashes.unrecorded.append(0)
    print(f"        {len(crashes.again)} kills with a full disk under the journal", flush=True)


@case("stowage")
def full_target(t):
    """Journal and target are on one disk, which gets full behind the kill: the same command goes on
    or fails, and says why; with room again it makes the file whole. Never a part of it."""
    disk = mount(t, "-o", "size=66m")
    source = make_file(t.path("in"), SIZE)
    t.put("k", read(source))
    out = os.path.join(disk, "out")
    os.mkdir(out)
    crashes = Crashes(t, "down", 4)
    crashes.state = disk
    slow = slow_run(t)
    slow.env["XDG_STATE_HOME"] = disk
    full = 0
    for number, point in crashes.points():
        target = os.path.join(out, f"f{number}")
        set_command(slow, "cp", t.uri("k"), target)
        crashes.kill(slow, point)
        filler = fill(disk)
        result, _, _ = slow.go_on(code=(EXIT_OK, EXIT_SOME, EXIT_ENVIRONMENT))
        if result.code != EXIT_OK:
            full += 1
            require("no space left" in result.err, f"it does not say why: {result}")
            require(not os.path.exists(target), f"killed after {point}: there is a part of it")
        os.remove(filler)
        slow.go_on()
        same(source, target)
        os.remove(target)
        crashes.nothing_left(point, out)
    print(f"        {crashes.count} kills with a full disk under target and journal, of which "
          f"{full} runs could not go on before there was room", flush=True)
