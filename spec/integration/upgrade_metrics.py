#!/usr/bin/env python3
"""What is counted goes on over binary upgrades: the old process and the new one
together count each thing once, and nothing that only grows goes back. Each case runs
on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import pathlib
import signal
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
import upgrading
from harness import HOST, check, same, until
from upgrading import Upgradable
from upgrading import each as each_of

SUITE = harness.Suite()
VISIT = b"GET /visit HTTP/1.1\r\n" + HOST + b"\r\n"

APP = """
local core = require "tornado.core"
local gen = require "tornado.gen"
local metrics = require "tornado.metrics"
local web = require "tornado.web"

local visits = metrics.counter("visits_total", { help = "HELP", labels = { "what" } })
local sizes = metrics.histogram("sizes", { buckets = { 1, 10 } })
local depths = metrics.histogram("depths", { buckets = { -1, 0 } })
local present = metrics.gauge("present")

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write("VERSION") end

local Visit = web.RequestHandler:extend "Visit"
function Visit:get()
    visits:inc(1, "VERSION")
    sizes:observe(5)
    depths:observe(-2)
    present:set(1)
    self:write("VERSION")
end

local Late = web.RequestHandler:extend "Late"
function Late:get() metrics.counter("late_total"):inc(3) end

local Slow = web.RequestHandler:extend "Slow"
function Slow:get()
    self:write("begun")
    self:flush()
    while not core.file_kind("HOME/go on") do gen.sleep(0.005) end
    visits:inc(1, "slow")
end

local Fail = web.RequestHandler:extend "Fail"
function Fail:get() error("on purpose") end

return web.Application {
    { "/", Main }, { "/visit", Visit }, { "/late", Late }, { "/slow", Slow }, { "/fail", Fail },
}
"""


# The first worker that loads it goes on, and the others wait.
ONE_WAITS = """
if not os.rename("HOME/turn", "HOME/taken") then
    while not require("tornado.core").file_kind("HOME/go on") do
        require("tornado.gen").sleep(0.005)
    end
