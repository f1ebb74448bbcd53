-- tornado.websocket, the client's side (PARITY §16.3): with our server, and with servers that do
-- everything wrong.
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local tcpserver = require "tornado.tcpserver"
local testing = require "tornado.testing"
local web = require "tornado.web"
local websocket = require "tornado.websocket"
local frames = dofile "spec/tornado/websocket/frames.lua"

local peers = dofile "spec/tornado/httpclient/peers.lua"

local WebSocketError = websocket.WebSocketError
local CLOSE = 6 -- bytes of a client's Close frame without a code
local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

local Echo = websocket.WebSocketHandler:extend "Echo"

function Echo:get_compression_options() -- luacheck: ignore 212/self
    return { threshold = 0 }
end

function Echo:select_subprotocol(list) -- luacheck: ignore 212/self
    return list[#list]
end

function Echo:on_message(message, binary)
    if message == "who" then
        message = self.request.headers:get("X-Who", "nobody")
    elseif message == "leave" then
        return self:close(4000, "left")
    end
    self:write_message(message, binary)
end

local Page = web.RequestHandler:extend "Page"

function Page:get() self:write("a page") end

local function serve()
    local server = testing.serve(web.Application { { "/ws", Echo }, { "/page", Page } })
    return "ws://" .. server.address
end

-- Serves raw connections: fn(stream, head, accept) has the request's head and the right
-- Sec-WebSocket-Accept.
local function serve_raw(fn)
    local Server = tcpserver.TCPServer:extend "Server"
    function Server:handle_stream(stream) -- luacheck: ignore 212/self
        local head = stream:read_until("\r\n\r\n")
        local key = head:match("Sec%-Websocket%-Key: ([^\r]*)") or ""
        local ok, err = pcall(fn, stream, head,
            core.base64_encode(core.digest("sha1", key .. GUID)))
        if not ok and not stream:closed() then error(err, 0) end
        stream:close()
    end
    local server = Server()
    local port = server:listen(0, "127.0.0.1")[1]:port()
    finally(function()
        server:stop()
        testing.wait_until(function() return server.connections == 0 end)
    end)
    return "ws://127.0.0.1:" .. port
end

local function response(accept, fields)
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ..
        "Sec-WebSocket-Accept: " .. accept .. "\r\n" .. (fields or "") .. "\r\n"
end

local function error_of(...)
    local ok, err = pcall(websocket.connect, ...)
    assert.is_false(ok)
    return err
end

local function close(connection)
    connection:close()
    testing.wait_until(function() return connection.close_code end)
end

describe("connect()", function()
    it("is Tornado's websocket_connect, too", function()
        assert.equal(websocket.connect, websocket.websocket_connect)
    end)

    it("talks both ways", function()
        local connection = websocket.connect(serve() .. "/ws")
        for _, size in ipairs { 0, 1, 125, 126, 65536, 300000 } do
            local text = ("x"):rep(size)
            connection:write_message(text)
            assert.same({ text, false }, { connection:read_message() })
        end
        connection:write_message("\255", true)
        assert.same({ "\255", true }, { connection:read_message() })
        connection:write_message { a = 1 }
        assert.equal('{"a":1}', connection:read_message())
        connection:write_message("leave")
        assert.is_nil(connection:read_message())
        assert.same({ 4000, "left" }, { connection.close_code, connection.close_reason })
        assert.is_nil(connection:read_message())
        assert.has_error(function() connection:write_message("late") end)
    end)

    it("sends headers, subprotocols and credentials", function()
        local url = serve()
        local connection = websocket.connect(url .. "/ws",
            { headers = { ["X-Who"] = "me" }, subprotocols = { "a", "b" } })
        assert.equal("b", connection.selected_subprotocol)
        connection:write_message("who")
        assert.equal("me", connection:read_message())
        close(connection)
        local seen
        url = serve_raw(function(stream, head, accept)
            seen = head
            stream:write(response(accept))
            stream:read_bytes(CLOSE)
        end)
        close(websocket.connect((url:gsub("//", "//user:pass@")) .. "/a?b=c#d"))
        assert.matches("^GET /a%?b=c HTTP/1.1\r\n", seen)
        assert.matches("\r\nHost: 127.0.0.1:%d+\r\n", seen)
        assert.matches("\r\nAuthorization: Basic dXNlcjpwYXNz\r\n", seen)
        assert.matches("\r\nSec%-Websocket%-Version: 13\r\n", seen)
        assert.is_nil(seen:find("Extensions"))
    end)

    it("compresses when both want to", function()
        for _, options in ipairs { {}, { context_takeover = true }, { max_window_bits = 9 } } do
            local connection = websocket.connect(serve() .. "/ws",
                { compression_options = options })
            assert.matches("permessage%-deflate",
                connection.headers:get("Sec-WebSocket-Extensions"))
            for i = 1, 5 do
                local text = ("some text that repeats %d "):format(i):rep(1000)
                connection:write_message(text)
                assert.equal(text, connection:read_message())
            end
            close(connection)
        end
    end)

    it("masks every frame, each with a mask of its own", function()
        local masks = {}
        local url = serve_raw(function(stream, _, accept)
            stream:write(response(accept))
            for i = 1, 3 do
                local head = stream:read_bytes(2)
                assert(head:byte(2) == 128 + 2)
                masks[i] = stream:read_bytes(4)
                stream:read_bytes(2)
            end
            stream:write(frames.frame(frames.TEXT, "seen", { mask = false }))
            stream:read_bytes(CLOSE)
        end)
        local connection = websocket.connect(url)
        for _ = 1, 3 do connection:write_message("hi") end
        assert.equal("seen", connection:read_message())
        assert.is_true(masks[1] ~= masks[2] and masks[2] ~= masks[3])
        close(connection)
    end)

    it("calls on_message_callback, with nil at the end", function()
        local got = {}
        local connection = websocket.connect(serve() .. "/ws", {
            on_message_callback = function(message) got[#got + 1] = message or "end" end,
        })
        assert.error_matches(function() connection:read_message() end, "on_message_callback")
        connection:write_message("a")
        connection:write_message("leave")
        testing.wait_until(function() return #got == 2 end)
        assert.same({ "a", "end" }, got)
    end)

    it("is a loop, too, and tells pings, pongs and the end", function()
        local seen = {}
        local url = serve_raw(function(stream, _, accept)
            stream:write(response(accept) .. frames.frame(frames.PING, "p", { mask = false }) ..
                frames.frame(frames.PONG, "q", { mask = false }) ..
                frames.frame(frames.TEXT, "a", { mask = false }) ..
                frames.frame(frames.TEXT, "b", { mask = false }) ..
                frames.frame(frames.CLOSE, frames.close(1001), { mask = false }))
            local pong = stream:read_bytes(7)
            seen[#seen + 1] = ("answer %d"):format(pong:byte(1))
            stream:read_bytes(8)
        end)
        local connection = websocket.connect(url, {
            on_ping = function(_, data) seen[#seen + 1] = "ping " .. data end,
            on_pong = function(_, data) seen[#seen + 1] = "pong " .. data end,
            on_close = function(c) seen[#seen + 1] = "close " .. c.close_code end,
        })
        for message, binary in connection:messages() do
            assert.is_false(binary)
            seen[#seen + 1] = message
        end
        testing.wait_until(function() return #seen == 6 end)
        table.sort(seen)
        assert.same({ "a", "answer 138", "b", "close 1001", "ping p", "pong q" }, seen)
    end)

    it("pings the server, and leaves one that does not answer", function()
        local url = serve_raw(function(stream, _, accept)
            stream:write(response(accept))
            assert(stream:read_bytes(6):byte(1) == 128 + frames.PING)
            assert(stream:read_bytes(CLOSE):byte(1) == 128 + frames.CLOSE)
        end)
        local connection = websocket.connect(url, { ping_interval = 0.05 })
        assert.is_nil(connection:read_message())
        assert.equal(1006, connection.close_code)
    end)

    it("talks over TLS, with a server that it trusts only", function()
        local folder = peers.certificates()
        local server = testing.serve(web.Application { { "/ws", Echo } }, { server = {
            ssl_options = { certfile = folder .. "/good.pem", keyfile = folder .. "/good.key" },
        } })
        local url = "wss://" .. server.address .. "/ws"
        assert.is_truthy(error_of(url))
        local connection = websocket.connect(url,
            { ssl_options = { ca_certs = folder .. "/ca.pem" }, compression_options = {} })
        for _, size in ipairs { 5, 50000, 500000 } do
            local bytes = core.random(size)
            connection:write_message(bytes, true)
            assert.equal(bytes, (connection:read_message()))
        end
        connection:write_message("leave")
        assert.is_nil(connection:read_message())
        assert.equal(4000, connection.close_code)
    end)

    it("goes through a proxy", function()
        local target = serve():match("//(.*)$")
        local asked
        local proxy = serve_raw(function(stream, head)
            asked = head
            if not head:find("Basic") then
                stream:write("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            end
            local back = testing.connect(target)
            stream:write("HTTP/1.1 200 Connection established\r\n\r\n")
            local out = gen.spawn(function()
                while true do back:send(stream:read_bytes(65536, { partial = true })) end
            end)
            pcall(function()
                while true do
                    local piece = back:read_some()
                    if not piece then break end
                    stream:write(piece)
                end
            end)
            out:cancel()
            back:close()
        end)
        local host, port = proxy:match("//(.*):(%d+)$")
        local options = { proxy_host = host, proxy_port = tonumber(port) }
        local err = error_of("ws://" .. target .. "/ws", options)
        assert.equal(407, err.code)
        options.proxy_username, options.proxy_password = "u", "p"
        local connection = websocket.connect("ws://" .. target .. "/ws", options)
        assert.matches("^CONNECT " .. target:gsub("%p", "%%%0") .. " HTTP/1.1\r\nHost: ", asked)
        connection:write_message("through")
        assert.equal("through", connection:read_message())
        close(connection)
    end)
end)

describe("connect() raises", function()
    it("for bad arguments", function()
        for _, url in ipairs { "http://a/", "a", 5 } do
            assert.matches("bad URL", tostring(error_of(url)))
        end
        for _, options in ipairs { { foo = 1 }, { on_message_callback = 5 },
            { subprotocols = { "a b" } }, { subprotocols = "a" }, { connect_timeout = -1 },
            { connect_timeout = "1" }, { proxy_host = "a" },
            { compression_options = { x = 1 } } } do
            assert.has_error(function() websocket.connect("ws://127.0.0.1:1/", options) end)
        end
        assert.matches("handshake's own", tostring(error_of(serve() .. "/ws",
            { headers = { Upgrade = "x" } })))
    end)

    it("for a response that is none of a WebSocket", function()
        local url = serve()
        local err = error_of(url .. "/page")
        assert.is_true(err:is(WebSocketError))
        assert.equal("Non-websocket response", err.message)
        err = error_of(url .. "/none")
        assert.is_true(err:is(httpclient.HTTPClientError))
        assert.equal(404, err.code)
    end)

    local WRONG = {
        { "no Upgrade", function(accept)
            return (response(accept):gsub("Upgrade: websocket\r\n", "", 1))
        end },
        { "no Connection", function(accept)
            return (response(accept):gsub("Connection: Upgrade\r\n", "", 1))
        end },
        { "a wrong Accept", function() return response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") end },
        { "an extension that was not offered",
            function(accept) return response(accept, "Sec-WebSocket-Extensions: x-foo\r\n") end },
        { "an unknown parameter", function(accept)
            return response(accept, "Sec-WebSocket-Extensions: permessage-deflate; foo\r\n")
        end, { compression_options = {} } },
        { "a subprotocol that was not offered",
            function(accept) return response(accept, "Sec-WebSocket-Protocol: z\r\n") end,
            { subprotocols = { "a" } } },
    }
    for _, case in ipairs(WRONG) do
        it("for " .. case[1], function()
            local url = serve_raw(function(stream, _, accept)
                stream:write(case[2](accept))
            end)
            assert.is_true(error_of(url, case[3]):is(WebSocketError))
        end)
    end

    it("for what is no HTTP, or ends, or never comes", function()
        local url = serve_raw(function(stream) stream:write("hello\r\n\r\n") end)
        assert.matches("start line", tostring(error_of(url)))
        url = serve_raw(function(stream) stream:write("HTTP/1.1 101 Swi") end)
        assert.is_truthy(error_of(url))
        url = serve_raw(function(stream) stream:write(("x"):rep(70000)) end)
        assert.is_truthy(error_of(url))
        url = serve_raw(function(stream)
            for _ = 1, 20 do stream:write("HTTP/1.1 103 Early Hints\r\n\r\n") end
            stream:read_until_close()
        end)
        assert.matches("interim", tostring(error_of(url)))
        url = serve_raw(function(stream) stream:read_until_close() end)
        assert.is_truthy(tostring(error_of(url, { connect_timeout = 0.05 })):find("[Tt]ime"))
    end)

    it("when nobody listens", function()
        local server = testing.serve(web.Application {})
        local address = server.address
        server:stop()
        assert.is_truthy(error_of("ws://" .. address .. "/"))
    end)
end)

describe("a client", function()
    -- What a server sends behind its handshake, and the close code that the client answers.
    local BAD = {
        { "a masked frame", frames.frame(1, "x"), 1002 },
        { "RSV1", frames.frame(1, "x", { mask = false, rsv = 4 }), 1002 },
        { "an unknown opcode", frames.frame(5, "x", { mask = false }), 1002 },
        { "a long ping", frames.frame(9, ("x"):rep(126), { mask = false }), 1002 },
        { "text that is no UTF-8", frames.frame(1, "\255", { mask = false }), 1007 },
        { "a message that is too big", frames.frame(1, ("x"):rep(200), { mask = false }), 1009 },
        { "a bad close code", frames.frame(8, frames.close(1005), { mask = false }), 1002 },
    }
    for _, case in ipairs(BAD) do
        it("fails a server that sends " .. case[1], function()
            local answer
            local url = serve_raw(function(stream, _, accept)
                stream:write(response(accept) .. frames.frame(1, "before", { mask = false }) ..
                    case[2])
                local head = stream:read_bytes(6)
                local masked = stream:read_bytes(head:byte(2) - 128)
                local function byte(i) return bit.bxor(masked:byte(i), head:byte(2 + i)) end
                answer = { head:byte(1), byte(1) * 256 + byte(2) }
            end)
            local connection = websocket.connect(url, { max_message_size = 100 })
            assert.equal("before", connection:read_message())
            assert.is_nil(connection:read_message())
            assert.equal(case[3], connection.close_code)
            testing.wait_until(function() return answer end)
            assert.same({ 128 + 8, case[3] }, answer)
        end)
    end

    it("sees a server that vanishes as 1006", function()
        local url = serve_raw(function(stream, _, accept)
            stream:write(response(accept) .. frames.frame(1, "last", { mask = false }))
        end)
        local connection = websocket.connect(url)
        assert.equal("last", connection:read_message())
        assert.is_nil(connection:read_message())
        assert.equal(1006, connection.close_code)
    end)

    it("holds a server back while nobody reads", function()
        local url = serve()
        local connection = websocket.connect(url .. "/ws")
        local writer = gen.spawn(function()
            for _ = 1, 300 do connection:write_message(("x"):rep(60000), true) end
        end)
        for _ = 1, 50 do gen.moment() end
        assert.is_false(writer:done())
        for _ = 1, 300 do assert.equal(60000, #connection:read_message()) end
        gen.await(writer)
        close(connection)
    end)

    it("ends a wait for a message that is cancelled, and goes on", function()
        local connection = websocket.connect(serve() .. "/ws")
        local reader = gen.spawn(connection.read_message, connection)
        assert.error_matches(function() connection:read_message() end, "waited for already")
        reader:cancel()
        testing.wait_until(function() return reader:done() end)
        connection:write_message("after")
        assert.equal("after", connection:read_message())
        close(connection)
    end)
end)
