"""Clients that mean harm, run by common.Helper: attack.py KIND PORT [COUNT]. It
says "ready", and goes on until its stdin ends.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import resource
import select
import socket
import sys
import threading
import time

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
BURST = 50  # connections opened at once
PAUSE = 0.005  # seconds between two bursts
OVER = threading.Event()


def connect(port):
    s = socket.socket()
    s.settimeout(5)
    s.connect(("127.0.0.1", port))
    s.setblocking(False)
    return s


def send(s, data):
    try:
        s.send(data)
        return True
    except BlockingIOError:
        return True
    except OSError:
        return False


def drip(port, count, first, piece):
    """Sends `piece` on each of `count` connections every now and then; those that
    the server has closed are opened anew."""
    def one():
        s = connect(port)
        send(s, first)
        return s
    sockets = [one() for _ in range(count)]
    print("ready", flush=True)
    while not OVER.wait(0.2):
        for i, s in enumerate(sockets):
            if not send(s, piece):
                s.close()
                sockets[i] = one()


def headers(port, count):
    drip(port, count, HEAD, b"X-A: b\r\n")


def bodies(port, count):
    drip(port, count, POST, b"x")


def reads(port, count):
    """Asks for much and takes a little."""
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(30)
        s.connect(("127.0.0.1", port))
        s.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        sockets.append(s)
    for s in sockets:
        s.recv(16)
        s.setblocking(False)
    print("ready", flush=True)
    while not OVER.wait(0.2):
        for s in sockets:
            try:
                s.recv(16)
            except OSError:
                pass


def flood(port, count):
    """Requests for /busy as fast as they are answered; prints how many were refused."""
    sockets = [connect(port) for _ in range(count)]
    request = b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n"
    refused = total = 0
    for s in sockets:
        s.send(request)
    print("ready", flush=True)
    while not OVER.is_set():
        for s in select.select(sockets, [], [], 0.1)[0]:
            try:
                text = s.recv(65536)
            except ConnectionResetError:
                text = b""
            if not text:  # max_keepalive_requests
                sockets.remove(s)
                s.close()
                s = connect(port)
                sockets.append(s)
            total += 1
            refused += b" 429 " in text[:20]
            send(s, request)
    print(total, refused, flush=True)


def end_of(s):
    """How a connection ended that was one too many: the status, and "reset" if it ended so."""
    text, how = b"", ""
    try:
        while piece := s.recv(4096):
            text += piece
    except OSError as err:
        how = f", {type(err).__name__}"
    s.close()
    return text[9:12].decode() + how


def knock(port, count):
    """`count` connections to a server that is full; returns how often each end was seen."""
    ends = {}
    for done in range(0, count, BURST):
        burst = [connect(port) for _ in range(BURST)]
        for s in burst:
            send(s, HEAD + b"\r\n")
        for s in burst:
            s.settimeout(10)
            end = end_of(s)
            ends[end] = ends.get(end, 0) + 1
        OVER.wait(PAUSE)
    return ends


def enter(port, count):
    """`count` connections that got a reply."""
    sockets = []
    while len(sockets) < count:
        burst = [connect(port) for _ in range(min(BURST, count - len(sockets)))]
        for s in burst:
            send(s, HEAD + b"\r\n")
        for s in burst:
            s.settimeout(10)
            if b" 200 " not in s.recv(4096)[:20]:
                sys.exit("refused before the limit")
        sockets += burst
    print("ready", flush=True)
    return sockets


def leave(sockets):
    """Closes them in bursts: the kernel would do all at once for a process that ends, and have
    no time for those on the same CPU."""
    OVER.wait()
    for done in range(0, len(sockets), BURST):
        for s in sockets[done:done + BURST]:
            s.close()
        time.sleep(PAUSE)


def hold(port, count):
    """Keeps connections that got a reply."""
    leave(enter(port, count))


def fill(port, count):
    """Keeps connections that got a reply, and opens that many again, which are to be refused.
    Prints how those ended."""
    sockets = enter(port, count)
    print(json.dumps(knock(port, count)), flush=True)
    leave(sockets)


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds = {"headers": headers, "bodies": bodies, "reads": reads, "flood": flood,
             "hold": hold, "fill": fill}

    def wait():
        sys.stdin.read()
        OVER.set()
    threading.Thread(target=wait, daemon=True).start()
    kinds[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))


if __name__ == "__main__":
    main()
