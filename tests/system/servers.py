"""The servers that the system tests talk to: started when first asked for, stopped at the end.

stowage: ours, plain HTTP, objects in memory. stowage-tls, -dir, -null: the same with TLS, or with
objects in a folder or nowhere. rgw, rgw-tls: Ceph's RADOS Gateway. swift: OpenStack Swift with
s3api. All on loopback."""

import os
import re
import shutil
import signal
import subprocess
import time

import harness

started = {}  # name → Server, or the Skip that it gave


class Server:
    region = "us-east-1"
    ca = None      # PEM file that verifies `url`
    confirms = False  # checks the checksums that it is sent, and stores them
    forgets = False  # all that it stores is gone when it stops, and it is slow to remove it before
    vhost_url = None  # the same by a name whose subdomains resolve

    def __init__(self, url, access, secret):
        self.url, self.access, self.secret = url, access, secret

    def environment(self):
        env = {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": self.access,
               "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": self.region}
        if self.ca:
            env["AWS_CA_BUNDLE"] = self.ca
        return env

    def boto3(self, **config):
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise harness.Skip("python3-boto3 is missing (make deps)") from None
        config = {"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 3}, **config}
        return boto3.client("s3", endpoint_url=self.url, region_name=self.region,
                            aws_access_key_id=self.access, aws_secret_access_key=self.secret,
                            verify=self.ca or True, config=Config(**config))

    def stop(self):
        pass


class Stowage(Server):
    """`stowage` prints one line with its URL when it listens."""
    confirms = True

    def __init__(self, *args, cpu=None):
        harness.need_program(harness.STOWAGE)
        self.dir = os.path.join(harness.work_folder(), f"stowage-{time.monotonic_ns()}")
        os.mkdir(self.dir)
        super().__init__(None, "STOWAGEACCESSKEY", "stowagesecret+/0")
        self.fault_file, self.log_at = os.path.join(self.dir, "faults"), 0
        with open(self.fault_file, "w", encoding="utf-8"):
            pass
        env = {**os.environ, "AWS_ACCESS_KEY_ID": self.access, "HOME": self.dir,
               "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": self.region}
        pin = ["--cpu", str(cpu)] if cpu is not None else []
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.popen = subprocess.Popen(
            [harness.STOWAGE, *pin, "--faults", self.fault_file, *args], env=env, cwd=self.dir,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        line = self.popen.stdout.readline().decode()
        found = re.search(r"https?://\S+", line)
        if not found:
            self.stop()
            raise harness.Failure(f"stowage did not start: {line!r} {self.words()}")
        self.url = found.group(0).rstrip("/")
        self.vhost_url = self.url.replace("127.0.0.1", "localhost")
        self.pid = self.popen.pid

    def faults(self, *rules):
        """From now on it misbehaves in these ways and no other, and counts anew. What the rules
        before did, as fault_counts()."""
        with open(self.fault_file, "w", encoding="utf-8") as file:
            file.write("".join(rule + "\n" for rule in rules))
        text = self.ask(signal.SIGHUP, "rules from now on|the rules stay")
        harness.require("the rules stay" not in text, f"stowage refused {rules}: {text}")
        return self.parse_counts(text)

    def fault_counts(self):
        """[(requests that fit, that were hit, where it came about)], a tuple a rule."""
        return self.parse_counts(self.ask(signal.SIGUSR1, "faults: that is all"))

    def traffic(self):
        """(requests, bytes in, bytes out) since the rules came."""
        found = re.findall(r"traffic: (\d+) requests, (\d+) bytes in, (\d+) bytes out",
                           self.ask(signal.SIGUSR1, "faults: that is all"))
        return tuple(int(n) for n in found[-1])

    @staticmethod
    def parse_counts(text):
        found = re.findall(r"fault \d+: (\d+) fit, (\d+) hit, (\d+) fired", text)
        return [tuple(int(n) for n in row) for row in found]

    def ask(self, number, until):
        """Sends a signal; the log from the last question up to the answer."""
        self.popen.send_signal(number)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with open(self.log.name, encoding="utf-8", errors="replace") as log:
                log.seek(self.log_at)
                text = log.read()
            if re.search(until, text) and text.endswith("\n"):
                self.log_at += len(text.encode())
                return text
            time.sleep(0.005)
        raise harness.Failure(f"stowage does not answer signal {number}: {self.words()}")

    def words(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def stop(self):
        self.popen.terminate()
        try:
            self.popen.wait(30)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.log.close()
        words = self.words()
        shutil.rmtree(self.dir, ignore_errors=True)
        if any(word in words for word in harness.BUGS):
            print(f"*** stowage had a bug of ours: {words}", flush=True)


class StowageTls(Stowage):
    """With a certificate that stowage makes itself."""

    def __init__(self, *args, cpu=None):
        folder = os.path.join(harness.work_folder(), f"cert-{time.monotonic_ns()}")
        os.mkdir(folder)
        super().__init__("--tls", "--tls-dir", folder, *args, cpu=cpu)
        self.ca = os.path.join(folder, "cert.pem")
        self.vhost_url = self.url.replace("127.0.0.1", "localhost")


class Script(Server):
    """A server that a shell script starts, stops, and tells the settings of."""
    forgets = True

    def __init__(self, script, programs, **settings):
        for program in programs:
            if not shutil.which(program):
                raise harness.Skip(f"{program} is not installed (make deps)")
        self.script = os.path.join(harness.HERE, script)
        self.dir = os.path.join(harness.work_folder(), script.removesuffix(".sh"))
        done = self.call("start", **settings)
        if done.returncode:
            raise harness.Failure(f"{script} start: {done.stdout.decode()}")
        text = self.call("env").stdout.decode()
        self.env = dict(re.findall(r"(\w+)=(\S+)", text))
        super().__init__(self.env["AWS_ENDPOINT_URL"], self.env["AWS_ACCESS_KEY_ID"],
                         self.env["AWS_SECRET_ACCESS_KEY"])

    def call(self, word, **settings):
        return subprocess.run([self.script, word, self.dir], env={**os.environ, **settings},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def stop(self):
        self.call("stop")
        shutil.rmtree(self.dir, ignore_errors=True)


class Rgw(Script):
    def __init__(self):
        super().__init__("rgw.sh", ("radosgw", "ceph-mon", "ceph-osd"),
                         RGW_SIZE=str(10 << 30))
        self.vhost_url = self.env["RGW_VHOST_URL"]


class RgwTls(Server):
    forgets = True

    def __init__(self):
        plain = get("rgw")
        super().__init__(plain.env["RGW_TLS_URL"], plain.access, plain.secret)
        self.ca, self.vhost_url = plain.env["RGW_CA_FILE"], self.url


class Swift(Script):
    def __init__(self):
        super().__init__("swift.sh", ("swift-proxy-server", "swift-object-server", "memcached"))


def make_certificate(folder, days=30, names="DNS:localhost,DNS:*.localhost,IP:127.0.0.1"):
    """(certificate, key): self-signed; days may be negative: expired."""
    os.makedirs(folder, exist_ok=True)
    certificate, key, asked, extra = (os.path.join(folder, n) for n in
                                      ("cert.pem", "key.pem", "request.pem", "extensions"))
    with open(extra, "w", encoding="utf-8") as file:
        file.write(f"subjectAltName={names}\nbasicConstraints=critical,CA:TRUE\n")
    for argv in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-subj", "/CN=localhost", "-keyout", key, "-out", asked],
                 ["x509", "-req", "-in", asked, "-signkey", key, "-days", str(days), "-extfile",
                  extra, "-out", certificate]):  # `req -x509` takes no negative days
        subprocess.run(["openssl", *argv], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return certificate, key


KINDS = {
    "stowage": Stowage,
    "stowage-dir": lambda: Stowage("--dir", os.path.join(harness.work_folder(), "stowage-dir")),
    "stowage-null": lambda: Stowage("--null"),
    "stowage-tls": StowageTls,
    "rgw": Rgw,
    "rgw-tls": RgwTls,
    "swift": Swift,
}


def get(name):
    """The server of that name; Skip when its programs are missing."""
    if name not in started:
        try:
            started[name] = KINDS[name]()
        except (harness.Skip, harness.Failure) as problem:
            started[name] = problem
    if isinstance(started[name], Exception):
        raise started[name]
    return started[name]


def stop_all():
    for server in reversed(list(started.values())):
        if isinstance(server, Server):
            server.stop()
    started.clear()
