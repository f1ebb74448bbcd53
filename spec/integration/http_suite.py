#!/usr/bin/env python3
"""HTTP/1.1 from outside, over real sockets: RFC 9110, RFC 9112, and ctornado's
own limits and deadlines. Starts the servers itself: $CTORNADO, or the normal and
the ASan binary, whichever are built.

A request that is served is followed by a last one, `GET / ... close`, whose reply
and end of connection show that nothing was left over or smuggled in between. One
that is refused must get exactly one reply, and then the end without a reset.
"""
# SPDX-License-Identifier: Apache-2.0
import itertools
import re
import select
import sys
import threading
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, LAST, Ended, Failure, Reset, Server, check, same, until

CHUNKED = b"Transfer-Encoding: chunked\r\n"
EXPECT = b"Expect: 100-continue\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
MEGABYTE = b"0123456789abcdef" * 65536
SUITE = harness.Suite()
case = SUITE.case
names = itertools.count(1)


def fresh():
    """A name for latches that no other case has."""
    return f"latch{next(names)}"


def head(method=b"GET", target=b"/", fields=b"", version=b"HTTP/1.1", host=HOST):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


def get(target=b"/", fields=b"", **rest):
    return head(b"GET", target, fields, **rest)


def post(fields, body=b"", target=b"/echo", **rest):
    return head(b"POST", target, fields, **rest) + body


def length(body, **rest):
    return post(b"Content-Length: %d\r\n" % len(body), body, **rest)


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


# -- Two kinds of cases ---------------------------------------------------------


def judge(reply, want):
    """`want`: a status, a body (of a 200), or a function of the reply."""
    if isinstance(want, int):
        same(reply.status, want, "status")
    elif isinstance(want, bytes):
        same(reply.status, 200, "status")
        check(reply.body == want, f"body: expected {want[:80]!r} ({len(want)}), "
              f"got {reply.body[:80]!r} ({len(reply.body)})")
    else:
        want(reply)


def converse(site, pieces, wants, methods=()):
    """Sends each piece once the server has had time to look at the one before,
    then the last request, and reads it all."""
    methods = list(methods) + ["GET"] * len(wants)
    with site.main.connect() as c:
        for i, piece in enumerate(pieces):
            if i:
                site.main.get("/counts")
            c.send(piece)
        c.send(LAST)
        for want, method in zip(wants, methods):
            judge(c.reply(method), want)
        same(c.reply().body, b"hello", "the reply to the last request")
        c.end()


def serve(group, name, request, *wants, methods=()):
    pieces = request if isinstance(request, list) else [request]
    SUITE.add(group, name, lambda site: converse(site, pieces, wants, methods))


def refusal(c, status):
    reply = c.reply()
    allowed = status if isinstance(status, tuple) else (status,)
    check(reply.status in allowed, f"status {reply.status}, expected {allowed}")
    check(reply.closes, "no `Connection: close` in an error's reply")
    check(reply.get("date"), "no Date in an error's reply")
    c.end()
    return reply


def refuse(group, name, request, status=400, server="main"):
    def run(site):
        with getattr(site, server).connect() as c:
            c.send(request)
            refusal(c, status)
    SUITE.add(group, name, run)


# -- Framing --------------------------------------------------------------------

ALL_BYTES = bytes(range(256)) * 3 + b"\r\n\r\n\0" + HIDDEN
HALF = MEGABYTE[:1 << 19]


def framing():
    g = "framing"
    serve(g, "GET", get(), b"hello")
    serve(g, "two GETs", get() + get(), b"hello", b"hello")
    for size in (0, 1, 5, 4096, 70000):
        body = MEGABYTE[:size]
        serve(g, f"POST of {size} bytes", length(body), body)
        pieces = [body] if body else []
        serve(g, f"POST of {size} bytes, chunked", post(CHUNKED, chunked(*pieces)), body)
    serve(g, "POST of half a megabyte, spooled to disk", length(HALF), HALF)
    serve(g, "POST of a megabyte, the limit", length(MEGABYTE), MEGABYTE)
    serve(g, "POST of half a megabyte in 512 chunks",
          post(CHUNKED, chunked(*[HALF[i:i + 1024] for i in range(0, len(HALF), 1024)])),
          HALF)
    serve(g, "POST without a length has no body", post(b""), b"")
    serve(g, "any bytes", length(ALL_BYTES), ALL_BYTES)
    serve(g, "any bytes, chunked", post(CHUNKED, chunked(ALL_BYTES, ALL_BYTES)),
          ALL_BYTES * 2)
    for verb in (b"PUT", b"PATCH", b"DELETE", b"GET", b"OPTIONS"):
        text = verb.decode()
        serve(g, f"{text} with a body", head(verb, b"/echo", b"Content-Length: 5\r\n")
              + b"abcde", b"abcde")
        serve(g, f"{text} with a chunked body", head(verb, b"/echo", CHUNKED)
              + chunked(b"abc", b"de"), b"abcde")
    for title, line in (
            ("no blank", b"Content-Length:5\r\n"),
            ("tabs around", b"Content-Length:\t5\t\r\n"),
            ("blanks around", b"Content-Length:   5  \r\n"),
            ("odd case", b"cOnTeNt-LENGTH: 5\r\n"),
            ("leading zeros", b"Content-Length: 0005\r\n"),
            ("twice the same", b"Content-Length: 5\r\nContent-Length: 5\r\n"),
            ("a list of the same", b"Content-Length: 5, 5\r\n")):
        serve(g, f"length, {title}", post(line, b"abcde"), b"abcde")
    serve(g, "a zero before the length does not make it octal",
          post(b"Content-Length: 010\r\n", b"0123456789"), b"0123456789")
    serve(g, "odd case of the coding", post(b"tRANSFER-eNCODING: ChunkeD\r\n",
                                            chunked(b"abc")), b"abc")
    serve(g, "CRLF after a body", [length(b"abc") + b"\r\n" + get()], b"abc", b"hello")
    serve(g, "CRLF before a request", b"\r\n" + get(), b"hello")
    serve(g, "two CRLF before a request", b"\r\n\r\n" + get(), b"hello")
    serve(g, "a 404 goes on", get(b"/nowhere") + get(), 404, b"hello")
    for title, request in (("GET", get()), ("POST", length(b"abcde")),
                           ("chunked", post(CHUNKED, chunked(b"abc", b"de")))):
        want = b"hello" if title == "GET" else b"abcde"
        serve(g, f"{title} byte by byte", [bytes([b]) for b in request], want)
    bodies_that_nobody_wants(g)
    fragments(g)


