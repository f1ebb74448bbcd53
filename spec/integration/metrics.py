#!/usr/bin/env python3
"""The admin listener of a server alone and of one with workers: when it says that the
server is ready, and what it counts while workers are killed and sites are loaded anew.
Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, HomeServer, Server, check, same, until

SUITE = harness.Suite()
case = SUITE.case

APP = """
local admin = require "tornado.admin"
local metrics = require "tornado.metrics"
local core = require "tornado.core"
local gen = require "tornado.gen"
local web = require "tornado.web"

local function wait_for(name)
    while not core.file_kind("HOME/" .. name) do gen.sleep(0.005) end
end

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write("VERSION") end

local visits = metrics.counter("visits_total", { labels = { "what" } })
local present = metrics.gauge("present")

local Visit = web.RequestHandler:extend "Visit"
function Visit:get()
    visits:inc(1, "VERSION")
    present:set(1)
    if self:get_argument("fail", nil) then error("on purpose") end
    self:write(core.worker() .. "")
end

local Slow = web.RequestHandler:extend "Slow"
function Slow:get()
    wait_for("go on")
    self:write("slow")
end

local Version = web.RequestHandler:extend "Version"
function Version:get() self:write("VERSION") end

admin.add_handlers { { "/version", Version } }
admin.ready_check("file", function()
    return core.file_kind("HOME/broken") == nil, "it is broken"
end)

