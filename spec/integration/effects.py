#!/usr/bin/env python3
"""What a line of the log, an answer or a notification says is so by then, for whoever looks from
another process: the one that has said it is held right behind it (spec/faults/shim/hold.c).
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import APP, Cluster
from harness import HomeServer, Server, check, same, until
from upgrading import GET, Upgradable, each
from upgrade_metrics import GETS, Site, visit

SUITE = harness.Suite()
case = SUITE.case


class Hold:
    """The way to hold processes behind a text, in a folder of its own; a context manager: at its
    end all go on. `env` is for the server."""

    def __init__(self, path, text):
        library = path / "hold.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library),
                        str(harness.ROOT / "spec/faults/shim/hold.c"), "-ldl"], check=True)
        self.pipe = path / "pipe"
        os.mkfifo(self.pipe)
        self.env = {"LD_PRELOAD": str(library), "HOLD_AFTER": text, "HOLD_AT": str(self.pipe)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(self.pipe, os.O_RDWR)
            self.pipe.unlink()
            os.close(fd)


@contextlib.contextmanager
def holding(text):
    with harness.folder() as path:
        yield Hold(path, text), path


def holds(path, pid):
    """Whether a process has that file open."""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(*harness.GONE):
            if os.readlink(fd) == str(path):
                return True
    return False


def lines():
    g = "lines"

    @each(SUITE, g, "taken over: the file with the pid, and what was counted")
    def _(binary, workers):
        with holding("taken over") as (hold, path), \
                Site(binary, workers, f"--pid-file={path}/pid", env=hold.env) as server:
            visit(server, 5)
            upgrade = threading.Thread(target=server.upgrade)
            with hold:
                upgrade.start()
                server.await_line("taken over")
                new = server.await_line(r"process (\d+) serves").group(1)
                same((path / "pid").read_text(), f"{new}\n", "the file")
                if workers > 1:  # those answer while their master is held
                    visit(server, 5)
                    same(server.numbers()[GETS], 10, "requests")
            upgrade.join()

    @case(g, "workers serve: the file with the pid")
    def _(binary):
        with holding("2 workers serve") as (hold, path), \
                Cluster(binary, f"--pid-file={path}/pid", env=hold.env) as server, hold:
            same((path / "pid").read_text(), f"{server.process.pid}\n", "the file")

    @case(g, "a generation has ended: what it had is closed")
    def _(binary):
        with holding("generation 1 has ended") as (hold, path):
            kept = f"rawset(_G, 'KEPT', io.open('{path}/kept', 'w'))\n"
            (path / "app.lua").write_text(kept + APP % "one")
            with Server(binary, site=path, env=hold.env) as server, hold:
                check(holds(path / "kept", server.process.pid), "it is not open")
                (path / "app.lua").write_text(APP % "two")
                server.process.send_signal(signal.SIGHUP)
                server.await_line("generation 1 has ended")
                check(not holds(path / "kept", server.process.pid), "it is open")

    @case(g, "a worker died: its connections are counted no more")
    def _(binary):
        with holding("died of signal") as (hold, path), \
                Cluster(binary, f"--admin=unix:{path}/admin", env=hold.env) as server, hold:
            def connections():
                with harness.Connection(path / "admin") as c:
                    c.send(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
                    found = [line for line in c.reply().body.decode().splitlines()
                             if line.startswith("ctornado_connections_open ")]
                return int(found[0].split()[1]) - 1  # but for this one

            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    stack.enter_context(server.connect())

                def each():
                    found = [w["connections"] for w in server.ask_status()["workers"]]
                    return sum(found) == 20 and found
                mine = until(each, "the connections")
                os.kill(server.pids()[0], signal.SIGKILL)
                server.await_line("died of signal")
                until(lambda: connections() == mine[1], "the others to be forgotten")


def answers():
    @each(SUITE, "answers", "reload: all that the configuration says is done")
    def _(binary, workers):
        with holding("ok\n") as (hold, path):
            def configure(name, workers):
                (path / "conf").write_text(
                    f"control = '{path}/{name}'\npid_file = '{path}/{name}.pid'\n"
                    f"workers = {workers}\n")
            configure("one", workers)
            (path / "app.lua").write_text(APP % "one")
            with Server(binary, f"--config={path}/conf", site=path, env=hold.env) as server, hold:
                if workers > 1:
                    server.await_line("workers? serve")
                harness.await_socket(f"{path}/one")
                configure("two", workers + workers // 2)
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(harness.PATIENCE)
                    s.connect(f"{path}/one")
                    s.sendall(b"reload\n")
                    same(s.recv(3), b"ok\n", "the answer")
                check(not (path / "one.pid").exists(), "the file with the pid has not moved")
                same((path / "two.pid").read_text(), f"{server.process.pid}\n", "the file")
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(f"{path}/two")
                if workers > 1:
                    check("3 workers from now on" in server.log(), "no third worker")
                    same(server.log().count("] reloaded"), 2, "reloads")

    for what, clients in (("that has nothing to do any more", 0), ("that has connections", 5)):
        @each(SUITE, "answers", f"upgrade, of a process {what}: the next one has taken over")
        def _(binary, workers, clients=clients):
            with holding("ok\n") as (hold, path), \
                    Upgradable(binary, f"--pid-file={path}/pid", workers=workers,
                               env=hold.env) as server, hold, contextlib.ExitStack() as stack:
                for _ in range(clients):
                    c = stack.enter_context(server.connect())
                    c.send(GET)
                    same(c.reply().status, 200, "status")
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(harness.PATIENCE)
                    s.connect(str(server.socket))
                    s.sendall(b"upgrade\n")
                    same(s.recv(3), b"ok\n", "the answer")
                check("taken over" in server.log(), server.log())
                server.pid = int(server.await_line(r"process (\d+) serves").group(1))
                same((path / "pid").read_text(), f"{server.pid}\n", "the file")


def notifications():
    @each(SUITE, "notifications", "READY: the control socket, and the file with the pid")
    def _(binary, workers):
        with holding("READY=1") as (hold, path), \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f"{path}/notify")
            s.settimeout(harness.PATIENCE)
            env = dict(hold.env, NOTIFY_SOCKET=f"{path}/notify")
            with HomeServer(binary, f"--workers={workers}", f"--control={path}/control",
                            f"--pid-file={path}/pid", site=harness.SITE, env=env) as server, hold:
                same(s.recv(100), b"READY=1", "the notification")
                check((path / "control").exists(), "no control socket")
                same((path / "pid").read_text(), f"{server.process.pid}\n", "the file")


def main():
    options = harness.arguments(__doc__).parse_args()
    for group in (lines, answers, notifications):
        group()
    tally = harness.Tally()
    for binary in harness.binaries(asan=False):
        tally.run_all([one for one in SUITE.cases if options.only in one[0]], binary, jobs=4)
    harness.finish(tally)


if __name__ == "__main__":
    main()
