"""Deadlines, streams in both directions, and backpressure."""
# SPDX-License-Identifier: Apache-2.0
import select
import threading
import time

import harness
from asking import (CHUNKED, EXPECT, HALF, MEGABYTE, SUITE, case, chunked, fresh, get, length,
                    post, refuse, serve)
from harness import LAST, Ended, Failure, Reset, check, same

# -- Deadlines ------------------------------------------------------------------------

SOON = 0.8  # of the 1 second that the server `quick` allows, at least


def timed(run, least, start):
    """Runs and returns its result, which must not come before `least` seconds after `start`."""
    result = run()
    spent = time.monotonic() - start
    check(spent >= least, f"after {spent:.2f} s already")
    return result


def deadlines():
    """All deadlines of the server `quick` are one second; its handler_timeout is
    two, and write_timeout half a second."""
    g = "deadlines"

    def silent(start, status):
        def run(site):
            began = time.monotonic()
            with site.quick.connect() as c:
                c.send(start)
                if status is None:
                    timed(c.end, SOON, began)
                    return
                reply = timed(c.reply, SOON, began)
                same((reply.status, reply.closes), (status, True), "status, close")
                c.end()
        return run
    SUITE.add(g, "nothing is said", silent(b"", None))
    SUITE.add(g, "a request line", silent(b"GET / HT", 408))
    SUITE.add(g, "a head", silent(b"GET / HTTP/1.1\r\nHost: a\r\n", 408))
    SUITE.add(g, "a body", silent(post(b"Content-Length: 9\r\n", b"abc"), 408))
    SUITE.add(g, "a chunked body", silent(post(CHUNKED, b"5\r\nab"), 408))
    SUITE.add(g, "a streamed body",
              silent(post(b"Content-Length: 9\r\n", b"abc", target=b"/upload"), 408))
    SUITE.add(g, "a body that was asked for",
              lambda site: silent_after_100(site))

    def silent_after_100(site):
        began = time.monotonic()
        with site.quick.connect() as c:
            c.send(post(EXPECT + b"Content-Length: 5\r\n"))
            same((c.line(), c.line()), (b"HTTP/1.1 100 Continue", b""), "interim reply")
            same(timed(c.reply, SOON, began).status, 408, "status")
            c.end()

    def drip(start, unit):
        """Bytes keep coming, so that the connection is never idle."""
        def run(site):
            began = time.monotonic()
            with site.quick.connect() as c:
                c.send(start)
                while not select.select([c.socket], [], [], 0.1)[0]:
                    check(time.monotonic() - began < harness.PATIENCE, "drips on and on")
                    c.send(unit)
                same(c.reply().status, 408, "status")
                check(time.monotonic() - began >= SOON, "too early")
                c.end()
        return run
    SUITE.add(g, "a line, drop by drop", drip(b"GET /", b"a"))
    SUITE.add(g, "fields, drop by drop", drip(b"GET / HTTP/1.1\r\n", b"X: y\r\n"))
    SUITE.add(g, "a body, drop by drop", drip(post(b"Content-Length: 99999\r\n"), b"x"))
    SUITE.add(g, "chunks, drop by drop", drip(post(CHUNKED), b"1\r\nx\r\n"))
    SUITE.add(g, "a streamed body, drop by drop",
              drip(post(b"Content-Length: 99999\r\n", target=b"/upload"), b"x"))

    @case(g, "a body that is slow, but not too slow")
    def _(site):
        def slowly(step):
            step()
            with site.quick.connect() as c:
                c.send(post(b"Content-Length: 10000\r\n"))
                for _ in range(10):
                    c.send(b"x" * 1000)
                    step()
                    time.sleep(0.2)  # 5,000 bytes a second; 240 are asked for
                same(len(c.reply().body), 10000, "bytes")
        harness.on_time(0.8, slowly)

    @case(g, "idle after a reply")
    def _(site):
        with site.quick.connect() as c:
            began = time.monotonic()
            c.send(get())
            same(c.reply().body, b"hello", "body")
            timed(c.end, SOON, began)

    @case(g, "a second head")
    def _(site):
        with site.quick.connect() as c:
            began = time.monotonic()
            c.send(get() + b"GET / HT")
            same(c.reply().body, b"hello", "body")
            same(timed(c.reply, SOON, began).status, 408, "status")
            c.end()

    @case(g, "a handler may take longer than head and idle may")
    def _(site):
        def wait(step):
            key = fresh()
            step()
            with site.quick.connect() as c:
                c.send(get(b"/wait/" + key.encode()))
                time.sleep(1.4)  # longer than idle_timeout, shorter than handler_timeout
                site.quick.set(key + ".go")
                step()
                same(c.reply().body, b"waited", "body")
        harness.on_time(1.9, wait)

    @case(g, "handler_timeout")
    def _(site):
        with site.quick.connect() as c:
            began = time.monotonic()
            c.send(get(b"/wait/" + fresh().encode()))
            same(timed(c.reply, 2 * SOON, began).status, 503, "status")

    @case(g, "handler_timeout of one that never finishes")
    def _(site):
        with site.quick.connect() as c:
            began = time.monotonic()
            c.send(get(b"/forgets"))
            same(timed(c.reply, 2 * SOON, began).status, 503, "status")

    @case(g, "handler_timeout does not cut a stream with a long pause")
    def _(site):
        key = fresh()
        with site.quick.connect() as c:
            c.send(get(f"/stream?pieces=2&key={key}".encode()))
            same(c.head().status, 200, "status")
            time.sleep(2.5)  # longer than any of the deadlines
            site.quick.set(key + ".1")
            site.quick.set(key + ".2")
            same(c.chunks(), b"s" * 32, "body")

    @case(g, "write_timeout")
    def _(site):
        key = fresh()
        with site.quick.connect(rcvbuf=4096) as c:
            c.send(get(f"/stream?pieces=64&size=1048576&free=1&key={key}".encode()))
            site.quick.await_latch(key + ".gone")
            site.quick.await_latch(key + ".done")

    @case(g, "an upload that is held back by its handler is not cut")
    def _(site):
        key = fresh()
        with site.quick.connect() as c:
            c.send(post(b"Content-Length: 300000\r\n",
                        target=b"/upload?hold=" + key.encode()))
            sender = threading.Thread(target=c.send, args=(b"x" * 300000,))
            sender.start()
            time.sleep(1.5)  # longer than body_timeout
            site.quick.set(key)
            sender.join()
            same(c.reply().json()["bytes"], 300000, "bytes")


