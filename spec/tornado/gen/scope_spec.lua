-- Scopes, deadlines and cancellation (gen/scope.lua, gen/task.lua): what is cancelled ends where
-- it waits, and nothing is left.
local concurrent = require "tornado.concurrent"
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local testing = require "tornado.testing"
local util = require "tornado.util"

local CancelledError, TimeoutError = gen.CancelledError, gen.TimeoutError

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

describe("gen.scope", function()
    it("waits for its children, and returns what its function does", function()
        local order = {}
        local a, b, c = gen.scope(function(scope)
            for i = 3, 1, -1 do
                scope:spawn(function()
                    for _ = 1, i do gen.moment() end
                    order[#order + 1] = i
                end)
            end
            return 1, nil, 3
        end)
        assert.same({ 1, 3 }, { a, c })
        assert.is_nil(b)
        assert.same({ 1, 2, 3 }, order)
    end)

    it("gives the results of children to whoever waits for them", function()
        assert.equal(5, gen.scope(function(scope)
            local child = scope:spawn(function(x, y) gen.moment() return x + y end, 2, 3)
            return gen.await(child)
        end))
    end)

    it("cancels the others when one child fails, and raises its error", function()
        local ended, mine = 0, util.Error("mine")
        local function other()
            assert.is_true(util.isinstance(error_of(gen.sleep, 60), CancelledError))
            ended = ended + 1
        end
        local err = error_of(gen.scope, function(scope)
            scope:spawn(other)
            scope:spawn(function() gen.moment() error(mine, 0) end)
            scope:spawn(other)
            other()
        end)
        assert.equal(mine, err)
        assert.equal(3, ended)
    end)

    it("cancels the children when its function fails, and keeps the traceback", function()
        local ended = false
        local ok, err, trace = ioloop.protect(gen.scope, function(scope)
            scope:spawn(function()
                pcall(gen.sleep, 60)
                gen.shield(gen.sleep, 0.005)
                ended = true
            end)
            error("body")
        end)
        assert.is_false(ok)
        assert.matches("scope_spec.lua:%d+: body$", err)
        assert.matches("in function 'try_in'", trace)
        assert.is_true(ended)
    end)

    it("raises the first error, also of children that fail at once", function()
        assert.equal("one", error_of(gen.scope, function(scope)
            scope:spawn(function() error("one", 0) end)
            scope:spawn(function() error("two", 0) end)
        end))
    end)

    it("is ended by cancel, from inside and outside, as if all had ended", function()
        local cleaned = 0
        local function child()
            if not pcall(gen.sleep, 60) then cleaned = cleaned + 1 end
        end
        assert.equal("done", gen.scope(function(scope)
            scope:spawn(child)
            scope:cancel()
            scope:cancel("again")
            assert.is_true(scope:cancelled())
            return "done"
        end))
        assert.is_nil(gen.scope(function(scope)
            scope:spawn(child)
            ioloop.add_callback(scope.cancel, scope, "from outside")
            gen.sleep(60)
            error("never")
        end))
        assert.equal(2, cleaned)
    end)

    it("cancels again at the next wait what was swallowed", function()
        local count = 0
        gen.scope(function(scope)
            scope:cancel("why")
            for _ = 1, 5 do
                local err = error_of(gen.moment)
                assert.equal("CancelledError: why", tostring(err))
                count = count + 1
            end
            assert.equal("CancelledError: why", tostring(error_of(gen.check_cancelled)))
        end)
        assert.equal(5, count)
        gen.moment() -- out of the scope there is nothing of it
        gen.check_cancelled()
    end)

    it("reaches scopes and tasks below it, but not what is shielded", function()
        local log = {}
        local function wait(name)
            log[name] = util.isinstance(error_of(gen.sleep, 60), CancelledError)
        end
        gen.scope(function(scope)
            scope:spawn(function()
                gen.scope(function(inner)
                    inner:spawn(wait, "inner")
                    gen.spawn(wait, "free")
                    wait "body"
                end)
            end)
            scope:spawn(function()
                gen.shield(function() gen.sleep(0.005) log.shielded = true end)
                wait "behind"
            end)
            gen.moment()
            scope:cancel()
        end)
        assert.same({ inner = true, free = true, body = true, shielded = true, behind = true }, log)
    end)

    it("lets go of what gen.spawn started, without waiting for it", function()
        local go, ended = concurrent.Future(), false
        local task
        gen.scope(function()
            task = gen.spawn(function()
                gen.await(go)
                ended = true
            end)
        end)
        assert.is_false(task:done())
        go:set_result(nil)
        gen.await(task)
        assert.is_true(ended)
    end)

    it("takes no more children when it has ended, and checks what it is given", function()
        local kept
        gen.scope(function(scope) kept = scope end)
        assert.matches("scope_spec.lua:%d+: the scope has ended",
            error_of(function() kept:spawn(print) end))
        gen.scope(function(scope)
            assert.matches("scope_spec.lua:%d+: bad task: expected function, got number",
                error_of(function() scope:spawn(5) end))
        end)
        assert.matches("bad function", error_of(function() gen.scope(5) end))
        assert.matches('scope_spec.lua:%d+: scope: unknown option "timout"',
            error_of(function() local x = gen.scope(print, { timout = 1 }) return x end))
    end)

    it("has a timeout, which ends children, too", function()
        local ended = 0
        local err = error_of(gen.scope, function(scope)
            for _ = 1, 3 do
                scope:spawn(function()
                    local why = error_of(gen.sleep, 60)
                    if util.isinstance(why, TimeoutError) then ended = ended + 1 end
                end)
            end
        end, { timeout = 0.005 })
        assert.is_true(util.isinstance(err, TimeoutError))
        assert.equal(3, ended)
    end)
end)

describe("a task", function()
    it("is cancelled where it waits, with what it has started", function()
        local inner
        local task = gen.spawn(function()
            inner = gen.spawn(gen.sleep, 60)
            gen.sleep(60)
        end)
        assert.is_true(task:cancel("enough"))
        local err = error_of(gen.await, task)
        assert.equal("CancelledError: enough", tostring(err))
        assert.is_true(task:cancelled())
        assert.is_false(task:cancel())
        assert.is_true(util.isinstance(error_of(gen.await, inner), CancelledError))
    end)

    it("may refuse, and return after all", function()
        local task = gen.spawn(function()
            pcall(gen.sleep, 60)
            return "cleaned up"
        end)
        task:cancel()
        assert.equal("cleaned up", gen.await(task))
        assert.is_false(task:cancelled())
    end)

    it("says in its traceback who has started it", function()
        local logged = testing.expect_log("Exception in spawned task: .*alone")
        local line = debug.getinfo(1, "l").currentline + 1
        gen.spawn(function() error("alone") end)
        testing.wait_until(function() return logged.text end)
        assert.matches("\nspawned at spec/tornado/gen/scope_spec.lua:" .. line .. "$", logged.text)
    end)

    it("leaves its traceback to who waits for it", function()
        local function fails() gen.moment() error("deep down") end
        local ok, _, trace = ioloop.protect(function() gen.await(gen.spawn(fails)) end)
        assert.is_false(ok)
        assert.matches("deep down.*in function <spec/tornado/gen/scope_spec.lua.*spawned at", trace)
    end)
end)

describe("gen.with_timeout", function()
    it("of a function returns what it does, and leaves no timer", function()
        local before = core.counts().timers
        assert.same({ 3, 4 }, { gen.with_timeout(60, function(a, b)
            gen.moment()
            return a + 1, b + 1
        end, 2, 3) })
        assert.equal("raised", error_of(gen.with_timeout, 60, error, "raised", 0))
        assert.equal(before, core.counts().timers)
    end)

    it("raises in every wait below it, spawned tasks and inner scopes included", function()
        local clock = testing.clock()
        local seen = {}
        local task = gen.spawn(error_of, gen.with_timeout, 5, function()
            local child = gen.spawn(function() seen.child = error_of(gen.sleep, 60) end)
            gen.scope(function(scope)
                scope:spawn(function() seen.inner = error_of(gen.sleep, 60) end)
                pcall(gen.sleep, 60)
                seen.again = error_of(gen.sleep, 60)
            end)
            gen.await(child)
        end)
        clock:advance(4.99)
        assert.same({}, seen)
        clock:advance(0.02)
        assert.is_true(util.isinstance(gen.await(task), TimeoutError))
        for _, name in ipairs { "child", "inner", "again" } do
            assert.is_true(util.isinstance(seen[name], TimeoutError))
        end
    end)

    it("takes the least of nested ones, with one timer", function()
        local clock = testing.clock()
        local task = gen.spawn(error_of, gen.deadline, 5, function()
            return gen.deadline(10, function()
                assert.equal(5, gen.time_left())
                assert.equal(1, clock:pending())
                gen.await(concurrent.Future())
            end)
        end)
        clock:advance(5.1)
        assert.is_true(util.isinstance(gen.await(task), TimeoutError))
        local inner
        task = gen.spawn(gen.deadline, 10, function()
            inner = error_of(gen.deadline, 5, gen.sleep, 60)
            gen.sleep(3)
            return "outer goes on"
        end)
        clock:advance(9)
        assert.is_true(util.isinstance(inner, TimeoutError))
        assert.equal("outer goes on", gen.await(task))
        assert.is_nil(gen.time_left())
    end)

    it("raises at once for no time at all, but not without a wait", function()
        assert.is_true(util.isinstance(error_of(gen.with_timeout, 0, gen.moment), TimeoutError))
        assert.equal(5, gen.with_timeout(0, function() return 5 end))
    end)

    it("of a future leaves that alone, whose later error is logged", function()
        local future = concurrent.Future()
        local err = error_of(gen.with_timeout, 0.001, future)
        assert.equal("TimeoutError: Timeout", tostring(err))
        assert.is_false(future:done())
        future:set_result("late")
        assert.equal("late", gen.with_timeout(0.001, future))
        local logged = testing.expect_log("Exception in spawned task: .*late error")
        local quiet, go_on = 0, concurrent.Future()
        local function fails(class)
            gen.await(go_on)
            quiet = quiet + 1
            error(class("late error"), 0)
        end
        local Mine = util.Error:extend "Mine"
        pcall(gen.with_timeout, 0.001, gen.spawn(fails, Mine), { quiet_exceptions = Mine })
        pcall(gen.with_timeout, 0.001, gen.spawn(fails, util.Error))
        go_on:set_result()
        testing.wait_until(function() return quiet == 2 and logged.text end)
        assert.equal(1, #logged.lines)
    end)

    it("refuses times of day, and what is neither future nor function", function()
        assert.matches("scope_spec.lua:%d+: bad timeout: %d+ s is a time of day",
            error_of(function() local x = gen.with_timeout(ioloop.time() + 1, print) return x end))
        assert.matches("bad timeout: expected seconds, got \"1\"",
            error_of(function() local x = gen.with_timeout("1", print) return x end))
        assert.matches("bad future: expected Future or function, got number",
            error_of(function() local x = gen.with_timeout(1, 5) return x end))
        assert.matches("bad function", error_of(gen.deadline, 1, concurrent.Future()))
        assert.equal(1, gen.with_timeout(ioloop.timedelta { seconds = 1 }, function() return 1 end))
    end)
end)

describe("ten thousand", function()
    local function memory()
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
    end

    -- Runs fn some times: what stays then is not what it leaves behind, but the pooled coroutines,
    -- and tables that are larger or smaller as it happens.
    local function assert_flat(fn)
        testing.set_timeout(300)
        fn()
        local before, timers = memory(), core.counts().timers
        local waiting = ioloop.counts().waiting
        for _ = 1, 5 do
            fn()
            assert.equal(timers, core.counts().timers)
            assert.equal(waiting, ioloop.counts().waiting)
        end
        local more = memory() - before
        assert.truthy(more < 512, more .. " KiB more")
    end

    it("sleeping tasks leave nothing behind", function()
        assert_flat(function()
            gen.scope(function(scope)
                for _ = 1, 10000 do scope:spawn(gen.sleep, 0.01) end
                assert.truthy(ioloop.counts().waiting >= 10000)
            end)
        end)
    end)

    it("tasks of which a thousand are cancelled in their wait leave nothing behind", function()
        assert_flat(function()
            local tasks, cancelled = {}, 0
            for i = 1, 10000 do tasks[i] = gen.spawn(gen.sleep, 0.05) end
            for i = 1, 10000, 10 do tasks[i]:cancel() end
            for _, task in ipairs(tasks) do
                if not pcall(gen.await, task) then cancelled = cancelled + 1 end
            end
            assert.equal(1000, cancelled)
        end)
    end)
end)
