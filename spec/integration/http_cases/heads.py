"""What heads say: fields, request lines, methods, hosts; and the limits of all."""
# SPDX-License-Identifier: Apache-2.0
import select

from asking import (CHUNKED, MEGABYTE, SUITE, case, chunked, get, head, judge, length, post,
                    refuse, serve)
from harness import HOST, LAST, check, same

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
