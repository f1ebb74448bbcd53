#!/usr/bin/env python3
"""What is installed: `make install` into a folder, and the Debian package of `make deb`:
what is in it, that it serves from where it was unpacked, and what its scripts do. The
last is tried for real, with dpkg, on a copy of this machine that is gone afterwards (an
overlay in a mount namespace), which needs root; without it, that is skipped and said.
"""
# SPDX-License-Identifier: Apache-2.0
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from harness import ROOT, Skip, Tally, arguments, check, finish, same

BINARY = ROOT / "build/ctornado"
CONF = "etc/ctornado/ctornado.conf"

OVERLAY = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root" || exit 77
cp "$2" "$1/root/package.deb"
chroot "$1/root" sh -c "$3"
"""

# What happens to a machine on which the package is installed, upgraded, removed, purged.
LIFE = """
exec 2>&1
set -ex
export DEBIAN_FRONTEND=noninteractive
dpkg --force-depends -i /package.deb
getent passwd ctornado
dpkg -V ctornado
cd /usr/share/ctornado
ctornado check --config=/etc/ctornado/ctornado.conf
echo "-- mine" >> /etc/ctornado/ctornado.conf
dpkg --force-depends -i /package.deb
grep -qx -e "-- mine" /etc/ctornado/ctornado.conf
cd /
dpkg -r ctornado
test -f /etc/ctornado/ctornado.conf
test ! -e /usr/bin/ctornado
mkdir -p /var/log/ctornado /var/lib/ctornado
dpkg -P ctornado
for path in /etc/ctornado /etc/logrotate.d/ctornado /var/log/ctornado /var/lib/ctornado \
    /usr/share/ctornado /usr/share/doc/ctornado /lib/systemd/system/ctornado.service; do
    test ! -e $path
done
! getent passwd ctornado
echo all of it is gone
"""


def run(*command, **options):
    done = subprocess.run(command, cwd=options.pop("cwd", ROOT), capture_output=True, text=True,
                          timeout=300, **options)
    check(done.returncode == 0, *command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def version():
    return run(str(BINARY), "version").split()[1]


def installs(folder):
    """`make install` with a PREFIX, below a DESTDIR."""
    run("make", "-s", "install", f"DESTDIR={folder}", "PREFIX=/opt/ct")
    root = folder / "opt/ct"
    for name in ("bin/ctornado", "share/doc/ctornado/README.md", "share/doc/ctornado/ctornado.conf",
                 "share/ctornado/sites/manual/pages/start.md", "share/man/man1/ctornado.1",
                 "lib/systemd/system/ctornado.service", "lib/systemd/system/ctornado.socket"):
        check((root / name).is_file(), name, "is missing")
    unit = (root / "lib/systemd/system/ctornado.service").read_text()
    check("ExecStart=/opt/ct/bin/ctornado " in unit and "/usr/local" not in unit, unit)
    check(os.access(root / "bin/ctornado", os.X_OK), "not executable")
    for path in folder.rglob("*"):
        check(path.is_symlink() or path.stat().st_mode & 0o022 == 0, path, "is for others to write")
    same(run(str(root / "bin/ctornado"), "version", cwd="/").split()[1], version(), "version")
    sites = root / "share/ctornado"
    done = run(str(root / "bin/ctornado"), "check",
               f"--config={root}/share/doc/ctornado/ctornado.conf", cwd=sites)
    same(re.findall(r"^(\S+): good", done, re.M), ["sites/welcome", "sites/manual"], "sites")


def fields(package):
    """The control fields of a package."""
    return dict(re.findall(r"^(\S+): (.*)$", run("dpkg-deb", "-f", str(package)), re.M))


def describes(package):
    """dpkg-deb -I: whose, which version, what it needs."""
    found = fields(package)
    same(found["Package"], "ctornado", "Package")
    same(found["Version"], version() + "-1", "Version")
    needs = {word.split()[0] for word in found["Depends"].split(",")}
    for name in ("libc6", "libssl3", "lua-cjson", "adduser", "libcurl4"):
        check(name in needs, name, "is not among", sorted(needs))
    check(any(name.startswith("libevent") for name in needs), sorted(needs))
    check("luajit" in found["Depends"], found["Depends"])
    same(found["Recommends"], "libmd4c-html0", "Recommends")


def lists(package):
    """dpkg-deb -c: root's files, which nobody else may write, where Debian has them."""
    names = {}
    for line in run("dpkg-deb", "-c", str(package)).splitlines():
        mode, owner, _, _, _, name = line.split(None, 5)
        same(owner, "root/root", name)
        check(mode[5] == "-" and mode[8] == "-", line)
        names[name[1:]] = mode
    for name in ("/usr/bin/ctornado", "/etc/ctornado/ctornado.conf", "/etc/logrotate.d/ctornado",
                 "/lib/systemd/system/ctornado.service", "/usr/share/man/man1/ctornado.1.gz",
                 "/usr/share/doc/ctornado/copyright", "/usr/share/doc/ctornado/changelog.Debian.gz",
                 "/usr/share/ctornado/sites/manual/app.lua"):
        check(name in names, name, "is missing")
    check(not any("/usr/local" in name or "__pycache__" in name for name in names), names)


