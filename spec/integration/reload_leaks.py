#!/usr/bin/env python3
"""What a generation leaves behind when it has ended: nothing. Two workers are reloaded under
event streams, WebSockets, calls on threads and requests to others that come and go; at the end
each has the descriptors that it had when it was at rest before. RELOADS in the environment says
how often; CT_TIMES=1 prints what was measured.
"""
# SPDX-License-Identifier: Apache-2.0
import collections
import contextlib
import os
import pathlib
import random
import re
import sys
import tempfile

sys.dont_write_bytecode = True
from clusters import Pair, ask_status
from harness import (GONE, HOST, Connection, Tally, arguments, binaries, finish, is_asan, same,
                     until)

RELOADS = int(os.environ.get("RELOADS", 12))
ROUNDS, STREAMS, SOCKETS = 3, 40, 10
SITE = """
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local ioloop = require "tornado.ioloop"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local Stream = web.RequestHandler:extend "Stream"
function Stream:get(topic)
    local stream = self:event_stream { heartbeat = false }
    pubsub.subscribe(topic, stream, { since = stream.last_event_id, name = "n" .. math.random(9) })
end

local Socket = websocket.WebSocketHandler:extend "Socket"
function Socket:open() pubsub.subscribe("a", self) end
function Socket:on_message() end

local Publish = web.RequestHandler:extend "Publish"
function Publish:get(topic)
    pubsub.publish(topic, "hello")
    ioloop.run_in_executor("tornado.escape", "url_escape", "a b")
    self:write "published"
end

local Fetch = web.RequestHandler:extend "Fetch"
function Fetch:get()
    local url = "http://" .. self.request.host .. "/slow"
    self:write(httpclient.AsyncHTTPClient():fetch(url).body)
end

local Slow = web.RequestHandler:extend "Slow"
function Slow:get()
    gen.sleep(0.05)
    self:write "slow"
end

local Main = web.RequestHandler:extend "Main"
function Main:get()
    collectgarbage()
    self:write(tostring(core.worker()))
end

return web.Application { { "/stream/(.)", Stream }, { "/publish/(.)", Publish }, { "/", Main },
    { "/socket", Socket }, { "/fetch", Fetch }, { "/slow", Slow } }
"""


def kinds_of(pid):
    """How many descriptors of each kind a process has; connections that end may be left."""
    counts = collections.Counter()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(*GONE):
            counts[re.sub(r"[0-9]+", "N", os.readlink(fd))] += 1
    return counts


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def figures(server, what):
    if os.environ.get("CT_TIMES"):
        each = (f"{resident(pid)} KiB, {sum(kinds_of(pid).values())} descriptors"
                for pid in server.pids())
        print(f"{what}: {'; '.join(each)}", flush=True)


def stream(server):
    c = Connection(server.port)
    c.send(f"GET /stream/{random.choice('ab')} HTTP/1.0\r\n".encode() + HOST + b"\r\n")
    same(c.head().status, 200, "status")
    return c


def websocket(server):
    c = Connection(server.port)
    c.send(b"GET /socket HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    same(c.head().status, 101, "status")
    return c


def fetch(server):
    """One whose answer another request has to bring; nobody waits for it yet."""
    c = Connection(server.port)
    c.send(f"GET /fetch HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    return c


def go_on(server, clients, n):
    """Some leave, others come, and so do messages."""
    random.shuffle(clients)
    for c in clients[:8]:
        c.close()
    waiting = [fetch(server) for _ in range(2)]
    clients[:8] = [stream(server) for _ in range(6)] + [websocket(server) for _ in range(2)]
    for topic in "ab":
        same(server.get(f"/publish/{topic}").body, b"published", f"reply {n}")
    for c in waiting:
        same(c.reply().body, b"slow", "what was fetched")
        c.close()


def once(server, ended):
    """Reloads with clients on the generations, which then leave, all at once."""
    clients = [stream(server) for _ in range(STREAMS)]
    clients += [websocket(server) for _ in range(SOCKETS)]
    for n in range(RELOADS):
        server.reload()
        go_on(server, clients, n)
    for c in clients:
        c.close()
    server.reload()  # to one that has done nothing yet
    until(lambda: server.log().count("has ended") == ended, "all generations but one to end")


def at_rest(server, before):
    def look():
        return [kinds_of(pid) for pid in server.pids()] == before
    with contextlib.suppress(Exception):
        until(look, "the descriptors", 10)
    for pid, kinds in zip(server.pids(), before):
        same(kinds_of(pid), kinds, f"the descriptors of {pid}")


def run(binary):
    with tempfile.TemporaryDirectory(prefix="ctornado-spec-") as folder:
        pathlib.Path(folder, "app.lua").write_text(SITE)
        with Pair(binary, folder, "--reload-grace=600") as server:
            before = None
            for n in range(ROUNDS):
                once(server, 2 * (RELOADS + 1) * (n + 1))
                figures(server, f"after {(RELOADS + 1) * (n + 1)} reloads")
                if before:
                    at_rest(server, before)
                else:  # what is made when it is first used is there
                    until(lambda: not connections(server), "the end of all connections")
                    until(lambda: len(idle(server)) == 1, "the same each time")
                    before = [kinds_of(pid) for pid in server.pids()]


def connections(server):
    workers = ask_status(f"{server.run.name}/control")["workers"]
    return sum(worker["connections"] for worker in workers)


def idle(server, times=20):
    """What the workers have, looked at again and again."""
    return {str([kinds_of(pid) for pid in server.pids()]) for _ in range(times)}


def main():
    options = arguments(__doc__).parse_args()
    tally = Tally()
    for binary in binaries(asan=False):
        name = f"{'asan' if is_asan(binary) else 'normal'}: {ROUNDS} times {RELOADS + 1} reloads"
        if options.only in name:
            tally.run(name, run, binary)
    finish(tally)


if __name__ == "__main__":
    main()
