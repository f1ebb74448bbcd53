"""Checks 46 to 58: cookies, XSRF, ETags, codings, forms."""
# SPDX-License-Identifier: Apache-2.0
import calendar
import gzip
import re
import time
import urllib.parse
import zlib

from common import *  # noqa: F403, the vocabulary of checks


@case(46, "cookies that are set")
def _(site):
    got = ask(site, "/setcookies").all("set-cookie")
    same(sorted(got)[:2], ["a=2; Path=/", r'b="q\"x\073y"; Path=/'], "Set-Cookie")
    same(len(got), 3, "fields")


@case(47, "clear_cookie()")
def _(site):
    got = [c for c in ask(site, "/setcookies").all("set-cookie") if c.startswith("z=")]
    found = re.fullmatch(r'z=""; expires=(.*) GMT; Path=/p', got[0])
    check(found, got)
    at = calendar.timegm(time.strptime(found.group(1), "%a, %d %b %Y %H:%M:%S"))
    age = time.time() - at
    check(364 * 86400 < age < 367 * 86400, "expires", age, "seconds ago")


def cookies(site, header):
    field = b"Cookie: " + header.encode() + b"\r\n"
    return ask(site, "/cookies", fields=field).json()["cookies"]


@case(48, "cookies that come")
def _(site):
    got = cookies(site, r'a=1; b="x\073y"; =v; novalue; a=2; c[]=1; d = e')
    same(got, {"a": "2", "b": "x;y", "d": "e"}, "cookies")
    same(cookies(site, 'foo="a;b"')["foo"], '"a', "quotes do not hide a semicolon")
    same(cookies(site, "/=exception; a=1"), {"a": "1"}, "a name that is none")


def bad_cookie(site, **parts):
    query = "&".join(f"{name}={text.encode().hex()}" for name, text in parts.items())
    reply = ask(site, "/cookie?" + query)
    same(reply.status, 500, f"status for {parts}")
    no_field(reply, "set-cookie")


@case(49, "set_cookie() refuses control characters in name and value")
def _(site):
    for bad in "\r\n", "\n", "\x01", "\0":
        bad_cookie(site, name="n" + bad + "x")
        bad_cookie(site, value="v" + bad + "x")
    bad_cookie(site, name="n x")
    bad_cookie(site, name="n;x")


@case(49, "set_cookie() refuses them in attributes", tornado=OLD + "checked since 6.5.5")
def _(site):
    for part in ("domain", "path", "samesite"):
        for bad in "\r\n", "\n", "\x01", ";", "\x7f":
            bad_cookie(site, **{part: "a" + bad + "b"})


def unsign(site, name, value):
    field = f"Cookie: {name}={value}\r\n".encode()
    return ask(site, "/unsign?name=" + name, fields=field).body


@case(50, "signed cookies")
def _(site):
    for version in (1, 2):
        cookie = ask(site, f"/sign?version={version}").get("set-cookie").split(";")[0]
        value = cookie[len("key="):].strip('"')
        same(unsign(site, "key", value), b"a value", "what was signed")
        for at in range(0, len(value), 3):
            changed = value[:at] + ("B" if value[at] == "A" else "A") + value[at + 1:]
            same(unsign(site, "key", changed), b"nil", changed)
        for bad in (value[:-1], value + "0", value.replace("3:key", "4:key")):
            if bad != value:
                same(unsign(site, "key", bad), b"nil", bad)
        same(unsign(site, "kez", value), b"nil", "another name")


GOLDEN = ("dmFsdWU=|1300000000|31c934969f53e48164c50768b40cbd7e2daaaa4f",
          "2|1:0|10:1300000000|3:key|8:dmFsdWU=|"
          "3d4e60b996ff9c5d5788e333a0cba6f238a22c6c0f94788870e1a9ecd482e152")


@case(50, "golden strings")
def _(site):
    for value in GOLDEN:
        got = ask(site, "/golden?value=" + urllib.parse.quote(value)).body
        same(got, b"value", value)


def post_form(site, cookie=None, token=None, fields=b"", target="/form"):
    if cookie is not None:
        fields += f"Cookie: _xsrf={cookie}\r\n".encode()
    body = b"" if token is None else b"_xsrf=" + urllib.parse.quote(token).encode()
    return ask(site, target, "POST", FORM + fields, body, on="xsrf").status


@case(51, "XSRF: what is refused and what is not")
def _(site):
    same(post_form(site), 403, "POST without a token")
    for token in ("deadbeef", "xoxo"):
        same(post_form(site, token, token), 200, token)
        for name in (b"X-CSRFToken", b"X-XSRFToken"):
            field = name + b": " + token.encode() + b"\r\n"
            same(post_form(site, token, fields=field), 200, name)
    same(post_form(site, "deadbeef", "deadbeee"), 403, "another token")
    same(post_form(site, "deadbeef", "3|"), 403, "3|")
    same(post_form(site, "deadbeef", fields=b"X-Requested-With: XMLHttpRequest\r\n"), 403, "XHR")
    same(ask(site, "/form", "OPTIONS", on="xsrf").status, 200, "OPTIONS")
    same(post_form(site, target="/nowhere"), 404, "POST to nowhere")


