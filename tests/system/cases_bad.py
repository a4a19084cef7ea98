"""Bad input: one clear sentence that names object and cause, the exit code, nothing left behind."""

import os
import socket
import stat
import subprocess

import harness
import servers
from content import make_file, same
from harness import (EXIT_CREDENTIALS, EXIT_ENVIRONMENT, EXIT_MISSING, EXIT_SOME, EXIT_USAGE, MIB,
                     PARTS, Skip, case, require)
from proxy import Babbler

BOTH = ("stowage", "rgw")


def no_leftovers(t, *expected):
    """The case's folder holds what it made and no partial target."""
    have = sorted(n for n in os.listdir(t.dir) if n != "home")
    require(have == sorted(expected), f"leftovers: {have}")


def mount(t, *options):
    """A small file system of its own at t.path('mnt')."""
    os.mkdir(t.path("mnt"))
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", t.path("mnt")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Skip("mount of a tmpfs is not allowed here")
    t.at_end(lambda: subprocess.run(["umount", "-l", t.path("mnt")], check=True))
    return t.path("mnt")


@case()
def usage(t):
    for args, words in (
            (["cp"], "too few arguments"), (["cp", "a"], "too few arguments"),
            (["cp", "a", "b", "c", "d"], "too many arguments, from 'c' on"),
            (["resum"], "unknown command 'resum'; did you mean resume?"),
            (["frobnicate"], "unknown command 'frobnicate'"),
            (["--region", "x", "ls"], "--region: options come behind the command"),
            (["cp", "--frobnicate", "a", "b"], "unknown option --frobnicate"),
            (["cp", "--recursiv", "a", "b"], "did you mean --recursive?"),
            (["cp", "a", "b"], "neither side is s3://"),
            (["cp", "s3://bucket/a", "s3://bucket/b"], "both sides are on S3"),
            (["cp", "--part-size", "banana", "a", "s3://bucket/k"], "'banana' is not a size"),
            (["cp", "--part-size", "1M", "a", "s3://bucket/k"],
             "1M is out of range (5MiB to 5GiB)"),
            (["cp", "--deadline", "0", "a", "s3://bucket/k"], "0 is out of range (1s to 24h)"),
            (["verify", "--check", "files", "a", "s3://bucket/k"], "--check is for manifests"),
            (["cp", "--checksum", "md4", "a", "s3://bucket/k"], "md4")):
        result = t.fails(args, EXIT_USAGE, words)
        require(not result.out.strip(), f"{result}")


@case()
def help_and_version(t):
    for command in ([], ["cp"], ["ls"], ["mb"]):
        shown = t.argosy(*command, "--help").out
        require("argosy" in shown and len(shown) > 200, f"--help of {command}: {shown}")
    version = t.argosy("--version").out
    for word in ("argosy", "OpenSSL", "io_uring"):
        require(word in version, f"--version without {word}: {version}")


