#!/usr/bin/python3
"""What a generation hands over to the next one in a reload: the state of an
application, and WebSockets. Each case runs on the normal and on the ASan binary.
"""
# SPDX-License-Identifier: Apache-2.0
import signal
import sys
import zlib

sys.dont_write_bytecode = True  # or harness would leave a __pycache__ here
import harness
import reload as reloading
from harness import check, same, until
from https import Certificates
from websocket import CLOSE, PING, PONG, TEXT, Client, code, frame

SUITE = harness.Suite()
case = SUITE.case

APP = """
local gen = require "tornado.gen"
local pubsub = require "tornado.pubsub"
local web = require "tornado.web"
local WebSocketHandler = require("tornado.websocket").WebSocketHandler

local VERSION, count, from = "%(version)s", 0, "nobody"

local Main = web.RequestHandler:extend "Main"
function Main:get()
    count = count + 1
    self:write(VERSION .. " " .. count .. " " .. from)
end

-- Counts its messages, and answers with what it knows.
local Socket = WebSocketHandler:extend "Socket"
function Socket:get_compression_options() return { context_takeover = true } end
function Socket:open(room) self.room, self.seen = room, 0 end
function Socket:on_message(text)
    if text == "slowly" then
        self:write_message "begun"
        gen.sleep(0.5)
    end
    self.seen = self.seen + 1
    self:write_message(("%%s %%d %%s %%s %%s %%s"):format(VERSION, self.seen, self.room,
        self:get_argument("as"), self.request.host, text))
end
function Socket:on_reload() return { room = self.room, seen = self.seen } end
function Socket:on_handover(state)
    self.room, self.seen = state.room, state.seen
    if self.path_args[1] ~= state.room then error "another path" end
end

-- What it has subscribed to ends with its handler here; the next one subscribes again.
local Listener = WebSocketHandler:extend "Listener"
function Listener:listen() pubsub.subscribe("news", self) end
function Listener:open() self:listen() end
function Listener:on_message(text) pubsub.publish("news", VERSION .. " " .. text) end
function Listener:on_reload() return {} end
function Listener:on_handover() self:listen() end

-- Says how its client has come.
local Scheme = WebSocketHandler:extend "Scheme"
function Scheme:on_message() self:write_message(VERSION .. " " .. self.request.protocol) end
function Scheme:on_reload() return true end
function Scheme:on_handover() end

-- Says goodbye by itself.
local Leaver = WebSocketHandler:extend "Leaver"
function Leaver:on_message() end
function Leaver:on_reload() self:close(4000, "moved") end

-- Stays: it pulls.
local Puller = WebSocketHandler:extend "Puller"
function Puller:open()
    for text in self:messages() do self:write_message(VERSION .. " " .. text) end
end
Puller.on_reload = function() return {} end

-- Goes, but there is nobody who would take it.
local Lost = WebSocketHandler:extend "Lost"
function Lost:on_message() self:write_message(VERSION) end
function Lost:on_reload() return true end

-- Cannot go.
local Bad = WebSocketHandler:extend "Bad"
function Bad:on_message(text) self:write_message(VERSION .. " " .. text) end
function Bad:on_reload() return %(bad)s end

return web.Application {
    { "/", Main }, { "/ws/([a-z0-9]+)", Socket }, { "/leave", Leaver }, { "/pull", Puller },
    { "/%(lost)s", Lost }, { "/bad", Bad }, { "/news", Listener },
    { "/scheme", Scheme },
    on_reload = function() return %(state)s end,
    on_handover = function(_, state) count, from = state.count, state.from end,
}
"""


def write(site, version, state="{ count = count, from = VERSION }", lost="lost",
          bad="{ function() end }"):
    text = APP % {"version": version, "state": state, "lost": lost, "bad": bad}
    (site.path / "app.lua").write_text(text)


def serving(binary, *options):
    return reloading.serving(binary, *options)


def reload(server, site, version, **more):
    write(site, version, **more)
    reloading.reload(server)


def begin(server, site):
    """The first version is the second one that is loaded: the site was made with
    another text."""
    reload(server, site, "v1")


