"""A site that changes, and a server of it that is told to reload, for the programs that look at
reloads.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import re
import signal
import socket
import threading

import harness
from harness import HOST, LAST, Server, check, folder, same, until

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
    with folder() as path:
        site = Site(path)
        with Server(binary, *options, site=path, **more) as server:
            yield server, site


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
