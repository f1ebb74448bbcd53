#!/usr/bin/env python3
"""Faults that take minutes: `make faults`. Sizes can be set: CT_KILLS=1000,
CT_SOAK=180 (seconds). The sieges judge what is no matter of time: who was served
is, who is too many hears 503, everything is given back. What 32 keep-alive connections
see is printed, in rounds without and with the siege.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import random
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True  # or common would leave a __pycache__ here
import common
from common import Cluster, Helper, get
import harness
import starve
import workers
from harness import Ended, Reset, Server, Skip, check, same, until

SUITE = harness.Suite()
case = SUITE.case
KILLS = int(os.environ.get("CT_KILLS", "1000"))
SOAK = float(os.environ.get("CT_SOAK", "180"))
ROUNDS = 5
CALM = 3  # seconds of each measurement
LIMIT, CROWD = 10000, 32
KEEP = ("--max_keepalive_requests=1000000000",)  # wrk's connections are to stay
WORKERS = 16   # of whom one after the other is killed


def given_back(server, before):
    """The connections of besiegers are gone."""
    pid = server.process.pid
    until(lambda: common.descriptors(pid) <= before, "the descriptors to be closed")
    return common.worker_rss(pid)


def rounds(server, siege):
    """Figures of ROUNDS rounds, calm ones and besieged ones in turns, and the server's memory (KiB)
    behind each. `siege` is called for each and calls what it is given while it goes on."""
    before = common.descriptors(server.process.pid)
    calm, under, rss = [], [], []
    for _ in range(ROUNDS):
        calm.append(common.crowd(server.port, lambda: time.sleep(CALM)))  # what is measured
        under.append(siege())
        rss.append(given_back(server, before))
    common.crowd(server.port, lambda: time.sleep(0.5))  # they are served behind it as well
    # What the allocator keeps for a while varies; what leaks grows with each round.
    check(min(rss[-3:]) < max(rss[:2]) + 4096, "memory grew from round to round, KiB:", rss)
    print(f"     KiB of the server behind each round: {rss}", flush=True)
    return calm, under


def besieged(name, options, *attack):
    """A case: p99 of those who are served, without and with the attack, in turns."""
    @case("siege", name, alone=True)
    def _(binary):
        with Server(binary, *KEEP, *options, site=common.SITE) as server:
            common.apart(server)

            def siege():
                start = time.monotonic()
                with Helper(attack[0], server.port, *attack[1:]) as helper:
                    p99 = common.crowd(server.port, lambda: time.sleep(CALM))
                    if attack[0] == "flood":
                        helper.process.stdin.close()
                        total, refused = map(int, helper.line().split())
                        allowed = 100 + 100 * (time.monotonic() - start)  # see site/app.lua
                        check(refused > 0 and total - refused <= allowed + 1,
                              f"{refused} of {total} were refused, {allowed:.0f} allowed")
                return p99
            common.compare(name, *rounds(server, siege))


def sieges():
    besieged("500 clients that send heads byte by byte", ("--header_timeout=1",),
             "headers", 500)
    besieged("500 clients that send bodies byte by byte", ("--body_timeout=1",),
             "bodies", 500)
    besieged("200 clients that hardly read", ("--write_timeout=1",), "reads", 200)
    besieged("a flood of requests beyond a rate limit", (), "flood", 8)

    @case("siege", "20,000 connections at a limit of 10,000", alone=True)
    def _(binary):
        if common.many_descriptors() < LIMIT + 500:
            raise Skip("needs 10,500 descriptors: raise `ulimit -Hn`")
        with Server(binary, *KEEP, f"--max_connections={LIMIT}", "--idle_timeout=600",
                    site=common.SITE) as server:
            common.apart(server)
            pid = server.process.pid
            before = common.descriptors(pid)
            ends = {}

            def attack():
                """The crowd is in; others take all seats but theirs, and as many knock."""
                with Helper("fill", server.port, LIMIT - CROWD) as helper:
                    for end, count in json.loads(helper.line()).items():
                        ends[end] = ends.get(end, 0) + count
                    same(common.descriptors(pid) - before, LIMIT, "connections that are in")
            common.compare("20,000 connections",
                           *rounds(server, lambda: common.crowd(server.port, attack)))
            print(f"     how those ended who were too many: {ends}", flush=True)
            same({end[:3] for end in ends}, {"503"}, "statuses of those who were too many")
            lines = server.log().count(f"max_connections ({LIMIT}) reached")
            check(0 < lines < sum(ends.values()) / 100, f"{lines} lines about it")


def kills():
    @case("kills", f"{KILLS} workers are killed under load", alone=True)
    def _(binary):
        with Cluster(binary, workers=WORKERS) as server:
            clients = [workers.Load(server) for _ in range(6)]
            for client in clients:
                client.start()
            chance = random.Random(7)
            server.await_workers()
            born = [time.monotonic()] * WORKERS
            pids = server.pids()
            for n in range(KILLS):
                i = n % WORKERS
                # Who dies younger than two seconds is not replaced at once.
                time.sleep(max(0, born[i] + 2.05 - time.monotonic()) + chance.random() * 0.02)
                os.kill(pids[i], signal.SIGKILL)

                def replaced(i=i):
                    row = server.ask_status()["workers"][i]
                    return row["pid"] if row["pid"] not in (0, pids[i]) else None
                pids[i] = until(replaced, "another worker")
                born[i] = time.monotonic()
            for client in clients:
                client.enough.set()
                client.join(harness.PATIENCE)
                check(not client.wrong, "a client saw:", client.wrong)
            status = server.ask_status()
            same(status["replaced"], KILLS, "replaced")
            server.await_workers()
            until(lambda: server.held() == 0, "no connection to be counted")
            statuses = server.statuses("/limited", 40)
            same(statuses.count(200), 20, "allowed by the rate limit afterwards")
            done = sum(client.done for client in clients)
            print(f"     {KILLS} kills: {done} requests were answered, "
                  f"{sum(client.lost for client in clients)} connections lost", flush=True)


class Mix(threading.Thread):
    """A client that asks for all kinds of things."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port, self.chance = port, random.Random(seed)
        self.enough, self.wrong, self.done = threading.Event(), None, 0
        self.kinds = (get("/"), get("/keep"), get("/big"), get("/raise"), get("/sleep?for=0.01"),
                      get("/busy"), get("/nowhere"),
                      b"POST /echo HTTP/1.1\r\nContent-Length: 300000\r\n" + common.HOST
                      + b"\r\n" + b"x" * 300000)

    def some(self):
        with harness.Connection(self.port) as c:
            for _ in range(self.chance.randrange(1, 50)):
                c.send(self.chance.choice(self.kinds))
                if self.chance.random() < 0.02:
                    return c.close(reset=True)
                c.reply()
                self.done += 1

    def run(self):
        try:
            while not self.enough.is_set():
                try:
                    self.some()
                except (Ended, Reset):
                    pass
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err


