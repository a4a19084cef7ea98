"""argosy jobs: what the journal knows, and its removal with all that was left."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3

from cases_resume import Slow, stop_behind
from content import make_file
from harness import MIB, case, require, wait_for


def jobs(t):
    """The jobs by number, as --json tells them."""
    lines = t.argosy("jobs", "--json").out.splitlines()
    return {job["job"]: job for job in map(json.loads, lines)}


def temporary(folder):
    return [name for name in os.listdir(folder) if name.startswith(".argosy-")]


@case("stowage")
def listed(t):
    """Done, stopped, killed and running ones."""
    small = make_file(t.path("small"), 1000)
    large = make_file(t.path("large"), 60 * MIB)
    result = t.argosy("jobs")
    require("no jobs" in result.err and result.out == "", f"{result}")
    t.argosy("cp", small, t.uri("done"))
    Slow(t, "cp", large, t.uri("stopped")).stop(signal.SIGINT, "up", 20 * MIB)
    Slow(t, "cp", large, t.uri("killed")).stop(signal.SIGKILL, "up", 20 * MIB)
    slow = Slow(t, "cp", large, t.uri("running"))
    running = slow.start("up", 20 * MIB)
    wait_for(lambda: slow.proxy.moved["up"] > MIB, "bytes to move")
    states = {job["target"].rsplit("/", 1)[1]: job["state"] for job in jobs(t).values()}
    wanted = {name: name for name in ("done", "stopped", "killed", "running")}
    require(states == wanted, f"{states}")
    result = t.argosy("jobs", "clean", "4", code=None)
    require(result.code not in (0, None) and "running" in result.err, f"{result}")
    result = t.argosy("jobs")
    lines = result.out.splitlines()
    require(len(lines) == 4 and lines[0].split()[:2] == ["JOB", "STATE"], f"{lines}")
    require("done" not in result.out.split(), f"{result}")
    require("and 1 done (--all lists it)" in result.err, f"{result}")
    require(lines[1].split()[4:7] == ["0", "0", "1"], f"the stopped one failed: {lines[1]}")
    result = t.argosy("jobs", "--all")
    lines = result.out.splitlines()
    require(len(lines) == 5 and "--all" not in result.err, f"{result}")
    require(lines[1].split()[4:8] == ["1", "0", "0", small], f"{lines[1]}")
    slow.proxy.release()
    running.finish()
    require(jobs(t)[4]["state"] == "done", f"{jobs(t)}")
    t.argosy("jobs", "clean", "--older-than", "0")
    require(jobs(t) == {} and t.uploads() == [], f"{jobs(t)} {t.uploads()}")


@case("stowage", "rgw")
def cleaned_upload(t):
    """Only what is done goes by itself; a young one that is not is kept until it is named."""
    large = make_file(t.path("large"), 60 * MIB)
    Slow(t, "cp", large, t.uri("k")).stop(signal.SIGKILL, "up", 20 * MIB)
    t.argosy("cp", large, t.uri("done"))
    result = t.argosy("jobs", "clean")
    require(result.out == "job 2 (done): gone\n" and list(jobs(t)) == [1], f"{result}")
    result = t.argosy("jobs", "clean", "1", "--dry-run")
    require("would go" in result.out and len(t.uploads()) == 1, f"{result}")
    result = t.argosy("jobs", "clean", "1")
    require("1 upload aborted" in result.out, f"{result}")
    require(t.uploads() == [] and jobs(t) == {}, f"{t.uploads()} {jobs(t)}")
    result = t.argosy("jobs", "clean", "1", code=4)
    require("there is no job 1" in result.err, f"{result}")


@case("stowage")
def cleaned_upload_of_no_known_id(t):
    """It was killed before it knew the answer to CreateMultipartUpload."""
    slow = Slow(t, "cp", make_file(t.path("large"), 60 * MIB), t.uri("k"))
    stop_behind(slow, b"POST /")
    require(len(t.uploads()) == 1, f"{t.uploads()}")
    result = t.argosy("jobs", "clean", "1")
    require("1 upload aborted" in result.out and t.uploads() == [], f"{result} {t.uploads()}")


@case("stowage")
def cleaned_beside_another(t):
    """The same copy was begun anew and runs: its upload is not taken for the lost one of the first,
    neither by clean nor by who goes on with the first. When it has ended, the lost one can go."""
    large = make_file(t.path("large"), 60 * MIB)
    slow = Slow(t, "cp", large, t.uri("k"))
    stop_behind(slow, b"POST /")
    lost = [upload["UploadId"] for upload in t.uploads()]
    other = Slow(t, "cp", large, t.uri("k"), "--no-resume")
    running = other.start("up", MIB)
    wait_for(lambda: len(t.uploads()) == 2, "the second upload")
    result = t.argosy("jobs", "clean", "1", code=1)
    require("job 1 stays" in result.err and len(t.uploads()) == 2, f"{result} {t.uploads()}")
    result = t.argosy("resume", "1", "--endpoint-url", slow.proxy.url)
    require("left of it is still there" in result.err, f"{result}")
    require(len(t.uploads()) == 2, f"{t.uploads()}")
    other.proxy.release()
    require(running.finish().code == 0, "the second copy failed")
    with open(large, "rb") as file:
        require(t.get("k") == file.read(), "the second copy is another file")
    require([upload["UploadId"] for upload in t.uploads()] == lost, f"{t.uploads()}")
    result = t.argosy("jobs", "clean", "1")
    require("1 upload aborted" in result.out and t.uploads() == [], f"{result} {t.uploads()}")


@case("stowage")
def cleaned_beside_one_that_stopped(t):
    """The same copy was begun anew and stopped: it can go on, since the journal knows which upload
    is its own, whatever was tried with the first meanwhile."""
    large = make_file(t.path("large"), 60 * MIB)
    slow = Slow(t, "cp", large, t.uri("k"))
    stop_behind(slow, b"POST /")
    other = Slow(t, "cp", large, t.uri("k"), "--no-resume")

    def disputed():
        if len(t.uploads()) < 2:
            return False
        result = t.argosy("jobs", "clean", "1", code=1)
        require("job 1 stays" in result.err, f"{result}")
        return True

    other.stop(signal.SIGINT, "up", 20 * MIB, disputed)
    result = t.argosy("jobs", "clean", "1")
    require("1 upload aborted" in result.out and len(t.uploads()) == 1, f"{result} {t.uploads()}")
    result = t.argosy("resume", "2", "--endpoint-url", other.proxy.url)
    require("begun anew" not in result.err and t.uploads() == [], f"{result} {t.uploads()}")
    with open(large, "rb") as file:
        require(t.get("k") == file.read(), "the object is not the file")


@case("stowage")
def cleaned_late(t):
    """A clean that fails, days after, does not make the job younger, nor widens its time."""
    slow = Slow(t, "cp", make_file(t.path("large"), 60 * MIB), t.uri("k"), "--deadline", "1s")
    stop_behind(slow, b"POST /")
    age = 40 * 24 * 3600
    path = t.path("home/.local/state/argosy/journal.db")
    with contextlib.closing(sqlite3.connect(path)) as journal, journal:
        journal.execute("UPDATE job SET created=created - ?, updated=updated - ?", (age, age))
        journal.execute("UPDATE object SET created=created - ?", (age,))
    was = jobs(t)[1]

    def fails():
        result = t.argosy("jobs", "clean", code=1)
        require("job 1 stays" in result.err, f"{result}")

    slow.proxy.pause(0, fails)
    now = jobs(t)[1]
    require(now["updated"] == was["updated"] and now["pid"] == was["pid"], f"{was}, then {now}")
    t.s3.create_multipart_upload(Bucket=t.bucket, Key="k")
    result = t.argosy("jobs", "clean")
    require("job 1 (stopped): gone" in result.out and len(t.uploads()) == 2, f"{result}")
    for upload in t.uploads():
        t.s3.abort_multipart_upload(Bucket=t.bucket, Key="k", UploadId=upload["UploadId"])


@case("stowage")
def cleaned_download(t):
    """Its temporary file goes, also below a folder; other files of that kind stay."""
    make_file(t.path("in", "d", "large"), 60 * MIB)
    t.argosy("cp", "-r", t.path("in"), t.uri("p"))
    t.argosy("jobs", "clean")
    Slow(t, "cp", "-r", t.uri("p"), t.path("out")).stop(signal.SIGKILL, "down", 20 * MIB)
    folder = t.path("out", "d")
    require(len(temporary(folder)) == 1, f"{os.listdir(folder)}")
    make_file(os.path.join(folder, ".argosy-other"), 10)
    result = t.argosy("jobs", "clean", "--older-than", "0s")
    require("1 temporary file removed" in result.out, f"{result}")
    require(os.listdir(folder) == [".argosy-other"] and jobs(t) == {}, f"{os.listdir(folder)}")


@case("stowage")
def cleaned_small_files(t):
    """Those under way are in no row of the journal: their names tell whose they are."""
    for index in range(40):
        make_file(t.path("in", "d", f"f{index}"), 3 * MIB)
    t.argosy("cp", "-r", t.path("in"), t.uri("p"))
    t.argosy("jobs", "clean")
    folder = t.path("out", "d")
    slow = Slow(t, "cp", "-r", t.uri("p"), t.path("out"))
    slow.stop(signal.SIGKILL, "down", 4 * MIB,
              lambda: os.path.isdir(folder) and temporary(folder))
    left = len(temporary(folder))
    require(left > 0, f"{os.listdir(folder)}")
    make_file(os.path.join(folder, ".argosy-0123456789abcdef-0123456789abcdef"), 10)
    result = t.argosy("jobs", "clean", "--older-than", "0s")
    require(f"{left} temporary file" in result.out, f"{left} left: {result}")
    require(temporary(folder) == [".argosy-0123456789abcdef-0123456789abcdef"] and jobs(t) == {},
            f"{os.listdir(folder)}")


@case("stowage")
def cleaned_file(t):
    """One object, to one file."""
    t.argosy("cp", make_file(t.path("large"), 60 * MIB), t.uri("k"))
    os.mkdir(t.path("out"))
    Slow(t, "cp", t.uri("k"), t.path("out", "file")).stop(signal.SIGKILL, "down", 20 * MIB)
    require(len(temporary(t.path("out"))) == 1, f"{os.listdir(t.path('out'))}")
    t.argosy("jobs", "clean", "2")
    require(os.listdir(t.path("out")) == [], f"{os.listdir(t.path('out'))}")


@case("stowage")
def cleaned_where_the_folder_is_gone(t):
    """Its file system may only be away, so that the job stays, unless its user names it."""
    t.argosy("cp", make_file(t.path("large"), 60 * MIB), t.uri("k"))
    os.makedirs(t.path("disk", "out"))
    Slow(t, "cp", t.uri("k"), t.path("disk", "out", "file")).stop(signal.SIGKILL, "down", 20 * MIB)
    os.rename(t.path("disk"), t.path("away"))
    result = t.argosy("jobs", "clean", "--older-than", "0s", code=1)
    require("job 2 stays" in result.err and "argosy jobs clean 2 forgets" in result.err,
            f"{result}")
    require(list(jobs(t)) == [2], f"{jobs(t)}")
    result = t.argosy("jobs", "clean", "2")
    require("nothing was removed" in result.out and jobs(t) == {}, f"{result} {jobs(t)}")
    result = t.argosy("jobs", "clean", "--older-than", "0s")
    require("nobody works on" in result.err, f"{result}")


@case("stowage")
def cleaned_small_files_where_the_folder_is_gone(t):
    """No row tells of them, but they are there when their file system comes back."""
    for index in range(40):
        make_file(t.path("in", f"f{index}"), 3 * MIB)
    t.argosy("cp", "-r", t.path("in"), t.uri("p"))
    t.argosy("jobs", "clean")
    folder = t.path("disk", "out")
    os.makedirs(folder)
    slow = Slow(t, "cp", "-r", t.uri("p"), folder)
    slow.stop(signal.SIGKILL, "down", 4 * MIB, lambda: temporary(folder))
    left = len(temporary(folder))
    os.rename(t.path("disk"), t.path("away"))
    result = t.argosy("jobs", "clean", "--older-than", "0s", code=1)
    require("job 2 stays" in result.err and list(jobs(t)) == [2], f"{result} {jobs(t)}")
    shutil.copytree(t.path("home/.local/state/argosy"), t.path("copy"))
    result = t.argosy("jobs", "clean", "2", "--json", "--journal", t.path("copy", "journal.db"))
    told = json.loads(result.out)
    require(told["removed"] and told["folder_is_gone"] is True and told["files_removed"] == 0,
            f"{result}")
    os.rename(t.path("away"), t.path("disk"))
    result = t.argosy("jobs", "clean", "--older-than", "0s")
    require(f"{left} temporary file" in result.out, f"{left} left: {result}")
    require(temporary(folder) == [] and jobs(t) == {}, f"{os.listdir(folder)}")


@case("stowage")
def a_resume_that_does_not_begin(t):
    """It leaves the job as it was, its owner and times too."""
    t.argosy("cp", make_file(t.path("large"), 60 * MIB), t.uri("k"))
    os.mkdir(t.path("out"))
    slow = Slow(t, "cp", t.uri("k"), t.path("out", "file"))
    slow.stop(signal.SIGKILL, "down", 20 * MIB)
    with contextlib.closing(sqlite3.connect(t.path("home/.local/state/argosy/journal.db"),
                                            isolation_level=None)) as db:
        db.execute("UPDATE job SET boot='another', updated=1000, lease=0 WHERE id=2")

        def unchanged():
            return db.execute("SELECT boot, updated FROM job WHERE id=2").fetchone()
        t.argosy("resume", "2", "--endpoint-url", "http://127.0.0.1:1", code=2)
        require(unchanged() == ("another", 1000), f"{unchanged()}")
        t.argosy("resume", "2", "--memory", "1", code=2)
        require(unchanged() == ("another", 1000), f"{unchanged()}")
        os.rename(t.path("out"), t.path("away"))
        make_file(t.path("out"), 1)
        t.argosy("resume", "2", "--endpoint-url", slow.proxy.url, code=None)
        require(unchanged() == ("another", 1000), f"{unchanged()}")
        os.remove(t.path("out"))
        os.rename(t.path("away"), t.path("out"))
        slow.proxy.release()
        t.argosy("resume", "2", "--endpoint-url", slow.proxy.url)
        require(unchanged() != ("another", 1000), f"{unchanged()}")


@case("stowage")
def cannot_be_cleaned(t):
    """Where the server cannot be asked the job stays, to be cleaned, or gone on with, later."""
    slow = Slow(t, "cp", make_file(t.path("large"), 60 * MIB), t.uri("k"), "--deadline", "1s")
    slow.stop(signal.SIGKILL, "up", 20 * MIB)
    slow.proxy.close()
    result = t.argosy("jobs", "clean", "1", code=1)
    require("job 1 stays" in result.err and len(t.uploads()) == 1, f"{result}")
    require(jobs(t)[1]["state"] == "stopped", f"{jobs(t)}")
    t.argosy("resume", "1", "--endpoint-url", slow.proxy.url, code=5)
    require(list(jobs(t)) == [1], f"{jobs(t)}")
    t.argosy("cp", t.path("large"), t.uri("k"))
    for upload in t.uploads():
        t.s3.abort_multipart_upload(Bucket=t.bucket, Key=upload["Key"],
                                    UploadId=upload["UploadId"])
