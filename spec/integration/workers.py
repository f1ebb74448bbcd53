#!/usr/bin/env python3
"""A master and its workers: what is replaced, what is told, how it begins and
ends; and the commands that speak to a running server. Each case runs on the
normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import itertools
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import Cluster
from harness import HOST, Server, check, same, until

SUITE = harness.Suite()
case = SUITE.case
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


# Becomes a program that has the socket as number 3. A preexec_fn cannot do that: subprocess may
# have its own pipe there.
AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def everywhere(server, path="/", most=200):
    """The bodies that new connections get, until nothing new comes."""
    return {server.get(path).body for _ in range(most)}


def masters():
    g = "master"

    @case(g, "each worker serves the one port")
    def _(binary):
        with Cluster(binary, workers=3) as server:
            got = {body.split()[0] for body in everywhere(server, "/who")}
            same(got, {b"1", b"2", b"3"}, "workers")
            same(len(set(server.pids())), 3, "processes")

    @case(g, "a site that cannot be loaded ends it, with the reason")
    def _(binary):
        with tempfile.TemporaryDirectory() as path:
            (pathlib.Path(path) / "app.lua").write_text("error('on purpose')")
            done = subprocess.run([str(binary), f"--site={path}", "--port=0", "--workers=2"],
                                  capture_output=True, text=True, timeout=harness.PATIENCE)
            same(done.returncode, 1, "exit code")
            check("app.lua:1: on purpose" in done.stderr, done.stderr)

    @case(g, "a port in use ends it, with the reason")
    def _(binary):
        with Server(binary) as other:
            done = subprocess.run([str(binary), f"--site={harness.SITE}", "--workers=2",
                                   f"--port={other.port}"],
                                  capture_output=True, text=True, timeout=harness.PATIENCE)
            same(done.returncode, 1, "exit code")
            check("address already in use" in done.stderr, done.stderr)

    for how, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
        @case(g, f"{name} ends all, and leaves nothing")
        def _(binary, how=how):
            with Cluster(binary) as server:
                pids = server.pids()
                same(server.stop(how), 0, "exit code")
                for pid in pids:
                    check(not pathlib.Path(f"/proc/{pid}").exists(), f"{pid} is left")
                check(not server.socket.exists(), "the control socket is left")

    loads = {"waits": "require('tornado.gen').sleep(600)", "computes": "while true do end",
             "blocks": "io.open(pipe .. '2', 'w')"}
    for (what, line), workers, how in itertools.product(
            loads.items(), (1, 2), (signal.SIGTERM, signal.SIGINT)):
        @case(g, f"{how.name} ends {workers} that never load: app.lua {what}")
        def _(binary, line=line, what=what, workers=workers, how=how):
            with tempfile.TemporaryDirectory() as path:
                pipe = pathlib.Path(path) / "pipe"
                os.mkfifo(pipe)
                os.mkfifo(f"{pipe}2")  # which nobody reads
                (pathlib.Path(path) / "app.lua").write_text(
                    f"local pipe = {str(pipe)!r}\nio.open(pipe, 'w'):close()\n{line}")
                process = subprocess.Popen(
                    [str(binary), f"--site={path}", "--port=0", f"--workers={workers}",
                     "--stop-timeout=600"],
                    stderr=subprocess.DEVNULL, start_new_session=True)
                try:
                    pipe.read_text()  # it is in app.lua
                    process.send_signal(how)
                    code = process.wait(harness.PATIENCE)
                    if workers == 1:
                        same(code, 0 if what == "waits" else -how, "exit code")
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    @case(g, "SIGTERM lets requests finish")
    def _(binary):
        with Cluster(binary, "--stop-timeout=600") as server, server.connect() as c:
            c.send(f"GET /slow?till={server.home}/go HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            until(lambda: any(w["requests"] for w in server.ask_status()["workers"]),
                  "the request to be under way")
            server.end()
            server.await_line("stopping: 1 requests under way")
            (server.home / "go").touch()
            reply = c.reply()
            same(reply.body, b"slow", "the reply")
            check(reply.closes, "it does not say that it closes")

    @case(g, "workers end when their master is killed")
    def _(binary):
        with Cluster(binary, expect_exit=-9) as server:
            pids = server.pids()
            server.process.kill()
            for pid in pids:
                until(lambda: harness.state_of(pid) in (None, "Z"), f"{pid} to end")

    @case(g, "root's workers run as another user")
    def _(binary):
        if os.geteuid() != 0:
            raise harness.Skip("needs root")
        with Cluster(binary, "--user=nobody") as server:
            uid = str(pwd.getpwnam("nobody").pw_uid).encode()
            same({body.split()[1] for body in everywhere(server, "/who", 20)}, {uid}, "users")

    @case(g, "an unknown user ends it, with the reason")
    def _(binary):
        if os.geteuid() != 0:
            raise harness.Skip("needs root")
        done = subprocess.run([str(binary), f"--site={harness.SITE}", "--workers=2", "--port=0",
                               "--user=nobody-of-this-name"],
                              capture_output=True, text=True, timeout=harness.PATIENCE)
        check(done.returncode != 0, "it runs")
        check('cannot become "nobody-of-this-name"' in done.stderr, done.stderr)

    @case(g, "tells systemd how it goes")
    def _(binary):
        with tempfile.TemporaryDirectory() as path, socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f"{path}/notify")
            s.settimeout(harness.PATIENCE)

            def await_state(wanted):
                while wanted not in (got := s.recv(4096).decode()):
                    check(got.startswith("WATCHDOG") or got.startswith("READY"), got)
            with Cluster(binary, env={"NOTIFY_SOCKET": f"{path}/notify"}) as server:
                await_state("READY=1")
                server.process.send_signal(signal.SIGHUP)
                await_state("RELOADING=1\nMONOTONIC_USEC=")
                await_state("READY=1")
                server.end()
                await_state("STOPPING=1")

    for workers in (1, 2):
        @case(g, f"takes sockets from systemd: {workers} workers")
        def _(binary, workers=workers):
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                s.listen()
                port = s.getsockname()[1]
                process = subprocess.Popen(
                    [sys.executable, "-c", AS_SYSTEMD, str(s.fileno()), str(binary),
                     f"--site={harness.SITE}", f"--port={port}", "--control=none",
                     f"--workers={workers}"], cwd=harness.ROOT, stderr=subprocess.DEVNULL,
                    pass_fds=(s.fileno(),))
                kept = s.dup()
            try:
                with kept, harness.Connection(port) as c:
                    c.send(GET)
                    same(c.reply().status, 200, "the reply")
                    check(kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "it waits")
                    check(kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), "no probes")
            finally:
                process.terminate()
                same(process.wait(harness.PATIENCE), 0, "exit code")


class Load(threading.Thread):
    """A client that connects anew when its connection ends, and counts that."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.enough = server, threading.Event()
        self.done, self.lost, self.wrong = 0, 0, None

    def run(self):
        try:
            while not self.enough.is_set():
                with self.server.connect() as c:
                    try:
                        while not self.enough.is_set():
                            c.send(GET)
                            same(c.reply().status, 200, "status")
                            self.done += 1
                    except (harness.Ended, harness.Reset, ConnectionError, OSError):
                        self.lost += 1
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def deaths():
    g = "deaths"

    @case(g, "eight workers are killed under load: each takes its own connections alone",
          alone=True)
    def _(binary):
        with Cluster(binary, "--log-level=info") as server:
            clients = [Load(server) for _ in range(6)]
            for client in clients:
                client.start()
            pids = server.await_workers()
            for i in range(8):
                victim = pids[i % 2]
                os.kill(victim, signal.SIGKILL)
                pids = server.await_workers(victim)
            until(lambda: all(c.wrong or c.done > 20 for c in clients), "requests of each client")
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
            lost = sum(client.lost for client in clients)
            check(lost <= 6 * 8, f"{lost} connections were lost")
            same(server.ask_status()["replaced"], 8, "replaced")

    @case(g, "a worker that keeps dying is not started without end")
    def _(binary):
        with Cluster(binary) as server:
            def pauses():
                """Kills it as soon as it is there: none lives for long enough to count as well."""
                worker = server.ask_status()["workers"][0]
                if worker["pid"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker["pid"], signal.SIGKILL)
                return not worker["pid"]  # one that has just begun may be "down", too
            until(pauses, "a pause")
            check(server.log().count("died of signal 9") >= 5, "a pause after fewer than five")
            server.await_workers()

    @case(g, "one that cannot be replaced: the others get its clients, until it is there again")
    def _(binary):
        with Cluster(binary, workers=3) as server:
            (server.home / "app.lua").write_text("return function(\n")
            for pid in server.pids()[:2]:
                os.kill(pid, signal.SIGKILL)
            for i in (1, 2):
                server.await_line(f"worker {i} does not start: the others get its clients")
            same({server.get("/who").body.split()[0] for _ in range(30)}, {b"3"}, "who serves")
            until(lambda: server.ask_status()["workers"][0]["state"] == "down", "a pause")
            server.write("two")
            code, _, err = server.command("reload")
            check(code == 0 or "worker 1 is down, and starts anew" in err, err)
            server.await_workers()
            until(lambda: {w["state"] for w in server.ask_status()["workers"]} == {"serving"},
                  "all to serve")
            got = {body.split()[0] for body in everywhere(server, "/who")}
            same(got, {b"1", b"2", b"3"}, "who serves")

    @case(g, "a worker that hangs is replaced, and the others serve", alone=True)
    def _(binary):
        with Cluster(binary, "--worker-timeout=5") as server, server.connect() as c:
            before = server.await_workers()
            c.send(b"GET /spin HTTP/1.1\r\n" + HOST + b"\r\n")
            server.await_line("hangs: it is replaced")
            server.await_line("died of signal")
            after = until(lambda: (now := server.await_workers()) != before and now, "another one")
            same(len(set(before) & set(after)), 1, "workers that stayed")


