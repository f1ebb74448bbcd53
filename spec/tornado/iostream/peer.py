#!/usr/bin/env python3
"""Tornado at the other end of a TLS connection: for the specs of tornado.iostream.

`serve CERT KEY [CA]` prints its port, and echoes lines until its input ends; with CA, clients
need a certificate. `connect PORT CA HOST` sends a line to a server, and prints the answer.
"""
# SPDX-License-Identifier: Apache-2.0
import asyncio
import ssl
import sys

from tornado.iostream import StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.tcpserver import TCPServer


class Echo(TCPServer):
    async def handle_stream(self, stream, address):
        try:
            while True:
                await stream.write(await stream.read_until(b"\n"))
        except StreamClosedError:
            pass


async def serve(cert, key, ca=None):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["echo"])
    if ca:
        context.verify_mode = ssl.CERT_REQUIRED
    server = Echo(ssl_options=context)
    server.listen(0, "127.0.0.1")
    print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def connect(port, ca, host):
    context = ssl.create_default_context(cafile=ca)
    stream = await TCPClient().connect("127.0.0.1", int(port))
    stream = await stream.start_tls(False, context, host)
    await stream.write(b"from Tornado\n")
    print((await stream.read_until(b"\n")).decode(), end="")
    stream.close()


asyncio.run({"serve": serve, "connect": connect}[sys.argv[1]](*sys.argv[2:]))
