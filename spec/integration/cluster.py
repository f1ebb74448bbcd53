#!/usr/bin/env python3
"""sites/chat and sites/websocket on two workers: who is connected to one talks to
those on the other, while workers die and code is reloaded.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import shutil
import signal
import stat
import struct
import sys
import tempfile
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import Pair
from harness import HOST, Connection, check, same, until

SUITE = harness.Suite()
case = SUITE.case


class Member(Connection):
    """A browser in a room of sites/websocket."""

    def __init__(self, server, name, since="0", enters=True):
        super().__init__(server.port)
        self.server, self.name, self.last, self.people = server, name, since, []
        self.whole = threading.Lock()
        self.send(b"GET /socket/lounge HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n"
                  b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        same(self.head().status, 101, "status")
        self.pid = server.pid_of(self)
        if enters:
            self.enter()

    def enter(self):
        self.tell(name=self.name, since=self.last)

    def tell(self, **message):
        self.frame(0x81, json.dumps(message).encode())

    def frame(self, first, data):
        check(len(data) < 126, "too long for this client")
        with self.whole:  # one thread may speak while another one answers a ping
            self.send(bytes([first, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def message(self):
        while True:
            first, size = self.exactly(2)
            if size == 126:
                size, = struct.unpack("!H", self.exactly(2))
            data = self.exactly(size)
            if first != 0x89:
                same(first, 0x81, f"the first byte of {data!r}")
                return json.loads(data)
            self.frame(0x8a, data)  # every 30 s

    def expect(self, *bodies):
        """These are said next; remembers who was there meanwhile."""
        for body in bodies:
            while "people" in (message := self.message()):
                self.people.append(message["people"])
            same(message["body"], body, f"what {self.name} reads")
            self.last = message["id"]

    def await_people(self, *names):
        while not self.people or self.people[-1] != list(names):
            message = self.message()
            check("people" in message, f"{self.name} reads {message}")
            self.people.append(message["people"])


def on_both(make):
    """Two of what make(name) makes, on different workers."""
    first = make("ann")
    while (second := make("bob")).pid == first.pid:
        second.close()
    return first, second


def meet(server):
    """Two members, one after the other: those whose worker was not the right one have never been
    in the room, so the first list that each gets is the only one that may lack its name."""
    ann, bob = on_both(lambda name: Member(server, name, enters=False))
    ann.enter()
    for member in (ann, bob):
        member.await_people("ann")
    bob.enter()
    for member in (ann, bob):
        member.await_people("ann", "bob")
    return ann, bob


class Ear(threading.Thread):
    """Reads what comes to a member, to the last that was `said` when it is `over`: of each
    speaker all in order."""

    def __init__(self, member, said, over):
        super().__init__(daemon=True)
        self.member, self.said, self.over = member, said, over
        self.got, self.wrong = dict.fromkeys(said, 0), None

    def run(self):
        try:
            while not (self.over.is_set() and self.got == self.said):
                message = self.member.message()
                if "people" not in message:
                    name, number = message["body"].split()
                    same(int(number), self.got[name] + 1, f"what {self.member.name} reads of {name}")
                    self.got[name] += 1
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def talk(ann, bob, *words):
    for word in words:
        for speaker in (ann, bob):
            speaker.tell(body=f"{word} {speaker.name}")
            for reader in (ann, bob):
                reader.expect(f"{word} {speaker.name}")


def rooms():
    g = "sites/websocket"

    @case(g, "two workers are one room")
    def _(binary):
        with Pair(binary, "websocket") as server:
            same(stat.S_IMODE(server.shared().stat().st_mode), 0o700, "the folder's mode")
            ann, bob = meet(server)
            talk(ann, bob, *range(20))

    for victim in (0, 1):
        @case(g, f"worker {victim + 1} is killed: the other's clients stay, its own come back")
        def _(binary, victim=victim):
            with Pair(binary, "websocket") as server:
                members = meet(server)
                talk(*members, "before")
                pid = server.pids()[victim]
                stays, goes = sorted(members, key=lambda m: m.pid == pid)
                os.kill(pid, signal.SIGKILL)
                goes.cut()
                stays.tell(body="alone")
                stays.expect("alone")
                new = Member(server, goes.name, since=goes.last)
                new.expect("alone")
                until(lambda: pid not in server.pids(), "another one")
                while new.pid == stays.pid:
                    new.close()
                    new = Member(server, goes.name, since=new.last)
                stays.await_people("ann", "bob")
                talk(stays, new, "after")

    @case(g, "reloads: open WebSockets stay, and talk to new ones")
    def _(binary):
        with Pair(binary, "websocket") as server:
            ann, bob = meet(server)
            for n in range(3):
                ann.tell(body=f"under way {n}")
                server.reload()
                ann.expect(f"under way {n}")
                bob.expect(f"under way {n}")
                talk(ann, bob, f"old {n}")
                with Member(server, "cid", since=ann.last) as cid:
                    cid.tell(body="new")
                    for member in (ann, bob, cid):
                        member.expect("new")
                ann.await_people("ann", "bob")
                bob.await_people("ann", "bob")
            for member in (ann, bob):
                check(all(member.name in people for people in member.people[1:]),
                      f"{member.name} was said to have left: {member.people}")

    @case(g, "reloads under load: each message comes once, in its speaker's order")
    def _(binary):
        with Pair(binary, "websocket") as server:
            members = meet(server)
            enough, over = threading.Event(), threading.Event()
            said = {m.name: 0 for m in members}
            ears = [Ear(member, said, over) for member in members]

            def speak(member):
                name = member.name
                while not enough.wait(0.001):
                    # Of those that wait for a slow reader the oldest is dropped, above 1000.
                    if said[name] - min(ear.got[name] for ear in ears) < 300:
                        said[name] += 1
                        member.tell(body=f"{name} {said[name]}")
            speakers = [threading.Thread(target=speak, args=(m,)) for m in members]
            for thread in ears + speakers:
                thread.start()
            try:
                for _ in range(4):
                    server.reload()
                    before = dict(said)
                    until(lambda: all(said[name] > before[name] + 10 for name in said)
                          or any(ear.wrong for ear in ears), "further words")
            finally:
                enough.set()
                for speaker in speakers:
                    speaker.join(harness.PATIENCE)
            for name in said:  # the last, by which the ears come to know
                said[name] += 1
            over.set()
            for member in members:
                member.tell(body=f"{member.name} {said[member.name]}")
            for ear in ears:
                ear.join(2 * harness.PATIENCE)
                check(not ear.wrong, ear.wrong)
                same(ear.got, said, f"what {ear.member.name} has read")

    @case(g, "a reload that fails is no harm")
    def _(binary):
        with tempfile.TemporaryDirectory() as path:
            site = shutil.copytree(harness.ROOT / "sites/websocket", f"{path}/site")
            with Pair(binary, site) as server:
                members = meet(server)
                sockets = {p.name: p.stat().st_ino for p in server.shared().iterdir()}
                same(set(sockets), {"pubsub-1.sock", "pubsub-2.sock"}, "sockets")
                pathlib.Path(site, "app.lua").write_text("error('on purpose')")
                server.process.send_signal(signal.SIGHUP)
                server.await_line("reload: nothing has changed")
                same({p.name: p.stat().st_ino for p in server.shared().iterdir()}, sockets,
                     "sockets afterwards")
                talk(*members, "after")


class Stream(Connection):
    """A browser that reads the stream of sites/chat."""

    def __init__(self, server, name):
        super().__init__(server.port)
        self.name = name
        self.send(b"GET /a/message/stream HTTP/1.1\r\nCookie: chat_name=" + name.encode()
                  + b"\r\n" + HOST + b"\r\n")
        same(self.head().status, 200, "status")
        self.pid = server.pid_of(self)

    def read_to(self, text):
        until(lambda: text in bytes(self.buffer) or self._more(), f"{text} for {self.name}")
        del self.buffer[:]


def say(server, text):
    """What the form of sites/chat does."""
    with server.connect() as c:
        c.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        cookies = [v.split(";")[0] for v in c.reply().all("set-cookie")]
        token = next(v for v in cookies if v.startswith("_xsrf="))[6:]
        body = f"name=cid&body={text}&_xsrf={token}".encode()
        c.send(b"POST /a/message/new HTTP/1.1\r\nCookie: " + "; ".join(cookies).encode()
               + b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
               + str(len(body)).encode() + b"\r\n" + HOST + b"\r\n" + body)
        same(c.reply().status, 204, "status")


def chat():
    g = "sites/chat"

    @case(g, "what is said reaches the streams of both workers, after a reload and a death, too")
    def _(binary):
        with Pair(binary, "chat") as server:
            ann, bob = on_both(lambda name: Stream(server, name))
            for n in range(5):
                say(server, f"first{n}")
                for stream in (ann, bob):
                    stream.read_to(f"first{n}".encode())
            server.reload()
            say(server, "second")
            for stream in (ann, bob):
                stream.read_to(b"second")
            os.kill(bob.pid, signal.SIGKILL)
            try:
                bob.to_end()
            except harness.Reset:
                pass
            until(lambda: bob.pid not in server.pids(), "another one")
            _, bob = on_both(lambda name: Stream(server, name))
            say(server, "third")
            for stream in (ann, bob):
                stream.read_to(b"third")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (rooms, chat), __doc__)
