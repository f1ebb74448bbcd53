#!/usr/bin/env python3
"""Reloading: new code serves after SIGHUP, what is broken changes nothing, and no
client notices either. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, LAST, Failure, Server, check, same, until

SUITE = harness.Suite()
case = SUITE.case
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"

APP = """
local gen = require "tornado.gen"
local locks = require "tornado.locks"
local web = require "tornado.web"

local VERSION = "%s"
local open = locks.Event()

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write(VERSION) end

local Wait = web.RequestHandler:extend "Wait"
function Wait:get()
    self:write("begun by " .. VERSION)
    self:flush()
    open:wait()
    self:write(", ended by " .. VERSION)
end

local Open = web.RequestHandler:extend "Open"
function Open:get()
    open:set()
    self:write(VERSION)
end

local Tick = web.RequestHandler:extend "Tick"
function Tick:get()
    for i = 1, 1000 do
        self:write(i .. "\\n")
        self:flush()
        gen.sleep(0.005)
    end
end

return web.Application { { "/", Main }, { "/wait", Wait }, { "/open", Open }, { "/tick", Tick } }
"""

BROKEN = {
    "syntax": ("return function(\n", r"app\.lua:2: .*expected"),
    "runtime": ("\n\nerror('on purpose')\n", r"app\.lua:3: on purpose"),
    "no application": ("return 42\n", r"app\.lua: expected it to return a web\.Application"),
    "module": ("require 'missing_module'\n", r"module 'missing_module' not found"),
    "exit": ("os.exit(3)\n", r"ended while it was loaded"),
}


class Site:
    """A folder with an app.lua that changes."""

    def __init__(self, path):
        self.path = path
        self.write("one")

    def write(self, version):
        (self.path / "app.lua").write_text(APP % version)

    def spoil(self, text):
        (self.path / "app.lua").write_text(text)


@contextlib.contextmanager
def serving(binary, *options, **more):
    path = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
    try:
        site = Site(path)
        with Server(binary, *options, site=path, **more) as server:
            yield server, site
    finally:
        shutil.rmtree(path, ignore_errors=True)


def count(server, pattern):
    return len(re.findall(pattern, server.log()))


def reload(server, pattern=r"\[I [^\n]*reload\] generation \d+ serves"):
    """Asks for a reload, and waits for its end in the log."""
    before = count(server, pattern)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: count(server, pattern) > before, f"{pattern!r} in\n{server.log()}")


def refused(server):
    reload(server, r"\[E [^\n]*reload\]")


def ask(connection, path="/"):
    connection.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    return connection.reply().body.decode()


def basics():
    g = "reload"

    @case(g, "new code serves, on the same connection")
    def _(binary):
        with serving(binary) as (server, site), server.connect() as c:
            same(ask(c), "one", "first")
            site.write("two")
            same(ask(c), "one", "before the reload")
            reload(server)
            same(ask(c), "two", "after the reload")
            same(server.get("/").body, b"two", "on a new connection")

    for name, (text, pattern) in BROKEN.items():
        @case(g, f"what is broken changes nothing: {name}")
        def _(binary, text=text, pattern=pattern):
            with serving(binary) as (server, site), server.connect() as c:
                same(ask(c), "one", "first")
                site.spoil(text)
                refused(server)
                check(re.search(pattern, server.log()), server.log())
                same(ask(c), "one", "afterwards")
                site.write("two")
                reload(server)
                same(ask(c), "two", "mended")

    @case(g, "a request that waits stays with its generation")
    def _(binary):
        with serving(binary) as (server, site), server.connect() as c:
            c.send(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
            until(lambda: b"begun by one" in bytes(c.buffer) or c._more(), "the beginning")
            site.write("two")
            reload(server)
            same(server.get("/open").body, b"two", "the new generation")
            check(not re.search("generation 1 has ended", server.log()), "it ended too early")
            site.write("three")
            reload(server)
            # Two generations later it still waits, and delays the end.
            server.process.send_signal(signal.SIGTERM)
            server.await_line("stop_timeout: 1 requests")

    @case(g, "an old generation is freed when its work is done")
    def _(binary):
        with serving(binary) as (server, site), server.connect() as c:
            c.send(b"GET /tick HTTP/1.1\r\n" + HOST + b"\r\n")
            until(lambda: b"1\n" in bytes(c.buffer) or c._more(), "the beginning")
            site.write("two")
            reload(server)
            reply = c.reply()
            same(len(reply.body.split()), 1000, "lines")
            server.await_line("generation 1 has ended")
            same(ask(c), "two", "the same connection afterwards")

    @case(g, "reload_grace cuts off what stays too long")
    def _(binary):
        with serving(binary, "--reload-grace=0.2") as (server, site), server.connect() as c:
            c.send(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
            until(lambda: b"begun by one" in bytes(c.buffer) or c._more(), "the beginning")
            reload(server)
            server.await_line("generation 1 has ended")
            try:
                c.reply()
            except Failure:
                pass
            else:
                raise Failure("the reply was not cut off")
            same(server.get("/").body, b"one", "others")

    @case(g, "half a head goes to the new generation")
    def _(binary):
        with serving(binary) as (server, site), server.connect() as c:
            same(ask(c), "one", "first")
            c.send(GET[:10])
            site.write("two")
            reload(server)
            c.send(GET[10:])
            same(c.reply().body, b"two", "the rest")

    @case(g, "two reloads at once: one is refused, none is lost")
    def _(binary):
        with serving(binary) as (server, site):
            site.spoil("require('tornado.gen').sleep(0.3)\n" + APP % "two")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.process.send_signal(signal.SIGHUP) or
                  "under way" in server.log(), "the second to be refused")
            until(lambda: server.get("/").body == b"two", "the first to serve")

    @case(g, "a script that never ends loading is no harm to the others")
    def _(binary):
        with serving(binary, "--stop-timeout=1") as (server, site):
            site.spoil("require('tornado.gen').sleep(1e6)\n")
            server.process.send_signal(signal.SIGHUP)
            for _ in range(50):
                same(server.get("/").body, b"one", "meanwhile")


HOLD = """
local gen = require "tornado.gen"
local log = require "tornado.log"
local web = require "tornado.web"

