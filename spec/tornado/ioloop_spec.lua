-- tornado.ioloop: callbacks, timers, coroutines that wait. PARITY §8.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"
local testing = require "tornado.testing"

local function message_of(fn)
    local ok, err = pcall(fn)
    assert.is_false(ok)
    return tostring(err)
end

describe("tornado.ioloop", function()
    describe("add_callback", function()
        it("calls in the next turn, in order, with its arguments", function()
            local seen = {}
            for _, add in ipairs { ioloop.add_callback, ioloop.spawn_callback } do
                local got
                add(function(...) got = { select("#", ...), ... } end, 1, nil, 3, nil, 5, nil)
                gen.moment()
                assert.same({ 6, 1, 3, 5 }, { got[1], got[2], got[4], got[6] })
            end
            ioloop.add_callback(function(...) seen[1] = { select("#", ...), ... } end, 1, "b", true)
            ioloop.add_callback(function() seen[2] = "second" end)
            assert.same({}, seen)
            gen.moment()
            assert.same({ 3, 1, "b", true }, { unpack(seen[1], 1, 4) })
            assert.equal("second", seen[2])
        end)

        it("leaves the loop its turns when a callback adds itself again and again", function()
            local calls, stop, timer = 0, false, false
            local function again()
                calls = calls + 1
                if not stop then ioloop.add_callback(again) end
            end
            ioloop.add_callback(again)
            ioloop.call_later(0.01, function() timer = true end)
            testing.wait_until(function() return timer end)
            stop = true
            assert.truthy(calls > 2)
        end)

        it("logs what a callback raises, and goes on", function()
            local logged = testing.expect_log("error", "^Exception in callback: ")
            local called = 0
            ioloop.add_callback(function() error("broken") end)
            ioloop.add_callback(function() error { not_text = true } end)
            ioloop.add_callback(function() error() end)
            ioloop.add_callback(function() called = called + 1 end)
            testing.wait_until(function() return called > 0 end)
            assert.equal(3, #logged.lines)
            assert.matches("ioloop_spec.lua:%d+: broken\nstack traceback", logged.lines[1])
        end)

        it("takes anything that can be called, and nothing else", function()
            local called
            ioloop.add_callback(setmetatable({}, { __call = function(_, x) called = x end }), 7)
            gen.moment()
            assert.equal(7, called)
            for _, value in ipairs { 1, "x", {}, true } do
                assert.matches("ioloop_spec.lua:%d+: bad callback: expected function, got " ..
                    type(value), message_of(function() ioloop.add_callback(value) end))
            end
        end)

        it("takes callbacks that wait, beside each other", function()
            local order = {}
            ioloop.add_callback(function()
                order[#order + 1] = "a1"
                gen.sleep(0.01)
                order[#order + 1] = "a2"
            end)
            ioloop.add_callback(function() order[#order + 1] = "b" end)
            testing.wait_until(function() return #order == 3 end)
            assert.same({ "a1", "b", "a2" }, order)
        end)

        it("runs a hundred thousand of them", function()
            local n = 0
            local function count() n = n + 1 end
            for _ = 1, 100000 do ioloop.add_callback(count) end
            testing.wait_until(function() return n == 100000 end)
            assert.equal(0, ioloop.counts().queued)
        end)
    end)

    describe("call_later", function()
        it("calls after the delay, never early, and not again", function()
            local calls, at = 0, nil
            local started = core.precise()
            ioloop.call_later(0.02, function(a, b)
                calls = calls + 1
                at = core.precise()
                assert(a == 1 and b == nil)
            end, 1, nil)
            testing.wait_until(function() return calls > 0 end)
            gen.sleep(0.03)
            assert.equal(1, calls)
            assert.truthy(at - started >= 0.0199)
        end)

        it("calls in the order of the deadlines", function()
            local order, now = {}, ioloop.time()
            for _, delay in ipairs { 0.03, 0.01, 0.02, 0, -1 } do
                ioloop.call_at(now + delay, function() order[#order + 1] = delay end)
            end
            testing.wait_until(function() return #order == 5 end)
            assert.same({ 0.01, 0.02, 0.03 }, { order[3], order[4], order[5] })
        end)

        it("can be taken back, also when it has fired", function()
            local calls = 0
            local timers = {}
            for i = 1, 10 do
                timers[i] = ioloop.call_later(0.001 * i, function() calls = calls + 1 end)
            end
            for i = 1, 10, 2 do ioloop.remove_timeout(timers[i]) end
            testing.wait_until(function() return calls == 5 end)
            for i = 1, 10 do ioloop.remove_timeout(timers[i]) end
            gen.sleep(0.012)
            assert.equal(5, calls)
        end)

        it("can be taken back by another timer of the same turn", function()
            local calls, timers = 0, {}
            for i = 1, 2 do
                timers[i] = ioloop.call_later(0.005, function()
                    calls = calls + 1
                    ioloop.remove_timeout(timers[3 - i])
                end)
            end
            gen.sleep(0.02)
            assert.equal(1, calls)
        end)

        it("does not leak timers that are taken back", function()
            local before = core.counts().timers
            collectgarbage()
            local memory = collectgarbage("count")
            for _ = 1, 100000 do
                ioloop.remove_timeout(ioloop.call_later(3600, print))
            end
            assert.equal(before, core.counts().timers)
            collectgarbage()
            assert.truthy(collectgarbage("count") < memory + 500)
        end)

        it("logs what it raises", function()
            local logged = testing.expect_log("Exception in callback: .*late")
            ioloop.call_later(0, function() error("late") end)
            testing.wait_until(function() return logged.text end)
        end)

        it("refuses what is no delay and no function", function()
            for _, delay in ipairs { "1", {}, 0 / 0 } do
                assert.matches("ioloop_spec.lua:%d+: bad delay: expected seconds",
                    message_of(function() ioloop.call_later(delay, print) end))
            end
            assert.matches("ioloop_spec.lua:%d+: bad callback",
                message_of(function() ioloop.call_later(1, 5) end))
        end)

        it("has call_at, on the wall clock", function()
            local called = false
            assert.truthy(math.abs(ioloop.time() - os.time()) < 2)
            ioloop.call_at(ioloop.time() + 0.01, function() called = true end)
            testing.wait_until(function() return called end)
            called = false
            ioloop.call_at(ioloop.time() - 100, function() called = true end)
            testing.wait_until(function() return called end)
        end)
    end)

    describe("waiters", function()
        it("give what they were woken with, once", function()
            local waiter
            local got
            gen.spawn(function()
                waiter = ioloop.waiter()
                got = { ioloop.wait(waiter) }
            end)
            ioloop.wake(waiter, 1, 2)
            ioloop.wake(waiter, 3, 4)
            assert.is_nil(got)
            gen.moment()
            assert.same({ 1, 2 }, got)
        end)

        it("do not wait when they were woken before", function()
            local waiter = ioloop.waiter()
            ioloop.wake(waiter, "early")
            assert.equal("early", (ioloop.wait(waiter)))
        end)

        it("raise what they were cancelled with", function()
            local waiter = ioloop.waiter()
            ioloop.add_callback(ioloop.cancel, waiter, "cancelled")
            local ok, err = pcall(ioloop.wait, waiter)
            assert.is_false(ok)
            assert.equal("cancelled", err)
        end)

        it("give back what they were for when they are cancelled", function()
            local waiter = ioloop.waiter()
            local given
            ioloop.add_callback(ioloop.cancel, waiter, "cancelled")
            assert.is_false(pcall(ioloop.wait, waiter, function(a, b) given = { a, b } end, 1, 2))
            assert.same({ 1, 2 }, given)
        end)

        it("wait for so long and no longer", function()
            local waiter = ioloop.waiter()
            local released = 0
            local ok, err = pcall(ioloop.wait_for, waiter, 0.01, function() released = 1 end)
            assert.is_false(ok)
            assert.is_true(util.isinstance(err, util.TimeoutError))
            assert.equal(1, released)

            waiter = ioloop.waiter()
            ioloop.add_callback(ioloop.wake, waiter, "in time")
            assert.equal("in time", (ioloop.wait_for(waiter, 60)))
        end)

        it("are for the coroutine that made them", function()
            local waiter = ioloop.waiter()
            local message
            gen.spawn(function() message = message_of(function() ioloop.wait(waiter) end) end)
            assert.matches("cannot wait here", message)
        end)

        it("are found by their coroutine, and counted", function()
            local co, waiter
            local before = ioloop.counts().waiting
            gen.spawn(function()
                co = coroutine.running()
                waiter = ioloop.waiter()
                ioloop.wait(waiter)
            end)
            assert.equal(waiter, ioloop.waiter_of(co))
            assert.equal(before + 1, ioloop.counts().waiting)
            assert.matches("ioloop_spec.lua", table.concat(ioloop.waiting()))
            ioloop.wake(waiter)
            gen.moment()
            assert.is_nil(ioloop.waiter_of(co))
            assert.equal(before, ioloop.counts().waiting)
        end)
    end)

    describe("protect", function()
        it("returns results, or the error as it is with a traceback", function()
            assert.same({ true, 1, 2 }, { ioloop.protect(function(a, b) return a, b end, 1, 2) })
            local err = {}
            local ok, raised, trace = ioloop.protect(function() error(err, 0) end)
            assert.is_false(ok)
            assert.equal(err, raised)
            assert.matches("ioloop_spec.lua:%d+", trace)
        end)

        it("may be nested", function()
            local ok, err, trace = ioloop.protect(function()
                ioloop.protect(function() error("inner", 0) end)
                error("outer", 0)
            end)
            assert.is_false(ok)
            assert.equal("outer", err)
            assert.matches("^outer\n", trace)
        end)
    end)

    describe("add_timeout", function()
        it("takes a time of day or a timedelta", function()
            local seen = {}
            ioloop.add_timeout(ioloop.time() + 0.001, function(x) seen[1] = x end, "a")
            ioloop.add_timeout(ioloop.timedelta { milliseconds = 1 }, function() seen[2] = "b" end)
            testing.wait_until(function() return seen[1] and seen[2] end)
            assert.same({ "a", "b" }, seen)
            assert.equal(93784.5, ioloop.timedelta { days = 1, hours = 2, minutes = 3, seconds = 4,
                milliseconds = 500 }:total_seconds())
            assert.matches("ioloop_spec.lua:%d+: Unsupported deadline \"x\"",
                message_of(function() local x = ioloop.add_timeout("x", print) return x end))
            assert.matches("bad timedelta: years = 1",
                message_of(function() ioloop.timedelta { years = 1 } end))
        end)
    end)

    describe("add_future", function()
        it("calls back in a later turn", function()
            local future, seen = gen.maybe_future(5), nil
            ioloop.add_future(future, function(f) seen = f:result() end)
            assert.is_nil(seen)
            gen.moment()
            assert.equal(5, seen)
            assert.matches("bad future", message_of(function() ioloop.add_future(5, print) end))
        end)
    end)

    describe("run_sync", function()
        it("returns the result, of a future too, and raises errors", function()
            assert.equal(5, ioloop.run_sync(function() gen.moment() return 5 end))
            assert.equal(6, ioloop.run_sync(function() return gen.maybe_future(6) end))
            assert.equal("bad", message_of(function()
                ioloop.run_sync(function() error("bad", 0) end)
            end))
        end)

        it("ends what takes too long", function()
            local function forever() gen.sleep(60) end
            local message = message_of(function() ioloop.run_sync(forever, 5e-4) end)
            assert.equal("TimeoutError: Operation timed out after 0.0005 seconds", message)
        end)
    end)

    describe("PeriodicCallback", function()
        it("calls after each period, and not after stop", function()
            local clock = testing.clock()
            local calls = 0
            local periodic = ioloop.PeriodicCallback(function() calls = calls + 1 end, 100)
            assert.is_false(periodic:is_running())
            periodic:start()
            periodic:start()
            assert.is_true(periodic:is_running())
            assert.equal(0, calls)
            clock:advance(0.35)
            assert.equal(3, calls)
            periodic:stop()
            assert.is_false(periodic:is_running())
            clock:advance(1)
            assert.equal(3, calls)
            assert.equal(0, clock:pending())
        end)

        it("skips the periods that it has missed, and never overlaps", function()
            local clock = testing.clock()
            local at, running = {}, 0
            local periodic = ioloop.PeriodicCallback(function()
                running = running + 1
                assert(running == 1)
                at[#at + 1] = math.floor(clock:elapsed() * 1000 + 0.5)
                gen.sleep(0.25)
                running = running - 1
            end, ioloop.timedelta { milliseconds = 100 })
            periodic:start()
            clock:advance(1)
            periodic:stop()
            clock:advance(1)
            assert.same({ 100, 400, 700, 1000 }, at)
        end)

        -- The numbers of Tornado's own test of this.
        it("has Tornado's arithmetic, also when the clock goes back", function()
            local periodic = ioloop.PeriodicCallback(function() end, 10000)
            local function run(durations)
                local now, calls = 1000, {}
                periodic._next_timeout = now
                periodic:_update_next(now)
                for _, duration in ipairs(durations) do
                    now = periodic._next_timeout
                    calls[#calls + 1] = now
                    now = now + duration
                    periodic:_update_next(now)
                end
                return calls
            end
            assert.same({ 1010, 1020, 1030, 1050, 1070, 1090, 1110 },
                run { 9, 9, 11, 11, 19, 11, 9 })
            assert.same({ 1010, 1020, 1030, 1040 }, run { -2, -1, -3, -2 })
            assert.same({ 1010, 1020 }, run { -100, 0 })
        end)

        it("has jitter", function()
            local periodic = ioloop.PeriodicCallback(function() end, 10000, 0.5)
            for _ = 1, 1000 do
                periodic._next_timeout = 1000
                periodic:_update_next(1000)
                local period = periodic._next_timeout - 1000
                assert(period >= 7.5 and period <= 12.5, period)
            end
        end)

        it("logs what is raised, and goes on", function()
            local clock = testing.clock()
            local logged = testing.expect_log("Exception in callback: .*periodic bad")
            local periodic = ioloop.PeriodicCallback(function() error("periodic bad") end, 100)
            periodic:start()
            clock:advance(0.25)
            periodic:stop()
            assert.equal(2, #logged.lines)
        end)

        it("may be stopped and started again by its callback, without doubling", function()
            local clock = testing.clock()
            local calls, periodic = 0, nil
            periodic = ioloop.PeriodicCallback(function()
                calls = calls + 1
                periodic:stop()
                periodic:start()
            end, 100)
            periodic:start()
            clock:advance(0.55)
            assert.equal(5, calls)
            periodic:stop()
            clock:advance(1)
        end)

        it("refuses a time that is not positive", function()
            for _, time in ipairs { 0, -1, "x", 0 / 0 } do
                assert.matches("must have a positive callback_time",
                    message_of(function() ioloop.PeriodicCallback(print, time) end))
            end
            assert.matches("bad callback", message_of(function() ioloop.PeriodicCallback(1, 1) end))
        end)
    end)

    it("has start and stop, for scripts", function()
        local loop = ioloop.IOLoop.current()
        loop:add_callback(loop.stop, loop)
        loop:start()
        loop:stop()
        loop:start() -- returns at once: stop came before
    end)

    describe("what cannot be suspended", function()
        local function refused(pattern, fn)
            local before = ioloop.counts().waiting
            local message = message_of(fn)
            assert.matches("cannot wait here: spec/tornado/ioloop_spec.lua:%d+ is called by " ..
                pattern .. ", which is C and cannot be suspended. Collect first", message)
            assert.equal(before, ioloop.counts().waiting)
        end

        it("is named, with the callback's place and the way out", function()
            refused("table.sort", function()
                table.sort({ 3, 2, 1 }, function(a, b) gen.moment() return a < b end)
            end)
            refused("string.gsub", function()
                string.gsub("abc", ".", function() gen.moment() end)
            end)
            refused("load", function()
                assert(load(function() gen.moment() end))
            end)
        end)
    end)

    it("has Tornado's IOLoop", function()
        local loop = ioloop.IOLoop.current()
        assert.equal(loop, ioloop.IOLoop.instance())
        local seen = {}
        loop:add_callback(function(x) seen[1] = x end, "a")
        loop:spawn_callback(function() seen[2] = "b" end)
        loop:call_later(0, function() seen[3] = "c" end)
        loop:call_at(loop:time(), function() seen[4] = "d" end)
        loop:remove_timeout(loop:call_later(0, function() seen[5] = "e" end))
        testing.wait_until(function() return seen[4] and seen[3] end)
        assert.same({ "a", "b", "c", "d" }, seen)
    end)
end)
