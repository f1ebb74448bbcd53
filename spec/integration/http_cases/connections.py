"""How connections go on and how they end: pipelining, keep-alive, Expect, closing, half closed
ones.
"""
# SPDX-License-Identifier: Apache-2.0
import harness
from asking import (CHUNKED, EXPECT, HALF, MEGABYTE, SUITE, case, chunked, fresh, get, head,
                    judge, length, post, refusal, refuse, serve)
from harness import LAST, Failure, Reset, check, same, until

# -- Pipelining ---------------------------------------------------------------------


def pipelining():
    g = "pipelining"
    for n in (10, 100, 1000):
        serve(g, f"{n} at once", get() * n, *[b"hello"] * n)
    serve(g, "all kinds", get() + post(CHUNKED, chunked(b"a")) + head(b"HEAD")
          + length(b"b") + get(b"/nowhere") + get(b"/status/204") + get(b"/stream?pieces=2"),
          b"hello", b"a", 200, b"b", 404, 204, b"s" * 32,
          methods=["GET", "POST", "HEAD", "POST"])
    serve(g, "large bodies", length(HALF) * 3, HALF, HALF, HALF)
    serve(g, "50 different", b"".join(length(b"id-%d" % i) for i in range(50)),
          *[b"id-%d" % i for i in range(50)])
    serve(g, "cut anywhere", [get() + get()[:7], get()[7:] + get()[:-1], get()[-1:]],
          b"hello", b"hello", b"hello")

    def order(site, *pieces):
        """Requests behind one that waits; they are sent before it goes on."""
        name = fresh()
        with site.main.connect() as c:
            first, *rest = pieces
            c.send(get(b"/wait/" + name.encode()) + first)
            site.main.await_latch(name + ".begun")
            for piece in rest:
                c.send(piece)
                site.main.get("/")
            check(c.quiet(), "answered out of order")
            site.main.set(name + ".go")
            c.send(LAST)
            same(c.reply().body, b"waited", "the first reply")
            count = (b"".join(pieces)).count(b" HTTP/1.1\r\n")
            for _ in range(count + 1):
                same(c.reply().body, b"hello", "a reply behind it")
            c.end()
    for title, pieces in (("one behind", [get()]), ("64 behind", [get() * 64]),
                          ("later", [b"", get()]),
                          ("in halves", [get()[:9], get()[9:], get()]),
                          ("many pieces", [b""] + [get() * 10] * 10)):
        SUITE.add(g, f"order with a handler that waits, {title}",
                  lambda site, p=pieces: order(site, *p))

    @case(g, "three that wait, let go in reverse")
    def _(site):
        keys = [fresh() for _ in range(3)]
        with site.main.connect() as c:
            c.send(b"".join(get(b"/wait/" + k.encode()) for k in keys) + LAST)
            site.main.await_latch(keys[0] + ".begun")
            for key in reversed(keys):
                check(c.quiet(), "answered out of order")
                site.main.set(key + ".go")
            same([c.reply().body for _ in range(4)], [b"waited"] * 3 + [b"hello"], "replies")
            c.end()

    def bad_behind(site, request, status):
        with site.main.connect() as c:
            c.send(get() * 3 + request)
            same([c.reply().body for _ in range(3)], [b"hello"] * 3, "replies")
            refusal(c, status)
    for title, request, status in (("line", b"BAD\r\n\r\n", 400),
                                   ("length", post(b"Content-Length: x\r\n"), 400),
                                   ("version", b"GET / HTTP/2.0\r\n\r\n", 505),
                                   ("chunk", post(CHUNKED, b"zz\r\n"), 400)):
        SUITE.add(g, f"three good and a bad {title}",
                  lambda site, r=request, s=status: bad_behind(site, r, s))

    @case(g, "a bad one behind one that waits")
    def _(site):
        key = fresh()
        with site.main.connect() as c:
            c.send(get(b"/wait/" + key.encode()) + b"BAD\r\n\r\n")
            site.main.await_latch(key + ".begun")
            site.main.get("/")
            check(c.quiet(), "the refusal came before the reply")
            site.main.set(key + ".go")
            same(c.reply().body, b"waited", "the first reply")
            refusal(c, 400)

    def vanish(site, reset):
        key = fresh()
        c = site.main.connect()
        c.send(get(b"/wait/" + key.encode()) + get() * 500)
        site.main.await_latch(key + ".begun")
        c.close(reset=reset)
        site.main.await_latch(key + ".gone")
        site.main.set(key + ".go")
        site.main.await_latch(key + ".done")
    SUITE.add(g, "the client closes with a queue", lambda site: vanish(site, False))
    SUITE.add(g, "the client resets with a queue", lambda site: vanish(site, True))


