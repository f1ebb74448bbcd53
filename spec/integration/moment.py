"""A moment in which a process of a server is held, for the programs that look from outside."""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import subprocess

import harness
from harness import folder, until


class Moment:
    """What holds processes of a server behind, or before, what they write, send or listen to:
    see spec/faults/shim/moment.c. `env` is for the server."""

    def __init__(self, binary, path, **when):
        library = path / "moment.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library),
                        str(harness.ROOT / "spec/faults/shim/moment.c"), "-ldl"], check=True)
        self.hold, self.held = path / "hold", path / "held"
        path.chmod(0o777)
        self.env = {"LD_PRELOAD": str(library), "HOLD": str(path),
                    **{f"HOLD_{name.upper()}": text for name, text in when.items()}}
        if harness.is_asan(binary):  # whose runtime wants to be the first library
            self.env["ASAN_OPTIONS"] = "detect_leaks=1:verify_asan_link_order=0"

    def come(self, pid=""):
        """From here on who comes there is held, or one process alone."""
        self.hold = self.hold.with_name(f"hold{pid}")
        self.hold.touch()

    def await_it(self):
        until(self.held.exists, "the moment")

    def go(self):
        self.hold.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go()


@contextlib.contextmanager
def holding(binary, **when):
    """A Moment that has come, and its folder."""
    with folder() as path:
        moment = Moment(binary, path, **when)
        moment.come()
        yield moment, path