def bodies_that_nobody_wants(g):
    """What no handler reads is thrown away, not taken for a request."""
    for verb, status in ((b"HEAD", 200), (b"TRACE", 405), (b"PURGE", 405),
                         (b"PUT", 405), (b"GET", 200)):
        method = verb.decode()
        fields = b"Content-Length: %d\r\n" % len(HIDDEN)
        serve(g, f"{method} /, its body is no request",
              head(verb, b"/", fields) + HIDDEN + get(), status, b"hello",
              methods=[method])
        serve(g, f"{method} /, its chunked body is no request",
              head(verb, b"/", CHUNKED) + chunked(HIDDEN) + get(), status, b"hello",
              methods=[method])
    serve(g, "404, its body is no request",
          length(HIDDEN, target=b"/nowhere") + get(), 404, b"hello")


def fragments(g):
    """What is not complete is not answered."""
    whole = post(CHUNKED, b"5;a=b\r\nhello\r\n0\r\nX-T: v\r\n\r\n")
    cuts = (1, 4, 5, 10, 11, 20, 21, 22, 23, 30, len(whole) - 39, len(whole) - 29,
            len(whole) - 28, len(whole) - 14, len(whole) - 3, len(whole) - 2,
            len(whole) - 1)

    def run(site, cut):
        with site.main.connect() as c:
            c.send(whole[:cut])
            site.main.get("/")
            check(c.quiet(), f"answered after {whole[:cut][-20:]!r}")
            c.send(whole[cut:] + LAST)
            same(c.reply().body, b"hello", "body")
            same(c.reply().status, 200, "status of the last")
            c.end()
    for cut in cuts:
        SUITE.add(g, f"waits after {cut} of {len(whole)} bytes",
                  lambda site, cut=cut: run(site, cut))


