"""Servers with workers, for the programs that look at one of them, or at what it says to the
others.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import harness
from harness import HomeServer, Server, check, same, until

APP = """
local gen = require "tornado.gen"
local core = require "tornado.core"
local web = require "tornado.web"

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write("%s") end

local Who = web.RequestHandler:extend "Who"
function Who:get() self:write(core.worker() .. " " .. core.user_id()) end

local Spin = web.RequestHandler:extend "Spin"
function Spin:get()
    -- In C, where nothing but a signal can reach it.
    local text = ("a"):rep(40) .. "b"
    text:find(("a?"):rep(40) .. ("a"):rep(40) .. (".*"):rep(12) .. "c")
end

local Slow = web.RequestHandler:extend "Slow"
function Slow:get()
    while not core.file_kind(self:get_argument "till") do gen.sleep(0.005) end
    self:write("slow")
end

return web.Application { { "/", Main }, { "/who", Who }, { "/spin", Spin }, { "/slow", Slow } }
"""


def ask_status(control):
    """As the command does, but without a process for each question."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(harness.PATIENCE)
        s.connect(str(control))
        s.sendall(b"status\n")
        text = b"".join(iter(lambda: s.recv(65536), b""))
    check(text.startswith(b"ok\n"), text[:100])
    return json.loads(text[3:])


class Cluster(HomeServer):
    """A server with workers, a site of its own and a control socket."""

    def __init__(self, binary, *options, workers=2, **more):
        super().__init__(binary, *options, **more)
        self.socket = self.home / "control"
        self.options = f"--workers={workers}", f"--control={self.socket}", *self.options
        self.write("one")

    def write(self, version):
        (self.home / "app.lua").write_text(APP % version)

    def start(self):
        super().start()
        self.await_line(r"\d workers? serve")
        return self

    def command(self, *words):
        """Runs `ctornado WORDS`; returns exit code, stdout and stderr."""
        done = subprocess.run([str(self.binary), *words, f"--control={self.socket}"],
                              cwd=harness.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=harness.PATIENCE)
        return done.returncode, done.stdout, done.stderr

    def ask_status(self):
        return ask_status(self.socket)

    def pids(self):
        """The workers' pids, when none is missing: 0 would name the tests themselves."""
        def look():
            pids = [worker["pid"] for worker in self.ask_status()["workers"]]
            return all(pids) and pids
        return until(look, "all workers")

    def await_workers(self, *gone):
        """Waits until all workers serve, and none is one of `gone`; returns their pids."""
        def look():
            workers = self.ask_status()["workers"]
            good = all(w["state"] == "serving" and w["pid"] not in gone for w in workers)
            return good and [w["pid"] for w in workers]
        return until(look, "all workers to serve")


class Pair(Server):
    """A server with two workers and a run directory of its own; `site` is a folder, or the
    name of one in sites."""

    def __init__(self, binary, site, *options, **more):
        self.run = tempfile.TemporaryDirectory(prefix="ct-")
        super().__init__(binary, "--workers=2", f"--control={self.run.name}/control", *options,
                         site=harness.ROOT / "sites" / site,
                         env={"XDG_RUNTIME_DIR": self.run.name}, **more)

    def start(self):
        super().start()
        self.await_line("2 workers serve")
        return self

    def __exit__(self, *how):
        try:
            super().__exit__(*how)
        finally:
            left = os.listdir(self.run.name)
            self.run.cleanup()
        check(how[0] or not left or self.expect_exit, f"left behind: {left}")

    def shared(self):
        found = list(pathlib.Path(self.run.name).glob("ctornado-*"))
        same(len(found), 1, "folders")
        return found[0]

    def pids(self):
        """The workers' pids, in their order, when both are there."""
        def look():
            names = {}
            for pid in self.children():
                with contextlib.suppress(*harness.GONE):
                    names[pathlib.Path(f"/proc/{pid}/comm").read_text().strip()] = pid
            return len(names) == 2 and [names.get(f"ctornado-w{index}") for index in (1, 2)]
        return until(lambda: (pids := look()) and all(pids) and pids, "both workers")

    def pid_of(self, client):
        """The worker that has the other end of a connection: whose it is in /proc."""
        local = "%04X" % client.socket.getsockname()[1]
        port = "%04X" % self.port
        line = rf": \w+:{port} \w+:{local} 01 .*? +\d+ +\d+ (\d+) "
        inode = until(lambda: re.search(line, pathlib.Path("/proc/net/tcp").read_text()),
                      "its inode").group(1)

        def has(pid):
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(*harness.GONE):
                    if os.readlink(fd) == f"socket:[{inode}]":
                        return True
            return False

        def look():
            for pid in self.pids():
                with contextlib.suppress(*harness.GONE):
                    if has(pid):
                        return pid
            return None
        return until(look, "the worker of a connection")

    def reload(self):
        before = self.log().count("reloaded")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log().count("reloaded") > before, f"a reload\n{self.log()}")
