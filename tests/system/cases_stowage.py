"""stowage as an S3 endpoint, in the parts that the usual clients do not reach: what it answers to
bytes that we write ourselves, its three keeps, checksums, streaming bodies, restarts. Where the
case names rgw too, both must answer alike."""

import base64
import datetime
import hashlib
import hmac
import http.client
import os
import shutil
import signal
import socket
import time
import urllib.parse
import zlib

import harness
from botocore.exceptions import ClientError
from harness import MIB, case, require, wait_for
from servers import Stowage

EMPTY = hashlib.sha256(b"").hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Wire:
    """Signs and sends requests byte by byte; keeps its connection."""

    def __init__(self, server, **how):
        self.server = server
        place = urllib.parse.urlsplit(server.url)
        self.host, self.port = place.hostname, place.port
        self.secret = how.get("secret", server.secret)
        self.access = how.get("access", server.access)
        self.region = how.get("region", "us-east-1")
        self.skew_s = how.get("skew_s", 0)
        self.conn = http.client.HTTPConnection(self.host, self.port, timeout=20)

    def key(self, day):
        key = mac(b"AWS4" + self.secret.encode(), day)
        for step in (self.region, "s3", "aws4_request"):
            key = mac(key, step)
        return key

    def head(self, method, path, headers, payload):
        """All headers, with the signature; path is escaped already."""
        now = datetime.datetime.utcnow() + datetime.timedelta(seconds=self.skew_s)
        self.time = now.strftime("%Y%m%dT%H%M%SZ")
        day = self.time[:8]
        all_headers = {"host": f"{self.host}:{self.port}", "x-amz-date": self.time,
                       "x-amz-content-sha256": payload, **headers}
        path, _, query = path.partition("?")
        pairs = sorted(p if "=" in p else p + "=" for p in query.split("&")) if query else []
        names = sorted(all_headers)
        canonical = "\n".join([method, path, "&".join(pairs),
                               *(f"{n}:{all_headers[n]}" for n in names), "", ";".join(names),
                               payload])
        self.scope = f"{day}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", self.time, self.scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        self.signature = mac(self.key(day), text).hex()
        all_headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access}/{self.scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={self.signature}")
        return all_headers

    def call(self, method, path, body=b"", payload=None, **headers):
        """(status, headers, body) of the reply; the S3 code where it is an error."""
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        payload = payload or hashlib.sha256(body).hexdigest()
        self.conn.request(method, path, body, self.head(method, path, headers, payload))
        reply = self.conn.getresponse()
        text = reply.read()
        code = text.split(b"<Code>")[1].split(b"</Code>")[0].decode() if b"<Code>" in text else ""
        return reply.status, code, reply.headers, text

    def chunk(self, data, previous):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.time, self.scope, previous, EMPTY,
                          hashlib.sha256(data).hexdigest()])
        signature = mac(self.key(self.time[:8]), text).hex()
        return f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + b"\r\n", signature


def expect(got, status, code="", what=""):
    require(got[:2] == (status, code), f"{what}: {got[:2]}, not {(status, code)}")
    return got


@case("stowage", "rgw")
def authorisation(t):
    path = f"/{t.bucket}/k"
    expect(Wire(t.server).call("PUT", path, b"x"), 200)
    expect(Wire(t.server, secret="wrong").call("GET", path), 403, "SignatureDoesNotMatch")
    expect(Wire(t.server, access="nobody").call("GET", path), 403, "InvalidAccessKeyId")
    expect(Wire(t.server, skew_s=-3600).call("GET", path), 403, "RequestTimeTooSkewed")
    conn = http.client.HTTPConnection(Wire(t.server).host, Wire(t.server).port)
    conn.request("GET", path)
    require(conn.getresponse().status == 403, "anonymous was let in")
    expect(Wire(t.server).call("PUT", path, b"x", payload=hashlib.sha256(b"y").hexdigest()), 400,
           "XAmzContentSHA256Mismatch")
    signer = t.server.boto3(signature_version="s3v4")
    url = signer.generate_presigned_url("get_object", {"Bucket": t.bucket, "Key": "k"}, 60)
    for url, status in ((url, 200), (url.replace("/k?", "/j?"), 403)):
        conn.close()
        conn.request("GET", url[url.index("/", 8):])
        require(conn.getresponse().status == status, f"{url}")


