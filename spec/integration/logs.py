#!/usr/bin/env python3
"""The logs: in batches, whole through rotation, and what happens when the disk is
full or nobody reads; nothing that a client says can forge a line. Each case runs on
the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, Server, check, folder, port_from, same, until

SUITE = harness.Suite()
case = SUITE.case

LINE = re.compile(r"\[[IWE] \d{6} \d\d:\d\d:\d\d access( [\w.-]+)?\] \d{3} [A-Z]+ \S+ "
                  r"\([\d.]+\) \d+\.\d\dms")


def get(path, *fields):
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n"


def ask(server, path, count=1):
    """Requests on one connection, one after the other."""
    with server.connect() as c:
        for _ in range(count):
            c.send(get(path))
            same(c.reply().status, 200, "status")


# -- Batches --------------------------------------------------------------------------


def written(server):
    """How many write() there were: those of logs, since replies are send()."""
    text = pathlib.Path(f"/proc/{server.process.pid}/io").read_text()
    return int(re.search(r"^syscw: (\d+)", text, re.M).group(1))


def batches():
    g = "batches"

    @case(g, "the lines of a turn are one write", alone=True)
    def _(binary):
        with folder() as path:
            log = path / "access"
            with Server(binary, f"--access_log={log}") as server, server.connect() as c:
                c.send(get("/"))
                c.reply()
                until(lambda: log.read_text().count("\n") == 1, "the first line")
                before = written(server)
                for _ in range(10):
                    c.send(get("/") * 100)
                    for _ in range(100):
                        same(c.reply().body, b"hello", "body")
                until(lambda: log.read_text().count("\n") == 1001, "all lines")
                writes = written(server) - before
                check(writes <= 100, f"{writes} writes for 1000 requests")


# -- What fails -----------------------------------------------------------------------


def faults():
    g = "faults"

    @case(g, "a disk that is full, and has room again")
    def _(binary):
        limits = ((resource.RLIMIT_FSIZE, 20000),)
        with folder() as path:
            log = path / "access"
            with Server(binary, f"--access_log={log}", "--stall_warning=0",
                        limits=limits) as server:  # whose stderr has that limit, too
                ask(server, "/", 1000)
                server.await_line("the access log cannot be written, its lines are lost: "
                                  "File too large")
                text = log.read_text()
                same(len(text), 20000, "bytes before the disk was full")
                whole = text.count("\n")
                os.truncate(log, 0)

                def again():
                    ask(server, "/?again")
                    return re.search(r"can be written again: (\d+) lines were lost",
                                     server.log())
                lost = int(until(again, "the log to be written again").group(1))
                lines = log.read_text().split("\n")
                late = sum("again" not in line for line in lines if line)  # of the last turn
                same(whole + lost + late, 1000, "lines that were written or lost")
                same(server.log().count("cannot be written"), 1, "errors about it")
                check(all(LINE.fullmatch(line) for line in lines if line), lines[:3])

    @case(g, "stderr: its reader stalls, and reads again")
    def _(binary):
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as log, \
                Server(binary, "--access_log=stderr", stderr=writer) as server:
            os.close(writer)
            server.port = port_from(log)
            os.set_blocking(reader, False)
            ask(server, "/?" + "x" * 1000, 500)
            text = b""

            def again():
                nonlocal text
                while piece := log.read(1 << 20):
                    text += piece
                ask(server, "/?again")
                return re.search(rb"can be written again: (\d+) lines were lost", text)
            lost = int(until(again, "the log to be written again").group(1))
            same(text.count(b"x" * 1000 + b" (") + lost >= 500, True, "lines written or lost")

    @case(g, "a FIFO: its reader stalls, and leaves")
    def _(binary):
        with folder() as path:
            fifo = path / "fifo"
            os.mkfifo(fifo)
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            with Server(binary, f"--access_log={fifo}") as server:
                ask(server, "/?" + "x" * 1000, 500)
                server.await_line("cannot be written, its lines are lost: "
                                  "its reader does not read")
                same(server.log().count("cannot be written"), 1, "errors about it")
                os.close(reader)
                ask(server, "/", 10)

    @case(g, "a traceback longer than a line may be, in one write")
    def _(binary):
        with folder() as path:
            (path / "app.lua").write_text("""
                local web = require "tornado.web"
                local Main = web.RequestHandler:extend "Main"
                function Main:get() error(("x"):rep(1000000) .. "\\255\\27[31m") end
                local Odd = web.RequestHandler:extend "Odd"
                function Odd:get()
                    error(setmetatable({}, { __tostring = function() error "twice" end }))
                end
                return web.Application { { "/", Main }, { "/odd", Odd } }
            """)
            with Server(binary, f"--log_file={path}/log", "--stall_warning=0", site=path,
                        stderr=2) as server:
                until(lambda: (path / "log").exists() and " on http" in
                      (path / "log").read_text(), "the start")
                server.port = int(re.search(r":(\d+)\n", (path / "log").read_text()).group(1))
                before = written(server)
                size = (path / "log").stat().st_size
                same(server.get("/").status, 500, "status")
                until(lambda: (path / "log").stat().st_size > size, "the error")
                same(written(server) - before, 1, "writes")
                same((path / "log").stat().st_size - size, 16384, "bytes of the record")
                same(server.get("/odd").status, 500, "status of an error without text")
                until(lambda: re.search(
                    r"GET /odd .*\n    table \(its __tostring raised: .*twice\)\n"
                    r"    stack traceback:\n", (path / "log").read_text()), "its traceback")


# -- Rotation -------------------------------------------------------------------------


def reopen(server, control):
    done = subprocess.run([str(server.binary), "reopen", f"--control={control}"],
                          cwd=harness.ROOT, capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    same(done.returncode, 0, f"exit code of reopen: {done.stderr}")


def rotation():
    g = "rotation"

    @case(g, "two workers, renamed under load: no line lost, none split")
    def _(binary):
        rounds, clients, each = 5, 4, 60
        with folder() as path:
            log, control = path / "access", path / "control"
            with Server(binary, f"--access_log={log}", f"--control={control}",
                        "--workers=2", "--max_keepalive_requests=7") as server:
                server.await_line(r"2 workers serve")
                stop = threading.Event()
                counts = [0] * clients

                def client(n):
                    while not stop.is_set():
                        with server.connect() as c:
                            for _ in range(7):
                                c.send(get(f"/?n={n}-{counts[n]}-{'x' * (counts[n] % 500)}"))
                                c.reply()
                                counts[n] += 1
                threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
                for thread in threads:
                    thread.start()
                try:
                    for i in range(1, rounds + 1):
                        seen = sum(counts)
                        until(lambda: sum(counts) > seen + each, "load")
                        log.rename(path / f"access.{i}")
                        reopen(server, control)
                        until(lambda: server.log().count("open anew") == 2 * i, "both workers")
                finally:
                    stop.set()
                    for thread in threads:
                        thread.join()
                same(server.stop(), 0, "exit code")
                files = sorted(path.glob("access*"))
                same(len(files), rounds + 1, "files")
                lines = "".join(f.read_text() for f in files).split("\n")
            same(lines.pop(), "", "what follows the last line")
            for line in lines:
                check(LINE.fullmatch(line), f"a broken line: {line!r}")
            got = sorted(re.search(r"n=(\d+-\d+)-", line).group(1) for line in lines)
            same(got, sorted(f"{n}-{i}" for n in range(clients) for i in range(counts[n])),
                 "requests in the log")

    @case(g, "behind a full disk: it tells how many lines were lost")
    def _(binary):
        with folder() as path:
            log, control = path / "access", path / "control"
            log.symlink_to("/dev/full")
            with Server(binary, f"--access_log={log}", f"--control={control}") as server:
                ask(server, "/", 5)
                server.await_line("the access log cannot be written")
                log.unlink()
                reopen(server, control)

                def again():
                    ask(server, "/?again")
                    return re.search("can be written again: (\\d+) lines were lost", server.log())
                same(until(again, "a line").group(1), "5", "lost")

    @case(g, "a new file that cannot be opened: the old one goes on")
    def _(binary):
        with folder() as path:
            (path / "logs").mkdir()
            log, control = path / "logs/access", path / "control"
            with Server(binary, f"--access_log={log}", f"--control={control}") as server:
                ask(server, "/?one")
                (path / "logs").rename(path / "old")
                reopen(server, control)
                server.await_line("reopen: access_log: .*No such file or directory")
                ask(server, "/?two")
                until(lambda: "two" in (path / "old/access").read_text(), "the line")


# -- Clients that leave ---------------------------------------------------------------


def leaving():
    g = "a client that leaves"

    @case(g, "before the reply")
    def _(binary):
        with folder() as path:
            log = path / "access"
            with Server(binary, f"--access_log={log}", "--access_log_format=combined") as server:
                c = server.connect()
                c.send(get("/wait/a"))
                server.await_latch("a.begun")
                c.close(reset=True)
                server.await_latch("a.gone")
                server.set("a.go")
                until(lambda: '"GET /wait/a HTTP/1.1" 499 0 ' in log.read_text(), "its line")

    @case(g, "before its body is complete")
    def _(binary):
        with folder() as path:
            log = path / "access"
            with Server(binary, f"--access_log={log}") as server:
                for target in b"/echo", b"/upload":  # one collects it, one has it in pieces
                    with server.connect() as c:
                        c.send(b"POST " + target + b" HTTP/1.1\r\n" + HOST +
                               b"Content-Length: 9\r\n\r\nabc")
                        server.await_counts(requests=2)  # and the one that asks
                    until(lambda: re.search(f"499 POST {target.decode()} ", log.read_text()),
                          "its line")


# -- Injection ------------------------------------------------------------------------


HOSTILE = ("/%0d%0a[E 261122 00:00:00 app] forged", "/\x1b[2J", "/\"'\\", "/\x9b31m", "/\xff\xfe",
           "/" + "\"" * 7000, "/" + "\xff" * 7000)


def injection():
    g = "injection"

    def lines_of(binary, form):
        with folder() as path:
            log = path / "access"
            with Server(binary, f"--access_log={log}", f"--access_log_format={form}") as server:
                sent = 0
                for target in HOSTILE:
                    for text in (b"ua", b"\x1b]0;x\x07", b"a\"b\\c\xff\xc2\x9b", b"\"" * 9000):
                        with server.connect() as c:
                            c.send(get(target, b"User-Agent: " + text, b"Referer: " + text))
                            c.reply()
                        sent += 1
                with server.connect() as c:
                    c.send(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\n [E forged\r\n\r\n")
                    c.reply()
            data = log.read_bytes()
        lines = data.split(b"\n")
        same(lines.pop(), b"", "what follows the last line")
        same(len(lines), sent + 1, "lines")
        for line in lines:
            check(len(line) < 16384, "a line of", len(line))
            check(not re.search(rb"[\0-\x1f\x7f]|\xc2[\x80-\x9f]", line), line[:200])
            line.decode()  # or it is no UTF-8
        return [line.decode() for line in lines]

    @case(g, "Tornado's lines")
    def _(binary):
        for line in lines_of(binary, "tornado"):
            check(re.match(r"\[[IWE] \d{6} [\d:]{8} access\] \d{3} \S+ .* \(127\.0\.0\.1\) "
                           r"\d+\.\d\dms$", line), line[:200])

    @case(g, "combined lines")
    def _(binary):
        form = re.compile(r'127\.0\.0\.1 - - \[[^][ ]+ [+-]\d{4}\] "GET [^"\\ ]?(?:[^"\\]|\\x..)* '
                          r'HTTP/1\.[01]" \d{3} \d+ "((?:[^"\\]|\\x..)*)" "((?:[^"\\]|\\x..)*)"')
        for line in lines_of(binary, "combined"):
            check(form.fullmatch(line), line[:200])

    @case(g, "objects")
    def _(binary):
        for line in lines_of(binary, "json"):
            entry = json.loads(line)
            same((entry["method"], entry["remote_ip"]), ("GET", "127.0.0.1"), "method, IP")


# -- The journal ----------------------------------------------------------------------


def entry(data):
    """The fields of a datagram in the journal's native protocol."""
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack_from("<Q", data)[0]
            value, data = data[8:8 + size], data[9 + size:]
        check(name not in fields, f"two fields {name}")
        fields[name.decode()] = value.decode()
    return fields


