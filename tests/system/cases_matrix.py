"""stowage misbehaves on demand: each act is what it says, seen by a client that is not argosy. And
it is as fast as it is told to be."""

import concurrent.futures
import http.client
import os
import re
import signal
import socket
import subprocess
import time

import matrix
import servers
from content import make_file
from harness import Failure, STOWAGE, case, require, wait_for


class Plain:
    """Requests by Python's http.client, unsigned, to a stowage of the case's own."""

    def __init__(self, t, *options):
        self.server = servers.Stowage("--no-auth", *options)
        t.at_end(self.server.stop)
        self.place = self.server.url.partition("://")[2]
        self.ask("PUT", "/bucket")
        self.ask("PUT", "/bucket/k", bytes(range(256)) * 40)

    def open(self):
        return http.client.HTTPConnection(self.place, timeout=20)

    def ask(self, method, path, body=None):
        """(status, headers, body), or the exception."""
        connection = self.open()
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        except (OSError, http.client.HTTPException) as problem:
            return problem
        finally:
            connection.close()

    def hit(self, rule, method="GET", path="/bucket/k", body=None):
        """What a request gets that the rule hits, which must come about; and then is over."""
        self.server.faults(rule + " first=1")
        answer = self.ask(method, path, body)
        counts = self.server.fault_counts()
        require(counts == [(1, 1, 1)], f"{rule}: {counts} {answer}")
        after = self.ask("GET", "/bucket/k")
        require(after[0] == 200, f"after {rule}: {after}")
        return answer


CONTENT = bytes(range(256)) * 40


@case()
def acts_of_errors(t):
    plain = Plain(t)
    status, headers, body = plain.hit("error=SlowDown retry-after=2s")
    require(status == 503 and b"<Code>SlowDown</Code>" in body, f"{status} {body}")
    require(headers["Retry-After"] == "2", f"{headers}")
    status, headers, body = plain.hit("error=502")
    require(status == 502 and body == b"", f"{status} {body}")
    status, headers, body = plain.hit("redirect=http://other/")
    require(status == 307 and headers["Location"] == "http://other/", f"{headers}")
    status, _, body = plain.hit("error-in-200", "PUT", "/bucket/new", b"x")
    require(status == 200 and b"<Error><Code>InternalError" in body, f"{status} {body}")
    require(plain.ask("GET", "/bucket/new")[0] == 404, "it was done all the same")
    status, _, body = plain.hit("error=500 early", "PUT", "/bucket/new", bytes(1 << 20))
    require(status == 500, f"{status}")


@case()
def acts_of_connections(t):
    plain = Plain(t)
    for rule in ("reset", "reset after=50%", "reset in=request after=9", "lost"):
        method, body = ("PUT", bytes(1 << 20)) if "request" in rule else ("GET", None)
        answer = plain.hit(rule, method, "/bucket/k2" if body else "/bucket/k", body)
        require(isinstance(answer, (ConnectionResetError, BrokenPipeError)), f"{rule}: {answer!r}")
    answer = plain.hit("close after=100")
    require(isinstance(answer, http.client.IncompleteRead) and len(answer.partial) == 100,
            f"{answer!r}")
    answer = plain.hit("garbage")
    require(isinstance(answer, http.client.BadStatusLine), f"{answer!r}")
    status, headers, _ = plain.hit("connection-close")
    require(status == 200 and headers["Connection"] == "close", f"{headers}")
    plain.hit("lost", "PUT", "/bucket/lost", b"done")
    require(plain.ask("GET", "/bucket/lost")[2] == b"done", "it was not done")


@case()
def acts_of_replies(t):
    plain = Plain(t)
    _, right, body = plain.ask("GET", "/bucket/k")
    require(body == CONTENT, "other content")
    status, headers, body = plain.hit("corrupt after=300")
    require(len(body) == len(CONTENT) and [i for i, (a, b) in enumerate(zip(body, CONTENT))
                                           if a != b] == [300], "not one byte altered")
    status, headers, body = plain.hit("truncate after=10")
    require(body == CONTENT[:10] and headers["Content-Length"] == "10", f"{headers}")
    answer = plain.hit("length=5")
    require(isinstance(answer, http.client.IncompleteRead) and answer.partial == CONTENT,
            f"{answer!r}")
    _, _, body = plain.hit("length=-5")
    require(body == CONTENT[:-5], f"{len(body)}")
    _, headers, body = plain.hit("chunked")
    require(body == CONTENT and "Content-Length" not in headers, f"{headers}")
    _, headers, body = plain.hit("etag")
    require(body == CONTENT and headers["ETag"] != right["ETag"], f"{headers}")
    require(len(headers["ETag"]) == len(right["ETag"]), f"{headers}")
    answer = plain.hit("huge-header")
    require(isinstance(answer, http.client.HTTPException), f"{answer!r}")
    answer = plain.hit("many-headers")
    require(isinstance(answer, http.client.HTTPException), f"{answer!r}")


