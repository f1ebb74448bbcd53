-- tornado.httpserver: listeners, and applications that are no web.Application. PARITY §2; checks
-- 7 to 9, 14, 16 to 18 of §29, as far as they show through sockets (spec/wire has the rest).
local core = require "tornado.core"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local testing = require "tornado.testing"
local web = require "tornado.web"

local Hello = web.RequestHandler:extend "Hello"
function Hello:get() self:write("hello " .. self.request.remote_ip) end
function Hello:post() self:write(self.request.body) end

local app = web.Application { { "/.*", Hello } }

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("tornado.httpserver", function()
    it("takes a function, which answers itself", function()
        local server = testing.serve(function(request)
            core.reply(request.handle, 201, "", "X-Mine: 1\r\n", request.method, -1, 0)
            httpserver.release(request)
        end)
        local response = server:fetch("/")
        assert.equal(201, response.code)
        assert.equal("1", response.headers:get("X-Mine"))
        assert.equal("GET", response.body)
    end)

    it("answers 500 and closes when the function raises", function()
        local logged = testing.expect_log("Uncaught exception .*httpserver_spec.lua:%d+: broken")
        local server = testing.serve(function() error("broken") end)
        local connection = server:connect()
        connection:send(GET)
        local response = connection:read_response()
        assert.equal(500, response.code)
        assert.equal("close", response.headers:get("Connection"))
        assert.equal("", (connection:read_until_close()))
        assert.equal(1, #logged.lines)
    end)

    it("refuses what is no application", function()
        for _, value in ipairs { 5, "x", {}, true } do
            local ok, err = pcall(httpserver.HTTPServer, value)
            assert.is_false(ok)
            assert.matches("bad application: expected web.Application or function, got " ..
                type(value), err)
        end
    end)

    it("listens on ports, IPv6 and unix sockets", function()
        local path = os.tmpname()
        os.remove(path)
        local server = httpserver.HTTPServer(app)
        finally(function()
            server:stop(true)
            os.remove(path)
        end)
        local addresses = { server:listen(0), server:listen_on("127.0.0.1:0"),
            server:listen_on("unix:" .. path) }
        local has_v6, v6 = pcall(server.listen_on, server, "[::1]:0")
        if has_v6 then addresses[4] = v6 end
        for i, address in ipairs(addresses) do
            local connection = testing.connect(address)
            connection:send(GET)
            assert.equal("hello " .. (i == 3 and "0.0.0.0" or i == 4 and "::1" or "127.0.0.1"),
                connection:read_response().body)
            connection:close()
        end
    end)

    it("raises for an address that cannot be listened on", function()
        local server = httpserver.HTTPServer(app)
        for _, address in ipairs { "nonsense", "127.0.0.1:99999", "1.2.3.4:0", "unix:",
            "unix:/no/such/folder/s", "[::1", "" } do
            local ok, err = pcall(server.listen_on, server, address)
            assert.is_false(ok, address)
            assert.equal("string", type(err))
        end
        local taken = testing.serve(app)
        local ok, err = pcall(server.listen, server, taken.port)
        assert.is_false(ok)
        assert.matches("in use", err)
    end)

    it("stops listening, and keeps connections unless it drops them", function()
        local server = testing.serve(app)
        local connection = server:connect()
        connection:send(GET)
        connection:read_response()
        server.http:stop()
        connection:send(GET)
        assert.equal(200, connection:read_response().code)
        local refused = testing.connect(server.address)
        assert.equal("reset", select(2, refused:read_until_close()))
        refused:close()
        connection:close()
        server = testing.serve(app)
        connection = server:connect()
        connection:send(GET)
        connection:read_response()
        server.http:stop(true)
        assert.truthy(select(2, connection:read_until_close()))
        server.http:stop(true)
    end)

    it("counts what it holds", function()
        local Slow = web.RequestHandler:extend "Slow"
        function Slow:get() gen.sleep(0.02) end
        local server = testing.serve(web.Application { { "/", Slow } })
        local before, handled = httpserver.live_count(), core.counts().handled
        local connections = {}
        for i = 1, 10 do
            connections[i] = server:connect()
            connections[i]:send(GET)
        end
        testing.wait_until(function() return httpserver.live_count() == before + 10 end)
        for i = 1, 10 do connections[i]:read_response() end
        assert.equal(before, httpserver.live_count())
        assert.equal(handled + 10, core.counts().handled)
    end)

    it("serves many connections at once", function()
        testing.set_timeout(20)
        local server = testing.serve(app)
        local connections = {}
        for i = 1, 400 do
            connections[i] = server:connect()
            connections[i]:send(GET)
        end
        for i = 1, 400 do assert.equal("hello 127.0.0.1", connections[i]:read_response().body) end
        assert.truthy(core.counts().connections >= 400)
    end)

    it("ignores an empty line between requests", function()
        local connection = testing.serve(app):connect()
        connection:send("\r\n" .. GET .. "\r\n" .. GET)
        assert.equal(200, connection:read_response().code)
        assert.equal(200, connection:read_response().code)
    end)

    it("takes heads byte by byte", function()
        local connection = testing.serve(app):connect()
        for char in GET:gmatch(".") do
            connection:send(char)
            gen.moment()
        end
        assert.equal(200, connection:read_response().code)
    end)

    it("answers what is malformed with the right status, and closes", function()
        local server = testing.serve(app)
        for bytes, code in pairs {
            ["garbage\r\n\r\n"] = 400, ["GET / HTTP/1.1\r\n\r\n"] = 400,
            ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"] = 400,
            ["GET / HTTP/2.0\r\nHost: a\r\n\r\n"] = 505,
            ["GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n"] = 400,
            ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"] = 400,
            ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked" ..
                "\r\n\r\n0\r\n\r\n"] = 400,
            ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"] = 501,
            ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\n"] = 400,
            ["GET /" .. ("x"):rep(8200) .. " HTTP/1.1\r\nHost: a\r\n\r\n"] = 414,
            ["GET / HTTP/1.1\r\nHost: a\r\nA: " .. ("x"):rep(66000) .. "\r\n\r\n"] = 431,
            ["GET / HTTP/1.1\r\nHost: a\r\n" .. ("A: b\r\n"):rep(201) .. "\r\n"] = 431,
        } do
            local connection = server:connect()
            connection:send(bytes)
            local response = connection:read_response()
            assert.equal(code, response.code, bytes:sub(1, 80))
            assert.equal("close", response.headers:get("Connection"))
            connection:shut()
            assert.equal("", (connection:read_until_close()))
        end
    end)

    it("closes idle and slow connections in their time", function()
        finally(function()
            core.set_option("header_timeout", 10)
            core.set_option("idle_timeout", 65)
            core.set_option("body_timeout", 30)
            core.set_option("body_min_rate", 240)
        end)
        core.set_option("header_timeout", 0.1)
        core.set_option("idle_timeout", 0.1)
        core.set_option("body_timeout", 0.1)
        core.set_option("body_min_rate", 240)
        local server = testing.serve(app)
        local silent, half, idle, body =
            server:connect(), server:connect(), server:connect(), server:connect()
        half:send("GET / HT")
        idle:send(GET)
        assert.equal(200, idle:read_response().code)
        body:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert.equal("", (silent:read_until_close()))
        assert.equal("", (idle:read_until_close()))
        assert.equal(408, half:read_response().code)
        assert.equal(408, body:read_response().code)
    end)
end)
