"""Keys that are spread over prefixes: --spread N, there and back."""

import hashlib
import json
import os

import servers
from cases_flow import decisions_of, limits_of
from cases_resume import Slow
from content import make_file, same_trees
from harness import EXIT_MISSING, EXIT_SOME, EXIT_USAGE, MIB, PARTS, case, require

ONE = ("--cores", "1")
NAMES = ["plain", "dir/in it", "dir/deep/er/ünïcode-日本語", "7/looks like digits", "q?x=1&y#z",
         "plus+plus", "empty"]


def digits(name, count):
    """By hand: the first bits of the SHA-256, in hex."""
    bits = count.bit_length() - 1
    value = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> (32 - bits)
    return f"{value:0{(bits + 3) // 4}x}"


def tree_of(t, extra=40, large=0):
    for name in NAMES:
        make_file(t.path("in", name), 0 if name == "empty" else 1000)
    for i in range(extra):
        make_file(t.path("in", "many", f"{i:04}"), 3000 + i)
    if large:
        make_file(t.path("in", "large"), large)
    names = [os.path.relpath(os.path.join(here, f), t.path("in"))
             for here, _, files in os.walk(t.path("in")) for f in files]
    return t.path("in"), names


@case("stowage", "rgw")
def there_and_back(t):
    """Keys, listing, check, and the way down to the same tree."""
    tree, names = tree_of(t, large=11 * MIB)
    for count in (16, 32, 256):
        place, back = f"run{count}/", t.path(f"out{count}")
        args = ("cp", "-r", *PARTS, "--spread", str(count), "--json", tree, t.uri(place))
        manifest = t.path(f"manifest{count}")
        first = t.argosy(*args, "--manifest", manifest).json
        want = {f"{place}{digits(n, count)}/{n}": n for n in names}
        require(set(t.keys(Prefix=place)) == set(want), f"{sorted(t.keys(Prefix=place))[:9]}")
        require(first["done"] == len(names), f"{first}")
        t.argosy(*args)  # once more: the same keys, and no others
        require(set(t.keys(Prefix=place)) == set(want), f"{sorted(t.keys(Prefix=place))[:9]}")
        listed = t.argosy("ls", "-r", "--spread", str(count), "--json", t.uri(place)).out
        found = [json.loads(line) for line in listed.splitlines()]
        require({e["key"]: e["name"] for e in found} == {k: place + n for k, n in want.items()},
                f"{found[:5]}")
        shown = t.argosy("ls", "-r", "--spread", str(count), t.uri(place.rstrip("/"))).out
        require(all(f" {place}{n}\n" in shown for n in names), f"{shown}")
        t.argosy("cp", "-r", "--spread", str(count), t.uri(place), back)
        require(same_trees(tree, back) == len(names), "not the same tree")
        for args in ((tree, t.uri(place)), (t.uri(place), back)):
            check = t.argosy("verify", "-r", "--spread", str(count), "--json", *args).json
            require(check["equal"] == len(names) == check["found"], f"{check}")
        check = t.argosy("verify", manifest, "--json").json
        require(check["equal"] == len(names) == check["found"], f"{check}")


@case("stowage")
def repeated(t):
    """Where something failed, the same command does that and no more."""
    tree, names = tree_of(t)
    t.server.faults("error=403:AccessDenied key=*/plain")
    args = ("cp", "-r", "--spread", "16", "--json", tree, t.uri("run/"))
    first = t.argosy(*args, code=EXIT_SOME).json
    require(first["failed"] == 1 and first["done"] == len(names) - 1, f"{first}")
    t.server.faults()
    again = t.argosy(*args).json
    require(again["done"] == 1 and again["before"] == len(names) - 1, f"{again}")
    require(set(t.keys()) == {f"run/{digits(n, 16)}/{n}" for n in names}, f"{t.keys()}")


@case("stowage")
def differences_are_told(t):
    """verify finds what is changed, missing and extra, whichever side is the copy."""
    tree, names = tree_of(t, 5)
    t.argosy("cp", "-r", "--spread", "16", tree, t.uri("run/"))
    at = {n: f"run/{digits(n, 16)}/{n}" for n in names + ["new"]}
    t.s3.delete_object(Bucket=t.bucket, Key=at["plain"])
    t.put(at["new"], b"new")
    t.put(at["plus+plus"], b"x" * 1000)
    t.put("run/without", b"odd")
    up = t.argosy("verify", "-r", "--spread", "16", tree, t.uri("run/"), code=EXIT_SOME)
    told = {tuple(line.split(": ")[0].split(maxsplit=1)) for line in up.out.splitlines()}
    require(told == {("missing", t.uri(at["plain"])), ("extra", t.uri(at["new"])),
                     ("changed", t.uri(at["plus+plus"])), ("extra", t.uri("run/without"))}, f"{up}")
    down = t.argosy("verify", "-r", "--spread", "16", t.uri("run/"), tree, code=EXIT_SOME)
    told = {tuple(line.split(": ")[0].split(maxsplit=1)) for line in down.out.splitlines()}
    require(told == {("extra", f"{tree}/plain"), ("missing", f"{tree}/new"),
                     ("changed", f"{tree}/plus+plus")}, f"{down}")
    require("run/without" in down.err and "--spread" in down.err, f"{down}")


