#!/usr/bin/env python3
"""Reloads by themselves, when files of the site or the configuration are saved. Each case runs
on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import sys

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
from harness import Server, folder, same, until
from reloading import count, reload, serving

SUITE = harness.Suite()
case = SUITE.case

PAGES = """
local web = require "tornado.web"
local locale = require "tornado.locale"
require "early"
locale.load_translations("%(path)s/locale")
local Main = web.RequestHandler:extend "Main"
function Main:get() self:render("page.html", { word = require "word" }) end
return web.Application({ { "/", Main } }, { template_path = "%(path)s/templates" })
"""


@contextlib.contextmanager
def pages(binary, *options):
    """A server that reloads by itself, and the folder of its site."""
    with folder() as path:
        for name in ("templates", "locale"):
            (path / name).mkdir()
        (path / "templates/page.html").write_text("{{ word }} 1 {{ _('hat') }}")
        (path / "locale/en_US.csv").write_text('"hat","cap"\n')
        (path / "early.lua").write_text("return true")
        (path / "word.lua").write_text("return 'one'")
        (path / "app.lua").write_text(PAGES % {"path": path})
        with Server(binary, "--autoreload", *options, site=path) as server:
            if "--workers=2" in options:
                server.await_line("2 workers serve")
            yield server, path


LATE = """
local core = require "tornado.core"
local log = require "tornado.log"
local web = require "tornado.web"
local Watcher = require "tornado.autoreload.watcher"
local word = require "word"
if core.generation() == 1 then
    local told
    local watcher = Watcher(function() told = true end)
    watcher:watch("%(path)s/word.lua", "code")
    log.gen_log:info "loading waits"
    while not told do require("tornado.gen").sleep(0.005) end
    watcher:close()
end
local Main = web.RequestHandler:extend "Main"
function Main:get() self:write(word) end
return web.Application { { "/", Main } }
"""


class LateServer(Server):
    """One that has its port when one of its files has changed while it was loaded."""

    def await_line(self, pattern):
        if " on " in pattern and not self.port:
            until(lambda: self.log().count("loading waits") == self.workers, "all to load")
            replace(self.site / "word.lua", "return 'late'")
        return super().await_line(pattern)


@contextlib.contextmanager
def serving_late(binary, workers):
    with folder() as path:
        (path / "word.lua").write_text("return 'early'")
        (path / "app.lua").write_text(LATE % {"path": path})
        server = LateServer(binary, "--autoreload", f"--workers={workers}", site=path)
        server.workers = workers
        with server:
            yield server


def replace(path, text):
    """As editors do it."""
    new = path.with_name("." + path.name + ".new")
    new.write_text(text)
    new.rename(path)


def await_body(server, text):
    until(lambda: server.get("/").body == text, f"{text!r}; now {server.get('/').body!r}\n"
          f"{server.log()}")


def by_itself():
    g = "autoreload"

    for workers in (1, 2):
        @case(g, f"what is saved serves: modules, templates, locales; {workers} workers")
        def _(binary, workers=workers):
            with pages(binary, f"--workers={workers}") as (server, path):
                app = PAGES % {"path": path}
                same(server.get("/").body, b"one 1 cap", "at first")
                steps = (("word.lua", "return 'two'", b"two 1 cap"),
                         ("templates/page.html", "{{ word }} 2 {{ _('hat') }}", b"two 2 cap"),
                         ("locale/en_US.csv", '"hat","bonnet"\n', b"two 2 bonnet"),
                         ("app.lua", app.replace('"word"', '"WORD"'), b"two 2 bonnet"))
                (path / "WORD.lua").symlink_to(path / "word.lua")
                for i, (name, text, body) in enumerate(steps, 1):
                    replace(path / name, text)
                    server.await_line(rf"{name} modified: reloading")
                    until(lambda n=i * workers: count(server, r"generation \d+ serves") == n,
                          f"reload {i}")
                    same({server.get("/").body for _ in range(20)}, {body}, name)

        @case(g, f"what is broken is said, and the next save mends it; {workers} workers")
        def _(binary, workers=workers):
            with pages(binary, f"--workers={workers}") as (server, path):
                for name, text, said in (
                        ("word.lua", "\nreturn 'two", r"word\.lua:2: unfinished string"),
                        ("early.lua", "\n\nerror 'on purpose'", r"early\.lua:3: on purpose"),
                        ("templates/page.html", "\n{% if %}", r"page\.html:2: "),
                        ("app.lua", PAGES.replace("page.html", "none.html") % {"path": path},
                         r"app\.lua:7: no such template: .*/none\.html"),
                        ("templates/page.html", "{% extends 'none.html' %}",
                         r"page\.html:1: .*none\.html")):
                    good = (path / name).read_text()
                    same({server.get("/").body for _ in range(20)}, {b"one 1 cap"}, "first")
                    replace(path / name, text)
                    server.await_line(said)
                    same(server.get("/").body, b"one 1 cap", "meanwhile")
                    before = count(server, "generation \\d+ serves")
                    replace(path / name, good)
                    until(lambda: count(server, "generation \\d+ serves") >= before + workers,
                          "the mended one to serve")

    @case(g, "a missing module is waited for")
    def _(binary):
        with pages(binary) as (server, path):
            replace(path / "app.lua", "require 'deep.new'\n" + PAGES % {"path": path})
            server.await_line(r"module 'deep\.new' not found")
            (path / "deep").mkdir()
            (path / "deep/new.lua").write_text("")
            server.await_line(r"new\.lua modified: reloading")
            server.await_line(r"generation \d+ serves")

    for workers in (1, 2):
        @case(g, f"a change while the first generation loads is not lost; {workers} workers")
        def _(binary, workers=workers):
            with serving_late(binary, workers) as server:
                until(lambda: {server.get("/").body for _ in range(20)} == {b"late"},
                      f"the new code of all\n{server.log()}")

    @case(g, "a change while a reload is under way is not lost")
    def _(binary):
        with pages(binary) as (server, path):
            app = PAGES % {"path": path}
            replace(path / "app.lua", "require 'word'\nrequire('tornado.gen').sleep(0.6)\n" + app)
            server.await_line(r"app\.lua modified")
            replace(path / "word.lua", "return 'late'")
            await_body(server, b"late 1 cap")

    @case(g, "many files at once are one reload; without the option there is none")
    def _(binary):
        def run(step):
            with pages(binary) as (server, path):
                for i in range(20):
                    step()
                    (path / f"m{i}.lua").write_text("return 1")
                step()
                said = server.await_line(r"modified(.*): reloading").group(1)
                same(said, " (and 19 more)", "what is said")
                server.await_line(r"generation 2 serves")
                same(count(server, "reloading"), 1, "reloads")
        harness.on_time(0.05, run)  # half of what it waits for the next one
        with pages(binary, "--autoreload=false") as (server, path):
            replace(path / "word.lua", "return 'two'")
            reload(server)
            same(count(server, "modified"), 0, "autoreload")
            same(server.get("/").body, b"two 1 cap", "by hand")

    @case(g, "the configuration is watched, also when it comes later")
    def _(binary):
        with serving(binary) as (_, site):
            conf = site.path / "conf.lua"
            conf.write_text("debug = true\nmax_body_size = 10\n")
            with Server(binary, f"--config={conf}", site=site.path) as server:
                replace(conf, "debug = true\nmax_body_size = 1000\n")
                server.await_line(r"conf\.lua modified: reloading")
                server.await_line(r"generation 2 serves")


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (by_itself,), __doc__)
