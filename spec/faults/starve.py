"""malloc() that fails: one allocation after the other, while a server does what it is there
for. Each request must be answered or its connection be closed, and nothing be left.
"""
# SPDX-License-Identifier: Apache-2.0
import collections
import json
import os
import pathlib
import re
import resource
import socket
import ssl
import subprocess
import threading

import common
from common import HOST, get
import harness
from harness import Connection, Ended, Failure, Reset, check, same, until

LOST = (Ended, Reset, ConnectionError, ssl.SSLError)
STATUSES = (200, 500, 503)
KEPT = 1     # connections that fetch() may leave: from the server to itself
REACHED = 3  # allocations in a row that something never comes to: it needs no more


class Site(harness.Server):
    """A server of spec/faults/site with a plain and a TLS port, and a control socket,
    whose allocations `order` makes fail; `folder` is for its files."""

    def __init__(self, binary, folder, *options, **more):
        self.home = pathlib.Path(folder)
        env, self.order = common.shim(folder)
        self.socket = self.home / "control"
        config = self.home / "conf"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.home / "key",
                        "-out", self.home / "crt", "-days", "9", "-subj", "/CN=localhost"],
                       check=True, capture_output=True)
        config.write_text(f'listen = {{ "127.0.0.1:0", {{ "127.0.0.1:{harness.free_port()}", '
                          f'certfile = "{self.home}/crt", keyfile = "{self.home}/key" }} }}\n')
        super().__init__(binary, f"--config={config}", f"--control={self.socket}", *options,
                         site=common.SITE, env=env, **more)

    def start(self):
        super().start()
        self.await_line(" on https://")
        self.port, self.tls_port = (
            int(re.search(rf"{scheme}://127.0.0.1:(\d+)", self.log()).group(1))
            for scheme in ("http", "https"))
        until(self.socket.exists, "the control socket")
        return self

    def ask(self, command):
        """What the control socket answers."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(harness.PATIENCE)
            s.connect(str(self.socket))
            s.sendall(command + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b""))

    def connections(self):
        return json.loads(self.ask(b"status").removeprefix(b"ok\n"))["workers"][0]["connections"]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


# -- What it does -------------------------------------------------------------------------


def ask(server, request, port=None, tls=None):
    with Connection(port or server.port) as c:
        if tls:
            c.socket = tls.wrap_socket(c.socket, server_hostname="localhost")
        c.send(request)
        status = c.reply().status
        check(status in STATUSES, "status", status)


def plain(server):
    ask(server, get("/"))


def form(server):
    body = b"a=1&b=" + b"x" * 3000
    ask(server, b"POST /form HTTP/1.1\r\n" + HOST + b"Content-Type: application/"
        b"x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def upload(server):
    body = (b'--xx\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n'
            + b"y" * 70000 + b"\r\n--xx--\r\n")
    ask(server, b"POST /form HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; "
        b"boundary=xx\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def tls(server):
    made = ssl.create_default_context(cafile=server.home / "crt")
    made.check_hostname = False
    ask(server, get("/"), server.tls_port, made)


def websocket(server):
    with Connection(server.port) as c:
        c.send(b"GET /socket HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        head = c.head()
        if head.status != 101:
            return check(head.status in STATUSES, "status", head.status)
        for _ in range(2):
            c.send(b"\x81\x84\0\0\0\0echo")
            first, size = c.exactly(2)
            payload = c.exactly(size & 127)
            if first & 15 == 8:
                return None
            check(first & 0x40 or payload == b"echo", "echoed:", payload)
        return None


def fetch(server):
    ask(server, get(f"/backend?port={server.port}"))


def page(server):
    ask(server, get("/page"))


def packed(server):
    ask(server, b"GET /page HTTP/1.1\r\nAccept-Encoding: br, gzip\r\n" + HOST + b"\r\n")


def static(server):
    ask(server, get("/static/app.lua"))


def thread(server):
    ask(server, get("/thread"))


def wait(server):
    ask(server, get("/sleep?for=0"))


def reload(server):
    answer = server.ask(b"reload")
    check(answer.startswith((b"ok", b"error")), "the reload's answer", answer)


KINDS = (plain, form, upload, tls, websocket, fetch, page, packed, static, thread, wait)


# -- With what failing --------------------------------------------------------------------


def rest(server, kind):
    """Does it until it works as it should, and nothing of it is left; returns the number of
    descriptors."""
    for _ in range(5):
        kind(server)
    until(lambda: server.connections() <= KEPT, "all connections to end")
    return server.descriptors()


def starve(server, kind, numbers, times=1):
    """Does `kind` with each of these allocations failing, and `times` - 1 behind it; returns
    how often it was done, and how often without a reply."""
    before, pid = rest(server, kind), server.process.pid
    done = lost = beyond = 0
    for n in numbers:
        with server.order.failing(n, times):
            try:
                kind(server)
            except LOST:
                lost += 1
        done += 1
        check(server.alive(), f"it ended when allocation {n} failed, of {times}")
        beyond = 0 if server.order.failed() else beyond + 1
        if beyond == REACHED:
            break
    same(server.get("/").status, 200, "status afterwards")
    same(server.process.pid, pid, "the process")
    until(lambda: rest(server, kind) <= before + 2, f"{before} descriptors: "
          f"{server.descriptors()}")
    return done, lost


def say(kind, done, lost):
    print(f"     {kind.__name__}: {done} allocations failed, {lost} replies were lost", flush=True)


def at_start(binary, numbers):
    """Starts servers with these allocations failing, and all behind them; each must end with
    a message and exit code 1, or serve if it has all that it needs."""
    ended = 0
    for n in numbers:
        with common.temporary() as folder:
            env, order = common.shim(folder)
            with order.failing(n, 1 << 40):
                done = subprocess.run(
                    [str(binary), "version"], env=dict(os.environ, **env), capture_output=True,
                    text=True, timeout=harness.PATIENCE)
            check(done.returncode in (0, 1), f"exit code {done.returncode} at allocation {n}:",
                  done.stderr)
            if done.returncode:
                check("memory" in done.stderr, f"allocation {n}: {done.stderr!r}")
                ended += 1
    return ended


# -- Really used up -----------------------------------------------------------------------


def mapped(pid):
    """Bytes of its address space that a process has."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmSize:\s+(\d+)", text).group(1)) * 1024