@case("stowage")
def what_does_not_fit_is_told(t):
    """Downloads and listings leave alone what has other digits, and say so."""
    t.put(f"run/{digits('good', 16)}/good", b"good")
    t.put("run/zz/bad", b"bad")
    wrong = f"run/{'0' if digits('other', 16) != '0' else '1'}/other"
    t.put(wrong, b"other")
    result = t.argosy("cp", "-r", "--spread", "16", t.uri("run/"), t.path("out"), code=EXIT_SOME)
    require(os.listdir(t.path("out")) == ["good"], f"{os.listdir(t.path('out'))}")
    for key in ("run/zz/bad", wrong):
        require(f"{t.uri(key)}: the key does not begin with the digits" in result.err, f"{result}")
    result = t.argosy("ls", "-r", "--spread", "16", t.uri("run"), code=EXIT_SOME)
    require("run/good\n" in result.out and f" {wrong}\n" in result.out, f"{result}")
    require(result.err.count("the digits that --spread") == 2, f"{result}")
    t.argosy("cp", "-r", "--spread", "256", t.uri("run/"), t.path("none"), code=(EXIT_SOME, 2))
    require(not os.path.exists(t.path("none/good")), "16 is not 256")


@case("stowage")
def names_of_users_stay(t):
    source = make_file(t.path("in/file"), 1000)
    for args in (("cp", source, t.uri("k")), ("cp", "-r", source, t.uri("k")),
                 ("cp", "-", t.uri("k")), ("cp", t.uri("k"), t.path("out")),
                 ("verify", source, t.uri("k")), ("ls", t.uri())):
        t.fails([*args, "--spread", "16"], EXIT_USAGE, "--spread")
    for count in ("1", "0", "3", "48", "8192", "x"):
        t.fails(["cp", "-r", t.path("in"), t.uri(), "--spread", count], EXIT_USAGE, "--spread")
    require(t.keys() == {}, f"{t.keys()}")
    t.argosy("cp", "-r", "--spread", "2", t.path("in"), t.uri())  # at the bucket's root
    require(list(t.keys()) == [f"{digits('file', 2)}/file"], f"{t.keys()}")


@case("stowage")
def killed_and_resumed(t):
    """What was done before the kill is not done again, and nothing has two keys."""
    tree, names = tree_of(t, 60, large=60 * MIB)
    slow = Slow(t, "cp", "-r", tree, t.uri("run/"), "--spread", "16")
    had = slow.kill("up", 30 * MIB, 15 * MIB)
    for args in (("resume", "1", "--spread", "32"), ("resume", "--spread", "2")):
        t.fails(args, EXIT_USAGE, "job 1", "16", "cannot be changed")
    result, up, _ = slow.go_on("resume", "1")
    require(result.json["done"] + result.json["before"] == len(names), f"{result}")
    require(up < 60 * MIB - had + MIB, f"{up} bytes were sent again, {had} were there")
    want = {f"run/{digits(n, 16)}/{n}" for n in names}
    require(set(t.keys()) == want, f"{set(t.keys()) ^ want}")
    t.argosy("cp", "-r", "--spread", "16", t.uri("run/"), t.path("out"))
    require(same_trees(tree, t.path("out")) == len(names), "not the same tree")
    t.argosy("resume", "1", code=EXIT_USAGE)
    again = t.argosy("cp", "-r", tree, t.uri("run/"), "--spread", "32", "--json", *slow.args[-6:])
    require(again.json["done"] == len(names), f"another N is another copy: {again}")
    t.argosy("resume", "99", code=EXIT_MISSING)


def limited(t, rule):
    t.server = servers.Stowage("--prefix-limit", rule)
    t.at_end(t.server.stop)
    t.server.boto3().create_bucket(Bucket="limited")


@case(waits=True)
def limits_of_prefixes(t):
    """Each digit has the server's limit for itself: what is refused as one prefix, is not as 16.
    The burst is more than any digit has names, so that nothing can be refused there."""
    for i in range(300):
        make_file(t.path("in", f"{i:04}"), 500)
    most = max(sum(digits(f"{i:04}", 16) == d for i in range(300)) for d in "0123456789abcdef")
    limited(t, f"40/s:{most + 10} depth=2 op=PutObject")
    log = t.path("log")
    args = ("cp", "-r", *ONE, "--json", "--log-decisions", log, t.path("in"))
    plain = t.argosy(*args, "s3://limited/plain/").json
    steps = limits_of(log)
    require(plain["done"] == 300 and plain["retries"] > 0, f"{plain}")
    require({d["prefix"] for d in steps} == {"plain/"}, f"{steps}")
    spread = t.argosy(*args, "--spread", "16", "s3://limited/spread/").json
    require(spread["done"] == 300 and spread["retries"] == 0, f"{spread}")
    require(limits_of(log) == [], f"{decisions_of(log)}")
    require(spread["requests"] < plain["requests"], f"{spread} {plain}")


@case(waits=True)
def a_digit_is_a_prefix(t):
    """The server holds back one digit: that one is slowed down, and no other."""
    names = [f"{i:04}" for i in range(600)]
    for name in names:
        make_file(t.path("in", name), 500)
    slow = max("0123456789abcdef", key=lambda d: sum(digits(n, 16) == d for n in names))
    limited(t, f"10/s:5 key=run/{slow}/*")
    log = t.path("log")
    result = t.argosy("cp", "-r", *ONE, "--json", "--spread", "16", "--log-decisions", log,
                      t.path("in"), "s3://limited/run/").json
    require(result["done"] == 600 and result["retries"] > 0, f"{result}")
    named = {d["prefix"] for d in limits_of(log)}
    require(named == {f"run/{slow}/"}, f"{named}")
