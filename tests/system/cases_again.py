"""What argosy does about answers that are wrong or final for now: another checksum than was sent,
another clock, another region, credentials that have expired, a deadline, an empty retry budget.
Each act of stowage is shown to be what it says by a client that is not argosy."""

import email.utils
import os
import time

from cases_faults import misbehave
from cases_stowage import Wire, expect
from content import make_file, same, same_trees
from harness import EXIT_SOME, MIB, PARTS, case, require, wait_for


def fired(t, count):
    """Each rule so far came about that often."""
    counts = [c[2] for c in t.server.fault_counts()]
    require(counts == count, f"the rules came about {counts} times, not {count}")


@case("stowage")
def part_with_another_checksum(t):
    """The answer to a part, or to a small object, tells another checksum: it is sent again."""
    source, small = make_file(t.path("in"), 17 * MIB), make_file(t.path("small"), 70_000)
    status, _, headers, _ = Wire(t.server).call("PUT", f"/{t.bucket}/w", b"x",
                                                x_amz_checksum_crc32="jNy9Zg==")
    require(status == 400 and "x-amz-checksum-crc32" not in headers, f"{status} {headers}")
    misbehave(t, "checksum op=UploadPart part=2 first=1", "checksum op=PutObject first=1")
    for path, key in ((source, "k"), (small, "s")):
        result = t.argosy("cp", "--json", *PARTS, path, t.uri(key))
        require(result.json["retries"] == 1, f"{result}")
        with open(path, "rb") as file:
            require(t.get(key) == file.read(), "other content")
    fired(t, [1, 1])


@case("stowage")
def completion_with_another_checksum(t):
    """Only the answer to the completion is wrong: HEAD says that the object is ours."""
    source = make_file(t.path("in"), 17 * MIB)
    misbehave(t, "checksum op=CompleteMultipartUpload")
    result = t.argosy("cp", "--json", *PARTS, "--manifest", t.path("m"), source, t.uri("k"))
    require(result.json["done"] == 1 and result.json["unconfirmed"] == 0, f"{result}")
    fired(t, [1])
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "other content")
    misbehave(t)
    t.argosy("verify", t.path("m"))


@case("stowage")
def completed_object_with_another_checksum(t):
    """HEAD tells another one as well: it is begun anew; and where it stays so, the object fails and
    no upload is left."""
    source = make_file(t.path("in"), 17 * MIB)
    wrong = "checksum op=CompleteMultipartUpload,HeadObject"
    misbehave(t, f"{wrong} first=2")
    result = t.argosy("cp", "--json", *PARTS, source, t.uri("k"))
    require(result.json["done"] == 1 and "is begun anew" in result.err, f"{result}")
    fired(t, [2])
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "other content")
    misbehave(t, wrong)
    result = t.fails(["cp", "--json", *PARTS, source, t.uri("k2")], EXIT_SOME, "k2",
                     "checksum does not match")
    require(result.json["failed"] == 1 and t.uploads() == [], f"{result} {t.uploads()}")
    fired(t, [6])  # a completion and a HEAD, three times


def other_upload(t, key, part):
    """Another writer's upload of the same key."""
    upload = t.s3.create_multipart_upload(Bucket=t.bucket, Key=key)["UploadId"]
    if part:
        t.s3.upload_part(Bucket=t.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 100)
    return upload


@case("stowage")
def begun_twice(t):
    """The answer to the creation got lost: the upload that it made goes, once ours has parts.
    Another writer's of the same moment, which has a part, stays; and where there are two without
    one, nobody can tell which is ours: both stay, and it is said."""
    source = make_file(t.path("in"), 17 * MIB)
    for key, part, left, word in (("k", True, 1, ""), ("l", False, 2, "one upload of it may stay")):
        other = other_upload(t, key, part)
        misbehave(t, "lost op=CreateMultipartUpload first=1")
        result = t.argosy("cp", "--json", *PARTS, source, t.uri(key))
        fired(t, [1])
        require(result.json["retries"] == 1 and word in result.err, f"{result}")
        require(word or "warning" not in result.err, f"{result}")
        uploads = [u["UploadId"] for u in t.uploads() if u["Key"] == key]
        require(other in uploads and len(uploads) == left, f"{uploads}, not {other} and {left - 1}")
        with open(source, "rb") as file:
            require(t.get(key) == file.read(), "other content")
        for upload in uploads:
            t.s3.abort_multipart_upload(Bucket=t.bucket, Key=key, UploadId=upload)


@case("stowage")
def object_with_another_checksum(t):
    """What comes down is right, what is told of it is not: asked for again. Where HEAD tells it,
    before the ranges are asked for, no range ever fits: the object fails, and nothing is left."""
    source = make_file(t.path("in", "k"), 70_000)
    t.argosy("cp", "-r", t.path("in"), t.uri())
    misbehave(t, "checksum op=GetObject first=1")
    result = t.argosy("cp", "-r", "--json", t.uri(), t.path("out"))
    fired(t, [1])
    require(result.json["retries"] == 1 and result.json["unverified"] == 0, f"{result}")
    same(source, t.path("out", "k"))
    os.remove(t.path("out", "k"))
    misbehave(t, "checksum op=HeadObject")
    t.fails(["cp", t.uri("k"), t.path("out") + "/"], EXIT_SOME, "checksum does not match")
    require(os.listdir(t.path("out")) == [], f"{os.listdir(t.path('out'))}")


