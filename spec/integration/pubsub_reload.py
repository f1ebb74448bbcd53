#!/usr/bin/env python3
"""Reloads of two workers while messages are published at a high rate: every subscriber gets
each message once and in order, be it an event stream or a WebSocket that stays in its old
generation, a stream that comes again with Last-Event-ID, or a function of the sites.
MESSAGES in the environment says how many a publisher sends at a time; CT_TIMES=1 prints
what was measured.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import select
import struct
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from clusters import Pair
from harness import (HOST, PATIENCE, Connection, Tally, arguments, binaries, check,
                     finish, is_asan, same, until)

RELOADS = 20
MESSAGES = int(os.environ.get("MESSAGES", 50))
TOPICS = "a", "b"  # of different workers
SITE = """
local core = require "tornado.core"
local ioloop = require "tornado.ioloop"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local FOLDER = %s

pubsub.configure { history = 20000, history_bytes = 16777216 }

-- What functions of each generation get.
for _, topic in ipairs { "a", "b" } do
    local path = ("%%s/%%d-%%s-%%03d"):format(FOLDER, core.worker(), topic, core.generation())
    local file = assert(io.open(path, "w"))
    pubsub.subscribe(topic, function(message) file:write(message.data, "\\n") end,
        { limit = math.huge })
    ioloop.PeriodicCallback(function() file:flush() end, 200):start()
end

local Stream = web.RequestHandler:extend "Stream"

function Stream:get(topic)
    self:set_header("X-Worker", tostring(core.worker()))
    local stream = self:event_stream { limit = 1e8, heartbeat = false }
    pubsub.subscribe(topic, stream, { since = stream.last_event_id })
end

local Socket = websocket.WebSocketHandler:extend "Socket"

function Socket:prepare()
    self:set_header("X-Worker", tostring(core.worker()))
end

function Socket:open(topic)
    pubsub.subscribe(topic, self, { limit = math.huge })
    self:write_message "open"
end

function Socket:on_message() end

local Publish = web.RequestHandler:extend "Publish"

function Publish:get(topic, who, first, last)
    for i = tonumber(first), tonumber(last) do pubsub.publish(topic, who .. " " .. i) end
    self:write "published"
end

local Worker = web.RequestHandler:extend "Worker"

function Worker:get() self:write(tostring(core.worker())) end

return web.Application { { "/stream/(.)", Stream }, { "/worker", Worker }, { "/socket/(.)", Socket },
    { "/publish/(.)/(.)/([0-9]+)/([0-9]+)", Publish } }
