-- ioloop.add_handler and its like. PARITY §8.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local iostream = require "tornado.iostream"
local testing = require "tornado.testing"

local READ, WRITE, ERROR = ioloop.READ, ioloop.WRITE, ioloop.ERROR

local function raised(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

-- A descriptor of a pair of sockets, and a stream at the other end.
local function pair()
    local fd, other = core.pair()
    local stream = iostream.IOStream(other)
    finally(function()
        ioloop.remove_handler(fd)
        core.descriptor_close(fd)
        stream:close()
    end)
    return fd, stream
end

describe("ioloop.add_handler", function()
    it("has Tornado's numbers", function()
        assert.same({ 1, 4, 24, 0 }, { READ, WRITE, ERROR, ioloop.NONE })
        assert.equal(READ, ioloop.IOLoop.READ)
    end)

    it("calls as long as there is something to read", function()
        local fd, stream = pair()
        local calls = {}
        ioloop.add_handler(fd, function(...) calls[#calls + 1] = { ... } end, READ)
        gen.sleep(0.005)
        assert.equal(0, #calls)
        stream:write("x")
        testing.wait_until(function() return #calls >= 3 end)
        assert.same({ fd, READ }, calls[1])
        ioloop.remove_handler(fd)
        local before = #calls
        gen.sleep(0.005)
        assert.equal(before, #calls)
    end)

    it("is told of what it asks for alone, and of errors", function()
        local fd, stream = pair()
        local seen = {}
        ioloop.add_handler(fd, function(_, events) seen[events] = true end, WRITE)
        testing.wait_until(function() return seen[WRITE] end)
        stream:write("x")
        ioloop.update_handler(fd, READ + WRITE)
        testing.wait_until(function() return seen[READ + WRITE] end)
        ioloop.update_handler(fd, ioloop.NONE)
        gen.moment()
        seen = {}
        gen.sleep(0.005)
        assert.same({}, seen)
        stream:close()
        testing.wait_until(function() return next(seen) end)
        assert.truthy(seen[ERROR])
    end)

    it("are all forgotten by close(), and closed if told to", function()
        local loop = ioloop.IOLoop.current()
        local a, b = iostream.pair()
        local c, d = core.pipe()
        finally(function() core.close_descriptor(d) end)
        local calls = 0
        local function call() calls = calls + 1 end
        loop:add_handler(a, call, WRITE)
        loop:close()
        loop:add_callback_from_signal(function() calls = calls + 100 end)
        testing.wait_until(function() return calls >= 100 end)
        assert.equal(100, calls)
        assert.is_false(a:closed())
        loop:add_handler(a, call, ioloop.NONE)
        loop:add_handler(c, call, ioloop.NONE)
        loop:close(true)
        assert.is_true(a:closed())
        assert.matches("cannot watch", raised(ioloop.add_handler, c, call, READ))
        b:close()
    end)

    it("takes objects with fileno, and gives them back", function()
        local a, b = iostream.pair()
        local got
        ioloop.IOLoop.current():add_handler(a, function(object) got = object end, WRITE)
        testing.wait_until(function() return got end)
        assert.equal(a, got)
        ioloop.IOLoop.current():remove_handler(a)
        a:close()
        b:close()
    end)

    it("refuses what cannot be", function()
        local fd = pair()
        ioloop.add_handler(fd, print, ioloop.NONE)
        assert.matches("descriptors_spec.lua:%d+: fd " .. fd .. " added twice", raised(function()
            ioloop.add_handler(fd, print, READ)
        end))
        ioloop.remove_handler(fd)
        ioloop.remove_handler(fd)
        assert.matches("has no handler", raised(ioloop.update_handler, fd, READ))
        assert.matches("bad handler", raised(ioloop.add_handler, fd, 1, READ))
        assert.matches("bad events", raised(ioloop.add_handler, fd, print, 2))
        assert.matches("bad descriptor", raised(ioloop.add_handler, "x", print, READ))
        assert.matches("cannot watch fd 99999", raised(ioloop.add_handler, 99999, print, READ))
    end)

    it("logs what a handler raises", function()
        local fd = pair()
        testing.ExpectLog("app", "Exception in callback: .*in vain")
        local called
        ioloop.add_handler(fd, function()
            called = true
            ioloop.remove_handler(fd)
            error("in vain")
        end, WRITE)
        testing.wait_until(function() return called end)
        gen.moment()
    end)
end)
