"""Buckets that are elsewhere: another region, another host. What is followed, what is refused, and
that a host which nobody asked for hears not one byte."""

import os
import select
import socket

import servers
from cases_address import with_hosts
from content import make_file, same, same_trees
from harness import (EXIT_ENVIRONMENT, EXIT_OK, EXIT_SOME, EXIT_USAGE, MIB, PARTS, Skip, case,
                     require)
from proxy import Babbler, Proxy

BUCKET = "bucket"


def start(t, *options, region="us-east-1", ca=None):
    """A stowage of the case's own, with its bucket."""
    server = servers.Stowage("--region", region, *options)
    t.at_end(server.stop)
    server.region, server.ca = region, ca
    server.s3 = server.boto3()
    server.s3.create_bucket(Bucket=BUCKET)
    return server


def two(t, region="us-east-1"):
    """(home, other): on 127.0.0.1, which argosy is told of, and on 127.0.0.2."""
    other = start(t, "--listen", "127.0.0.2:0", region=region)
    t.server = home = start(t)
    return home, other


def keys(server):
    pages = server.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}


def tree(t, count=30):
    for index in range(count):
        make_file(t.path("in", f"d{index % 3}", f"f{index}"), 1 + 700 * index)
    make_file(t.path("in", "large"), 17 * MIB + 5)
    return t.path("in")


def round_trip(t, *options):
    t.argosy("cp", "-r", *PARTS, *options, tree(t), f"s3://{BUCKET}/p/")
    t.argosy("cp", "-r", *PARTS, *options, f"s3://{BUCKET}/p/", t.path("out"))
    same_trees(t.path("in"), t.path("out"))
    t.argosy("verify", "-r", *options, t.path("in"), f"s3://{BUCKET}/p/")
    require("large" in t.argosy("ls", "-r", *options, f"s3://{BUCKET}/p/").out, "it is not listed")


@case()
def followed_by_each_request(t):
    """307 for everything: each request asks at home, and is done where it is sent."""
    home, other = two(t)
    home.faults(f"redirect={other.url}*")
    other.faults()
    round_trip(t, "--follow-redirects", "127.0.0.2")
    asked, done = home.traffic()[0], other.traffic()[0]
    require(asked == done > 100, f"{asked} requests at home, {done} where they were sent")
    home.faults()
    require(keys(home) == {} and len(keys(other)) == 31, "they went elsewhere")


@case()
def followed_by_one_that_is_read_twice(t):
    """A part that is not staged whole, whose body has gone when the answer comes."""
    home, other = two(t)
    source = make_file(t.path("twice"), 41 * MIB)
    home.faults(f"redirect={other.url}*")
    t.argosy("cp", "--memory", "32M", "--cores", "1", "--part-size", "20M", "--follow-redirects",
             other.url[7:], source, f"s3://{BUCKET}/twice")
    other.s3.download_file(BUCKET, "twice", t.path("back"))
    same(source, t.path("back"))


@case()
def moved_for_good(t):
    """301 once: all requests behind it go there, of every object and every core."""
    home, other = two(t)
    home.faults(f"moved={other.url[7:]}")
    other.faults()
    result = t.argosy("cp", "-r", "--cc", "fixed:1", "--follow-redirects", "127.0.0.2",
                      tree(t, 100), f"s3://{BUCKET}/p/")
    asked, done = home.traffic()[0], other.traffic()[0]
    require(1 <= asked <= 8, f"{asked} requests at home: {result}")  # as many as are under way
    require(done >= 101 and len(keys(other)) == 101, f"{done} requests there")
    require(f"s3://{BUCKET}: is at {other.url}, region us-east-1" in result.err, f"{result}")
    require(result.err.count(" is at ") == 1, f"it is said once: {result}")
    round_trip(t, "--follow-redirects", "127.0.0.2")
    home.faults()
    require(keys(home) == {}, f"{keys(home)}")