@case(51, "XSRF: tokens")
def _(site):
    replies = [ask(site, "/form", on="xsrf") for _ in "12"]
    tokens = [r.body.decode() for r in replies]
    check(tokens[0] != tokens[1], "the same token twice")
    cookie = replies[0].get("set-cookie").split(";")[0][len("_xsrf="):].strip('"')
    same(post_form(site, cookie, tokens[0]), 200, "a form with its cookie")
    same(post_form(site, cookie, tokens[1]), 403, "another's form")
    raw = "d48758d8d6954315e6292722a444698c"
    masked = "2|fda9ca0d|292e92d52b3c89181b80ed2f59eda381|1795300537"
    same(post_form(site, raw, masked), 200, "a v1 cookie, a v2 argument")


@case(52, "If-None-Match")
def _(site):
    etag = ask(site, "/hello").get("etag")
    for value, status in ((etag, 304), ("W/" + etag, 304), (f'"x", {etag}', 304), ("*", 304),
                          (etag.strip('"'), 200), ("garbage", 200), ('"x"', 200)):
        field = f"If-None-Match: {value}\r\n".encode()
        reply = kept(site, request("/hello", fields=field), status)
        same(reply.get("etag"), etag, f"Etag for {value}")
        same(ask(site, "/hello", "POST", field, b"").status, 200, "POST")


def sized(site, size, query="", fields=b""):
    return ask(site, f"/sized/{size}{query}",
               fields=b"Accept-Encoding: gzip\r\n" + fields, on="compress")


@case(53, "what is compressed")
def _(site):
    reply = sized(site, 1023)
    same((reply.get("content-encoding"), reply.body), (None, b"x" * 1023), "1023 bytes")
    same(reply.get("vary"), "Accept-Encoding", "Vary of what is not compressed")
    reply = sized(site, 1024)
    same(reply.get("content-encoding"), "gzip", "Content-Encoding of 1024 bytes")
    same((reply.framing, gzip.decompress(reply.body)), ("length", b"x" * 1024), "1024 bytes")
    same(sized(site, 2000, "?type=image/png").get("content-encoding"), None, "image/png")
    same(sized(site, 2000, "?type=image/svg%2Bxml").get("content-encoding"), "gzip", "SVG")
    got = [part.strip() for value in sized(site, 1024, "?vary=AB").all("vary")
           for part in value.split(",")]
    same(got, ["A", "B", "Accept-Encoding"], "Vary")


@case(54, "flush() of a compressed reply")
def _(site):
    with connect(site, "compress") as c:
        c.send(request("/flush", fields=b"Accept-Encoding: gzip\r\n"))
        reply = c.head()
        same(reply.get("transfer-encoding"), "chunked", "Transfer-Encoding")
        same(reply.get("content-encoding"), "gzip", "Content-Encoding")
        decoder = zlib.decompressobj(31)
        for piece in (b"piece1", b"piece2", b"piece3"):
            data = c.exactly(int(c.line(), 16))
            same(decoder.decompress(data), piece, "what a flush sent")
            same(c.line(), b"", "the line behind a chunk")
        decoder.decompress(c.chunks())
        check(decoder.eof, "the gzip body is cut off")


GZIP = b"Content-Encoding: GZIP\r\n"


@case(55, "decompress_request")
def _(site):
    reply = ask(site, "/args/a", "POST", FORM + GZIP, gzip.compress(b"a=1"), on="compress")
    same(reply.json()["body"], ["1"], "body argument")


@case(55, "decompress_request: the limit is on what comes out",
      tornado=OLD + "it counts the compressed bytes before 6.5.6")
def _(site):
    bomb = gzip.compress(b"x" * (2 << 20))
    same(status_of(site, request("/echo", "POST", GZIP, bomb), "compress"), 400, "status")


# Since 6.5.0; Debian's security update of 6.2 has it. So it is with malformed forms.
@case(55, "an encoded form without decompress_request")
def _(site):
    reply = ask(site, "/args/a?a=0", "POST", FORM + GZIP, gzip.compress(b"a=1"))
    same(reply.status, 400, "status")


def seen_behind(site, fields, on="proxied"):
    got = ask(site, "/who", fields=fields, on=on).json()
    return got["ip"], got["protocol"]


@case(56, "xheaders: the address")
def _(site):
    for fields, ip in (
            (b"X-Real-Ip: 4.4.4.4\r\nX-Forwarded-For: 1.1.1.1\r\n", "4.4.4.4"),
            (b"X-Forwarded-For: 1.1.1.1, 4.4.4.4, 5.5.5.5\r\n", "4.4.4.4"),
            (b"X-Forwarded-For: 127.0.0.1, 4.4.4.4\r\n", "4.4.4.4"),
            (b"X-Forwarded-For: 5.5.5.5\r\n", "5.5.5.5"),
            (b"X-Real-Ip: 2620:0:1cfe:face:b00c::3\r\n", "2620:0:1cfe:face:b00c::3"),
            (b"X-Real-Ip: 4.4.4.4<script>\r\n", "127.0.0.1"),
            (b"X-Real-Ip: www.google.com\r\n", "127.0.0.1"),
            (b"", "127.0.0.1")):
        same(seen_behind(site, fields), (ip, "http"), fields)


