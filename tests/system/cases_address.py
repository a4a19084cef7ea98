"""Addressing: the bucket in the host name or in the path, and names that are not there."""

import os
import socket
import threading
from types import SimpleNamespace

import harness
import servers
from content import make_file, same
from harness import EXIT_ENVIRONMENT, MIB, PARTS, Skip, case, require
from proxy import Babbler


@case("stowage", "rgw")
def virtual_hosts(t):
    """bucket.localhost must resolve: glibc answers *.localhost with the loopback address."""
    source = make_file(t.path("in"), 1000)
    env = {"AWS_ENDPOINT_URL": t.server.vhost_url}
    for style in ("virtual", "path", "auto"):
        t.argosy("cp", "--addressing", style, source, t.uri(style), env=env)
        t.argosy("cp", "--addressing", style, t.uri(style), t.path("out"), env=env)
        same(source, t.path("out"))
    require(set(t.keys()) == {"virtual", "path", "auto"}, f"{t.keys()}")


def free_name_socket():
    """A socket at port 53, where resolv.conf has all name servers, of some loopback address."""
    problem = None
    for last in range(1, 255):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            server.bind((f"127.{os.getpid() % 250 + 1}.{last}.53", 53))
            return server
        except OSError as refused:
            server.close()
            problem = refused
    raise Skip(f"no name server can be started here: {problem}")


def name_server(t):
    """The address of one that knows no name at all; one a case."""
    if hasattr(t, "name_server"):
        return t.name_server
    server = free_name_socket()
    address = t.name_server = server.getsockname()[0]

    def serve():
        while True:
            query, client = server.recvfrom(512)
            if not query:
                server.close()
                return
            server.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], client)
    threading.Thread(target=serve, daemon=True).start()
    t.at_end(lambda: server.sendto(b"", (address, 53)))
    return address


def with_hosts(t, hosts, args, **env):
    """argosy where only the names of these lines of /etc/hosts resolve."""
    with open(t.path("hosts"), "w", encoding="utf-8") as file:
        file.write(hosts)
    with open(t.path("resolv.conf"), "w", encoding="utf-8") as file:
        file.write(f"nameserver {name_server(t)}\n")
    script = ('mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf || exit 99; '
              'shift 2; exec "$@"')
    result = t.start("-m", "sh", "-c", script, "sh", t.path("hosts"), t.path("resolv.conf"),
                     harness.ARGOSY, *args, program="unshare", env=env).finish()
    if result.code in (1, 99) and "argosy" not in result.err:
        raise Skip("no mount namespace of one's own here")
    return result


def with_names(t, names, *args):
    """argosy where only these names resolve, to 127.0.0.1."""
    port = t.server.url.rpartition(":")[2]
    url = f"{t.server.url.partition(':')[0]}://s3.example.test:{port}"
    return with_hosts(t, "127.0.0.1 " + " ".join(names) + "\n", args, AWS_ENDPOINT_URL=url)


@case("stowage")
def addressing_is_guessed(t):
    """A store that has a name, and whose buckets have none: they go into the path."""
    source = make_file(t.path("in"), 6 * MIB)
    for args in (["cp", *PARTS, source, t.uri("k")], ["cp", t.uri("k"), t.path("out")], ["ls"],
                 ["ls", t.uri()]):
        result = with_names(t, ["s3.example.test"], *args, "-v")
        require(result.code == 0, f"{result}")
        told = "buckets have no host names of their own there" in result.err
        require(told == (args != ["ls"]), f"{result}")
    same(source, t.path("out"))
    result = with_names(t, ["s3.example.test"], "ls", t.uri(), "--addressing", "virtual",
                        "--deadline", "1s")
    require(result.code == EXIT_ENVIRONMENT and "s3.example.test" in result.err, f"{result}")


@case("stowage")
def buckets_with_names(t):
    """Where they have names these are used."""
    names = ["s3.example.test", t.bucket + ".s3.example.test"]
    seen = Babbler(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    t.at_end(seen.close)
    t.server = SimpleNamespace(url=seen.url, environment=t.server.environment)
    with_names(t, names, "ls", t.uri(), "--retries", "0")
    host = f"host: {names[1]}:{seen.url.rpartition(':')[2]}"
    require(seen.heads and all(host in head for head in seen.heads), f"{seen.heads}")


@case()
def names_without_certificates(t):
    """A wildcard name whose certificate is for the store alone."""
    servers.make_certificate(t.path("one"), names="DNS:s3.example.test,IP:127.0.0.1")
    t.server = servers.Stowage("--tls", "--tls-dir", t.path("one"))
    t.server.ca = t.path("one/cert.pem")
    t.at_end(t.server.stop)
    t.argosy("mb", "s3://bucket")
    source = make_file(t.path("in"), 100)
    names = ["s3.example.test", "bucket.s3.example.test"]
    result = with_names(t, names, "cp", "-v", source, "s3://bucket/k")
    require(result.code == 0 and "they go into the path" in result.err, f"{result}")
