#!/usr/bin/env python3
"""Many event streams on one topic, of one process and of two workers: every subscriber
gets every message in order, and readers that never read cost bounded memory and hold
up nobody. SUBSCRIBERS and SLOW in the environment say how many (1000 and 200; 10000
and 1000 take two minutes); CT_TIMES=1 prints what was measured.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import harness
from clusters import Pair
from harness import (PATIENCE, Connection, Server, Suite, Tally, arguments, binaries, check,
                     finish, same, until)

SUBSCRIBERS = int(os.environ.get("SUBSCRIBERS", 1000))
SLOW = int(os.environ.get("SLOW", 200))
MESSAGES, FLOOD, FLOOD_SIZE = 100, 400, 20000
LIMITS = "--max_connections=20000", "--write_timeout=120"
SITE = """
local core = require "tornado.core"
local gen = require "tornado.gen"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"

local Stream = web.RequestHandler:extend "Stream"

function Stream:get()
    local limit = tonumber(self:get_argument("limit", "262144"))
    pubsub.subscribe("topic", self:event_stream { limit = limit })
end

local Publish = web.RequestHandler:extend "Publish"

function Publish:get()
    local text = ("x"):rep(tonumber(self:get_argument "size"))
    local pause = tonumber(self:get_argument("pause", "0.001"))
    local started, longest = core.precise(), 0
    for i = 1, tonumber(self:get_argument "n") do
        local before = core.precise()
        pubsub.publish("topic", i .. text)
        longest = math.max(longest, core.precise() - before)
        gen.sleep(pause)
    end
    self:write { seconds = core.precise() - started, longest = longest }
end

local State = web.RequestHandler:extend "State"

function State:get()
    collectgarbage()
    local history = {}
    for i, message in ipairs(pubsub.history "topic") do history[i] = message:key() end
    self:write { subscribers = pubsub.subscribers "topic",
        history = require("tornado.escape").array(history) }
end

return web.Application { { "/stream", Stream }, { "/publish", Publish }, { "/state", State } }
"""

suite = Suite()
case = suite.case


def rss(server):
    """The server's resident memory, in KiB."""
    return server.status("VmRSS")


def get(server, path):
    with Connection(server.port) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return c.reply().json()


