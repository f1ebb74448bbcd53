#!/usr/bin/python3
"""WebSockets as others see them: RFC 6455 and RFC 7692 case by case against the
echo of sites/bench, plain and over TLS; then Python's Tornado and its `websockets`
as clients of ours and as servers for ours. The interpreter is Debian's, whose
packages these are.
"""
# SPDX-License-Identifier: Apache-2.0
import asyncio
import logging
import signal
import ssl
import struct
import subprocess
import sys
import threading
import zlib

import tornado.httpserver
import tornado.web
import tornado.websocket
import websockets

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import Connection, Reset, Server, check, same

SITE = harness.ROOT / "sites/bench"
CLIENT = harness.ROOT / "spec/integration/websocket/client.lua"
LIMIT = 4194304  # the site's websocket_max_message_size
MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 4, 2, 1
SUITE = harness.Suite()


# -- A client that may do wrong -------------------------------------------------------


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x37\xfa\x21\x3d"):
    n = len(payload)
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 128 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += struct.pack("!BH", bit | 126, n)
    else:
        head += struct.pack("!BQ", bit | 127, n)
    if not mask:
        return head + payload
    keys = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ keys).to_bytes(n, "big")


def code(number, reason=b""):
    return struct.pack("!H", number) + reason


class Client(Connection):
    """Reads as a strict client does."""

    def __init__(self, server, offer=None, tls=False, tail=b"", path=b"/ws"):
        super().__init__(server.port)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        extension = b"Sec-WebSocket-Extensions: " + offer + b"\r\n" if offer else b""
        self.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                  b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  + extension + b"\r\n" + tail)
        head = self.head()
        same(head.status, 101, "status")
        same(head.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "accept")
        self.extension = head.get("sec-websocket-extensions")
        self.deflater = None

    def frame(self, *words, **options):
        self.send(frame(*words, **options))

    def read(self):
        """The next frame: opcode, payload, RSV."""
        first, second = self.exactly(2)
        check(second < 128, "a masked frame from a server")
        check(first & 128, "a fragment from ctornado")
        n = second
        if n == 126:
            n, = struct.unpack("!H", self.exactly(2))
            check(n > 125, "a length that is not in its shortest form")
        elif n == 127:
            n, = struct.unpack("!Q", self.exactly(8))
            check(n > 65535, "a length that is not in its shortest form")
        return first & 15, self.exactly(n), first >> 4 & 7

    def expect(self, opcode, payload, what="frame"):
        got = self.read()
        check(got[:2] == (opcode, payload), f"{what}: expected {opcode} {payload[:40]!r} "
              f"({len(payload)}), got {got[0]} {got[1][:40]!r} ({len(got[1])})")

    def expect_closed(self, number):
        """A Close frame with that code, and the connection's end behind it."""
        opcode, payload, _ = self.read()
        same((opcode, payload[:2]), (CLOSE, code(number)), "the last frame")
        payload[2:].decode()
        self.end()

    def leave(self):
        self.frame(CLOSE, code(1000))
        self.expect_closed(1000)
        self.close()

    def compress(self, payload, bits=12):
        if not self.deflater:
            self.deflater = zlib.compressobj(9, zlib.DEFLATED, -bits)
        done = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        return done[:-4]


def echo(group, name, pieces, *answers, **options):
    """Sends `pieces` one by one; `answers` must come, and then a closing handshake."""
    def case(side):
        client = side(**options)
        for piece in pieces:
            client.send(piece)
        for answer in answers:
            client.expect(*answer)
        client.leave()
    SUITE.add(group, name, case)


def bad(group, name, number, *pieces, before=(), **options):
    """Sends what must be answered with a Close frame of that code."""
    def case(side):
        client = side(**options)
        try:
            for piece in pieces:
                client.send(piece)
        except Reset:
            pass  # it was seen to be wrong before all was sent
        for answer in before:
            client.expect(*answer)
        client.expect_closed(number)
        client.close()
    SUITE.add(group, name, case)


