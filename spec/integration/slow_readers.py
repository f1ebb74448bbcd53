#!/usr/bin/env python3
"""Clients that take a reply, or the messages of a WebSocket, slowly: those below
write_min_rate are cut off, whatever the reply is and over TLS too, and those above it get
all of it. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import pathlib
import re
import select
import ssl
import sys
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, HomeServer, check, same, until

SUITE = harness.Suite()
SIZE = 32 << 20  # more than the kernel takes for a client that reads nothing
SITE = """
local core = require "tornado.core"
local log = require "tornado.log"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

-- Holds the loop up for as many seconds as the query says.
local function stall(handler)
    local over = core.precise() + tonumber(handler:get_query_argument("stall", "0"))
    while core.precise() < over do end
end

local Whole = web.RequestHandler:extend "Whole"

function Whole:compute_etag() end

function Whole:get()
    stall(self)
    self:write(("x"):rep(%(size)d))
end

local Streamed = web.RequestHandler:extend "Streamed"

function Streamed:get()
    self:set_header("Content-Length", "%(size)d")
    for _ = 1, %(size)d / 65536 do
        self:write(("x"):rep(65536))
        self:flush()
    end
end

local Flood = websocket.WebSocketHandler:extend "Flood"

function Flood:open()
    stall(self)
    for _ = 1, %(size)d / 65536 do self:write_message(("x"):rep(65536)) end
end

function Flood:on_close()
    log.app_log:info("it ended with %%d: %%s", self.close_code, self.close_reason)
end

return web.Application({ { "/whole", Whole }, { "/streamed", Streamed }, { "/flood", Flood } },
    { static_path = "%(path)s" })
"""
RATE, WINDOW = 2000, 1
UPGRADE = (b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
FRAMES = SIZE // 65536 * (65536 + 10)  # the same as messages, with their heads
TLS = ("--debug", "--certfile=self-signed")
RECORD = 16384  # of TLS: who reads less takes the rest without asking the socket


class SlowServer(HomeServer):
    """A server that measures its readers every second."""

    def __init__(self, binary, *options):
        super().__init__(binary, f"--write_timeout={WINDOW}", f"--write_min_rate={RATE}",
                         "--log_level=debug", *options)
        (self.home / "app.lua").write_text(SITE % {"size": SIZE, "path": self.home})
        (self.home / "big").write_bytes(b"x" * SIZE)

    def begin(self, path, tls):
        """A client with a tiny receive buffer, whose head has come."""
        c = self.connect(rcvbuf=4096)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            c.socket = context.wrap_socket(c.socket)
        flood = path.startswith("/flood")
        c.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + (UPGRADE if flood else b"") +
               b"\r\n")
        reply = c.head()
        same((reply.status, reply.get("content-length")),
             (101, None) if flood else (200, str(SIZE)), "status, length")
        return c


def add(name, path, *options):
    tls = "--debug" in options

    @SUITE.case(name, "a byte now and then is not enough")
    def _(binary):
        with SlowServer(binary, *options) as server:
            began = time.monotonic()
            c = server.begin(path, tls)
            end, fd = select.poll(), c.socket.fileno()
            end.register(fd, select.POLLERR)
            while not end.poll(100):
                check(time.monotonic() - began < harness.PATIENCE, "reads on and on")
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    os.read(fd, 1)  # below TLS: what it says does not matter
            check(time.monotonic() - began >= WINDOW * 0.9, "too early")
            if path == "/flood":
                server.await_line(r"it ended with 1006: what was sent was taken too slowly")
            else:
                server.await_line(
                    r"127\.0\.0\.1 has taken \d+ bytes in \d\.\d s: it is cut off")
            until(lambda: not connections(server), "the connection to be freed")
            c.close()

    @SUITE.case(name, "nothing is not enough")
    def _(binary):
        with SlowServer(binary, *options) as server, server.begin(path, tls) as c:
            end = select.poll()
            end.register(c.socket.fileno(), select.POLLERR)
            check(end.poll(1000 * harness.PATIENCE), "not cut off")

    @SUITE.case(name, "slow, but fast enough")
    def _(binary):
        harness.on_time(0.8 * WINDOW, lambda step: slowly(binary, step))

    def slowly(binary, step):
        with SlowServer(binary, *options) as server:
            step()
            c = server.begin(path, tls)
            began, got = time.monotonic(), len(c.buffer)
            while time.monotonic() - began < 4 * WINDOW:
                got += len(received(c, RECORD if tls else 4096))
                time.sleep(0.2)  # 20,000 bytes a second, or 80,000
                step()
            check(got < 1 << 20, f"{got} bytes: not slow")
            size = FRAMES if path == "/flood" else SIZE
            while got < size:
                piece = received(c, 1 << 18)
                check(piece, f"cut off after {got} bytes")
                got += len(piece)
                step()
            same(got, size, "bytes")
            check(not re.search("cut off|it ended", server.log()), server.log())
            c.close()


def received(c, most):
    """What comes next, of which a connection that is cut off has nothing."""
    try:
        return c.socket.recv(most)
    except ConnectionResetError:
        return b""


def connections(server):
    """How many sockets the server has besides those it listens on."""
    fds = pathlib.Path(f"/proc/{server.process.pid}/fd")
    links = []
    for fd in fds.iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed just now
            links.append(os.readlink(fd))
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = pathlib.Path("/proc/net/tcp").read_text().split("\n")[1:]
    return sum(row.split()[9] in inodes and row.split()[3] != "0A" for row in rows if row)


def replies():
    add("whole", "/whole")
    add("streamed", "/streamed")
    add("file", "/static/big")
    add("WebSocket", "/flood")
    add("TLS, WebSocket", "/flood", *TLS)
    add("TLS, whole", "/whole", *TLS)
    add("TLS, file", "/static/big", *TLS)

    for path in ("/whole", "/flood"):
        @SUITE.case("stalls", f"the loop's are not the reader's: {path}")
        def _(binary, path=path):
            long = 1.5 * WINDOW
            with SlowServer(binary, "--write_min_rate=1M", "--stall_warning=0") as server:
                other = server.begin(path, False)  # whose time is over meanwhile
                began = time.monotonic()
                with other, server.begin(f"{path}?stall={long}", False) as c:
                    end = select.poll()
                    end.register(c.socket.fileno(), select.POLLERR)
                    check(end.poll(1000 * harness.PATIENCE), "not cut off")
                spent = time.monotonic() - began
                check(spent >= long + 0.9 * WINDOW, f"cut off after {spent - long:.2f} s")

    def steady(binary, rate):
        """A client that takes 20,000 bytes a second for four windows; how many bytes
        it got until it was cut off, or None."""
        with SlowServer(binary, f"--write_min_rate={rate}") as server, \
                server.begin("/whole", False) as c:
            began, got = time.monotonic(), 0
            while time.monotonic() - began < 4 * WINDOW:
                if not (piece := received(c, 4096)):
                    return got
                got += len(piece)
                time.sleep(0.2)
            return None

    @SUITE.case("the rate", "is the option's, and 0 is none")
    def _(binary):
        check(steady(binary, "1M") is not None, "not cut off below 1 MiB a second")
        same(steady(binary, "0"), None, "bytes until it was cut off without a rate")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (replies,), __doc__)