def subscribe(server, n, query="", rcvbuf=None):
    """Opens n streams of HTTP/1.0, whose bodies are not chunked; waits until all are heard."""
    before = get(server, "/state")["subscribers"]
    peers = []
    for _ in range(n):
        s = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.connect(("127.0.0.1", server.port))
        s.send(f"GET /stream{query} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
        s.setblocking(False)
        peers.append(s)
    end = time.monotonic() + PATIENCE
    while get(server, "/state")["subscribers"] != before + n:
        check(time.monotonic() < end, "subscribers are missing")
    return peers


class Reader:
    """Counts the messages of one stream, which must come in order."""

    def __init__(self, sock):
        self.sock, self.next, self.rest = sock, 1, b""

    def read(self):
        data = self.sock.recv(1 << 20)
        check(data, "a stream has ended after message", self.next - 1)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                same(int(line[6:].rstrip(b"x")), self.next, "the next message")
                self.next += 1


def read_all(peers, messages, trigger):
    """Reads until each has got them all; trigger() is called when all is ready."""
    poll, readers = select.epoll(), {}
    for s in peers:
        poll.register(s, select.EPOLLIN)
        readers[s.fileno()] = Reader(s)
    trigger()
    left, end = len(peers), time.monotonic() + 4 * PATIENCE
    while left:
        check(time.monotonic() < end, left, "subscribers did not get all")
        for fd, _ in poll.poll(1):
            reader = readers[fd]
            had = reader.next
            reader.read()
            left -= had <= messages < reader.next
    poll.close()


def begin(server, n, size, pause=0.001):
    """Begins to publish; returns the connection on which the answer comes."""
    c = Connection(server.port)
    c.send(f"GET /publish?n={n}&size={size}&pause={pause} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return c


def report(text):
    if os.environ.get("CT_TIMES"):
        print(text, flush=True)


@case("subscribers", "each gets all messages in order", alone=True)
def all_in_order(server):
    before = rss(server)
    peers = subscribe(server, SUBSCRIBERS)
    idle = rss(server)
    started, publisher = time.monotonic(), []
    read_all(peers, MESSAGES, lambda: publisher.append(begin(server, MESSAGES, 10)))
    took = time.monotonic() - started
    answer = publisher[0].reply().json()
    publisher[0].close()
    report(f"{SUBSCRIBERS} subscribers, {MESSAGES} messages: {took:.2f} s, "
           f"{SUBSCRIBERS * MESSAGES / took:.0f} events/s, longest publish() "
           f"{answer['longest'] * 1000:.1f} ms; idle {(idle - before) / SUBSCRIBERS:.2f} "
           f"KiB each, then {(rss(server) - before) / SUBSCRIBERS:.2f} KiB")
    for s in peers:
        s.close()
    end = time.monotonic() + PATIENCE
    while get(server, "/state")["subscribers"]:
        check(time.monotonic() < end, "subscribers stay when their clients have left")


class Recorder:
    """Keeps what comes on one stream, with the times; looks at it when all has come."""

    def __init__(self, sock):
        self.sock, self.pieces, self.count = sock, [], 0

    def read(self, now):
        data = self.sock.recv(1 << 20)
        check(data, "a stream has ended after", self.count, "messages")
        self.pieces.append((now, data))
        self.count += data.count(b"\n\n")

    def delays(self, messages):
        """Checks the order; yields the seconds between each message's id and its coming."""
        text, number = b"", 0
        for now, data in self.pieces:
            *events, text = (text + data).split(b"\n\n")
            for event in events:
                found = re.fullmatch(rb"id: (\d+)\ndata: (\d+)x*", event)
                if found:
                    number += 1
                    same(int(found[2]), number, "the next message")
                    yield now - int(found[1]) / 1e6
        same(number, messages, "messages")


def record(peers, messages, trigger):
    """Reads until each has got them all; returns all delays, sorted."""
    poll, recorders = select.epoll(), {}
    for s in peers:
        poll.register(s, select.EPOLLIN)
        recorders[s.fileno()] = Recorder(s)
    trigger()
    left, end = len(peers), time.monotonic() + 8 * PATIENCE
    while left:
        check(time.monotonic() < end, left, "subscribers did not get all")
        for fd, _ in poll.poll(1):
            recorder = recorders[fd]
            had = recorder.count
            recorder.read(time.time())
            # What the stream begins with is an empty event, too.
            left -= had <= messages < recorder.count
    poll.close()
    return sorted(d for recorder in recorders.values() for d in recorder.delays(messages))


def used_by(server):
    """Seconds of CPU time of the workers, each."""
    return [harness.cpu_of(pid) for pid in server.pids()]


@case("workers", "each subscriber of two gets all messages in order", alone=True)
def two_workers(other):
    pause = max(0.01, SUBSCRIBERS / 25000)  # that one reader has time for them all
    with Pair(other.binary, other.site, *LIMITS) as server:
        peers = subscribe(server, SUBSCRIBERS)
        before, publisher = used_by(server), []
        delays = record(peers, MESSAGES, lambda: publisher.append(
            begin(server, MESSAGES, 10, pause)))
        used = [now - then for now, then in zip(used_by(server), before)]
        publisher[0].reply()
        publisher[0].close()
        report(f"{SUBSCRIBERS} subscribers of two workers, {MESSAGES} messages, one in "
               f"{pause * 1000:.0f} ms: CPU {used[0]:.2f} and {used[1]:.2f} s, "
               f"{sum(used) / len(delays) * 1e6:.1f} us an event; delay in ms: median "
               f"{delays[len(delays) // 2] * 1000:.1f}, p99 "
               f"{delays[len(delays) * 99 // 100] * 1000:.1f}, longest {delays[-1] * 1000:.1f}")
        check(all(used), "one of the workers has had nothing to do")
        for s in peers:
            s.close()
        until(lambda: get(server, "/state")["subscribers"] == 0, "all to be gone")


@case("slow readers", "cost bounded memory and hold up nobody", alone=True)
def slow(server):
    quick = subscribe(server, 5, f"?limit={FLOOD * FLOOD_SIZE * 2}")
    sleepers = subscribe(server, SLOW, rcvbuf=4096)
    before, publisher = rss(server), []
    started = time.monotonic()
    read_all(quick, FLOOD, lambda: publisher.append(begin(server, FLOOD, FLOOD_SIZE)))
    took, grown = time.monotonic() - started, rss(server) - before
    publisher[0].reply()
    publisher[0].close()
    # A message that was cut off by the system is C's, one for each; the rest is shared.
    most = 40000 + SLOW * FLOOD_SIZE * 3 / 1024
    report(f"{SLOW} who never read, {FLOOD} messages of {FLOOD_SIZE}: {took:.2f} s for the "
           f"others, memory {grown} KiB more (at most {most:.0f})")
    if "asan" not in str(server.binary):
        check(grown < most, "memory has grown by", grown, "KiB; at most", most)
    for s in quick + sleepers:
        s.close()


def text_to(c, mark):
    """Reads up to a piece that has `mark`; returns all that came."""
    got = b""
    while mark not in got:
        piece = c.socket.recv(65536)
        check(piece, "the stream has ended before", mark)
        got += piece
    return got


def stream(server, query=""):
    c = Connection(server.port)
    c.send(f"GET /stream{query} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
    text_to(c, b"retry: 3000\n\n")
    return c


def reload(server, n):
    server.process.send_signal(signal.SIGHUP)
    server.await_line(rf"generation {n} serves")


@case("reload", "streams and history outlive generations", alone=True)
def generations(other):
    with Server(other.binary, site=other.site) as server:
        get(server, "/publish?n=3&size=1")
        first = stream(server)
        reload(server, 2)
        until(lambda: len(get(server, "/state")["history"]) == 3, "the history")
        same(get(server, "/state")["subscribers"], 1, "subscribers")
        second = stream(server)
        get(server, "/publish?n=1&size=2")
        for c in first, second:
            text_to(c, b"data: 1xx\n")
        reload(server, 3)
        until(lambda: len(get(server, "/state")["history"]) == 4, "the history")
        third = stream(server)
        get(server, "/publish?n=2&size=3")
        for c in first, second, third:
            got = text_to(c, b"data: 2xxx\n")
            check(got.index(b"data: 1xxx\n") < got.index(b"data: 2xxx\n"), got)
        until(lambda: get(server, "/state")["subscribers"] == 3, "3 subscribers")
        first.close()
        until(lambda: get(server, "/state")["subscribers"] == 2, "2 subscribers")
        server.await_line(r"generation 1 has ended")
        get(server, "/publish?n=1&size=4")
        for c in second, third:
            text_to(c, b"data: 1xxxx\n")
            c.close()


def main():
    options = arguments(__doc__).parse_args()
    tally = Tally()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
    (folder / "app.lua").write_text(SITE)
    try:
        for binary in binaries():
            with Server(binary, *LIMITS, site=folder) as server:
                tally.run_all([c for c in suite.cases if options.only in c[0]], server)
    finally:
        shutil.rmtree(folder)
    finish(tally)


if __name__ == "__main__":
    main()