local function exists(name)
    local file = io.open(name)
    return file and file:close()
end

local Hold = web.RequestHandler:extend "Hold"
function Hold:get() while true do end end

-- Holds the loop when its generation is an old one.
local Late = web.RequestHandler:extend "Late"
function Late:get()
    self:write "begun"
    self:flush()
    while not exists "%(path)s/late" do gen.sleep(0.01) end
    while true do end
end

if %(wait)s then
    log.gen_log:info "loading waits"
    while not exists "%(path)s/go" do gen.sleep(0.01) end
end
return web.Application { { "/hold", Hold }, { "/late", Late } }
"""


def limits():
    g = "reload under cpu_limit"

    @case(g, "each generation is stopped, while one loads and when it is old")
    def _(binary):
        with serving(binary, "--cpu-limit=0.2") as (server, site), server.connect() as late:
            def stops():
                same(server.get("/hold").status, 503, "who holds the loop")

            def write(wait):
                site.spoil(HOLD % {"path": site.path, "wait": wait})
            write("false")
            reload(server)
            stops()
            late.send(b"GET /late HTTP/1.1\r\n" + HOST + b"\r\n")
            until(lambda: b"begun" in bytes(late.buffer) or late._more(), "the beginning")
            write("true")
            server.process.send_signal(signal.SIGHUP)
            server.await_line("loading waits")
            stops()
            stops()
            (site.path / "go").touch()
            server.await_line("generation 3 serves")
            stops()
            before = count(server, "CPULimitError: cpu_limit")
            (site.path / "late").touch()
            server.await_line("generation 2 has ended")
            check(count(server, "CPULimitError: cpu_limit") > before, "the old one held on")
            stops()

    @case(g, "a generation that fails leaves the other one watched")
    def _(binary):
        with serving(binary, "--cpu-limit=0.2") as (server, site):
            site.spoil(HOLD % {"path": site.path, "wait": "false"})
            reload(server)
            for name in ("runtime", "exit"):
                site.spoil(BROKEN[name][0])
                refused(server)
                same(server.get("/hold").status, 503, "who holds the loop")


def sockets():
    g = "sockets"

    @case(g, "a unix socket goes from one generation to the next")
    def _(binary):
        with serving(binary) as (_, site):
            path = site.path / "socket"
            with Server(binary, f"--listen=unix:{path},127.0.0.1:0", site=site.path) as server:
                for version in ("two", "three"):
                    site.write(version)
                    reload(server)
                    with socket.socket(socket.AF_UNIX) as s:
                        s.settimeout(harness.PATIENCE)
                        s.connect(str(path))
                        s.sendall(LAST)
                        text = b""
                        while more := s.recv(4096):
                            text += more
                        check(text.endswith(version.encode()), text)
                site.spoil("return")
                refused(server)
                check(path.exists(), "the file went with the broken generation")
                same(server.stop(), 0, "exit code")
            check(not path.exists(), "the file is left")

    @case(g, "the configuration is read again: addresses come and go")
    def _(binary):
        with serving(binary) as (_, site):
            conf = site.path / "conf.lua"
            a, b = site.path / "a", site.path / "b"

            def configure(*paths, more=""):
                listen = ", ".join(f'"unix:{p}"' for p in paths)
                conf.write_text(f'listen = {{ {listen}, "127.0.0.1:0" }}\n{more}\n')

            configure(a)
            with Server(binary, f"--config={conf}", site=site.path) as server:
                configure(a, b, more="nonsense = 1")
                refused(server)
                check(re.search(r"conf\.lua:2: unknown option", server.log()), server.log())
                check(a.exists() and not b.exists(), "it was used in part")
                configure(b)
                reload(server)
                until(lambda: b.exists() and not a.exists(), "b in place of a")

    @case(g, "an address that is in use fails, and limits stay")
    def _(binary):
        with serving(binary) as (other, _), serving(binary) as (_, site):
            conf = site.path / "conf.lua"
            conf.write_text("max_body_size = 1000\nlisten = { '127.0.0.1:0' }\n")
            with Server(binary, f"--config={conf}", site=site.path) as server:
                conf.write_text("max_body_size = 10\nlisten = { '127.0.0.1:0', "
                                f"'127.0.0.1:{other.port}' }}\n")
                refused(server)
                check("address already in use" in server.log(), server.log())
                with server.connect() as c:
                    c.send(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n" + HOST + b"\r\n"
                           + b"x" * 100)
                    same(c.reply().status, 405, "a body of 100 bytes")


PAGES = """
local web = require "tornado.web"
local locale = require "tornado.locale"
require "early"
locale.load_translations("%(path)s/locale")
local Main = web.RequestHandler:extend "Main"
function Main:get() self:render("page.html", { word = require "word" }) end
return web.Application({ { "/", Main } }, { template_path = "%(path)s/templates" })
"""


@contextlib.contextmanager
def pages(binary, *options):
    """A server that reloads by itself, and the folder of its site."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
    try:
        for name in ("templates", "locale"):
            (path / name).mkdir()
        (path / "templates/page.html").write_text("{{ word }} 1 {{ _('hat') }}")
        (path / "locale/en_US.csv").write_text('"hat","cap"\n')
        (path / "early.lua").write_text("return true")
        (path / "word.lua").write_text("return 'one'")
        (path / "app.lua").write_text(PAGES % {"path": path})
        with Server(binary, "--autoreload", *options, site=path) as server:
            if "--workers=2" in options:
                server.await_line("2 workers serve")
            yield server, path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def replace(path, text):
    """As editors do it."""
    new = path.with_name("." + path.name + ".new")
    new.write_text(text)
    new.rename(path)


