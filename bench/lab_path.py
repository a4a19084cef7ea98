"""lab_path: one run of one program over one of wanlab's paths, and what came of it.

Goodput of a run that is cut off after some seconds is what the path delivered to the receiver in
the direction of the data, without headers, from the end of its warm-up on, for argosy and iperf3
alike; what argosy threw away itself (slow parts that it asked for again) is taken off. A segment
that arrives twice counts twice: that is rare, and the same for all. Goodput of a run that goes to
its end is what it had to move, over its time."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import harness

WANLAB = os.path.join(harness.BUILD, "wanlab")
RUNNER, SERVER = (os.path.join(harness.ROOT, "bench", name) for name in ("lab_run.py",
                                                                          "lab_serve.py"))
PORT, IPERF_PORT = 9000, 5201
SEGMENT_SHARE = 1448 / 1500  # of a full packet: without IP, TCP and its timestamps
KEYS = {"AWS_ACCESS_KEY_ID": "labkey", "AWS_SECRET_ACCESS_KEY": "labsecret",
        "AWS_REGION": "us-east-1"}
EXIT_OFF = 124     # wanlab's: the path is not as it was asked for
TRIES = 4          # of a calibration, and of a run that wanlab calls void
STOLEN_MOST = 0.01  # of the CPUs' time, by the host: above, all deliveries come late
STOLEN_LOOK_S, STOLEN_WAIT_S = 2.0, 60.0
TO_THE_END_S = 240  # most of a run that is not cut off: then something hangs
SERVED = re.compile(r"^(\d+\.\d+) .*?(\w+) lab/(\S*) part (\d+): (\d+) (\S*), (\d+) bytes in, "
                    r"(\d+) us", re.M)


class Trouble(Exception):
    """No result: the laboratory, or the program in it, failed. The text says how."""


class Off(Trouble):
    """The path could not be made as asked: nothing was measured."""


class Path:
    """A path's description, in wanlab's words, and its rate at first, in bits/s."""

    def __init__(self, text, schedule="", rate=1e9):
        self.text, self.schedule, self.rate = text, schedule, rate

    def options(self):
        return ["--path", self.text, *(["--schedule", self.schedule] if self.schedule else [])]

    def __str__(self):
        return self.text + (f" [{self.schedule}]" if self.schedule else "")


class Served:
    """What the server answered: a line of `stowage -v`, on the clock of the report."""

    def __init__(self, groups, begin_s):
        at, self.operation, self.key, part, status, self.code, count, us = groups
        self.end_s, self.part, self.status = float(at) - begin_s, int(part), int(status)
        self.begin_s, self.in_bytes = self.end_s - int(us) / 1e6, int(count)


class Outcome:
    """Of one run: goodput, CPU, the wire's own account, and what the server saw of it."""

    def __init__(self, name, path, job, report):
        self.name, self.path, self.direction = name, str(path), job["direction"]
        self.job, self.report = job, report
        self.begin_s, self.elapsed_s = job["begin"], job["end"] - job["begin"]
        self.cpu_s, self.code, self.cut = job["cpu_s"], job["code"], job["cut"]
        self.sound, self.void = report["sound"], report["void"]
        series = report["series"]
        self.every_s, self.series = series["every_s"], series[self.direction]["delivered_bytes"]
        self.first_s = job["begin"] - report["begin_s"]
        self.served, self.decisions = [], []
        self.goodput = self.steady() if job["moved_bytes"] is None else \
            job["moved_bytes"] * 8 / self.elapsed_s

    def steady(self):
        """Bits/s after the warm-up."""
        begin_s = self.job["warm"]
        end_s = min(self.elapsed_s, self.job["window"])
        if end_s <= begin_s:
            raise Trouble(f"{self.name} was through after {end_s:.1f} s, before its warm-up was")
        wasted = self.answer().get("cut_bytes", 0) * 8 / (end_s - begin_s)
        return max(0.0, self.between(begin_s, end_s) - wasted)

    def between(self, begin_s, end_s):
        """Bits/s that the path delivered between two moments of the program's time."""
        total = 0.0
        for index, count in enumerate(self.series):
            left = max(index * self.every_s, self.first_s + begin_s)
            right = min((index + 1) * self.every_s, self.first_s + end_s)
            total += count * max(0.0, right - left) / self.every_s
        return total * 8 * SEGMENT_SHARE / (end_s - begin_s)

    def answer(self):
        """The last line of JSON on its standard output; {} where there is none."""
        try:
            return json.loads(self.job["out"].strip().split("\n")[-1])
        except ValueError:
            return {}

    def cpu_per_gib(self):
        gib = self.between(0, self.elapsed_s) * self.elapsed_s / 8 / 2 ** 30
        return self.cpu_s / gib if gib else 0.0

    def read(self, home):
        """What the run left in its home: the server's log, and the decisions of flow control."""
        served, decisions = (os.path.join(home, n) for n in ("served", "decisions"))
        if os.path.exists(served):
            with open(served, encoding="utf-8", errors="replace") as file:
                self.served = [Served(g, self.begin_s) for g in SERVED.findall(file.read())]
        if os.path.exists(decisions):
            with open(decisions, encoding="utf-8") as file:
                self.decisions = [json.loads(li) for li in file if li.endswith("}\n")]

    def line(self):
        """For JSON lines."""
        return {"name": self.name, "path": self.path, "direction": self.direction,
                "goodput_bits_per_s": self.goodput, "seconds": self.elapsed_s,
                "cpu_s": self.cpu_s, "cpu_s_per_gib": self.cpu_per_gib(), "code": self.code,
                "cut": self.cut, "sound": self.sound, "void": self.void, "argv": self.job["argv"],
                "answer": self.answer(), "requests_served": len(self.served),
                "requests_refused": sum(s.status == 503 for s in self.served),
                "up": self.report["up"], "down": self.report["down"]}


