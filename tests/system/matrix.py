"""The fault matrix: every way in which stowage misbehaves × how often × up and down × single and
multipart objects. A cell moves a tree with a rule in force, and is judged by what is there
afterwards, read without argosy: in stowage by boto3, in the target folder by Python.

  lost silently   not there or not whole, although the exit code is 0 or nobody was told of it
  altered         there under its name with other bytes
  amplification   requests and bytes at the server, divided by those of the same copy without faults
  left            multipart uploads and temporary files that stay: none after exit code 0, and after
                  another only what `argosy resume` was named for; `argosy jobs clean` removes it

What can be expected of a rule is its class:

  HARMLESS   every object arrives
  RETRY      at least 99.9 % arrive; requests and bytes stay within bounds
  TOLD       the answer is final for an object: it is told; the others arrive
  STOP       an answer that ends the run: it ends, and was told"""

import base64
import collections
import hashlib
import os
import random
import re
import shutil
import time

from content import crc32c, regular_files
from harness import EXIT_CREDENTIALS, EXIT_ENVIRONMENT, EXIT_USAGE, MIB, PARTS, require

HARMLESS, RETRY, TOLD, STOP = "harmless", "retry", "told", "stop"
SHARES = (1, 5, 20)  # %

# Where nothing comes, how many seconds of it are a failure: as short as other programs on the
# machine allow. Elsewhere the defaults hold, so that a busy machine is not taken for a fault.
PATIENCE = ("--stall-timeout", "1500ms", "--reply-timeout", "2s")
RUN_SECONDS_MAX = 300
PARKED = "to go on with it: argosy resume"

Rule = collections.namedtuple("Rule", "name kind up down", defaults=(None,))

# `up` and `down`: the rule of stowage, and for which requests; None: makes no sense in that
# direction. {rate}: so slow that it shows in a body of that size.
DATA_UP, DATA_DOWN = "op=PutObject,UploadPart", "op=GetObject"
RULES = (
    Rule("slow-down", RETRY, "error=SlowDown", "error=SlowDown"),
    Rule("slow-down-early", RETRY, f"error=SlowDown early {DATA_UP}"),
    Rule("503", RETRY, "error=503", "error=503"),
    Rule("internal-error", RETRY, "error=500:InternalError", "error=500:InternalError"),
    Rule("request-timeout", RETRY, f"error=RequestTimeout {DATA_UP}"),
    Rule("error-in-200", RETRY, "error-in-200 op=CompleteMultipartUpload"),
    Rule("reset", RETRY, f"reset after=50% {DATA_UP}", f"reset after=50% {DATA_DOWN}"),
    Rule("reset-at-once", RETRY, "reset in=reply", "reset"),
    Rule("close", RETRY, f"close after=50% {DATA_UP}", f"close after=50% {DATA_DOWN}"),
    Rule("close-after-head", RETRY, "close in=reply", "close"),
    Rule("lost", RETRY, "lost", "lost"),
    Rule("stall", RETRY, f"stall after=50% {DATA_UP}", f"stall after=50% {DATA_DOWN}"),
    Rule("no-reply", RETRY, "delay=1h", "delay=1h"),
    Rule("corrupt", RETRY, f"corrupt after=50% {DATA_UP}", f"corrupt after=50% {DATA_DOWN}"),
    Rule("truncate", RETRY, None, f"truncate after=50% {DATA_DOWN}"),
    Rule("too-long-length", RETRY, "length=+10", "length=+10"),
    Rule("too-short-length", RETRY, None, f"length=-10 {DATA_DOWN}"),
    Rule("garbage", RETRY, "garbage", "garbage"),
    Rule("huge-header", RETRY, "huge-header", "huge-header"),
    Rule("many-headers", RETRY, "many-headers", "many-headers"),
    Rule("wrong-etag", RETRY, f"etag {DATA_UP}", f"etag {DATA_DOWN}"),
    Rule("wrong-checksum", RETRY, f"checksum {DATA_UP}",
         "checksum op=GetObject,HeadObject"),
    Rule("wrong-checksum-of-whole", RETRY, "checksum op=CompleteMultipartUpload"),
    Rule("skew", RETRY, "skew=20m", "skew=20m"),
    Rule("region", RETRY, "region=eu-west-1", "region=eu-west-1"),
    Rule("slow", HARMLESS, f"slow={{rate}} {DATA_UP}", f"slow={{rate}} {DATA_DOWN}"),
    Rule("pause", HARMLESS, f"stall=200ms after=50% {DATA_UP}", "stall=200ms after=50%"),
    Rule("connection-close", HARMLESS, "connection-close", "connection-close"),
    Rule("chunked", HARMLESS, "chunked", "chunked op=GetObject,ListObjects*"),
    Rule("access-denied", TOLD, f"error=AccessDenied {DATA_UP}", f"error=AccessDenied {DATA_DOWN}"),
    Rule("redirect", STOP, "redirect=http://127.0.0.1:1/", "redirect=http://127.0.0.1:1/"),
    # Not of HEAD, which has no body to say it in: that is asked again when a GET is accepted.
    Rule("expired-token", STOP, "error=403:ExpiredToken", f"error=403:ExpiredToken {DATA_DOWN}"),
)


