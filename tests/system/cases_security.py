"""Security: secrets stay where they are, a bucket does not lead out of the target, and answers
without end or measure end."""

import ctypes
import os
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

import harness
import servers
from content import make_file
from harness import (EXIT_CREDENTIALS, EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME, MIB,
                     PARTS, Skip, case, require, wait_for)

SECRET = "AbSecretOfThisTestOnly/0123456789+xyzXYZ"
TOKEN = "AbTokenOfThisTestOnly" + "0123456789" * 20


def files_of(folder):
    return [os.path.join(here, name) for here, _, names in os.walk(folder) for name in names]


def seen_by_ps(pid):
    """What any user of the machine sees of a process."""
    seen = b""
    for name in ("cmdline", "comm", "status", *(f"task/{n}/comm" for n in
                                                os.listdir(f"/proc/{pid}/task"))):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            seen += file.read()
    return seen


@case()
def secrets_stay_home(t):
    """Neither the secret key nor the token is in anything that argosy or stowage writes: words of
    all kinds, the journal of a run that was interrupted, its temporary files, the manifest, the
    log of decisions, and what ps shows."""
    t.server = servers.Stowage("-v")
    t.at_end(t.server.stop)
    env = {"AWS_SESSION_TOKEN": TOKEN}
    make_file(t.path("in/a"), 10)
    make_file(t.path("in/large"), 20 * MIB)
    s3, said = t.server.boto3(), []

    def run(*args, code=EXIT_OK, **more):
        result = t.argosy(*args, code=code, env={**env, **more})
        said.append(result.raw + result.err.encode())

    talk = ("-vvv", "--json", "--log-decisions", t.path("decisions"))
    run("mb", "s3://bucket")
    slow = t.start("cp", "-r", *talk, *PARTS, "--max-rate", "4M",
                   "--manifest", t.path("m"), t.path("in"), "s3://bucket/p/", env=env)
    wait_for(lambda: s3.list_multipart_uploads(Bucket="bucket").get("Uploads"), "an upload")
    said.append(seen_by_ps(slow.popen.pid))
    slow.signal(signal.SIGINT)
    result = slow.finish()
    require(result.code == EXIT_INTERRUPTED, f"{result}")
    said.append(result.raw + result.err.encode())
    journal = t.path("home/.local/state/argosy/journal.db")
    require(os.path.getsize(journal) > 0, "no journal")
    run("resume", "-vvv")
    run("cp", "-r", *talk, "s3://bucket/p/", t.path("out"))
    run("verify", "-r", "-vvv", t.path("in"), "s3://bucket/p/")
    for failing in ({"AWS_SECRET_ACCESS_KEY": SECRET}, {"AWS_ACCESS_KEY_ID": "NOBODY"},
                    {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}):
        run("cp", "-vvv", "--retries", "0", t.path("in/a"), "s3://bucket/b", code=None, **failing)
    require(b"SignatureDoesNotMatch" in said[-3], f"{said[-3]}")
    written = {path: open(path, "rb").read() for path in files_of(t.dir)}
    require(t.path("decisions") in written and t.path("m.partial") in written, f"{list(written)}")
    written["the words"], written["stowage"] = b"".join(said), t.server.words().encode()
    for secret in (t.server.secret, SECRET, TOKEN, TOKEN[:40]):
        for place, content in written.items():
            require(secret.encode() not in content, f"{secret} is in {place}")


@case("stowage")
def files_are_private(t):
    """The journal and what is not whole yet are their owner's alone, whatever the umask allows."""
    t.put("k", bytes(24 * MIB))
    before = os.umask(0)
    try:
        slow = t.start("cp", *PARTS, "--max-rate", "4M", t.uri("k"), t.path("out/k"))
    finally:
        os.umask(before)
    wait_for(lambda: os.path.isdir(t.path("out")) and os.listdir(t.path("out")), "a file")
    paths = files_of(t.path("out")) + files_of(t.path("home/.local/state/argosy"))
    modes = {path: os.stat(path).st_mode & 0o777 for path in paths}
    slow.signal(signal.SIGINT)
    require(slow.finish().code == EXIT_INTERRUPTED, "not interrupted")
    require(len(modes) >= 2 and set(modes.values()) == {0o600}, f"{modes}")
    folder = os.stat(t.path("home/.local/state/argosy")).st_mode & 0o777
    require(folder == 0o700, f"{folder:o}")


