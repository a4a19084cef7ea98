"""The system tests' driver: cases, their environment, and the count.

A case is a function in cases_*.py marked with @case("stowage", "rgw"): it runs once a server named,
in a folder and a bucket of its own, and gets a `Test`. Names are module.function[server]. Cases
marked with waits=True come first, some beside each other, each with a server of its own. A server
whose programs are not installed makes its cases loud skips. Nothing of the caller's AWS_*, CA or
proxy settings reaches the tests."""

import glob
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
ARGOSY = os.path.join(BUILD, "argosy")
STOWAGE = os.path.join(BUILD, "stowage")
MIB = 1024 * 1024
BUGS = ("check failed:", "Sanitizer:", "runtime error:")  # what CHECK and the sanitizers say
PARTS = ("--part-size", "5M", "--multipart-threshold", "5M")  # as small as S3 has them

EXIT_OK, EXIT_SOME, EXIT_USAGE, EXIT_CREDENTIALS, EXIT_MISSING, EXIT_ENVIRONMENT = range(6)
EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
WAITING_MAX = 3  # cases that wait beside each other
FINISH_S = 120  # by then a program that ends at all has ended, on a machine that others load too

# What argosy is sent it must not ignore, though tests may run under nohup or behind a script's &.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

cases = []  # (name, function, server name or None)


class Skip(Exception):
    """The case cannot run here; the text says why."""


class Failure(AssertionError):
    """The case found a fault of the product."""


def case(*servers, waits=False):
    """Registers a case for each server named; with none it runs once, without a server. waits: it
    mostly waits, for what is slow on purpose, and may run beside others that do: it judges neither
    speed nor CPU, and counts on no port that nobody holds."""
    def register(function):
        function.waits = waits
        module = function.__module__.removeprefix("cases_")
        for server in servers or (None,):
            name = f"{module}.{function.__name__}" + (f"[{server}]" if server else "")
            cases.append((name, function, server))
        return function
    return register


