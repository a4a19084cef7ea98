"""TLS: what is trusted, what is not, and how it is said."""

import os

import servers
from content import make_file, same, same_trees
from harness import EXIT_ENVIRONMENT, EXIT_USAGE, MIB, PARTS, case, require
from proxy import Proxy

BOTH = ("stowage-tls", "rgw-tls")


def round_trip(t, *options, env=None):
    source = t.path("in")
    if not os.path.exists(source):
        make_file(source, 17 * MIB + 5)
    t.argosy("cp", *options, *PARTS, source, t.uri("k"), env=env)
    t.argosy("cp", *options, *PARTS, t.uri("k"), t.path("out"), env=env)
    same(source, t.path("out"))


@case(*BOTH)
def ca_by_environment(t):
    round_trip(t)


@case(*BOTH)
def ca_by_option(t):
    round_trip(t, "--ca-bundle", t.server.ca, env={"AWS_CA_BUNDLE": None})


@case(*BOTH)
def option_wins_over_environment(t):
    other, _ = servers.make_certificate(t.path("other"))
    round_trip(t, "--ca-bundle", t.server.ca, env={"AWS_CA_BUNDLE": other})


@case(*BOTH)
def unverified_warns(t):
    source = make_file(t.path("in"), 1000)
    result = t.argosy("cp", "--no-verify-ssl", source, t.uri("k"), env={"AWS_CA_BUNDLE": None})
    require("warning" in result.err.lower() and "certificate" in result.err.lower(), f"{result}")
    require(t.keys() == {"k": 1000}, f"{t.keys()}")


@case(*BOTH)
def untrusted(t):
    source = make_file(t.path("in"), 1000)
    t.fails(["cp", source, t.uri("k")], EXIT_ENVIRONMENT, "certificate",
            env={"AWS_CA_BUNDLE": None})
    require(t.keys() == {}, "something was sent to a server that is not trusted")


@case(*BOTH)
def missing_bundle(t):
    source = make_file(t.path("in"), 1000)
    t.fails(["cp", "--ca-bundle", t.path("none.pem"), source, t.uri("k")], EXIT_USAGE,
            "none.pem", "no such file")


@case("stowage-tls", "rgw-tls")
def wrong_host(t):
    """The certificate says localhost and 127.0.0.1, and the server is reached as 127.0.0.2."""
    proxy = Proxy(t.server.url, host="127.0.0.2")
    t.at_end(proxy.close)
    t.fails(["cp", make_file(t.path("in"), 1000), t.uri("k")], EXIT_ENVIRONMENT, "certificate",
            env={"AWS_ENDPOINT_URL": proxy.url})
    require(t.keys() == {}, "something was sent to a server of another name")


@case()
def expired(t):
    certificate, _ = servers.make_certificate(t.path("old"), days=-1)
    server = servers.Stowage("--tls", "--tls-dir", t.path("old"))
    t.at_end(server.stop)
    t.server = server
    t.fails(["cp", make_file(t.path("in"), 1000), "s3://bucket/k"], EXIT_ENVIRONMENT,
            "s3://bucket/k: the server's certificate is not trusted", "expired",
            env={"AWS_CA_BUNDLE": certificate})


@case("stowage-tls")
def tls_to_plain_port(t):
    plain = servers.get("stowage")
    url = plain.url.replace("http:", "https:")
    t.fails(["cp", make_file(t.path("in"), 1000), t.uri("k")], EXIT_ENVIRONMENT,
            t.uri("k") + ": the server does not speak TLS", env={"AWS_ENDPOINT_URL": url})


@case("stowage-tls", "rgw-tls")
def many_small_files(t):
    for index in range(300):
        make_file(t.path("in", f"d{index % 7}", f"f{index}"), index * 13)
    t.argosy("cp", "-r", t.path("in"), t.uri("p/"))
    t.argosy("cp", "-r", t.uri("p/"), t.path("out"))
    same_trees(t.path("in"), t.path("out"))
