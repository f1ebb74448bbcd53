#!/usr/bin/env python3
"""HTTP/1.1 from outside, over real sockets: RFC 9110, RFC 9112, and ctornado's
own limits and deadlines. Starts the servers itself: $CTORNADO, or the normal and
the ASan binary, whichever are built.

A request that is served is followed by a last one, `GET / ... close`, whose reply
and end of connection show that nothing was left over or smuggled in between. One
that is refused must get exactly one reply, and then the end without a reset. The cases are in
http_cases/.
"""
# SPDX-License-Identifier: Apache-2.0
import sys

sys.dont_write_bytecode = True  # or the imports would leave a __pycache__ here
import harness
from harness import Server, check, same

sys.path.insert(0, str(harness.ROOT / "spec/integration/http_cases"))
import connections
import framing
import heads
import streaming
from asking import SUITE


class Site:
    """The servers: `main` with the defaults, `small` limits, `quick` deadlines. `start` makes
    one of a binary and options; it is Server, or one that stands behind something."""

    def __init__(self, binary, start=Server):
        self.main = start(binary, "--max_keepalive_requests=10000000")
        self.small = start(binary, "--max_line_size=256", "--max_header_size=2K",
                           "--max_fields=5", "--max_body_size=1000",
                           "--max_keepalive_requests=3")
        self.quick = start(binary, "--header_timeout=1", "--body_timeout=1",
                           "--idle_timeout=1", "--handler_timeout=2",
                           "--write_timeout=0.5")


def nothing_left(server):
    """Connections, requests and descriptors are back to what they were."""
    server.await_counts(connections=1, requests=1)
    counts = server.counts()
    check(counts["descriptors"] < 20, f"descriptors left open: {counts}")
    log = server.log()
    check("Exception in callback" not in log, log[-3000:])


def run(title, site, cases, tally):
    """Runs `cases` against the servers of `site`, which end in between."""
    chosen = [(f"{title} {name}", fn, alone) for name, fn, alone in cases]
    with site.main, site.small, site.quick:
        tally.run_all(chosen, site, jobs=12)
        for name in ("main", "small", "quick"):
            tally.run(f"{title} {name}: nothing is left", nothing_left, getattr(site, name))
        for name in ("main", "small", "quick"):
            server = getattr(site, name)
            tally.run(f"{title} {name}: ends with 0",
                      lambda s=server: same(s.stop(), 0, "exit code"))
            tally.run(f"{title} {name}: nothing to report",
                      lambda s=server: check(not s.reports(), s.reports()[:8000]))


def cases(only=""):
    """All cases whose name has the text `only` in it."""
    for group in (framing.framing, framing.smuggling, framing.chunks, heads.fields,
                  heads.request_line, heads.methods, heads.hosts, heads.limits,
                  connections.pipelining, connections.keep_alive, connections.expect,
                  connections.closing, connections.half_close, streaming.deadlines,
                  streaming.streams, streaming.backpressure):
        group()
    return [case for case in SUITE.cases if only in case[0]]


def main():
    parser = harness.arguments(__doc__)
    chosen = cases(parser.parse_args().only)
    tally = harness.Tally()
    for binary in harness.binaries():
        run("asan" if harness.is_asan(binary) else "normal", Site(binary), chosen, tally)
    harness.finish(tally)


if __name__ == "__main__":
    main()
