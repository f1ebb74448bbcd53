"""Checks 1 to 25: HTTP/1.1 and 1.0 on the wire."""
# SPDX-License-Identifier: Apache-2.0
import hashlib
import re

from common import *  # noqa: F403, the vocabulary of checks

ETAG = '"%s"' % hashlib.sha1(b"hello").hexdigest()
DATE = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"


@case(1, "the headers of a GET")
def _(site):
    reply = kept(site, request("/hello"), 200)
    check(reply.get("server"), "no Server")
    check(re.fullmatch(DATE, reply.get("date")), reply.get("date"))
    same(reply.get("content-type"), "text/html; charset=UTF-8", "Content-Type")
    same(reply.get("etag"), ETAG, "Etag")
    same(reply.get("content-length"), "5", "Content-Length")
    same(reply.body, b"hello", "body")


@case(2, "HEAD without head()")
def _(site):
    reply = kept(site, request("/hello", "HEAD"), 405, "HEAD")
    same(reply.get("content-length"), "87", "Content-Length")


@case(3, "HEAD with head()")
def _(site):
    reply = kept(site, request("/head", "HEAD"), 200, "HEAD")
    same(reply.get("content-length"), "5", "Content-Length")
    same(reply.get("etag"), ETAG, "Etag")


@case(4, "HTTP/1.0 without Host")
def _(site):
    with connect(site) as c:
        c.send(request("/hello", version="HTTP/1.0", host=b""))
        reply = c.reply()
        same((reply.version, reply.status, reply.body), (b"HTTP/1.1", 200, b"hello"), "reply")
        no_field(reply, "connection")
        c.end()


@case(5, "HTTP/1.0 with keep-alive")
def _(site):
    with connect(site) as c:
        for _ in range(2):
            c.send(request("/hello", version="HTTP/1.0", fields=b"Connection: keep-alive\r\n"))
            reply = c.reply()
            same(reply.get("connection").lower(), "keep-alive", "Connection")
            same(reply.body, b"hello", "body")


@case(6, "Connection: close")
def _(site):
    with connect(site) as c:
        c.send(request("/hello", fields=CLOSE))
        same(c.reply().get("connection"), "close", "Connection")
        c.end()


@case(7, "no_keep_alive (max_keepalive_requests = 1)")
def _(site):
    with connect(site, "once") as c:
        c.send(request("/hello"))
        same(c.reply().get("connection"), "close", "Connection")
        c.end()


@case(8, "two pipelined GETs")
def _(site):
    with connect(site) as c:
        c.send(request("/path/1") + request("/path/2"))
        same([c.reply().json()["arg"] for _ in "12"], ["1", "2"], "replies")
        check(c.quiet(), "more came")


@case(9, "garbage behind a request")
def _(site):
    with connect(site) as c:
        c.send(request("/hello") + b"garbage\r\n\r\n")
        same(c.reply().body, b"hello", "body")
        same(c.reply().status, 400, "status")
        c.end()


@case(9, "the 400 is bare", ctornado=BARE)
def _(site):
    with connect(site) as c:
        c.send(b"garbage\r\n\r\n")
        same(c.to_end(), b"HTTP/1.1 400 Bad Request\r\n\r\n", "bytes")


@case(9, "the 400 has a page", tornado="bare there")
def _(site):
    reply = refused(site, b"garbage\r\n\r\n")
    same_page(reply, 400, "400: Bad Request")
    same(reply.get("connection"), "close", "Connection")


@case(10, "Host", tornado=OLD + "6.5.0 began to check it")
def _(site):
    for host in (b"", HOST + HOST, HOST + b"Host: b\r\n", b"Host: a b\r\n",
                 b"Host: a,b\r\n", b"Host: a:b@c\r\n"):
        refused(site, request("/hello", host=host))


@case(10, "an empty Host")
def _(site):
    kept(site, request("/hello", host=b"Host:\r\n"), 200)


@case(11, "malformed request lines")
def _(site):
    for line in ("GET  /hello HTTP/1.1", "GET /a b HTTP/1.1"):
        refused(site, line.encode() + b"\r\n" + HOST + b"\r\n")


@case(11, "HTTP/2.0", ctornado=STRICT + "505, RFC 9110 §15.6.6")
def _(site):
    refused(site, head("/hello", version="HTTP/2.0"))


@case(11, "HTTP/2.0 is 505", tornado="400 there")
def _(site):
    refused(site, head("/hello", version="HTTP/2.0"), 505)