@case(56, "xheaders: the scheme")
def _(site):
    for fields, scheme in (
            (b"X-Scheme: https\r\n", "https"),
            (b"X-Forwarded-Proto: https\r\n", "https"),
            (b"X-Forwarded-Proto: https , http\r\n", "http"),
            (b"X-Forwarded-Proto: http , https\r\n", "https"),
            (b"X-Forwarded-Proto: ftp\r\n", "http")):
        same(seen_behind(site, fields), ("127.0.0.1", scheme), fields)


@case(56, "xheaders are of one request, and off unless they are asked for")
def _(site):
    fields = b"X-Real-Ip: 4.4.4.4\r\nX-Scheme: https\r\n"
    with connect(site, "proxied") as c:
        c.send(request("/who", fields=fields))
        same(c.reply().json(), {"ip": "4.4.4.4", "protocol": "https"}, "the first")
        c.send(request("/who"))
        same(c.reply().json(), {"ip": "127.0.0.1", "protocol": "http"}, "the second")
    same(seen_behind(site, fields, on="main"), ("127.0.0.1", "http"), "without the option")


# -- Multipart --------------------------------------------------------------------------

PART = b'Content-Disposition: form-data; name="%s"\r\n\r\n%s'
FILE = b'Content-Disposition: form-data; name="f"; filename=%s\r\nContent-Type: a/b\r\n\r\n%s'


def form_of(*parts, begin=b"", end=b"--B--\r\n"):
    return begin + b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + end


def upload(site, body, kind=b"multipart/form-data; boundary=B"):
    return ask(site, "/upload", "POST", b"Content-Type: " + kind + b"\r\n", body)


def bad_form(site, body, **rest):
    same(upload(site, body, **rest).status, 400, f"status for {body[:80]!r} {rest}")


@case(57, "a file and a field")
def _(site):
    form = form_of(FILE % (b'"n.txt"', b"\x00\r\n\xff"), PART % (b"a", b"1"))
    for boundary in (b"B", b'"B"'):
        got = upload(site, form, b"multipart/form-data; boundary=" + boundary).json()
        same(got["files"], {"f": [["n.txt", "a/b", "000d0aff"]]}, "files")
        same(got["arguments"], {"a": ["1"]}, "arguments")


@case(57, "malformed forms")
def _(site):
    good = PART % (b"a", b"1")
    bad_form(site, form_of(good), kind=b"multipart/form-data")
    bad_form(site, form_of(good, end=b""))
    bad_form(site, form_of(good.replace(b"form-data", b"attachment")))
    bad_form(site, form_of(good.replace(b'; name="a"', b"")))
    bad_form(site, b"--B\r\n" + good + b"--B--\r\n")
    bad_form(site, form_of(good, begin=b"preamble"))
    same_page(upload(site, form_of(good, end=b"")), 400, "400: Bad Request")


@case(57, "multipart/form-dataX", tornado=OLD + "any type that begins so is a form")
def _(site):
    bad_form(site, form_of(PART % (b"a", b"1")), kind=b"multipart/form-dataX; boundary=B")


@case(58, "how many parts", tornado=OLD + "there is no limit before 6.5.5")
def _(site):
    parts = [PART % (b"a%d" % i, b"1") for i in range(100)]
    same(len(upload(site, form_of(*parts[:99])).json()["arguments"]), 99, "arguments")
    bad_form(site, form_of(*parts))


@case(58, "a part's fields", tornado=OLD + "limits and CR are checked since 6.5.5")
def _(site):
    bad_form(site, form_of(b"X: " + b"x" * 10240 + b"\r\n" + PART % (b"a", b"1")))
    bad_form(site, form_of(FILE % (b'"a\rb"', b"1")))


@case(58, "filenames")
def _(site):
    got = upload(site, form_of(FILE % (b'""', b"1"))).json()
    same((got["arguments"], got["files"]), ({"f": ["1"]}, {}), "an empty filename")
    got = upload(site, form_of(FILE % (b'"x"; filename*=UTF-8\'\'%C3%A9.txt', b"1"))).json()
    same(got["files"]["f"][0][0], "é.txt", "filename*")


def filename(site, sent):
    got = upload(site, form_of(FILE % (b'"%s"' % sent, b"1"))).json()
    return got["files"]["f"][0][0]


@case(58, "characters of filenames")
def _(site):
    for sent, name in ((b"a;b.txt", "a;b.txt"), (rb"a\"b.txt", 'a"b.txt'),
                       (rb"a\\b.txt", r"a\b.txt"), (b"a b.txt", "a b.txt"),
                       (b"a\tb.txt", "a\tb.txt")):
        same(filename(site, sent), name, "filename")


@case(58, "a filename without folders", tornado="the filename is as the client sent it")
def _(site):
    for sent in (b"../b.txt", b"/etc/b.txt", rb"C:\\b.txt"):
        same(filename(site, sent), "b.txt", "filename")