def applications():
    g = "application"

    @case(g, "what on_reload returns comes to on_handover, before the first request")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            for i in range(1, 4):
                same(server.get("/").body, b"v1 %d nobody" % i, "v1")
            reload(server, site, "v2")
            same(server.get("/").body, b"v2 4 v1", "v2")
            reload(server, site, "v3")
            same(server.get("/").body, b"v3 5 v2", "v3")

    @case(g, "a reload that fails hands nothing over")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            same(server.get("/").body, b"v1 1 nobody", "v1")
            site.spoil("return 42")
            reloading.refused(server)
            same(server.get("/").body, b"v1 2 nobody", "v1, on")

    for name, state, said in (
            ("cannot be handed over", "{ print }", r"what it returned cannot be handed over"),
            ("raises", "error 'on purpose'", r"on_reload: .*on purpose"),
            ("is too much", "('x'):rep(70 * 1048576)", r"too many to be handed over")):
        @case(g, f"what {name} is said, and the reload goes on")
        def _(binary, state=state, said=said):
            with serving(binary) as (server, site):
                reload(server, site, "v1", state=state)
                reload(server, site, "v2")
                server.await_line(said)
                same(server.get("/").body, b"v2 1 nobody", "v2")

    @case(g, "on_reload may wait: meanwhile the old generation serves")
    def _(binary):
        with serving(binary) as (server, site):
            wait = ("(function() while not require('tornado.core').file_kind('%s/go') do "
                    "gen.sleep(0.005) end return { count = count, from = VERSION } end)()")
            reload(server, site, "v1", state=wait % site.path)
            write(site, "v2")
            server.process.send_signal(signal.SIGHUP)
            asked = 0
            while server.get("/").body.startswith(b"v1"):
                asked += 1
                if asked == 20:
                    (site.path / "go").touch()
            check(asked >= 20, "the old one has not served")
            version, number, _ = server.get("/").body.split()
            same(version, b"v2", "version")
            # What it was asked behind the state's leaving is not in that.
            check(22 <= int(number) <= asked + 2, f"{number} requests; it was asked {asked}")


def ask(client, text):
    client.frame(TEXT, text)
    opcode, payload, _ = client.read()
    same(opcode, TEXT, "opcode")
    return payload


def stays_secure(binary, *options):
    with serving(binary, *options) as (server, site):
        begin(server, site)
        client = Client(server, tls=True, path=b"/scheme")
        for version in ("v1", "v2", "v3"):
            if version != "v1":
                reload(server, site, version)
                server.await_line(f"generation {version[1:]} has ended")
            same(ask(client, b"a"), version.encode() + b" https", "the protocol")
        client.leave()


