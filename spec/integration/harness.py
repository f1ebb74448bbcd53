"""What the programs in spec/integration share: a server that is started and
stopped, a connection that reads replies to the byte, and cases that are run and
counted. Nothing here sleeps to wait for something else: a reply, the end of a
connection and a line of the log are waited for, each with a generous deadline.
"""
# SPDX-License-Identifier: Apache-2.0
import argparse
import concurrent.futures
import contextlib
import faulthandler
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SITE = ROOT / "spec/integration/site"
NORMAL, ASAN = ROOT / "build/ctornado", ROOT / "build/asan/ctornado"
PATIENCE = 60  # seconds that something which must come may take, on a machine that is busy
GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of one that has ended meanwhile

# A case that looks at one of these deadlines says what it is.
GENEROUS = ("--header-timeout=60", "--body-timeout=60", "--idle-timeout=600",
            "--handler-timeout=600", "--cpu-limit=60")

HOST = b"Host: test.example\r\n"
LAST = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

# Who ends a program that hangs learns where.
faulthandler.register(signal.SIGTERM, chain=True)


class Failure(Exception):
    """What a case expected and did not get."""


class Skip(Exception):
    """Why a case cannot be run here."""


class Ended(Failure):
    """The server closed the connection in the middle of a reply or before it."""


class Reset(Failure):
    """The server reset the connection."""


def check(condition, *words):
    if not condition:
        raise Failure(" ".join(str(word) for word in words))


def same(got, expected, what):
    check(got == expected, f"{what}: expected {expected!r}, got {got!r}")


@contextlib.contextmanager
def folder():
    """The path of a new one, which is removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def until(condition, what, patience=PATIENCE):
    """Looks again and again until condition() is true; returns what it returned."""
    end = time.monotonic() + patience
    while True:
        late = time.monotonic() > end  # before the last look
        if found := condition():
            return found
        check(not late, f"waited {patience} s in vain for {what}")
        time.sleep(0.005)


def on_time(limit, run, tries=10):
    """Runs what has to keep time itself: run(step) calls step() when the time begins, and
    then no later than `limit` seconds after the last call. A failure counts only when it did:
    where this program itself was late, as on a busy machine, it is run again."""
    for _ in range(tries):
        calls = []
        try:
            return run(lambda c=calls: c.append(time.monotonic()))
        except Failure:
            if all(b - a <= limit for a, b in zip(calls, calls[1:])):
                raise
    raise Skip(f"this machine is too busy for steps of {limit} s")


ports = itertools.count(53 * os.getpid())  # each process begins elsewhere


def free_port():
    """A port of 127.0.0.1 to listen on later. It is below those that the system gives to
    whoever wants any, so nobody takes it meanwhile."""
    above = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]
    while True:
        port = 10000 + next(ports) % max(int(above) - 10000, 1000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def await_socket(path):
    """Waits until connections are taken on a unix socket: its file is there before that."""
    def look():
        with socket.socket(socket.AF_UNIX) as s, \
                contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            s.connect(str(path))
            return True
    until(look, f"a server on {path}")


def stat_of(pid):
    """What /proc says of a process from its state on, or None when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except GONE:
        return None


def state_of(pid):
    """The letter of a process's state ("Z"), or None when there is none."""
    fields = stat_of(pid)
    return fields and fields[0]


def cpu_of(pid):
    """Seconds of CPU time that a process has used."""
    fields = stat_of(pid)
    check(fields, f"process {pid} has ended")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def port_from(log):
    """The port that a server says on a pipe; a machine that stalls has it say so before."""
    text = b""
    while not (found := re.search(rb" on https?://[^ \n]*:(\d+)\n", text)):
        piece = log.read(1)
        check(piece, "the server ended:", text)
        text += piece
    return int(found.group(1))


# -- Servers ------------------------------------------------------------------


def is_asan(binary):
    return "asan" in pathlib.Path(binary).parts


