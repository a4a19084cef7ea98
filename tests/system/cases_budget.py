"""Budgets of the data path: memory, allocations, copies."""

import os
import re

import harness
from content import make_file
from harness import MIB, PARTS, case, require

PRELOAD = os.path.join(harness.BUILD, "tests/system/count.so")


def counted(t, *args, memory="128M"):
    """argosy under tests/system/count.c: its counters at exit."""
    harness.need_program(PRELOAD)
    harness.need_plain_build()
    result = t.argosy("cp", "--memory", memory, "--cores", "1", *args,
                      env={"LD_PRELOAD": PRELOAD, "COUNT_FILE": t.path("count")})
    with open(t.path("count"), encoding="utf-8") as file:
        numbers = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", file.read())}
    require(numbers.get("allocations", 0) > 0, f"nothing was counted: {numbers}\n{result}")
    return numbers


def per_part(t, parts, make, body_parts):
    """What `body_parts` more parts cost, as counter → number a part."""
    few, many = make(parts), make(parts + body_parts)
    few, many = counted(t, *few), counted(t, *many)
    return {k: (many[k] - few[k]) / body_parts for k in few}


def require_budget(cost, allocations, copied_bytes):
    require(cost["allocations"] <= allocations, f"allocations a part: {cost}")
    require(cost["copied_bytes"] <= copied_bytes, f"payload bytes copied a part: {cost}")


@case("stowage-null")
def upload_allocates_and_copies_nothing(t):
    """64 parts more cost no allocation and no payload copy: head and XML bytes at most."""
    def make(parts):
        name = t.path(f"in{parts}")
        return ("--no-sign-payload", *PARTS, make_file(name, parts * 5 * MIB),
                t.uri(f"k{parts}"))
    require_budget(per_part(t, 64, make, 64), 0.25, 1024)


@case("stowage-null")
def download_copies_no_more_than_heads(t):
    """A reply's head may bring at most one head buffer's worth of body with it."""
    for parts in (64, 128):
        t.argosy("cp", "--no-sign-payload", *PARTS,
                 make_file(t.path(f"in{parts}"), parts * 5 * MIB), t.uri(f"k{parts}"))

    def make(parts):
        return (*PARTS, t.uri(f"k{parts}"), "/dev/null")
    require_budget(per_part(t, 64, make, 64), 0.25, 16 * 1024 + 1024)


@case("stowage-null")
def small_files_allocate_little(t):
    """A small file costs its plan's memory (name, task), not a request's or a buffer's."""
    def make(files):
        for index in range(files):
            make_file(t.path(f"in{files}", f"f{index}"), 16 * 1024)
        return ("-r", "--no-sign-payload", t.path(f"in{files}"), t.uri(f"p{files}/"))
    require_budget(per_part(t, 500, make, 500), 12, 2048)


@case("stowage-null")
def memory_promise(t):
    source = make_file(t.path("in"), 1536 * MIB)
    for args in ([source, t.uri("k")], [t.uri("k"), "/dev/null"], [t.uri("k"), t.path("out")]):
        result = t.argosy("cp", "--memory", "256M", *args, code=None)
        require(result.rss_bytes <= (256 + 64) * MIB,
                f"peak RSS {result.rss_bytes / MIB:.0f} MiB\n{result}")


@case("stowage-null")
def memory_promise_of_many_files(t):
    for index in range(5000):
        make_file(t.path("in", f"d{index % 50}", f"f{index}"), 16 * 1024)
    result = t.argosy("cp", "-r", "--memory", "64M", t.path("in"), t.uri())
    require(result.rss_bytes <= (64 + 64) * MIB, f"RSS {result.rss_bytes / MIB:.0f} MiB\n{result}")