class Journal:
    """A journal of one's own: a socket, and the entries that came."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(harness.PATIENCE)
        self.option = f"journal:{path}"

    def next(self, **wanted):
        """The next entry that has these fields; a value may be a pattern."""
        while True:
            fields = entry(self.socket.recv(1 << 20))
            if all(re.search(value, fields.get(name, "")) for name, value in wanted.items()):
                return fields

    @contextlib.contextmanager
    def serve(self, binary, *options):
        with Server(binary, f"--log_file={self.option}", "--stall_warning=0", *options,
                    stderr=2) as server:
            found = self.next(MESSAGE="ctornado .* on http")
            server.port = int(found["MESSAGE"].rpartition(":")[2])
            yield server


def journal():
    g = "journal"

    @case(g, "entries have their fields")
    def _(binary):
        with folder() as path:
            j = Journal(path / "socket")
            with j.serve(binary, f"--access_log={j.option}") as server:
                same(server.get("/fault/raise").status, 500, "status")
                failed = j.next(PRIORITY="3")
                line = j.next(LOGGER="access")
            same((failed["SYSLOG_IDENTIFIER"], failed["LOGGER"]), ("ctornado", "app"),
                 "who speaks")
            check(re.fullmatch("[0-9a-f]{16}", failed["REQUEST_ID"]), failed)
            check("\n" in failed["MESSAGE"] and "traceback" in failed["MESSAGE"], failed)
            check(re.fullmatch(rf"\[access {failed['REQUEST_ID']}\] 500 GET /fault/raise "
                               r"\(127\.0\.0\.1\) \d+\.\d\dms", line["MESSAGE"]), line)

    @case(g, "a journal that does not read, and reads again")
    def _(binary):
        with folder() as path:
            j = Journal(path / "socket")
            with j.serve(binary, f"--access_log={j.option}") as server:
                ask(server, "/", 2000)
                lost = 0

                def again():
                    nonlocal lost
                    j.socket.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            text = entry(j.socket.recv(1 << 20))["MESSAGE"]
                            if found := re.search("again: (\\d+) lines were lost", text):
                                lost = int(found.group(1))
                    ask(server, "/")
                    return lost
                until(again, "the journal to be written again")
                j.socket.close()
                ask(server, "/", 10)

    @case(g, "a master's entries")
    def _(binary):
        with folder() as path:
            j = Journal(path / "socket")
            with j.serve(binary, "--workers=2"):
                j.next(LOGGER="master", MESSAGE="2 workers serve")

    @case(g, "none where the option says: it does not start")
    def _(binary):
        for workers in ("1", "2"):
            done = subprocess.run([str(binary), "--port=0", f"--site={harness.SITE}",
                                   "--log_file=journal:/nowhere/socket", f"--workers={workers}"],
                                  capture_output=True, text=True, timeout=harness.PATIENCE)
            same(done.returncode, 1, "exit code")
            check("log_file: journal:/nowhere/socket: No such file or directory" in done.stderr,
                  done.stderr)

    @case(g, "a master's lines are JSON, too")
    def _(binary):
        with Server(binary, "--workers=2", "--log_format=json") as server:
            server.await_line("2 workers serve")
            same(server.get("/").status, 200, "status")
            same(server.stop(), 0, "exit code")
            entries = [json.loads(line) for line in server.log().rstrip("\n").split("\n")]
            check("master" in {e["logger"] for e in entries}, entries)

    def stream(binary, *options):
        """Lines that a server writes to a stderr which is the journal's."""
        ours, theirs = socket.socketpair()
        with ours, theirs, Server(
                binary, "--stall_warning=0", *options, stderr=theirs,
                env={"JOURNAL_STREAM": "{0.st_dev}:{0.st_ino}".format(
                    os.fstat(theirs.fileno()))}) as server:
            theirs.close()
            ours.settimeout(harness.PATIENCE)
            with ours.makefile("r", encoding="utf-8") as log:
                server.port = int(re.search(r"<6>\[general\] .*:(\d+)$", log.readline()).group(1))
                yield server
                yield from (line.rstrip("\n") for line in log)

    @case(g, "a stderr that is the journal: priorities, no times")
    def _(binary):
        lines = stream(binary, "--access_log=stderr")
        server = next(lines)
        same(server.get("/fault/raise").status, 500, "status")
        check(re.match(r"<3>\[app \w+\] Uncaught exception GET /fault/raise", next(lines)), "error")
        for line in lines:
            if line.startswith("<3>[access "):
                break
            check(line.startswith("<3>    "), line)
        same(server.get("/").status, 200, "status")
        check(re.fullmatch(r"<6>\[access\] 200 GET / \(127\.0\.0\.1\) \d+\.\d\dms", next(lines)),
              "access")
        lines.close()

    @case(g, "a stderr that is the journal and stalls")
    def _(binary):
        lines = stream(binary, "--access_log=stderr")
        ask(next(lines), "/?" + "x" * 2000, 1000)
        lines.close()


if __name__ == "__main__":
    harness.run_on_binaries(
        SUITE, (batches, faults, rotation, leaving, injection, journal), __doc__)