# Hits nothing, but counts what is done about uploads that nobody knows the id of.
TIDYING = ("connection-close op=ListMultipartUploads,ListParts,AbortMultipartUpload "
           "nth=1000000000")


def file_sum(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


class Shape:
    """A tree: many small objects, or a few that go in parts."""

    def __init__(self, name, folder, count, sizes, options, rate):
        self.name, self.folder, self.options, self.rate = name, folder, options, rate
        dice = random.Random(name)
        for index in range(count):
            data = random.Random(f"{name} {index}").randbytes(dice.choice(sizes))
            path = os.path.join(folder, f"d{index % 7}", f"f{index}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        files = regular_files(folder, False)
        self.sums = {name: file_sum(path) for name, path in files.items()}
        self.largest = max(files, key=lambda name: os.path.getsize(files[name]))
        self.in_parts = bool(options)


def small(folder, count=250):
    return Shape("single", folder, count, (0, 1, 700, 4096, 20_000), (), "20K")


def large(folder, count=4):
    """Four parts each, the last one short: above what a download takes for small."""
    return Shape("multipart", folder, count, (17 * MIB + 1, 18 * MIB), PARTS, "8M")


class Cell:
    """One copy under one rule; `problems` says what is not as it must be."""

    def __init__(self, matrix, rule, share, direction, shape, seed):
        self.matrix, self.rule, self.share, self.seed = matrix, rule, share, seed
        self.direction, self.shape = direction, shape
        self.kind = rule.kind if rule else HARMLESS
        self.parked = self.tidied = 0
        self.name = f"{rule.name if rule else 'none'} {share}% {direction} {shape.name}"
        self.prefix = self.name.replace(" ", "-").replace("%", "") + "/"
        self.problems = []

    def rules(self):
        """The rule as often as asked for, and once at least, so that every cell is a test: what is
        done to bodies shows in one that is large enough."""
        if not self.rule:
            return []
        text = getattr(self.rule, self.direction).format(rate=self.shape.rate)
        of_data = text.endswith((DATA_UP, DATA_DOWN))
        once = f"key=*/{self.shape.largest} nth=1" if of_data else "nth=2"
        return [f"{text} p={self.share}% seed={self.seed}", f"{text} {once}", TIDYING]

    def patience(self):
        text = " ".join(self.rules())
        return PATIENCE if "stall after" in text or "delay=1h" in text else ()

    def run(self):
        t, server = self.matrix.test, self.matrix.server
        self.target = t.path(self.prefix)
        if self.direction == "down":
            places = (self.matrix.uploaded(self.shape), self.target)
        else:
            places = (self.shape.folder, t.uri(self.prefix))
        server.faults(*self.rules())
        began = time.monotonic()
        self.result = t.start("cp", "-r", "--json", *self.shape.options, *self.patience(),
                              *places).finish(RUN_SECONDS_MAX)
        self.seconds = time.monotonic() - began
        self.traffic = server.traffic()
        counts = server.faults()
        self.fired = sum(count[2] for count in counts)
        self.tidied = counts[-1][0] if counts else 0
        self.judge()
        self.judge_class()
        self.judge_left()
        self.clean()
        return self

    def temporary(self):
        if self.direction == "up" or not os.path.isdir(self.target):
            return []
        return [name for name in regular_files(self.target, False) if self.is_temporary(name)]

    def judge_left(self):
        """Once the faults are over."""
        t = self.matrix.test
        left = [u["Key"] for u in t.uploads()] + self.temporary()
        self.parked = len(left)
        told = self.result.code != 0 and PARKED in self.result.err
        self.require(not left or told, f"{len(left)} uploads or files are left: {left[:3]}")
        t.argosy("jobs", "clean", "--older-than", "0s")
        left = [u["Key"] for u in t.uploads()] + self.temporary()
        self.require(not left, f"{len(left)} are left after `jobs clean`: {left[:3]}")

    def arrived(self):
        """Name → sum of what is there now, read without argosy."""
        if self.direction == "down":
            found = regular_files(self.target, False) if os.path.isdir(self.target) else {}
            return {name: file_sum(path) for name, path in found.items()}
        t = self.matrix.test
        return {key.removeprefix(self.prefix): hashlib.sha256(t.get(key)).digest()
                for key in t.keys(Prefix=self.prefix)}

    def is_told(self, missing):
        """By the exit code, the summary's counts, and each by its name; where the run was stopped,
        the summary's count is enough for those that it did not come to."""
        json, code = self.result.json, self.result.code
        if code == 0 or json["found"] - json["done"] < len(missing) - self.unfound():
            return False
        named = [n for n in missing if re.search(rf"/{re.escape(n)}[: ]", self.result.err)]
        return len(named) == len(missing) or (bool(named) and self.is_stopped())

    def is_stopped(self):
        """By an answer that says the same of every object; a redirect is a wrong endpoint."""
        return self.result.code in (EXIT_USAGE, EXIT_CREDENTIALS, EXIT_ENVIRONMENT)

    def is_parked(self, name):
        """What a run that failed has left for the resume that it names."""
        return self.result.code != 0 and self.is_temporary(name) and PARKED in self.result.err

    @staticmethod
    def is_temporary(name):
        return os.path.basename(name).startswith(".argosy-")

    def unfound(self):
        """A run that is stopped does not look for the rest of the tree."""
        return len(self.shape.sums) - self.result.json["found"] if self.is_stopped() else 0

    def judge(self):
        have, want, json = self.arrived(), self.shape.sums, self.result.json
        missing = [name for name in want if have.get(name) != want[name]]
        extra = sorted(n for n in set(have) - set(want) if not self.is_parked(n))
        self.good = len(want) - len(missing)
        self.altered = sum(name in have for name in missing)
        self.silent = len(missing) if missing and not self.is_told(missing) else 0
        self.require(json["exit_code"] == self.result.code, "the exit code is not the summary's")
        self.require(json["found"] == json["done"] + json["failed"] + json["skipped"] +
                     json["unfinished"], "the counts do not add up")
        self.require(json["done"] <= self.good, f"{json['done']} done, but {self.good} are right")
        self.require(not self.altered, f"{self.altered} altered")
        self.require(not self.silent, f"{self.silent} lost silently: {missing[:3]}")
        self.require(not extra, f"there are others: {extra[:3]}")
        self.require((self.result.code == 0) == (json["done"] == len(want)),
                     f"exit code {self.result.code} with {json['done']} of {len(want)} done")
        self.require(not self.rule or self.fired, "the rule never came about")

    def judge_class(self):
        count, share = len(self.shape.sums), self.share / 100
        base = self.matrix.base(self.shape, self.direction) if self.rule else self.traffic
        way = 1 if self.direction == "up" else 2
        self.amplification = [now / max(1, then) for now, then in zip(self.traffic, base)]
        if self.kind == HARMLESS:
            self.require(self.good == count, f"{self.good} of {count} arrived")
        if self.kind == RETRY:
            self.require(self.good >= 0.999 * count, f"{self.good} of {count} arrived")
        if self.kind == STOP:
            self.require(self.is_stopped(), f"exit code {self.result.code}")
        if self.kind in (TOLD, STOP):
            return
        # A request fails with p, and its second attempt with p again; where the answer gets lost,
        # somebody looks first. A dozen more for nth=2, for those that are refused together while
        # a correction is being learned, and for chance, since some cells have few requests.
        allowed = 1 + 3 * share + 0.05
        # What is done about uploads that were begun twice: a list, a look at its parts, an abort.
        self.require(self.traffic[0] - self.tidied <= allowed * base[0] + 12,
                     f"{self.traffic[0]} requests instead of {base[0]}")
        self.require(self.tidied <= 3 * self.fired, f"{self.tidied} requests about uploads")
        slack = 4 * (6 * MIB if self.shape.in_parts else 64 * 1024)
        if self.rule and "header" in self.rule.name:
            slack += self.fired * 68 * 1024  # what the rule itself sends
        self.require(self.traffic[way] <= allowed * base[way] + slack,
                     f"{self.traffic[way]} bytes instead of {base[way]}")

    def require(self, condition, text):
        if not condition:
            self.problems.append(text)

    def clean(self):
        t = self.matrix.test
        shutil.rmtree(self.target, ignore_errors=True)
        for upload in t.uploads():
            t.s3.abort_multipart_upload(Bucket=t.bucket, Key=upload["Key"],
                                        UploadId=upload["UploadId"])
        keys = [{"Key": key} for key in t.keys(Prefix=self.prefix)]
        if keys:
            t.s3.delete_objects(Bucket=t.bucket, Delete={"Objects": keys, "Quiet": True})

    def row(self):
        way = 1 if self.direction == "up" else 2
        return {"rule": self.rule.name if self.rule else "none", "class": self.kind,
                "percent": self.share, "direction": self.direction, "shape": self.shape.name,
                "seed": self.seed, "objects": len(self.shape.sums), "arrived": self.good,
                "altered": self.altered, "lost_silently": self.silent,
                "exit_code": self.result.code, "failed_told": self.result.json["failed"],
                "fired": self.fired, "requests": self.traffic[0], "bytes_in": self.traffic[1],
                "bytes_out": self.traffic[2],
                "request_amplification": round(self.amplification[0], 3),
                "byte_amplification": round(self.amplification[way], 3),
                "left_parked": self.parked, "tidying_requests": self.tidied,
                "seconds": round(self.seconds, 2),
                "problems": self.problems}


class Matrix:
    """Cells on one server; `test` is a harness.Test on it."""

    def __init__(self, test, shapes):
        self.test, self.server, self.shapes = test, test.server, shapes
        self.bases, self.trees = {}, {}

    def put_whole(self, key, data, index):
        """With a checksum of the whole, of each kind in turn: what is altered can be known."""
        claim = ({"ChecksumAlgorithm": "CRC32"}, {"ChecksumAlgorithm": "SHA256"},
                 {"ChecksumCRC32C": crc32c(data)})[index % 3]
        self.test.s3.put_object(Bucket=self.test.bucket, Key=key, Body=data, **claim)

    def put_parts(self, key, data):
        """With a checksum of each part: of a checksum of the whole alone nobody could tell which
        range was altered, and with 20 % of them altered few wholes would ever be right."""
        s3, bucket = self.test.s3, self.test.bucket
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")
        parts = []
        for number, at in enumerate(range(0, len(data), 5 * MIB), 1):
            body = data[at:at + 5 * MIB]
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload["UploadId"], Body=body,
                                  PartNumber=number, ChecksumSHA256=digest)
            parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": digest})
        s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"],
                                     MultipartUpload={"Parts": parts})

    def uploaded(self, shape):
        """The shape's tree on the server, put there by boto3."""
        if shape.name not in self.trees:
            prefix = self.trees[shape.name] = f"tree-{shape.name}/"
            for index, name in enumerate(sorted(shape.sums)):
                with open(os.path.join(shape.folder, name), "rb") as file:
                    data = file.read()
                if shape.in_parts:
                    self.put_parts(prefix + name, data)
                else:
                    self.put_whole(prefix + name, data, index)
        return self.test.uri(self.trees[shape.name])

    def base(self, shape, direction):
        """The traffic of the same copy without faults."""
        key = (shape.name, direction)
        if key not in self.bases:
            cell = Cell(self, None, 0, direction, shape, 0).run()
            require(not cell.problems, f"without faults: {cell.problems}\n{cell.result}")
            self.bases[key] = cell.traffic
        return self.bases[key]

    def cell(self, rule, share, direction, shape, seed=1):
        self.base(shape, direction)
        return Cell(self, rule, share, direction, shape, seed).run()

    def cells(self, rules=RULES, shares=SHARES, seed=1):
        """Runs all; yields each when it is over."""
        for rule in rules:
            for direction in ("up", "down"):
                for shape in self.shapes:
                    text = getattr(rule, direction)
                    only_parts = "CompleteMultipartUpload" in (text or "")
                    if not text or (only_parts and not shape.in_parts):
                        continue
                    for share in shares:
                        yield self.cell(rule, share, direction, shape, seed)
