"""stowage used by clients that we did not write: boto3, rclone, s3cmd. And RGW, as the yardstick: a
case that fails there says something about the case."""

import hashlib
import os
import subprocess
import time

from botocore.exceptions import ClientError

from content import make_file, same, same_trees
from harness import MIB, PARTS, Skip, case, need_program, require

SERVERS = ("stowage", "stowage-dir", "rgw")


def refused(call, *codes, **args):
    try:
        call(**args)
    except ClientError as error:
        require(error.response["Error"]["Code"] in codes, f"{error}")
        return
    require(False, f"{call.__name__} was not refused")


@case(*SERVERS)
def boto3_objects(t):
    s3, b = t.s3, t.bucket
    data = hashlib.shake_128(b"x").digest(300_000)
    put = s3.put_object(Bucket=b, Key="a b/ü+%", Body=data, ContentType="text/x-y",
                        Metadata={"one": "1"}, CacheControl="no-store")
    head = s3.head_object(Bucket=b, Key="a b/ü+%")
    require(head["ContentLength"] == len(data) and head["ETag"] == put["ETag"], f"{head}")
    require(head["ContentType"] == "text/x-y" and head["Metadata"] == {"one": "1"}, f"{head}")
    require(t.get("a b/ü+%") == data, "content differs")
    for asked, want in (("bytes=0-9", data[:10]), ("bytes=100-199", data[100:200]),
                        ("bytes=-7", data[-7:]), ("bytes=299990-", data[299990:]),
                        ("bytes=299990-400000", data[299990:])):
        got = s3.get_object(Bucket=b, Key="a b/ü+%", Range=asked)
        require(got["Body"].read() == want, f"{asked} differs")
        require(got["ResponseMetadata"]["HTTPStatusCode"] == 206, f"{asked}: {got}")
    refused(s3.get_object, "InvalidRange", Bucket=b, Key="a b/ü+%", Range="bytes=900000-")
    refused(s3.get_object, "PreconditionFailed", Bucket=b, Key="a b/ü+%", IfMatch='"nope"')
    refused(s3.get_object, "NoSuchKey", Bucket=b, Key="none")
    refused(s3.head_object, "404", Bucket=b, Key="none")
    refused(s3.put_object, "NoSuchBucket", Bucket=b + "-none", Key="k", Body=b"")
    s3.copy_object(Bucket=b, Key="copy", CopySource={"Bucket": b, "Key": "a b/ü+%"})
    require(t.get("copy") == data, "the copy differs")
    refused(s3.delete_bucket, "BucketNotEmpty", Bucket=b)
    s3.delete_object(Bucket=b, Key="copy")
    s3.delete_object(Bucket=b, Key="copy")
    done = s3.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "a b/ü+%"}, {"Key": "none"}]})
    require(len(done["Deleted"]) == 2 and t.keys() == {}, f"{done}")


@case(*SERVERS)
def boto3_empty_object_and_the_next(t):
    """botocore expects 100-continue also before an empty body, and gets the next reply wrong
    where it does not come."""
    started = time.monotonic()
    for key, body in (("empty", b""), ("next", b"data")):
        t.s3.put_object(Bucket=t.bucket, Key=key, Body=body)
    require(t.keys() == {"empty": 0, "next": 4}, f"{t.keys()}")
    require(time.monotonic() - started < 40, "the second request waited for an answer")


