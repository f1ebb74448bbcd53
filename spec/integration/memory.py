#!/usr/bin/env python3
"""Memory: idle connections are small, streams of any size pass through little
memory, and more than a million requests leave nothing behind. Sizes can be
set: CT_BIG_MIB=256, CT_REQUESTS=1500000, CT_IDLE=10000; CT_FIGURES=1 prints what
was measured. For the normal binary only: ASan keeps what was freed.
"""
# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import resource
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, Server, Skip, check, same, until

SUITE = harness.Suite()
case = SUITE.case
BIG = int(os.environ.get("CT_BIG_MIB", "256")) << 20
REQUESTS = int(os.environ.get("CT_REQUESTS", "1500000"))
IDLE = int(os.environ.get("CT_IDLE", "10000"))
PER_CONNECTION = 0.75  # KiB
MEGABYTE = b"0123456789abcdef" * 65536


def figure(text):
    if os.environ.get("CT_FIGURES"):
        print(text, flush=True)


# -- Idle connections -------------------------------------------------------------


def hold(port, count):
    """The child: connections that make one request each; then it waits. Each line
    from stdin is answered when its part is done."""
    sockets = []
    for _ in range(count):
        c = harness.Connection(port)
        c.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        same(c.reply().body, b"hello", "body")
        sockets.append(c)
    print("connected", flush=True)
    sys.stdin.readline()
    for c in sockets:
        c.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        same(c.reply().body, b"hello", "the second body")
    print("asked again", flush=True)
    sys.stdin.readline()