@case("stowage")
def region(t):
    status, code, _, text = Wire(t.server, region="eu-north-7").call("GET", f"/{t.bucket}/k")
    require((status, code) == (400, "AuthorizationHeaderMalformed"), f"{status} {code}")
    require(b"<Region>us-east-1</Region>" in text, f"{text}")


@case("stowage", "rgw")
def content_md5(t):
    path, good = f"/{t.bucket}/k", base64.b64encode(hashlib.md5(b"x").digest()).decode()
    wire = Wire(t.server)
    expect(wire.call("PUT", path, b"x", content_md5=good), 200)
    expect(wire.call("PUT", path, b"y", content_md5=good), 400, "BadDigest")
    expect(wire.call("PUT", path, b"y", content_md5="garbled"), 400, "InvalidDigest")
    require(t.get("k") == b"x", "a refused body was kept")


# https://reveng.sourceforge.io/crc-catalogue: the check values of "123456789"
CHECKS = {"crc32c": 0xe3069283.to_bytes(4, "big"), "crc32": zlib.crc32(b"123456789").to_bytes(
    4, "big"), "crc64nvme": 0xae8b14860a799888.to_bytes(8, "big"),
          "sha256": hashlib.sha256(b"123456789").digest()}


@case("stowage", "stowage-dir")
def checksums(t):
    wire = Wire(t.server)
    for kind, value in CHECKS.items():
        path, name = f"/{t.bucket}/{kind}", f"x-amz-checksum-{kind}"
        text = base64.b64encode(value).decode()
        reply = expect(wire.call("PUT", path, b"123456789", **{name: text}), 200, what=kind)
        require(reply[2][name] == text, f"{kind} not echoed: {reply[2]}")
        expect(wire.call("PUT", path, b"123456788", **{name: text}), 400, "BadDigest", kind)
        expect(wire.call("PUT", path, b"123456789", **{name: "x"}), 400, "InvalidRequest", kind)
        for method in ("HEAD", "GET"):
            plain = expect(wire.call(method, path), 200)[2]
            require(name not in plain, f"{kind} unasked: {plain}")
            asked = expect(wire.call(method, path, x_amz_checksum_mode="ENABLED"), 200)[2]
            require(asked[name] == text, f"{method} {kind}: {asked}")
            require(asked["x-amz-checksum-type"] == "FULL_OBJECT", f"{asked}")


