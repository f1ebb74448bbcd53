-- tornado.tcpserver: connections to handle_stream(), its errors, its limits; and the demo, beside
-- Tornado's own. PARITY §12.
local core = require "tornado.core"
local gen = require "tornado.gen"
local iostream = require "tornado.iostream"
local netutil = require "tornado.netutil"
local tcpclient = require "tornado.tcpclient"
local tcpserver = require "tornado.tcpserver"
local testing = require "tornado.testing"

local function raised(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return tostring(err)
end

-- A server whose handle_stream is `fn(stream, address)`, its port, and a way to connect.
local function serve(fn, options)
    local Server = tcpserver.TCPServer:extend "Server"
    function Server.handle_stream(_, stream, address) fn(stream, address) end
    local server = Server(options)
    local port = server:listen(0, "127.0.0.1")[1]:port()
    local open = {}
    finally(function()
        server:stop()
        for _, stream in ipairs(open) do stream:close() end
        testing.wait_until(function() return server.connections == 0 end)
    end)
    local function connect()
        local stream = tcpclient.TCPClient():connect("127.0.0.1", port, { timeout = 5 })
        open[#open + 1] = stream
        return stream
    end
    return connect, server, port
end

local function echo(stream)
    local ok, err = pcall(function()
        while true do stream:write(stream:read_until("\n")) end
    end)
    if not ok and not stream:closed() then error(err, 0) end
end

describe("tornado.tcpserver", function()
    it("gives each connection to handle_stream, with its address", function()
        local seen = {}
        local connect = serve(function(stream, address)
            seen[#seen + 1] = address
            echo(stream)
        end)
        local streams = {}
        for i = 1, 20 do streams[i] = connect() end
        for i, stream in ipairs(streams) do stream:write("line " .. i .. "\n") end
        for i, stream in ipairs(streams) do
            assert.equal("line " .. i .. "\n", stream:read_until("\n", { timeout = 5 }))
        end
        assert.equal(20, #seen)
        local ports = {}
        for _, address in ipairs(seen) do
            assert.equal("127.0.0.1", address[1])
            ports[address[2]] = true
        end
        for _, stream in ipairs(streams) do assert.is_true(ports[stream:local_address()[2]]) end
    end)

    it("logs what handle_stream raises once, and closes the connection", function()
        local connect = serve(function(stream)
            stream:read_bytes(1)
            error("out of order")
        end)
        testing.ExpectLog("app", "Error in connection callback: .*out of order")
        local stream = connect()
        stream:write("x")
        assert.equal("", stream:read_until_close { timeout = 5 })
    end)

    it("keeps a connection whose handler has returned, until the peer leaves", function()
        local kept
        local connect, server = serve(function(stream) kept = stream end)
        local stream = connect()
        testing.wait_until(function() return kept end)
        assert.is_false(kept:closed())
        kept:write("later")
        assert.equal("later", stream:read_bytes(5))
        stream:close()
        testing.wait_until(function() return server.connections == 0 end)
        assert.is_true(kept:closed())
    end)

    it("answers a peer that has ended its own side, however slowly it reads", function()
        local connect = serve(function(stream)
            local size = #stream:read_until("\n")
            for i = 1, 5 do stream:write(tostring(i):rep(size * 1000)) end
            stream:close()
        end)
        local stream = connect()
        stream:write(("x"):rep(999) .. "\n")
        stream:end_writing()
        gen.sleep(0.01)
        local got = stream:read_until_close { timeout = 5 }
        assert.equal(5000000, #got)
        assert.equal("5", got:sub(-1))
    end)

    it("holds connections above max_connections back", function()
        local served, most, now = 0, 0, 0
        local connect = serve(function(stream)
            served, now = served + 1, now + 1
            most = math.max(most, now)
            stream:write("hello")
            stream:read_until_close()
            now = now - 1
        end, { max_connections = 3 })
        local streams = {}
        for i = 1, 10 do streams[i] = connect() end
        for i = 1, 10 do
            assert.equal("hello", streams[i]:read_bytes(5, { timeout = 5 }))
            assert.truthy(served <= i + 3)
            streams[i]:close()
        end
        assert.equal(10, served)
        assert.equal(3, most)
    end)

    it("gives its options to streams", function()
        local got
        local connect = serve(function(stream)
            got = stream
            stream:close()
        end, { max_buffer_size = 4096, read_chunk_size = 100 })
        connect():read_until_close()
        assert.equal(4096, got.max_buffer_size)
        assert.equal(100, got.read_chunk_size)
        assert.matches("unknown option", raised(tcpserver.TCPServer, { max_bufer_size = 1 }))
        assert.matches("bad max_connections", raised(tcpserver.TCPServer, { max_connections = 0 }))
    end)

    it("binds first and starts later, once", function()
        local server = tcpserver.TCPServer()
        function server.handle_stream(_, stream) stream:close() end
        finally(function() server:stop() end)
        local port = server:bind(0, "127.0.0.1")[1]:port()
        local waiting = tcpclient.TCPClient():connect("127.0.0.1", port)
        server:start()
        assert.equal("", waiting:read_until_close { timeout = 5 })
        assert.matches("started already", raised(server.start, server))
        assert.matches("one process", raised(server.start, server, 4))
        testing.wait_until(function() return server.connections == 0 end)
    end)

    it("stops listening, twice if asked to, and lets connections live", function()
        local connect, server, port = serve(echo)
        local stream = connect()
        stream:write("a\n")
        assert.equal("a\n", stream:read_until("\n"))
        server:stop()
        server:stop()
        stream:write("b\n")
        assert.equal("b\n", stream:read_until("\n"))
        assert.matches("Connection refused", raised(function()
            tcpclient.TCPClient():connect("127.0.0.1", port)
        end))
    end)

    it("serves unix sockets, with files and without", function()
        for _, path in ipairs { os.tmpname() .. ".sock", "\0ctornado-" .. math.random(2 ^ 30) } do
            local server = tcpserver.TCPServer()
            function server.handle_stream(_, stream, address)
                assert.equal("", address[1])
                stream:write("hello")
                stream:close()
            end
            local socket = netutil.bind_unix_socket(path)
            server:add_socket(socket)
            local stream = iostream.IOStream()
            stream:connect(socket:address())
            assert.equal("hello", stream:read_until_close { timeout = 5 })
            server:stop()
            assert.is_nil(core.file_kind(path))
            testing.wait_until(function() return server.connections == 0 end)
        end
    end)

    it("survives clients that reset at any moment", function()
        testing.set_timeout(300)
        local connect = serve(echo)
        for seed = 1, 200 do
            math.randomseed(seed)
            local stream = connect()
            local sending = gen.spawn(pcall, stream.write, stream,
                ("x"):rep(math.random(100000)) .. "\n")
            for _ = 1, math.random(4) - 1 do gen.moment() end
            if math.random(2) == 1 then
                core.channel_close(stream._channel, true)
                stream._channel = nil
            end
            stream:close()
            gen.await(sending)
        end
    end)
end)
