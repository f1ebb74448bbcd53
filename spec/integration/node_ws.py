#!/usr/bin/env python3
"""WebSockets with Node's `ws`, which npm puts into build/ws: its client and our server
(websocket/site), plain and over TLS, and our client with its servers; with and without
compression. Skipped, loudly, where npm's registry cannot be reached and `ws` is not there yet.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import npm
from harness import (PATIENCE, ROOT, Failure, Server, Tally, arguments, binaries, check, finish,
                     is_asan)

VERSION = "8.23.0"
HERE = ROOT / "spec/integration/websocket"
CASES = 5 * PATIENCE  # seconds that all cases of a program may take


def environment():
    return dict(os.environ, WS=str(npm.install("ws", "ws", VERSION)))


def judge(verdict, why):
    if verdict != "ok":
        raise Failure(why)


def count(tally, title, done):
    """Counts what a program has printed, a line for each case."""
    check(done.returncode == 0 and done.stdout, done.stderr[-2000:] or "no case was run")
    for line in done.stdout.splitlines():
        verdict, _, text = line.partition(" ")
        name, _, why = text.partition(": ")
        tally.run(f"{title}: {name}", judge, verdict, why)


def their_client(binary, tally, title, scheme, *options):
    env = environment()
    with Server(binary, *options, site=HERE / "site") as server:
        at = f"127.0.0.1:{server.port}"
        done = subprocess.run(
            ["node", str(HERE / "ws.js"), "client", f"ws{scheme}://{at}/ws",
             f"http{scheme}://{at}/last"],
            env=dict(env, NODE_TLS_REJECT_UNAUTHORIZED="0", NODE_NO_WARNINGS="1"),
            capture_output=True, text=True, timeout=CASES)
    count(tally, title, done)


def certificate(folder):
    """A self-signed one for 127.0.0.1: its file and its key's."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-days", "2", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True)
    return cert, key


def our_client(binary, tally, title):
    env = environment()
    with tempfile.TemporaryDirectory(prefix="ctornado-spec-") as folder:
        cert, key = certificate(pathlib.Path(folder))
        server = subprocess.Popen(
            ["node", str(HERE / "ws.js"), "server", str(cert), str(key)], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            ports = server.stdout.readline().split()
            check(len(ports) == 3, "ws has not started")
            done = subprocess.run([str(binary), "run", str(HERE / "ws.lua"), *ports, str(cert)],
                                  capture_output=True, text=True, timeout=CASES, cwd=ROOT,
                                  stdin=subprocess.DEVNULL)
        finally:
            server.communicate(timeout=PATIENCE)
    check(not done.stderr, done.stderr[-2000:])
    count(tally, title, done)


def main():
    options = arguments(__doc__).parse_args()
    tally = Tally()
    for binary in binaries():
        kind = "asan" if is_asan(binary) else "normal"
        for title, function, *words in (
                (f"{kind}, ws to us", their_client, ""),
                (f"{kind}, ws to us over TLS", their_client, "s", "--certfile=self-signed",
                 "--debug"),
                (f"{kind}, us to ws", our_client)):
            if options.only in title:
                tally.run(f"{title}: all ends well", function, binary, tally, title, *words)
    finish(tally)


if __name__ == "__main__":
    main()