def await_body(server, text):
    until(lambda: server.get("/").body == text, f"{text!r}; now {server.get('/').body!r}\n"
          f"{server.log()}")


def by_itself():
    g = "autoreload"

    for workers in (1, 2):
        @case(g, f"what is saved serves: modules, templates, locales; {workers} workers")
        def _(binary, workers=workers):
            with pages(binary, f"--workers={workers}") as (server, path):
                app = PAGES % {"path": path}
                same(server.get("/").body, b"one 1 cap", "at first")
                steps = (("word.lua", "return 'two'", b"two 1 cap"),
                         ("templates/page.html", "{{ word }} 2 {{ _('hat') }}", b"two 2 cap"),
                         ("locale/en_US.csv", '"hat","bonnet"\n', b"two 2 bonnet"),
                         ("app.lua", app.replace('"word"', '"WORD"'), b"two 2 bonnet"))
                (path / "WORD.lua").symlink_to(path / "word.lua")
                for i, (name, text, body) in enumerate(steps, 1):
                    replace(path / name, text)
                    server.await_line(rf"{name} modified: reloading")
                    until(lambda n=i * workers: count(server, r"generation \d+ serves") == n,
                          f"reload {i}")
                    same({server.get("/").body for _ in range(20)}, {body}, name)

        @case(g, f"what is broken is said, and the next save mends it; {workers} workers")
        def _(binary, workers=workers):
            with pages(binary, f"--workers={workers}") as (server, path):
                for name, text, said in (
                        ("word.lua", "\nreturn 'two", r"word\.lua:2: unfinished string"),
                        ("early.lua", "\n\nerror 'on purpose'", r"early\.lua:3: on purpose"),
                        ("templates/page.html", "\n{% if %}", r"page\.html:2: "),
                        ("app.lua", PAGES.replace("page.html", "none.html") % {"path": path},
                         r"app\.lua:7: no such template: .*/none\.html"),
                        ("templates/page.html", "{% extends 'none.html' %}",
                         r"page\.html:1: .*none\.html")):
                    good = (path / name).read_text()
                    same({server.get("/").body for _ in range(20)}, {b"one 1 cap"}, "first")
                    replace(path / name, text)
                    server.await_line(said)
                    same(server.get("/").body, b"one 1 cap", "meanwhile")
                    before = count(server, "generation \\d+ serves")
                    replace(path / name, good)
                    until(lambda: count(server, "generation \\d+ serves") >= before + workers,
                          "the mended one to serve")

    @case(g, "a missing module is waited for")
    def _(binary):
        with pages(binary) as (server, path):
            replace(path / "app.lua", "require 'deep.new'\n" + PAGES % {"path": path})
            server.await_line(r"module 'deep\.new' not found")
            (path / "deep").mkdir()
            (path / "deep/new.lua").write_text("")
            server.await_line(r"new\.lua modified: reloading")
            server.await_line(r"generation 3 serves")

    @case(g, "a change while a reload is under way is not lost")
    def _(binary):
        with pages(binary) as (server, path):
            app = PAGES % {"path": path}
            replace(path / "app.lua", "require 'word'\nrequire('tornado.gen').sleep(0.6)\n" + app)
            server.await_line(r"app\.lua modified")
            replace(path / "word.lua", "return 'late'")
            await_body(server, b"late 1 cap")

    @case(g, "many files at once are one reload; without the option there is none")
    def _(binary):
        with pages(binary) as (server, path):
            for i in range(20):
                (path / f"m{i}.lua").write_text("return 1")
            server.await_line(r"m0\.lua modified \(and 19 more\): reloading")
            server.await_line(r"generation 2 serves")
            same(count(server, "reloading"), 1, "reloads")
        with pages(binary, "--autoreload=false") as (server, path):
            replace(path / "word.lua", "return 'two'")
            reload(server)
            same(count(server, "modified"), 0, "autoreload")
            same(server.get("/").body, b"two 1 cap", "by hand")

    @case(g, "the configuration is watched, also when it comes later")
    def _(binary):
        with serving(binary) as (_, site):
            conf = site.path / "conf.lua"
            conf.write_text("debug = true\nmax_body_size = 10\n")
            with Server(binary, f"--config={conf}", site=site.path) as server:
                replace(conf, "debug = true\nmax_body_size = 1000\n")
                server.await_line(r"conf\.lua modified: reloading")
                server.await_line(r"generation 2 serves")


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
                server.await_line("workers serve")
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
                check("reload: done" in again(f"workers = {n}"), "reload")
                server.await_line(f"{n} workers from now on")
                await_workers(status, n)
                until(lambda: server.log().count("] reloaded") % 2 == 0, "the second reload")
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
                check(client.done > 50, f"only {client.done} requests")
            check("died" not in server.log(), server.log())

    @case(g, "a master of one worker gets more")
    def _(binary):
        with configured(binary, "supervise = true") as (server, _, again, status):
            again("supervise = true\nworkers = 2")
            await_workers(status, 2)
            check("no folder" not in server.log(), server.log())

    @case(g, "workers that come and go are one pubsub")
    def _(binary):
        with configured(binary, "workers = 2", app=TALK) as (server, _, again, status):
            for n in (3, 2):
                again(f"workers = {n}")
                server.await_line(f"{n} workers from now on")
                await_workers(status, n)
                until(lambda: server.log().count("] reloaded") % 2 == 0, "the second reload")
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
                until(lambda: other.exists() and not (site.path / "control").exists(), "it")
                check(status()["workers"], "status")

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

    @case(g, "a new unix socket for several workers is refused, and nothing has changed")
    def _(binary):
        with configured(binary, "workers = 2") as (server, site, again, _):
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


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    """Whether somebody accepts there, and replies."""
    try:
        with socket.create_connection(("127.0.0.1", port), harness.PATIENCE) as s:
            s.sendall(LAST)
            return s.recv(100).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


