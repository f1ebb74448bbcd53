"""Checks 26 to 45: arguments, routes, replies and errors."""
# SPDX-License-Identifier: Apache-2.0
from common import *  # noqa: F403, the vocabulary of checks


def in_hex(text):
    return text.encode("utf-8").hex()


@case(26, "one argument in query and body")
def _(site):
    reply = ask(site, "/args/a?a=1", "POST", FORM, b"a=2")
    same(reply.json(), {"one": "2", "all": ["1", "2"], "query": ["1"], "body": ["2"]}, "args")


@case(27, "the query is decoded")
def _(site):
    query = "?x=%2B+1&y=&z&&q=1"
    for name, value in (("x", "+ 1"), ("y", ""), ("q", "1")):
        same(ask(site, f"/args/{name}{query}").json()["one"], value, name)
    same(ask(site, "/args/a?a=1;b=2").json()["one"], "1;b=2", "a=1;b=2")


@case(28, "400 for what is no UTF-8, or missing")
def _(site):
    for target in ("/args/a?a=%ff", "/path/%ff", "/args/a"):
        same(ask(site, target).status, 400, target)


@case(29, "groups are decoded, the path is not")
def _(site):
    reply = ask(site, "/path/a%2Fb+c%20d")
    same(reply.json()["arg"], "a/b+c d", "argument")
    same(reply.get("x-path"), "/path/a%2Fb+c%20d", "path")


@case(30, "groups: unmatched, named, reversed")
def _(site):
    same(ask(site, "/optional/").body, b"null", "an unmatched group")
    same(ask(site, "/optional/7").body, b"7", "a matched group")
    same(ask(site, "/named/a/b").json(), {"x": "a", "y": "b"}, "named groups")
    same(ask(site, "/reverse").body, b"/n/x%20y/1", "reverse_url()")


@case(31, "an unknown path")
def _(site):
    same_page(ask(site, "/nowhere"), 404, "404: Not Found")
    reply = ask(site, "/nowhere", on="hosts")
    same((reply.status, reply.body), (404, b"not there"), "default_handler_class")


@case(32, "a host pattern")
def _(site):
    same(ask(site, "/host", host=b"Host: EX.com:8080\r\n").body, b"ex.com", "body")
    same(ask(site, "/host", host=b"Host: ex.com.evil.com\r\n").status, 404, "status")


@case(33, "default_host")
def _(site):
    same(ask(site, "/host", on="hosts", host=b"Host: other\r\n").body, b"default", "body")
    reply = ask(site, "/host", on="hosts", host=b"Host: other\r\n",
                fields=b"X-Real-Ip: 1.2.3.4\r\n")
    same(reply.status, 404, "status with X-Real-Ip")


@case(34, "write() of a table")
def _(site):
    reply = ask(site, "/dict")
    same(reply.get("content-type"), "application/json; charset=UTF-8", "Content-Type")
    check(b"<\\/b>" in reply.body and b"</" not in reply.body, reply.body)
    same(ask(site, "/list").status, 500, "status of a list")


PIECES = b"piece1piece2piece3"


@case(35, "flush() three times")
def _(site):
    reply = kept(site, request("/flush"), 200)
    same((reply.framing, reply.body), ("chunked", PIECES), "reply")
    no_field(reply, "content-length", "etag")


@case(35, "flush() for HTTP/1.0")
def _(site):
    reply = ask(site, "/flush", version="HTTP/1.0")
    same((reply.framing, reply.body), ("end", PIECES), "reply")
    no_field(reply, "content-length", "transfer-encoding")


@case(35, "flush() for HEAD")
def _(site):
    with connect(site) as c:
        c.send(request("/flush", "HEAD", CLOSE))
        reply = c.reply("HEAD")
        same(reply.status, 200, "status")
        no_field(reply, "content-length", "transfer-encoding")
        c.end()


@case(36, "204 and 304")
def _(site):
    for status in (204, 304):
        reply = kept(site, request(f"/status/{status}"), status)
        no_field(reply, "content-length", "transfer-encoding", "content-type",
                 "content-language", "content-encoding")
        same(reply.get("x-kept"), "yes", "X-Kept")
    same(ask(site, "/status/204?body=x").status, 500, "204 with a body")


