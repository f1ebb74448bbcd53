-- tornado.websocket, the server's side (PARITY §16.1, §16.2), against a peer that is made by hand.
local core = require "tornado.core"
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local pubsub = require "tornado.pubsub"
local testing = require "tornado.testing"
local web = require "tornado.web"
local websocket = require "tornado.websocket"
local frames = dofile "spec/tornado/websocket/frames.lua"
local on_time = dofile "spec/tornado/on_time.lua"

local TEXT, BINARY, CLOSE, PING, PONG = frames.TEXT, frames.BINARY, frames.CLOSE, frames.PING,
    frames.PONG

-- An echo that keeps what happens to it.
local function echo()
    local Echo = websocket.WebSocketHandler:extend "Echo"
    Echo.seen = {}
    function Echo:open(...)
        Echo.handler, Echo.args = self, { ... }
    end
    function Echo:on_message(message, binary)
        self:write_message(message, binary)
    end
    function Echo:on_close()
        Echo.closed = (Echo.closed or 0) + 1
        Echo.code, Echo.reason = self.close_code, self.close_reason
    end
    return Echo
end

local function wait_for_close(Class)
    testing.wait_until(function() return Class.closed end)
    assert.equal(1, Class.closed)
    assert.equal(0, core.counts().websockets)
end

local function leave(peer)
    peer:send(CLOSE, frames.close(1000))
    assert.equal(1000, (peer:read_close()))
end