@case("stowage")
def words(t):
    """What is said names what it is about, and what it is not about is not said."""
    small = make_file(t.path("small"), 10)
    os.mkdir(t.path("empty"))
    result = t.argosy("cp", "-r", t.path("empty"), t.uri("p/"))
    require("argosy: .: skipped: an empty folder" in result.err, f"{result}")
    t.fails(["cp", "--tcp-cc", "nope", small, t.uri("k")], EXIT_USAGE,
            "the kernel does not have")
    t.fails(["ls"], EXIT_CREDENTIALS, "list of buckets: ", env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    result = t.fails(["verify", t.path("none")], EXIT_MISSING, "none: no such file")
    require("0 of 0" not in result.err, f"{result}")
    result = t.argosy("cp", "-v", small, t.uri("k"))
    require("1 request, 0 retries, 1 connection" in result.err, f"{result}")
    require("staged buffers" in result.err, f"{result}")
    require("staged buffers" not in t.argosy("ls", "-v", t.uri("")).err, "ls stages nothing")
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = t.argosy("cp", t.uri("k"), "-", code=EXIT_ENVIRONMENT, stdout=full)
    require("standard output: no space left" in result.err, f"{result}")


@case()
def bad_uris(t):
    source = make_file(t.path("in"), 10)
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a",
           "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
    for uri, words in (
            ("s3://", "must have 3 to 63 characters"),
            ("s3:///key", "must have 3 to 63 characters"),
            ("s3://a/key", "must have 3 to 63 characters"),
            ("s3://" + "b" * 64 + "/k", "must have 3 to 63 characters"),
            ("s3://UPPER_case!/key", "letters, digits, - and . only"),
            ("s3://bucket/" + "k" * 1025, "the key has 1025 bytes; S3 allows 1024")):
        t.fails(["cp", source, uri], EXIT_USAGE, uri[:60], words, env=env)
        t.fails(["cp", uri, t.path("out")], EXIT_USAGE, uri[:60], words, env=env)
    for command in ("ls", "mb"):
        t.fails([command, "bucket"], EXIT_USAGE, "bucket", "begins with s3://", env=env)
    no_leftovers(t, "in")


@case(*BOTH)
def missing_source(t):
    t.fails(["cp", t.path("none"), t.uri("k")], EXIT_MISSING, "none", "no such file")
    t.fails(["cp", "-r", t.path("none"), t.uri("k")], EXIT_MISSING, "none", "no such file")
    require(t.keys() == {}, f"{t.keys()}")


@case("stowage")
def streams_are_no_trees(t):
    t.fails(["cp", "-r", "-", t.uri("k")], EXIT_USAGE, "-: is one object")
    t.fails(["cp", "-r", "/dev/zero", t.uri("k")], EXIT_USAGE, "/dev/zero: is one object")
    t.fails(["cp", "-r", t.uri("k"), "-"], EXIT_USAGE, "-: ", "must be a directory")


@case(*BOTH)
def missing_object(t):
    t.fails(["cp", t.uri("none"), t.path("out")], EXIT_MISSING, "none", "no such object")
    no_leftovers(t)


@case(*BOTH)
def missing_prefix(t):
    t.fails(["cp", "-r", t.uri("none/"), t.path("out")], EXIT_MISSING, "none/")


@case("stowage", "rgw", "swift")
def missing_bucket(t):
    uri = f"s3://{t.bucket}-none/k"
    source = make_file(t.path("in"), 11 * MIB)
    t.fails(["cp", source, uri], EXIT_MISSING, t.bucket + "-none", "no such bucket")
    t.fails(["cp", *PARTS, source, uri], EXIT_MISSING, "no such bucket")
    t.fails(["cp", uri, t.path("out")], EXIT_MISSING, t.bucket + "-none", "no such bucket")
    t.fails(["cp", uri, "-"], EXIT_MISSING, t.bucket + "-none", "no such bucket")
    t.fails(["ls", uri], EXIT_MISSING, t.bucket + "-none", "no such bucket")
    no_leftovers(t, "in")
    t.fails(["cp", "-r", uri, t.path("out")], EXIT_MISSING, t.bucket + "-none", "no such bucket")
    require(os.listdir(t.path("out")) == [], "leftovers")


@case(*BOTH)
def folder_without_r(t):
    os.mkdir(t.path("folder"))
    t.fails(["cp", t.path("folder"), t.uri("k")], EXIT_USAGE, "folder: is a directory", "-r")
    t.put("p/a", b"data")
    t.fails(["cp", t.uri("p/"), t.path("out")], EXIT_USAGE, "p/: is not one object", "-r")
    t.fails(["cp", t.uri("p"), t.path("out")], EXIT_MISSING, "/p: no such object")
    no_leftovers(t, "folder")


@case("stowage", "rgw", "swift")
def wrong_secret(t):
    env = {"AWS_SECRET_ACCESS_KEY": "wrong"}
    source = make_file(t.path("in"), 11 * MIB)
    words = (t.bucket, "the credentials are not accepted", "SignatureDoesNotMatch")
    t.fails(["cp", source, t.uri("k")], EXIT_CREDENTIALS, *words, "/k", env=env)
    t.fails(["cp", *PARTS, source, t.uri("k")], EXIT_CREDENTIALS, *words, "/k", env=env)
    t.fails(["ls", t.uri()], EXIT_CREDENTIALS, *words, env=env)
    t.put("there", b"data")
    t.fails(["cp", t.uri("there"), t.path("out")], EXIT_CREDENTIALS, *words, "/there", env=env)
    t.fails(["cp", t.uri("there"), "-"], EXIT_CREDENTIALS, *words, "/there", env=env)
    no_leftovers(t, "in")


@case("stowage")
def no_credentials(t):
    env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    t.fails(["ls", t.uri()], EXIT_CREDENTIALS, "no credentials", env=env)


@case("stowage")
def profiles(t):
    """~/.aws/credentials and ~/.aws/config, and a profile by name."""
    os.mkdir(t.path("home/.aws"))
    with open(t.path("home/.aws/credentials"), "w", encoding="utf-8") as file:
        file.write(f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n\n[mine]\n"
                   f"aws_access_key_id={t.server.access}\n"
                   f"aws_secret_access_key = {t.server.secret}\n")
    with open(t.path("home/.aws/config"), "w", encoding="utf-8") as file:
        file.write("[profile mine]\nregion = us-east-1\n")
    env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_REGION": None}
    t.put("k", b"data")
    require("k" in t.argosy("ls", "--profile", "mine", t.uri(), env=env).out, "not listed")
    require("k" in t.argosy("ls", t.uri(), env={**env, "AWS_PROFILE": "mine"}).out, "not listed")
    t.fails(["ls", t.uri()], EXIT_CREDENTIALS, "the credentials are not accepted", env=env)
    t.fails(["ls", "--profile", "none", t.uri()], EXIT_USAGE, "profile", "none", env=env)


@case("stowage", "swift")
def wrong_region(t):
    """The server names its region: then requests are signed for that, and the user is told."""
    t.put("k", b"data")
    source = make_file(t.path("in"), 11 * MIB)
    env = {"AWS_REGION": "eu-west-7"}
    for args in (["ls", t.uri()], ["cp", *PARTS, source, t.uri("up")],
                 ["cp", t.uri("k"), t.path("out")]):
        result = t.argosy(*args, env=env)
        require("is in region us-east-1; signing for that" in result.err, f"{result}")
    require(t.keys() == {"k": 4, "up": 11 * MIB}, f"{t.keys()}")


@case("stowage", waits=True)
def closed_port(t):
    holder = socket.socket()  # bound, so that nobody else gets the port; but it does not listen
    holder.bind(("127.0.0.1", 0))
    t.at_end(holder.close)
    url = f"http://127.0.0.1:{holder.getsockname()[1]}"
    source = make_file(t.path("in"), 10)
    for args in (["cp", source, t.uri("k")], ["cp", t.uri("k"), t.path("out")]):
        t.fails(args, EXIT_ENVIRONMENT, t.uri("k") + ": connection refused (" + url[7:] + ")",
                env={"AWS_ENDPOINT_URL": url})
    no_leftovers(t, "in")


@case("stowage", "rgw")
def plain_where_tls_is_asked(t):
    source = make_file(t.path("in"), 10)
    t.fails(["cp", source, t.uri("k")], EXIT_ENVIRONMENT,
            t.uri("k") + ": the server does not speak TLS",
            env={"AWS_ENDPOINT_URL": t.server.url.replace("http:", "https:")})


@case("stowage")
def unresolvable_host(t):
    source = make_file(t.path("in"), 10)
    for style in ("path", "virtual", "auto"):
        t.fails(["cp", "--addressing", style, source, t.uri("k")], EXIT_ENVIRONMENT,
                t.uri("k") + ": the host name cannot be resolved", "no-such-host.invalid",
                env={"AWS_ENDPOINT_URL": "http://no-such-host.invalid:80"})


@case("stowage")
def garbage_from_the_server(t):
    source = make_file(t.path("in"), 10)
    large = make_file(t.path("large"), 11 * MIB)
    t.put("there", b"data")
    many = b"".join(b"X-%d: y\r\n" % index for index in range(1000))
    garbage, closed, big = ("the server's answer is not HTTP",
                            "the server closed the connection too early",
                            "the server's answer has too large a head")
    for answer, words in ((b"\x00\x01\x02 what is this\r\n\r\n" * 100, garbage),
                          (b"SSH-2.0-OpenSSH_9.2\r\n", garbage),
                          (b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n", garbage),
                          (b"", closed),
                          (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", big),
                          (b"HTTP/1.1 200 OK\r\n" + many + b"\r\n", big)):
        server = Babbler(answer)
        env = {"AWS_ENDPOINT_URL": server.url}
        for args, what in ((["cp", source, t.uri("k")], t.uri("k")),
                           (["cp", *PARTS, large, t.uri("k")], t.uri("k")),
                           (["cp", t.uri("there"), t.path("out")], t.uri("there")),
                           (["ls", t.uri()], t.uri())):
            t.fails([*args, "--retries", "1"], EXIT_ENVIRONMENT, what + ": " + words,
                    server.url[7:], env=env)
        server.close()
    no_leftovers(t, "in", "large")


@case("stowage")
def html_instead_of_xml(t):
    """A proxy's page with status 200 is not a listing, not an object, and stores nothing."""
    page = b"<html><body>Please log in</body></html>"
    server = Babbler(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" %
                     (len(page), page))
    t.at_end(server.close)
    source = make_file(t.path("in"), 11 * MIB)
    xml, s3 = "the XML that S3 specifies", "the server's answer is not that of an S3 store"
    for args, words in ((["ls", t.uri()], xml),
                        (["cp", "-r", t.uri("p/"), t.path("out")], xml),
                        (["cp", *PARTS, source, t.uri("k")], xml),
                        (["cp", source, t.uri("k")], s3),
                        (["cp", t.uri("k"), t.path("file")], s3),
                        (["cp", t.uri("k"), "-"], s3)):
        result = t.fails([*args, "--retries", "1"], EXIT_ENVIRONMENT, t.bucket, words,
                         env={"AWS_ENDPOINT_URL": server.url})
        require(result.raw == b"", f"{result}")
    no_leftovers(t, "in", "out")


@case(*BOTH)
def full_disk(t):
    t.put("small", b"x" * 1000)
    t.put("large", bytes(12 * MIB))
    target = mount(t, "-o", "size=8m")
    t.fails(["cp", t.uri("large"), target + "/out"], EXIT_ENVIRONMENT,
            t.uri("large") + ": " + target + "/out: no space left")
    require(os.listdir(target) == [], f"leftovers: {os.listdir(target)}")
    t.argosy("cp", t.uri("small"), target + "/out")


@case("stowage")
def full_disk_for_a_large_one(t):
    """One that has no room leaves the room to those that fit; where nothing fits the run ends."""
    t.put("p/large", bytes(20 * MIB))
    for index in range(20):
        t.put(f"p/small-{index}", b"x" * 1000)
    target = mount(t, "-o", "size=2m")
    result = t.fails(["cp", "-r", "--json", t.uri("p/"), target], EXIT_SOME,
                     t.uri("p/large") + ": " + target + "/large: no space left")
    require([result.json[n] for n in ("found", "done", "failed")] == [21, 20, 1], f"{result}")
    require(len(os.listdir(target)) == 20, f"{os.listdir(target)}")
    for index in range(20):
        t.put(f"q/{index:02}", bytes(MIB))
    result = t.fails(["cp", "-r", "--json", t.uri("q/"), target + "/q"], EXIT_ENVIRONMENT, t.bucket,
                     "no space left")
    names = os.listdir(target + "/q")
    require(len(names) == result.json["done"] and all(len(n) == 2 for n in names),
            f"{names}: {result}")


@case(*BOTH)
def read_only_target(t):
    t.put("k", b"data")
    target = mount(t, "-o", "ro,size=1m")
    t.fails(["cp", t.uri("k"), target + "/out"], EXIT_ENVIRONMENT,
            t.uri("k") + ": " + target + "/out: read-only file system")
    t.fails(["cp", "-r", t.uri(), target + "/new"], EXIT_ENVIRONMENT,
            target + "/new: read-only file system")


@case(*BOTH)
def target_folder_is_missing(t):
    """It is made, as with -r, and as other movers do; a file in its place is not replaced."""
    t.put("k", b"data")
    t.argosy("cp", t.uri("k"), t.path("none/deep/out"))
    require(os.listdir(t.path("none/deep")) == ["out"], f"{os.listdir(t.path('none/deep'))}")
    t.fails(["cp", t.uri("k"), t.path("none/deep/out/k")], EXIT_MISSING, "none/deep/out",
            "no such file or directory", "is not a directory")


@case(*BOTH)
def target_is_a_folder_where_a_file_must_be(t):
    t.put("p/a", b"data")
    t.put("p/b", b"data")
    os.makedirs(t.path("out/a/in-the-way"))
    t.fails(["cp", "-r", t.uri("p/"), t.path("out")], EXIT_SOME, "p/a", "directory")
    require(sorted(os.listdir(t.path("out"))) == ["a", "b"], f"{os.listdir(t.path('out'))}")


def as_nobody(t):
    """argosy by a user without rights, where su can do that."""
    if os.geteuid():
        raise Skip("needs root, to become another user")
    os.chmod(t.dir, 0o777)
    os.chmod(t.path("home"), 0o777)
    for folder in (harness.ROOT, harness.BUILD, t.dir):
        while folder != "/":
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                raise Skip(f"{folder} is closed to other users")
            folder = os.path.dirname(folder)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", harness.ARGOSY]


@case("stowage")
def unreadable_file(t):
    argv = as_nobody(t)
    make_file(t.path("in/a"), 10)
    make_file(t.path("in/b"), 10)
    make_file(t.path("in/c"), 11 * MIB)
    os.chmod(t.path("in/b"), 0)
    result = t.start(*argv[1:], "cp", "-r", "--memory", "64M", t.path("in"), t.uri(),
                     program=argv[0]).finish()
    require(result.code == EXIT_SOME and f"{t.path('in/b')}: permission denied" in result.err,
            f"{result}")
    require(set(t.keys()) == {"a", "c"}, f"{t.keys()}")
    result = t.start(*argv[1:], "cp", "--memory", "64M", t.path("in/b"), t.uri("b"),
                     program=argv[0]).finish()
    require(result.code == EXIT_SOME and f"{t.path('in/b')}: permission denied" in result.err,
            f"{result}")


@case("stowage")
def target_of_another_user(t):
    argv = as_nobody(t)
    t.put("k", b"data")
    os.mkdir(t.path("theirs"))
    for target in (["theirs/out"], ["theirs/deep/out"], ["-r", "theirs/deep"]):
        *options, name = target
        result = t.start(*argv[1:], "cp", *options, "--memory", "64M",
                         t.uri("" if options else "k"), t.path(name), program=argv[0]).finish()
        require(result.code == EXIT_SOME and "theirs" in result.err and
                "permission denied" in result.err, f"{result}")
    require(os.listdir(t.path("theirs")) == [], f"{os.listdir(t.path('theirs'))}")


@case("stowage")
def unprivileged_user(t):
    """The locked-memory limit of an ordinary user (8 MiB) is enough, or the remedy is told."""
    argv = as_nobody(t)
    source = make_file(t.path("in"), 40 * MIB)
    for limit in (8 * MIB, 64 * 1024):
        result = t.start(f"--memlock={limit}", *argv, "cp", *PARTS, source, t.uri("k"),
                         program="prlimit").finish()
        if result.code == 0:
            require(t.keys() == {"k": 40 * MIB}, f"{t.keys()}")
        else:
            require(result.code == EXIT_ENVIRONMENT and "ulimit -l" in result.err, f"{result}")


@case("stowage")
def no_io_uring(t):
    """A container's seccomp filter answers EPERM to io_uring_setup."""
    script = ("import ctypes,os,struct,sys\n"
              "libc=ctypes.CDLL(None,use_errno=True)\n"
              "code=[(0x20,0,0,0),(0x15,0,1,425),(0x06,0,0,0x00050001),(0x06,0,0,0x7fff0000)]\n"
              "raw=b''.join(struct.pack('HBBI',*c) for c in code)\n"
              "buf=ctypes.create_string_buffer(raw)\n"
              "class P(ctypes.Structure):_fields_=[('n',ctypes.c_ushort),('p',ctypes.c_void_p)]\n"
              "p=P(len(code),ctypes.addressof(buf))\n"
              "assert libc.prctl(38,1,0,0,0)==0\n"
              "assert libc.prctl(22,2,ctypes.byref(p))==0\n"
              "os.execv(sys.argv[1],sys.argv[1:])\n")
    source = make_file(t.path("in"), 10)
    result = t.start("-c", script, harness.ARGOSY, "cp", source, t.uri("k"),
                     program="/usr/bin/python3").finish()
    require(result.code == EXIT_ENVIRONMENT, f"{result}")
    require("io_uring" in result.err, f"{result}")


@case("stowage")
def others_are_done(t):
    """One object fails, the others come, and the numbers say so."""
    for index in range(20):
        t.put(f"p/{index}", b"x" * index)
    t.put("p/../bad", b"data")
    result = t.argosy("cp", "-r", "--json", t.uri("p/"), t.path("out"), code=EXIT_SOME)
    numbers = result.json
    require((numbers["found"], numbers["done"], numbers["failed"]) == (21, 20, 1), f"{result}")
    require(len(os.listdir(t.path("out"))) == 20, f"{os.listdir(t.path('out'))}")


@case("stowage", "rgw")
def existing_bucket(t):
    """One's own: both servers answer 200, as Amazon does in us-east-1."""
    t.argosy("mb", f"s3://{t.bucket}")


@case("stowage")
def no_progress_line_in_files(t):
    source = make_file(t.path("in"), 6 * MIB)
    result = t.argosy("cp", source, t.uri("k"))
    require("\r" not in result.out + result.err and "\x1b" not in result.out + result.err,
            f"{result}")
    same(source, source)