@case("stowage")
def no_core_files(t):
    """A crash leaves no core, where one of another program would."""
    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)

    def crash(argv, ready, env):
        child = subprocess.Popen(argv, env=env, cwd=t.dir, preexec_fn=unlimited,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        wait_for(lambda: ready(child.pid), f"{argv[0]} to be under way")
        os.kill(child.pid, signal.SIGSEGV)
        _, status = os.waitpid(child.pid, 0)
        child.returncode = -signal.SIGSEGV
        require(os.WIFSIGNALED(status), f"{argv[0]}: {status}")
        return os.WCOREDUMP(status)

    t.put("k", bytes(8 * MIB))
    before = len(os.listdir(t.dir)) + 1  # with the core of the first, if any
    possible = crash(["sleep", "60"], lambda pid: b"sleep" in seen_by_ps(pid), {})
    dumped = crash([harness.ARGOSY, "cp", "--journal", "none", "--max-rate", "1M", t.uri("k"),
                    t.path("out")],
                   lambda pid: len(os.listdir(t.dir)) > before - (not possible),
                   t.environment(ASAN_OPTIONS="handle_segv=0:disable_coredump=0"))
    require(not dumped, "argosy left a core")
    if not possible:
        raise Skip("no program leaves a core on this machine")


class Swapper:
    """Exchanges a folder with a symbolic link, and back, without a moment that has neither."""

    def __init__(self, a, b):
        self.a, self.b, self.swaps, self.on = a.encode(), b.encode(), 0, True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        while self.on:
            if rename(-100, self.a, -100, self.b, 2) == 0:  # AT_FDCWD, RENAME_EXCHANGE
                self.swaps += 1
            time.sleep(0.0003)

    def stop(self):
        self.on = False
        self.thread.join()


@case("stowage")
def link_races(t):
    """Folders of the target become links to elsewhere, and folders again, while files come: nothing
    is written elsewhere, whichever call the change falls between."""
    keys = [f"d/{i % 4}/f{i}" for i in range(400)]
    for key in keys:
        make_file(t.path("in", key), 100)
    t.argosy("cp", "-r", t.path("in"), t.uri())
    outside = t.path("elsewhere")
    for n in range(4):
        os.makedirs(f"{outside}/{n}")
    os.makedirs(t.path("out/d"))
    os.symlink(outside, t.path("out/link"))
    swapper = Swapper(t.path("out/d"), t.path("out/link"))
    refused = 0
    for runs in range(30):  # three, and more where the machine lets the swapper run but rarely
        if runs >= 3 and refused > 0:
            break
        before = swapper.swaps
        result = t.argosy("cp", "-r", "--journal", "none", t.uri(), t.path("out"),
                          code={EXIT_OK, EXIT_SOME})
        refused += result.code == EXIT_SOME
        require(swapper.swaps > before, "nothing was exchanged meanwhile")
        require(files_of(outside) == [], f"written elsewhere: {files_of(outside)}\n{result}")
    swapper.stop()
    require(refused > 0, "no file ever met the link: the test proves nothing")


class Endless:
    """A server whose answer begins with `head`, and goes on with `again` for ever."""

    def __init__(self, head, again):
        self.head, self.again, self.sent = head, again * (65536 // len(again)), 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                client.recv(65536)
                client.sendall(self.head)
                while self.sent < 1 << 30:
                    client.sendall(self.again)
                    self.sent += len(self.again)
            except OSError:
                pass

    def close(self):
        self.listener.close()


OK, XML = b"HTTP/1.1 200 OK\r\n", b"Content-Type: application/xml\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n" + XML
ROOT = b"<ListBucketResult>"
NO_S3, NO_XML, HEAD = "not that of an S3 store", "not the XML", "too large a head"
DENIED, FAILED = "access denied", "the server failed internally"


@case("stowage")
def endless_answers(t):
    """Whatever a server sends for ever ends soon, costs little, and is called by its name."""
    source = make_file(t.path("file"), 10)
    for head, again, words, words_of_put in (
            (OK + b"X: ", b"y", HEAD, HEAD),
            (OK, b"X: y\r\n", HEAD, HEAD),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, HEAD),
            (OK + XML + ROOT, b"<Contents><Key>k</Key></Contents>", NO_XML, NO_S3),
            (OK + XML, b"<a>", NO_XML, NO_S3),
            (OK + XML, b" ", NO_XML, NO_S3),
            (OK + XML + ROOT + b"<Name>", b"x", NO_XML, NO_S3),
            (OK + XML + b'<ListBucketResult a="', b"x", NO_XML, NO_S3),
            (CHUNKED, b"3\r\n   \r\n", NO_XML, NO_S3),
            (CHUNKED, b"0", HEAD, NO_S3),
            (CHUNKED + b"1;", b"x", HEAD, NO_S3),
            (CHUNKED + b"0\r\n", b"X: y\r\n", HEAD, NO_S3),
            (b"HTTP/1.1 403 Forbidden\r\n" + XML + b"<Error><Message>", b"no ", DENIED, DENIED),
            (b"HTTP/1.1 500 Oh\r\n\r\n", b"<html>", FAILED, FAILED)):
        server = Endless(head, again)
        env = {"AWS_ENDPOINT_URL": server.url}
        for args, said in (["ls", t.uri()], words), (["cp", source, t.uri("k")], words_of_put):
            before = server.sent
            result = t.argosy(*args, "--retries", "0", code={EXIT_SOME, EXIT_CREDENTIALS,
                                                            EXIT_ENVIRONMENT}, env=env)
            require(said in result.err, f"not {said!r} after {head + again[:20]}: {result}")
            require(server.sent - before <= 40 * MIB, f"{server.sent - before} B read: {result}")
            require(result.cpu_s < 3 and result.rss_bytes < 64 * MIB,
                    f"{result.cpu_s} s, {result.rss_bytes} B: {result}")
        server.close()


class Cutter:
    """A TLS server that answers a listing without a length, and ends the connection with or without
    the alert that says so."""

    def __init__(self, folder, says_so):
        certificate, key = servers.make_certificate(folder)
        self.ca, self.says_so = certificate, says_so
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                stream = self.context.wrap_socket(client, server_side=True)
                stream.recv(65536)
                stream.sendall(OK + XML + b"<ListBucketResult><IsTruncated>false</IsTruncated>"
                               b"<Contents><Key>k</Key><Size>1</Size></Contents>"
                               b"</ListBucketResult>")
                if self.says_so:
                    stream.unwrap()
                os.close(stream.detach())
            except OSError:
                client.close()

    def close(self):
        self.listener.close()


@case("stowage")
def tls_is_cut_off(t):
    """The end of a TCP connection, which anybody on the way can bring about, is not the end of what
    was said over TLS."""
    for says_so in (True, False):
        server = Cutter(t.path(f"cert-{says_so}"), says_so)
        t.at_end(server.close)
        args = ["ls", t.uri(), "--retries", "0", "--ca-bundle", server.ca]
        env = {"AWS_ENDPOINT_URL": server.url}
        if says_so:
            require("k" in t.argosy(*args, env=env).out, "the control fails")
        else:
            t.fails(args, EXIT_ENVIRONMENT, t.bucket, "cut without a closing alert", env=env)
