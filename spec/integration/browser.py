#!/usr/bin/env python3
"""Sites in headless Chromium: each browser/NAME.js drives sites/NAME, or a copy of
the folder browser/NAME with --debug, or what is in its file "options", through
playwright-core, which npm puts into build/browser. Where npm's registry cannot be
reached, and it is not there yet, the tests are skipped, and that is said.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import npm
from harness import ROOT, Failure, Server, Tally, arguments, binaries, check, finish

VERSION = "1.55.1"  # the last for Node 18, which Debian 12 has
TESTS = ROOT / "spec/integration/browser"


@contextlib.contextmanager
def site_of(script):
    """The site that a script drives, and options: one of sites/, or a copy of the
    folder beside the script, which it may change."""
    own = script.with_suffix("")
    if not own.exists():
        yield (ROOT / "sites" / script.stem,)
        return
    with tempfile.TemporaryDirectory(prefix="ctornado-spec-") as path:
        site = pathlib.Path(path) / script.stem
        shutil.copytree(own, site)
        given = site / "options"
        yield site, *(given.read_text().split() if given.exists() else ["--debug"])


def drive(binary, script, tally):
    """Runs the cases of a script against its site; counts each."""
    package = npm.install("browser", "playwright-core", VERSION)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    check(chromium, "chromium is missing: run make deps")
    with site_of(script) as (site, *options), Server(binary, *options, site=site) as server:
        admin = re.search(r"admin listener: (\S+)", server.log())
        done = subprocess.run(
            ["node", str(script), f"http://127.0.0.1:{server.port}/"],
            env=dict(os.environ, PLAYWRIGHT_CORE=str(package), CHROMIUM=chromium,
                     SITE=str(site), SERVER=str(server.process.pid),
                     ADMIN=f"{admin.group(1)}/" if admin else ""),
            capture_output=True, text=True, timeout=600)
    check(done.returncode == 0 and done.stdout, "node:", done.stderr or "no case was run")
    for line in done.stdout.splitlines():
        verdict, _, text = line.partition(" ")
        tally.run(f"{script.stem}: {text}", judge, verdict)


def judge(verdict):
    if verdict != "ok":
        raise Failure("in the page")


def main():
    options = arguments(__doc__).parse_args()
    tally = Tally()
    for binary in binaries(asan=False):
        for script in sorted(TESTS.glob("*.js")):
            if script.stem == "harness" or options.only not in script.stem:
                continue
            tally.run(f"{script.stem}: the site serves and ends well", drive, binary, script,
                      tally)
    finish(tally)


if __name__ == "__main__":
    main()