@case()
def acts_that_hold_up(t):
    """A delay, a pause midway, a rate, and a stall that the client's leaving ends."""
    plain = Plain(t)
    for rule, method, path in (("delay=300ms", "GET", "/bucket/k"),
                               ("stall=300ms after=50%", "GET", "/bucket/k"),
                               ("stall=300ms after=50%", "PUT", "/bucket/p"),
                               ("slow=34133", "GET", "/bucket/k"),
                               ("slow=34133", "PUT", "/bucket/p")):
        began = time.monotonic()
        answer = plain.hit(rule, method, path, CONTENT if method == "PUT" else None)
        took = time.monotonic() - began
        require(answer[0] == 200 and took > 0.28, f"{rule} {method}: {took:.2f} s, {answer[0]}")
    require(plain.ask("GET", "/bucket/p")[2] == CONTENT, "other content")
    plain.server.faults("stall after=100")
    client = plain.open()
    client.request("GET", "/bucket/k")
    require(len(client.getresponse().read1(100)) == 100, "no beginning")
    client.sock.settimeout(0.3)
    try:
        require(client.sock.recv(1) == b"never", "more came")
    except socket.timeout:
        pass
    sockets = len(os.listdir(f"/proc/{plain.server.pid}/fd"))
    client.close()
    fds = f"/proc/{plain.server.pid}/fd"
    wait_for(lambda: len(os.listdir(fds)) < sockets, "the end of a connection whose client left")


@case()
def rules_that_change(t):
    """A file with a fault in it changes nothing; counts and attempts begin anew with the rules."""
    plain = Plain(t)
    plain.server.faults("error=500 attempt=1 op=GetObject")
    require([plain.ask("GET", "/bucket/k")[0] for _ in range(2)] == [500, 200], "attempts")
    try:
        plain.server.faults("lots")
        refused = False
    except Failure as failure:
        refused = "'lots' is no act" in str(failure)
    require(refused, "a bad rule was taken")
    require(plain.server.fault_counts() == [(1, 1, 1)], "the rules are gone")
    plain.server.faults("error=500 attempt=1 op=GetObject")
    require(plain.ask("GET", "/bucket/k")[0] == 500, "attempts were not forgotten")
    done = subprocess.run([STOWAGE, "--fault", "stall", "--fault", "slow=nothing"],
                          stderr=subprocess.PIPE, timeout=20)
    require(done.returncode and b"it is slow=SIZE" in done.stderr, f"{done}")


@case()
def limited_prefix(t):
    """A prefix with a limit is refused beyond it; argosy gets everything there all the same."""
    t.server = servers.Stowage("--prefix-limit", "40/s:5 key=hot/*")
    t.at_end(t.server.stop)
    t.s3 = t.server.boto3()
    t.s3.create_bucket(Bucket="limited")
    for index in range(60):
        make_file(t.path("in", "hot" if index < 30 else "cold", f"f{index}"), 1000)
    result = t.argosy("cp", "-r", "--json", t.path("in"), "s3://limited/")
    require(result.json["done"] == 60 and result.json["retries"] > 0, f"{result}")
    keys = t.s3.list_objects_v2(Bucket="limited")["Contents"]
    require(len(keys) == 60 and {k["Size"] for k in keys} == {1000}, f"{len(keys)} keys")
    words = t.server.ask(signal.SIGUSR1, "faults: that is all")
    refused = int(re.search(r"slowed down: (\d+) by limits", words).group(1))
    require(refused == result.json["retries"], f"{refused} refused, {result}")


@case()
def service_times(t):
    """All sixteen come within the time of one, also on a machine that is slow to send them."""
    plain = Plain(t, "--service-time", "fixed:1s op=GetObject", "--knee", "4:2")

    def ask():
        began = time.monotonic()
        return plain.ask("GET", "/bucket/k")[0], time.monotonic() - began
    status, took = ask()
    require(status == 200 and 0.98 < took, f"{status} after {took:.3f} s")
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        answers = [f.result() for f in [threads.submit(ask) for _ in range(16)]]
    served = [took for status, took in answers if status == 200]
    require({status for status, _ in answers} == {200, 503}, f"{answers}")
    require(max(served) > 1.9 and len(served) >= 8, f"the knee bends nothing: {answers}")


@case()
def byte_rates(t):
    """Two readers of an object share its rate; each connection has its own otherwise."""
    plain = Plain(t, "--byte-rate", "20000 per=object op=GetObject key=k",
                  "--byte-rate", "40000 op=GetObject")
    plain.ask("PUT", "/bucket/other", CONTENT)
    for path, least in (("/bucket/k", 0.98), ("/bucket/other", 0.24)):
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda p: plain.ask("GET", p)[2], [path, path]))
        took = time.monotonic() - began
        require(answers == [CONTENT] * 2 and took > least, f"{path}: {took:.2f} s")


@case()
def some_cells(t):
    """A few cells of the fault matrix; `make faults` runs them all."""
    t.server = servers.Stowage()
    t.at_end(t.server.stop)
    t.s3 = t.server.boto3()
    t.bucket = t.new_bucket()
    grid = matrix.Matrix(t, [matrix.small(t.path("small"), 100), matrix.large(t.path("large"), 2)])
    chosen = ("503", "reset", "lost", "corrupt", "truncate", "error-in-200", "skew",
              "access-denied")
    for cell in grid.cells([r for r in matrix.RULES if r.name in chosen], (5,)):
        require(not cell.problems, f"{cell.name}: {cell.problems}\n{cell.rules()}\n{cell.result}")
