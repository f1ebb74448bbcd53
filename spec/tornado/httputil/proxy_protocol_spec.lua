-- The option proxy_protocol: who may announce a client, and what becomes of it. What a header is,
-- spec/core/test_proxy_protocol.c has.
local gen = require "tornado.gen"
local tcpclient = require "tornado.tcpclient"
local testing = require "tornado.testing"
local web = require "tornado.web"

local log_file = dofile "spec/tornado/log_file.lua"

local Who = web.RequestHandler:extend "Who"

function Who:get()
    self:write(self.request.remote_ip .. " " .. self.request.protocol)
end

local app = web.Application { { "/", Who } }

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
local V1 = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"
local V2 = "\r\n\r\n\0\r\nQUIT\n"

local function serve(options, remote_ip)
    options.proxy_protocol = true
    return testing.serve(app, {
        server = options, socket = not remote_ip, remote_ip = remote_ip,
    })
end

local function seen(preface, options, remote_ip)
    local connection = serve(options or {}, remote_ip):connect()
    connection:send(preface .. GET)
    return connection:read_response().body
end

describe("proxy_protocol", function()
    before_each(log_file.open)
    after_each(log_file.close)

    it("gives a request the address that was announced", function()
        assert.equal("1.2.3.4 http", seen(V1))
        assert.equal("fd00::7 http", seen "PROXY TCP6 fd00::7 ::1 1 2\r\n")
        assert.equal("1.2.3.4 http",
            seen(V2 .. "\33\17\0\12\1\2\3\4\5\6\7\8\0\1\0\2"))
        assert.equal("1.2.3.4 https",
            seen(V2 .. "\33\17\0\20\1\2\3\4\5\6\7\8\0\1\0\2\32\0\5\1\0\0\0\0"))
    end)

    it("keeps the socket's own for LOCAL and UNKNOWN", function()
        assert.equal("127.0.0.1 http", seen "PROXY UNKNOWN\r\n")
        assert.equal("127.0.0.1 http", seen(V2 .. "\32\0\0\0"))
    end)

    it("holds for all requests of a connection", function()
        local connection = serve {}:connect()
        connection:send(V1 .. GET .. GET)
        for _ = 1, 2 do assert.equal("1.2.3.4 http", connection:read_response().body) end
        connection:send(GET)
        assert.equal("1.2.3.4 http", connection:read_response().body)
    end)

    it("comes byte by byte", function()
        local connection = serve {}:connect()
        for char in (V1 .. GET):gmatch "." do
            connection:send(char)
            gen.moment()
        end
        assert.equal("1.2.3.4 http", connection:read_response().body)
    end)

    it("must come, once, and whole", function()
        for _, start in ipairs { "", "PROXY TCP4 1.2.3.4\r\n", "PROXY UNKNOWN\n", V2 .. "\34" } do
            local connection = serve {}:connect()
            connection:send(start .. GET)
            local answer, how = connection:read_until_close()
            assert.same({ "", "reset" }, { answer, how })
        end
        local connection
        testing.wait_until(function() -- at most one line a second
            connection = serve {}:connect()
            connection:send(GET)
            connection:read_until_close()
            return log_file.text():find(
                "%[W [^]]* http%] proxy_protocol: connection from 127.0.0.1 refused: [^\n]+\n")
        end)
        connection = serve {}:connect()
        connection:send(V1 .. V1 .. GET)
        assert.equal(400, connection:read_response().code)
    end)

    it("is refused in pieces, too, and the server lives on", function()
        local server = serve { max_connections_per_ip = 1 }
        local first = server:connect()
        first:send(V1 .. GET)
        assert.equal(200, first:read_response().code)
        for _, start in ipairs { V1, "PROXY TCP4 1.2.3.4\r\n", "PROXY UNKNOWN\n", V2 .. "\34" } do
            local connection = server:connect()
            for char in start:gmatch "." do
                connection:send(char)
                gen.moment()
            end
            assert.same({ "", "reset" }, { connection:read_until_close() })
        end
        first:send(GET)
        assert.equal(200, first:read_response().code)
    end)

    it("must come in header_timeout", function()
        local connection = serve { header_timeout = 0.1 }:connect()
        connection:send(V1:sub(1, 20))
        local answer = connection:read_until_close()
        assert.equal("", answer)
    end)

    it("stands before TLS", function()
        local server = serve { ssl_options = { self_signed = true } }
        for _, size in ipairs { 1, 7, #V1 } do
            local stream = tcpclient.TCPClient():connect("127.0.0.1", server.port)
            for at = 1, #V1, size do
                stream:write(V1:sub(at, at + size - 1))
                gen.moment()
            end
            stream = stream:start_tls(false, { cert_reqs = "none" })
            stream:write(GET)
            assert.matches("\r\n\r\n$", stream:read_until "\r\n\r\n")
            assert.equal("1.2.3.4 https", stream:read_bytes(#"1.2.3.4 https"))
            stream:close()
        end
        local connection = server:connect()
        connection:send(V1 .. GET)
        assert.equal(400, connection:read_response().code)
        connection = server:connect()
        connection:send(GET)
        assert.same({ "", "reset" }, { connection:read_until_close() })
    end)

    it("is believed of trusted_downstream alone", function()
        local trusted = { trusted_downstream = { "10.0.0.0/9", "2001:db8::/33" } }
        for ip, good in pairs {
            ["10.0.0.1"] = true, ["10.127.0.1"] = true, ["10.128.0.1"] = false,
            ["2001:db8:1::1"] = true, ["2001:db8:8000::1"] = false, ["::1"] = true,
        } do
            local connection = serve(trusted, ip):connect()
            connection:send(V1 .. GET)
            if good then
                assert.equal("1.2.3.4 http", connection:read_response().body)
            else
                assert.equal("", (connection:read_until_close()))
            end
        end
    end)

    it("goes together with xheaders, which the announced client may not set", function()
        local connection = serve { xheaders = true }:connect()
        connection:send(V1 .. "GET / HTTP/1.1\r\nHost: a\r\nX-Real-Ip: 9.9.9.9\r\n\r\n")
        assert.equal("1.2.3.4 http", connection:read_response().body)
    end)
end)