return web.Application {
    { "/", Main }, { "/slow", Slow }, { "/visit", Visit },
    on_start = function() wait_for("start") end,
}
"""


class Site(HomeServer):
    """A server with a site of its own and an admin listener on a unix socket."""

    def __init__(self, binary, *options, started=True):
        super().__init__(binary, *options)
        self.admin = self.home / "admin"
        self.options = f"--admin=unix:{self.admin}", "--control=none", *self.options
        self.write("one")
        if started:
            self.touch("start")

    def write(self, version):
        text = APP.replace("HOME", str(self.home)).replace("VERSION", version)
        (self.home / "app.lua").write_text(text)

    def touch(self, name):
        (self.home / name).write_text("")

    def connect_admin(self):
        return harness.Connection(self.admin)

    def has_admin(self):
        try:
            self.connect_admin().close()
            return True
        except OSError:
            return False

    def ask(self, path):
        """The reply of the admin listener to GET `path`."""
        with self.connect_admin() as c:
            c.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
                   b"Connection: close\r\n\r\n")
            return c.reply()

    def await_ready(self, status, **wanted):
        """Waits until /ready answers with `status`, and its report has `wanted`."""
        def look():
            try:
                reply = self.ask("/ready")
            except (harness.Ended, harness.Reset):  # of a worker that was about to end
                return None
            if reply.status != status:
                return None
            report = reply.json()
            return all(report[name] == value for name, value in wanted.items())
        until(look, f"/ready to answer {status}")


def workers(server):
    return server.ask("/status").json()["workers"]


def await_serving(server):
    until(lambda: all(w["state"] == "serving" for w in workers(server)), "all to serve")
    if len(workers(server)) > 1:
        server.await_line("workers? serve")  # the master knows it, too


def start_slow(server):
    """A request that goes on until the file "go on" is there."""
    c = server.connect()
    c.send(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
    until(lambda: any(w["requests"] for w in workers(server)), "the request to be under way")
    return c


def kill_one(server):
    """Kills worker 1, and waits until it is gone; returns its pid."""
    pid = workers(server)[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    server.await_line(rf"worker 1 \(pid {pid}\) died")
    return pid


def readiness(title, *options):
    g = f"readiness, {title}"

    @case(g, "not before the sites have started")
    def _(binary):
        server = Site(binary, *options, started=False)
        thread = threading.Thread(target=server.start)  # it waits until the server serves
        thread.start()
        try:
            until(server.has_admin, "the admin listener")
            server.await_ready(503, state="starting", ready=False)
            same(server.ask("/health").json()["state"], "starting", "the state")
            server.touch("start")
            server.await_ready(200, state="serving", ready=True, checks={"file": "ok"})
        finally:
            server.touch("start")
            thread.join()
            server.__exit__(None, None, None)

    @case(g, "not while a check fails")
    def _(binary):
        with Site(binary, *options) as server:
            server.await_ready(200)
            server.touch("broken")
            reply = server.ask("/ready")
            same(reply.status, 503, "status")
            same(reply.json()["checks"], {"file": "it is broken"}, "checks")
            (server.home / "broken").unlink()
            same(server.ask("/ready").status, 200, "status")

    @case(g, "not while what is under way is finished")
    def _(binary):
        with Site(binary, *options) as server:
            await_serving(server)
            with start_slow(server) as c:
                server.process.send_signal(signal.SIGTERM)
                server.await_ready(503, state="ending")
                server.touch("go on")
                same(c.reply().body, b"slow", "the reply")

    @case(g, "stop_delay: at once, while all is served")
    def _(binary):
        with Site(binary, "--stop_delay=3600", *options) as server:
            await_serving(server)
            server.process.send_signal(signal.SIGTERM)
            server.await_ready(503, state="ending")
            for _ in range(20):
                same(server.get("/").body, b"one", "a new connection's reply")
            server.process.send_signal(signal.SIGINT)  # does not wait
            same(server.process.wait(harness.PATIENCE), 0, "exit code")

    @case(g, "stop_delay: then it ends")
    def _(binary):
        with Site(binary, "--stop_delay=0.2", *options) as server:
            await_serving(server)
            server.process.send_signal(signal.SIGTERM)
            same(server.process.wait(harness.PATIENCE), 0, "exit code")
            server.await_line("stopping in 0.2 s")
            server.await_line("stopping: 0 requests")

    @case(g, "the pages are those of the newest generation")
    def _(binary):
        with Site(binary, *options) as server:
            await_serving(server)
            with server.connect_admin() as c:
                ask = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
                c.send(ask)
                same(c.reply().body, b"one", "before")
                server.write("two")
                server.process.send_signal(signal.SIGHUP)
                until(lambda: all(w["generation"] == 2 for w in workers(server)), "the reload")
                c.send(ask)
                same(c.reply().body, b"two", "on the same connection")
            same(server.ask("/version").body, b"two", "on a new connection")
            same(server.ask("/ready").status, 200, "/ready")


def cluster():
    g = "workers"

    @case(g, "one answers while the other is dead")
    def _(binary):
        with Site(binary, "--workers=2") as server:
            await_serving(server)
            (server.home / "start").unlink()  # the next one does not come to serve
            first = kill_one(server)
            until(lambda: workers(server)[0]["pid"] not in (0, first), "its successor")
            for _ in range(20):
                same(server.ask("/ready").status, 200, "/ready")
            same(workers(server)[0]["state"], "starting", "the state of the successor")
            server.touch("start")
            await_serving(server)


def numbers(server):
    """name{labels} -> value of all samples, of the text; the JSON has to agree."""
    found = {}
    for line in server.ask("/metrics").body.decode().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            check(name not in found, f"{name} is there twice")
            found[name] = float(value)
    return found


def visits(found):
    return sum(value for name, value in found.items() if name.startswith("visits_total"))


GETS = 'ctornado_http_requests_total{method="GET",status="2xx"}'


def counting():
    g = "counting"

    def visit_both(server):
        """Visits until each worker was visited; returns how often."""
        seen, count = set(), 0
        while len(seen) < 2:
            seen.add(server.get("/visit").body)
            count += 1
            check(count < 1000, "only one worker answers")
        return count

    @case(g, "any worker answers for all")
    def _(binary):
        with Site(binary, "--workers=2") as server:
            await_serving(server)
            count = visit_both(server)
            for _ in range(10):
                found = numbers(server)
                same(found['visits_total{what="one"}'], count, "visits")
                same(found[GETS], count, "requests")
                same(found['ctornado_handler_requests_total{handler="Visit"}'], count, "by class")
                same(found["ctornado_connections_accepted_total"], count, "connections")
                same(found["present"], 2, "the gauge")
            found = {m["name"]: m for m in server.ask("/metrics?format=json").json()["metrics"]}
            same(found["visits_total"]["series"], [{"labels": {"what": "one"}, "value": count}],
                 "as JSON")
            same(server.ask("/metrics.json").json()["metrics"][0]["name"], "ctornado_build_info",
                 "/metrics.json")
            same(sum(w["handled"] for w in workers(server)), count, "status")

    @case(g, "the admin listener answers at max_connections")
    def _(binary):
        with Site(binary, "--workers=2", "--max_connections=6") as server:
            await_serving(server)
            inside = [server.connect() for _ in range(6)]
            for c in inside:
                c.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
                same(c.reply().status, 200, "a client inside")
            for _ in range(4):
                with server.connect() as c:
                    same(c.reply().status, 503, "one too many")
            same(server.ask("/health").status, 200, "/health")
            same(server.ask("/ready").status, 200, "/ready")
            found = numbers(server)
            refused = "ctornado_connections_refused_total{limit=\"%s\"}"
            same(found[refused % "max_connections"], 4, "refused")
            same(found[refused % "max_connections_per_ip"], 0, "refused by address")
            for c in inside:
                c.close()

    @case(g, "nothing goes down when a worker is killed")
    def _(binary):
        with Site(binary, "--workers=2") as server:
            await_serving(server)
            count = visit_both(server)
            same(server.get("/visit?fail=1").status, 500, "the status of a failure")
            before = numbers(server)
            for deaths in 1, 2, 3:
                first = kill_one(server)
                until(lambda: workers(server)[0]["pid"] not in (0, first), "its successor")
                await_serving(server)
                found = numbers(server)
                for name, value in before.items():
                    if name.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum")):
                        check(found[name] >= value, f"{name}: {value}, then {found.get(name)}")
                same(visits(found), count + 1, "visits")
                same(found["ctornado_worker_restarts_total"], deaths, "deaths")
                same(found["present"], 1, "the gauge without the dead one's")
            count += visit_both(server)
            found = numbers(server)
            same(visits(found), count + 1, "visits in the end")
            same(found["present"], 2, "the gauge")
            errors = server.ask("/errors").json()
            check(any("on purpose" in e["message"] and e["request"] for e in errors), errors)

    @case(g, "and none when a worker is killed while it counts")
    def _(binary):
        with Site(binary, "--workers=2") as server:
            await_serving(server)
            stop = threading.Event()

            def load():
                while not stop.is_set():
                    try:
                        with server.connect() as c:
                            for _ in range(100):
                                c.send(b"GET /visit HTTP/1.1\r\n" + HOST + b"\r\n")
                                c.reply()
                    except (harness.Failure, OSError):
                        pass  # of the one that was killed
            threads = [threading.Thread(target=load) for _ in range(3)]
            for thread in threads:
                thread.start()
            try:
                last = {}
                for _ in range(5):
                    until(lambda: visits(numbers(server)) > visits(last) + 50, "more visits")
                    first = kill_one(server)
                    until(lambda: workers(server)[0]["pid"] not in (0, first), "its successor")
                    await_serving(server)
                    found = numbers(server)
                    for name, value in last.items():
                        if name.partition("{")[0].endswith("_total"):
                            check(found[name] >= value, f"{name}: {value}, then {found[name]}")
                    last = found
            finally:
                stop.set()
                for thread in threads:
                    thread.join()

    for options in [], ["--workers=2"]:
        @case(g, f"goes on through a reload{' of workers' if options else ''}")
        def _(binary, options=options):
            with Site(binary, *options) as server:
                await_serving(server)
                server.get("/visit")
                server.write("two")
                server.process.send_signal(signal.SIGHUP)
                until(lambda: all(w["generation"] == 2 for w in workers(server)), "the reload")
                server.get("/visit")
                found = numbers(server)
                same(found['visits_total{what="one"}'], 1, "visits before")
                same(found['visits_total{what="two"}'], 1, "visits behind")
                until(lambda: numbers(server)['ctornado_reloads_total{result="ok"}'] == 1,
                      "the reload to be counted")
                (server.home / "app.lua").write_text("error('broken')")
                server.process.send_signal(signal.SIGHUP)
                until(lambda: numbers(server)['ctornado_reloads_total{result="failed"}'] == 1,
                      "the failure to be counted")
                server.write("three")  # with other labels
                text = (server.home / "app.lua").read_text()
                text = text.replace('{ "what" }', '{ "what", "more" }')
                text = text.replace('inc(1, "three")', 'inc(1, "three", "x")')
                (server.home / "app.lua").write_text(text)
                server.process.send_signal(signal.SIGHUP)
                until(lambda: numbers(server)['ctornado_reloads_total{result="ok"}'] == 2,
                      "the second reload")
                server.get("/visit")
                found = numbers(server)
                same(found['visits_total{what="three",more="x"}'], 1, "visits with other labels")
                same(visits(found), 1, "the metric of before is not shown any more")

    @case(g, "TLS handshakes")
    def _(binary):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        def visit(server, session):
            tcp = socket.create_connection(("127.0.0.1", server.port), harness.PATIENCE)
            with context.wrap_socket(tcp, session=session) as s:
                s.sendall(harness.LAST)
                while s.recv(65536):
                    pass
                return s.session
        with Site(binary, "--certfile=self-signed", "--debug") as server:
            visit(server, visit(server, None))
            with server.connect() as c:
                c.send(harness.LAST)
                same(c.reply().status, 400, "plain text")
            found = numbers(server)
            same(found['ctornado_tls_handshakes_total{result="ok"}'], 2, "handshakes")
            same(found['ctornado_tls_handshakes_total{result="failed"}'], 1, "failed")
            same(found["ctornado_tls_resumed_total"], 1, "resumed")
            same(found[GETS], 2, "requests")

    @case(g, "an open connection, and what is under way")
    def _(binary):
        with Site(binary) as server:
            await_serving(server)
            with start_slow(server) as c, server.connect() as idle:
                until(lambda: numbers(server)["ctornado_connections_open"] >= 3, "connections")
                found = numbers(server)
                check(found["ctornado_http_requests_in_flight"] >= 1, found)
                check(found["ctornado_connections_idle"] >= 1, found)
                server.touch("go on")
                same(c.reply().body, b"slow", "the reply")
                check(idle.quiet(), "the idle connection")
            same(numbers(server)['ctornado_handler_requests_total{handler="Slow"}'], 1, "replies")


def addresses():
    g = "addresses"

    @case(g, "one that others reach is warned of")
    def _(binary):
        with Server(binary, "--admin=0.0.0.0:0", "--control=none") as server:
            server.await_line(r"THE ADMIN LISTENER 0.0.0.0:\d+ CAN BE REACHED FROM OTHER MACHINES")
        with Server(binary, "--admin=[::1]:0", "--control=none") as server:
            server.await_line(r"admin listener: http://[^ ]+:\d+")
            check("OTHER MACHINES" not in server.log(), server.log())

    @case(g, "one in use ends the server, with the reason")
    def _(binary):
        with Server(binary) as other:
            for more in [], ["--workers=2"]:
                done = subprocess.run(
                    [str(binary), f"--site={harness.SITE}", "--port=0", "--control=none",
                     f"--admin=127.0.0.1:{other.port}", *more],
                    capture_output=True, text=True, timeout=harness.PATIENCE)
                same(done.returncode, 1, "exit code")
                check("address already in use" in done.stderr, done.stderr)


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, [
        lambda: readiness("alone"), lambda: readiness("two workers", "--workers=2"),
        cluster, counting, addresses], __doc__)