@case(*SERVERS)
def boto3_multipart(t):
    s3, b = t.s3, t.bucket
    parts = [make_file(t.path(f"p{i}"), s) for i, s in enumerate((6 * MIB, 5 * MIB, 7))]
    made = s3.create_multipart_upload(Bucket=b, Key="mp")["UploadId"]
    done = []
    for number in (3, 1, 2):
        with open(parts[number - 1], "rb") as body:
            etag = s3.upload_part(Bucket=b, Key="mp", UploadId=made, PartNumber=number,
                                  Body=body)["ETag"]
        done.append({"PartNumber": number, "ETag": etag})
    listed = s3.list_parts(Bucket=b, Key="mp", UploadId=made)["Parts"]
    require([p["Size"] for p in listed] == [6 * MIB, 5 * MIB, 7], f"{listed}")
    require([u["Key"] for u in t.uploads()] == ["mp"], f"{t.uploads()}")
    done.sort(key=lambda p: p["PartNumber"])
    s3.complete_multipart_upload(Bucket=b, Key="mp", UploadId=made,
                                 MultipartUpload={"Parts": done})
    content = b"".join(open(p, "rb").read() for p in parts)
    require(t.get("mp") == content, "content differs")
    sums = b"".join(hashlib.md5(open(p, "rb").read()).digest() for p in parts)
    etag = s3.head_object(Bucket=b, Key="mp")["ETag"]
    require(etag == f'"{hashlib.md5(sums).hexdigest()}-3"', f"ETag {etag}")
    gone = s3.create_multipart_upload(Bucket=b, Key="gone")["UploadId"]
    s3.abort_multipart_upload(Bucket=b, Key="gone", UploadId=gone)
    refused(s3.upload_part, "NoSuchUpload", Bucket=b, Key="gone", UploadId=gone, PartNumber=1,
            Body=b"x")
    small = s3.create_multipart_upload(Bucket=b, Key="small")["UploadId"]
    etags = [s3.upload_part(Bucket=b, Key="small", UploadId=small, PartNumber=n, Body=b"x")["ETag"]
             for n in (1, 2)]
    refused(s3.complete_multipart_upload, "EntityTooSmall", Bucket=b, Key="small", UploadId=small,
            MultipartUpload={"Parts": [{"PartNumber": n + 1, "ETag": e}
                                       for n, e in enumerate(etags)]})
    s3.abort_multipart_upload(Bucket=b, Key="small", UploadId=small)


@case(*SERVERS)
def boto3_lists(t):
    names = [f"d{i % 3}/k {i:02}" for i in range(25)] + ["top", "tab\there"]
    for name in names:
        t.put(name, b"x")
    pages = list(t.s3.get_paginator("list_objects_v2").paginate(
        Bucket=t.bucket, PaginationConfig={"PageSize": 7}))
    found = [o["Key"] for p in pages for o in p["Contents"]]
    require(found == sorted(names) and len(pages) == 4, f"{found}")
    top = t.s3.list_objects_v2(Bucket=t.bucket, Delimiter="/")
    require([p["Prefix"] for p in top["CommonPrefixes"]] == ["d0/", "d1/", "d2/"], f"{top}")
    require([o["Key"] for o in top["Contents"]] == ["tab\there", "top"], f"{top}")
    part = t.s3.list_objects_v2(Bucket=t.bucket, Prefix="d1/", StartAfter="d1/k 10")
    require([o["Key"] for o in part["Contents"]] == [n for n in sorted(names) if n > "d1/k 10"
                                                     and n.startswith("d1/")], f"{part}")
    old = t.s3.list_objects(Bucket=t.bucket, MaxKeys=5)
    require(old["IsTruncated"] and len(old["Contents"]) == 5, f"{old}")


@case("stowage", "rgw")
def boto3_transfer_manager(t):
    source = make_file(t.path("in"), 40 * MIB + 3)
    t.s3.upload_file(source, t.bucket, "k")
    t.argosy("cp", t.uri("k"), t.path("out"))
    same(source, t.path("out"))
    t.argosy("cp", *PARTS, source, t.uri("k2"))
    t.s3.download_file(t.bucket, "k2", t.path("out2"))
    same(source, t.path("out2"))


@case("stowage", "rgw")
def signatures(t):
    refusing = t.server.boto3()
    refusing._request_signer._credentials.secret_key = "wrong"
    refused(refusing.list_objects_v2, "SignatureDoesNotMatch", Bucket=t.bucket)
    refusing._request_signer._credentials.access_key = "NOSUCHKEY"
    refused(refusing.list_objects_v2, "InvalidAccessKeyId", Bucket=t.bucket)
    signed = t.s3.generate_presigned_url("get_object", {"Bucket": t.bucket, "Key": "k"})
    require("Signature" in signed, signed)


def run(t, *argv, **env):
    need_program(argv[0])
    done = subprocess.run(argv, env=t.environment(AWS_CA_BUNDLE=None, **env), cwd=t.dir,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=180)
    require(done.returncode == 0, f"{' '.join(argv)}: {done.stdout.decode()[-2000:]}")
    return done.stdout.decode()


