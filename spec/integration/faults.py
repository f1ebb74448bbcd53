#!/usr/bin/env python3
"""What goes wrong: handlers that fail; clients that vanish; disks, descriptors and logs that are
full; signals. In each case the process lives, or ends with the right code and says why.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, LAST, Ended, Failure, Reset, Server, Skip, check, folder, same, until

SUITE = harness.Suite()
case = SUITE.case
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
WAITS = "--stop-timeout=600"  # longer than a test does: who ends by it has failed


def get(path):
    return f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n"


def upload(size, path="/echo"):
    return (f"POST {path} HTTP/1.1\r\nContent-Length: {size}\r\n".encode() + HOST + b"\r\n")


# -- Handlers that fail -------------------------------------------------------------


def handlers():
    g = "handler"

    def fails(name, pattern, status=500, body=None):
        """GET /fault/NAME; `pattern` is logged once, with app.lua and a line."""
        def test(binary):
            with Server(binary, "--stall_warning=0") as server:
                with server.connect() as c:
                    c.send(get(f"/fault/{name}") + LAST)
                    reply = c.reply()
                    same(reply.status, status, "status")
                    if body is not None:
                        same(reply.body, body, "body")
                    check(b"app.lua" not in reply.body and b"traceback" not in reply.body,
                          "a traceback went to the client")
                    same(c.reply().body, b"hello", "the next reply")
                    c.end()
                log = server.log()
                found = re.findall(pattern, log)
                same(len(found), 1, f"lines with {pattern!r} in\n{log}\n")
                same(len(re.findall("^\\[E ", log, re.M)), 1, f"errors in\n{log}\n")
        SUITE.add(g, name, test)
    where = r"app\.lua:\d+: "
    fails("raise", where + "deliberate")
    fails("table", "Uncaught exception GET /fault/table")
    fails("nil", "Uncaught exception GET /fault/nil")
    fails("stack", "stack overflow|error in error handling")
    fails("write_number", where + r"write\(\) takes a string, or a table .*; got number")
    fails("write_list", where + r"write\(\) takes a string, or a table .*; got a list")
    fails("returns", r"Fault:get\(\) returned number; expected nothing, or a Future")
    fails("bad_header", where + "Unsafe header value for X-Bad")
    fails("bad_name", where + 'bad header name: expected a token, got "X Bad"')
    fails("bad_status", where + "bad status: expected an integer from 100 to 999, got teapot")
    fails("global", where + 'assignment to undeclared global "leaked"')
    fails("body_204", "Cannot send body with 204")
    fails("write_after", where + r"Cannot write\(\) after finish\(\)", 200, b"done")
    fails("finish_twice", where + r"finish\(\) called twice", 200, b"once")

    def breaks(name):
        """The reply's head is out: the client must see that it is broken."""
        def test(binary):
            with Server(binary) as server:
                with server.connect() as c:
                    c.send(get(f"/fault/{name}"))
                    same(c.head().status, 200, "status")
                    try:
                        rest = c.to_end()
                        check(not rest.endswith(b"0\r\n\r\n"), f"a clean end: {rest!r}")
                    except Reset:
                        pass
                same(server.get("/").body, b"hello", "a new client's reply")
                same(len(re.findall("Uncaught exception", server.log())), 1, server.log())
        SUITE.add(g, f"{name}, behind the head", test)
    breaks("late")
    breaks("short")

    @case(g, "with --debug the client gets the traceback")
    def _(binary):
        with Server(binary, "--debug") as server:
            reply = server.get("/fault/raise")
            same(reply.status, 500, "status")
            check(b"app.lua:" in reply.body and b"deliberate" in reply.body, reply.body)

    @case(g, "never finishes")
    def _(binary):
        with Server(binary, "--handler_timeout=0.5") as server:
            with server.connect() as c:
                c.send(get("/forgets"))
                reply = c.reply()
                same(reply.status, 503, "status")
            with server.connect() as c:
                c.send(get("/wait/for-nothing"))
                same(c.reply().status, 503, "status of one that waits")
            same(len(re.findall("handler_timeout", server.log())), 2, server.log())
            server.await_counts(connections=1, requests=1)


# -- Clients that vanish --------------------------------------------------------------

# A child that does one thing for ever, until it is killed.
CHILD = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
if sys.argv[3] == "upload":
    s.sendall(b"x" * 65536)
else:
    s.recv(65536)
print("busy", flush=True)
while sys.argv[3] == "upload":
    s.sendall(b"x" * 65536)