# -- Streams --------------------------------------------------------------------------


def streams():
    g = "streams"

    def framed(framing, size):
        def look(reply):
            same((reply.status, reply.framing, len(reply.body)), (200, framing, size),
                 "status, framing, bytes")
        return look
    serve(g, "chunked", get(b"/stream?pieces=3"), framed("chunked", 48))
    serve(g, "with a length", get(b"/stream?pieces=3&length=48"), framed("length", 48))
    serve(g, "nothing", get(b"/stream?pieces=0"), framed("length", 0))
    serve(g, "empty pieces end nothing early", get(b"/stream?pieces=5&size=0") + get(),
          framed("chunked", 0), b"hello")
    serve(g, "1,000 pieces", get(b"/stream?pieces=1000&size=100"), framed("chunked", 100000))
    serve(g, "16 MiB", get(b"/stream?pieces=16&size=1048576"), framed("chunked", 1 << 24))
    serve(g, "two in a row", get(b"/stream?pieces=2") * 2, b"s" * 32, b"s" * 32)

    @case(g, "each piece leaves at once")
    def _(site):
        key = fresh()
        with site.main.connect() as c:
            c.send(get(f"/stream?pieces=3&key={key}".encode()))
            same(c.head().get("transfer-encoding"), "chunked", "coding")
            for i in (1, 2, 3):
                same((c.line(), c.exactly(16), c.line()), (b"10", b"s" * 16, b""), "piece")
                site.main.get("/")
                check(c.quiet(), "more than was flushed")
                site.main.set(f"{key}.{i}")
            same((c.line(), c.line()), (b"0", b""), "the end")

    def broken(path, what):
        def run(site):
            with site.main.connect() as c:
                c.send(get(path))
                try:
                    reply = c.reply()
                except (Ended, Reset):
                    return
                raise Failure(f"{what} looks whole: {reply.status} {reply.body!r}")
        SUITE.add(g, what, run)
    broken(b"/fault/late", "a stream whose handler fails")
    broken(b"/fault/short", "a stream that is shorter than its length")
    broken(b"/fault/long", "a stream that is longer than its length")

    def counted(n):
        return lambda reply: same(reply.json()["bytes"], n, "bytes")
    to = b"/upload"
    serve(g, "upload", length(b"abc", target=to), counted(3))
    serve(g, "upload of nothing", length(b"", target=to), counted(0))
    serve(g, "upload of 4 MiB", length(MEGABYTE * 4, target=to), counted(4 << 20))
    serve(g, "upload, chunked", post(CHUNKED, chunked(*[b"abc"] * 500), target=to),
          counted(1500))
    serve(g, "upload, piece by piece",
          [post(b"Content-Length: 9\r\n", b"abc", target=b"/upload?echo=1"), b"def", b"ghi"],
          b"abcdefghi")
    serve(g, "upload of a megabyte comes back as it was",
          length(MEGABYTE, target=b"/upload?echo=1"), MEGABYTE)
    serve(g, "upload and pipelined requests", length(b"abc", target=to) + get(),
          counted(3), b"hello")
    refuse(g, "upload with a bad chunk", post(CHUNKED, b"3\r\nabc\r\nzz\r\n", target=to))
    serve(g, "refused before its body, which is at hand",
          length(b"abc", target=b"/early") + get(), 403, b"hello")

    @case(g, "a pipe: each piece comes back at once")
    def _(site):
        with site.main.connect() as c:
            c.send(post(CHUNKED, target=b"/pipe"))
            for i in range(5):
                c.send(b"5\r\nhello\r\n")
                if i == 0:
                    same(c.head().status, 200, "status")
                got = b""
                while len(got) < 5:  # a piece of a body may be taken apart on its way
                    size = int(c.line(), 16)
                    got += c.exactly(size)
                    same(c.line(), b"", "the line after a chunk")
                same(got, b"hello", "piece")
            c.send(b"0\r\n\r\n" + LAST)
            same((c.line(), c.line()), (b"0", b""), "the end")
            same(c.reply().body, b"hello", "the last reply")