@case("stowage", "stowage-dir", "stowage-tls", "rgw")
def rclone(t):
    for index in range(60):
        make_file(t.path("in", f"d {index % 5}", f"f+{index}"), index * 997)
    make_file(t.path("in", "big"), 30 * MIB + 1)
    env = {"RCLONE_CONFIG": t.path("none.conf"), "RCLONE_CONFIG_R_TYPE": "s3",
           "RCLONE_CONFIG_R_PROVIDER": "Other", "RCLONE_CONFIG_R_ENDPOINT": t.server.url,
           "RCLONE_CONFIG_R_ACCESS_KEY_ID": t.server.access, "RCLONE_CONFIG_R_REGION": "us-east-1",
           "RCLONE_CONFIG_R_SECRET_ACCESS_KEY": t.server.secret, "RCLONE_S3_CHUNK_SIZE": "5M",
           "RCLONE_CONFIG_R_FORCE_PATH_STYLE": "true", "RCLONE_S3_UPLOAD_CUTOFF": "8M"}
    if t.server.ca:
        env["RCLONE_CA_CERT"] = t.server.ca
    run(t, "rclone", "copy", t.path("in"), f"r:{t.bucket}/p", **env)
    run(t, "rclone", "check", t.path("in"), f"r:{t.bucket}/p", **env)
    run(t, "rclone", "copy", f"r:{t.bucket}/p", t.path("out"), **env)
    require(same_trees(t.path("in"), t.path("out")) == 61, "not all files")
    t.argosy("cp", "-r", t.uri("p/"), t.path("out2"))
    same_trees(t.path("in"), t.path("out2"))
    run(t, "rclone", "purge", f"r:{t.bucket}/p", **env)
    require(t.keys() == {}, f"{t.keys()}")


@case("stowage", "stowage-dir", "rgw")
def s3cmd(t):
    place = t.server.url.split("//")[1]
    with open(t.path("home/.s3cfg"), "w", encoding="utf-8") as file:
        file.write(f"[default]\naccess_key = {t.server.access}\nsecret_key = {t.server.secret}\n"
                   f"host_base = {place}\nhost_bucket = {place}\nuse_https = False\n"
                   "signature_v2 = False\nbucket_location = us-east-1\n")
    source = make_file(t.path("in"), 23 * MIB)
    small = make_file(t.path("small file+"), 1000)
    run(t, "s3cmd", "put", "--multipart-chunk-size-mb=5", source, t.uri("big"))
    run(t, "s3cmd", "put", small, t.uri("small file+"))
    run(t, "s3cmd", "get", t.uri("big"), t.path("out"))
    run(t, "s3cmd", "get", t.uri("small file+"), t.path("out2"))
    same(source, t.path("out"))
    same(small, t.path("out2"))
    listed = run(t, "s3cmd", "ls", t.uri())
    require("/big" in listed and "small file+" in listed, listed)
    run(t, "s3cmd", "cp", t.uri("big"), t.uri("big2"))
    require(t.keys()["big2"] == 23 * MIB, f"{t.keys()}")
    run(t, "s3cmd", "del", "--recursive", "--force", t.uri())
    require(t.keys() == {}, f"{t.keys()}")
    run(t, "s3cmd", "mb", f"s3://{t.bucket}-two")
    run(t, "s3cmd", "rb", f"s3://{t.bucket}-two")


@case("stowage-null")
def null_answers_a_pattern(t):
    """stowage --null keeps sizes and no content; what comes back has the size that went up."""
    source = make_file(t.path("in"), 17 * MIB + 3)
    t.argosy("cp", *PARTS, source, t.uri("k"))
    require(t.keys() == {"k": 17 * MIB + 3}, f"{t.keys()}")
    t.argosy("cp", *PARTS, t.uri("k"), t.path("out"), code=None)
    t.argosy("cp", *PARTS, t.uri("k"), "/dev/null", code=None)
    if os.path.exists(t.path("out")):
        require(os.path.getsize(t.path("out")) == 17 * MIB + 3, "another size")
    else:
        raise Skip("stowage --null: what was put cannot be read back as a file")
