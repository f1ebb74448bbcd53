-- tornado.iostream: reading, writing, the end; over socket pairs, TCP, pipes and UDP. PARITY §9.
local core = require "tornado.core"
local ffi = require "ffi"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local netutil = require "tornado.netutil"
local testing = require "tornado.testing"
local util = require "tornado.util"

local function raised(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

-- What fn raises, which must be of that class.
local function raises(class, fn, ...)
    local err = raised(fn, ...)
    assert.is_true(util.isinstance(err, class), tostring(err))
    return err
end

local function closed(fn, ...)
    return raises(iostream.StreamClosedError, fn, ...)
end

-- Two connected streams that the case closes.
local function pair(options)
    local a, b = iostream.pair(options)
    finally(function()
        a:close()
        b:close()
    end)
    return a, b
end

-- The same over TCP, so that there are resets.
local function tcp(options)
    local accepted
    local socket = netutil.bind_sockets(0, "127.0.0.1")[1]
    netutil.add_accept_handler(socket, function(stream) accepted = stream end, options)
    local a = iostream.IOStream(nil, options)
    finally(function()
        a:close()
        if accepted then accepted:close() end
    end)
    a:connect(socket:address())
    testing.wait_until(function() return accepted end)
    socket:close()
    return a, accepted
end

-- Closes so that the peer sees a reset: there are bytes that nobody has read.
local function reset(stream, peer)
    peer:write("unread")
    testing.wait_until(function() return core.channel_poll(stream._channel) == core.OK end)
    core.channel_close(stream._channel, true)
    stream._channel = nil
    stream:close()
end

describe("tornado.iostream", function()
    describe("read_until", function()
        it("returns the bytes with the delimiter and keeps the rest", function()
            local a, b = pair()
            a:write("one\r\ntwo\r\nrest")
            assert.equal("one\r\n", b:read_until("\r\n"))
            assert.equal("two\r\n", b:read_until("\r\n"))
            assert.equal("rest", b:read_bytes(4))
        end)

        it("finds a delimiter that comes byte by byte", function()
            local a, b = pair()
            local text = ("ab"):rep(50) .. "abc"
            local reading = gen.spawn(b.read_until, b, "abc")
            for i = 1, #text do
                a:write(text:sub(i, i))
                gen.moment()
            end
            assert.equal(text, gen.await(reading))
        end)

        it("closes when the delimiter is not within max_bytes", function()
            for _, text in ipairs { ("x"):rep(10), ("x"):rep(8) .. "\r\n" } do
                local a, b = pair()
                a:write(text)
                local err = closed(b.read_until, b, "\r\n", { max_bytes = 9 })
                assert.is_true(util.isinstance(err.real_error, iostream.UnsatisfiableReadError))
                assert.is_true(b:closed())
            end
        end)

        it("takes a delimiter that ends at max_bytes, whatever follows", function()
            local a, b = pair()
            a:write(("x"):rep(8) .. "\r\n" .. ("y"):rep(100))
            assert.equal(10, #b:read_until("\r\n", { max_bytes = 10 }))
        end)

        it("is linear in what trickles in", function()
            local a, b = pair()
            testing.set_timeout(300)
            local reading = gen.spawn(b.read_until, b, "\r\n\r\n")
            local piece = ("x\r\n"):rep(100)
            local started = os.clock()
            for _ = 1, 20000 do
                a:write(piece)
                gen.moment()
            end
            a:write("\r\n")
            assert.equal(#piece * 20000 + 2, #gen.await(reading))
            assert.truthy(os.clock() - started < 10)
        end)

        it("refuses what is no delimiter", function()
            local _, b = pair()
            for _, value in ipairs { "", 1, {} } do
                assert.matches("iostream_spec.lua:%d+: bad delimiter",
                    raised(function() b:read_until(value) end))
            end
            assert.matches("unknown option", raised(function() b:read_until("x", { max = 1 }) end))
        end)
    end)

    describe("read_until_regex", function()
        it("ends with the first match", function()
            local a, b = pair()
            a:write("key=12;more")
            assert.equal("key=12;", b:read_until_regex("=([0-9]+);"))
            assert.equal("more", b:read_bytes(4))
        end)

        it("goes on when a match has begun", function()
            local a, b = pair()
            local reading = gen.spawn(b.read_until_regex, b, "(?<=x)ab+c")
            for _, piece in ipairs { "abc", "x", "ab", "bb", "cd" } do
                a:write(piece)
                gen.sleep(0.001)
            end
            assert.equal("abcxabbbc", gen.await(reading))
            assert.equal("d", b:read_bytes(1))
        end)

        it("holds max_bytes, and refuses bad patterns", function()
            local a, b = pair()
            assert.matches("bad pattern", raised(function() b:read_until_regex("(") end))
            a:write(("x"):rep(20))
            local err = closed(b.read_until_regex, b, "y", { max_bytes = 10 })
            assert.is_true(util.isinstance(err.real_error, iostream.UnsatisfiableReadError))
        end)

        it("compiles many patterns and keeps few", function()
            local a, b = pair()
            for i = 1, 600 do
                a:write("n" .. i .. ".")
                assert.equal("n" .. i .. ".", b:read_until_regex("n" .. i .. "\\."))
            end
        end)
    end)

    describe("read_bytes and read_into", function()
        it("read exactly, or what is there", function()
            local a, b = pair()
            a:write("abcdef")
            assert.equal("", b:read_bytes(0))
            assert.equal("abc", b:read_bytes(3))
            assert.equal("def", b:read_bytes(100, { partial = true }))
            local reading = gen.spawn(b.read_bytes, b, 200000)
            a:write(("x"):rep(150000))
            a:write(("y"):rep(50001))
            assert.equal(("x"):rep(150000) .. ("y"):rep(50000), gen.await(reading))
            assert.equal("y", b:read_bytes(1))
        end)

        it("fill memory", function()
            local a, b = pair()
            local buffer = ffi.new("char[10]")
            a:write("0123")
            assert.equal(4, b:read_into(buffer, { partial = true }))
            assert.equal("0123", ffi.string(buffer, 4))
            local reading = gen.spawn(b.read_into, b, buffer)
            a:write("abcde")
            gen.sleep(0.001)
            a:write("fghijkl")
            assert.equal(10, gen.await(reading))
            assert.equal("abcdefghij", ffi.string(buffer, 10))
            a:write("mn")
            raises(util.TimeoutError, b.read_into, b, buffer, { timeout = 0.01 })
            a:write("op")
            assert.equal("klmnop", b:read_bytes(6))
            assert.matches("the buffer has 10 bytes, got 11",
                raised(b.read_into, b, buffer, { size = 11 }))
            local pointer = ffi.cast("char *", buffer)
            assert.matches("bad size", raised(b.read_into, b, pointer))
            a:write("qr")
            assert.equal(2, b:read_into(pointer, { size = 2 }))
        end)

        it("refuse what is no size", function()
            local _, b = pair()
            for _, n in ipairs { -1, 1.5, "3", 2 ^ 40 } do
                assert.matches("bad size", raised(function() b:read_bytes(n) end))
            end
        end)
    end)

    describe("read_until_close", function()
        it("returns all, and closes", function()
            local a, b = pair()
            a:write("abc")
            a:close()
            assert.equal("abc", b:read_until_close())
            assert.is_true(b:closed())
            assert.equal("", b:read_until_close())
        end)

        it("returns what was there before a reset, and keeps the error", function()
            local a, b = tcp()
            local reading = gen.spawn(b.read_until_close, b)
            a:write("before")
            gen.sleep(0.01)
            reset(a, b)
            assert.equal("before", gen.await(reading))
            assert.equal("ECONNRESET", b.error.code)
        end)

        it("takes what a closed stream has read ahead", function()
            local a, b = pair()
            a:write("a\nb\ncdefg")
            assert.equal("a\n", b:read_until("\n"))
            b:close()
            assert.equal("b\n", b:read_until("\n"))
            assert.equal("cd", b:read_until_regex("d"))
            assert.equal("e", b:read_bytes(1))
            local buffer = ffi.new("char[1]")
            assert.equal(1, b:read_into(buffer))
            assert.equal("f", ffi.string(buffer, 1))
            closed(b.read_until, b, "x")
            closed(b.read_bytes, b, 2)
            assert.equal("g", b:read_until_close())
        end)
    end)

    describe("limits", function()
        it("close the stream when the buffer is full", function()
            local a, b = pair { max_buffer_size = 1000 }
            local writing = gen.spawn(a.write, a, ("x"):rep(2000))
            testing.ExpectLog("general", "Reached maximum read buffer size")
            raises(iostream.StreamBufferFullError, b.read_until, b, "\n")
            assert.is_true(b:closed())
            gen.await(writing)
        end)

        it("read no more than is asked for", function()
            local a, b = pair()
            local sent = 0
            local writing = gen.spawn(function()
                for _ = 1, 64 do
                    a:write(("x"):rep(65536))
                    sent = sent + 65536
                end
            end)
            assert.equal(1, #b:read_bytes(1))
            for _ = 1, 20 do gen.moment() end
            assert.is_false(writing:done())
            assert.truthy(#core.channel_rest(b._channel) <= 65536)
            assert.truthy(sent < 64 * 65536)
            assert.is_true(a:writing())
            local got = 1
            while got < 64 * 65536 do got = got + #b:read_bytes(65536, { partial = true }) end
            gen.await(writing)
            assert.is_false(a:writing())
        end)

        it("refuse writes above max_write_buffer_size", function()
            local a, b = pair { max_write_buffer_size = 300000 }
            local first = ("x"):rep(300000)
            local writing = gen.spawn(a.write, a, first)
            assert.is_true(a:writing())
            raises(iostream.StreamBufferFullError, a.write, a, first)
            assert.equal(first, b:read_bytes(300000))
            gen.await(writing)
            raises(iostream.StreamBufferFullError, a.write, a, first .. "x")
        end)
    end)

    describe("write", function()
        it("keeps the order of those who wait", function()
            local a, b = pair()
            local all, tasks = {}, {}
            for i = 1, 20 do
                local text = string.char(64 + i):rep(100000)
                all[i] = text
                tasks[i] = gen.spawn(a.write, a, text)
            end
            all = table.concat(all)
            assert.equal(all, b:read_bytes(#all))
            for _, task in ipairs(tasks) do gen.await(task) end
            assert.is_true(a:write(""):done())
        end)

        it("sends what its caller no longer waits for", function()
            local a, b = pair()
            local text = ("x"):rep(1000000)
            raises(util.TimeoutError, a.write, a, text, { timeout = 0.01 })
            local writing = gen.spawn(a.write, a, "end")
            assert.equal(text .. "end", b:read_bytes(1000003))
            gen.await(writing)
        end)

        it("fails when the peer leaves", function()
            local a, b = tcp()
            local writing = gen.spawn(a.write, a, ("x"):rep(10000000))
            assert.is_true(a:writing())
            b:close()
            local err = closed(gen.await, writing)
            assert.equal("ECONNRESET", err.real_error.code)
            assert.is_true(a:closed())
            closed(a.write, a, "x")
        end)

        it("takes strings alone", function()
            local a = pair()
            assert.matches("bad data", raised(function() a:write(1) end))
        end)
    end)

    describe("the end", function()
        it("is an error for who reads", function()
            local a, b = pair()
            a:write("par")
            local reading = gen.spawn(b.read_until, b, "\n")
            gen.moment()
            a:close()
            assert.is_nil(closed(gen.await, reading).real_error)
            assert.is_true(b:closed())
            assert.equal("par", b:read_until_close())
        end)

        it("is a reset in mid-read", function()
            local a, b = tcp()
            local reading = gen.spawn(b.read_bytes, b, 100)
            gen.moment()
            reset(a, b)
            assert.equal("ECONNRESET", closed(gen.await, reading).real_error.code)
            assert.equal("ECONNRESET", b.error.code)
        end)

        it("is seen at once behind bytes that come with it", function()
            for _, how in ipairs { "close", "reset" } do
                local a, b = tcp()
                a:write("all\npart")
                core.channel_close(a._channel, how == "reset")
                a._channel = nil
                assert.equal("all\n", b:read_until("\n"))
                local err = closed(b.read_until, b, "\n", { timeout = 2 })
                assert.equal(how == "reset" and "ECONNRESET" or nil,
                    err.real_error and err.real_error.code)
                a:close()
            end
        end)

        it("wakes the reader when this side closes", function()
            local _, b = pair()
            local reading = gen.spawn(b.read_bytes, b, 1)
            assert.is_true(b:reading())
            b:close(util.Error("enough"))
            assert.equal("Error: enough", tostring(closed(gen.await, reading).real_error))
            assert.is_false(b:reading())
            assert.is_nil(b:fileno())
        end)

        it("leaves the other direction open with end_writing", function()
            local a, b = pair()
            a:write("question")
            a:end_writing()
            local answering = gen.spawn(function()
                assert.equal("question", b:read_bytes(8))
                b:write("answer")
                b:close()
            end)
            assert.equal("answer", a:read_until_close())
            gen.await(answering)
        end)

        it("calls the close callback once, behind what was read", function()
            local a, b = pair()
            local order = {}
            local reading = gen.spawn(function()
                order[#order + 1] = b:read_bytes(2)
                closed(b.read_bytes, b, 1)
            end)
            b:set_close_callback(function() order[#order + 1] = "closed" end)
            a:write("ab")
            a:close()
            gen.await(reading)
            testing.wait_until(function() return #order == 2 end)
            b:close()
            gen.sleep(0.005)
            assert.same({ "ab", "closed" }, order)
        end)

        it("is seen by the close callback when nobody reads", function()
            for _, make in ipairs { pair, tcp } do
                for _, how in ipairs { "close", "reset" } do
                    if make == tcp or how == "close" then
                        local a, b = make()
                        local told = 0
                        b:set_close_callback(function() told = told + 1 end)
                        if how == "reset" then reset(a, b) else a:close() end
                        testing.wait_until(function() return told == 1 end)
                        assert.is_true(b:closed())
                    end
                end
            end
        end)

        it("is told to a callback that comes late, and not to one that was cleared", function()
            local a, b = pair()
            local told = {}
            a:set_close_callback(function() told[1] = "cleared" end)
            a:set_close_callback(nil)
            a:close()
            b:close()
            b:set_close_callback(function() told[#told + 1] = "late" end)
            testing.wait_until(function() return told[1] end)
            assert.same({ "late" }, told)
            assert.matches("bad callback", raised(function() b:set_close_callback(1) end))
        end)
    end)

    describe("waiting", function()
        it("is for one reader", function()
            local a, b = pair()
            local reading = gen.spawn(b.read_bytes, b, 1)
            assert.matches("Already reading", raised(b.read_bytes, b, 1))
            a:write("x")
            assert.equal("x", gen.await(reading))
        end)

        it("loses nothing when it times out or is cancelled", function()
            local a, b = pair()
            a:write("abc")
            raises(util.TimeoutError, b.read_until, b, "\n", { timeout = 0.005 })
            assert.is_false(b:reading())
            local co
            local reading = gen.spawn(function()
                co = coroutine.running()
                b:read_bytes(10)
            end)
            a:write("def")
            gen.sleep(0.005)
            ioloop.cancel(ioloop.waiter_of(co), util.Error("given up"))
            assert.equal("given up", raises(util.Error, gen.await, reading).message)
            a:write("g\n")
            assert.equal("abcdefg\n", b:read_until("\n"))
        end)
    end)

    describe("connect", function()
        it("says why it failed", function()
            local socket = netutil.bind_sockets(0, "127.0.0.1")[1]
            local port = socket:port()
            socket:close()
            local stream = iostream.IOStream()
            local err = closed(stream.connect, stream, { "127.0.0.1", port })
            assert.equal("ECONNREFUSED", err.real_error.code)
            assert.equal(111, err.real_error.errno)
            assert.is_true(stream:closed())
            assert.equal("ENOENT", closed(function()
                iostream.IOStream():connect("unix:/no/such/socket")
            end).real_error.code)
            assert.equal("EADDRNOTAVAIL", closed(function()
                iostream.IOStream():connect({ "127.0.0.1", port }, { source = { "192.0.2.1", 0 } })
            end).real_error.code)
            for _, address in ipairs { "name", { "127.0.0.1" }, 5 } do
                assert.matches("iostream_spec.lua:%d+: bad address", raised(function()
                    iostream.IOStream():connect(address)
                end))
            end
        end)

        it("gives up in time, and leaves nothing open", function()
            -- The queue of a listener that accepts nothing is soon full; then SYNs are dropped.
            local socket = netutil.bind_sockets(0, "127.0.0.1", { backlog = 0 })[1]
            local held = {}
            finally(function()
                for _, stream in ipairs(held) do stream:close() end
                socket:close()
            end)
            local function connect()
                local stream = iostream.IOStream()
                held[#held + 1] = stream
                stream:connect(socket:address(), { timeout = 0.02 })
            end
            local ok, err
            for _ = 1, 10 do
                ok, err = pcall(connect)
                if not ok then break end
            end
            assert.is_true(util.isinstance(err, util.TimeoutError))
            assert.is_true(held[#held]:closed())
        end)

        it("takes writes meanwhile", function()
            local socket = netutil.bind_sockets(0, "::1")[1]
            local accepted
            netutil.add_accept_handler(socket, function(stream) accepted = stream end)
            local stream = iostream.IOStream()
            finally(function()
                stream:close()
                accepted:close()
                socket:close()
            end)
            local connecting = gen.spawn(stream.connect, stream, { "::1", socket:port() })
            local writing = gen.spawn(stream.write, stream, "early")
            assert.equal(stream, gen.await(connecting))
            gen.await(writing)
            testing.wait_until(function() return accepted end)
            assert.equal("early", accepted:read_bytes(5))
            assert.same(accepted:peer_address(), stream:local_address())
            assert.equal("::1", stream:peer_address()[1])
            stream:set_nodelay(false)
            stream:set_nodelay(true)
        end)

        it("is asked for before anything else", function()
            local stream = iostream.IOStream()
            assert.matches("not connected", raised(stream.write, stream, "x"))
            assert.matches("not connected", raised(stream.read_bytes, stream, 1))
            assert.is_false(stream:closed())
            stream:close()
            closed(stream.write, stream, "x")
            assert.matches("bad max_buffer_size", raised(function()
                iostream.IOStream(nil, { max_buffer_size = 0 })
            end))
        end)
    end)

    describe("pipes", function()
        it("carry bytes one way", function()
            local reader, writer = iostream.pipe()
            finally(function()
                reader:close()
                writer:close()
            end)
            local text = ("0123456789"):rep(30000)
            local writing = gen.spawn(writer.write, writer, text)
            assert.equal(text, reader:read_bytes(#text))
            gen.await(writing)
            local told
            reader:set_close_callback(function() told = true end)
            writer:close()
            testing.wait_until(function() return told end)
        end)

        it("break when the reader leaves", function()
            local reader, writer = iostream.pipe()
            finally(function() writer:close() end)
            reader:close()
            assert.equal("EPIPE", closed(writer.write, writer, "x").real_error.code)
        end)

        it("are no files", function()
            assert.equal("EBADF", raises(iostream.SocketError, iostream.PipeIOStream, 99999).code)
            assert.matches("bad descriptor", raised(iostream.PipeIOStream, "x"))
        end)
    end)

    describe("UDPSocket", function()
        local function socket(options)
            local udp = iostream.UDPSocket(options)
            finally(function() udp:close() end)
            return udp
        end

        it("exchanges datagrams over both families", function()
            for _, host in ipairs { "127.0.0.1", "::1" } do
                local a = iostream.UDPSocket { bind = { host, 0 } }
                local b = iostream.UDPSocket { connect = a:local_address() }
                local receiving = gen.spawn(function() return { a:recvfrom() } end)
                b:send("one")
                local data, from = unpack(gen.await(receiving))
                assert.equal("one", data)
                assert.equal(host, from[1])
                a:sendto("", from)
                assert.equal("", (b:recvfrom { timeout = 5 }))
                a:close()
                b:close()
            end
        end)

        it("times out, says what is wrong, and ends", function()
            local a = socket { bind = "127.0.0.1:0" }
            raises(util.TimeoutError, a.recvfrom, a, { timeout = 0.005 })
            assert.equal("EMSGSIZE", raises(iostream.SocketError, a.sendto, a, ("x"):rep(70000),
                a:local_address()).code)
            assert.matches("bad address", raised(function() a:sendto("x", "nowhere") end))
            local receiving = gen.spawn(a.recvfrom, a)
            a:close()
            closed(gen.await, receiving)
            closed(a.sendto, a, "x", "127.0.0.1:9")
            assert.equal("EADDRNOTAVAIL", raises(iostream.SocketError, iostream.UDPSocket,
                { bind = "192.0.2.1:0" }).code)
        end)

        it("learns that nobody is there", function()
            local a = iostream.UDPSocket { bind = "127.0.0.1:0" }
            local there = a:local_address()
            a:close()
            local b = socket { connect = there }
            b:send("x")
            assert.equal("ECONNREFUSED",
                raises(iostream.SocketError, b.recvfrom, b, { timeout = 5 }).code)
        end)

        it("holds what waits to its bound", function()
            local a = socket { bind = "127.0.0.1:0", receive_buffer = 8192 }
            local b = socket { connect = a:local_address() }
            for _ = 1, 1000 do b:send(("x"):rep(1000)) end
            local got = 0
            while pcall(a.recvfrom, a, { timeout = 0.005 }) do got = got + 1 end
            assert.truthy(got >= 1 and got < 100)
        end)
    end)
end)