"""


def serve(binary, folder):
    return Pair(binary, folder, "--reload-grace=600")


class Publisher(threading.Thread):
    """Publishes to a topic, numbered, until it is told to stop."""

    count = MESSAGES  # at a time

    def __init__(self, topic, connection, who):
        super().__init__()
        self.topic, self.connection, self.who = topic, connection, who
        self.sent, self.enough, self.fault = 0, threading.Event(), None

    def publish(self, n):
        first, last = self.sent + 1, self.sent + n
        self.sent = last
        ask(self.connection, f"/publish/{self.topic}/{self.who}/{first}/{last}")

    def run(self):
        try:
            while not self.enough.wait(0.02):
                self.publish(self.count)
        except Exception as error:  # for the thread that waits for this one
            self.fault = error

    def end(self):
        self.enough.set()
        self.join(PATIENCE)
        self.connection.close()
        if self.fault:
            raise self.fault


def ask(connection, path):
    connection.send(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
    reply = connection.reply()
    same(reply.status, 200, "status")
    return reply.body


def both(make, worker_of):
    """Two of what make() makes, of different workers."""
    first = make()
    one = worker_of(first)
    while worker_of(second := make()) == one:
        second.close()
    return first, second


def worker_of(connection):
    return ask(connection, "/worker")


class Subscriber(Connection):
    """Keeps what comes; looks at it when it is over."""

    def __init__(self, server, topic):
        super().__init__(server.port)
        self.topic, self.text = topic, bytearray()
        self.ask()
        head = self.head()
        same(head.status, self.STATUS, "status")
        self.worker = head.get("x-worker")
        self.text += self.buffer

    def read(self):
        data = self.socket.recv(1 << 20)
        check(data, "a subscriber was cut off")
        self.text += data

    def lacks(self, last):
        return not all(text.encode() in self.text for text in last)


class Socket(Subscriber):
    STATUS = 101

    def ask(self):
        self.send(f"GET /socket/{self.topic} HTTP/1.1\r\n".encode() + HOST
                  + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\n"
                  b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    def messages(self):
        text, at, got = bytes(self.text), 0, []
        while at < len(text):
            size = text[at + 1]
            at += 2
            if size == 126:
                size, = struct.unpack_from("!H", text, at)
                at += 2
            got.append(text[at:at + size].decode())
            at += size
        same(got[0], "open", "the first message")
        return got[1:]


class Stream(Subscriber):
    STATUS = 200

    def __init__(self, server, topic, since=None):
        self.since = since
        super().__init__(server, topic)

    def ask(self):
        last = f"Last-Event-ID: {self.since}\r\n" if self.since else ""
        self.send(f"GET /stream/{self.topic} HTTP/1.0\r\n{last}".encode() + HOST + b"\r\n")

    def messages(self):
        return re.findall(r"^data: (.*)\n\n", self.text.decode(), re.M)

    def last_id(self):
        return re.findall(rb"id: (\d+)\ndata: .*\n\n", self.text)[-1].decode()


class Readers(threading.Thread):
    """Reads what comes to all subscribers."""

    def __init__(self):
        super().__init__()
        self.poll, self.all, self.enough = select.epoll(), {}, threading.Event()
        self.fault = None
        self.start()

    def add(self, subscriber):
        self.all[subscriber.socket.fileno()] = subscriber
        self.poll.register(subscriber.socket, select.EPOLLIN)
        return subscriber

    def remove(self, subscriber):
        self.poll.unregister(subscriber.socket)
        return self.all.pop(subscriber.socket.fileno())

    def run(self):
        try:
            while not self.enough.is_set():
                for fd, _ in self.poll.poll(0.05):
                    if fd in self.all:
                        self.all[fd].read()
        except Exception as error:
            self.fault = error

    def end(self):
        self.enough.set()
        self.join(PATIENCE)
        self.poll.close()
        if self.fault:
            raise self.fault


class Comer(threading.Thread):
    """A stream that ends again and again, and comes again with Last-Event-ID."""

    def __init__(self, server, topic):
        super().__init__()
        self.server, self.topic = server, topic
        self.got, self.enough, self.fault, self.times = [], threading.Event(), None, 0
        self.stream = Stream(server, topic)

    def once(self, done):
        """Reads until done() when there is a message at least; False: it is enough."""
        stream = self.stream
        while not (done() and b"data: " in stream.text and stream.text.endswith(b"\n\n")):
            if self.enough.is_set():
                return False
            if select.select([stream.socket], [], [], 0.05)[0]:
                stream.read()
        self.got += stream.messages()
        stream.close()
        return True

    def run(self):
        try:
            while not self.enough.is_set():
                end = time.monotonic() + 0.1
                if not self.once(lambda: time.monotonic() > end):
                    break
                self.times += 1
                self.stream = Stream(self.server, self.topic, self.stream.last_id())
        except Exception as error:
            self.fault = error

    def end(self, last):
        """Reads to the last messages."""
        self.enough.set()
        self.join(PATIENCE)
        if self.fault:
            raise self.fault
        end = time.monotonic() + PATIENCE
        got = set(self.got)
        while not set(last) <= got | set(self.stream.messages()):
            check(time.monotonic() < end, f"of {last} not all have come again")
            if select.select([self.stream.socket], [], [], 0.05)[0]:
                self.stream.read()
        self.got += self.stream.messages()
        self.stream.close()


def check_order(topic, publishers, got):
    """Each of the publishers' messages once, in their order."""
    counts = {p.who: 0 for p in publishers}
    for message in got:
        who, number = message.split()
        counts[who] += 1
        same(int(number), counts[who], f"the next message of {who} to {topic}")
    same(counts, {p.who: p.sent for p in publishers}, "messages")


def same_lists(got, expected, what):
    if got == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
              min(len(got), len(expected)))
    check(False, f"{what}: {len(got)} messages of {len(expected)}; from number {at} on "
          f"{got[at:at + 3]} in place of {expected[at:at + 3]}")


def place(part, whole, what):
    """Where a list lies in another one, as first and end."""
    check(part, f"{what}: nothing came")
    first = whole.index(part[0])
    same_lists(part, whole[first:first + len(part)], what)
    return first, first + len(part)