@case("framing", "a reply has an exact Date, Server and length")
def _(site):
    reply = site.main.get("/")
    date = reply.get("date")
    check(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date), date)
    then = time.mktime(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    check(abs(time.time() - then) < 5, f"Date is off by {time.time() - then} s")
    check(reply.get("server").startswith("ctornado/"), reply.fields)
    same((reply.get("content-length"), reply.reason), ("5", b"OK"), "length, reason")


# -- Smuggling --------------------------------------------------------------------


def smuggling():
    g = "smuggling"
    tail = b"0\r\n\r\n" + HIDDEN
    both = b"Content-Length: %d\r\n" % len(tail) + CHUNKED
    refuse(g, "length, then coding", post(both, tail))
    refuse(g, "coding, then length", post(CHUNKED + b"Content-Length: 4\r\n",
                                          chunked(HIDDEN)))
    for verb in (b"GET", b"HEAD", b"BREW"):
        refuse(g, f"length and coding of {verb.decode()}", head(verb, b"/", both) + tail)
    refuse(g, "coding in HTTP/1.0", post(CHUNKED, tail, version=b"HTTP/1.0"))
    refuse(g, "coding and length in HTTP/1.0",
           post(both + b"Connection: keep-alive\r\n", tail, version=b"HTTP/1.0"))
    lengths = {
        "two": b"5\r\nContent-Length: 6", "zero and another": b"0\r\nContent-Length: 41",
        "two, the first empty": b"\r\nContent-Length: 5", "empty": b"",
        "a list of two": b"5, 6", "a list with an empty element": b",5",
        "a list with an empty end": b"5,", "minus": b"-5", "minus zero": b"-0",
        "plus": b"+5", "hexadecimal": b"0x5", "exponent": b"5e0", "fraction": b"5.0",
        "letters behind": b"5abc", "a blank inside": b"0 5", "an underscore": b"0_5",
        "vertical tab": b"\x0b5", "NUL behind": b"5\0", "NUL inside": b"5\x006",
        "a no-break space": b"\xa05", "Arabic digit": b"\xd9\xa5", "quoted": b'"5"',
        "folded": b"0\r\n 5", "folded to another field": b"5\r\n Content-Length: 999"}
    for title, value in lengths.items():
        refuse(g, f"length, {title}",
               post(b"Content-Length: " + value + b"\r\n", b"0" * 5) + HIDDEN)
    for title, value in {"10^15": b"1" + b"0" * 15, "2^63": b"9223372036854775808",
                         "2^64 + 5": b"18446744073709551621",
                         "10^30": b"1" + b"0" * 30}.items():
        refuse(g, f"length of {title}",
               post(b"Content-Length: " + value + b"\r\n", b"x") + HIDDEN, 413)
    codings = {
        "xchunked": 501, "chunkedx": 501, "gzip": 501, "identity": 501,
        "gzip, chunked": 400, "chunked, gzip": 400, "chunked, chunked": 400, "": 400,
        '"chunked"': 400, "\x0bchunked": 400, "\xa0chunked": 400, "chunked\xa0": 400,
        "chunked\0": 400, "chunked\0x": 400, "chunked;q=1": 400, "chunked;": 400,
        "chunked foo": 400, "foo chunked": 400, ": chunked": 400, ",chunked": 400,
        "chunked,": 400, "\rchunked": 400, "\nchunked": 400, "\r\n chunked": 400,
        "chunked\r\nTransfer-Encoding: chunked": 400,
        "chunked\r\nTransfer-Encoding: identity": 400,
        "identity\r\nTransfer-Encoding: chunked": 501}
    for value, status in codings.items():
        refuse(g, f"coding {value!r}", post(
            b"Transfer-Encoding: " + value.encode("latin-1") + b"\r\n",
            chunked(b"abc")) + HIDDEN, status)
    for line in (b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
                 b"Transfer\0-Encoding: chunked", b"Transfer-\r\nEncoding: chunked",
                 b"Transfer-Encoding\n: chunked", b"Transfer-Encoding\r: chunked",
                 b"Transfer-Encoding\xa0: chunked", b" Transfer-Encoding: chunked",
                 b"Content-Length : 5", b"Content-Length\x0b: 5", b"Content-Length",
                 b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
                 b"\tContent-Length: 5", b": chunked", b"\0: y"):
        refuse(g, f"line {line!r}", post(line + b"\r\n", chunked(b"abc")) + HIDDEN)
    for name in (b"Transfer_Encoding", b"X-Transfer-Encoding", b"Content_Length"):
        serve(g, f"{name.decode()} is another field",
              post(name + b": chunked\r\nContent-Length: %d\r\n" % len(tail), tail), tail)

    @case(g, "nothing is served after Connection: close")
    def _(site):
        with site.main.connect() as c:
            c.send(get(fields=b"Connection: close\r\n") + HIDDEN)
            check(c.reply().closes, "no Connection: close")
            c.end()


# -- Chunked --------------------------------------------------------------------


def chunks():
    g = "chunked"
    good = {
        "one": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        "none": (b"0\r\n\r\n", b""),
        "either case": (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
        "leading zeros": (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
        "an extension": (b"5;a\r\nhello\r\n0\r\n\r\n", b"hello"),
        "extensions": (b'5;a;b=c;d="e;f\\""\r\nhello\r\n0;g=h\r\n\r\n', b"hello"),
        "blanks in an extension": (b"5 ; a = b\r\nhello\r\n0\r\n\r\n", b"hello"),
        "a trailer": (b"5\r\nhello\r\n0\r\nX-T: v\r\n\r\n", b"hello"),
        "two trailers": (b"5\r\nhello\r\n0\r\nX-T: v\r\nX-U:\r\n\r\n", b"hello"),
        "300 chunks": (chunked(*[b"%d," % i for i in range(300)]),
                       b"".join(b"%d," % i for i in range(300))),
    }
    for title, (body, want) in good.items():
        serve(g, title, post(CHUNKED, body), want)
    whole = post(CHUNKED, b"5;x=y\r\nhello\r\n3\r\nyou\r\n0\r\nX: y\r\n\r\n")
    start = len(post(CHUNKED))
    for cut in range(start, len(whole), 3):
        serve(g, f"cut at byte {cut - start} of the body", [whole[:cut], whole[cut:]],
              b"helloyou")
    for size in (b"0x5", b"+5", b"-0", b"-5", b" 5", b"\t5", b"g", b";a=b", b"0_5", b"5.0",
                 b"5 junk", b"5,", b"5h", b"\x0b5", b"", b"5\0", b"5 ", b"5;\n", b"5;a\rb",
                 b'5;a="b', b"5;=b", b"5;a=\x01", b"5\r", b"5\r\r;ABCD", b"F" * 17,
                 b"8000000000000000", b"0" * 33, b"5;a=b c", b"5\x80"):
        refuse(g, f"size line {size!r}", post(CHUNKED, size + b"\r\nhello\r\n0\r\n\r\n"))
    for body in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhell\r\n0\r\n\r\nxx",
                 b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n",
                 b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n",
                 b"5\r\nhello\r\n0 0\r\n\r\n", b"0\r\nX y\r\n\r\n", b"0\r\n X: y\r\n\r\n",
                 b"0\r\nX: a\0b\r\n\r\n", b"0\r\n: y\r\n\r\n", b"0\r\nX: y\n\r\n",
                 b"0\r\nX: y\rz\r\n\r\n", b"0\r\n\rX", b"5\r\nhello\r\nzz\r\n"):
        refuse(g, f"body {body!r}", post(CHUNKED, body))
    refuse(g, "a chunk of 2^63 - 1", post(CHUNKED, b"7fffffffffffffff\r\nx"), 413)
    refuse(g, "a chunk over max_body_size", post(CHUNKED, b"100001\r\nx"), 413)
    refuse(g, "chunks that add up to more than max_body_size",
           post(CHUNKED, chunked(MEGABYTE, b"x")), 413)
    refuse(g, "extensions over 4 KiB in sum",
           post(CHUNKED, (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 5))
    refuse(g, "trailers over 8 KiB",
           post(CHUNKED, b"0\r\n" + b"X-A: bbbbbbbbbbb\r\n" * 600 + b"\r\n"), 431)
    for line in (b"X-Trailer: evil", b"Host: evil", b"Cookie: evil", b"Content-Length: 3",
                 b"Authorization: evil"):
        def run(site, line=line):
            with site.main.connect() as c:
                c.send(post(CHUNKED, b"3\r\nabc\r\n0\r\n" + line + b"\r\n\r\n",
                            target=b"/mirror") + LAST)
                reply = c.reply().json()
                same(reply["body"], "abc", "body")
                check("evil" not in str(reply) and line.split(b":")[0].lower().decode()
                      not in set(reply["headers"]) - {"host"}, reply)
                same(c.reply().status, 200, "status of the last")
        SUITE.add(g, f"trailer {line.decode()} is dropped", run)


# -- Fields -----------------------------------------------------------------------


def mirror(group, name, fields, key, want):
    """The field `key` must come to the handler as the list `want`."""
    def look(reply):
        same(reply.status, 200, "status")
        same(reply.json()["headers"].get(key), want, key)
    serve(group, name, get(b"/mirror", fields), look)


def fields():
    g = "fields"
    mirror(g, "blanks around a value", b"X-A:   b c  \t \r\n", "x-a", ["b c"])
    mirror(g, "a tab before a value", b"X-A:\tb\r\n", "x-a", ["b"])
    mirror(g, "a tab inside a value", b"X-A: a\tb\r\n", "x-a", ["a\tb"])
    mirror(g, "no blank", b"X-A:b\r\n", "x-a", ["b"])
    mirror(g, "empty", b"X-A:\r\n", "x-a", [""])
    mirror(g, "blanks only", b"X-A:  \t \r\n", "x-a", [""])
    mirror(g, "colons", b"X-A: a:b::c\r\n", "x-a", ["a:b::c"])
    mirror(g, "quotes", b'X-A: "a, b"; c=\\\\d\r\n', "x-a", ['"a, b"; c=\\\\d'])
    mirror(g, "order of several", b"X-A: 1\r\nX-B: z\r\nx-a: 2\r\n", "x-a", ["1", "2"])
    mirror(g, "4,000 bytes", b"X-A: " + b"v" * 4000 + b"\r\n", "x-a", ["v" * 4000])
    mirror(g, "60,000 bytes", b"X-A: " + b"v" * 60000 + b"\r\n", "x-a", ["v" * 60000])
    mirror(g, "a name of 1,000 bytes", b"N" * 1000 + b": v\r\n", "n" * 1000, ["v"])
    mirror(g, "all bytes of a token", b"!#$%&'*+-.^_`|~09azAZ: v\r\n",
           "!#$%&'*+-.^_`|~09azaz", ["v"])
    mirror(g, "100 fields", b"".join(b"X-%d: v%d\r\n" % (i, i) for i in range(100)),
           "x-99", ["v99"])
    serve(g, "UTF-8 in a value", get(b"/field/X-A", b"X-A: caf\xc3\xa9\r\n"),
          b"[caf\xc3\xa9]")
    serve(g, "any 8-bit byte in a value", get(b"/field/X-A", b"X-A: \x80\xff\r\n"),
          b"[\x80\xff]")
    serve(g, "no field leaks into the next request",
          get(b"/field/X-A", b"X-A: 1\r\n") + get(b"/field/X-A"), b"[1]", b"[none]")
    serve(g, "every byte that a value may have",
          get(b"/field/X-A", b"X-A: " + bytes(range(0x21, 0x7f)) + b"\r\n"),
          b"[" + bytes(range(0x21, 0x7f)) + b"]")
    for byte in b" \t\0\x01\x1f\x7f\"(),/;<=>?@[]\\{}\x80\xff":
        refuse(g, f"byte {byte:#04x} in a name", get(b"/", b"X%cA: v\r\n" % byte))
    for byte in b"\0\x01\x07\x08\x0b\x0c\x1b\x1f\x7f\r\n":
        refuse(g, f"byte {byte:#04x} in a value", get(b"/", b"X-A: a%cb\r\n" % byte))
        refuse(g, f"byte {byte:#04x} at the end of a value",
               get(b"/", b"X-A: ab%c\r\n" % byte))
    refuse(g, "no name", get(b"/", b": v\r\n"))
    refuse(g, "no colon", get(b"/", b"X-A\r\n"))
    refuse(g, "no colon but a blank", get(b"/", b"X-A v\r\n"))
    refuse(g, "a folded line", get(b"/", b"X-A: a\r\n b\r\n"))
    refuse(g, "a folded line with a tab", get(b"/", b"X-A: a\r\n\tb\r\n"))
    refuse(g, "a folded Host", b"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n")
    refuse(g, "a line of one blank", get(b"/", b"X: a\r\n \r\n"))
    refuse(g, "a blank before the first field", b"GET / HTTP/1.1\r\n " + HOST + b"\r\n")
    refuse(g, "bare LF", b"GET / HTTP/1.1\nHost: a\n\n")
    refuse(g, "bare LF behind one field", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")
    refuse(g, "bare LF for the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n")
    refuse(g, "CR at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\rX")


# -- The request line -------------------------------------------------------------


def target(group, name, line, **want):
    def look(reply):
        same(reply.status, 200, "status")
        got = reply.json()
        for key, value in want.items():
            same(got[key], value, key)
    serve(group, name, line + b"\r\n" + HOST + b"\r\n", look)


def request_line():
    g = "request line"
    target(g, "version 1.1", b"GET /mirror HTTP/1.1", version="HTTP/1.1", uri="/mirror")
    target(g, "version 1.2 is 1.1", b"GET /mirror HTTP/1.2", version="HTTP/1.1")
    target(g, "query", b"GET /mirror?a=b&c HTTP/1.1", path="/mirror", query="a=b&c")
    target(g, "empty query", b"GET /mirror? HTTP/1.1", path="/mirror", query="")
    target(g, "two question marks", b"GET /mirror?a?b HTTP/1.1", query="a?b")
    target(g, "URL in a query", b"GET /mirror?u=http://x/y HTTP/1.1",
           query="u=http://x/y")
    target(g, "percents are kept", b"GET /mirror?%41%zz% HTTP/1.1", query="%41%zz%")
    target(g, "absolute-form", b"GET http://other.example/mirror?q HTTP/1.1",
           uri="/mirror?q", host="other.example")
    target(g, "absolute-form with port, https", b"GET HTTPS://o.example:81/mirror HTTP/1.1",
           uri="/mirror", host="o.example:81")
    target(g, "two slashes are a path", b"GET //mirror HTTP/1.1", path="//mirror",
           host="test.example")
    target(g, "colon and at", b"GET /mirror/a:b@c HTTP/1.1", path="/mirror/a:b@c")
    target(g, "7,900 bytes", b"GET /mirror?" + b"a" * 7880 + b" HTTP/1.1",
           query="a" * 7880)
    serve(g, "absolute-form without a path", b"GET http://test.example HTTP/1.1\r\n" + HOST
          + b"\r\n", b"hello")
    serve(g, "absolute-form, query only", b"GET http://test.example?a HTTP/1.1\r\n" + HOST
          + b"\r\n", b"hello")
    serve(g, "OPTIONS *", head(b"OPTIONS", b"*"), 404)
    for line, status in {
            b"GET /": 400, b"GET": 400, b"GET / HTTP/0.9": 505,
            b"GET / HTTP/2.0": 505, b"GET / HTTP/3.0": 505, b"GET / HTTP/9.9": 505,
            b"GET / http/1.1": 400, b"GET / HTTP/1.": 400,
            b"GET / HTTP/.1": 400, b"GET / HTTP/": 400, b"GET / HTTP/1": 400,
            b"GET / HTTP/1.10": 400, b"GET / HTTP/01.1": 400, b"GET / HTTP/1.+1": 400,
            b"GET / HTTP/1.-1": 400, b"GET / HTTP/ 1.1": 400,
            b"GET / HTTP/4294967297.1": 400, b"GET / HTTP/1.1x": 400,
            b"GET / HTTP/1.1 ": 400, b"GET / HTTP/1.1\0": 400, b"GET / HTTP/1.1\r": 400,
            b"GET / FTP/1.1": 400, b"GET / XHTTP/1.1": 400, b"GET / HTTP/one.one": 400,
            b"GET  / HTTP/1.1": 400, b"GET /  HTTP/1.1": 400, b"GET\t/\tHTTP/1.1": 400,
            b" GET / HTTP/1.1": 400, b"GET / b HTTP/1.1": 400,
            b"GET / HTTP/1.1 HTTP/1.1": 400, b"GET  HTTP/1.1": 400,
            b"GET /a\0b HTTP/1.1": 400, b"GET /a\rb HTTP/1.1": 400,
            b"GET /a\tb HTTP/1.1": 400, b"GET /a\x01b HTTP/1.1": 400,
            b"GET /a\x7fb HTTP/1.1": 400, b"GET /\nHTTP/1.1": 400, b"GET * HTTP/1.1": 400,
            b"GET a.example:80 HTTP/1.1": 400, b"GET foo HTTP/1.1": 400,
            b"GET http:// HTTP/1.1": 400, b"GET http:///x HTTP/1.1": 400,
            b"GET http://a:b@c/ HTTP/1.1": 400, b"GET ftp://a/ HTTP/1.1": 400,
            b"GET http://a b/ HTTP/1.1": 400, b"OPTIONS *x HTTP/1.1": 400}.items():
        refuse(g, f"{line!r}", line + b"\r\n" + HOST + b"\r\n", status)
    refuse(g, "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
           + bytes(range(200)))
    refuse(g, "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
    refuse(g, "binary", b"\xde\xad\xbe\xef\0\1\2\3\r\n\r\n")
    for path in (b"/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/..%2f..%2fetc/passwd",
                 b"/%00", b"/mirror%00.txt", b"/%c0%ae%c0%ae/etc/passwd", b"/a\xffb"):
        serve(g, f"path {path!r}", get(path),
              lambda r: check(r.status in (400, 404), r.status))

    def harmless(reply):
        same(reply.status, 404, "status")
        check(b"<script" not in reply.body and not reply.get("x-inj"), reply.body)
    serve(g, "a path does not come back in the page", get(b"/<script>alert(1)</script>"),
          harmless)
    serve(g, "a path makes no field", get(b"/x%0d%0aX-Inj:%20y%0d%0a%0d%0ab"), harmless)


# -- Methods and bodiless replies ---------------------------------------------------


def methods():
    g = "methods"
    for verb in (b"get", b"FOOBAR", b"G", b"XY", b"PROPFIND", b"!#$%&'*+-.^_`|~09",
                 b"A" * 64):
        serve(g, f"unknown {verb[:20].decode()}", head(verb) + get(), 405, b"hello")
    for verb in (b"G@T", b'GE"T', b"GET\0", b"G(T", b"\xc3\x89", b"GET\x7f", b"G\x01T",
                 b"A" * 65, b"A" * 10000):
        refuse(g, f"invalid {verb[:20]!r}, {len(verb)} bytes", head(verb))

    def allow(reply):
        same(reply.status, 405, "status")
        same(reply.get("allow"), "GET, HEAD", "Allow")
    serve(g, "405 has Allow", head(b"POST") + get(), allow, b"hello")
    serve(g, "405 with a body", length(b"abcde", target=b"/") + get(), allow, b"hello")
    serve(g, "OPTIONS that no handler has", head(b"OPTIONS"), 405)

    def trace(reply):
        check(reply.status in (405, 501), reply.status)
        check(b"secret" not in reply.body, "TRACE reflects")
    serve(g, "TRACE reflects nothing", head(b"TRACE", fields=b"Cookie: secret\r\n"), trace)
    refuse(g, "CONNECT", b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501)
    serve(g, "CONNECT with a path", head(b"CONNECT") + get(), 405, b"hello")
    g = "bodiless"

    def about(length):
        def look(reply):
            same(reply.get("content-length"), length, "Content-Length")
        return look
    serve(g, "HEAD", head(b"HEAD"), about("5"), methods=["HEAD"])
    serve(g, "HEAD three times and GET", head(b"HEAD") * 3 + get(), about("5"), 200, 200,
          b"hello", methods=["HEAD"] * 3)
    serve(g, "HEAD of 404", head(b"HEAD", b"/nowhere"), 404, methods=["HEAD"])
    serve(g, "HEAD of a megabyte", head(b"HEAD", b"/big?size=1048576"), about("1048576"),
          methods=["HEAD"])
    serve(g, "HEAD of a stream", head(b"HEAD", b"/stream?pieces=3"), 200, methods=["HEAD"])
    serve(g, "HEAD of a stream with its length",
          head(b"HEAD", b"/stream?pieces=3&length=48"), about("48"), methods=["HEAD"])
    serve(g, "HEAD of an error", head(b"HEAD", b"/echo"), 405, methods=["HEAD"])

    def none(reply):
        same(reply.get("content-length"), None, "Content-Length")
        same(reply.get("transfer-encoding"), None, "Transfer-Encoding")
    for status in (204, 304):
        path = b"/status/%d" % status
        serve(g, f"{status}", get(path) + get(), none, b"hello")
        serve(g, f"{status} to HEAD", head(b"HEAD", path) + get(), none, b"hello",
              methods=["HEAD"])
        serve(g, f"{status} to POST", length(b"abc", target=path) + get(), none, b"hello")
    serve(g, "205 is empty", get(b"/status/205"), 205)
    serve(g, "a status that has no name", get(b"/status/299"), 299)

    @case(g, "If-None-Match")
    def _(site):
        with site.main.connect() as c:
            c.send(get())
            tag = c.reply().get("etag")
            c.send(get(fields=b"If-None-Match: " + tag.encode() + b"\r\n") + LAST)
            reply = c.reply()
            same((reply.status, reply.get("etag"), reply.get("content-type")),
                 (304, tag, None), "status, Etag, Content-Type")
            same(c.reply().body, b"hello", "the next reply")


# -- Host ---------------------------------------------------------------------------


def hosts():
    g = "host"
    for value in (b"a.example", b"a.example:8080", b"127.0.0.1", b"[::1]:8080", b"[::1]",
                  b"A.EXAMPLE", b"a.example:", b"a_b", b"a%41b", b"", b"a" * 253):
        serve(g, f"valid {value[:30]!r}", get(host=b"Host: " + value + b"\r\n"), b"hello")
    for value in (b"a b", b"a/b", b"a@b", b"a#b", b"a?b", b"a:abc", b"a:80:80", b"[::1",
                  b"[::1]x", b"[]", b"[::g]", b"a\0b", b"a, b", b"a\xff", b"a\\b", b"a<b",
                  b"a:65536", b"a:123456", b":80", b"a%4", b"a%zz", b"http://a", b"a\tb",
                  b'"a"', b"a^b", b"::1"):
        refuse(g, f"invalid {value!r}", get(host=b"Host: " + value + b"\r\n"))
    refuse(g, "none", get(host=b""))
    refuse(g, "none with absolute-form", b"GET http://a.example/ HTTP/1.1\r\n\r\n")
    refuse(g, "two", get(host=HOST + b"Host: b\r\n"))
    refuse(g, "two that are the same", get(host=HOST * 2))
    refuse(g, "a blank before the colon", get(host=b"Host : a\r\n"))
    refuse(g, "an invalid one with absolute-form",
           b"GET http://a.example/ HTTP/1.1\r\nHost: a b\r\n\r\n")


# -- Limits ---------------------------------------------------------------------------


def limits():
    """The server `small` has 256 bytes for the line, 2 KiB for the head, 5 fields,
    1,000 bytes for a body, and 3 requests for a connection."""
    g = "limits"
    refuse(g, "a line of 100,000 bytes", get(b"/" + b"a" * 100000), 414)
    refuse(g, "a field of 200,000 bytes", get(fields=b"X: " + b"a" * 200000 + b"\r\n"), 431)
    refuse(g, "a name of 100,000 bytes", get(fields=b"N" * 100000 + b": v\r\n"), 431)
    refuse(g, "201 fields", get(fields=b"a:b\r\n" * 200), 431)
    serve(g, "200 fields", get(fields=b"a:b\r\n" * 199), b"hello")
    refuse(g, "20,000 fields", get(fields=b"a:b\r\n" * 20000), 431)
    refuse(g, "a body of a megabyte and a byte", length(MEGABYTE + b"x"), 413)
    refuse(g, "a body of 10 GB that does not come",
           post(b"Content-Length: 10000000000\r\n"), 413)
    refuse(g, "three CRLF before a request", b"\r\n" * 3 + get())

    def within(site, request, want):
        with site.small.connect() as c:
            c.send(request + get(fields=b"Connection: close\r\n"))
            judge(c.reply(), want)
            same(c.reply().body, b"hello", "the next reply")
            c.end()

    def fits(name, request, want):
        SUITE.add(g, name, lambda site: within(site, request, want))
    room = 256 - len(b"GET / HTTP/1.1\r\n")
    fits("a line of max_line_size", get(b"/" + b"a" * room), 404)
    refuse(g, "a line over max_line_size", get(b"/a" + b"a" * room), 414, "small")
    room = 2048 - len(get(fields=b"X: \r\n"))
    fits("a head of max_header_size", get(fields=b"X: " + b"a" * room + b"\r\n"), b"hello")
    refuse(g, "a head over max_header_size",
           get(fields=b"X: a" + b"a" * room + b"\r\n"), 431, "small")
    fits("max_fields", get(fields=b"a:b\r\n" * 4), b"hello")
    refuse(g, "more than max_fields", get(fields=b"a:b\r\n" * 5), 431, "small")
    fits("a body of max_body_size", length(b"a" * 1000), b"a" * 1000)
    refuse(g, "a body over max_body_size", length(b"a" * 1001), 413, "small")
    fits("a chunked body of max_body_size", post(CHUNKED, chunked(b"a" * 999, b"a")),
         b"a" * 1000)
    refuse(g, "a chunked body over max_body_size",
           post(CHUNKED, chunked(b"a" * 999, b"ab")), 413, "small")
    fits("a streamed body of the handler's own limit",
         length(b"a" * 1000, target=b"/small"), b"small")
    refuse(g, "a streamed body over it", length(b"a" * 1001, target=b"/small"), 413, "small")
    refuse(g, "a chunked streamed body over it",
           post(CHUNKED, chunked(b"a" * 999, b"ab"), target=b"/small"), 413, "small")
    fits("a streamed body of another handler's limit",
         length(b"a" * 5000, target=b"/upload"), lambda r: same(r.json()["bytes"], 5000, "n"))

    @case(g, "max_keepalive_requests")
    def _(site):
        with site.small.connect() as c:
            c.send(get() * 5)
            replies = [c.reply() for _ in range(3)]
            same([r.closes for r in replies], [False, False, True], "Connection: close")
            c.end()
    for title, start, unit, status in (
            ("request line", b"GET /", b"a" * 32768, 414),
            ("field", b"GET / HTTP/1.1\r\nX: ", b"a" * 32768, 431),
            ("fields", b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 4096, 431),
            ("chunk extension", post(CHUNKED, b"5;"), b"a" * 32768, 400),
            ("chunk size", post(CHUNKED), b"0" * 32768, 400),
            ("trailers", post(CHUNKED, b"0\r\n"), b"X-A: bbbbbbbbbb\r\n" * 2048, 431),
            ("blank lines", b"", b"\r\n" * 16384, 400),
            ("blank lines for chunks", post(CHUNKED), b"\r\n" * 16384, 400)):
        SUITE.add(g, f"endless {title}", lambda site, s=start, u=unit, n=status:
                  endless(site, s, u, n))


def endless(site, start, unit, status):
    """Sends until the answer comes, which must be soon."""
    with site.main.connect() as c:
        c.send(start)
        for _ in range(64):
            if select.select([c.socket], [], [], 0)[0]:
                break
            c.send(unit)
            site.main.get("/")
        same(c.reply().status, status, "status")
        c.end()


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


def closing():
    g = "closing"

    def sends_on(request, status, megabytes=1):
        """The client sends on after its mistake, and then reads."""
        def run(site):
            with site.main.connect() as c:
                c.send(request)
                for _ in range(megabytes * 16):
                    c.send(b"x" * 65536)
                refusal(c, status)
        return run
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
        with site.main.connect() as c:
            c.send(b"BAD\r\n\r\n")
            same(c.reply().status, 400, "status")
            c.end()
            for _ in range(16):
                c.send(b"x" * 16384)
                site.main.get("/")

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


# -- Deadlines ------------------------------------------------------------------------

SOON = 0.8  # of the 1 second that the server `quick` allows, at least


def timed(run, least):
    """Runs and returns its result; it must take `least` seconds or more."""
    start = time.monotonic()
    result = run()
    spent = time.monotonic() - start
    check(spent >= least, f"after {spent:.2f} s already")
    return result


def deadlines():
    """All deadlines of the server `quick` are one second; its handler_timeout is
    two, and write_timeout one."""
    g = "deadlines"

    def silent(start, status):
        def run(site):
            with site.quick.connect() as c:
                c.send(start)
                if status is None:
                    timed(c.end, SOON)
                    return
                reply = timed(c.reply, SOON)
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
        with site.quick.connect() as c:
            c.send(post(EXPECT + b"Content-Length: 5\r\n"))
            same((c.line(), c.line()), (b"HTTP/1.1 100 Continue", b""), "interim reply")
            same(timed(c.reply, SOON).status, 408, "status")
            c.end()

    def drip(start, unit):
        """Bytes keep coming, so that the connection is never idle."""
        def run(site):
            with site.quick.connect() as c:
                began = time.monotonic()
                c.send(start)
                while not select.select([c.socket], [], [], 0.1)[0]:
                    check(time.monotonic() - began < 20, "dripped on for 20 s")
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
        with site.quick.connect() as c:
            c.send(post(b"Content-Length: 10000\r\n"))
            for _ in range(5):
                c.send(b"x" * 2000)
                time.sleep(0.4)  # 5,000 bytes a second; 240 are asked for
            same(len(c.reply().body), 10000, "bytes")

    @case(g, "idle after a reply")
    def _(site):
        with site.quick.connect() as c:
            c.send(get())
            same(c.reply().body, b"hello", "body")
            timed(c.end, SOON)

    @case(g, "a second head")
    def _(site):
        with site.quick.connect() as c:
            c.send(get() + b"GET / HT")
            same(c.reply().body, b"hello", "body")
            same(timed(c.reply, SOON).status, 408, "status")
            c.end()

    @case(g, "a handler may take longer than head and idle may")
    def _(site):
        key = fresh()
        with site.quick.connect() as c:
            c.send(get(b"/wait/" + key.encode()))
            time.sleep(1.4)  # longer than idle_timeout, shorter than handler_timeout
            site.quick.set(key + ".go")
            same(c.reply().body, b"waited", "body")

    @case(g, "handler_timeout")
    def _(site):
        with site.quick.connect() as c:
            c.send(get(b"/wait/" + fresh().encode()))
            same(timed(c.reply, 2 * SOON).status, 503, "status")

    @case(g, "handler_timeout of one that never finishes")
    def _(site):
        with site.quick.connect() as c:
            c.send(get(b"/forgets"))
            same(timed(c.reply, 2 * SOON).status, 503, "status")

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
                same((c.line(), c.exactly(5), c.line()), (b"5", b"hello", b""), "piece")
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
                c.send(get(f"/stream?pieces=32&size=1048576&free=1&key={key}".encode()))
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


# -- The whole ------------------------------------------------------------------------


class Site:
    """The servers: `main` with the defaults, `small` limits, `quick` deadlines. `start` makes
    one of a binary and options; it is Server, or one that stands behind something."""

    def __init__(self, binary, start=Server):
        self.main = start(binary, "--max_keepalive_requests=10000000")
        self.small = start(binary, "--max_line_size=256", "--max_header_size=2K",
                           "--max_fields=5", "--max_body_size=1000",
                           "--max_keepalive_requests=3")
        self.quick = start(binary, "--header_timeout=1", "--body_timeout=1",
                           "--idle_timeout=1", "--handler_timeout=2",
                           "--write_timeout=0.5")


def nothing_left(server):
    """Connections, requests and descriptors are back to what they were."""
    server.await_counts(connections=1, requests=1)
    counts = server.counts()
    check(counts["descriptors"] < 20, f"descriptors left open: {counts}")
    log = server.log()
    check("Exception in callback" not in log, log[-3000:])


def run(title, site, cases, tally):
    """Runs `cases` against the servers of `site`, which end in between."""
    chosen = [(f"{title} {name}", fn, alone) for name, fn, alone in cases]
    with site.main, site.small, site.quick:
        tally.run_all(chosen, site, jobs=12)
        for name in ("main", "small", "quick"):
            tally.run(f"{title} {name}: nothing is left", nothing_left, getattr(site, name))
        for name in ("main", "small", "quick"):
            server = getattr(site, name)
            tally.run(f"{title} {name}: ends with 0",
                      lambda s=server: same(s.stop(), 0, "exit code"))
            tally.run(f"{title} {name}: nothing to report",
                      lambda s=server: check(not s.reports(), s.reports()[:8000]))


def cases(only=""):
    """All cases whose name has the text `only` in it."""
    for group in (framing, smuggling, chunks, fields, request_line, methods, hosts, limits,
                  pipelining, keep_alive, expect, closing, half_close, deadlines, streams,
                  backpressure):
        group()
    return [case for case in SUITE.cases if only in case[0]]


def main():
    parser = harness.arguments(__doc__)
    chosen = cases(parser.parse_args().only)
    tally = harness.Tally()
    for binary in harness.binaries():
        run("asan" if harness.is_asan(binary) else "normal", Site(binary), chosen, tally)
    harness.finish(tally)


if __name__ == "__main__":
    main()
