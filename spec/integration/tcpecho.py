#!/usr/bin/python3
"""The tcpecho demo beside Tornado and socat: each server with each client. The
interpreter is Debian's, whose Tornado it is.
"""
# SPDX-License-Identifier: Apache-2.0
import asyncio
import re
import socket
import struct
import subprocess
import sys
import threading

import tornado.iostream
import tornado.netutil
import tornado.tcpclient
import tornado.tcpserver

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import check, same

DEMO = harness.ROOT / "sites/tcpecho"
LINES = ["one", "two words", "x" * 60000, "last"]


class Echo:
    """sites/tcpecho/server.lua on a free port. A context manager."""

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        self.process = subprocess.Popen(
            [str(self.binary), "run", str(DEMO / "server.lua"), "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)$", line.strip()).group(1))
        return self

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        self.log = self.process.communicate(timeout=harness.PATIENCE)[1]
        if kind is None:
            same(self.process.returncode, 128 + 15, "exit code after SIGTERM")
            check("Traceback" not in self.log and "[E" not in self.log, self.log)


class TornadoEcho(tornado.tcpserver.TCPServer):
    async def handle_stream(self, stream, address):
        try:
            while True:
                await stream.write(await stream.read_until(b"\n"))
        except tornado.iostream.StreamClosedError:
            pass


def tornado_client(binary):
    async def talk(port):
        stream = await tornado.tcpclient.TCPClient().connect("127.0.0.1", port)
        for line in LINES:
            await stream.write(line.encode() + b"\n")
            same(await stream.read_until(b"\n"), line.encode() + b"\n", "the echo")
        stream.close()

    with Echo(binary) as server:
        asyncio.run(talk(server.port))


def tornado_server(binary):
    ports, loops = [], []
    started, over = threading.Event(), asyncio.Event()

    async def serve():
        server = TornadoEcho()
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        ports.append(sockets[0].getsockname()[1])
        loops.append(asyncio.get_running_loop())
        started.set()
        await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    check(started.wait(harness.PATIENCE), "Tornado did not start")
    try:
        done = subprocess.run(
            [str(binary), "run", str(DEMO / "client.lua"), "localhost", str(ports[0]), *LINES],
            capture_output=True, text=True, timeout=harness.PATIENCE, check=False)
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join()
    same(done.stdout, "".join(f"Response from server: {line}\n" for line in LINES), "stdout")
    same(done.returncode, 0, "exit code")


def socat_client(binary):
    with Echo(binary) as server:
        sent = "".join(line + "\n" for line in LINES)
        done = subprocess.run(["socat", "-t", str(harness.PATIENCE), "-", f"TCP:127.0.0.1:{server.port}"],
                              input=sent, capture_output=True, text=True,
                              timeout=harness.PATIENCE, check=False)
        same(len(done.stdout), len(sent), "bytes of the echo")
        check(done.stdout == sent, "the echo differs")


def rude_clients(binary):
    """Resets, lines without an end, and clients that never read."""
    with Echo(binary) as server:
        for _ in range(50):
            peer = socket.create_connection(("127.0.0.1", server.port))
            peer.send(b"half a line")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        endless = socket.create_connection(("127.0.0.1", server.port))
        endless.settimeout(harness.PATIENCE)
        try:
            endless.sendall(b"x" * 70000)
            same(endless.recv(1), b"", "the answer to an endless line")
        except (BrokenPipeError, ConnectionResetError):
            pass
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.settimeout(1)
        sent = 0
        try:
            while sent < 1 << 28:
                sent += deaf.send(b"y" * 1023 + b"\n")
        except TimeoutError:
            pass
        check(sent < 1 << 28, "a client that never reads was read from without a limit")
        deaf.close()
        later = socket.create_connection(("127.0.0.1", server.port))
        later.sendall(b"still there\n")
        later.settimeout(harness.PATIENCE)
        same(later.makefile("rb").readline(), b"still there\n", "the echo afterwards")
        later.close()


def main():
    only = harness.arguments(__doc__).parse_args().only
    tally = harness.Tally()
    for binary in harness.binaries():
        kind = "asan" if harness.is_asan(binary) else "normal"
        for case in (tornado_client, tornado_server, socat_client, rude_clients):
            name = f"{kind}: {case.__name__}"
            if only in name:
                tally.run(name, case, binary)
    harness.finish(tally)


main()
