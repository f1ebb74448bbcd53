"""Tornado's side of spec/bench/streams: echoes lines on a free port."""
# SPDX-License-Identifier: Apache-2.0
import asyncio

from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.tcpserver import TCPServer


class Echo(TCPServer):
    async def handle_stream(self, stream, address):
        try:
            while True:
                await stream.write(await stream.read_until(b"\n"))
        except StreamClosedError:
            pass


async def main():
    sockets = bind_sockets(0, "127.0.0.1")
    Echo().add_sockets(sockets)
    print("listening on 127.0.0.1:%d" % sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
