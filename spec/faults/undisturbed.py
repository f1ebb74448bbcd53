#!/usr/bin/env python3
"""What clients notice of reloads, new certificates, upgrades and killed workers: two workers under
wrk's load with 64 connections, beside 1,000 idle keep-alive connections and 1,000 WebSockets. No
request may fail and no connection end, but those of a worker that is killed, and, behind its next
reply, an idle one of a program that was replaced. Prints the 99th percentile of the delay of each
phase beside the undisturbed one. Takes minutes.
"""
# SPDX-License-Identifier: Apache-2.0
import base64
import os
import pathlib
import re
import resource
import signal
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # or common would leave a __pycache__ here
import common
import clusters
import harness
import upgrading
from harness import HOST, Ended, Reset, check, same

CONNECTIONS, IDLE, SOCKETS = 64, 1000, 1000
PHASE = 20  # seconds at least
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"

APP = """
local core = require "tornado.core"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local Main = web.RequestHandler:extend "Main"
function Main:get()
    self:set_header("X-Worker", tostring(core.worker()))
    self:write("%s")
end

local Echo = websocket.WebSocketHandler:extend "Echo"
function Echo:on_message(message) self:write_message(message) end

return web.Application { { "/", Main }, { "/echo", Echo } }
"""


OPTIONS = ("--max_connections=20000", "--max_keepalive_requests=1000000000",
           "--idle_timeout=600", "--max_connections_per_ip=20000")


class Cluster(clusters.Cluster):
    scheme = "http"

    def write(self, version):
        (self.home / "app.lua").write_text(APP % version)


class Certified(Cluster):
    """With HTTPS, and a certificate that certify() makes anew."""
    scheme = "https"

    def __init__(self, binary, *options):
        super().__init__(binary, *options)
        self.options += (f"--certfile={self.home}/crt", f"--keyfile={self.home}/key")
        self.certify("one")

    def certify(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{self.home}/key",
                        "-out", f"{self.home}/crt", "-days", "9", "-subj", f"/CN={name}"],
                       check=True, capture_output=True)

    def connect(self):
        connection = super().connect()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection.socket = context.wrap_socket(connection.socket)
        return connection


class Upgradable(upgrading.Upgradable):
    scheme = "http"

    def write(self, version):
        (self.home / "app.lua").write_text(APP % version)


class Client:
    """A connection that stays open: idle, or a WebSocket."""

    def __init__(self, server, is_websocket):
        self.c = server.connect()
        self.is_websocket = is_websocket
        self.worker = None
        if is_websocket:
            key = base64.b64encode(os.urandom(16))
            self.c.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\n"
                        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")
            same(self.c.head().status, 101, "status of the handshake")
        else:
            self.c.send(GET)
            self.worker = self.c.reply().get("x-worker")

    def answers(self):
        """Whether it is still open, and served."""
        try:
            if self.is_websocket:
                self.c.send(b"\x81\x82\0\0\0\0hi")
                return self.c.exactly(4) == b"\x81\x02hi"
            self.c.send(GET)
            return self.c.reply().status == 200
        except (Ended, Reset):
            return False


class Trial:
    """The server, its clients, and the phases."""

    def __init__(self, server):
        self.server = server
        self.clients = [Client(server, False) for _ in range(IDLE)]
        self.clients += [Client(server, True) for _ in range(SOCKETS)]

    def phase(self, name, act, times, may_lose=False, seconds=PHASE):
        """Calls act(i) `times` times under load, spread over so many seconds or more."""
        load = common.Wrk(self.server.port, CONNECTIONS, self.server.scheme)
        for i in range(max(times, 1)):
            started = time.monotonic()
            check(load.running(), f"{name}: wrk has ended")
            if act:
                act(i)
            time.sleep(max(0, seconds / max(times, 1) - (time.monotonic() - started)))
        got = load.result()
        gone = [c for c in self.clients if not c.answers()]
        self.clients = [c for c in self.clients if c not in gone]
        print(f"     {name}: {got['requests']} requests, p99 {got['p99']:.1f} ms, errors "
              f"{got['errors']}, not 2xx {got['bad']}, ended connections {len(gone)}",
              flush=True)
        check(not got["bad"], f"{name}: replies that are not 2xx: {got['bad']}")
        if not may_lose:
            check(not got["errors"], f"{name}: {got['errors']}")
            check(not gone, f"{name}: {len(gone)} connections have ended")
        return got

    def reload(self, i):
        """Each second one is of a broken script."""
        if i % 2:
            (self.server.home / "app.lua").write_text("error('on purpose')\n")
        else:
            self.server.write(f"v{i}")
        code, _, err = self.server.command("reload")
        same(code, i % 2, f"the exit code of reload {i}: {err}")

    def kill(self, i):
        """One worker and the other in turn: who lives less than 2 s has to wait."""
        status = self.server.ask_status()["workers"]
        victim = status[i % len(status)]
        os.kill(victim["pid"], signal.SIGKILL)
        self.server.await_workers(victim["pid"])

    def renew(self, i):
        """New connections have the new certificate; those that are open stay."""
        self.server.certify(f"c{i}")
        code, _, err = self.server.command("reload")
        same(code, 0, f"the exit code of reload {i}: {err}")
        shown = ssl.get_server_certificate(("127.0.0.1", self.server.port))
        same(shown.strip(), (self.server.home / "crt").read_text().strip(), "the certificate")

    def upgrade(self, _):
        self.server.install(self.server.original)
        self.server.upgrade()

    def compare(self, name, act, times, last=False, **more):
        """A phase, and undisturbed ones before and, unless it is the last, behind it."""
        calm = [self.phase("undisturbed", None, 0)["p99"]]
        p99 = self.phase(name, act, times, **more)["p99"]
        if not last:
            calm.append(self.phase("undisturbed", None, 0)["p99"])
        calm = max(calm)
        print(f"     {name}: {p99 / calm:.2f} of the undisturbed p99", flush=True)
        check(p99 < max(2 * calm, calm + 20), f"p99 {p99} against {calm} ms")

    def close(self):
        for client in self.clients:
            client.c.close()


def reloads(binary):
    with Cluster(binary, *OPTIONS) as server:
        trial = Trial(server)
        trial.compare("100 reloads, half of them broken", trial.reload, 100)


def kills(binary):
    with Cluster(binary, *OPTIONS) as server:
        trial = Trial(server)
        trial.compare("20 killed workers", trial.kill, 20, may_lose=True, seconds=50)


def certificates(binary):
    with Certified(binary, *OPTIONS) as server:
        trial = Trial(server)
        trial.compare("10 certificates", trial.renew, 10)


def upgrades(binary):
    with Upgradable(binary, "--reload_grace=600", *OPTIONS, workers=2) as server:
        trial = Trial(server)
        trial.compare("5 binary upgrades", trial.upgrade, 5, last=True)
        trial.close()


def main():
    options = harness.arguments(__doc__).parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    tally = harness.Tally()
    for binary in harness.binaries(asan=False):
        for case in (reloads, kills, certificates, upgrades):
            if options.only in case.__name__:
                tally.run(case.__name__, case, binary)
    harness.finish(tally)


if __name__ == "__main__":
    main()
