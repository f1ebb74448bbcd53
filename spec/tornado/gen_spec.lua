-- tornado.gen: coroutines that wait. PARITY §19, as far as it is there.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local testing = require "tornado.testing"
local util = require "tornado.util"

local function message_of(fn)
    local ok, err = pcall(fn)
    assert.is_false(ok)
    return tostring(err)
end

describe("tornado.gen", function()
    describe("sleep", function()
        it("waits at least as long as it says", function()
            for _, seconds in ipairs { 0, 0.001, 0.01 } do
                local started = core.precise()
                gen.sleep(seconds)
                assert.truthy(core.precise() - started >= seconds * 0.999)
            end
        end)

        it("lets others run meanwhile", function()
            local order, tasks, clock = {}, {}, testing.clock()
            for i = 3, 1, -1 do
                tasks[#tasks + 1] = gen.spawn(function()
                    gen.sleep(0.01 * i)
                    order[#order + 1] = i
                end)
            end
            clock:advance(1)
            for _, task in ipairs(tasks) do gen.await(task) end
            assert.same({ 1, 2, 3 }, order)
        end)

        it("refuses what is no number", function()
            for _, value in ipairs { "1", {}, 0 / 0, true } do
                assert.matches("gen_spec.lua:%d+: bad seconds: expected number",
                    message_of(function() gen.sleep(value) end))
            end
        end)

        it("gives its timer back when it is cancelled", function()
            local co
            local before = core.counts().timers
            local task = gen.spawn(function()
                co = coroutine.running()
                gen.sleep(60)
            end)
            assert.equal(before + 1, core.counts().timers)
            ioloop.cancel(ioloop.waiter_of(co), util.TimeoutError("too long"))
            local ok, err = pcall(gen.await, task)
            assert.is_false(ok)
            assert.is_true(util.isinstance(err, gen.TimeoutError))
            assert.equal(before, core.counts().timers)
        end)

        it("works in a hundred thousand coroutines, which are freed", function()
            testing.set_timeout(300)
            collectgarbage()
            collectgarbage()
            local memory = collectgarbage("count")
            local count, done = 100000, 0
            local function task()
                gen.sleep(0.05)
                done = done + 1
            end
            for _ = 1, count do gen.spawn(task) end
            assert.truthy(ioloop.counts().waiting >= count)
            assert.truthy(collectgarbage("count") - memory < count * 3)
            testing.wait_until(function() return done == count end)
            collectgarbage()
            collectgarbage()
            -- What stays: the pool of a thousand coroutines, and tables that have grown.
            assert.truthy(collectgarbage("count") - memory < 16 * 1024)
        end)
    end)

    describe("spawn", function()
        it("runs at once until it first waits, and gives the result", function()
            local steps = {}
            local future = gen.spawn(function(a, b)
                steps[1] = "in"
                gen.moment()
                return a + b
            end, 1, 2)
            assert.same({ "in" }, steps)
            assert.is_false(future:done())
            assert.equal(3, gen.await(future))
        end)

        it("passes nil arguments and returns nil", function()
            local n
            assert.is_nil(gen.await(gen.spawn(function(...) n = select("#", ...) end, nil, 1, nil)))
            assert.equal(3, n)
        end)

        it("gives the error to whoever waits", function()
            local err = util.Error("mine")
            local task = gen.spawn(function()
                gen.moment()
                error(err, 0)
            end)
            local ok, raised = pcall(gen.await, task)
            assert.is_false(ok)
            assert.equal(err, raised)
        end)

        it("logs the error when nobody waits", function()
            local logged = testing.expect_log(
                "Exception in spawned task: .*gen_spec.lua:%d+: alone")
            gen.spawn(function() error("alone") end)
            testing.wait_until(function() return #logged.lines == 1 end)
            gen.spawn(function()
                gen.moment()
                error("alone, later")
            end)
            testing.wait_until(function() return #logged.lines == 2 end)
        end)

        it("refuses what is no function", function()
            assert.matches("gen_spec.lua:%d+: bad task: expected function, got table",
                message_of(function() gen.spawn {} end))
        end)

        it("may be deep", function()
            local function nest(n)
                if n == 0 then return 0 end
                return 1 + gen.await(gen.spawn(nest, n - 1))
            end
            assert.equal(100, nest(100))
            local function nest_waiting(n)
                gen.moment()
                if n == 0 then return 0 end
                return 1 + gen.await(gen.spawn(nest_waiting, n - 1))
            end
            assert.equal(1000, nest_waiting(1000))
        end)
    end)

    describe("await", function()
        it("does not wait for what is done", function()
            local future = concurrent.Future()
            future:set_result("x")
            local turned = false
            ioloop.add_callback(function() turned = true end)
            for _ = 1, 10000 do assert(gen.await(future) == "x") end
            assert.is_false(turned)
            gen.moment()
        end)

        it("wakes all that wait for one future", function()
            local future, got = concurrent.Future(), {}
            for i = 1, 10 do
                gen.spawn(function() got[i] = gen.await(future) end)
            end
            future:set_result("x")
            testing.wait_until(function() return #got == 10 end)
        end)

        it("refuses what is no future", function()
            for _, value in ipairs { 1, "x", {} } do
                assert.matches("gen_spec.lua:%d+: bad future: expected Future, got " .. type(value),
                    message_of(function() gen.await(value) end))
            end
        end)
    end)

    it("has moment, which waits for one turn", function()
        local order = {}
        ioloop.add_callback(function() order[1] = "callback" end)
        gen.moment()
        order[2] = "after"
        assert.same({ "callback", "after" }, order)
    end)

    it("waits inside pcall, iterators and metamethods", function()
        local ok, value = pcall(function()
            gen.moment()
            return "through pcall"
        end)
        assert.is_true(ok)
        assert.equal("through pcall", value)
        local n = 0
        for x in function(_, i)
            gen.moment()
            i = (i or 0) + 1
            return i <= 3 and i or nil
        end do n = n + x end
        assert.equal(6, n)
        local waits = setmetatable({}, { __index = function() gen.moment() return "value" end })
        assert.equal("value", waits.anything)
    end)
end)