@case("stowage", "stowage-dir")
def multipart_checksums(t):
    """Full-object checksums are joined, composite ones are checksums of checksums."""
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB + 1), b"end"]
    whole = b"".join(parts)
    for full in (True, False):
        wire, path = Wire(t.server), f"/{t.bucket}/mp-{full}"
        text = expect(wire.call("POST", path + "?uploads", x_amz_checksum_algorithm="CRC32",
                                x_amz_checksum_type="FULL_OBJECT" if full else "COMPOSITE"),
                      200)[3]
        upload = text.split(b"<UploadId>")[1].split(b"<")[0].decode()
        listed = ""
        for number, part in enumerate(parts, 1):
            value = base64.b64encode(zlib.crc32(part).to_bytes(4, "big")).decode()
            reply = expect(wire.call("PUT", f"{path}?partNumber={number}&uploadId={upload}", part,
                                     x_amz_checksum_crc32=value), 200)
            require(reply[2]["x-amz-checksum-crc32"] == value, f"{reply}")
            listed += (f"<Part><PartNumber>{number}</PartNumber><ETag>{reply[2]['etag']}</ETag>"
                       f"<ChecksumCRC32>{value}</ChecksumCRC32></Part>")
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        expect(wire.call("POST", f"{path}?uploadId={upload}",
                         body.replace(b"<ChecksumCRC32>", b"<ChecksumCRC32>AAAA", 1)), 400,
               "InvalidPart")
        if full:
            expect(wire.call("POST", f"{path}?uploadId={upload}", body,
                             x_amz_checksum_crc32="AAAAAA=="), 400, "BadDigest")
        text = expect(wire.call("POST", f"{path}?uploadId={upload}", body), 200)[3].decode()
        again = expect(wire.call("POST", f"{path}?uploadId={upload}", body), 200)[3].decode()
        require(again == text, f"completed again: {again}, not {text}")
        values = b"".join(zlib.crc32(p).to_bytes(4, "big") for p in parts)
        want = zlib.crc32(whole).to_bytes(4, "big") if full else \
            zlib.crc32(values).to_bytes(4, "big")
        want = base64.b64encode(want).decode() + ("" if full else "-3")
        require(f"<ChecksumCRC32>{want}</ChecksumCRC32>" in text, f"{text}")
        head = wire.call("HEAD", path, x_amz_checksum_mode="ENABLED")[2]
        require(head["x-amz-checksum-crc32"] == want, f"{head}")
        part = expect(wire.call("GET", path + "?partNumber=2"), 206)
        require(part[3] == parts[1] and part[2]["x-amz-mp-parts-count"] == "3", f"{part[2]}")
        require(wire.call("GET", path)[3] == whole, "content differs")
        seen = t.s3.get_object_attributes(
            Bucket=t.bucket, Key=f"mp-{full}", MaxParts=2,
            ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
        require(seen["ObjectSize"] == len(whole) and seen["ObjectParts"]["IsTruncated"], f"{seen}")
        require([p["Size"] for p in seen["ObjectParts"]["Parts"]] == [5 * MIB, 5 * MIB + 1],
                f"{seen}")


@case("stowage")
def completion_is_checked(t):
    wire, path = Wire(t.server), f"/{t.bucket}/mp"
    text = expect(wire.call("POST", path + "?uploads"), 200)[3]
    upload = text.split(b"<UploadId>")[1].split(b"<")[0].decode()
    here = f"{path}?uploadId={upload}"
    etags = [expect(wire.call("PUT", f"{path}?partNumber={n}&uploadId={upload}",
                              b"a" * 5 * MIB), 200)[2]["etag"] for n in (1, 2)]

    def body(*parts):
        return ("<CompleteMultipartUpload>" + "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in parts) +
            "</CompleteMultipartUpload>").encode()
    expect(wire.call("POST", here, body((1, '"0123"'), (2, etags[1]))), 400, "InvalidPart")
    expect(wire.call("POST", here, b"<Complete"), 400, "MalformedXML")
    expect(wire.call("POST", f"{path}?uploadId=none", body((1, etags[0]))), 404, "NoSuchUpload")
    expect(wire.call("POST", here, body((2, etags[1]), (1, etags[0]))), 400, "InvalidPartOrder")
    expect(wire.call("POST", here, body((1, etags[0]), (3, etags[1]))), 400, "InvalidPart")
    for number in (0, 10001):
        expect(wire.call("PUT", f"{path}?partNumber={number}&uploadId={upload}", b""), 400,
               "InvalidArgument")
    expect(wire.call("POST", here, body((1, etags[0]), (2, etags[1]))), 200)
    expect(wire.call("DELETE", f"{path}?uploadId=none"), 404, "NoSuchUpload")


@case("stowage", "rgw")
def conditions(t):
    wire, path = Wire(t.server), f"/{t.bucket}/k"
    etag = wire.call("PUT", path, b"x")[2]["etag"]
    expect(wire.call("GET", path, if_match='"no"'), 412, "PreconditionFailed")
    expect(wire.call("GET", path, if_match=etag), 200)
    reply = expect(wire.call("GET", path, if_none_match=etag), 304)
    require(reply[3] == b"", "304 with a body")
    expect(wire.call("GET", path, if_none_match='"no"'), 200)
    expect(wire.call("PUT", path, b"y", if_none_match="*"), 412, "PreconditionFailed")
    expect(wire.call("PUT", path, b"y", if_match='"no"'), 412, "PreconditionFailed")
    old = "Mon, 01 Jan 2001 00:00:00 GMT"
    expect(wire.call("GET", path, if_unmodified_since=old), 412, "PreconditionFailed")
    expect(wire.call("GET", path, if_modified_since=old), 200)
    require(t.get("k") == b"x", "a refused PUT was done")


@case("stowage", "rgw")
def streaming_signed(t):
    wire, path = Wire(t.server), f"/{t.bucket}/k"
    data = os.urandom(200_000)
    for spoil in (False, True):
        pieces = [data[:65536], data[65536:131072], data[131072:], b""]
        length = sum(len(f"{len(p):x};chunk-signature=") + 64 + 4 + len(p) for p in pieces)
        head = wire.head("PUT", path, {"content-encoding": "aws-chunked",
                                       "content-length": str(length),
                                       "x-amz-decoded-content-length": str(len(data))},
                         "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        body, previous = b"", wire.signature
        for index, piece in enumerate(pieces):
            text, previous = wire.chunk(piece, previous)
            if spoil and index == 0:
                text = text.replace(b"signature=", b"signature=0", 1)[:-3] + b"\r\n"
            body += text
        require(len(body) == length, "the case's own sum")
        wire.conn.request("PUT", path, body, head)
        reply = wire.conn.getresponse()
        reply.read()
        require((reply.status == 200) == (not spoil), f"spoilt {spoil}: {reply.status}")
        wire.conn.close()
    require(t.get("k") == data, "content differs")


@case("stowage", "stowage-dir", "stowage-null")
def streaming_trailer(t):
    """As boto3 and aws since 2025: over HTTP chunks and with a length."""
    wire, path = Wire(t.server), f"/{t.bucket}/k"
    data = b"123456789"
    for chunked in (False, True):
        for spoil in (False, True):
            value = base64.b64encode(CHECKS["crc64nvme"]).decode()
            body = (b"5\r\n12345\r\n4\r\n" + (b"678X" if spoil else b"6789") +
                    b"\r\n0\r\nx-amz-checksum-crc64nvme:" + value.encode() + b"\r\n\r\n")
            framing = {"transfer-encoding": "chunked"} if chunked else {
                "content-length": str(len(body))}
            if chunked:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            head = wire.head("PUT", path, {
                "content-encoding": "aws-chunked",
                "x-amz-trailer": "x-amz-checksum-crc64nvme",
                "x-amz-decoded-content-length": str(len(data)), **framing},
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            wire.conn.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
            for name, text in head.items():
                wire.conn.putheader(name, text)
            wire.conn.endheaders()
            wire.conn.send(body)
            reply = wire.conn.getresponse()
            text = reply.read()
            require(reply.status == (400 if spoil else 200), f"{chunked} {spoil}: {text}")
            require(spoil or reply.headers["x-amz-checksum-crc64nvme"] == value, f"{reply.headers}")
    head = wire.call("HEAD", path)[2]
    require(head["content-length"] == "9" and "content-encoding" not in head, f"{head}")


@case("stowage", "rgw")
def expect_continue(t):
    """100 is sent only when the head was accepted."""
    for secret, bucket, want in ((t.server.secret, t.bucket, b"100"), ("wrong", t.bucket, b"403"),
                                 (t.server.secret, t.bucket + "-none", b"404")):
        wire = Wire(t.server, secret=secret)
        path = f"/{bucket}/k"
        head = wire.head("PUT", path, {"content-length": "3"}, hashlib.sha256(b"abc").hexdigest())
        with socket.create_connection((wire.host, wire.port), 10) as peer:
            lines = [f"PUT {path} HTTP/1.1", *(f"{n}: {v}" for n, v in head.items()),
                     "expect: 100-continue", "", ""]
            peer.sendall("\r\n".join(lines).encode())
            first = peer.recv(4096)
            require(first.split()[1] == want, f"{want}: {first}")
            if want == b"100":
                peer.sendall(b"abc")
                require(peer.recv(4096).split()[1] == b"200", "the body was not taken")


@case("stowage", "rgw")
def one_connection(t):
    """Errors, bodies that are refused, and requests sent ahead all leave the connection usable."""
    wire = Wire(t.server)
    sock = None
    for _ in range(3):
        expect(wire.call("PUT", f"/{t.bucket}-none/k", b"z" * 100_000), 404, "NoSuchBucket")
        sock = sock or wire.conn.sock
        expect(wire.call("PUT", f"/{t.bucket}/k", b"x" * 100_000), 200)
        expect(wire.call("GET", f"/{t.bucket}/none"), 404, "NoSuchKey")
        require(wire.call("HEAD", f"/{t.bucket}/none")[0] == 404, "HEAD of nothing")
        require(len(expect(wire.call("GET", f"/{t.bucket}/k"), 200)[3]) == 100_000, "length")
        require(wire.conn.sock is sock, "the connection was not kept")
    head = wire.head("GET", f"/{t.bucket}/k", {"range": "bytes=0-2"}, EMPTY)
    text = "\r\n".join([f"GET /{t.bucket}/k HTTP/1.1", *(f"{n}: {v}" for n, v in head.items()),
                        "", ""]).encode()
    with socket.create_connection((wire.host, wire.port), 10) as peer:
        peer.sendall(text * 3)
        got = b""
        while got.count(b"\r\n\r\nxxx") < 3:
            more = peer.recv(65536)
            require(more, f"closed after {got}")
            got += more


@case("stowage", "rgw")
def abandoned(t):
    """A PUT that breaks off leaves nothing; a GET that breaks off harms nobody."""
    t.put("big", b"b" * 8 * MIB)
    wire = Wire(t.server)
    for method, path, length in (("PUT", f"/{t.bucket}/half", 8 * MIB), ("GET", f"/{t.bucket}/big",
                                                                        0)):
        head = wire.head(method, path, {"content-length": str(length)}, "UNSIGNED-PAYLOAD")
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in head.items()), "", ""]
        with socket.create_connection((wire.host, wire.port), 10) as peer:
            peer.sendall("\r\n".join(lines).encode())
            if method == "PUT":
                peer.sendall(b"x" * MIB)
            else:
                peer.recv(1000)
    time.sleep(0.2)
    require(list(t.keys()) == ["big"], f"{t.keys()}")
    require(t.get("big") == b"b" * 8 * MIB, "content differs")


@case("stowage", "stowage-dir", "rgw")
def copies(t):
    data = os.urandom(11 * MIB)
    t.s3.put_object(Bucket=t.bucket, Key="src/a+b c", Body=data, ContentType="text/x",
                    Metadata={"m": "1"})
    source = {"Bucket": t.bucket, "Key": "src/a+b c"}
    t.s3.copy_object(Bucket=t.bucket, Key="kept", CopySource=source)
    t.s3.copy_object(Bucket=t.bucket, Key="new", CopySource=source, ContentType="text/y",
                     Metadata={"n": "2"}, MetadataDirective="REPLACE")
    kept, new = (t.s3.head_object(Bucket=t.bucket, Key=k) for k in ("kept", "new"))
    require((kept["ContentType"], kept["Metadata"]) == ("text/x", {"m": "1"}), f"{kept}")
    require((new["ContentType"], new["Metadata"]) == ("text/y", {"n": "2"}), f"{new}")
    require(t.get("kept") == data and t.get("new") == data, "a copy differs")
    upload = t.s3.create_multipart_upload(Bucket=t.bucket, Key="mp")["UploadId"]
    parts = []
    for number, wanted in ((1, f"bytes=0-{6 * MIB - 1}"), (2, f"bytes={6 * MIB}-{11 * MIB - 1}")):
        done = t.s3.upload_part_copy(Bucket=t.bucket, Key="mp", UploadId=upload, CopySource=source,
                                     PartNumber=number, CopySourceRange=wanted)
        parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
    t.s3.complete_multipart_upload(Bucket=t.bucket, Key="mp", UploadId=upload,
                                   MultipartUpload={"Parts": parts})
    require(t.get("mp") == data, "the copy in parts differs")
    try:
        t.s3.copy_object(Bucket=t.bucket, Key="x", CopySource={"Bucket": t.bucket, "Key": "none"})
        require(False, "a copy of nothing")
    except ClientError as error:
        require(error.response["Error"]["Code"] == "NoSuchKey", f"{error}")


@case("stowage", "stowage-dir")
def lists(t):
    """Pages of every kind, and keys that XML and URLs do not like."""
    names = sorted(["a/1", "a/2", "a/b/3", "a&<b>\"'", "é", "+", "%41", "z//", "z//y"])
    for name in names:
        t.put(name, b"")
    for size in (1, 2, 100):
        for kind, more in (("list_objects", {}), ("list_objects_v2", {}),
                           ("list_objects_v2", {"EncodingType": "url"})):
            found, prefixes = [], []
            for page in t.s3.get_paginator(kind).paginate(
                    Bucket=t.bucket, Delimiter="/", PaginationConfig={"PageSize": size}, **more):
                found += [o["Key"] for o in page.get("Contents", [])]
                prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
            if more:
                found = [urllib.parse.unquote(k) for k in found]
            require(sorted(found) == [n for n in names if "/" not in n], f"{kind} {size} {found}")
            require(sorted(prefixes) == ["a/", "z/"], f"{kind} {size}: {prefixes}")
    uploads = [t.s3.create_multipart_upload(Bucket=t.bucket, Key=k)["UploadId"]
               for k in ("u/1", "u/1", "u/2", "v")]
    pages = t.s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=t.bucket, PaginationConfig={"PageSize": 1})
    found = [u["UploadId"] for p in pages for u in p.get("Uploads", [])]
    require(sorted(found) == sorted(uploads), f"{found} is not {uploads}")
    some = t.s3.list_multipart_uploads(Bucket=t.bucket, Prefix="u/")["Uploads"]
    require([u["Key"] for u in some] == ["u/1", "u/1", "u/2"], f"{some}")
    for upload in t.uploads():
        t.s3.abort_multipart_upload(Bucket=t.bucket, Key=upload["Key"],
                                    UploadId=upload["UploadId"])
    require(t.uploads() == [], "uploads are left")


