#!/usr/bin/env python3
"""Binary upgrades: a new process takes over the listening sockets, the control
socket and systemd, the old one answers what it has begun, and no client loses a
connection. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, Server, check, same, until

SUITE = harness.Suite()
case = SUITE.case
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
BOTH = (1, 2)  # workers: a single process, and a master

APP = """
local gen = require "tornado.gen"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write("%s") end

local Wait = web.RequestHandler:extend "Wait"
function Wait:get()
    self:write("begun, ")
    self:flush()
    gen.sleep(0.7)
    self:write("ended")
end

local Echo = websocket.WebSocketHandler:extend "Echo"
function Echo:on_message(text) self:write_message(text) end

return web.Application { { "/", Main }, { "/wait", Wait }, { "/echo", Echo } }
"""


class Upgradable(Server):
    """A server with a folder of its own: site, binary and control socket. Its process
    changes; at the end the one that serves is stopped, and none may be left."""

    def __init__(self, binary, *options, workers=1, **more):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
        self.home.chmod(0o755)
        self.write("one")
        self.socket = self.home / "control"
        self.original, self.workers, self.last = binary, workers, ""
        self.first_exit = 0  # the exit code that the first process shall have
        self.install(binary)
        more.setdefault("site", self.home)
        super().__init__(self.home / "bin", f"--control={self.socket}",
                         *([f"--workers={workers}"] if workers else []), *options, **more)

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
            self.await_line(r"\d workers serve")
        until(self.socket.exists, "the control socket")
        self.pid = self.process.pid
        return self

    def command(self, *words):
        """Runs `ctornado WORDS`; returns exit code, stdout and stderr."""
        done = subprocess.run([str(self.original), *words, f"--control={self.socket}"],
                              cwd=harness.ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=harness.PATIENCE + 60)
        return done.returncode, done.stdout, done.stderr

    def upgrade(self):
        """Upgrades, and waits until the new process has all. Returns the old one's pid."""
        before, old = self.count("taken over"), self.pid
        code, _, err = self.command("upgrade")
        same(code, 0, f"upgrade: {err}\n{self.log()}")
        until(lambda: self.count("taken over") > before, "the new process to take over")
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
        if self.pid == self.process.pid:
            return super().stop(how)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how)
        self.await_end(self.pid)
        self.await_end(self.process.pid)
        check(not self.socket.exists(), "the control socket is left")
        return 0

    def __exit__(self, *how):
        try:
            super().__exit__(*how)
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