# -- Backpressure ---------------------------------------------------------------------

MOST = 24 << 20  # what two socket buffers may take, with room to spare
FLOOD = get() * 20000


def grown(site, run):
    """Runs; the server must not grow by more than a quarter of what it is sent."""
    site.main.get("/collect")
    before = site.main.status("VmRSS")
    run()
    site.main.get("/collect")
    more = site.main.status("VmRSS") - before
    if not harness.is_asan(site.main.binary):
        check(more < 16384, f"the server grew by {more} KiB")


def backpressure():
    g = "backpressure"

    @case(g, "requests flood in while a handler waits", alone=True)
    def _(site):
        key = fresh()
        with site.main.connect() as c:
            c.send(get(b"/wait/" + key.encode()))
            site.main.await_latch(key + ".begun")

            def flood():
                sent = c.send_what_fits(FLOOD, 64 << 20)
                check(sent < MOST, f"{sent >> 20} MiB of requests were taken")
            grown(site, flood)
            c.close(reset=True)
        site.main.await_latch(key + ".gone")
        site.main.set(key + ".go")

    @case(g, "requests flood in, and no reply is read", alone=True)
    def _(site):
        with site.main.connect(rcvbuf=4096) as c:
            def flood():
                sent = c.send_what_fits(length(HALF), 64 << 20)
                check(sent < MOST, f"{sent >> 20} MiB of requests were taken")
            grown(site, flood)
            c.close(reset=True)

    @case(g, "small requests flood in, and no reply is read", alone=True)
    def _(site):
        with site.main.connect(rcvbuf=4096) as c:
            def flood():
                sent = c.send_what_fits(FLOOD, 64 << 20)
                check(sent < MOST, f"{sent >> 20} MiB of requests were taken")
            grown(site, flood)
            c.close(reset=True)

    @case(g, "an upload that nobody takes", alone=True)
    def _(site):
        key = fresh()
        with site.main.connect() as c:
            size = 64 << 20
            c.send(post(b"Content-Length: %d\r\n" % size,
                        target=b"/upload?hold=" + key.encode()))
            site.main.await_latch(key + ".begun")
            sent = 0

            def flood():
                nonlocal sent
                sent = c.send_what_fits(MEGABYTE, size)
                check(sent < MOST, f"{sent >> 20} MiB of a body were taken")
            grown(site, flood)
            site.main.set(key)
            while sent < size:
                n = min(1 << 20, size - sent)
                c.send(MEGABYTE[:n])
                sent += n
            same(c.reply().json()["bytes"], size, "bytes")

    @case(g, "a stream that nobody reads", alone=True)
    def _(site):
        key = fresh()
        with site.main.connect(rcvbuf=65536) as c:
            def flood():
                c.send(get(f"/stream?pieces=512&size=65536&free=1&key={key}".encode()))
                site.main.await_latch(key + ".begun")
                site.main.get("/")
            grown(site, flood)
            same(len(c.reply().body), 32 << 20, "bytes")

    @case(g, "a pipe whose end nobody reads", alone=True)
    def _(site):
        with site.main.connect(rcvbuf=65536) as c:
            def flood():
                c.send(post(b"Content-Length: %d\r\n" % (64 << 20), target=b"/pipe"))
                sent = c.send_what_fits(MEGABYTE, 64 << 20)
                check(sent < MOST, f"{sent >> 20} MiB of a body were taken")
            grown(site, flood)
            c.close(reset=True)

    @case(g, "a client that reads slowly gets everything", alone=True)
    def _(site):
        with site.main.connect(rcvbuf=4096) as c:
            c.send(length(MEGABYTE) + LAST)
            got = bytearray()
            while not got.endswith(b"hello"):
                part = c.socket.recv(8192)
                check(part, f"closed after {len(got)} bytes")
                got += part
            check(MEGABYTE in got, "the body is not whole")
            c.end()