@case()
def restart(t):
    """A folder has everything after a restart, a crash included, and no file too many."""
    folder = t.path("keep")
    whole = b"w" * 6 * MIB
    server = Stowage("--dir", folder)
    t.at_end(server.stop)
    s3 = server.boto3()
    s3.create_bucket(Bucket="bkt")
    s3.create_bucket(Bucket="gone")
    s3.delete_bucket(Bucket="gone")
    s3.put_object(Bucket="bkt", Key="k/é %", Body=b"old")
    s3.put_object(Bucket="bkt", Key="k/é %", Body=b"new", Metadata={"a": "b c"})
    s3.put_object(Bucket="bkt", Key="out", Body=b"x")
    s3.delete_object(Bucket="bkt", Key="out")
    upload = s3.create_multipart_upload(Bucket="bkt", Key="mp")["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(
        Bucket="bkt", Key="mp", UploadId=upload, PartNumber=n, Body=whole)["ETag"]} for n in (1, 2)]
    s3.complete_multipart_upload(Bucket="bkt", Key="mp", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    left = s3.create_multipart_upload(Bucket="bkt", Key="left")["UploadId"]
    s3.upload_part(Bucket="bkt", Key="left", UploadId=left, PartNumber=1, Body=b"x")
    before = s3.head_object(Bucket="bkt", Key="mp")
    server.popen.send_signal(signal.SIGKILL)
    server.popen.wait()
    with open(os.path.join(folder, ".stowage", "journal"), "ab") as journal:
        journal.write(b"object =bkt =torn 12")
    again = Stowage("--dir", folder)
    t.at_end(again.stop)
    s3 = again.boto3()
    require([b["Name"] for b in s3.list_buckets()["Buckets"]] == ["bkt"], "buckets")
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket="bkt")["Contents"]]
    require(keys == ["k/é %", "mp"], f"{keys}")
    got = s3.get_object(Bucket="bkt", Key="k/é %")
    require(got["Body"].read() == b"new" and got["Metadata"] == {"a": "b c"}, f"{got}")
    after = s3.head_object(Bucket="bkt", Key="mp")
    require(after["ETag"] == before["ETag"] and after["LastModified"] == before["LastModified"],
            f"{after}")
    require(s3.get_object(Bucket="bkt", Key="mp")["Body"].read() == whole * 2, "content differs")
    files = [n for _, _, names in os.walk(os.path.join(folder, "bkt")) for n in names]
    require(len(files) == 3, f"files: {files}")


