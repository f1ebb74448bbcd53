-- testing.clock(): hours in no time, in the right order.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local testing = require "tornado.testing"
local web = require "tornado.web"

describe("testing.clock", function()
    it("lets timers fire in order, each at its time", function()
        local clock, seen = testing.clock(), {}
        local began = ioloop.time()
        local function note(name)
            seen[#seen + 1] = ("%s %.3f"):format(name, ioloop.time() - began)
        end
        ioloop.call_later(3600, note, "d")
        ioloop.call_later(10, note, "b")
        ioloop.call_later(10, note, "c")
        ioloop.call_at(began + 5, note, "a")
        local stopped = ioloop.call_later(7, note, "never")
        clock:advance(4.999)
        assert.same({}, seen)
        ioloop.remove_timeout(stopped)
        clock:advance(0.001)
        assert.same({ "a 5.000" }, seen)
        assert.equal(3, clock:pending())
        clock:advance(86400)
        assert.same({ "a 5.000", "b 10.000", "c 10.000", "d 3600.000" }, seen)
        assert.equal(86405, clock:elapsed())
        assert.truthy(math.abs(core.now() - began - 86405) < 1e-5)
    end)

    it("stands still otherwise, and comes back", function()
        local real = core.now
        local clock = testing.clock()
        local wall, monotonic = core.now(), core.monotonic()
        local until_then = core.precise() + 0.01
        testing.wait_until(function() return core.precise() > until_then end)
        assert.equal(wall, core.now())
        assert.equal(monotonic, core.monotonic())
        clock:advance(2)
        assert.equal(monotonic + 2, core.monotonic())
        clock:restore()
        assert.equal(real, core.now)
        assert.truthy(core.now() < wall + 2)
        gen.sleep(0.001)
        assert.has_error(function() clock:advance(1) end)
    end)

    it("wakes what sleeps, again and again", function()
        local clock, turns = testing.clock(), 0
        local future = gen.spawn(function()
            for _ = 1, 60 do
                gen.sleep(60)
                turns = turns + 1
            end
            return "done"
        end)
        clock:advance(60 * 59)
        assert.equal(59, turns)
        assert.is_false(future:done())
        clock:advance(60)
        assert.equal("done", gen.await(future))
        gen.sleep(0) -- what is due now needs no time to pass
    end)

    it("lets signed values age", function()
        local clock = testing.clock()
        local text = web.create_signed_value("secret", "name", "value")
        clock:advance(31 * 86400 - 2)
        assert.equal("value", web.decode_signed_value("secret", "name", text))
        clock:advance(3)
        assert.is_nil(web.decode_signed_value("secret", "name", text))
    end)

    it("leaves requests to real sockets, and their handlers to itself", function()
        local clock = testing.clock()
        local Slow = web.RequestHandler:extend "Slow"
        function Slow:get()
            gen.sleep(30)
            self:write("awake")
        end
        local connection = testing.serve(web.Application { { "/", Slow } }):connect()
        connection:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        testing.wait_until(function() return clock:pending() == 1 end)
        clock:advance(30)
        assert.equal("awake", connection:read_response().body)
    end)

    it("is one at a time and goes forward only", function()
        local clock = testing.clock()
        assert.has_error(testing.clock)
        for _, seconds in ipairs { -1, 0 / 0, math.huge, "1" } do
            assert.has_error(function() clock:advance(seconds) end)
        end
    end)
end)
