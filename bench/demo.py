#!/usr/bin/python3
"""demo: argosy and stowage as a new user meets them. Starts stowage with TLS, moves a real tree and
a 1 GiB file up and down, compares every byte, and prints what it took."""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))

import harness
import servers
from content import make_file, regular_files, same, same_trees, take_tree
from harness import MIB

GIB = 1024 * MIB
TREES = ("/usr/share/doc", "/usr/share/perl", "/usr/share/zoneinfo", "/usr/share")
TREE_FILES_MAX = 20_000


def step(folder, server, *args):
    """Runs one command as it would be typed, and shows it."""
    print("$ argosy " + " ".join(a.replace(folder + "/", "") for a in args), flush=True)
    env = {"PATH": os.environ["PATH"], "HOME": folder, "XDG_RUNTIME_DIR": folder,
           **server.environment()}
    result = harness.Process([harness.ARGOSY, *args], env, folder).finish(600)
    if result.out.strip() or result.err.strip():
        print("  " + (result.err + result.out).strip()[-600:].replace("\n", "\n  "))
    harness.require(result.code == 0, f"{result}")
    return result


def main():
    harness.clean_environment()
    folder = os.path.join(harness.BUILD, "demo")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tree = take_tree(os.path.join(folder, "tree"), TREES, TREE_FILES_MAX)
    large = make_file(os.path.join(folder, "large"), GIB)
    files = regular_files(tree, False)
    tree_bytes = sum(os.path.getsize(p) for p in files.values())
    server = servers.StowageTls()
    rows = []
    try:
        print(f"stowage answers at {server.url} (TLS, a certificate made just now)\n")
        step(folder, server, "mb", "s3://demo")
        for name, args, count, size in (
                ("1 GiB up", [large, "s3://demo/large"], 1, GIB),
                ("1 GiB down", ["s3://demo/large", folder + "/large.back"], 1, GIB),
                ("tree up", ["-r", "--symlinks", "skip", tree, "s3://demo/tree/"], len(files),
                 tree_bytes),
                ("tree down", ["-r", "s3://demo/tree/", folder + "/tree.back"], len(files),
                 tree_bytes)):
            result = step(folder, server, "cp", *args)
            rows.append((name, count, size, result))
        step(folder, server, "ls", "s3://demo/")
        same(large, large + ".back")
        compared = same_trees(tree, tree + ".back")
    finally:
        server.stop()
    print(f"\n{'':12} {'files':>7} {'MiB':>8} {'seconds':>8} {'MiB/s':>8} {'CPU s':>7} "
          f"{'RSS MiB':>8}")
    for name, count, size, result in rows:
        print(f"{name:12} {count:7} {size / MIB:8.0f} {result.seconds:8.2f} "
              f"{size / MIB / result.seconds:8.0f} {result.cpu_s:7.2f} "
              f"{result.rss_bytes / MIB:8.0f}")
    print(f"\nverified byte for byte: the 1 GiB file and {compared} files of the tree, "
          "up and down over TLS")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except (harness.Skip, harness.Failure) as problem:
        sys.exit(f"demo: {problem}")
    except subprocess.SubprocessError as problem:
        sys.exit(f"demo: {problem}")
