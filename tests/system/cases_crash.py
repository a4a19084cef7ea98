"""kill -9 at seeded random points of a run; then the same command must make it whole.

In `make test` a few points, in `make crash` CRASH_POINTS of them in each direction. A seed that
failed is run again with CRASH_SEED=N. Another client judges what came of it, not argosy."""

import os
import random
import signal

from cases_resume import IN_FLIGHT, SLACK, Slow, temps
from content import make_file, same
from harness import MIB, PARTS, case, require

SIZE = 60 * MIB
RATE = 20 * MIB
LAG = RATE  # of the journal: it lingers 0.2 s, then it writes, to a disk that others load too
BOUND = IN_FLIGHT + LAG + SLACK


class Crashes:
    """Kills at points of a transfer of SIZE bytes, and what going on cost."""

    def __init__(self, direction):
        self.direction = direction
        self.count = int(os.environ.get("CRASH_POINTS", "3"))
        self.seed = int(os.environ.get("CRASH_SEED", "1"))
        self.again = []

    def points(self):
        """(number, bytes after which to kill); the last tenth of the way may be over too early."""
        source = random.Random(f"{self.seed} {self.direction}")
        for number in range(self.count):
            yield number, source.randrange(SIZE * 9 // 10)

    def crash(self, slow, point):
        """Bytes that moved twice."""
        first = slow.proxy.moved[self.direction]
        result = slow.stop(signal.SIGKILL, self.direction, first + point)
        require(result.code == -signal.SIGKILL, f"it was over before {point}: {result}")
        slow.go_on()
        again = slow.proxy.moved[self.direction] - first - SIZE
        require(again <= BOUND, f"killed after {point} (CRASH_SEED={self.seed}): {again} bytes "
                                f"were moved twice, at most {BOUND} may be")
        self.again.append(again)

    def say(self):
        mean = sum(self.again) / len(self.again) / MIB
        print(f"        {self.count} kills, {self.direction}: moved twice {mean:.1f} MiB on "
              f"average, {max(self.again) / MIB:.1f} at most, of {BOUND / MIB:.0f} allowed",
              flush=True)


@case("stowage")
def upload(t):
    source = make_file(t.path("in"), SIZE)
    with open(source, "rb") as file:
        content = file.read()
    crashes = Crashes("up")
    slow = Slow(t, rate=RATE)
    for number, point in crashes.points():
        key = f"k{number}"
        slow.args = ["cp", source, t.uri(key), *PARTS, "--cores", "1", "--cc", "fixed:2"]
        crashes.crash(slow, point)
        require(t.get(key) == content, f"killed after {point}: the object is not the file")
        require(t.uploads() == [], f"killed after {point}: {t.uploads()}")
        t.s3.delete_object(Bucket=t.bucket, Key=key)
    crashes.say()


@case("stowage")
def download(t):
    source = make_file(t.path("in"), SIZE)
    with open(source, "rb") as file:
        t.put("k", file.read())
    os.mkdir(t.path("out"))
    crashes = Crashes("down")
    slow = Slow(t, rate=RATE)
    for number, point in crashes.points():
        target = t.path("out", f"f{number}")
        slow.args = ["cp", t.uri("k"), target, *PARTS, "--cores", "1", "--cc", "fixed:2"]
        crashes.crash(slow, point)
        same(source, target)
        require(temps(t.path("out")) == [], f"killed after {point}: {temps(t.path('out'))}")
        os.remove(target)
    crashes.say()
