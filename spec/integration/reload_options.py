#!/usr/bin/env python3
"""Reloads of a configuration that says something else: what changes, and what needs a restart.
Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import APP
from harness import HOST, LAST, Server, check, free_port, same, until
from reloading import Load, answers, ask, serving

SUITE = harness.Suite()
case = SUITE.case

TALK = """
local core = require "tornado.core"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"

local Hear = web.RequestHandler:extend "Hear"
function Hear:get()
    local stream = self:event_stream()
    pubsub.subscribe("topic", stream)
    stream:send("worker " .. core.worker())
end

local Say = web.RequestHandler:extend "Say"
function Say:get() pubsub.publish("topic", self:get_argument("text")) end

return web.Application { { "/hear", Hear }, { "/say", Say } }
"""


def listen_everywhere(server, n):
    """Connections with a stream of /hear, one to each worker."""
    found = {}

    def more():
        c = server.connect()
        c.send(b"GET /hear HTTP/1.1\r\n" + HOST + b"\r\n")
        same(c.head().status, 200, "status")
        while not (name := re.search(rb"worker \d", c.line())):
            pass
        if name.group() in found:
            c.close()
        else:
            found[name.group()] = c
        return len(found) == n
    until(more, f"streams of {n} workers; now {found.keys()}")
    return list(found.values())


@contextlib.contextmanager
def configured(binary, text, app=None):
    """A server with that configuration and a control socket, and the functions
    reload(text), with another one, which returns what `ctornado reload` prints, and
    status()."""
    with serving(binary) as (_, site):
        conf, path = site.path / "conf.lua", site.path / "control"
        path_option = [f"--control={path}"]

        def command(*words):
            done = subprocess.run([str(binary), *words, *path_option], cwd=harness.ROOT,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=harness.PATIENCE)
            return done.stdout + done.stderr

        def again(new, then=path):
            conf.write_text(f"control = '{then}'\n{new}\n")
            said = command("reload")
            path_option[0] = f"--control={then}"
            return said

        if app:
            site.spoil(app)
        conf.write_text(f"control = '{path}'\n{text}\n")
        with Server(binary, f"--config={conf}", site=site.path) as server:
            if "workers" in text or "supervise" in text:
                server.await_line("workers? serve")
            else:
                harness.await_socket(path)
            yield server, site, again, lambda: json.loads(command("status", "json"))


def await_workers(status, n):
    def look():
        workers = status()["workers"]
        return len(workers) == n and all(w["state"] == "serving" for w in workers)
    until(look, f"{n} workers; now {status()}")


def options():
    g = "options"

    @case(g, "workers come and go, and no client notices")
    def _(binary):
        with configured(binary, "workers = 2") as (server, _, again, status):
            clients = [Load(server, fresh=True) for _ in range(3)]
            for client in clients:
                client.start()
            for n in (4, 1, 3):
                same(again(f"workers = {n}"), "reload: done\n", "reload")
                check(f"{n} workers from now on" in server.log(), "nothing has changed")
                await_workers(status, n)
            until(lambda: all(c.wrong or c.done > 50 for c in clients), "requests of each client")
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
            check("died" not in server.log(), server.log())

    @case(g, "fewer workers: what the others counted stays, and what more of them count is added")
    def _(binary):
        with configured(binary, "workers = 4") as (server, _, again, status):
            for _ in range(60):
                server.get("/")
            same(status()["handled"], 60, "requests")
            for n in (1, 3):
                same(again(f"workers = {n}"), "reload: done\n", "reload")
                await_workers(status, n)
                same(status()["handled"], 60, f"requests, when {n} are left")
            for _ in range(60):
                server.get("/")
            until(lambda: status()["handled"] == 120, "all requests of both times")

    @case(g, "a worker that still leaves is wanted again: it keeps nobody waiting")
    def _(binary):
        more = "\nstop_timeout = 600"
        with configured(binary, "workers = 2" + more, app=APP % "one") as (
                server, site, again, status), contextlib.ExitStack() as stack:
            def other():
                c = stack.enter_context(server.connect())
                return ask(c, "/who")[0] == "2" and c
            c = until(other, "a connection to the second worker")
            c.send(f"GET /slow?till={site.path}/go HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            until(lambda: status()["workers"][1]["requests"] == 1, "the request")
            same(again("workers = 1" + more), "reload: done\n", "fewer")
            server.await_line("stopping: 1 requests under way")
            same(again("workers = 2" + more), "reload: done\n", "more")
            (site.path / "go").touch()
            same(c.reply().body, b"slow", "the reply")
            server.await_line(r"\[I .*worker 2 .* ended with exit code 0")
            await_workers(status, 2)
            now = status()
            same((now["replaced"], now["reloads_failed"]), (0, 0), "replaced, failed reloads")

    @case(g, "a master of one worker gets more")
    def _(binary):
        with configured(binary, "supervise = true") as (server, _, again, status):
            same(again("supervise = true\nworkers = 2"), "reload: done\n", "reload")
            await_workers(status, 2)
            check("no folder" not in server.log(), server.log())

    @case(g, "workers that come and go are one pubsub")
    def _(binary):
        with configured(binary, "workers = 2", app=TALK) as (server, _, again, status):
            for n in (3, 2):
                same(again(f"workers = {n}"), "reload: done\n", "reload")
                await_workers(status, n)
                streams = listen_everywhere(server, n)
                for i in range(10):
                    server.get(f"/say?text={n}-{i}")
                for stream in streams:
                    got = set()
                    while len(got) < 10:
                        line = stream.line().decode()
                        if found := re.search(rf'{n}-\d+', line):
                            got.add(found.group())
                    stream.close()

    @case(g, "what needs a restart is named, and stays")
    def _(binary):
        with configured(binary, "") as (server, site, again, _):
            site.write("two")
            same(again("workers = 2\nsupervise = true"),
                 "reload: done; changed, needs a restart: workers, supervise\n", "alone")
            server.await_line(r"\[W .*changed, needs a restart: workers, supervise")
            same(server.get("/").body, b"two", "all else is done")
            same(again(""), "reload: done\n", "as it was")
        with configured(binary, "workers = 2") as (server, _, again, _):
            for _ in range(2):
                same(again("workers = 2\nuser = 'nobody'\ngroup = 'nogroup'"),
                     "reload: done; changed, needs a restart: user, group\n", "with a master")

    for kind in ("", "workers = 2"):
        @case(g, f"the control socket moves: {kind or 'alone'}")
        def _(binary, kind=kind):
            with configured(binary, kind) as (_, site, again, status):
                other = site.path / "other"
                same(again(kind, then=other), "reload: done\n", "the reload")
                check(status()["workers"], "status")
                until(lambda: not (site.path / "control").exists(), "the end of the old one")

        @case(g, f"log files and levels change: {kind or 'alone'}")
        def _(binary, kind=kind):
            with configured(binary, kind) as (server, site, again, _):
                log, access = site.path / "log", site.path / "access"
                same(again(f"{kind}\nlog_file = '{log}'\naccess_log = '{access}'\n"
                           "log_level = 'debug'"), "reload: done\n", "to files")
                same(server.get("/").status, 200, "status")
                until(lambda: access.exists() and "GET /" in access.read_text(), "the access log")
                until(lambda: "generation 1 has ended" in log.read_text(), "the log")
                size = access.stat().st_size
                same(again(f"{kind}\nlog_file = '/nowhere/log'").count("log_file: /nowhere/log"),
                     1, "one that cannot be")
                same(again(kind), "reload: done\n", "back")
                server.get("/")
                same(access.stat().st_size, size, "bytes of the access log")
                until(lambda: server.log().count("generation 2 has ended"), "the terminal")

        @case(g, f"addresses come and go: {kind or 'alone'}")
        def _(binary, kind=kind):
            with configured(binary, f"{kind}\nlisten = {{ '127.0.0.1:0' }}") as (
                    server, _, again, status):
                port = free_port()
                here, there = f"'127.0.0.1:{server.port}'", f"'127.0.0.1:{port}'"
                same(again(f"{kind}\nlisten = {{ '127.0.0.1:0', {there} }}"),
                     "reload: done\n", "one more")
                with socket.create_connection(("127.0.0.1", port), harness.PATIENCE) as s:
                    s.sendall(LAST)
                    check(s.recv(100).startswith(b"HTTP/1.1 200"), "the new one")
                same(again(f"{kind}\nlisten = {{ {there} }}"), "reload: done\n", "one less")
                until(lambda: not answers(server.port), f"{here} to be closed")
                for _ in range(20):
                    check(answers(port), "the new one is closed")
                check(status()["workers"], "status")

    @case(g, "two on port 0 keep their ports, and their clients")
    def _(binary):
        both = "listen = { '127.0.0.1:0', { '127.0.0.1:0', redirect = 443 } }"
        third = "listen = { '127.0.0.1:0', { '127.0.0.1:0', redirect = 443 }, '127.0.0.1:0' }"

        def status_of(c):
            c.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return c.reply().status

        def look(ports):
            for port, want in zip(ports, (200, 301, 200)):
                for _ in range(12):
                    with harness.Connection(port) as c:
                        same(status_of(c), want, f"the status of port {port}, of {ports}")
        for kind in "", "workers = 2":
            with configured(binary, f"{kind}\n{both}") as (server, _, again, _):
                def ports():
                    found = re.findall(r"ctornado \S+ on http://127.0.0.1:(\d+)", server.log())
                    return list(dict.fromkeys(map(int, found)))
                until(lambda: len(ports()) == 2, "two ports")
                look(ports())
                kept = [harness.Connection(port) for port in ports()]
                same([status_of(c) for c in kept], [200, 301], "those that are kept")
                for text in both, third, both, both:
                    same(again(f"{kind}\n{text}"), "reload: done\n", "reload")
                    same([status_of(c) for c in kept], [200, 301], "those that are kept")
                    look(ports()[:2 if kind else text.count(":0")])
                for c in kept:
                    c.close()

    @case(g, "a new unix socket for several workers is refused, and nothing has changed")
    def _(binary):
        with configured(binary, "workers = 2\nlisten = { '127.0.0.1:0' }") as (
                server, site, again, _):
            path = site.path / "socket"
            said = again(f"workers = 2\nlisten = {{ '127.0.0.1:0', 'unix:{path}' }}")
            check("nothing has changed" in said and "needs a restart" in said, said)
            check(not path.exists(), "the socket was made")

    @case(g, "a certificate is the one of the new configuration")
    def _(binary):
        with tempfile.TemporaryDirectory() as folder:
            def make(name):
                subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                                "-days", "1", "-subj", f"/CN={name}", "-keyout", f"{folder}/key",
                                "-out", f"{folder}/cert"], check=True, capture_output=True)
            text = f"certfile = '{folder}/cert'\nkeyfile = '{folder}/key'"
            make("one")
            with configured(binary, text) as (server, _, again, _):
                def name():
                    pem = ssl.get_server_certificate(("127.0.0.1", server.port))
                    done = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem,
                                          capture_output=True, text=True)
                    return done.stdout.split()[-1]
                same(name(), "one", "first")
                make("two")
                again(text)
                same(name(), "two", "after the reload")

    @case(g, "limits are those of the new configuration")
    def _(binary):
        with configured(binary, "max_body_size = 10") as (server, site, again, _):
            def post():
                with server.connect() as c:
                    c.send(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n" + HOST + b"\r\n"
                           + b"x" * 100)
                    return c.reply().status
            same(post(), 413, "a body of 100 bytes")
            again("max_body_size = 1000\nmax_header_size = 300\nmax_connections = 3")
            same(post(), 405, "a body of 100 bytes")
            with server.connect() as c:
                c.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 400 + b"\r\n" + HOST + b"\r\n")
                same(c.reply().status, 431, "a large head")
            open_ones = [server.connect() for _ in range(3)]
            for c in open_ones:
                same(ask(c), "one", "within max_connections")
            same(server.get("/").status, 503, "one more")
            for c in open_ones:
                c.close()
            again("max_connections = 100")
            until(lambda: server.get("/").status == 200, "room")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (options,), __doc__)
