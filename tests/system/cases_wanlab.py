"""wanlab: the path is what was asked for, and nothing of it is left behind; and what argosy does
beside other traffic. Where the machine lets nobody make namespaces or TUN devices, these are
skips."""

import json
import os
import signal
import socket
import statistics
import subprocess
import time

import harness
from content import make_file, same
from harness import MIB, Skip, case, require, wait_for

WANLAB = os.path.join(harness.BUILD, "wanlab")
EXIT_OFF, EXIT_LAB = 124, 125


def lab(t, *args, code=0, timeout=harness.FINISH_S):
    """Runs wanlab; (result, its report)."""
    report = t.path(f"report-{time.monotonic_ns()}")
    result = t.start("--report", report, *args, program=WANLAB).finish(timeout)
    if result.code == EXIT_LAB and any(w in result.err for w in (
            "cannot make", "/dev/net/tun", "cannot mount", "does not offload")):
        raise Skip(f"no laboratory on this machine: {result.err.strip()}")
    require(result.code == code, f"exit code is not {code}:\n{result}")
    if not os.path.exists(report):
        return result, None
    with open(report, encoding="utf-8") as file:
        return result, json.load(file)


def marks():
    """The processes that have the mark in their command line."""
    mark = f"wanlab-mark-{os.getpid()}"
    return subprocess.run(["pgrep", "-f", mark], stdout=subprocess.PIPE, text=True).stdout.strip()


def marked(seconds):
    return f"exec -a wanlab-mark-{os.getpid()} sleep {seconds}"


@case()
def calibrates(t):
    """Rate, round trip and loss are measured on the wire, in both directions. How exact, depends on
    how busy the machine is, where probes that come late overflow the queue as well: one of five
    measurements must have the loss. That every missing packet was dropped by the model depends on
    nothing."""
    for _ in range(5):
        result, report = lab(t, "--rate", "200M", "--rtt", "20ms", "--loss", "1%", "--calibrate",
                             "--anyhow", "--", "true")
        rows = report["calibration"]["rows"]
        require({r["what"] for r in rows} == {"rtt", "rate", "loss", "wire", "count"}, f"{rows}")
        for row in rows:
            if row["what"] in ("count", "loss"):
                require(row["good"], f"{row}\n{result}")
            if row["what"] == "rtt":
                require(20 <= row["measured"] < 40, f"{row}\n{result}")
            if row["what"] == "rate":
                require(100 < row["measured"] < 210, f"{row}\n{result}")
        off = [row for row in rows if row["what"] == "wire" and not row["good"]]
        if not off:
            return
    require(not off, f"{off}\n{result}")


@case()
def transfers(t):
    """argosy moves a file over the path, whole, with losses, no faster than the path is."""
    source = make_file(t.path("in"), 8 * MIB)
    back = t.path("out")
    env = "AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s"
    server = f"{env} exec {harness.STOWAGE} --listen 10.77.0.2:9000"
    client = (f"export {env} AWS_ENDPOINT_URL=http://$WANLAB_SERVER:9000; "
              f"{harness.ARGOSY} mb s3://lab && {harness.ARGOSY} cp {source} s3://lab/k && "
              f"{harness.ARGOSY} cp s3://lab/k {back}")
    result, report = lab(t, "--rate", "200M", "--rtt", "10ms", "--loss", "0.1%", "--server", server,
                         "--server-port", "9000", "--", "sh", "-c", client)
    same(source, back)
    for lane in ("up", "down"):
        counters = report[lane]
        require(counters["delivered_bytes"] > 8 * MIB, f"{lane}: {counters}\n{result}")
        rest = sum(counters[k] for k in ("lost_packets", "policed_packets", "dropped_packets",
                                         "refused_packets", "delivered_packets"))
        require(rest <= counters["packets"], f"{lane}: {counters}")
        rate = counters["delivered_bytes"] * 8 / report["seconds"]
        require(rate <= 200e6 * 1.02, f"{lane}: {rate / 1e6:.0f} Mbit/s")


def knows_backoff():
    """Has this kernel TCP_RTO_MAX_MS (Linux 6.15)?"""
    with socket.socket() as sock:
        try:
            return sock.getsockopt(socket.IPPROTO_TCP, 44) > 0
        except OSError:
            return False