# -- Keep-alive, HTTP/1.0 -------------------------------------------------------------


def keep_alive():
    g = "keep-alive"
    for value in (b"close", b"Close", b"foo, close", b"te,close", b" close \t",
                  b"keep-alive, close", b"foo\r\nConnection: close"):
        def run(site, value=value):
            with site.main.connect() as c:
                c.send(get(fields=b"Connection: " + value + b"\r\n"))
                reply = c.reply()
                check(reply.closes and reply.body == b"hello", reply.fields)
                c.end()
        SUITE.add(g, f"Connection: {value!r} ends it", run)
    for value in (b"keep-alive", b"closed", b"foo", b"", b"close-not", b'"close"'):
        serve(g, f"Connection: {value!r} does not end it",
              get(fields=b"Connection: " + value + b"\r\n") + get(), b"hello", b"hello")
    serve(g, "Proxy-Connection is ignored", get(fields=b"Proxy-Connection: close\r\n"),
          b"hello")
    serve(g, "an unknown upgrade is ignored",
          get(fields=b"Connection: upgrade\r\nUpgrade: foo/1\r\n"), b"hello")
    serve(g, "h2c is ignored",
          get(fields=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
              b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), b"hello")
    serve(g, "a WebSocket upgrade is no concern of a plain route",
          get(fields=b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
              b"Sec-WebSocket-Version: 13\r\n"
              b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), b"hello")

    @case(g, "500 requests one by one")
    def _(site):
        with site.main.connect() as c:
            for _ in range(500):
                c.send(get())
                same(c.reply().body, b"hello", "body")
            check(c.quiet(), "something behind the last reply")
    g = "HTTP/1.0"

    def old(fields, want_keep, request=None):
        def run(site):
            with site.main.connect() as c:
                c.send(request or get(fields=fields, version=b"HTTP/1.0"))
                reply = c.reply()
                same((reply.body, reply.framing), (b"hello", "length"), "body, framing")
                if not want_keep:
                    c.end()
                    return
                same((reply.get("connection") or "").lower(), "keep-alive", "Connection")
                c.send(get(version=b"HTTP/1.0"))
                same(c.reply().body, b"hello", "the second reply")
                c.end()
        return run
    SUITE.add(g, "ends by default", old(b"", False))
    SUITE.add(g, "goes on with keep-alive", old(b"Connection: keep-alive\r\n", True))
    SUITE.add(g, "goes on with Keep-Alive", old(b"Connection: Keep-Alive\r\n", True))
    SUITE.add(g, "keep-alive in a list", old(b"Connection: x, keep-alive\r\n", True))
    SUITE.add(g, "keep-alivexyz is something else",
              old(b"Connection: keep-alivexyz\r\n", False))
    SUITE.add(g, "close beats keep-alive", old(b"Connection: keep-alive, close\r\n", False))
    SUITE.add(g, "needs no Host", old(b"", False, b"GET / HTTP/1.0\r\n\r\n"))

    @case(g, "a stream ends with the connection")
    def _(site):
        with site.main.connect() as c:
            c.send(get(b"/stream?pieces=5", b"Connection: keep-alive\r\n",
                       version=b"HTTP/1.0"))
            reply = c.reply()
            same((reply.framing, reply.body), ("end", b"s" * 80), "framing, body")

    @case(g, "a stream with its length goes on")
    def _(site):
        with site.main.connect() as c:
            c.send(get(b"/stream?pieces=5&length=80", b"Connection: keep-alive\r\n",
                       version=b"HTTP/1.0"))
            reply = c.reply()
            same((reply.framing, reply.body), ("length", b"s" * 80), "framing, body")
            c.send(get(version=b"HTTP/1.0"))
            same(c.reply().body, b"hello", "the next reply")
            c.end()


# -- Expect ---------------------------------------------------------------------------