def websockets():
    g = "websocket"

    @case(g, "goes to the new code with its state, without being closed")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            one = Client(server, path=b"/ws/red?as=ann")
            two = Client(server, path=b"/ws/blue?as=bob")
            same(ask(one, b"a"), b"v1 1 red ann a a", "one")
            for i, version in enumerate(("v2", "v3", "v4"), 2):
                reload(server, site, version)
                until(lambda n=i: server.log().count("has ended") >= n, "the old one to end")
                same(ask(one, b"b"), b"%s %d red ann a b" % (version.encode(), i), "one")
            same(ask(two, b"c"), b"v4 1 blue bob a c", "two")
            one.frame(PING, b"x")
            one.expect(PONG, b"x")
            one.leave()
            two.frame(CLOSE, code(1001))
            two.expect_closed(1001)

    @case(g, "over TLS its request stays one of https")
    def _(binary):
        files = Certificates()
        files.make()
        options = f"--certfile={files / 'a.crt'}", f"--keyfile={files / 'a.key'}"
        try:
            stays_secure(binary, *options)
        finally:
            files.remove()

    @case(g, "what it has subscribed to ends with its old handler")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            one, two = Client(server, path=b"/news"), Client(server, path=b"/news")
            for version in ("v1", "v2", "v3"):
                if version != "v1":
                    reload(server, site, version)
                    until(lambda: f"generation {version[1:]} has ended" in server.log(),
                          "the old one to end")
                one.frame(TEXT, b"hello")
                same(one.read()[1], version.encode() + b" hello", "the first, once")
                same(two.read()[1], version.encode() + b" hello", "the second, once")
            one.leave()
            two.leave()

    @case(g, "messages that come meanwhile, half ones too, are the new code's")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            client = Client(server, path=b"/ws/red?as=ann")
            whole = frame(TEXT, b"hello")
            client.send(frame(TEXT, b"x", fin=False) + whole[:0])
            reload(server, site, "v2")
            server.await_line("generation 2 has ended")
            client.send(frame(0, b"y") + whole[:4])
            same(client.read()[1], b"v2 1 red ann a xy", "in two frames")
            reload(server, site, "v3")
            server.await_line("generation 3 has ended")
            client.send(whole[4:] + whole)
            same(client.read()[1], b"v3 2 red ann a hello", "in two pieces")
            same(client.read()[1], b"v3 3 red ann a hello", "behind it")
            client.leave()

    @case(g, "goes when the hook under way has ended")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            client = Client(server, path=b"/ws/red?as=ann")
            client.send(frame(TEXT, b"slowly") + frame(TEXT, b"a"))
            client.expect(TEXT, b"begun")
            reload(server, site, "v2")
            same(client.read()[1], b"v1 1 red ann a slowly", "the old code's")
            same(client.read()[1].partition(b" ")[2], b"2 red ann a a", "the next")
            seen, got = 3, ask(client, b"b")  # what comes just then may still be the old code's
            while got == b"v1 %d red ann a b" % seen:
                seen, got = seen + 1, ask(client, b"b")
            same(got, b"v2 %d red ann a b" % seen, "and then")
            client.leave()

    @case(g, "compression goes on, with both windows")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            offer = b"permessage-deflate; client_max_window_bits"
            client = Client(server, offer=offer, path=b"/ws/red?as=ann")
            inflater = zlib.decompressobj(-15)
            for i, version in ((1, b"v1"), (2, b"v2"), (3, b"v3")):
                if i > 1:
                    reload(server, site, version.decode())
                    until(lambda n=i: server.log().count("has ended") >= n, "the old one's end")
                text = b"the same hat again " * 20
                client.frame(TEXT, client.compress(text), rsv=4)
                _, payload, rsv = client.read()
                same(rsv, 4, "RSV")
                same(inflater.decompress(payload + b"\0\0\xff\xff"),
                     b"%s %d red ann a %s" % (version, i, text), "inflated")
            client.leave()

    @case(g, "may say goodbye, or stay")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            leaver = Client(server, path=b"/leave")
            puller = Client(server, path=b"/pull")
            reload(server, site, "v2")
            leaver.expect(CLOSE, code(4000, b"moved"))
            leaver.frame(CLOSE, code(4000))
            leaver.end()
            same(ask(puller, b"a"), b"v1 a", "one that pulls")
            puller.leave()

    @case(g, "gets 1012 where the new code has no such path, or does not take it")
    def _(binary):
        with serving(binary) as (server, site):
            begin(server, site)
            for lost in ("lost", "found"):
                client = Client(server, path=b"/lost")
                reload(server, site, "v2", lost=lost)
                client.expect(CLOSE, code(1012), lost)
                client.frame(CLOSE, code(1012))
                client.end()

    for name, bad, said in (
            ("cannot be handed over", "{ print }", r"cannot be handed over"),
            ("raises", "error 'on purpose'", r"on purpose"),
            ("is too much", "('x'):rep(1048577)", r"more than a WebSocket may take along")):
        @case(g, f"stays when what on_reload {name}")
        def _(binary, bad=bad, said=said):
            with serving(binary) as (server, site):
                reload(server, site, "v1", bad=bad)
                client = Client(server, path=b"/bad")
                reload(server, site, "v2")
                server.await_line(said)
                same(ask(client, b"a"), b"v1 a", "it")
                client.leave()

    @case(g, "five hundred go through ten reloads, and nothing is left behind", alone=True)
    def _(binary):
        with serving(binary, "--stall_warning=0") as (server, site):
            begin(server, site)
            clients = [Client(server, path=b"/ws/r%d?as=x" % i) for i in range(500)]
            for i in range(10):
                reload(server, site, f"n{i}")
                until(lambda n=i: server.log().count("has ended") >= n + 2, "the old one to end")
                for n, client in enumerate(clients):
                    same(ask(client, b"a"), b"n%d %d r%d x a a" % (i, i + 1, n), "a client")
            for client in clients:
                client.leave()
            check("[E" not in server.log(), server.log())


if __name__ == "__main__":
    harness.run_on_binaries(SUITE, (applications, websockets), __doc__)