@case()
def full_disk(t):
    """A PUT that finds no room is refused whole, and small ones work once its file is removed,
    which an aside does in its own time."""
    mount = t.path("mnt")
    os.mkdir(mount)
    if os.system(f"mount -t tmpfs -o size=4m tmpfs {mount}"):
        raise harness.Skip("mount of a tmpfs is not allowed here")
    t.at_end(lambda: os.system(f"umount -l {mount}"))
    server = Stowage("--dir", os.path.join(mount, "keep"))
    t.at_end(server.stop)
    wire = Wire(server)
    expect(wire.call("PUT", "/bkt"), 200)
    expect(wire.call("PUT", "/bkt/big", b"x" * 5 * MIB), 507, "InsufficientStorage")
    wait_for(lambda: wire.call("PUT", "/bkt/small", b"x")[0] != 507, "the file to be removed")
    require(wire.call("GET", "/bkt/small")[3] == b"x", "content differs")
    require(wire.call("HEAD", "/bkt/big")[0] == 404, "the refused object is there")


@case()
def full_memory(t):
    """Objects in memory have a bound; what is deleted or overwritten makes room again."""
    server = Stowage("--memory", "4M")
    t.at_end(server.stop)
    wire = Wire(server)
    expect(wire.call("PUT", "/bkt"), 200)
    for _ in range(3):
        expect(wire.call("PUT", "/bkt/one", b"x" * 3 * MIB), 200)
        expect(wire.call("PUT", "/bkt/two", b"x" * 2 * MIB), 507, "InsufficientStorage")
        expect(wire.call("PUT", "/bkt/small", b"x" * 1000), 200)
        expect(wire.call("DELETE", "/bkt/one"), 204)


