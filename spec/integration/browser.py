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
from harness import (ROOT, Failure, Server, Skip, Tally, arguments, binaries, check,
                     finish)

VERSION = "1.65.1"
FOLDER = ROOT / "build/browser"
PACKAGE = FOLDER / "node_modules/playwright-core"
TESTS = ROOT / "spec/integration/browser"
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET",
               "ENETUNREACH", "ERR_SOCKET_TIMEOUT")


def install():
    """Puts playwright-core into build/browser. Raises Skip without a registry."""
    if PACKAGE.exists() and f'"version": "{VERSION}"' in (PACKAGE / "package.json").read_text():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts",
         "--prefix", str(FOLDER), f"playwright-core@{VERSION}"],
        cwd=FOLDER, capture_output=True, text=True, timeout=300)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        raise Skip("NO BROWSER TEST WAS RUN: npm's registry cannot be reached, and "
                   f"playwright-core is not in {FOLDER}")
    check(done.returncode == 0, "npm install:", done.stderr)


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
    install()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    check(chromium, "chromium is missing: run make deps")
    with site_of(script) as (site, *options), Server(binary, *options, site=site) as server:
        admin = re.search(r"admin listener: (\S+)", server.log())
        done = subprocess.run(
            ["node", str(script), f"http://127.0.0.1:{server.port}/"],
            env=dict(os.environ, PLAYWRIGHT_CORE=str(PACKAGE), CHROMIUM=chromium,
                     SITE=str(site), SERVER=str(server.process.pid),
                     ADMIN=f"{admin.group(1)}/" if admin else ""),
            capture_output=True, text=True, timeout=300)
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
