"""A program that is upgraded while it serves, for the programs that look at upgrades."""
# SPDX-License-Identifier: Apache-2.0
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import harness
from harness import HOST, HomeServer, Server, check, same, until

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
BOTH = (1, 2)  # workers: a single process, and a master

APP = """
local core = require "tornado.core"
local gen = require "tornado.gen"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write("%s") end

local Wait = web.RequestHandler:extend "Wait"
function Wait:get()
    self:write("begun, ")
    self:flush()
    while not core.file_kind(self:get_argument "till") do gen.sleep(0.005) end
    self:write("ended")
end

local Echo = websocket.WebSocketHandler:extend "Echo"
function Echo:on_message(text) self:write_message(text) end

return web.Application { { "/", Main }, { "/wait", Wait }, { "/echo", Echo } }
"""


class Upgradable(HomeServer):
    """A server with a folder of its own: site, binary and control socket. Its process
    changes; at the end the one that serves is stopped, and none may be left."""

    def __init__(self, binary, *options, workers=1, **more):
        super().__init__(None, *([f"--workers={workers}"] if workers else []), *options, **more)
        self.binary, self.socket = self.home / "bin", self.home / "control"
        self.options += (f"--control={self.socket}",)
        self.write("one")
        self.original, self.workers, self.last = binary, workers, ""
        self.first_exit = 0  # the exit code that the first process shall have
        self.pid = None
        self.install(binary)

    def install(self, binary):
        """Puts another program in the place of the one that runs, as a package does."""
        new = self.home / "bin.new"
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        os.link(binary, new) if binary.stat().st_dev == self.home.stat().st_dev \
            else shutil.copy(binary, new)
        new.rename(self.home / "bin")

    def write(self, version):
        (self.home / "app.lua").write_text(APP % version)

    def start(self):
        super().start()
        if self.workers and self.workers > 1:
            self.await_line(r"\d workers? serve")
        harness.await_socket(self.socket)
        self.pid = self.process.pid
        return self

    def command(self, *words):
        """Runs `ctornado WORDS`; returns exit code, stdout and stderr."""
        done = subprocess.run([str(self.original), *words, f"--control={self.socket}"],
                              cwd=harness.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=harness.PATIENCE + 60)
        return done.returncode, done.stdout, done.stderr

    def upgrade(self):
        """Upgrades. Returns the old one's pid."""
        before, old = self.count("taken over"), self.pid
        code, _, err = self.command("upgrade")
        same(code, 0, f"upgrade: {err}\n{self.log()}")
        check(self.count("taken over") > before, "the new process has not taken over")
        self.pid = int(re.findall(r"process (\d+) serves", self.log())[-1])
        return old

    def count(self, text):
        return self.log().count(text)

    def await_end(self, pid):
        """Waits until the process has ended: a child of ours is reaped."""
        def look():
            if pid == self.process.pid:
                return self.process.poll() is not None
            return harness.state_of(pid) in (None, "Z")
        until(look, f"the end of process {pid}\n{self.log()}")
        if pid == self.process.pid:
            same(self.process.returncode, self.first_exit, "exit code of the old process")

    def stop(self, how=signal.SIGTERM):
        if self.pid in (None, self.process.pid):
            return super().stop(how)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how)
        self.await_end(self.pid)
        self.await_end(self.process.pid)
        check(not self.socket.exists(), "the control socket is left")
        return 0

    def __exit__(self, *how):
        try:
            Server.__exit__(self, *how)
            until(lambda: not self.processes(), "the end of all processes")
        finally:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.home, ignore_errors=True)

    def processes(self):
        """The pids of all masters and workers: their arguments name the site."""
        found = set()
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.fsencode(f"--site={self.home}\0") in (path / "cmdline").read_bytes():
                    found.add(int(path.name))
        return found

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        self.first_exit = -signal.SIGKILL if pid == self.process.pid else self.first_exit
        self.await_end(pid)

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            self.last = super().log()
        return self.last


def each(suite, group, name, alone=False):
    """A case for a single process, and one for a master with workers."""
    def add(function):
        for workers in BOTH:
            suite.add(group, f"{name} ({workers})",
                      lambda binary, n=workers: function(binary, n), alone)
        return function
    return add


class Socket:
    """A WebSocket that echoes."""

    def __init__(self, server):
        self.c = server.connect()
        key = base64.b64encode(os.urandom(16))
        self.c.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: "
                    b"Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key
                    + b"\r\n\r\n")
        same(self.c.head().status, 101, "status")

    def echo(self, text=b"hello"):
        self.c.send(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
        same(self.c.exactly(2 + len(text)), bytes([0x81, len(text)]) + text, "the echo")

    def end(self):
        """The close frame's code; answers it."""
        head = self.c.exactly(2)
        same(head[0], 0x88, "a close frame")
        body = self.c.exactly(head[1])
        self.c.send(bytes([0x88, 0x80 | len(body), 0, 0, 0, 0]) + body)
        self.c.cut()
        return int.from_bytes(body[:2], "big")


def status(server):
    code, out, err = server.command("status", "json")
    same(code, 0, f"status: {err}")
    return json.loads(out)


def worker_pids(server):
    return [worker["pid"] for worker in status(server)["workers"]]
