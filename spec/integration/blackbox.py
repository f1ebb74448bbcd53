#!/usr/bin/python3
"""The 76 black-box checks of Tornado's HTTP, against ctornado and against Tornado
itself: what holds for both shows that the check is right. A check that is not for
one of them says why (--why lists these). The interpreter is Debian's, whose Tornado
it is. The checks are in blackbox/, as are the two sites that they ask.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import logging
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True  # or the imports would leave a __pycache__ here
import harness

HERE = harness.ROOT / "spec/integration/blackbox"
sys.path.insert(0, str(HERE))
import common
import tornado_app

import protocol  # noqa: F401, the checks add themselves
import output  # noqa: F401
import bodies  # noqa: F401
import sockets  # noqa: F401
import static
import waits  # noqa: F401

# The variants of the site: the options of the server, the rest is in app.lua.
VARIANTS = {
    "main": (), "xsrf": (), "debug": (), "compress": (), "hosts": (), "root": (),
    "short": ("--body-timeout=0.3", "--header-timeout=0.3", "--idle-timeout=0.3",
              "--body-min-rate=0"),
    "proxied": ("--xheaders", "--trusted-downstream=5.5.5.5"),
    "once": ("--max-keepalive-requests=1",),
    "pinged": (),
}


class Ctornado:
    """ctornado's variants, a process each."""

    name = "ctornado"

    def __init__(self, binary, static):
        self.binary, self.static = binary, static

    def __enter__(self):
        self.stack, self.ports = contextlib.ExitStack(), {}
        for name, options in VARIANTS.items():
            server = harness.Server(self.binary, *options, site=HERE,
                                    env={"BLACKBOX": name, "BLACKBOX_STATIC": str(self.static)})
            self.ports[name] = self.stack.enter_context(server).port
        return self

    def __exit__(self, *what):
        return self.stack.__exit__(*what)


def cases_of(side, only):
    for number, title, function, why in common.CASES:
        name = f"{number:2} {title}, {side}"
        if side not in why and only in name:
            yield name, function, False


def run(tally, side, only):
    with side:
        tally.run_all(list(cases_of(side.name, only)), side)


def list_reasons():
    for number, title, _, why in common.CASES:
        for side, reason in why.items():
            print(f"{number:2} {title}: not for {side}: {reason}")


def missing():
    known = {case[0] for case in common.CASES}
    return sorted(set(range(1, 77)) - known)


def main():
    parser = harness.arguments(__doc__)
    parser.add_argument("--why", action="store_true", help="list what is not for both")
    options = parser.parse_args()
    if options.why:
        return list_reasons()
    assert not missing(), missing()
    logging.disable(logging.CRITICAL)  # what Tornado says of the requests that it refuses
    warnings.simplefilter("ignore")
    tally = harness.Tally()
    with tempfile.TemporaryDirectory(prefix="ctornado-spec-") as folder:
        root = static.make_folder(folder)
        run(tally, tornado_app.Tornado(root), options.only)
        for binary in harness.binaries():
            run(tally, Ctornado(binary, root), options.only)
    return harness.finish(tally)


if __name__ == "__main__":
    main()