class Server:
    """A ctornado that serves `site` on a free port. A context manager: at the
    end it is stopped with SIGTERM, and must exit with 0 and leave no sanitizer's
    report."""

    def __init__(self, binary, *options, site=SITE, limits=(), stderr=None,
                 env=None, expect_exit=0):
        self.binary, self.options, self.site = binary, options, site
        self.limits, self.stderr_to, self.extra = limits, stderr, env or {}
        self.expect_exit = expect_exit
        self.process = self.port = None

    def _environment(self):
        env = dict(os.environ, **self.extra)
        options = env.get("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1")
        env["ASAN_OPTIONS"] = f"{options}:log_path={self.folder}/sanitizer"
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return env

    def _limit(self):
        import resource
        for what, value in self.limits:
            resource.setrlimit(what, (value, value))

    def _port(self):
        """A free one, unless a configuration says where to listen: the command line would have
        the last word."""
        files = [word.partition("=")[2] for word in self.options if word.startswith("--config=")]
        return [] if any("listen" in pathlib.Path(f).read_text() for f in files) else ["--port=0"]

    def start(self):
        self.ending = False
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
        self.log_path = self.folder / "stderr"
        stderr = self.stderr_to
        if stderr is None:
            stderr = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [str(self.binary), f"--site={self.site}", *self._port(),
             f"--body-temp-dir={self.folder}", *GENEROUS, *self.options],
            cwd=ROOT, env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=stderr,
            preexec_fn=self._limit if self.limits else None)
        if self.stderr_to is None:
            stderr.close()
            self.port = int(self.await_line(r' on https?://[^ \n"]*:(\d+)').group(1))
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def await_line(self, pattern):
        """Waits for a line of the log that has `pattern`; returns the match."""
        def look():
            ended = self.process.poll() is not None
            found = re.search(pattern, self.log())
            check(found or not ended, f"the server ended with "
                  f"{self.process.returncode} before {pattern!r}:\n{self.log()}")
            return found
        return until(look, f"the line {pattern!r} in the log")

    def status(self, name):
        """A number of /proc/PID/status, such as VmRSS in KiB."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))

    def cpu(self):
        """Seconds of CPU time that the server has used."""
        return cpu_of(self.process.pid)

    def children(self):
        """The pids of its own processes, those of its workers, in the order of their start."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in pathlib.Path(path).read_text().split()]

    def alive(self):
        return self.process.poll() is None

    def connect(self, **options):
        return Connection(self.port, **options)

    def get(self, path):
        """The reply to GET `path` on a connection of its own."""
        with self.connect() as c:
            c.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST
                   + b"Connection: close\r\n\r\n")
            return c.reply()

    def set(self, name):
        same(self.get(f"/set/{name}").body, b"set", f"/set/{name}")

    def await_latch(self, name):
        same(self.get(f"/await/{name}").body, b"come", f"/await/{name}")

    def counts(self):
        return json.loads(self.get("/counts").body)

    def await_counts(self, **wanted):
        """Waits until /counts says so, e.g. connections=1 (the asking one)."""
        def look():
            got = self.counts()
            return all(got[name] == value for name, value in wanted.items())
        until(look, f"/counts to have {wanted}; now {self.counts()}")

    def reports(self):
        """What the sanitizers have said."""
        files = sorted(self.folder.glob("sanitizer*"))
        text = "".join(f.read_text(errors="replace") for f in files)
        if self.stderr_to is None and re.search("runtime error|Sanitizer", self.log()):
            text += self.log()
        return text

    def end(self, how=signal.SIGTERM):
        """Tells it to end: once, for another signal may find it without a handler."""
        self.ending = True
        self.process.send_signal(how)

    def stop(self, how=signal.SIGTERM):
        """Ends the server, unless that is under way; returns its exit code."""
        if not self.ending and self.alive():
            self.end(how)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"still running {PATIENCE} s after signal {how}") from None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:  # nobody else would end what has been started
            with contextlib.suppress(Failure):
                self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, value, trace):
        if not self.process:
            return
        try:
            code = self.stop()
            if kind and issubclass(kind, Failure) and value.args:
                value.args = (f"{value.args[0]}\n{self.tail()}",)
            if kind is None:
                same(code, self.expect_exit, f"exit code after SIGTERM\n{self.tail()}\n")
                check(not self.reports(), self.reports()[:8000])
        finally:
            if self.alive():
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def tail(self):
        text = self.reports() + ("" if self.stderr_to is not None else self.log())
        return "    " + text[-2000:].replace("\n", "\n    ")