def require(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(condition, what, seconds=60):
    """What it says in the end, which is true; `what`: a text, or who makes one. Seconds are many,
    since they cost nothing where things work, however busy the machine is."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise Failure(f"waited in vain for {what}: {seconds} s")
        time.sleep(0.01)


def is_sanitized():
    """Were the programs built with SANITIZE=? Then memory, copies and speed say nothing of them."""
    with open(os.path.join(BUILD, "flags"), encoding="utf-8") as file:
        return "-fsanitize=" in file.read()


# LeakSanitizer stops the world with a thread of its own, which the kernel refuses to a process that
# has unshared its PID namespace, as wanlab does: unshare(2), CLONE_NEWPID.
NO_LEAKS = "verify_asan_link_order=0:detect_leaks=0"


def need_plain_build():
    if is_sanitized():
        raise Skip("measures memory or speed, of which a sanitizer's build says nothing")


def clean_environment():
    for name in list(os.environ):
        if name.startswith(("AWS_", "RGW_", "SWIFT_")) or name.endswith(
                ("_CA_BUNDLE", "_proxy", "_PROXY", "CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


class Result:
    """What a program did: exit code, what it wrote, and what it used."""

    def __init__(self, argv, code, out, err, usage, seconds, rss_bytes):
        self.argv, self.code, self.raw, self.err = argv, code, out, err
        self.out = out.decode("utf-8", "replace")
        self.rss_bytes = rss_bytes
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.seconds = seconds

    @property
    def json(self):
        return json.loads(self.out.strip().split("\n")[-1])

    def __str__(self):
        shown = " ".join(a if len(a) < 200 else a[:60] + "…" for a in self.argv)
        return (f"{shown}\n  exit {self.code} after {self.seconds:.2f} s\n  out: "
                f"{self.out[-1500:].strip()}\n  err: {self.err[-3000:].strip()}")


def status_kib(pid, field):
    """A line of /proc/PID/status in KiB; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next(int(li.split()[1]) for li in file if li.startswith(field + ":"))
    except (OSError, StopIteration):
        return 0


class Process:
    """A program under way; finish() waits for it and measures it.

    A child's ru_maxrss begins with what its parent had at the exec, so that it says nothing below
    our own size: there, the high-water mark of /proc, looked at every few milliseconds, counts."""

    def __init__(self, argv, env, cwd, stdin=subprocess.DEVNULL, stdout=None):
        self.argv = [str(a) for a in argv]
        self.out_file = tempfile.TemporaryFile() if stdout is None else None
        self.err_file = tempfile.TemporaryFile()
        self.started = time.monotonic()
        self.ours_kib, self.peak_kib = status_kib("self", "VmHWM"), 0
        self.popen = subprocess.Popen(self.argv, env=env, cwd=cwd, stdin=stdin,
                                      stdout=self.out_file if stdout is None else stdout,
                                      stderr=self.err_file)

    def signal(self, number):
        self.popen.send_signal(number)

    def said(self):
        """Its standard error so far."""
        return os.pread(self.err_file.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def interrupt(self, number):
        """Sends argosy a signal, and waits until it stops whatever it is held up at."""
        self.signal(number)
        wait_for(lambda: "stopping" in self.said(), "its word that it stops")
        time.sleep(0.2)  # it tells its cores behind that word

    def finish(self, timeout=FINISH_S):
        late = threading.Event()

        def end():
            late.set()
            self.popen.kill()
        timer = threading.Timer(timeout, end)
        timer.start()
        while True:
            self.peak_kib = max(self.peak_kib, status_kib(self.popen.pid, "VmHWM"))
            pid, status, usage = os.wait4(self.popen.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(min(0.01, 0.001 + (time.monotonic() - self.started) / 20))
        timer.cancel()
        peak_kib = usage.ru_maxrss if usage.ru_maxrss > self.ours_kib else self.peak_kib
        peak_kib = 0 if is_sanitized() else peak_kib  # its shadow is most of it
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        out = b""
        if self.out_file:
            self.out_file.seek(0)
            out = self.out_file.read()
        self.err_file.seek(0)
        err = self.err_file.read().decode("utf-8", "replace")
        result = Result(self.argv, self.popen.returncode, out, err, usage,
                        time.monotonic() - self.started, peak_kib * 1024)
        require(not late.is_set(), f"still running after {timeout} s:\n{result}")
        require(not any(word in err for word in BUGS), f"a bug of ours:\n{result}")
        return result


class Test:
    """What a case has: a folder, a server, a bucket, and the program under test."""

    def __init__(self, name, server):
        self.name, self.server = name, server
        self.dir = tempfile.mkdtemp(prefix="case-", dir=work_folder())
        self.bucket, self.s3, self.ends, self.program = None, None, [], ""
        os.mkdir(self.path("home"))
        if server:
            self.s3 = server.boto3()
            self.bucket = self.new_bucket()

    # folders and buckets
    def path(self, *names):
        return os.path.join(self.dir, *names)

    def new_bucket(self):
        name = f"t{os.getpid()}-{time.monotonic_ns() % 10**12}"
        self.s3.create_bucket(Bucket=name)
        self.at_end(lambda: empty_bucket(self.s3, name, self.server and self.server.forgets))
        return name

    def uri(self, key=""):
        return f"s3://{self.bucket}/{key}"

    def at_end(self, function):
        self.ends.append(function)

    def keys(self, **query):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **query)
        return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}

    def put(self, key, data):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def uploads(self):
        return self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    # programs
    def environment(self, **more):
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8",
               "HOME": self.path("home"), "XDG_RUNTIME_DIR": self.path("home"),
               "TMPDIR": self.dir, "AWS_EC2_METADATA_DISABLED": "true"}
        if is_sanitized():  # preloaded libraries come before its runtime
            env["ASAN_OPTIONS"] = "verify_asan_link_order=0"
        if is_sanitized() and self.program == "wanlab":
            env["ASAN_OPTIONS"] = NO_LEAKS
        if self.server:
            env.update(self.server.environment())
        for name, value in more.items():
            env.pop(name, None)
            if value is not None:
                env[name] = str(value)
        return env

    def start(self, *args, env=None, program=None, stdin=subprocess.DEVNULL, stdout=None):
        need_program(program or ARGOSY)
        self.program = os.path.basename(program or ARGOSY)
        return Process([program or ARGOSY, *args], self.environment(**(env or {})), self.dir,
                       stdin, stdout)

    def argosy(self, *args, code=EXIT_OK, timeout=FINISH_S, **how):
        """Runs argosy and requires its exit code (one, several, or None for any)."""
        result = self.start(*args, **how).finish(timeout)
        codes = code if isinstance(code, (tuple, set)) else (code,)
        require(code is None or result.code in codes, f"exit code is not {code}:\n{result}")
        return result

    def fails(self, args, code, *words, **how):
        """argosy must fail with that code and one line that has all the words, ignoring case."""
        result = self.argosy(*args, code=code, **how)
        lines = [li for li in result.err.split("\n") if li.strip()]
        require(any(all(w.lower() in li.lower() for w in words) for li in lines),
                f"no line of stderr has all of {words}:\n{result}")
        require(len(lines) <= 12, f"too many words about one failure:\n{result}")
        return result

    def close(self, check):
        leaked = self.uploads() if check and self.bucket else []
        for end in reversed(self.ends):
            try:
                end()
            except Exception as problem:  # what a test leaves must not fail the next
                print(f"        (cleaning up {self.name}: {problem})", flush=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        require(not leaked, f"leaked multipart uploads: {[u['Key'] for u in leaked]}")


def empty_bucket(s3, name, forgets=False):
    """Removes it with all that is in it; many small objects stay where a server forgets them."""
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=name))
    items = [item for page in pages for item in page.get("Contents", [])]
    if forgets and sum(item["Size"] for item in items) < len(items) * MIB:
        return
    for at in range(0, len(items), 1000):
        keys = [{"Key": item["Key"]} for item in items[at:at + 1000]]
        s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
    s3.delete_bucket(Bucket=name)


