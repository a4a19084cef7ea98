"""Why it was not faster: each limit is made for real, and must be named. On a busy machine the CPU
has a share of everything, so that the order of the others is what counts."""

import json
import os
import subprocess
import sys
import threading
import time

import harness
from cases_wanlab import lab
from content import make_file
from harness import MIB, PARTS, Skip, case, need_plain_build, require
from servers import Stowage

KINDS = {"disk", "cpu", "network_window", "receive_window", "send_buffer", "server", "policy",
         "no_work"}


def judge(result, kind, words, report=None):
    """This was the limit, but for the CPU; as a sentence says, too, where it was not the CPU."""
    report = report or result.json
    shares = report["time_shares"]
    require(set(shares) == KINDS and abs(sum(shares.values()) - 1) < 1e-6, f"{shares}")
    first = max(shares, key=shares.get)
    require(report["limited_by"] == first, f"{report['limited_by']}: {shares}")
    others = {name: share for name, share in shares.items() if name != "cpu"}
    require(max(others, key=others.get) == kind, f"not {kind}: {shares}\n{result}")
    require(result.err.count("limited by ") == 1, f"{result}")
    if first == kind:
        require(f"limited by {words} (" in result.err, f"no such words: {words}\n{result}")


def serve(t, *args):
    server = Stowage(*args)
    t.at_end(server.stop)
    return {**server.environment(), "AWS_ENDPOINT_URL": server.url}


@case("stowage", waits=True)
def a_rate_limit(t):
    source = make_file(t.path("in"), 24 * MIB)
    up = t.argosy("cp", *PARTS, "--max-rate", "8MiB", "--json", source, t.uri("k"))
    judge(up, "policy", "policy: the rate limit")
    down = t.argosy("cp", *PARTS, "--max-rate", "8MiB", "--json", t.uri("k"), t.path("out"))
    judge(down, "policy", "policy: the rate limit")


@case(waits=True)
def a_slow_server(t):
    """A large file in parts, up and down, and small files, by all cores and by one."""
    env = serve(t, "--service-time", "fixed:400ms")
    t.argosy("mb", "s3://slow", env=env)
    source = make_file(t.path("in"), 60 * MIB)
    for number in range(40):
        make_file(t.path("tree", f"{number}"), 3000)
    for cores in ((), ("--cores", "1")):
        for words in ((source, "s3://slow/k"), ("s3://slow/k", t.path("out")),
                      ("-r", t.path("tree"), "s3://slow/t"), ("-r", "s3://slow/t", t.path("back"))):
            result = t.argosy("cp", *PARTS, *cores, "--no-resume", "--cc", "fixed:4", "--json",
                              "-v", *words, env=env)
            judge(result, "server", "the server")
            require("time: " in result.err, f"-v does not tell it each second\n{result}")


@case("stowage", waits=True)
def what_is_piped_in(t):
    """Less than a part, and many parts, from one who writes now and then."""
    for name, writes, count in (("small", 8, 100_000), ("large", 8, 3 * MIB)):
        read_end, write_end = os.pipe()
        data = os.urandom(count)

        def feed(fd=write_end, times=writes, piece=data):
            with os.fdopen(fd, "wb", 0) as pipe:
                for _ in range(times):
                    time.sleep(0.25)
                    pipe.write(piece)
        thread = threading.Thread(target=feed)
        thread.start()
        process = t.start("cp", *PARTS, "--json", "-", t.uri(name), stdin=read_end)
        os.close(read_end)
        result = process.finish()
        thread.join()
        require(result.code == 0 and t.get(name) == data * writes, f"{result}")
        judge(result, "disk", "what is piped in")


@case("stowage", waits=True)
def who_reads_the_output(t):
    """32 KiB each 20 ms, from a pipe that holds two or so of them."""
    t.put("k", os.urandom(3 * MIB))
    slow = ("import os, time\n"
            "while os.read(0, 32768): time.sleep(0.02)")
    reader = subprocess.Popen([sys.executable, "-c", slow], stdin=subprocess.PIPE)
    process = t.start("cp", "-v", t.uri("k"), "-", stdout=reader.stdin)
    reader.stdin.close()
    result = process.finish()
    reader.wait()
    require(result.code == 0, f"{result}")
    require(any(f"limited by {words} (" in result.err
                for words in ("what reads the output", "the CPU")), f"{result}")


@case(waits=True)
def lack_of_work(t):
    """One small object, which the server takes its time for: others could be under way as well."""
    env = serve(t, "--service-time", "fixed:1500ms")
    t.argosy("mb", "s3://few", env=env)
    result = t.argosy("cp", "--json", make_file(t.path("in"), 1000), "s3://few/k", env=env)
    judge(result, "no_work", "lack of work")


