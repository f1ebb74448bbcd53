#!/usr/bin/env python3
"""Faults that are provoked in seconds: each server must go on, or end with a word,
and be replaced. README.md has the list of all, and where each is tested.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import resource
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True  # or common would leave a __pycache__ here
import common
from common import HOST, Cluster, get
import harness
from harness import Ended, Reset, Server, Skip, check, same, until
import starve

SUITE = harness.Suite()
case = SUITE.case
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def dies(server, path):
    """Asks for what kills a worker; the connection ends without a reply."""
    with server.connect() as c:
        c.send(get(path))
        try:
            c.reply()
        except (Ended, Reset):
            return
    raise harness.Failure("there was a reply")


def processes():
    g = "processes"

    @case(g, "a crash in C: the stack is logged, the worker replaced")
    def _(binary):
        with Cluster(binary) as server:
            before = server.pids()
            dies(server, "/crash")
            line = server.await_line(r"process (\d+) dies of signal 11 \(Segmentation fault, "
                                     r"address 0x40\)")
            after = server.await_workers(int(line.group(1)))
            same(len(set(before) & set(after)), 1, "workers that stayed")
            same(set(server.statuses("/", 20)), {200}, "statuses")

    @case(g, "a call of C does not return: where, in C and in Lua, also behind a wait")
    def _(binary):
        with Cluster(binary, "--worker_timeout=5") as server:
            for path in ("/spin", "/spin?later=1"):
                dies(server, path)
                line = server.await_line(r"process (\d+) dies of signal 6 \(Aborted[^\n]*\n"
                                         r"([^\n]* crash\][^\n]*\n)*[^\n]*Lua was called[^\n]*\n"
                                         r"[^\n]*\[C\]: in find\n[^\n]*app\.lua:\d+: in ")
                server.await_workers(int(line.group(1)))
            check("Lua was called by GET /spin (127.0.0.1)\n" in server.log(), "whose it was")

    for allowed in (False, True):
        @case(g, f"core_dumps = {str(allowed).lower()} is the limit of all processes")
        def _(binary, allowed=allowed):
            most = resource.getrlimit(resource.RLIMIT_CORE)[1]
            if most != resource.RLIM_INFINITY:
                raise Skip("ulimit -Hc allows none")
            with Cluster(binary, *["--core_dumps"] * allowed,
                         limits=[(resource.RLIMIT_CORE, most)]) as server:
                wanted = "unlimited" if allowed else "1"
                for pid in [server.process.pid, *server.pids()]:
                    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
                    same(re.search(r"Max core file size +(\S+)", text).group(1), wanted,
                         "the soft limit")

    for allowed in (False, True):
        @case(g, f"no_new_privs = {str(not allowed).lower()}, and files are for nobody else")
        def _(binary, allowed=allowed):
            with Cluster(binary, *["--no_new_privs=false"] * allowed) as server:
                for pid in [server.process.pid, *server.pids()]:
                    text = pathlib.Path(f"/proc/{pid}/status").read_text()
                    same(re.search(r"NoNewPrivs:\s+(\d)", text).group(1), "01"[not allowed],
                         "no_new_privs")
                    same(int(re.search(r"Umask:\s+(\d+)", text).group(1), 8) & 0o027, 0o027,
                         "the umask")

    @case(g, "the master is killed: a restart binds at once")
    def _(binary):
        port = harness.free_port()
        with Cluster(binary, f"--port={port}", expect_exit=-9) as server:
            server.get("/")
            pids = server.pids()
            server.process.kill()
            server.process.wait()
            with Cluster(binary, f"--port={port}") as again:
                same(again.get("/").body, b"hello", "the new server's reply")
                for pid in pids:
                    until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), f"{pid} to end")
                same(set(again.statuses("/", 20)), {200}, "statuses")

    @case(g, "workers share no random numbers, and no epoll")
    def _(binary):
        with Cluster(binary, workers=3) as server:
            seen = [server.get("/random").body for _ in range(200)]
            gone = server.pids()
            for pid in gone:
                os.kill(pid, signal.SIGKILL)
            server.await_workers(*gone)
            seen += [server.get("/random").body for _ in range(200)]
            same(len(set(seen)), 400, "different numbers")
            polls = set()
            for pid in server.pids():
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                    if "eventpoll" in os.readlink(fd):
                        text = pathlib.Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()
                        polls.add(tuple(re.findall(r"tfd:\s+(\d+).*ino:(\w+)", text)))
            check(len(polls) >= 3, f"{len(polls)} sets of watched files")

    @case(g, "four workers have their share of a thousand connections", alone=True)
    def _(binary):
        with Cluster(binary, workers=4) as server, common.Helper("hold", server.port, 1000):
            until(lambda: server.held() == 1000, "1,000 connections")
            shares = [w["connections"] for w in server.ask_status()["workers"]]
            print(f"     shares of 1,000 connections: {shares}", flush=True)
            check(max(shares) < 2 * min(shares), f"shares: {shares}")


def memory():
    g = "memory"

    @case(g, "a handler builds a gigabyte: 500, and nobody else notices", alone=True)
    def _(binary):
        with Server(binary, site=common.SITE) as server:
            with server.connect() as other:
                other.send(get("/sleep?for=0.3"))
                same(server.get("/build").status, 500, "status")
                same(other.reply().body, b"slept", "the other's reply")
            same(server.get("/").body, b"hello", "a new client's reply")
            line = server.await_line("MemoryLimitError: lua_memory_limit: more than 512 MiB")
            check("app.lua:" in server.log()[line.start():], server.log())
            check(server.status("VmHWM") < 1000000, "it took a gigabyte")

    @case(g, "malloc fails, whatever is done: it is answered, and nothing is left", alone=True)
    def _(binary):
        with common.temporary() as folder, starve.Site(binary, folder) as server:
            for kind in starve.KINDS:
                starve.starve(server, kind, range(1, 501))
                starve.starve(server, kind, range(1, 501, 7), 5)
            starve.starve(server, starve.reload, [1, 3, 10, 30, 100, 300, 1000, 3000])
            check("the reserve has served" in server.log(), server.log())

    @case(g, "malloc fails at the start: a message and exit code 1", alone=True)
    def _(binary):
        check(starve.at_start(binary, range(1, 2000, 80)) > 10, "hardly any failed")

    @case(g, "memory is really used up: 503, and all is well when there is some", alone=True)
    def _(binary):
        starve.exhaust(binary)

    @case(g, "at rest garbage is collected, and then no CPU is used", alone=True)
    def _(binary):
        with Cluster(binary, "--supervise", workers=1) as server, server.connect() as c:
            def bytes_of():
                return server.ask_status()["workers"][0]["lua_bytes"]
            for _ in range(30):
                c.send(get("/garbage"))
                c.reply()
            pid = server.pids()[0]
            until(lambda: bytes_of() < 16 << 20, "the garbage to be gone")
            before = harness.cpu_of(pid)
            time.sleep(2)  # time in which it might go on
            used = harness.cpu_of(pid) - before
            check(used <= 0.05, f"{used:.2f} s of CPU at rest")

    @case(g, "status shows the memory of each generation")
    def _(binary):
        with Cluster(binary) as server, server.connect() as c:
            c.send(get(f"/until?file={server.home}/go"))
            until(lambda: any(w["requests"] for w in server.ask_status()["workers"]), "a request")
            same(server.command("reload")[0], 0, "exit code")

            def both():
                shown = [w["memory"] for w in server.ask_status()["workers"]]
                return any(len(m) == 2 and min(m.values()) > 1 << 20 for m in shown)
            until(both, "two generations with memory")
            check("still has generation 1:" in server.command("status")[1], "not for people")
            (server.home / "go").touch()
            same(c.reply().body, b"done", "the old generation's reply")


def sockets():
    g = "sockets"

    def no_accept(name, number):
        @case(g, f"accept() fails with {name}: no spin, no flood of lines, and it recovers",
              alone=True)
        def _(binary):
            with common.temporary() as folder:
                env, order = common.shim(folder)
                with Server(binary, site=common.SITE, env=env) as server, \
                        server.connect() as inside:
                    inside.send(get("/"))
                    inside.reply()
                    order.accept(number)
                    clients = [server.connect() for _ in range(20)]
                    for c in clients:
                        c.send(get("/"))
                    server.await_line("cannot accept, pausing")
                    before = server.cpu()
                    time.sleep(2)  # time in which it might spin
                    check(server.cpu() - before < 0.4, f"{server.cpu() - before} s of CPU")
                    check(server.log().count("cannot accept") <= 4, server.log())
                    inside.send(get("/"))
                    same(inside.reply().body, b"hello", "the reply to one inside")
                    order.accept(0)
                    for c in clients:
                        same(c.reply().body, b"hello", "the reply to one that waited")
                        c.close()
    no_accept("ENOBUFS", 105)
    no_accept("ENOMEM", 12)

    @case(g, "connections are probed when they are quiet")
    def _(binary):
        for options in ((), ("--workers=2", "--control=none")):
            with Server(binary, *options, site=common.SITE) as server, server.connect() as c:
                c.send(get("/"))
                c.reply()
                port = f":{server.port:04X}"
                peer = f":{c.socket.getsockname()[1]:04X}"

                def probed():
                    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines():
                        fields = line.split()
                        if fields[1].endswith(port) and fields[2].endswith(peer):
                            return fields[5].startswith("02:")  # a keep-alive timer
                    return False
                until(probed, "a keep-alive timer", 5)


def limits():
    g = "limits"

    def taken(server, most):
        """Opens connections until one is refused; returns those that were not."""
        inside = []
        for _ in range(most):
            c = server.connect()
            c.send(get("/"))
            if c.reply().status != 200:
                c.close()
                break
            inside.append(c)
        return inside

    @case(g, "max_connections counts over workers, WebSockets too, and heals", alone=True)
    def _(binary):
        with Cluster(binary, "--max_connections=12") as server:
            inside = taken(server, 20)
            same(len(inside), 12, "connections")
            for c in inside[:6]:
                c.send(b"GET /socket HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
                same(c.head().status, 101, "status of the upgrade")
            same(taken(server, 1), [], "connections beyond the limit")
            for round in range(3):
                victim = server.pids()[round % 2]
                os.kill(victim, signal.SIGKILL)
                server.await_workers(victim)
            for c in inside:
                c.close()
            for pid in server.pids():  # whatever is left of them
                os.kill(pid, signal.SIGKILL)
                server.await_workers(pid)
            again = until(lambda: taken(server, 20), "room")
            for c in again:
                c.close()

            def whole():
                now = taken(server, 20)
                for c in now:
                    c.close()
                return len(now) == 12
            until(whole, "room for all twelve")

    @case(g, "rate limits count over workers, and outlive reloads and kills")
    def _(binary):
        with Cluster(binary, workers=3) as server:
            statuses = server.statuses("/limited", 10)
            server.command("reload")
            gone = server.pids()
            for pid in gone:
                os.kill(pid, signal.SIGKILL)
            server.await_workers(*gone)
            statuses += server.statuses("/limited", 30)
            same(statuses.count(200), 20, "allowed")
            reply = server.get("/limited")
            same(reply.status, 429, "status")
            check(int(reply.get("retry-after")) > 100, reply.get("retry-after"))

    @case(g, "max_open_files is what it says")
    def _(binary):
        with Server(binary, "--max_open_files=500", site=common.SITE) as server:
            text = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text()
            same(re.search(r"Max open files +(\d+)", text).group(1), "500", "the soft limit")
            server.await_line("max_connections is 20000, but descriptors are there for 500")
            check(server.status("FDSize") <= 512, "no more room than that")

    @case(g, "the kernel has room for all connections before the first one comes")
    def _(binary):
        if common.many_descriptors() < 5000:
            raise Skip("needs 5,000 descriptors: raise `ulimit -Hn`")
        with Server(binary, "--max_connections=4000", site=common.SITE) as server:
            size = server.status("FDSize")
            check(4000 < size <= 8192, f"room for {size}")

    @case(g, "the kernel holds little for a client that does not read")
    def _(binary):
        def unsent(port):
            """Bytes that it has for the clients of a port."""
            lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
            return sum(int(line.split()[4].split(":")[0], 16) for line in lines
                       if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01")
        with Server(binary, site=common.SITE) as server, harness.Connection(server.port) as c:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(get("/big"))
            until(lambda: unsent(server.port) > 100 << 10, "the reply")
            most = 0
            for _ in range(20):  # it would take megabytes, more with each piece that is read
                c.socket.recv(16384)
                most = max(most, unsent(server.port))
            check(most < 1 << 20, f"{most} bytes")


def others():
    g = "others"

    @case(g, "a backend that is killed and starts again: who asks it notices nothing")
    def _(binary):
        watches, port = [], 0
        with Server(binary, site=common.SITE) as front:
            for _ in range(4):
                with Server(binary, f"--port={port}", site=common.SITE,
                            expect_exit=-signal.SIGKILL) as back:
                    if not watches:
                        port = back.port
                        watches = [common.Watch(front.port, f"/backend?port={port}")
                                   for _ in range(4)]
                        for watch in watches:
                            watch.start()
                    seen = [len(watch.times) for watch in watches]
                    until(lambda: all(len(watch.times) > n + 30 or watch.wrong
                                      for watch, n in zip(watches, seen)), "replies")
                    back.process.kill()
                    back.process.wait()
                    if any(watch.wrong for watch in watches):
                        break
            with Server(binary, f"--port={port}", site=common.SITE):
                for watch in watches:
                    watch.end()
            same(front.get("/").body, b"hello", "the front")

    @case(g, "the clock jumps by an hour: nothing times out", alone=True)
    def _(binary):
        if not FAKETIME.exists():
            raise Skip("faketime is not installed")
        with common.temporary() as folder:
            clock = pathlib.Path(folder) / "clock"
            clock.write_text("+0")
            env = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock),
                   "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            with Server(binary, site=common.SITE, env=env) as server, \
                    server.connect() as idle, server.connect() as slow:
                idle.send(get("/"))
                first = idle.reply().get("date")
                for offset in ("+3600", "-3600", "+0"):
                    slow.send(get("/sleep?for=0.5"))
                    clock.write_text(offset)
                    same(slow.reply().body, b"slept", "the reply to one that slept")
                    idle.send(get("/"))
                    reply = idle.reply()
                    same(reply.status, 200, "status of one that was idle")
                    if offset == "+3600":
                        check(reply.get("date") != first, "Date does not follow the clock")
                check("timeout" not in server.log(), server.log())

    @case(g, "replies twice, never, or after an error: nothing is left", alone=True)
    def _(binary):
        with Server(binary, "--handler_timeout=0.2", site=common.SITE) as server:
            def some(count):
                for _ in range(count):
                    with server.connect() as c:
                        c.send(get("/twice") + get("/raise") + get("/never"))
                        same(c.reply().body, b"once", "the first reply")
                        same(c.reply().status, 500, "the second status")
                        c.close(reset=True)
                time.sleep(1)  # until those without an answer have timed out
                return server.status("VmRSS")
            before, after = some(3000), some(3000)  # alike: garbage has its peak
            check(after - before < 4096, f"grew from {before} to {after} KiB")
            server.get("/")

    @case(g, "10,000 clients reset the connection in the middle of a reply", alone=True)
    def _(binary):
        with Server(binary, "--stall_warning=0", site=common.SITE) as server:
            def some(count):
                for _ in range(count):
                    c = server.connect(rcvbuf=4096)
                    c.send(get("/big"))
                    c.socket.recv(1)
                    c.close(reset=True)
                return server.status("VmRSS")
            before, after = some(2000), some(8000)
            same(server.get("/").body, b"hello", "a new client's reply")
            check(after - before < 8192, f"grew from {before} to {after} KiB")
            check(server.log().count("\n") < 20, server.log()[-1000:])


if __name__ == "__main__":
    common.main(SUITE, (processes, memory, sockets, limits, others), __doc__)
