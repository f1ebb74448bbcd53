#!/usr/bin/python3
"""Signed cookies and XSRF tokens, exchanged with Python's Tornado: what one of the
two makes, the other must take, over HTTP and with the headers that each of them
sends. Starts ctornado itself, with the site in interchange/; Tornado runs in this
process, in a thread. The interpreter is Debian's, whose Tornado it is.
"""
# SPDX-License-Identifier: Apache-2.0
import http.client
import json
import logging
import re
import sys
import time
import urllib.parse

import tornado.web

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import Server, check, same
from tornado_thread import TornadoThread

SITE = harness.ROOT / "spec/integration/interchange"
SECRET = "It's a secret to everybody"
KEYS = {0: "the first key", 3: "the new key"}
VALUES = {
    "ASCII": b"value", "nothing": b"", "bytes": bytes(range(256)), "a bar": b"a|b|c",
    "one byte": b"\xe9", "digits": b"1234", "a long one": b"x" * 2000,
}
SUITE = harness.Suite()


# -- Tornado's side: the same site --------------------------------------------------


class Sign(tornado.web.RequestHandler):
    def get(self):
        self.set_secure_cookie(
            self.get_argument("name"), bytes.fromhex(self.get_argument("value")),
            version=int(self.get_argument("version")))


class Read(tornado.web.RequestHandler):
    def get(self):
        name = self.get_argument("name")
        value = self.get_secure_cookie(
            name, min_version=int(self.get_argument("min_version", "1")))
        found = {"value": None if value is None else value.hex(),
                 "key_version": self.get_secure_cookie_key_version(name)}
        self.write({key: v for key, v in found.items() if v is not None})


class Form(tornado.web.RequestHandler):
    def get(self):
        self.write(self.xsrf_form_html())

    def post(self):
        self.write("ok")


class Tornado(TornadoThread):
    """Tornado's applications on a free port each."""

    def listen(self):
        rules = [("/sign", Sign), ("/read", Read), ("/form", Form)]
        settings = {
            "": {"cookie_secret": SECRET, "xsrf_cookies": True},
            "keys": {"cookie_secret": KEYS, "key_version": 3},
            "1": {"xsrf_cookies": True, "xsrf_cookie_version": 1},
        }
        for name, values in settings.items():
            yield name, tornado.web.Application(rules, **values).listen(0, "127.0.0.1")

    def url(self, path):
        """The port and path that stand for a path of ctornado's site."""
        if path.startswith("/keys"):
            return self.ports["keys"], path[len("/keys"):]
        if path == "/form1":
            return self.ports["1"], "/form"
        return self.ports[""], path


class Ctornado:
    def __init__(self, server):
        self.server = server

    def url(self, path):
        return self.server.port, path


def ask(side, path, query=None, cookie=None, body=None, headers=()):
    """One request; returns status, body, and the name and value of its cookie as a
    browser would send them back."""
    port, path = side.url(path)
    if query:
        path += "?" + urllib.parse.urlencode(query)
    fields = dict(headers)
    if cookie:
        fields["Cookie"] = cookie
    if body is not None:
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.PATIENCE)
    try:
        connection.request("GET" if body is None else "POST", path, body, fields)
        reply = connection.getresponse()
        given = reply.getheader("Set-Cookie")
        return reply.status, reply.read().decode(), given and given.split("; ")[0]
    finally:
        connection.close()


# -- Signed cookies -----------------------------------------------------------------


def sign(side, value, version, prefix="", name="key"):
    status, _, cookie = ask(side, prefix + "/sign", {
        "name": name, "value": value.hex(), "version": version})
    same(status, 200, "status of /sign")
    return cookie


def read(side, cookie, prefix="", name="key", **query):
    status, body, _ = ask(side, prefix + "/read", {"name": name, **query}, cookie)
    same(status, 200, "status of /read")
    return json.loads(body)


def signed(maker, reader, prefix):
    """Cases of what `maker` signs and `reader` reads."""
    for version in (1, 2):
        if version == 1 and prefix:
            continue  # several secrets need version 2
        key = {1: {}, 2: {"key_version": 3 if prefix else 0}}[version]
        for what, value in VALUES.items():
            def good(sides, value=value, version=version, key=key):
                cookie = sign(sides[maker], value, version, prefix)
                same(read(sides[reader], cookie, prefix), {"value": value.hex(), **key},
                     f"what {cookie} is read as")
            yield f"v{version}{prefix}: {what}", good

        def bad(sides, version=version):
            cookie = sign(sides[maker], b"value", version, prefix)
            # Tornado has an assertion, and so a 500, for v1 and several secrets.
            first = cookie.index("|") + 1 if prefix and reader == "Tornado" else len("key=")
            for at in range(first, len(cookie)):
                if cookie[at] in '"':
                    continue
                other = "A" if cookie[at] != "A" else "B"
                changed = cookie[:at] + other + cookie[at + 1:]
                check("value" not in read(sides[reader], changed, prefix),
                      f"{changed} was taken")
            renamed = cookie.replace("key=", "kez=", 1)
            check("value" not in read(sides[reader], renamed, prefix, name="kez"),
                  f"{renamed} was taken")
        yield f"v{version}{prefix}: changed", bad

    def old(sides):
        cookie = sign(sides[maker], b"value", 1)
        same(read(sides[reader], cookie, min_version=2), {}, "v1 with min_version=2")
    if not prefix:
        yield "v1: refused with min_version=2", old