def each(group, name, alone=False):
    """A case for a single process, and one for a master with workers."""
    def add(function):
        for workers in BOTH:
            SUITE.add(group, f"{name} ({workers})",
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


def takes_over():
    g = "upgrade"

    @each(g, "the program that is installed now takes over; the old one ends")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            same(server.get("/").body, b"one", "before")
            server.write("two")
            server.install(binary)
            old = server.upgrade()
            server.await_end(old)
            same(server.get("/").body, b"two", "after")
            same(server.command("status")[1].count(f"pid {server.pid},"), 1, "the one pid")
            exe = os.readlink(f"/proc/{server.pid}/exe")
            check(exe.endswith("/bin"), "it runs", exe)
            server.write("three")
            same(server.command("reload")[0], 0, "a reload of the new one")
            same(server.get("/").body, b"three", "reloaded")

    @each(g, "SIGUSR2 does the same")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            server.write("two")
            server.process.send_signal(signal.SIGUSR2)
            until(lambda: server.count("taken over"), "the new process to take over")
            server.pid = int(server.await_line(r"process (\d+) serves").group(1))
            server.await_end(server.process.pid)
            same(server.get("/").body, b"two", "after")

    @each(g, "an idle connection has one more request, and then ends")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server, server.connect() as c:
            c.send(GET)
            check(not c.reply().closes, "the first reply closes")
            server.write("two")
            old = server.upgrade()
            same(server.get("/").body, b"two", "a new connection")
            check(c.quiet(), "the connection has been closed between two requests")
            c.send(GET)
            reply = c.reply()
            same((reply.body, reply.closes), (b"one", True), "the next reply")
            c.end()
            server.await_end(old)

    @each(g, "a request under way is answered by the old process")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server, server.connect() as c:
            c.send(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
            until(lambda: b"begun" in bytes(c.buffer) or c._more(), "the beginning")
            old = server.upgrade()
            same(c.reply().body, b"begun, ended", "the reply")
            c.close()
            server.await_end(old)

    @each(g, "WebSockets stay until reload_grace is over")
    def _(binary, workers):
        with Upgradable(binary, "--reload-grace=3", workers=workers) as server:
            one = Socket(server)
            one.echo()
            old = server.upgrade()
            one.echo(b"still here")
            same(one.end(), 1012, "the code")
            server.await_end(old)

    @each(g, "who quits takes the old process along")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            one = Socket(server)
            one.echo()
            old = server.upgrade()
            same(server.command("quit")[0], 0, "quit")
            same(one.end(), 1001, "the code")
            server.await_end(old)

    @each(g, "several upgrades while a WebSocket stays")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            one = Socket(server)
            for i in range(3):
                server.write(f"v{i}")
                server.upgrade()
                one.echo()
                same(server.get("/").body, f"v{i}".encode(), "the new code")
            one.c.close()

    @each(g, "unix sockets go along with their file")
    def _(binary, workers):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/socket"
            with Upgradable(binary, f"--listen=127.0.0.1:0,unix:{path}",
                            workers=workers) as server:
                inode = os.stat(path).st_ino
                server.await_end(server.upgrade())
                same(os.stat(path).st_ino, inode, "the file's inode")
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(harness.PATIENCE)
                    s.connect(path)
                    s.sendall(harness.LAST)
                    check(s.recv(4096).startswith(b"HTTP/1.1 200"), "no reply")
                same(server.stop(), 0, "exit code")
                check(not os.path.exists(path), "the file is left")

    @each(g, "connections in the queue of the kernel are answered")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            pids = worker_pids(server)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            clients = [server.connect() for _ in range(20)]
            for c in clients:
                c.send(GET)
            # A single process must go on, to hear of the upgrade.
            if workers == 1:
                os.kill(pids[0], signal.SIGCONT)
            server.write("two")
            server.upgrade()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            for c in clients:
                same(c.reply().status, 200, "status")
                c.close()

    @each(g, "the admin listener goes over, and says ready all the while")
    def _(binary, workers):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with Upgradable(binary, f"--admin=127.0.0.1:{port}", workers=workers) as server:
            def ready():
                with harness.Connection(port) as c:
                    c.send(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    return c.reply()
            until(lambda: ready().status == 200, "the server to be ready")
            (server.home / "app.lua").write_text("require('tornado.gen').sleep(0.5)\n" + APP % "two")
            upgrade = threading.Thread(target=server.upgrade)
            upgrade.start()
            while upgrade.is_alive():
                reply = ready()
                same(reply.status, 200, f"/ready: {reply.body}")
            same(ready().status, 200, "/ready afterwards")

    @each(g, "the file with the pid names the new process, and goes with it")
    def _(binary, workers):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "pid"
            path.write_text("1 of a process that was killed")
            with Upgradable(binary, f"--pid-file={path}", workers=workers) as server:
                until(lambda: path.read_text() == f"{server.pid}\n", "the file")
                old = server.upgrade()
                until(lambda: path.read_text() == f"{server.pid}\n", "the new pid")
                server.await_end(old)
                same(path.read_text(), f"{server.pid}\n", "the file afterwards")
                same(server.stop(), 0, "exit code")
                check(not list(path.parent.iterdir()), "left:", list(path.parent.iterdir()))

    for first, then in ((3, 1), (1, 3), (3, 2)):
        @case(g, f"from {first} processes to {then}: no socket is left alone")
        def _(binary, first=first, then=then):
            with tempfile.TemporaryDirectory() as folder:
                conf = pathlib.Path(folder) / "conf"
                conf.write_text(f"workers = {first}\n")
                with Upgradable(binary, f"--config={conf}", workers=None) as server:
                    until(lambda: len(worker_pids(server)) == first, "all processes")
                    if first > 1:
                        server.await_line(r"\d workers serve")
                    conf.write_text(f"workers = {then}\n")
                    server.await_end(server.upgrade())
                    for _ in range(60):
                        same(server.get("/").status, 200, "status")
                    same(len(worker_pids(server)), then, "processes")
                    server.write("two")
                    same(server.command("reload")[0], 0, "reload")
                    same({server.get("/").body for _ in range(60)}, {b"two"}, "after a reload")


    @case(g, "after workers came and went by reloads, each gets connections")
    def _(binary):
        with tempfile.TemporaryDirectory() as folder:
            conf = pathlib.Path(folder) / "conf"
            conf.write_text("workers = 3\n")
            with Upgradable(binary, f"--config={conf}", workers=None) as server:
                server.await_line(r"\d workers serve")
                for by_reload, by_upgrade in ((2, 3), (1, 3), (4, 2), (3, 3)):
                    conf.write_text(f"workers = {by_reload}\n")
                    same(server.command("reload")[0], 0, "reload")
                    await_busy(server, by_reload)
                    conf.write_text(f"workers = {by_upgrade}\n")
                    until(lambda: upgrade_at_last(server), "the upgrade")
                    await_busy(server, by_upgrade)


def upgrade_at_last(server):
    """Upgrades, unless a reload's change of workers is still under way."""
    before = server.count("taken over")
    code, _, err = server.command("upgrade")
    if code:
        check(re.search("reload is under way|has just changed", err), err)
        return False
    until(lambda: server.count("taken over") > before, "the new process to take over")
    server.pid = int(re.findall(r"process (\d+) serves", server.log())[-1])
    return True


def await_busy(server, count):
    """There are so many workers, and new connections come to each."""
    until(lambda: len(worker_pids(server)) == count, f"{count} processes")
    before = {worker["pid"]: worker["handled"] for worker in status(server)["workers"]}

    def look():
        for _ in range(10):
            same(server.get("/").status, 200, "status")
        now = status(server)["workers"]
        return len(now) == count and all(
            worker["handled"] > before.get(worker["pid"], 0) for worker in now)
    until(look, f"requests to each of {count} workers")


def status(server):
    code, out, err = server.command("status", "json")
    same(code, 0, f"status: {err}")
    return json.loads(out)


def worker_pids(server):
    return [worker["pid"] for worker in status(server)["workers"]]


def failures():
    g = "failures"

    def refused(server, pattern):
        code, _, err = server.command("upgrade")
        same(code, 1, "exit code")
        check(re.search("upgrade: nothing has changed: " + pattern, err, re.S), err)
        server.await_line("upgrade] nothing has changed")
        same(server.get("/").body, b"one", "the old process")
        same(server.command("status")[0], 0, "its control socket")

    @each(g, "a site that cannot be loaded: the reason")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server, server.connect() as c:
            (server.home / "app.lua").write_text("\nerror('on purpose')")
            refused(server, r".*app\.lua:2: on purpose")
            c.send(GET)
            same(c.reply().body, b"one", "a connection of before")
            server.write("two")
            server.upgrade()
            same(server.get("/").body, b"two", "mended")

    @each(g, "a configuration that is wrong: the reason")
    def _(binary, workers):
        with tempfile.TemporaryDirectory() as folder:
            conf = pathlib.Path(folder) / "conf"
            conf.write_text("")
            with Upgradable(binary, f"--config={conf}", workers=workers) as server:
                conf.write_text("nonsense = 1\n")
                refused(server, r".*conf:1: unknown option")

    @each(g, "a program that is none, and one that is gone")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            (server.home / "junk").write_text("#!/nonexistent\n")
            (server.home / "junk").chmod(0o755)
            server.install(server.home / "junk")
            refused(server, ".*/bin: cannot be started: No such file")
            (server.home / "bin").unlink()
            refused(server, ".*/bin: cannot be started: No such file")
            server.install(binary)
            server.upgrade()

    @each(g, "a program that dies, and one that ends")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            for text, pattern in (("kill -SEGV $$", r"the new program died of signal 11"),
                                  ("exit 3", "the new program ended with exit code 3")):
                (server.home / "junk").write_text(f"#!/bin/sh\n{text}\n")
                (server.home / "junk").chmod(0o755)
                server.install(server.home / "junk")
                refused(server, pattern)
            server.install(binary)
            server.upgrade()

    @each(g, "one upgrade or reload at a time; who quits ends a new process")
    def _(binary, workers):
        with Upgradable(binary, "--stop-timeout=1", workers=workers) as server:
            (server.home / "app.lua").write_text("require('tornado.gen').sleep(1e6)\n")
            waiting = threading.Thread(target=server.command, args=("upgrade",))
            waiting.start()
            server.await_line("to take over")
            for word in ("upgrade", "reload"):
                code, _, err = server.command(word)
                same(code, 1, "exit code")
                check("an upgrade is under way" in err, err)
            same(server.get("/").body, b"one", "meanwhile")
            same(server.command("quit")[0], 0, "quit")
            same(server.process.wait(harness.PATIENCE), 0, "exit code")
            waiting.join()
            check("the server ends" in server.log(), server.log())


def deaths():
    g = "deaths"
    slow = "require('tornado.gen').sleep(1)\n" + APP % "two"

    @each(g, "the old process, while the new one loads: that takes over, no process is left")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            before = server.processes()
            (server.home / "app.lua").write_text(slow)
            upgrade = threading.Thread(target=server.command, args=("upgrade",))
            upgrade.start()
            until(lambda: server.processes() - before, "the new process")
            server.kill(server.pid)
            upgrade.join()
            until(lambda: server.count("taken over"), "the new process to take over")
            until(lambda: not before & server.processes(), "the end of the old ones")
            until(server.socket.exists, "the control socket")
            server.pid = status(server)["pid"]
            for _ in range(20):
                same(server.get("/").body, b"two", "the new process")

    @each(g, "the old process, after it was replaced: its workers end")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            before = server.processes()
            one = Socket(server)
            one.echo()
            old = server.upgrade()
            check(old in server.processes(), "it has ended already")
            server.kill(old)
            until(lambda: not before & server.processes(), "the end of the old ones")
            one.c.close()
            for _ in range(20):
                same(server.get("/").status, 200, "the new process")

    @each(g, "the new process, while it loads: nothing has changed, no process is left")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            before = server.processes()
            (server.home / "app.lua").write_text("require('tornado.gen').sleep(1e6)\n")
            upgrade = threading.Thread(target=server.command, args=("upgrade",))
            upgrade.start()

            def begun():
                found = server.processes() - before  # the command's among them
                return len(found) >= len(before) and next(
                    (pid for pid in found if is_parent(server.pid, pid)), None)

            server.kill(until(begun, "the new processes"))
            upgrade.join()
            server.await_line("the new program died of signal 9")
            until(lambda: server.processes() == before, "the end of the new ones")
            same(server.get("/").body, b"one", "the old process")


def is_parent(parent, pid):
    fields = harness.stat_of(pid)
    return fields is not None and int(fields[1]) == parent


def systemd():
    @each("systemd", "is told of the new main process")
    def _(binary, workers):
        with tempfile.TemporaryDirectory() as path, socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f"{path}/notify")
            s.settimeout(harness.PATIENCE)

            def next_state():
                while (got := s.recv(4096).decode()).startswith("WATCHDOG"):
                    pass
                return got
            with Upgradable(binary, workers=workers,
                            env={"NOTIFY_SOCKET": f"{path}/notify"}) as server:
                same(next_state(), "READY=1", "first")
                server.upgrade()
                check(next_state().startswith("RELOADING=1"), "not reloading")
                same(next_state(), f"MAINPID={server.pid}\nREADY=1", "the new pid")
                same(next_state(), "READY=1", "of the new process")


class Load(threading.Thread):
    """A client with one connection after another, on each as many requests as it may
    have. What ends without `Connection: close` is counted as lost."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.enough = server, threading.Event()
        self.done, self.connections, self.wrong = 0, 0, None

    def run(self):
        try:
            while not self.enough.is_set():
                with self.server.connect() as c:
                    self.connections += 1
                    closes = False
                    while not closes and not self.enough.is_set():
                        c.send(GET)
                        reply = c.reply()
                        same(reply.status, 200, "status")
                        closes = reply.closes
                        self.done += 1
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def load():
    @each("under load", "five upgrades: no request and no connection is lost", alone=True)
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            idle = [server.connect() for _ in range(50)]
            for c in idle:
                c.send(GET)
                same(c.reply().body, b"one", "idle, first")
            sockets = [Socket(server) for _ in range(10)]
            clients = [Load(server) for _ in range(4)]
            for client in clients:
                client.start()
            olds = []
            for i in range(5):
                server.write(f"v{i}")
                done = sum(client.done for client in clients)
                olds.append(server.upgrade())
                same(server.get("/").body, f"v{i}".encode(), "the new code")
                until(lambda: sum(client.done for client in clients) > done + 20, "requests")
                for one in sockets:
                    one.echo()
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
                check(client.connections >= 5, f"{client.connections} connections")
            for c in idle:
                c.send(GET)
                reply = c.reply()
                same((reply.body, reply.closes), (b"one", True), "idle, last")
                c.end()
            for one in sockets:
                one.c.close()
            for old in olds:
                server.await_end(old)


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (takes_over, failures, deaths, systemd, load), __doc__)