@case()
def outage_is_soon_over(t):
    """A path that carried nothing for 9 s: TCP waits 3 s at most each time, also once an answer
    from before made it take a round trip for ten seconds. By itself it would wait for eleven."""
    if not knows_backoff():
        raise Skip("this kernel does not limit how long TCP backs off (Linux 6.15)")
    source = make_file(t.path("in"), 40 * MIB)
    keys = "export AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s"
    server = f"{keys}; exec {harness.STOWAGE} --null --listen 10.77.0.2:9000"
    client = (f"{keys} AWS_ENDPOINT_URL=http://$WANLAB_SERVER:9000; {harness.ARGOSY} mb s3://lab; "
              f"exec {harness.ARGOSY} cp -q --journal none {source} s3://lab/k")
    result, report = lab(t, "--path", "rate=50M rtt=20ms", "--schedule",
                         "3s loss=99.9999%; 12s loss=0", "--server", server, "--server-port",
                         "9000", "--", "bash", "-c", client, timeout=60)
    series, every = report["series"]["up"]["delivered_bytes"], report["series"]["every_s"]
    least = 50e6 / 8 * every / 2
    during = sum(series[round(3.2 / every):round(12 / every)])
    idle = every * sum(count < least for count in series[round(12 / every):])
    require(max(series[:round(3 / every)]) > least, f"it had not begun before\n{series}\n{result}")
    require(during < 100000, f"there was no outage: {during} bytes\n{series}")
    require(idle < 8, f"nothing moved for {idle:.1f} s when it was over\n{series}\n{result}")


BULK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bulk.py")


@case()
def background_gives_way(t):
    """Beside a flow under cubic on 50 Mbit/s, a queue of one BDP: while that flow goes on it has
    most of what the path carries; then argosy comes to its end, with all its bytes."""
    source, log, result = make_file(t.path("in"), 20 * MIB), t.path("log"), t.path("flow")
    back = t.path("out")
    keys = "export AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s"
    server = (f"{keys}; python3 {BULK} sink 10.77.0.2 9100 & "
              f"exec {harness.STOWAGE} --listen 10.77.0.2:9000")
    client = (f"{keys} AWS_ENDPOINT_URL=http://$WANLAB_SERVER:9000; {harness.ARGOSY} mb s3://lab; "
              f"(python3 {BULK} send 10.77.0.2 9100 8 3 > {result}) & sleep 1; "
              f"{harness.ARGOSY} cp --background --json -q --journal none --log-decisions {log} "
              f"{source} s3://lab/k; wait; {harness.ARGOSY} cp -q s3://lab/k {back}")
    run, report = lab(t, "--rate", "50M", "--rtt", "20ms", "--server", server, "--server-port",
                      "9000", "--", "bash", "-c", client, timeout=120)
    same(source, back)
    with open(result, encoding="utf-8") as file:
        flow = json.load(file)
    with open(log, encoding="utf-8") as file:
        told = [json.loads(line) for line in file]
    numbers = next(json.loads(li) for li in run.out.splitlines() if li.startswith('{"argosy"'))
    series, every = report["series"]["up"]["delivered_bytes"], report["series"]["every_s"]
    first, last = ((flow[k] - report["begin_s"]) / every for k in ("begin", "end"))
    carried = sum(series[round(first):round(last)]) * 1448 / 1500
    require(numbers["done"] == 1 and numbers["background"]["yielded_seconds"] > 1, f"{run}")
    require(any(d["knob"] == "bytes a second of the background" and d["new"] < d["old"] and
                d["reason"] == "others want the path" for d in told), f"{told}")
    require(carried > 0 and flow["bytes"] > 0.75 * carried,
            f"the other flow had {flow['bytes']} of {carried:.0f} bytes\n{run}\n{told}")


def told_of_a_download(t, name, *path):
    """The rounds that decisions of flow control were made by, of 48 MiB that come down the path."""
    log, back = t.path(f"log-{name}"), t.path(f"out-{name}")
    keys = "AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s"
    server = f"{keys} exec {harness.STOWAGE} --null --listen 10.77.0.2:9000 --tcp-cc cubic"
    client = (f"export {keys} AWS_ENDPOINT_URL=http://$WANLAB_SERVER:9000; "
              f"{harness.ARGOSY} mb s3://lab && {harness.ARGOSY} cp --journal none --cc bbr "
              f"--part-size 5M --log-decisions {log} s3://lab/size-48MiB {back}")
    lab(t, "--rate", "100M", "--rtt", "20ms", *path, "--server", server, "--server-port", "9000",
        "--", "sh", "-c", client)
    with open(log, encoding="utf-8") as file:
        told = [json.loads(line) for line in file]
    return [d for d in told if d["knob"] == "parts in flight" and d["bytes_per_s"] > 0]


@case()
def losses_of_a_download_are_told(t):
    """The server alone knows what it sends again; the receiver sees holes. Where the path loses
    nothing and its queue overflows never, there are none but what a busy machine itself drops."""
    lossy = told_of_a_download(t, "lossy", "--loss", "1%", "--queue", "64M")
    clean = told_of_a_download(t, "clean", "--queue", "64M")
    require(lossy and clean, f"{lossy}\n{clean}")
    require(any(0.002 < d["lost_share"] < 0.1 and 0.02 < d["hole_share"] <= 1 for d in lossy),
            f"{lossy}")
    require(all(d["resent_share"] == 0 for d in lossy + clean), f"{lossy}\n{clean}")
    require(all(d["lost_share"] < 0.002 for d in clean), f"{clean}")


