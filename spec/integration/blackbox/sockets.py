"""Checks 65 to 72: WebSockets."""
# SPDX-License-Identifier: Apache-2.0
import struct
import time
import zlib

from common import *  # noqa: F403, the vocabulary of checks

MORE, TEXT, BINARY, SHUT, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1 = 4
LIMIT = 10000  # the sites' websocket_max_message_size
MASK = b"\x37\xfa\x21\x3d"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE = b"Upgrade: websocket\r\n"
CONNECTION = b"Connection: Upgrade\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
WHOLE = UPGRADE + CONNECTION + VERSION + KEY
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
CLOSES = "§16.2: stricter, it closes with a code (RFC 6455 §7.1.7)"


def frame(opcode, payload=b"", fin=True, rsv=0):
    n = len(payload)
    size = bytes([128 | n]) if n < 126 else struct.pack("!BH", 128 | 126, n)
    masked = bytes(b ^ MASK[i % 4] for i, b in enumerate(payload))
    return bytes([fin << 7 | rsv << 4 | opcode]) + size + MASK + masked


def begin(site, path="/ws", fields=b"", on="main"):
    """A connection whose handshake is done."""
    c = connect(site, on)
    c.send(head(path, fields=WHOLE + fields))
    c.handshake = c.head()
    same(c.handshake.status, 101, "status")
    return c


def read(c):
    """The next frame: opcode, payload, RSV."""
    first, n = c.exactly(2)
    if n == 126:
        n, = struct.unpack("!H", c.exactly(2))
    return first & 15, c.exactly(n), first >> 4 & 7


def expect(c, opcode, payload):
    same(read(c)[:2], (opcode, payload), "frame")


def expect_closed(c, code):
    opcode, payload, _ = read(c)
    same((opcode, payload[:2]), (SHUT, struct.pack("!H", code)), "the last frame")
    c.cut()


def handshake(site, fields):
    return ask(site, "/ws", fields=fields)


def compress(payload):
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(payload):
    return zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")


@case(65, "handshakes")
def _(site):
    reply = handshake(site, CONNECTION + VERSION + KEY)
    same((reply.status, reply.body), (400, b'Can "Upgrade" only to "WebSocket".'), "no Upgrade")
    reply = handshake(site, UPGRADE + VERSION + KEY)
    same((reply.status, reply.body), (400, b'"Connection" must be "Upgrade".'), "no Connection")
    reply = handshake(site, UPGRADE + CONNECTION + b"Sec-WebSocket-Version: 12\r\n" + KEY)
    same(reply.status, 426, "version 12")
    check("13" in reply.get("sec-websocket-version"), "Sec-WebSocket-Version")
    same(handshake(site, UPGRADE + CONNECTION + VERSION).status, 400, "no key")
    same(ask(site, "/ws", "POST", WHOLE, b"").status, 405, "POST")
    with begin(site) as c:
        same(c.handshake.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "accept")
        same(c.handshake.get("upgrade").lower(), "websocket", "Upgrade")
        same(c.handshake.get("connection").lower(), "upgrade", "Connection")
        no_field(c.handshake, "content-length", "content-type", "transfer-encoding")


@case(66, "origins")
def _(site):
    for field in (b"Origin: http://b\r\n", b"Origin: null\r\n", b"Origin: http://a:8080\r\n",
                  b"Origin: http://a.b\r\n", b"Sec-WebSocket-Origin: http://b\r\n"):
        same(handshake(site, WHOLE + field).status, 403, f"status for {field!r}")
    for field in (b"", b"Origin: http://a\r\n", b"Origin: https://A/path\r\n"):
        begin(site, fields=field).close()


@case(67, "subprotocols")
def _(site):
    offer = b"Sec-WebSocket-Protocol: a, b\r\n"
    with begin(site, "/ws?choose=b", offer) as c:
        same(c.handshake.all("sec-websocket-protocol"), ["b"], "the chosen one")
    with begin(site, "/ws", offer) as c:
        no_field(c.handshake, "sec-websocket-protocol")


@case(68, "messages and pings")
def _(site):
    with begin(site) as c:
        for opcode, payload in ((TEXT, "grün".encode()), (BINARY, b"\0\xff"), (TEXT, b""),
                                (TEXT, b"x" * 126), (BINARY, b"y" * LIMIT)):
            c.send(frame(opcode, payload))
            expect(c, opcode, payload)
        c.send(frame(TEXT, b"a", fin=False) + frame(PING, b"p" * 125) +
               frame(MORE, b"b", fin=False) + frame(PONG) + frame(MORE, b"c"))
        expect(c, PONG, b"p" * 125)
        expect(c, TEXT, b"abc")
        c.send(frame(SHUT, struct.pack("!H", 1000) + b"bye"))
        expect_closed(c, 1000)