end
"""


class Site(Upgradable):
    """One with an admin listener."""

    def __init__(self, binary, workers, *options, **more):
        super().__init__(binary, *options, workers=workers, **more)
        self.options = (*self.options, f"--admin=unix:{self.home / 'admin'}")

    def write(self, version, help="Visits."):
        text = APP.replace("VERSION", version).replace("HELP", help)
        (self.home / "app.lua").write_text(text.replace("HOME", str(self.home)))

    def connect_admin(self):
        return harness.Connection(self.home / "admin")

    def ask(self, path, c=None):
        if not c:
            with self.connect_admin() as c:
                return self.ask(path, c)
        c.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return c.reply()

    def numbers(self, c=None):
        return parse(self.ask("/metrics", c).body)


def parse(text):
    found = {}
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def grows(name):
    return name.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum")) \
        and not name.startswith("depths_sum")


def compare(before, after):
    """Nothing that only grows is lost or lower."""
    for name, value in before.items():
        if grows(name):
            check(name in after, f"{name} is lost, of", value)
            check(after[name] >= value, f"{name}: {after[name]} after", value)


def each(name, alone=False):
    return each_of(SUITE, "upgrades", name, alone)


def visit(server, count):
    for _ in range(count):
        same(server.get("/visit").status, 200, "status")


GETS = 'ctornado_http_requests_total{method="GET",status="2xx"}'
ONE, TWO = 'visits_total{what="one"}', 'visits_total{what="two"}'


def carried():
    @each("what was counted goes on, over three in a row")
    def _(binary, workers):
        with Site(binary, workers) as server:
            visit(server, 20)
            server.get("/late")
            same(server.get("/fail").status, 500, "status")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.numbers()['ctornado_reloads_total{result="ok"}'] == 1, "a reload")
            for i in range(3):
                before = server.numbers()
                server.write("two", f"Help {i}.")
                old = server.upgrade()
                after = server.numbers()
                compare(before, after)
                same(after[GETS], 21 + 5 * i, "requests")
                same(after[ONE], 20, "visits of before")
                same(after["late_total"], 3, "a counter that the new one has not asked for")
                same(after["depths_sum"], -40 - 10 * i, "a sum below 0")
                same(after['sizes_bucket{le="10"}'], 20 + 5 * i, "a bucket")
                same(after['ctornado_handler_requests_total{handler="Visit"}'], 20 + 5 * i, "by class")
                same(after['ctornado_handler_errors_total{handler="Fail"}'], 1, "errors by class")
                same(after['ctornado_reloads_total{result="ok"}'], 1, "reloads")
                same(after.get("present", 0), 0, "the gauge")
                same(after["ctornado_metrics_dropped_total"], 0, "dropped")
                check(f"# HELP visits_total Help {i}." in server.ask("/metrics").body.decode(),
                      "the help is an older one")
                visit(server, 5)
                same(server.numbers()[TWO], 5 * (i + 1), "visits of after")
                server.await_end(old)
                same(server.numbers()[GETS], 26 + 5 * i, "requests, when the old one is gone")

    @SUITE.case("upgrades", "a new worker that serves before the others do shows all that was counted")
    def _(binary):
        with Site(binary, 2) as server:
            visit(server, 5)
            server.get("/late")
            before = server.numbers()
            server.write("two", "New.")
            app = server.home / "app.lua"
            app.write_text(ONE_WAITS.replace("HOME", str(server.home)) + app.read_text())
            (server.home / "turn").write_text("")
            upgrade = threading.Thread(target=server.upgrade)
            upgrade.start()

            def new_one():
                text = server.ask("/metrics").body
                return parse(text) if b"# HELP visits_total New." in text else None
            for _ in range(3):
                compare(before, until(new_one, "an answer of the new worker"))
            (server.home / "go on").write_text("")
            upgrade.join()
            compare(before, server.numbers())

    @each("status goes on, and says how old the service is and how old the program")
    def _(binary, workers):
        with Site(binary, workers) as server:
            visit(server, 7)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: upgrading.status(server)["reloads"] == 1, "a reload")
            first = upgrading.status(server)
            same(first["started"], first["program_started"], "the age of the first one")
            until(lambda: time.time() >= first["started"] + 1.1, "the next second")
            for n in (1, 2):
                old = server.upgrade()
                server.await_end(old)
                now = upgrading.status(server)
                same((now["handled"], now["reloads"], now["upgrades"]), (7, 1, n), "what was")
                same(now["started"], first["started"], "the age of the service")
                check(now["program_started"] > first["started"], "the age of the program")
                found = server.numbers()
                same(found["ctornado_service_start_time_seconds"], first["started"], "as metrics")
                same(found["ctornado_start_time_seconds"], now["program_started"], "as metrics")
            done = server.command("status")
            check("of which this program" in done[1] and "2 upgrades" in done[1], done)

    @each("what the old one answers late is counted")
    def _(binary, workers):
        with Site(binary, workers) as server, server.connect() as c:
            visit(server, 5)
            c.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
            until(lambda: b"begun" in bytes(c.buffer) or c._more(), "the beginning")
            old = server.upgrade()
            visit(server, 5)
            same(server.numbers()[GETS], 10, "requests")
            (server.home / "go on").write_text("")
            same(c.reply().status, 200, "status")
            c.close()
            found = server.numbers()
            same((found[GETS], found['visits_total{what="slow"}']), (11, 1), "with the late one")
            server.await_end(old)
            same(server.numbers()[GETS], 11, "when the old one is gone")

    @each("two while a connection keeps the first process")
    def _(binary, workers):
        with Site(binary, workers) as server, server.connect() as c:
            visit(server, 5)
            c.send(VISIT)
            same(c.reply().body, b"one", "by the first process")
            first = server.upgrade()
            visit(server, 5)
            second = server.upgrade()
            server.await_end(second)
            before = server.numbers()
            same(before[GETS], 11, "requests")
            c.send(VISIT)
            same(c.reply().body, b"one", "by the first process again")
            compare(before, server.numbers())
            server.await_end(first)
            compare(before, server.numbers())

    @each("another layout begins anew")
    def _(binary, workers):
        with Site(binary, workers) as server:
            visit(server, 5)
            other = server.home / "other"
            program = pathlib.Path(binary).read_bytes()
            for name in b"elder-board-2", b"elder-metrics-1":
                check(name + b"\0" in program, f"{name} is not in the program")
                program = program.replace(name + b"\0", name[:-1] + b"0\0")
            other.write_bytes(program)
            other.chmod(0o755)
            server.install(other)
            server.await_end(server.upgrade())
            found = server.numbers()
            same((found[GETS], found.get(ONE, 0)), (0, 0), "after it")
            visit(server, 2)
            server.upgrade()
            found = server.numbers()
            same((found[GETS], found[ONE]), (2, 2), "after the next one")

    for first, then in ((1, 3), (3, 1)):
        @SUITE.case("upgrades", f"from {first} processes to {then}")
        def _(binary, first=first, then=then):
            with tempfile.TemporaryDirectory() as folder:
                conf = pathlib.Path(folder) / "conf"
                conf.write_text(f"workers = {first}\n")
                with Site(binary, None, f"--config={conf}") as server:
                    visit(server, 30)
                    conf.write_text(f"workers = {then}\n")
                    server.upgrade()
                    same(server.numbers()[ONE], 30, "visits")

    @each("a failed one changes nothing")
    def _(binary, workers):
        with Site(binary, workers) as server:
            visit(server, 5)
            (server.home / "app.lua").write_text("error('broken')")
            same(server.command("upgrade")[0], 1, "exit code")
            visit(server, 5)
            same(server.numbers()[ONE], 10, "visits")
            server.write("two")
            server.upgrade()
            same(server.numbers()[ONE], 10, "visits")


class Load(threading.Thread):
    """Asks for "/visit" again and again, over connections of several requests."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.enough = server, threading.Event()
        self.done, self.wrong = 0, None

    def run(self):
        try:
            while not self.enough.is_set():
                with self.server.connect() as c:
                    for _ in range(20):
                        c.send(VISIT)
                        reply = c.reply()
                        same(reply.status, 200, "status")
                        self.done += 1
                        if reply.closes or self.enough.is_set():
                            break
        except BaseException as e:  # noqa: B902
            self.wrong = e