@case("memory", "idle connections")
def _(binary):
    need = IDLE + 200
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and limit < need:
        raise Skip(f"needs {need} descriptors, the hard limit is {limit}: raise `ulimit -n`")
    with Server(binary, f"--max_connections={need}", "--idle_timeout=600") as server:
        with server.connect() as c:  # until Lua's heap is as large as it becomes
            for _ in range(5000):
                c.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
                c.reply()
        server.get("/collect")
        before = server.status("VmRSS")
        child = subprocess.Popen([sys.executable, __file__, "--hold", str(server.port),
                                  str(IDLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 text=True)
        try:
            same(child.stdout.readline(), "connected\n", "the child's word")
            server.await_counts(connections=IDLE + 1)
            server.get("/collect")
            each = (server.status("VmRSS") - before) / IDLE
            figure(f"{IDLE} idle connections: {each:.3f} KiB each")
            child.stdin.write("\n")
            child.stdin.flush()
            same(child.stdout.readline(), "asked again\n", "the child's word")
            server.get("/collect")
            again = (server.status("VmRSS") - before) / IDLE
            figure(f"after a second request: {again:.3f} KiB each")
        finally:
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()
        server.await_counts(connections=1, requests=1)
        check(max(each, again) <= PER_CONNECTION,
              f"{each:.3f} and {again:.3f} KiB for each, at most {PER_CONNECTION}")


# -- Large bodies -------------------------------------------------------------------


class Peak:
    """How far the server's memory rises while a block runs: the kernel keeps the
    peak (VmHWM), and begins anew when it is told to."""

    def __init__(self, server, size=BIG):
        self.server, self.size = server, size

    def __enter__(self):
        pid = self.server.process.pid
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        self.before = self.server.status("VmRSS")
        return self

    def __exit__(self, *_):
        self.peak = self.server.status("VmHWM")

    def check(self, what, start):
        more = (self.peak - self.before) / 1024
        figure(f"{what} of {self.size >> 20} MiB: {more:.1f} MiB more at the peak, "
               f"{time.monotonic() - start:.1f} s")
        check(more < 16, f"{what} of {self.size >> 20} MiB took {more:.1f} MiB")


def send_big(c):
    for _ in range(BIG >> 20):
        c.send(MEGABYTE)


@case("memory", "a large upload, streamed")
def _(binary):
    with Server(binary, "--handler_timeout=600") as server:
        server.get("/")
        start = time.monotonic()
        with server.connect() as c, Peak(server) as peak:
            c.send(f"POST /upload HTTP/1.1\r\nContent-Length: {BIG}\r\n".encode() + HOST
                   + b"\r\n")
            send_big(c)
            same(c.reply().json()["bytes"], BIG, "bytes")
        peak.check("an upload", start)


@case("memory", "a large upload, chunked")
def _(binary):
    with Server(binary, "--handler_timeout=600") as server:
        server.get("/")
        start = time.monotonic()
        chunk = b"10000\r\n" + MEGABYTE[:65536] + b"\r\n"
        with server.connect() as c, Peak(server) as peak:
            c.send(b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST
                   + b"\r\n")
            for _ in range(BIG >> 20):
                c.send(chunk * 16)
            c.send(b"0\r\n\r\n")
            same(c.reply().json()["bytes"], BIG, "bytes")
        peak.check("a chunked upload", start)


def upload_form(binary, size):
    """A form with a file of `size` bytes, through sites/file_upload."""
    with Server(binary, "--handler_timeout=600", site=harness.ROOT / "sites/file_upload") as server:
        server.get("/")
        head = (b"--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"big\"\r\n\r\n")
        tail = b"\r\n--B--\r\n"
        digest = hashlib.sha256()
        start = time.monotonic()
        with server.connect() as c, Peak(server, size) as peak:
            c.send(b"POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=B\r\n"
                   + f"Content-Length: {len(head) + size + len(tail)}\r\n".encode() + HOST
                   + b"\r\n" + head)
            for _ in range(size >> 20):
                c.send(MEGABYTE)
                digest.update(MEGABYTE)
            c.send(tail)
            part = c.reply().json()["parts"][0]
        same((part["size"], part["sha256"]), (size, digest.hexdigest()), "size and SHA-256")
        peak.check("a form", start)


@case("memory", "a large form, streamed and hashed")
def _(binary):
    upload_form(binary, min(BIG, 64 << 20))


@case("memory", "a large body on disk")
def _(binary):
    """Collected, so spooled: the route does not look at it."""
    with Server(binary, f"--max_body_size={BIG}", "--handler_timeout=600") as server:
        free = os.statvfs(server.folder)
        if free.f_bavail * free.f_frsize < 2 * BIG:
            raise Skip("the disk is too small")
        server.get("/")
        start = time.monotonic()
        with server.connect() as c, Peak(server) as peak:
            c.send(f"POST /nowhere HTTP/1.1\r\nContent-Length: {BIG}\r\n".encode() + HOST
                   + b"\r\n")
            send_big(c)
            check(c.reply().status in (404, 405), "status")
        peak.check("a spooled body", start)


@case("memory", "a large reply to a slow reader")
def _(binary):
    with Server(binary, "--handler_timeout=600") as server:
        server.get("/")
        pieces, size = BIG >> 20, 1 << 20
        start = time.monotonic()
        with server.connect(rcvbuf=65536) as c, Peak(server) as peak:
            c.send(f"GET /stream?pieces={pieces}&size={size}&length={BIG} HTTP/1.1\r\n"
                   .encode() + HOST + b"\r\n")
            same(c.head().get("content-length"), str(BIG), "Content-Length")
            left = BIG - len(c.buffer)
            view = memoryview(bytearray(1 << 20))
            for _ in range(20):
                left -= c.socket.recv_into(view, 4096)
                time.sleep(0.02)  # it is slow at first
            while left:
                n = c.socket.recv_into(view)
                check(n, f"closed {left} bytes too early")
                left -= n
        peak.check("a reply", start)


# -- Many requests ------------------------------------------------------------------


def request(line, fields=b"", body=b""):
    return line + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


# Every route of sites/bench but /slow, and how many bytes its reply has is learnt.
ROUTES = (
    request(b"GET /plaintext"), request(b"GET /json"), request(b"GET /page"),
    request(b"GET /browser?q=v&lang=en", b"Cookie: session=abc; other=1\r\n"
            b"Accept-Language: en\r\nUser-Agent: spec\r\n"),
    request(b"POST /form", b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 15\r\n", b"a=1&b=%20x&c=+y"),
    request(b"GET /user/42/post/some-slug"), request(b"GET /"),
    request(b"POST /echo", b"Content-Length: 5\r\n", b"hello"),
    request(b"POST /echo", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    request(b"GET /headers", b"X-A: 1\r\nX-A: 2\r\n"), request(b"GET /nowhere"),
    request(b"DELETE /"),
)


def batches(server, count):
    """`count` requests of all kinds over 32 connections, in pipelined batches."""
    connections = [server.connect() for _ in range(32)]
    sizes = []
    for one in ROUTES:  # what a reply has in bytes, the Date being as long as any
        with server.connect() as c:
            c.send(one + request(b"GET /plaintext", b"Connection: close\r\n"))
            reply = c.reply()
            check(reply.status in (200, 404, 405), reply.status)
            head = sum(len(k) + len(v) + 4 for k, v in reply.fields)
            sizes.append(len(b"HTTP/1.1 200 \r\n\r\n") + len(reply.reason) + head
                         + len(reply.body))
    batch, size = b"".join(ROUTES), sum(sizes)
    view = memoryview(bytearray(1 << 20))
    done = 0
    while done < count:
        for c in connections:
            c.send(batch)
        for c in connections:
            left = size
            while left:
                n = c.socket.recv_into(view, left)
                check(n, f"closed after {done} requests")
                left -= n
        done += 32 * len(ROUTES)
    for c in connections:
        check(c.quiet(), "more bytes than the replies have")
        c.close()


def at_rest(server):
    """The least of several looks: the collector breathes."""
    least = server.status("VmRSS")
    for _ in range(5):
        time.sleep(0.2)
        least = min(least, server.status("VmRSS"))
    return least


@case("memory", "many requests")
def _(binary):
    with Server(binary, "--max_keepalive_requests=100000000",
                site=harness.ROOT / "sites/bench") as server:
        descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        before = 0
        for _ in range(6):  # how much is given back at rest differs: the most counts
            batches(server, 20000)
            before = max(before, at_rest(server))
        start, cpu = time.monotonic(), server.cpu()
        batches(server, REQUESTS)
        spent, cpu = time.monotonic() - start, server.cpu() - cpu
        after = at_rest(server)
        for _ in range(5):  # and what has leaked is never given back: the least counts
            batches(server, 20000)
            after = min(after, at_rest(server))
        figure(f"{REQUESTS} requests: {before} KiB after 120,000, {after} KiB at the end; "
               f"{spent:.1f} s, {cpu:.1f} s of the server's CPU")
        check(after <= before + 4096, f"grew from {before} to {after} KiB")
        until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) == descriptors,
              "all connections to be closed")


@case("memory", "what a handler needed for a moment")
def _(binary):
    with Server(binary) as server:
        server.get("/garbage/4")
        before = server.status("VmRSS")
        server.get("/garbage/200")
        peak = server.status("VmRSS")
        check(peak > before + 190 * 1024, f"{peak} KiB at once: no peak")
        until(lambda: server.status("VmRSS") < before + 16 * 1024, "it to go back to the system")


@case("memory", "many connections of one request")
def _(binary):
    with Server(binary, env={"MIMALLOC_DECOMMIT_DELAY": "0"}) as server:
        def look(n):
            for _ in range(n):
                server.get("/")
            server.get("/collect")
            return server.status("VmRSS")
        # The allocator and the JIT take more in steps, and one may come late; what leaks grows
        # from each least of three looks to the next.
        least = [min(look(2000) for _ in range(3)) for _ in range(6)]
        grown = [after - before for before, after in zip(least, least[1:])]
        figure(f"6,000 connections, again and again: {least} KiB")
        check(min(grown) <= 256, f"grows with each 6,000 connections: {least} KiB")
        server.await_counts(connections=1, requests=1)


def main():
    if sys.argv[1:2] == ["--hold"]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hold(int(sys.argv[2]), int(sys.argv[3]))
    options = harness.arguments(__doc__).parse_args()
    tally = harness.Tally()
    for binary in harness.binaries(asan=False):
        for name, function, _ in SUITE.cases:
            if harness.is_asan(binary):
                tally.say("skipped", f"skipped {name}: ASan keeps what was freed")
            elif options.only in name:
                tally.run(name, function, binary)
    return harness.finish(tally)


if __name__ == "__main__":
    main()