@case(11, "bytes that no method and no target has", tornado=OLD + "checked since 6.5.0")
def _(site):
    refused(site, head("/", "GE,T"))
    refused(site, head("/\x01"))


@case(11, "unknown methods")
def _(site):
    for method in ("FOO", "get", "CONNECT", "TRACE"):
        kept(site, head("/hello", method), 405)


@case(11, "CONNECT to another server", tornado="a path as any other there")
def _(site):
    refused(site, head("example.com:443", "CONNECT"), 501)


@case(12, "malformed fields", tornado=OLD + "names and values are checked since 6.5.0")
def _(site):
    for field in (b"Bad Name: x\r\n", b"Host : a\r\n", b"X: a\x01b\r\n", b"X: a\0b\r\n",
                  b"X: a\rb\r\n"):
        refused(site, request("/hello", fields=field))


@case(13, "a head of bare LF", ctornado=STRICT + "400, an intermediary may not see it so")
def _(site):
    kept(site, request("/hello").replace(b"\r\n", b"\n"), 200)


@case(13, "a head of bare LF is 400", tornado="it takes bare LF")
def _(site):
    refused(site, request("/hello").replace(b"\r\n", b"\n"))


@case(14, "a stray CRLF between requests")
def _(site):
    with connect(site) as c:
        for before in (b"", b"\r\n"):
            c.send(before + request("/hello"))
            same(c.reply().body, b"hello", "body")


@case(15, "a field of 65,000 bytes")
def _(site):
    kept(site, request("/hello", fields=b"X: " + b"x" * 65000 + b"\r\n"), 200)


@case(15, "a head of more than 65,536 bytes", ctornado=STRICT + "431, " + BARE)
def _(site):
    dropped(site, request("/hello", fields=b"X: " + b"x" * 70000 + b"\r\n"))


@case(15, "a head of more than 65,536 bytes is 431", tornado="a silent end there")
def _(site):
    refused(site, request("/hello", fields=b"X: " + b"x" * 70000 + b"\r\n"), 431)


@case(16, "Content-Length, repeated with one value")
def _(site):
    for length in (b"Content-Length: 3, 3\r\n", b"Content-Length: 3\r\n" * 2):
        with connect(site) as c:
            c.send(head("/echo", "POST", length) + b"abc")
            same(c.reply().body, b"abc", f"body with {length!r}")


@case(16, "Content-Length that is no length", tornado=OLD + "strict digits since 6.3.3")
def _(site):
    for length in (b"+3", b"-3", b"1_0"):
        refused(site, head("/echo", "POST", b"Content-Length: " + length + b"\r\n") + b"abc")


@case(16, "two lengths that differ")
def _(site):
    refused(site, head("/echo", "POST", b"Content-Length: 3\r\nContent-Length: 4\r\n") + b"abc")


@case(16, "a huge Content-Length", ctornado=STRICT + "413")
def _(site):
    refused(site, head("/echo", "POST", b"Content-Length: 99999999999\r\n"))


@case(17, "a length and chunks")
def _(site):
    refused(site, head("/echo", "POST", b"Content-Length: 3\r\n"
                       b"Transfer-Encoding: chunked\r\n") + chunked(b"abc"))


UNKNOWN = OLD + "unknown transfer codings are ignored before 6.4.1"


def with_coding(coding):
    return head("/echo", "POST", b"Transfer-Encoding: " + coding + b"\r\n") + chunked(b"abc")


@case(17, "other transfer codings before chunked, and two fields", tornado=UNKNOWN)
def _(site):
    for coding in (b"gzip, chunked", b"chunked\r\nTransfer-Encoding: chunked"):
        refused(site, with_coding(coding))


# The list has 400; 501 is RFC 9112 §6.1.
@case(17, "identity and gzip are 501", tornado=UNKNOWN)
def _(site):
    for coding in (b"identity", b"gzip"):
        refused(site, with_coding(coding), 501)


@case(17, "Chunked in capitals")
def _(site):
    reply = kept(site, head("/echo", "POST", b"Transfer-Encoding: Chunked\r\n")
                 + chunked(b"abc", b"de"), 200)
    same(reply.body, b"abcde", "body")


def chunk(data):
    return head("/echo", "POST", b"Transfer-Encoding: chunked\r\n") + data


