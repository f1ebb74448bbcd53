#!/usr/bin/env python3
"""Programs that do not start: sites, command lines, configurations and ports that are wrong,
each with its reason. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import HOST, Server, Skip, check, folder, same

SUITE = harness.Suite()
case = SUITE.case
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


def run(binary, *arguments, cwd, prepare=None):
    """Runs to the end, in an empty folder; returns exit code and stderr."""
    done = subprocess.run([str(binary), *arguments], cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=harness.PATIENCE,
                          preexec_fn=prepare)
    text = done.stderr.decode(errors="replace")
    check("Sanitizer" not in text, text)
    return done.returncode, text, done.stdout.decode(errors="replace")


def says(text, message):
    """`message`: what the first line must be, or a pattern for it."""
    first = text.split("\n")[0]
    if isinstance(message, re.Pattern):
        check(message.fullmatch(first), f"expected {message.pattern!r}, got {text[:600]!r}")
    else:
        same(first, message, "message")


def refuses(group, name, code, message, *arguments):
    """A command line that ends with that code and message."""
    def test(binary):
        with folder() as cwd:
            got, text, _ = run(binary, *arguments, cwd=cwd)
            says(text, message)
            same(got, code, "exit code")
    SUITE.add(group, name, test)


def site_fails(name, text, message):
    """An app.lua that does not load: `ctornado` and `ctornado check` say so."""
    def test(binary):
        with folder() as cwd:
            (cwd / "site").mkdir()
            (cwd / "site/app.lua").write_text(text)
            for command in ("serve", "check"):
                got, err, _ = run(binary, command, "--site=site", "--port=0", cwd=cwd)
                says(err, message)
                same(got, 1, f"exit code of {command}")
    SUITE.add("app.lua", name, test)


def config_fails(name, text, message):
    def test(binary):
        with folder() as cwd:
            (cwd / "my.conf").write_text(text)
            got, err, _ = run(binary, "--config=my.conf", cwd=cwd)
            says(err, message)
            same(got, 1, "exit code")
    SUITE.add("config", name, test)


WEB = 'local web = require "tornado.web"\n'


def sites():
    site_fails("a syntax error", WEB + "return web.Application {\n{ oops\n",
               "ctornado: site/app.lua:4: '}' expected (to close '{' at line 3) near '<eof>'")
    site_fails("a runtime error", WEB + "local x\nreturn x.y\n",
               "ctornado: site/app.lua:3: attempt to index local 'x' (a nil value)")
    site_fails("an error of its own", 'error("no database")',
               "ctornado: site/app.lua:1: no database")
    site_fails("a missing module", 'require "nothere"',
               "ctornado: site/app.lua:1: module 'nothere' not found:")
    site_fails("a global by mistake", "count = 1",
               'ctornado: site/app.lua:1: assignment to undeclared global "count": '
               "make it local, or use rawset(_G, ...)")
    for text, got in (("return 42", "number"), ("", "nil"), ("return {}", "a table"),
                      ('return "app"', "string")):
        site_fails(f"returns {got}", text, "ctornado: site/app.lua: expected it to return "
                   f"a web.Application, got {got}")
    site_fails("a bad pattern", WEB + 'local app = web.Application '
               '{ { "/(", web.RequestHandler } }\nreturn app',
               re.compile(r"ctornado: site/app\.lua:2: bad url pattern .*"))
    refuses("app.lua", "no such folder", 1, "ctornado: nowhere: no such site: expected a "
            "folder with app.lua", "--site=nowhere")
    refuses("app.lua", "a folder without app.lua", 1, "ctornado: ./app.lua: missing; it "
            "should return a web.Application", "--site=.")
    refuses("app.lua", "none", 1, "ctornado: no site to serve: give --site=DIR, or "
            "sites = { ... } in ctornado.conf; ctornado new DIR makes one")
    refuses("app.lua", "check of none", 1, "ctornado: no sites in ctornado.conf and no "
            "--site=DIR; ctornado new DIR makes one", "check")

    @case("app.lua", "every site that fails is named")
    def _(binary):
        with folder() as cwd:
            (cwd / "ctornado.conf").write_text('sites = { "one", "two" }')
            code, text, _ = run(binary, cwd=cwd)
            same((code, text.split("\n")[:2]), (1, [
                f"ctornado: ctornado.conf:1: {name}: no such site: expected a folder with app.lua"
                for name in ("one", "two")]), "exit code, messages")


def command_lines():
    g = "command line"
    refuses(g, "unknown option", 2,
            'ctornado: unknown option "prot" (did you mean "port"?)', "--prot=3")
    refuses(g, "unknown option, nothing near", 2,
            'ctornado: unknown option "zzzzzz"; see ctornado help', "--zzzzzz=1")
    refuses(g, "an admin listener where the sites are", 1, "ctornado: admin: 127.0.0.1:0 is an "
            "address of the sites, which strangers may reach: give it one of its own",
            "--site=sites/helloworld", "--port=0", "--admin=127.0.0.1:0")
    refuses(g, "short option", 2, 'ctornado: unknown option "-x"; options are --name=value, '
            "see ctornado help", "-x")
    refuses(g, "unknown command", 2, 'ctornado: unknown command "sevre" (did you mean '
            '"serve"?); see ctornado help', "sevre")
    refuses(g, "an argument too many", 2, "ctornado: serve takes no arguments, got x; a site "
            "is named by --site=DIR", "serve", "x")
    refuses(g, "an integer that is none", 2,
            'ctornado: option port: expected an integer, got "x"', "--port=x")
    refuses(g, "no value", 2, "ctornado: option port needs a value: --port=...", "--port")
    refuses(g, "out of range", 2,
            "ctornado: option port: 70000 is out of range (0 to 65535)", "--port=70000")
    refuses(g, "bytes that are none", 2, 'ctornado: option max_body_size: expected bytes '
            '(64K, 1M), got "1X"', "--max-body-size=1X")
    refuses(g, "seconds that are none", 2, 'ctornado: option idle_timeout: expected '
            'seconds, as a number, got "soon"', "--idle_timeout=soon")
    refuses(g, "a flag that is none", 2, 'ctornado: option debug: expected true or false, '
            'got "maybe"', "--debug=maybe")
    refuses(g, "a level that is none", 2, 'ctornado: option log_level: expected debug, '
            'info, warning, error or none, got "loud"', "--log_level=loud")
    refuses(g, "run without a file", 2,
            "ctornado: run needs a file: ctornado run [--autoreload] FILE.lua [arguments]", "run")
    refuses(g, "run of a missing file", 1,
            "ctornado: cannot open nothere.lua: No such file or directory", "run",
            "nothere.lua")
    site = f"--site={harness.SITE}"
    refuses(g, "no such body_temp_dir", 1,
            "ctornado: body_temp_dir: no such folder: /nowhere", site,
            "--body_temp_dir=/nowhere")
    refuses(g, "a log file that cannot be", 1,
            "ctornado: log_file: /nowhere/log: No such file or directory", site,
            "--log_file=/nowhere/log")
    refuses(g, "an access log that cannot be", 1,
            "ctornado: access_log: /nowhere/log: No such file or directory", site,
            "--access_log=/nowhere/log")
    refuses(g, "an address of another machine", 1, "ctornado: 192.0.2.1:8888: no such "
            "address on this machine: `ip address` lists them, *:PORT means all", site,
            "--address=192.0.2.1")
    refuses(g, "a name for an address", 1, "ctornado: a.example:8888: expected PORT, "
            "IPv4:PORT, [IPv6]:PORT, *:PORT, localhost:PORT or unix:/PATH", site,
            "--address=a.example")
    refuses(g, "a unix socket in no folder", 1, "ctornado: unix:/nowhere/s: no such folder: "
            "create it first", site, "--listen=unix:/nowhere/s")

    @case(g, "check of a good site")
    def _(binary):
        with folder() as cwd:
            code, err, out = run(binary, "check", site, cwd=cwd)
            same((code, err, out), (0, "", f"{harness.SITE}: good\n"), "exit code, output")

    @case(g, "version, help")
    def _(binary):
        with folder() as cwd:
            code, err, out = run(binary, "version", cwd=cwd)
            check(code == 0 and err == "" and out.startswith("ctornado "), out)
            code, err, out = run(binary, "help", cwd=cwd)
            check(code == 0 and err == "" and "--port=INTEGER" in out, out)


def configurations():
    config_fails("unknown option", "-- first\nprot = 3\n",
                 'ctornado: my.conf:2: unknown option "prot" (did you mean "port"?)')
    config_fails("unknown option that is read", "port = prot\n", re.compile(
        r'ctornado: my\.conf:1: nothing here is called "prot" \(did you mean "port"\?\); .*'))
    config_fails("wrong type", '\n\nport = "x"\n',
                 'ctornado: my.conf:3: option port: expected an integer, got "x"')
    config_fails("out of range", "port = 99999\n",
                 "ctornado: my.conf:1: option port: 99999 is out of range (0 to 65535)")
    config_fails("bytes that are none", 'max_body_size = "1X"\n', 'ctornado: my.conf:1: '
                 'option max_body_size: expected bytes (64K, 1M), got "1X"')
    config_fails("sites that are none", "sites = { 3 }\n", re.compile(
        r"ctornado: my\.conf:1: option sites: expected a list of folders or .*"))
    config_fails("a syntax error", "port = = 3\n",
                 "ctornado: my.conf:1: unexpected symbol near '='")
    config_fails("a runtime error", "port = 1 .. {}\n",
                 "ctornado: my.conf:1: attempt to concatenate a table value")
    config_fails("no os", "port = os.time()\n", re.compile(
        r'ctornado: my\.conf:1: nothing here is called "os"; .*'))
    refuses("config", "missing", 1, re.compile(r"ctornado: nothere\.conf: cannot be read: No such file.*"),
            "--config=nothere.conf")
    refuses("config", "a folder", 1, re.compile(r"ctornado: \.: .*"), "--config=.")

    @case("config", "unreadable")
    def _(binary):
        with folder() as cwd:
            path = cwd / "my.conf"
            path.write_text("port = 1\n")
            path.chmod(0)
            cwd.chmod(0o755)
            code, text, _ = run(binary, "--config=my.conf", cwd=cwd,
                                prepare=as_nobody(binary))
            says(text, re.compile(r"ctornado: my\.conf: cannot be read.*"))
            same(code, 1, "exit code")

    @case("config", "bytecode")
    def _(binary):
        with folder() as cwd:
            (cwd / "my.conf").write_bytes(b"\x1bLJ\x02")
            code, text, _ = run(binary, "--config=my.conf", cwd=cwd)
            says(text, "ctornado: my.conf: expected Lua text, got bytecode")
            same(code, 1, "exit code")


def as_nobody(binary):
    """What makes a child a user without rights."""
    if os.geteuid() != 0:
        return None
    for parent in pathlib.Path(binary).resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise Skip(f"{parent} is closed to other users")

    def drop():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    return drop


def ports():
    @case("port", "in use")
    def _(binary):
        with folder() as cwd, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, text, _ = run(binary, f"--site={harness.SITE}", f"--port={port}", cwd=cwd)
            says(text, f"ctornado: 127.0.0.1:{port}: address already in use: another "
                 "program listens there; stop it or choose another port")
            same(code, 1, "exit code")

    @case("port", "of another ctornado")
    def _(binary):
        with Server(binary) as server, folder() as cwd:
            code, text, _ = run(binary, f"--site={harness.SITE}", f"--port={server.port}",
                                cwd=cwd)
            check("address already in use" in text and code == 1, text)
            same(server.get("/").body, b"hello", "the first one's reply")

    @case("port", "below 1024")
    def _(binary):
        lowest = pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if not lowest.exists() or int(lowest.read_text()) <= 81:
            raise Skip("any user may listen on port 81 here")
        with folder() as cwd:
            cwd.chmod(0o755)
            shutil.copytree(harness.SITE, cwd / "site")
            code, text, _ = run(binary, "--site=site", "--port=81", cwd=cwd,
                                prepare=as_nobody(binary))
            says(text, "ctornado: 127.0.0.1:81: permission denied: ports below 1024 need "
                 "root or CAP_NET_BIND_SERVICE")
            same(code, 1, "exit code")

    @case("port", "a restart binds at once, though connections linger")
    def _(binary):
        port = harness.free_port()
        with Server(binary, f"--port={port}") as first:
            with first.connect() as c:
                c.send(GET)
                c.reply()
                first.stop()
            with folder() as cwd:
                again = subprocess.Popen(
                    [str(binary), f"--site={harness.SITE}", f"--port={port}"],
                    cwd=cwd, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
                try:
                    same(harness.port_from(again.stderr), port, "port")
                finally:
                    again.terminate()
                    again.wait(harness.PATIENCE)
                    again.stderr.close()


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (sites, command_lines, configurations, ports), __doc__)