def starving():
    for times in (1, 2, 3, 5):
        @case("memory", f"malloc fails, {times} times in a row, at each of 500 allocations",
              alone=True)
        def _(binary, times=times):
            with common.temporary() as folder, starve.Site(binary, folder) as server:
                for kind in starve.KINDS:
                    starve.say(kind, *starve.starve(server, kind, range(1, 501), times))
                numbers = [*range(1, 100), *range(100, 30000, 997)]
                starve.say(starve.reload, *starve.starve(server, starve.reload, numbers, times))

    @case("memory", "malloc fails at each of 500 allocations of a start", alone=True)
    def _(binary):
        check(starve.at_start(binary, range(1, 501)) > 400, "hardly any failed")


def soaks():
    @case("soak", f"{SOAK:.0f} s of everything: memory is flat", alone=True)
    def _(binary):
        with Cluster(binary, "--reload_grace=2") as server:
            mixes = [Mix(server.port, seed) for seed in range(4)]
            for mix in mixes:
                mix.start()
            pids, line = server.await_workers(), []
            end = time.monotonic() + SOAK
            while time.monotonic() < end:
                time.sleep(SOAK / 12)  # the soak itself
                same(server.command("reload")[0], 0, "exit code of a reload")
                line.append(sum(common.worker_rss(pid) for pid in pids))
            for mix in mixes:
                mix.enough.set()
                mix.join(harness.PATIENCE)
                check(not mix.wrong, "a client saw:", mix.wrong)
            print(f"     KiB of two workers: {line}; {sum(mix.done for mix in mixes)} requests",
                  flush=True)
            early, late = max(line[2:6]), min(line[-4:])
            check(late < early * 1.15 + 4096, f"grew: {line}")


if __name__ == "__main__":
    common.main(SUITE, (sieges, kills, starving, soaks), __doc__)