def byte_for_byte(sides):
    """Both sign the same to the same bytes (within the same second)."""
    for version in (1, 2):
        for value in VALUES.values():
            for _ in range(10):
                ours, theirs = (sign(sides[s], value, version) for s in
                                ("ctornado", "Tornado"))
                if ours == theirs:
                    break
                time.sleep(0.05)
            same(ours, theirs, f"v{version} of {value[:20]!r}")


# -- XSRF -----------------------------------------------------------------------------


def form(side, path, cookie=None):
    """The form's token and the cookie that came with it, or the one that was sent."""
    status, body, given = ask(side, path, cookie=cookie)
    same(status, 200, f"status of {path}")
    found = re.fullmatch(r'<input type="hidden" name="_xsrf" value="([^"]+)"/>', body)
    check(found, f"unexpected form {body!r}")
    check(not (cookie and given), f"a cookie for one that has one: {given}")
    return found.group(1), given or cookie


def post(side, cookie, token=None, headers=()):
    body = "" if token is None else urllib.parse.urlencode({"_xsrf": token})
    return ask(side, "/form", cookie=cookie, body=body, headers=headers)[0]


def tokens(maker, taker):
    """Cases of a cookie that `maker` sets, and of both sides' forms for it."""
    for path, pattern in (("/form", r"2\|[0-9a-f]{8}\|[0-9a-f]{32}\|\d+"),
                          ("/form1", "[0-9a-f]{32}")):
        def exchange(sides, path=path, pattern=pattern):
            token, cookie = form(sides[maker], path)
            check(re.fullmatch(pattern, token), f"unexpected token {token}")
            again, _ = form(sides[taker], "/form", cookie)
            check(again != token, "the mask is the same")
            for sent in (token, again):
                same(post(sides[taker], cookie, sent), 200, f"POST of {sent} with {cookie}")
                same(post(sides[maker], cookie, sent), 200, f"POST of {sent} with {cookie}")
                for name in ("X-XSRFToken", "X-CSRFToken"):
                    same(post(sides[taker], cookie, headers={name: sent}), 200, name)
            # And the token of the one as the cookie of the other.
            same(post(sides[taker], f"_xsrf={again}", token), 200, "a form's token as cookie")
            same(again.split("|")[-1] == token.split("|")[-1], path == "/form",
                 "the time stays")
        yield f"v{1 if path == '/form1' else 2} tokens", exchange

    def refuse(sides):
        token, cookie = form(sides[maker], "/form")
        other, _ = form(sides[maker], "/form")
        same(post(sides[taker], cookie), 403, "POST without a token")
        same(post(sides[taker], cookie, other), 403, "POST with another token")
        same(post(sides[taker], None, token), 403, "POST without a cookie")
        for bad in ("3|", "2|", "2|fda9ca0d|292|1", "2|fda9ca|292e92d5|1", "zz"):
            same(post(sides[taker], cookie, bad), 403, f"POST of {bad}")
    yield "refused", refuse


def raw(sides):
    golden = "2|fda9ca0d|292e92d52b3c89181b80ed2f59eda381|1795300537"
    for side in sides.values():
        for cookie, token in (("deadbeef", "deadbeef"), ("xoxo", "xoxo"),
                              ("d48758d8d6954315e6292722a444698c", golden),
                              (golden, "d48758d8d6954315e6292722a444698c")):
            same(post(side, f"_xsrf={cookie}", token), 200, f"{token} with {cookie}")


def add_cases():
    for maker, reader in (("ctornado", "Tornado"), ("Tornado", "ctornado")):
        way = f"{maker} to {reader}"
        for prefix in ("", "/keys"):
            for name, case in signed(maker, reader, prefix):
                SUITE.add("signed", f"{way}, {name}", case)
        for name, case in tokens(maker, reader):
            SUITE.add("xsrf", f"{way}, {name}", case)
    SUITE.add("signed", "the same bytes", byte_for_byte)
    SUITE.add("xsrf", "raw and golden tokens", raw)


def main():
    options = harness.arguments(__doc__).parse_args()
    logging.disable(logging.CRITICAL)  # Tornado's warnings of what it refuses
    add_cases()
    tally = harness.Tally()
    chosen = [case for case in SUITE.cases if options.only in case[0]]
    for binary in harness.binaries():
        with Tornado() as theirs, Server(binary, site=SITE) as ours:
            tally.run_all(chosen, {"Tornado": theirs, "ctornado": Ctornado(ours)})
    harness.finish(tally)


if __name__ == "__main__":
    main()
