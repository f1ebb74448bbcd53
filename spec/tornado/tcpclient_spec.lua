-- tornado.tcpclient: addresses in order, both families, deadlines. PARITY §12.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local netutil = require "tornado.netutil"
local tcpclient = require "tornado.tcpclient"
local testing = require "tornado.testing"
local util = require "tornado.util"

local name_server = dofile "spec/tornado/netutil/name_server.lua"
local on_time = dofile "spec/tornado/on_time.lua"

local function raised(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

-- A listener; returns its port and the list of accepted streams.
local function listen(host)
    local socket = netutil.bind_sockets(0, host)[1]
    local accepted = {}
    netutil.add_accept_handler(socket, function(stream) accepted[#accepted + 1] = stream end)
    finally(function()
        socket:close()
        for _, stream in ipairs(accepted) do stream:close() end
    end)
    return socket:port(), accepted
end

local function resolver(list)
    return { resolve = function() return list end }
end

describe("tornado.tcpclient", function()
    it("connects by address and by name", function()
        for _, case in ipairs {
            { "127.0.0.1", "127.0.0.1" }, { "::1", "::1" }, { "127.0.0.1", "localhost" },
            { "::1", "localhost" },
        } do
            local port, accepted = listen(case[1])
            local stream = tcpclient.TCPClient():connect(case[2], port, { timeout = 5 })
            finally(function() stream:close() end)
            assert.equal(case[1], stream:peer_address()[1])
            testing.wait_until(function() return accepted[1] end)
        end
    end)

    it("tries one address after the other and raises the last error", function()
        local port = listen("127.0.0.1")
        local list = {}
        for i = 1, 3 do list[i] = { family = "inet", address = "127.0.0.1", port = 1 } end
        list[4] = { family = "inet", address = "127.0.0.1", port = port }
        local stream = tcpclient.TCPClient(resolver(list)):connect("name", 0)
        assert.equal(port, stream:peer_address()[2])
        stream:close()
        list[4] = nil
        local err = raised(function() tcpclient.TCPClient(resolver(list)):connect("name", 0) end)
        assert.is_true(util.isinstance(err, iostream.StreamClosedError))
        assert.equal("ECONNREFUSED", err.real_error.code)
        assert.matches("no address", tostring(raised(function()
            tcpclient.TCPClient(resolver {}):connect("name", 0)
        end)))
    end)

    it("comes from the address that it is told", function()
        local port, accepted = listen("127.0.0.1")
        local client = tcpclient.TCPClient()
        for _, options in ipairs { { source_ip = "127.0.0.2" }, { source_ip = "127.0.0.1" } } do
            local stream = client:connect("127.0.0.1", port, options)
            assert.equal(options.source_ip, stream:local_address()[1])
            stream:close()
        end
        local free = netutil.bind_sockets(0, "127.0.0.1")[1]
        local source = free:port()
        free:close()
        local stream = client:connect("127.0.0.1", port, { source_port = source })
        assert.same({ "127.0.0.1", source, family = "inet" }, stream:local_address())
        stream:close()
        assert.equal("EADDRNOTAVAIL", raised(client.connect, client, "127.0.0.1", port,
            { source_ip = "192.0.2.1" }).real_error.code)
        testing.wait_until(function() return #accepted == 3 end)
    end)

    it("gives up in time, also while it resolves", function()
        local asked
        local slow = { resolve = function()
            local waiter = ioloop.waiter()
            asked = waiter
            return ioloop.wait(waiter)
        end }
        local err = raised(function()
            tcpclient.TCPClient(slow):connect("name", 1, { timeout = 0.01 })
        end)
        assert.is_true(util.isinstance(err, util.TimeoutError))
        ioloop.wake(asked, {})
    end)

    it("refuses what makes no sense", function()
        local client = tcpclient.TCPClient()
        assert.matches("bad host", raised(client.connect, client, nil, 1))
        assert.matches("bad port", raised(client.connect, client, "127.0.0.1", "80"))
        assert.matches("unknown option", raised(client.connect, client, "::1", 80, { tiemout = 1 }))
        client:close()
    end)

    describe("asks for each family by itself, so that", function()
        -- A resolver with a function for each family.
        local function scripted(four, six)
            local Scripted = netutil.Resolver:extend "Scripted"
            function Scripted.resolve(_, _, port, family)
                local ip = (family == "inet" and four or six)()
                return { { family = family, address = ip, port = port } }
            end
            return Scripted()
        end

        local function late(seconds, ip)
            return function()
                gen.sleep(seconds)
                return ip
            end
        end

        local function fails(code)
            return function() error(netutil.ResolveError("name", code, "so it says"), 0) end
        end

        local function connect(four, six, port)
            local stream = tcpclient.TCPClient(scripted(four, six)):connect("name", port,
                { timeout = 20 })
            finally(function() stream:close() end)
            return stream:peer_address()[1]
        end

        it("one that is never answered holds the other one 50 ms", function()
            name_server(finally)
            local port = listen("127.0.0.1")
            local began = core.precise()
            on_time(1, function()
                local stream = tcpclient.TCPClient():connect("half.test", port, { timeout = 20 })
                finally(function() stream:close() end)
                assert.equal("127.0.0.1", stream:peer_address()[1])
            end)
            assert.is_true(core.precise() - began >= 0.04)
        end)

        it("IPv6 comes first when it comes within them", function()
            local four = listen("127.0.0.1")
            local six = netutil.bind_sockets(four, "::1")[1]
            netutil.add_accept_handler(six, function(stream) stream:close() end)
            finally(function() six:close() end)
            local first
            on_time(0.045, function()
                first = connect(late(0, "127.0.0.1"), late(0.02, "::1"), four)
            end)
            assert.equal("::1", first)
            assert.equal("127.0.0.1", connect(late(0, "127.0.0.1"), late(0.2, "::1"), four))
        end)

        it("IPv4 is tried at once when there is no IPv6, or nobody there", function()
            local port = listen("127.0.0.1")
            for _, six in ipairs { fails "NODATA", late(0, "::1") } do
                on_time(0.25, function()
                    assert.equal("127.0.0.1", connect(late(0.001, "127.0.0.1"), six, port))
                end)
            end
            assert.equal("127.0.0.1", connect(late(0.1, "127.0.0.1"), late(0, "::1"), port))
        end)

        it("errors are those that say most", function()
            for code, case in pairs {
                NXDOMAIN = { "NXDOMAIN", "NXDOMAIN" }, TIMEOUT = { "TIMEOUT", "NODATA" },
                SERVFAIL = { "NODATA", "SERVFAIL" },
            } do
                local err = raised(connect, fails(case[1]), fails(case[2]), 1)
                assert.equal(code, err.code)
            end
            local err = raised(connect, late(0, "127.0.0.1"), fails "NODATA", 1)
            assert.equal("ECONNREFUSED", err.real_error.code)
            err = raised(connect, late(0, "127.0.0.1"), late(0.01, "::1"), 1)
            assert.equal("ECONNREFUSED", err.real_error.code)
        end)

        it("a name server that is mute in both costs the resolver's deadline, or the caller's",
            function()
                name_server(finally, { deadline = 0.1, timeout = 0.05 })
                local client = tcpclient.TCPClient()
                local began = core.precise()
                assert.equal("TIMEOUT", raised(client.connect, client, "mute1.test", 80).code)
                local err = raised(client.connect, client, "mute2.test", 80, { timeout = 0.02 })
                assert.is_true(util.isinstance(err, util.TimeoutError))
                assert.is_true(core.precise() - began < 20)
                testing.wait_until(function() return core.counts().resolves == 0 end)
            end)

        it("a deadline ends both", function()
            local cancelled = 0
            local function never()
                local ok, err = pcall(gen.sleep, 60)
                if not ok then cancelled = cancelled + 1 end
                error(err, 0)
            end
            local began = core.precise()
            local err = raised(function()
                tcpclient.TCPClient(scripted(never, never)):connect("name", 1, { timeout = 0.02 })
            end)
            assert.is_true(util.isinstance(err, util.TimeoutError))
            assert.is_true(core.precise() - began < 20)
            testing.wait_until(function() return cancelled == 2 end)
        end)
    end)

    describe("with both families", function()
        local V4, V6 = { family = "inet", address = "4" }, { family = "inet6", address = "6" }

        -- Runs attempts over made-up connections; `script`: address -> function(stream).
        local function run(results, script, timeout)
            local tried = {}
            local attempts = tcpclient._Attempts(results, function(result, stream)
                tried[#tried + 1] = result.address
                script[result.address](stream)
            end)
            local ok, result = pcall(attempts.run, attempts, timeout)
            return tried, ok, result
        end

        local function never(stream)
            stream.waiting = ioloop.waiter()
            local close = stream.close
            function stream.close(self)
                close(self)
                ioloop.wake(self.waiting)
            end
            ioloop.wait(stream.waiting)
            error(iostream.StreamClosedError(), 0)
        end

        local function refuse() error(util.Error("refused"), 0) end

        local function connect() end

        it("starts the other family at once when the first fails", function()
            on_time(0.2, function()
                local tried, ok = run({ V6, V4 }, { ["6"] = refuse, ["4"] = connect })
                assert.same({ "6", "4" }, tried)
                assert.is_true(ok)
            end)
        end)

        it("starts it after 0.3 s when the first does not answer", function()
            local started = core.precise()
            on_time(1, function()
                local tried, ok = run({ V4, V6 }, { ["4"] = never, ["6"] = connect })
                assert.same({ "4", "6" }, tried)
                assert.is_true(ok)
            end)
            assert.truthy(core.precise() - started >= 0.29)
        end)

        it("closes who comes too late", function()
            local slow, release
            local tried, ok, winner = run({ V4, V6, V4 }, {
                ["4"] = function(stream)
                    slow, release = stream, ioloop.waiter()
                    ioloop.wait(release)
                end,
                ["6"] = connect,
            })
            assert.same({ "4", "6" }, tried)
            assert.is_true(ok)
            assert.is_false(winner:closed())
            assert.is_true(slow:closed())
            ioloop.wake(release)
            gen.moment()
        end)

        it("raises the last error when none connects, and stops in time", function()
            local tried, ok, err = run({ V6, V4, V6, V4 }, { ["6"] = refuse, ["4"] = refuse })
            assert.equal(4, #tried)
            assert.is_false(ok)
            assert.equal("refused", err.message)
            tried, ok, err = run({ V6, V4 }, { ["6"] = never, ["4"] = never }, 0.35)
            assert.equal(2, #tried)
            assert.is_false(ok)
            assert.is_true(util.isinstance(err, util.TimeoutError))
        end)
    end)
end)
