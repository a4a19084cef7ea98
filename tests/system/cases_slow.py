"""One slow connection of many must not hold up a run; nor may what is done about it cost much."""

from cases_flow import decisions_of
from content import make_file, same
from harness import MIB, PARTS, case, require, wait_for
from proxy import Proxy

MANY = ("--cores", "1", "--connections", "16", "--json")  # a model is made of eight samples
SOON_S = 100  # on a machine that others load; what is slow here would take a quarter of an hour


def small_buffers(t):
    """A proxy in which a slow connection shows soon: its sockets hold little."""
    proxy = Proxy(t.server.url, buffer_bytes=256 * 1024)
    proxy.crawl_rate = 5000
    t.at_end(proxy.close)
    return proxy, {"AWS_ENDPOINT_URL": proxy.url}


def check_cuts(result, part_bytes):
    """On a loaded machine other connections may look slow as well; the budget holds all the same:
    3 % of what was moved, and one part."""
    json = result.json
    require(json["cuts"] >= 1, f"nothing was cut: {result}")
    allowed = json["done_bytes"] * 3 // 100 + part_bytes + MIB // 4
    require(json["cut_bytes"] <= allowed, f"{json['cut_bytes']} bytes in vain: {result}")
    return json


@case("stowage")
def slow_connection_up(t):
    """At its rate a part takes a quarter of an hour: it is sent again on another connection."""
    source = make_file(t.path("in"), 120 * MIB)
    proxy, env = small_buffers(t)
    proxy.crawl["up"] = (12 * MIB, 1)
    log = t.path("log")
    result = t.argosy("cp", *MANY, *PARTS, "--log-decisions", log, source, t.uri("k"), env=env)
    require(proxy.crawl["up"][1] == 0, "no connection was slow")
    json = check_cuts(result, 5 * MIB)
    require(result.seconds < SOON_S, f"it held up the run: {result}")
    require(json["retries"] == json["cuts"], f"{result}")
    moved_max = 120 * MIB + json["cut_bytes"] + json["cuts"] * 2 * MIB
    require(proxy.moved["up"] <= moved_max, f"{proxy.moved}: {result}")
    told = [d for d in decisions_of(log) if d["knob"] == "connections cut"]
    behind = sum(d["new"] - (d["old"] or 0) for d in told if d["state"] == "behind")
    require(behind == json["cuts"] and all(d["reason"] for d in told), f"{told} {result}")
    with open(source, "rb") as file:
        require(t.get("k") == file.read(), "other content")


@case("stowage")
def slow_connection_down(t):
    """A range goes on from what was written."""
    source = make_file(t.path("in"), 120 * MIB)
    t.argosy("cp", source, t.uri("k"))
    proxy, env = small_buffers(t)
    proxy.crawl["down"] = (12 * MIB, 1)
    result = t.argosy("cp", *MANY, *PARTS, t.uri("k"), t.path("out"), env=env)
    require(proxy.crawl["down"][1] == 0, "no connection was slow")
    json = check_cuts(result, 5 * MIB)
    require(json["cut_bytes"] <= json["cuts"] * 2 * MIB, f"{result}")
    require(result.seconds < SOON_S, f"it held up the run: {result}")
    same(source, t.path("out"))


@case("stowage")
def slow_object(t):
    """One of many small ones."""
    for index in range(60):
        make_file(t.path("in", f"f{index}"), 300_000)
    t.argosy("cp", "-r", t.path("in"), t.uri())
    proxy, env = small_buffers(t)
    proxy.crawl["down"] = (400_000, 1)
    proxy.crawl_rate = 300
    result = t.argosy("cp", "-r", *MANY, t.uri(), t.path("out"), env=env)
    require(proxy.crawl["down"][1] == 0, "no connection was slow")
    check_cuts(result, MIB)
    require(result.seconds < SOON_S, f"it held up the run: {result}")
    for index in range(60):
        same(t.path("in", f"f{index}"), t.path("out", f"f{index}"))


@case("stowage")
def slow_everywhere(t):
    """A path that becomes slow is nobody's fault: nothing is cut."""
    source = make_file(t.path("in"), 80 * MIB)
    proxy, env = small_buffers(t)
    process = t.start("cp", *MANY, *PARTS, source, t.uri("k"), env=env)
    wait_for(lambda: proxy.moved["up"] > 50 * MIB, "the upload to run")
    proxy.rate["up"] = 4 * MIB
    result = process.finish()
    require(result.code == 0 and result.json["cuts"] == 0, f"{result}")


@case("stowage")
def trickle(t):
    """Half of a listing comes at 100 bytes/s: that is as good as nothing."""
    for index in range(500):
        make_file(t.path("in", f"a-name-that-is-long-enough-to-fill-a-page-{index}"), 10)
    t.argosy("cp", "-r", t.path("in"), t.uri())
    proxy, env = small_buffers(t)
    proxy.crawl["down"] = (1, 1)
    proxy.crawl_rate = 100
    result = t.argosy("ls", "--stall-timeout", "2s", t.uri(), env=env)
    require(proxy.crawl["down"][1] == 0, "no connection was slow")
    require(result.seconds < SOON_S, f"it was waited for: {result}")
    require(len(result.out.splitlines()) == 500, f"{result}")
