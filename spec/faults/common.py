"""What the programs in spec/faults share: a server of spec/faults/site with workers,
clients in processes of their own, and the time that requests take meanwhile.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import mmap
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # or modules would leave a __pycache__ here
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import clusters  # noqa: E402
import harness  # noqa: E402

SITE = HERE / "site"
HOST = harness.HOST
CPUS = sorted(os.sched_getaffinity(0))
TIMES = 3  # what a siege may make of the 99th percentile of those who are served


def get(path):
    return f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n"


class Cluster(clusters.Cluster):
    """A server of spec/faults/site with workers and a control socket."""

    def write(self, version):
        shutil.copy(SITE / "app.lua", self.home / "app.lua")

    def statuses(self, path, count):
        """The statuses of that many requests, each on a connection of its own."""
        return [self.get(path).status for _ in range(count)]

    def held(self):
        """Connections that the server says it has."""
        return sum(worker["connections"] for worker in self.ask_status()["workers"])


class Order:
    """What shim/fail.c shall make fail, in memory that the server's processes share."""

    ARMED, SKIP, FAIL, FAILED, ACCEPT = range(5)

    def __init__(self, path):
        path.write_bytes(bytes(40))
        with open(path, "r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), 40)).cast("l")

    def accept(self, error):
        """accept4() fails with that error; 0: no more."""
        self._numbers[self.ACCEPT] = error

    @contextlib.contextmanager
    def failing(self, n, times=1):
        """Inside, the `n`th allocation fails, and `times` - 1 behind it."""
        self._numbers[self.SKIP], self._numbers[self.FAIL] = n - 1, times
        self._numbers[self.FAILED], self._numbers[self.ARMED] = 0, 1
        try:
            yield
        finally:
            self._numbers[self.ARMED] = 0

    def failed(self):
        """How many have failed since failing() began."""
        return self._numbers[self.FAILED]


def shim(folder):
    """Builds shim/fail.c into the folder; returns the environment that preloads it,
    and its Order."""
    library, path = pathlib.Path(folder) / "fail.so", pathlib.Path(folder) / "order"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library),
                    str(HERE / "shim/fail.c"), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "FAULT_FILE": str(path)}, Order(path)


def many_descriptors():
    """Takes as many as the system allows; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Watch(threading.Thread):
    """A client that asks for / over and over, and notes how long each reply takes."""

    def __init__(self, port, path="/", pause=0.001):
        super().__init__(daemon=True)
        self.port, self.request, self.pause = port, get(path), pause
        self.enough, self.times, self.wrong = threading.Event(), [], None

    def run(self):
        try:
            with harness.Connection(self.port) as c:
                while not self.enough.wait(self.pause):
                    start = time.monotonic()
                    c.send(self.request)
                    harness.same(c.reply().status, 200, "status")
                    self.times.append(time.monotonic() - start)
        except Exception as err:  # whatever it is, the case shows it
            self.wrong = err

    def end(self):
        self.enough.set()
        self.join(harness.PATIENCE)
        harness.check(not self.wrong, "a client that is served saw:", self.wrong)
        return percentile(self.times)


def percentile(times):
    harness.check(len(times) > 50, f"only {len(times)} requests")
    return sorted(times)[int(len(times) * 0.99)]


class Wrk:
    """wrk with keep-alive connections that ask for / over and over, until result() is asked
    for, which is what it says in the end."""

    def __init__(self, port, connections=32, scheme="http"):
        self.process = subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", "-d1h", "--timeout=30s", "--latency",
             f"{scheme}://127.0.0.1:{port}/"], text=True, stdout=subprocess.PIPE)

    def running(self):
        return self.process.poll() is None

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.communicate()

    def result(self):
        """Its 99th percentile (ms), requests, what went wrong with sockets (a text, or None)
        and the number of replies that are not 2xx (a text, or None)."""
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate()[0]
        harness.same(self.process.returncode, 0, "wrk's exit code")
        errors = re.search(r"Socket errors: (.*)", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
        number = int(re.search(r"(\d+) requests in", text).group(1))
        return {"p99": float(p99) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
                "errors": errors and errors.group(1), "bad": bad and bad.group(1),
                "requests": number}


def crowd(port, meanwhile):
    """The 99th percentile (ms) of wrk's connections while `meanwhile` is called. All of them are
    served: none is refused, reset, or waits for half a minute."""
    wrk = Wrk(port)
    try:
        meanwhile()
        got = wrk.result()
    finally:
        wrk.kill()
    harness.same((got["errors"], got["bad"]), (None, None),
                 "socket errors and replies that are not 2xx of those who are served")
    harness.check(got["requests"] > 1000, f"only {got['requests']} requests")
    return got["p99"]


def compare(name, calm, under):
    """Prints the figures (ms) of each round and their medians. They are no verdict: the besieger,
    wrk and the server share a machine with whatever else it does."""
    ratio = statistics.median(b / a for a, b in zip(calm, under))
    print(f"     {name}: p99 of 32 connections {statistics.median(calm):.2f} ms undisturbed, "
          f"{statistics.median(under):.2f} ms under it, {ratio:.1f} times in the median of "
          f"{len(calm)} rounds" + (f": MORE THAN {TIMES}" if ratio > TIMES else ""), flush=True)
    print("      ", ", ".join(f"{a:.2f} -> {b:.2f}" for a, b in zip(calm, under)), flush=True)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def apart(server):
    """The server on a CPU of its own, its clients on the others, as on machines of
    their own; where there is one CPU, nothing."""
    first, *others = CPUS
    if others:
        os.sched_setaffinity(server.process.pid, {first})
        os.sched_setaffinity(0, others)


class Helper:
    """attack.py with `arguments`, as a process. It has the CPU of those who are served, as there
    are but two, and must not take it from them: on the wire it would be another machine. So it
    runs at nice 19, which gives it what they leave, and acts in bursts with pauses. It says a
    line when it is ready, and ends with its stdin."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["nice", "-n", "19", sys.executable,
                                         str(HERE / "attack.py"), *map(str, arguments)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def line(self):
        return self.process.stdout.readline().strip()

    def __enter__(self):
        harness.same(self.line(), "ready", "the helper's word")
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
            self.process.wait(harness.PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def temporary():
    return tempfile.TemporaryDirectory(prefix="ctornado-spec-")


def worker_rss(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def main(suite, groups, text):
    os.environ.setdefault("CTORNADO", str(harness.NORMAL))
    harness.run_on_binaries(suite, groups, text)
