#!/usr/bin/env python3
"""Binary upgrades: a new process takes over the listening sockets, the control
socket and systemd, the old one answers what it has begun, and no client loses a
connection. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, check, same, until
from upgrading import APP, GET, Socket, Upgradable, each, status, worker_pids

SUITE = harness.Suite()
case = SUITE.case


def takes_over():
    g = "upgrade"

    @each(SUITE, g, "the program that is installed now takes over; the old one ends")
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

    @each(SUITE, g, "SIGUSR2 does the same")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            server.write("two")
            server.process.send_signal(signal.SIGUSR2)
            until(lambda: server.count("taken over"), "the new process to take over")
            server.pid = int(server.await_line(r"process (\d+) serves").group(1))
            server.await_end(server.process.pid)
            same(server.get("/").body, b"two", "after")

    @each(SUITE, g, "an idle connection has one more request, and then ends")
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

    @each(SUITE, g, "a request under way is answered by the old process")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server, server.connect() as c:
            c.send(f"GET /wait?till={server.home}/go HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            until(lambda: b"begun" in bytes(c.buffer) or c._more(), "the beginning")
            old = server.upgrade()
            (server.home / "go").touch()
            same(c.reply().body, b"begun, ended", "the reply")
            c.close()
            server.await_end(old)

    @each(SUITE, g, "WebSockets stay until reload_grace is over")
    def _(binary, workers):
        with Upgradable(binary, "--reload-grace=1", workers=workers) as server:
            one = Socket(server)
            one.echo()
            begun = time.monotonic()
            old = server.upgrade()
            same(one.end(), 1012, "the code")
            check(time.monotonic() - begun >= 1, "too early")
            server.await_end(old)

    @each(SUITE, g, "who quits takes the old process along")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            one = Socket(server)
            one.echo()
            old = server.upgrade()
            same(server.command("quit")[0], 0, "quit")
            same(one.end(), 1001, "the code")
            server.await_end(old)

    @each(SUITE, g, "several upgrades while a WebSocket stays")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            one = Socket(server)
            for i in range(3):
                server.write(f"v{i}")
                server.upgrade()
                one.echo()
                same(server.get("/").body, f"v{i}".encode(), "the new code")
            one.c.close()

    @each(SUITE, g, "unix sockets go along with their file")
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

    @each(SUITE, g, "connections in the queue of the kernel are answered")
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

    @each(SUITE, g, "the admin listener goes over, and says ready all the while")
    def _(binary, workers):
        port = harness.free_port()
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

    @each(SUITE, g, "the file with the pid names the new process, and goes with it")
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
                        server.await_line(r"\d workers? serve")
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
                server.await_line(r"\d workers? serve")
                for by_reload, by_upgrade in ((2, 3), (1, 3), (4, 2), (3, 3)):
                    conf.write_text(f"workers = {by_reload}\n")
                    same(server.command("reload")[0], 0, "reload")
                    await_busy(server, by_reload)
                    conf.write_text(f"workers = {by_upgrade}\n")
                    until(lambda: upgrade_at_last(server), "the upgrade")
                    await_busy(server, by_upgrade)


def upgrade_at_last(server):
    """Upgrades, unless workers that a reload has dismissed have not left yet."""
    before = server.count("taken over")
    code, _, err = server.command("upgrade")
    if code:
        check("has just changed" in err, err)
        return False
    check(server.count("taken over") > before, "the new process has not taken over")
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


def systemd():
    @each(SUITE, "systemd", "is told of the new main process")
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
    @each(SUITE, "under load", "five upgrades: no request and no connection is lost", alone=True)
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
                olds.append(server.upgrade())
                same(server.get("/").body, f"v{i}".encode(), "the new code")
                done = [client.done for client in clients]
                until(lambda: all(c.wrong or c.done > n + 5 for c, n in zip(clients, done)),
                      "requests of each client")
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
    harness.run_on_binaries(SUITE, (takes_over, systemd, load), __doc__)