def expect():
    g = "expect"

    def proceed(fields, body, want, target=b"/echo"):
        def run(site):
            with site.main.connect() as c:
                c.send(post(EXPECT + fields, target=target))
                same((c.line(), c.line()), (b"HTTP/1.1 100 Continue", b""), "interim reply")
                c.send(body + LAST)
                reply = c.reply()
                judge(reply, want)
                same(reply.interim, [], "more interim replies")
                same(c.reply().body, b"hello", "the last reply")
                c.end()
        return run
    SUITE.add(g, "length", proceed(b"Content-Length: 5\r\n", b"abcde", b"abcde"))
    SUITE.add(g, "chunked", proceed(CHUNKED, chunked(b"abc"), b"abc"))
    SUITE.add(g, "streamed", proceed(b"Content-Length: 5\r\n", b"abcde", b"abcde",
                                     b"/upload?echo=1"))
    SUITE.add(g, "a body that is refused", proceed(
        b"Content-Length: 5\r\n", b"abcde", 200, b"/upload"))

    def at_once(name, request, *wants):
        def look(want):
            def judged(reply):
                same(reply.interim, [], "interim replies")
                judge(reply, want)
            return judged
        serve(g, name, request, *[look(want) for want in wants])
    at_once("the body comes at once", post(EXPECT + b"Content-Length: 5\r\n", b"abcde"),
            b"abcde")
    at_once("no Expect, no 100", length(b"abcde"), b"abcde")
    at_once("no body", get(fields=EXPECT) + get(), b"hello", b"hello")
    at_once("a body of no bytes", post(EXPECT + b"Content-Length: 0\r\n"), b"")
    refuse(g, "another expectation", post(b"Expect: 200-ok\r\nContent-Length: 5\r\n"), 417)
    refuse(g, "a list", post(b"Expect: 100-continue, x\r\nContent-Length: 5\r\n"), 417)

    def final(name, request, status):
        """A reply without 100 in front: the client does not send the body."""
        def run(site):
            with site.main.connect() as c:
                c.send(request)
                reply = c.reply()
                same((reply.status, reply.interim), (status, []), "status, interim")
                check(reply.closes, "the connection cannot go on")
                c.end()
        SUITE.add(g, name, run)
    big = b"Content-Length: 1000000000000\r\n"
    final("too large", post(EXPECT + big), 413)
    final("too large, chunk by chunk, is refused by its handler",
          post(EXPECT + CHUNKED, target=b"/early"), 403)
    final("refused before the body is asked for",
          post(EXPECT + b"Content-Length: 5\r\n", target=b"/early"), 403)

    @case(g, "404 before the body: it goes on only if that is framed")
    def _(site):
        with site.main.connect() as c:
            c.send(post(EXPECT + b"Content-Length: 5\r\n", target=b"/nowhere"))
            first = c.head()
            if first.status == 100:
                c.send(b"abcde")
                first = c.head()
            same(first.status, 404, "status")

    @case(g, "HTTP/1.0 ignores it")
    def _(site):
        with site.main.connect() as c:
            c.send(post(EXPECT + b"Content-Length: 5\r\n", version=b"HTTP/1.0"))
            site.main.get("/")
            check(c.quiet(), "100 to an HTTP/1.0 client")
            c.send(b"abcde")
            same(c.reply().body, b"abcde", "body")
            c.end()


# -- Closing --------------------------------------------------------------------------


def while_it_lingers(site, send):
    """Calls send(connection), which has to end before the server, that has closed, is tired
    of waiting for the client's end: that is after two seconds."""
    def run(step):
        with site.main.connect() as c:
            step()
            try:
                send(c)
            finally:
                step()
    harness.on_time(1.9, run)