@case("stowage")
def a_short_run_is_not_judged(t):
    """But its shares are there, if it lasted for a look at it."""
    result = t.argosy("cp", "--json", make_file(t.path("in"), 1000), t.uri("k"))
    if result.json["seconds"] < 1:
        require("limited by" not in result.err, f"{result}")
    require(set(result.json["time_shares"]) == KINDS, f"{result}")


@case()
def the_cpu(t):
    """One core that sums all with SHA-256 twice, for a server that keeps nothing."""
    need_plain_build()
    env = serve(t, "--null", "--no-verify")
    t.argosy("mb", "s3://null", env=env)
    source = make_file(t.path("in"), 300 * MIB)
    shares = t.argosy("cp", "--cores", "1", "--checksum", "sha256", "--json", source, "s3://null/k",
                      env=env).json["time_shares"]
    require(shares["cpu"] > 0.3, f"{shares}")


# --- on a path that is long enough to have windows ---

def window(t, kind, words, upload, path=(), client="", server=""):
    """Two connections over 40 ms. `client` and `server`: a sysctl of that side alone."""
    def set_to(setting):
        name, _, value = setting.partition("=")
        return f"echo '{value}' >/proc/sys/net/ipv4/{name} && " if setting else ""
    t.sequence = getattr(t, "sequence", 0) + 1
    env = "AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s XDG_STATE_HOME=" + t.path("home")
    out, places = t.path(f"json-{t.sequence}"), ("$IN", "s3://lab/up")
    if not upload:
        places = ("s3://lab/size-16MiB", t.path("back"))
    script = (f"export {env} IN={make_file(t.path('in'), 16 * MIB)} "
              f"AWS_ENDPOINT_URL=http://$WANLAB_SERVER:9000; {harness.ARGOSY} mb s3://lab && "
              f"{set_to(client)}{harness.ARGOSY} cp --part-size 8M --multipart-threshold 8M "
              f"--cc fixed:2 --json {places[0]} {places[1]} >{out}")
    started = f"{set_to(server)}{env} exec {harness.STOWAGE} --listen 10.77.0.2:9000 --null"
    result, _ = lab(t, *(path or ("--rate", "400M", "--rtt", "40ms")), "--server", started,
                    "--server-port", "9000", "--", "sh", "-c", script)
    with open(out, encoding="utf-8") as file:
        report = json.loads(file.read())
    judge(result, kind, words, report)


def need_settings():
    if not os.access("/proc/sys/net/ipv4/tcp_rmem", os.W_OK):
        raise Skip("the kernel's settings cannot be written here")


@case(waits=True)
def the_servers_receive_window(t):
    need_settings()
    window(t, "receive_window", "the server's receive window", True,
           server="tcp_rmem=4096 65536 65536")


@case(waits=True)
def our_receive_window(t):
    need_settings()
    window(t, "receive_window", "our receive window", False, client="tcp_rmem=4096 65536 65536")


@case(waits=True)
def the_send_buffer(t):
    need_settings()
    window(t, "send_buffer", "the send buffer", True, client="tcp_wmem=4096 65536 65536")


@case(waits=True)
def the_network(t):
    for upload in (True, False):
        window(t, "network_window", "the network", upload, path=("--rate", "50M", "--rtt", "20ms"))


@case("stowage", waits=True)
def a_check(t):
    """argosy verify says it, too, of what it reads back."""
    for number in range(3):
        make_file(t.path("in", f"{number}"), 9 * MIB)
    t.argosy("cp", "-r", *PARTS, t.path("in"), t.uri("p"))
    words = ("verify", "-r", "--read-back", "--max-rate", "8MiB", "-v", t.path("in"), t.uri("p"))
    result = t.argosy(*words, "--json")
    judge(result, "policy", "policy: the rate limit")
    require("time: " in result.err, f"-v does not tell it each second\n{result}")
    require("background" not in result.json and "background" not in result.err, f"{result}")
    told = t.argosy(*words).err
    require(any(f"limited by {what} (" in told for what in ("policy: the rate limit", "the CPU")),
            f"no word without --json: {told}")


@case("stowage")
def a_check_in_the_background(t):
    """What it left itself, and for how long it gave way."""
    t.argosy("cp", *PARTS, make_file(t.path("in"), 6 * MIB), t.uri("k"))
    result = t.argosy("verify", "--read-back", "--background", "-v", "--json", t.path("in"),
                      t.uri("k"))
    background = result.json["background"]
    require(background["bytes_per_s"] > 0 and background["yielded_seconds"] >= 0, f"{background}")
    require("in the background: gave way for " in result.err, f"{result}")