class HomeServer(Server):
    """One with a folder of its own for its site, `home`, which goes with it."""

    def __init__(self, binary, *options, **more):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ctornado-spec-"))
        self.home.chmod(0o755)
        more.setdefault("site", self.home)
        super().__init__(binary, *options, **more)

    def __exit__(self, *how):
        try:
            super().__exit__(*how)
        finally:
            shutil.rmtree(self.home, ignore_errors=True)


# -- Connections ----------------------------------------------------------------


class Reply:
    """A reply as it came. `fields` are (lower-case name, value)."""

    def __init__(self, line, fields):
        found = re.fullmatch(rb"(HTTP/1\.[01]) (\d{3}) ([\t\x20-\x7e]*)", line)
        check(found, f"malformed status line {line[:80]!r}")
        self.version, self.reason = found.group(1), found.group(3)
        self.status = int(found.group(2))
        self.fields, self.body, self.framing, self.interim = fields, b"", "none", []

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name):
        values = self.all(name)
        check(len(values) < 2, f"{len(values)} fields {name}")
        return values[0] if values else None

    @property
    def closes(self):
        return self.get("connection") == "close"

    def json(self):
        return json.loads(self.body)


def parse_fields(lines):
    fields = []
    for line in lines:
        found = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([^\r\n\0]*)", line)
        check(found, f"malformed field {line[:80]!r}")
        fields.append((found.group(1).decode().lower(), found.group(2).decode("latin-1")))
    return fields