def some_files(t, count=40, size=2000):
    for index in range(count):
        make_file(t.path("in", f"f{index:02}"), size)
    return t.path("in")


@case("stowage")
def clocks_that_differ(t):
    """The server's clock is 20 minutes ahead, or behind: each run signs by it, and says so once."""
    source = some_files(t)
    for rule, sign, word in (("skew=20m", 1, "behind"), ("skew=-20m", -1, "ahead of")):
        misbehave(t, rule)
        path = f"/{t.bucket}/k"
        _, _, headers, _ = expect(Wire(t.server).call("PUT", path, b"x"), 403,
                                  "RequestTimeTooSkewed", rule)
        off_s = email.utils.parsedate_to_datetime(headers["Date"]).timestamp() - time.time()
        require(abs(off_s - sign * 1200) < 60, f"{rule}: its Date is off by {off_s:.0f} s")
        expect(Wire(t.server, skew_s=sign * 1200).call("PUT", path, b"x"), 200, what=rule)
        result = t.argosy("cp", "-r", "--json", "--cores", "1", source, t.uri(word[0]))
        misbehave(t)
        require(result.json["done"] == 40 and
                result.err.count(f"s {word} the server's; signing by the server's") == 1,
                f"{result}")
        require(len(t.keys(Prefix=word[0] + "/")) == 40, f"{t.keys()}")


@case("stowage")
def region_that_is_told(t):
    source = some_files(t)
    misbehave(t, "region=eu-west-1")
    path = f"/{t.bucket}/k"
    _, _, headers, _ = expect(Wire(t.server).call("PUT", path, b"x"), 301, "PermanentRedirect")
    require(headers["x-amz-bucket-region"] == "eu-west-1", f"{headers}")
    expect(Wire(t.server, region="eu-west-1").call("PUT", path, b"x"), 200)
    result = t.argosy("cp", "-r", "--json", "--cores", "1", source, t.uri("p"))
    misbehave(t)
    require(result.json["done"] == 40 and
            result.err.count("is in region eu-west-1; signing for that") == 1, f"{result}")
    require(len(t.keys(Prefix="p/")) == 40, f"{t.keys()}")


def write_credentials(t, token):
    os.makedirs(t.path("home", ".aws"), exist_ok=True)
    text = (f"[default]\naws_access_key_id={t.server.access}\n"
            f"aws_secret_access_key={t.server.secret}\naws_session_token={token}\n")
    with open(t.path("home", ".aws", "new"), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(t.path("home", ".aws", "new"), t.path("home", ".aws", "credentials"))


@case("stowage", waits=True)
def credentials_that_expire(t):
    """Midway: argosy says so once, waits for new ones in the file, and goes on with them."""
    source = some_files(t)
    write_credentials(t, "old")
    env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    misbehave(t, "error=403:ExpiredToken op=PutObject nth=10-9999")
    process = t.start("cp", "-r", "--json", "--cores", "1", source, t.uri("p"), env=env)
    wait_for(lambda: "waiting for new ones" in process.said(), "its word that it waits")
    misbehave(t)
    write_credentials(t, "new")
    result = process.finish()
    require(result.code == 0 and result.json["done"] == 40, f"{result}")
    require(result.err.count("have expired; waiting for new ones") == 1, f"{result}")
    require(len(t.keys(Prefix="p/")) == 40, f"{t.keys()}")


@case("stowage", waits=True)
def deadline_of_an_object(t):
    """An object that makes no progress fails after --deadline and six attempts, not before, and
    alone; --retries ends it by their number."""
    source = some_files(t)
    for options, least_s, attempts in ((("--deadline", "2s"), 2, (6, 60)),
                                       (("--retries", "2"), 0, (3, 3))):
        misbehave(t, "error=400:RequestTimeout op=PutObject key=*f07")
        result = t.fails(["cp", "-r", "--json", "--no-resume", *options, source, t.uri("p")],
                         EXIT_SOME, "f07")
        hits = t.server.fault_counts()[0][1]
        require(attempts[0] <= hits <= attempts[1], f"{options}: {hits} attempts: {result}")
        require(result.seconds >= least_s, f"{options}: it gave up too soon: {result}")
        require(result.json["done"] == 39 and result.json["failed"] == 1, f"{result}")
        misbehave(t)
        keys = t.keys(Prefix="p/")
        require(len(keys) == 39 and "p/f07" not in keys, f"{keys}")
        for key in keys:
            t.s3.delete_object(Bucket=t.bucket, Key=key)


@case("stowage", waits=True)
def retries_beyond_the_budget(t):
    """500 tokens a core, five a retry, of which a success brings its last retry's back: of 180
    retries at least 20 find none, and go one every 100 ms. Nothing fails for that."""
    source = some_files(t, 60)
    misbehave(t, "error=400:RequestTimeout op=PutObject attempt=1-3")
    result = t.argosy("cp", "-r", "--json", "--cores", "1", "--cc", "fixed:60", source, t.uri("p"))
    fired(t, [180])
    misbehave(t)
    require(result.json["done"] == 60 and result.json["retries"] == 180, f"{result}")
    require(result.seconds > 1.9, f"the budget held nothing back: {result}")
    t.argosy("cp", "-r", t.uri("p"), t.path("out"))
    require(same_trees(source, t.path("out")) == 60, "files are missing")