def closing():
    g = "closing"

    def sends_on(request, status, megabytes=1):
        """The client sends on after its mistake, and then reads."""
        def send(c):
            c.send(request)
            for _ in range(megabytes * 16):
                c.send(b"x" * 65536)
            refusal(c, status)
        return lambda site: while_it_lingers(site, send)
    SUITE.add(g, "a bad head, while the client sends on",
              sends_on(post(b"Content-Length: abc\r\n"), 400))
    SUITE.add(g, "no request at all, while the client sends on",
              sends_on(b"BAD\r\n\r\n", 400))
    SUITE.add(g, "a body too large, while it is sent",
              sends_on(post(b"Content-Length: 3145728\r\n"), 413, 3))
    SUITE.add(g, "a bad chunk, while the client sends on",
              sends_on(post(CHUNKED, b"zz\r\n"), 400))
    SUITE.add(g, "a handler that refuses a body, while it is sent",
              sends_on(post(b"Content-Length: 2097152\r\n", target=b"/early"), 403, 2))

    @case(g, "FIN, not RST: sends succeed until the client is done")
    def _(site):
        def send(c):
            c.send(b"BAD\r\n\r\n")
            same(c.reply().status, 400, "status")
            c.end()
            for _ in range(16):
                c.send(b"x" * 16384)
                site.main.get("/")
        while_it_lingers(site, send)

    @case(g, "who floods for ever is cut off")
    def _(site):
        with site.main.connect() as c:
            c.send(b"BAD\r\n\r\n")
            same(c.reply().status, 400, "status")
            try:
                for _ in range(1024):
                    c.send(b"x" * 65536)
            except Reset:
                return
            raise Failure("64 MiB were taken after an error")

    @case(g, "an error's connection ends though the client does nothing")
    def _(site):
        before = site.quick.counts()["connections"]
        with site.quick.connect() as c:
            c.send(b"BAD\r\n\r\n" + b"x" * 1000)
            same(c.reply().status, 400, "status")
            c.end()
            until(lambda: site.quick.counts()["connections"] <= before + 8, "the end")

    @case(g, "a reply of 8 MiB is complete before Connection: close")
    def _(site):
        with site.main.connect(rcvbuf=65536) as c:
            c.send(get(b"/big?size=8388608", b"Connection: close\r\n"))
            same(len(c.reply().body), 8388608, "bytes")
            c.end()

    def drops(request, reset, key=None, wait=None):
        def run(site):
            name = fresh()
            with site.main.connect() as c:
                c.send(request.replace(b"KEY", name.encode()))
                if wait:
                    site.main.await_latch(name + wait)
                else:
                    site.main.get("/")
                c.close(reset=reset)
            if key:
                site.main.await_latch(name + key)
            same(site.main.get("/").body, b"hello", "a new client's reply")
            site.main.set(name + ".go")
        return run
    for reset in (False, True):
        how = "resets" if reset else "leaves"
        for title, request, key, wait in (
                ("without a word", b"", None, None),
                ("in the request line", b"GET / HT", None, None),
                ("in the head", b"GET / HTTP/1.1\r\nHos", None, None),
                ("in a body", post(b"Content-Length: 100\r\n", b"abc"), None, None),
                ("in a streamed body", post(b"Content-Length: 100\r\n", b"abc",
                                            target=b"/upload?gone=KEY.gone"), ".gone", None),
                ("in a chunk", post(CHUNKED, b"64\r\nabc"), None, None),
                ("after the request", get(), None, None),
                ("after 100 Continue", post(EXPECT + b"Content-Length: 5\r\n"), None, None),
                ("while the handler waits", get(b"/wait/KEY"), ".gone", ".begun"),
                ("in a stream", get(b"/stream?pieces=9&key=KEY"), ".gone", ".begun"),
                ("in a flood of output", get(b"/stream?pieces=4000&size=65536&free=1&key=KEY"),
                 ".gone", ".begun")):
            SUITE.add(g, f"the client {how} {title}", drops(request, reset, key, wait))

    @case(g, "200 clients come and go")
    def _(site):
        clients = [site.main.connect() for _ in range(200)]
        for i, c in enumerate(clients):
            c.close(reset=i % 2 == 1)
        same(site.main.get("/").body, b"hello", "body")


def half_close():
    g = "half-close"

    def all_of(request, *wants):
        def run(site):
            with site.main.connect() as c:
                c.send(request)
                c.half_close()
                for want in wants:
                    judge(c.reply(), want)
                c.end()
        return run
    SUITE.add(g, "GET", all_of(get(), b"hello"))
    SUITE.add(g, "five", all_of(get() * 5, *[b"hello"] * 5))
    SUITE.add(g, "POST", all_of(length(b"abc"), b"abc"))
    SUITE.add(g, "POST, chunked", all_of(post(CHUNKED, chunked(b"abc")), b"abc"))
    SUITE.add(g, "a megabyte", all_of(length(MEGABYTE), MEGABYTE))
    SUITE.add(g, "a stream", all_of(get(b"/stream?pieces=50"), b"s" * 800))
    SUITE.add(g, "GET and half a request", all_of(get() + b"GET / HT", b"hello"))

    @case(g, "8 MiB to a slow reader")
    def _(site):
        with site.main.connect(rcvbuf=16384) as c:
            c.send(get(b"/big?size=8388608"))
            c.half_close()
            site.main.get("/")
            same(len(c.reply().body), 8388608, "bytes")
            c.end()

    @case(g, "while the handler waits")
    def _(site):
        key = fresh()
        with site.main.connect() as c:
            c.send(get(b"/wait/" + key.encode()))
            site.main.await_latch(key + ".begun")
            c.half_close()
            site.main.await_latch(key + ".gone")
            site.main.set(key + ".go")
            same(c.reply().body, b"waited", "body")
            c.end()

    def unfinished(request):
        def run(site):
            with site.main.connect() as c:
                c.send(request)
                c.half_close()
                c.cut()
        return run
    SUITE.add(g, "without a word", unfinished(b""))
    SUITE.add(g, "in a head", unfinished(b"GET / HTTP/1.1\r\nHost: x\r\n"))
    SUITE.add(g, "in a body", unfinished(post(b"Content-Length: 100\r\n", b"abc")))
    SUITE.add(g, "in a chunked body", unfinished(post(CHUNKED, b"5\r\nhello\r\n")))
    SUITE.add(g, "in a streamed body",
              unfinished(post(b"Content-Length: 100\r\n", b"abc", target=b"/upload")))
    SUITE.add(g, "before a body that was announced",
              unfinished(post(b"Content-Length: 100\r\n")))