@case(37, "a reason of one's own")
def _(site):
    reply = ask(site, f"/raise?status=404&reason={in_hex('Go')}")
    same(reply.reason, b"Go", "reason")
    same_page(reply, 404, "404: Go")


# Fixed in 6.5.3; Debian's security update of 6.2 has it.
@case(37, "a reason with < or CR LF")
def _(site):
    for reason in ("a<b", "a\r\nX-Injected: 1", "a\rb", "a\nb"):
        reply = ask(site, f"/raise?status=404&reason={in_hex(reason)}")
        same(reply.reason, b"Unknown", f"reason for {reason!r}")
        no_field(reply, "x-injected")


@case(37, "an unknown status")
def _(site):
    reply = ask(site, "/raise?status=682")
    same(reply.reason, b"Unknown", "reason")
    same_page(reply, 682, "682: Unknown")


@case(38, "an uncaught error")
def _(site):
    same_page(ask(site, "/boom"), 500, "500: Internal Server Error")
    reply = ask(site, "/boom", on="debug")
    same(reply.status, 500, "status")
    same(reply.get("content-type").split(";")[0], "text/plain", "Content-Type")
    check(b"the secret of the handler" in reply.body and
          b"traceback" in reply.body.lower(), reply.body)


@case(39, "an error after flush()", ctornado="§32.18: the chunks are cut off, so that the "
      "client sees the fault")
def _(site):
    same(ask(site, "/late").body, b"begun", "body")


@case(39, "an error after flush() cuts the reply", tornado="it ends as if complete, §32.18")
def _(site):
    with connect(site) as c:
        c.send(request("/late"))
        same(c.head().status, 200, "status")
        try:
            rest = c.to_end()
        except Reset:
            return
        check(not rest.endswith(b"0\r\n\r\n"), "the reply looks complete")
        check(b"secret" not in rest, rest)


@case(40, "Finish")
def _(site):
    reply = ask(site, "/finish")
    same((reply.status, reply.body), (401, b"auth"), "reply")


@case(41, "redirects")
def _(site):
    to = in_hex("/x?y=1")
    for query, status in (("", 302), ("&permanent=1", 301)):
        reply = kept(site, request(f"/redirect?to={to}{query}"), status)
        same(reply.get("location"), "/x?y=1", "Location")
        same(reply.get("content-length"), "0", "Content-Length")


@case(41, "a Location with control characters")
def _(site):
    for bad in "\r\n", "\n", "\0":
        reply = ask(site, f"/redirect?to={in_hex('/x' + bad + 'X-Injected: 1')}")
        same(reply.status, 500, f"status for {bad!r}")
        no_field(reply, "x-injected", "location")


@case(42, "a Content-Length that is too small")
def _(site):
    dropped(site, request("/length?announce=3"))


@case(42, "a Content-Length that is too large", ctornado="the length of a whole reply is "
      "known to be wrong before a byte of it is sent")
def _(site):
    with connect(site) as c:
        c.send(request("/length?announce=9"))
        same(c.head().get("content-length"), "9", "Content-Length")
        same(c.to_end(), b"hello", "body")


@case(42, "a Content-Length that is too large: no byte", tornado="it begins the reply")
def _(site):
    dropped(site, request("/length?announce=9"))


@case(43, "authenticated")
def _(site):
    reply = ask(site, "/auth")
    same((reply.status, reply.get("location")), (302, "/login?next=%2Fauth"), "redirect")
    reply = ask(site, "/authabs")
    same(reply.get("location"), "http://example.com/login?next=http%3A%2F%2Fa%2Fauthabs",
         "Location")
    same(ask(site, "/auth", "POST", body=b"").status, 403, "status of POST")


@case(44, "addslash and removeslash")
def _(site):
    for target, location in (("/as?x=1", "/as/?x=1"), ("/rs//", "/rs")):
        reply = ask(site, target)
        same((reply.status, reply.get("location")), (301, location), target)
    same(ask(site, "/as/").body, b"slash", "/as/")
    same(ask(site, "/rs").body, b"no slash", "/rs")
    for target in ("/as", "/rs//"):
        same(ask(site, target, "POST", body=b"").status, 404, f"POST {target}")


@case(45, "RedirectHandler")
def _(site):
    reply = ask(site, "/rh/a/b?c=d&x=2")
    same((reply.status, reply.get("location")), (301, "/b/a?x=1&c=d&x=2"), "redirect")
