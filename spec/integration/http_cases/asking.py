"""What the cases of http_suite.py are made of: requests, and the two kinds of cases, those
that are served and those that are refused.
"""
# SPDX-License-Identifier: Apache-2.0
import itertools

import harness
from harness import HOST, LAST, check, same

CHUNKED = b"Transfer-Encoding: chunked\r\n"
EXPECT = b"Expect: 100-continue\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
MEGABYTE = b"0123456789abcdef" * 65536
HALF = MEGABYTE[:1 << 19]
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
