#!/usr/bin/env python3
"""Moments between what can be seen of a server and what it does: a state, a line of the log, a
file. Whoever sees it may rely on what it says, so each moment is held open here, and looked at.
Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import Cluster
from harness import Server, check, folder, same, until

SUITE = harness.Suite()
case = SUITE.case


class Moment:
    """What holds a process of a server in the middle of something: `env` is for the server. See
    spec/faults/shim/moment.c."""

    def __init__(self, binary, path, **when):
        library = path / "moment.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library),
                        str(harness.ROOT / "spec/faults/shim/moment.c"), "-ldl"], check=True)
        self.hold, self.held = path / "hold", path / "held"
        path.chmod(0o777)
        self.env = {"LD_PRELOAD": str(library), "HOLD": str(path),
                    **{f"HOLD_{name.upper()}": text for name, text in when.items()}}
        if harness.is_asan(binary):  # whose runtime wants to be the first library
            self.env["ASAN_OPTIONS"] = "detect_leaks=1:verify_asan_link_order=0"

    def come(self):
        """The next one that comes there is held."""
        self.hold.touch()

    def await_it(self):
        until(self.held.exists, "the moment")

    def go(self):
        self.held.unlink()


def ask(admin, path):
    """What the admin listener answers, by whichever worker goes on."""
    with harness.Connection(admin) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return c.reply()


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

    @case(g, "when the log has a death, the others know of it")
    def _(binary):
        with folder() as path:
            moment = Moment(binary, path, behind="died of signal 9")
            admin = path / "admin"
            with Cluster(binary, f"--admin=unix:{admin}", env=moment.env) as server:
                moment.come()
                os.kill(server.pids()[0], signal.SIGKILL)
                moment.await_it()
                first = ask(admin, "/status").json()["workers"][0]
                moment.go()
                same((first["state"], first["pid"]), ("down", 0), "the dead one's state, pid")


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
    harness.run_on_binaries(SUITE, (workers, clients, starting), __doc__)
