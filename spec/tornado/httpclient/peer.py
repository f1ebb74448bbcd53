#!/usr/bin/env python3
"""A server that misbehaves as the path says: for the specs of tornado.httpclient.

Prints its port, and serves until its input ends. With two arguments, a certificate and
its key, it speaks TLS.
"""
# SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
import re
import select
import socket
import ssl
import struct
import sys
import threading
import time

OK = b"HTTP/1.1 200 OK\r\n"


def length(body, fields=b"", status=b"200 OK"):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body)


def chunks(*pieces):
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(pieces)


# What is sent as it stands; then the connection closes.
RAW = {
    "/empty": b"",
    "/half": OK + b"Content-Length: 100\r\n\r\n0123456789",
    "/half-head": OK + b"Content-Le",
    "/both": chunks(b"5\r\nhello\r\n0\r\n\r\n").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1),
    "/garbage": chunks(b"5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n"),
    "/cut": chunks(b"5\r\nhello\r\n"),
    "/coding": OK + b"Transfer-Encoding: foo\r\n\r\nhello",
    "/lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "/equal": OK + b"Content-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello",
    "/204": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "/nul": OK + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "/space": OK + b"X A: b\r\nContent-Length: 0\r\n\r\n",
    "/status": b"HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n",
    "/old": b"hello, I speak no HTTP",
    "/interim": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 3 + length(b"final"),
    "/flood": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 100 + length(b"final"),
    "/header": OK + b"X-Big: " + b"x" * 70000 + b"\r\nContent-Length: 0\r\n\r\n",
    "/huge": OK + b"X-Big: " + b"x" * 200000 + b"\r\nContent-Length: 0\r\n\r\n",
    "/many": OK + b"X-A: b\r\n" * 20000 + b"Content-Length: 0\r\n\r\n",
    "/trailer": chunks(b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"),
    "/folded": OK + b"X-A: a\r\n  b\r\nContent-Length: 0\r\n\r\n",
    "/reason": length(b"x", status=b"299 Something Else"),
    "/nogzip": length(b"this is not gzip", b"Content-Encoding: gzip\r\n"),
    "/cut-gzip": length(gzip.compress(b"hello" * 9)[:-9], b"Content-Encoding: gzip\r\n"),
    "/no-trailer": length(gzip.compress(b"hello" * 9)[:-1], b"Content-Encoding: gzip\r\n"),
    "/two-gzips": length(gzip.compress(b"hello") + gzip.compress(b" you"),
                         b"Content-Encoding: x-gzip\r\n"),
    "/junk-gzip": length(gzip.compress(b"hello") + b"junk", b"Content-Encoding: gzip\r\n"),
    "/wrong-gzip": length(gzip.compress(b"hello")[:-8] + b"\0" * 8, b"Content-Encoding: gzip\r\n"),
    "/no-gzip": length(b"", b"Content-Encoding: gzip\r\n"),
    "/twice-gzip": length(b"raw", b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"),
    "/part-gzip": length(gzip.compress(b"hello" * 9)[:-9], b"Content-Encoding: gzip\r\n",
                         b"206 Partial Content"),
    "/bomb": length(gzip.compress(b"\0" * 20000000), b"Content-Encoding: gzip\r\n"),
    "/until-close": OK + b"\r\nall of it",
    "/until-goodbye": OK + b"\r\nall of it",
    "/early": length(b"no", status=b"413 Too Large"),
    "/cookies": OK + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    "/badplace": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "/noplace": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    "/loop": b"HTTP/1.1 302 Found\r\nLocation: loop\r\nContent-Length: 0\r\n\r\n",
}


def slowly(connection):
    connection.sendall(OK + b"Content-Length: 30\r\n\r\n")
    for _ in range(30):
        connection.sendall(b"x")
        time.sleep(1)


def reset(connection):
    connection.sendall(OK + b"Content-Length: 100000\r\n\r\nsome")
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# What is sent before the body has been read, which never is; the connection stays open.
HASTY = {
    "/hasty-200": length(b"done"),
    "/hasty-413": length(b"done", status=b"413 Too Large"),
    "/hasty-204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/hasty-chunks": chunks(b"4\r\ndone\r\n0\r\n\r\n"),
    "/hasty-500": chunks(b"4\r\ndone\r\n0\r\n\r\n").replace(b"200 OK", b"500 No"),
}


def hasty(connection, path):
    """The answer in two pieces; then waits for the other end to close."""
    answer = HASTY[path]
    connection.sendall(answer[:-3])
    time.sleep(0.02)
    connection.sendall(answer[-3:])
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll()


def never(connection):
    connection.recv(1)


def digest(connection, head, of_proxy=False):
    """RFC 7616 with MD5, user u, password p: of a server, or of a proxy that answers itself."""
    field, ask, status = (b"Proxy-Authorization", b"Proxy-Authenticate",
                          b"407 Proxy Authentication Required") if of_proxy else (
        b"Authorization", b"WWW-Authenticate", b"401 Unauthorized")
    found = re.search(rb"\n" + field + rb": Digest (.*)\r", head)
    if not found:
        connection.sendall(length(b"who?", ask + b': Digest realm="r", nonce="n", qop="auth"\r\n',
                                  status))
        return
    given = dict(re.findall(rb'(\w+)="?([^",\r]*)"?', found[1]))

    def md5(*parts):
        return hashlib.md5(b":".join(parts)).hexdigest().encode()
    method = head.split()[0]
    good = md5(md5(b"u", b"r", b"p"), b"n", given[b"nc"], given[b"cnonce"], b"auth",
               md5(method, given[b"uri"]))
    if given[b"response"] == good:
        connection.sendall(length(b"digested by the proxy" if of_proxy else b"digested"))
    else:
        connection.sendall(length(b"wrong", status=b"403 Forbidden"))


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    return data


def tunnel(connection, head):
    """What a proxy says to CONNECT: the port is the status, 443 is a tunnel that is shut at once."""
    port = head.split()[1].rsplit(b":", 1)[1]
    if port == b"299":  # its lengths mean nothing (RFC 9110 9.3.6)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
        return False
    if port == b"407" and b"Digest" in head:
        port = b"403"
    connection.sendall(length(b"<b>no</b>", b'Proxy-Authenticate: Digest realm="r", nonce="n"\r\n'
                              b"Location: /elsewhere\r\n", port + b" The Proxy Says"))
    return True


def serve(connection):
    """True when the connection can go on."""
    head = read_head(connection)
    if not head:
        return False
    path = head.split()[1].decode().split("?")[0]
    if path in RAW:
        connection.sendall(RAW[path])
        if path == "/until-goodbye" and isinstance(connection, ssl.SSLSocket):
            connection.unwrap()
        if path == "/early":  # or what was not read would reset the connection
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    elif path in HASTY:
        hasty(connection, path)
    elif head.startswith(b"CONNECT "):
        return tunnel(connection, head)
    elif path.startswith("http://"):
        digest(connection, head, of_proxy=True)
        return True
    elif path == "/digest":
        digest(connection, head)
        return True
    elif path == "/echo-head":
        connection.sendall(length(head))
        return True
    elif path == "/keep":
        size = re.search(rb"Content-Length: (\d+)", head)
        left = int(size[1]) - len(head.split(b"\r\n\r\n", 1)[1]) if size else 0
        while left:
            left -= len(connection.recv(min(left, 65536)))
        connection.sendall(length(b"%d" % connection.getpeername()[1]))
        return True
    elif path == "/once":  # says nothing of closing, and closes
        connection.sendall(length(b"once"))
    else:
        {"/slow": slowly, "/reset": reset, "/never": never}[path](connection)
    return False


def handle(connection, context):
    try:
        if context:
            connection = context.wrap_socket(connection, server_side=True)
        while serve(connection):
            pass
    except OSError:
        pass
    finally:
        connection.close()


def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        if len(sys.argv) > 3:
            context.load_verify_locations(sys.argv[3])
            context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), listener.shutdown(socket.SHUT_RDWR)),
                     daemon=True).start()
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=handle, args=(connection, context), daemon=True).start()


main()