WRONG = (frame(TEXT, b"\xff"), frame(TEXT, b"x", rsv=RSV1), frame(TEXT, b"x", rsv=2),
         frame(3), frame(11), frame(MORE, b"x"), frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
         frame(PING, b"x", fin=False), frame(PING, b"x" * 126))


@case(69, "broken frames end the connection", ctornado=CLOSES)
def _(site):
    for wrong in WRONG:
        with begin(site) as c:
            c.send(wrong)
            c.cut()


@case(69, "broken frames are answered with a code", tornado="§16.2: it cuts the connection")
def _(site):
    for wrong in WRONG:
        with begin(site) as c:
            c.send(wrong)
            expect_closed(c, 1007 if b"\xc8" == wrong[-1:] else 1002)


@case(69, "a message that is too big")
def _(site):
    for pieces in (frame(BINARY, b"x" * (LIMIT + 1))[:8],
                   frame(BINARY, b"x" * LIMIT, fin=False) + frame(MORE, b"x")):
        with begin(site) as c:
            c.send(pieces)
            opcode, payload, _ = read(c)
            same((opcode, payload), (SHUT, b"\x03\xf1message too big"), "the last frame")
            c.cut()


@case(69, "the server's close, and its answer")
def _(site):
    with begin(site, "/ws?name=goodbye") as c:
        c.send(frame(TEXT, b"close"))
        same(read(c)[:2], (SHUT, b"\x03\xe9goodbye"), "the server's frame")
        c.send(frame(SHUT, b"\x03\xe9"))
        c.cut()
    harness.until(lambda: ask(site, "/counts").json().get("goodbye") == 1001, "close_code 1001")


@case(70, "permessage-deflate")
def _(site):
    text = b"a text that is worth it, " * 20
    with begin(site, "/ws?deflate=1", DEFLATE) as c:
        check("permessage-deflate" in c.handshake.get("sec-websocket-extensions"), "extension")
        coded = compress(text)
        c.send(frame(TEXT, coded, rsv=RSV1))
        opcode, payload, rsv = read(c)
        same((opcode, rsv, inflate(payload)), (TEXT, RSV1, text), "the echo")
    for pieces in ((frame(TEXT, coded[:5], fin=False, rsv=RSV1), frame(MORE, coded[5:])),
                   (frame(TEXT, text),)):
        with begin(site, "/ws?deflate=1", DEFLATE) as c:
            c.send(b"".join(pieces))
            opcode, payload, rsv = read(c)
            same((opcode, rsv, inflate(payload)), (TEXT, RSV1, text), "the echo")
    with begin(site, "/ws", DEFLATE) as c:
        no_field(c.handshake, "sec-websocket-extensions")


@case(70, "a ping between compressed fragments", tornado="§16.2: it loses the flag")
def _(site):
    text = b"a text that is worth it, " * 20
    coded = compress(text)
    with begin(site, "/ws?deflate=1", DEFLATE) as c:
        c.send(frame(TEXT, coded[:5], fin=False, rsv=RSV1) + frame(PING, b"p") +
               frame(MORE, coded[5:]))
        expect(c, PONG, b"p")
        opcode, payload, rsv = read(c)
        same((opcode, rsv, inflate(payload)), (TEXT, RSV1, text), "the echo")


@case(70, "a message that inflates too far")
def _(site):
    with begin(site, "/ws?deflate=1", DEFLATE) as c:
        c.send(frame(BINARY, compress(bytes(100 * LIMIT)), rsv=RSV1))
        expect_closed(c, 1009)


@case(71, "messages come one behind the other")
def _(site):
    with begin(site) as c:
        begun = time.monotonic()
        c.send(frame(TEXT, b"slow") + frame(TEXT, b"next"))
        expect(c, TEXT, b"slow")
        check(time.monotonic() - begun > 0.2, "on_message() did not wait")
        expect(c, TEXT, b"next")


@case(71, "an error in on_message() ends the connection", ctornado=CLOSES)
def _(site):
    with begin(site) as c:
        c.send(frame(TEXT, b"raise"))
        c.cut()


@case(71, "an error in on_message() is answered with 1011", tornado="§16.1: it cuts the connection")
def _(site):
    with begin(site) as c:
        c.send(frame(TEXT, b"raise"))
        expect_closed(c, 1011)


@case(72, "pings that are answered, and that are not", tornado=OLD + "it counts from its last ping")
def _(site):
    def answer(step):
        step()
        with begin(site, on="pinged") as c:
            for _ in range(3):
                opcode, payload, _ = read(c)
                same(opcode, PING, "opcode")
                c.send(frame(PONG, payload))
                step()
            same(read(c)[0], PING, "opcode")
            while (got := read(c))[0] == PING:
                pass
            same(got[:2], (SHUT, b"\x03\xe8ping timed out"), "the last frame")
            c.cut()
    harness.on_time(0.35, answer)  # a ping comes each 0.2 s, and is to be answered in 0.2 s
