#!/usr/bin/python3
"""lab_run: what runs at the client's end of wanlab's path, for bench/lab.py: preparations, one
program that is measured, perhaps another beside it. Not for people.

  bench/lab_run.py JOB RESULT      JSON files

JOB: {"before": [[argv…]…], "beside": [argv…] or null, "argv": [argv…], "env": {…}, "seconds": T}.
After `seconds` the program is interrupted (it is given a moment to end): then what the path
delivered until that moment counts. RESULT has the moments on the monotonic clock, which is that of
wanlab's report."""

import json
import os
import signal
import subprocess
import sys
import time

GRACE_S = 12  # of an interrupted program: argosy ends or parks within 10 s


def measure(job, env):
    """Runs the program; its times, CPU and output."""
    begin = time.monotonic()
    process = subprocess.Popen(job["argv"], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    cut = False
    try:
        out, err = process.communicate(timeout=job["seconds"])
        end = time.monotonic()
    except subprocess.TimeoutExpired:
        cut, end = True, time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
    times = os.times()
    return {"begin": begin, "end": end, "cut": cut, "code": process.returncode,
            "cpu_s": times.children_user + times.children_system,
            "out": out.decode("utf-8", "replace"), "err": err.decode("utf-8", "replace")[-3000:]}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    env = {**os.environ, **job["env"]}
    for argv in job["before"]:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"lab_run: {argv}: {done.stdout.decode('utf-8', 'replace')}")
    before = os.times()
    beside = job["beside"] and subprocess.Popen(job["beside"], env=env, stdout=subprocess.PIPE,
                                                stdin=subprocess.DEVNULL)
    result = measure(job, env)
    result["cpu_s"] -= before.children_user + before.children_system
    if beside:
        result["beside_out"] = beside.communicate()[0].decode("utf-8", "replace")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
