#!/usr/bin/env python3
"""The cases of http_suite.py once more, through HAProxy: to a listener that expects the PROXY
protocol, version 1 and 2, and to one with TLS. What the wire says to bytes must not
depend on what they come by. Floods are left out: HAProxy holds them back itself, and may keep
the end of a client to itself until its buffers are empty.
"""
# SPDX-License-Identifier: Apache-2.0
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import harness
import http_suite
from harness import Connection, Server, check, until

CONFIG = """
defaults
    mode tcp
    timeout connect {patience}s
    timeout client {patience}s
    timeout server {patience}s
listen front
    bind fd@{descriptor}
    server ctornado 127.0.0.1:{port} {words}
"""


class Certificate:
    """A certificate that nobody needs to trust, in one file with its key."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-front-"))
        self.path = self.folder / "pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(self.path),
             "-out", str(self.folder / "crt"), "-days", "9", "-subj", "/CN=localhost"],
            check=True, capture_output=True)
        with self.path.open("ab") as pem:
            pem.write((self.folder / "crt").read_bytes())

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Fronted(Server):
    """A ctornado whose clients come through a HAProxy of its own, which speaks to it as
    `words`, the options of a `server` line, say."""

    def __init__(self, words, binary, *options):
        super().__init__(binary, *options)
        self.words, self.front = words, None

    def start(self):
        super().start()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        self.front_port = listener.getsockname()[1]
        config = self.folder / "haproxy.cfg"
        config.write_text(CONFIG.format(
            patience=2 * harness.PATIENCE, descriptor=listener.fileno(), port=self.port,
            words=self.words))
        with open(self.folder / "haproxy.log", "wb") as log:
            self.front = subprocess.Popen(
                ["haproxy", "-f", str(config)], pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        listener.close()
        until(self._serves, "HAProxy to serve")
        return self

    def _serves(self):
        check(self.front.poll() is None, "HAProxy ended:",
              (self.folder / "haproxy.log").read_text())
        try:
            return self.get("/").status == 200
        except harness.Failure:
            return False

    def connect(self, **options):
        return Connection(self.front_port, **options)

    def __exit__(self, kind, value, trace):
        try:
            super().__exit__(kind, value, trace)
        finally:
            if self.front:
                self.front.kill()
                self.front.wait()


def fronted(words, *more):
    """What makes the servers of a Site: with the options `more`, behind HAProxy."""
    return lambda binary, *options: Fronted(words, binary, *options, *more)


def main():
    options = harness.arguments(__doc__).parse_args()
    cases = [case for case in http_suite.cases(options.only)
             if not case[0].startswith("backpressure: ") and "flood" not in case[0]]
    tally = harness.Tally()
    certificate = Certificate()
    try:
        for binary in harness.binaries(asan=False):
            for title, words, more in (
                    ("PROXY v1", "send-proxy", ["--proxy-protocol"]),
                    ("PROXY v2", "send-proxy-v2", ["--proxy-protocol"]),
                    ("TLS", "ssl verify none", [f"--certfile={certificate.path}"])):
                site = http_suite.Site(binary, fronted(words, *more))
                http_suite.run(title, site, cases, tally)
    finally:
        certificate.remove()
    harness.finish(tally)


if __name__ == "__main__":
    main()