# -- Frames ---------------------------------------------------------------------------


def framing():
    for size in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20, LIMIT):
        for opcode in (TEXT, BINARY):
            payload = (b"0123456789" if opcode == TEXT else bytes(range(256))) * (size // 10 + 1)
            payload = payload[:size]
            echo("framing", f"opcode {opcode}, {size} bytes", [frame(opcode, payload)],
                 (opcode, payload))
    payload = b"chopped " * 50
    echo("framing", "byte by byte", [bytes([b]) for b in frame(TEXT, payload)], (TEXT, payload))
    many = [(TEXT, b"m%d" % i) for i in range(500)]
    echo("framing", "500 in one segment", [b"".join(frame(*m) for m in many)], *many)
    for n in (1, 2, 9999):
        pieces = [frame(TEXT, b"a", fin=False)] + [frame(MORE, b"b", fin=False)] * n
        echo("framing", f"{n + 2} fragments", [b"".join(pieces), frame(MORE)],
             (TEXT, b"a" + b"b" * n))
    echo("framing", "pings between fragments",
         [frame(TEXT, b"a", fin=False), frame(PING, b"1"), frame(MORE, b"b", fin=False),
          frame(PING, b"2"), frame(MORE, b"c")], (PONG, b"1"), (PONG, b"2"), (TEXT, b"abc"))
    for size in (0, 1, 125):
        echo("framing", f"ping of {size}", [frame(PING, b"x" * size)], (PONG, b"x" * size))
    echo("framing", "pongs that nobody asked for", [frame(PONG, b"x") * 3 + frame(TEXT, b"y")],
         (TEXT, b"y"))
    for first in range(256):
        opcode, rsv, fin = first & 15, first >> 4 & 7, first >> 7
        if rsv == 0 and opcode in (TEXT, BINARY) or rsv == 0 and fin and opcode in (8, 9, 10):
            continue
        bad("framing", f"first byte {first:#04x}", 1002, frame(opcode, b"", fin=fin, rsv=rsv))
    for opcode in (TEXT, BINARY, PING, CLOSE):
        bad("framing", f"opcode {opcode} without a mask", 1002, frame(opcode, b"", mask=None))
    for opcode in (PING, PONG, CLOSE):
        bad("framing", f"opcode {opcode} of 126 bytes", 1002, frame(opcode, b"x" * 126))
    bad("framing", "a message in a message", 1002, frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"))
    bad("framing", "a length with too many bytes", 1002, b"\x81\xfe\0\5abcd")
    bad("framing", "a length beyond 63 bits", 1002, b"\x81\xff" + b"\xff" * 8 + b"abcd")
    bad("framing", "too big by its head", 1009, frame(BINARY, b"x" * (LIMIT + 1))[:14])
    bad("framing", "too big in fragments", 1009, frame(BINARY, b"x" * LIMIT, fin=False)
        + frame(MORE, b"x"))
    bad("framing", "behind a good message", 1002, frame(TEXT, b"good") + frame(3) + frame(TEXT),
        before=[(TEXT, b"good")])


# -- Text -----------------------------------------------------------------------------

SOUND = ["", "a", "κόσμε", "\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000",
         "\ufffd", "\uffff", "\U00010000", "\U0010ffff", "Hello-µ@ßöäüàá-UTF-8!!"]
BROKEN = [b"\x80", b"\xbf", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf",
          b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf",
          b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff",
          b"\xce", b"\xe2\x82", b"\xf0\x9f\x98", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80x"]


def text():
    for i, good in enumerate(SOUND):
        payload = good.encode("utf-8", "surrogatepass")
        echo("text", f"sound {i}", [frame(TEXT, payload)], (TEXT, payload))
        pieces = [frame(TEXT, fin=False)]
        pieces += [frame(MORE, payload[k:k + 1], fin=False) for k in range(len(payload))]
        echo("text", f"sound {i} in fragments", pieces + [frame(MORE)], (TEXT, payload))
    for i, payload in enumerate(BROKEN):
        bad("text", f"broken {i}", 1007, frame(TEXT, payload))
        bad("text", f"broken {i} behind ASCII", 1007, frame(TEXT, b"x" * 100 + payload))
        bad("text", f"broken {i} in fragments", 1007, frame(TEXT, payload[:1], fin=False),
            frame(MORE, payload[1:]))
        echo("text", f"broken {i} as bytes", [frame(BINARY, payload)], (BINARY, payload))
    bad("text", "seen before the message has come", 1007, frame(TEXT, b"\xff", fin=False))


# -- Closing --------------------------------------------------------------------------


def closing():
    for number in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
                   3999, 4000, 4999):
        def good(side, number=number):
            client = side()
            client.frame(CLOSE, code(number, b"because"))
            client.expect_closed(number)
        SUITE.add("closing", f"code {number}", good)
    for number in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        bad("closing", f"code {number}", 1002, frame(CLOSE, code(number)))
    bad("closing", "a payload of one byte", 1002, frame(CLOSE, b"\x03"))
    bad("closing", "a reason that is no text", 1007, frame(CLOSE, code(1000, b"\xff")))

    @SUITE.case("closing", "without a code")
    def _(side):
        client = side()
        client.frame(CLOSE)
        client.expect(CLOSE, b"")
        client.end()

    @SUITE.case("closing", "frames behind it are not looked at")
    def _(side):
        client = side()
        client.send(frame(TEXT, b"a") + frame(CLOSE, code(1000)) + frame(PING) + b"\xff" * 100)
        client.expect(TEXT, b"a")
        client.expect_closed(1000)

    for how in ("ends", "resets"):
        @SUITE.case("closing", f"the client {how} in a message")
        def _(side, how=how):
            for part in (b"", frame(TEXT, b"x" * 1000)[:500], frame(TEXT, b"x", fin=False)):
                client = side()
                client.send(part)
                client.close(reset=how == "resets")
            side().leave()


# -- Compression ------------------------------------------------------------------------

OFFER = b"permessage-deflate; client_max_window_bits"
HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692 §7.2.3.1


def compression():
    offers = {
        b"permessage-deflate": "permessage-deflate; server_no_context_takeover",
        OFFER: "permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
        b"permessage-deflate; server_max_window_bits=9":
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        b"permessage-deflate; client_no_context_takeover": "permessage-deflate; "
            "server_no_context_takeover; client_no_context_takeover",
        b"permessage-deflate; foo, permessage-deflate":
            "permessage-deflate; server_no_context_takeover",
        b'permessage-deflate; server_max_window_bits="10"':
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
    }
    for wrong in (b"x-foo", b"permessage-deflate; foo=1", b"permessage-deflate; "
                  b"server_max_window_bits=16", b"permessage-deflate; server_max_window_bits",
                  b"permessage-deflate; server_no_context_takeover=1",
                  b"permessage-deflate; server_max_window_bits=8",
                  b"permessage-deflate; client_max_window_bits=010"):
        offers[wrong] = None
    for offer, answer in offers.items():
        def negotiate(side, offer=offer, answer=answer):
            client = side(offer=offer)
            same(client.extension, answer, "the answer")
            client.leave()
        SUITE.add("compression", f"offer {offer.decode()}", negotiate)

    for name, block in {"the sample": HELLO, "stored": bytes.fromhex("000500faff48656c6c6f00"),
                        "a last block": bytes.fromhex("f348cdc9c9070000"),
                        "two blocks": bytes.fromhex("f248050000" "00ffffcac9c90700")}.items():
        echo("compression", name, [frame(TEXT, block, rsv=RSV1)], (TEXT, b"Hello"), offer=OFFER)
    echo("compression", "a window that reaches back",
         [frame(TEXT, HELLO, rsv=RSV1), frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1)],
         (TEXT, b"Hello"), (TEXT, b"Hello"), offer=OFFER)
    echo("compression", "a ping between fragments",
         [frame(TEXT, HELLO[:3], fin=False, rsv=RSV1), frame(PING, b"p"), frame(MORE, HELLO[3:])],
         (PONG, b"p"), (TEXT, b"Hello"), offer=OFFER)
    echo("compression", "an empty message", [frame(TEXT, b"\0", rsv=RSV1)], (TEXT, b""), offer=OFFER)
    echo("compression", "a message that is not compressed", [frame(TEXT, b"plain")],
         (TEXT, b"plain"), offer=OFFER)

    @SUITE.case("compression", "long messages, both ways")
    def _(side):
        client = side(offer=OFFER)
        for size in (100, 1000, 10000, 100000, 1000000):
            payload = (b"some text, some more of it, %d. " % size) * (size // 30)
            client.frame(TEXT, client.compress(payload), rsv=RSV1)
            opcode, coded, rsv = client.read()
            same((opcode, rsv), (TEXT, RSV1), "opcode and RSV")
            check(len(coded) < len(payload), "it has not become shorter")
            got = zlib.decompressobj(-15).decompress(coded + b"\0\0\xff\xff")
            check(got == payload, f"the echo of {size} bytes is wrong")
        client.leave()

    bad("compression", "garbage", 1007, frame(BINARY, b"\xff\xff\xff\xfe", rsv=RSV1), offer=OFFER)
    bad("compression", "no text", 1007, frame(TEXT, zlib.compress(b"\xff")[2:-4] + b"\0", rsv=RSV1),
        offer=OFFER)
    bad("compression", "RSV1 on a ping", 1002, frame(PING, rsv=RSV1), offer=OFFER)
    bad("compression", "RSV1 on a continuation", 1002,
        frame(TEXT, HELLO[:3], fin=False, rsv=RSV1) + frame(MORE, HELLO[3:], rsv=RSV1), offer=OFFER)
    bomb = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = (bomb.compress(bytes(3 * LIMIT)) + bomb.flush(zlib.Z_SYNC_FLUSH))[:-4]
    bad("compression", "a bomb", 1009, frame(BINARY, bomb, rsv=RSV1), offer=OFFER)
    bad("compression", "a bomb in fragments", 1009, frame(BINARY, bomb[:100], fin=False, rsv=RSV1),
        frame(MORE, bomb[100:]), offer=OFFER)


# -- The whole server -------------------------------------------------------------------


def check_stop(binary):
    """At its end a server says 1001 to all, and waits for their answer, for two seconds."""
    def run(step):
        with Server(binary, site=SITE) as server:
            clients = [Client(server) for _ in range(5)]
            step()
            server.end()
            try:
                for client in clients:
                    client.expect(CLOSE, code(1001))
                    client.frame(CLOSE, code(1001))
                    client.end()
            finally:
                step()
    harness.on_time(1.9, run)


def check_reload(binary):
    """A reload leaves a WebSocket alone for a while, and says 1012 then."""
    def retire(server):
        old = Client(server)
        server.process.send_signal(signal.SIGHUP)
        server.await_line("generation 1 retires")
        return old, Client(server)

    with Server(binary, "--reload-grace=600", site=SITE) as server:
        for client in retire(server):
            client.frame(TEXT, b"still there")
            client.expect(TEXT, b"still there")
            client.leave()
    with Server(binary, "--reload-grace=0.5", site=SITE) as server:
        old, new = retire(server)
        old.expect(CLOSE, code(1012))
        old.frame(CLOSE, code(1012))
        old.end()
        new.frame(TEXT, b"still there")
        new.expect(TEXT, b"still there")
        new.leave()


def check_early(side):
    client = side(tail=frame(TEXT, b"early"))
    client.expect(TEXT, b"early")
    client.leave()


def check_flood(side):
    """Pings without an end from a client that reads nothing: memory stays."""
    client = side()
    client.send_what_fits(frame(PING, b"x" * 125) * 500, most=64 << 20, still=0.5)
    client.close(reset=True)
    side().leave()


# -- Others -----------------------------------------------------------------------------

PAYLOADS = ["", "a", "grün" * 100, "x" * 65536, b"\xff\x00" * 50000, b""]


async def websockets_client(port, compression):
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", compression=compression,
                                  max_size=LIMIT) as peer:
        for payload in PAYLOADS * 3:
            await peer.send(payload)
            same(await peer.recv(), payload, "the echo")
        await peer.send(["frag", "ments"])
        same(await peer.recv(), "fragments", "the echo of fragments")
        await asyncio.wait_for(await peer.ping(), harness.PATIENCE)
    same(peer.close_code, 1000, "close code")


async def tornado_client(port, options):
    peer = await tornado.websocket.websocket_connect(
        f"ws://127.0.0.1:{port}/ws", compression_options=options)
    for payload in PAYLOADS * 3:
        await peer.write_message(payload, binary=isinstance(payload, bytes))
        same(await peer.read_message(), payload, "the echo")
    peer.close(4000, "done")
    same(await peer.read_message(), None, "the end")
    same(peer.close_code, 4000, "close code")


class Echo(tornado.websocket.WebSocketHandler):
    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


async def websockets_echo(peer, _path=None):
    async for message in peer:
        await peer.send(message)


class Others:
    """Servers of others in a thread: their ports by name."""

    def __enter__(self):
        self.loop, self.ports, ready = None, {}, threading.Event()

        async def serve():
            self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
            sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
            theirs = tornado.httpserver.HTTPServer(tornado.web.Application([("/ws", Echo)]))
            theirs.add_sockets(sockets)
            self.ports["Tornado"] = sockets[0].getsockname()[1]
            async with websockets.serve(websockets_echo, "127.0.0.1", 0) as server:
                self.ports["websockets"] = server.sockets[0].getsockname()[1]
                ready.set()
                await self.over.wait()
            theirs.stop()

        self.thread = threading.Thread(target=asyncio.run, args=(serve(),))
        self.thread.start()
        check(ready.wait(harness.PATIENCE), "the others did not start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(harness.PATIENCE)


def run_client(binary, port):
    done = subprocess.run([str(binary), "run", str(CLIENT), f"ws://127.0.0.1:{port}/ws"],
                          capture_output=True, text=True, timeout=harness.PATIENCE,
                          stdin=subprocess.DEVNULL, cwd=harness.ROOT)
    check(done.returncode == 0 and not done.stderr, done.stderr[-2000:])


def interchange(tally, binary, server, others):
    for name, options in (("plain", None), ("compressed", "deflate")):
        tally.run(f"websockets, {name}", lambda: asyncio.run(websockets_client(
            server.port, options)))
        tally.run(f"Tornado, {name}", lambda: asyncio.run(tornado_client(
            server.port, {} if options else None)))
    for name, port in others.ports.items():
        tally.run(f"ours to {name}", run_client, binary, port)


def main():
    options = harness.arguments(__doc__).parse_args()
    logging.disable(logging.CRITICAL)
    for add in (framing, text, closing, compression):
        add()
    SUITE.add("server", "a frame behind the handshake", check_early)
    SUITE.add("server", "a flood of pings", check_flood, alone=True)
    tally = harness.Tally()
    chosen = [case for case in SUITE.cases if options.only in case[0]]
    for binary in harness.binaries():
        with Server(binary, site=SITE) as server:
            tally.run_all(chosen, lambda **how: Client(server, **how))
            with Others() as others:
                interchange(tally, binary, server, others)
        tally.run("stopping", check_stop, binary)
        tally.run("reloading", check_reload, binary)
        with Server(binary, "--certfile=self-signed", "--debug", site=SITE) as server:
            tally.run_all([case for case in chosen if "flood" not in case[0]],
                          lambda **how: Client(server, tls=True, **how))
    harness.finish(tally)


if __name__ == "__main__":
    main()
