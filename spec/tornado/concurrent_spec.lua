-- tornado.concurrent: futures.
local concurrent = require "tornado.concurrent"
local gen = require "tornado.gen"
local testing = require "tornado.testing"
local util = require "tornado.util"

local Future = concurrent.Future

describe("tornado.concurrent", function()
    it("has futures that are done once they have a result", function()
        local future = Future()
        assert.is_false(future:done())
        future:set_result(5)
        assert.is_true(future:done())
        assert.equal(5, future:result())
        assert.is_nil(future:exception())
    end)

    it("has futures that raise the error they were given, any value", function()
        for _, err in ipairs { "text", { a = 1 }, false } do
            local future = Future()
            future:set_exception(err)
            assert.is_true(future:done())
            local ok, raised = pcall(future.result, future)
            assert.is_false(ok)
            assert.equal(err, raised)
            assert.equal(err, future:exception())
        end
    end)

    it("raises for what comes too early or twice, at the caller's line", function()
        local future = Future()
        local ok, err = pcall(function() local x = future:result() return x end)
        assert.is_false(ok)
        assert.matches("concurrent_spec.lua:%d+: the future is not done", err)
        future:set_result(1)
        for _, name in ipairs { "set_result", "set_exception" } do
            ok, err = pcall(function() future[name](future, 2) end)
            assert.is_false(ok)
            assert.matches("concurrent_spec.lua:%d+: the future is done already", err)
        end
        assert.equal(1, future:result())
    end)

    it("calls back once, in order, in the turn after it is done", function()
        local future, seen = Future(), {}
        for i = 1, 3 do
            future:add_done_callback(function(f)
                assert(future == f)
                seen[#seen + 1] = i
            end)
        end
        future:set_result("x")
        assert.same({}, seen)
        gen.moment()
        assert.same({ 1, 2, 3 }, seen)
        future:add_done_callback(function() seen[#seen + 1] = 4 end)
        assert.same({ 1, 2, 3 }, seen)
        gen.moment()
        assert.same({ 1, 2, 3, 4 }, seen)
        assert.is_false(pcall(future.add_done_callback, future, 5))
    end)

    it("logs what a callback raises, and calls the next one", function()
        local logged = testing.expect_log("Exception in callback: .*broken")
        local future, called = Future(), false
        future:add_done_callback(function() error("broken") end)
        future:add_done_callback(function() called = true end)
        future:set_result(nil)
        testing.wait_until(function() return called end)
        assert.equal(1, #logged.lines)
    end)

    it("can be cancelled, once", function()
        local future, called = Future(), 0
        future:add_done_callback(function() called = called + 1 end)
        assert.is_false(future:cancelled())
        assert.is_true(future:cancel("no more"))
        assert.is_false(future:cancel())
        assert.is_true(future:done() and future:cancelled())
        for _, name in ipairs { "result", "exception" } do
            local ok, err = pcall(future[name], future)
            assert.is_false(ok)
            assert.equal("CancelledError: no more", tostring(err))
            assert.is_true(util.isinstance(err, concurrent.CancelledError))
        end
        gen.moment()
        assert.equal(1, called)
        concurrent.future_set_result_unless_cancelled(future, 1)
        local logged = testing.expect_log("Exception after Future was cancelled: late")
        concurrent.future_set_exception_unless_cancelled(future, "late")
        assert.equal(1, #logged.lines)
    end)

    it("sets results and errors of futures that were not cancelled", function()
        local future = Future()
        concurrent.future_set_result_unless_cancelled(future, 1)
        assert.equal(1, future:result())
        assert.is_false(pcall(concurrent.future_set_result_unless_cancelled, future, 2))
        future = Future()
        concurrent.future_set_exception_unless_cancelled(future, "bad")
        assert.equal("bad", future:exception())
        future = Future()
        concurrent.future_set_exc_info(future, { nil, "worse" })
        assert.equal("worse", future:exception())
        assert.is_false(pcall(concurrent.future_set_exc_info, future, {}))
    end)

    it("calls back at once by future_add_done_callback when done", function()
        local future, seen = Future(), {}
        concurrent.future_add_done_callback(future, function() seen[#seen + 1] = "a" end)
        future:set_result(nil)
        concurrent.future_add_done_callback(future, function() seen[#seen + 1] = "b" end)
        assert.same({ "b" }, seen)
        gen.moment()
        assert.same({ "b", "a" }, seen)
    end)

    it("chains futures: result, error, cancellation, and not what is done", function()
        local function chained(fn)
            local a, b = Future(), Future()
            concurrent.chain_future(a, b)
            fn(a)
            gen.moment()
            return b
        end
        assert.equal(5, chained(function(a) a:set_result(5) end):result())
        assert.equal("bad", chained(function(a) a:set_exception("bad") end):exception())
        assert.is_true(chained(function(a) a:cancel() end):cancelled())
        local a, b = Future(), Future()
        concurrent.chain_future(a, b)
        b:set_result("own")
        a:set_result("other")
        gen.moment()
        assert.equal("own", b:result())
    end)

    it("logs an error that nobody has asked for when the future is collected", function()
        local logged = testing.expect_log("Future exception was never retrieved: forgotten")
        Future():set_exception("forgotten")
        local seen = Future()
        seen:set_exception("seen")
        assert.equal("seen", seen:exception())
        seen = nil -- luacheck: ignore 311
        testing.wait_until(function()
            collectgarbage()
            return logged.text
        end)
        assert.equal(1, #logged.lines)
    end)

    it("knows futures from other values", function()
        assert.is_true(concurrent.is_future(Future()))
        assert.is_true(concurrent.is_future(Future:extend("Mine")()))
        for _, value in ipairs { 1, "s", {}, print, true } do
            assert.is_false(concurrent.is_future(value))
        end
        assert.is_false(concurrent.is_future(nil))
    end)
end)