def lacks(folder, topic, last):
    """Whether the functions of a worker's last generations still wait for these messages."""
    for worker in (1, 2):
        text = "".join(f.read_text() for f in folder.glob(f"{worker}-{topic}-*"))
        if not all(f"{message}\n" in text for message in last):
            return True
    return False


def check_functions(folder, topic, whole):
    """Those of the generations of a worker have got all, without a gap between them."""
    for worker in (1, 2):
        covered = 0
        files = sorted(folder.glob(f"{worker}-{topic}-*"))
        for file in files:
            got = file.read_text().rpartition("\n")[0].splitlines()
            if not got:
                continue  # it has left before anything came
            first, end = place(got, whole, f"the function of {file.name}")
            check(first <= covered, f"{file.name}: between {covered} and {first} nobody got any")
            covered = max(covered, end)
        same(covered, len(whole), f"messages of {topic} that functions of worker {worker} got")


def run(binary, reloads):
    with tempfile.TemporaryDirectory(prefix="ctornado-spec-") as folder:
        folder = pathlib.Path(folder)
        site, records = folder / "site", folder / "records"
        site.mkdir()
        records.mkdir()
        (site / "app.lua").write_text(SITE % f'"{records}"')
        with serve(binary, site) as server:
            drive(server, records, reloads)


def drive(server, records, reloads):
    readers, old, new = Readers(), [], []
    for topic in TOPICS:
        for kind in (Stream, Socket):
            old += both(lambda: kind(server, topic), lambda subscriber: subscriber.worker)
    for subscriber in old:
        readers.add(subscriber)
    publishers = [Publisher(topic, connection, who) for topic in TOPICS
                  for connection, who in zip(both(lambda: Connection(server.port), worker_of), "xy")]
    comers = [Comer(server, topic) for topic in TOPICS]
    started = time.monotonic()
    for thread in publishers + comers:
        thread.start()
    for n in range(reloads):
        server.reload()
        if n % 5 == 0:
            new += [readers.add(kind(server, topic)) for topic in TOPICS
                    for kind in (Stream, Socket)]
    held = 1 + len(range(0, reloads, 5))  # generations of a worker that have subscribers, at most
    until(lambda: server.log().count("has ended") >= 2 * (reloads - held),
          "generations in the middle to leave")
    for publisher in publishers:
        publisher.end()
    sent, took = sum(p.sent for p in publishers), time.monotonic() - started
    last = {t: [f"{p.who} {p.sent}" for p in publishers if p.topic == t] for t in TOPICS}
    for comer in comers:
        comer.end(last[comer.topic])
    end = time.monotonic() + PATIENCE
    while any(s.lacks(last[s.topic]) for s in old + new) or any(
            lacks(records, topic, last[topic]) for topic in TOPICS):
        if time.monotonic() > end or readers.fault:
            break  # what is missing is said below
        time.sleep(0.01)
    readers.end()
    for subscriber in old + new:
        subscriber.close()
    if os.environ.get("CT_TIMES"):
        print(f"{reloads} reloads, {sent} messages in {took:.1f} s: {sent / took:.0f} a second; "
              f"streams came again {sum(c.times for c in comers)} times", flush=True)
    for topic in TOPICS:
        judge(topic, [p for p in publishers if p.topic == topic], old, new, comers, records)


def judge(topic, publishers, old, new, comers, records):
    whole = None
    for subscriber in old:
        if subscriber.topic == topic:
            got = subscriber.messages()
            what = f"the {type(subscriber).__name__} of worker {subscriber.worker} on {topic}"
            if whole is None:
                whole = got
                check_order(topic, publishers, got)
            same_lists(got, whole, what)
    for subscriber in new:
        if subscriber.topic == topic:
            _, end = place(subscriber.messages(), whole, "one that came later")
            same(end, len(whole), "the end of one that came later")
    for comer in comers:
        if comer.topic == topic:
            _, end = place(comer.got, whole, "one that came again")
            same(end, len(whole), "the end of one that came again")
    check_functions(records, topic, whole)


def main():
    options = arguments(__doc__).parse_args()
    tally = Tally()
    for binary in binaries():
        reloads = RELOADS // 4 if is_asan(binary) else RELOADS
        name = f"{'asan' if is_asan(binary) else 'normal'}: {reloads} reloads"
        if options.only in name:
            tally.run(name, run, binary, reloads)
    finish(tally)


if __name__ == "__main__":
    main()