describe("the handshake", function()
    local function answer(fields, Class)
        local server = frames.serve(Class or echo())
        local connection = server:connect()
        connection:send(frames.request("/", fields))
        return connection:read_response(), connection
    end

    it("answers 101 with the key's digest, and nothing that frames a body", function()
        local response = answer()
        assert.equal(101, response.code)
        assert.equal("Switching Protocols", response.reason)
        assert.equal("websocket", response.headers:get("Upgrade"))
        assert.equal("Upgrade", response.headers:get("Connection"))
        assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", response.headers:get("Sec-Websocket-Accept"))
        assert.is_nil(response.headers:get("Content-Type"))
        assert.is_nil(response.headers:get("Content-Length"))
        assert.is_truthy(response.headers:get("Server"))
        assert.is_truthy(response.headers:get("Date"))
    end)

    it("checks in Tornado's order, with its texts", function()
        local response = answer { Upgrade = "foo", Connection = "close", Origin = "http://evil" }
        assert.same({ 400, 'Can "Upgrade" only to "WebSocket".' }, { response.code, response.body })
        response = answer { Connection = "close", Origin = "http://evil" }
        assert.same({ 400, '"Connection" must be "Upgrade".' }, { response.code, response.body })
        response = answer { Origin = "http://evil", ["Sec-WebSocket-Version"] = "1" }
        assert.same({ 403, "Cross origin websockets not allowed" },
            { response.code, response.body })
        response = answer { ["Sec-WebSocket-Version"] = "1", ["Sec-WebSocket-Key"] = false }
        assert.same({ 426, "Upgrade Required", "" },
            { response.code, response.reason, response.body })
        assert.equal("7, 8, 13", response.headers:get("Sec-WebSocket-Version"))
        for _, key in ipairs { false, "", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ=!" } do
            response = answer { ["Sec-WebSocket-Key"] = key }
            assert.same({ 400, "Missing/Invalid WebSocket headers" },
                { response.code, response.body })
        end
    end)

    it("takes versions 7, 8 and 13, and Connection as a list", function()
        for _, version in ipairs { "7", "8", "13" } do
            assert.equal(101, answer({ ["Sec-WebSocket-Version"] = version }).code)
        end
        assert.equal(101, answer({ Connection = "keep-alive, upgrade" }).code)
    end)

    it("is for GET and HTTP/1.1", function()
        local server = frames.serve(echo())
        assert.equal(405, server:fetch("/", { method = "POST", body = "" }).code)
        local request = frames.request("/"):gsub("HTTP/1.1", "HTTP/1.0", 1)
        assert.equal(400, server:fetch("/", { raw = request }).code)
    end)

    it("compares the origin with the host, without case", function()
        local cases = {
            { "http://localhost", "localhost", 101 }, { "https://localhost", "localhost", 101 },
            { "http://LOCALHOST:80", "localhost:80", 101 }, { "http://a", "A", 101 },
            { "http://localhost:81", "localhost:80", 403 }, { "null", "localhost", 403 },
            { "http://localhost.evil", "localhost", 403 }, { "", "localhost", 403 },
        }
        for _, case in ipairs(cases) do
            assert.equal(case[3], answer({ Origin = case[1], Host = case[2] }).code)
        end
        assert.equal(403, answer({ ["Sec-Websocket-Origin"] = "http://evil" }).code)
    end)

    it("asks check_origin() only when there is an origin", function()
        local asked = {}
        local Class = echo()
        function Class:check_origin(origin) -- luacheck: ignore 212/self
            asked[#asked + 1] = origin
            return true
        end
        assert.equal(101, answer({}, Class).code)
        assert.equal(101, answer({ Origin = "http://evil" }, Class).code)
        assert.same({ "http://evil" }, asked)
    end)

    it("runs prepare(), cookies and default headers, which may refuse", function()
        local Class = echo()
        function Class:set_default_headers() self:set_header("X-Default", "1") end
        function Class:prepare()
            if self:get_argument("no", nil) then error(web.HTTPError(401), 0) end
            self:set_cookie("seen", "1")
        end
        local response = answer({}, Class)
        assert.equal("1", response.headers:get("X-Default"))
        assert.equal("1", response.cookies.seen)
        local server = frames.serve(Class)
        assert.equal(401, server:fetch("/?no=1", { raw = frames.request("/?no=1") }).code)
    end)

    it("chooses a subprotocol", function()
        local Class, offered = echo(), {}
        function Class:select_subprotocol(list) -- luacheck: ignore 212/self
            offered[#offered + 1] = list
            return list[2]
        end
        local response = answer({ ["Sec-WebSocket-Protocol"] = "a, b,c" }, Class)
        assert.equal("b", response.headers:get("Sec-Websocket-Protocol"))
        assert.equal("b", Class.handler.selected_subprotocol)
        assert.is_nil(answer({}, Class).headers:get("Sec-Websocket-Protocol"))
        assert.same({ { "a", "b", "c" }, {} }, offered)
        local Wrong = Class:extend "Wrong"
        function Wrong:select_subprotocol() return "z" end -- luacheck: ignore 212/self
        testing.expect_log("error", "z.*not offered")
        assert.equal(500, answer({ ["Sec-WebSocket-Protocol"] = "a" }, Wrong).code)
    end)

    it("passes the path's groups to open(), and calls on_finish()", function()
        local Class = echo()
        local finished
        function Class:on_finish() finished = self:get_status() end
        local server = frames.serve(Class, nil, "/room/([^/]+)/(.*)")
        local peer = frames.connect(server, "/room/a%20b/c")
        assert.same({ "a b", "c" }, Class.args)
        assert.equal(101, finished)
        leave(peer)
    end)

    it("leaves nothing with HTTP, and keeps the request", function()
        local Class = echo()
        local server = frames.serve(Class)
        local peer = frames.connect(server, "/?a=1", { Cookie = "k=v", ["X-Own"] = "x" })
        assert.equal(0, core.counts().requests)
        assert.equal(0, httpserver.live_count())
        local request = Class.handler.request
        assert.same({ "x", "v", "1", "localhost", "127.0.0.1", "HTTP/1.1" }, {
            request.headers:get("x-own"), request.cookies.k.value or request.cookies.k,
            Class.handler:get_argument("a"), request.host, request.remote_ip, request.version,
        })
        leave(peer)
    end)

    it("takes a frame that came with it", function()
        local Class = echo()
        local connection = frames.serve(Class):connect()
        connection:send(frames.request("/") .. frames.frame(TEXT, "early"))
        assert.equal(101, connection:read_response().code)
        local peer = frames.over(connection)
        assert.same({ TEXT, "early", 128 }, { peer:read() })
        leave(peer)
    end)

    it("makes what writes an HTTP reply raise from then on", function()
        local Class = echo()
        local peer = frames.connect(frames.serve(Class), "/")
        local handler = Class.handler
        for _, name in ipairs { "write", "redirect", "set_header", "set_cookie", "set_status",
            "flush", "finish" } do
            assert.error_matches(function() handler[name](handler, "x", "y") end,
                "Method not supported for Web Sockets")
        end
        leave(peer)
    end)
end)

describe("messages", function()
    it("are echoed as what they were", function()
        local peer = frames.connect(frames.serve(echo()), "/")
        for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 300000 } do
            local text = ("x"):rep(size)
            peer:send(TEXT, text)
            assert.same({ TEXT, text, 128 }, { peer:read() })
        end
        peer:send(BINARY, "\255\0\254")
        assert.same({ BINARY, "\255\0\254", 128 }, { peer:read() })
        leave(peer)
    end)

    it("may come in fragments, with pings between them", function()
        local peer = frames.connect(frames.serve(echo()), "/")
        peer:raw(frames.frame(TEXT, "gr\195", { fin = false }) .. frames.frame(PING, "p") ..
            frames.frame(0, "\188n", { fin = false }) .. frames.frame(0, ""))
        assert.same({ PONG, "p", 128 }, { peer:read() })
        assert.same({ TEXT, "grün", 128 }, { peer:read() })
        leave(peer)
    end)

    it("may come in ten thousand fragments, or bytes", function()
        local peer = frames.connect(frames.serve(echo()), "/")
        local all = { frames.frame(TEXT, "a", { fin = false }) }
        for i = 2, 10000 do all[i] = frames.frame(0, "b", { fin = false }) end
        peer:raw(table.concat(all))
        peer:send(0, "c")
        assert.same({ TEXT, "a" .. ("b"):rep(9999) .. "c", 128 }, { peer:read() })
        for byte in frames.frame(TEXT, "slow"):gmatch "." do peer:raw(byte) end
        assert.same({ TEXT, "slow", 128 }, { peer:read() })
        leave(peer)
    end)

    it("come one at a time, in order, while on_message() waits", function()
        local Class, order, inside = echo(), {}, 0
        function Class:on_message(message)
            inside = inside + 1
            assert.equal(1, inside)
            gen.moment()
            order[#order + 1] = message
            inside = inside - 1
            if message == "5" then self:write_message("done") end
        end
        local peer = frames.connect(frames.serve(Class), "/")
        local all = {}
        for i = 1, 5 do all[i] = frames.frame(TEXT, tostring(i)) end
        peer:raw(table.concat(all))
        assert.same({ TEXT, "done", 128 }, { peer:read() })
        assert.same({ "1", "2", "3", "4", "5" }, order)
        leave(peer)
    end)

    it("wait until open() has returned", function()
        local Class, opened, early = echo(), nil, false
        function Class:open() -- luacheck: ignore 212/self
            gen.sleep(0.02)
            opened = true
        end
        function Class:on_message(message)
            early = early or not opened
            self:write_message(message)
        end
        local connection = frames.serve(Class):connect()
        connection:send(frames.request("/") .. frames.frame(TEXT, "early"))
        connection:read_response()
        local peer = frames.over(connection)
        assert.same({ TEXT, "early", 128 }, { peer:read() })
        assert.is_false(early)
        leave(peer)
    end)

    it("are pulled in a loop by open(), whose end closes", function()
        local Class = echo()
        local got = {}
        function Class:open()
            for message, binary in self:messages() do
                got[#got + 1] = { message, binary }
                if message == "stop" then break end
            end
            Class.left = true
        end
        local server = frames.serve(Class)
        local peer = frames.connect(server, "/")
        peer:send(TEXT, "a")
        peer:send(BINARY, "b")
        peer:send(TEXT, "stop")
        peer:send(TEXT, "not taken")
        local opcode, payload = peer:read()
        assert.same({ CLOSE, frames.close(1000) }, { opcode, payload })
        assert.same({ { "a", false }, { "b", true }, { "stop", false } }, got)
        peer:send(CLOSE, frames.close(1000))
        assert.is_nil(peer:read())
        wait_for_close(Class)
        Class.left, Class.closed = nil, nil
        peer = frames.connect(server, "/")
        leave(peer)
        testing.wait_until(function() return Class.left end)
        wait_for_close(Class)
        assert.equal(1000, Class.code)
    end)

    it("are written from anywhere: tables as JSON, text that is UTF-8", function()
        local Class = echo()
        local peer = frames.connect(frames.serve(Class), "/")
        local handler = Class.handler
        local future = handler:write_message { a = 1 }
        assert.is_true(gen.await(future))
        assert.same({ TEXT, '{"a":1}', 128 }, { peer:read() })
        handler:write_message("\255", true)
        assert.same({ BINARY, "\255", 128 }, { peer:read() })
        assert.error_matches(function() handler:write_message("\255") end, "must be UTF%-8")
        assert.error_matches(function() handler:write_message(5) end, "expected string or table")
        leave(peer)
        wait_for_close(Class)
        local ok, err = pcall(handler.write_message, handler, "late")
        assert.is_false(ok)
        assert.is_true(err:is(websocket.WebSocketClosedError))
        assert.is_true(err:is(websocket.WebSocketError))
    end)

    it("leave together when they came together", function()
        local peer = frames.connect(frames.serve(echo()), "/")
        local all = {}
        for i = 1, 200 do all[i] = frames.frame(TEXT, "m" .. i) end
        peer:raw(table.concat(all))
        for i = 1, 200 do assert.same({ TEXT, "m" .. i, 128 }, { peer:read() }) end
        leave(peer)
    end)

    it("fail the connection when on_message() raises", function()
        local Class = echo()
        function Class:on_message() error("oh no") end -- luacheck: ignore 212/self
        local server = frames.serve(Class)
        on_time(1.9, function() -- it does not wait for an answer
            local peer = frames.connect(server, "/")
            testing.expect_log("error", "Uncaught exception GET /.*oh no")
            peer:send(TEXT, "x")
            local opcode, payload = peer:read()
            assert.same({ CLOSE, frames.close(1011) }, { opcode, payload })
            assert.is_nil(peer:read())
        end)
        wait_for_close(Class)
    end)

    it("fail the connection when open() raises", function()
        local Class = echo()
        function Class:open() error("not today") end -- luacheck: ignore 212/self
        testing.expect_log("error", "not today")
        local peer = frames.connect(frames.serve(Class), "/")
        assert.equal(CLOSE, (peer:read()))
        peer:send(CLOSE, frames.close(1011))
        wait_for_close(Class)
    end)

    it("need on_message()", function()
        local Class = websocket.WebSocketHandler:extend "Mute"
        local peer = frames.connect(frames.serve(Class), "/")
        testing.expect_log("error", "Mute must implement on_message")
        peer:send(TEXT, "x")
        assert.equal(CLOSE, (peer:read()))
    end)
end)

describe("bad input", function()
    local CASES = {
        { "a frame without a mask", frames.frame(TEXT, "x", { mask = false }), 1002 },
        { "RSV1 without an extension", frames.frame(TEXT, "x", { rsv = 4 }), 1002 },
        { "RSV2", frames.frame(TEXT, "x", { rsv = 2 }), 1002 },
        { "an unknown opcode", frames.frame(3, "x"), 1002 },
        { "an unknown control opcode", frames.frame(11, "x"), 1002 },
        { "a continuation of nothing", frames.frame(0, "x"), 1002 },
        { "a message inside a message",
            frames.frame(TEXT, "x", { fin = false }) .. frames.frame(TEXT, "y"), 1002 },
        { "a fragmented ping", frames.frame(PING, "x", { fin = false }), 1002 },
        { "a long ping", frames.frame(PING, ("x"):rep(126)), 1002 },
        { "text that is no UTF-8", frames.frame(TEXT, "\255"), 1007 },
        { "text that is cut off", frames.frame(TEXT, "\195"), 1007 },
        { "a message that is too big", frames.frame(TEXT, ("x"):rep(2000)), 1009 },
        { "fragments that are too big", frames.frame(TEXT, ("x"):rep(900), { fin = false }) ..
            frames.frame(0, ("x"):rep(900)), 1009 },
        { "a Close of one byte", frames.frame(CLOSE, "x"), 1002 },
        { "an invalid close code", frames.frame(CLOSE, frames.close(999)), 1002 },
        { "a reason that is no UTF-8", frames.frame(CLOSE, frames.close(1000, "\255")), 1007 },
    }
    for _, case in ipairs(CASES) do
        it("ends with a Close frame: " .. case[1], function()
            local Class = echo()
            local peer = frames.connect(frames.serve(Class,
                { websocket_max_message_size = 1024 }), "/")
            peer:send(TEXT, "before")
            peer:raw(case[2] .. frames.frame(TEXT, "behind"))
            assert.same({ TEXT, "before", 128 }, { peer:read() })
            assert.equal(case[3], (peer:read_close()))
            wait_for_close(Class)
            assert.equal(case[3], Class.code)
        end)
    end
end)

describe("the end", function()
    it("answers a Close with its code, and tells code and reason", function()
        for _, payload in ipairs { frames.close(1000, "bye"), frames.close(4001), "" } do
            local Class = echo()
            local peer = frames.connect(frames.serve(Class), "/")
            peer:send(CLOSE, payload)
            local opcode, answer = peer:read()
            assert.same({ CLOSE, payload:sub(1, 2) }, { opcode, answer })
            assert.is_nil(peer:read())
            wait_for_close(Class)
            assert.equal(payload == "" and 1005 or payload:byte(1) * 256 + payload:byte(2),
                Class.code)
            assert.equal(#payload > 2 and payload:sub(3) or nil, Class.reason)
        end
    end)

    it("is told once when the peer vanishes, with 1006", function()
        for _, reset in ipairs { false, true } do
            local Class = echo()
            local peer = frames.connect(frames.serve(Class), "/")
            peer:send(TEXT, "x")
            peer:read()
            peer.connection:close(reset)
            wait_for_close(Class)
            assert.equal(1006, Class.code)
            assert.is_true(#Class.reason > 0)
        end
    end)

    it("is told behind a message that came with it", function()
        for _, reset in ipairs { false, true } do
            local Class, messages = echo(), {}
            function Class.on_message(_, message) messages[#messages + 1] = message end
            local peer = frames.connect(frames.serve(Class), "/")
            peer:send(TEXT, "first")
            testing.wait_until(function() return #messages == 1 end)
            peer:send(TEXT, "last")
            peer.connection:close(reset)
            wait_for_close(Class)
            assert.equal(1006, Class.code)
            assert.same({ "first", "last" }, messages)
        end
    end)

    it("comes by close(), which sends one Close frame", function()
        local Class = echo()
        local peer = frames.connect(frames.serve(Class), "/")
        local handler = Class.handler
        assert.error_matches(function() handler:close(1006) end, "bad close")
        assert.error_matches(function() handler:close(1000, ("x"):rep(124)) end, "bad close")
        handler:close(nil, "enough")
        handler:close(4000)
        assert.has_error(function() handler:write_message("x") end)
        assert.has_error(function() handler:ping() end)
        peer:send(TEXT, "thrown away")
        local opcode, payload = peer:read()
        assert.same({ CLOSE, frames.close(1000, "enough") }, { opcode, payload })
        assert.is_nil(Class.closed)
        peer:send(CLOSE, frames.close(1000, "enough"))
        assert.is_nil(peer:read())
        wait_for_close(Class)
        assert.same({ 1000, "enough" }, { Class.code, Class.reason })
    end)

    it("survives both sides closing at once", function()
        local Class = echo()
        local peer = frames.connect(frames.serve(Class), "/")
        peer:send(CLOSE, frames.close(4001))
        Class.handler:close(4002)
        local opcode, payload = peer:read()
        assert.equal(CLOSE, opcode)
        assert.is_true(payload == frames.close(4001) or payload == frames.close(4002))
        assert.is_nil(peer:read())
        wait_for_close(Class)
        assert.equal(4001, Class.code)
    end)

    it("may be asked for inside on_message()", function()
        local Class = echo()
        function Class:on_message() self:close(4000, "now") end
        local peer = frames.connect(frames.serve(Class), "/")
        peer:raw(frames.frame(TEXT, "a") .. frames.frame(TEXT, "b"))
        assert.same({ CLOSE, frames.close(4000, "now"), 128 }, { peer:read() })
        peer:send(CLOSE, frames.close(4000))
        assert.is_nil(peer:read())
        wait_for_close(Class)
    end)

    it("logs what on_close() raises", function()
        local Class = echo()
        function Class:on_close() -- luacheck: ignore 212/self
            Class.closed = 1
            error("in on_close")
        end
        local peer = frames.connect(frames.serve(Class), "/")
        testing.expect_log("error", "in on_close")
        leave(peer)
        wait_for_close(Class)
    end)
end)

describe("pings", function()
    it("are answered, and told with pongs to who asks", function()
        local Class, seen = echo(), {}
        function Class.on_ping(_, data) seen[#seen + 1] = "ping " .. data end
        function Class.on_pong(_, data) seen[#seen + 1] = "pong " .. data end
        local peer = frames.connect(frames.serve(Class), "/")
        Class.handler:ping("mine")
        assert.same({ PING, "mine", 128 }, { peer:read() })
        peer:raw(frames.frame(PONG, "mine") .. frames.frame(PING, "yours"))
        assert.same({ PONG, "yours", 128 }, { peer:read() })
        testing.wait_until(function() return #seen == 2 end)
        assert.same({ "pong mine", "ping yours" }, seen)
        assert.error_matches(function() Class.handler:ping(("x"):rep(126)) end, "125")
        leave(peer)
    end)

    it("are sent at an interval, and end a connection that answers none", function()
        local Class = echo()
        local settings = { websocket_ping_interval = 0.05, websocket_ping_timeout = 0.05 }
        local peer = frames.connect(frames.serve(Class, settings), "/")
        for _ = 1, 2 do
            assert.same({ PING, "", 128 }, { peer:read() })
            peer:send(PONG, "")
        end
        local opcode, payload
        repeat opcode, payload = peer:read() until opcode ~= PING
        assert.same({ CLOSE, frames.close(1000, "ping timed out") }, { opcode, payload })
        peer.connection:close()
        wait_for_close(Class)
        assert.equal(1006, Class.code)
    end)

    it("come as properties say, and warn of a timeout above the interval", function()
        local Class = echo()
        Class.ping_interval = 0.05
        function Class:ping_timeout() return 1 end -- luacheck: ignore 212/self
        testing.expect_log("warning", "cannot be longer than")
        local peer = frames.connect(frames.serve(Class), "/")
        assert.equal(PING, (peer:read()))
        peer.connection:close()
        wait_for_close(Class)
    end)

    it("may flood: replies are bounded", function()
        local Class = echo()
        local server = frames.serve(Class, { websocket_max_queue = 65536 })
        local peer = frames.connect(server, "/")
        local flood = frames.frame(PING, ("x"):rep(125)):rep(10000)
        local most = 0
        local sent = gen.spawn(function() peer:raw(flood) end)
        for _ = 1, 30 do
            gen.moment()
            most = math.max(most, core.websocket_unsent(Class.handler._ws))
        end
        assert.is_true(most < 262144, most .. " bytes wait")
        for _ = 1, 10000 do assert.equal(PONG, (peer:read())) end
        gen.await(sent)
        leave(peer)
    end)
end)

describe("slow readers", function()
    -- A connection whose client does not read, filled until max_queue bytes wait.
    local function clog(settings)
        local Class = echo()
        settings.websocket_max_queue = 100000
        local server = frames.serve(Class, settings)
        local peer = frames.connect(server, "/")
        return Class.handler, peer, Class
    end
    local PIECE = ("x"):rep(50000)

    it("make write_message() wait", function()
        local handler, peer = clog {}
        local written = 0
        local writer = gen.spawn(function()
            for _ = 1, 400 do
                handler:write_message(PIECE)
                written = written + 1
            end
        end)
        for _ = 1, 20 do gen.moment() end
        assert.is_true(written < 400)
        assert.is_true(core.websocket_unsent(handler._ws) <= 100000)
        for _ = 1, 400 do
            local opcode, payload = peer:read()
            assert.equal(TEXT, opcode)
            assert.equal(#PIECE, #payload)
        end
        gen.await(writer)
        leave(peer)
    end)

    it("make a hook wait as often as it takes", function()
        local Class = echo()
        function Class:open()
            for _ = 1, 400 do self:write_message(PIECE) end
        end
        local peer = frames.connect(frames.serve(Class, { websocket_max_queue = 100000 }), "/")
        for _ = 1, 400 do assert.equal(#PIECE, #select(2, peer:read())) end
        leave(peer)
    end)

    it("are told by an error when they leave meanwhile", function()
        local handler, peer, Class = clog {}
        local writer = gen.spawn(function()
            return pcall(function()
                while true do handler:write_message(PIECE) end
            end)
        end)
        gen.moment()
        peer.connection:close(true)
        gen.await(writer)
        wait_for_close(Class)
    end)

    it("may lose messages", function()
        local handler, peer = clog { websocket_slow_policy = "drop" }
        local sent, dropped = 0, 0
        for _ = 1, 400 do
            if gen.await(handler:write_message(PIECE)) then
                sent = sent + 1
            else
                dropped = dropped + 1
            end
        end
        assert.is_true(dropped > 0)
        for _ = 1, sent do assert.equal(#PIECE, #select(2, peer:read())) end
        leave(peer)
    end)

    it("may be closed", function()
        local handler, peer, Class = clog { websocket_slow_policy = "close" }
        while gen.await(handler:write_message(PIECE)) do end -- luacheck: ignore 542
        assert.has_error(function() handler:write_message("x") end)
        local opcode, payload
        repeat opcode, payload = peer:read() until opcode ~= TEXT
        assert.same({ CLOSE, frames.close(1008, "too slow to read") }, { opcode, payload })
        peer:send(CLOSE, frames.close(1008))
        wait_for_close(Class)
    end)

    it("hold a server back that does not take what they send", function()
        local Class, taken, go = echo(), 0, false
        function Class:on_message() -- luacheck: ignore 212/self
            while not go do gen.sleep(0.01) end
            taken = taken + 1
        end
        local peer = frames.connect(frames.serve(Class), "/")
        local big = frames.frame(BINARY, ("x"):rep(60000)):rep(200)
        local sent = gen.spawn(function() peer.connection:send(big, 5) end)
        for _ = 1, 20 do gen.moment() end
        assert.is_false(sent:done())
        go = true
        gen.await(sent)
        testing.wait_until(function() return taken == 200 end)
        leave(peer)
    end)
end)

describe("compression", function()
    local function compressing(options)
        local Class = echo()
        function Class:get_compression_options() return options end -- luacheck: ignore 212/self
        return Class
    end
    local OFFER = "permessage-deflate; client_max_window_bits"

    it("is off unless asked for, and declines what it cannot have", function()
        local function answer(options, offer)
            local peer, response = frames.connect(frames.serve(compressing(options)), "/",
                { ["Sec-WebSocket-Extensions"] = offer })
            leave(peer)
            return response.headers:get("Sec-Websocket-Extensions")
        end
        assert.is_nil(answer(nil, OFFER))
        assert.is_nil(answer({}, "permessage-deflate; foo=1"))
        assert.is_nil(answer({}, "permessage-deflate; server_max_window_bits=16"))
        assert.equal("permessage-deflate; server_no_context_takeover; client_max_window_bits=12",
            answer({}, OFFER))
        assert.equal("permessage-deflate; server_no_context_takeover",
            answer({}, "permessage-deflate"))
        assert.equal("permessage-deflate; client_max_window_bits=12",
            answer({ context_takeover = true }, "x-foo, " .. OFFER))
    end)

    it("checks its options", function()
        for _, options in ipairs { { level = 1 }, { compression_level = 10 }, { mem_level = 0 },
            { max_window_bits = 8 } } do
            testing.expect_log("error", "deflate_wanted")
            local response = select(2, frames.connect(frames.serve(compressing(options)), "/",
                { ["Sec-WebSocket-Extensions"] = OFFER }))
            assert.equal(500, response.code)
        end
    end)

    -- RFC 7692 §7.2.3.1
    local HELLO = "\242\72\205\201\201\7\0"

    it("inflates, and deflates what is not below the threshold", function()
        local Class = compressing { threshold = 5 }
        local server = frames.serve(Class)
        local peer = frames.connect(server, "/", { ["Sec-WebSocket-Extensions"] = OFFER })
        peer:send(TEXT, HELLO, { rsv = 4 })
        assert.same({ TEXT, HELLO, 192 }, { peer:read() })
        peer:raw(frames.frame(TEXT, HELLO:sub(1, 3), { rsv = 4, fin = false }) ..
            frames.frame(PING, "p") .. frames.frame(0, HELLO:sub(4)))
        assert.same({ PONG, "p", 128 }, { peer:read() })
        assert.same({ TEXT, HELLO, 192 }, { peer:read() })
        peer:send(TEXT, "tiny")
        assert.same({ TEXT, "tiny", 128 }, { peer:read() })
        leave(peer)
    end)

    -- 4 MiB of zeros as a server sends them.
    local function bomb()
        local Class = compressing {}
        function Class:open() self:write_message(("\0"):rep(4194304), true) end
        local peer = frames.connect(frames.serve(Class), "/",
            { ["Sec-WebSocket-Extensions"] = OFFER })
        local _, payload = peer:read()
        leave(peer)
        assert.is_true(#payload < 8192)
        return payload
    end

    it("fails what is no deflate, no text, or a bomb", function()
        local cases = {
            { BINARY, "\255\255\255\255\254", 1007 },
            { TEXT, "\250\15\0", 1007 }, -- the byte 255
            { BINARY, bomb(), 1009 },
        }
        for _, case in ipairs(cases) do
            local Class = compressing {}
            local peer = frames.connect(frames.serve(Class,
                { websocket_max_message_size = 1048576 }), "/",
                { ["Sec-WebSocket-Extensions"] = OFFER })
            peer:send(case[1], case[2], { rsv = 4 })
            assert.equal(case[3], (peer:read_close()))
            wait_for_close(Class)
        end
    end)
end)

describe("a broadcast", function()
    it("is the same bytes for all that have no window, and right for the others", function()
        local all = {}
        local function class_of(options)
            local Class = echo()
            function Class:open() all[#all + 1] = self end
            function Class:get_compression_options() return options end -- luacheck: ignore 212
            return Class
        end
        local peers = {}
        local OPTIONS = { { threshold = 0 }, { threshold = 0 },
            { threshold = 0, compression_level = 1 }, { threshold = 0, context_takeover = true } }
        for i, options in ipairs(OPTIONS) do
            peers[i] = frames.connect(frames.serve(class_of(options)), "/",
                { ["Sec-WebSocket-Extensions"] = "permessage-deflate" })
        end
        local payloads = {}
        for round = 1, 2 do
            for _, handler in ipairs(all) do handler:write_message(("text "):rep(100)) end
            payloads[round] = {}
            for i, peer in ipairs(peers) do
                local opcode, payload, bits = peer:read()
                assert.same({ TEXT, 192 }, { opcode, bits })
                payloads[round][i] = payload
            end
        end
        assert.equal(payloads[1][1], payloads[1][2])
        assert.equal(payloads[1][1], payloads[2][1])
        assert.is_true(#payloads[2][4] < #payloads[1][4]) -- the window helps
        for _, peer in ipairs(peers) do leave(peer) end
    end)
end)

describe("a topic of pubsub", function()
    it("reaches WebSockets, and forgets those that have left", function()
        local hub, Class = pubsub.Hub(), echo()
        function Class:open() hub:subscribe("news", self) end
        local server = frames.serve(Class)
        local a, b = frames.connect(server, "/"), frames.connect(server, "/")
        hub:publish("news", "first")
        for _, peer in ipairs { a, b } do
            assert.same({ TEXT, "first", 128 }, { peer:read() })
        end
        leave(a)
        testing.wait_until(function() return core.counts().websockets == 1 end)
        hub:publish("news", "second")
        assert.same({ TEXT, "second", 128 }, { b:read() })
        testing.wait_until(function() return hub:subscribers("news") == 1 end)
        leave(b)
    end)
end)

describe("a WebSocket", function()
    it("gets its own settings wrong loudly", function()
        for name, value in pairs { websocket_ping_interval = -1, websocket_max_queue = "x",
            websocket_slow_policy = "sometimes" } do
            testing.expect_log("error", "bad ")
            local server = frames.serve(echo(), { [name] = value })
            local response = select(2, frames.connect(server, "/"))
            assert.equal(500, response.code)
        end
    end)

    it("has its request as the context of its hooks", function()
        local Class, context = echo(), nil
        function Class:on_message() -- luacheck: ignore 212/self
            context = ioloop.context()
        end
        local peer = frames.connect(frames.serve(Class), "/")
        peer:send(TEXT, "x")
        leave(peer)
        assert.equal(Class.handler.request, context)
        assert.equal(16, #context.id)
    end)

    it("goes on when its server stops", function()
        local Class = echo()
        local server = frames.serve(Class)
        local peer = frames.connect(server, "/")
        server.http:stop(true)
        peer:send(TEXT, escape.json_encode { 1 })
        assert.same({ TEXT, "[1]", 128 }, { peer:read() })
        leave(peer)
    end)
end)
