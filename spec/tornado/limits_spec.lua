-- max_connections_per_ip: who is counted, who is not, and that what ends is counted no more.
local core = require "tornado.core"
local testing = require "tornado.testing"
local web = require "tornado.web"

local log_file = dofile "spec/tornado/log_file.lua"

local Main = web.RequestHandler:extend "Main"
function Main:get() self:write(self.request.remote_ip) end

local app = web.Application { { "/", Main } }

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

local function serve(ip, options)
    options.max_connections_per_ip = 2
    return testing.serve(app, { socket = false, remote_ip = ip, server = options })
end

-- The status that a new connection of the server gets, and the connection.
local function try(server, preface)
    local connection = server:connect()
    connection:send((preface or "") .. GET)
    return connection:read_response().code, connection
end

describe("max_connections_per_ip", function()
    before_each(log_file.open)
    after_each(log_file.close)

    it("answers 503 to a connection too many, and logs it once", function()
        local server = serve("9.9.9.1", {})
        local codes, connections = {}, {}
        local began = core.precise()
        for i = 1, 4 do codes[i], connections[i] = try(server) end
        assert.same({ 200, 200, 503, 503 }, codes)
        local seconds = math.floor(core.precise() - began)
        assert.truthy(select(2, log_file.text():gsub("\n", "")) <= 1 + seconds)
        testing.wait_until(function()
            try(server)
            return log_file.text():find "max_connections_per_ip reached: 9.9.9.1 gets 503"
        end)
        connections[1]:close()
        testing.wait_until(function()
            local code, connection = try(server)
            connection:close()
            return code == 200
        end)
    end)

    it("counts each address, but a /64 of IPv6 as one", function()
        local first, second = serve("9.9.9.2", {}), serve("9.9.9.3", {})
        for _ = 1, 2 do
            assert.equal(200, (try(first)))
            assert.equal(200, (try(second)))
        end
        assert.equal(503, (try(first)))
        assert.equal(200, (try(serve("2001:db8::1", {}))))
        assert.equal(200, (try(serve("2001:db8::2", {}))))
        assert.equal(503, (try(serve("2001:db8::3", {}))))
        assert.equal(200, (try(serve("2001:db8:0:1::1", {}))))
    end)

    it("is not for this machine and trusted proxies", function()
        local here, proxy = serve("127.0.0.1", {}),
            serve("10.1.2.3", { trusted_downstream = { "10.0.0.0/8" } })
        for _ = 1, 4 do
            assert.equal(200, (try(here)))
            assert.equal(200, (try(proxy)))
        end
    end)

    it("counts the addresses that the PROXY protocol announces", function()
        local server = serve("127.0.0.1", { proxy_protocol = true })
        local line = "PROXY TCP4 %s 5.6.7.8 1 2\r\n"
        for _ = 1, 2 do assert.equal(200, (try(server, line:format "9.9.9.4"))) end
        local connection = server:connect()
        connection:send(line:format "9.9.9.4" .. GET)
        assert.equal("", (connection:read_until_close()))
        assert.equal(200, (try(server, line:format "9.9.9.5")))
    end)
end)