class Connection:
    """A client of a port of 127.0.0.1, or of a unix socket by its path. Reads are exact: what is
    left over after a reply is the next."""

    def __init__(self, port, rcvbuf=None, sndbuf=None):
        local = not isinstance(port, int)
        self.socket = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        for name, value in (("SO_RCVBUF", rcvbuf), ("SO_SNDBUF", sndbuf)):
            if value:
                self.socket.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(port) if local else ("127.0.0.1", port))
        if not local:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Reset("the server reset the connection while it was sent to") from None

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send_what_fits(self, data, most=1 << 30, still=1.0):
        """Sends `data` over and over while the other side takes it; returns how
        many bytes it took before nothing more went for `still` seconds."""
        self.socket.settimeout(still)
        sent = 0
        try:
            while sent < most:
                sent += self.socket.send(data[sent % len(data):])
        except socket.timeout:
            pass
        finally:
            self.socket.settimeout(PATIENCE)
        return sent

    def quiet(self):
        """Whether nothing has come, the connection's end included."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return not self.buffer
        finally:
            self.socket.settimeout(PATIENCE)

    def _more(self):
        try:
            got = self.socket.recv(1 << 18)
        except socket.timeout:
            raise Failure(f"nothing came for {PATIENCE} s, after "
                          f"{bytes(self.buffer[:80])!r}") from None
        except ConnectionResetError:
            raise Reset(f"reset after {bytes(self.buffer[:80])!r}") from None
        if not got:
            raise Ended(f"closed after {bytes(self.buffer[:80])!r}")
        self.buffer += got

    def line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            check(len(self.buffer) < 1 << 20, "an endless line")
            self._more()
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return line

    def exactly(self, n):
        while len(self.buffer) < n:
            self._more()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def to_end(self):
        """Everything until the server closes (not: resets)."""
        try:
            while True:
                self._more()
        except Ended:
            data = bytes(self.buffer)
            self.buffer.clear()
            return data

    def chunks(self):
        """A chunked body; no extensions or trailers are expected of ctornado."""
        body = bytearray()
        while True:
            size = self.line()
            check(re.fullmatch(rb"[0-9a-fA-F]+", size), f"bad chunk size {size!r}")
            body += self.exactly(int(size, 16))
            same(self.line(), b"", "the line after a chunk")
            if int(size, 16) == 0:
                return bytes(body)

    def head(self):
        line = self.line()
        lines = []
        while field := self.line():
            lines.append(field)
        return Reply(line, parse_fields(lines))

    def reply(self, method="GET"):
        """The next reply that is final; interim ones are listed in it."""
        interim = []
        reply = self.head()
        while reply.status < 200:
            interim.append(reply.status)
            reply = self.head()
        reply.interim = interim
        length, coding = reply.get("content-length"), reply.get("transfer-encoding")
        check(length is None or coding is None, "both a length and a transfer coding")
        if method == "HEAD" or reply.status in (204, 304):
            return reply
        if coding is not None:
            same(coding, "chunked", "transfer coding")
            reply.framing, reply.body = "chunked", self.chunks()
        elif length is not None:
            reply.framing, reply.body = "length", self.exactly(int(length))
        else:
            reply.framing, reply.body = "end", self.to_end()
        return reply

    def end(self):
        """The connection must end here, in order."""
        rest = self.to_end()
        check(not rest, f"unexpected bytes before the end: {rest[:200]!r}")

    def cut(self):
        """The connection must end here, in whatever way."""
        try:
            self.end()
        except Reset:
            pass


# -- Cases ------------------------------------------------------------------------


class Suite:
    """Cases by name, in the order in which they were added."""

    def __init__(self):
        self.cases = []

    def add(self, group, name, function, alone=False):
        full = f"{group}: {name}"
        assert all(full != case[0] for case in self.cases), full
        self.cases.append((full, function, alone))

    def case(self, group, name, alone=False):
        """Decorates a case; `alone`: it is not run beside others."""
        def add(function):
            self.add(group, name, function, alone)
            return function
        return add


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()

    def say(self, counter, text):
        with self.lock:
            setattr(self, counter, getattr(self, counter) + 1)
            if text:
                print(text, flush=True)

    def run(self, name, function, *arguments):
        """Runs one case; prints what went wrong."""
        started = time.monotonic()
        try:
            function(*arguments)
            took = f"{time.monotonic() - started:7.2f} s {name}"
            self.say("passed", took if os.environ.get("CT_TIMES") else None)
        except Skip as why:
            self.say("skipped", f"skipped {name}: {why}")
        except Failure as why:
            self.say("failed", f"FAILED {name}: {why}")
        except Exception as error:  # a fault of the case is a failure, too
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            self.say("failed", f"FAILED {name}: {type(error).__name__}: {error} "
                     f"({at.tb_frame.f_code.co_filename}:{at.tb_lineno})")

    def run_all(self, cases, *arguments, jobs=8):
        """Runs those that may run together, then the others one by one."""
        together = [case for case in cases if not case[2]]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for name, function, _ in together:
                pool.submit(self.run, name, function, *arguments)
        for name, function, alone in cases:
            if alone:
                self.run(name, function, *arguments)


def arguments(text):
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--only", default="", metavar="TEXT",
                        help="run only the cases whose name has TEXT in it")
    return parser


def binaries(asan=True):
    """What is to be tested: $CTORNADO, or all that are built."""
    if named := os.environ.get("CTORNADO"):
        return [(ROOT / named).absolute()]
    found = [b for b in ((NORMAL, ASAN) if asan else (NORMAL,)) if b.exists()]
    if not found:
        sys.exit("build/ctornado is missing: run make first")
    return found


def run_on_binaries(suite, groups, text):
    """The main program of a script whose groups of cases run on each binary; `text`
    is its --help."""
    options = arguments(text).parse_args()
    for group in groups:
        group()
    tally = Tally()
    for binary in binaries():
        title = "asan" if is_asan(binary) else "normal"
        chosen = [(f"{title} {name}", fn, alone) for name, fn, alone in suite.cases
                  if options.only in name]
        tally.run_all(chosen, binary, jobs=4)
    finish(tally)


def finish(tally):
    if tally.skipped:
        print(f"{tally.skipped} skipped")
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)