sys.stdin.read()
"""


def killed(server, request, what, count=10):
    """Children that are killed with SIGKILL in the middle of it."""
    children = [subprocess.Popen(
        [sys.executable, "-c", CHILD, str(server.port),
         request.decode().replace("\r\n", "\\r\\n"), what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for child in children:
            same(child.stdout.readline(), b"busy\n", "the child's word")
    finally:
        for child in children:
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()
    server.await_counts(connections=1, requests=1)
    same(server.get("/").body, b"hello", "a new client's reply")


def clients():
    g = "clients"

    @case(g, "killed in the middle of an upload")
    def _(binary):
        with Server(binary, "--max_body_size=4G") as server:
            killed(server, upload(1 << 40, "/upload"), "upload")
            killed(server, upload(1 << 31), "upload", 4)

    @case(g, "killed in the middle of a download")
    def _(binary):
        with Server(binary) as server:
            killed(server, get("/stream?pieces=1000000&size=65536&free=1&key=a"), "download")
            killed(server, get("/big?size=33554432"), "download")

    @case(g, "2,000 resets")
    def _(binary):
        with Server(binary, "--stall_warning=0") as server:
            kinds = (get("/big?size=1048576"), get("/stream?pieces=100&size=65536"),
                     upload(100000), upload(100000, "/upload"), GET * 20, b"GET / HT", b"")

            def batch(n):
                for i in range(n):
                    c = server.connect()
                    c.send(kinds[i % len(kinds)])
                    if i % 3 == 0:
                        server.get("/")
                    c.close(reset=True)
                server.await_counts(connections=1, requests=1)
                server.get("/collect")
                return server.status("VmRSS")
            before = batch(400)
            after = batch(2000)
            if not harness.is_asan(binary):
                check(after - before < 8192, f"grew from {before} to {after} KiB")
            log = server.log()
            check(log.count("\n") < 20, f"{log.count(chr(10))} lines in the log: {log[-500:]}")


# -- What runs out --------------------------------------------------------------------


def resources():
    g = "full"
    spool = ("--body_buffer_size=64K", "--max_body_size=64M")

    def rejected(server):
        with server.connect() as c:
            c.send(upload(3 << 20))
            with contextlib.suppress(Reset):
                c.send(b"x" * (3 << 20))
            reply = c.reply()
            same((reply.status, reply.closes), (507, True), "status, close")
        same(server.get("/").body, b"hello", "a new client's reply")

    @case(g, "disk")
    def _(binary):
        if os.geteuid() != 0:
            raise Skip("only root may mount a small file system")
        with folder() as path:
            mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none",
                                    str(path)], capture_output=True)
            if mount.returncode:
                raise Skip(f"mount: {mount.stderr.decode().strip()}")
            try:
                with Server(binary, *spool, f"--body_temp_dir={path}") as server:
                    for _ in range(5):
                        rejected(server)
                    same(os.listdir(path), [], "files left behind")
                    free = os.statvfs(path)
                    same(free.f_bavail, free.f_blocks, "blocks that are free again")
                    with server.connect() as c:
                        c.send(upload(500000) + b"x" * 500000)
                        same(len(c.reply().body), 500000, "a body that fits")
            finally:
                subprocess.run(["umount", "-l", str(path)], check=True)

    @case(g, "body_temp_dir removed while it runs")
    def _(binary):
        with folder() as path:
            (path / "spool").mkdir()
            with Server(binary, *spool, f"--body_temp_dir={path}/spool") as server:
                (path / "spool").rmdir()
                rejected(server)

    @case(g, "descriptors: no spin, no flood of lines, and it recovers", alone=True)
    def _(binary):
        with Server(binary, limits=((resource.RLIMIT_NOFILE, 64),)) as server:
            clients = [server.connect() for _ in range(200)]
            for c in clients:
                with contextlib.suppress(Reset):
                    c.send(GET)
            server.await_line("cannot accept, pausing: too many open files: "
                              "raise `ulimit -n`")
            before, start = server.cpu(), time.monotonic()
            same(clients[0].reply().body, b"hello", "the reply to one that came in time")
            clients[0].send(GET)
            same(clients[0].reply().body, b"hello", "its second reply")
            time.sleep(2)  # time in which it might spin
            spent = (server.cpu() - before) / (time.monotonic() - start)
            check(spent < 0.2, f"uses {spent:.0%} of a CPU")
            lines = len(re.findall("cannot accept", server.log()))
            check(lines <= 5, f"{lines} lines about it")
            for c in clients:
                c.close()
            same(server.get("/").body, b"hello", "a reply when there is room again")
            server.await_counts(connections=1)

    @case(g, "max_connections")
    def _(binary):
        with Server(binary, "--max_connections=10") as server:
            inside = [server.connect() for _ in range(10)]
            for c in inside:
                c.send(GET)
                same(c.reply().body, b"hello", "reply")
            for _ in range(20):
                with server.connect() as c:
                    reply = c.reply()
                    same((reply.status, reply.closes, reply.get("retry-after")),
                         (503, True, "1"), "status, close, Retry-After")
                    c.end()
            os.kill(server.process.pid, signal.SIGSTOP)
            early = [server.connect() for _ in range(5)]
            for c in early:
                c.send(GET)
            os.kill(server.process.pid, signal.SIGCONT)
            for c in early:
                same(c.reply().status, 503, "status of who had sent already")
                c.end()  # a reset here could cost other systems the reply
                c.close()
            same(len(re.findall(r"max_connections \(10\) reached: new clients get 503",
                                server.log())), 1, server.log())
            inside[0].send(GET)
            same(inside[0].reply().body, b"hello", "a reply to one inside")
            inside[0].close()

            def again():
                with server.connect() as c:
                    c.send(GET)
                    return c.reply().status == 200
            until(again, "room for a new client")
            for c in inside:
                c.close()

    @case(g, "a stderr that nobody reads")
    def _(binary):
        reader, writer = os.pipe()
        server = Server(binary, stderr=writer)
        with server, os.fdopen(reader, "rb", buffering=0) as log:
            os.close(writer)
            server.port = harness.port_from(log)
            with server.connect() as c:
                for _ in range(500):
                    c.send(get("/fault/raise"))
                    same(c.reply().status, 500, "status")
            text = log.read(1 << 20)  # as much as a pipe holds
            check(len(text) > 10000, f"only {len(text)} bytes of log")
            server.get("/fault/raise")
            text = log.read(1 << 20)
            check(re.search(rb"\d+ log lines lost", text), text[:300])

    @case(g, "a stderr that is closed")
    def _(binary):
        reader, writer = os.pipe()
        server = Server(binary, stderr=writer)
        with server:
            os.close(writer)
            with os.fdopen(reader, "rb", buffering=0) as log:
                server.port = harness.port_from(log)
            for _ in range(5):
                same(server.get("/fault/raise").status, 500, "status")

    @case(g, "a log file on a full device")
    def _(binary):
        with Server(binary, "--access_log=/dev/full") as server:
            for _ in range(50):
                same(server.get("/").body, b"hello", "body")
                same(server.get("/fault/raise").status, 500, "status")


# -- Signals ----------------------------------------------------------------------------


def signals():
    g = "signals"

    @case(g, "SIGTERM lets a request finish")
    def _(binary):
        with Server(binary, WAITS) as server:
            with server.connect() as slow, server.connect() as other:
                other.send(GET)
                other.reply()
                slow.send(get("/wait/a"))
                server.await_latch("a.begun")
                other.send(get("/set/a.go")[:10])
                server.get("/")  # the loop has turned
                server.end()
                server.await_line("stopping: 1 requests? under way")

                def refused():
                    try:
                        server.connect().close()
                        return False
                    except ConnectionRefusedError:
                        return True
                until(refused, "the port to be closed")
                check(server.alive() and slow.quiet(), "it did not wait")
                other.send(get("/set/a.go")[10:])
                same(other.reply().body, b"set", "the reply to one that had begun")
                same(slow.reply().body, b"waited", "the slow reply")
                slow.cut()
            same(server.process.wait(harness.PATIENCE), 0, "exit code")

    @case(g, "SIGTERM lets a stream finish")
    def _(binary):
        with Server(binary, WAITS) as server:
            with server.connect(rcvbuf=65536) as slow:
                slow.send(get("/stream?pieces=16&size=1048576"))
                same(slow.head().status, 200, "status")
                server.end()
                server.await_line("stopping")
                same(len(slow.chunks()), 16 << 20, "bytes")
            same(server.process.wait(harness.PATIENCE), 0, "exit code")

    @case(g, "SIGTERM delivers a reply that is not read yet")
    def _(binary):
        with Server(binary, WAITS) as server:
            with server.connect(rcvbuf=65536) as slow:
                slow.send(get("/big?size=16777216"))
                same(slow.head().status, 200, "status")
                server.end()
                server.await_line("stopping")
                same(len(slow.exactly(16777216)), 16777216, "bytes")
            same(server.process.wait(harness.PATIENCE), 0, "exit code")

    def at_once(name, *numbers):
        def test(binary):
            with Server(binary, WAITS) as server:
                with server.connect() as slow:
                    slow.send(get("/wait/a"))
                    server.await_latch("a.begun")
                    for i, number in enumerate(numbers):
                        if i:
                            server.await_line("stopping")
                        server.process.send_signal(number)
                    same(server.process.wait(harness.PATIENCE), 0, "exit code")
                    try:
                        slow.reply()
                    except (Ended, Reset):
                        return
                    raise Failure("there was a reply")
        SUITE.add(g, name, test)
    at_once("SIGINT ends at once", signal.SIGINT)
    at_once("a second SIGTERM ends at once", signal.SIGTERM, signal.SIGTERM)

    @case(g, "SIGTERM when nothing is under way")
    def _(binary):
        with Server(binary, WAITS) as server:
            clients = [server.connect() for _ in range(20)]
            for c in clients:
                c.send(GET)
                c.reply()
            same(server.stop(), 0, "exit code")
            for c in clients:
                c.cut()
                c.close()

    @case(g, "SIGPIPE does not matter")
    def _(binary):
        with Server(binary) as server:
            server.process.send_signal(signal.SIGPIPE)
            same(server.get("/").body, b"hello", "body")

    @case(g, "a unix socket is removed at the end")
    def _(binary):
        with folder() as path:
            address = path / "socket"
            with Server(binary, f"--listen=unix:{address},127.0.0.1:0") as server:
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(harness.PATIENCE)
                    s.connect(str(address))
                    s.sendall(LAST)
                    check(s.recv(4096).startswith(b"HTTP/1.1 200 "), "no reply")
                same(server.stop(), 0, "exit code")
            check(not address.exists(), "the socket's file is left")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (handlers, clients, resources, signals), __doc__)
