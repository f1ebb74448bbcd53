#!/usr/bin/python3
"""`ctornado repl` as somebody at a terminal meets it: keys, history, Ctrl-C, the
settings of the terminal afterwards.
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import check, same

UP, LEFT, HOME, DELETE = "\x1b[A", "\x1b[D", "\x1b[H", "\x1b[3~"


class Terminal:
    """A repl at a terminal of its own, with a home of its own. A context manager."""

    def __init__(self, binary, *arguments, home=None):
        self.binary, self.arguments, self.home = binary, arguments, home

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.home = self.home or self.folder.name
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen(
            [str(self.binary), "repl", *self.arguments], stdin=theirs, stdout=theirs,
            stderr=theirs, start_new_session=True, cwd=harness.ROOT,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
            env={**os.environ, "HOME": self.home, "TERM": "xterm"})
        self.text = ""
        self.expect("Ctrl-D ends.")
        self.expect("> ")
        return self

    def expect(self, wanted):
        """Waits for a text, and forgets what is before it. Returns that."""
        deadline = time.monotonic() + harness.PATIENCE
        while wanted not in self.text:
            left = deadline - time.monotonic()
            check(left > 0, f"expected {wanted!r}, got {self.text!r}")
            if select.select([self.ours], [], [], left)[0]:
                self.text += os.read(self.ours, 65536).decode(errors="replace")
        before, self.text = self.text.split(wanted, 1)
        return before

    def type(self, keys):
        os.write(self.ours, keys.encode())

    def ask(self, line, answer):
        """Types a line at the prompt; returns at the next one."""
        self.type(line + "\r")
        self.expect("\r\n")
        self.expect(answer)
        if not answer.endswith("> "):
            self.expect("> ")

    def answer(self, text):
        self.expect(text)
        self.expect("> ")

    def end(self):
        code = self.process.wait(harness.PATIENCE)
        same(termios.tcgetattr(self.theirs)[:4], self.before[:4], "the terminal's settings")
        return code

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
        self.folder.cleanup()


def prints_values(binary):
    with Terminal(binary) as terminal:
        terminal.ask("1 + 1", "2\r\n")
        terminal.ask("= ('x'):rep(3)", '"xxx"\r\n')
        terminal.ask("{ 1, { a = true } }", "{ 1, { a = true } }\r\n")
        terminal.ask("x = 5", "> ")
        terminal.ask("x * 2", "10\r\n")
        terminal.ask("error('no', 0)", "no\r\n")
        terminal.ask("x", "5\r\n")
        terminal.type("\x04")
        same(terminal.end(), 0, "the exit code")


def waits(binary):
    with Terminal(binary) as terminal:
        terminal.ask("gen.sleep(0.01) return 'slept'", '"slept"\r\n')
        go = os.path.join(terminal.home, "go")
        terminal.ask("function wait() while not io.open(os.getenv 'HOME' .. '/go') do "
                     "gen.sleep(0.005) end print('behind') end", "> ")
        terminal.ask("gen.spawn(wait) and nil", "nil\r\n")
        with open(go, "x", encoding="utf-8"):
            terminal.expect("behind")  # while the prompt waits for keys
        terminal.ask("select(2, pcall(httpclient.fetch, 'http://127.0.0.1:1/')).code", "599\r\n")


def several_lines(binary):
    with Terminal(binary) as terminal:
        terminal.ask("function twice(n)", ">> ")
        terminal.ask("return 2 * n", ">> ")
        terminal.ask("end", "> ")
        terminal.ask("twice(21)", "42\r\n")
        terminal.ask("for i = 1,", ">> ")
        terminal.type("\x03")
        terminal.answer("^C\r\n")
        terminal.ask("'fresh'", '"fresh"\r\n')
        terminal.type("1 + 1\r2 + 3\r")  # ahead of the prompt
        terminal.expect("2\r\n")
        terminal.expect("5\r\n")


def edits(binary):
    with Terminal(binary) as terminal:
        terminal.type("'héllo'" + LEFT + "\x7f" + "0" + HOME + DELETE + "\"" + "\x05\x7f\"\r")
        terminal.expect("\r\n")
        terminal.answer('"héll0"\r\n')
        terminal.type("nonsense \x15#'abc'\r")
        terminal.expect("\r\n")
        terminal.answer("3\r\n")
        terminal.type("string.rev\t('ab')\r")
        terminal.expect("\r\n")
        terminal.answer('"ba"\r\n')
        terminal.type("string.l\t")
        terminal.expect("\r\nen  ower\r\n")


def history(binary):
    with tempfile.TemporaryDirectory() as home:
        with Terminal(binary, home=home) as terminal:
            terminal.ask("6 * 7", "42\r\n")
            terminal.type(UP + "0\r")
            terminal.answer("420\r\n")
            terminal.type("\x04")
            terminal.end()
        with Terminal(binary, home=home) as terminal:
            terminal.type(UP + UP + "\r")
            terminal.expect("\r\n")
            terminal.answer("42\r\n")
            terminal.type("\x04")
            terminal.end()
        with open(home + "/.ctornado_history", encoding="utf-8") as file:
            same(file.read(), "6 * 7\n6 * 70\n6 * 7\n", "the history")


def interrupts(binary):
    with Terminal(binary) as terminal:
        terminal.type("print('begun') gen.sleep(1000)\r")
        terminal.expect("begun\r\n")
        terminal.type("\x03")
        terminal.answer("CancelledError: interrupted\r\n")
        terminal.ask("'still here'", '"still here"\r\n')
        terminal.type("half a line\x03")
        terminal.answer("^C\r\n")
        terminal.ask("1", "1\r\n")


def ends(binary):
    with Terminal(binary) as terminal:
        terminal.type("unfinished")
        terminal.expect("unfinished")
        terminal.process.send_signal(signal.SIGTERM)
        same(terminal.end(), 128 + signal.SIGTERM, "the exit code")
    with Terminal(binary) as terminal:
        terminal.type("os.exit(7)\r")
        same(terminal.end(), 7, "the exit code")


def loads_sites(binary):
    with Terminal(binary, "--site=sites/blog") as terminal:
        terminal.ask("app.path", '"sites/blog"\r\n')
        terminal.ask("type(require('markdown'))", '"table"\r\n')
        terminal.ask("require('tornado.web') == web", "true\r\n")


CASES = (prints_values, waits, several_lines, edits, history, interrupts, ends, loads_sites)


def main():
    only = harness.arguments(__doc__).parse_args().only
    tally = harness.Tally()
    for binary in harness.binaries():
        kind = "asan" if harness.is_asan(binary) else "normal"
        for case in CASES:
            name = f"{kind}: {case.__name__}"
            if only in name:
                tally.run(name, case, binary)
    harness.finish(tally)


main()