def unpacks(package, folder):
    """dpkg-deb -x: what was unpacked works."""
    run("dpkg-deb", "-R", str(package), str(folder))
    binary = str(folder / "usr/bin/ctornado")
    same(run(binary, "version", cwd="/").split()[1], version(), "version")
    sites = folder / "usr/share/ctornado"
    done = run(binary, "check", f"--config={folder / CONF}", cwd=sites)
    same(re.findall(r"^(\S+): good", done, re.M), ["sites/welcome", "sites/manual"], "sites")
    conf = (folder / CONF).read_text()
    check('--address = "127.0.0.1"' in conf and "build/ctornado" not in conf, conf[:400])
    same((folder / "DEBIAN/conffiles").read_text().split(),
         ["/etc/ctornado/ctornado.conf", "/etc/logrotate.d/ctornado"], "conffiles")
    unit = (folder / "lib/systemd/system/ctornado.service").read_text()
    for line in ("User=ctornado", "LogsDirectory=ctornado", "Type=notify", "NoNewPrivileges=yes"):
        check(f"\n{line}\n" in unit, line, "is not in", unit)
    check("DynamicUser" not in unit, unit)
    page = gzip.decompress((folder / "usr/share/man/man1/ctornado.1.gz").read_bytes()).decode()
    for option in re.findall(r"^  --(\w+)=", run(binary, "help"), re.M):
        check(f"\\-\\-{option}=" in page, option, "is not in the manual page")


def is_the_same_again(package):
    """The same tree makes the same package, byte by byte."""
    with tempfile.TemporaryDirectory() as other:
        again = run("vendor/debian/build", str(BINARY), other).strip()
        check(pathlib.Path(again).read_bytes() == package.read_bytes(), "they differ")


def lives(package):
    """dpkg -i, again, -r, -P, on a machine that is not this one."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("needs root and unshare")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["unshare", "-m", "sh", "-c", OVERLAY, "sh", folder, str(package), LIFE],
                              capture_output=True, text=True, timeout=300)
    if done.returncode == 77 or "unshare" in done.stderr or "mount:" in done.stderr:
        raise Skip(f"no overlay can be mounted here: {done.stderr.strip()}")
    check(done.returncode == 0 and "all of it is gone" in done.stdout, done.stdout[-3000:],
          done.stderr[-2000:])


def main():
    options = arguments(__doc__).parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        package = pathlib.Path(run("vendor/debian/build", str(BINARY), str(folder)).strip())
        cases = [
            ("make install", installs, folder / "install"),
            ("the package says what it is", describes, package),
            ("the package has root's files", lists, package),
            ("the package works", unpacks, package, folder / "unpacked"),
            ("the package is the same again", is_the_same_again, package),
            ("the package is installed, upgraded, purged", lives, package),
        ]
        for title, *case in cases:
            if options.only in title:
                tally.run(title, *case)
    finish(tally)


if __name__ == "__main__":
    main()
