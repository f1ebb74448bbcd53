-- tornado.locks: in order, with timeouts, and nothing lost when a wait is cancelled. PARITY §20.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local locks = require "tornado.locks"
local testing = require "tornado.testing"
local util = require "tornado.util"

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function is_timeout(err)
    return util.isinstance(err, util.TimeoutError)
end

-- Starts n tasks that each append their number to a list when fn() has returned.
local function start(n, fn, list)
    local tasks = {}
    for i = 1, n do
        tasks[i] = gen.spawn(function()
            fn(i)
            list[#list + 1] = i
        end)
    end
    return tasks
end

describe("locks.Condition", function()
    it("wakes who waits in order, some or all", function()
        local condition, order = locks.Condition(), {}
        start(6, function() assert.is_true(condition:wait()) end, order)
        assert.equal("<Condition waiters[6]>", tostring(condition))
        condition:notify()
        assert.same({}, order)
        gen.moment()
        assert.same({ 1 }, order)
        condition:notify(2)
        gen.moment()
        assert.same({ 1, 2, 3 }, order)
        condition:notify_all()
        gen.moment()
        assert.same({ 1, 2, 3, 4, 5, 6 }, order)
        condition:notify(5) -- nobody waits: nothing happens
    end)

    it("returns false after the timeout, and leaves no timer", function()
        local clock = testing.clock()
        local condition, results = locks.Condition(), {}
        for i, timeout in ipairs { 1, 2, ioloop.timedelta { seconds = 3 } } do
            gen.spawn(function() results[i] = condition:wait(timeout) end)
        end
        assert.is_false(condition:wait(0))
        clock:advance(1.5)
        assert.same({ false }, results)
        condition:notify()
        clock:advance(0)
        assert.same({ false, true }, results)
        condition:notify_all()
        clock:advance(0)
        assert.same({ false, true, true }, results)
        assert.equal(0, clock:pending())
    end)

    it("passes over who has timed out or was cancelled but has not run yet", function()
        local condition, order = locks.Condition(), {}
        local tasks = start(3, function() condition:wait() end, order)
        tasks[1]:cancel()
        condition:notify()
        gen.moment()
        gen.moment()
        assert.same({ 2 }, order)
        condition:notify()
        gen.await(tasks[3])
    end)

    it("gives a notification to who is cancelled behind it, whose next wait raises", function()
        local condition, notified, later = locks.Condition(), false, nil
        local task = gen.spawn(function()
            notified = condition:wait()
            later = error_of(gen.moment)
        end)
        condition:notify()
        task:cancel()
        gen.await(task)
        assert.is_true(notified)
        assert.is_true(util.isinstance(later, gen.CancelledError))
    end)

    it("raises the timeout of a scope around it", function()
        local condition = locks.Condition()
        assert.is_true(is_timeout(error_of(gen.with_timeout, 0.001, condition.wait, condition, 60)))
        assert.equal("<Condition waiters[0]>", tostring(condition))
    end)
end)

describe("locks.Event", function()
    it("wakes all when it is set, even if it is cleared at once", function()
        local event, order = locks.Event(), {}
        start(3, function() event:wait() end, order)
        assert.is_false(event:is_set())
        event:set()
        event:clear()
        gen.moment()
        assert.same({ 1, 2, 3 }, order)
        assert.is_true(is_timeout(error_of(event.wait, event, 0)))
        assert.is_true(is_timeout(error_of(event.wait, event, 0.001)))
        event:set()
        event:wait()
        event:wait(0)
        assert.equal("<Event set>", tostring(event))
    end)
end)

describe("locks.Semaphore", function()
    it("lets so many in, and the others in order", function()
        local semaphore, order = locks.Semaphore(2), {}
        local tasks = start(5, function() semaphore:acquire() end, order)
        assert.same({ 1, 2 }, order)
        assert.equal("<Semaphore locked,waiters:3>", tostring(semaphore))
        for _ = 1, 3 do semaphore:release() end
        -- Nobody overtakes those to whom it was given.
        assert.is_true(is_timeout(error_of(semaphore.acquire, semaphore, 0)))
        gen.all(tasks)
        assert.same({ 1, 2, 3, 4, 5 }, order)
        semaphore:release()
        semaphore:release()
        semaphore:release() -- more than there were: allowed
        assert.equal("<Semaphore unlocked,value:3,waiters:0>", tostring(semaphore))
    end)

    it("hands what a cancelled or late waiter would get to the next", function()
        local semaphore, order = locks.Semaphore(0), {}
        local late = gen.spawn(error_of, semaphore.acquire, semaphore, 0.001)
        local tasks = start(3, function() semaphore:acquire() end, order)
        assert.is_true(is_timeout(gen.await(late)))
        tasks[1]:cancel()
        tasks[2]:cancel()
        semaphore:release()
        gen.await(tasks[3])
        assert.same({ 3 }, order)
        semaphore:release()
        semaphore:acquire(0)
    end)

    it("is given back by with, whatever happens", function()
        local semaphore = locks.Semaphore(1)
        assert.same({ 1, 2 }, { semaphore:with(function(...) gen.moment() return ... end, 1, 2) })
        assert.equal("bad", error_of(semaphore.with, semaphore, error, "bad", 0))
        local task = gen.spawn(semaphore.with, semaphore, gen.sleep, 60)
        task:cancel()
        error_of(gen.await, task)
        semaphore:acquire(0)
        assert.matches("bad function", error_of(semaphore.with, semaphore, 5))
    end)

    it("checks what it is made with", function()
        assert.matches("locks_spec.lua:%d+: semaphore initial value must be >= 0",
            error_of(function() return (locks.Semaphore(-1)) end))
        assert.matches("bad value", error_of(locks.Semaphore, "1"))
        assert.matches("locks_spec.lua:%d+: bad timeout: %d+ s is a time of day",
            error_of(function() locks.Semaphore(1):acquire(ioloop.time() + 5) end))
    end)

    it("of the bounded kind is not given back too often", function()
        local semaphore = locks.BoundedSemaphore(1)
        assert.matches("locks_spec.lua:%d+: Semaphore released too many times",
            error_of(function() semaphore:release() end))
        semaphore:acquire()
        semaphore:release()
        error_of(semaphore.release, semaphore)
    end)
end)

describe("locks.Lock", function()
    it("is fair, and not reentrant", function()
        local lock, order = locks.Lock(), {}
        local tasks = start(4, function(i)
            lock:with(function()
                gen.moment()
                order[#order + 1] = "in " .. i
                assert.is_true(is_timeout(error_of(lock.acquire, lock, 0)))
            end)
        end, order)
        assert.equal("<Lock locked,waiters:3>", tostring(lock))
        gen.all(tasks)
        assert.same({ "in 1", 1, "in 2", 2, "in 3", 3, "in 4", 4 }, order)
        assert.matches("locks_spec.lua:%d+: release unlocked lock",
            error_of(function() lock:release() end))
    end)

    it("is free again when a thousand who wait for it are cancelled", function()
        local lock, timers = locks.Lock(), core.counts().timers
        lock:acquire()
        local tasks = {}
        for i = 1, 1000 do tasks[i] = gen.spawn(lock.acquire, lock, 60) end
        assert.equal(timers + 1000, core.counts().timers)
        for _, task in ipairs(tasks) do task:cancel() end
        for _, task in ipairs(tasks) do error_of(gen.await, task) end
        assert.equal("<Lock locked,waiters:0>", tostring(lock))
        assert.equal(timers, core.counts().timers)
        lock:release()
        lock:acquire(0)
    end)
end)