class Load(threading.Thread):
    """A client that never gives up its connection (or with `fresh` takes a new one each
    time), and counts."""

    def __init__(self, server, fresh=False):
        super().__init__(daemon=True)
        self.server, self.fresh = server, fresh
        self.enough, self.done, self.wrong = threading.Event(), 0, None

    def run(self):
        try:
            while self.fresh and not self.enough.is_set():
                same(self.server.get("/").status, 200, "status")
                self.done += 1
            with self.server.connect() as c:
                while not self.enough.is_set():
                    c.send(GET)
                    reply = c.reply()
                    check(reply.status == 200 and not reply.closes, reply.status)
                    self.done += 1
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def load():
    g = "under load"

    @case(g, "a hundred reloads, half of them broken: no client notices", alone=True)
    def _(binary):
        with serving(binary, "--max_keepalive_requests=100000000") as (server, site):
            idle = [server.connect() for _ in range(200)]
            for c in idle:
                same(ask(c), "one", "idle, first")
            clients = [Load(server) for _ in range(4)]
            for client in clients:
                client.start()
            reload(server)
            texts = list(BROKEN.values())
            sizes = []
            for i in range(50):
                site.spoil(texts[i % len(texts)][0])
                refused(server)
                site.write(f"v{i}")
                reload(server)
                until(lambda: server.log().count("has ended") >= i + 2, "the old one's end")
                sizes.append(server.status("VmRSS"))
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
                check(client.done > 100, f"only {client.done} requests")
            for c in idle:
                same(ask(c), "v49", "idle, last")
                c.close()
            if not harness.is_asan(binary):
                check(sizes[-1] < sizes[9] * 1.25 + 4096, f"memory grows: {sizes}")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (basics, limits, sockets, by_itself, options, load), __doc__)