def preloads(path):
    """LD_PRELOAD of a library of ours: a sanitizer's runtime must come before it."""
    found = subprocess.run(["ldd", ARGOSY], stdout=subprocess.PIPE, check=True).stdout.decode()
    runtime = re.search(r"=> (\S*lib[at]san\S*)", found)
    return f"{runtime.group(1)}:{path}" if runtime else path


def need_program(path):
    """Another project's program may be absent; one of ours may not."""
    if not shutil.which(path):
        kind = Failure if path.startswith(BUILD) else Skip
        raise kind(f"{os.path.relpath(path, ROOT) if path.startswith('/') else path} is missing")


def work_folder():
    folder = os.path.join(BUILD, "system")
    os.makedirs(folder, exist_ok=True)
    return folder


def choose(words):
    """The cases that a word names; with SERVERS='stowage …' those of these, and of none."""
    sys.path.insert(0, HERE)
    for path in sorted(glob.glob(os.path.join(HERE, "cases_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])
    named = os.environ.get("SERVERS", "").split()
    chosen = [c for c in cases if (not words or any(w in c[0] for w in words)) and
              (not named or c[2] is None or c[2] in named)]
    if words and not chosen:
        sys.exit(f"no system test has one of {words} in its name")
    return chosen


def run_one(name, function, server_name):
    """'ok', 'FAILED' or 'SKIPPED', and why."""
    import servers
    test, state, why = None, "ok", ""
    try:
        test = Test(name, servers.get(server_name) if server_name else None)
        function(test)
    except Skip as skip:
        state, why = "SKIPPED", str(skip)
    except Failure as failure:
        state, why = "FAILED", str(failure)
    except Exception:
        state, why = "FAILED", traceback.format_exc(limit=-6)
    if test:
        try:
            test.close(state == "ok")
        except Exception as problem:
            state, why = ("FAILED", str(problem)) if state == "ok" else (state, why)
    return state, why


class Beside:
    """A case in a process of its own; take() waits for what became of it."""

    def __init__(self, case_of):
        import servers
        self.name, self.started = case_of[0], time.monotonic()
        self.file = tempfile.TemporaryFile()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            servers.started.clear()
            try:
                try:
                    done = run_one(*case_of)
                finally:
                    servers.stop_all()
                self.file.write(json.dumps(done).encode())
                self.file.flush()
                sys.stdout.flush()
            finally:  # what comes behind is our parent's
                os._exit(0)

    def take(self):
        """(state, why, seconds); the process has ended."""
        self.file.seek(0)
        state, why = json.loads(self.file.read() or b'["FAILED", "its process ended amidst it"]')
        return state, why, time.monotonic() - self.started


def run_waiting(chosen):
    """Name → (state, why, seconds) of the cases that mostly wait: so many beside each other."""
    left = [c for c in chosen if c[1].waits]
    under_way, results = {}, {}
    if len(left) < 2:
        return results
    print(f"        {len(left)} cases that mostly wait, {WAITING_MAX} at a time, come first",
          flush=True)
    try:
        while left or under_way:
            while left and len(under_way) < WAITING_MAX:
                beside = Beside(left.pop(0))
                under_way[beside.pid] = beside
            for pid in list(under_way):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    beside = under_way.pop(pid)
                    results[beside.name] = beside.take()
            time.sleep(0.02)
    finally:
        for pid in under_way:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
    return results


def run_timed(name, function, server_name):
    started = time.monotonic()
    return (*run_one(name, function, server_name), time.monotonic() - started)


def run(words):
    """(passed, failed, skipped)."""
    clean_environment()
    import servers
    chosen = choose(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    total, skips = {"ok": 0, "FAILED": 0, "SKIPPED": 0}, {}
    try:
        waited = run_waiting(chosen)
        for name, function, server in chosen:
            state, why, seconds = waited.get(name) or run_timed(name, function, server)
            total[state] += 1
            print(f"{state:7} system {name} ({seconds:.1f} s)", flush=True)
            if state == "SKIPPED":
                skips.setdefault(why, []).append(name)
            if state == "FAILED":
                print("        " + why.strip().replace("\n", "\n        "))
                print(f"        rerun: BUILD={BUILD} {ROOT}/tests/run system '{name}'", flush=True)
    finally:
        servers.stop_all()
    for why, names in skips.items():
        print(f"*** SKIPPED {len(names)}: {why}: {' '.join(names)}", flush=True)
    return [total["ok"], total["FAILED"], total["SKIPPED"]]
