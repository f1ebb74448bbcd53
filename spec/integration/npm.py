"""Packages of npm for tests, put into build/NAME. Not a test itself."""
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess

from harness import ROOT, Skip, check

UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET",
               "ENETUNREACH", "ERR_SOCKET_TIMEOUT")


def install(name, package, version):
    """Puts that version of a package into build/NAME; returns its folder. Raises Skip when it is
    not there yet and npm's registry cannot be reached."""
    folder = ROOT / "build" / name
    found = folder / "node_modules" / package
    manifest = found / "package.json"
    if manifest.exists() and json.loads(manifest.read_text())["version"] == version:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts",
         "--prefix", str(folder), f"{package}@{version}"],
        cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        raise Skip(f"npm's registry cannot be reached, and {package} is not in {folder}: "
                   "NOTHING OF IT WAS RUN")
    check(done.returncode == 0, "npm install:", done.stderr)
    return found
