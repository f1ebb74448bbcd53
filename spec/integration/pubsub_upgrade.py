#!/usr/bin/env python3
"""Binary upgrades, of a single process and of two workers, while messages are published: every
subscriber gets each message once and in order, be it an event stream or a WebSocket that stays
in the old process, or the one before that; a stream that comes again with Last-Event-ID; one
that comes later; or a function of the sites. The history goes along.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import sys
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
import pubsub_reload as reloads
from harness import HOST, PATIENCE, Connection, check, same, until
from pubsub_reload import TOPICS, Comer, Readers, Socket, Stream, worker_of
from upgrading import Upgradable, each

SUITE = harness.Suite()
UPGRADES = 3
MESSAGES = 20  # at a time


class Publisher(reloads.Publisher):
    """One that connects again, to the same worker, when an old process has answered it, and a
    witness has got what it published there: on its way between two processes that may be overtaken
    by what is published in the newer one."""

    count = MESSAGES

    def __init__(self, server, topic, who, worker, witness):
        super().__init__(topic, None, who)
        self.server, self.worker, self.witness = server, worker, witness
        self.connect()

    def connect(self):
        while True:
            self.connection = Connection(self.server.port)
            if worker_of(self.connection) == self.worker:
                return
            self.connection.close()

    def publish(self, n):
        first, last = self.sent + 1, self.sent + n
        self.sent = last
        path = f"/publish/{self.topic}/{self.who}/{first}/{last}"
        self.connection.send(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        reply = self.connection.reply()
        same(reply.status, 200, "status")
        if reply.closes:
            self.connection.close()
            until(lambda: not self.witness.lacks([f"{self.who} {last}"]), "what was published last")
            self.connect()


def site(folder):
    text = reloads.SITE % f'"{folder}"'
    check("core.generation()" in text, "the site is another one")
    return text.replace("core.generation()", "math.floor(core.now() * 1000)")


def subscribers(server, workers):
    """Of each kind and topic, one in each worker."""
    for topic in TOPICS:
        for kind in Stream, Socket:
            if workers == 1:
                yield kind(server, topic)
            else:
                yield from reloads.both(lambda: kind(server, topic), lambda one: one.worker)


def drive(server, records, workers):
    readers = Readers()
    old, new = [readers.add(one) for one in subscribers(server, workers)], []
    names = [str(n + 1).encode() for n in range(workers)] if workers > 1 else [b"0"]
    publishers = [Publisher(server, topic, who, worker, next(s for s in old if s.topic == topic))
                  for topic in TOPICS
                  for who, worker in zip("xy", names)]
    comers = [Comer(server, topic) for topic in TOPICS]
    started = time.monotonic()
    for thread in publishers + comers:
        thread.start()

    def more():
        before = [p.sent for p in publishers]
        until(lambda: all(p.fault or p.sent > n + MESSAGES for p, n in zip(publishers, before)),
              "more messages")
    for _ in range(UPGRADES):
        server.upgrade()
        more()
        new += [readers.add(kind(server, topic)) for topic in TOPICS for kind in (Stream, Socket)]
        more()
    for publisher in publishers:
        publisher.end()
    sent, took = sum(p.sent for p in publishers), time.monotonic() - started
    last = {t: [f"{p.who} {p.sent}" for p in publishers if p.topic == t] for t in TOPICS}
    for comer in comers:
        comer.end(last[comer.topic])
    end = time.monotonic() + PATIENCE
    while any(one.lacks(last[one.topic]) for one in old + new) and time.monotonic() < end and \
            not readers.fault:
        time.sleep(0.01)
    readers.end()
    for one in old + new:
        one.close()
    if os.environ.get("CT_TIMES"):
        print(f"{sent} messages in {took:.1f} s: {sent / took:.0f} a second; streams came again "
              f"{sum(c.times for c in comers)} times", flush=True)
    for topic in TOPICS:
        judge(topic, [p for p in publishers if p.topic == topic], old, new, comers)


def judge(topic, publishers, old, new, comers):
    whole = None
    for one in (s for s in old if s.topic == topic):
        got = one.messages()
        if whole is None:
            whole = got
            reloads.check_order(topic, publishers, got)
        reloads.same_lists(got, whole, f"the {type(one).__name__} of {one.worker} on {topic}")
    for one in (s for s in new if s.topic == topic):
        _, end = reloads.place(one.messages(), whole, "one that came later")
        same(end, len(whole), "the end of one that came later")
    for comer in (c for c in comers if c.topic == topic):
        _, end = reloads.place(comer.got, whole, "one that came again")
        same(end, len(whole), "the end of one that came again")


@each(SUITE, "pubsub", "goes on over upgrades", alone=True)
def goes_on(binary, workers):
    server = Upgradable(binary, "--reload-grace=600", workers=workers)
    records = server.home / "records"
    records.mkdir()
    (server.home / "app.lua").write_text(site(records))
    with server:
        drive(server, records, workers)


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (), __doc__)
