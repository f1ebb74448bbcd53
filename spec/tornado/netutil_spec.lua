-- tornado.netutil: sockets that listen. PARITY §11; names are in netutil/resolver_spec.lua.
local core = require "tornado.core"
local iostream = require "tornado.iostream"
local netutil = require "tornado.netutil"
local testing = require "tornado.testing"
local util = require "tornado.util"

local function raised(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function close(sockets)
    for _, socket in ipairs(sockets) do socket:close() end
end

describe("tornado.netutil", function()
    it("knows IP addresses", function()
        for _, ip in ipairs { "127.0.0.1", "4.4.4.4", "::1", "2620:0:1cfe:face:b00c::3" } do
            assert.is_true(netutil.is_valid_ip(ip), ip)
        end
        for _, text in ipairs { "", " ", "www.google.com", "localhost", "4.4.4.4<", " 127.0.0.1",
            "\n", "\0", "127.0.0.1\0", "1.2.3", ("a"):rep(100), "[::1]" } do
            assert.is_false(netutil.is_valid_ip(text), text)
        end
        assert.is_false(netutil.is_valid_ip(nil))
    end)

    describe("bind_sockets", function()
        it("has one socket for each family, with the same port", function()
            for _, host in ipairs { "", "localhost" } do
                local sockets = netutil.bind_sockets(0, host)
                assert.equal(2, #sockets)
                assert.equal("inet", sockets[1].family)
                assert.equal("inet6", sockets[2].family)
                assert.equal(sockets[1]:port(), sockets[2]:port())
                close(sockets)
                close(sockets)
                assert.is_nil(sockets[1]:address())
            end
            local sockets = netutil.bind_sockets(0)
            assert.equal("0.0.0.0:" .. sockets[1]:port(), sockets[1]:address())
            close(sockets)
        end)

        it("keeps to a family", function()
            local sockets = netutil.bind_sockets(0, "localhost", { family = netutil.AF_INET6 })
            assert.equal(1, #sockets)
            assert.equal("[::1]:" .. sockets[1]:port(), sockets[1]:address())
            close(sockets)
        end)

        it("shares a port when it is told to, and only then", function()
            local first = netutil.bind_sockets(0, "127.0.0.1", { reuse_port = true })
            local port = first[1]:port()
            local second = netutil.bind_sockets(port, "127.0.0.1", { reuse_port = true })
            local err = raised(netutil.bind_sockets, port, "127.0.0.1")
            assert.is_true(util.isinstance(err, iostream.SocketError))
            assert.equal("EADDRINUSE", err.code)
            close(first)
            close(second)
        end)

        it("says what is wrong", function()
            assert.equal("EADDRNOTAVAIL", raised(netutil.bind_sockets, 0, "192.0.2.1").code)
            for _, port in ipairs { -1, 65536, 1.5, "80" } do
                assert.matches("bad port", raised(netutil.bind_sockets, port))
            end
        end)
    end)

    describe("bind_unix_socket", function()
        it("replaces a socket that nobody serves, not a file", function()
            local path = os.tmpname()
            local err = raised(netutil.bind_unix_socket, path)
            assert.matches("exists and is not a socket", tostring(err))
            os.remove(path)
            local first = netutil.bind_unix_socket(path)
            assert.equal("EADDRINUSE", raised(netutil.bind_unix_socket, path).code)
            first:close()
            local socket = netutil.bind_unix_socket(path, { mode = tonumber("666", 8) })
            local stat = io.popen("stat -c %a " .. path)
            assert.equal("666\n", stat:read("*a"))
            stat:close()
            socket:close()
            assert.is_nil(io.open(path))
        end)

        it("refuses what is no path", function()
            for _, path in ipairs { "", "relative", "/" .. ("x"):rep(200) } do
                assert.matches("bad path", tostring(raised(netutil.bind_unix_socket, path)))
            end
        end)
    end)

    describe("add_accept_handler", function()
        it("accepts until it is told to stop", function()
            local socket = netutil.bind_sockets(0, "127.0.0.1")[1]
            local accepted, streams = {}, {}
            local function connect()
                local stream = iostream.IOStream()
                streams[#streams + 1] = stream
                stream:connect(socket:address())
            end
            connect()
            local remove = netutil.add_accept_handler(socket, function(stream, address)
                accepted[#accepted + 1] = { stream, address }
            end)
            for _ = 1, 200 do connect() end
            testing.wait_until(function() return #accepted == 201 end)
            assert.equal("127.0.0.1", accepted[1][2][1])
            assert.matches("a handler already", raised(netutil.add_accept_handler, socket, print))
            remove()
            connect()
            assert.equal(201, #accepted)
            remove = netutil.add_accept_handler(socket, function(stream)
                accepted[#accepted + 1] = { stream }
            end)
            testing.wait_until(function() return #accepted == 202 end)
            remove()
            socket:close()
            assert.matches("expected an open Socket", raised(netutil.add_accept_handler, socket,
                print))
            for _, pair in ipairs(accepted) do pair[1]:close() end
            for _, stream in ipairs(streams) do stream:close() end
        end)

        it("closes who came when the listener is gone", function()
            local socket = netutil.bind_sockets(0, "127.0.0.1")[1]
            local accepted = {}
            netutil.add_accept_handler(socket, function(stream)
                accepted[#accepted + 1] = stream
                socket:close()
            end)
            local streams = {}
            for i = 1, 3 do streams[i] = core.connect(socket:address()) end
            testing.wait_until(function() return accepted[1] end)
            accepted[1]:close()
            for _, channel in ipairs(streams) do core.channel_close(channel) end
            assert.equal(1, #accepted)
        end)
    end)
end)