def commands():
    g = "commands"

    @case(g, "reload: all workers, or none")
    def _(binary):
        with Cluster(binary) as server:
            server.write("two")
            same(server.command("reload")[0], 0, "exit code")
            same(everywhere(server), {b"two"}, "bodies")
            (server.home / "app.lua").write_text("\n\nreturn function(\n")
            code, _, err = server.command("reload")
            same(code, 1, "exit code of a broken one")
            check(re.search(r"nothing has changed: .*app\.lua:4: ", err), err)
            same(everywhere(server), {b"two"}, "bodies afterwards")
            same({w["generation"] for w in server.ask_status()["workers"]}, {2}, "generations")

    @case(g, "reload: a new address, for all workers")
    def _(binary):
        with tempfile.TemporaryDirectory() as path:
            port = harness.free_port()
            conf = pathlib.Path(path) / "conf.lua"
            conf.write_text('listen = { "127.0.0.1:0" }\n')
            with Cluster(binary, f"--config={conf}") as server:
                conf.write_text(f'listen = {{ "127.0.0.1:0", "127.0.0.1:{port}" }}\n')
                code, _, err = server.command("reload")
                same(code, 0, f"exit code: {err}")
                server.port = port
                got = {body.split()[0] for body in everywhere(server, "/who")}
                same(got, {b"1", b"2"}, "workers behind the new address")

    @case(g, "reload: a unix socket that is given up has no file, nor has a server that ended")
    def _(binary):
        with tempfile.TemporaryDirectory() as path:
            conf = pathlib.Path(path) / "conf.lua"
            first, other, admin = (f"{path}/{name}" for name in ("first", "other", "admin"))
            options = f'admin = "unix:{admin}"\nlisten = {{ "127.0.0.1:0", "unix:{first}"'
            conf.write_text(f'{options}, "unix:{other}" }}\n')
            with Cluster(binary, f"--config={conf}") as server:
                conf.write_text(f'{options} }}\n')
                same(server.command("reload")[0], 0, "exit code")
                until(lambda: not os.path.exists(other), "its file to go")
                check(os.path.exists(first) and os.path.exists(admin), "files of those that stay")
                os.unlink(first)
                with socket.socket(socket.AF_UNIX) as s:
                    s.bind(first)
                    same(server.stop(), 0, "exit code")
                check(not os.path.exists(admin), "the admin listener's file is left")
                check(os.path.exists(first), "another one's file was removed")

    @case(g, "status: for people and programs")
    def _(binary):
        with Cluster(binary) as server:
            for _ in range(10):
                server.get("/")
            until(lambda: server.ask_status()["handled"] == 10, "10 requests")
            code, out, err = server.command("status", "json")
            same((code, json.loads(out)["handled"]), (0, 10), f"exit code, requests; {err}")
            code, out, _ = server.command("status")
            same(code, 0, "exit code")
            check(re.search(r"pid \d+, up \d+ s: 10 requests, 2 workers, 0 replaced", out), out)
            same(len(out.strip().split("\n")), 4, "lines")

    for word in ("quit", "stop"):
        @case(g, f"{word}: the server ends")
        def _(binary, word=word):
            with Cluster(binary) as server:
                same(server.command(word)[0], 0, "exit code")
                same(server.process.wait(harness.PATIENCE), 0, "the server's exit code")

    @case(g, "reopen: log files are made anew")
    def _(binary):
        with tempfile.TemporaryDirectory() as path:
            access = pathlib.Path(path) / "access"
            with Cluster(binary, f"--access-log={access}") as server:
                server.get("/")
                until(lambda: access.exists() and access.read_text(), "a line")
                access.rename(f"{access}.1")
                same(server.command("reopen")[0], 0, "exit code")
                until(lambda: access.exists() and server.log().count("open anew") == 2, "the file")
                server.get("/")
                until(lambda: access.read_text(), "a line in the new file")

    @case(g, "without a server: a clear message")
    def _(binary):
        done = subprocess.run([str(binary), "reload", "--control=/nonexistent/socket"],
                              capture_output=True, text=True, timeout=harness.PATIENCE)
        same(done.returncode, 1, "exit code")
        check("no server answers on /nonexistent/socket" in done.stderr, done.stderr)

    @case(g, "one process alone has a control socket, too")
    def _(binary):
        with tempfile.TemporaryDirectory() as path:
            with Server(binary, f"--control={path}/c") as server:
                harness.await_socket(f"{path}/c")
                same(oct(os.stat(f"{path}/c").st_mode & 0o777), "0o600", "its mode")
                for words, code in (("reload", 0), ("status", 0), ("quit", 0)):
                    done = subprocess.run([str(binary), words, f"--control={path}/c"],
                                          capture_output=True, text=True, timeout=harness.PATIENCE)
                    same(done.returncode, code, f"{words}: {done.stderr}")
                same(server.process.wait(harness.PATIENCE), 0, "exit code")

    @case(g, "strange clients of the control socket are no harm")
    def _(binary):
        with Cluster(binary) as server:
            for text in (b"", b"nonsense\n", b"x" * 1000, b"\0\n", b"reload"):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(str(server.socket))
                    with contextlib.suppress(BrokenPipeError):
                        s.sendall(text)
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(harness.PATIENCE)
                    with contextlib.suppress(ConnectionResetError):
                        got = s.recv(4096)
                        check(got in (b"", b"error\nunknown command"), got)
            same(len(server.await_workers()), 2, "workers")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (masters, deaths, commands), __doc__)