def limit(server, more):
    """The server may map no more than it has, and `more` bytes."""
    pid = server.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    size = resource.RLIM_INFINITY if more is None else mapped(pid) + more
    resource.prlimit(pid, resource.RLIMIT_AS, (size, hard))


class Glutton(threading.Thread):
    """A client that has the server hold more and more, on a connection each."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.seen, self.wrong = server, collections.Counter(), None
        self.enough = threading.Event()

    def once(self):
        try:
            reply = self.server.get("/hoard")
            check(reply.status in STATUSES, "status", reply.status)
            self.seen[reply.status] += 1
        except LOST:
            self.seen["lost"] += 1

    def run(self):
        try:
            while not self.enough.is_set():
                self.once()
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def exhaust(binary):
    """Load on a server that may have hardly more memory than it has."""
    with harness.Server(binary, site=common.SITE) as server, server.connect() as inside:
        for _ in range(20):
            server.get("/")
        inside.send(get("/"))
        inside.reply()
        limit(server, 16 << 20)
        gluttons = [Glutton(server) for _ in range(4)]
        for g in gluttons:
            g.start()
        until(lambda: sum(g.seen[503] for g in gluttons) > 200, "new requests to get 503")
        for g in gluttons:
            g.enough.set()
            g.join(harness.PATIENCE)
            check(not g.wrong, "a client saw:", g.wrong)
        server.await_line("new requests get 503 until there is memory")
        check(server.alive(), "it ended")
        limit(server, None)
        until(lambda: server.get("/").status == 200, "requests to be answered again")
        server.await_line("there is memory again")
        seen = sum((g.seen for g in gluttons), collections.Counter())
        print(f"     with memory used up: {dict(seen)}", flush=True)
