#!/usr/bin/env python3
"""Signals at moments when nobody watches them: while a server takes itself apart, and before it
has begun. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import signal
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from clusters import Cluster
from harness import Server, check, same, until

SUITE = harness.Suite()
TIMES = 5
OTHERS = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT
FORMS = {"a single process": 0, "a master": 2}


def pelt(pid, signals, until_gone):
    """Sends signals, one after the other, until the process has ended."""
    while not until_gone():
        for number in signals:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            time.sleep(0.0005)


def ended(server):
    """Whether its process is gone or a zombie, which takes no signals."""
    return harness.state_of(server.process.pid) in (None, "Z")


def make(binary, workers):
    return Cluster(binary, workers=workers) if workers else Server(binary)


def ends():
    g = "the end"
    for name, workers in FORMS.items():
        for what, signals in (("SIGTERM", (signal.SIGTERM,)), ("SIGINT", (signal.SIGINT,)),
                              ("all others", OTHERS)):
            @SUITE.case(g, f"{name} that is told to end, and hears of {what} again and again")
            def _(binary, workers=workers, signals=signals):
                for _ in range(TIMES):
                    with make(binary, workers) as server:
                        server.end()
                        pelt(server.process.pid, signals, lambda: ended(server))
                        same(server.stop(), 0, "exit code")
                        check("died of signal" not in server.log(), server.log())

    @SUITE.case(g, "workers that hear of SIGTERM themselves, while they end")
    def _(binary):
        with Cluster(binary, workers=2) as server:
            for _ in range(TIMES):
                pids = server.await_workers()
                threads = [threading.Thread(target=pelt, args=(
                    pid, (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1),
                    lambda pid=pid: harness.state_of(pid) in (None, "Z"))) for pid in pids]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(harness.PATIENCE)
                server.await_workers(*pids)
            check("died of signal" not in server.log(), server.log())


def mask_of(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\w+)", text, re.M).group(1), 16)


def has_begun(pid):
    """Whether main() has: SIGHUP is blocked or caught."""
    bit = 1 << (signal.SIGHUP - 1)
    return (mask_of(pid, "SigBlk") | mask_of(pid, "SigCgt")) & bit


class Pelted(Server):
    """One that hears of SIGHUP from its beginning until it serves."""

    def await_line(self, pattern):
        until(lambda: has_begun(self.process.pid), "main()")
        while not re.search(pattern, self.log()):
            check(self.alive(), f"it ended with {self.process.poll()}\n{self.log()}")
            for number in (signal.SIGHUP, signal.SIGUSR1):
                self.process.send_signal(number)
            time.sleep(0.0005)
        return super().await_line(pattern)


def begins():
    g = "the beginning"
    for name, workers in FORMS.items():
        @SUITE.case(g, f"{name} hears of SIGHUP from the first moment on, and serves")
        def _(binary, workers=workers):
            options = [f"--workers={workers}"] if workers else []
            for _ in range(TIMES):
                with tempfile.TemporaryDirectory(prefix="ct-") as run:
                    with Pelted(binary, *options, "--control=none",
                                env={"XDG_RUNTIME_DIR": run}) as server:
                        same(server.get("/").status, 200, "status")


def main():
    options = harness.arguments(__doc__).parse_args()
    ends()
    begins()
    tally = harness.Tally()
    for binary in harness.binaries():
        kind = "asan" if harness.is_asan(binary) else "normal"
        for name, function, _ in SUITE.cases:
            if options.only in f"{kind}: {name}":
                tally.run(f"{kind}: {name}", function, binary)
    harness.finish(tally)


if __name__ == "__main__":
    main()
