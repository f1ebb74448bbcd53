"""Checks 73 to 76: streams and waits."""
# SPDX-License-Identifier: Apache-2.0
import time

from common import *  # noqa: F403, the vocabulary of checks

LETTERS = b"abcdefghijklmnopqrstuvwxyz"


@case(73, "a streamed body")
def _(site):
    got = ask(site, "/stream", "POST", body=LETTERS).json()
    same((got["seen"][0], "".join(got["seen"][1:])), ("prepare", LETTERS.decode()), "calls")
    got = ask(site, "/stream", "POST", body=b"x" * 900000).json()
    same(got["total"], 900000, "bytes, one call at a time")


@case(73, "prepare() comes before the body, each piece as it comes")
def _(site):
    with connect(site) as c:
        c.send(head("/stream", "POST", b"Expect: 100-continue\r\nContent-Length: 26\r\n"))
        same(c.line()[:12], b"HTTP/1.1 100", "the interim reply")
        c.line()
        c.send(LETTERS)
        same(c.reply().json()["seen"], ["prepare", LETTERS.decode()], "calls")


@case(73, "chunk_size 10: three calls", ctornado="pieces are as they come from the socket: "
      "no chunk_size")
def _(site):
    got = ask(site, "/stream", "POST", body=LETTERS, on="pieces").json()["seen"]
    same(got, ["prepare", "abcdefghij", "klmnopqrst", "uvwxyz"], "calls")


@case(74, "a client that leaves")
def _(site):
    before = ask(site, "/counts").json()
    with connect(site) as c:
        c.send(request("/leave"))
        harness.until(lambda: ask(site, "/counts").json()["waiting"] > before["waiting"],
                      "the handler to begin")
    harness.until(lambda: ask(site, "/counts").json()["gone"] > before["gone"],
                  "on_connection_close()")
    time.sleep(0.1)  # for a second call, which must not come
    same(ask(site, "/counts").json()["gone"], before["gone"] + 1, "calls")


@case(75, "a handler that waits holds up nobody")
def _(site):
    def wait(step):
        with connect(site) as c:
            begun = time.monotonic()
            step()
            c.send(request("/wait"))
            same(ask(site, "/hello").body, b"hello", "another's body")
            quiet = c.quiet()
            step()
            check(quiet, "the waiting one came first")
            same(c.reply().body, b"waited", "body")
            check(time.monotonic() - begun > 0.2, "it did not wait")
    harness.on_time(0.29, wait)


@case(76, "HTTP/1.0 keep-alive without a length", tornado="§32.3: it keeps the connection, "
      "and the client cannot see the end")
def _(site):
    with connect(site) as c:
        c.send(request("/flush", version="HTTP/1.0", fields=b"Connection: keep-alive\r\n"))
        reply = c.reply()
        same((reply.framing, reply.body), ("end", b"piece1piece2piece3"), "reply")
        check((reply.get("connection") or "close").lower() == "close", "Connection")


@case(76, "HTTPError(204)", tornado="§32.1: no reply ever comes")
def _(site):
    same(kept(site, request("/raise?status=204"), 204).body, b"", "body")