class Scrapes(Load):
    """Looks at all numbers, again and again: none may go back."""

    def run(self):
        last = {}
        try:
            while not self.enough.is_set():
                found = self.server.numbers()
                compare(last, found)
                last = found
                self.done += 1
        except BaseException as e:  # noqa: B902
            self.wrong = e


def under_load():
    @each("under load nothing goes back, and all is counted", alone=True)
    def _(binary, workers):
        with Site(binary, workers) as server:
            visit(server, 1)
            clients = [Load(server) for _ in range(3)]
            scrapes = Scrapes(server)
            for one in [*clients, scrapes]:
                one.start()
            olds = []
            for _ in range(3):
                before = scrapes.done
                olds.append(server.upgrade())
                until(lambda: scrapes.done > before + 5 or scrapes.wrong, "looks")
            for one in [*clients, scrapes]:
                one.enough.set()
                one.join(harness.PATIENCE)
                check(not one.wrong, "a client saw:", one.wrong)
            for old in olds:
                server.await_end(old)
            found, done = server.numbers(), 1 + sum(client.done for client in clients)
            same(found[ONE], done, "visits")
            same(found["sizes_count"], done, "observations")
            same(found[GETS], done, "requests")
            same(found["ctornado_http_request_duration_seconds_count"], done, "times")
            same(found['ctornado_handler_duration_seconds_count{handler="Visit"}'], done, "by class")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (carried, under_load), __doc__)