def same_store(t):
    """(home, proxy): the same store at two addresses."""
    t.server = home = start(t)
    proxy = Proxy(home.url, host="127.0.0.2")
    t.at_end(proxy.close)
    return home, proxy


@case()
def redirected_on_the_way(t):
    """In the midst of uploads and downloads in parts, and back again: nothing begins anew."""
    home, proxy = same_store(t)
    for rules in (["nth=5-9 attempt=1"], ["attempt=1"], ["p=30% attempt=1"]):
        home.faults(*(f"redirect={proxy.url}* {words}" for words in rules))
        round_trip(t, "--follow-redirects", "127.0.0.2")
        require(home.fault_counts()[0][2] > 0, "nothing was redirected")
        creates = home.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        require(not creates, f"left: {creates}")
        os.rename(t.path("out"), t.path("out-" + rules[0].partition("=")[0] + rules[0][-8:-4]))


@case()
def moved_on_the_way(t):
    home, proxy = same_store(t)
    home.faults(f"moved={proxy.url[7:]} nth=6")
    source = make_file(t.path("in"), 48 * MIB)
    t.argosy("cp", *PARTS, "--cc", "fixed:1", "--follow-redirects", "127.0.0.2", source,
             f"s3://{BUCKET}/k")
    require(home.fault_counts() == [(13, 1, 1)], f"not 12 and one again: {home.fault_counts()}")
    require(proxy.moved["up"] > 4 * 5 * MIB, f"the rest did not go there: {proxy.moved}")
    home.faults(f"moved={proxy.url[7:]} op=GetObject nth=3")
    t.argosy("cp", *PARTS, "--follow-redirects", "127.0.0.2", f"s3://{BUCKET}/k", t.path("out"))
    same(source, t.path("out"))
    require(home.fault_counts()[0][2] == 1, f"{home.fault_counts()}")


@case()
def resumed_elsewhere(t):
    """What was parked where the bucket had moved to is gone on with there."""
    home, proxy = same_store(t)
    moved = f"moved={proxy.url[7:]} first=1"
    source = make_file(t.path("in"), 30 * MIB)
    command = ["cp", *PARTS, "--cc", "fixed:1", "--retries", "1", "--follow-redirects", "127.0.0.2",
               source, f"s3://{BUCKET}/k"]
    home.faults(moved, "error=500 op=UploadPart part=6")
    result = t.argosy(*command, code=(EXIT_SOME, EXIT_ENVIRONMENT))
    require("argosy resume" in result.err, f"{result}")
    home.faults(moved, "connection-close op=UploadPart")
    t.argosy("resume")
    counts = home.fault_counts()
    require(counts[0][2] == 1 and counts[1][0] == 1, f"not one part alone: {counts}")
    home.s3.download_file(BUCKET, "k", t.path("back"))
    same(source, t.path("back"))


class Silent:
    """A port at which nobody may knock."""

    def __init__(self, t, host):
        self.listener = socket.create_server((host, 0))
        t.at_end(self.listener.close)
        self.place = f"{host}:{self.listener.getsockname()[1]}"

    def require_silence(self, why):
        ready = select.select([self.listener], [], [], 0)[0]
        require(not ready, f"somebody connected, {why}: {ready and self.heard()}")

    def heard(self):
        conn = self.listener.accept()[0]
        conn.settimeout(2)
        try:
            return conn.recv(4096)
        except OSError:
            return b""


def calls(t, source):
    return (["cp", source, f"s3://{BUCKET}/k"], ["cp", *PARTS, source, f"s3://{BUCKET}/k"],
            ["cp", f"s3://{BUCKET}/there", t.path("out")], ["cp", f"s3://{BUCKET}/there", "-"],
            ["cp", "-r", f"s3://{BUCKET}/", t.path("out")], ["ls", f"s3://{BUCKET}/"], ["ls"],
            ["verify", source, f"s3://{BUCKET}/there"], ["mb", f"s3://{BUCKET}2"])