def queue_of_a_download(t, windows):
    """What a server under cubic makes of a queue of 4 BDP, bytes on the mean of the last seconds
    of a download of 20 s, and what was decided about it."""
    log = t.path(f"log-{windows}")
    keys = "AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s"
    server = f"{keys} exec {harness.STOWAGE} --null --listen 10.77.0.2:9000 --tcp-cc cubic"
    client = (f"export {keys} AWS_ENDPOINT_URL=http://$WANLAB_SERVER:9000; "
              f"{harness.ARGOSY} mb s3://lab && timeout -s INT 20 {harness.ARGOSY} cp -q --journal "
              f"none --cc fixed:8 --receive-windows {windows} --log-decisions {log} "
              "s3://lab/size-1GiB /dev/null; true")
    _, report = lab(t, "--rate", "50M", "--rtt", "50ms", "--queue", "4BDP", "--server", server,
                    "--server-port", "9000", "--", "sh", "-c", client)
    with open(log, encoding="utf-8") as file:
        told = [json.loads(line) for line in file]
    series, every = report["series"]["down"], report["series"]["every_s"]
    late = slice(round(15 / every), round(19 / every))
    queued, moved = (statistics.fmean(series[k][late])
                     for k in ("queued_bytes", "delivered_bytes"))
    return queued, moved / every, [d for d in told if "of downloads" in d["knob"]]


@case()
def receive_windows_keep_a_queue_short(t):
    """A loss-based server fills whatever queue there is; windows let it have one round trip's worth
    of it, and the path is as full as before."""
    bdp = 50e6 / 8 * 0.050
    kernel, kernel_rate, nothing = queue_of_a_download(t, "kernel")
    for _ in range(2):  # on a machine that is too busy rounds are uneven: then nothing is clamped
        auto, rate, told = queue_of_a_download(t, "auto")
        if told:
            break
    require(not nothing and any(d["state"] == "lowering" and d["new"] < 3 * bdp for d in told),
            f"{nothing}\n{told}")
    require(auto < 1.7 * bdp and auto < 0.75 * kernel, f"{auto:.0f} {kernel:.0f}\n{told}")
    require(rate > 0.9 * kernel_rate > 0, f"{rate:.0f} {kernel_rate:.0f}\n{told}")


@case()
def schedule_changes_the_path(t):
    """The second step, three seconds behind the first, loses all that comes: what passed before it,
    passes no more. It is sent long enough on a machine that is slow to begin."""
    probe = ("import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
             "[(s.sendto(b'x' * 100, ('10.77.0.2', 9)), time.sleep(0.01)) for _ in range(400)]")
    _, report = lab(t, "--path", "up.loss=0", "--schedule", "3s up.loss=99.9999%", "--",
                    "python3", "-c", probe)
    counters = report["up"]
    require(counters["lost_packets"] > 10 and counters["delivered_packets"] > 10, f"{counters}")
    series, every = report["series"]["up"]["delivered_bytes"], report["series"]["every_s"]
    step = round(3 / every)
    require(sum(series[:step]) > 0 == sum(series[step + 1:]) and len(series) >= step, f"{series}")
    require(len(report["steps"]) == 2, f"{report['steps']}")


@case()
def exit_codes(t):
    lab(t, "--rtt", "2ms", "--", "sh", "-c", "exit 7", code=7)
    lab(t, "--rtt", "2ms", "--", "sh", "-c", "kill -9 $$", code=137)
    lab(t, "--rtt", "2ms", "--", "no-such-program", code=127)
    lab(t, "--rtt", "2ms", "--server", "exit 1", "--server-port", "9", "--", "true", code=EXIT_LAB)
    result, _ = lab(t, "--loss", "150%", "--", "true", code=2)
    require("150%" in result.err, f"{result}")


@case()
def nothing_is_left(t):
    """Whatever ends wanlab: its processes, those that they left behind too, end with it."""
    lab(t, "--", "true")  # skips here where it cannot be
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        ready = t.path(f"ready-{number}")
        command = f"bash -c '{marked(300)}' & touch {ready}; bash -c '{marked(301)}'; wait"
        process = t.start("--rtt", "5ms", "--server", f"bash -c '{marked(302)}'", "--",
                          "bash", "-c", command, program=WANLAB)
        wait_for(lambda: os.path.exists(ready), "the command to run")
        process.signal(number)
        result = process.finish()
        require(result.code == (-9 if number == signal.SIGKILL else 128 + number), f"{result}")
        wait_for(lambda: not marks(), f"the processes to end behind signal {number}: {result}")
