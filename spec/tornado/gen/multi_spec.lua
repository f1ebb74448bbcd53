-- gen.all, gen.any, gen.WaitIterator and conversions. PARITY §19.
local concurrent = require "tornado.concurrent"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local util = require "tornado.util"

local Future = concurrent.Future

local function error_of(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

-- Turns of the loop come in their order, however late the clock is.
local function turns(count)
    for _ = 0, count do gen.moment() end
end

local function after(count, value)
    return gen.spawn(function() turns(count) return value end)
end

local function failing(count, err)
    return gen.spawn(function() turns(count) error(err, 0) end)
end

describe("gen.all", function()
    it("returns the results of a list or table under its keys", function()
        assert.same({}, gen.all {})
        assert.same({ 1, 2, 3 }, gen.all { after(3, 1), after(1, 2), after(0, 3) })
        assert.same({ a = 1, b = 2 }, gen.multi { a = after(2, 1), b = after(1, 2) })
        local same = after(1, "x")
        assert.same({ "x", "x" }, gen.all { same, same })
    end)

    it("starts functions beside each other", function()
        local running, most = 0, 0
        local function work()
            running = running + 1
            most = math.max(most, running)
            gen.sleep(0.001)
            running = running - 1
            return running
        end
        assert.equal(3, #gen.all { work, work, work })
        assert.equal(3, most)
    end)

    it("waits for all, raises the first of the list, logs the others", function()
        local logged = testing.expect_log("Multiple exceptions in yield list: ")
        local slow = after(1, 1)
        assert.equal("first", error_of(gen.all,
            { slow, failing(5, "first"), failing(1, "second") }))
        assert.is_true(slow:done())
        assert.equal(1, #logged.lines)
        assert.matches("second", logged.text)
    end)

    it("keeps quiet about what it is told to", function()
        local Mine = util.Error:extend "Mine"
        local err = Mine("one")
        assert.equal(err, error_of(gen.all, { failing(0, err), failing(0, Mine("two")) },
            { quiet_exceptions = { Mine } }))
        assert.matches('all: unknown option "quiet"', error_of(gen.all, {}, { quiet = 1 }))
    end)

    it("cancels the functions with its wait, but not the futures", function()
        local own, ended = after(5, "own"), false
        local task = gen.spawn(gen.all, { own, function()
            ended = not pcall(gen.sleep, 60)
        end })
        task:cancel()
        error_of(gen.await, task)
        testing.wait_until(function() return ended end)
        assert.equal("own", gen.await(own))
    end)

    it("has multi_future, which returns a Future", function()
        local future = gen.multi_future { a = after(0, 1) }
        assert.is_true(concurrent.is_future(future))
        assert.same({ a = 1 }, gen.await(future))
    end)

    it("refuses what cannot be waited for", function()
        assert.equal("BadYieldError: yielded unknown object 5",
            tostring(error_of(gen.all, { 5 })))
        assert.matches("multi_spec.lua:%d+: all: expected a table of futures, got number",
            error_of(function() gen.all(5) end))
    end)
end)

describe("gen.any", function()
    it("returns the first that succeeds and its key, and cancels the functions", function()
        local ended = 0
        local function slow()
            gen.sleep(60)
        end
        local function watched()
            if not pcall(gen.sleep, 60) then ended = ended + 1 end
        end
        local result, key = gen.any { slow, watched, x = after(2, "fast"),
            failing(0, "ignored") }
        assert.same({ "fast", "x" }, { result, key })
        testing.wait_until(function() return ended == 1 end)
    end)

    it("raises the error of the first when none succeeds", function()
        assert.equal("a", error_of(gen.any, { failing(2, "a"), failing(0, "b") }))
        assert.matches("any: expected at least one", error_of(gen.any, {}))
    end)
end)

describe("gen.WaitIterator", function()
    it("gives results as they come, with their index and future", function()
        local futures = { after(4, "a"), after(2, "b"), after(0, "c") }
        local iterator, order = gen.WaitIterator(unpack(futures)), {}
        while not iterator:done() do
            local result = iterator:next()
            order[#order + 1] = iterator.current_index .. result
            assert(futures[iterator.current_index] == iterator.current_future)
        end
        assert.same({ "3c", "2b", "1a" }, order)
        assert.is_nil(iterator.current_index)
        assert.is_nil(iterator.current_future)
        assert.matches("no future is left", error_of(iterator.next, iterator))
    end)

    it("takes names, raises errors, and goes on behind them", function()
        local iterator = gen.WaitIterator { good = after(3, 1), bad = failing(0, "bad") }
        assert.equal("bad", error_of(iterator.next, iterator))
        assert.equal("bad", iterator.current_index)
        assert.equal(1, iterator:next())
        assert.is_true(iterator:done())
    end)

    it("is a loop, too", function()
        local seen = {}
        for key, result in gen.WaitIterator { a = after(0, 1), b = after(0, 2) }:each() do
            seen[key] = result
        end
        assert.same({ a = 1, b = 2 }, seen)
    end)
end)

describe("conversions", function()
    it("maybe_future makes futures of values", function()
        local future = Future()
        assert.is_true(rawequal(future, gen.maybe_future(future)))
        assert.equal(5, gen.await(gen.maybe_future(5)))
        assert.is_nil(gen.await(gen.maybe_future(nil)))
    end)

    it("convert_yielded takes futures, functions, tables, and what it is told of", function()
        assert.equal(1, gen.await(gen.convert_yielded(function() return 1 end)))
        assert.same({ 1, b = 2 },
            gen.await(gen.convert_yielded { after(0, 1), b = gen.maybe_future(2) }))
        local Promise = util.Object:extend "Promise"
        gen.register_converter(function(value)
            if util.isinstance(value, Promise) then return gen.maybe_future("kept") end
        end)
        assert.equal("kept", gen.await(gen.convert_yielded(Promise())))
        for _, value in ipairs { 5, "x", true, util.Object() } do
            assert.is_true(util.isinstance(error_of(gen.convert_yielded, value),
                gen.BadYieldError))
        end
    end)

    it("coroutine makes functions that return futures; Return returns", function()
        local fn = gen.coroutine(function(a)
            gen.moment()
            error(gen.Return(a * 2), 0)
        end)
        assert.is_true(gen.is_coroutine_function(fn))
        assert.is_false(gen.is_coroutine_function(print))
        assert.equal(6, gen.await(fn(3)))
    end)

    it("Task waits for a callback", function()
        local a, b, c = gen.Task(function(x, callback)
            gen.spawn(function()
                gen.moment()
                callback(x, nil, 3)
                callback("ignored")
            end)
        end, 1)
        assert.same({ 1, 3 }, { a, c })
        assert.is_nil(b)
    end)
end)
