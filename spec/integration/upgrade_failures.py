#!/usr/bin/env python3
"""Binary upgrades that fail, and processes that die in the middle of one: nothing has
changed then, or the new process has taken over, and none is left alone. Each case runs
on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import pathlib
import re
import sys
import tempfile
import threading

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import check, same, until
from upgrading import APP, GET, Socket, Upgradable, each, status

SUITE = harness.Suite()


def failures():
    g = "failures"

    def refused(server, pattern):
        code, _, err = server.command("upgrade")
        same(code, 1, "exit code")
        check(re.search("upgrade: nothing has changed: " + pattern, err, re.S), err)
        server.await_line("upgrade] nothing has changed")
        same(server.get("/").body, b"one", "the old process")
        same(server.command("status")[0], 0, "its control socket")

    @each(SUITE, g, "a site that cannot be loaded: the reason")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server, server.connect() as c:
            (server.home / "app.lua").write_text("\nerror('on purpose')")
            refused(server, r".*app\.lua:2: on purpose")
            c.send(GET)
            same(c.reply().body, b"one", "a connection of before")
            server.write("two")
            server.upgrade()
            same(server.get("/").body, b"two", "mended")

    @each(SUITE, g, "a configuration that is wrong: the reason")
    def _(binary, workers):
        with tempfile.TemporaryDirectory() as folder:
            conf = pathlib.Path(folder) / "conf"
            conf.write_text("")
            with Upgradable(binary, f"--config={conf}", workers=workers) as server:
                conf.write_text("nonsense = 1\n")
                refused(server, r".*conf:1: unknown option")

    @each(SUITE, g, "a program that is none, and one that is gone")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            (server.home / "junk").write_text("#!/nonexistent\n")
            (server.home / "junk").chmod(0o755)
            server.install(server.home / "junk")
            refused(server, ".*/bin: cannot be started: No such file")
            (server.home / "bin").unlink()
            refused(server, ".*/bin: cannot be started: No such file")
            server.install(binary)
            server.upgrade()

    @each(SUITE, g, "a program that dies, and one that ends")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            for text, pattern in (("kill -SEGV $$", r"the new program died of signal 11"),
                                  ("exit 3", "the new program ended with exit code 3")):
                (server.home / "junk").write_text(f"#!/bin/sh\n{text}\n")
                (server.home / "junk").chmod(0o755)
                server.install(server.home / "junk")
                refused(server, pattern)
            server.install(binary)
            server.upgrade()

    @each(SUITE, g, "one upgrade or reload at a time; who quits ends a new process")
    def _(binary, workers):
        with Upgradable(binary, "--stop-timeout=1", workers=workers) as server:
            (server.home / "app.lua").write_text("require('tornado.gen').sleep(1e6)\n")
            waiting = threading.Thread(target=server.command, args=("upgrade",))
            waiting.start()
            server.await_line("to take over")
            for word in ("upgrade", "reload"):
                code, _, err = server.command(word)
                same(code, 1, "exit code")
                check("an upgrade is under way" in err, err)
            same(server.get("/").body, b"one", "meanwhile")
            same(server.command("quit")[0], 0, "quit")
            same(server.process.wait(harness.PATIENCE), 0, "exit code")
            waiting.join()
            check("the server ends" in server.log(), server.log())


def deaths():
    g = "deaths"
    waits = ("while not require('tornado.core').file_kind('%s/go on') do "
             "require('tornado.gen').sleep(0.005) end\n" + APP.replace("%s", "two"))

    @each(SUITE, g, "the old process, while the new one loads: that takes over, no process is left")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            before = server.processes()
            (server.home / "app.lua").write_text(waits % server.home)
            upgrade = threading.Thread(target=server.command, args=("upgrade",))
            upgrade.start()
            until(lambda: server.processes() - before, "the new process")
            server.kill(server.pid)
            (server.home / "go on").write_text("")
            upgrade.join()
            until(lambda: server.count("taken over"), "the new process to take over")
            until(lambda: not before & server.processes(), "the end of the old ones")
            server.pid = status(server)["pid"]
            for _ in range(20):
                same(server.get("/").body, b"two", "the new process")

    @each(SUITE, g, "the old process, after it was replaced: its workers end")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            before = server.processes()
            one = Socket(server)
            one.echo()
            old = server.upgrade()
            check(old in server.processes(), "it has ended already")
            server.kill(old)
            until(lambda: not before & server.processes(), "the end of the old ones")
            one.c.close()
            for _ in range(20):
                same(server.get("/").status, 200, "the new process")

    @each(SUITE, g, "the new process, while it loads: nothing has changed, no process is left")
    def _(binary, workers):
        with Upgradable(binary, workers=workers) as server:
            before = server.processes()
            (server.home / "app.lua").write_text("require('tornado.gen').sleep(1e6)\n")
            upgrade = threading.Thread(target=server.command, args=("upgrade",))
            upgrade.start()

            def begun():
                found = server.processes() - before  # the command's among them
                return len(found) >= len(before) and next(
                    (pid for pid in found if is_parent(server.pid, pid)), None)

            server.kill(until(begun, "the new processes"))
            upgrade.join()
            server.await_line("the new program died of signal 9")
            until(lambda: server.processes() == before, "the end of the new ones")
            same(server.get("/").body, b"one", "the old process")


def is_parent(parent, pid):
    fields = harness.stat_of(pid)
    return fields is not None and int(fields[1]) == parent


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (failures, deaths), __doc__)