def stolen_share(before, after):
    """Of the CPUs' time, what the host gave to others between two first lines of /proc/stat."""
    spent = [int(b) - int(a) for a, b in zip(before.split()[1:9], after.split()[1:9])]
    return spent[7] / sum(spent) if sum(spent) else 0.0


def wait_for_host(look=None, wait_s=STOLEN_WAIT_S, look_s=STOLEN_LOOK_S):
    """Until the host leaves the CPUs to this machine for a moment, but no longer than wait_s."""
    def first_line():
        with open("/proc/stat", encoding="ascii") as file:
            return file.readline()
    look, end = look or first_line, time.monotonic() + wait_s
    before = look()
    while time.monotonic() < end:
        time.sleep(look_s)
        after = look()
        if stolen_share(before, after) <= STOLEN_MOST:
            break
        before = after


class Lab:
    """Starts runs, keeps their lines, and calibrates each path once an experiment."""

    def __init__(self, folder, log):
        self.folder, self.log = folder, log
        self.calibrations, self.outcomes = {}, []  # of the experiment
        self.tries = TRIES
        helped = subprocess.run([harness.ARGOSY, "cp", "--help"], stdout=subprocess.PIPE, text=True,
                                check=True).stdout.split()
        self.logs_decisions = "--log-decisions" in helped

    def keep(self, kind, line):
        self.log.write(json.dumps({"kind": kind, **line}) + "\n")
        self.log.flush()

    def calibrate(self, path):
        """Once an experiment; measured again where a busy machine spoilt it. Trouble: it is off."""
        for tried in range(self.tries if str(path) not in self.calibrations else 0):
            if tried:
                wait_for_host()
            report = os.path.join(self.folder, "calibration.json")
            argv = [WANLAB, *path.options(), "--calibrate", "-q", "--report", report]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode not in (0, EXIT_OFF):
                raise Trouble(done.stdout.decode("utf-8", "replace").strip())
            with open(report, encoding="utf-8") as file:
                calibration = json.load(file)["calibration"]
            self.calibrations[str(path)] = calibration
            self.keep("calibration", {"path": str(path), **calibration})
            if calibration["good"]:
                break
        off = [r for r in self.calibrations[str(path)]["rows"] if not r["good"]]
        if off:
            raise Off(f"the path is off: {off[0]['what']} {off[0]['lane']}: "
                      f"{off[0]['measured']:.3f} {off[0]['unit']} instead of "
                      f"{off[0]['asked']:.3f}; is the machine busy?")

    def run(self, name, path, job, server, port, seed):
        """A run as bench/lab_run.py wants it, again where wanlab calls it void."""
        self.calibrate(path)
        for tried in range(self.tries):
            if tried:
                wait_for_host()
            outcome = self.run_once(name, path, job, server, port, seed)
            self.keep("run", outcome.line())
            if outcome.sound:
                break
        self.outcomes.append(outcome)
        return outcome

    def run_once(self, name, path, job, server, port, seed):
        home = tempfile.mkdtemp(prefix="home-", dir=self.folder)
        files = {k: os.path.join(home, k) for k in ("job", "result", "report")}
        job = {"before": [], "beside": None, "direction": "up", "moved_bytes": None, "warm": 0,
               "window": job["seconds"], **job}
        job["env"] = {"HOME": home, "XDG_RUNTIME_DIR": home,
                      "AWS_ENDPOINT_URL": f"http://10.77.0.2:{PORT}"}
        with open(files["job"], "w", encoding="utf-8") as file:
            json.dump(job, file)
        argv = [WANLAB, *path.options(), "--seed", str(seed), "--report", files["report"],
                "--server", server, "--server-port", str(port), "--",
                "python3", RUNNER, files["job"], files["result"]]
        try:
            done = subprocess.run(argv, env={**os.environ, **KEYS}, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home)
            if done.returncode or not os.path.exists(files["result"]):
                raise Trouble(f"{name}: " + done.stdout.decode("utf-8", "replace")[-2000:].strip())
            with open(files["result"], encoding="utf-8") as one, \
                    open(files["report"], encoding="utf-8") as other:
                result, report = json.load(one), json.load(other)
            outcome = Outcome(name, path, {**job, **result}, report)
            outcome.read(home)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        if outcome.cut and job["moved_bytes"] is not None:
            raise Trouble(f"{name}: not through after {job['seconds']} s")
        if outcome.code and not outcome.cut:
            raise Trouble(f"{name}: exit code {outcome.code}: {result['err'].strip()[-600:]}")
        return outcome

    # --- programs -----------------------------------------------------------------------------

    def copy(self, *arguments):
        """argosy's words for a copy whose payload is the path's business alone."""
        log = ["--log-decisions", "decisions"] if self.logs_decisions else []
        return [harness.ARGOSY, "cp", "--json", "-q", "--no-sign-payload", *log, *arguments]

    def argosy(self, label, path, argv, server=(), seed=1, beside=None, watched=False, **job):
        """Against `stowage --null` with more options; `watched`: the outcome has what it served.
        `job`: seconds, warm, direction, moved_bytes."""
        job = {"seconds": TO_THE_END_S, "before": [[harness.ARGOSY, "mb", "s3://lab"]],
               "argv": argv, "beside": beside, **job}
        quoted = " ".join(f"'{w}'" for w in server)
        stowage = (f"{harness.STOWAGE} --null --listen 10.77.0.2:{PORT} --tcp-cc cubic "
                   f"--connections 1024 {quoted}")
        script = f"exec python3 {SERVER} served -- {stowage} -v" if watched else f"exec {stowage}"
        if beside:
            script = f"iperf3 -s >/dev/null 2>&1 & {script}"
        return self.run(label, path, job, script, PORT, seed)

    def iperf(self, path, seconds, warm, flows, cc, direction="up", seed=1):
        argv = ["iperf3", "-c", "10.77.0.2", "-C", cc, "-P", str(flows), "-t", str(seconds), "-J",
                *(["-R"] if direction == "down" else [])]
        job = {"argv": argv, "seconds": seconds + TO_THE_END_S, "window": seconds, "warm": warm,
               "direction": direction}
        return self.run(f"iperf3 {cc} P{flows}", path, job, "exec iperf3 -s >/dev/null 2>&1",
                        IPERF_PORT, seed)


def sparse_file(path, size):
    """A file of that size which costs no disk: what is in it does not matter to a path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)
    return path