@case("stowage-null")
def sizes_by_name(t):
    wire = Wire(t.server)
    for name, size in (("size-0", 0), ("size-1000.bin", 1000), ("size-3MiB/17", 3 * MIB)):
        reply = expect(wire.call("GET", f"/{t.bucket}/{name}"), 200)
        require(len(reply[3]) == size, f"{name}: {len(reply[3])}")
    whole = reply[3]
    part = expect(wire.call("GET", f"/{t.bucket}/size-3MiB/17", range="bytes=1000001-2000000"), 206)
    require(part[3] == whole[1000001:2000001], "the range differs")
    head = wire.call("HEAD", f"/{t.bucket}/size-1TiB", x_amz_checksum_mode="ENABLED")[2]
    require(head["content-length"] == str(1 << 40) and head["x-amz-checksum-crc32c"], f"{head}")
    expect(wire.call("GET", f"/{t.bucket}/size-3MiBx"), 404, "NoSuchKey")


@case()
def ends_on_a_signal(t):
    """SIGTERM ends it at once, also in the middle of a body; its port file names the port."""
    for args in ([], ["--dir", t.path("keep")], ["--null"]):
        server = Stowage("--port-file", t.path("port"), *args)
        t.at_end(server.stop)
        wire = Wire(server)
        with open(t.path("port"), encoding="ascii") as file:
            require(int(file.read()) == wire.port, "the port file")
        expect(wire.call("PUT", "/bkt"), 200)
        head = wire.head("PUT", "/bkt/k", {"content-length": "1000"}, "UNSIGNED-PAYLOAD")
        lines = ["PUT /bkt/k HTTP/1.1", *(f"{n}: {v}" for n, v in head.items()), "", "half"]
        with socket.create_connection((wire.host, wire.port), 10) as peer:
            peer.sendall("\r\n".join(lines).encode())
            time.sleep(0.1)
            server.popen.terminate()
            require(server.popen.wait(30) == 0, f"{args}: {server.words()}")
    shutil.rmtree(t.path("keep"))
