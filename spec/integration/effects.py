#!/usr/bin/env python3
"""What a line of the log, an answer, a notification, a state or a file says is so by then, for
whoever looks from another process: the one that says it is held at that moment. Each case runs on
the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import APP, Cluster
from harness import HomeServer, Server, check, folder, same, until
from moment import Moment, holding
from upgrading import GET, Upgradable, each
from upgrade_metrics import GETS, Site, visit

SUITE = harness.Suite()
case = SUITE.case


def holds(path, pid):
    """Whether a process has that file open."""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(*harness.GONE):
            if os.readlink(fd) == str(path):
                return True
    return False


def ask(admin, path):
    """What the admin listener answers, by whichever worker goes on."""
    with harness.Connection(admin) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return c.reply()


def tell(control, command):
    """The first word of the answer; who gives it may be held behind that."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(harness.PATIENCE)
        s.connect(control)
        s.sendall(command)
        return s.recv(3)


def lines():
    g = "lines"

    @each(SUITE, g, "taken over: the file with the pid, and what was counted")
    def _(binary, workers):
        with holding(binary, behind="taken over") as (hold, path), \
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
        with holding(binary, behind="2 workers serve") as (hold, path), \
                Cluster(binary, f"--pid-file={path}/pid", env=hold.env) as server, hold:
            same((path / "pid").read_text(), f"{server.process.pid}\n", "the file")

    @case(g, "a generation has ended: what it had is closed")
    def _(binary):
        with holding(binary, behind="generation 1 has ended") as (hold, path):
            kept = f"rawset(_G, 'KEPT', io.open('{path}/kept', 'w'))\n"
            (path / "app.lua").write_text(kept + APP % "one")
            with Server(binary, site=path, env=hold.env) as server, hold:
                check(holds(path / "kept", server.process.pid), "it is not open")
                (path / "app.lua").write_text(APP % "two")
                server.process.send_signal(signal.SIGHUP)
                server.await_line("generation 1 has ended")
                check(not holds(path / "kept", server.process.pid), "it is open")

    @case(g, "a worker died: it is down, and its connections are counted no more")
    def _(binary):
        with holding(binary, behind="died of signal") as (hold, path), \
                Cluster(binary, f"--admin=unix:{path}/admin", env=hold.env) as server, hold:
            def connections():
                found = [line for line in ask(path / "admin", "/metrics").body.decode().splitlines()
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
                first = ask(path / "admin", "/status").json()["workers"][0]
                same((first["state"], first["pid"]), ("down", 0), "the dead one's state, pid")
                until(lambda: connections() == mine[1], "the others to be forgotten")


def answers():
    @each(SUITE, "answers", "reload: all that the configuration says is done")
    def _(binary, workers):
        with folder() as path:
            hold = Moment(binary, path, behind="ok\n")

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
                hold.come(server.process.pid)
                same(tell(f"{path}/one", b"reload\n"), b"ok\n", "the answer")
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
            with holding(binary, behind="ok\n") as (hold, path), \
                    Upgradable(binary, f"--pid-file={path}/pid", workers=workers,
                               env=hold.env) as server, hold, contextlib.ExitStack() as stack:
                for _ in range(clients):
                    c = stack.enter_context(server.connect())
                    c.send(GET)
                    same(c.reply().status, 200, "status")
                same(tell(str(server.socket), b"upgrade\n"), b"ok\n", "the answer")
                check("taken over" in server.log(), server.log())
                server.pid = int(server.await_line(r"process (\d+) serves").group(1))
                same((path / "pid").read_text(), f"{server.pid}\n", "the file")


def notifications():
    @each(SUITE, "notifications", "READY: the control socket, and the file with the pid")
    def _(binary, workers):
        with holding(binary, behind="READY=1") as (hold, path), \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f"{path}/notify")
            s.settimeout(harness.PATIENCE)
            env = dict(hold.env, NOTIFY_SOCKET=f"{path}/notify")
            with HomeServer(binary, f"--workers={workers}", f"--control={path}/control",
                            f"--pid-file={path}/pid", site=harness.SITE, env=env) as server, hold:
                same(s.recv(100), b"READY=1", "the notification")
                check((path / "control").exists(), "no control socket")
                same((path / "pid").read_text(), f"{server.process.pid}\n", "the file")


def workers():
    g = "workers"

    @case(g, "one is not shown to serve before the master has been told")
    def _(binary):
        with folder() as path:
            moment = Moment(binary, path, before="serving\n")
            with Cluster(binary, env=moment.env) as server:
                moment.come()
                victim = server.pids()[0]
                os.kill(victim, signal.SIGKILL)
                moment.await_it()
                same(server.ask_status()["workers"][0]["state"], "starting", "its state")
                moment.go()
                server.await_workers(victim)
                same(server.command("reload")[0], 0, "exit code of a reload")


def clients():
    g = "clients"

    @case(g, "one that is turned away is counted already")
    def _(binary):
        with folder() as path:
            moment = Moment(binary, path, behind="HTTP/1.1 503 ")
            admin = path / "admin"
            with Cluster(binary, f"--admin=unix:{admin}", "--max_connections=1",
                         env=moment.env) as server, server.connect() as inside:
                inside.send(b"GET / HTTP/1.1\r\n" + harness.HOST + b"\r\n")
                same(inside.reply().status, 200, "status of the one inside")
                moment.come()
                with server.connect() as c:
                    same(c.head().status, 503, "status of the one too many")
                    text = ask(admin, "/metrics").body.decode()
                moment.go()
                name = 'ctornado_connections_refused_total{limit="max_connections"}'
                check(f"\n{name} 1\n" in text, text)


def starting():
    g = "start"

    @case(g, "when the log has its address, the options are in effect")
    def _(binary):
        with folder() as path:
            moment = Moment(binary, path, behind=" on http://")
            moment.come()
            with Server(binary, "--max_open_files=500", env=moment.env) as server:
                moment.await_it()
                text = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text()
                moment.go()
                same(re.search(r"Max open files +(\d+)", text).group(1), "500", "the soft limit")

    @case(g, "the file of a unix socket is there when the socket listens, and nobody takes it")
    def _(binary):
        with folder() as path:
            (path / "sockets").mkdir()
            address = path / "sockets/http"
            moment = Moment(binary, path, before="listen /")
            moment.come()
            more = [str(binary), f"--site={harness.SITE}", f"--listen=unix:{address}",
                    "--control=none"]
            first = subprocess.Popen(more, env={**os.environ, **moment.env}, cwd=harness.ROOT,
                                     stderr=subprocess.PIPE, text=True)
            try:
                moment.await_it()
                check(not address.exists(), "it is there before it listens")
                with Server(binary, f"--listen=unix:{address},127.0.0.1:0") as second:
                    moment.go()
                    _, text = first.communicate(timeout=harness.PATIENCE)
                    same(first.returncode, 1, "exit code of the first")
                    check("address already in use" in text, text)
                    with harness.Connection(address) as c:
                        c.send(harness.LAST)
                        same(c.reply().body, b"hello", "the reply of the second")
                    same(os.listdir(address.parent), ["http"], "files")
                    second.get("/")
            finally:
                first.kill()
                first.wait()
                first.stderr.close()


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (lines, answers, notifications, workers, clients, starting),
                            __doc__)