@case()
def refused(t):
    """Another host, another port: both are named, what to do is said, and nothing goes there."""
    t.server = home = start(t)
    home.s3.put_object(Bucket=BUCKET, Key="there", Body=b"data")
    source = make_file(t.path("in"), 11 * MIB)
    for host in ("127.0.0.2", "127.0.0.1"):
        silent = Silent(t, host)
        for rule in (f"redirect=http://{silent.place}*", f"redirect=http://{silent.place}/",
                     f"redirect=https://{silent.place}*", f"moved={silent.place}"):
            home.faults(rule)
            for args in calls(t, source):
                if "moved=" in rule and "verify" in args:
                    continue  # below
                result = t.fails(args, EXIT_USAGE, "the server redirects to another endpoint",
                                 home.url + " redirects to http", silent.place,
                                 "--follow-redirects " + silent.place)
                silent.require_silence(f"{rule} {result}")
            for allowed in ("127.0.0.3", "localhost", f"{host}:1,*.{host}"):
                t.fails(["ls", "--follow-redirects", allowed, f"s3://{BUCKET}/"], EXIT_USAGE,
                        "redirects to http", silent.place)
            silent.require_silence(rule)
    home.faults()
    require(keys(home) == {"there": 4}, f"{keys(home)}")


@case()
def refused_for_what_it_is(t):
    """A path that is another one, no host, a loop of one: also where every host is trusted."""
    t.server = home = start(t)
    silent = Silent(t, "127.0.0.2")
    for url, words in ((f"http://{silent.place}/login?from=*", "to another path"),
                       (f"http://{silent.place}/{BUCKET}/other", "to another path"),
                       (f"http://stowage:secret@{silent.place}*", "to what is no host"),
                       ("http://:80/", "to what is no host"),
                       (home.url + "*", "a loop")):
        home.faults(f"redirect={url}")
        t.fails(["ls", "--follow-redirects", "any", f"s3://{BUCKET}/"], EXIT_USAGE,
                home.url + " redirects", words)
    silent.require_silence("it is no redirect of S3's")
    for bad in ("http://h", "h:0", "a b", ""):
        t.fails(["ls", "--follow-redirects", bad, f"s3://{BUCKET}/"], EXIT_USAGE,
                "--follow-redirects", "HOST:PORT")


def certificate(t, name, names):
    folder = t.path(name)
    servers.make_certificate(folder, names=names)
    return folder


@case()
def tls_never_goes_on_without(t):
    folder = certificate(t, "one", "IP:127.0.0.1")
    t.server = home = start(t, "--tls", "--tls-dir", folder, ca=folder + "/cert.pem")
    silent = Silent(t, "127.0.0.2")
    for allowed in ("127.0.0.2", "any"):
        for rule in (f"redirect=http://{silent.place}*", f"moved=http://{silent.place}"):
            home.faults(rule)
            t.fails(["ls", "--follow-redirects", allowed, f"s3://{BUCKET}/"], EXIT_USAGE,
                    home.url, silent.place, "never goes on by http")
    silent.require_silence("what came by https must not go on by http")


@case()
def tls_verifies_the_other_name(t):
    """The new host has to be who it says it is: by its own certificate."""
    good = certificate(t, "good", "IP:127.0.0.1,IP:127.0.0.2")
    bad = certificate(t, "bad", "IP:127.0.0.1")
    with open(t.path("both.pem"), "wb") as both:
        for folder in (good, bad):
            with open(folder + "/cert.pem", "rb") as file:
                both.write(file.read())
    t.server = home = start(t, "--tls", "--tls-dir", good, ca=t.path("both.pem"))
    other = start(t, "--tls", "--tls-dir", good, "--listen", "127.0.0.2:0", ca=t.path("both.pem"))
    home.faults(f"redirect={other.url}*")
    round_trip(t, "--follow-redirects", "127.0.0.2")
    require(len(keys(other)) == 31, "they went elsewhere")
    wrong = servers.Stowage("--tls", "--tls-dir", bad, "--listen", "127.0.0.2:0")
    t.at_end(wrong.stop)
    home.faults(f"redirect={wrong.url}*")
    t.fails(["cp", t.path("in", "large"), f"s3://{BUCKET}/k", "--follow-redirects", "127.0.0.2"],
            EXIT_ENVIRONMENT, "the server's certificate is not trusted", wrong.url[8:])
    require(wrong.traffic()[0] == 0, "something was sent to a server of another name")


