"""What the checks share: how they are listed, and requests to the byte. A check gets
a site, ctornado's or Tornado's: `ports` has a port for each variant of it."""
# SPDX-License-Identifier: Apache-2.0
import harness
from harness import Connection, Ended, Failure, Reset, check, same

CASES = []    # (number, title, function, {the side where it is not checked: why})

HOST = b"Host: a\r\n"
CLOSE = b"Connection: close\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
PAGE = "<html><title>%(page)s</title><body>%(page)s</body></html>"

# Why a check is not for one of the two. "HEAD" is the Tornado of the list.
OLD = "6.2 is older than the list: "
STRICT = "stricter, as SECURITY.md asks: "
BARE = "an early error has a reply with Connection: close, where Tornado is bare or silent"


def case(number, title, tornado=None, ctornado=None):
    """Decorates a check; `tornado` and `ctornado` say why it is not for that one."""
    why = {side: text for side, text in
           (("Tornado", tornado), ("ctornado", ctornado)) if text}

    def add(function):
        assert all((number, title) != known[:2] for known in CASES), (number, title)
        CASES.append((number, title, function, why))
        return function
    return add


def head(target, method="GET", fields=b"", version="HTTP/1.1", host=HOST):
    return f"{method} {target} {version}\r\n".encode("latin-1") + host + fields + b"\r\n"


def with_length(body):
    return b"Content-Length: %d\r\n" % len(body)


def request(target, method="GET", fields=b"", body=None, **rest):
    if body is None:
        return head(target, method, fields, **rest)
    return head(target, method, fields + with_length(body), **rest) + body


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def connect(site, on="main"):
    return Connection(site.ports[on])


def ask(site, target, method="GET", fields=b"", body=None, on="main", **rest):
    """The reply to one request on a connection of its own."""
    with connect(site, on) as c:
        c.send(request(target, method, fields, body, **rest))
        return c.reply(method)


def status_of(site, data, on="main"):
    with connect(site, on) as c:
        c.send(data)
        return c.reply().status


def refused(site, data, status=400, on="main"):
    """One reply with that status, then the end of the connection; no handler ran."""
    with connect(site, on) as c:
        c.send(data)
        reply = c.reply()
        same(reply.status, status, f"status for {data[:70]!r}")
        c.cut()
        return reply


def dropped(site, data, on="main"):
    """The connection ends without a reply."""
    with connect(site, on) as c:
        c.send(data)
        try:
            same(c.to_end(), b"", f"bytes for {data[:70]!r}")
        except Reset:
            pass


def kept(site, data, status, method="GET"):
    """A reply with that status, and the connection goes on."""
    with connect(site) as c:
        c.send(data)
        reply = c.reply(method)
        same(reply.status, status, f"status for {data[:70]!r}")
        c.send(request("/hello"))
        same(c.reply().body, b"hello", f"the next reply after {data[:70]!r}")
        return reply


def page(text):
    return (PAGE % {"page": text}).encode()


def same_page(reply, status, text):
    same(reply.status, status, "status")
    same(reply.body, page(text), "page")


def no_field(reply, *names):
    for name in names:
        same(reply.all(name), [], f"fields {name}")


__all__ = ["BARE", "CASES", "CLOSE", "FORM", "HOST", "OLD", "STRICT", "Connection",
           "Ended", "Failure", "Reset", "ask", "case", "check", "chunked",
           "connect", "dropped", "harness", "head", "kept", "no_field", "page",
           "refused", "request", "same", "same_page", "status_of", "with_length"]
