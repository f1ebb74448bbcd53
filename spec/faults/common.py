"""What the programs in spec/faults share: a server of spec/faults/site with workers,
clients in processes of their own, and the time that requests take meanwhile.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import resource
import shutil
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
FAST = 0.03  # seconds: a 99th percentile below it is good, whatever it was before


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


def shim(folder):
    """Builds shim/fail.c into the folder; returns the environment that preloads it,
    and the file that makes calls fail."""
    library = pathlib.Path(folder) / "fail.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library),
                    str(HERE / "shim/fail.c"), "-ldl"], check=True)
    order = pathlib.Path(folder) / "order"
    return {"LD_PRELOAD": str(library), "FAULT_FILE": str(order)}, order


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


def p99(port, seconds=1.5):
    watch = Watch(port)
    watch.start()
    time.sleep(seconds)  # the time that is measured
    return watch.end()


def compare(name, calm, under):
    """The figures, and whether the second is under three times the first."""
    calm, under = statistics.median(calm), statistics.median(under)
    print(f"     {name}: p99 {calm * 1000:.2f} ms undisturbed, {under * 1000:.2f} ms under it",
          flush=True)
    harness.check(under < max(3 * calm, FAST), f"p99 went from {calm:.4f} to {under:.4f} s")


def apart(server):
    """The server on a CPU of its own, its clients on the others, as on machines of
    their own; where there is one CPU, nothing."""
    first, *others = CPUS
    if others:
        os.sched_setaffinity(server.process.pid, {first})
        os.sched_setaffinity(0, others)


class Helper:
    """This program again with `arguments`, as a process: a client that costs the
    test's own threads nothing, not even the CPU that they wait for. It says a line
    when it is ready; `end` stops it."""

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
