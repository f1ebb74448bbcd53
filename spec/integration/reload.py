#!/usr/bin/env python3
"""Reloading: new code serves after SIGHUP, what is broken changes nothing, and no
client notices either. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import re
import signal
import socket
import sys

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, LAST, Failure, Server, check, same, until
from reloading import APP, BROKEN, GET, Load, ask, count, refused, reload, serving

SUITE = harness.Suite()
case = SUITE.case


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
            server.end()
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

# Holds the loop for a moment again and again, with little but malloc() and free().
CHURN = """
local gen = require "tornado.gen"
local web = require "tornado.web"

local Churn = web.RequestHandler:extend "Churn"
function Churn:get()
    for _ = 1, 60 do
        local kept, till = {}, os.clock() + 0.03
        while os.clock() < till do
            for i = 1, 100 do kept[i] = { ("x"):rep(i * 10), i } end
        end
        self:write "."
        self:flush()
        gen.sleep(0.001)
    end
end

return web.Application { { "/churn", Churn } }
"""


def limits():
    g = "reload under cpu_limit"

    @case(g, "two generations hold the loop by turns, in the middle of malloc()")
    def _(binary):
        with serving(binary, "--stall-warning=0.01") as (server, site), \
                server.connect() as old, server.connect() as new:
            site.spoil(CHURN)
            reload(server)
            for c in (old, new):
                c.send(b"GET /churn HTTP/1.1\r\n" + HOST + b"\r\n")
                until(lambda: b"." in bytes(c.buffer) or c._more(), "the beginning")
                if c == old:
                    reload(server)
            for c in (old, new):
                same(c.reply().body, b"." * 60, "what it has written")
            check(count(server, "stall: the loop is held") > 5, server.log())

    @case(g, "each generation is stopped, while one loads and when it is old")
    def _(binary):
        with serving(binary, "--cpu-limit=0.5") as (server, site), server.connect() as late:
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
        with serving(binary, "--cpu-limit=0.5") as (server, site):
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
            until(lambda: all(c.wrong or c.done > 100 for c in clients), "requests of each client")
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
            for c in idle:
                same(ask(c), "v49", "idle, last")
                c.close()
            if not harness.is_asan(binary):
                check(sizes[-1] < sizes[9] * 1.25 + 4096, f"memory grows: {sizes}")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (basics, limits, sockets, load), __doc__)