@case(18, "chunk sizes that are none", tornado=OLD + "strict digits since 6.3.3")
def _(site):
    for size in (b"0x3", b"1_a", b"+3", b"-3", b" 3", b"g"):
        refused(site, chunk(size + b"\r\nabc\r\n0\r\n\r\n"))


# The list has 400. RFC 9112 §7.1.1 and §7.1.2: extensions MUST be ignored, trailers may be.
@case(18, "extensions and trailers are ignored", tornado="it ends the connection")
def _(site):
    for data in (b"3;a=b\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"):
        same(kept(site, chunk(data), 200).body, b"abc", "body")


@case(18, "a chunk without CRLF behind it")
def _(site):
    with connect(site) as c:
        c.send(chunk(b"3\r\nabcX0\r\n\r\n"))
        try:
            if site.name == "ctornado":  # §32.17: 400 before the end
                same(c.reply().status, 400, "status")
            c.end()
        except Reset:
            pass


def too_large():
    return [head("/echo", "POST", b"Content-Length: 1048577\r\n"),
            chunk(b"100001\r\n")]


@case(19, "a body above max_body_size", ctornado=STRICT + "413")
def _(site):
    for data in too_large():
        refused(site, data)


@case(16, "a huge Content-Length is 413", tornado="400 there")
def _(site):
    refused(site, head("/echo", "POST", b"Content-Length: 99999999999\r\n"), 413)


@case(19, "a body above max_body_size is 413", tornado="400 there")
def _(site):
    for data in too_large():
        refused(site, data, 413)


@case(19, "a limit raised in prepare()")
def _(site):
    body = b"x" * (3 << 20)
    with connect(site) as c:
        c.send(request("/stream?max=4194304", "POST", body=body))
        same(c.reply().json()["total"], 3 << 20, "bytes")
        c.send(head("/stream", "POST", with_length(body)))
        check(c.reply().status in (400, 413), "the limit of the next request")
        c.cut()


@case(20, "body_timeout", ctornado=STRICT + "408, " + BARE)
def _(site):
    dropped(site, head("/echo", "POST", b"Content-Length: 10\r\n") + b"abc", "short")


@case(20, "body_timeout is 408", tornado="a silent end there")
def _(site):
    refused(site, head("/echo", "POST", b"Content-Length: 10\r\n") + b"abc", 408, "short")


@case(21, "idle_connection_timeout")
def _(site):
    def run(step):
        step()
        with connect(site, "short") as c:
            c.send(request("/hello"))
            step()
            same(c.reply().body, b"hello", "body")
            c.end()
    harness.on_time(0.29, run)  # the head has 0.3 s, too


@case(21, "half a head", ctornado=STRICT + "408, " + BARE)
def _(site):
    dropped(site, b"GET /hello HTT", "short")


@case(21, "half a head is 408", tornado="a silent end there")
def _(site):
    refused(site, b"GET /hello HTT", 408, "short")


@case(22, "Expect: 100-continue")
def _(site):
    with connect(site) as c:
        c.send(head("/echo", "POST", b"Expect: 100-continue\r\nContent-Length: 3\r\n"))
        same(c.line()[:13], b"HTTP/1.1 100 ", "the interim reply")
        same(c.line(), b"", "its end")
        c.send(b"abc")
        same(c.reply().body, b"abc", "body")


@case(22, "Expect: 100-continue, refused in prepare()")
def _(site):
    target = "/stream?refuse=1"  # the only handlers that run before their body
    with connect(site) as c:
        c.send(head(target, "POST", b"Expect: 100-continue\r\nContent-Length: 3\r\n"))
        reply = c.reply()
        same(reply.status, 401, "status")
        same(reply.interim, [], "interim replies")


@case(23, "401 from prepare() while the client uploads")
def _(site):
    with connect(site) as c:
        c.send(head("/stream?refuse=1", "POST", b"Content-Length: 1000000\r\n") + b"x" * 1000)
        same(c.reply().status, 401, "status")
        c.cut()


@case(24, "two slashes in front")
def _(site):
    same(ask(site, "//hello").status, 404, "status of //hello")
    same(ask(site, "//doubleslash").body, b"hello", "body of //doubleslash")


@case(25, "GET with a form")
def _(site):
    reply = ask(site, "/args/a?a=1", fields=FORM, body=b"a=2")
    same(reply.json(), {"one": "2", "all": ["1", "2"], "query": ["1"], "body": ["2"]}, "args")