@case()
def plain_goes_on_with_tls(t):
    """From http to https, where that is asked for."""
    folder = certificate(t, "two", "IP:127.0.0.2")
    other = start(t, "--tls", "--tls-dir", folder, "--listen", "127.0.0.2:0",
                  ca=folder + "/cert.pem")
    t.server = home = start(t)
    home.faults(f"redirect={other.url}*")
    round_trip(t, "--follow-redirects", "127.0.0.2", "--ca-bundle", other.ca)
    require(len(keys(other)) == 31, "they went elsewhere")


@case()
def loops(t):
    home, other = two(t)
    for act in ("redirect={}*", "moved={}"):
        home.faults(act.format(other.url))
        other.faults(act.format(home.url))
        t.fails(["cp", make_file(t.path("in"), 100), f"s3://{BUCKET}/k", "--follow-redirects",
                 "127.0.0.2"], EXIT_USAGE, other.url + " redirects to " + home.url, "a loop")
        asked = home.traffic()[0] + other.traffic()[0]
        require(asked <= 3, f"{asked} requests before it was found out")


@case()
def too_many_hops(t):
    """Each server knows another one: five are followed."""
    chain = [Babbler(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
    for _ in range(7):
        chain.append(Babbler(b"HTTP/1.1 307 Go On\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n" %
                             chain[-1].url.encode()))
    for server in chain:
        t.at_end(server.close)
    env = {"AWS_ENDPOINT_URL": chain[-1].url, "AWS_ACCESS_KEY_ID": "a",
           "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
    t.fails(["ls", "--follow-redirects", "any", f"s3://{BUCKET}/"], EXIT_USAGE, chain[2].url,
            "after as many redirects as are followed", env=env)
    asked = [len(server.heads) for server in reversed(chain)]
    require(asked == [1] * 6 + [0] * 2, f"{asked}")


@case()
def region_is_asked_once(t):
    """Those that were under way at first are refused, no others; and what one core has learned
    (whoever creates an upload) the other need not be told again (who sends its parts)."""
    t.server = home = start(t, region="eu-west-1")
    large = make_file(t.path("large"), 64 * MIB)
    for args, most in (((tree(t, 100), f"s3://{BUCKET}/p/", "-r", "--cc", "fixed:1"), 8),
                       ((large, f"s3://{BUCKET}/k", *PARTS), 1),
                       ((f"s3://{BUCKET}/k", t.path("back"), *PARTS), 1)):
        home.faults()
        result = t.argosy("cp", "--json", *args, env={"AWS_REGION": "us-east-1"})
        require(1 <= result.json["retries"] <= most, f"{result}")
        require(result.json["requests"] == home.traffic()[0], f"{home.traffic()} {result}")
        require(result.err.count("is in region eu-west-1; signing for that") == 1, f"{result}")
    require(len(keys(home)) == 102, f"{len(keys(home))} keys")
    same(large, t.path("back"))


def aws_servers(t, home_region):
    """(home, other): s3.us-east-1 and s3.eu-west-1, each at port 443 of an address of its own; the
    first one's signatures must name that region."""
    pid, is_eu = os.getpid(), home_region[:2] == "eu"
    net = f"127.{pid % 200 + 20}.{2 * (pid // 200 % 120) + is_eu}"
    names = [f"{label}s3.{region}.amazonaws.com" for region in ("us-east-1", "eu-west-1")
             for label in ("", BUCKET + ".")]
    folder = certificate(t, "aws", ",".join([f"DNS:{name}" for name in names] +
                                            [f"IP:{net}.1", f"IP:{net}.2"]))
    for last in (1, 2):
        try:
            socket.create_server((f"{net}.{last}", 443)).close()
        except OSError as problem:
            raise Skip(f"no server at port 443 here: {problem}") from None
    t.hosts = f"{net}.1 {names[0]} {names[1]}\n{net}.2 {names[2]} {names[3]}\n"
    both = [start(t, "--tls", "--tls-dir", folder, "--listen", f"{net}.{last}:443", region=region,
                  ca=folder + "/cert.pem")
            for last, region in ((1, home_region), (2, "eu-west-1"))]
    t.server = both[0]
    return both


def on_aws(t, *args, code=EXIT_OK, **env):
    result = with_hosts(t, t.hosts, args, **{"AWS_ENDPOINT_URL": None, "AWS_REGION": "us-east-1",
                                             **env})
    require(result.code == code, f"exit code is not {code}:\n{result}")
    return result


@case()
def aws_by_region(t):
    """Without an endpoint of the user's: the bucket's requests go to that of its region, by its
    bucket's name and by path, whichever way the wrong region is told."""
    for region, rules in (("us-east-1", ["region=eu-west-1"]), ("eu-west-1", [])):
        home, other = aws_servers(t, region)
        for style in ("auto", "path"):
            home.faults(*rules)
            other.faults()
            options = ("--addressing", style, *PARTS)
            result = on_aws(t, "cp", "-r", *options, "--cc", "fixed:1", tree(t),
                            f"s3://{BUCKET}/p/")
            require("is at https://s3.eu-west-1.amazonaws.com, region eu-west-1" in result.err,
                    f"{result}")
            require(1 <= home.traffic()[0] <= 8, f"{home.traffic()}: {result}")
            on_aws(t, "cp", "-r", *options, f"s3://{BUCKET}/p/", t.path("out"))
            same_trees(t.path("in"), t.path("out"))
            on_aws(t, "cp", *options, f"s3://{BUCKET}/p/large", t.path("one"))
            same(t.path("in", "large"), t.path("one"))
            on_aws(t, "verify", "-r", *options[:2], t.path("in"), f"s3://{BUCKET}/p/")
            home.faults()
            require(len(keys(other)) == 31, f"{len(keys(other))} keys")
        for name in ("out", "one"):
            os.rename(t.path(name), t.path(name + region))


@case()
def aws_redirects(t):
    """Among AWS's hosts without being asked, as a new bucket needs it; to no other."""
    home, other = aws_servers(t, "us-east-1")
    there = f"https://{BUCKET}.s3.eu-west-1.amazonaws.com"
    silent = Silent(t, "127.0.0.2")
    for rule in (f"redirect={there}*", f"moved={there[8:]}"):
        home.faults(rule)
        on_aws(t, "cp", "-r", *PARTS, tree(t), f"s3://{BUCKET}/p/",
               AWS_ENDPOINT_URL="https://s3.us-east-1.amazonaws.com")
        on_aws(t, "verify", "-r", t.path("in"), f"s3://{BUCKET}/p/")
    for rule in (f"redirect=https://{silent.place}*", f"moved={silent.place}",
                 "redirect=https://s3.eu-west-1.amazonaws.com:8443*",
                 "redirect=https://s3-evil-1.eu-west-1.elb.amazonaws.com/"):
        home.faults(rule)
        result = on_aws(t, "ls", f"s3://{BUCKET}/", code=EXIT_USAGE)
        require("unasked" in result.err, f"{result}")
    silent.require_silence("that is no host of AWS's")
