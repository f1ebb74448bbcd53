"""Checks 59 to 64: static files."""
# SPDX-License-Identifier: Apache-2.0
import calendar
import email.utils
import hashlib
import os
import pathlib
import time

from common import *  # noqa: F403, the vocabulary of checks

ROBOTS = b"User-agent: *\nDisallow: /\n"
ETAG = '"%s"' % hashlib.sha512(ROBOTS).hexdigest()
MTIME = calendar.timegm((2013, 1, 27, 18, 43, 20))
MODIFIED = email.utils.formatdate(MTIME, usegmt=True)


def make_folder(folder):
    """The files that are asked for; returns the static folder."""
    root = pathlib.Path(folder) / "static"
    (root / "dir").mkdir(parents=True)
    for name, content in (("static/robots.txt", ROBOTS), ("static/dir/index.html", b"index"),
                          ("static_foo.txt", b"sibling"), ("x", b"secret"),
                          ("static/a.gz", b"z"), ("static/a.bz2", b"b")):
        (root.parent / name).write_bytes(content)
    os.utime(root / "robots.txt", (MTIME, MTIME))
    return root


def robots(site, fields="", method="GET", query=""):
    return ask(site, "/static/robots.txt" + query, method, fields.encode())


@case(59, "a file and its headers")
def _(site):
    reply = robots(site)
    same((reply.status, reply.body), (200, ROBOTS), "reply")
    for name, value in (("content-type", "text/plain"), ("accept-ranges", "bytes"),
                        ("etag", ETAG), ("last-modified", MODIFIED), ("content-length", "26")):
        same(reply.get(name), value, name)
    no_field(reply, "cache-control", "expires")
    reply = robots(site, query="?v=x")
    same(reply.get("cache-control"), "max-age=315360000", "Cache-Control")
    at = email.utils.parsedate_to_datetime(reply.get("expires")).timestamp()
    check(abs(at - time.time() - 315360000) < 60, "Expires", reply.get("expires"))


RANGES = (("0-9", 206, "0-9"), ("0-", 200, None), ("-4", 206, "22-25"), ("-999", 200, None),
          ("-0", 416, "*"), ("26-", 416, "*"), ("26", 416, "*"), ("10-3", 416, "*"),
          ("1-99999", 206, "1-25"), ("a-b", 200, None))


def check_range(site, sent, status, found):
    reply = robots(site, f"Range: {sent}\r\n")
    same(reply.status, status, f"status for {sent}")
    same(reply.get("content-range"), found and f"bytes {found}/26", f"Content-Range for {sent}")
    if status == 206:
        first, last = map(int, found.split("-"))
        same(reply.body, ROBOTS[first:last + 1], f"body for {sent}")
    elif status == 200:
        same(reply.body, ROBOTS, f"body for {sent}")
    else:
        same((reply.body, reply.get("content-type")), (b"", "text/plain"), f"body for {sent}")
    other = robots(site, f"Range: {sent}\r\n", "HEAD")
    same([other.status] + [other.get(name) for name in ("content-length", "content-range")],
         [status] + [reply.get(name) for name in ("content-length", "content-range")],
         f"HEAD with {sent}")


@case(60, "ranges")
def _(site):
    for sent, status, found in RANGES:
        check_range(site, "bytes=" + sent, status, found)
    check_range(site, "items=0-1", 200, None)


@case(60, "several ranges")
def _(site):
    same(robots(site, "Range: bytes=1-5,7-9\r\n").status, 200, "status")


@case(61, "conditions")
def _(site):
    older = email.utils.formatdate(MTIME - 60, usegmt=True)
    good = f"If-Modified-Since: {MODIFIED}\r\n"
    for fields, status in (
            (good, 304), (f"If-Modified-Since: {older}\r\n", 200),
            ("If-Modified-Since: junk\r\n", 200), ('If-None-Match: "x"\r\n' + good, 200),
            (f"If-None-Match: {ETAG}\r\n", 304),
            (f"If-None-Match: {ETAG}\r\nRange: bytes=0-9\r\n", 304)):
        reply = robots(site, fields)
        same(reply.status, status, f"status for {fields!r}")
        if status == 304:
            no_field(reply, "content-length", "content-type")


def statuses(site, *wanted, on="main"):
    for target, status in wanted:
        same(ask(site, target, on=on).status, status, f"status of {target}")


@case(62, "paths that lead out of the folder, and odd ones")
def _(site):
    statuses(site, ("/static/../x", 403), ("/static/%2e%2e/x", 403), ("/static/..%2fx", 403),
             ("/static//etc/passwd", 403), ("/static/../static_foo.txt", 403),
             ("/static/%00", 404), ("/static/%ff", 400), ("/static/dir", 403))
    same(robots(site, method="POST").status, 405, "status of POST")
    reply = ask(site, "/dir", on="root")
    same((reply.status, reply.get("location")), (301, "/dir/"), "a folder with default_filename")
    same(ask(site, "/dir/", on="root").body, b"index", "the default file")


# Fixed in 6.3.2; Debian's security update of 6.2 has it.
@case(63, "//evil.com is no redirect")
def _(site):
    target = f"//evil.com/..{site.static}/dir"
    reply = ask(site, target, on="root")
    same(reply.status, 403, f"status of {target}")
    no_field(reply, "location")


@case(64, "types of compressed files")
def _(site):
    for name, kind in (("a.gz", "application/gzip"), ("a.bz2", "application/octet-stream")):
        reply = ask(site, "/static/" + name)
        same((reply.status, reply.get("content-type")), (200, kind), name)
        no_field(reply, "content-encoding")
